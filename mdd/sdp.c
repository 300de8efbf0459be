/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading an offer. A table says what each attribute means; whatever stands
 * before the first m-line counts for all of them (RFC 8866 section 5.13).
 * Strangers with a good token write this, so counts and lengths are bounded
 * before they are stored, and nothing is copied.
 */
#include "mdd/sdp.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "perc/hdrext.h"

static const struct mdd_sdp_refusal
    bad_form = { 400, "sdp_malformed",
	    "Not an SDP offer (RFC 8866); detail names the line" },
    bad_many = { 400, "sdp_too_large",
	    "Offer fewer m-lines, payload types or SSRCs" };

/* ---- attributes ------------------------------------------------------- */

/* False: malformed. v is what stands behind the colon. */
typedef bool (*attr_fn)(
    struct mdd_sdp *o, struct mdd_sdp_line *l, struct mdd_str v);

static struct mdd_sdp_pt *
pt_find(struct mdd_sdp_line *l, struct mdd_str number)
{
	uint64_t pt;
	unsigned i;

	if (!mdd_str_number(number, 127, &pt))
		return NULL;
	for (i = 0; i < l->npts; i++)
		if (l->pt[i].pt == pt)
			return &l->pt[i];
	return NULL;
}

/* Of a payload type that the m-line does not list: ignored. */
static bool
on_rtpmap(struct mdd_sdp *o, struct mdd_sdp_line *l, struct mdd_str v)
{
	struct mdd_sdp_pt *p = pt_find(l, mdd_str_cut(&v, ' '));

	if (p != NULL)
		p->map = v;
	return true;
}

static bool
on_fmtp(struct mdd_sdp *o, struct mdd_sdp_line *l, struct mdd_str v)
{
	struct mdd_sdp_pt *p = pt_find(l, mdd_str_cut(&v, ' '));

	if (p != NULL)
		p->fmtp = v;
	return true;
}

static bool
on_rtcp_fb(struct mdd_sdp *o, struct mdd_sdp_line *l, struct mdd_str v)
{
	static const struct {
		const char *name;
		uint8_t bit;
	} kinds[] = { { "nack", MDD_FB_NACK }, { "nack pli", MDD_FB_PLI },
		{ "ccm fir", MDD_FB_FIR }, { "transport-cc", MDD_FB_TCC } };
	struct mdd_str which = mdd_str_cut(&v, ' ');
	struct mdd_sdp_pt *p = pt_find(l, which);
	unsigned i, k;

	for (k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++)
		if (mdd_str_is(v, kinds[k].name))
			break;
	if (k == sizeof(kinds) / sizeof(kinds[0]))
		return true;
	for (i = 0; i < l->npts; i++)
		if (p == &l->pt[i] || mdd_str_is(which, "*"))
			l->pt[i].fb |= kinds[k].bit;
	return true;
}

/* RFC 8285 section 5. Ids above 14 would need the two-byte form, which we
 * answer to nobody. */
static bool
on_extmap(struct mdd_sdp *o, struct mdd_sdp_line *l, struct mdd_str v)
{
	static const struct {
		const char *uri;
		uint8_t id;
	} known[] = {
		{ "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
		    PERC_HDREXT_LEVEL },
		{ "http://www.ietf.org/id/"
		  "draft-holmer-rmcat-transport-wide-cc-extensions-01",
		    PERC_HDREXT_TWCC },
		{ "urn:ietf:params:rtp-hdrext:sdes:mid", PERC_HDREXT_MID },
	};
	struct mdd_str head = mdd_str_cut(&v, ' ');
	struct mdd_str uri = mdd_str_cut(&v, ' ');
	struct mdd_str number = mdd_str_cut(&head, '/');
	uint64_t id;
	unsigned i;

	if (!mdd_str_number(number, 4351, &id) || id == 0)
		return false;
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		/* only attributes with no direction are ours to answer */
		if (id <= 14 && head.n == 0 && mdd_str_is(uri, known[i].uri))
			l->ext[known[i].id] = (uint8_t)id;
	return true;
}

static bool
is_nocase(struct mdd_str s, const char *text)
{
	return s.n == strlen(text) && strncasecmp(s.p, text, s.n) == 0;
}

static bool
on_fingerprint(struct mdd_sdp *o, struct mdd_sdp_line *l, struct mdd_str v)
{
	char text[PERC_FINGERPRINT_TEXT];
	struct mdd_str rest = v, hash = mdd_str_cut(&rest, ' ');
	size_t i;

	/* Others may stand beside it (RFC 8122 section 5). */
	if (!is_nocase(hash, "sha-256"))
		return true;
	if (v.n >= sizeof(text))
		return false;
	for (i = 0; i < v.n; i++)
		text[i] =
		    i < hash.n ? (char)tolower((unsigned char)v.p[i]) : v.p[i];
	text[v.n] = '\0';
	l->has_pin = perc_fingerprint_get(l->pin, text) == 0;
	return l->has_pin;
}

static bool
on_setup(struct mdd_sdp *o, struct mdd_sdp_line *l, struct mdd_str v)
{
	static const char *const names[] = { "", "actpass", "active",
		"passive" };
	unsigned i;

	for (i = 1; i < 4; i++)
		if (mdd_str_is(v, names[i]))
			break;
	l->setup = i < 4 ? (enum mdd_sdp_setup)i : MDD_SETUP_NONE;
	return i < 4;
}

static bool
on_ufrag(struct mdd_sdp *o, struct mdd_sdp_line *l, struct mdd_str v)
{
	l->ufrag = v;
	return mdd_sdp_ice_ok(v, 4);
}

static bool
on_pwd(struct mdd_sdp *o, struct mdd_sdp_line *l, struct mdd_str v)
{
	l->pwd = v;
	return mdd_sdp_ice_ok(v, 22);
}

/* A token of RFC 8866; what is longer than we can tell is refused later. */
static bool
on_mid(struct mdd_sdp *o, struct mdd_sdp_line *l, struct mdd_str v)
{
	size_t i;

	for (i = 0; i < v.n; i++)
		if (!isgraph((unsigned char)v.p[i]) ||
		    strchr("\"(),/:;<=>?@[]\\", v.p[i]) != NULL)
			return false;
	l->mid = v;
	return v.n > 0;
}

static bool
on_group(struct mdd_sdp *o, struct mdd_sdp_line *l, struct mdd_str v)
{
	/* Of several BUNDLE groups the first counts. */
	if (mdd_str_is(mdd_str_cut(&v, ' '), "BUNDLE") && o->bundle.p == NULL)
		o->bundle = v;
	return true;
}

static bool
on_ssrc(struct mdd_sdp *o, struct mdd_sdp_line *l, struct mdd_str v)
{
	uint64_t ssrc;
	unsigned i;

	if (!mdd_str_number(mdd_str_cut(&v, ' '), UINT32_MAX, &ssrc))
		return false;
	for (i = 0; i < o->nssrcs; i++)
		if (o->ssrc[i] == ssrc)
			return true;
	if (o->nssrcs == MDD_SDP_SSRCS)
		return false;
	o->ssrc_video[o->nssrcs] = l->video;
	o->ssrc[o->nssrcs++] = (uint32_t)ssrc;
	return true;
}

/* RFC 5576 section 4.2; the second of FID or FEC-FR repairs the first. */
static bool
on_ssrc_group(struct mdd_sdp *o, struct mdd_sdp_line *l, struct mdd_str v)
{
	struct mdd_str kind = mdd_str_cut(&v, ' ');
	bool rtx = mdd_str_is(kind, "FID");
	uint64_t first, ssrc;

	if (!rtx && !mdd_str_is(kind, "FEC-FR"))
		return true;
	if (!mdd_str_number(mdd_str_cut(&v, ' '), UINT32_MAX, &first) ||
	    !mdd_str_number(mdd_str_cut(&v, ' '), UINT32_MAX, &ssrc) ||
	    o->nrepairs == MDD_SDP_SSRCS)
		return false;
	o->repaired[o->nrepairs] = rtx ? (uint32_t)first : 0;
	o->repair[o->nrepairs++] = (uint32_t)ssrc;
	return true;
}

static bool
on_flag(struct mdd_sdp *o, struct mdd_sdp_line *l, struct mdd_str name)
{
	static const struct {
		const char *name;
		uint8_t dir;
	} dirs[] = { { "inactive", 0 }, { "sendonly", MDD_SDP_SENDS },
		{ "recvonly", MDD_SDP_RECEIVES },
		{ "sendrecv", MDD_SDP_SENDS | MDD_SDP_RECEIVES } };
	unsigned i;

	for (i = 0; i < 4; i++)
		if (mdd_str_is(name, dirs[i].name))
			l->dir = dirs[i].dir;
	l->mux |= mdd_str_is(name, "rtcp-mux");
	l->lite |= mdd_str_is(name, "ice-lite");
	o->mixed |= mdd_str_is(name, "extmap-allow-mixed");
	/* A port of 0 then means "with the others", not "off" (RFC 9143). */
	if (mdd_str_is(name, "bundle-only"))
		l->off = false;
	return true;
}

static const struct {
	const char *name;
	attr_fn fn;
} attrs[] = {
	{ "rtpmap", on_rtpmap },
	{ "fmtp", on_fmtp },
	{ "rtcp-fb", on_rtcp_fb },
	{ "extmap", on_extmap },
	{ "fingerprint", on_fingerprint },
	{ "setup", on_setup },
	{ "ice-ufrag", on_ufrag },
	{ "ice-pwd", on_pwd },
	{ "mid", on_mid },
	{ "group", on_group },
	{ "ssrc", on_ssrc },
	{ "ssrc-group", on_ssrc_group },
};

static bool
attr_take(struct mdd_sdp *o, struct mdd_sdp_line *l, struct mdd_str v)
{
	bool valued = memchr(v.p, ':', v.n) != NULL;
	struct mdd_str name = mdd_str_cut(&v, ':');
	size_t i;

	if (!valued)
		return on_flag(o, l, name);
	for (i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++)
		if (mdd_str_is(name, attrs[i].name))
			return attrs[i].fn(o, l, v);
	return true;
}

/* ---- lines ------------------------------------------------------------ */

static bool
pts_take(struct mdd_sdp_line *l, struct mdd_str v)
{
	struct mdd_str one;
	uint64_t pt;

	while (v.n > 0) {
		one = mdd_str_cut(&v, ' ');
		if (!mdd_str_number(one, 127, &pt) || pt_find(l, one) != NULL ||
		    l->npts == MDD_SDP_PTS)
			return false;
		l->pt[l->npts].codec = MDD_CODECS;
		l->pt[l->npts++].pt = (uint8_t)pt;
	}
	return l->npts > 0;
}

/* m=<media> <port> <proto> <fmt> ... */
static bool
media_take(struct mdd_sdp *o, struct mdd_str v)
{
	struct mdd_sdp_line *l = &o->line[o->nlines++];
	uint64_t port;

	/* What the session says holds until the line says otherwise. */
	*l = o->session;
	l->mux = false;
	l->media = mdd_str_cut(&v, ' ');
	if (!mdd_str_number(mdd_str_cut(&v, ' '), 65535, &port))
		return false;
	l->off = port == 0;
	l->proto = mdd_str_cut(&v, ' ');
	l->formats = v;
	l->video = mdd_str_is(l->media, "video");
	l->rtp = (l->video || mdd_str_is(l->media, "audio")) &&
	    (mdd_str_is(l->proto, "UDP/TLS/RTP/SAVPF") ||
		mdd_str_is(l->proto, "UDP/TLS/RTP/SAVP"));
	if (l->media.n == 0 || l->proto.n == 0 || v.n == 0)
		return false;
	return !l->rtp || pts_take(l, v);
}

static bool
line_take(struct mdd_sdp *o, struct mdd_str line)
{
	struct mdd_str v = { line.p + 2, line.n - 2 };
	bool session = o->nlines == 0;

	switch (line.p[0]) {
	case 'm':
		return media_take(o, v);
	case 'a':
		return attr_take(
		    o, session ? &o->session : &o->line[o->nlines - 1], v);
	default: /* RFC 8866 section 5: all there are */
		return strchr(session ? "vosiuepcbtrzk" : "icbk", line.p[0]) !=
		    NULL;
	}
}

int
mdd_sdp_parse(struct mdd_sdp *o, const char *text, size_t n,
    const struct mdd_sdp_refusal **why)
{
	struct mdd_str rest = { text, n }, line;
	bool ok = true;

	memset(o, 0, sizeof(*o));
	o->session.dir = MDD_SDP_SENDS | MDD_SDP_RECEIVES;
	*why = &bad_form;
	if (n > MDD_SDP_MAX)
		goto many;
	while (mdd_sdp_next(&rest, &line, &ok)) {
		/* RFC 8866 section 5.1: version 0, and it comes first. */
		if ((o->at == 0) != (line.p[0] == 'v') ||
		    (o->at == 0 && !mdd_str_is(line, "v=0")))
			return PERC_ERR_FORMAT;
		o->at++;
		if (line.p[0] == 'm' && o->nlines == MDD_PLAN_LINES)
			goto many;
		if (!line_take(o, line))
			return PERC_ERR_FORMAT;
	}
	if (!ok)
		o->at++;
	return ok && o->nlines > 0 ? 0 : PERC_ERR_FORMAT;
many:
	*why = &bad_many;
	return PERC_ERR_LIMIT;
}
