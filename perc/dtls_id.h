/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What perc/dtls.c and perc/dtls_id.c share: nobody else includes this.
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

BIO_METHOD *perc_dtls_bio_new(void); /* freed with the id */
int perc_dtls_pin_check(X509_STORE_CTX *store, void *arg);
