/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a link costs: the same packets from the same sender to the same
 * receivers, once within a worker, once over a link between two workers of
 * one perch-mdd, once between two perch-mdds.
 *
 *	tests/bench/mddlink [RATE [SECONDS [RUNS]]]
 *
 * RATE is of packets that come, a second. Nanoseconds of each worker's
 * processor for each of them, medians; the workers share one processor, the
 * generator has the other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "perc/log.h"
#include "perc/loop.h"
#include "tests/bench/mddrig.h"
#include "tests/mdd/mesh.h"

#define HEARERS	 10
#define CHECK_MS 8000
#define FIRST	 5000 /* SEQ, beyond what was said to see the road */
#define ALONE	 2000
#define LIMITS	 "max_leg_pps = 1000000\nmax_leg_kbps = 10000000\n"

static unsigned rate = 4000, runs = 5;
static double seconds = 0.4;
static struct member m[1 + HEARERS];
static uint16_t seq; /* of the sender's next packet */

/* Consent, or the legs end (RFC 7675). */
static void
keep(struct rig *r)
{
	unsigned i;

	for (i = 0; i < r->n; i++)
		if (perc_now_ms() - r->m[i].checked_ms > CHECK_MS) {
			need(peer_keep(&m[i].p));
			r->m[i].checked_ms = perc_now_ms();
		}
}

static const struct sut sut = { "perch-mdd", true, NULL, NULL, NULL, keep };

/* The members of now as a rig: the first sends. */
static void
rig_take(struct rig *r, unsigned n, size_t payload)
{
	unsigned i;

	memset(r, 0, sizeof(*r));
	*r = (struct rig){
		.sut = &sut, .n = n, .senders = 1, .payload = payload
	};
	for (i = 0; i < n; i++)
		r->m[i] = (struct rig_member){ .fd = m[i].p.fd,
			.self = m[i].p.self,
			.to = m[i].p.mdd,
			.tx = m[i].p.tx,
			.ssrc = m[i].ssrc,
			.seq = seq,
			.checked_ms = perc_now_ms() };
}

struct cost {
	double ns[2]; /* of the sender's worker, of the others' */
	double lost;
};

static void
measure(const pid_t pid[2], unsigned n, size_t payload, unsigned burst,
    struct cost *c)
{
	const struct rig_load l = { rate * (n - 1), burst, seconds, false };
	double ns[2][RIG_RUNS];
	struct rig_result out;
	struct rig r;
	unsigned run, i;
	uint64_t cpu[2];

	rig_take(&r, n, payload);
	r.pid = pid[0];
	c->lost = 0;
	for (run = 0; run <= runs; run++) { /* the first to warm up */
		for (i = 0; i < 2; i++)
			cpu[i] = pid[i] == 0 ? 0 : rig_cpu_ns(pid[i], NULL);
		rig_run(&r, &l, &out);
		for (i = 0; run > 0 && i < 2; i++)
			ns[i][run - 1] = pid[i] == 0
			    ? 0
			    : (double)(rig_cpu_ns(pid[i], NULL) - cpu[i]) *
				(n - 1) / (double)out.expected;
		if (run > 0)
			c->lost += 100.0 *
			    ((double)out.expected - (double)out.delivered) /
			    (double)out.expected / runs;
	}
	seq = r.m[0].seq;
	for (i = 0; i < 2; i++)
		c->ns[i] = rig_median(ns[i], runs);
}

/* The lines of one kind of road, for 1 receiver or 10. */
static void
lines(const char *what, const pid_t pid[2], unsigned hearers)
{
	static const unsigned octets[] = { 160, 1200 }, bursts[] = { 1, 8 };
	struct cost c;
	size_t i, k;

	for (i = 0; i < 2; i++)
		for (k = 0; k < 2; k++) {
			measure(pid, 1 + hearers, octets[i], bursts[k], &c);
			printf("| %s | %u | %u | %u | %.0f | %.0f | %.0f |",
			    what, hearers, octets[i], bursts[k], c.ns[0],
			    c.ns[1], c.ns[0] + c.ns[1]);
			if (c.lost > 0.005)
				printf(" lost %.2f %%", c.lost);
			printf("\n");
			(void)fflush(stdout);
		}
}

static void
come(unsigned at, unsigned i, const char *conference)
{
	static char name[1 + HEARERS][8];

	if (i == 0)
		seq = FIRST;
	(void)snprintf(name[i], sizeof(name[i]), "m_%u", i);
	mesh_come(at, &m[i], name[i], conference, 0x10000000u + i);
}

static void
gone(unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		member_end(&m[i]);
}

static void
workers(unsigned mdd, pid_t pid[2], unsigned want)
{
	need(stage_workers_of(mdd, pid, 2) == want);
	while (want > 0)
		rig_pin(pid[--want], 1);
}

static void
within_a_worker(void)
{
	pid_t pid[2] = { 0, 0 };
	unsigned i;

	mesh_conf(0, 0, "workers = 1\n" LIMITS, "");
	need(stage_start(0) == 0);
	workers(0, pid, 1);
	come(0, 0, "c_in");
	come(0, 1, "c_in");
	(void)mesh_reaches(&m[0], &m[1]);
	lines("within a worker", pid, 1);
	for (i = 2; i <= HEARERS; i++)
		come(0, i, "c_in");
	lines("within a worker", pid, HEARERS);
	gone(1 + HEARERS);
	need(mesh_stop(NULL) == 0);
}

/* The sender's first: it works while nobody else is there. (The mesh's SEQ,
 * which come next, are a turn of 16 bits later.) */
static void
workers_sort(pid_t pid[2])
{
	uint64_t ns[2];
	pid_t other;
	uint16_t i;

	ns[0] = rig_cpu_ns(pid[0], NULL);
	ns[1] = rig_cpu_ns(pid[1], NULL);
	for (i = 0; i < ALONE; i++)
		peer_say(&m[0].p, m[0].ssrc, (uint16_t)(40000 + i));
	metric_reaches("perch_mdd_accepted_total", "kind=\"rtp\"", ALONE / 4);
	if (rig_cpu_ns(pid[0], NULL) - ns[0] >=
	    rig_cpu_ns(pid[1], NULL) - ns[1])
		return;
	other = pid[0];
	pid[0] = pid[1];
	pid[1] = other;
}

static void
between_workers(void)
{
	pid_t pid[2] = { 0, 0 };

	mesh_conf(0, 0, "workers = 2\nlegs_per_worker = 1\n" LIMITS, "");
	need(stage_start(0) == 0);
	workers(0, pid, 2);
	come(0, 0, "c_two");
	workers_sort(pid);
	come(0, 1, "c_two");
	need(m[0].p.mdd.sin_port != m[1].p.mdd.sin_port);
	(void)mesh_reaches(&m[0], &m[1]);
	lines("between two workers", pid, 1);
	gone(2);
	need(mesh_stop(NULL) == 0);
}

static void
between_mdds(void)
{
	pid_t pid[2] = { 0, 0 }, far[2];
	unsigned i;

	mesh_conf(0, 2, "workers = 1\n" LIMITS, "");
	mesh_conf(1, 1, "workers = 1\n" LIMITS, "");
	need(stage_start(0) == 0 && stage_start(1) == 0);
	workers(0, pid, 1);
	workers(1, far, 1);
	pid[1] = far[0];
	come(0, 0, "c_far");
	come(1, 1, "c_far");
	(void)mesh_reaches(&m[0], &m[1]);
	lines("between two perch-mdds", pid, 1);
	for (i = 2; i <= HEARERS; i++)
		come(1, i, "c_far");
	lines("between two perch-mdds", pid, HEARERS);
	gone(1 + HEARERS);
	need(mesh_stop(NULL) == 0);
}

static void
test_links(void **state)
{
	printf("Nanoseconds of the workers' processor for each packet that "
	       "comes, %u/s, medians of %u runs of %.1f s.\n\n"
	       "| road | receivers | octets | burst | sender's worker | "
	       "receivers' worker | together |\n"
	       "|---|---:|---:|---:|---:|---:|---:|\n",
	    rate, runs, seconds);
	within_a_worker();
	between_workers();
	between_mdds();
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_links) };
	struct rlimit many = { 4096, 4096 };

	if (argc > 1)
		rate = (unsigned)atoi(argv[1]);
	if (argc > 2)
		seconds = atof(argv[2]);
	if (argc > 3)
		runs = (unsigned)atoi(argv[3]);
	if (rate == 0 || seconds <= 0 || runs == 0 || runs > RIG_RUNS) {
		fputs("usage: mddlink [RATE [SECONDS [RUNS]]]\n", stderr);
		return 2;
	}
	perc_log_init("bench", NULL, 0, PERC_LOG_ERROR);
	(void)setrlimit(RLIMIT_NOFILE, &many);
	rig_pin(0, 0);
	return cmocka_run_group_tests_name(
	    "mddlink", tests, mesh_open, mesh_close);
}
