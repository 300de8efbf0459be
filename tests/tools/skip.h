/* SPDX-License-Identifier: Apache-2.0 */
/* A case that is left out says why, to somebody who does not know the test:
 * cmocka's skip() has no room for it, so tests/tools/run-unit.sh moves this
 * line to where TAP has the reason. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#define skip_because(why)                                                      \
	do {                                                                   \
		printf("# SKIP %s\n", why);                                    \
		skip();                                                        \
	} while (0)
