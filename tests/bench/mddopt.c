/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of tests/bench/mdd.
 */
#include "tests/bench/mddopt.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options opt = { .mdd = "./perch-mdd",
	.seconds = 0.4,
	.f = { .rate = 200000, .out = 60000, .most = 600000 } };

int
options_usage(int code)
{
	fputs("usage: mdd [--mdd PROGRAM] [--seconds S] [--runs N] [--quick] "
	      "[--no-segments] [--apart]\n"
	      "           [--scene each|10|50|100] [--octets 160|1200] "
	      "[--burst 1|8]\n"
	      "           [--rate 5000|20000|60000 | --peak | --delay RATE] "
	      "[--who perch-mdd|plain|rtpengine]\n"
	      "       mdd --flood all|garbage|stun|hello|replay "
	      "[--flood-rate N] [--out N] [--seconds S]\n"
	      "       mdd --memory\n",
	    code == 0 ? stdout : stderr);
	return code;
}

static const struct option longs[] = { { "mdd", 1, NULL, 'm' },
	{ "seconds", 1, NULL, 's' }, { "runs", 1, NULL, 'r' },
	{ "quick", 0, NULL, 'q' }, { "no-segments", 0, NULL, 'n' },
	{ "apart", 0, NULL, 'a' }, { "scene", 1, NULL, 'S' },
	{ "octets", 1, NULL, 'O' }, { "rate", 1, NULL, 'R' },
	{ "burst", 1, NULL, 'B' }, { "peak", 0, NULL, 'p' },
	{ "delay", 1, NULL, 'D' }, { "who", 1, NULL, 'w' },
	{ "flood", 1, NULL, 'f' }, { "flood-rate", 1, NULL, 'F' },
	{ "out", 1, NULL, 'o' }, { "memory", 0, NULL, 'M' },
	{ "help", 0, NULL, 'h' }, { 0 } };

static void
option_flag(int c)
{
	switch (c) {
	case 'q':
		opt.scene = "each";
		opt.rate = 60000;
		break;
	case 'p':
		opt.peak = true;
		break;
	case 'M':
		opt.memory = true;
		break;
	case 'n':
		opt.no_segments = true;
		break;
	case 'a':
		opt.apart = true;
		break;
	default:
		exit(options_usage(c == 'h' ? 0 : 2));
	}
}

static void
option_value(int c, const char *v)
{
	switch (c) {
	case 'm':
		opt.mdd = v;
		break;
	case 's':
		opt.seconds = atof(v);
		break;
	case 'S':
		opt.scene = v;
		break;
	case 'w':
		opt.who = v;
		break;
	case 'f':
		opt.flood = true;
		opt.f.kind = strcmp(v, "all") == 0 ? NULL : v;
		break;
	default:
		*(c == 'r'	   ? &opt.runs
			: c == 'O' ? &opt.octets
			: c == 'R' ? &opt.rate
			: c == 'D' ? &opt.delay
			: c == 'B' ? &opt.burst
			: c == 'F' ? &opt.f.rate
				   : &opt.f.out) = (unsigned)atoi(v);
	}
}

bool
options_read(int argc, char *argv[])
{
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		if (optarg != NULL)
			option_value(c, optarg);
		else
			option_flag(c);
	return opt.runs <= RIG_RUNS && opt.seconds > 0 && optind == argc;
}
