/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The highest rate without loss, by halving, and the delay at a rate. A short
 * run proves little by its losses: sockets hold a tenth of a second of it. So a
 * rate is carried when no queue grew either, which the delay tells.
 *
 * Receivers read a sample (mddear.c): what is measured is the forwarder and
 * not how fast its processor's neighbour reads.
 */
#include <string.h>

#include "tests/bench/mddrig.h"

#define FIRST	 40000 /* packets a second */
#define TRIES	 14
#define QUEUE_US 10000

/* All that was asked for left, and soon, and the generator kept up. */
static bool
carries(
    struct rig *r, unsigned rate, unsigned burst, double seconds, bool *ours)
{
	const struct rig_load l = { rate, burst, seconds / 2, true };
	struct rig_result out;

	rig_run(r, &l, &out);
	*ours = out.late > 0.05 * l.seconds;
	return !*ours && out.p99_us < QUEUE_US &&
	    out.expected - out.delivered <= out.expected / 10000;
}

void
rig_peak(struct rig *r, unsigned burst, double seconds, struct rig_peak *p)
{
	unsigned lo = 0, hi = 0, mid = FIRST, tries = 0;
	bool ours;

	memset(p, 0, sizeof(*p));
	while (hi == 0 || (hi - lo > lo / 20 && tries < TRIES)) {
		/* Another process may have had the core: once more. */
		if (carries(r, mid, burst, seconds, &ours) ||
		    carries(r, mid, burst, seconds, &ours)) {
			lo = mid;
		} else {
			hi = mid;
			p->generator = ours;
		}
		mid = hi == 0 ? lo * 2 : lo + (hi - lo) / 2;
		tries++;
	}
	p->rate = lo;
}

void
rig_delay(struct rig *r, unsigned rate, unsigned burst, double seconds,
    unsigned runs, struct rig_delay *d)
{
	const struct rig_load l = { rate, burst, seconds, true };
	double p50[RIG_RUNS], p99[RIG_RUNS], busy[RIG_RUNS], part[RIG_RUNS];
	struct rig_result out;
	unsigned i;

	memset(d, 0, sizeof(*d));
	for (i = 0; i < runs; i++) {
		rig_run(r, &l, &out);
		p50[i] = out.p50_us;
		p99[i] = out.p99_us;
		busy[i] = out.busy;
		part[i] = l.seconds / (l.seconds + out.late);
		d->lost += 100.0 * (double)(out.expected - out.delivered) /
		    (double)out.expected / runs;
		d->waited +=
		    100.0 * (double)out.waited_ns / 1e9 / seconds / runs;
	}
	d->rate = rate;
	d->p50_us = rig_median(p50, i);
	d->p99_us = rig_median(p99, i);
	d->busy = rig_median(busy, i);
	d->part = rig_median(part, i);
}
