/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The road of an RTP packet. Cheap looks first (rate, form, whose SSRC, and
 * in perc_srtp_unprotect the SEQ window), then one decryption, then one
 * encryption for each other leg straight into the datagram that leaves. The
 * EKTField is cut off before and put back behind, byte for byte: it is not
 * ours to read, and perc/tail.c finds its length without any key.
 *
 * Packets that came together leave together, receiver by receiver: a frame's
 * packets then share one message, and a leg's key is in the cache for all of
 * them. So an opened packet waits, where it came in, until the batch is read.
 */
#include "mdd/worker.h"

#include <string.h>

#include "mdd/repair.h"
#include "mdd/seat.h"
#include "perc/tail.h"

/* Inner tag, OHB, outer tag: what a Double packet has at the least. */
#define MEDIA_LAYERS (PERC_SRTP_TAG_LEN + 1 + PERC_SRTP_TAG_LEN)
#define MEDIA_LEAST(leg)                                                       \
	((leg)->plan != NULL ? PERC_SRTP_TAG_LEN : MEDIA_LAYERS)
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

/* The extensions as they go on, with room for them if they change. */
static void
media_ext(const struct perc_rtp *h, const uint8_t *p, bool link,
    struct perc_rewrite *w, uint8_t ext[static PERC_HDREXT_MAX])
{
	w->set_ext = false;
	if (!h->extension || !mdd_sight_strip(h, p, link, ext, &w->extlen))
		return;
	w->set_ext = true;
	w->ext = w->extlen > 0 ? ext : NULL;
}

/* A link's are others than everybody's, which were made once. */
static void
media_ext_link(const struct mdd_staged *k, struct perc_rewrite *w,
    uint8_t ext[static PERC_HDREXT_MAX])
{
	struct perc_rtp h;

	if (k->rw.set_ext && perc_rtp_parse(&h, k->p, k->n) == 0)
		media_ext(&h, k->p, true, w, ext);
}

/*
 * Seal p for `to`, extensions and all, and note what went. w says SEQ and
 * extensions; again is NULL, or what went out before under this SEQ.
 */
static bool
media_seal(struct mdd_worker *w, struct mdd_leg *to, struct perc_rewrite *rw,
    const uint8_t *p, size_t n, const uint8_t *tail, size_t taillen,
    uint32_t number, struct mdd_sent *again)
{
	uint8_t *out, ext[PERC_HDREXT_MAX], stamped[PERC_HDREXT_MAX];
	uint16_t tseq = 0;
	struct perc_rtp h;
	bool stamp = false;
	size_t len;

	if (to->plan != NULL && !mdd_seat_out(to, p, n, w->now_ms, rw, ext)) {
		w->count[MDD_FORWARD_NO_SEAT]++;
		return false;
	}
	if (to->cc != NULL && perc_rtp_parse(&h, p, n) == 0) {
		tseq = again != NULL ? again->tseq : to->cc->next;
		stamp = mdd_cc_stamp(to->cc, p, &h, tseq, rw, stamped);
	}
	out = mdd_batch_slot(w->out); /* a request may have taken one */
	if (perc_forward(to->tx, rw, p, n, out, MDD_OUT_MAX - taillen, &len) !=
	    0) {
		w->count[MDD_FORWARD_FAILED]++;
		return false;
	}
	if (again == NULL)
		mdd_ledger_note(
		    &to->ledger, out, len, number, tseq, to->keys, w->now_ms);
	else {
		again->keys = to->keys;
		memcpy(again->tag, out + len - PERC_SRTP_TAG_LEN,
		    PERC_SRTP_TAG_LEN);
	}
	if (stamp && again == NULL)
		mdd_cc_sent(to->cc, tseq, len + taillen);
	to->sent++;
	to->sent_octets += len + taillen;
	memcpy(out + len, tail, taillen);
	mdd_batch_commit(w->out, &to->addr, len + taillen);
	return true;
}

static void
media_forward(
    struct mdd_worker *w, struct mdd_leg *to, const struct mdd_staged *k)
{
	struct perc_rewrite rw = k->rw;
	uint8_t ext[PERC_HDREXT_MAX];

	if (to->shaped) {
		rw.set_seq = true;
		if (!mdd_select_pass(w, to, k, w->now_ms, &rw.seq)) {
			w->count[MDD_WITHHELD]++;
			return;
		}
	}
	if (to->link != NULL)
		media_ext_link(k, &rw, ext);
	if (to->cc != NULL &&
	    mdd_cc_wait(w, to, k, rw.set_seq ? rw.seq : k->seq))
		return;
	if (!media_seal(
		w, to, &rw, k->p, k->n, k->tail, k->taillen, k->number, NULL))
		return;
	mdd_tally_add(
	    &to->tally[k->src - k->room->src], k->src->ssrc, k->n - k->head);
	w->count[MDD_FORWARDED]++;
}

void
mdd_media_release(struct mdd_worker *w, struct mdd_leg *to,
    const struct mdd_pace_item *item, int64_t now_ms)
{
	struct perc_rewrite rw = { .set_seq = true, .seq = item->seq };
	uint8_t ext[PERC_HDREXT_MAX];
	struct mdd_kept k;
	struct perc_rtp h;

	if (to->state != MDD_LEG_UP || to->addr.len == 0 ||
	    !mdd_rtx_get(w->rtx, item->number, now_ms, &k) ||
	    perc_rtp_parse(&h, k.p, k.n) != 0) {
		w->count[MDD_PACE_DROPPED]++;
		return;
	}
	media_ext(&h, k.p, to->link != NULL, &rw, ext);
	if (!media_seal(
		w, to, &rw, k.p, k.n, k.tail, k.taillen, item->number, NULL))
		return;
	mdd_tally_add(&to->tally[item->place], h.ssrc, k.n - h.header_len);
	w->count[MDD_FORWARDED]++;
}

/*
 * Under the same keys it is the same packet or none (perc_srtp_again); under
 * newer ones its index was not used yet, and it goes out as any other.
 */
bool
mdd_media_again(struct mdd_worker *w, struct mdd_leg *to, struct mdd_sent *s,
    int64_t now_ms)
{
	struct perc_rewrite rw = { .set_seq = true, .seq = s->seq };
	uint8_t ext[PERC_HDREXT_MAX];
	bool sent;
	struct mdd_kept k;
	struct perc_rtp h;

	if (to->state != MDD_LEG_UP || to->addr.len == 0 ||
	    !mdd_rtx_get(w->rtx, s->number, now_ms, &k) ||
	    perc_rtp_parse(&h, k.p, k.n) != 0)
		return false;
	if (mdd_repair_send(w, to, s, &k, now_ms, &sent))
		return sent;
	media_ext(&h, k.p, to->link != NULL, &rw, ext);
	rw.again = s->keys == to->keys ? s->tag : NULL;
	return media_seal(
	    w, to, &rw, k.p, k.n, k.tail, k.taillen, s->number, s);
}

bool
mdd_media_seq_in(const struct mdd_leg *to, const struct mdd_source *s,
    uint16_t seq, uint16_t *in)
{
	const struct mdd_flow *f = mdd_select_flow(to, s);

	if (f != NULL && f->started && !mdd_flow_back(f, seq, &seq))
		return false;
	*in = (uint16_t)(seq - s->shift);
	return true;
}

static void
leg_flush(struct mdd_worker *w, struct mdd_room *room, struct mdd_leg *to,
    unsigned first)
{
	unsigned i;

	if (to->state != MDD_LEG_UP || to->addr.len == 0)
		return;
	for (i = first; i < w->nstaged; i++)
		if (w->staged[i].room == room &&
		    mdd_link_may(w->staged[i].from, to))
			media_forward(w, to, &w->staged[i]);
}

/* All that waits for one conference, from the first on. */
static void
room_flush(struct mdd_worker *w, unsigned first)
{
	struct mdd_room *room = w->staged[first].room;
	struct mdd_leg *to = room->first, *end;
	unsigned i;

	mdd_select_turn(w, room, w->now_ms);
	while (to != NULL)
		for (end = mdd_fetch(to, &w->staged[first]); to != end;
		     to = to->next)
			leg_flush(w, room, to, first);
	for (i = first; i < w->nstaged; i++)
		if (w->staged[i].room == room)
			w->staged[i].room = NULL;
}

void
mdd_media_flush(struct mdd_worker *w)
{
	unsigned i;

	for (i = 0; i < w->nstaged; i++)
		if (w->staged[i].room != NULL)
			room_flush(w, i);
	w->nstaged = 0;
}

/* The opened packet waits for the others of its batch, and what its clear
 * header tells is noted. Its tail is where the outer tag ends. */
static void
media_stage(struct mdd_worker *w, struct mdd_leg *leg, struct mdd_source *s,
    const struct perc_rtp *h, const uint8_t *p, size_t n,
    const struct perc_tail *t)
{
	const uint8_t *tail = p + n + PERC_SRTP_TAG_LEN;
	struct mdd_staged *k;
	uint8_t *ext;

	if (w->nstaged == MDD_BATCH)
		mdd_media_flush(w);
	ext = w->ext[w->nstaged];
	k = &w->staged[w->nstaged++];
	*k = (struct mdd_staged){ .from = leg,
		.room = leg->room,
		.p = p,
		.n = n,
		.tail = tail,
		.taillen = t->len,
		.number = mdd_rtx_put(w->rtx, p, n, tail, t->len, w->now_ms),
		.head = (uint16_t)h->header_len,
		.src = s,
		.known = s->full,
		.full = t->type == PERC_TAIL_FULL && t->len > 1,
		.top = s->serial != 0 ? s->top : (uint16_t)(h->seq - 1) };
	if (source_follow(s, leg, h->seq, &k->rw))
		w->count[MDD_REWRITTEN]++;
	k->seq = k->rw.seq;
	if (k->full)
		s->full = ((uint32_t)t->spi << 16 | t->epoch) ^
		    s->serial * 2654435761u;
	media_ext(h, p, false, &k->rw, ext);
	mdd_select_see(leg->room, s, h, k, w->now_ms);
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

/* Decrypt; false: it was counted and dropped. */
static bool
media_open(struct mdd_worker *w, struct mdd_leg *leg, const struct perc_rtp *h,
    uint8_t *p, size_t n, size_t body, size_t *len)
{
	int r;

	/* Behind what costs nothing: who forges the source must know the SSRC
	 * to spend the leg's credit, and a packet sent again (the window is
	 * looked at before the cipher) spends none at all. */
	if (!mdd_leg_may(&w->legs, leg, w->now_ms)) {
		w->count[MDD_DROP_RATE]++;
		return false;
	}
	r = mdd_rekey_unprotect(leg, h, p, body, len);
	if (r != PERC_ERR_REPLAY)
		mdd_leg_charge(leg, n);
	if (r != 0) {
		w->count[media_error(r)]++;
		return false;
	}
	w->count[MDD_IN_RTP]++;
	leg->taken++;
	leg->heard_ms = w->now_ms;
	if (leg->rekey_ms == 0) /* it has our last flight */
		mdd_leg_dtls_free(&w->legs, leg);
	return true;
}

/* By SDP each codec is of one kind, so nobody need guess. */
static void
media_kind(struct mdd_leg *leg, struct mdd_source *s, const uint8_t *p)
{
	bool video =
	    mdd_codec_is_video((enum mdd_codec)((p[1] & 0x7f) - MDD_SEAT_PT));
	uint8_t media = video ? MDD_MEDIA_VIDEO : MDD_MEDIA_AUDIO;

	if (s->sight.media == media)
		return;
	s->sight.media = media;
	mdd_select_changed(leg->room);
}

void
mdd_media_input(struct mdd_worker *w, struct mdd_leg *leg, uint8_t *p, size_t n,
    int64_t now_ms)
{
	struct perc_tail t;
	struct perc_rtp h;
	size_t body, len;
	int i, repair = -1;

	if (leg->state != MDD_LEG_UP) {
		w->count[MDD_DROP_NO_KEYS]++;
		return;
	}
	if (leg->plan != NULL) /* not Double's: no EKTField, no OHB */
		memset(&t, 0, sizeof(t));
	else if (perc_tail_find(&t, p, n) != 0 || t.len > n) {
		w->count[MDD_DROP_TAIL]++;
		return;
	}
	body = n - t.len;
	if (perc_rtp_parse(&h, p, body) != 0 ||
	    body < h.header_len + MEDIA_LEAST(leg)) {
		w->count[MDD_DROP_FORM]++;
		return;
	}
	if ((i = mdd_leg_index(leg, h.ssrc)) < 0 &&
	    (repair = i = mdd_repair_index(leg, h.ssrc)) < 0) {
		w->count[MDD_DROP_SSRC]++;
		return;
	}
	w->now_ms = now_ms;
	if (!media_open(w, leg, &h, p, n, body, &len) ||
	    (repair >= 0 &&
		!mdd_repair_open(w, leg, (unsigned)i, &h, &p, &len)))
		return;
	mdd_nack_seen(w, leg, (unsigned)i, &h, now_ms);
	if (leg->plan != NULL && !mdd_seat_in(leg, p, len)) {
		w->count[MDD_FORWARD_NO_SEAT]++;
		return;
	}
	if (leg->plan != NULL)
		media_kind(leg, mdd_leg_src(leg, (unsigned)i), p);
	if (leg->cc != NULL)
		mdd_cc_seen(w, leg, &h, p);
	media_stage(w, leg, mdd_leg_src(leg, (unsigned)i), &h, p, len, &t);
}
