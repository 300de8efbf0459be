/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conferences and the SSRCs in them. One space of SSRCs for a conference (RFC
 * 3550 section 8.2): nobody may rewrite one (RFC 8723 section 4), so the
 * second member that claims it is refused at the door.
 */
#include "mdd/room.h"

#include <string.h>

#include "mdd/link.h"

struct mdd_room *
mdd_room_find(struct mdd_legs *l, const char *key)
{
	uint32_t h = mdd_table_hash(&l->by_key, key, strlen(key));
	struct mdd_node *n;

	for (n = mdd_table_first(&l->by_key, h); n != NULL;
	     n = mdd_table_next(n))
		if (strcmp(MDD_OWNER(n, struct mdd_room, by_key)->key, key) ==
		    0)
			return MDD_OWNER(n, struct mdd_room, by_key);
	return NULL;
}

struct mdd_room *
mdd_room_make(struct mdd_legs *l, const char *key)
{
	struct mdd_room *room = l->free_rooms;

	if (room == NULL)
		return NULL;
	l->free_rooms = room->next_free;
	l->nrooms++;
	room->first = NULL;
	room->legs = room->nsrc = room->links = 0;
	room->link_sources = room->link_life = 0;
	room->gen = 1;
	room->last_n = 0;
	room->pictures = room->rated = false;
	room->turn_ms = room->share_ms = 0;
	memcpy(room->key, key, strlen(key) + 1);
	mdd_table_add(&l->by_key, &room->by_key,
	    mdd_table_hash(&l->by_key, key, strlen(key)));
	return room;
}

void
mdd_room_drop_empty(struct mdd_legs *l, struct mdd_room *room)
{
	if (room->legs > 0)
		return;
	mdd_table_del(&room->by_key);
	room->next_free = l->free_rooms;
	l->free_rooms = room;
	l->nrooms--;
}

struct mdd_source *
mdd_room_source(const struct mdd_room *room, uint32_t ssrc)
{
	unsigned i;

	for (i = 0; i < room->nsrc; i++)
		if (room->src[i].ssrc == ssrc)
			return &room->src[i];
	return NULL;
}

/* SSRCs that could still be added. */
static unsigned
room_places(const struct mdd_legs *l, const struct mdd_room *room)
{
	unsigned i, n = l->sources_max - room->nsrc;

	for (i = 0; i < room->nsrc; i++)
		n += room->src[i].legs == 0;
	return n;
}

/*
 * A place for a new SSRC, if need be that of one whose leg is gone. Its outer
 * SEQ is then forgotten here; should its member come back, perc_srtp_protect
 * refuses what would repeat a nonce, and that member's first packets are lost.
 */
struct mdd_source *
mdd_room_source_new(
    const struct mdd_legs *l, struct mdd_room *room, uint32_t ssrc)
{
	struct mdd_source *s = room->src;

	if (room->nsrc < l->sources_max)
		s = &room->src[room->nsrc++];
	else
		while (s->legs > 0)
			if (++s == room->src + room->nsrc)
				return NULL;
	memset(s, 0, sizeof(*s));
	s->ssrc = ssrc;
	mdd_select_forget(room, (unsigned)(s - room->src));
	return s;
}

bool
mdd_leg_has(const struct mdd_leg *leg, uint32_t ssrc)
{
	unsigned i;

	for (i = 0; i < leg->nssrcs; i++)
		if (leg->ssrcs[i] == ssrc)
			return true;
	return false;
}

struct mdd_leg *
mdd_room_owner(struct mdd_room *room, uint32_t ssrc, struct mdd_source **sp)
{
	struct mdd_leg *leg;

	for (leg = room->first; leg != NULL; leg = leg->next)
		if (leg->state == MDD_LEG_UP &&
		    (*sp = mdd_leg_source(leg, ssrc)) != NULL)
			return leg;
	return NULL;
}

/* Is x the one to go rather than y (or nobody)? Who has not proven an address
 * before who has, then the older one. */
static bool
goes_first(const struct mdd_leg *x, const struct mdd_leg *y)
{
	if (y == NULL || x->state != y->state)
		return y == NULL || x->state < y->state;
	return x->serial < y->serial;
}

static bool
same_ip(const struct mdd_leg *leg, const uint8_t from[static MDD_IP_LEN])
{
	return memcmp(leg->from, from, MDD_IP_LEN) == 0;
}

/* Tries of that member from that address; *firstp: which of them goes first. */
static unsigned
tries_from(const struct mdd_room *room, const char *member,
    const uint8_t from[static MDD_IP_LEN], struct mdd_leg **firstp)
{
	struct mdd_leg *leg;
	unsigned n = 0;

	*firstp = NULL;
	for (leg = room->first; leg != NULL; leg = leg->next) {
		if (leg->state == MDD_LEG_UP || !same_ip(leg, from) ||
		    strcmp(leg->member, member) != 0)
			continue;
		n++;
		if (goes_first(leg, *firstp))
			*firstp = leg;
	}
	return n;
}

/*
 * Whoever stole a token may ask as fast as its owner, but not drive out the
 * owner's try, which needs a moment for its handshake: tries from one address
 * displace each other, and when all addresses together have too many, one of
 * those with the most goes. NULL: there is room for one more.
 */
static struct mdd_leg *
try_to_end(const struct mdd_room *room, const struct mdd_join *j)
{
	struct mdd_leg *leg, *first, *worst = NULL;
	unsigned n, most = 0, all = 0;

	if (tries_from(room, j->member, j->from, &first) >= MDD_TRIES_PER_IP)
		return first;
	for (leg = room->first; leg != NULL; leg = leg->next) {
		if (leg->state == MDD_LEG_UP ||
		    strcmp(leg->member, j->member) != 0)
			continue;
		all++;
		n = tries_from(room, j->member, leg->from, &first);
		if (n > most || (n == most && goes_first(first, worst))) {
			most = n;
			worst = first;
		}
	}
	return all >= MDD_TRIES_OF_MEMBER ? worst : NULL;
}

/* Limits and SSRCs (RFC 3550 section 8.2: one space for the conference). */
int
mdd_room_admit(
    struct mdd_legs *l, struct mdd_room *room, const struct mdd_join *j)
{
	struct mdd_leg *leg;
	unsigned i, fresh = 0;

	for (leg = room->first; leg != NULL; leg = leg->next) {
		if (strcmp(leg->member, j->member) == 0)
			continue;
		for (i = 0; i < j->nssrcs; i++)
			if (mdd_leg_has(leg, j->ssrcs[i]))
				return PERC_ERR_CONFLICT;
	}
	for (i = 0; i < j->nssrcs; i++)
		if (mdd_room_source(room, j->ssrcs[i]) == NULL)
			fresh++;
	if (fresh > room_places(l, room))
		return PERC_ERR_LIMIT;
	if ((leg = try_to_end(room, j)) != NULL)
		mdd_leg_end(l, leg, MDD_LEGS_REPLACED);
	else if (j->link == MDD_LINK_NONE &&
	    room->legs - room->links > l->limits.max_conference_legs)
		return PERC_ERR_LIMIT;
	return 0;
}

void
mdd_room_give_sources(struct mdd_legs *l, struct mdd_leg *leg)
{
	uint64_t member = mdd_select_member(leg->member);
	struct mdd_source *s;
	unsigned i;

	for (i = 0; i < leg->nssrcs; i++)
		mdd_link_yield(l, leg->room, leg->ssrcs[i]);
	/* Those that are known first, lest a new one takes their place. */
	for (i = 0; i < leg->nssrcs; i++)
		if ((s = mdd_room_source(leg->room, leg->ssrcs[i])) != NULL) {
			leg->src[i] = s;
			s->legs++;
		}
	for (i = 0; i < leg->nssrcs; i++)
		if (leg->src[i] == NULL) {
			leg->src[i] =
			    mdd_room_source_new(l, leg->room, leg->ssrcs[i]);
			leg->src[i]->legs++;
		}
	for (i = 0; i < leg->nssrcs; i++) {
		leg->src[i]->member = member;
		leg->src[i]->head = (uint16_t)(leg->src[0] - leg->room->src);
		leg->src[i]->place = (uint16_t)i;
	}
}
