/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a forwarded packet costs, and how many a core forwards: perch-mdd
 * beside a plain forwarder and rtpengine, over real sockets.
 *
 *	tests/bench/mdd [--mdd PROGRAM] [--seconds S] [--runs N] [--quick]
 *	tests/bench/mdd --flood all|garbage|stun|hello|replay [--flood-rate N]
 *	    [--out N]
 *	tests/bench/mdd --memory
 *
 * Prints medians over the runs, and each forwarder's time as a ratio to the
 * other two. The three take turns, so that what else the machine does meets
 * them alike. All of it takes about ten minutes.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "perc/log.h"
#include "tests/bench/mddrig.h"

#define RUNS_MAX 15

static const struct sut *const suts[] = { &sut_perch, &sut_plain,
	&sut_rtpengine };
#define SUTS 3

static struct {
	const char *mdd;
	double seconds;
	unsigned runs;
	bool quick, no_segments, flood, memory;
	struct flood_opt f;
} opt = { .mdd = "./perch-mdd",
	.seconds = 0.5,
	.runs = 3,
	.f = { .rate = 200000, .out = 60000, .most = 600000 } };

static struct rig rig[SUTS];
static bool alive[SUTS];

struct scene {
	const char *name;
	unsigned members, senders;
};
static const struct scene scenes[] = {
	{ "20 to each other", 20, 20 },
	{ "1 to 10", 11, 1 },
	{ "1 to 50", 51, 1 },
	{ "1 to 100", 101, 1 },
};

static int
by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double
median(double *v, unsigned n)
{
	qsort(v, n, sizeof(*v), by_value);
	return n == 0 ? 0 : v[n / 2];
}

/* ---- cost at a rate --------------------------------------------------- */

static void
cost(const struct scene *s, size_t payload, unsigned rate, unsigned burst)
{
	const struct rig_load l = { rate, burst, opt.seconds };
	double ns[SUTS][RUNS_MAX], m[SUTS] = { 0 }, lost[SUTS] = { 0 };
	struct rig_result out;
	unsigned run, i;

	for (run = 0; run < opt.runs; run++)
		for (i = 0; i < SUTS; i++) {
			if (!alive[i])
				continue;
			rig_run(&rig[i], &l, &out);
			ns[i][run] = out.cpu_ns;
			lost[i] += 100.0 *
			    (1 - (double)out.delivered / (double)out.expected) /
			    opt.runs;
		}
	for (i = 0; i < SUTS; i++)
		m[i] = alive[i] ? median(ns[i], opt.runs) : 0;
	printf("| %s | %zu | %u | %u | %.0f | %.0f | %.0f | %.2f | %.2f |",
	    s->name, payload, burst, rate, m[0], m[1], m[2],
	    m[1] > 0 ? m[0] / m[1] : 0, m[2] > 0 ? m[0] / m[2] : 0);
	for (i = 0; i < SUTS; i++)
		if (lost[i] > 0.005)
			printf(" %s lost %.2f %%", suts[i]->name, lost[i]);
	printf("\n");
	(void)fflush(stdout);
}

/* ---- the highest rate ------------------------------------------------- */

static void
peaks(const struct scene *s, size_t payload, unsigned burst)
{
	struct rig_peak p[SUTS] = { 0 };
	unsigned i;

	for (i = 0; i < SUTS; i++)
		if (alive[i])
			rig_peak(&rig[i], burst, opt.seconds, &p[i]);
	printf("| %s | %zu | %u |", s->name, payload, burst);
	for (i = 0; i < SUTS; i++)
		printf(" %s%u |", p[i].generator ? "> " : "", p[i].rate);
	printf(" %.2f |", p[2].rate > 0 ? (double)p[0].rate / p[2].rate : 0);
	for (i = 0; i < SUTS; i++)
		printf(" %.0f / %.0f |", p[i].p50_us, p[i].p99_us);
	printf("\n");
	(void)fflush(stdout);
}

/* ---- scenes ----------------------------------------------------------- */

static void
scene_open(const struct scene *s, size_t payload, const char *dir)
{
	unsigned i;

	for (i = 0; i < SUTS; i++) {
		memset(&rig[i], 0, sizeof(rig[i]));
		rig[i].mdd = opt.mdd;
		rig[i].no_segments = opt.no_segments;
		(void)snprintf(rig[i].dir, sizeof(rig[i].dir), "%s", dir);
		rig_open(&rig[i], suts[i], s->members, s->senders, payload);
		alive[i] = rig_start(&rig[i]);
	}
}

static void
scene_close(void)
{
	unsigned i;

	for (i = 0; i < SUTS; i++)
		if (alive[i])
			rig_close(&rig[i]);
}

static void
each_scene(const char *dir, void (*fn)(const struct scene *, size_t))
{
	static const size_t payloads[] = { 160, 1200 };
	size_t i, k, n = opt.quick ? 1 : sizeof(scenes) / sizeof(scenes[0]);

	for (i = 0; i < n; i++)
		for (k = 0; k < 2; k++) {
			scene_open(&scenes[i], payloads[k], dir);
			fn(&scenes[i], payloads[k]);
			scene_close();
		}
}

static void
costs(const struct scene *s, size_t payload)
{
	static const unsigned rates[] = { 5000, 20000, 60000 };
	size_t i;

	for (i = opt.quick ? 2 : 0; i < 3; i++) {
		cost(s, payload, rates[i], 1);
		cost(s, payload, rates[i], 8);
	}
}

static void
highest(const struct scene *s, size_t payload)
{
	peaks(s, payload, 1);
	peaks(s, payload, 8);
}

static int
usage(int code)
{
	fputs("usage: mdd [--mdd PROGRAM] [--seconds S] [--runs N] [--quick] "
	      "[--no-segments]\n"
	      "       mdd --flood all|garbage|stun|hello|replay "
	      "[--flood-rate N] [--out N] [--seconds S]\n"
	      "       mdd --memory\n",
	    code == 0 ? stdout : stderr);
	return code;
}

static int
options(int argc, char *argv[])
{
	static const struct option longs[] = { { "mdd", 1, NULL, 'm' },
		{ "seconds", 1, NULL, 's' }, { "runs", 1, NULL, 'r' },
		{ "quick", 0, NULL, 'q' }, { "no-segments", 0, NULL, 'n' },
		{ "flood", 1, NULL, 'f' }, { "flood-rate", 1, NULL, 'F' },
		{ "out", 1, NULL, 'o' }, { "memory", 0, NULL, 'M' },
		{ "help", 0, NULL, 'h' }, { 0 } };
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1)
		switch (c) {
		case 'm':
			opt.mdd = optarg;
			break;
		case 's':
			opt.seconds = atof(optarg);
			break;
		case 'r':
			opt.runs = (unsigned)atoi(optarg);
			break;
		case 'q':
			opt.quick = true;
			break;
		case 'f':
			opt.flood = true;
			if (strcmp(optarg, "all") != 0)
				opt.f.kind = optarg;
			break;
		case 'F':
			opt.f.rate = (unsigned)atoi(optarg);
			break;
		case 'o':
			opt.f.out = (unsigned)atoi(optarg);
			break;
		case 'M':
			opt.memory = true;
			break;
		case 'n':
			opt.no_segments = true;
			break;
		default:
			exit(usage(c == 'h' ? 0 : 2));
		}
	return opt.runs >= 1 && opt.runs <= RUNS_MAX && opt.seconds > 0 &&
	    optind == argc;
}

/* perch-mdd by itself. */
static void
alone(const char *dir)
{
	rig[0].mdd = opt.mdd;
	(void)snprintf(rig[0].dir, sizeof(rig[0].dir), "%s", dir);
	opt.f.seconds = opt.seconds;
	if (opt.flood)
		flood_bench(&rig[0], &opt.f);
	if (opt.memory)
		memory_bench(&rig[0]);
}

static void
beside(const char *dir)
{
	printf("Nanoseconds of the forwarder's processor for each packet that "
	       "leaves; medians of %u runs of %.1f s.\n\n"
	       "| who | octets | burst | packets/s out | perch-mdd | plain | "
	       "rtpengine | to plain | to rtpengine |\n"
	       "|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
	    opt.runs, opt.seconds);
	each_scene(dir, costs);
	printf("\nHighest rate out without loss, and delay p50 / p99 (us) at "
	       "half of it.\n\n| who | octets | burst | perch-mdd | plain | "
	       "rtpengine | to rtpengine | perch-mdd us | plain us | "
	       "rtpengine us |\n"
	       "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
	each_scene(dir, highest);
}

static const char *
processor(void)
{
	static char line[160], *at;
	FILE *f = fopen("/proc/cpuinfo", "r");

	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		if (strncmp(line, "model name", 10) == 0 &&
		    (at = strchr(line, ':')) != NULL) {
			at[strcspn(at, "\n")] = '\0';
			(void)fclose(f);
			return at + 2;
		}
	if (f != NULL)
		(void)fclose(f);
	return "unknown processor";
}

int
main(int argc, char *argv[])
{
	char dir[] = "/tmp/perch-bench-XXXXXX", cmd[64];
	struct rlimit many = { 4096, 4096 };
	struct utsname u;

	if (!options(argc, argv))
		return usage(2);
	perc_log_init("bench", NULL, 0, PERC_LOG_ERROR);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)setrlimit(RLIMIT_NOFILE, &many);
	need(mkdtemp(dir) != NULL && uname(&u) == 0);
	rig_pin(0, 0);
	printf(
	    "%s, %s %s, %ld processors: forwarders alone on one of them.\n\n",
	    processor(), u.sysname, u.release, sysconf(_SC_NPROCESSORS_ONLN));
	if (opt.flood || opt.memory)
		alone(dir);
	else
		beside(dir);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd) != 0;
}
