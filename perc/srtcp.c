/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SRTCP through libsrtp, the only file that knows it. Debian's build takes
 * AES-GCM from NSS: it dlopen()s modules at the first context and unloads
 * everything after the last, so a process warms up once before its sandbox
 * and keeps that context. Its streams stand in a linked list that an
 * authenticated peer could grow without end; we count them.
 *
 * A receiving session takes encrypted and clear packets alike, by the E bit
 * of each (RFC 7714 sections 9.2 and 9.3), in one replay window. The library
 * starts with index 1; RFC 3711 section 3.2.1 starts with 0, so that we make
 * a packet of index 0 ourselves when one is asked for.
 */
#include "perc/srtp.h"

#include <srtp2/srtp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "perc/gcm.h"
#include "perc/secret.h"

#define SRTCP_HEADER	8
#define SRTCP_TRAILER	20 /* tag, then the word with E and the index */
#define SRTCP_E		0x80000000u
#define SRTCP_INDEX_MAX 0x7fffffffu
#define SRTCP_RDB	128 /* libsrtp's replay window */

struct perc_srtcp {
	srtp_t session;
	bool inbound;
	bool clear; /* sends with E = 0 */
	unsigned streams;
	uint32_t ssrc[PERC_SRTCP_STREAMS_MAX];
	bool at_zero[PERC_SRTCP_STREAMS_MAX]; /* next index is 0 */
	size_t keylen;
	/* kept because libsrtp reads it again in session_new */
	uint8_t master[PERC_SRTP_KEY_MAX + PERC_SRTP_SALT_LEN];
};

static int
status_err(srtp_err_status_t st)
{
	switch (st) {
	case srtp_err_status_ok:
		return 0;
	case srtp_err_status_auth_fail:
		return PERC_ERR_AUTH;
	case srtp_err_status_replay_fail:
	case srtp_err_status_replay_old:
		return PERC_ERR_REPLAY;
	case srtp_err_status_key_expired:
		return PERC_ERR_LIMIT;
	case srtp_err_status_alloc_fail:
		return PERC_ERR_NOMEM;
	case srtp_err_status_bad_param:
		return PERC_ERR_FORMAT;
	default:
		return PERC_ERR_CRYPTO;
	}
}

int
perc_srtcp_warm_up(void)
{
	static srtp_t kept; /* never freed: NSS would go with it */
	static const uint8_t zeros[28];
	srtp_policy_t policy;

	if (kept != NULL)
		return 0;
	if (srtp_init() != srtp_err_status_ok)
		return PERC_ERR_CRYPTO;
	memset(&policy, 0, sizeof(policy));
	srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
	srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
	policy.ssrc.type = ssrc_any_outbound;
	policy.key = (unsigned char *)(uintptr_t)zeros;
	return status_err(srtp_create(&kept, &policy));
}

static int
session_new(struct perc_srtcp *s)
{
	srtp_policy_t policy;

	memset(&policy, 0, sizeof(policy));
	if (s->keylen == 16) {
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtp);
		srtp_crypto_policy_set_aes_gcm_128_16_auth(&policy.rtcp);
	} else {
		srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtp);
		srtp_crypto_policy_set_aes_gcm_256_16_auth(&policy.rtcp);
	}
	if (s->clear)
		policy.rtcp.sec_serv = sec_serv_auth;
	policy.ssrc.type = s->inbound ? ssrc_any_inbound : ssrc_any_outbound;
	policy.key = (unsigned char *)(uintptr_t)s->master;
	return status_err(srtp_create(&s->session, &policy));
}

int
perc_srtcp_new(struct perc_srtcp **sp, enum perc_srtp_profile profile,
    const uint8_t *key, const uint8_t salt[static PERC_SRTP_SALT_LEN],
    int inbound)
{
	struct perc_srtcp *s = NULL;
	int r;

	*sp = NULL;
	if (profile != PERC_AEAD_AES_128_GCM &&
	    profile != PERC_AEAD_AES_256_GCM)
		return PERC_ERR_INVAL;
	if ((r = perc_srtcp_warm_up()) != 0)
		return r;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return PERC_ERR_NOMEM;
	s->inbound = inbound;
	s->keylen = profile == PERC_AEAD_AES_128_GCM ? 16 : 32;
	memcpy(s->master, key, s->keylen);
	memcpy(s->master + s->keylen, salt, PERC_SRTP_SALT_LEN);
	if ((r = session_new(s)) != 0)
		goto out;
	*sp = s;
	s = NULL;
out:
	perc_srtcp_free(s);
	return r;
}

void
perc_srtcp_free(struct perc_srtcp *s)
{
	if (s == NULL)
		return;
	if (s->session != NULL)
		srtp_dealloc(s->session);
	perc_wipe(s, sizeof(*s));
	free(s);
}

int
perc_srtcp_clear_text(struct perc_srtcp *s)
{
	if (s->inbound || s->streams > 0)
		return PERC_ERR_STATE;
	srtp_dealloc(s->session);
	s->session = NULL;
	s->clear = true;
	return session_new(s);
}

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

static void
be32_put(uint8_t *p, uint32_t v)
{
	int i;

	for (i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Its place, or s->streams. */
static unsigned
stream_find(const struct perc_srtcp *s, uint32_t ssrc)
{
	unsigned i;

	for (i = 0; i < s->streams && s->ssrc[i] != ssrc; i++)
		;
	return i;
}

static bool
stream_known(const struct perc_srtcp *s, uint32_t ssrc)
{
	return stream_find(s, ssrc) < s->streams;
}

static int
stream_check(const struct perc_srtcp *s, const uint8_t *p, size_t n, size_t min)
{
	if (n < min)
		return PERC_ERR_SHORT;
	if (n > PERC_MTU_MAX || p[0] >> 6 != 2)
		return PERC_ERR_FORMAT;
	return s->streams == PERC_SRTCP_STREAMS_MAX &&
		!stream_known(s, be32(p + 4))
	    ? PERC_ERR_LIMIT
	    : 0;
}

static void
stream_note(struct perc_srtcp *s, uint32_t ssrc)
{
	if (!stream_known(s, ssrc))
		s->ssrc[s->streams++] = ssrc;
}

/*
 * One packet without the library. The nonce of RFC 7714 section 9.1 (00 00
 * SSRC 00 00 index) is perc_gcm's with the index as it stands.
 */
static int
packet_seal(const struct perc_srtcp *s, uint32_t index, bool clear, uint8_t *p,
    size_t n)
{
	struct perc_session_keys k;
	struct perc_gcm *g = NULL;
	uint8_t aad[PERC_MTU_MAX + 4];
	size_t head = clear ? n : SRTCP_HEADER;
	uint32_t word = index | (clear ? 0 : SRTCP_E);
	int r;

	memcpy(aad, p, head);
	be32_put(aad + head, word);
	if ((r = perc_srtp_kdf(
		 &k, s->master, s->keylen, s->master + s->keylen)) != 0 ||
	    (r = perc_gcm_new_session(
		 &g, k.rtcp_key, s->keylen, k.rtcp_salt)) != 0 ||
	    (r = perc_gcm_seal(g, be32(p + 4), index, aad, head + 4, p + head,
		 n - head, p + head)) != 0)
		goto out;
	be32_put(p + n + PERC_SRTP_TAG_LEN, word);
out:
	perc_gcm_free(g);
	perc_wipe(&k, sizeof(k));
	return r;
}

int
perc_srtcp_protect(struct perc_srtcp *s, uint8_t *p, size_t *n)
{
	uint32_t ssrc;
	unsigned i;
	int r, len = (int)*n;

	if (s->session == NULL || s->inbound)
		return PERC_ERR_STATE;
	if ((r = stream_check(s, p, *n, SRTCP_HEADER)) != 0)
		return r;
	ssrc = be32(p + 4);
	i = stream_find(s, ssrc);
	if (i < s->streams && s->at_zero[i]) {
		if ((r = packet_seal(s, 0, s->clear, p, *n)) != 0)
			return r;
		s->at_zero[i] = false;
		*n += SRTCP_TRAILER;
		return 0;
	}
	if ((r = status_err(srtp_protect_rtcp(s->session, p, &len))) != 0)
		return r;
	stream_note(s, ssrc);
	*n = (size_t)len;
	return 0;
}

int
perc_srtcp_unprotect(struct perc_srtcp *s, uint8_t *p, size_t *n)
{
	uint32_t ssrc;
	int r, len = (int)*n;

	if (!s->inbound)
		return PERC_ERR_STATE;
	r = stream_check(s, p, *n, SRTCP_HEADER + SRTCP_TRAILER);
	if (r != 0)
		return r;
	ssrc = be32(p + 4);
	if ((r = status_err(srtp_unprotect_rtcp(s->session, p, &len))) != 0)
		return r;
	stream_note(s, ssrc);
	*n = (size_t)len;
	return 0;
}

/* An empty receiver report. */
static void
report_put(uint8_t p[static SRTCP_HEADER], uint32_t ssrc)
{
	memcpy(p, "\x80\xc9\x00\x01", 4);
	be32_put(p + 4, ssrc);
}

/*
 * libsrtp has no call for it, but a session that accepts a packet of index i
 * moves its window up to there, and sends from the window's lower end. So we
 * make one clear packet as the session would receive it.
 */
static int
window_move(struct perc_srtcp *s, uint32_t ssrc, uint32_t index)
{
	uint8_t p[SRTCP_HEADER + SRTCP_TRAILER];
	int r, len = sizeof(p);

	report_put(p, ssrc);
	if ((r = packet_seal(s, index, true, p, SRTCP_HEADER)) != 0)
		return r;
	return status_err(srtp_unprotect_rtcp(s->session, p, &len));
}

/* Spend indices on packets that nobody gets, until `last` is spent. */
static int
index_spend(struct perc_srtcp *s, uint32_t ssrc, uint32_t last)
{
	uint8_t p[SRTCP_HEADER + PERC_SRTCP_ROOM];
	uint32_t index = 0;
	int i, r, len;

	for (i = 0; i < SRTCP_RDB && index < last; i++) {
		report_put(p, ssrc);
		len = SRTCP_HEADER;
		r = status_err(srtp_protect_rtcp(s->session, p, &len));
		if (r != 0)
			return r;
		index = be32(p + len - 4) & SRTCP_INDEX_MAX;
	}
	return index == last ? 0 : PERC_ERR_UNSUPPORTED;
}

int
perc_srtcp_index_set(struct perc_srtcp *s, uint32_t ssrc, uint32_t index)
{
	int r;

	if (s->inbound || stream_known(s, ssrc))
		return PERC_ERR_STATE;
	if (index > SRTCP_INDEX_MAX)
		return PERC_ERR_INVAL;
	if (s->streams == PERC_SRTCP_STREAMS_MAX)
		return PERC_ERR_LIMIT;
	stream_note(s, ssrc);
	s->at_zero[s->streams - 1] = index == 0;
	if (index <= 1)
		return 0;
	index--;
	r = window_move(s, ssrc,
	    index > SRTCP_INDEX_MAX - SRTCP_RDB + 2 ? SRTCP_INDEX_MAX
						    : index + SRTCP_RDB - 2);
	return r != 0 ? r : index_spend(s, ssrc, index);
}
