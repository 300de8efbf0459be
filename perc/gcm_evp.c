/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM by OpenSSL. Seen: setting the key for each packet costs 130 ns,
 * libsrtp on NSS twice the whole (docs/PERFORMANCE.md), and one EVP context
 * can serve both directions, because GCM runs AES forwards in either.
 */
#include <openssl/evp.h>
#include <string.h>

#include "perc/gcm_int.h"

static void
evp_free(void *ctx)
{
	EVP_CIPHER_CTX_free(ctx); /* OpenSSL cleanses its key schedule */
}

static int
evp_make(void **ctxp, const uint8_t *key, size_t keylen)
{
	const char *name = keylen == 16 ? "AES-128-GCM" : "AES-256-GCM";
	EVP_CIPHER *cipher = NULL;
	EVP_CIPHER_CTX *ctx;
	int r = PERC_ERR_CRYPTO;

	if ((ctx = EVP_CIPHER_CTX_new()) == NULL)
		return PERC_ERR_NOMEM;
	cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	if (cipher == NULL ||
	    EVP_EncryptInit_ex2(ctx, cipher, key, NULL, NULL) != 1)
		goto out;
	*ctxp = ctx;
	ctx = NULL;
	r = 0;
out:
	EVP_CIPHER_free(cipher);
	evp_free(ctx);
	return r;
}

static int
evp_seal(void *ctx, const uint8_t iv[static PERC_SRTP_SALT_LEN],
    const uint8_t *aad, size_t aadlen, const uint8_t *in, size_t n,
    uint8_t *out)
{
	int len;

	if (EVP_EncryptInit_ex2(ctx, NULL, NULL, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(ctx, NULL, &len, aad, (int)aadlen) != 1 ||
	    (n > 0 && EVP_EncryptUpdate(ctx, out, &len, in, (int)n) != 1) ||
	    EVP_EncryptFinal_ex(ctx, out + n, &len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(
		ctx, EVP_CTRL_AEAD_GET_TAG, PERC_SRTP_TAG_LEN, out + n) != 1)
		return PERC_ERR_CRYPTO;
	return 0;
}

static int
evp_open(void *ctx, const uint8_t iv[static PERC_SRTP_SALT_LEN],
    const uint8_t *aad, size_t aadlen, const uint8_t *in, size_t n,
    uint8_t *out)
{
	uint8_t tag[PERC_SRTP_TAG_LEN];
	int len;

	memcpy(tag, in + n, sizeof(tag));
	if (EVP_DecryptInit_ex2(ctx, NULL, NULL, iv, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) !=
		1 ||
	    EVP_DecryptUpdate(ctx, NULL, &len, aad, (int)aadlen) != 1)
		return PERC_ERR_CRYPTO;
	if ((n > 0 && EVP_DecryptUpdate(ctx, out, &len, in, (int)n) != 1) ||
	    EVP_DecryptFinal_ex(ctx, tag, &len) != 1)
		return PERC_ERR_AUTH;
	return 0;
}

const struct perc_gcm_engine perc_gcm_evp = {
	.name = "openssl",
	.make = evp_make,
	.free = evp_free,
	.seal = evp_seal,
	.open = evp_open,
};
