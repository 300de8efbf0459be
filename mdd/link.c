/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which SSRC comes by which link. The first that announced an SSRC keeps it
 * as long as it goes on announcing: a peer that would take sources over with
 * a shorter path could do so at will, and no path is long enough to care.
 *
 * The life-long bound is there because contexts of the members' legs remember
 * every SSRC they ever sent (perc_srtp_forget): a peer that announced new
 * ones without end would leave no room for members who come later.
 */
#include "mdd/link.h"

#include <stdlib.h>
#include <string.h>

#include "mdd/room.h"
#include "perc/crypto.h"

int
mdd_links_init(struct mdd_legs *l)
{
	size_t i, slots = 16, n = l->limits.max_links;

	if (n == 0)
		return 0;
	l->nfree_in = n * MDD_LINK_SHARE + l->limits.max_link_sources;
	while (slots < 2 * (size_t)l->limits.max_link_sources)
		slots *= 2;
	l->links = calloc(n, sizeof(*l->links));
	l->link_slots = calloc(n * slots, sizeof(*l->link_slots));
	l->link_in = calloc(l->nfree_in, sizeof(*l->link_in));
	l->free_in = calloc(l->nfree_in, sizeof(*l->free_in));
	if (l->links == NULL || l->link_slots == NULL || l->link_in == NULL ||
	    l->free_in == NULL)
		return PERC_ERR_NOMEM;
	for (i = 0; i < l->nfree_in; i++)
		l->free_in[i] = &l->link_in[i];
	for (i = n; i-- > 0;) {
		l->links[i].slot = l->link_slots + i * slots;
		l->links[i].mask = (unsigned)slots - 1;
		l->links[i].next_free = l->free_links;
		l->free_links = &l->links[i];
	}
	return 0;
}

void
mdd_links_clear(struct mdd_legs *l)
{
	size_t i;

	for (i = 0; l->links != NULL && i < l->limits.max_links; i++)
		perc_timer_stop(l->loop, &l->links[i].timer);
	free(l->links);
	free(l->link_slots);
	free(l->link_in);
	free(l->free_in);
	l->links = l->free_links = NULL;
	l->link_slots = NULL;
	l->link_in = NULL;
	l->free_in = NULL;
}

int
mdd_link_open(struct mdd_legs *l, struct mdd_leg *leg, const struct mdd_join *j)
{
	struct mdd_link *k = l->free_links;
	uint64_t salt;

	if (k == NULL)
		return PERC_ERR_LIMIT;
	perc_random(&salt, sizeof(salt));
	l->free_links = k->next_free;
	memset(k->slot, 0, (k->mask + 1) * sizeof(*k->slot));
	*k = (struct mdd_link){ .slot = k->slot,
		.mask = k->mask,
		.salt = salt | 1,
		.kind = j->link,
		.dial = j->dial };
	leg->link = k;
	leg->room->links++;
	l->nlinks++;
	return 0;
}

static bool
kinds_meet(enum mdd_link_kind from, enum mdd_link_kind to)
{
	if (from == MDD_LINK_NONE || to == MDD_LINK_NONE ||
	    from == MDD_LINK_LOCAL || to == MDD_LINK_LOCAL)
		return true;
	return from == MDD_LINK_TRANSIT && to == MDD_LINK_TRANSIT;
}

static enum mdd_link_kind
leg_kind(const struct mdd_leg *leg)
{
	return leg->link == NULL ? MDD_LINK_NONE : leg->link->kind;
}

bool
mdd_link_may(const struct mdd_leg *from, const struct mdd_leg *to)
{
	return from != to && kinds_meet(leg_kind(from), leg_kind(to));
}

bool
mdd_link_takes(const struct mdd_leg *to, const struct mdd_source *s)
{
	return kinds_meet((enum mdd_link_kind)s->via, to->link->kind) &&
	    mdd_link_feeds(to->link, s->ssrc) == NULL;
}

void
mdd_link_news(struct mdd_room *room)
{
	struct mdd_leg *leg;

	for (leg = room->links > 0 ? room->first : NULL; leg != NULL;
	     leg = leg->next)
		if (leg->link != NULL)
			leg->link->news = true;
}

/* ---- the table -------------------------------------------------------- */

/* By a random odd factor, or a peer could choose SSRCs that are all of one
 * slot, and each look, at each packet, would be a walk over them. */
static unsigned
slot_at(const struct mdd_link *k, uint32_t ssrc)
{
	return (unsigned)(ssrc * k->salt >> 48) & k->mask;
}

/* The slot of ssrc, or the free one where it belongs; there always is one,
 * for no more than half are in use. */
static struct mdd_link_source *
slot_find(const struct mdd_link *k, uint32_t ssrc)
{
	unsigned i = slot_at(k, ssrc);

	while (k->slot[i].ssrc != 0 && k->slot[i].ssrc != ssrc)
		i = (i + 1) & k->mask;
	return &k->slot[i];
}

struct mdd_source *
mdd_link_feeds(const struct mdd_link *k, uint32_t ssrc)
{
	return ssrc == 0 ? NULL : slot_find(k, ssrc)->src;
}

int
mdd_link_index(const struct mdd_link *k, uint32_t ssrc)
{
	const struct mdd_link_source *e;

	if (ssrc == 0 || (e = slot_find(k, ssrc))->src == NULL)
		return PERC_ERR_NOTFOUND;
	return (int)(e - k->slot);
}

/* Those behind it that would not be found any more move up. */
static void
slot_free(struct mdd_link *k, struct mdd_link_source *e)
{
	unsigned hole = (unsigned)(e - k->slot), i = hole, home;

	for (;;) {
		i = (i + 1) & k->mask;
		if (k->slot[i].ssrc == 0)
			break;
		home = slot_at(k, k->slot[i].ssrc);
		if (((i - home) & k->mask) < ((i - hole) & k->mask))
			continue;
		k->slot[hole] = k->slot[i];
		hole = i;
	}
	memset(&k->slot[hole], 0, sizeof(k->slot[hole]));
	k->n--;
}

/* ---- who feeds it ----------------------------------------------------- */

static void
source_leave(
    struct mdd_legs *l, struct mdd_room *room, struct mdd_link_source *e)
{
	if (e->src == NULL)
		return;
	l->free_in[l->nfree_in++] = e->in;
	e->in = NULL;
	e->src->legs--;
	e->src->via = MDD_LINK_NONE;
	e->src = NULL;
	room->link_sources--;
	mdd_select_changed(room);
}

/* Nobody sends it here any more: the others' windows are free. */
static void
source_forget(struct mdd_leg *leg, uint32_t ssrc)
{
	struct mdd_leg *o;

	for (o = leg->room->first; o != NULL; o = o->next)
		if (o != leg && o->tx != NULL)
			perc_srtp_forget(o->tx, ssrc);
	if (leg->rx != NULL)
		perc_srtp_forget(leg->rx, ssrc);
}

static bool
room_has(const struct mdd_room *room, uint32_t ssrc, bool links)
{
	const struct mdd_leg *leg;

	for (leg = room->first; leg != NULL; leg = leg->next)
		if ((leg->link != NULL) == links &&
		    (links ? mdd_link_feeds(leg->link, ssrc) != NULL
			   : mdd_leg_has(leg, ssrc)))
			return true;
	return false;
}

/* Whose it is, for the choice among sources. A head that is not of this link
 * is none: the source then stands for itself. */
static void
source_name(const struct mdd_leg *leg, struct mdd_link_source *e)
{
	const struct mdd_source *head = mdd_link_feeds(leg->link, e->word.head);

	e->src->member = e->word.member;
	e->src->place = e->word.place;
	if (head == NULL)
		head = e->src;
	e->src->head = (uint16_t)(head - leg->room->src);
}

static enum mdd_claim
source_take(struct mdd_legs *l, struct mdd_leg *leg, struct mdd_link_source *e)
{
	struct mdd_room *room = leg->room;
	struct mdd_source *s;

	if (room_has(room, e->ssrc, false))
		return MDD_CLAIM_LOCAL;
	if (room_has(room, e->ssrc, true))
		return MDD_CLAIM_OTHER;
	if (room->link_sources >= l->limits.max_link_sources ||
	    l->nfree_in == 0)
		return MDD_CLAIM_LIMIT;
	if ((s = mdd_room_source(room, e->ssrc)) == NULL) {
		if (room->link_life >=
		    l->limits.max_link_sources * MDD_LINK_LIFE)
			return MDD_CLAIM_LIMIT;
		if ((s = mdd_room_source_new(l, room, e->ssrc)) == NULL)
			return MDD_CLAIM_LIMIT;
		room->link_life++;
	}
	s->legs++;
	s->via = (uint8_t)leg->link->kind;
	room->link_sources++;
	e->src = s;
	e->in = l->free_in[--l->nfree_in];
	memset(e->in, 0, sizeof(*e->in));
	source_name(leg, e);
	mdd_select_changed(room);
	return MDD_CLAIM_TAKEN;
}

static bool
path_loops(const struct mdd_link_path *p, uint64_t me)
{
	unsigned i;

	if (p->hops == 0 || p->hops > MDD_LINK_PATH)
		return true;
	for (i = 0; i < p->hops; i++)
		if (p->node[i] == me)
			return true;
	return false;
}

enum mdd_claim
mdd_link_claim(struct mdd_legs *l, struct mdd_leg *leg, uint32_t ssrc,
    const struct mdd_word *w, uint64_t me, int64_t now_ms)
{
	struct mdd_link *k = leg->link;
	struct mdd_link_source *e;

	if (path_loops(&w->path, me))
		return MDD_CLAIM_LOOP;
	if (ssrc < 2) /* 1 is ours in RTCP, 0 is no slot */
		return MDD_CLAIM_LIMIT;
	e = slot_find(k, ssrc);
	if (e->ssrc == 0) {
		if (k->n >= l->limits.max_link_sources)
			return MDD_CLAIM_LIMIT;
		e->ssrc = ssrc;
		k->n++;
	}
	e->word = *w;
	e->until_ms = now_ms + MDD_LINK_TTL_MS;
	if (e->src != NULL)
		return MDD_CLAIM_HELD;
	return mdd_damp_take(l, leg, now_ms) ? source_take(l, leg, e)
					     : MDD_CLAIM_LATER;
}

void
mdd_link_inherit(struct mdd_legs *l, struct mdd_room *room, uint32_t ssrc)
{
	struct mdd_link_source *e;
	struct mdd_leg *leg;

	for (leg = room->links > 0 ? room->first : NULL; leg != NULL;
	     leg = leg->next) {
		if (leg->link == NULL)
			continue;
		e = slot_find(leg->link, ssrc);
		if (e->ssrc != 0 && e->src == NULL &&
		    source_take(l, leg, e) == MDD_CLAIM_TAKEN)
			mdd_link_news(room);
	}
}

static void
entry_end(struct mdd_legs *l, struct mdd_leg *leg, struct mdd_link_source *e)
{
	uint32_t ssrc = e->ssrc;
	bool fed = e->src != NULL;

	source_leave(l, leg->room, e);
	slot_free(leg->link, e);
	if (!fed)
		return;
	source_forget(leg, ssrc);
	mdd_link_inherit(l, leg->room, ssrc);
}

void
mdd_link_drop(struct mdd_legs *l, struct mdd_leg *leg, uint32_t ssrc)
{
	struct mdd_link_source *e = slot_find(leg->link, ssrc);

	if (ssrc != 0 && e->ssrc == ssrc)
		entry_end(l, leg, e);
}

void
mdd_link_expire(struct mdd_legs *l, struct mdd_leg *leg, int64_t now_ms)
{
	struct mdd_link *k = leg->link;
	unsigned i = 0;

	/* What moves up into a freed slot is looked at too; what moves from
	 * the table's beginning to its end waits for the next time. */
	while (i <= k->mask)
		if (k->slot[i].ssrc != 0 && now_ms >= k->slot[i].until_ms)
			entry_end(l, leg, &k->slot[i]);
		else
			i++;
}

void
mdd_link_yield(struct mdd_legs *l, struct mdd_room *room, uint32_t ssrc)
{
	struct mdd_leg *leg;

	for (leg = room->links > 0 ? room->first : NULL; leg != NULL;
	     leg = leg->next)
		if (leg->link != NULL &&
		    mdd_link_feeds(leg->link, ssrc) != NULL)
			source_leave(l, room, slot_find(leg->link, ssrc));
}

void
mdd_link_close(struct mdd_legs *l, struct mdd_leg *leg)
{
	struct mdd_link *k = leg->link;
	unsigned i;

	for (i = 0; i <= k->mask; i++) {
		if (k->slot[i].src == NULL)
			continue;
		source_leave(l, leg->room, &k->slot[i]);
		source_forget(leg, k->slot[i].ssrc);
	}
	leg->room->links--;
	l->nlinks--;
	perc_timer_stop(l->loop, &k->timer);
	k->to.len = 0; /* its channel is free */
	k->next_free = l->free_links;
	l->free_links = k;
	leg->link = NULL;
}
