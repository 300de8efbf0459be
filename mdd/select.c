/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decisions. A room has a generation, raised by whatever may change one: a
 * subscription, a voice that got in, a layer that became known, a bandwidth.
 * A leg decides for all its flows when it is next to be sent something and is
 * of an older generation. What a decision asks for is not yet what happens:
 * that is up to the packets (mdd/pass.c), for pictures begin at key frames.
 */
#include "mdd/select.h"

#include <string.h>

#include "mdd/survey.h"
#include "mdd/worker.h"
#include "perc/crypto.h"

#define SHARE_UP_NUM 5 /* a better layer must fit with a quarter to spare */
#define SHARE_UP_DEN 4
#define RATE_STEP    16 /* smaller parts of a bandwidth are no news */
#define SHARE_STARVE 4	/* less than this part of the worst layer: nothing */

uint64_t
mdd_select_member(const char *id)
{
	uint8_t h[PERC_SHA256_LEN];
	uint64_t v = 0;
	unsigned i;

	if (perc_sha256(h, id, strlen(id)) != 0)
		return 1;
	for (i = 0; i < 8; i++)
		v = v << 8 | h[i];
	return v == 0 ? 1 : v;
}

void
mdd_select_changed(struct mdd_room *room)
{
	room->gen++;
	room->turn_ms = 0; /* look at all of it next time */
}

void
mdd_select_taste(struct mdd_leg *leg, const struct mdd_taste *t)
{
	leg->taste = *t;
	mdd_select_changed(leg->room);
}

/* Congestion control says a little more or less many times a second. */
void
mdd_select_rate(struct mdd_leg *leg, uint64_t bps)
{
	uint64_t step = leg->bps / RATE_STEP;

	if (bps == leg->bps ||
	    (leg->bps != 0 && bps != 0 && bps + step >= leg->bps &&
		bps <= leg->bps + step))
		return;
	leg->bps = bps;
	leg->room->rated = true;
	leg->gen = 0; /* its own decision only */
}

void
mdd_select_forget(struct mdd_room *room, unsigned at)
{
	struct mdd_leg *leg;

	for (leg = room->first; leg != NULL; leg = leg->next)
		if (leg->shaped)
			memset(&leg->flow[at], 0, sizeof(leg->flow[at]));
}

struct mdd_flow *
mdd_select_flow(const struct mdd_leg *leg, const struct mdd_source *s)
{
	return leg->shaped ? &leg->flow[s - leg->room->src] : NULL;
}

/* ---- what a leg is to get ---------------------------------------------- */

/* The rule that speaks of s: the nearest one. */
static const struct mdd_rule *
taste_rule(const struct mdd_taste *t, const struct mdd_source *s)
{
	const struct mdd_rule *of_member = NULL;
	unsigned i;

	for (i = 0; i < t->nrules; i++) {
		if (t->rule[i].member == 0 && t->rule[i].ssrc == s->ssrc)
			return &t->rule[i];
		if (t->rule[i].member != 0 && t->rule[i].member == s->member)
			of_member = &t->rule[i];
	}
	return of_member;
}

/* Is s for this leg at all, and as which layer at most? */
static bool
leg_wants(const struct mdd_leg *to, const struct mdd_source *s, uint8_t *layer)
{
	static const uint8_t classes[] = { MDD_WISH_ALL, MDD_WISH_AUDIO,
		MDD_WISH_VIDEO };
	const struct mdd_taste *t = &to->taste;
	const struct mdd_rule *r = taste_rule(t, s);
	const struct mdd_voice *v = &to->room->src[s->head].voice;
	uint8_t wish = t->set ? t->wish : MDD_WISH_ALL;
	unsigned media = s->sight.media;

	*layer = t->set ? t->layer : MDD_LAYER_ALL;
	if (to->link != NULL) /* what is beyond it is chosen there */
		return true;
	if (r != NULL) {
		wish = r->wish;
		*layer = r->layer;
	}
	/* A member's source without levels beside one with them is no sound. */
	if (media == MDD_MEDIA_UNKNOWN && v->levels)
		media = MDD_MEDIA_VIDEO;
	if ((wish & classes[media]) == 0)
		return false;
	return to->room->last_n == 0 || !v->levels || v->in ||
	    (wish & MDD_WISH_PIN) != 0;
}

static void
flow_want(struct mdd_flow *f, bool on, uint8_t cut, uint16_t successor)
{
	f->off = !on;
	f->cut_goal = cut;
	f->successor = on ? 0 : successor;
}

/* Its own, or what does not go that way. */
static bool
is_own(const struct mdd_leg *to, const struct mdd_source *s)
{
	if (to->link != NULL)
		return !mdd_link_takes(to, s);
	return to->nssrcs > 0 && s->head == to->src[0]->head;
}

/* Bits a second for each picture, when the leg's bandwidth is known. */
static uint64_t
leg_share(const struct mdd_leg *to)
{
	const struct mdd_room *room = to->room;
	const struct mdd_source *s;
	uint64_t sound = 0;
	unsigned i, pictures = 0;
	uint8_t layer;

	if (to->bps == 0)
		return UINT64_MAX;
	for (i = 0; i < room->nsrc; i++) {
		s = &room->src[i];
		if (s->legs == 0 || is_own(to, s) || !leg_wants(to, s, &layer))
			continue;
		if (s->sight.media != MDD_MEDIA_VIDEO)
			sound += s->bps;
		else if (s->picture == 0 || s->picture == i + 1)
			pictures++;
	}
	if (to->bps <= sound)
		return 0;
	return pictures == 0 ? UINT64_MAX : (to->bps - sound) / pictures;
}

static bool
fits(const struct mdd_leg *to, const struct mdd_source *s, uint64_t share)
{
	uint64_t need = s->bps;

	if (to->flow[s - to->room->src].off) { /* it would be a step up */
		need = need * SHARE_UP_NUM / SHARE_UP_DEN;
		if (!mdd_climb_may(&to->climb, s->bps, to->room->turn_ms))
			return false;
	}
	return share == UINT64_MAX || need <= share;
}

/* How many temporal layers a source that does not fit must lose: of the usual
 * three the lower two are about two thirds, the lowest is one third. */
static uint8_t
cut_for(const struct mdd_source *s, uint64_t share)
{
	if (share == UINT64_MAX || s->bps <= share || !s->sight.keyed)
		return 0;
	return s->bps * 2 / 3 <= share ? MDD_TID_MAX - 1 : MDD_TID_MAX;
}

/* Of a picture of which so little fits nothing goes. */
static bool
starves(const struct mdd_source *s, const struct mdd_flow *f, uint64_t share)
{
	return share < s->bps / (f->off ? SHARE_STARVE - 1 : SHARE_STARVE);
}

/* A video source that is no layer, or the worst layer of one that must go. */
static void
leg_single(struct mdd_leg *to, const struct mdd_source *s, struct mdd_flow *f,
    bool want, uint64_t share)
{
	if (s->sight.media != MDD_MEDIA_VIDEO) {
		flow_want(f, want, 0, 0);
		return;
	}
	if (want && starves(s, f, share))
		want = mdd_climb_try(&to->climb,
		    (unsigned)(s - to->room->src) + 1, to->room->turn_ms);
	flow_want(f, want, cut_for(s, share), 0);
}

/* The best layer of the picture that is wanted, alive and fits; else the
 * worst one. NULL: none is wanted. */
static struct mdd_source *
picture_choose(const struct mdd_leg *to, unsigned picture, uint64_t share)
{
	struct mdd_room *room = to->room;
	struct mdd_source *s, *best = NULL, *worst = NULL;
	bool alive = false;
	unsigned i;
	uint8_t cap;

	for (i = picture - 1; i < room->nsrc; i++)
		alive |= room->src[i].picture == picture && room->src[i].sends;
	for (i = picture - 1; i < room->nsrc; i++) {
		s = &room->src[i];
		if (s->picture != picture || !leg_wants(to, s, &cap) ||
		    (alive && !s->sends))
			continue;
		if (worst == NULL || s->layer < worst->layer)
			worst = s;
		if (s->layer <= cap && fits(to, s, share) &&
		    (best == NULL || s->layer > best->layer))
			best = s;
	}
	return best != NULL ? best : worst;
}

/* The layer of the picture that the leg has now; NULL: none. */
static const struct mdd_source *
picture_now(const struct mdd_leg *to, unsigned picture)
{
	const struct mdd_source *s, *best = NULL;
	unsigned i;

	for (i = picture - 1; i < to->room->nsrc; i++) {
		s = &to->room->src[i];
		if (s->picture == picture && !to->flow[i].off &&
		    (best == NULL || s->layer > best->layer))
			best = s;
	}
	return best;
}

static void
climb_note(struct mdd_leg *to, const struct mdd_source *was,
    const struct mdd_source *is, uint64_t share)
{
	int64_t now = to->room->turn_ms;

	if (was == NULL || is == NULL || was == is)
		return;
	if (is->layer > was->layer)
		mdd_climb_up(&to->climb, now);
	else if (share != UINT64_MAX && was->bps > share)
		mdd_climb_down(&to->climb, was->bps, now);
}

static void
leg_picture(struct mdd_leg *to, unsigned picture, uint64_t share)
{
	struct mdd_room *room = to->room;
	struct mdd_source *s, *c = picture_choose(to, picture, share);
	uint16_t next = c == NULL ? 0 : (uint16_t)(c - room->src + 1);
	unsigned i;

	climb_note(to, picture_now(to, picture), c, share);
	if (c != NULL)
		leg_single(to, c, &to->flow[c - room->src], true, share);
	if (c != NULL && to->flow[c - room->src].off)
		next = 0; /* nothing at all fits */
	for (i = picture - 1; i < room->nsrc; i++) {
		s = &room->src[i];
		if (s->picture == picture && s != c)
			flow_want(&to->flow[i], false, 0, next);
	}
}

/*
 * On a link all layers go on that fit together, the worst first, for those
 * behind it may want any of them; the worst of all stays in any case, unless
 * next to nothing fits.
 */
static void
link_picture(struct mdd_leg *to, unsigned picture, uint64_t share)
{
	struct mdd_room *room = to->room;
	struct mdd_source *s, *best = NULL;
	unsigned i, layer;
	uint64_t left = share;

	for (layer = 0; layer < MDD_TOKEN_SSRCS; layer++)
		for (i = picture - 1; i < room->nsrc; i++) {
			s = &room->src[i];
			if (s->picture != picture || s->layer != layer)
				continue;
			if (best == NULL || fits(to, s, left))
				best = s;
			leg_single(to, s, &to->flow[i], best == s, left);
			to->flow[i].successor =
			    (uint16_t)(best == s ? 0 : best - room->src + 1);
			if (left != UINT64_MAX)
				left -= s->bps < left ? s->bps : left;
		}
}

/* Is there more than the leg carries? */
static bool
leg_tight(const struct mdd_leg *to)
{
	const struct mdd_room *room = to->room;
	uint64_t sum = 0;
	unsigned i;

	if (to->bps == 0)
		return false;
	for (i = 0; i < room->nsrc; i++)
		if (room->src[i].legs > 0 && !is_own(to, &room->src[i]))
			sum += room->src[i].bps;
	return sum > to->bps;
}

static bool
leg_choosy(const struct mdd_leg *to)
{
	if (to->link != NULL)
		return to->shaped || leg_tight(to);
	return to->shaped || to->room->last_n != 0 || to->room->pictures ||
	    to->taste.set || leg_tight(to);
}

static void
leg_decide(struct mdd_leg *to)
{
	struct mdd_room *room = to->room;
	struct mdd_source *s;
	uint64_t share;
	unsigned i;
	uint8_t cap;

	to->gen = room->gen;
	if (!leg_choosy(to))
		return;
	to->shaped = true;
	share = leg_share(to);
	for (i = 0; i < room->nsrc; i++) {
		s = &room->src[i];
		if (s->legs == 0)
			continue;
		if (s->picture == 0)
			leg_single(
			    to, s, &to->flow[i], leg_wants(to, s, &cap), share);
		else if (s->picture == i + 1 && to->link != NULL)
			link_picture(to, s->picture, share);
		else if (s->picture == i + 1)
			leg_picture(to, s->picture, share);
	}
}

void
mdd_select_turn(struct mdd_worker *w, struct mdd_room *room, int64_t now_ms)
{
	struct mdd_leg *to;

	if (room->turn_ms == 0) /* something changed */
		mdd_survey_pictures(room);
	if (room->turn_ms == 0 || now_ms - room->turn_ms >= MDD_TURN_MS) {
		room->turn_ms = now_ms;
		mdd_survey_voices(&w->legs, room, now_ms);
		mdd_survey_rates(room, now_ms);
	}
	for (to = room->first; to != NULL; to = to->next)
		if (to->gen != room->gen && to->state == MDD_LEG_UP)
			leg_decide(to);
}
