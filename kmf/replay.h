/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Proofs that were seen (RFC 9449, 11.1) and cannot be good after a restart,
 * in memory: no row, no disk. Only for proofs that carry a nonce of this
 * keeper's life; its key dies with it, and with that all of them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define KMF_REPLAY_MAX	    (1u << 18) /* places, 16 octets each */
#define KMF_REPLAY_SLICE_S  32	       /* forgotten together */
#define KMF_REPLAY_SLICES   8
#define KMF_REPLAY_HASH_LEN 16 /* octets of a hash that are kept */

struct kmf_replay {
	uint64_t mix; /* secret: nobody chooses places */
	struct kmf_replay_slice {
		int64_t no; /* until_s / KMF_REPLAY_SLICE_S */
		uint8_t (*seen)[KMF_REPLAY_HASH_LEN]; /* zeros: empty */
		size_t n, cap;
	} slice[KMF_REPLAY_SLICES];
	size_t places; /* of all slices */
};

void kmf_replay_init(struct kmf_replay *r);
void kmf_replay_clear(struct kmf_replay *r);
/*
 * hash: base64url of SHA-256. PERC_ERR_EXISTS: seen before. PERC_ERR_LIMIT:
 * not remembered, for want of room or because it is no such hash or time;
 * the caller must remember it elsewhere. What was added stays until it may be
 * forgotten, whatever becomes of the request.
 */
PERC_MUST int kmf_replay_add(
    struct kmf_replay *r, const char *hash, int64_t until_s, int64_t now_s);
void kmf_replay_forget(struct kmf_replay *r, int64_t now_s);
