/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's EVP behind a handful of functions. Random octets come from
 * getrandom(2), not from a generator in our memory whose state a fork could
 * copy. HKDF is written out over HMAC: three lines, and no EVP_KDF context
 * that keeps the key until somebody remembers to free it.
 */
#include "perc/crypto.h"

#include "perc/b64.h"
#include "perc/log.h"
#include "perc/secmem.h"
#include "perc/secret.h"

#include <errno.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

static const struct perc_secmem_fns *heap;

static void *
ossl_alloc(size_t n, const char *file, int line)
{
	return n != 0 ? heap->alloc(n) : NULL;
}

static void
ossl_free(void *p, const char *file, int line)
{
	if (p != NULL)
		heap->free(p);
}

static void *
ossl_realloc(void *p, size_t n, const char *file, int line)
{
	if (n != 0)
		return heap->realloc(p, n);
	ossl_free(p, file, line);
	return NULL;
}

int
perc_crypto_heap_set(const struct perc_secmem_fns *fns)
{
	heap = fns;
	return CRYPTO_set_mem_functions(ossl_alloc, ossl_realloc, ossl_free) ==
		1
	    ? 0
	    : PERC_ERR_STATE;
}

bool
perc_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}

void
perc_random(void *out, size_t n)
{
	uint8_t *p = out;

	while (n > 0) {
		ssize_t got = getrandom(p, n, 0);

		if (got < 0 && errno != EINTR)
			fatal("crypto.random");
		if (got > 0) {
			p += got;
			n -= (size_t)got;
		}
	}
}

uint32_t
perc_random_u32(void)
{
	uint32_t v;

	perc_random(&v, sizeof(v));
	return v;
}

void
perc_random_id(char *out, size_t cap, const char *prefix)
{
	size_t n = strlen(prefix);
	uint8_t raw[16];

	if (cap < n + PERC_B64_LEN(sizeof(raw)) + 1)
		fatalx("crypto.random_id cap=%zu", cap);
	perc_random(raw, sizeof(raw));
	memcpy(out, prefix, n);
	perc_b64_put(out + n, raw, sizeof(raw));
}

/* Fetched once: OpenSSL looks EVP_sha256() up anew each time that it is used,
 * which costs twice what hashing a short text does. And two seals are opened
 * for every key that is handed out. */
static struct {
	CRYPTO_ONCE once;
	const EVP_MD *sha256;
	const EVP_CIPHER *gcm;
} kept = { .once = CRYPTO_ONCE_STATIC_INIT };

static void
kept_fetch(void)
{
	kept.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	kept.gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
}

static const EVP_MD *
sha256(void)
{
	(void)CRYPTO_THREAD_run_once(&kept.once, kept_fetch);
	return kept.sha256 != NULL ? kept.sha256 : EVP_sha256();
}

int
perc_sha256(uint8_t out[static PERC_SHA256_LEN], const void *in, size_t n)
{
	return EVP_Digest(in, n, out, NULL, sha256(), NULL) == 1
	    ? 0
	    : PERC_ERR_CRYPTO;
}

int
perc_hmac_sha256(uint8_t out[static PERC_SHA256_LEN], const void *key,
    size_t keylen, const void *in, size_t n)
{
	if (keylen > INT_MAX)
		return PERC_ERR_INVAL;
	return HMAC(EVP_sha256(), key, (int)keylen, in, n, out, NULL) != NULL
	    ? 0
	    : PERC_ERR_CRYPTO;
}

int
perc_hkdf_sha256(uint8_t *out, size_t outlen, const void *ikm, size_t ikmlen,
    const void *salt, size_t saltlen, const char *info)
{
	static const uint8_t zeros[PERC_SHA256_LEN];
	uint8_t prk[PERC_SHA256_LEN], t[PERC_SHA256_LEN];
	uint8_t in[PERC_SHA256_LEN + 256 + 1];
	size_t infolen = strlen(info), had = 0, done = 0, n;
	int r;

	if (infolen > 256 || outlen > 255 * PERC_SHA256_LEN)
		return PERC_ERR_INVAL;
	if (saltlen == 0) { /* RFC 5869 section 2.2 */
		salt = zeros;
		saltlen = sizeof(zeros);
	}
	if ((r = perc_hmac_sha256(prk, salt, saltlen, ikm, ikmlen)) != 0)
		goto out;
	for (uint8_t i = 1; done < outlen; i++) {
		memcpy(in, t, had);
		memcpy(in + had, info, infolen);
		in[had + infolen] = i;
		if ((r = perc_hmac_sha256(
			 t, prk, sizeof(prk), in, had + infolen + 1)) != 0)
			goto out;
		had = sizeof(t);
		n = outlen - done < had ? outlen - done : had;
		memcpy(out + done, t, n);
		done += n;
	}
out:
	if (r != 0)
		perc_wipe(out, outlen);
	perc_wipe(prk, sizeof(prk));
	perc_wipe(t, sizeof(t));
	perc_wipe(in, sizeof(in));
	return r;
}

static const EVP_CIPHER *
aes_256_gcm(void)
{
	(void)CRYPTO_THREAD_run_once(&kept.once, kept_fetch);
	return kept.gcm != NULL ? kept.gcm : EVP_aes_256_gcm();
}

int
perc_seal(uint8_t *out, const uint8_t key[static 32], const void *aad,
    size_t aadlen, const void *in, size_t n)
{
	EVP_CIPHER_CTX *ctx = NULL;
	int r = PERC_ERR_CRYPTO, len;
	uint8_t *ct = out + PERC_GCM_NONCE_LEN;

	if (n > INT_MAX - PERC_SEAL_OVERHEAD || aadlen > INT_MAX)
		return PERC_ERR_INVAL;
	perc_random(out, PERC_GCM_NONCE_LEN);
	if ((ctx = EVP_CIPHER_CTX_new()) == NULL ||
	    EVP_EncryptInit_ex(ctx, aes_256_gcm(), NULL, key, out) != 1 ||
	    (aadlen > 0 &&
		EVP_EncryptUpdate(ctx, NULL, &len, aad, (int)aadlen) != 1) ||
	    (n > 0 && EVP_EncryptUpdate(ctx, ct, &len, in, (int)n) != 1) ||
	    EVP_EncryptFinal_ex(ctx, ct + n, &len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(
		ctx, EVP_CTRL_AEAD_GET_TAG, PERC_GCM_TAG_LEN, ct + n) != 1)
		goto out;
	r = 0;
out:
	EVP_CIPHER_CTX_free(ctx);
	if (r != 0)
		perc_wipe(out, n + PERC_SEAL_OVERHEAD);
	return r;
}

int
perc_unseal(uint8_t *out, const uint8_t key[static 32], const void *aad,
    size_t aadlen, const uint8_t *in, size_t n)
{
	EVP_CIPHER_CTX *ctx = NULL;
	uint8_t tag[PERC_GCM_TAG_LEN];
	const uint8_t *ct = in + PERC_GCM_NONCE_LEN;
	int r = PERC_ERR_CRYPTO, len;

	if (n < PERC_SEAL_OVERHEAD)
		return PERC_ERR_SHORT;
	if (n > INT_MAX || aadlen > INT_MAX)
		return PERC_ERR_INVAL;
	n -= PERC_SEAL_OVERHEAD;
	memcpy(tag, ct + n, sizeof(tag));
	if ((ctx = EVP_CIPHER_CTX_new()) == NULL ||
	    EVP_DecryptInit_ex(ctx, aes_256_gcm(), NULL, key, in) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) !=
		1 ||
	    (aadlen > 0 &&
		EVP_DecryptUpdate(ctx, NULL, &len, aad, (int)aadlen) != 1) ||
	    (n > 0 && EVP_DecryptUpdate(ctx, out, &len, ct, (int)n) != 1))
		goto out;
	r = EVP_DecryptFinal_ex(ctx, out + n, &len) == 1 ? 0 : PERC_ERR_AUTH;
out:
	EVP_CIPHER_CTX_free(ctx);
	if (r != 0)
		perc_wipe(out, n);
	return r;
}
