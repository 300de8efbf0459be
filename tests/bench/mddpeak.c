/* SPDX-License-Identifier: Apache-2.0 */
/* The highest rate without loss, by halving, and the delay at half of it. */
#include <string.h>

#include "tests/bench/mddrig.h"

/* All that was asked for left, and the generator kept up. */
static bool
carries(
    struct rig *r, unsigned rate, unsigned burst, double seconds, bool *ours)
{
	const struct rig_load l = { rate, burst, seconds / 2 };
	struct rig_result out;

	rig_run(r, &l, &out);
	*ours = out.late > 0.05 * l.seconds;
	return !*ours && out.expected - out.delivered <= out.expected / 10000;
}

void
rig_peak(struct rig *r, unsigned burst, double seconds, struct rig_peak *p)
{
	unsigned lo = 20000, hi = 0, mid, tries = 0;
	struct rig_load l = { 0, burst, seconds };
	struct rig_result out;

	memset(p, 0, sizeof(*p));
	while (hi == 0 || (hi - lo > lo / 20 && tries < 12)) {
		mid = hi == 0 ? lo * 3 / 2 : lo + (hi - lo) / 2;
		/* Another process may have had the core: once more. */
		if (carries(r, mid, burst, seconds, &p->generator) ||
		    carries(r, mid, burst, seconds, &p->generator))
			lo = mid;
		else
			hi = mid;
		tries++;
	}
	p->rate = lo;
	l.rate = lo / 2;
	rig_run(r, &l, &out);
	p->p50_us = out.p50_us;
	p->p99_us = out.p99_us;
}
