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

#define PERC_EKT_SETS_MAX 16  /* live parameter sets of one conference */
#define PERC_EKT_FIELD_MAX 63 /* octets of a Full field, 32-octet key */

struct perc_ekt_set; /* refcounted within its table */
struct perc_ekt;     /* the table of one conference */

PERC_MUST int perc_ekt_new(struct perc_ekt **ep);
void perc_ekt_free(struct perc_ekt *e); /* wipes everything */
/*
 * Install. expires_ms is on the caller's clock (the now_ms of every other
 * call). PERC_ERR_EXISTS: SPI there with the same octets; PERC_ERR_CONFLICT:
 * with others (an attack); PERC_ERR_LIMIT; PERC_ERR_UNSUPPORTED: profile
 * 000A with AESKW128.
 */
PERC_MUST int perc_ekt_add(struct perc_ekt *e, const struct perc_enckey *k,
    int64_t expires_ms);
/* Wipe one set, and all whose time is over; returns how many went. */
unsigned perc_ekt_drop(struct perc_ekt *e, uint16_t spi);
unsigned perc_ekt_expire(struct perc_ekt *e, int64_t now_ms);
bool perc_ekt_has(const struct perc_ekt *e, uint16_t spi);
unsigned perc_ekt_count(const struct perc_ekt *e);

/* Build a Full field under set spi; out has PERC_EKT_FIELD_MAX room.
 * PERC_ERR_UNKNOWN_KEY. */
PERC_MUST int perc_ekt_full(const struct perc_ekt *e, uint16_t spi,
    uint16_t epoch, const uint8_t *srtp_key, size_t keylen, uint32_t ssrc,
    uint32_t roc, uint8_t *out, size_t *outlen);
/* Unwrap a ciphertext. key has room for PERC_EKT_KEY_MAX; wiped on error.
 * PERC_ERR_UNKNOWN_KEY (SPI), PERC_ERR_AUTH, PERC_ERR_FORMAT (SSRC, length).*/
PERC_MUST int perc_ekt_unwrap(const struct perc_ekt *e, uint16_t spi,
    const uint8_t *ct, size_t n, uint32_t ssrc, uint8_t *key, size_t *keylen,
    uint32_t *roc);
