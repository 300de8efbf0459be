/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link at work. The dialling end asks by STUN until the other one answers
 * and begins DTLS; from then on both are alike and tell each other each two
 * seconds whose sources they have. News go at once, yet not oftener than each
 * 50 ms: a hundred members who come together are a few packets.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "mdd/worker.h"
#include "perc/crypto.h"
#include "perc/log.h"
#include "perc/stun.h"
#include "perc/wire.h"

#define STUN_MS	      200  /* until the other end has answered */
#define STUN_ALIVE_MS 5000 /* and then */
#define STUN_RANDOM   8 /* octets of a transaction id; then the leg's place */
#define STUN_PRIORITY 1845501695u

static void link_turn(void *arg);

/* ---- the way there ---------------------------------------------------- */

static void
stun_ask(struct mdd_worker *w, struct mdd_leg *leg, int64_t now_ms)
{
	char user[MDD_ICE_MAX + PERC_ICE_UFRAG + 2];
	uint32_t at = (uint32_t)(leg - w->legs.pool);
	struct mdd_path *p = &leg->path;
	size_t len;

	(void)snprintf(
	    user, sizeof(user), "%s:%s", leg->peer_ufrag, leg->ufrag);
	perc_random(p->txid, STUN_RANDOM);
	memcpy(p->txid + STUN_RANDOM, &at, sizeof(at));
	p->to = leg->link->to;
	p->sent_ms = leg->link->stun_ms = now_ms;
	if (perc_stun_request(mdd_batch_slot(w->out), &len, p->txid, user,
		leg->peer_pwd, STUN_PRIORITY, true, leg->serial) == 0)
		mdd_batch_commit(w->out, &p->to, len);
}

static void
turn_in(struct mdd_worker *w, struct mdd_leg *leg, int ms)
{
	leg->owner = w;
	if (perc_timer_set(w->loop, &leg->link->timer, ms, link_turn, leg) != 0)
		log_warnx("no timer for link id=%s", leg->id);
}

/*
 * The next channel of our half that no link of ours has. Both ends use the
 * dialler's; the far end knows it by address and channel together.
 */
static uint16_t
channel_next(struct mdd_legs *l, bool odd)
{
	unsigned i, tries;
	uint16_t c = 0;

	for (tries = 0; tries <= l->limits.max_links; tries++) {
		l->channel = (uint16_t)((l->channel + 2) &
		    (MDD_CHANNEL_MAX - MDD_CHANNEL_MIN));
		c = (uint16_t)(MDD_CHANNEL_MIN + (l->channel & ~1u) + odd);
		for (i = 0; i < l->limits.max_links; i++)
			if (l->links[i].to.len != 0 &&
			    l->links[i].to.channel == c)
				break;
		if (i == l->limits.max_links)
			break;
	}
	return c;
}

void
mdd_link_dial(struct mdd_worker *w, struct mdd_leg *leg,
    const struct mdd_dial *m, int64_t now_ms)
{
	struct mdd_addr *to = &leg->link->to;

	if (!leg->link->dial || to->len != 0)
		return;
	if (inet_pton(AF_INET, m->host, &to->u.in.sin_addr) == 1) {
		to->u.in.sin_family = AF_INET;
		to->u.in.sin_port = htons((uint16_t)m->port);
		to->len = sizeof(to->u.in);
	} else if (inet_pton(AF_INET6, m->host, &to->u.in6.sin6_addr) == 1) {
		to->u.in6.sin6_family = AF_INET6;
		to->u.in6.sin6_port = htons((uint16_t)m->port);
		to->len = sizeof(to->u.in6);
	} else {
		log_warnx("link id=%s: no address to dial", leg->id);
		return;
	}
	to->channel = channel_next(&w->legs, m->odd);
	leg->twcc = m->twcc;
	memcpy(leg->pin, m->pin, sizeof(leg->pin));
	memcpy(leg->peer_ufrag, m->ufrag, sizeof(leg->peer_ufrag));
	memcpy(leg->peer_pwd, m->pwd, sizeof(leg->peer_pwd));
	leg->heard_ms = now_ms;
	leg->owner = w;
	link_turn(leg);
}

void
mdd_link_answered(struct mdd_worker *w, struct mdd_leg *leg)
{
	if (leg->link->dial && leg->state == MDD_LEG_PROVEN)
		mdd_hop_dial(w, leg);
}

/* ---- hello ------------------------------------------------------------ */

struct hello_out {
	struct mdd_worker *w;
	struct mdd_leg *to;
	struct mdd_hello h;
	uint8_t buf[MDD_HELLO_MAX];
};

static void
hello_send(struct hello_out *o)
{
	static const uint8_t rr[8] = { 0x80, 201, 0, 1, 0, 0, 0, 1 };
	size_t len = mdd_hello_end(&o->h), n;
	uint8_t *out = mdd_batch_slot(o->w->out);

	/* Nobody here yet: say just that we live. */
	memcpy(out, rr, sizeof(rr));
	memcpy(out + sizeof(rr), o->buf, len);
	n = sizeof(rr) + len;
	if (perc_srtcp_protect(o->to->tx_rtcp, out, &n) == 0)
		mdd_batch_commit(o->w->out, &o->to->addr, n);
	mdd_hello_begin(&o->h, o->buf);
}

static void
hello_add(struct hello_out *o, const struct mdd_link_path *p, uint64_t member,
    const uint32_t *ssrcs, unsigned n)
{
	if (mdd_hello_add(&o->h, p, member, ssrcs, n))
		return;
	hello_send(o);
	(void)mdd_hello_add(&o->h, p, member, ssrcs, n); /* one fits always */
}

/* A member's sources that came by a link, with us in front of its path. */
static void
hello_pass(
    const struct mdd_word *first, const uint32_t *ssrcs, unsigned n, void *arg)
{
	struct hello_out *o = arg;
	struct mdd_link_path path = { .hops = (uint8_t)(first->path.hops + 1),
		.node = { o->w->node } };

	if (path.hops > MDD_LINK_PATH)
		return;
	memcpy(path.node + 1, first->path.node,
	    first->path.hops * sizeof(path.node[0]));
	hello_add(o, &path, first->member, ssrcs, n);
}

static void
hello_sources(struct hello_out *o, const struct mdd_leg *from)
{
	struct mdd_link_path path = { 1, { o->w->node } };

	if (from->link != NULL)
		(void)mdd_link_members(from->link, hello_pass, o);
	else
		hello_add(o, &path, mdd_select_member(from->member),
		    from->ssrcs, from->nssrcs);
}

static void
hello(struct mdd_worker *w, struct mdd_leg *leg, int64_t now_ms)
{
	struct hello_out o = { .w = w, .to = leg };
	const struct mdd_leg *from;

	if (leg->addr.len == 0)
		return;
	mdd_hello_begin(&o.h, o.buf);
	for (from = leg->room->first; from != NULL; from = from->next)
		if (from->state == MDD_LEG_UP && mdd_link_may(from, leg))
			hello_sources(&o, from);
	hello_send(&o);
	leg->link->news = false;
	leg->link->hello_ms = now_ms;
}

struct hello_in {
	struct mdd_worker *w;
	struct mdd_leg *leg;
	int64_t now_ms;
};

static void
hello_claim(const struct mdd_word *word, uint32_t ssrc, void *arg)
{
	struct hello_in *q = arg;
	struct mdd_worker *w = q->w;

	switch (
	    mdd_link_claim(&w->legs, q->leg, ssrc, word, w->node, q->now_ms)) {
	case MDD_CLAIM_TAKEN:
		mdd_link_news(q->leg->room);
		break;
	case MDD_CLAIM_LOCAL:
		w->count[MDD_REFUSED_OWN]++;
		break;
	case MDD_CLAIM_LOOP:
		w->count[MDD_REFUSED_LOOP]++;
		break;
	case MDD_CLAIM_LIMIT:
		w->count[MDD_REFUSED_FULL]++;
		break;
	case MDD_CLAIM_LATER:
		w->count[MDD_RTCP_DAMPED]++;
		break;
	case MDD_CLAIM_HELD:
	case MDD_CLAIM_OTHER:
		break;
	}
}

/* An opened packet that waits is of a leg that feeds its source now. */
void
mdd_link_hello(struct mdd_worker *w, struct mdd_leg *leg, const uint8_t *p,
    size_t n, int64_t now_ms)
{
	struct hello_in q = { w, leg, now_ms };

	if (mdd_hello_read(p, n, hello_claim, &q) != 0)
		w->count[MDD_RTCP_IGNORED]++;
}

/* ---- the clock -------------------------------------------------------- */

static void
link_turn(void *arg)
{
	struct mdd_leg *leg = arg;
	struct mdd_worker *w = leg->owner;
	struct mdd_link *k = leg->link;
	int64_t now = perc_now_ms();

	if (leg->state == MDD_LEG_UP) {
		if (k->news)
			hello(w, leg, now);
	} else if (k->dial && k->to.len != 0) {
		if (leg->state == MDD_LEG_WAITING)
			stun_ask(w, leg, now);
		else
			mdd_hop_dial(w, leg); /* the last try has failed */
		if (leg->link != NULL) /* and this was not the last of all */
			turn_in(w, leg, STUN_MS);
	}
	mdd_batch_flush(w->out);
}

/* Now, or as soon as the last hello is old enough. */
void
mdd_link_pass_news(struct mdd_worker *w, struct mdd_room *room, int64_t now_ms)
{
	struct mdd_leg *leg;
	int64_t ms;

	for (leg = room->links > 0 ? room->first : NULL; leg != NULL;
	     leg = leg->next) {
		if (leg->link == NULL || !leg->link->news ||
		    leg->state != MDD_LEG_UP)
			continue;
		ms = leg->link->hello_ms + MDD_LINK_SOON_MS - now_ms;
		if (ms <= 0)
			hello(w, leg, now_ms);
		else
			turn_in(w, leg, (int)ms);
	}
}

void
mdd_link_up(struct mdd_worker *w, struct mdd_leg *leg, int64_t now_ms)
{
	if (leg->link != NULL)
		perc_timer_stop(w->loop, &leg->link->timer);
	mdd_link_pass_news(w, leg->room, now_ms);
}

void
mdd_link_tick(struct mdd_worker *w, int64_t now_ms)
{
	struct mdd_leg *leg;
	size_t i;

	for (i = 0; w->legs.nlinks > 0 && i < w->legs.limits.max_legs; i++) {
		leg = &w->legs.pool[i];
		if (leg->state != MDD_LEG_UP || leg->link == NULL)
			continue;
		mdd_link_expire(&w->legs, leg, now_ms);
		if (leg->link->dial &&
		    now_ms - leg->link->stun_ms >= STUN_ALIVE_MS)
			stun_ask(w, leg, now_ms);
		if (leg->link->news ||
		    now_ms - leg->link->hello_ms >= MDD_LINK_HELLO_MS)
			hello(w, leg, now_ms);
	}
}
