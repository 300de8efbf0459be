/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RTCP is outer only: whoever forwards reads it, and may make it up. So it
 * is taken apart and written anew from a short list, in both directions:
 *
 *   out  SR, RR (numbers), NACK, PLI, FIR; sender is the KMF's SSRC. No
 *	  names, no tools, no reasons (SDES, APP, BYE, XR, extensions):
 *	  REQ-F-4.1a. BYE stays here because the stream outlives the
 *	  application; the roster tells who left.
 *   in   SR of a listed SSRC, to its receiver; a key frame request for one
 *	  of ours, to the application, damped (REQ-F-8.2.5a). Names come from
 *	  the roster alone, so SDES is not believed.
 */
#include <errno.h>
#include <string.h>

#include "agent/vault.h"
#include "perc/rtp.h"

enum { RTCP_SR = 200, RTCP_RR = 201, RTCP_RTPFB = 205, RTCP_PSFB = 206 };
enum { FB_NACK = 1, FB_PLI = 1, FB_FIR = 4 };

#define REPORT_LEN VAULT_REPORT_LEN
#define SENDER_LEN 20 /* NTP, RTP timestamp, packets, octets */
#define NACKS_MAX  64

struct part { /* one packet of a compound */
	uint8_t count, type;
	const uint8_t *body; /* behind the first word */
	size_t len;
};

/* The next packet; false at the end or where lengths stop making sense. */
static bool
part_next(struct part *p, struct perc_wire *w)
{
	uint8_t first = perc_wire_get_u8(w);
	size_t words;

	p->type = perc_wire_get_u8(w);
	words = perc_wire_get_u16(w);
	p->len = words * 4;
	p->count = first & 0x1f;
	p->body = perc_wire_get_bytes(w, p->len);
	/* Padding is only of the last packet, and only for ciphers. */
	return w->err == 0 && first >> 6 == 2 && (first & 0x20) == 0 &&
	    p->len >= 4;
}

static void
head_put(struct perc_wire *w, uint8_t count, uint8_t type, size_t body_len)
{
	perc_wire_put_u8(w, 0x80 | count);
	perc_wire_put_u8(w, type);
	perc_wire_put_u16(w, (uint16_t)(body_len / 4));
}

/* Report blocks that speak of a listed SSRC; returns how many. */
static unsigned
reports_put(const struct vault_slot *s, struct perc_wire *out,
    struct perc_wire *in, unsigned count)
{
	const struct vault_stream *t;
	struct perc_wire one;
	const uint8_t *p;
	unsigned n = 0;

	while (
	    count-- > 0 && (p = perc_wire_get_bytes(in, REPORT_LEN)) != NULL) {
		perc_wire_reader(&one, p, REPORT_LEN);
		t = vault_stream_find(s, perc_wire_get_u32(&one));
		if (t == NULL)
			continue;
		vault_layer_report(s, t, out, p);
		n++;
	}
	return n;
}

/* ---- from the application ------------------------------------------------ */

static void
out_report(struct vault_local *l, const struct part *p, struct perc_wire *out)
{
	uint8_t blocks[31 * REPORT_LEN];
	struct perc_wire in, b;
	const uint8_t *ntp, *counts;
	bool sr = p->type == RTCP_SR;
	unsigned n;
	uint32_t ts;

	perc_wire_reader(&in, p->body, p->len);
	perc_wire_get_u32(&in); /* whatever it calls itself */
	ntp = sr ? perc_wire_get_bytes(&in, 8) : NULL;
	ts = sr ? perc_wire_get_u32(&in) : 0;
	counts = sr ? perc_wire_get_bytes(&in, 8) : NULL;
	if (in.err != 0)
		return;
	perc_wire_writer(&b, blocks, sizeof(blocks));
	n = reports_put(l->slot, &b, &in, p->count);
	head_put(out, (uint8_t)n, p->type, 4 + (sr ? SENDER_LEN : 0) + b.pos);
	perc_wire_put_u32(out, l->ssrc);
	if (sr) {
		perc_wire_put_bytes(out, ntp, 8);
		perc_wire_put_u32(out, ts + l->ts_off);
		perc_wire_put_bytes(out, counts, 8);
	}
	perc_wire_put_bytes(out, blocks, b.pos);
}

/* NACK, PLI: one media SSRC; FIR: one in each entry. All must be listed. */
static void
out_feedback(struct vault_local *l, const struct part *p, struct perc_wire *out)
{
	bool nack = p->type == RTCP_RTPFB && p->count == FB_NACK;
	bool pli = p->type == RTCP_PSFB && p->count == FB_PLI;
	bool fir = p->type == RTCP_PSFB && p->count == FB_FIR;
	const struct vault_stream *t;
	struct perc_wire in;
	uint32_t media;
	size_t fci;

	perc_wire_reader(&in, p->body, p->len);
	perc_wire_get_u32(&in);
	media = perc_wire_get_u32(&in);
	fci = perc_wire_left(&in);
	if (in.err != 0 || !(nack || pli || fir) || fci > NACKS_MAX * 4 ||
	    (pli && fci != 0) || (fir && fci != 8))
		return;
	if (fir) {
		perc_wire_reader(&in, p->body + 8, fci);
		media = perc_wire_get_u32(&in);
	}
	if ((t = vault_stream_find(l->slot, media)) == NULL)
		return;
	media = vault_layer_shown(l->slot, t)->ssrc;
	head_put(out, p->count, p->type, p->len);
	perc_wire_put_u32(out, l->ssrc);
	perc_wire_put_u32(out, fir ? 0 : media);
	if (fir) {
		perc_wire_put_u32(out, media);
		perc_wire_put_bytes(out, p->body + 12, 4);
	} else if (nack) {
		vault_layer_nacks(t, out, p->body + 8, fci);
	}
}

static void
out_compound(struct vault_local *l, const uint8_t *p, size_t n)
{
	struct vault_slot *s = l->slot;
	uint8_t buf[VAULT_PACKET_MAX];
	struct perc_wire in, out;
	struct part part;

	perc_wire_reader(&in, p, n);
	perc_wire_writer(&out, buf, VAULT_PACKET_MAX - 128); /* SRTCP's room */
	while (perc_wire_left(&in) > 0 && part_next(&part, &in)) {
		if (part.type == RTCP_SR || part.type == RTCP_RR)
			out_report(l, &part, &out);
		else if (part.type == RTCP_RTPFB || part.type == RTCP_PSFB)
			out_feedback(l, &part, &out);
	}
	if (out.pos == 0 || perc_wire_end(&out) != 0) {
		s->count.rtcp_dropped++;
		return;
	}
	vault_send_packet(s, VAULT_RTCP_OUT, buf, out.pos);
	s->count.rtcp_out++;
}

void
vault_local_report(struct vault_local *l, const uint8_t *p, size_t n)
{
	if (l->slot->state != VAULT_SLOT_LIVE || l->ssrc == 0 ||
	    perc_pkt_kind(p, n) != PERC_PKT_RTCP)
		l->slot->count.rtcp_dropped++;
	else
		out_compound(l, p, n);
}

void
vault_local_rtcp(int fd, uint32_t events, void *arg)
{
	struct vault_local *l = arg;
	struct vault *v = l->slot->v;
	int64_t now = perc_boot_ms();
	unsigned i, n = vault_batch_read(v, fd);

	vault_slot_tick(l->slot);
	for (i = 0; i < n; i++) {
		if (vault_sender_ours(
			v, &l->rtcp_peer, l->rtcp_port, &v->in_from[i], now))
			vault_local_report(l, v->in[i], v->in_msg[i].msg_len);
		else
			l->slot->count.local_strangers++;
	}
}

static struct vault_slot *
slot_only(struct vault *v)
{
	struct vault_slot *only = NULL;
	unsigned i;

	for (i = 0; i < VAULT_SLOTS; i++) {
		if (v->slots[i].state != VAULT_SLOT_LIVE)
			continue;
		if (only != NULL)
			return NULL;
		only = &v->slots[i];
	}
	return only;
}

/* The slot whose range of ports this one is from; a player that answers from
 * a port of its own is understood while there is one conference. */
static struct vault_local *
local_of_receiver(struct vault *v, const struct sockaddr_in *from)
{
	unsigned port = ntohs(from->sin_port), i, at;
	struct vault_slot *s;

	if (port < v->out_base || port - v->out_base >= VAULT_OUT_PORTS) {
		if ((s = slot_only(v)) == NULL)
			return NULL;
	} else {
		at = (port - v->out_base) / (VAULT_OUT_STREAMS * 2);
		s = &v->slots[at];
	}
	for (i = 0; i < VAULT_LOCAL_STREAMS; i++)
		if (s->local[i].ssrc != 0)
			return &s->local[i];
	return NULL;
}

/* Receivers answer to where their stream came from: RR, NACK, PLI. */
void
vault_out_rtcp(int fd, uint32_t events, void *arg)
{
	struct vault *v = arg;
	struct vault_local *l;
	unsigned i, n = vault_batch_read(v, fd);
	int64_t now = perc_boot_ms();
	struct vault_peer who = { 0 };

	for (i = 0; i < n; i++) {
		if ((l = local_of_receiver(v, &v->in_from[i])) == NULL)
			continue;
		if (vault_sender_ours(
			v, &who, v->out_port, &v->in_from[i], now))
			vault_local_report(l, v->in[i], v->in_msg[i].msg_len);
		else
			l->slot->count.local_strangers++;
	}
}

/* ---- from the conference ------------------------------------------------- */

static void
in_report(struct vault_slot *s, const struct part *p)
{
	uint8_t buf[8 + SENDER_LEN];
	struct sockaddr_in to = { .sin_family = AF_INET };
	struct vault_stream *t, *head;
	struct perc_wire in, out;

	perc_wire_reader(&in, p->body, p->len);
	t = vault_stream_find(s, perc_wire_get_u32(&in));
	head = t != NULL ? vault_layer_head(s, t) : NULL;
	if (head == NULL || head->port == 0 ||
	    perc_wire_left(&in) < SENDER_LEN ||
	    vault_layer_shown(s, head) != t) {
		s->count.rtcp_dropped++;
		return;
	}
	if (!vault_listener_ours(s->v, &head->rtcp_ear,
		(uint16_t)(head->port + 1), perc_boot_ms()))
		return; /* nobody, or somebody else's */
	perc_wire_writer(&out, buf, sizeof(buf));
	head_put(&out, 0, RTCP_SR, 4 + SENDER_LEN);
	vault_layer_sender(head, &out, p->body);
	to.sin_port = htons((uint16_t)(head->port + 1));
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	vault_out_put(s->v, &to, buf, sizeof(buf));
	s->count.rtcp_in++;
}

static struct vault_local *
local_find(struct vault_slot *s, uint32_t ssrc)
{
	unsigned i;

	for (i = 0; i < VAULT_LOCAL_STREAMS; i++)
		if (s->local[i].tx != NULL && s->local[i].ssrc == ssrc)
			return &s->local[i];
	return NULL;
}

/*
 * Where the application reads RTCP: where its own comes from (RFC 4961), and
 * by convention one above its RTP port. A program whose socket for sending
 * RTCP is another than that for reading has the second only, and one that
 * reads both makes one key frame of two requests.
 */
static void
app_tell(const struct vault_local *l, const uint8_t *p, size_t n)
{
	struct sockaddr_in above = l->rtp_peer.addr;

	above.sin_port = htons((uint16_t)(ntohs(above.sin_port) + 1));
	if (l->rtp_peer.addr.sin_family != 0)
		vault_out_put(l->slot->v, &above, p, n);
	if (l->rtcp_peer.addr.sin_family != 0 &&
	    l->rtcp_peer.addr.sin_port != above.sin_port)
		vault_out_put(l->slot->v, &l->rtcp_peer.addr, p, n);
}

/*
 * Anybody on the way can ask for key frames, and each costs the sender's
 * encoder dearly: at most one per VAULT_DAMP_MS is passed on.
 */
static void
key_frame_wanted(struct vault_local *l)
{
	struct vault_slot *s = l->slot;
	int64_t now = perc_boot_ms();
	struct perc_wire w;
	uint8_t buf[12];

	if (l->key_frame_ms != 0 && now - l->key_frame_ms < VAULT_DAMP_MS) {
		s->count.key_frames_damped++;
		return;
	}
	l->key_frame_ms = now;
	s->count.key_frames++;
	perc_double_tx_key_frame(l->tx);
	perc_wire_writer(&w, buf, sizeof(buf));
	head_put(&w, FB_PLI, RTCP_PSFB, 8);
	perc_wire_put_u32(&w, l->ssrc);
	perc_wire_put_u32(&w, l->app_ssrc);
	app_tell(l, buf, w.pos);
}

void
vault_key_frame_ask(struct vault_slot *s, const struct vault_stream *t)
{
	struct perc_wire w;
	uint8_t buf[12];
	unsigned i;

	for (i = 0; i < VAULT_LOCAL_STREAMS; i++) {
		if (s->local[i].ssrc == 0)
			continue;
		perc_wire_writer(&w, buf, sizeof(buf));
		head_put(&w, FB_PLI, RTCP_PSFB, 8);
		perc_wire_put_u32(&w, s->local[i].ssrc);
		perc_wire_put_u32(&w, t->ssrc);
		vault_send_packet(s, VAULT_RTCP_OUT, buf, w.pos);
		s->count.rtcp_out++;
		return;
	}
}

static void
in_feedback(struct vault_slot *s, const struct part *p)
{
	struct vault_local *l;
	struct perc_wire in;
	uint32_t media;

	perc_wire_reader(&in, p->body, p->len);
	perc_wire_get_u32(&in);
	media = perc_wire_get_u32(&in);
	if (p->count == FB_FIR) /* RFC 5104 section 4.3.1: in the entry */
		media = perc_wire_get_u32(&in);
	else if (p->count != FB_PLI)
		return;
	if (in.err == 0 && (l = local_find(s, media)) != NULL)
		key_frame_wanted(l);
	else
		s->count.rtcp_dropped++;
}

void
vault_rtcp_in(struct vault_slot *s, const uint8_t *p, size_t n)
{
	struct perc_wire in;
	struct part part;

	vault_slot_tick(s);
	if (s->state != VAULT_SLOT_LIVE)
		return;
	perc_wire_reader(&in, p, n);
	while (perc_wire_left(&in) > 0 && part_next(&part, &in)) {
		if (part.type == RTCP_SR)
			in_report(s, &part);
		else if (part.type == RTCP_PSFB)
			in_feedback(s, &part);
	}
}
