/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Encryption-Key response header (draft-thomson-http-encryption, with the
 * parameters that docs/http-key.md defines): how a KMF hands an EKT key to an
 * HTTPS client that is the user agent itself. One group per key; a group
 * whose usage is not "EKT" is skipped, anything wrong refuses the whole; so
 * does a group without a usage when there is no EKT key beside it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PERC_ENCKEY_MAX 4	 /* groups in one answer */
#define PERC_ENCKEY_KEYID_MAX 64 /* characters */
#define PERC_ENCKEY_TEXT_MAX 512 /* characters of one group we write */
#define PERC_EKT_SALT_LEN 12
#define PERC_EKT_KEY_MAX 32

enum perc_ekt_cipher { PERC_AESKW128 = 1, PERC_AESKW256 = 2 };
enum perc_double_profile { PERC_DOUBLE_128 = 0x0009, PERC_DOUBLE_256 = 0x000a };

struct perc_enckey {
	char keyid[PERC_ENCKEY_KEYID_MAX + 1];
	uint8_t key[PERC_EKT_KEY_MAX]; /* wiped by the holder */
	size_t keylen;		       /* 16 or 32 */
	uint8_t salt[PERC_EKT_SALT_LEN];
	enum perc_ekt_cipher cipher;
	enum perc_double_profile profile;
	uint16_t spi;
	uint32_t ttl_s;	 /* 1 .. 16777215, counted from receipt */
	int recvonly;
};

/* Parse a field value (not NUL-terminated). *n: groups of usage EKT found.
 * On error everything in keys is wiped. PERC_ERR_FORMAT, PERC_ERR_LIMIT. */
PERC_MUST int perc_enckey_parse(struct perc_enckey keys[static PERC_ENCKEY_MAX],
    size_t *n, const char *value, size_t len);
/* Write one group; out has cap octets, NUL-terminated. The caller wipes. */
PERC_MUST int perc_enckey_print(char *out, size_t cap,
    const struct perc_enckey *k);

/* RFC 8870 section 5.2.2 EKTKey struct: 37 or 53 octets. The cipher follows
 * from the key length; keyid and profile are not carried. Of a longer salt the
 * first 12 octets count (RFC 8870 section 4.3.2). */
PERC_MUST int perc_ektkey_get(struct perc_enckey *k, const void *in, size_t n);
PERC_MUST int perc_ektkey_put(uint8_t *out, size_t *n,
    const struct perc_enckey *k);
