/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES-GCM by Intel's multi-buffer library, called a packet at a time: on
 * processors with VAES it takes a third of EVP's time, and nothing of EVP's
 * five calls and their checks. Asked for by the programs that hold hop keys
 * only; the vault stays with OpenSSL, whose every allocation it has in secret
 * pages. Builds of the library that leave keys in registers (no SAFE_DATA)
 * are not used.
 */
#include "config.h"

#include "perc/gcm_mb.h"

#include "perc/gcm_int.h"

#ifdef HAVE_IPSEC_MB

#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>
#include <string.h>

#include "perc/secret.h"

#define MB_ALIGN      64 /* of gcm_key_data; a line of the cache */
#define MB_ROUND_KEYS 256
#define MB_LOW_POWERS 704

static IMB_MGR *mgr_; /* read only, once it is made */

struct mb {
	struct gcm_key_data key;
	struct gcm_context_data work;
	size_t keylen;
	void *block; /* what was allocated */
};

static void
mb_free(void *ctx)
{
	struct mb *m = ctx;
	void *block;

	if (m == NULL)
		return;
	block = m->block;
	perc_wipe(m, sizeof(*m));
	perc_secmem_free(block);
}

static int
mb_make(void **ctxp, const uint8_t *key, size_t keylen)
{
	uint8_t *block = perc_secmem_alloc(sizeof(struct mb) + MB_ALIGN);
	struct mb *m;

	if (block == NULL)
		return PERC_ERR_NOMEM;
	m = (struct mb *)(((uintptr_t)block + MB_ALIGN - 1) &
	    ~(uintptr_t)(MB_ALIGN - 1));
	memset(m, 0, sizeof(*m));
	m->block = block;
	m->keylen = keylen;
	if (keylen == 16)
		IMB_AES128_GCM_PRE(mgr_, key, &m->key);
	else
		IMB_AES256_GCM_PRE(mgr_, key, &m->key);
	*ctxp = m;
	return 0;
}

static int
mb_seal(void *ctx, const uint8_t iv[static PERC_SRTP_SALT_LEN],
    const uint8_t *aad, size_t aadlen, const uint8_t *in, size_t n,
    uint8_t *out)
{
	struct mb *m = ctx;

	if (m->keylen == 16)
		IMB_AES128_GCM_ENC(mgr_, &m->key, &m->work, out, in, n, iv, aad,
		    aadlen, out + n, PERC_SRTP_TAG_LEN);
	else
		IMB_AES256_GCM_ENC(mgr_, &m->key, &m->work, out, in, n, iv, aad,
		    aadlen, out + n, PERC_SRTP_TAG_LEN);
	return 0;
}

static int
mb_open(void *ctx, const uint8_t iv[static PERC_SRTP_SALT_LEN],
    const uint8_t *aad, size_t aadlen, const uint8_t *in, size_t n,
    uint8_t *out)
{
	uint8_t want[PERC_SRTP_TAG_LEN], have[PERC_SRTP_TAG_LEN];
	struct mb *m = ctx;

	memcpy(want, in + n, sizeof(want)); /* out may be in */
	if (m->keylen == 16)
		IMB_AES128_GCM_DEC(mgr_, &m->key, &m->work, out, in, n, iv, aad,
		    aadlen, have, PERC_SRTP_TAG_LEN);
	else
		IMB_AES256_GCM_DEC(mgr_, &m->key, &m->work, out, in, n, iv, aad,
		    aadlen, have, PERC_SRTP_TAG_LEN);
	return CRYPTO_memcmp(want, have, sizeof(want)) == 0 ? 0 : PERC_ERR_AUTH;
}

/* Round keys and, behind the many powers of H that only long packets use, the
 * low ones and the work area. */
static void
mb_fetch(const void *ctx)
{
	const uint8_t *p = ctx;
	size_t at;

	for (at = 0; at < sizeof(struct mb); at += MB_ALIGN)
		if (at < MB_ROUND_KEYS || at >= MB_LOW_POWERS)
			__builtin_prefetch(p + at);
}

static const struct perc_gcm_engine mb_engine = {
	.name = "ipsec-mb",
	.make = mb_make,
	.free = mb_free,
	.seal = mb_seal,
	.open = mb_open,
	.fetch = mb_fetch,
};

int
perc_gcm_mb_use(void)
{
	IMB_MGR *m;
	IMB_ARCH arch;

	if (mgr_ == NULL) {
		if ((m = alloc_mb_mgr(0)) == NULL)
			return PERC_ERR_NOMEM;
		init_mb_mgr_auto(m, &arch);
		if (imb_get_errno(m) != 0 || arch == IMB_ARCH_NOAESNI ||
		    (m->features & IMB_FEATURE_SAFE_DATA) == 0) {
			free_mb_mgr(m);
			return PERC_ERR_UNSUPPORTED;
		}
		mgr_ = m;
	}
	perc_gcm_engine_set(&mb_engine);
	return 0;
}

#else

int
perc_gcm_mb_use(void)
{
	return PERC_ERR_UNSUPPORTED;
}

#endif
