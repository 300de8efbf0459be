/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making an EVP_PKEY of a JWK costs a third of verifying with it, nearly all
 * of it to compute P-256's constants once more: 21 us beside 70. So one
 * EVP_PKEY is kept and given each key's point in turn, which takes 1 us and
 * has OpenSSL check that the point is on the curve.
 */
#include "perc/es256.h"

#include "perc/crypto.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#define DER_MAX 80 /* octets of an ECDSA-Sig-Value of P-256, and more */

/* Its other half is nobody's. */
static EVP_PKEY *curve;
static uint8_t last[PERC_ES256_KEY_LEN]; /* whose point it has, if set */
static bool set;

static int
point_set(const uint8_t *key)
{
	uint8_t point[1 + PERC_ES256_KEY_LEN] = {
		POINT_CONVERSION_UNCOMPRESSED
	};

	if (set && memcmp(last, key, sizeof(last)) == 0)
		return 0;
	set = false;
	memcpy(point + 1, key, PERC_ES256_KEY_LEN);
	if (curve == NULL &&
	    (curve = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256")) == NULL)
		return PERC_ERR_NOMEM;
	if (EVP_PKEY_set1_encoded_public_key(curve, point, sizeof(point)) != 1)
		return PERC_ERR_FORMAT;
	memcpy(last, key, sizeof(last));
	set = true;
	return 0;
}

/* RFC 3279 section 2.2.3, of which OpenSSL wants to be asked. */
static int
signature_der(uint8_t out[static DER_MAX], size_t *np, const uint8_t *sig)
{
	BIGNUM *r = BN_bin2bn(sig, 32, NULL),
	       *s = BN_bin2bn(sig + 32, 32, NULL);
	ECDSA_SIG *both = ECDSA_SIG_new();
	int n = -1;

	if (r != NULL && s != NULL && both != NULL &&
	    ECDSA_SIG_set0(both, r, s) == 1) {
		r = s = NULL; /* its now */
		n = i2d_ECDSA_SIG(both, &out);
	}
	ECDSA_SIG_free(both);
	BN_free(r);
	BN_free(s);
	*np = n > 0 ? (size_t)n : 0;
	return n > 0 ? 0 : PERC_ERR_NOMEM;
}

int
perc_es256_key_check(const uint8_t key[static 64])
{
	return point_set(key);
}

int
perc_es256_verify(const uint8_t key[static 64], const void *text, size_t n,
    const uint8_t sig[static 64])
{
	uint8_t hash[PERC_SHA256_LEN], der[DER_MAX];
	EVP_PKEY_CTX *ctx = NULL;
	size_t derlen;
	int r, good = -1;

	if ((r = point_set(key)) != 0 ||
	    (r = perc_sha256(hash, text, n)) != 0 ||
	    (r = signature_der(der, &derlen, sig)) != 0)
		return r;
	if ((ctx = EVP_PKEY_CTX_new(curve, NULL)) != NULL &&
	    EVP_PKEY_verify_init(ctx) == 1)
		good = EVP_PKEY_verify(ctx, der, derlen, hash, sizeof(hash));
	EVP_PKEY_CTX_free(ctx);
	/* 0: it says no; less: it could not find out. */
	return good == 1 ? 0 : good == 0 ? PERC_ERR_AUTH : PERC_ERR_NOMEM;
}
