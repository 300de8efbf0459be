/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A quiet end for rolling restarts: nobody new is let in, who is here goes on
 * until all have left or the time is over. Whoever is left then is told by a
 * BYE of the MDD's own SSRC, authenticated like all RTCP, so that an endpoint
 * joins again at once (elsewhere, or here after the restart) and does not wait
 * for silence.
 */
#include "mdd/control.h"
#include "perc/log.h"

#define DRAIN_BYE_MS 1000 /* for the last ones to be told */

void
ctl_drain(struct ctl *c)
{
	if (c->draining || c->stopping)
		return;
	c->draining = true;
	c->drain_until_ms = perc_now_ms() + c->conf->drain_s * 1000;
	log_info(
	    "draining legs=%u deadline_s=%d", c->nlegs, (int)c->conf->drain_s);
	ctl_tell(c, MDD_CONTROL_DRAINS);
}

void
ctl_drain_tick(struct ctl *c, int64_t now_ms)
{
	struct ctl_leg *leg;

	if (!c->draining || c->stopping)
		return;
	if (c->nlegs == 0 || now_ms >= c->drain_until_ms + DRAIN_BYE_MS) {
		log_info("drained legs=%u", c->nlegs);
		ctl_stop(c);
		return;
	}
	if (now_ms < c->drain_until_ms || c->farewell)
		return;
	c->farewell = true;
	for (leg = c->first; leg != NULL; leg = leg->next)
		ctl_leg_end(c, leg, MDD_LEGS_DRAINED);
}
