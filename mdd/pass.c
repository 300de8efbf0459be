/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of a decision when packets come. A picture begins with a key
 * frame, which is asked for until it is there; where no extension tells which
 * packet that is, it begins with any frame and one request. The layer that it
 * takes the place of goes on until then and ends with a whole frame; where
 * nothing can be seen, both go on for a second. Sound begins at once.
 *
 * A late packet has the fate of its number and decides nothing.
 */
#include <string.h>

#include "mdd/worker.h"

void
mdd_select_see(struct mdd_room *room, struct mdd_source *s,
    const struct perc_rtp *h, struct mdd_staged *k, int64_t now_ms)
{
	const struct mdd_frame *f = &k->frame;
	bool newest = (int16_t)(k->seq - k->top) > 0;

	s->octets += k->n;
	if (mdd_sight_look(&s->sight, h, k->p, newest, &k->frame))
		mdd_select_changed(room);
	if (f->has_level && newest)
		mdd_voice_hear(&room->src[s->head].voice, f->level, now_ms);
	if (!s->sends) { /* perhaps a layer that comes back */
		s->sends = true;
		room->gen += s->picture != 0;
	}
}

static void
ask(struct mdd_worker *w, struct mdd_leg *to, struct mdd_flow *f,
    struct mdd_source *s, int64_t now_ms)
{
	uint32_t now = (uint32_t)now_ms | 1;

	if (f->asked_ms != 0 && now - f->asked_ms < MDD_ASK_MS)
		return;
	f->asked_ms = now;
	mdd_rtcp_ask(w, to->room, s, now_ms);
}

/*
 * Sound whose key changed while the receiver had none of it begins with the
 * Full EKTField that tells the new one: 100 ms at most (RFC 8870 section 4.4),
 * and no packet that could not be opened.
 */
static bool
key_missing(struct mdd_flow *f, const struct mdd_staged *k, int64_t now_ms)
{
	uint32_t now = (uint32_t)now_ms | 1;

	if (f->due_ms == 0)
		f->due_ms = now;
	return f->full != k->src->full && !k->full &&
	    now - f->due_ms < MDD_FULL_MS;
}

/* May the picture, or sound, begin with this packet? */
static void
flow_light(struct mdd_worker *w, struct mdd_leg *to, struct mdd_flow *f,
    const struct mdd_staged *k, int64_t now_ms)
{
	const struct mdd_frame *g = &k->frame;
	bool video = k->src->sight.media != MDD_MEDIA_AUDIO;

	if (video && !(g->known && g->key && g->start)) {
		ask(w, to, f, k->src, now_ms);
		if (g->known || !g->start)
			return;
	} else if (!video && key_missing(f, k, now_ms)) {
		return;
	}
	f->dark = false;
	f->asked_ms = f->due_ms = 0;
	f->lit_ms = (uint32_t)now_ms;
	f->cut = f->cut_goal;
}

/* May it end here? */
static void
flow_darken(const struct mdd_leg *to, struct mdd_flow *f,
    const struct mdd_staged *k, int64_t now_ms)
{
	const struct mdd_flow *next;

	if (f->successor != 0) {
		next = &to->flow[f->successor - 1];
		if (next->dark || !k->frame.start ||
		    (!k->frame.known &&
			(uint32_t)now_ms - next->lit_ms < MDD_OVERLAP_MS))
			return;
	}
	f->dark = true;
	f->full = k->known;
}

/* Fewer temporal layers from any frame on, more where they may be entered. */
static void
flow_cut(struct mdd_flow *f, const struct mdd_frame *g)
{
	uint8_t most;

	if (f->cut == f->cut_goal || !g->start)
		return;
	if (f->cut < f->cut_goal) {
		f->cut = f->cut_goal;
		return;
	}
	most = (uint8_t)(MDD_TID_MAX - f->cut);
	if (g->enter > most)
		f->cut = (uint8_t)(MDD_TID_MAX - g->enter);
	if (f->cut < f->cut_goal)
		f->cut = f->cut_goal;
}

/*
 * Packets are missing before this one: were they of frames that are all taken
 * out? They may be the rest of the last frame, whole frames, the beginning of
 * this one. Where that is not sure, their numbers stay open, and the receiver
 * asks for them.
 */
static bool
flow_hole(const struct mdd_flow *f, const struct mdd_frame *g, bool drop)
{
	uint16_t frames = g->start ? 1 : 0;

	if (g->has_number)
		frames = (uint16_t)(g->number - f->number);
	return (f->ended || mdd_flow_dropped(f)) && frames <= 1 &&
	    (g->start || drop) && !(f->ended && g->start);
}

bool
mdd_select_pass(struct mdd_worker *w, struct mdd_leg *to,
    const struct mdd_staged *k, int64_t now_ms, uint16_t *out)
{
	struct mdd_flow *f = &to->flow[k->src - to->room->src];
	const struct mdd_frame *g = &k->frame;
	bool drop = false, hole = false, was = f->dark;

	if (!f->started)
		mdd_flow_start(f, k->top);
	if ((int16_t)(k->seq - f->top) <= 0)
		return mdd_flow_take(f, k->seq, false, false, out);
	if (f->off && !f->dark)
		flow_darken(to, f, k, now_ms);
	else if (!f->off && f->dark)
		flow_light(w, to, f, k, now_ms);
	flow_cut(f, g);
	drop = f->dark || (g->known && g->tid > MDD_TID_MAX - f->cut);
	hole = f->dark || was || flow_hole(f, g, drop);
	f->ended = g->end;
	f->number = g->number;
	return mdd_flow_take(f, k->seq, drop, hole, out);
}
