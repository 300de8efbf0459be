/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of one hop: an SRTP master key, its SSRCs with rollover
 * counter and replay window (RFC 3711 section 3.3), RTP by our transform
 * (perc/gcm.h), SRTCP by libsrtp. Tables are sized when made; nothing is
 * allocated per packet. The EKTField is outside: cut it first (perc/tail.h).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"
#include "perc/gcm.h"
#include "perc/rtp.h"

enum perc_srtp_profile { /* DTLS-SRTP ids */
	PERC_AEAD_AES_128_GCM = 0x0007,
	PERC_AEAD_AES_256_GCM = 0x0008,
};
#define PERC_SRTP_STREAMS_MAX 4096 /* SSRCs of one direction */

struct perc_srtp;

/* key: 16 or 32 octets by profile. max_streams: SSRCs; more: PERC_ERR_LIMIT.
 * window: replay window in packets, 64..1024. */
PERC_MUST int perc_srtp_new(struct perc_srtp **sp,
    enum perc_srtp_profile profile, const uint8_t *key,
    const uint8_t salt[static PERC_SRTP_SALT_LEN], unsigned max_streams,
    unsigned window);
void perc_srtp_free(struct perc_srtp *s);
/* Octets that one takes, with what its cipher takes rounded up. */
size_t perc_srtp_memory(unsigned max_streams, unsigned window);

/*
 * Bring what a packet of ssrc needs of s closer to the processor: read from
 * afar it costs more than the cipher. Each step follows pointers that the one
 * before brought, so who has many contexts goes through all of them with step
 * 0, then 1, then 2. Changes nothing.
 */
#define PERC_SRTP_FETCH_STEPS 3
void perc_srtp_fetch(const struct perc_srtp *s, uint32_t ssrc, unsigned step);
/*
 * Protect the plain packet in (n octets, header parsed in h) into out, which
 * may be in itself and has n + 16 octets of room; *outlen = n + 16. The ROC
 * follows the SEQs sent. PERC_ERR_REPLAY when this index went out already
 * (a GCM nonce never repeats).
 */
PERC_MUST int perc_srtp_protect(struct perc_srtp *s, const struct perc_rtp *h,
    const uint8_t *in, size_t n, uint8_t *out, size_t *outlen);
/*
 * The same packet once more, octet for octet, for a receiver that lost it:
 * tag is the one that it went out with, and what would have another one is
 * another plaintext under a spent nonce: PERC_ERR_AUTH, and out is wiped.
 * PERC_ERR_NOTFOUND: this index never went out. out may be in.
 */
PERC_MUST int perc_srtp_again(struct perc_srtp *s, const struct perc_rtp *h,
    const uint8_t *in, size_t n, const uint8_t tag[static PERC_SRTP_TAG_LEN],
    uint8_t *out, size_t *outlen);
/* Verify, decrypt into out (may be in), then commit ROC and window; an
 * unverified packet changes nothing. PERC_ERR_REPLAY, _AUTH, _LIMIT. */
PERC_MUST int perc_srtp_unprotect(struct perc_srtp *s, const struct perc_rtp *h,
    const uint8_t *in, size_t n, uint8_t *out, size_t *outlen);
/* Fix the ROC of an SSRC (made if need be) before its first packet;
 * PERC_ERR_STATE afterwards. */
PERC_MUST int perc_srtp_roc_set(struct perc_srtp *s, uint32_t ssrc,
    uint32_t roc);
/* s has other keys of the same hop and no packet yet: its streams go on where
 * those of old are (RFC 3711 section 3.3.1: a ROC is never set back). */
void perc_srtp_follow(struct perc_srtp *s, const struct perc_srtp *old);
/* ROC of the highest index so far. PERC_ERR_NOTFOUND: no such stream. */
PERC_MUST int perc_srtp_roc_get(const struct perc_srtp *s, uint32_t ssrc,
    uint32_t *roc);
/*
 * The stream ended; its place is free for another SSRC. How far it got stays
 * known, so that a later return under this key repeats no nonce and no
 * packet. PERC_SRTP_FORGOTTEN_MAX times the streams can be remembered; then
 * new SSRCs get PERC_ERR_LIMIT until the hop has a new key.
 */
#define PERC_SRTP_FORGOTTEN_MAX 3
void perc_srtp_forget(struct perc_srtp *s, uint32_t ssrc);
/*
 * From now on, before the first packet: where all places are taken, a packet of
 * a new SSRC that verifies has the place of the one silent for longest. Then
 * PERC_ERR_LIMIT means that no more can be remembered: get a new key. For
 * receiving; roc_set does not evict.
 */
PERC_MUST int perc_srtp_evicting(struct perc_srtp *s);

/* SRTCP, one direction of the same master key (RFC 7714 section 9). In place;
 * protect adds 20 octets (buffer needs PERC_SRTCP_ROOM more). PERC_ERR_SHORT,
 * _REPLAY, _AUTH, _LIMIT (more than PERC_SRTCP_STREAMS_MAX SSRCs). */
#define PERC_SRTCP_ROOM	       148
#define PERC_SRTCP_STREAMS_MAX 64
struct perc_srtcp;
PERC_MUST int perc_srtcp_new(struct perc_srtcp **sp,
    enum perc_srtp_profile profile, const uint8_t *key,
    const uint8_t salt[static PERC_SRTP_SALT_LEN], int inbound);
void perc_srtcp_free(struct perc_srtcp *s);
PERC_MUST int perc_srtcp_protect(struct perc_srtcp *s, uint8_t *p, size_t *n);
PERC_MUST int perc_srtcp_unprotect(struct perc_srtcp *s, uint8_t *p, size_t *n);
/* Send with E = 0 from now on: authenticated, not encrypted (RFC 7714 section
 * 9.3). Only before the first packet. Receiving takes both by itself. */
PERC_MUST int perc_srtcp_clear_text(struct perc_srtcp *s);
/* The next packet of ssrc leaves with this index (0 .. 2^31 - 1), as when a
 * leg is taken over; only before its first packet. A stream starts with 1
 * unless told otherwise. PERC_ERR_UNSUPPORTED. */
PERC_MUST int perc_srtcp_index_set(struct perc_srtcp *s, uint32_t ssrc,
    uint32_t index);
/* Once per process, before a sandbox: loads NSS and keeps one context. */
PERC_MUST int perc_srtcp_warm_up(void);
