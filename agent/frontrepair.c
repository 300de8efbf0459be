/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of one hop's repair. Sending again the octets of the first time is
 * safe where sealing again would have to be proven so: one nonce, one text.
 * The application's NACKs end here. It sees the numbers of the outer layer
 * (RFC 8723 section 5.3), so they need no translation; but it asks later than
 * we do, and for what its own socket lost nobody far away can help.
 */
#include "agent/frontrepair.h"

#include <stdlib.h>
#include <string.h>

#include "perc/gaps.h"
#include "perc/reception.h"
#include "perc/twcc.h"

#define SLOTS	   512 /* twice the streams: there is always a free one */
#define KEPT_MAX   1600
#define ASK_MAX	   64
#define RTT_MS	   60 /* until it is known; asking early costs little */
#define BLOCKS_MAX 31

struct stream {
	uint32_t ssrc;
	bool used;
	struct perc_gaps gaps;
	struct perc_reception rx;
};

struct kept {
	uint32_t ssrc;
	uint16_t seq, n;
	uint8_t tries;
	int64_t at_ms;
	uint8_t p[KEPT_MAX];
};

struct front_repair {
	struct stream slot[SLOTS];
	struct stream *list[REPAIR_STREAMS];
	unsigned n, turn; /* turn: whose NACK is next */
	bool gappy;	  /* some stream may have gaps */
	struct kept kept[REPAIR_KEPT];
	uint32_t sent; /* packets kept so far */
	uint64_t asked, resent;
	int64_t report_ms, rtt_ms, told_ms;
	struct perc_twcc_log log;
};

struct front_repair *
front_repair_new(void)
{
	struct front_repair *r = calloc(1, sizeof(*r));

	if (r != NULL)
		r->rtt_ms = RTT_MS;
	return r;
}

void
front_repair_free(struct front_repair *r)
{
	free(r);
}

/* NULL: not known, and (make) there are too many. */
static struct stream *
stream_find(struct front_repair *r, uint32_t ssrc, bool make)
{
	uint32_t i = (ssrc * 2654435761u) >> 16;
	struct stream *s;

	for (;; i++) {
		s = &r->slot[i % SLOTS];
		if (s->used && s->ssrc == ssrc)
			return s;
		if (!s->used)
			break;
	}
	if (!make || r->n == REPAIR_STREAMS)
		return NULL;
	s->used = true;
	s->ssrc = ssrc;
	r->list[r->n++] = s;
	return s;
}

/* ---- what comes ----------------------------------------------------------
 */

bool
front_repair_received(
    struct front_repair *r, const struct perc_rtp *h, int64_t now_ms)
{
	struct stream *s = stream_find(r, h->ssrc, true);

	if (s == NULL)
		return false;
	perc_gaps_packet(&s->gaps, h->seq, now_ms);
	perc_reception_packet(&s->rx, h, now_ms);
	r->gappy |= s->gaps.n > 0;
	return s->gaps.n > 0 || perc_twcc_pending(&r->log);
}

void
front_repair_number(struct front_repair *r, uint16_t tseq, int64_t now_us)
{
	perc_twcc_seen(&r->log, tseq, now_us);
}

static bool
numbers_due(
    struct front_repair *r, uint32_t ssrc, int64_t now_ms, struct perc_wire *w)
{
	if (!perc_twcc_pending(&r->log) || r->n == 0 ||
	    now_ms - r->told_ms < REPAIR_TWCC_MS)
		return false;
	if (!perc_twcc_put(&r->log, w, ssrc, r->list[0]->ssrc))
		return false;
	if (!perc_twcc_pending(&r->log))
		r->told_ms = now_ms;
	return true;
}

/* One NACK: of the stream whose turn it is. */
static size_t
nack_due(
    struct front_repair *r, uint32_t ssrc, int64_t now_ms, struct perc_wire *w)
{
	uint16_t seq[ASK_MAX];
	struct stream *s;
	unsigned i, n;
	bool any = false;

	for (i = 0; i < r->n && r->gappy; i++) {
		s = r->list[r->turn++ % r->n];
		if (s->gaps.n == 0)
			continue;
		any = true;
		n = perc_gaps_due(&s->gaps, now_ms, r->rtt_ms, seq, ASK_MAX);
		if (n == 0)
			continue;
		r->asked += n;
		perc_rtcp_nack_put(w, ssrc, s->ssrc, seq, n);
		return w->pos;
	}
	r->gappy = any;
	return 0;
}

static bool
report_put(
    struct front_repair *r, uint32_t ssrc, int64_t now_ms, struct perc_wire *w)
{
	struct perc_rtcp_block b;
	size_t at = perc_rtcp_open(w, 0, PERC_RTCP_RR);
	unsigned i, n = 0;

	perc_wire_put_u32(w, ssrc);
	for (i = 0; i < r->n && n < BLOCKS_MAX; i++)
		if (perc_reception_block(
			&r->list[i]->rx, r->list[i]->ssrc, now_ms, &b)) {
			perc_rtcp_block_put(w, &b);
			n++;
		}
	perc_rtcp_close(w, at);
	if (w->err == 0)
		w->out[at] = (uint8_t)(0x80 | n);
	return n > 0 && w->err == 0;
}

size_t
front_repair_due(struct front_repair *r, uint32_t ssrc, int64_t now_ms,
    uint8_t *out, size_t cap)
{
	struct perc_wire w;
	size_t at;

	perc_wire_writer(&w, out, cap);
	if (r->report_ms == 0)
		r->report_ms = now_ms + REPAIR_REPORT_MS;
	if (now_ms >= r->report_ms) {
		r->report_ms = now_ms + REPAIR_REPORT_MS;
		if (report_put(r, ssrc, now_ms, &w))
			return w.pos;
		perc_wire_writer(&w, out, cap);
	}
	at = perc_rtcp_open(&w, 0, PERC_RTCP_RR); /* RFC 3550 section 6.1 */
	perc_wire_put_u32(&w, ssrc);
	perc_rtcp_close(&w, at);
	if (numbers_due(r, ssrc, now_ms, &w))
		return w.pos;
	return nack_due(r, ssrc, now_ms, &w) > 0 && w.err == 0 ? w.pos : 0;
}

int64_t
front_repair_next(const struct front_repair *r, int64_t now_ms)
{
	int64_t next = r->report_ms == 0 ? now_ms + REPAIR_REPORT_MS
					 : r->report_ms,
		t;
	unsigned i;

	if (perc_twcc_pending(&r->log) && r->told_ms + REPAIR_TWCC_MS < next)
		next = r->told_ms + REPAIR_TWCC_MS;
	for (i = 0; i < r->n && r->gappy; i++)
		if ((t = perc_gaps_next(&r->list[i]->gaps)) < next)
			next = t;
	return next;
}

/* ---- what left -------------------------------------------------------------
 */

void
front_repair_sent(struct front_repair *r, const struct perc_rtp *h,
    const uint8_t *p, size_t n, int64_t now_ms)
{
	struct kept *k = &r->kept[r->sent % REPAIR_KEPT];

	if (n > KEPT_MAX)
		return;
	r->sent++;
	k->ssrc = h->ssrc;
	k->seq = h->seq;
	k->n = (uint16_t)n;
	k->tries = 0;
	k->at_ms = now_ms;
	memcpy(k->p, p, n);
}

/* Whose place it would be is found from the newest back: they are in order,
 * but for what is late. */
static struct kept *
kept_find(struct front_repair *r, uint32_t ssrc, uint16_t seq)
{
	uint32_t i, n = r->sent < REPAIR_KEPT ? r->sent : REPAIR_KEPT;
	struct kept *k;

	for (i = 1; i <= n; i++) {
		k = &r->kept[(r->sent - i) % REPAIR_KEPT];
		if (k->ssrc == ssrc && k->seq == seq)
			return k;
	}
	return NULL;
}

struct ask { /* what one pass over a NACK's FCI does with each SEQ */
	struct front_repair *r;
	int64_t now_ms;
	void (*send)(const uint8_t *p, size_t n, void *arg);
	void *arg;
};

static void
seq_again(struct ask *a, uint32_t media, uint16_t seq)
{
	struct kept *k = kept_find(a->r, media, seq);

	if (k == NULL || k->tries >= REPAIR_TRIES ||
	    a->now_ms - k->at_ms > REPAIR_AGE_MS)
		return;
	k->tries++;
	a->r->resent++;
	a->send(k->p, k->n, a->arg);
}

static void
seq_want(struct ask *a, uint32_t media, uint16_t seq)
{
	struct stream *s = stream_find(a->r, media, false);

	if (s != NULL)
		(void)perc_gaps_want(&s->gaps, seq, a->now_ms);
}

static void
nack_each(struct ask *a, const struct perc_rtcp *k,
    void (*fn)(struct ask *, uint32_t, uint16_t))
{
	struct perc_wire in;
	uint16_t pid, blp;
	uint32_t media;
	unsigned i, n;

	perc_wire_reader(&in, k->p + 8, k->n - 8);
	media = perc_wire_get_u32(&in);
	for (n = 0; n < ASK_MAX && perc_wire_left(&in) >= 4; n++) {
		pid = perc_wire_get_u16(&in);
		blp = perc_wire_get_u16(&in);
		fn(a, media, pid);
		for (i = 0; i < 16; i++)
			if ((blp >> i & 1) != 0)
				fn(a, media, (uint16_t)(pid + 1 + i));
	}
}

static bool
is_nack(const struct perc_rtcp *k)
{
	return k->type == PERC_RTCP_RTPFB && k->count == PERC_RTCP_NACK &&
	    k->n >= 12;
}

void
front_repair_rtcp(struct front_repair *r, const uint8_t *p, size_t n,
    int64_t now_ms, void (*send)(const uint8_t *p, size_t n, void *arg),
    void *arg)
{
	struct ask a = { r, now_ms, send, arg };
	struct perc_rtcp_sr sr;
	struct perc_rtcp k;
	struct stream *s;
	size_t at;

	for (at = 0; perc_rtcp_next(&k, p + at, n - at); at += k.n) {
		if (is_nack(&k))
			nack_each(&a, &k, seq_again);
		else if (perc_rtcp_sr_get(&sr, &k) &&
		    (s = stream_find(r, k.ssrc, false)) != NULL)
			perc_reception_sr(&s->rx, &sr, now_ms);
	}
}

size_t
front_repair_app(struct front_repair *r, uint8_t *p, size_t n, int64_t now_ms)
{
	struct ask a = { .r = r, .now_ms = now_ms };
	struct perc_rtcp k;
	size_t at = 0, left = n;

	while (perc_rtcp_next(&k, p + at, left - at)) {
		if (!is_nack(&k)) {
			at += k.n;
			continue;
		}
		nack_each(&a, &k, seq_want);
		left -= k.n;
		memmove(p + at, p + at + k.n, left - at);
	}
	return left;
}

/* RFC 3550 section 6.4.1; what came twice makes it less than nothing. */
static uint64_t
stream_lost(const struct stream *s)
{
	uint32_t expected = s->rx.top - s->rx.base + 1;

	return s->rx.started && expected > s->rx.received
	    ? expected - s->rx.received
	    : 0;
}

void
front_repair_count(const struct front_repair *r, struct front_repair_count *c)
{
	unsigned i;

	memset(c, 0, sizeof(*c));
	c->asked = r->asked;
	c->resent = r->resent;
	for (i = 0; i < r->n; i++) {
		c->mended += r->list[i]->gaps.mended;
		c->given_up += r->list[i]->gaps.given_up;
		c->lost += stream_lost(r->list[i]);
	}
}
