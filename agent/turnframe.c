/* SPDX-License-Identifier: Apache-2.0 */
/*
 * STUN messages begin with two zero bits and count octets behind their header
 * of 20, always by four; ChannelData begins with 01 and counts octets behind
 * its header of four, padded to four on a stream alone.
 */
#include "agent/turnframe.h"

#define STUN_HEAD 20

int
turn_frame_len(
    size_t *len, size_t *all, const uint8_t p[static TURN_FRAME_HEAD])
{
	size_t n = (size_t)p[2] << 8 | p[3];

	switch (p[0] >> 6) {
	case 0: /* RFC 8489 section 5: the two last bits are zero */
		if (n % 4 != 0)
			return PERC_ERR_FORMAT;
		*len = *all = STUN_HEAD + n;
		return 0;
	case 1: /* RFC 8656 section 12: 0x4000 to 0x4FFF */
		if (p[0] > 0x4f)
			return PERC_ERR_FORMAT;
		*len = TURN_FRAME_HEAD + n;
		*all = (*len + 3) & ~(size_t)3;
		return 0;
	default:
		return PERC_ERR_FORMAT;
	}
}
