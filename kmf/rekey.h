/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The epoch engine: when a conference gets a new key, and when its roster is
 * signed. Pure: time comes in, orders go out, and the whole state is this
 * struct, which the keeper keeps in the conference's row.
 *
 * The promises (design.md section 6):
 * - A joiner is given an epoch that is at most join_window_ms old, so nobody
 *   reads more of the past than that; a burst of joins shares one epoch.
 * - After a leave the next epoch comes leave_window_ms later; leaves meanwhile
 *   share it. After an eviction it comes at once, unless an epoch was made
 *   within leave_window_ms: then at the end of that window.
 * - No epoch grows older than max_epoch_age_s while anybody is there: it is
 *   replaced at nine tenths of that, so that whoever is on time never sees
 *   the ttl end.
 * - No SPI comes back. When all 65,536 are used up the conference ends.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "perc/err.h"

#define KMF_SPIS 65536
#define KMF_ROSTER_PERIOD_MS 30000
/* Rosters are signed at most this often; more seldom in big rooms, where
 * many come at once and each roster goes to all. */
#define KMF_ROSTER_GAP_MS 100
#define KMF_ROSTER_GAP_BIG_MS 500
#define KMF_ROSTER_INLINE_MAX 50 /* members; beyond, the event is bare */

struct kmf_policy {
	bool rekey_on_leave, rekey_on_join;
	uint32_t join_window_ms, leave_window_ms;
	uint32_t max_epoch_age_s, overlap_ms, lease_s, early_entry_s;
	uint32_t video_layers; /* SSRCs of a newcomer's picture */
	bool aes256; /* AESKW256 with AEAD_AES_256_GCM */
};

struct kmf_rekey {
	uint32_t epoch;	    /* newest; 0: none yet */
	uint16_t spi_start; /* random */
	uint16_t spi_step;  /* random, odd */
	int64_t epoch_ms;   /* when the newest was made; 0: it was destroyed */
	int64_t rekey_ms;   /* a leave wants one then; 0: none */
	int64_t roster_ms;  /* next roster; 0: none */
};

enum kmf_order { /* a set of bits; carry out in this order */
	KMF_DO_END = 1,	   /* no SPI left */
	KMF_DO_EPOCH = 2,  /* make an epoch, then call kmf_rekey_made */
	KMF_DO_ROSTER = 4, /* sign a roster, then call kmf_rekey_signed */
};

/* SPI of an epoch (1..): start + epoch * step, of full period as step is
 * odd. */
uint16_t kmf_rekey_spi(const struct kmf_rekey *r, uint32_t epoch);

/*
 * A token bucket: so many at once, then one every so often. Its state is one
 * time, when it will be full again. What coming in may cost is chosen so
 * that the 65,536 SPIs last for the 31 days of the longest conference: 12,288
 * epochs at once, one per 80 s after (33,480), those by age at the default
 * of one per 270 s (9,920), and one leave of everybody there (5,000).
 */
struct kmf_bucket {
	int64_t every_ms;
	unsigned burst;
};
#define KMF_JOINS    { 5000, 20 }     /* of a person in a conference */
#define KMF_OPENINGS { 10000, 60 }    /* of an empty room */
#define KMF_CHURN    { 80000, 12288 } /* epochs made by coming and going */
/* 0 and one is taken; else how long to wait for it. */
int64_t kmf_bucket_take(int64_t *full_ms, const struct kmf_bucket *b,
    int64_t now_ms);
/* Take one that may not be refused; a debt keeps later ones out. */
void kmf_bucket_spend(int64_t *full_ms, const struct kmf_bucket *b,
    int64_t now_ms);

/* Would kmf_rekey_join ask for an epoch? */
bool kmf_rekey_join_needs(const struct kmf_rekey *r,
    const struct kmf_policy *p, int64_t now_ms);
/* Somebody comes in who was not live: does that ask for an epoch? */
unsigned kmf_rekey_join(struct kmf_rekey *r, const struct kmf_policy *p,
    int64_t now_ms, unsigned live);
/* Somebody left, or a lease ran out; `live` are left. */
unsigned kmf_rekey_leave(struct kmf_rekey *r, const struct kmf_policy *p,
    int64_t now_ms, unsigned live);
/* Somebody was put out, or an administrator asks for a new key. */
unsigned kmf_rekey_evict(struct kmf_rekey *r, const struct kmf_policy *p,
    int64_t now_ms, unsigned live);
/* Time passed. */
unsigned kmf_rekey_tick(struct kmf_rekey *r, const struct kmf_policy *p,
    int64_t now_ms, unsigned live);
/* What the keeper did. */
void kmf_rekey_made(struct kmf_rekey *r, int64_t now_ms);
void kmf_rekey_signed(struct kmf_rekey *r, int64_t now_ms);
/* When to call tick at the latest; 0: no need. */
int64_t kmf_rekey_due(const struct kmf_rekey *r, const struct kmf_policy *p,
    unsigned live);
