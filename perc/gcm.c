/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 7714 around an AES-GCM that keeps its keys: session keys, nonces and
 * the count of packets are here, the cipher is an engine's (perc/gcm_int.h).
 * Key schedule and GHASH table are made once, when the key is installed; a
 * packet sets only the nonce.
 */
#include "perc/gcm.h"

#include <openssl/evp.h>
#include <string.h>

#include "perc/gcm_int.h"
#include "perc/secret.h"

#define GCM_PACKETS_MAX (1ull << 48) /* RFC 7714 section 10, per key */
#define GCM_LEN_MAX	65535	     /* no datagram is longer */

enum {
	LABEL_RTP_KEY = 0,
	LABEL_RTP_SALT = 2,
	LABEL_RTCP_KEY = 3,
	LABEL_RTCP_SALT = 5
};

static const struct perc_gcm_engine *engine_ = &perc_gcm_evp;

struct perc_gcm {
	const struct perc_gcm_engine *engine;
	void *ctx;
	uint64_t sealed; /* packets under this key */
	uint8_t salt[PERC_SRTP_SALT_LEN];
};

/* RFC 3711 section 4.3.3 with kdr 0: AES-CTR over zeros, the label XORed
 * into octet 7 of the salt (RFC 6188 for 32-octet keys). */
static int
kdf_label(EVP_CIPHER_CTX *ctx, const uint8_t salt[static PERC_SRTP_SALT_LEN],
    uint8_t label, uint8_t *out, int n)
{
	static const uint8_t zeros[PERC_SRTP_KEY_MAX];
	uint8_t iv[16] = { 0 };
	int len;

	memcpy(iv, salt, PERC_SRTP_SALT_LEN);
	iv[7] ^= label;
	if (EVP_EncryptInit_ex2(ctx, NULL, NULL, iv, NULL) != 1 ||
	    EVP_EncryptUpdate(ctx, out, &len, zeros, n) != 1 || len != n)
		return PERC_ERR_CRYPTO;
	return 0;
}

int
perc_srtp_kdf(struct perc_session_keys *out, const uint8_t *key, size_t keylen,
    const uint8_t salt[static PERC_SRTP_SALT_LEN])
{
	EVP_CIPHER_CTX *ctx = NULL;
	int r = PERC_ERR_CRYPTO, n = (int)keylen;

	memset(out, 0, sizeof(*out));
	if (keylen != 16 && keylen != 32)
		return PERC_ERR_INVAL;
	if ((ctx = EVP_CIPHER_CTX_new()) == NULL ||
	    EVP_EncryptInit_ex2(ctx,
		keylen == 16 ? EVP_aes_128_ctr() : EVP_aes_256_ctr(), key, NULL,
		NULL) != 1)
		goto out;
	if ((r = kdf_label(ctx, salt, LABEL_RTP_KEY, out->rtp_key, n)) != 0 ||
	    (r = kdf_label(ctx, salt, LABEL_RTP_SALT, out->rtp_salt,
		 PERC_SRTP_SALT_LEN)) != 0 ||
	    (r = kdf_label(ctx, salt, LABEL_RTCP_KEY, out->rtcp_key, n)) != 0 ||
	    (r = kdf_label(ctx, salt, LABEL_RTCP_SALT, out->rtcp_salt,
		 PERC_SRTP_SALT_LEN)) != 0)
		goto out;
	out->keylen = keylen;
out:
	EVP_CIPHER_CTX_free(ctx);
	if (r != 0)
		perc_wipe(out, sizeof(*out));
	return r;
}

void
perc_gcm_engine_set(const struct perc_gcm_engine *e)
{
	engine_ = e;
}

const char *
perc_gcm_engine_name(void)
{
	return engine_->name;
}

int
perc_gcm_new_session(struct perc_gcm **gp, const uint8_t *key, size_t keylen,
    const uint8_t salt[static PERC_SRTP_SALT_LEN])
{
	struct perc_gcm *g;
	int r;

	*gp = NULL;
	if (keylen != 16 && keylen != 32)
		return PERC_ERR_INVAL;
	if ((g = perc_secmem_alloc(sizeof(*g))) == NULL)
		return PERC_ERR_NOMEM;
	memset(g, 0, sizeof(*g));
	memcpy(g->salt, salt, sizeof(g->salt));
	g->engine = engine_;
	if ((r = g->engine->make(&g->ctx, key, keylen)) != 0) {
		perc_gcm_free(g);
		return r;
	}
	*gp = g;
	return 0;
}

int
perc_gcm_new(struct perc_gcm **gp, const uint8_t *master_key, size_t keylen,
    const uint8_t master_salt[static PERC_SRTP_SALT_LEN])
{
	struct perc_session_keys k;
	int r;

	*gp = NULL;
	if ((r = perc_srtp_kdf(&k, master_key, keylen, master_salt)) == 0)
		r = perc_gcm_new_session(gp, k.rtp_key, keylen, k.rtp_salt);
	perc_wipe(&k, sizeof(k));
	return r;
}

void
perc_gcm_free(struct perc_gcm *g)
{
	if (g == NULL)
		return;
	g->engine->free(g->ctx);
	perc_wipe(g, sizeof(*g));
	perc_secmem_free(g);
}

void
perc_gcm_fetch(const struct perc_gcm *g)
{
	if (g->engine->fetch != NULL)
		g->engine->fetch(g->ctx);
}

int
perc_gcm_spend(struct perc_gcm *g, uint64_t packets)
{
	if (packets > GCM_PACKETS_MAX - g->sealed)
		return PERC_ERR_LIMIT;
	g->sealed += packets;
	return 0;
}

/* RFC 7714 section 8.1: 00 00 SSRC ROC SEQ, XOR salt. */
static void
nonce_make(const struct perc_gcm *g, uint32_t ssrc, uint64_t index,
    uint8_t iv[static PERC_SRTP_SALT_LEN])
{
	int i;

	memcpy(iv, g->salt, PERC_SRTP_SALT_LEN);
	for (i = 0; i < 4; i++)
		iv[2 + i] ^= (uint8_t)(ssrc >> (24 - 8 * i));
	for (i = 0; i < 6; i++)
		iv[6 + i] ^= (uint8_t)(index >> (40 - 8 * i));
}

int
perc_gcm_seal(struct perc_gcm *g, uint32_t ssrc, uint64_t index,
    const uint8_t *aad, size_t aadlen, const uint8_t *in, size_t n,
    uint8_t *out)
{
	uint8_t iv[PERC_SRTP_SALT_LEN];
	int r;

	if (n > GCM_LEN_MAX || aadlen > GCM_LEN_MAX)
		return PERC_ERR_INVAL;
	if ((r = perc_gcm_spend(g, 1)) != 0)
		return r;
	nonce_make(g, ssrc, index, iv);
	return g->engine->seal(g->ctx, iv, aad, aadlen, in, n, out);
}

int
perc_gcm_open(struct perc_gcm *g, uint32_t ssrc, uint64_t index,
    const uint8_t *aad, size_t aadlen, const uint8_t *in, size_t n,
    uint8_t *out)
{
	uint8_t iv[PERC_SRTP_SALT_LEN];
	int r;

	if (n < PERC_SRTP_TAG_LEN)
		return PERC_ERR_SHORT;
	if (n > GCM_LEN_MAX || aadlen > GCM_LEN_MAX)
		return PERC_ERR_INVAL;
	n -= PERC_SRTP_TAG_LEN;
	nonce_make(g, ssrc, index, iv);
	r = g->engine->open(g->ctx, iv, aad, aadlen, in, n, out);
	if (r == PERC_ERR_AUTH)
		perc_wipe(out, n); /* it decrypts before it knows the tag */
	return r;
}
