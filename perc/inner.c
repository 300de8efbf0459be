/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the inner layer protects is a packet that never travels: the header as
 * the sender made it, without X and extension, then payload and padding. The
 * distributor may change PT, SEQ and M on the way, so the receiver builds the
 * header anew from what arrived and what the OHB says; a lie in either fails
 * the tag, because the header is its associated data.
 */
#include "perc/inner.h"

#include <string.h>

int
perc_inner_seal(struct perc_gcm *g, const struct perc_rtp *h, uint64_t index,
    const uint8_t *in, size_t n, uint8_t *out)
{
	uint8_t aad[PERC_INNER_HEADER_MAX];
	size_t hl = h->header_len;
	int r;

	if (n < hl)
		return PERC_ERR_SHORT;
	memcpy(aad, in, h->fixed_len);
	aad[0] &= (uint8_t)~0x10;
	if (out != in)
		memcpy(out, in, hl);
	r = perc_gcm_seal(
	    g, h->ssrc, index, aad, h->fixed_len, in + hl, n - hl, out + hl);
	if (r == 0)
		out[n + PERC_SRTP_TAG_LEN] = 0; /* nothing was changed yet */
	return r;
}

int
perc_inner_parse(struct perc_inner *i, const uint8_t *p, size_t n)
{
	size_t body;
	int r;

	if ((r = perc_rtp_parse(&i->h, p, n)) != 0)
		return r;
	body = n - i->h.header_len;
	if ((r = perc_ohb_get(&i->ohb, p + i->h.header_len, body)) != 0)
		return r;
	body -= i->ohb.len;
	if (body < PERC_SRTP_TAG_LEN)
		return PERC_ERR_SHORT;
	i->ciphertext = p + i->h.header_len;
	i->ciphertext_len = body;
	i->header_len = i->h.fixed_len;
	memcpy(i->header, p, i->header_len);
	i->header[0] &= (uint8_t)~0x10;
	if (i->ohb.has_marker)
		i->header[1] = (uint8_t)((i->header[1] & 0x7f) |
		    (i->ohb.marker ? 0x80 : 0));
	if (i->ohb.has_pt)
		i->header[1] = (uint8_t)((i->header[1] & 0x80) | i->ohb.pt);
	i->seq = i->ohb.has_seq ? i->ohb.seq : i->h.seq;
	i->header[2] = (uint8_t)(i->seq >> 8);
	i->header[3] = (uint8_t)i->seq;
	return 0;
}

int
perc_inner_open(struct perc_gcm *g, const struct perc_inner *i, uint64_t index,
    uint8_t *out, size_t *outlen)
{
	int r;

	r = perc_gcm_open(g, i->h.ssrc, index, i->header, i->header_len,
	    i->ciphertext, i->ciphertext_len, out + i->header_len);
	if (r != 0)
		return r;
	memcpy(out, i->header, i->header_len);
	*outlen = i->header_len + i->ciphertext_len - PERC_SRTP_TAG_LEN;
	return 0;
}
