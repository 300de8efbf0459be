/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The road of an RTP packet. Cheap looks first (rate, form, whose SSRC, and
 * in perc_srtp_unprotect the SEQ window), then one decryption, then one
 * encryption for each other leg straight into the datagram that leaves. The
 * EKTField is cut off before and put back behind, byte for byte: it is not
 * ours to read, and perc/tail.c finds its length without any key.
 */
#include "mdd/worker.h"

#include <string.h>

#include "perc/forward.h"
#include "perc/tail.h"

/* Inner tag, OHB, outer tag: what a Double packet has at the least. */
#define MEDIA_LAYERS   (PERC_SRTP_TAG_LEN + 1 + PERC_SRTP_TAG_LEN)
#define MEDIA_SEQ_GAP  64    /* left free when a member comes back */
#define MEDIA_SEQ_NEAR 8192u /* a stream that simply went on */

/*
 * The outer SEQ under which this packet goes on. As long as one leg feeds the
 * source that is the sender's own and *w stays empty.
 */
static bool
source_follow(struct mdd_source *s, const struct mdd_leg *leg, uint16_t seq,
    struct perc_rewrite *w)
{
	uint16_t ahead = (uint16_t)(seq - s->top), out;

	if (s->serial != leg->serial) {
		if (s->serial == 0 || (ahead > 0 && ahead < MEDIA_SEQ_NEAR))
			s->shift = 0;
		else
			s->shift = (uint16_t)(s->top + MEDIA_SEQ_GAP - seq);
		s->serial = leg->serial;
		s->top = (uint16_t)(seq + s->shift);
	}
	out = (uint16_t)(seq + s->shift);
	if ((int16_t)(out - s->top) > 0)
		s->top = out;
	w->set_seq = s->shift != 0;
	w->seq = out;
	return w->set_seq;
}

static void
media_forward(struct mdd_worker *w, const struct mdd_leg *from,
    const struct perc_rewrite *rw, const uint8_t *p, size_t n,
    const uint8_t *tail, size_t taillen)
{
	struct mdd_leg *to;
	uint8_t *out;
	size_t len;

	for (to = from->room->first; to != NULL; to = to->next) {
		if (to == from || to->state != MDD_LEG_UP || to->addr.len == 0)
			continue;
		out = mdd_batch_slot(w->out);
		if (perc_forward(to->tx, rw, p, n, out, MDD_OUT_MAX - taillen,
			&len) != 0) {
			w->count[MDD_FORWARD_FAILED]++;
			continue;
		}
		memcpy(out + len, tail, taillen);
		mdd_batch_commit(w->out, &to->addr, len + taillen);
		w->count[MDD_FORWARDED]++;
	}
}

static enum mdd_count
media_error(int r)
{
	switch (r) {
	case PERC_ERR_REPLAY:
		return MDD_DROP_REPLAY;
	case PERC_ERR_AUTH:
		return MDD_DROP_AUTH;
	default:
		return MDD_DROP_FORM;
	}
}

void
mdd_media_input(struct mdd_worker *w, struct mdd_leg *leg, uint8_t *p, size_t n,
    int64_t now_ms)
{
	struct perc_rewrite rw = { 0 };
	struct mdd_source *s;
	struct perc_tail t;
	struct perc_rtp h;
	size_t body, len;
	int r;

	if (leg->state != MDD_LEG_UP) {
		w->count[MDD_DROP_NO_KEYS]++;
		return;
	}
	if (!mdd_leg_credit(&w->legs, leg, now_ms)) {
		w->count[MDD_DROP_RATE]++;
		return;
	}
	if (perc_tail_find(&t, p, n) != 0 || t.len > n) {
		w->count[MDD_DROP_TAIL]++;
		return;
	}
	body = n - t.len;
	if (perc_rtp_parse(&h, p, body) != 0 ||
	    body < h.header_len + MEDIA_LAYERS) {
		w->count[MDD_DROP_FORM]++;
		return;
	}
	if ((s = mdd_leg_source(leg, h.ssrc)) == NULL) {
		w->count[MDD_DROP_SSRC]++;
		return;
	}
	if ((r = perc_srtp_unprotect(leg->rx, &h, p, body, p, &len)) != 0) {
		w->count[media_error(r)]++;
		return;
	}
	w->count[MDD_IN_RTP]++;
	leg->heard_ms = now_ms;
	mdd_leg_dtls_free(&w->legs, leg); /* it has our last flight */
	if (source_follow(s, leg, h.seq, &rw))
		w->count[MDD_REWRITTEN]++;
	media_forward(w, leg, &rw, p, len, p + body, t.len);
}
