/* SPDX-License-Identifier: Apache-2.0 */
/* The legs of one worker with room for three links, for tests of links. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "mdd/link.h"

extern struct mdd_legs legs;

/* 0, for cmocka. sources: of each link at most. */
int linkkit_open(unsigned sources);
int linkkit_close(void **state);
