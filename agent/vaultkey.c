/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sealed answer to a key request: the first key of a conference, and the
 * way back when a pushed one was missed. The front carried it and may have
 * kept it, changed it, or brought another's; what counts is the seal to this
 * vault, the pinned KMF's signature, and that it was never shown before.
 */
#include <string.h>

#include "agent/vault.h"

/* A sealed answer counts once, whatever became of its conference since. */
static int
answer_fresh(struct vault *v, const uint8_t hash[static PERC_SHA256_LEN],
    struct vault_seen **freep)
{
	int64_t now_s = perc_wall_ms() / 1000;
	unsigned i;

	*freep = NULL;
	for (i = 0; i < VAULT_ANSWERS_MAX; i++) {
		if (v->seen[i].until_s <= now_s)
			*freep = &v->seen[i];
		else if (perc_equal(v->seen[i].hash, hash, PERC_SHA256_LEN))
			return vault_refuse(
			    v, PERC_ERR_REPLAY, "answer used already");
	}
	if (*freep == NULL)
		return vault_refuse(v, PERC_ERR_LIMIT, "too many answers");
	return 0;
}

/* What must stay as it was for the whole of a membership. */
static int
answer_constant(struct vault_slot *s, const struct vault_answer *a)
{
	uint32_t is[VAULT_LOCAL_STREAMS] = { 0 };
	bool same = true;
	unsigned i;

	for (i = 0; i < a->nssrcs; i++)
		is[vault_ssrc_place(&a->ssrcs[i])] = a->ssrcs[i].ssrc;
	for (i = 0; i < VAULT_LOCAL_STREAMS; i++)
		same &= s->local[i].ssrc == is[i];
	if (s->state == VAULT_SLOT_LIVE &&
	    (strcmp(s->member, a->member) != 0 || !same))
		return vault_refuse(
		    s->v, PERC_ERR_CONFLICT, "member or SSRCs changed");
	return 0;
}

/* Table, receiver, senders: before the first key. */
static int
slot_prepare(struct vault_slot *s, const struct vault_answer *a)
{
	struct vault_local *l;
	unsigned i;
	int r;

	if (s->state == VAULT_SLOT_LIVE)
		return 0;
	if ((r = perc_ekt_new(&s->ekt)) != 0 ||
	    (r = perc_double_rx_new(
		 &s->rx, s->ekt, VAULT_SSRCS_MAX, VAULT_WINDOW)) != 0 ||
	    (r = vault_hold_init(&s->hold)) != 0)
		return r;
	for (i = 0; i < a->nssrcs; i++) {
		l = &s->local[vault_ssrc_place(&a->ssrcs[i])];
		l->ssrc = a->ssrcs[i].ssrc;
		l->layered =
		    l->media == VAULT_VIDEO && a->nssrcs > VAULT_BASE_STREAMS;
		if ((r = perc_double_tx_new(&l->tx, s->ekt, l->ssrc,
			 l->media == VAULT_VIDEO ? PERC_FULL_VIDEO
						 : PERC_FULL_AUDIO)) != 0)
			return r;
	}
	return 0;
}

static void
slot_describe(struct vault_slot *s, const struct vault_answer *a)
{
	memcpy(s->member, a->member, sizeof(s->member));
	memcpy(s->name, a->name, sizeof(s->name));
	memcpy(s->codecs, a->codecs, sizeof(s->codecs));
	s->ncodecs = a->ncodecs;
	s->overlap_ms = a->overlap_ms;
	s->roster_min = a->roster_seq;
}

static int
answer_install(struct vault_slot *s, const struct vault_answer *a)
{
	struct perc_secret *delivery = NULL;
	bool first = s->state != VAULT_SLOT_LIVE;
	int r;

	if ((r = answer_constant(s, a)) != 0 ||
	    (r = perc_secret_from(
		 &delivery, a->delivery, sizeof(a->delivery))) != 0 ||
	    (r = slot_prepare(s, a)) != 0)
		goto out;
	if (first || a->epoch > s->epoch)
		slot_describe(s, a);
	if ((r = vault_epoch_install(
		 s, a->epoch, &a->key, (int64_t)a->key.ttl_s * 1000)) != 0)
		goto out;
	if (s->state != VAULT_SLOT_LIVE) { /* no timer for its ttl: erased */
		first = false;
		r = PERC_ERR_NOMEM;
		goto out;
	}
	perc_secret_free(s->delivery);
	s->delivery = delivery;
	delivery = NULL;
out:
	if (r != 0 && first) { /* as it was: open, nothing held */
		vault_slot_wipe(s);
		s->state = VAULT_SLOT_OPEN;
	}
	perc_secret_free(delivery);
	return r;
}

static int
answer_verify(struct vault_slot *s, const char *jwe, struct vault_answer *a)
{
	struct vault *v = s->v;
	struct perc_jws j = { 0 };
	int64_t now_s = perc_wall_ms() / 1000;
	char *inner = NULL;
	const char *aud;
	size_t n;
	int r;

	if ((r = perc_jwe_open(&inner, &n, v->seal, jwe, strlen(jwe),
		 PERC_JOSE_BIG_MAX)) != 0) {
		vault_refuse(v, r, "answer is not sealed to this vault");
		goto out;
	}
	if ((r = perc_jws_verify_set(&j, inner, n, PERC_JOSE_BIG_MAX,
		 s->kmf->set, "perch-ekt+jwt")) != 0) {
		vault_refuse(v, r, "answer is not signed by the pinned KMF");
		goto out;
	}
	if ((r = vault_claims_common(
		 j.payload, s->kmf->url, s->conf, now_s, &v->why)) != 0)
		goto out;
	aud = json_string_value(json_object_get(j.payload, "aud"));
	if (aud == NULL || strcmp(aud, v->seal_jkt) != 0) {
		r = vault_refuse(v, PERC_ERR_DENIED, "answer for another");
		goto out;
	}
	r = vault_answer_get(a, j.payload, now_s, &v->why);
out:
	perc_jws_clear(&j);
	if (inner != NULL)
		perc_wipe(inner, strlen(inner));
	perc_secmem_free(inner);
	return r;
}

int
vault_key_take(struct vault_slot *s, const char *jwe)
{
	uint8_t hash[PERC_SHA256_LEN];
	struct vault_answer a = { 0 };
	struct vault_seen *place;
	int r;

	if ((r = perc_sha256(hash, jwe, strlen(jwe))) != 0 ||
	    (r = answer_fresh(s->v, hash, &place)) != 0 ||
	    (r = answer_verify(s, jwe, &a)) != 0 ||
	    (r = answer_install(s, &a)) != 0)
		goto out;
	memcpy(place->hash, hash, sizeof(hash));
	place->until_s = a.exp_s + 1;
out:
	perc_wipe(&a, sizeof(a));
	return r;
}
