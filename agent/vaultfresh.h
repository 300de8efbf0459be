/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A roster being looked at: as it was signed (vaultroster.c), or built of the
 * one held and a signed difference (vaultdelta.c). Both are judged by the
 * head, which is computed here and never believed (perc/roster.h).
 */
#pragma once

#include "agent/vault.h"
#include "perc/roster.h"

#define VAULT_SEQ_MAX (INT64_C(1) << 53)

struct vault_fresh {
	uint64_t seq, epoch;
	int64_t exp_s;
	bool whole;		       /* it came as a text of its own */
	uint8_t text[PERC_SHA256_LEN]; /* hash of that */
	bool chained;		       /* before was told */
	uint8_t before[PERC_ROSTER_HASH], head[PERC_ROSTER_HASH];
	const char *prev;
	json_t *list; /* borrowed */
	struct vault_member *members;
	struct vault_stream *streams;
	size_t nmembers, nstreams;
	bool listed;
};

void vault_members_free(struct vault_member *m, size_t n);
void vault_fresh_clear(struct vault_fresh *f);
/* iss, conference, seq, epoch, exp, head_before; words by vault_refuse. */
PERC_MUST int vault_fresh_claims(
    struct vault_slot *s, struct vault_fresh *f, const json_t *claims);
/* Room for n members, and for all streams that a roster may have. */
PERC_MUST int vault_fresh_room(struct vault_fresh *f, size_t n);
/* One entry of a roster, behind those that are there. */
PERC_MUST int vault_fresh_member(
    struct vault_slot *s, struct vault_fresh *f, const json_t *entry);
/* Order the streams and compute the head. PERC_ERR_FORMAT: one SSRC of two. */
PERC_MUST int vault_fresh_end(struct vault_fresh *f);
/* It becomes the one held. */
PERC_MUST int
vault_fresh_adopt(struct vault_slot *s, struct vault_fresh *f, bool gap);
/* The conference counts as forked from now on. */
int vault_forked(struct vault_slot *s, const char *why);

/* vaultdelta.c: claims are signed by the KMF. */
PERC_MUST int vault_delta_take(
    struct vault_slot *s, struct vault_fresh *f, const json_t *claims);
