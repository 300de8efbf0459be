/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DTLS-SRTP (RFC 5764) on OpenSSL, datagrams in and out by callback; both
 * roles. Offers and accepts SRTP_AEAD_AES_256_GCM and _128_GCM only; the peer
 * is whoever holds the certificate with the pinned SHA-256 fingerprint.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"
#include "perc/srtp.h"

#define PERC_FINGERPRINT_LEN 32
#define PERC_FINGERPRINT_TEXT 104 /* "sha-256 AB:CD:..." with NUL */
#define PERC_DTLS_DATAGRAM 1200	  /* largest we send */

struct perc_dtls_id; /* a certificate and its key, P-256, self-signed */
PERC_MUST int perc_dtls_id_generate(struct perc_dtls_id **ip, const char *cn,
    unsigned days);
void perc_dtls_id_free(struct perc_dtls_id *i);
void perc_dtls_id_fingerprint(const struct perc_dtls_id *i,
    uint8_t out[static PERC_FINGERPRINT_LEN]);
void perc_fingerprint_put(char out[static PERC_FINGERPRINT_TEXT],
    const uint8_t fp[static PERC_FINGERPRINT_LEN]);
PERC_MUST int perc_fingerprint_get(uint8_t out[static PERC_FINGERPRINT_LEN],
    const char *text);

struct perc_dtls; /* one association */

enum perc_dtls_state { PERC_DTLS_HANDSHAKE, PERC_DTLS_UP, PERC_DTLS_CLOSED,
	PERC_DTLS_FAILED };

struct perc_dtls_keys { /* RFC 5764 section 4.2; ours sends, theirs comes */
	enum perc_srtp_profile profile;
	size_t keylen;
	uint8_t tx_key[PERC_SRTP_KEY_MAX], tx_salt[PERC_SRTP_SALT_LEN];
	uint8_t rx_key[PERC_SRTP_KEY_MAX], rx_salt[PERC_SRTP_SALT_LEN];
};

typedef void (*perc_dtls_send_fn)(const uint8_t *p, size_t n, void *arg);

/* profiles: NULL for 256 then 128. pin: the peer's fingerprint, copied. id
 * must outlive the association, send must not call back into it. */
PERC_MUST int perc_dtls_new(struct perc_dtls **dp,
    const struct perc_dtls_id *id, bool server,
    const uint8_t pin[static PERC_FINGERPRINT_LEN],
    const enum perc_srtp_profile *profiles, unsigned nprofiles,
    perc_dtls_send_fn send, void *arg);
void perc_dtls_free(struct perc_dtls *d); /* no close_notify */
PERC_MUST int perc_dtls_start(struct perc_dtls *d); /* client: first flight */
/* One datagram from the peer; may call send. PERC_ERR_AUTH: pin mismatch or
 * no common profile, association dead. */
PERC_MUST int perc_dtls_input(struct perc_dtls *d, const uint8_t *p, size_t n);
/* Milliseconds until perc_dtls_timeout must be called, or -1. First
 * retransmission after 100 ms. */
int perc_dtls_next_ms(struct perc_dtls *d);
PERC_MUST int perc_dtls_timeout(struct perc_dtls *d);
enum perc_dtls_state perc_dtls_state(const struct perc_dtls *d);
/* Why the peer was turned away, once there was a PERC_ERR_AUTH. */
enum perc_dtls_refusal { PERC_DTLS_NOT_REFUSED, PERC_DTLS_WRONG_PIN,
	PERC_DTLS_NO_PROFILE };
enum perc_dtls_refusal perc_dtls_refusal(const struct perc_dtls *d);
/* Once up; the caller wipes. PERC_ERR_STATE. */
PERC_MUST int perc_dtls_keys(struct perc_dtls *d, struct perc_dtls_keys *k);
/* Split exporter output (profiles 7, 8, 9, 10) in RFC 5764 order; the Double
 * profiles give 32/64-octet keys and 24-octet salts. */
struct perc_dtls_split {
	size_t keylen, saltlen;
	uint8_t client_key[64], server_key[64];
	uint8_t client_salt[24], server_salt[24];
};
PERC_MUST int perc_dtls_split(struct perc_dtls_split *out, unsigned profile,
    const uint8_t *material, size_t n);
void perc_dtls_close(struct perc_dtls *d); /* send close_notify */
