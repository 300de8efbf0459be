/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EKT parameter sets and the EKTField with its key inside (RFC 8870). A set
 * is what the KMF hands out for one epoch: SPI, EKT key, master salt, cipher,
 * profile, time to live. Only the vault links this.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/enckey.h"
#include "perc/err.h"
#include "perc/gcm.h"

#define PERC_EKT_SETS_MAX  16 /* live parameter sets of one conference */
#define PERC_EKT_FIELD_MAX 63 /* octets of a Full field, 32-octet key */

struct perc_ekt; /* the table of one conference */

PERC_MUST int perc_ekt_new(struct perc_ekt **ep);
void perc_ekt_free(struct perc_ekt *e); /* wipes everything; NULL is fine */
/*
 * Install. expires_ms is on the caller's clock (the now_ms of every other
 * call). PERC_ERR_EXISTS: SPI there with the same octets; PERC_ERR_CONFLICT:
 * with others (an attack); PERC_ERR_LIMIT; PERC_ERR_UNSUPPORTED: profile
 * 000A with AESKW128; PERC_ERR_INVAL.
 */
PERC_MUST int perc_ekt_add(struct perc_ekt *e, const struct perc_enckey *k,
    int64_t expires_ms);
/* Wipe one set; returns how many went (0 or 1). */
unsigned perc_ekt_drop(struct perc_ekt *e, uint16_t spi);
/* Wipe all whose time is over; returns how many went. */
unsigned perc_ekt_expire(struct perc_ekt *e, int64_t now_ms);
bool perc_ekt_has(const struct perc_ekt *e, uint16_t spi);
/* There, and its time not over: it may encrypt and decrypt (RFC 8870, 6). */
bool perc_ekt_live(const struct perc_ekt *e, uint16_t spi, int64_t now_ms);
unsigned perc_ekt_count(const struct perc_ekt *e);

/* Octets of the SRTP master keys that travel under a set (16, 32; 0: no such
 * set), and whether an endpoint may send under it. */
size_t perc_ekt_keylen(const struct perc_ekt *e, uint16_t spi);
bool perc_ekt_may_send(const struct perc_ekt *e, uint16_t spi);
/* The inner transform of a key under a set: the salt is the set's (RFC 8871
 * section 4.5.1). PERC_ERR_UNKNOWN_KEY. */
PERC_MUST int perc_ekt_gcm(const struct perc_ekt *e, uint16_t spi,
    const uint8_t *srtp_key, size_t keylen, struct perc_gcm **gp);

/* Build a Full field under set spi; out has PERC_EKT_FIELD_MAX room.
 * PERC_ERR_UNKNOWN_KEY; PERC_ERR_INVAL: keylen is not the set's. */
PERC_MUST int perc_ekt_full(const struct perc_ekt *e, uint16_t spi,
    uint16_t epoch, const uint8_t *srtp_key, size_t keylen, uint32_t ssrc,
    uint32_t roc, uint8_t *out, size_t *outlen);

struct perc_ekt_plain { /* EKTPlaintext; the caller wipes */
	uint8_t key[PERC_EKT_KEY_MAX];
	size_t keylen; /* 1 .. 32 */
	uint32_t ssrc, roc;
};
/* Unwrap a ciphertext and take it apart, no more (RFC 8870 section 4.3.2,
 * steps 2 and 3). PERC_ERR_UNKNOWN_KEY (SPI), PERC_ERR_AUTH,
 * PERC_ERR_FORMAT; *p is wiped on error. */
PERC_MUST int perc_ekt_open(const struct perc_ekt *e, uint16_t spi,
    const uint8_t *ct, size_t n, struct perc_ekt_plain *p);
/* The same with the checks of steps 5 and 6. key has room for
 * PERC_EKT_KEY_MAX; wiped on error. PERC_ERR_UNKNOWN_KEY (SPI),
 * PERC_ERR_AUTH, PERC_ERR_FORMAT (SSRC, length). */
PERC_MUST int perc_ekt_unwrap(const struct perc_ekt *e, uint16_t spi,
    const uint8_t *ct, size_t n, uint32_t ssrc, uint8_t *key, size_t *keylen,
    uint32_t *roc);

/*
 * The Epochs of one SSRC under each SPI (RFC 8870 section 4.1): a key counts
 * only with a higher Epoch than all before.
 */
struct perc_epochs {
	struct perc_epoch {
		uint16_t spi;
		uint16_t high;	/* of the newest key */
		int32_t before; /* of the key before it, or -1 */
	} e[PERC_EKT_SETS_MAX];
	unsigned n;
};
/* 0; PERC_ERR_REPLAY: not higher; PERC_ERR_LIMIT: no room. */
PERC_MUST int perc_epochs_check(const struct perc_epochs *s, uint16_t spi,
    uint16_t epoch);
/* Highest so far, or -1. */
int32_t perc_epochs_high(const struct perc_epochs *s, uint16_t spi);
/* Only after a check that gave 0. */
void perc_epochs_commit(struct perc_epochs *s, uint16_t spi, uint16_t epoch);
/* The newest key was seen with this Epoch too: the lowest is believed, but
 * never one that the key before had. */
void perc_epochs_lower(struct perc_epochs *s, uint16_t spi, uint16_t epoch);
/* Forget SPIs that the table no longer has. */
void perc_epochs_purge(struct perc_epochs *s, const struct perc_ekt *e);
