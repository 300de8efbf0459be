/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hop's keys: DTLS-SRTP as server, the peer's certificate pinned to what
 * token2 names, and out of it four contexts that belong to this leg alone
 * (RFC 8871 sections 4.4 and 6.2). OpenSSL's state lingers a few seconds to
 * repeat the last flight and then goes: it is ten times as large as a leg.
 */
#include "mdd/worker.h"

#include <string.h>

#include "perc/log.h"
#include "perc/secret.h"

#define HOP_AMPLIFY 3

static void hop_after(struct mdd_worker *w, struct mdd_leg *leg, int r);

static void
hop_send(const uint8_t *p, size_t n, void *arg)
{
	struct mdd_leg *leg = arg;
	struct mdd_worker *w = leg->owner;

	if (leg->addr.len == 0 || n > MDD_OUT_MAX)
		return;
	/* Nobody is hit by more than three times what its sender spent; each
	 * check and each retransmission of the endpoint's lets more go. */
	if (leg->state != MDD_LEG_UP && !leg->answered &&
	    leg->said + n > HOP_AMPLIFY * leg->heard) {
		w->count[MDD_TX_HELD]++;
		return;
	}
	leg->said += n;
	memcpy(mdd_batch_slot(w->out), p, n);
	mdd_batch_commit(w->out, &leg->addr, n);
}

static void
hop_timeout(void *arg)
{
	struct mdd_leg *leg = arg;
	struct mdd_worker *w = leg->owner;

	if (leg->dtls == NULL)
		return;
	hop_after(w, leg, perc_dtls_timeout(leg->dtls));
	mdd_batch_flush(w->out);
}

unsigned
mdd_hop_repairs(const struct mdd_leg *leg)
{
	return leg->plan != NULL ? leg->plan->nrepairs : 0;
}

unsigned
mdd_hop_streams(const struct mdd_worker *w, const struct mdd_leg *leg)
{
	unsigned n = w->legs.sources_max;

	if (leg->plan != NULL) /* each m-line may have a repair stream */
		n += MDD_PLAN_LINES;
	return n < PERC_SRTP_STREAMS_MAX ? n : PERC_SRTP_STREAMS_MAX;
}

static int
hop_contexts(struct mdd_worker *w, struct mdd_leg *leg)
{
	struct perc_dtls_keys k;
	int r;

	if ((r = perc_dtls_keys(leg->dtls, &k)) != 0)
		goto out;
	if ((r = perc_srtp_new(&leg->rx, k.profile, k.rx_key, k.rx_salt,
		 leg->link != NULL ? w->legs.limits.max_link_sources
				   : leg->nssrcs + mdd_hop_repairs(leg),
		 MDD_HOP_WINDOW)) != 0 ||
	    (r = perc_srtp_new(&leg->tx, k.profile, k.tx_key, k.tx_salt,
		 mdd_hop_streams(w, leg), MDD_HOP_WINDOW)) != 0 ||
	    (r = perc_srtcp_new(
		 &leg->rx_rtcp, k.profile, k.rx_key, k.rx_salt, 1)) != 0)
		goto out;
	leg->keys++;
	r = perc_srtcp_new(&leg->tx_rtcp, k.profile, k.tx_key, k.tx_salt, 0);
out:
	perc_wipe(&k, sizeof(k));
	return r;
}

static void
hop_up(struct mdd_worker *w, struct mdd_leg *leg)
{
	int r = hop_contexts(w, leg);

	leg->dtls_until_ms = perc_now_ms() + MDD_DTLS_LINGER_MS;
	if (r != 0) {
		log_warnx(
		    "leg broken id=%s why=\"%s\"", leg->id, perc_strerror(r));
		leg->state = MDD_LEG_UP; /* the handshake is not counted */
		w->legs.up++;
		mdd_leg_end(&w->legs, leg, MDD_LEGS_BROKEN);
		return;
	}
	w->count[MDD_DTLS_UP]++;
	mdd_cc_open(leg);
	mdd_leg_up(&w->legs, leg);
	mdd_rtcp_welcome(w, leg, perc_now_ms());
	mdd_link_up(w, leg, perc_now_ms());
	log_info("leg up id=%s conference=%s", leg->id, leg->room->key);
}

static void
hop_failed(struct mdd_worker *w, struct mdd_leg *leg, int r)
{
	static const char *const why[] = { NULL, "not the token's certificate",
		"no AEAD profile offered" };
	enum perc_dtls_refusal no = perc_dtls_refusal(leg->dtls);

	w->count[r == PERC_ERR_AUTH ? MDD_DTLS_REFUSED : MDD_DTLS_FAILED]++;
	w->count[MDD_DTLS_NO_PROFILE] += no == PERC_DTLS_NO_PROFILE;
	log_info("handshake failed id=%s why=\"%s\"", leg->id,
	    why[no] != NULL ? why[no] : perc_strerror(r));
	if (++leg->tries >= MDD_TRIES_MAX) {
		mdd_leg_end(&w->legs, leg, MDD_LEGS_BROKEN);
		return;
	}
	mdd_leg_dtls_free(&w->legs, leg);
}

/* The keys that it has stay. */
static void
hop_rekey_failed(struct mdd_worker *w, struct mdd_leg *leg, int r)
{
	w->count[r == PERC_ERR_AUTH ? MDD_DTLS_REFUSED : MDD_DTLS_FAILED]++;
	log_info("no new keys id=%s why=\"%s\"", leg->id, perc_strerror(r));
	mdd_leg_dtls_free(&w->legs, leg);
}

/* What the last step of OpenSSL means for the leg, which may end here. */
static void
hop_after(struct mdd_worker *w, struct mdd_leg *leg, int r)
{
	enum perc_dtls_state s = perc_dtls_state(leg->dtls);
	int ms;

	if (s == PERC_DTLS_CLOSED || s == PERC_DTLS_FAILED) {
		if (leg->rekeying)
			hop_rekey_failed(w, leg, r);
		else if (leg->state == MDD_LEG_UP)
			mdd_leg_end(&w->legs, leg, MDD_LEGS_LEFT);
		else
			hop_failed(w, leg, r);
		return;
	}
	if (s == PERC_DTLS_UP && leg->state != MDD_LEG_UP) {
		hop_up(w, leg);
		return;
	}
	if (s == PERC_DTLS_UP && leg->rekeying) {
		if (mdd_rekey_end(w, leg, perc_now_ms()) != 0)
			mdd_leg_end(&w->legs, leg, MDD_LEGS_BROKEN);
		return;
	}
	ms = perc_dtls_next_ms(leg->dtls);
	if (ms >= 0 &&
	    perc_timer_set(w->loop, &leg->timer, ms, hop_timeout, leg) != 0)
		log_warnx("no timer for leg id=%s", leg->id);
}

void
mdd_hop_input(struct mdd_worker *w, struct mdd_leg *leg, const uint8_t *p,
    size_t n, int64_t now_ms)
{
	bool again = leg->dtls == NULL && leg->state == MDD_LEG_UP;

	/* Its association is gone: nothing to pay for but a new one. */
	if (again && !mdd_rekey_may(leg, p, n, now_ms)) {
		w->count[MDD_DROP_DTLS]++;
		return;
	}
	if (!mdd_leg_credit(&w->legs, leg, n, now_ms) ||
	    (leg->dtls == NULL && w->legs.dtls >= w->dtls_max) ||
	    (leg->dtls != NULL && leg->state != MDD_LEG_UP &&
		++leg->dtls_heard > MDD_HANDSHAKE_PKTS)) {
		w->count[MDD_DROP_RATE]++;
		return;
	}
	leg->heard += n;
	if (leg->dtls == NULL) {
		leg->owner = w;
		if (perc_dtls_new(&leg->dtls, w->id, true, leg->pin, NULL, 0,
			hop_send, leg) == 0)
			w->legs.dtls++;
		leg->dtls_until_ms = now_ms + MDD_HANDSHAKE_MS;
		leg->dtls_heard = 0;
	}
	if (leg->dtls == NULL) {
		w->count[MDD_DROP_DTLS]++;
		return;
	}
	if (again)
		mdd_rekey_begin(leg, now_ms);
	w->count[MDD_IN_DTLS]++;
	hop_after(w, leg, perc_dtls_input(leg->dtls, p, n));
}

void
mdd_hop_dial(struct mdd_worker *w, struct mdd_leg *leg)
{
	if (leg->dtls != NULL || w->legs.dtls >= w->dtls_max)
		return;
	leg->owner = w;
	if (perc_dtls_new(&leg->dtls, w->id, false, leg->pin, NULL, 0, hop_send,
		leg) != 0)
		return;
	w->legs.dtls++;
	leg->dtls_until_ms = perc_now_ms() + MDD_HANDSHAKE_MS;
	leg->dtls_heard = 0;
	hop_after(w, leg, perc_dtls_start(leg->dtls));
}
