/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What we agree to. A forwarder decodes nothing, so it takes every codec that
 * it can name the same way on two legs, in one order for all: then the first of
 * each answer is common. Everything goes over one transport (BUNDLE, rtcp-mux)
 * on which we are ICE-lite and DTLS server.
 */
#include "mdd/sdp.h"

#include <string.h>
#include <strings.h>

#include "perc/hdrext.h"

static const struct mdd_sdp_refusal
    no_media = { 422, "sdp_no_media",
	    "Offer audio (opus, G722, PCMU, PCMA) or video (VP8, H264, VP9) "
	    "over "
	    "UDP/TLS/RTP/SAVPF, each with a=mid and a=rtcp-mux, in one BUNDLE "
	    "group" },
    no_ice = { 422, "sdp_no_ice",
	    "Offer a=ice-ufrag and a=ice-pwd of a full ICE agent: we are "
	    "ICE-lite" },
    no_pin = { 422, "sdp_no_fingerprint",
	    "Offer a=fingerprint:sha-256 of the certificate in the token" },
    no_role = { 422, "sdp_dtls_role",
	    "Offer a=setup:actpass or active: we are the DTLS server" };

/* ---- codecs ----------------------------------------------------------- */

static const struct {
	const char *name;
	unsigned clock, channels;
	uint8_t fixed; /* RFC 3551: needs no rtpmap */
} codecs[MDD_CODECS] = {
	[MDD_OPUS] = { "opus", 48000, 2, MDD_PLAN_NONE },
	[MDD_G722] = { "G722", 8000, 1, 9 },
	[MDD_PCMU] = { "PCMU", 8000, 1, 0 },
	[MDD_PCMA] = { "PCMA", 8000, 1, 8 },
	[MDD_VP8] = { "VP8", 90000, 1, MDD_PLAN_NONE },
	[MDD_H264] = { "H264", 90000, 1, MDD_PLAN_NONE },
	[MDD_VP9] = { "VP9", 90000, 1, MDD_PLAN_NONE },
};

static bool
is_nocase(struct mdd_str s, const char *text)
{
	return s.n == strlen(text) && strncasecmp(s.p, text, s.n) == 0;
}

/* Of "a=1; b=2" the value of name; p is NULL when it is not there. */
static struct mdd_str
param(struct mdd_str fmtp, const char *name)
{
	struct mdd_str one, key;

	while (fmtp.n > 0) {
		one = mdd_str_cut(&fmtp, ';');
		while (one.n > 0 && one.p[0] == ' ') {
			one.p++;
			one.n--;
		}
		key = mdd_str_cut(&one, '=');
		if (mdd_str_is(key, name))
			return one;
	}
	return (struct mdd_str){ NULL, 0 };
}

/* The forms that every endpoint has: H.264 constrained baseline (RFC 7742
 * section 6.2), VP9 profile 0. */
static bool
form_ok(enum mdd_codec c, struct mdd_str fmtp)
{
	struct mdd_str v;

	if (c == MDD_H264) {
		v = param(fmtp, "profile-level-id");
		return mdd_str_is(param(fmtp, "packetization-mode"), "1") &&
		    v.n == 6 && memcmp(v.p, "42", 2) == 0;
	}
	v = param(fmtp, "profile-id");
	return c != MDD_VP9 || v.p == NULL || mdd_str_is(v, "0");
}

static bool
is_codec(const struct mdd_sdp_pt *t, enum mdd_codec c)
{
	struct mdd_str map = t->map, name, clock;
	uint64_t hz, channels = 1;

	if (map.p == NULL)
		return t->pt == codecs[c].fixed;
	name = mdd_str_cut(&map, '/');
	clock = mdd_str_cut(&map, '/');
	return name.n == strlen(codecs[c].name) &&
	    strncasecmp(name.p, codecs[c].name, name.n) == 0 &&
	    mdd_str_number(clock, UINT32_MAX, &hz) && hz == codecs[c].clock &&
	    (map.n == 0 || mdd_str_number(map, 255, &channels)) &&
	    channels == codecs[c].channels && form_ok(c, t->fmtp);
}

/* One payload type means one thing in a bundle (RFC 9143 section 10.1.2), and
 * for us a codec has one; 64 to 95 look like RTCP (RFC 5761 section 4). */
static bool
codec_settle(struct mdd_plan *plan, struct mdd_sdp_line *l, enum mdd_codec c)
{
	struct mdd_sdp_pt *t;
	unsigned i;

	for (i = 0; i < l->npts; i++) {
		t = &l->pt[i];
		if ((t->pt >= 64 && t->pt <= 95) || !is_codec(t, c))
			continue;
		if (plan->pt[c] == MDD_PLAN_NONE &&
		    mdd_plan_codec(plan, t->pt) == MDD_CODECS)
			plan->pt[c] = t->pt;
		if (plan->pt[c] != t->pt)
			continue;
		t->codec = c;
		return true;
	}
	return false;
}

static bool
codecs_settle(struct mdd_plan *plan, struct mdd_sdp_line *l)
{
	unsigned c, n = 0;

	for (c = 0; c < MDD_CODECS; c++)
		if (mdd_codec_is_video((enum mdd_codec)c) == l->video)
			n += codec_settle(plan, l, (enum mdd_codec)c);
	return n > 0;
}

/* ---- the whole -------------------------------------------------------- */

static bool
bundled(const struct mdd_sdp *o, struct mdd_str mid)
{
	struct mdd_str all = o->bundle, one;

	while (all.n > 0) {
		one = mdd_str_cut(&all, ' ');
		if (one.n == mid.n && memcmp(one.p, mid.p, mid.n) == 0)
			return true;
	}
	return false;
}

static void
ext_settle(struct mdd_plan *plan, struct mdd_sdp_line *l)
{
	unsigned e, i;

	for (e = 1; e < MDD_PLAN_EXTS; e++) {
		for (i = 1; i < MDD_PLAN_EXTS; i++)
			if (i != e && l->ext[e] != 0 &&
			    plan->ext[i] == l->ext[e])
				l->ext[e] = 0; /* it means something else */
		if (plan->ext[e] == 0)
			plan->ext[e] = l->ext[e];
		if (plan->ext[e] != l->ext[e])
			l->ext[e] = 0;
	}
}

/*
 * Transport-wide feedback needs both the number in the packets and the promise
 * to report it, on every m-line: packets of one that has it not would count as
 * lost.
 */
static void
feedback_settle(struct mdd_plan *plan, struct mdd_sdp *o)
{
	struct mdd_sdp_line *l;
	bool all = true, told;
	unsigned i, k;

	for (i = 0; i < o->nlines; i++) {
		l = &o->line[i];
		if (!l->taken)
			continue;
		/* Chromium promises it for Opus and not for G.711. */
		for (k = 0, told = false; k < l->npts; k++)
			told |= l->pt[k].codec != MDD_CODECS &&
			    (l->pt[k].fb & MDD_FB_TCC) != 0;
		all &= told && l->ext[PERC_HDREXT_TWCC] != 0;
	}
	if (!all)
		plan->ext[PERC_HDREXT_TWCC] = 0;
}

/* What repairs payload type pt on this line, if it is RTX (RFC 4588 section
 * 8.1). */
static struct mdd_sdp_pt *
rtx_find(struct mdd_sdp_line *l, uint8_t pt)
{
	uint64_t apt;
	unsigned i;

	for (i = 0; i < l->npts; i++)
		if (is_nocase(l->pt[i].map, "rtx/90000") &&
		    (l->pt[i].pt < 64 || l->pt[i].pt > 95) &&
		    mdd_str_number(param(l->pt[i].fmtp, "apt"), 127, &apt) &&
		    apt == pt)
			return &l->pt[i];
	return NULL;
}

static void
rtx_line(struct mdd_plan *plan, struct mdd_sdp_line *l)
{
	struct mdd_sdp_pt *t, *r;
	unsigned i;

	for (i = 0; i < l->npts; i++) {
		t = &l->pt[i];
		if (t->codec == MDD_CODECS || (t->fb & MDD_FB_NACK) == 0 ||
		    (r = rtx_find(l, t->pt)) == NULL ||
		    mdd_plan_codec(plan, r->pt) != MDD_CODECS)
			continue;
		if (plan->rtx[t->codec] == MDD_PLAN_NONE)
			plan->rtx[t->codec] = r->pt;
		r->rtx = plan->rtx[t->codec] == r->pt;
	}
}

/* An endpoint that sends pictures and agreed to RTX repairs by it alone, so we
 * must know which SSRC repairs which. */
static void
rtx_settle(struct mdd_plan *plan, struct mdd_sdp *o)
{
	unsigned i, n = 0;
	bool sends = false;

	for (i = 0; i < o->nrepairs && n < MDD_PLAN_REPAIRS; i++) {
		if (o->repaired[i] == 0)
			continue;
		plan->repair[n].rtx = o->repair[i];
		plan->repair[n++].media = o->repaired[i];
	}
	for (i = 0; i < o->nlines; i++)
		sends |= o->line[i].taken && o->line[i].video &&
		    (o->line[i].dir & MDD_SDP_SENDS) != 0;
	if (sends && n == 0)
		return;
	plan->nrepairs = n;
	for (i = 0; i < o->nlines; i++)
		if (o->line[i].taken && o->line[i].video)
			rtx_line(plan, &o->line[i]);
}

static void
line_settle(struct mdd_plan *plan, struct mdd_sdp *o, struct mdd_sdp_line *l)
{
	struct mdd_line *mine = &plan->line[plan->nlines];
	unsigned i;

	if (!l->rtp || l->off || !l->mux || l->mid.n == 0 ||
	    l->mid.n > MDD_PLAN_MID || !bundled(o, l->mid) ||
	    !codecs_settle(plan, l))
		return;
	ext_settle(plan, l);
	l->taken = true;
	memcpy(mine->mid, l->mid.p, l->mid.n);
	mine->video = l->video;
	mine->hears = (l->dir & MDD_SDP_RECEIVES) != 0;
	/* Without MID the endpoint can tell no second one from the first. */
	for (i = 0; i < plan->nlines && plan->ext[PERC_HDREXT_MID] == 0; i++)
		if (plan->line[i].video == mine->video && plan->line[i].hears)
			mine->hears = false;
	plan->nlines++;
}

/* The transport of a bundle is that of its first m-line we took (RFC 9143
 * section 7.3.1). */
static const struct mdd_sdp_line *
transport(const struct mdd_sdp *o)
{
	struct mdd_str all = o->bundle, one;
	unsigned i;

	while (all.n > 0) {
		one = mdd_str_cut(&all, ' ');
		for (i = 0; i < o->nlines; i++)
			if (o->line[i].taken && o->line[i].mid.n == one.n &&
			    memcmp(o->line[i].mid.p, one.p, one.n) == 0)
				return &o->line[i];
	}
	return NULL;
}

int
mdd_sdp_settle(struct mdd_plan *plan, struct mdd_sdp *o,
    const struct mdd_sdp_refusal **why)
{
	const struct mdd_sdp_line *t;
	unsigned i;

	mdd_plan_init(plan);
	for (i = 0; i < o->nlines; i++)
		line_settle(plan, o, &o->line[i]);
	feedback_settle(plan, o);
	rtx_settle(plan, o);
	*why = &no_media;
	if ((t = transport(o)) == NULL)
		return PERC_ERR_UNSUPPORTED;
	*why = &no_ice;
	if (o->session.lite || t->ufrag.n == 0 || t->pwd.n == 0)
		return PERC_ERR_UNSUPPORTED;
	*why = &no_pin;
	if (!t->has_pin)
		return PERC_ERR_UNSUPPORTED;
	*why = &no_role;
	if (t->setup != MDD_SETUP_ACTPASS && t->setup != MDD_SETUP_ACTIVE)
		return PERC_ERR_UNSUPPORTED;
	o->ufrag = t->ufrag;
	o->pwd = t->pwd;
	memcpy(o->pin, t->pin, sizeof(o->pin));
	return 0;
}

static bool
among(uint32_t ssrc, const uint32_t *list, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (list[i] == ssrc)
			return true;
	return false;
}

uint32_t
mdd_sdp_stray_ssrc(const struct mdd_sdp *o, const uint32_t *ssrcs, unsigned n)
{
	unsigned i;

	for (i = 0; i < o->nssrcs; i++)
		if (!among(o->ssrc[i], ssrcs, n) &&
		    !among(o->ssrc[i], o->repair, o->nrepairs))
			return o->ssrc[i];
	return 0;
}

unsigned
mdd_sdp_own(const struct mdd_sdp *o, struct mdd_sdp_named *out, unsigned max)
{
	unsigned i, n = 0;

	for (i = 0; i < o->nssrcs && n < max; i++)
		if (!among(o->ssrc[i], o->repair, o->nrepairs))
			out[n++] = (struct mdd_sdp_named){ o->ssrc[i],
				o->ssrc_video[i] };
	return n;
}
