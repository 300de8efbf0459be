/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the local application to the conference: plain RTP comes in on a
 * loopback socket and leaves as the KMF's SSRC, sealed, towards the front.
 *
 * The application may stop and start again with another SSRC, sequence
 * number and timestamp; for the conference it stays one stream, whose
 * numbers go on, so that no receiver starts over and no nonce comes twice.
 * Its numbers are therefore moved by an offset that is found anew at every
 * restart. Header extensions and CSRCs travel in the clear through the
 * distributor (RFC 8871 section 4.3): no CSRC is passed on, and of extensions
 * what root's configuration lets go (agent/vaultext.h).
 */
#include <errno.h>
#include <string.h>

#include "agent/vault.h"
#include "perc/log.h"
#include "perc/rtp.h"

#define MAX_DROPOUT  3000 /* RFC 3550 appendix A.1 */
#define MAX_MISORDER 100

const struct vault_codec *
vault_codec_find(const struct vault_slot *s, enum vault_media media, int pt)
{
	unsigned i;

	for (i = 0; i < s->ncodecs; i++)
		if (s->codecs[i].media == media &&
		    (pt <= 0 || s->codecs[i].pt == pt))
			return &s->codecs[i];
	return NULL;
}

/* Loopback only, whatever the socket is bound to. */
static bool
from_loopback(const struct sockaddr_in *sin)
{
	return sin->sin_family == AF_INET &&
	    ntohl(sin->sin_addr.s_addr) >> 24 == 127;
}

unsigned
vault_batch_read(struct vault *v, int fd)
{
	unsigned i;
	int n;

	for (i = 0; i < VAULT_BATCH; i++)
		v->in_msg[i].msg_hdr.msg_namelen = sizeof(v->in_from[i]);
	n = recvmmsg(fd, v->in_msg, VAULT_BATCH, MSG_DONTWAIT, NULL);
	for (i = 0; n > 0 && i < (unsigned)n; i++)
		if (!from_loopback(&v->in_from[i]) ||
		    (v->in_msg[i].msg_hdr.msg_flags & MSG_TRUNC) != 0)
			v->in_msg[i].msg_len = 0; /* every reader drops it */
	return n < 0 ? 0 : (unsigned)n;
}

/* Did the application start over, or only lose and reorder a little? */
static bool
is_restart(const struct vault_local *l, const struct perc_rtp *h)
{
	uint16_t ahead = (uint16_t)(h->seq - l->app_seq);

	return h->ssrc != l->app_ssrc ||
	    (ahead >= MAX_DROPOUT && ahead <= UINT16_MAX - MAX_MISORDER);
}

static void
numbering_follow(
    struct vault_local *l, const struct perc_rtp *h, uint32_t rate, int64_t now)
{
	uint32_t gone;

	if (!l->started) {
		l->seq_off = 0;
		l->ts_off = 0;
		l->seq = (uint16_t)(h->seq - 1);
		l->started = true;
	} else if (is_restart(l, h)) {
		gone = (uint32_t)((now - l->last_ms) * rate / 1000);
		l->seq_off = (uint16_t)(l->seq + 1 - h->seq);
		l->ts_off = l->ts + (gone == 0 ? 1 : gone) - h->ts;
	} else if ((int16_t)(h->seq - l->app_seq) < 0) {
		return; /* late: the newest stays the newest */
	}
	l->app_ssrc = h->ssrc;
	l->app_seq = h->seq;
	l->seq = (uint16_t)(h->seq + l->seq_off);
	l->ts = h->ts + l->ts_off;
	l->last_ms = now;
}

/* The header as the conference sees it, then the payload; returns octets. */
static size_t
packet_rewrite(const struct vault_local *l, const struct perc_rtp *h,
    uint8_t pt, const uint8_t *p, size_t n, const uint8_t *ext, size_t len,
    uint8_t *out)
{
	struct perc_wire w;

	perc_wire_writer(&w, out, VAULT_PACKET_MAX);
	perc_wire_put_u8(
	    &w, 0x80 | (h->padding ? 0x20 : 0) | (len > 0 ? 0x10 : 0));
	perc_wire_put_u8(&w, (h->marker ? 0x80 : 0) | pt);
	perc_wire_put_u16(&w, (uint16_t)(h->seq + l->seq_off));
	perc_wire_put_u32(&w, h->ts + l->ts_off);
	perc_wire_put_u32(&w, l->ssrc);
	perc_wire_put_bytes(&w, ext, len);
	perc_wire_put_bytes(&w, p + h->header_len, n - h->header_len);
	return perc_wire_end(&w) == 0 ? w.pos : 0;
}

/* What leaves in the clear of the hop, into ext; *key: a picture begins. The
 * forwarder chooses among layers by what they tell (docs/wire/join.md). */
static size_t
extensions(struct vault_local *l, const struct vault_codec *c,
    const struct perc_rtp *h, const uint8_t *p, size_t n,
    uint8_t ext[static PERC_HDREXT_MAX], bool *key)
{
	const struct vault_ext *e = &l->slot->v->config->ext;
	uint8_t mark;

	*key = vault_ext_key_frame(e, h, p);
	if (!l->layered)
		return vault_ext_leave(e, l->media, h, p, ext);
	mark = vault_layer_mark(l, c->name, h, p, n, key);
	return vault_ext_layer(e, l->layer, mark, h, p, ext);
}

static int
packet_send(struct vault_local *l, const uint8_t *p, size_t n, int64_t now)
{
	struct vault_slot *s = l->slot;
	struct vault *v = s->v;
	const struct vault_codec *c;
	struct perc_rtp h;
	uint8_t plain[VAULT_PACKET_MAX], ext[PERC_HDREXT_MAX];
	bool key;
	size_t len;
	int r;

	if ((r = perc_rtp_parse(&h, p, n)) != 0)
		return r;
	/* The application's own choice among the negotiated, else the first. */
	if ((c = vault_codec_find(s, l->media, h.pt)) == NULL &&
	    (c = vault_codec_find(s, l->media, -1)) == NULL)
		return PERC_ERR_DENIED;
	if (n + PERC_DOUBLE_ROOM > VAULT_PACKET_MAX - PERC_GCM_TAG_LEN)
		return PERC_ERR_LIMIT;
	numbering_follow(l, &h, c->rate, now);
	len = extensions(l, c, &h, p, n, ext, &key);
	/* Its key goes with a picture that begins (RFC 8870 section 4.4). */
	if (key)
		perc_double_tx_key_frame(l->tx);
	len = packet_rewrite(l, &h, c->pt, p, n, ext, len, plain);
	if (len == 0 ||
	    (r = perc_double_tx_seal(
		 l->tx, now, plain, len, v->work, sizeof(v->work), &len)) != 0)
		goto out;
	vault_send_packet(s, VAULT_MEDIA_OUT, v->work, len);
	s->count.sent++;
out:
	perc_wipe(plain, sizeof(plain));
	return r;
}

/* RTCP may share the port (RFC 5761); sealed as media it would tell every
 * member what the application calls itself. */
static int
datagram_take(struct vault_local *l, const uint8_t *p, size_t n, int64_t now)
{
	switch (perc_pkt_kind(p, n)) {
	case PERC_PKT_RTP:
		return packet_send(l, p, n, now);
	case PERC_PKT_RTCP:
		vault_local_report(l, p, n);
		return 0;
	default:
		return PERC_ERR_FORMAT;
	}
}

void
vault_local_rtp(int fd, uint32_t events, void *arg)
{
	struct vault_local *l = arg;
	struct vault_slot *s = l->slot;
	struct vault *v = s->v;
	int64_t now = perc_boot_ms();
	unsigned i, n;

	vault_slot_tick(s); /* fail closed: no key, nothing leaves */
	n = vault_batch_read(v, fd);
	for (i = 0; i < n; i++) {
		if (!vault_sender_ours(
			v, &l->rtp_peer, l->port, &v->in_from[i], now)) {
			s->count.local_strangers++;
			continue;
		}
		if (s->state != VAULT_SLOT_LIVE || l->tx == NULL ||
		    datagram_take(l, v->in[i], v->in_msg[i].msg_len, now) !=
			0) {
			s->count.local_dropped++;
			continue;
		}
	}
}
