/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pools and tables. A member may join anew while its old leg lives (it lost
 * its process, or the network changed under it); the old leg ends only when
 * the new one has proven the certificate by its handshake, so that whoever
 * stole a token cannot throw its owner out.
 */
#include "mdd/leg.h"

#include <stdlib.h>
#include <string.h>

#include "mdd/beat.h"
#include "mdd/link.h"
#include "mdd/room.h"
#include "perc/dtls.h"
#include "perc/secret.h"

static int
ledgers_make(struct mdd_legs *l, size_t legs)
{
	uint32_t n = 1;

	l->tallies = calloc(legs * l->sources_max, sizeof(*l->tallies));
	if (l->tallies == NULL)
		return PERC_ERR_NOMEM;
	if (l->limits.rtx_packets == 0)
		return 0;
	while (n < l->limits.rtx_packets)
		n *= 2;
	l->ledger_lines = n;
	l->lines = calloc(legs * n, sizeof(*l->lines));
	return l->lines == NULL ? PERC_ERR_NOMEM : 0;
}

int
mdd_legs_init(struct mdd_legs *l, const struct mdd_setup *limits,
    struct perc_loop *loop, mdd_gone_fn gone, void *arg)
{
	size_t legs = limits->max_legs, rooms = limits->max_conferences, i;
	int r;

	memset(l, 0, sizeof(*l));
	l->limits = *limits;
	l->loop = loop;
	l->gone = gone;
	l->arg = arg;
	l->sources_max = limits->max_conference_legs * MDD_SOURCES_PER_LEG;
	if (limits->max_links > 0)
		l->sources_max += limits->max_link_sources;
	if (l->sources_max > PERC_SRTP_STREAMS_MAX)
		l->sources_max = PERC_SRTP_STREAMS_MAX;
	if ((l->pool = calloc(legs, sizeof(*l->pool))) == NULL ||
	    (l->plans = calloc(legs, sizeof(*l->plans))) == NULL ||
	    (l->rooms = calloc(rooms, sizeof(*l->rooms))) == NULL ||
	    (l->sources = calloc(
		 rooms * l->sources_max, sizeof(*l->sources))) == NULL ||
	    (l->flows = calloc(legs * l->sources_max, sizeof(*l->flows))) ==
		NULL ||
	    (l->voices = calloc(l->sources_max, sizeof(struct mdd_voice *))) ==
		NULL)
		return PERC_ERR_NOMEM;
	if ((r = ledgers_make(l, legs)) != 0 ||
	    (r = mdd_table_init(&l->by_id, legs)) != 0 ||
	    (r = mdd_table_init(&l->by_ufrag, legs)) != 0 ||
	    (r = mdd_table_init(&l->by_addr, legs)) != 0 ||
	    (r = mdd_table_init(&l->by_key, rooms)) != 0)
		return r;
	for (i = legs; i-- > 0;) {
		l->pool[i].next = l->free_legs;
		l->free_legs = &l->pool[i];
	}
	for (i = rooms; i-- > 0;) {
		l->rooms[i].src = l->sources + i * l->sources_max;
		l->rooms[i].next_free = l->free_rooms;
		l->free_rooms = &l->rooms[i];
	}
	return mdd_links_init(l);
}

void
mdd_leg_dtls_free(struct mdd_legs *l, struct mdd_leg *leg)
{
	if (leg->dtls == NULL)
		return;
	perc_dtls_free(leg->dtls);
	leg->dtls = NULL;
	l->dtls--;
	leg->rekeying = false;
}

static void
leg_keys_free(struct mdd_legs *l, struct mdd_leg *leg)
{
	mdd_leg_dtls_free(l, leg);
	perc_srtp_free(leg->rx);
	perc_srtp_free(leg->tx);
	perc_srtcp_free(leg->rx_rtcp);
	perc_srtcp_free(leg->tx_rtcp);
	mdd_rekey_forget(leg);
	mdd_cc_close(leg);
}

void
mdd_legs_clear(struct mdd_legs *l)
{
	size_t i;

	for (i = 0; l->pool != NULL && i < l->limits.max_legs; i++) {
		if (l->pool[i].state == MDD_LEG_FREE)
			continue;
		perc_timer_stop(l->loop, &l->pool[i].timer);
		leg_keys_free(l, &l->pool[i]);
		perc_wipe(&l->pool[i], sizeof(l->pool[i]));
	}
	mdd_links_clear(l);
	mdd_table_clear(&l->by_id);
	mdd_table_clear(&l->by_ufrag);
	mdd_table_clear(&l->by_addr);
	mdd_table_clear(&l->by_key);
	free(l->pool);
	free(l->plans);
	free(l->rooms);
	free(l->sources);
	free(l->lines);
	free(l->tallies);
	free(l->flows);
	free(l->voices);
	memset(l, 0, sizeof(*l));
}

/* ---- legs ------------------------------------------------------------- */

static void
leg_fill(struct mdd_legs *l, struct mdd_leg *leg, const struct mdd_join *j,
    int64_t now_ms)
{
	memset(leg, 0, sizeof(*leg));
	leg->state = MDD_LEG_WAITING;
	leg->serial = ++l->serial;
	leg->flow = l->flows + (size_t)(leg - l->pool) * l->sources_max;
	memcpy(leg->id, j->leg, sizeof(leg->id));
	memcpy(leg->member, j->member, sizeof(leg->member));
	memcpy(leg->pin, j->pin, sizeof(leg->pin));
	memcpy(leg->from, j->from, sizeof(leg->from));
	memcpy(leg->ssrcs, j->ssrcs, sizeof(leg->ssrcs));
	memcpy(leg->peer_ufrag, j->ufrag, sizeof(leg->peer_ufrag));
	memcpy(leg->peer_pwd, j->pwd, sizeof(leg->peer_pwd));
	leg->nssrcs = j->nssrcs;
	leg->heard_ms = leg->consent_ms = now_ms;
	leg->ends_ms = now_ms + (int64_t)j->live_ms;
	leg->tally = l->tallies + (size_t)(leg - l->pool) * l->sources_max;
	memset(leg->tally, 0, l->sources_max * sizeof(*leg->tally));
	mdd_ledger_init(&leg->ledger,
	    l->lines == NULL
		? NULL
		: l->lines + (size_t)(leg - l->pool) * l->ledger_lines,
	    l->ledger_lines);
	mdd_leg_credit_init(l, leg, j->link, now_ms);
	leg->twcc = j->twcc;
	if (j->planned) {
		leg->plan = &l->plans[leg - l->pool];
		*leg->plan = j->plan;
	}
	mdd_ice_credentials(l, leg);
	mdd_table_add(&l->by_id, &leg->by_id,
	    mdd_table_hash(&l->by_id, leg->id, strlen(leg->id)));
}

/* Of leg_fill and the count of its room: nobody has seen it yet. */
static void
leg_unmake(struct mdd_legs *l, struct mdd_leg *leg)
{
	struct mdd_room *room = leg->room;

	mdd_table_del(&leg->by_id);
	mdd_table_del(&leg->by_ufrag);
	perc_wipe(leg, sizeof(*leg));
	leg->next = l->free_legs;
	l->free_legs = leg;
	room->legs--;
	mdd_room_drop_empty(l, room);
}

int
mdd_leg_join(struct mdd_legs *l, const struct mdd_join *j, int64_t now_ms,
    struct mdd_leg **lp)
{
	struct mdd_room *room;
	struct mdd_leg *leg;
	int r;

	if (mdd_leg_by_id(l, j->leg) != NULL)
		return PERC_ERR_EXISTS;
	if ((room = mdd_room_find(l, j->conference)) == NULL &&
	    (room = mdd_room_make(l, j->conference)) == NULL)
		return PERC_ERR_LIMIT;
	/* Held up by the count: admitting may end the only other leg. */
	room->legs++;
	r = mdd_room_admit(l, room, j);
	if (r == 0 && (leg = l->free_legs) == NULL)
		r = PERC_ERR_LIMIT;
	if (r != 0) {
		room->legs--;
		mdd_room_drop_empty(l, room);
		return r;
	}
	l->free_legs = leg->next;
	leg_fill(l, leg, j, now_ms);
	leg->room = room;
	if (j->link != MDD_LINK_NONE && (r = mdd_link_open(l, leg, j)) != 0) {
		leg_unmake(l, leg);
		return r;
	}
	leg->next = room->first;
	leg->linkp = &room->first;
	if (leg->next != NULL)
		leg->next->linkp = &leg->next;
	room->first = leg;
	mdd_room_give_sources(l, leg);
	mdd_select_changed(room);
	l->n++;
	*lp = leg;
	return 0;
}

/* The others need no window any more for the SSRCs of one that left; what
 * they sent stays remembered (perc_srtp_forget). */
static void
leg_forget(const struct mdd_leg *gone)
{
	struct mdd_leg *o, *p;
	unsigned i;

	for (i = 0; i < gone->nssrcs; i++) {
		for (p = gone->room->first; p != NULL; p = p->next)
			if (p != gone && mdd_leg_has(p, gone->ssrcs[i]))
				break;
		for (o = gone->room->first; p == NULL && o != NULL; o = o->next)
			if (o->tx != NULL)
				perc_srtp_forget(o->tx, gone->ssrcs[i]);
	}
}

void
mdd_leg_end(struct mdd_legs *l, struct mdd_leg *leg, enum mdd_count why)
{
	struct mdd_room *room = leg->room;
	unsigned i;

	if (l->gone != NULL)
		l->gone(leg, why, l->arg);
	if (leg->state == MDD_LEG_UP)
		l->up--;
	if (leg->addr.len != 0)
		l->moved = true;
	l->flooded -= leg->flooded;
	leg_forget(leg);
	if (leg->link != NULL)
		mdd_link_close(l, leg);
	for (i = 0; i < leg->nssrcs; i++)
		leg->src[i]->legs--;
	*leg->linkp = leg->next;
	if (leg->next != NULL)
		leg->next->linkp = leg->linkp;
	room->legs--;
	for (i = 0; i < leg->nssrcs; i++)
		mdd_link_inherit(l, room, leg->ssrcs[i]);
	mdd_select_changed(room);
	mdd_table_del(&leg->by_id);
	mdd_table_del(&leg->by_ufrag);
	mdd_table_del(&leg->by_addr);
	perc_timer_stop(l->loop, &leg->timer);
	mdd_beat_stop(leg);
	leg_keys_free(l, leg);
	if (leg->shaped)
		memset(leg->flow, 0, l->sources_max * sizeof(*leg->flow));
	perc_wipe(leg, sizeof(*leg));
	leg->next = l->free_legs;
	l->free_legs = leg;
	l->n--;
	mdd_room_drop_empty(l, room);
}

void
mdd_leg_bind(struct mdd_legs *l, struct mdd_leg *leg, const struct mdd_addr *a)
{
	struct mdd_leg *other = mdd_leg_by_addr(l, a);
	uint8_t key[24];
	size_t n = mdd_addr_key(key, a);

	if (other == leg)
		return;
	if (other != NULL) {
		mdd_table_del(&other->by_addr);
		other->addr.len = 0;
	}
	mdd_table_del(&leg->by_addr);
	leg->addr = *a;
	leg->answered = false;
	l->moved = true;
	mdd_table_add(
	    &l->by_addr, &leg->by_addr, mdd_table_hash(&l->by_addr, key, n));
	if (leg->state == MDD_LEG_WAITING)
		leg->state = MDD_LEG_PROVEN;
}

void
mdd_leg_up(struct mdd_legs *l, struct mdd_leg *leg)
{
	struct mdd_leg *o, *next;

	leg->state = MDD_LEG_UP;
	l->up++;
	mdd_link_news(leg->room);
	for (o = leg->room->first; o != NULL; o = next) {
		next = o->next;
		if (o != leg && o->serial < leg->serial &&
		    strcmp(o->member, leg->member) == 0)
			mdd_leg_end(l, o, MDD_LEGS_REPLACED);
	}
}

static int64_t
leg_idle_ms(const struct mdd_legs *l, const struct mdd_leg *leg)
{
	return leg->link != NULL ? MDD_LINK_IDLE_MS : l->limits.idle_ms;
}

/* RFC 7675 section 5.1: 30 s, whatever media comes. Whoever lets legs be silent
 * for longer lets them be so in this too; links have checks of their own. */
static int64_t
leg_consent_ms(const struct mdd_legs *l, const struct mdd_leg *leg)
{
	if (leg->link != NULL || leg->state != MDD_LEG_UP)
		return INT64_MAX;
	return l->limits.idle_ms > MDD_CONSENT_MS ? l->limits.idle_ms
						  : MDD_CONSENT_MS;
}

/* Its last flight has arrived by now; or it stopped half way, and somebody else
 * wants its association. */
static void
leg_dtls_late(struct mdd_legs *l, struct mdd_leg *leg)
{
	if (leg->state == MDD_LEG_UP)
		mdd_leg_dtls_free(l, leg);
	else
		mdd_leg_end(l, leg, MDD_LEGS_BROKEN);
}

void
mdd_legs_sweep(struct mdd_legs *l, int64_t now_ms)
{
	struct mdd_leg *leg;
	size_t i;

	for (i = 0; i < l->limits.max_legs; i++) {
		leg = &l->pool[i];
		if (leg->state == MDD_LEG_FREE)
			continue;
		mdd_leg_calm(l, leg);
		if (now_ms >= leg->ends_ms)
			mdd_leg_end(l, leg, MDD_LEGS_EXPIRED);
		else if (now_ms - leg->heard_ms >= leg_idle_ms(l, leg))
			mdd_leg_end(l, leg, MDD_LEGS_SILENT);
		else if (now_ms - leg->consent_ms >= leg_consent_ms(l, leg))
			mdd_leg_end(l, leg, MDD_LEGS_CONSENT);
		else if (leg->dtls != NULL && now_ms >= leg->dtls_until_ms)
			leg_dtls_late(l, leg);
		if (leg->old_rx != NULL && now_ms >= leg->old_until_ms)
			mdd_rekey_forget(leg);
	}
}
