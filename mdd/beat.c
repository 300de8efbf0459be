/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of mdd/beat.h. A round may not end a leg, so that walking it is
 * safe; what it does is cheap, and a leg leaves when it has nothing more.
 */
#include "mdd/beat.h"

#include "mdd/worker.h"
#include "perc/log.h"

static void
on_beat(void *arg)
{
	struct mdd_worker *w = arg;

	mdd_beat(w, perc_now_ms());
	mdd_batch_flush(w->out);
}

static void
beat_plan(struct mdd_worker *w)
{
	if (w->beats != NULL && !perc_timer_armed(&w->beat) &&
	    perc_timer_set(w->loop, &w->beat, MDD_BEAT_MS, on_beat, w) != 0)
		log_warnx("no timer for feedback");
}

void
mdd_beat_start(struct mdd_worker *w, struct mdd_leg *leg)
{
	if (leg->beat_linkp != NULL)
		return;
	leg->beat_next = w->beats;
	leg->beat_linkp = &w->beats;
	if (leg->beat_next != NULL)
		leg->beat_next->beat_linkp = &leg->beat_next;
	w->beats = leg;
	beat_plan(w);
}

void
mdd_beat_stop(struct mdd_leg *leg)
{
	if (leg->beat_linkp == NULL)
		return;
	*leg->beat_linkp = leg->beat_next;
	if (leg->beat_next != NULL)
		leg->beat_next->beat_linkp = leg->beat_linkp;
	leg->beat_linkp = NULL;
	leg->beat_next = NULL;
}

void
mdd_beat(struct mdd_worker *w, int64_t now_ms)
{
	struct mdd_leg *leg, *next;
	bool more;

	w->now_ms = now_ms;
	for (leg = w->beats; leg != NULL; leg = next) {
		next = leg->beat_next;
		more = mdd_nack_ask(w, leg, now_ms);
		more |= mdd_cc_beat(w, leg, now_ms);
		if (!more)
			mdd_beat_stop(leg);
	}
	beat_plan(w);
}
