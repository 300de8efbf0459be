/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payload types, extension ids and m-lines of a leg that came by SDP. A browser
 * finds out by the MID of a packet where to play it (RFC 9143 section 9.2),
 * because an offer that is answered once cannot name the SSRCs of those who
 * come later. So m-lines are seats: a source takes one and leaves it when it
 * falls silent and another wants to be heard.
 */
#include "mdd/plan.h"

#include <string.h>

void
mdd_plan_init(struct mdd_plan *p)
{
	memset(p, 0, sizeof(*p));
	memset(p->pt, MDD_PLAN_NONE, sizeof(p->pt));
	memset(p->rtx, MDD_PLAN_NONE, sizeof(p->rtx));
}

bool
mdd_codec_is_video(enum mdd_codec c)
{
	return c >= MDD_VP8;
}

enum mdd_codec
mdd_plan_codec(const struct mdd_plan *p, uint8_t pt)
{
	unsigned c;

	for (c = 0; c < MDD_CODECS; c++)
		if (p->pt[c] == pt)
			break;
	return (enum mdd_codec)c;
}

struct mdd_line *
mdd_plan_line(struct mdd_plan *p, bool video, uint32_t ssrc, int64_t now_ms)
{
	struct mdd_line *l, *best = NULL;
	unsigned i;

	for (i = 0; i < p->nlines; i++) {
		l = &p->line[i];
		if (!l->hears || l->video != video)
			continue;
		if (l->ssrc == ssrc) {
			best = l;
			break;
		}
		if (l->ssrc != 0 && now_ms - l->used_ms < MDD_PLAN_IDLE_MS)
			continue;
		/* a free one has used_ms 0 */
		if (best == NULL || l->used_ms < best->used_ms)
			best = l;
	}
	if (best != NULL) {
		best->ssrc = ssrc;
		best->used_ms = now_ms;
	}
	return best;
}

/* ---- between control and worker --------------------------------------- */

#define LINE_VIDEO 1
#define LINE_HEARS 2

void
mdd_plan_put(struct perc_wire *w, const struct mdd_plan *p)
{
	unsigned i;

	perc_wire_put_bytes(w, p->pt, sizeof(p->pt));
	perc_wire_put_bytes(w, p->rtx, sizeof(p->rtx));
	perc_wire_put_u8(w, (uint8_t)p->nrepairs);
	for (i = 0; i < p->nrepairs; i++) {
		perc_wire_put_u32(w, p->repair[i].rtx);
		perc_wire_put_u32(w, p->repair[i].media);
	}
	perc_wire_put_bytes(w, p->ext, sizeof(p->ext));
	perc_wire_put_u8(w, (uint8_t)p->nlines);
	for (i = 0; i < p->nlines; i++) {
		perc_wire_put_u8(w,
		    (p->line[i].video ? LINE_VIDEO : 0) |
			(p->line[i].hears ? LINE_HEARS : 0));
		perc_wire_put_str(w, p->line[i].mid);
	}
}

static void
line_get(struct perc_wire *w, struct mdd_line *l)
{
	uint8_t flags = perc_wire_get_u8(w);
	const char *mid = perc_wire_get_str(w);

	if (flags > (LINE_VIDEO | LINE_HEARS) || strlen(mid) > MDD_PLAN_MID) {
		perc_wire_fail(w, PERC_ERR_FORMAT);
		return;
	}
	l->video = (flags & LINE_VIDEO) != 0;
	l->hears = (flags & LINE_HEARS) != 0;
	memcpy(l->mid, mid, strlen(mid) + 1);
}

static void
repairs_get(struct perc_wire *w, struct mdd_plan *p)
{
	unsigned i;

	p->nrepairs = perc_wire_get_u8(w);
	if (p->nrepairs > MDD_PLAN_REPAIRS) {
		p->nrepairs = 0;
		perc_wire_fail(w, PERC_ERR_FORMAT);
	}
	for (i = 0; i < p->nrepairs; i++) {
		p->repair[i].rtx = perc_wire_get_u32(w);
		p->repair[i].media = perc_wire_get_u32(w);
	}
}

void
mdd_plan_get(struct perc_wire *w, struct mdd_plan *p)
{
	const uint8_t *b;
	unsigned i;

	mdd_plan_init(p);
	if ((b = perc_wire_get_bytes(w, sizeof(p->pt))) != NULL)
		memcpy(p->pt, b, sizeof(p->pt));
	if ((b = perc_wire_get_bytes(w, sizeof(p->rtx))) != NULL)
		memcpy(p->rtx, b, sizeof(p->rtx));
	repairs_get(w, p);
	if ((b = perc_wire_get_bytes(w, sizeof(p->ext))) != NULL)
		memcpy(p->ext, b, sizeof(p->ext));
	p->nlines = perc_wire_get_u8(w);
	for (i = 0; i < MDD_CODECS; i++)
		if ((p->pt[i] > 127 && p->pt[i] != MDD_PLAN_NONE) ||
		    (p->rtx[i] > 127 && p->rtx[i] != MDD_PLAN_NONE))
			perc_wire_fail(w, PERC_ERR_FORMAT);
	for (i = 0; i < MDD_PLAN_EXTS; i++)
		if (p->ext[i] > 14)
			perc_wire_fail(w, PERC_ERR_FORMAT);
	if (p->nlines > MDD_PLAN_LINES) {
		p->nlines = 0;
		perc_wire_fail(w, PERC_ERR_FORMAT);
	}
	for (i = 0; i < p->nlines; i++)
		line_get(w, &p->line[i]);
}
