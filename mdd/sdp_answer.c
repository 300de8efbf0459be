/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing the answer. Every accepted m-line repeats the one transport, for not
 * everybody looks for it at the first of a bundle only; what is refused keeps
 * its place.
 */
#include "mdd/sdp.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "perc/hdrext.h"

struct text {
	char *p;
	size_t cap, n;
	bool full;
};

static void PERC_PRINTF(2, 3) put(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->p + t->n, t->cap - t->n, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= t->cap - t->n)
		t->full = true;
	else
		t->n += (size_t)n;
}

#define STR(s) (int)(s).n, (s).n == 0 ? "" : (s).p

static void
put_pt(struct text *t, const struct mdd_sdp_pt *pt, bool tcc)
{
	if (pt->map.p != NULL)
		put(t, "a=rtpmap:%u %.*s\r\n", pt->pt, STR(pt->map));
	if (pt->fmtp.p != NULL)
		put(t, "a=fmtp:%u %.*s\r\n", pt->pt, STR(pt->fmtp));
	if (pt->fb & MDD_FB_NACK)
		put(t, "a=rtcp-fb:%u nack\r\n", pt->pt);
	if (pt->fb & MDD_FB_PLI)
		put(t, "a=rtcp-fb:%u nack pli\r\n", pt->pt);
	if (pt->fb & MDD_FB_FIR)
		put(t, "a=rtcp-fb:%u ccm fir\r\n", pt->pt);
	if (tcc && (pt->fb & MDD_FB_TCC))
		put(t, "a=rtcp-fb:%u transport-cc\r\n", pt->pt);
}

static void
put_candidate(struct text *t, unsigned n, const char *host, unsigned port)
{
	/* RFC 8445 section 5.1.2.1: host, component 1; the first preferred */
	put(t, "a=candidate:%u 1 udp %u %s %u typ host\r\n", n,
	    (126u << 24) + ((65536 - n) << 8) + 255, host, port);
}

static void
put_candidates(struct text *t, const struct mdd_sdp_ours *a)
{
	if (a->host6 != NULL)
		put_candidate(t, 1, a->host6, a->port);
	put_candidate(t, a->host6 != NULL ? 2 : 1, a->host, a->port);
	put(t, "a=end-of-candidates\r\n");
}

/* RFC 3264 section 6.1: what it sends we receive. */
static const char *
direction(uint8_t theirs)
{
	static const char *const names[] = { "inactive", "recvonly", "sendonly",
		"sendrecv" };

	return names[theirs & 3];
}

static void
put_transport(struct text *t, const struct mdd_sdp_ours *a)
{
	put(t,
	    "a=ice-ufrag:%s\r\na=ice-pwd:%s\r\na=fingerprint:%s\r\n"
	    "a=setup:passive\r\n",
	    a->ufrag, a->pwd, a->fingerprint);
	put_candidates(t, a);
}

static void
put_line(struct text *t, const struct mdd_sdp_line *l,
    const struct mdd_plan *plan, const struct mdd_sdp_ours *a)
{
	bool tcc = plan->ext[PERC_HDREXT_TWCC] != 0;
	unsigned c, i;

	put(t, "m=%.*s %u %.*s", STR(l->media), a->port, STR(l->proto));
	for (c = 0; c < MDD_CODECS; c++)
		for (i = 0; i < l->npts; i++)
			if (l->pt[i].codec == (enum mdd_codec)c)
				put(t, " %u", l->pt[i].pt);
	for (i = 0; i < l->npts; i++)
		if (l->pt[i].rtx)
			put(t, " %u", l->pt[i].pt);
	put(t, "\r\na=mid:%.*s\r\na=%s\r\na=rtcp-mux\r\n", STR(l->mid),
	    direction(l->dir));
	put_transport(t, a);
	if (l->ext[PERC_HDREXT_MID] != 0)
		put(t, "a=extmap:%u urn:ietf:params:rtp-hdrext:sdes:mid\r\n",
		    l->ext[PERC_HDREXT_MID]);
	if (l->ext[PERC_HDREXT_LEVEL] != 0)
		put(t,
		    "a=extmap:%u urn:ietf:params:rtp-hdrext:"
		    "ssrc-audio-level\r\n",
		    l->ext[PERC_HDREXT_LEVEL]);
	if (tcc)
		put(t,
		    "a=extmap:%u http://www.ietf.org/id/"
		    "draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n",
		    l->ext[PERC_HDREXT_TWCC]);
	for (c = 0; c < MDD_CODECS; c++)
		for (i = 0; i < l->npts; i++)
			if (l->pt[i].codec == (enum mdd_codec)c)
				put_pt(t, &l->pt[i], tcc);
	for (i = 0; i < l->npts; i++)
		if (l->pt[i].rtx)
			put(t, "a=rtpmap:%u %.*s\r\na=fmtp:%u %.*s\r\n",
			    l->pt[i].pt, STR(l->pt[i].map), l->pt[i].pt,
			    STR(l->pt[i].fmtp));
}

/*
 * An endpoint that knows packets by their SSRC alone (it offers no MID) is told
 * those that are there; who comes later it can only find in the roster. One
 * that has MID would stick to them, and an m-line is for whoever speaks.
 */
static void
put_others(struct text *t, bool video, const struct mdd_sdp_ours *a)
{
	unsigned i;

	for (i = 0; i < a->nothers; i++)
		if (a->others[i].video == video)
			put(t, "a=ssrc:%u cname:%u\r\n", a->others[i].ssrc,
			    a->others[i].ssrc);
}

/* RFC 3264 section 6: it keeps its place, with port 0. */
static void
put_refused(struct text *t, const struct mdd_sdp_line *l)
{
	put(t, "m=%.*s 0 %.*s %.*s\r\n", STR(l->media), STR(l->proto),
	    STR(l->formats));
	if (l->mid.n > 0)
		put(t, "a=mid:%.*s\r\n", STR(l->mid));
	put(t, "a=inactive\r\n");
}

int
mdd_sdp_answer(char *out, size_t cap, size_t *len, const struct mdd_sdp *o,
    const struct mdd_plan *plan, const struct mdd_sdp_ours *a)
{
	const char *family = strchr(a->host, ':') != NULL ? "IP6" : "IP4";
	struct text t = { .p = out, .cap = cap };
	bool named[2] = { plan->ext[PERC_HDREXT_MID] != 0,
		plan->ext[PERC_HDREXT_MID] != 0 };
	const struct mdd_sdp_line *l;
	unsigned i;

	put(&t,
	    "v=0\r\no=- %llu 1 IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\n"
	    "a=ice-lite\r\na=group:BUNDLE",
	    (unsigned long long)a->session, family, a->host, family, a->host);
	for (i = 0; i < plan->nlines; i++)
		put(&t, " %s", plan->line[i].mid);
	put(&t, "\r\n");
	if (o->mixed)
		put(&t, "a=extmap-allow-mixed\r\n");
	for (i = 0; i < o->nlines; i++) {
		l = &o->line[i];
		if (!l->taken) {
			put_refused(&t, l);
			continue;
		}
		put_line(&t, l, plan, a);
		if (!named[l->video] && (l->dir & MDD_SDP_RECEIVES) != 0) {
			put_others(&t, l->video, a);
			named[l->video] = true;
		}
	}
	*len = t.n;
	return t.full ? PERC_ERR_SHORT : 0;
}

int
mdd_sdp_frag_answer(char *out, size_t cap, size_t *len,
    const struct mdd_plan *plan, const struct mdd_sdp_ours *a)
{
	struct text t = { .p = out, .cap = cap };

	put(&t, "a=ice-lite\r\na=ice-ufrag:%s\r\na=ice-pwd:%s\r\n", a->ufrag,
	    a->pwd);
	put(&t, "m=%s 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:%s\r\n",
	    plan->line[0].video ? "video" : "audio", plan->line[0].mid);
	put_candidates(&t, a);
	*len = t.n;
	return t.full ? PERC_ERR_SHORT : 0;
}
