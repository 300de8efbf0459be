/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SDP (RFC 8866) as far as a WHIP offer of a WebRTC endpoint needs it (RFC 9725,
 * RFC 8829, RFC 9143): the offer read without a copy, and our answer written.
 * Everything is bounded, nothing is allocated. What we do not know is ignored,
 * as the RFC asks; what we know and is wrong is refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mdd/plan.h"
#include "perc/dtls.h"
#include "perc/err.h"

#define MDD_SDP_MAX   32768 /* octets of an offer */
#define MDD_SDP_LINE  2048  /* octets of one line of it */
#define MDD_SDP_PTS   64    /* payload types of one m-line */
#define MDD_SDP_SSRCS 32
#define MDD_SDP_ICE   256 /* RFC 8839 section 5.4 */

struct mdd_str { /* part of the offer; not NUL-terminated */
	const char *p;
	size_t n;
};

enum mdd_sdp_setup { MDD_SETUP_NONE, MDD_SETUP_ACTPASS, MDD_SETUP_ACTIVE,
	MDD_SETUP_PASSIVE };

#define MDD_SDP_SENDS	 1 /* the endpoint does */
#define MDD_SDP_RECEIVES 2

#define MDD_FB_NACK 1
#define MDD_FB_PLI  2
#define MDD_FB_FIR  4
#define MDD_FB_TCC  8

struct mdd_sdp_pt {
	uint8_t pt, fb;
	enum mdd_codec codec;	 /* MDD_CODECS: none that we know */
	bool rtx;		 /* mdd_sdp_settle: it repairs one of those */
	struct mdd_str map, fmtp; /* "opus/48000/2"; map.p NULL: none given */
};

struct mdd_sdp_line { /* one m-line; also what stands before the first */
	struct mdd_str media, proto, formats, mid, ufrag, pwd;
	bool rtp, video, off, mux, has_pin, lite;
	bool taken; /* mdd_sdp_settle: it is in the answer */
	uint8_t dir;
	enum mdd_sdp_setup setup;
	uint8_t pin[PERC_FINGERPRINT_LEN];
	uint8_t ext[MDD_PLAN_EXTS];
	struct mdd_sdp_pt pt[MDD_SDP_PTS];
	unsigned npts;
};

struct mdd_sdp {
	struct mdd_sdp_line session, line[MDD_PLAN_LINES];
	unsigned nlines;
	struct mdd_str bundle; /* its mids */
	bool mixed;	       /* a=extmap-allow-mixed */
	uint32_t ssrc[MDD_SDP_SSRCS], repair[MDD_SDP_SSRCS];
	bool ssrc_video[MDD_SDP_SSRCS];
	uint32_t repaired[MDD_SDP_SSRCS]; /* by RTX; 0: by something else */
	unsigned nssrcs, nrepairs;
	unsigned at; /* which line of the text the parser is at */
	/* Of the bundle, by mdd_sdp_settle: */
	struct mdd_str ufrag, pwd;
	uint8_t pin[PERC_FINGERPRINT_LEN];
};

struct mdd_sdp_refusal { /* why not, for an answer by RFC 9457 */
	unsigned status;
	const char *code, *title;
};

/* Read the offer; o points into text afterwards. *why is set on error. */
PERC_MUST int mdd_sdp_parse(struct mdd_sdp *o, const char *text, size_t n,
    const struct mdd_sdp_refusal **why);
/* Can we take it, and what do we agree on? */
PERC_MUST int mdd_sdp_settle(struct mdd_plan *plan, struct mdd_sdp *o,
    const struct mdd_sdp_refusal **why);
/* SSRCs of the offer that are not among these, repair streams aside; 0: all
 * are. */
uint32_t
mdd_sdp_stray_ssrc(const struct mdd_sdp *o, const uint32_t *ssrcs, unsigned n);

struct mdd_sdp_named {
	uint32_t ssrc;
	bool video;
};
/* The offer's own SSRCs, repair streams aside, into out (max of room). */
unsigned mdd_sdp_own(
    const struct mdd_sdp *o, struct mdd_sdp_named *out, unsigned max);

struct mdd_sdp_ours {
	const struct mdd_sdp_named *others; /* who is there, for a=ssrc */
	unsigned nothers;
	const char *fingerprint, *ufrag, *pwd; /* "sha-256 AB:..." */
	const char *host, *host6;	       /* host6 may be NULL */
	unsigned port;
	uint64_t session;
};
/* Write the answer to a settled offer; PERC_ERR_SHORT. */
#define MDD_SDP_ANSWER_MAX 32768
PERC_MUST int mdd_sdp_answer(char *out, size_t cap, size_t *len,
    const struct mdd_sdp *o, const struct mdd_plan *plan,
    const struct mdd_sdp_ours *a);

/* Ours after an ICE restart (RFC 9725 section 4.3.3). */
PERC_MUST int mdd_sdp_frag_answer(char *out, size_t cap, size_t *len,
    const struct mdd_plan *plan, const struct mdd_sdp_ours *a);

struct mdd_frag { /* application/trickle-ice-sdpfrag (RFC 8840) */
	struct mdd_str ufrag, pwd;
	unsigned candidates;
};
PERC_MUST int mdd_sdp_frag(struct mdd_frag *f, const char *text, size_t n);

/* ---- shared by the files of SDP --------------------------------------- */

bool mdd_str_is(struct mdd_str s, const char *text);
/* Up to the first sep; the rest is what is behind it. */
struct mdd_str mdd_str_cut(struct mdd_str *rest, char sep);
/* Decimal digits only, at most max; false: not that. */
bool mdd_str_number(struct mdd_str s, uint64_t max, uint64_t *v);
/* The next line without its end; false: no more, or *ok is false. */
bool mdd_sdp_next(struct mdd_str *text, struct mdd_str *line, bool *ok);
/* RFC 8839 section 5.4: characters and length. */
bool mdd_sdp_ice_ok(struct mdd_str s, size_t min);
