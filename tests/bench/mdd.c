/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a forwarded packet costs, and how many a core forwards: perch-mdd
 * beside a plain forwarder and rtpengine, over real sockets.
 *
 *	tests/bench/mdd [--mdd PROGRAM] [--seconds S] [--runs N] [--quick]
 *	    [--apart]
 *	    [--scene each|10|50|100] [--octets N] [--burst N]
 *	    [--rate N | --peak | --delay N] [--who NAME]
 *	tests/bench/mdd --flood all|garbage|stun|hello|replay
 *	    [--flood-rate N] [--out N]
 *	tests/bench/mdd --memory
 *
 * Prints medians over the runs, and each forwarder's time as a ratio to the
 * other two. --apart: loopback's receiving side is not in their time
 * (mddapart.c), as root. The three take turns, so that what else the machine
 * does meets them alike. All of it takes 20 minutes on two processors that do
 * nothing else, and says on stderr where it is. One line's delay at one rate,
 * to be repeated, takes seconds: --who perch-mdd --scene each --octets 160
 * --burst 8 --delay 400000.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "perc/log.h"
#include "tests/bench/mddopt.h"
#include "tests/bench/mddrig.h"

#define SLOW	   5000 /* packets a second ... */
#define SLOW_RUNS  3	/* times as many runs */
#define COST_RUNS  3
#define DELAY_RUNS 7

static const struct sut *const suts[] = { &sut_perch, &sut_plain,
	&sut_rtpengine };
#define SUTS 3

static struct rig rig[SUTS];
static bool alive[SUTS];
static long began;	     /* seconds of the monotonic clock */
static FILE *second, *third; /* tables, while the first is printed */
static double watch;	     /* most that a witness took in a line */

struct scene {
	const char *name, *word;
	unsigned members, senders;
};
static const struct scene scenes[] = {
	{ "20 to each other", "each", 20, 20 },
	{ "1 to 10", "10", 11, 1 },
	{ "1 to 50", "50", 51, 1 },
	{ "1 to 100", "100", 101, 1 },
};

static void
progress(const struct scene *s, size_t payload, unsigned burst, unsigned rate)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	fprintf(stderr, "bench: %lds: %s, %zu octets, bursts of %u, ",
	    (long)t.tv_sec - began, s->name, payload, burst);
	fprintf(stderr, rate == 0 ? "highest rate\n" : "%u/s\n", rate);
}

/* ---- cost at a rate --------------------------------------------------- */

/* One run, and once more when another process had the core meanwhile. */
static double
cost_run(struct rig *r, const struct rig_load *l, double *lost)
{
	struct rig_result out = { 0 };
	unsigned tries;

	for (tries = 0; tries < 2; tries++) {
		rig_run(r, l, &out);
		if (out.delivered == out.expected)
			break;
	}
	*lost += 100.0 * (1 - (double)out.delivered / (double)out.expected);
	return out.cpu_ns;
}

/* As was asked for, or as is usual. */
static unsigned
runs(unsigned usual)
{
	return opt.runs != 0 ? opt.runs : usual;
}

/* A slow run is of few packets (200 that come, for 5,000/s to ten): what the
 * machine does meanwhile is a tenth of it, so there are more of them. */
static unsigned
runs_at(unsigned rate)
{
	unsigned n = runs(COST_RUNS) * (rate <= SLOW ? SLOW_RUNS : 1);

	return n > RIG_RUNS ? RIG_RUNS : n;
}

static void
cost(const struct scene *s, size_t payload, unsigned rate, unsigned burst)
{
	const struct rig_load l = { rate, burst, opt.seconds, false };
	double ns[SUTS][RIG_RUNS], m[SUTS] = { 0 }, lost[SUTS] = { 0 };
	unsigned n = runs_at(rate), run, i;

	progress(s, payload, burst, rate);
	for (run = 0; run < n; run++)
		for (i = 0; i < SUTS; i++)
			if (alive[i])
				ns[i][run] = cost_run(&rig[i], &l, &lost[i]);
	for (i = 0; i < SUTS; i++)
		m[i] = alive[i] ? rig_median(ns[i], n) : 0;
	printf("| %s | %zu | %u | %u | %.0f | %.0f | %.0f | %.2f | %.2f |",
	    s->name, payload, burst, rate, m[0], m[1], m[2],
	    m[1] > 0 ? m[0] / m[1] : 0, m[2] > 0 ? m[0] / m[2] : 0);
	for (i = 0; i < SUTS; i++)
		if (lost[i] > 0.005 * n)
			printf(" %s lost %.2f %%", suts[i]->name, lost[i] / n);
	printf("\n");
	(void)fflush(stdout);
}

/* ---- the highest rate ------------------------------------------------- */

/* One line. The forwarder has its processor and nothing else runs there, the
 * generator sends as planned, all is forwarded; or the line says so. */
static void
delay(const struct scene *s, size_t payload, unsigned burst, unsigned who,
    unsigned rate)
{
	struct rig_delay d;
	char what[64];

	if (rate == 0)
		return;
	rig_delay(&rig[who], rate, burst, opt.seconds, runs(DELAY_RUNS), &d);
	(void)snprintf(
	    what, sizeof(what), "%s | %zu | %u", s->name, payload, burst);
	table_delay_row(third, what, suts[who]->name, &d);
	watch = d.watch > watch ? d.watch : watch;
}

static void
delays(const struct scene *s, size_t payload, unsigned burst,
    const struct rig_peak p[static SUTS])
{
	unsigned i;

	for (i = 0; i < SUTS; i++)
		delay(s, payload, burst, i, p[i].rate / 2);
	delay(s, payload, burst, 0, p[0].rate == 0 ? 0 : p[2].rate * 3 / 4);
}

/* At the rate that was asked for. */
static void
delays_at(const struct scene *s, size_t payload, unsigned burst)
{
	unsigned i;

	progress(s, payload, burst, opt.delay);
	for (i = 0; i < SUTS; i++)
		if (alive[i]) {
			rig_first(rig[i].pid, true);
			delay(s, payload, burst, i, opt.delay);
		}
}

static void
peaks(const struct scene *s, size_t payload, unsigned burst)
{
	struct rig_peak p[SUTS] = { 0 };
	unsigned i;

	progress(s, payload, burst, 0);
	for (i = 0; i < SUTS; i++)
		if (alive[i]) {
			rig_first(rig[i].pid, true);
			rig_peak(&rig[i], burst, opt.seconds, &p[i]);
		}
	fprintf(second, "| %s | %zu | %u |", s->name, payload, burst);
	for (i = 0; i < SUTS; i++)
		fprintf(
		    second, " %s%u |", p[i].generator ? "> " : "", p[i].rate);
	fprintf(second, " %.2f |\n",
	    p[2].rate > 0 ? (double)p[0].rate / p[2].rate : 0);
	delays(s, payload, burst, p);
}

/* ---- scenes ----------------------------------------------------------- */

static void
scene_open(const struct scene *s, size_t payload, const char *dir)
{
	unsigned i;

	for (i = 0; i < SUTS; i++) {
		memset(&rig[i], 0, sizeof(rig[i]));
		alive[i] = false;
		if (opt.who != NULL && strcmp(opt.who, suts[i]->name) != 0)
			continue;
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

static bool
wanted(unsigned asked, unsigned this)
{
	return asked == 0 || asked == this;
}

static void
costs(const struct scene *s, size_t payload)
{
	static const unsigned rates[] = { 5000, 20000, 60000 };
	static const unsigned bursts[] = { 1, 8 };
	size_t i, k;

	for (i = 0; i < 3; i++)
		for (k = 0; k < 2; k++)
			if (!opt.peak && opt.delay == 0 &&
			    wanted(opt.rate, rates[i]) &&
			    wanted(opt.burst, bursts[k]))
				cost(s, payload, rates[i], bursts[k]);
	for (k = 0; opt.rate == 0 && k < 2; k++)
		if (wanted(opt.burst, bursts[k]))
			(opt.delay == 0 ? peaks : delays_at)(
			    s, payload, bursts[k]);
}

static void
each_scene(const char *dir)
{
	static const unsigned payloads[] = { 160, 1200 };
	const struct scene *s;
	size_t i, k;

	for (i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
		s = &scenes[i];
		if (opt.scene != NULL && strcmp(opt.scene, s->word) != 0)
			continue;
		for (k = 0; k < 2; k++) {
			if (!wanted(opt.octets, payloads[k]))
				continue;
			scene_open(s, payloads[k], dir);
			costs(s, payloads[k]);
			scene_close();
		}
	}
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
	char *text[2] = { NULL, NULL };
	struct timespec t;
	size_t n;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	began = (long)t.tv_sec;
	need((second = open_memstream(&text[0], &n)) != NULL &&
	    (third = open_memstream(&text[1], &n)) != NULL);
	table_delay_head(third);
	printf("Nanoseconds of the forwarder's processor for each packet that "
	       "leaves; medians of %u runs of %.1f s, at "
	       "%u/s of %u.\n\n"
	       "| who | octets | burst | packets/s out | perch-mdd | plain | "
	       "rtpengine | to plain | to rtpengine |\n"
	       "|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
	    runs(COST_RUNS), opt.seconds, SLOW, runs_at(SLOW));
	each_scene(dir);
	need(fclose(second) == 0 && fclose(third) == 0);
	printf("\nHighest rate out without loss.\n\n"
	       "| who | octets | burst | perch-mdd | plain | rtpengine | to "
	       "rtpengine |\n|---|---:|---:|---:|---:|---:|---:|\n%s"
	       "\nDelay in microseconds, from before the generator's sendmmsg "
	       "to the system's stamp at the receiver, at half of the highest "
	       "rate (the second line of perch-mdd: of 1.5 times rtpengine's); "
	       "medians of %u runs of %.1f s. Without stops: of packets "
	       "that were not on their way while a processor stood still for "
	       "more than 150 us, nor as long again after. The witness of that "
	       "took at most %.1f %% of the forwarder's processor.\n\n%s",
	    text[0], runs(DELAY_RUNS), opt.seconds, 100 * watch, text[1]);
	free(text[0]);
	free(text[1]);
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

	if (!options_read(argc, argv))
		return options_usage(2);
	perc_log_init("bench", NULL, 0, PERC_LOG_ERROR);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)setrlimit(RLIMIT_NOFILE, &many);
	need(mkdtemp(dir) != NULL && uname(&u) == 0);
	rig_pin(0, 0);
	if (opt.apart)
		rig_apart(dir);
	stops_open();
	printf(
	    "%s, %s %s, %ld processors: forwarders alone on one of them%s.\n\n",
	    processor(), u.sysname, u.release, sysconf(_SC_NPROCESSORS_ONLN),
	    opt.apart ? ", loopback's receiving side on the other" : "");
	if (opt.flood || opt.memory)
		alone(dir);
	else
		beside(dir);
	(void)snprintf(cmd, sizeof(cmd), "rm -rf  '%s'", dir);
	return system(cmd) != 0;
}
