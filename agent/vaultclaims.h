/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the KMF says, taken apart: claims of the sealed key answer and of the
 * epoch statement (docs/wire/tokens.md) as plain structs. Forms, ranges and
 * inner consistency are checked here; whether it fits what the vault already
 * holds is decided by vaultkey.c. Signatures are verified before.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/vaultmsg.h"
#include "perc/crypto.h"
#include "perc/enckey.h"
#include "perc/err.h"

#define VAULT_ID_MAX	     64	  /* characters of an id, with NUL */
#define VAULT_NAME_MAX	     256  /* octets of a display name, with NUL */
#define VAULT_CODECS_MAX     16	  /* of one conference */
#define VAULT_SSRCS_MAX	     2048 /* of one conference */
#define VAULT_DELIVERY_LEN   32
#define VAULT_SKEW_S	     60 /* clocks may differ by this much */
#define VAULT_OVERLAP_MIN_MS 500
#define VAULT_OVERLAP_MAX_MS 60000

enum vault_media { VAULT_AUDIO, VAULT_VIDEO };
const char *vault_media_name(enum vault_media m);

struct vault_codec {
	enum vault_media media;
	uint8_t pt;
	char name[48]; /* as in a=rtpmap: "opus/48000/2" */
	uint32_t rate; /* RTP clock */
};

struct vault_ssrc {
	uint32_t ssrc;
	enum vault_media media;
	uint8_t layer; /* of a picture; 0 the worst, or the only one */
};

struct vault_answer { /* the caller wipes */
	struct perc_enckey key;
	uint64_t epoch, roster_seq;
	char member[VAULT_ID_MAX], name[VAULT_NAME_MAX];
	uint8_t delivery[VAULT_DELIVERY_LEN];
	struct vault_ssrc ssrcs[VAULT_LOCAL_STREAMS];
	unsigned nssrcs;
	struct vault_codec codecs[VAULT_CODECS_MAX];
	unsigned ncodecs;
	int64_t overlap_ms, exp_s;
};

struct vault_statement {
	uint64_t epoch;
	uint16_t spi;
	char keyid[PERC_ENCKEY_KEYID_MAX + 1];
	enum perc_ekt_cipher cipher;
	enum perc_double_profile profile;
	uint32_t ttl_s;
	int64_t iat_s;
	uint8_t hash[PERC_SHA256_LEN];
};

/* *why gets a static phrase on error; PERC_ERR_FORMAT, _DENIED, _EXPIRED.
 * now_s: seconds since 1970. */
PERC_MUST int vault_answer_get(struct vault_answer *a, const json_t *claims,
    int64_t now_s, const char **why);
PERC_MUST int vault_statement_get(struct vault_statement *st,
    const json_t *claims, int64_t now_s, const char **why);
/* iss, conference and iat (not from the future) of any statement. */
PERC_MUST int vault_claims_common(const json_t *claims, const char *iss,
    const char *conf, int64_t now_s, const char **why);
/* {"ssrc", "media", "layer"?} of an array's element. PERC_ERR_UNSUPPORTED: of
 * later days. */
PERC_MUST int vault_ssrc_get(struct vault_ssrc *s, const json_t *o);
/* Which of the local streams it is. */
unsigned vault_ssrc_place(const struct vault_ssrc *s);
/* 1..63 of A-Z a-z 0-9 - . _ ~ */
bool vault_id_ok(const char *s);
