/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ways. What surprises: a browser fills its repair stream with packets
 * that nobody asked for, to find out what the road carries; their
 * transport-wide numbers count, they themselves do not. And no SDP answer can
 * name the SSRC of a repair stream whose original is not known yet: the MID
 * tells the m-line, and a browser takes what comes there with the repair's
 * payload type for the repair of what it plays there.
 */
#include "mdd/repair.h"

#include <string.h>

#include "mdd/room.h"
#include "mdd/seat.h"
#include "mdd/worker.h"
#include "perc/crypto.h"

#define OSN_LEN 2

static void
u32_put(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* ---- to a leg ----------------------------------------------------------- */

/* The stream of that m-line, not named like any other of the room. */
static void
stream_begin(const struct mdd_leg *to, struct mdd_line *l)
{
	while (l->rtx_ssrc <= MDD_RTCP_SSRC ||
	    mdd_room_source(to->room, l->rtx_ssrc) != NULL) {
		l->rtx_ssrc = perc_random_u32();
		l->rtx_seq = (uint16_t)(perc_random_u32() & 0x7fff);
	}
}

/* Fixed header, original sequence number, payload; extensions come anew. */
static size_t
packet_make(uint8_t *q, const struct mdd_kept *k, const struct perc_rtp *h,
    uint16_t seq, uint32_t ssrc)
{
	size_t body = k->n - h->header_len;

	memcpy(q, k->p, h->fixed_len);
	q[0] &= 0xef;
	u32_put(q + 8, ssrc);
	q[h->fixed_len] = (uint8_t)(seq >> 8);
	q[h->fixed_len + 1] = (uint8_t)seq;
	memcpy(q + h->fixed_len + OSN_LEN, k->p + h->header_len, body);
	return h->fixed_len + OSN_LEN + body;
}

static bool
packet_seal(struct mdd_worker *w, struct mdd_leg *to, struct perc_rewrite *rw,
    const uint8_t *q, size_t n)
{
	uint8_t stamped[PERC_HDREXT_MAX], *out = mdd_batch_slot(w->out);
	uint16_t tseq = 0;
	struct perc_rtp h;
	bool stamp = false;
	size_t len;

	if (perc_rtp_parse(&h, q, n) != 0)
		return false;
	if (to->cc != NULL) {
		tseq = to->cc->next;
		stamp = mdd_cc_stamp(to->cc, q, &h, tseq, rw, stamped);
	}
	if (perc_forward(to->tx, rw, q, n, out, MDD_OUT_MAX, &len) != 0) {
		w->count[MDD_FORWARD_FAILED]++;
		return false;
	}
	if (stamp)
		mdd_cc_sent(to->cc, tseq, len);
	to->sent++;
	to->sent_octets += len;
	mdd_batch_commit(w->out, &to->addr, len);
	return true;
}

bool
mdd_repair_send(struct mdd_worker *w, struct mdd_leg *to,
    const struct mdd_sent *s, const struct mdd_kept *k, int64_t now_ms,
    bool *sent)
{
	unsigned c = (k->p[1] & 0x7fu) - MDD_SEAT_PT;
	uint8_t ext[PERC_HDREXT_MAX], q[MDD_OUT_MAX];
	struct perc_rewrite rw = { .set_seq = true };
	struct mdd_line *line;
	struct perc_rtp h;

	*sent = false;
	if (to->plan == NULL || c >= MDD_CODECS ||
	    to->plan->rtx[c] == MDD_PLAN_NONE)
		return false;
	if (perc_rtp_parse(&h, k->p, k->n) != 0 ||
	    k->n + OSN_LEN + PERC_HDREXT_MAX > sizeof(q) ||
	    !mdd_seat_out(to, k->p, k->n, now_ms, &rw, ext) ||
	    (line = mdd_plan_line(to->plan,
		 mdd_codec_is_video((enum mdd_codec)c), s->ssrc, now_ms)) ==
		NULL)
		return true;
	stream_begin(to, line);
	rw.pt = to->plan->rtx[c];
	rw.seq = line->rtx_seq++;
	*sent = packet_seal(
	    w, to, &rw, q, packet_make(q, k, &h, s->seq, line->rtx_ssrc));
	return true;
}

/* ---- from a leg --------------------------------------------------------- */

int
mdd_repair_index(const struct mdd_leg *leg, uint32_t ssrc)
{
	const struct mdd_plan *p = leg->plan;
	unsigned i;

	if (p == NULL)
		return PERC_ERR_NOTFOUND;
	for (i = 0; i < p->nrepairs; i++)
		if (p->repair[i].rtx == ssrc)
			return mdd_leg_index(leg, p->repair[i].media);
	return PERC_ERR_NOTFOUND;
}

/* Of which codec is this a repair? Its payload type; MDD_PLAN_NONE. */
static uint8_t
repaired_pt(const struct mdd_plan *p, uint8_t pt)
{
	unsigned c;

	for (c = 0; c < MDD_CODECS; c++)
		if (p->rtx[c] == pt)
			return p->pt[c];
	return MDD_PLAN_NONE;
}

bool
mdd_repair_open(struct mdd_worker *w, struct mdd_leg *leg, unsigned i,
    struct perc_rtp *h, uint8_t **p, size_t *n)
{
	uint8_t pt = repaired_pt(leg->plan, h->pt), *q = *p + h->header_len;
	uint16_t seq;

	mdd_seat_ids_in(leg->plan, *p, h);
	if (leg->cc != NULL)
		mdd_cc_seen(w, leg, h, *p);
	if (pt == MDD_PLAN_NONE || *n < h->header_len + OSN_LEN)
		return false;
	seq = (uint16_t)(q[0] << 8 | q[1]);
	if (!perc_gaps_want(&mdd_leg_in(leg, i)->gaps, seq, w->now_ms))
		return false;
	q += OSN_LEN;
	*n -= (size_t)(q - *p) - h->fixed_len;
	q -= h->fixed_len;
	memmove(q, *p, h->fixed_len);
	q[0] &= 0xef;
	q[1] = (uint8_t)((q[1] & 0x80) | pt);
	q[2] = (uint8_t)(seq >> 8);
	q[3] = (uint8_t)seq;
	u32_put(q + 8, leg->ssrcs[i]);
	*p = q;
	return perc_rtp_parse(h, q, *n) == 0;
}
