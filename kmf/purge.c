/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Forgetting what ran out. Every ten seconds, in slices of a few hundred rows
 * with a pause between them: a conference of five thousand members that is
 * forgotten holds up nobody who asks for a key meanwhile.
 */
#include "kmf/event.h"
#include "kmf/hook.h"

#define SLICE_ROWS 200
#define SLICE_MS   20

static void purge_fire(void *arg);

static void
again(struct kmf_keeper *k, int64_t in_ms)
{
	if (perc_timer_set(k->loop, &k->purge, in_ms, purge_fire, k) != 0)
		log_warnx("timer.failed");
}

static void
purge_fire(void *arg)
{
	struct kmf_keeper *k = arg;
	struct db_purge p = { .rows = SLICE_ROWS };
	bool more = false;
	int r;

	if ((r = kmf_turn_begin(k)) == 0) {
		p.now_ms = k->now_ms;
		p.ended_ms = k->now_ms - k->keep.ended_ms;
		p.gone_ms = k->now_ms - k->keep.gone_ms;
		p.revoked_ms = k->now_ms - k->keep.revoked_ms;
		if ((r = db_purge(k->db, &p, &more)) == 0 &&
		    (r = kmf_hook_skip(k)) == 0)
			r = kmf_event_purge(k);
		if (r == 0)
			r = db_mail_purge(k->db, p.ended_ms);
	}
	if (r != 0)
		log_warnx("purge.failed why=\"%s\"", perc_strerror(r));
	if (r == 0 && more) {
		again(k, SLICE_MS);
		return;
	}
	kmf_replay_forget(&k->replay, k->now_ms / 1000);
	kmf_checkpoint_due(k, true);
	k->scrub = k->scrub || k->scrub_soon;
	k->scrub_soon = false;
	again(k, KMF_PURGE_MS);
}

int
kmf_purge_start(struct kmf_keeper *k)
{
	return perc_timer_set(k->loop, &k->purge, KMF_PURGE_MS, purge_fire, k);
}
