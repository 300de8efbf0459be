/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The endpoint's end-to-end layer: Double's inner transform (RFC 8723) keyed
 * by EKT (RFC 8870). A sender seals plain RTP of one SSRC and says which
 * EKTField travels with it; a receiver opens whatever arrives of all SSRCs
 * of a conference. The outer layer is somebody else's (perc/srtp.h): what
 * goes in and out here is header | inner ciphertext | inner tag | OHB, then
 * the EKTField.
 *
 * Sending and receiving rules: RFC 8870 sections 4.3 to 4.6 with the
 * hardening that docs/ekt.md explains: an Epoch counts only after an inner
 * tag proved its key, a key once used is never installed again, candidates
 * and unwraps are bounded, a tag's ROC is a hint, never a command.
 *
 * Times are the caller's milliseconds, monotonic.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/ekt.h"
#include "perc/rtp.h"

/* Octets a sealed packet grows by: tag, OHB, Full field. */
#define PERC_DOUBLE_ROOM (16 + 1 + PERC_EKT_FIELD_MAX)

/* ---- sending: one SSRC -------------------------------------------------- */
struct perc_double_tx;

enum perc_full_rule {
	PERC_FULL_AUDIO, /* Full every 100 ms */
	PERC_FULL_VIDEO, /* Full with perc_double_tx_key_frame, at least 1/s */
};

/* ekt must outlive the sender. PERC_ERR_NOMEM. */
PERC_MUST int perc_double_tx_new(struct perc_double_tx **tp,
    struct perc_ekt *ekt, uint32_t ssrc, enum perc_full_rule rule);
void perc_double_tx_free(struct perc_double_tx *t);
/*
 * Make a fresh random key under set spi. It is announced in Full fields of
 * the next three packets while the old key still encrypts for 250 ms (RFC
 * 8870 section 4.3.1); a sender that has no old key, or has been silent for
 * those 250 ms, begins with the new one. With the set in use this changes the
 * key under the same SPI: Epoch + 1. PERC_ERR_UNKNOWN_KEY; PERC_ERR_DENIED: a
 * receive-only set; PERC_ERR_LIMIT: Epochs are used up, get a new set.
 */
PERC_MUST int perc_double_tx_switch(struct perc_double_tx *t, uint16_t spi,
    int64_t now_ms);
/* The next packet begins a key frame: it carries a Full field. */
void perc_double_tx_key_frame(struct perc_double_tx *t);
/*
 * Somebody joined, who knows no key: for 3 s from now a Full field leaves
 * every 100 ms, also with video; the first with the next packet, unless one
 * left within 100 ms. However many join, there are not more.
 */
void perc_double_tx_newcomer(struct perc_double_tx *t, int64_t now_ms);
/*
 * Seal plain RTP (n octets; SSRC must be ours) into out, with OHB and
 * EKTField: at most n + PERC_DOUBLE_ROOM octets. The inner ROC starts from
 * the clock of the first switch and follows SEQ.
 * PERC_ERR_STATE: no live key (ttl over): nothing may be sent.
 * PERC_ERR_REPLAY: SEQ used already. PERC_ERR_INVAL: another SSRC.
 */
PERC_MUST int perc_double_tx_seal(struct perc_double_tx *t, int64_t now_ms,
    const uint8_t *in, size_t n, uint8_t *out, size_t cap, size_t *outlen);
/* Set whose key encrypts; 0 before the first switch. */
uint16_t perc_double_tx_spi(const struct perc_double_tx *t);
uint32_t perc_double_tx_roc(const struct perc_double_tx *t);
/* Wipe every key under set spi; without another one nothing can be sent. */
void perc_double_tx_drop(struct perc_double_tx *t, uint16_t spi);

/* ---- receiving: all SSRCs of one conference ------------------------------ */
struct perc_double_rx;

struct perc_double_in {	       /* one opened packet */
	uint32_t ssrc;
	uint16_t seq;	       /* original (inner) sequence number */
	uint32_t roc;	       /* inner rollover counter */
	uint8_t outer_pt;      /* selects the codec (RFC 8723 section 5.3) */
	uint16_t outer_seq;    /* orders packets */
	uint16_t spi;	       /* set whose key opened it */
	bool first;	       /* it proved that key: none opened before */
	size_t len;	       /* octets of plain synthetic RTP in out */
};

struct perc_double_stats {
	uint64_t opened, replayed, inner_auth_failed, no_key, unknown_spi,
	    not_listed, malformed, unwraps, unwraps_limited, keys_installed,
	    rollbacks_refused;
	uint64_t fields_refused; /* Full fields that brought nothing */
	uint64_t roc_hints;	 /* packets that only a field's ROC opened */
	unsigned keys, candidates; /* held now */
};

/* max_ssrcs bounds the table; window (64..1024) is the end-to-end replay
 * window. */
PERC_MUST int perc_double_rx_new(struct perc_double_rx **rp,
    struct perc_ekt *ekt, unsigned max_ssrcs, unsigned window);
void perc_double_rx_free(struct perc_double_rx *r);
/*
 * Only listed SSRCs are heard (the roster's). Listing keeps the state of those
 * already there; keys of those no longer listed are wiped, how far they got
 * is remembered for as many SSRCs again. PERC_ERR_LIMIT, and nothing changed,
 * for more than max_ssrcs. Allocates; packets do not.
 */
PERC_MUST int perc_double_rx_list(struct perc_double_rx *r,
    const uint32_t *ssrcs, size_t n);
/*
 * in: outer-opened packet with its EKTField. out (n octets of room, not
 * overlapping) gets the synthetic packet: original PT, SEQ, M; no extension;
 * plain payload.
 *
 * *unknown_spi is the SPI of a set that is missing: fetch it; else 0. It is
 * set with any result, for the packet was tried with the keys at hand (a
 * deviation from RFC 8870 section 4.3.2 that docs/ekt.md explains).
 *
 *	PERC_ERR_UNKNOWN_KEY	nothing opened it, and a set is missing
 *	PERC_ERR_NOTFOUND	no key of this SSRC came yet
 *	PERC_ERR_AUTH		no key at hand, or the field, verifies
 *	PERC_ERR_REPLAY, _FORMAT, _SHORT
 *	PERC_ERR_DENIED		SSRC not listed
 */
PERC_MUST int perc_double_rx_open(struct perc_double_rx *r, int64_t now_ms,
    const uint8_t *in, size_t n, uint8_t *out, struct perc_double_in *info,
    uint16_t *unknown_spi);
/* What is opened until this is taken back was here before and was kept, a
 * bounded number: its fields take nothing from the budget of unwraps. A field
 * that is left alone for want of budget would be lost with its key, for a
 * packet that opens is not kept any longer. Nor is it counted a second time
 * among what did not open. */
void perc_double_rx_again(struct perc_double_rx *r, bool again);
/* Wipe every E2E key that came under set spi. */
void perc_double_rx_drop(struct perc_double_rx *r, uint16_t spi);
const struct perc_double_stats *perc_double_rx_stats(
    struct perc_double_rx *r);
