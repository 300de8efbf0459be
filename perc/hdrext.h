/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RTP header extensions, one- and two-byte form (RFC 8285): reading what a
 * stranger sent and writing what goes on. Nothing here is allocated; items
 * point into the packet. They travel outside the inner layer of Double (RFC
 * 8723 section 5.1), so a distributor sees them: metadata, never content.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"
#include "perc/rtp.h"
#include "perc/wire.h"

/*
 * The ids on a hop between perch-agent and perch-mdd are fixed, for there is
 * no offer and answer there that could map them. A hop that was negotiated
 * by SDP has a map of its own and is translated at its edge.
 */
enum perc_hdrext_id {
	PERC_HDREXT_LEVEL = 1,	 /* ssrc-audio-level, RFC 6464 */
	PERC_HDREXT_TWCC = 3,	 /* transport-wide-cc: the hop's own */
	PERC_HDREXT_MID = 4,	 /* sdes:mid: the hop's own */
	PERC_HDREXT_DD = 8,	 /* dependency descriptor, AV1 RTP spec */
	PERC_HDREXT_MARKING = 9, /* frame marking */
	PERC_HDREXT_RID = 10,	 /* sdes:rtp-stream-id: the hop's own */
	PERC_HDREXT_RRID = 11,	 /* sdes:repaired-rtp-stream-id: the same */
};

#define PERC_HDREXT_ONE	     0xbede /* profile of the one-byte form */
#define PERC_HDREXT_TWO	     0x1000 /* of the two-byte form; low 4 bits free */
#define PERC_HDREXT_TWO_MASK 0xfff0
#define PERC_HDREXT_HEAD     4	 /* octets before the elements */
#define PERC_HDREXT_ITEM_MAX 255 /* octets of one element's data */
#define PERC_HDREXT_MAX	     512 /* octets of a block that we write */

struct perc_hdrext_item {
	uint8_t id;  /* 1..14 or 1..255, by the form */
	uint8_t len; /* octets at data */
	const uint8_t *data;
};

struct perc_hdrext_iter {
	const uint8_t *p;
	size_t left;
	bool two; /* the form */
};

/* Begin with the extension of packet p, whose header h is. False: it has none,
 * or one of another kind (then there is nothing that we could read). */
bool perc_hdrext_begin(
    struct perc_hdrext_iter *it, const struct perc_rtp *h, const uint8_t *p);
/* The next element; false at the end, and at the first that lies about its
 * length or may not be there (RFC 8285 section 4.2 ends the list there). */
bool
perc_hdrext_next(struct perc_hdrext_iter *it, struct perc_hdrext_item *item);
/* The first element of that id. */
bool perc_hdrext_find(const struct perc_rtp *h, const uint8_t *p, uint8_t id,
    struct perc_hdrext_item *item);

/*
 * Write the whole block, its 4-octet head too, as perc_rewrite.ext wants it:
 * one-byte form when everything fits that, else two-byte. *len is 0 for no
 * items: then the packet has no extension. PERC_ERR_INVAL: an id that is 0 or
 * 15; PERC_ERR_SHORT: out (cap octets) is too small. data of the items must
 * not lie in out.
 */
PERC_MUST int perc_hdrext_put(uint8_t *out, size_t cap,
    const struct perc_hdrext_item *items, unsigned n, size_t *len);
