/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of perc/dtls.h share: nobody else includes this.
 */
#pragma once

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include "perc/dtls.h"

struct perc_dtls_id {
	X509 *cert;
	EVP_PKEY *key;
	SSL_CTX *ctx; /* of both roles: settings, certificate, pin check */
	BIO_METHOD *bio;
	uint8_t fp[PERC_FINGERPRINT_LEN];
};

struct perc_dtls {
	SSL *ssl;
	enum perc_dtls_state state;
	bool server;
	enum perc_dtls_refusal refusal;
	uint8_t pin[PERC_FINGERPRINT_LEN];
	const uint8_t *in; /* the datagram being read */
	size_t inlen;
	perc_dtls_send_fn send;
	void *arg;
};

BIO_METHOD *perc_dtls_bio_new(void); /* freed with the id */
int perc_dtls_pin_check(X509_STORE_CTX *store, void *arg);
int perc_dtls_hello_check(SSL *ssl, int *alert, void *arg);
