/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A distributor that changes nothing needs nothing but plain SRTP, so the OHB
 * is not even read then. Once it changes a field, the OHB must say what the
 * sender had put there: the first distributor of a cascade records it, later
 * ones leave that record alone, and whoever puts the original back takes the
 * record out again (RFC 8723 section 5.2). Padding is not looked at: the last
 * octet of an opened packet is the OHB's, not a pad count. What stays as it
 * was, which is almost everything, goes through the cipher without a copy.
 */
#include "perc/forward.h"

#include <string.h>

#define EXT_HEAD 4

static int
rewrite_check(const struct perc_rewrite *w)
{
	if (w->set_pt && w->pt > 0x7f)
		return PERC_ERR_INVAL;
	if (!w->set_ext || w->ext == NULL)
		return 0;
	/* RFC 3550 section 5.3.1: whole words, counted without the head */
	if (w->extlen < EXT_HEAD || w->extlen % 4 != 0 ||
	    w->extlen / 4 - 1 != (size_t)(w->ext[2] << 8 | w->ext[3]))
		return PERC_ERR_INVAL;
	return 0;
}

/* Does w change a field that the OHB would have to tell? */
static bool
fields_change(const struct perc_rewrite *w, const struct perc_rtp *h)
{
	return (w->set_pt && w->pt != h->pt) ||
	    (w->set_seq && w->seq != h->seq) ||
	    (w->set_marker && w->marker != h->marker);
}

static void
ohb_update(
    struct perc_ohb *o, const struct perc_rewrite *w, const struct perc_rtp *h)
{
	if (w->set_pt && w->pt != h->pt) {
		if (!o->has_pt)
			o->pt = h->pt;
		o->has_pt = w->pt != o->pt;
	}
	if (w->set_seq && w->seq != h->seq) {
		if (!o->has_seq)
			o->seq = h->seq;
		o->has_seq = w->seq != o->seq;
	}
	if (w->set_marker && w->marker != h->marker) {
		if (!o->has_marker)
			o->marker = h->marker;
		o->has_marker = w->marker != o->marker;
	}
}

/* Header and extension as they go out; the new header's length, or 0 when it
 * does not fit. */
static size_t
header_put(const struct perc_rewrite *w, const struct perc_rtp *h,
    const uint8_t *in, uint8_t *out, size_t cap)
{
	const uint8_t *ext = w->set_ext ? w->ext : in + h->fixed_len;
	size_t extlen = w->set_ext ? w->extlen : h->header_len - h->fixed_len;

	if (ext == NULL)
		extlen = 0;
	if (cap < h->fixed_len + extlen)
		return 0;
	memcpy(out, in, h->fixed_len);
	if (extlen > 0)
		memcpy(out + h->fixed_len, ext, extlen);
	out[0] = (uint8_t)((out[0] & ~0x10) | (extlen > 0 ? 0x10 : 0));
	if (w->set_pt)
		out[1] = (out[1] & 0x80) | w->pt;
	if (w->set_marker)
		out[1] = (uint8_t)((out[1] & 0x7f) | (w->marker ? 0x80 : 0));
	if (w->set_seq) {
		out[2] = (uint8_t)(w->seq >> 8);
		out[3] = (uint8_t)w->seq;
	}
	return h->fixed_len + extlen;
}

static int
seal(struct perc_srtp *tx, const struct perc_rewrite *w,
    const struct perc_rtp *h, const uint8_t *in, size_t n, uint8_t *out,
    size_t *outlen)
{
	return w->again == NULL
	    ? perc_srtp_protect(tx, h, in, n, out, outlen)
	    : perc_srtp_again(tx, h, in, n, w->again, out, outlen);
}

int
perc_forward(struct perc_srtp *tx, const struct perc_rewrite *w,
    const uint8_t *in, size_t n, uint8_t *out, size_t cap, size_t *outlen)
{
	static const struct perc_rewrite nothing;
	struct perc_ohb ohb;
	struct perc_rtp h;
	size_t hl, body, keep;
	int r;

	if (w == NULL)
		w = &nothing;
	if ((r = rewrite_check(w)) != 0 || (r = perc_rtp_parse(&h, in, n)) != 0)
		return r;
	if (!w->set_ext && !fields_change(w, &h)) {
		if (cap < n + PERC_SRTP_TAG_LEN)
			return PERC_ERR_SHORT;
		return seal(tx, w, &h, in, n, out, outlen);
	}
	body = keep = n - h.header_len;
	if (!w->repair && fields_change(w, &h)) {
		if ((r = perc_ohb_get(&ohb, in + h.header_len, body)) != 0)
			return r;
		keep = body - ohb.len;
		ohb_update(&ohb, w, &h);
	}
	hl = header_put(w, &h, in, out, cap);
	if (hl == 0 || cap - hl < keep + PERC_OHB_MAX + PERC_SRTP_TAG_LEN)
		return PERC_ERR_SHORT;
	memcpy(out + hl, in + h.header_len, keep);
	if (!w->repair && fields_change(w, &h)) {
		perc_ohb_put(&ohb, out + hl + keep);
		keep += ohb.len;
	}
	if ((r = perc_rtp_parse(&h, out, hl)) != 0)
		return r;
	return seal(tx, w, &h, out, hl + keep, out, outlen);
}
