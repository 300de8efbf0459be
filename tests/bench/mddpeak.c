/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The highest rate without loss, by halving, and the delay at a rate. A short
 * run proves little by its losses: sockets hold a tenth of a second of it. So a
 * rate is carried when no queue grew either, which the delay tells, and what
 * halving found counts only when it holds HOLDS times in a row.
 *
 * A run that failed while a processor stood still (mddstop.h) says nothing
 * and is made again, so often.
 *
 * Receivers read a sample (mddear.c): what is measured is the forwarder and
 * not how fast its processor's neighbour reads.
 */
#include <string.h>

#include "tests/bench/mddrig.h"

#define FIRST	 40000 /* packets a second */
#define TRIES	 14
#define HOLDS	 3
#define SPOILT	 3 /* runs that we make again, of one rate */
#define QUEUE_US 10000

enum verdict { CARRIED, LOST, STOOD_STILL, BEHIND };

/* All that was asked for left, and soon, and the generator kept up. */
static enum verdict
judge(struct rig *r, const struct rig_load *l)
{
	struct rig_result out;
	bool stood;

	rig_run(r, l, &out);
	stood =
	    (double)(out.stops.ns + out.stops.sender) / 1e9 > 0.01 * l->seconds;
	if (out.late > 0.05 * l->seconds)
		return stood ? STOOD_STILL : BEHIND;
	if (out.still > 0 && out.still_us < QUEUE_US &&
	    out.expected - out.delivered <= out.expected / 10000)
		return CARRIED;
	return stood ? STOOD_STILL : LOST;
}

/* holds: that often, without a failure in between. */
static bool
carries(struct rig *r, const struct rig_load *l, unsigned holds, bool *ours)
{
	unsigned good = 0, spoilt = 0;
	enum verdict v = LOST;

	while (good < holds && spoilt <= SPOILT) {
		v = judge(r, l);
		if (v == CARRIED)
			good++;
		else if (v == STOOD_STILL)
			spoilt++;
		else
			break;
	}
	*ours = v == BEHIND;
	return good == holds;
}

void
rig_peak(struct rig *r, unsigned burst, double seconds, struct rig_peak *p)
{
	struct rig_load l = { FIRST, burst, seconds / 2, true };
	unsigned lo = 0, hi = 0, tries = 0;
	bool ours;

	memset(p, 0, sizeof(*p));
	while (hi == 0 || (hi - lo > lo / 20 && tries < TRIES)) {
		/* Another process may have had the core: once more. */
		if (carries(r, &l, 1, &ours) || carries(r, &l, 1, &ours)) {
			lo = l.rate;
		} else {
			hi = l.rate;
			p->generator = ours;
		}
		l.rate = hi == 0 ? lo * 2 : lo + (hi - lo) / 2;
		tries++;
	}
	l.seconds = seconds;
	for (l.rate = lo; l.rate > 1000; l.rate -= l.rate / 20) {
		if (carries(r, &l, HOLDS, &ours))
			break;
		p->generator = ours;
	}
	p->rate = lo == 0 ? 0 : l.rate;
}

/* Sorts v. */
static struct rig_spread
spread(double *v, unsigned n)
{
	double middle = rig_median(v, n);

	return (struct rig_spread){ middle, v[0], v[n - 1] };
}

void
rig_delay(struct rig *r, unsigned rate, unsigned burst, double seconds,
    unsigned runs, struct rig_delay *d)
{
	const struct rig_load l = { rate, burst, seconds, true };
	double p50[RIG_RUNS], p99[RIG_RUNS], busy[RIG_RUNS], part[RIG_RUNS];
	double still[RIG_RUNS], time = seconds * runs;
	struct rig_result out;
	unsigned i;

	memset(d, 0, sizeof(*d));
	for (i = 0; i < runs; i++) {
		rig_run(r, &l, &out);
		p50[i] = out.p50_us;
		p99[i] = out.p99_us;
		still[i] = out.still_us;
		busy[i] = out.busy;
		part[i] = l.seconds / (l.seconds + out.late);
		d->lost += (double)(out.expected - out.delivered) /
		    (double)out.expected / runs;
		d->waited += (double)out.waited_ns / 1e9 / time -
		    out.stops.cost / runs; /* for the witness too */
		d->stopped += (double)out.stops.ns / 1e9 / time;
		d->sender += (double)out.stops.sender / 1e9 / time;
		d->left_out += (1 - out.still) / runs;
		d->watch += out.stops.cost / runs;
		if ((double)out.stops.longest / 1e3 > d->longest_us)
			d->longest_us = (double)out.stops.longest / 1e3;
		d->known = out.stops.known;
	}
	d->rate = rate;
	d->p50_us = rig_median(p50, runs);
	d->p99_us = spread(p99, runs);
	d->still_us = spread(still, runs);
	d->busy = rig_median(busy, runs);
	d->part = rig_median(part, runs);
}
