/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RTCP ends on each hop (its keys are the hop's) and is made anew for the
 * next: every compound that leaves begins with an empty RR of our own SSRC,
 * so that each leg sees one SRTCP stream. Sender reports go on with the counts
 * of each receiver (mdd/report.h), SDES and BYE of the leg's own SSRCs go on,
 * feedback goes to the one leg that owns the source, damped; receiver reports
 * stop here, for their blocks speak of this hop's sequence numbers (RFC 8723
 * section 6).
 */
#include "mdd/worker.h"

#include <string.h>

#include "perc/rtcp.h"

#define RTCP_REFRESH_MS 500 /* at most one key frame request in it */
#define RTCP_FCI_MAX	64  /* entries of one feedback message */
#define RTCP_BYE_MAX	31  /* SSRCs of one BYE */

static uint32_t
u32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

void
mdd_rtcp_begin(struct perc_wire *out, uint8_t buf[static MDD_RTCP_MAX])
{
	perc_wire_writer(out, buf, MDD_RTCP_MAX);
	perc_wire_put_u8(out, 0x80);
	perc_wire_put_u8(out, PERC_RTCP_RR);
	perc_wire_put_u16(out, 1);
	perc_wire_put_u32(out, MDD_RTCP_SSRC);
}

void
mdd_rtcp_send(
    struct mdd_worker *w, struct mdd_leg *to, const uint8_t *p, size_t n)
{
	uint8_t *out;

	if (to->state != MDD_LEG_UP || to->addr.len == 0)
		return;
	out = mdd_batch_slot(w->out);
	memcpy(out, p, n);
	if (perc_srtcp_protect(to->tx_rtcp, out, &n) != 0) {
		w->count[MDD_FORWARD_FAILED]++;
		return;
	}
	mdd_batch_commit(w->out, &to->addr, n);
	w->count[MDD_RTCP_RELAYED]++;
}

/* To each as is right for it. */
static void
compound_send_all(struct mdd_worker *w, struct mdd_leg *from, const uint8_t *p,
    size_t n, int64_t now_ms)
{
	uint8_t own[MDD_RTCP_MAX];
	struct mdd_leg *to;
	size_t len;

	for (to = from->room->first; to != NULL; to = to->next)
		if (mdd_link_may(from, to) && to->state == MDD_LEG_UP &&
		    (len = mdd_report_for(to, from, p, n, own, now_ms)) > 0)
			mdd_rtcp_send(w, to, own, len);
}

/* ---- what goes to everybody ------------------------------------------- */

static bool
relay_sr(struct mdd_leg *leg, const struct perc_rtcp *k, struct perc_wire *out)
{
	if (k->n < 28)
		return false;
	perc_wire_put_u8(out, 0x80); /* no report blocks */
	perc_wire_put_u8(out, PERC_RTCP_SR);
	perc_wire_put_u16(out, 6);
	perc_wire_put_bytes(out, k->p + 4, 24);
	return true;
}

/* One chunk, whose SSRC is the one that was checked. */
static bool
relay_sdes(
    struct mdd_leg *leg, const struct perc_rtcp *k, struct perc_wire *out)
{
	if (k->count != 1 || (k->p[0] & 0x20) != 0)
		return false;
	perc_wire_put_bytes(out, k->p, k->n);
	return true;
}

static bool
relay_bye(struct mdd_leg *leg, const struct perc_rtcp *k, struct perc_wire *out)
{
	unsigned i;

	if (k->n < 4 + 4 * (size_t)k->count)
		return false;
	for (i = 0; i < k->count; i++)
		if (mdd_leg_source(leg, u32(k->p + 4 + 4 * i)) == NULL)
			return false;
	perc_wire_put_u8(out, 0x80 | k->count); /* without the reason */
	perc_wire_put_u8(out, PERC_RTCP_BYE);
	perc_wire_put_u16(out, k->count);
	perc_wire_put_bytes(out, k->p + 4, 4 * (size_t)k->count);
	return true;
}

/* What a link says has ended is free again. */
static void
bye_after(struct mdd_worker *w, struct mdd_leg *leg, const uint8_t *p, size_t n)
{
	struct perc_rtcp k;
	unsigned i;
	size_t at;

	for (at = 0; perc_rtcp_next(&k, p + at, n - at); at += k.n)
		for (i = 0; k.type == PERC_RTCP_BYE && i < k.count; i++)
			if (8 + 4 * (size_t)i <= k.n)
				mdd_link_drop(&w->legs, leg,
				    u32(k.p + 4 + 4 * (size_t)i));
}

/* ---- what goes to one ------------------------------------------------- */

static void
feedback_head(struct perc_wire *out, uint8_t *buf, uint8_t fmt, uint8_t type,
    uint32_t sender, uint32_t media, size_t fci)
{
	mdd_rtcp_begin(out, buf);
	perc_wire_put_u8(out, 0x80 | fmt);
	perc_wire_put_u8(out, type);
	perc_wire_put_u16(out, (uint16_t)(2 + fci / 4));
	perc_wire_put_u32(out, sender);
	perc_wire_put_u32(out, media);
}

/* Requests of many receivers are one (RFC 5104 section 4.3.1.4). */
static bool
refresh_due(struct mdd_worker *w, struct mdd_source *s, int64_t now_ms)
{
	if (s->refresh_ms != 0 && now_ms - s->refresh_ms < RTCP_REFRESH_MS) {
		w->count[MDD_RTCP_DAMPED]++;
		return false;
	}
	s->refresh_ms = now_ms;
	return true;
}

static void
feedback_pli(struct mdd_worker *w, struct mdd_leg *leg,
    const struct perc_rtcp *k, int64_t now_ms)
{
	uint8_t buf[MDD_RTCP_MAX];
	struct mdd_source *s;
	struct mdd_leg *to;
	struct perc_wire out;

	if (!mdd_damp_work(w, leg, 0, now_ms) ||
	    (to = mdd_damp_owner(w, leg, u32(k->p + 8), &s)) == NULL ||
	    !refresh_due(w, s, now_ms))
		return;
	feedback_head(
	    &out, buf, PERC_RTCP_PLI, PERC_RTCP_PSFB, k->ssrc, s->ssrc, 0);
	mdd_rtcp_send(w, to, buf, out.pos);
}

static void
feedback_fir(struct mdd_worker *w, struct mdd_leg *leg,
    const struct perc_rtcp *k, int64_t now_ms)
{
	uint8_t buf[MDD_RTCP_MAX];
	struct mdd_source *s;
	struct mdd_leg *to;
	struct perc_wire out;
	size_t at, n = 0;

	for (at = 12; at + 8 <= k->n && n < RTCP_FCI_MAX; at += 8, n++) {
		if (!mdd_damp_work(w, leg, 0, now_ms))
			return;
		to = mdd_damp_owner(w, leg, u32(k->p + at), &s);
		if (to == NULL || !refresh_due(w, s, now_ms))
			continue;
		feedback_head(
		    &out, buf, PERC_RTCP_FIR, PERC_RTCP_PSFB, k->ssrc, 0, 8);
		perc_wire_put_u32(&out, s->ssrc);
		perc_wire_put_u32(&out, (uint32_t)++s->fir_seq << 24);
		mdd_rtcp_send(w, to, buf, out.pos);
	}
}

/* ---- the compound ----------------------------------------------------- */

static const struct {
	uint8_t type, count; /* count 0: any (it is the FMT of feedback) */
	bool (*relay)(
	    struct mdd_leg *, const struct perc_rtcp *, struct perc_wire *);
	void (*feedback)(struct mdd_worker *, struct mdd_leg *,
	    const struct perc_rtcp *, int64_t);
} kinds[] = {
	{ PERC_RTCP_SR, 0, relay_sr, NULL },
	{ PERC_RTCP_SDES, 0, relay_sdes, NULL },
	{ PERC_RTCP_BYE, 0, relay_bye, NULL },
	{ PERC_RTCP_RTPFB, PERC_RTCP_NACK, NULL, mdd_nack_input },
	{ PERC_RTCP_RTPFB, PERC_RTCP_TWCC, NULL, mdd_cc_feedback },
	{ PERC_RTCP_PSFB, PERC_RTCP_PLI, NULL, feedback_pli },
	{ PERC_RTCP_PSFB, PERC_RTCP_FIR, NULL, feedback_fir },
};

/* As whom a leg may ask for something, its own SSRCs aside: an MDD in its own
 * name, a browser that only receives as 1 or whatever it likes. */
static bool
speaks_as(const struct mdd_leg *leg, uint32_t ssrc)
{
	return leg->plan != NULL ||
	    (leg->link != NULL && ssrc == MDD_RTCP_SSRC);
}

/* True when something was added to out. */
static bool
packet_take(struct mdd_worker *w, struct mdd_leg *leg,
    const struct perc_rtcp *k, struct perc_wire *out, int64_t now_ms)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (kinds[i].type != k->type ||
		    (kinds[i].count != 0 && kinds[i].count != k->count))
			continue;
		/* An MDD asks for pictures in its own name. */
		if (k->n < 8 ||
		    (mdd_leg_source(leg, k->ssrc) == NULL &&
			(kinds[i].feedback == NULL ||
			    !speaks_as(leg, k->ssrc))))
			break;
		if (kinds[i].relay != NULL) {
			if (kinds[i].relay(leg, k, out))
				return true;
			break;
		}
		if (k->n < 12)
			break;
		kinds[i].feedback(w, leg, k, now_ms);
		return false;
	}
	w->count[MDD_RTCP_IGNORED]++;
	return false;
}

void
mdd_rtcp_relay(struct mdd_worker *w, struct mdd_leg *leg, const uint8_t *p,
    size_t n, int64_t now_ms)
{
	uint8_t buf[MDD_RTCP_MAX];
	struct perc_wire out;
	struct perc_rtcp k;
	bool any = false, hello = false;
	size_t at;

	n = mdd_damp_cut(w, p, n);
	w->nacked = false;
	mdd_rtcp_begin(&out, buf);
	for (at = 0; perc_rtcp_next(&k, p + at, n - at); at += k.n) {
		mdd_report_input(w, leg, &k, now_ms);
		if (leg->link != NULL && k.type == PERC_RTCP_APP) {
			mdd_link_hello(w, leg, k.p, k.n, now_ms);
			hello = true;
		} else
			any |= packet_take(w, leg, &k, &out, now_ms);
	}
	if (hello)
		mdd_link_pass_news(w, leg->room, now_ms);
	/* What has waited so long is asked for in this same turn. */
	if (w->nacked)
		mdd_nack_ask_room(w, leg->room, now_ms);
	if (any && out.err == 0)
		compound_send_all(w, leg, buf, out.pos, now_ms);
	if (leg->link != NULL)
		bye_after(w, leg, p, n);
}

void
mdd_rtcp_input(struct mdd_worker *w, struct mdd_leg *leg, uint8_t *p, size_t n,
    int64_t now_ms)
{
	if (leg->state != MDD_LEG_UP) {
		w->count[MDD_DROP_NO_KEYS]++;
		return;
	}
	if (n < 8 + 20 ||
	    (!speaks_as(leg, u32(p + 4)) &&
		(leg->link != NULL ||
		    mdd_leg_source(leg, u32(p + 4)) == NULL))) {
		w->count[n < 8 + 20 ? MDD_DROP_FORM : MDD_DROP_SSRC]++;
		return;
	}
	if (!mdd_leg_credit(&w->legs, leg, n, now_ms) ||
	    !mdd_damp_compound(leg, now_ms)) {
		w->count[MDD_DROP_RATE]++;
		return;
	}
	if (mdd_rekey_unprotect_rtcp(leg, p, &n) != 0) {
		w->count[MDD_DROP_RTCP]++;
		return;
	}
	w->count[MDD_IN_RTCP]++;
	leg->heard_ms = now_ms;
	mdd_rtcp_relay(w, leg, p, n, now_ms);
}

/* RFC 5104 section 4.3.1.4: who comes in needs a key frame of everybody. Who
 * sends no pictures has nothing to do. */
void
mdd_rtcp_welcome(struct mdd_worker *w, struct mdd_leg *leg, int64_t now_ms)
{
	uint8_t buf[MDD_RTCP_MAX];
	struct perc_wire out;
	struct mdd_source *s;
	struct mdd_leg *to;
	unsigned i;

	for (to = leg->room->first; to != NULL; to = to->next) {
		if (to->state != MDD_LEG_UP || !mdd_link_may(to, leg))
			continue;
		for (i = 0; (s = mdd_leg_source_next(to, &i)) != NULL;) {
			if (!refresh_due(w, s, now_ms))
				continue;
			feedback_head(&out, buf, PERC_RTCP_PLI, PERC_RTCP_PSFB,
			    MDD_RTCP_SSRC, s->ssrc, 0);
			mdd_rtcp_send(w, to, buf, out.pos);
		}
	}
}

/* Up to 31 in one packet (RFC 3550 section 6.6); a link may feed more. */
void
mdd_rtcp_ask(struct mdd_worker *w, struct mdd_room *room, struct mdd_source *s,
    int64_t now_ms)
{
	uint8_t buf[MDD_RTCP_MAX];
	struct mdd_source *same;
	struct perc_wire out;
	struct mdd_leg *to = mdd_room_owner(room, s->ssrc, &same);

	if (to == NULL || !refresh_due(w, s, now_ms))
		return;
	feedback_head(&out, buf, PERC_RTCP_PLI, PERC_RTCP_PSFB, MDD_RTCP_SSRC,
	    s->ssrc, 0);
	mdd_rtcp_send(w, to, buf, out.pos);
}

void
mdd_rtcp_bye(struct mdd_worker *w, struct mdd_leg *leg)
{
	uint8_t buf[MDD_RTCP_MAX];
	struct mdd_source *s;
	struct perc_wire out;
	unsigned at = 0, n;
	size_t head;

	do {
		mdd_rtcp_begin(&out, buf);
		head = out.pos;
		perc_wire_put_u32(&out, 0);
		for (n = 0; n < RTCP_BYE_MAX &&
		     (s = mdd_leg_source_next(leg, &at)) != NULL;
		     n++)
			perc_wire_put_u32(&out, s->ssrc);
		buf[head] = (uint8_t)(0x80 | n);
		buf[head + 1] = PERC_RTCP_BYE;
		buf[head + 3] = (uint8_t)n;
		if (n > 0)
			compound_send_all(w, leg, buf, out.pos, w->now_ms);
	} while (n == RTCP_BYE_MAX);
}
