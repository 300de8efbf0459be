/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every length in an RTP header is a stranger's claim: CSRC count and
 * extension length are believed only after the octets were seen to be there.
 * The padding count is not looked at; in an encrypted packet the last octet
 * is ciphertext, and under Double it is the OHB (RFC 8723 section 5.1).
 */
#include "perc/rtp.h"

static uint16_t
be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

int
perc_rtp_parse(struct perc_rtp *h, const uint8_t *p, size_t n)
{
	if (n < PERC_RTP_MIN)
		return PERC_ERR_SHORT;
	if (p[0] >> 6 != 2)
		return PERC_ERR_FORMAT;
	h->padding = p[0] & 0x20;
	h->extension = p[0] & 0x10;
	h->cc = p[0] & 0x0f;
	h->marker = p[1] & 0x80;
	h->pt = p[1] & 0x7f;
	h->seq = be16(p + 2);
	h->ts = be32(p + 4);
	h->ssrc = be32(p + 8);
	h->ext_profile = 0;
	h->fixed_len = PERC_RTP_MIN + 4u * h->cc;
	h->header_len = h->fixed_len;
	if (n < h->fixed_len)
		return PERC_ERR_SHORT;
	if (!h->extension)
		return 0;
	if (n < h->fixed_len + 4)
		return PERC_ERR_SHORT;
	/* RFC 3550 section 5.3.1: the length counts words after its own */
	h->ext_profile = be16(p + h->fixed_len);
	h->header_len += 4 + 4u * be16(p + h->fixed_len + 2);
	return n < h->header_len ? PERC_ERR_SHORT : 0;
}

enum perc_pkt_kind
perc_pkt_kind(const uint8_t *p, size_t n)
{
	if (n < 2)
		return PERC_PKT_OTHER;
	if (p[0] <= 3)
		return PERC_PKT_STUN;
	if (p[0] >= 20 && p[0] <= 63)
		return PERC_PKT_DTLS;
	if (p[0] < 128 || p[0] > 191)
		return PERC_PKT_OTHER;
	/* RFC 5761 section 4 */
	return p[1] >= 192 && p[1] <= 223 ? PERC_PKT_RTCP : PERC_PKT_RTP;
}
