/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICE-lite (RFC 8445 section 2.5): we answer checks and nominate nothing. The
 * first check whose integrity holds names the address where DTLS may begin.
 * It was written by who has the password, but its source is soon forged, and
 * anybody who read it can send it again: so until the address has answered a
 * check of ours, or the handshake is complete, it gets at most three times
 * what came from it, and a leg that has an address moves to another only
 * when that one has answered.
 *
 * Strangers cost a parse and a table look-up, and get a bounded number of
 * error answers, none longer than what they sent to provoke it.
 */
#include "mdd/worker.h"

#include <stdio.h>
#include <string.h>

#include "perc/crypto.h"
#include "perc/stun.h"

#define STUN_REQUEST  0x0001
#define STUN_SUCCESS  0x0101
#define PATH_RANDOM   8 /* octets of a transaction id; then the leg's place */
#define PATH_PRIORITY 1845501695u /* peer-reflexive, RFC 8445 section 5.1.2 */
#define PATH_MS	      200	  /* between two checks of ours on a leg */
#define PATH_ALIVE_MS 3000	  /* and how long one may be answered */

/* RFC 8489 section 9.1.3: these errors carry no integrity. */
static void
answer_stranger(struct mdd_worker *w, const struct mdd_addr *to,
    const struct perc_stun *m, unsigned code)
{
	size_t len;

	if (w->answers >= MDD_STRANGER_ANSWERS)
		return;
	w->answers++;
	if (perc_stun_error(mdd_batch_slot(w->out), &len, m, NULL, code) == 0 &&
	    len <= m->len)
		mdd_batch_commit(w->out, to, len);
}

void
mdd_ice_credentials(struct mdd_legs *l, struct mdd_leg *leg)
{
	mdd_table_del(&leg->by_ufrag);
	do
		perc_ice_credentials(leg->ufrag, leg->pwd);
	while (mdd_leg_by_ufrag(l, leg->ufrag, PERC_ICE_UFRAG) != NULL);
	mdd_table_add(&l->by_ufrag, &leg->by_ufrag,
	    mdd_table_hash(&l->by_ufrag, leg->ufrag, PERC_ICE_UFRAG));
}

/* RFC 8445 section 2.4: both sides have new credentials, and media goes on
 * where it is until a check with them has been nominated. */
void
mdd_ice_restart(struct mdd_worker *w, struct mdd_leg *leg, const char *ufrag,
    const char *pwd)
{
	memcpy(leg->peer_ufrag, ufrag, strlen(ufrag) + 1);
	memcpy(leg->peer_pwd, pwd, strlen(pwd) + 1);
	leg->path.to.len = 0; /* the old ones answer nothing any more */
	mdd_ice_credentials(&w->legs, leg);
}

/* Our half of USERNAME, "ours:theirs" (RFC 8445 section 7.3). */
static struct mdd_leg *
user_find(struct mdd_worker *w, const struct perc_stun *m)
{
	const char *colon = memchr(m->username, ':', m->username_len);

	if (colon == NULL)
		return NULL;
	return mdd_leg_by_ufrag(
	    &w->legs, m->username, (size_t)(colon - m->username));
}

/* Is the endpoint where this came from? RFC 8445 section 7.2.2: its ufrag
 * stands first in what we send. */
static void
path_ask(struct mdd_worker *w, struct mdd_leg *leg, const struct mdd_addr *to,
    int64_t now_ms)
{
	char user[MDD_ICE_MAX + PERC_ICE_UFRAG + 2];
	uint32_t at = (uint32_t)(leg - w->legs.pool);
	struct mdd_path *p = &leg->path;
	size_t len;

	if (p->to.len != 0 && now_ms - p->sent_ms < PATH_MS)
		return;
	(void)snprintf(
	    user, sizeof(user), "%s:%s", leg->peer_ufrag, leg->ufrag);
	perc_random(p->txid, PATH_RANDOM);
	memcpy(p->txid + PATH_RANDOM, &at, sizeof(at));
	p->to = *to;
	p->sent_ms = now_ms;
	if (perc_stun_check(mdd_batch_slot(w->out), &len, p->txid, user,
		leg->peer_pwd, PATH_PRIORITY, leg->serial) == 0)
		mdd_batch_commit(w->out, to, len);
}

/* The endpoint is there, and this is its address from now on. */
static void
path_answered(struct mdd_worker *w, const struct mdd_addr *from,
    const struct perc_stun *m, int64_t now_ms)
{
	struct mdd_leg *leg;
	struct mdd_path *p;
	uint32_t at;

	memcpy(&at, m->txid + PATH_RANDOM, sizeof(at));
	if (at >= w->legs.limits.max_legs)
		goto no;
	leg = &w->legs.pool[at];
	p = &leg->path;
	if (leg->state == MDD_LEG_FREE || p->to.len == 0 ||
	    now_ms - p->sent_ms > PATH_ALIVE_MS ||
	    memcmp(p->txid, m->txid, sizeof(p->txid)) != 0 ||
	    !mdd_addr_same(&p->to, from) ||
	    perc_stun_verify(m, leg->peer_pwd) != 0)
		goto no;
	w->count[MDD_IN_STUN]++;
	p->to.len = 0;
	mdd_leg_bind(&w->legs, leg, from);
	leg->answered = true;
	leg->consent_ms = now_ms;
	if (leg->link != NULL) {
		leg->heard_ms = now_ms;
		mdd_link_answered(w, leg);
	}
	return;
no:
	w->count[MDD_DROP_STUN_AUTH]++;
}

/*
 * The source of a datagram is soon forged, and a check of one member must not
 * cut another off whose address it names. As long as that one is heard the
 * address is his; a NAT gives it to nobody else so soon.
 */
static bool
address_is_anothers(struct mdd_worker *w, const struct mdd_leg *leg,
    const struct mdd_addr *a, int64_t now_ms)
{
	const struct mdd_leg *other = mdd_leg_by_addr(&w->legs, a);

	return other != NULL && other != leg && other->state == MDD_LEG_UP &&
	    now_ms - other->heard_ms < MDD_ADDRESS_MS &&
	    (other->room != leg->room ||
		strcmp(other->member, leg->member) != 0);
}

/* What a socket of both families calls ::ffff:192.0.2.1 is 192.0.2.1. */
static const struct sockaddr *
plain_address(struct sockaddr_in *in, const struct mdd_addr *a)
{
	const struct sockaddr_in6 *in6 = &a->u.in6;

	if (a->u.sa.sa_family != AF_INET6 ||
	    !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr))
		return &a->u.sa;
	memset(in, 0, sizeof(*in));
	in->sin_family = AF_INET;
	in->sin_port = in6->sin6_port;
	memcpy(&in->sin_addr, in6->sin6_addr.s6_addr + 12, 4);
	return (const struct sockaddr *)in;
}

static void
answer_owner(struct mdd_worker *w, struct mdd_leg *leg,
    const struct mdd_addr *to, const struct perc_stun *m, int64_t now_ms)
{
	struct sockaddr_in in;
	uint8_t *out;
	size_t len;
	int r;

	if (address_is_anothers(w, leg, to, now_ms))
		return;
	out = mdd_batch_slot(w->out);
	if (m->unknown_n > 0)
		r = perc_stun_error(out, &len, m, leg->pwd, 420);
	else if (m->controlled) /* we are lite, so the peer controls */
		r = perc_stun_error(out, &len, m, leg->pwd, 487);
	else
		r = perc_stun_success(
		    out, &len, m, leg->pwd, plain_address(&in, to));
	if (r != 0)
		return;
	mdd_batch_commit(w->out, to, len);
	leg->heard_ms = leg->consent_ms = now_ms;
	if (m->unknown_n > 0 || m->controlled)
		return;
	/* The first address counts at once, another one when nominated and
	 * when it has answered. */
	if (leg->state == MDD_LEG_WAITING)
		mdd_leg_bind(&w->legs, leg, to);
	else if (m->use_candidate && !mdd_addr_same(&leg->addr, to))
		path_ask(w, leg, to, now_ms);
	if (mdd_addr_same(&leg->addr, to)) {
		leg->heard += m->len;
		leg->said += len;
	}
}

void
mdd_ice_input(struct mdd_worker *w, const struct mdd_addr *from,
    const uint8_t *p, size_t n, int64_t now_ms)
{
	struct mdd_leg *leg;
	struct perc_stun m;

	if (perc_stun_parse(&m, p, n) != 0 ||
	    (m.type != STUN_REQUEST && m.type != STUN_SUCCESS) ||
	    !m.has_fingerprint) {
		w->count[MDD_DROP_STUN_FORM]++;
		return;
	}
	if (m.type == STUN_SUCCESS) {
		path_answered(w, from, &m, now_ms);
		return;
	}
	if (m.username == NULL || !m.has_integrity) {
		w->count[MDD_DROP_STUN_FORM]++;
		answer_stranger(w, from, &m, 400);
		return;
	}
	if ((leg = user_find(w, &m)) == NULL) {
		w->count[MDD_DROP_STUN_USER]++;
		answer_stranger(w, from, &m, 401);
		return;
	}
	if (perc_stun_verify(&m, leg->pwd) != 0) {
		w->count[MDD_DROP_STUN_AUTH]++;
		answer_stranger(w, from, &m, 401);
		return;
	}
	w->count[MDD_IN_STUN]++;
	answer_owner(w, leg, from, &m, now_ms);
}

/*
 * An ICE-lite agent needs no checks of its own to keep a consent (RFC 7675
 * section 5.1): the endpoint's are one, as long as they come. When they stay
 * away we ask, and only an endpoint that answers neither way has withdrawn it.
 */
void
mdd_ice_consent(struct mdd_worker *w, int64_t now_ms)
{
	struct mdd_leg *leg;
	size_t i;

	for (i = 0; i < w->legs.limits.max_legs; i++) {
		leg = &w->legs.pool[i];
		if (leg->state == MDD_LEG_UP && leg->link == NULL &&
		    leg->addr.len != 0 &&
		    now_ms - leg->consent_ms >= MDD_CONSENT_ASK_MS &&
		    (leg->path.to.len == 0 ||
			now_ms - leg->path.sent_ms > PATH_ALIVE_MS ||
			mdd_addr_same(&leg->path.to, &leg->addr)))
			path_ask(w, leg, &leg->addr, now_ms);
	}
}
