/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A DTLS identity: a P-256 key and a self-signed certificate, made in memory
 * and never written down, and the settings every association with it has.
 * P-256, because OpenSSL 3.0 finds no cipher for an Ed25519 DTLS server.
 */
#include "perc/dtls_id.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/crypto.h"

#define DAY_S 86400L

static int
cert_fill(X509 *x, EVP_PKEY *key, const char *cn, unsigned days)
{
	X509_NAME *name = X509_get_subject_name(x);
	uint8_t serial[8];
	BIGNUM *bn = NULL;
	int r = PERC_ERR_CRYPTO;

	perc_random(serial, sizeof(serial));
	serial[0] = (serial[0] & 0x7f) | 0x40; /* positive, never zero */
	if ((bn = BN_bin2bn(serial, sizeof(serial), NULL)) == NULL ||
	    BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x)) == NULL)
		goto out;
	/* A day back: the peer's clock matters to nobody, but some look. */
	if (X509_set_version(x, 2) != 1 ||
	    X509_gmtime_adj(X509_getm_notBefore(x), -DAY_S) == NULL ||
	    X509_gmtime_adj(X509_getm_notAfter(x), (long)days * DAY_S) ==
		NULL ||
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
		(const unsigned char *)cn, -1, -1, 0) != 1 ||
	    X509_set_issuer_name(x, name) != 1 ||
	    X509_set_pubkey(x, key) != 1 ||
	    X509_sign(x, key, EVP_sha256()) <= 0)
		goto out;
	r = 0;
out:
	BN_free(bn);
	return r;
}

static int
ctx_fill(struct perc_dtls_id *i)
{
	SSL_CTX *c = i->ctx;

	if (SSL_CTX_set_min_proto_version(c, DTLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_max_proto_version(c, DTLS1_2_VERSION) != 1 ||
	    SSL_CTX_set_cipher_list(c,
		"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:"
		"ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256") !=
		1 ||
	    SSL_CTX_set1_groups_list(c, "X25519:P-256") != 1 ||
	    SSL_CTX_use_certificate(c, i->cert) != 1 ||
	    SSL_CTX_use_PrivateKey(c, i->key) != 1)
		return PERC_ERR_CRYPTO;
	SSL_CTX_set_options(c,
	    SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION |
		SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_read_ahead(c, 1);
	SSL_CTX_set_verify(
	    c, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(c, perc_dtls_pin_check, NULL);
	SSL_CTX_set_client_hello_cb(c, perc_dtls_hello_check, NULL);
	return 0;
}

int
perc_dtls_id_generate(struct perc_dtls_id **ip, const char *cn, unsigned days)
{
	struct perc_dtls_id *i;
	unsigned n = 0;
	int r = PERC_ERR_NOMEM;

	if ((i = calloc(1, sizeof(*i))) == NULL ||
	    (i->cert = X509_new()) == NULL ||
	    (i->bio = perc_dtls_bio_new()) == NULL)
		goto out;
	r = PERC_ERR_CRYPTO;
	if ((i->key = EVP_EC_gen("P-256")) == NULL ||
	    (i->ctx = SSL_CTX_new(DTLS_method())) == NULL)
		goto out;
	if ((r = cert_fill(i->cert, i->key, cn, days)) != 0 ||
	    (r = ctx_fill(i)) != 0)
		goto out;
	r = PERC_ERR_CRYPTO;
	if (X509_digest(i->cert, EVP_sha256(), i->fp, &n) != 1 ||
	    n != sizeof(i->fp))
		goto out;
	*ip = i;
	i = NULL;
	r = 0;
out:
	perc_dtls_id_free(i);
	ERR_clear_error();
	return r;
}

void
perc_dtls_id_free(struct perc_dtls_id *i)
{
	if (i == NULL)
		return;
	SSL_CTX_free(i->ctx);
	X509_free(i->cert);
	EVP_PKEY_free(i->key); /* OpenSSL wipes private numbers */
	BIO_meth_free(i->bio);
	free(i);
}

void
perc_dtls_id_fingerprint(
    const struct perc_dtls_id *i, uint8_t out[static PERC_FINGERPRINT_LEN])
{
	memcpy(out, i->fp, PERC_FINGERPRINT_LEN);
}

/* RFC 8122 section 5: upper-case hex with colons. */
void
perc_fingerprint_put(char out[static PERC_FINGERPRINT_TEXT],
    const uint8_t fp[static PERC_FINGERPRINT_LEN])
{
	char *p = out + snprintf(out, PERC_FINGERPRINT_TEXT, "sha-256 ");
	unsigned i;

	for (i = 0; i < PERC_FINGERPRINT_LEN; i++)
		p += sprintf(p, i == 0 ? "%02X" : ":%02X", fp[i]);
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

int
perc_fingerprint_get(uint8_t out[static PERC_FINGERPRINT_LEN], const char *text)
{
	int hi, lo;
	unsigned i;

	if (strlen(text) != PERC_FINGERPRINT_TEXT - 1 ||
	    strncmp(text, "sha-256 ", 8) != 0)
		return PERC_ERR_FORMAT;
	for (i = 0, text += 8; i < PERC_FINGERPRINT_LEN; i++, text += 3) {
		hi = hex_value(text[0]);
		lo = hex_value(text[1]);
		if (hi < 0 || lo < 0 ||
		    text[2] != (i + 1 < PERC_FINGERPRINT_LEN ? ':' : '\0'))
			return PERC_ERR_FORMAT;
		out[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}
