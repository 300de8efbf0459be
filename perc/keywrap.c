/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenSSL's wrap ciphers need EVP_CIPHER_CTX_FLAG_WRAP_ALLOW and take the
 * whole input in one update. Version 3.0 wipes the output of a failed unwrap;
 * we do it again, since the contract is ours and the lengths are checked here.
 */
#include "perc/keywrap.h"

#include "perc/secret.h"

#include <limits.h>
#include <openssl/evp.h>

static const EVP_CIPHER *
cipher_find(size_t keklen, int padded)
{
	switch (keklen) {
	case 16:
		return padded ? EVP_aes_128_wrap_pad() : EVP_aes_128_wrap();
	case 24:
		return padded ? EVP_aes_192_wrap_pad() : EVP_aes_192_wrap();
	case 32:
		return padded ? EVP_aes_256_wrap_pad() : EVP_aes_256_wrap();
	default:
		return NULL;
	}
}

/* *outlen: octets written. PERC_ERR_AUTH: the cipher refused the input. */
static int
run(uint8_t *out, size_t *outlen, const EVP_CIPHER *cipher, const uint8_t *kek,
    const uint8_t *in, size_t n, int encrypt)
{
	EVP_CIPHER_CTX *ctx = NULL;
	int r = PERC_ERR_CRYPTO, len = 0, tail = 0;

	if (cipher == NULL || n > INT_MAX - 16)
		return PERC_ERR_INVAL;
	if ((ctx = EVP_CIPHER_CTX_new()) == NULL)
		return PERC_ERR_NOMEM;
	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (EVP_CipherInit_ex(ctx, cipher, NULL, kek, NULL, encrypt) != 1)
		goto out;
	if (EVP_CipherUpdate(ctx, out, &len, in, (int)n) != 1 || len <= 0 ||
	    EVP_CipherFinal_ex(ctx, out + len, &tail) != 1) {
		r = encrypt ? PERC_ERR_CRYPTO : PERC_ERR_AUTH;
		goto out;
	}
	*outlen = (size_t)len + (size_t)tail;
	r = 0;
out:
	EVP_CIPHER_CTX_free(ctx);
	return r;
}

int
perc_kw_wrap(uint8_t *out, const uint8_t *kek, size_t keklen, const uint8_t *in,
    size_t n)
{
	size_t len;
	int r;

	if (n < 16 || n % 8 != 0)
		return PERC_ERR_INVAL;
	r = run(out, &len, cipher_find(keklen, 0), kek, in, n, 1);
	return r == 0 && len != PERC_KW_LEN(n) ? PERC_ERR_CRYPTO : r;
}

int
perc_kw_unwrap(uint8_t *out, const uint8_t *kek, size_t keklen,
    const uint8_t *in, size_t n)
{
	size_t len;
	int r;

	if (n < 24 || n % 8 != 0)
		return PERC_ERR_FORMAT;
	r = run(out, &len, cipher_find(keklen, 0), kek, in, n, 0);
	if (r == 0 && len != n - 8)
		r = PERC_ERR_AUTH;
	if (r != 0)
		perc_wipe(out, n - 8);
	return r;
}

int
perc_kwp_wrap(uint8_t *out, const uint8_t *kek, size_t keklen,
    const uint8_t *in, size_t n)
{
	size_t len;
	int r;

	if (n < 1)
		return PERC_ERR_INVAL;
	r = run(out, &len, cipher_find(keklen, 1), kek, in, n, 1);
	return r == 0 && len != PERC_KWP_LEN(n) ? PERC_ERR_CRYPTO : r;
}

int
perc_kwp_unwrap(uint8_t *out, size_t *outlen, const uint8_t *kek, size_t keklen,
    const uint8_t *in, size_t n)
{
	size_t len = 0;
	int r;

	if (n < 16 || n % 8 != 0)
		return PERC_ERR_FORMAT;
	r = run(out, &len, cipher_find(keklen, 1), kek, in, n, 0);
	/* RFC 5649 section 3: the padding is shorter than one block. */
	if (r == 0 && (len > n - 8 || len + 8 <= n - 8))
		r = PERC_ERR_AUTH;
	if (r != 0)
		perc_wipe(out, n);
	else
		*outlen = len;
	return r;
}
