/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The highest rate without loss, by halving, and the delay at half of it. A
 * short run proves little by its losses: sockets hold a tenth of a second of
 * it. So a rate is carried when no queue grew either, which the delay tells.
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
	const struct rig_load l = { rate, burst, seconds / 2 };
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
	struct rig_load l = { 0, burst, seconds };
	struct rig_result out;
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
	if ((p->rate = lo) == 0)
		return;
	l.rate = lo / 2;
	rig_run(r, &l, &out);
	p->p50_us = out.p50_us;
	p->p99_us = out.p99_us;
}
