/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generic NACKs (RFC 4585 section 6.2.1). A receiver's is answered from what
 * that leg was sent, with the octets of the first time: its replay window
 * drops one that came twice. What never came to us is asked of its sender,
 * once for all receivers, and as a rule before any of them asks: each source
 * has a list of what is missing (perc/gaps.h), and a receiver's NACK only
 * makes an entry due. A sender cannot mend what it did not send, nor we what
 * is older than a second, so that whoever asks for those gets nothing.
 */
#include <string.h>

#include "mdd/beat.h"
#include "mdd/worker.h"
#include "perc/rtcp.h"

#define NACK_FCI_MAX 64	 /* entries of one message that are heard */
#define NACK_ASK_MAX 64	 /* SEQs of one message of ours */
#define NACK_RTT_MS  100 /* while the round trip is not known */

static bool
wanted_take(struct mdd_worker *w, uint16_t seq)
{
	uint64_t bit = (uint64_t)1 << (seq & 63), had = w->wanted[seq >> 6];

	w->wanted[seq >> 6] &= ~bit;
	return (had & bit) != 0;
}

static void
wanted_put(struct mdd_worker *w, uint16_t seq)
{
	w->wanted[seq >> 6] |= (uint64_t)1 << (seq & 63);
}

struct nack { /* the message at hand, and whose SSRC it names */
	struct mdd_worker *w;
	struct mdd_leg *leg, *to; /* to: NULL when nobody's */
	struct mdd_source *s;
	struct perc_gaps *gaps;
	int64_t now_ms;
	unsigned named;
};

/* Each SEQ of the message. */
static void
fci_each(struct nack *q, const struct perc_rtcp *k,
    void (*fn)(struct nack *, uint16_t))
{
	struct perc_wire in;
	uint16_t pid, blp, i;
	unsigned n;

	perc_wire_reader(&in, k->p + 12, k->n - 12);
	for (n = 0; n < NACK_FCI_MAX && perc_wire_left(&in) >= 4; n++) {
		pid = perc_wire_get_u16(&in);
		blp = perc_wire_get_u16(&in);
		fn(q, pid);
		for (i = 0; i < 16; i++)
			if ((blp >> i & 1) != 0)
				fn(q, (uint16_t)(pid + 1 + i));
	}
}

static void
on_name(struct nack *q, uint16_t seq)
{
	q->named++;
}

static void
on_want(struct nack *q, uint16_t seq)
{
	wanted_put(q->w, seq);
}

/* What no line answered: our own source may lack it too. */
static void
on_rest(struct nack *q, uint16_t seq)
{
	uint16_t in;

	if (!wanted_take(q->w, seq))
		return;
	q->w->count[MDD_RTX_MISSED]++;
	if (q->gaps != NULL && mdd_media_seq_in(q->leg, q->s, seq, &in) &&
	    perc_gaps_want(q->gaps, in, q->now_ms)) {
		mdd_beat_start(q->w, q->to);
		q->w->nacked = true;
	}
}

/* Once for all SEQs of the message. */
static void
owner_find(struct nack *q, uint32_t media)
{
	int i;

	if ((q->to = mdd_damp_owner(q->w, q->leg, media, &q->s)) != NULL &&
	    (i = mdd_leg_index(q->to, media)) >= 0)
		q->gaps = &mdd_leg_in(q->to, (unsigned)i)->gaps;
}

static void
lines_answer(
    struct mdd_worker *w, struct mdd_leg *leg, uint32_t media, int64_t now_ms)
{
	struct mdd_ledger *l = &leg->ledger;
	struct mdd_sent *s;
	uint32_t i;

	if (l->line == NULL)
		return;
	for (i = mdd_ledger_first(l); i != l->n; i++) {
		s = mdd_ledger_at(l, i);
		if (s->ssrc != media || !wanted_take(w, s->seq))
			continue;
		if (!mdd_ledger_take(l, s, now_ms))
			w->count[MDD_RTX_DAMPED]++;
		else if (mdd_media_again(w, leg, s, now_ms))
			w->count[MDD_RTX_SENT]++;
		else
			w->count[MDD_RTX_MISSED]++;
	}
}

void
mdd_nack_input(struct mdd_worker *w, struct mdd_leg *leg,
    const struct perc_rtcp *k, int64_t now_ms)
{
	struct nack q = { .w = w, .leg = leg, .now_ms = now_ms };
	struct perc_wire in;
	uint32_t media;

	if (k->n < 16)
		return;
	perc_wire_reader(&in, k->p + 8, 4);
	media = perc_wire_get_u32(&in);
	fci_each(&q, k, on_name);
	if (!mdd_damp_work(w, leg, q.named, now_ms))
		return;
	owner_find(&q, media);
	fci_each(&q, k, on_want);
	lines_answer(w, leg, media, now_ms);
	fci_each(&q, k, on_rest);
}

void
mdd_nack_seen(struct mdd_worker *w, struct mdd_leg *leg, unsigned i,
    const struct perc_rtp *h, int64_t now_ms)
{
	struct mdd_inbound *in = mdd_leg_in(leg, i);

	perc_reception_packet(&in->rx, h, now_ms);
	perc_gaps_packet(&in->gaps, h->seq, now_ms);
	if (in->gaps.n > 0)
		mdd_beat_start(w, leg);
}

/* ---- to senders -----------------------------------------------------------
 */

bool
mdd_nack_ask(struct mdd_worker *w, struct mdd_leg *leg, int64_t now_ms)
{
	uint16_t seq[NACK_ASK_MAX];
	uint8_t buf[MDD_RTCP_MAX];
	struct perc_wire out;
	struct mdd_inbound *in;
	struct mdd_source *s;
	bool more = false;
	unsigned i = 0, n;

	while ((s = mdd_leg_source_next(leg, &i)) != NULL) {
		in = mdd_leg_in(leg, i - 1);
		n = perc_gaps_due(&in->gaps, now_ms,
		    leg->report.rtt_ms > 0 ? leg->report.rtt_ms : NACK_RTT_MS,
		    seq, NACK_ASK_MAX);
		more |= in->gaps.n > 0;
		if (n == 0)
			continue;
		mdd_rtcp_begin(&out, buf);
		perc_rtcp_nack_put(&out, MDD_RTCP_SSRC, s->ssrc, seq, n);
		mdd_rtcp_send(w, leg, buf, out.pos);
		w->count[MDD_NACK_ASKED] += n;
	}
	return more;
}

void
mdd_nack_ask_room(struct mdd_worker *w, struct mdd_room *room, int64_t now_ms)
{
	struct mdd_leg *leg, *next;

	for (leg = w->beats; leg != NULL; leg = next) {
		next = leg->beat_next;
		if (leg->room == room)
			(void)mdd_nack_ask(w, leg, now_ms);
	}
}
