/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which worker a leg goes to. A conference begins on the worker that has least
 * to do, its root, and stays there until it has `legs_per_worker` legs; then
 * others get a part of it, and mdd/cascade_want.c links each to the root. A
 * member's legs are all in one part: there the newer one replaces the older.
 * A conference of hop-only legs (WHIP) is never divided.
 *
 * What a worker has to do is the processor time that it took of late, and
 * something for each leg that came since, for those have hardly sent: or all
 * who come within one second would go to the same worker. Of workers that are
 * about alike the one with the fewest legs is taken.
 */
#include <stdlib.h>
#include <string.h>

#include "mdd/cascade.h"

struct ctl_party *
ctl_party_find(struct ctl *c, const char *key)
{
	uint32_t h = mdd_table_hash(&c->rooms, key, strlen(key));
	struct mdd_node *n;

	for (n = mdd_table_first(&c->rooms, h); n != NULL;
	     n = mdd_table_next(n))
		if (strcmp(MDD_OWNER(n, struct ctl_party, by_key)->key, key) ==
		    0)
			return MDD_OWNER(n, struct ctl_party, by_key);
	return NULL;
}

bool
ctl_key_divisible(const char *key)
{
	const char *slash = strchr(key, '/');

	return slash != NULL && strchr(slash + 1, '/') == NULL;
}

static bool
party_at(const struct ctl_party *p, const struct ctl_worker *w)
{
	const struct ctl_room *r;

	for (r = p == NULL ? NULL : p->first; r != NULL; r = r->next)
		if (r->worker == w)
			return true;
	return false;
}

#define PLACE_TOLD_MS 5000 /* older figures are none */
#define PLACE_STEP    50   /* thousandths of a processor are about alike */
#define PLACE_LEG     5	   /* that a leg will take, until we know */

void
ctl_worker_told(struct ctl_worker *w, const struct mdd_stats *s, int64_t now_ms)
{
	int64_t ms = now_ms - w->told_ms;
	uint64_t took = s->v[MDD_CPU_MS] - w->v[MDD_CPU_MS];

	memcpy(w->v, s->v, sizeof(w->v));
	if (w->told_ms != 0 && ms > 0 && ms < PLACE_TOLD_MS) {
		took = took * 1000 / (uint64_t)ms;
		w->busy = (w->busy + (took < 1000 ? (unsigned)took : 1000)) / 2;
	}
	w->told_legs = w->legs;
	w->told_ms = now_ms;
}

static unsigned
worker_load(const struct ctl_worker *w)
{
	unsigned fresh = w->legs > w->told_legs ? w->legs - w->told_legs : 0;

	return (w->busy + PLACE_LEG * fresh) / PLACE_STEP;
}

static bool
worker_idler(const struct ctl_worker *a, const struct ctl_worker *b)
{
	unsigned la = worker_load(a), lb = worker_load(b);

	return la != lb ? la < lb : a->legs < b->legs;
}

/* Ready, with little to do, and without a part of p. */
static struct ctl_worker *
worker_pick(struct ctl *c, const struct ctl_party *p)
{
	struct ctl_worker *best = NULL;
	unsigned i;

	for (i = 0; i < c->workers; i++)
		if (c->worker[i].ready && !party_at(p, &c->worker[i]) &&
		    (best == NULL || worker_idler(&c->worker[i], best)))
			best = &c->worker[i];
	return best;
}

static struct ctl_room *
room_of_member(struct ctl *c, const struct ctl_party *p, const char *member)
{
	const struct ctl_leg *leg;

	for (leg = c->first; leg != NULL; leg = leg->next)
		if (leg->room->party == p && strcmp(leg->member, member) == 0)
			return leg->room;
	return NULL;
}

static struct ctl_room *
room_emptiest(const struct ctl_party *p)
{
	struct ctl_room *r, *best = p->first;

	for (r = p->first; r != NULL; r = r->next)
		if (r->legs < best->legs)
			best = r;
	return best;
}

/* The root stays in front. */
static int
room_make(struct ctl_party *p, struct ctl_worker *w, struct ctl_room **rp)
{
	struct ctl_room *r = calloc(1, sizeof(*r)), **at = &p->first;

	if (r == NULL)
		return PERC_ERR_NOMEM;
	r->party = p;
	r->worker = w;
	memcpy(r->key, p->key, sizeof(r->key));
	while (*at != NULL)
		at = &(*at)->next;
	*at = r;
	*rp = r;
	return 0;
}

static int
party_make(struct ctl *c, const char *key, struct ctl_room **rp)
{
	struct ctl_worker *w = worker_pick(c, NULL);
	struct ctl_party *p;

	if (w == NULL)
		return PERC_ERR_AGAIN;
	if ((p = calloc(1, sizeof(*p))) == NULL)
		return PERC_ERR_NOMEM;
	memcpy(p->key, key, strlen(key) + 1);
	if (room_make(p, w, rp) != 0) {
		free(p);
		return PERC_ERR_NOMEM;
	}
	mdd_table_add(
	    &c->rooms, &p->by_key, mdd_table_hash(&c->rooms, key, strlen(key)));
	return 0;
}

int
ctl_room_get(
    struct ctl *c, const char *key, const char *member, struct ctl_room **rp)
{
	struct ctl_party *p = ctl_party_find(c, key);
	int64_t most = c->conf->legs_per_worker;
	struct ctl_worker *w;

	if (p == NULL)
		return party_make(c, key, rp);
	if (p->first->next != NULL && member != NULL &&
	    (*rp = room_of_member(c, p, member)) != NULL)
		return 0;
	*rp = room_emptiest(p);
	if (most == 0 || (*rp)->legs < most || !ctl_key_divisible(key) ||
	    (p->first->next == NULL && member != NULL &&
		room_of_member(c, p, member) != NULL) ||
	    (w = worker_pick(c, p)) == NULL)
		return 0;
	return room_make(p, w, rp);
}

static bool
ssrcs_meet(const struct ctl_leg *leg, const struct mdd_token *t)
{
	unsigned i, k;

	for (i = 0; i < leg->nssrcs; i++)
		for (k = 0; k < t->nssrcs; k++)
			if (leg->ssrcs[i] == t->ssrcs[k])
				return true;
	return false;
}

/* Whose SSRC it is, a worker knows of its own legs (mdd/room.c). Of those that
 * other workers have of the same conference only we do; and a member's legs
 * are never of two. */
bool
ctl_ssrc_elsewhere(
    const struct ctl *c, const struct ctl_room *room, const struct mdd_token *t)
{
	const struct ctl_leg *leg;

	if (room->party->first->next == NULL)
		return false;
	for (leg = c->first; leg != NULL; leg = leg->next)
		if (leg->room != room && leg->room->party == room->party &&
		    ssrcs_meet(leg, t))
			return true;
	return false;
}

void
ctl_room_changed(struct ctl *c, struct ctl_room *room)
{
	room->links++; /* it is there until we have looked */
	cascade_changed(c, room->party);
	room->links--;
	ctl_room_put(c, room);
}

void
ctl_room_put(struct ctl *c, struct ctl_room *room)
{
	struct ctl_party *p = room->party;
	struct ctl_room **at = &p->first;

	if (room->legs > 0 || room->links > 0)
		return;
	while (*at != room)
		at = &(*at)->next;
	*at = room->next;
	free(room);
	if (p->first != NULL)
		return;
	mdd_table_del(&p->by_key);
	free(p);
}
