/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proofs of peers that were used, so that each is good once. Every key has a
 * memory of its own, so that a peer that fills one shuts out nobody but
 * itself.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mdd/conf.h"
#include "perc/jose.h"

#define MDD_PROOFS_OF_KEY 1024 /* within MDD_PROOF_LIFE_S */
#define MDD_PROOF_S	  30   /* clocks may differ by this */
#define MDD_PROOF_LIFE_S  (2 * MDD_PROOF_S)

struct mdd_proof {
	char hash[PERC_JKT_LEN + 1];
	int64_t at_s;
};

struct mdd_proofs_of { /* one key */
	char jkt[PERC_JKT_LEN + 1]; /* empty: free */
	int64_t last_s;
	unsigned next; /* where the oldest is, once all places are taken */
	struct mdd_proof proof[MDD_PROOFS_OF_KEY];
};

struct mdd_proofs { /* all zero at first */
	struct mdd_proofs_of of[MDD_PEER_MAX];
};

/* Only for good proofs of a configured peer's key. False: it was here before,
 * or there is no room to remember it. */
bool mdd_proofs_fresh(
    struct mdd_proofs *q, const char *jkt, const char *jti_hash, int64_t now_s);
