/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICE-lite (RFC 8445 section 2.5): we answer checks and send none. A check
 * whose integrity holds proves that the leg's owner is at that address; only
 * then does DTLS state for it exist. Strangers cost a parse and a table
 * look-up, and get a bounded number of error answers, none longer than what
 * they sent to provoke it.
 */
#include "mdd/worker.h"

#include <string.h>

#include "perc/stun.h"

#define STUN_REQUEST 0x0001

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

/*
 * Who reads a check on the way could send it again from an address of his
 * choice and so turn the leg's media there. A check therefore moves a leg
 * only once: the last MDD_CHECKS of them are remembered.
 */
static bool
check_is_new(
    const struct mdd_worker *w, struct mdd_leg *leg, const struct perc_stun *m)
{
	uint32_t h = mdd_table_hash(&w->legs.by_addr, m->txid, sizeof(m->txid));
	unsigned i;

	for (i = 0; i < MDD_CHECKS; i++)
		if (leg->checks[i] == h)
			return false;
	leg->checks[leg->check_at++ % MDD_CHECKS] = h;
	return true;
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

static void
answer_owner(struct mdd_worker *w, struct mdd_leg *leg,
    const struct mdd_addr *to, const struct perc_stun *m, int64_t now_ms)
{
	uint8_t *out = mdd_batch_slot(w->out);
	size_t len;
	int r;

	if (address_is_anothers(w, leg, to, now_ms))
		return;
	if (m->unknown_n > 0)
		r = perc_stun_error(out, &len, m, leg->pwd, 420);
	else if (m->controlled) /* we are lite, so the peer controls */
		r = perc_stun_error(out, &len, m, leg->pwd, 487);
	else
		r = perc_stun_success(out, &len, m, leg->pwd, &to->u.sa);
	if (r != 0)
		return;
	mdd_batch_commit(w->out, to, len);
	leg->heard_ms = now_ms;
	if (m->unknown_n > 0 || m->controlled)
		return;
	/* The first address counts at once, another one when nominated. */
	if (check_is_new(w, leg, m) && (leg->addr.len == 0 || m->use_candidate))
		mdd_leg_bind(&w->legs, leg, to);
}

void
mdd_ice_input(struct mdd_worker *w, const struct mdd_addr *from,
    const uint8_t *p, size_t n, int64_t now_ms)
{
	struct mdd_leg *leg;
	struct perc_stun m;

	if (perc_stun_parse(&m, p, n) != 0 || m.type != STUN_REQUEST ||
	    !m.has_fingerprint) {
		w->count[MDD_DROP_STUN_FORM]++;
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
