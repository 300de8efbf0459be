/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending end to end. A key goes through a queue: announced at the tail,
 * encrypting at the head. Two rules pull against each other: receivers should
 * get 250 ms to learn a new key (RFC 8870 section 4.3.1), and whoever was
 * evicted must not read on. So each key waits out its own 250 ms and no more,
 * however many follow it; and a source that was silent for that long after
 * the switch does not go back to the old key, which receivers may have wiped
 * and the evicted still have.
 *
 * SEQ and ROC go on across keys (RFC 3711 section 3.3.1), so one window
 * guards the nonces of all of them. They must also go on when an endpoint
 * leaves and comes back under its SSRC, or receivers take it for a replay of
 * itself; so the ROC starts from the clock, always ahead of where it can have
 * been, and receivers are told it by the tag (RFC 8870 section 4.1).
 *
 * Who joins hears nothing before a Full field. The sender learns of him from
 * the roster, when his leg at the distributor is not there yet, so one field
 * at once would be lost: for a while they come as often as audio's.
 */
#include "perc/double.h"

#include <string.h>

#include "perc/crypto.h"
#include "perc/inner.h"
#include "perc/replay.h"
#include "perc/secret.h"

#define TX_KEYS		4
#define TX_OVERLAP_MS	250
#define TX_BURST	3
#define TX_AUDIO_MS	100
#define TX_VIDEO_MS	1000
#define TX_NEWCOMER_MS	3000 /* DTLS over a bad line, and a loss */
#define TX_WINDOW	PERC_REPLAY_MIN
#define TX_WINDOW_WORDS 2
#define TX_ROC_MS_LOG2	8 /* a wrap each 256 ms is 256,000 packets a second */
#define TX_EPOCH_MAX	0xffff

struct tx_key {
	struct perc_gcm *gcm;
	int64_t made_ms, announced_ms; /* announced_ms -1: not yet */
	uint16_t spi, epoch;
	unsigned burst; /* Full fields still to send in a row */
	size_t len;
	uint8_t key[PERC_EKT_KEY_MAX];
};

struct perc_double_tx {
	struct perc_ekt *ekt;
	uint32_t ssrc;
	enum perc_full_rule rule;
	bool key_frame;
	unsigned nkeys;
	struct tx_key key[TX_KEYS]; /* [0] encrypts, the last is announced */
	struct perc_epochs epochs;
	uint64_t start; /* first index, less its SEQ */
	struct perc_replay sent;
	uint64_t sent_bits[TX_WINDOW_WORDS];
	int64_t full_ms;	 /* when the last Full left */
	int64_t newcomer_end_ms; /* so long somebody may lack the key */
	/* the field sent last, as long as it stays the same */
	uint16_t field_spi, field_epoch;
	uint32_t field_roc;
	size_t field_len; /* 0: to be built */
	uint8_t field[PERC_EKT_FIELD_MAX];
};

int
perc_double_tx_new(struct perc_double_tx **tp, struct perc_ekt *ekt,
    uint32_t ssrc, enum perc_full_rule rule)
{
	struct perc_double_tx *t = perc_secmem_alloc(sizeof(*t));

	*tp = t;
	if (t == NULL)
		return PERC_ERR_NOMEM;
	memset(t, 0, sizeof(*t));
	t->ekt = ekt;
	t->ssrc = ssrc;
	t->rule = rule;
	perc_replay_init(&t->sent, TX_WINDOW, t->sent_bits);
	return 0;
}

static void
key_remove(struct perc_double_tx *t, unsigned i)
{
	perc_gcm_free(t->key[i].gcm);
	t->nkeys--;
	memmove(&t->key[i], &t->key[i + 1], (t->nkeys - i) * sizeof(t->key[0]));
	perc_wipe(&t->key[t->nkeys], sizeof(t->key[0]));
	if (i == t->nkeys) /* the announced one went */
		t->field_len = 0;
}

void
perc_double_tx_free(struct perc_double_tx *t)
{
	if (t == NULL)
		return;
	while (t->nkeys > 0)
		key_remove(t, t->nkeys - 1);
	perc_wipe(t, sizeof(*t));
	perc_secmem_free(t);
}

void
perc_double_tx_drop(struct perc_double_tx *t, uint16_t spi)
{
	unsigned i = t->nkeys;

	while (i-- > 0)
		if (t->key[i].spi == spi)
			key_remove(t, i);
}

/* May the key behind the head take over? */
static bool
head_done(const struct perc_double_tx *t, int64_t now_ms)
{
	const struct tx_key *next = &t->key[1];

	if (t->nkeys < 2)
		return false;
	if (!perc_ekt_live(t->ekt, t->key[0].spi, now_ms))
		return true;
	return now_ms -
	    (next->announced_ms < 0 ? next->made_ms : next->announced_ms) >=
	    TX_OVERLAP_MS;
}

static void
keys_advance(struct perc_double_tx *t, int64_t now_ms)
{
	unsigned i = t->nkeys;

	while (i-- > 0)
		if (!perc_ekt_live(t->ekt, t->key[i].spi, now_ms))
			key_remove(t, i);
	while (head_done(t, now_ms))
		key_remove(t, 0);
}

static int
key_make(
    struct perc_double_tx *t, struct tx_key *k, uint16_t spi, int64_t now_ms)
{
	int32_t high = perc_epochs_high(&t->epochs, spi);

	if (high == TX_EPOCH_MAX)
		return PERC_ERR_LIMIT;
	memset(k, 0, sizeof(*k));
	k->spi = spi;
	k->epoch = (uint16_t)(high + 1);
	k->made_ms = now_ms;
	k->announced_ms = -1;
	k->burst = TX_BURST;
	k->len = perc_ekt_keylen(t->ekt, spi);
	perc_random(k->key, k->len); /* never derived (RFC 8870 section 6) */
	return perc_ekt_gcm(t->ekt, spi, k->key, k->len, &k->gcm);
}

int
perc_double_tx_switch(struct perc_double_tx *t, uint16_t spi, int64_t now_ms)
{
	struct tx_key k;
	unsigned i;
	int r;

	if (!perc_ekt_live(t->ekt, spi, now_ms))
		return PERC_ERR_UNKNOWN_KEY;
	if (!perc_ekt_may_send(t->ekt, spi))
		return PERC_ERR_DENIED;
	perc_epochs_purge(&t->epochs, t->ekt);
	if ((r = key_make(t, &k, spi, now_ms)) != 0)
		goto out;
	keys_advance(t, now_ms);
	/* one that nobody heard of makes place at once */
	if (t->nkeys > 0 && t->key[t->nkeys - 1].announced_ms < 0)
		key_remove(t, t->nkeys - 1);
	if (t->nkeys == TX_KEYS)
		key_remove(t, 0);
	for (i = 0; i < t->nkeys; i++) /* its Epoch would be a step back */
		if (t->key[i].spi == spi)
			t->key[i].burst = 0;
	t->key[t->nkeys++] = k;
	t->field_len = 0;
	if (!t->sent.started)
		t->start = (uint64_t)(uint32_t)(now_ms >> TX_ROC_MS_LOG2) << 16;
out:
	perc_wipe(&k, sizeof(k));
	return r;
}

void
perc_double_tx_key_frame(struct perc_double_tx *t)
{
	t->key_frame = true;
}

void
perc_double_tx_newcomer(struct perc_double_tx *t, int64_t now_ms)
{
	t->newcomer_end_ms = now_ms + TX_NEWCOMER_MS;
}

/* The newest, as often as the rules say. One that it followed within its own
 * burst still encrypts for a while, and whoever lost the one or two fields
 * that it had would never open that: it gets the rest behind. */
static struct tx_key *
field_key(struct perc_double_tx *t)
{
	unsigned i = t->nkeys;

	while (i-- > 0)
		if (t->key[i].burst > 0)
			return &t->key[i];
	return &t->key[t->nkeys - 1];
}

/* RFC 8870 section 4.6 */
static bool
full_due(const struct perc_double_tx *t, const struct tx_key *k, int64_t now_ms)
{
	bool often = t->rule == PERC_FULL_AUDIO || now_ms < t->newcomer_end_ms;

	if (k->burst > 0 || t->key_frame)
		return true;
	return now_ms - t->full_ms >= (often ? TX_AUDIO_MS : TX_VIDEO_MS);
}

static void
full_sent(struct perc_double_tx *t, struct tx_key *k, int64_t now_ms)
{
	if (k->announced_ms < 0) {
		k->announced_ms = now_ms;
		perc_epochs_commit(&t->epochs, k->spi, k->epoch);
	}
	if (k->burst > 0)
		k->burst--;
	t->key_frame = false;
	t->full_ms = now_ms;
}

/* The wrap is deterministic: only a new key or ROC needs a new one. */
static int
field_build(struct perc_double_tx *t, const struct tx_key *k, uint32_t roc)
{
	if (t->field_len > 0 && t->field_roc == roc && t->field_spi == k->spi &&
	    t->field_epoch == k->epoch)
		return 0;
	t->field_len = 0;
	t->field_roc = roc;
	t->field_spi = k->spi;
	t->field_epoch = k->epoch;
	return perc_ekt_full(t->ekt, k->spi, k->epoch, k->key, k->len, t->ssrc,
	    roc, t->field, &t->field_len);
}

static int
index_find(const struct perc_double_tx *t, uint16_t seq, uint64_t *index)
{
	int r;

	*index = t->start | seq;
	if (!t->sent.started)
		return 0;
	if ((r = perc_index_guess(index, t->sent.top, seq)) != 0)
		return r;
	return perc_replay_check(&t->sent, *index);
}

int
perc_double_tx_seal(struct perc_double_tx *t, int64_t now_ms, const uint8_t *in,
    size_t n, uint8_t *out, size_t cap, size_t *outlen)
{
	static const uint8_t short_field[1];
	const uint8_t *field = short_field;
	size_t field_len = 1;
	struct perc_rtp h;
	struct tx_key *k;
	uint64_t index;
	int r;

	if ((r = perc_rtp_parse(&h, in, n)) != 0)
		return r;
	if (h.ssrc != t->ssrc)
		return PERC_ERR_INVAL;
	keys_advance(t, now_ms);
	if (t->nkeys == 0)
		return PERC_ERR_STATE;
	if ((r = index_find(t, h.seq, &index)) != 0)
		return r;
	k = field_key(t);
	if (full_due(t, k, now_ms)) {
		if ((r = field_build(t, k, (uint32_t)(index >> 16))) != 0)
			return r;
		field = t->field;
		field_len = t->field_len;
	}
	if (cap < PERC_INNER_ROOM + field_len ||
	    cap - PERC_INNER_ROOM - field_len < n)
		return PERC_ERR_SHORT;
	/* committed before the cipher sees it: a nonce never repeats */
	perc_replay_commit(&t->sent, index);
	r = perc_inner_seal(t->key[0].gcm, &h, index, in, n, out);
	if (r != 0)
		return r;
	memcpy(out + n + PERC_INNER_ROOM, field, field_len);
	if (field_len > 1)
		full_sent(t, k, now_ms);
	*outlen = n + PERC_INNER_ROOM + field_len;
	return 0;
}

uint16_t
perc_double_tx_spi(const struct perc_double_tx *t)
{
	return t->nkeys == 0 ? 0 : t->key[0].spi;
}

uint32_t
perc_double_tx_roc(const struct perc_double_tx *t)
{
	return (uint32_t)(t->sent.top >> 16);
}
