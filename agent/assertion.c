/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libjwt 1.10 takes keys as PEM alone, so the JWK goes through OpenSSL once.
 * It would verify unsafely, but it signs well: ES256 with typ JWT is exactly
 * what a client assertion is. jwt_free() does not wipe its copy of the PEM;
 * the command ends soon after, and its memory with it.
 */
#include "agent/assertion.h"

#include <jwt.h>
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/secret.h"

#define LIVES_S 120
#define PEM_MAX 1024

static int
params_make(OSSL_PARAM **out, const json_t *jwk)
{
	const char *x = perc_json_str(jwk, "x"), *y = perc_json_str(jwk, "y");
	const char *d = perc_json_str(jwk, "d");
	const char *crv = perc_json_str(jwk, "crv");
	uint8_t point[65] = { 4 }, priv[32];
	OSSL_PARAM_BLD *b = NULL;
	BIGNUM *bn = NULL;
	int r = PERC_ERR_FORMAT;

	*out = NULL;
	if (x == NULL || y == NULL || d == NULL || crv == NULL ||
	    strcmp(crv, "P-256") != 0 ||
	    perc_b64_get_exact(point + 1, 32, x) != 0 ||
	    perc_b64_get_exact(point + 33, 32, y) != 0 ||
	    perc_b64_get_exact(priv, sizeof(priv), d) != 0)
		goto out;
	r = PERC_ERR_CRYPTO;
	if ((b = OSSL_PARAM_BLD_new()) != NULL &&
	    (bn = BN_secure_new()) != NULL &&
	    BN_bin2bn(priv, sizeof(priv), bn) != NULL &&
	    OSSL_PARAM_BLD_push_utf8_string(
		b, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(
		b, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)) == 1 &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, bn) == 1 &&
	    (*out = OSSL_PARAM_BLD_to_param(b)) != NULL)
		r = 0;
out:
	perc_wipe(priv, sizeof(priv));
	OSSL_PARAM_BLD_free(b);
	BN_clear_free(bn);
	return r;
}

/* PKCS#8 PEM, NUL-terminated. */
static int
pem_make(char out[static PEM_MAX], const json_t *jwk)
{
	EVP_PKEY_CTX *c = NULL;
	OSSL_PARAM *params;
	EVP_PKEY *key = NULL;
	BIO *bio = NULL;
	char *data;
	long n;
	int r;

	if ((r = params_make(&params, jwk)) != 0)
		return r;
	r = PERC_ERR_CRYPTO;
	if ((c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL)) == NULL ||
	    EVP_PKEY_fromdata_init(c) != 1 ||
	    EVP_PKEY_fromdata(c, &key, EVP_PKEY_KEYPAIR, params) != 1 ||
	    (bio = BIO_new(BIO_s_mem())) == NULL ||
	    PEM_write_bio_PKCS8PrivateKey(
		bio, key, NULL, NULL, 0, NULL, NULL) != 1 ||
	    (n = BIO_get_mem_data(bio, &data)) <= 0 || n >= PEM_MAX)
		goto out;
	memcpy(out, data, (size_t)n);
	out[n] = '\0';
	perc_wipe(data, (size_t)n);
	r = 0;
out:
	BIO_free(bio);
	EVP_PKEY_free(key);
	EVP_PKEY_CTX_free(c);
	OSSL_PARAM_free(params);
	return r;
}

static bool
claims_put(jwt_t *j, const json_t *jwk, const char *client_id, const char *aud,
    int64_t now_s)
{
	const char *kid = perc_json_str(jwk, "kid");
	char jti[40];

	perc_random_id(jti, sizeof(jti), "j_");
	return jwt_add_grant(j, "iss", client_id) == 0 &&
	    jwt_add_grant(j, "sub", client_id) == 0 &&
	    jwt_add_grant(j, "aud", aud) == 0 &&
	    jwt_add_grant(j, "jti", jti) == 0 &&
	    jwt_add_grant_int(j, "iat", (long)now_s) == 0 &&
	    jwt_add_grant_int(j, "exp", (long)now_s + LIVES_S) == 0 &&
	    (kid == NULL || jwt_add_header(j, "kid", kid) == 0);
}

int
assertion_make(char **textp, const json_t *jwk, const char *client_id,
    const char *aud, int64_t now_s)
{
	char pem[PEM_MAX] = "";
	jwt_t *j = NULL;
	char *text = NULL;
	int r;

	if ((r = pem_make(pem, jwk)) != 0)
		return r;
	r = PERC_ERR_CRYPTO;
	if (jwt_new(&j) == 0 &&
	    jwt_set_alg(j, JWT_ALG_ES256, (const unsigned char *)pem,
		(int)strlen(pem)) == 0 &&
	    claims_put(j, jwk, client_id, aud, now_s) &&
	    (text = jwt_encode_str(j)) != NULL &&
	    (*textp = text_dup(text)) != NULL)
		r = 0;
	text_free(text);
	jwt_free(j);
	perc_wipe(pem, sizeof(pem));
	return r;
}
