/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a test build of a key holder says of its keys: see tell.c.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perc/jose.h"

/* One line "PID NAME HEX" into the file "told" beside the program. */
void tell(const char *name, const void *p, size_t n);
/* The private half of a key, if it has one. */
void tell_jwk(const struct perc_jwk *k);
