/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receiving end to end. The EKTField stands outside every tag, so anybody on
 * the path may cut, swap or renumber it; only a key that opens a packet is
 * believed. The order is therefore: look at the field (free when it repeats),
 * unwrap a new one within a budget, keep its key as a candidate, try packet
 * and keys at hand, and commit key, Epoch, ROC and window when an inner tag
 * has verified. docs/ekt.md has the rules and where they leave RFC 8870.
 */
#include "perc/double.h"

#include <stdlib.h>
#include <string.h>

#include "perc/crypto.h"
#include "perc/double_table.h"
#include "perc/inner.h"
#include "perc/secret.h"
#include "perc/tail.h"

#define RX_TRY_KEYS  4	 /* proven keys tried on one packet */
#define RX_INDICES   4	 /* indices tried on one packet */
#define RX_RATE	     16	 /* unwraps a second of one SSRC */
#define RX_RATE_BASE 256 /* and of all, plus RX_RATE_PER each */
#define RX_RATE_PER  4

struct perc_double_rx {
	struct perc_ekt *ekt;
	struct rx_table table;
	uint32_t rate; /* unwraps a second of all SSRCs */
	struct rx_bucket bucket;
	bool again; /* what comes now was here before */
	struct perc_double_stats stats;
};

struct packet { /* one packet on its way through */
	int64_t now_ms;
	struct perc_tail tail;
	struct perc_inner inner;
	bool unknown_spi;
	bool roc_known; /* its field unwrapped, or did so before */
	uint32_t roc;
	uint64_t fresh; /* hash of the candidate that it brought, or 0 */
	unsigned n;
	uint64_t index[RX_INDICES];
};

int
perc_double_rx_new(struct perc_double_rx **rp, struct perc_ekt *ekt,
    unsigned max_ssrcs, unsigned window)
{
	struct perc_double_rx *r;
	int err;

	*rp = NULL;
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return PERC_ERR_NOMEM;
	if ((err = rx_table_init(&r->table, max_ssrcs, window)) != 0) {
		free(r);
		return err;
	}
	r->ekt = ekt;
	r->rate = RX_RATE_BASE + RX_RATE_PER * max_ssrcs;
	*rp = r;
	return 0;
}

void
perc_double_rx_free(struct perc_double_rx *r)
{
	if (r == NULL)
		return;
	rx_table_clear(&r->table);
	free(r);
}

int
perc_double_rx_list(struct perc_double_rx *r, const uint32_t *ssrcs, size_t n)
{
	return rx_table_list(&r->table, ssrcs, n);
}

void
perc_double_rx_drop(struct perc_double_rx *r, uint16_t spi)
{
	unsigned i;

	for (i = 0; i < r->table.n; i++)
		rx_stream_drop(r->table.stream[i], spi);
}

void
perc_double_rx_again(struct perc_double_rx *r, bool again)
{
	r->again = again;
}

const struct perc_double_stats *
perc_double_rx_stats(struct perc_double_rx *r)
{
	unsigned i;

	r->stats.keys = r->stats.candidates = 0;
	for (i = 0; i < r->table.n; i++) {
		r->stats.keys += r->table.stream[i]->nkeys;
		r->stats.candidates += r->table.stream[i]->ncand;
	}
	return &r->stats;
}

/* Enough to tell keys apart; of a random key it gives nothing away. */
static int
key_hash(const struct perc_ekt_plain *p, uint64_t *hash)
{
	uint8_t md[PERC_SHA256_LEN];
	int r = perc_sha256(md, p->key, p->keylen);

	memcpy(hash, md, sizeof(*hash));
	*hash |= 1; /* 0 stands for none */
	perc_wipe(md, sizeof(md));
	return r;
}

/* May a key that nobody knows become a candidate with this Epoch? */
static bool
epoch_fits(
    struct perc_double_rx *r, struct rx_stream *s, const struct perc_tail *t)
{
	int32_t high;

	perc_epochs_purge(&s->epochs, r->ekt);
	high = perc_epochs_high(&s->epochs, t->spi);
	return perc_epochs_check(&s->epochs, t->spi, t->epoch) == 0 &&
	    t->epoch - high <= RX_EPOCH_JUMP;
}

/*
 * A known key under a lower Epoch: one of the two was forged. The lower one is
 * believed, for a leap would lock out the keys to come; but never one that
 * an earlier key had.
 */
static void
epoch_heal(struct rx_stream *s, struct rx_key *k, const struct perc_tail *t)
{
	if (t->epoch >= k->epoch)
		return;
	if (k >= s->key && k < s->key + RX_KEYS) {
		if (k->epoch != perc_epochs_high(&s->epochs, t->spi))
			return;
		perc_epochs_lower(&s->epochs, t->spi, t->epoch);
		k->epoch = (uint16_t)perc_epochs_high(&s->epochs, t->spi);
	} else if (perc_epochs_check(&s->epochs, t->spi, t->epoch) == 0) {
		k->epoch = t->epoch;
	}
}

/* What the key of a good field is to us: known, refused, or a candidate. */
static enum rx_verdict
key_judge(struct perc_double_rx *r, struct rx_stream *s, struct packet *p,
    const struct perc_ekt_plain *plain, struct rx_field *f)
{
	uint64_t hint = (uint64_t)plain->roc << 16 | p->inner.seq, hash;
	struct rx_key *known, k;

	if (key_hash(plain, &hash) != 0)
		return RX_NONE;
	f->roc = plain->roc;
	if ((known = rx_key_find(s, p->tail.spi, hash)) != NULL) {
		known->hint = hint;
		epoch_heal(s, known, &p->tail);
		return RX_GOOD;
	}
	if (rx_key_used(s, p->tail.spi, hash) || !epoch_fits(r, s, &p->tail)) {
		r->stats.rollbacks_refused++;
		return RX_IGNORE;
	}
	k = (struct rx_key){ .hash = hash,
		.hint = hint,
		.spi = p->tail.spi,
		.epoch = p->tail.epoch };
	if (perc_ekt_gcm(r->ekt, k.spi, plain->key, plain->keylen, &k.gcm) != 0)
		return RX_NONE; /* out of memory: the next field will do */
	rx_cand_add(s, &k);
	p->fresh = hash;
	return RX_GOOD;
}

/* RFC 8870 section 4.3.2, steps 2 to 6, for a field not seen just before. */
static enum rx_verdict
field_open(struct perc_double_rx *r, struct rx_stream *s, struct packet *p,
    struct rx_field *f)
{
	struct perc_ekt_plain plain;
	enum rx_verdict v;
	int err;

	r->stats.unwraps++;
	err = perc_ekt_open(r->ekt, p->tail.spi, p->tail.ciphertext,
	    p->tail.ciphertext_len, &plain);
	if (err != 0) /* our own trouble is no verdict on the field */
		v = err == PERC_ERR_AUTH || err == PERC_ERR_FORMAT ? RX_DROP
								   : RX_NONE;
	else if (plain.ssrc != s->ssrc)
		v = RX_IGNORE; /* step 5: the packet may be processed */
	else if (plain.keylen != perc_ekt_keylen(r->ekt, p->tail.spi))
		v = RX_DROP; /* step 6 */
	else
		v = key_judge(r, s, p, &plain, f);
	if (v != RX_GOOD)
		r->stats.fields_refused++;
	perc_wipe(&plain, sizeof(plain));
	return v;
}

static bool
field_same(const struct rx_field *f, const struct perc_tail *t)
{
	return f->verdict != RX_NONE && f->spi == t->spi &&
	    f->epoch == t->epoch && f->len == t->ciphertext_len &&
	    memcmp(f->ct, t->ciphertext, f->len) == 0;
}

/* 0: go on with the packet; PERC_ERR_AUTH: drop it. */
static int
field_take(struct perc_double_rx *r, struct rx_stream *s, struct packet *p)
{
	const struct perc_tail *t = &p->tail;
	struct rx_field *f = &s->last;

	if (t->type != PERC_TAIL_FULL)
		return 0; /* Short, or an extension that we do not know */
	if (!perc_ekt_live(r->ekt, t->spi, p->now_ms)) {
		r->stats.unknown_spi += !r->again;
		p->unknown_spi = true;
		return 0;
	}
	if (t->ciphertext_len > RX_CT_MAX) {
		r->stats.fields_refused++;
		return PERC_ERR_AUTH;
	}
	if (!field_same(f, t)) {
		if (!r->again &&
		    (!rx_bucket_take(&s->bucket, RX_RATE, p->now_ms) ||
			!rx_bucket_take(&r->bucket, r->rate, p->now_ms))) {
			r->stats.unwraps_limited++;
			return 0;
		}
		f->spi = t->spi;
		f->epoch = t->epoch;
		f->len = t->ciphertext_len;
		memcpy(f->ct, t->ciphertext, f->len);
		f->verdict = field_open(r, s, p, f);
	}
	p->roc_known = f->verdict == RX_GOOD;
	p->roc = f->roc;
	return f->verdict == RX_DROP ? PERC_ERR_AUTH : 0;
}

static void
index_add(const struct rx_stream *s, struct packet *p, uint64_t index)
{
	unsigned i;

	if (p->n == RX_INDICES || index > PERC_INDEX_MAX ||
	    perc_replay_check(&s->replay, index) != 0)
		return;
	for (i = 0; i < p->n; i++)
		if (p->index[i] == index)
			return;
	p->index[p->n++] = index;
}

/*
 * The indices that this packet may have, likeliest first: near the highest
 * one so far; after a long silence, with the ROC of its field, if that leads
 * forward. A stream that nobody heard yet has only what fields said.
 */
static void
indices_list(const struct rx_stream *s, struct packet *p)
{
	uint64_t by_field = (uint64_t)p->roc << 16 | p->inner.seq, index;
	unsigned i;

	p->n = 0;
	if (s->replay.started) {
		if (perc_index_guess(&index, s->replay.top, p->inner.seq) != 0)
			return;
		index_add(s, p, index);
		if (p->roc_known && p->roc > index >> 16)
			index_add(s, p, by_field);
		return;
	}
	if (p->roc_known)
		index_add(s, p, by_field);
	for (i = 0; i < s->ncand; i++)
		if (perc_index_guess(&index, s->cand[i].hint, p->inner.seq) ==
		    0)
			index_add(s, p, index);
}

static bool
key_opens(const struct perc_double_rx *r, const struct rx_key *k,
    const struct packet *p, uint64_t index, uint8_t *out, size_t *len)
{
	return perc_ekt_live(r->ekt, k->spi, p->now_ms) &&
	    perc_inner_open(k->gcm, &p->inner, index, out, len) == 0;
}

/* Try the keys at one index. On success the key stands at s->key[0], unless
 * the packet was late. */
static const struct rx_key *
keys_try(struct perc_double_rx *r, struct rx_stream *s, const struct packet *p,
    uint64_t index, uint8_t *out, size_t *len)
{
	unsigned i;

	for (i = 0; i < s->nkeys && i < RX_TRY_KEYS; i++) {
		if (!key_opens(r, &s->key[i], p, index, out, len))
			continue;
		if (index < s->replay.top)
			return &s->key[i];
		rx_key_front(s, i);
		return &s->key[0];
	}
	for (i = 0; i < s->ncand; i++) {
		if (!key_opens(r, &s->cand[i], p, index, out, len))
			continue;
		if (rx_cand_prove(s, i, r->ekt) != 0) {
			perc_wipe(out, *len);
			return NULL;
		}
		r->stats.keys_installed++;
		return &s->key[0];
	}
	return NULL;
}

/* A candidate that came with a packet which nothing opens, at a stream that
 * has keys, is rubbish or a forgery (RFC 8871 section 8.2.1). Where there is
 * no key yet it may be a joiner's first sight of the next key: it stays. */
static void
fresh_discard(struct rx_stream *s, const struct packet *p)
{
	unsigned i;

	if (p->fresh == 0 || s->nkeys == 0)
		return;
	for (i = 0; i < s->ncand; i++) {
		if (s->cand[i].hash != p->fresh)
			continue;
		rx_cand_remove(s, i);
		s->last.verdict = RX_NONE;
		return;
	}
}

static int
open_failed(
    struct perc_double_rx *r, struct rx_stream *s, const struct packet *p)
{
	bool keyless = s->nkeys + s->ncand == 0;

	fresh_discard(s, p);
	if (keyless)
		r->stats.no_key += !r->again;
	else
		r->stats.inner_auth_failed += !r->again;
	if (p->unknown_spi)
		return PERC_ERR_UNKNOWN_KEY;
	return keyless ? PERC_ERR_NOTFOUND : PERC_ERR_AUTH;
}

static int
packet_open(struct perc_double_rx *r, struct rx_stream *s, struct packet *p,
    uint8_t *out, struct perc_double_in *info)
{
	uint64_t proved = r->stats.keys_installed;
	const struct rx_key *k = NULL;
	unsigned i;

	indices_list(s, p);
	if (p->n == 0 && s->replay.started) {
		r->stats.replayed += !r->again;
		return PERC_ERR_REPLAY;
	}
	for (i = 0; i < p->n && k == NULL; i++)
		k = keys_try(r, s, p, p->index[i], out, &info->len);
	if (k == NULL)
		return open_failed(r, s, p);
	if (p->roc_known && s->replay.started &&
	    p->index[i - 1] > s->replay.top + 0x8000)
		r->stats.roc_hints++;
	perc_replay_commit(&s->replay, p->index[i - 1]);
	r->stats.opened++;
	info->roc = (uint32_t)(p->index[i - 1] >> 16);
	info->spi = k->spi;
	info->first = r->stats.keys_installed != proved;
	return 0;
}

int
perc_double_rx_open(struct perc_double_rx *r, int64_t now_ms, const uint8_t *in,
    size_t n, uint8_t *out, struct perc_double_in *info, uint16_t *unknown_spi)
{
	struct packet p = { .now_ms = now_ms };
	struct rx_stream *s;
	int err;

	*unknown_spi = 0;
	memset(info, 0, sizeof(*info));
	if ((err = perc_tail_find(&p.tail, in, n)) != 0 ||
	    (err = perc_inner_parse(&p.inner, in, n - p.tail.len)) != 0) {
		r->stats.malformed++;
		return err;
	}
	info->ssrc = p.inner.h.ssrc;
	info->seq = p.inner.seq;
	info->outer_pt = p.inner.h.pt;
	info->outer_seq = p.inner.h.seq;
	if ((s = rx_table_find(&r->table, info->ssrc)) == NULL || !s->listed) {
		r->stats.not_listed++;
		return PERC_ERR_DENIED;
	}
	err = field_take(r, s, &p);
	if (p.unknown_spi)
		*unknown_spi = p.tail.spi;
	if (err != 0)
		return err;
	return packet_open(r, s, &p, out, info);
}
