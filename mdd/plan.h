/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a leg that came by SDP has negotiated (docs/wire/whip.md): which codec
 * has which payload type there, which header extension which id, and on which
 * m-lines it hears others. Such a leg is protected hop by hop and no further:
 * its packets carry neither OHB nor EKTField. A leg that joined by JSON has
 * no plan, and its packets are Double's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"
#include "perc/wire.h"

#define MDD_PLAN_LINES 24 /* m-lines of one leg */
#define MDD_PLAN_MID   16 /* characters; one header extension holds them */
#define MDD_PLAN_NONE  0xff
#define MDD_PLAN_EXTS  15 /* ids of perc/hdrext.h are below */
#define MDD_PLAN_REPAIRS 8
#define MDD_PLAN_IDLE_MS                                                       \
	2000 /* an m-line whose source is silent may have another */

enum mdd_codec {
	MDD_OPUS,
	MDD_G722,
	MDD_PCMU,
	MDD_PCMA,
	MDD_VP8,
	MDD_H264,
	MDD_VP9,
	MDD_CODECS
};

struct mdd_line {
	char mid[MDD_PLAN_MID + 1];
	bool video, hears; /* hears: the endpoint receives here */
	uint32_t ssrc;	   /* whose packets go here now; 0: nobody's yet */
	int64_t used_ms;
	uint32_t rtx_ssrc; /* of what repairs it, to the endpoint; 0: none yet */
	uint16_t rtx_seq;
};

struct mdd_plan {
	uint8_t pt[MDD_CODECS];	    /* MDD_PLAN_NONE: not spoken */
	uint8_t rtx[MDD_CODECS];    /* of its repair (RFC 4588); the same */
	uint8_t ext[MDD_PLAN_EXTS]; /* [id of perc/hdrext.h]; 0: none */
	unsigned nrepairs;	    /* SSRCs by which the endpoint repairs */
	struct {
		uint32_t rtx, media;
	} repair[MDD_PLAN_REPAIRS];
	unsigned nlines;
	struct mdd_line line[MDD_PLAN_LINES];
};

void mdd_plan_init(struct mdd_plan *p);
bool mdd_codec_is_video(enum mdd_codec c);
/* Which codec is this payload type here? MDD_CODECS: none. */
enum mdd_codec mdd_plan_codec(const struct mdd_plan *p, uint8_t pt);
/*
 * The m-line on which the endpoint hears ssrc: the one it has, else a free
 * one, else the one that has been idle longest (MDD_PLAN_IDLE_MS at least).
 * NULL: all are busy.
 */
struct mdd_line *
mdd_plan_line(struct mdd_plan *p, bool video, uint32_t ssrc, int64_t now_ms);
/* Between control and worker; get is strict. */
void mdd_plan_put(struct perc_wire *w, const struct mdd_plan *p);
void mdd_plan_get(struct perc_wire *w, struct mdd_plan *p);
