/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests/bench/mdd was asked for; 0 or NULL: all, or what is usual.
 */
#pragma once

#include "tests/bench/mddrig.h"

struct options {
	const char *mdd, *scene, *who;
	double seconds;
	unsigned runs, octets, rate, burst, delay;
	bool peak, no_segments, apart, flood, memory;
	struct flood_opt f;
};
extern struct options opt;

/* False: they are none; say so by _usage, which gives code back. */
bool options_read(int argc, char *argv[]);
int options_usage(int code);
