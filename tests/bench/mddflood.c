/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What honest legs get while strangers flood the port, or one leg does: the
 * same load with and without, then as much as one processor forwards (more is
 * offered than it can) with and without. The
 * flood comes from a process on the generator's processor, as the forwarder
 * has the other for itself; how much of it was sent is told, for a generator
 * that cannot keep up beside it says nothing about the forwarder.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/mddrig.h"
#include "tests/mdd/flood.h"

#define HONEST	 20
#define EVIL	 HONEST /* the member that replays, and sends nothing else */
#define STEPS	 1000	/* bursts a second */
#define SETTLE_S 1

static _Atomic uint64_t *sent;

static void
flooder(struct flood *f, unsigned rate)
{
	struct timespec next;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)clock_gettime(CLOCK_MONOTONIC, &next);
	for (;;) {
		flood_send(f, rate / STEPS);
		atomic_fetch_add(sent, rate / STEPS);
		next.tv_nsec += 1000000000 / STEPS;
		if (next.tv_nsec >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
		(void)clock_nanosleep(
		    CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
	}
}

static void
shots_make(struct rig *r, struct flood *f)
{
	unsigned i;

	for (i = 0; i < FLOOD_SHOTS; i++)
		f->len[i] = rig_packet(r, &r->m[EVIL], f->shot[i]);
}

static pid_t
flood_begin(struct rig *r, enum flood_kind kind, unsigned rate)
{
	static struct flood f;
	pid_t pid;

	memset(&f, 0, sizeof(f));
	f.kind = kind;
	f.to = r->m[0].to;
	f.ufrag = r->m[0].ufrag;
	f.ssrc = r->m[0].ssrc;
	f.leg_fd = r->m[EVIL].fd;
	if (kind == FLOOD_REPLAY)
		shots_make(r, &f);
	flood_open(&f);
	*sent = 0;
	pid = fork();
	need(pid >= 0);
	if (pid == 0)
		flooder(&f, rate);
	flood_close(&f);
	(void)sleep(SETTLE_S);
	return pid;
}

static void
flood_end(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)sleep(SETTLE_S); /* queues run empty, a flooding leg comes back */
}

static double
goodput(const struct rig_result *o)
{
	return (double)o->delivered / (double)o->expected;
}

static void
compare(
    struct rig *r, const struct flood_opt *o, enum flood_kind kind, double calm)
{
	const struct rig_load l = { o->out, 1, o->seconds, false };
	struct rig_result before, during;
	double most;
	struct timespec a, b;
	double took;
	uint64_t n;
	pid_t pid;

	rig_run(r, &l, &before);
	pid = flood_begin(r, kind, o->rate);
	n = *sent;
	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	rig_run(r, &l, &during);
	(void)clock_gettime(CLOCK_MONOTONIC, &b);
	n = *sent - n;
	took = (double)(b.tv_sec - a.tv_sec) +
	    (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	most = rig_flat_out(r, o->most, o->seconds);
	flood_end(pid);
	printf("| %s | %.0f | %u | %.4f | %.4f | %.3f | %.0f | %.0f | %.0f | "
	       "%.0f | %.2f |%s\n",
	    flood_names[kind], (double)n / took, o->out, goodput(&before),
	    goodput(&during), goodput(&during) / goodput(&before),
	    before.p99_us, during.p99_us, calm, most, most / calm,
	    during.late > 0.05 * o->seconds ? " the generator was late" : "");
	(void)fflush(stdout);
}

void
flood_bench(struct rig *r, const struct flood_opt *o)
{
	double calm;
	int kind;

	sent = mmap(NULL, sizeof(*sent), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need(sent != MAP_FAILED);
	r->senders = HONEST;
	r->leg_pps = 20000;
	rig_open(r, &sut_perch, HONEST + 1, HONEST, 160);
	need(rig_start(r));
	calm = rig_flat_out(r, o->most, o->seconds);
	printf("Honest legs under floods: %u members to each other and one "
	       "more, payloads of 160 octets, perch-mdd alone on a "
	       "processor.\n\n"
	       "| flood | flood/s sent | honest out/s | goodput without | with "
	       "| ratio | p99 us without | with | one processor without | with "
	       "| ratio |\n"
	       "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n",
	    HONEST);
	for (kind = 0; kind < FLOOD_KINDS; kind++)
		if (o->kind == NULL || strcmp(o->kind, flood_names[kind]) == 0)
			compare(r, o, (enum flood_kind)kind, calm);
	rig_close(r);
}
