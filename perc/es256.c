/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making an EVP_PKEY of a JWK costs a third of verifying with it, nearly all
 * of it to compute P-256's constants once more: 21 us beside 70. So one
 * EVP_PKEY is kept and given each key's point in turn, which takes 1 us and
 * has OpenSSL check that the point is on the curve. The context is kept too:
 * to make one goes through all names of algorithms.
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
static EVP_PKEY_CTX *verifier;		 /* of curve */
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

/* An INTEGER of 32 octets, big-endian: as short as it can be, and not
 * negative (X.690, 8.3). */
static uint8_t *
integer_der(uint8_t *out, const uint8_t *v)
{
	size_t n = 32;

	for (; n > 1 && *v == 0; v++)
		n--;
	*out++ = 0x02;
	*out++ = (uint8_t)(n + (*v >> 7));
	if (*v >> 7 != 0)
		*out++ = 0;
	memcpy(out, v, n);
	return out + n;
}

/* RFC 3279 section 2.2.3, of which OpenSSL wants to be asked. */
static void
signature_der(uint8_t out[static DER_MAX], size_t *np, const uint8_t *sig)
{
	uint8_t *end = integer_der(integer_der(out + 2, sig), sig + 32);

	out[0] = 0x30;
	out[1] = (uint8_t)(end - out - 2);
	*np = (size_t)(end - out);
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
	size_t derlen;
	int r, good = -1;

	if ((r = point_set(key)) != 0 || (r = perc_sha256(hash, text, n)) != 0)
		return r;
	signature_der(der, &derlen, sig);
	if (verifier == NULL)
		verifier = EVP_PKEY_CTX_new(curve, NULL);
	/* Each time, or it might go on with the point that it saw first. */
	if (verifier != NULL && EVP_PKEY_verify_init(verifier) == 1)
		good =
		    EVP_PKEY_verify(verifier, der, derlen, hash, sizeof(hash));
	/* 0: it says no; less: it could not find out. */
	return good == 1 ? 0 : good == 0 ? PERC_ERR_AUTH : PERC_ERR_NOMEM;
}
