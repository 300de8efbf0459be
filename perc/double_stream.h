/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a receiver knows of one SSRC: its keys at hand, keys offered but not
 * yet proven, keys once used, Epochs, and the end-to-end replay window. Used
 * by double_rx.c alone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/ekt.h"
#include "perc/replay.h"

#define RX_KEYS	      16 /* proven keys of one SSRC, last used first */
#define RX_CANDIDATES 2	 /* unproven ones, newest first */
#define RX_USED	      64 /* hashes of keys ever used */
#define RX_CT_MAX     56 /* longest ciphertext that can be ours */
#define RX_EPOCH_JUMP 1024 /* a higher leap is somebody's forgery */

struct rx_key {
	struct perc_gcm *gcm;
	uint64_t hash;
	uint64_t hint; /* index that its field named */
	uint16_t spi, epoch;
};

enum rx_verdict { RX_NONE, RX_GOOD, RX_IGNORE, RX_DROP };

struct rx_field { /* the last Full field, so that repeats cost nothing */
	enum rx_verdict verdict; /* RX_NONE: nothing remembered */
	uint16_t spi, epoch;
	size_t len;
	uint8_t ct[RX_CT_MAX];
	uint32_t roc; /* RX_GOOD: the ROC in it */
};

struct rx_bucket { /* one token a millisecond * rate / 1000 */
	int64_t filled_ms;
	uint32_t tokens; /* thousandths */
};

struct rx_stream {
	uint32_t ssrc;
	bool listed;
	uint64_t unlisted_at; /* order in which streams went, 0: listed */
	unsigned nkeys, ncand, nused;
	struct rx_key key[RX_KEYS];
	struct rx_key cand[RX_CANDIDATES];
	struct rx_field last;
	struct {
		uint64_t hash;
		uint16_t spi;
	} used[RX_USED];
	struct perc_epochs epochs;
	struct rx_bucket bucket;
	struct perc_replay replay;
	uint64_t bits[];
};

PERC_MUST int rx_stream_new(struct rx_stream **sp, uint32_t ssrc,
    unsigned window);
void rx_stream_free(struct rx_stream *s);
/* Wipe keys, candidates and the remembered field; what was used stays. */
void rx_stream_wipe(struct rx_stream *s);
/* The same for what came under one SPI. */
void rx_stream_drop(struct rx_stream *s, uint16_t spi);

/* The proven key or candidate with this hash, or NULL. */
struct rx_key *rx_key_find(struct rx_stream *s, uint16_t spi, uint64_t hash);
bool rx_key_used(const struct rx_stream *s, uint16_t spi, uint64_t hash);
/* Take k (its gcm too) as newest candidate; the oldest makes place. */
void rx_cand_add(struct rx_stream *s, const struct rx_key *k);
void rx_cand_remove(struct rx_stream *s, unsigned i);
/* An inner tag proved candidate i: from now on it is a key, its Epoch counts
 * and it can never come back once it is gone. PERC_ERR_LIMIT: no room to
 * remember it, so it may not be used. */
PERC_MUST int rx_cand_prove(struct rx_stream *s, unsigned i,
    const struct perc_ekt *e);
/* Key i opened the newest packet: try it first next time. */
void rx_key_front(struct rx_stream *s, unsigned i);

/* Take one token of `rate` a second (and as many at once); false: none. */
bool rx_bucket_take(struct rx_bucket *b, uint32_t rate, int64_t now_ms);
