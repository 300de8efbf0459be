/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the conference to the local application: packets whose outer layer
 * the front took off are opened here and leave as plain RTP to the port of
 * their stream. The outer payload type selects the codec (RFC 8723 section
 * 5.3) and the distributor may have changed it, so it must be one that the
 * KMF's media table has for this stream's medium, or a decoder would be fed
 * bytes of another (REQ-J-6.2.1). The outer sequence number orders packets.
 */
#include <errno.h>
#include <string.h>

#include "agent/vault.h"
#include "perc/log.h"
#include "perc/rtp.h"

#define PT_HOLD_MS 1000

void
vault_out_flush(void *arg)
{
	struct vault *v = arg;
	unsigned at = 0;
	int n;

	while (at < v->nout) {
		n = sendmmsg(
		    v->out_fd, v->out_msg + at, v->nout - at, MSG_DONTWAIT);
		/* Nobody listens there, or its queue is full: not our loss. */
		at += n > 0 ? (unsigned)n : 1;
	}
	v->nout = 0;
}

void
vault_out_put(
    struct vault *v, const struct sockaddr_in *to, const uint8_t *p, size_t n)
{
	if (n > VAULT_PACKET_MAX || v->out_fd < 0)
		return;
	if (v->nout == VAULT_BATCH)
		vault_out_flush(v);
	if (v->nout == 0)
		perc_loop_defer(v->loop, &v->flush, vault_out_flush, v);
	v->out_to[v->nout] = *to;
	memcpy(v->out[v->nout], p, n);
	v->out_iov[v->nout].iov_len = n;
	v->nout++;
}

/* Put what came with packet p of the hop, and the application is to have,
 * between header and payload of the opened one: octets of that. */
static size_t
extend(struct vault_slot *s, const struct vault_stream *t, size_t len,
    const uint8_t *p, size_t n)
{
	uint8_t ext[PERC_HDREXT_MAX], *out = s->v->work;
	size_t head = PERC_RTP_MIN + 4u * (out[0] & 0x0f);
	size_t more = vault_ext_come(&s->v->config->ext, t->media, p, n, ext);

	if (more == 0 || head > len || len + more > VAULT_PACKET_MAX)
		return len;
	memmove(out + head + more, out + head, len - head);
	memcpy(out + head, ext, more);
	out[0] |= 0x10;
	return len + more;
}

/* Players are told by the SDP file what comes. The payload type is the hop's
 * word, so a distributor could flip it with each packet: not more often than
 * PT_HOLD_MS does it count. */
static void
codec_follow(
    struct vault_slot *s, struct vault_stream *t, uint8_t pt, int64_t now)
{
	const struct vault_codec *shown;

	if (t->pt == pt || (t->pt != 0 && now - t->pt_ms < PT_HOLD_MS))
		return;
	shown = vault_codec_find(s, t->media, t->pt);
	t->pt = pt;
	t->pt_ms = now;
	if (shown == NULL || shown->pt != pt)
		vault_send_streams(s);
}

static void
deliver(struct vault_slot *s, struct vault_stream *t,
    const struct perc_double_in *info, int64_t now, const uint8_t *in, size_t n)
{
	uint8_t *p = s->v->work;
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	bool heard;

	if (info->len < PERC_RTP_MIN) {
		s->count.not_delivered++;
		return;
	}
	p[1] = (p[1] & 0x80) | info->outer_pt;
	p[2] = (uint8_t)(info->outer_seq >> 8);
	p[3] = (uint8_t)info->outer_seq;
	if (t->layered && !vault_layer_follow(s, t, info, p, now))
		return;
	t = vault_layer_head(s, t);
	codec_follow(s, t, info->outer_pt, now);
	if (t->port == 0) {
		s->count.not_delivered++;
		return;
	}
	to.sin_port = htons(t->port);
	heard = t->rtp_ear.ours;
	if (!vault_listener_ours(s->v, &t->rtp_ear, t->port, now)) {
		s->count.not_delivered++;
		return;
	}
	if (t->media == VAULT_VIDEO && (t->begin_ms != 0 || !heard))
		vault_layer_begin(s, t, !heard,
		    vault_codec_find(s, VAULT_VIDEO, info->outer_pt), p,
		    info->len, now);
	vault_out_put(s->v, &to, p, extend(s, t, info->len, in, n));
	s->count.delivered++;
}

static void
opened(struct vault_slot *s, const struct perc_double_in *info, int64_t now_ms,
    const uint8_t *p, size_t n)
{
	struct vault_stream *t;

	if ((t = vault_stream_find(s, info->ssrc)) == NULL)
		s->count.not_delivered++;
	else if (vault_codec_find(s, t->media, info->outer_pt) == NULL)
		s->count.pt_refused++;
	else {
		deliver(s, t, info, now_ms, p, n);
		vault_speak_heard(s, t, info->len - PERC_RTP_MIN);
	}
}

int
vault_media_open(
    struct vault_slot *s, int64_t now_ms, const uint8_t *p, size_t n)
{
	struct perc_double_in info;
	uint16_t spi = 0;
	int r;

	r = perc_double_rx_open(s->rx, now_ms, p, n, s->v->work, &info, &spi);
	if (spi != 0 || r == PERC_ERR_UNKNOWN_KEY)
		vault_send_wanted(s, spi);
	if (r == 0)
		opened(s, &info, now_ms, p, n);
	vault_hold_put(s, now_ms, p, n, r, spi);
	if (r == 0 && info.first)
		vault_hold_try(s, info.ssrc);
	return r;
}

void
vault_media_in(struct vault_slot *s, const uint8_t *p, size_t n)
{
	vault_slot_tick(s); /* an expired key opens nothing */
	if (s->state != VAULT_SLOT_LIVE)
		return;
	if (n > VAULT_PACKET_MAX)
		s->count.not_delivered++;
	else if (vault_media_open(s, perc_boot_ms(), p, n) != 0)
		return; /* counted where it failed */
}
