/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log as its readers see it (docs/wire/audit.md): lines of canonical
 * JSON, each record's hash over the hash before it, checkpoints signed by the
 * KMF between them. The KMF writes with the first two functions, an auditor
 * verifies with the rest; this file knows no file, clock or network.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"
#include "perc/jose.h"

#define PERC_CHAIN_TYP	    "perch-checkpoint+jwt"
#define PERC_CHAIN_LINE_MAX 8192 /* octets of one line */

/* base64url(SHA-256(octets of prev || text)); prev "" for the first. */
PERC_MUST int perc_chain_hash(char out[static PERC_JKT_LEN + 1],
    const char *prev, const char *text, size_t len);
/* Sorted members, no white space: what is hashed, what is exported. NULL: no
 * memory. The caller free()s. */
char *perc_chain_text(const json_t *v);

struct perc_checkpoint {	     /* what a checkpoint says */
	int64_t n;		     /* the how manieth, from 1 */
	int64_t seq;		     /* of the newest record it covers */
	char hash[PERC_JKT_LEN + 1]; /* of that record */
	int64_t at_s;
};
/*
 * Signature, typ, issuer (NULL: any) and form. why gets a phrase.
 * PERC_ERR_AUTH, PERC_ERR_UNKNOWN_KEY, PERC_ERR_FORMAT, PERC_ERR_DENIED.
 */
PERC_MUST int perc_checkpoint_get(struct perc_checkpoint *out, const char *jws,
    size_t len, const struct perc_jwks *keys, const char *issuer, char *why,
    size_t cap);

struct perc_chain {		      /* a log while it is read */
	const struct perc_jwks *keys; /* borrowed */
	const char *issuer;	      /* borrowed; NULL: any */
	int64_t seq;		      /* of the newest record */
	char hash[PERC_JKT_LEN + 1];  /* of the newest; "" : not yet known */
	struct perc_checkpoint last;  /* seq 0: none yet */
	uint64_t records, checkpoints;
	int64_t lost; /* records that "restored" says are in no database */
	char why[256];
};
/* after: the log begins behind that record; 0: at its beginning. */
void perc_chain_start(struct perc_chain *c, const struct perc_jwks *keys,
    const char *issuer, int64_t after);
/* The next line, without its newline. On error why tells which record and
 * what is wrong with it, and the chain is at its end. */
PERC_MUST int
perc_chain_line(struct perc_chain *c, const char *line, size_t len);
/*
 * Does record o, of that seq, say that a backup was restored which ended at
 * record `at` with that hash? Only such a record may follow it with a gap.
 */
bool perc_chain_restored(
    const json_t *o, int64_t seq, int64_t at, const char *hash);
/* Nothing may stand behind the last checkpoint: whoever cuts off the end must
 * cut at one, and is found by a newer one. */
PERC_MUST int perc_chain_end(struct perc_chain *c);
