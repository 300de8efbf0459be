/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* One keeper and one conference: cmocka's set-up of most programs here. */
#pragma once

#include "tests/kmf/kit.h"

extern struct kit t;
extern char conf[40];

int setup(void **state);
int teardown(void **state);
