/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A picture in several layers (docs/wire/join.md, Layers): one encoder and one
 * SSRC for each, and every receiver is sent one of them. The forwarder can
 * rewrite no SSRC and no timestamp, for the inner layer of Double covers them
 * (RFC 8723 section 4), so the picture moves from one SSRC to another, whose
 * numbers have nothing to do with the first one's. A player must not see that:
 * all layers leave as one stream, with numbers that go on.
 *
 * Whether a layer may take over is the payload's word, which is protected end
 * to end, and not that of a header extension. What surprises: a key frame that
 * lost its first packet comes without a beginning, and when that one is
 * repaired it is late. Then nothing is shown of it and another one asked for.
 */
#include "agent/vault.h"
#include "agent/vaultframe.h"

#define LATE_MAX                                                               \
	1024		/* packets for which older numbers are the old layer's \
			 */
#define SILENT_MS  300	/* what is shown has stopped */
#define ASK_MS	   1000 /* between two requests for a beginning */
#define MARK_START 0x80 /* frame marking: S, E, I */
#define MARK_END   0x40
#define MARK_KEY   0x20

struct vault_stream *
vault_layer_head(const struct vault_slot *s, const struct vault_stream *t)
{
	return &s->roster.streams[t->head];
}

const struct vault_stream *
vault_layer_shown(const struct vault_slot *s, const struct vault_stream *head)
{
	const struct vault_stream *t = NULL;

	if (head->merge.shown != 0)
		t = vault_stream_find(s, head->merge.shown);
	return t != NULL ? t : head;
}

/* ---- one stream of several ---------------------------------------------- */

static void
show(struct vault_slot *s, struct vault_stream *head,
    const struct vault_stream *t, uint16_t seq, uint32_t ts, uint32_t rate,
    int64_t now)
{
	struct vault_merge *m = &head->merge;
	uint32_t gone = (uint32_t)((now - m->last_ms) * rate / 1000);

	m->since = LATE_MAX;
	if (m->shown != 0) {
		m->seq_off = (uint16_t)(m->seq + 1 - seq);
		m->ts_off = m->ts + (gone == 0 ? 1 : gone) - ts;
		m->since = 0;
		s->count.layer_switches++;
	}
	m->shown = t->ssrc;
	m->begin = seq;
	m->seq = (uint16_t)(seq + m->seq_off);
	m->ts = ts + m->ts_off;
}

static void
frame_look(struct vault_frame *f, const struct vault_codec *c, const uint8_t *p,
    size_t n)
{
	size_t at = PERC_RTP_MIN + 4u * (p[0] & 0x0f);

	vault_frame_look(f, c->name, p + at, n > at ? n - at : 0);
}

/* Not every player asks for a beginning, and a request may be lost, or damped
 * on the way because of another one that came too early. */
void
vault_layer_begin(struct vault_slot *s, struct vault_stream *t, bool fresh,
    const struct vault_codec *c, const uint8_t *p, size_t n, int64_t now)
{
	struct vault_frame f;

	frame_look(&f, c, p, n);
	if (!fresh && (f.key || !f.known)) {
		t->begin_ms = 0;
		return;
	}
	if (!fresh && now - t->begin_ms < ASK_MS)
		return;
	t->begin_ms = now;
	vault_key_frame_ask(s, vault_layer_shown(s, t));
}

/* May t take over with this packet? What came behind it was not shown, so it
 * must be the newest. */
static bool
may_show(struct vault_slot *s, const struct vault_stream *head,
    const struct perc_double_in *info, const uint8_t *p, bool newest,
    const struct vault_codec *c, int64_t now)
{
	struct vault_frame f;

	if (head->merge.shown == 0)
		return true;
	frame_look(&f, c, p, info->len);
	if (!f.known)
		return now - head->merge.last_ms > SILENT_MS;
	return f.key && newest;
}

/* A layer comes that cannot be shown, and nothing else does. */
static void
beginning_ask(struct vault_slot *s, struct vault_stream *head,
    const struct vault_stream *t, int64_t now)
{
	struct vault_merge *m = &head->merge;

	if (now - m->last_ms <= SILENT_MS || now - m->asked_ms < ASK_MS)
		return;
	m->asked_ms = now;
	vault_key_frame_ask(s, t);
}

/* Of the layer shown: not from before it began, if that can be told. */
static bool
follows(struct vault_merge *m, uint16_t seq)
{
	return m->since >= LATE_MAX || (int16_t)(seq - m->begin) >= 0;
}

static void
header_put(
    const struct vault_stream *head, uint8_t *p, uint16_t seq, uint32_t ts)
{
	struct perc_wire w;

	perc_wire_writer(&w, p + 2, 10);
	perc_wire_put_u16(&w, (uint16_t)(seq + head->merge.seq_off));
	perc_wire_put_u32(&w, ts + head->merge.ts_off);
	perc_wire_put_u32(&w, head->ssrc);
}

bool
vault_layer_follow(struct vault_slot *s, struct vault_stream *t,
    const struct perc_double_in *info, uint8_t *p, int64_t now)
{
	const struct vault_codec *c =
	    vault_codec_find(s, VAULT_VIDEO, info->outer_pt);
	struct vault_stream *head = vault_layer_head(s, t);
	struct vault_merge *m = &head->merge;
	uint16_t seq = info->outer_seq;
	struct perc_wire w;
	bool newest;
	uint32_t ts;

	perc_wire_reader(&w, p + 4, 4);
	ts = perc_wire_get_u32(&w);
	newest = !t->has_top || (int16_t)(seq - t->top) > 0;
	if (newest)
		t->top = seq;
	t->has_top = true;
	if (m->shown == t->ssrc) {
		if (!follows(m, seq))
			return false;
	} else if (may_show(s, head, info, p, newest, c, now)) {
		show(s, head, t, seq, ts, c->rate, now);
	} else {
		beginning_ask(s, head, t, now);
		return false;
	}
	m->last_ms = now;
	m->since += m->since < LATE_MAX;
	if ((int16_t)(seq + m->seq_off - m->seq) > 0) {
		m->seq = (uint16_t)(seq + m->seq_off);
		m->ts = ts + m->ts_off;
	}
	header_put(head, p, seq, ts);
	return true;
}

/* ---- RTCP ---------------------------------------------------------------- */

void
vault_layer_report(const struct vault_slot *s, const struct vault_stream *head,
    struct perc_wire *out, const uint8_t block[static VAULT_REPORT_LEN])
{
	struct perc_wire in;

	perc_wire_reader(&in, block, VAULT_REPORT_LEN);
	perc_wire_get_u32(&in);
	perc_wire_put_u32(out, vault_layer_shown(s, head)->ssrc);
	perc_wire_put_u32(out, perc_wire_get_u32(&in)); /* losses */
	perc_wire_put_u16(out, perc_wire_get_u16(&in)); /* cycles */
	perc_wire_put_u16(
	    out, (uint16_t)(perc_wire_get_u16(&in) - head->merge.seq_off));
	perc_wire_put_bytes(out, block + 12, VAULT_REPORT_LEN - 12);
}

void
vault_layer_nacks(const struct vault_stream *head, struct perc_wire *out,
    const uint8_t *p, size_t n)
{
	struct perc_wire in;

	perc_wire_reader(&in, p, n);
	while (perc_wire_left(&in) >= 4) {
		perc_wire_put_u16(out,
		    (uint16_t)(perc_wire_get_u16(&in) - head->merge.seq_off));
		perc_wire_put_u16(out, perc_wire_get_u16(&in));
	}
}

void
vault_layer_sender(const struct vault_stream *head, struct perc_wire *out,
    const uint8_t body[static 24])
{
	struct perc_wire in;

	perc_wire_reader(&in, body + 12, 4);
	perc_wire_put_u32(out, head->ssrc);
	perc_wire_put_bytes(out, body + 4, 8); /* NTP */
	perc_wire_put_u32(out, perc_wire_get_u32(&in) + head->merge.ts_off);
	perc_wire_put_bytes(out, body + 16, 8); /* packets, octets */
}

/* ---- what leaves --------------------------------------------------------- */

uint8_t
vault_layer_mark(struct vault_local *l, const char *codec,
    const struct perc_rtp *h, const uint8_t *p, size_t n, bool *key)
{
	struct vault_frame f;
	uint8_t mark = h->marker ? MARK_END : 0;

	vault_frame_look(&f, codec, p + h->header_len, n - h->header_len);
	if (!l->frame.have || l->frame.ts != h->ts)
		l->frame.started = l->frame.key = false;
	l->frame.have = true;
	l->frame.ts = h->ts;
	*key |= f.key && !l->frame.key;
	l->frame.key |= f.key;
	if (!l->frame.started && !f.ahead) {
		l->frame.started = true;
		mark |= MARK_START;
	}
	return mark | (l->frame.key ? MARK_KEY : 0);
}
