/* SPDX-License-Identifier: Apache-2.0 */
/*
 * [PT 1] [SEQ 2] Config 1, Config last: 0 0 0 0 B M P Q (RFC 8723 section 4).
 * The RFC prints its rule for B without M as "C & 0x0C must not be 0x80",
 * which can never be; 0x08 is meant and is what we refuse.
 */
#include "perc/ohb.h"

#define OHB_B 0x08
#define OHB_M 0x04
#define OHB_P 0x02
#define OHB_Q 0x01

int
perc_ohb_get(struct perc_ohb *o, const uint8_t *p, size_t n)
{
	uint8_t config;

	if (n < 1)
		return PERC_ERR_SHORT;
	config = p[n - 1];
	if ((config & 0xf0) != 0 || (config & (OHB_B | OHB_M)) == OHB_B)
		return PERC_ERR_FORMAT;
	*o = (struct perc_ohb){
		.has_pt = config & OHB_P,
		.has_seq = config & OHB_Q,
		.has_marker = config & OHB_M,
		.marker = config & OHB_B,
		.len = 1,
	};
	o->len += (o->has_seq ? 2 : 0) + (o->has_pt ? 1 : 0);
	if (n < o->len)
		return PERC_ERR_SHORT;
	p += n - o->len;
	if (o->has_pt)
		o->pt = *p++ & 0x7f; /* the top bit means nothing */
	if (o->has_seq)
		o->seq = (uint16_t)(p[0] << 8 | p[1]);
	return 0;
}

void
perc_ohb_put(struct perc_ohb *o, uint8_t *out)
{
	uint8_t *p = out;

	if (o->has_pt)
		*p++ = o->pt & 0x7f;
	if (o->has_seq) {
		*p++ = (uint8_t)(o->seq >> 8);
		*p++ = (uint8_t)o->seq;
	}
	*p++ = (uint8_t)((o->has_marker && o->marker ? OHB_B : 0) |
	    (o->has_marker ? OHB_M : 0) | (o->has_pt ? OHB_P : 0) |
	    (o->has_seq ? OHB_Q : 0));
	o->len = (size_t)(p - out);
}
