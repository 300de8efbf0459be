/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a packet tells of itself to somebody who cannot read it: the header
 * extensions that its sender left in the clear of the hop (perc/hdrext.h),
 * marker and timestamp. Audio level (RFC 6464), frame marking
 * (draft-ietf-avtext-framemarking) and dependency descriptor (AV1 RTP
 * specification, appendix A), as far as a choice among packets needs them.
 * Whoever holds the hop's key can lie in them; it harms its own stream.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "perc/hdrext.h"
#include "perc/rtp.h"

#define MDD_TEMPLATES_MAX 64 /* frame templates; the descriptor has 6 bits */
#define MDD_TID_MAX	  7

enum mdd_media { MDD_MEDIA_UNKNOWN, MDD_MEDIA_AUDIO, MDD_MEDIA_VIDEO };

struct mdd_frame {  /* of one packet, and of the frame that it is part of */
	bool known; /* an extension told; else timestamp and marker did */
	bool start, end; /* first, last packet of the frame */
	bool key;	 /* needs no other frame */
	bool has_level, has_number;
	uint8_t level;	 /* -dBov, 127: silence */
	uint8_t tid;	 /* temporal layer */
	uint8_t enter;	 /* from here on all layers up to this one decode */
	uint16_t number; /* of the frame */
};

struct mdd_sight {	   /* of one source, as far as it told */
	uint8_t media;	   /* enum mdd_media */
	bool rid;	   /* it is one layer of several (RFC 8852) */
	bool has_ts;	   /* ts is there */
	bool keyed;	   /* key frames can be seen */
	uint8_t offset;	   /* number of the first template */
	uint8_t templates; /* 0: none came yet */
	uint32_t mid;	   /* hash of its MID; layers of one picture share it */
	uint32_t ts;	   /* of the newest packet */
	uint8_t tid[MDD_TEMPLATES_MAX]; /* | MDD_SIGHT_SYNC */
};
#define MDD_SIGHT_SYNC 0x80

/* Look at an opened packet; newest: none of its source came from behind it.
 * True when media, rid or mid are other than before. */
bool mdd_sight_look(struct mdd_sight *s, const struct perc_rtp *h,
    const uint8_t *p, bool newest, struct mdd_frame *f);
/*
 * The extension block as it goes on: what is the hop's own (transport-wide
 * numbers, MID, RID) or unknown stays here; a link to another distributor gets
 * MID and RID, for it chooses among layers as we do. False: it goes on as it
 * came. Else *len octets of out (0: no extension is left).
 */
bool mdd_sight_strip(const struct perc_rtp *h, const uint8_t *p, bool link,
    uint8_t out[static PERC_HDREXT_MAX], size_t *len);
