/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two browsers need not call Opus by one number, and each wants to be told on
 * which of its m-lines to play a source. These packets are protected by the hop
 * alone: there is no inner layer that would notice, and no OHB to keep (the
 * "repair" of perc/forward.h is just that: the outer layer only).
 */
#include "mdd/seat.h"

#include <string.h>

#define PT_OF(p)   ((p)[1] & 0x7f)
#define MARK_OF(p) ((p)[1] & 0x80)

/* Our id of what this leg calls so; 0: nothing that we know. */
static uint8_t
id_here(const struct mdd_plan *plan, uint8_t theirs)
{
	uint8_t i;

	for (i = 1; i < MDD_PLAN_EXTS; i++)
		if (plan->ext[i] == theirs)
			return i;
	return 0;
}

/* Elements keep their place; one that is unknown becomes padding (RFC 8285
 * section 4.1.1). */
void
mdd_seat_ids_in(
    const struct mdd_plan *plan, uint8_t *p, const struct perc_rtp *h)
{
	struct perc_hdrext_iter it;
	struct perc_hdrext_item x;
	uint8_t *head, id;

	if (!perc_hdrext_begin(&it, h, p))
		return;
	while (perc_hdrext_next(&it, &x)) {
		/* the element's head is one octet in front, or two */
		head = p + (x.data - p) - (it.two ? 2 : 1);
		id = id_here(plan, x.id);
		if (id == 0)
			memset(head, 0, (it.two ? 2 : 1) + (size_t)x.len);
		else if (it.two)
			head[0] = id;
		else
			head[0] = (uint8_t)(id << 4 | (head[0] & 0x0f));
	}
}

bool
mdd_seat_in(const struct mdd_leg *from, uint8_t *p, size_t n)
{
	enum mdd_codec c = mdd_plan_codec(from->plan, PT_OF(p));
	struct perc_rtp h;

	if (c == MDD_CODECS || perc_rtp_parse(&h, p, n) != 0)
		return false;
	p[1] = (uint8_t)(MARK_OF(p) | (MDD_SEAT_PT + (unsigned)c));
	mdd_seat_ids_in(from->plan, p, &h);
	return true;
}

bool
mdd_seat_out(struct mdd_leg *to, const uint8_t *p, size_t n, int64_t now_ms,
    struct perc_rewrite *w, uint8_t ext[static PERC_HDREXT_MAX])
{
	struct perc_hdrext_item x[2];
	unsigned c = PT_OF(p) - MDD_SEAT_PT, k = 0;
	struct mdd_plan *plan = to->plan;
	struct mdd_line *line;
	struct perc_rtp h;

	if (c >= MDD_CODECS || plan->pt[c] == MDD_PLAN_NONE ||
	    perc_rtp_parse(&h, p, n) != 0 ||
	    (line = mdd_plan_line(plan, mdd_codec_is_video((enum mdd_codec)c),
		 h.ssrc, now_ms)) == NULL)
		return false;
	w->set_pt = true;
	w->pt = plan->pt[c];
	w->repair = true;
	if (plan->ext[PERC_HDREXT_LEVEL] != 0 &&
	    perc_hdrext_find(&h, p, PERC_HDREXT_LEVEL, &x[k]))
		x[k++].id = plan->ext[PERC_HDREXT_LEVEL];
	if (plan->ext[PERC_HDREXT_MID] != 0) {
		x[k].id = plan->ext[PERC_HDREXT_MID];
		x[k].len = (uint8_t)strlen(line->mid);
		x[k++].data = (const uint8_t *)line->mid;
	}
	if (perc_hdrext_put(ext, PERC_HDREXT_MAX, x, k, &w->extlen) != 0)
		return false;
	w->set_ext = true;
	w->ext = w->extlen == 0 ? NULL : ext;
	return true;
}
