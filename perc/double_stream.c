/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory of one SSRC is bounded in every direction: keys, candidates,
 * hashes. Forgetting the least recently useful key costs a late packet at
 * most; forgetting that a key was used would let it come back, so when that
 * memory is full of SPIs still live, new keys are refused instead.
 */
#include "perc/double_stream.h"

#include <stdlib.h>
#include <string.h>

#include "perc/secret.h"

int
rx_stream_new(struct rx_stream **sp, uint32_t ssrc, unsigned window)
{
	size_t words = perc_replay_words(window);
	struct rx_stream *s;

	s = calloc(1, sizeof(*s) + words * sizeof(s->bits[0]));
	*sp = s;
	if (s == NULL)
		return PERC_ERR_NOMEM;
	s->ssrc = ssrc;
	perc_replay_init(&s->replay, window, s->bits);
	return 0;
}

void
rx_stream_free(struct rx_stream *s)
{
	if (s == NULL)
		return;
	rx_stream_wipe(s);
	free(s);
}

static void
key_remove(struct rx_key *k, unsigned *n, unsigned i)
{
	perc_gcm_free(k[i].gcm);
	--*n;
	memmove(&k[i], &k[i + 1], (*n - i) * sizeof(*k));
	perc_wipe(&k[*n], sizeof(*k));
}

void
rx_stream_wipe(struct rx_stream *s)
{
	while (s->nkeys > 0)
		key_remove(s->key, &s->nkeys, s->nkeys - 1);
	while (s->ncand > 0)
		key_remove(s->cand, &s->ncand, s->ncand - 1);
	s->last.verdict = RX_NONE;
}

static void
keys_drop(struct rx_key *k, unsigned *n, uint16_t spi)
{
	unsigned i = *n;

	while (i-- > 0)
		if (k[i].spi == spi)
			key_remove(k, n, i);
}

void
rx_stream_drop(struct rx_stream *s, uint16_t spi)
{
	keys_drop(s->key, &s->nkeys, spi);
	keys_drop(s->cand, &s->ncand, spi);
	if (s->last.spi == spi)
		s->last.verdict = RX_NONE;
}

struct rx_key *
rx_key_find(struct rx_stream *s, uint16_t spi, uint64_t hash)
{
	unsigned i;

	for (i = 0; i < s->nkeys; i++)
		if (s->key[i].hash == hash && s->key[i].spi == spi)
			return &s->key[i];
	for (i = 0; i < s->ncand; i++)
		if (s->cand[i].hash == hash && s->cand[i].spi == spi)
			return &s->cand[i];
	return NULL;
}

bool
rx_key_used(const struct rx_stream *s, uint16_t spi, uint64_t hash)
{
	unsigned i;

	for (i = 0; i < s->nused; i++)
		if (s->used[i].hash == hash && s->used[i].spi == spi)
			return true;
	return false;
}

void
rx_cand_remove(struct rx_stream *s, unsigned i)
{
	key_remove(s->cand, &s->ncand, i);
}

void
rx_cand_add(struct rx_stream *s, const struct rx_key *k)
{
	if (s->ncand == RX_CANDIDATES)
		rx_cand_remove(s, RX_CANDIDATES - 1);
	memmove(&s->cand[1], &s->cand[0], s->ncand * sizeof(s->cand[0]));
	s->cand[0] = *k;
	s->ncand++;
}

static void
used_purge(struct rx_stream *s, const struct perc_ekt *e)
{
	unsigned i = 0;

	while (i < s->nused) {
		if (perc_ekt_has(e, s->used[i].spi))
			i++;
		else
			s->used[i] = s->used[--s->nused];
	}
}

int
rx_cand_prove(struct rx_stream *s, unsigned i, const struct perc_ekt *e)
{
	struct rx_key k = s->cand[i];

	if (s->nused == RX_USED)
		used_purge(s, e);
	if (s->nused == RX_USED)
		return PERC_ERR_LIMIT;
	s->used[s->nused].hash = k.hash;
	s->used[s->nused++].spi = k.spi;
	perc_epochs_commit(&s->epochs, k.spi, k.epoch);
	s->cand[i].gcm = NULL; /* k has it */
	rx_cand_remove(s, i);
	if (s->nkeys == RX_KEYS)
		key_remove(s->key, &s->nkeys, RX_KEYS - 1);
	memmove(&s->key[1], &s->key[0], s->nkeys * sizeof(s->key[0]));
	s->key[0] = k;
	s->nkeys++;
	return 0;
}

void
rx_key_front(struct rx_stream *s, unsigned i)
{
	struct rx_key k = s->key[i];

	if (i == 0)
		return;
	memmove(&s->key[1], &s->key[0], i * sizeof(s->key[0]));
	s->key[0] = k;
}

bool
rx_bucket_take(struct rx_bucket *b, uint32_t rate, int64_t now_ms)
{
	uint64_t full = (uint64_t)rate * 1000, tokens = b->tokens;

	/* a second fills it; before its first use it is full */
	if (now_ms - b->filled_ms >= 1000 || b->filled_ms == 0)
		tokens = full;
	else if (now_ms > b->filled_ms)
		tokens += (uint64_t)(now_ms - b->filled_ms) * rate;
	b->filled_ms = now_ms;
	if (tokens > full)
		tokens = full;
	b->tokens = (uint32_t)tokens;
	if (b->tokens < 1000)
		return false;
	b->tokens -= 1000;
	return true;
}
