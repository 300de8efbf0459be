/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pump between a leg and the vault. What passes here is inner
 * ciphertext; the EKTField is cut off before the outer layer and put back
 * behind it byte for byte (RFC 8723 section 5.1, RFC 8870 section 4.1).
 */
#include "agent/frontleg.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "perc/hdrext.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/tail.h"

#define RTCP_BYE      203
#define REPAIR_ROUNDS 8 /* compounds of one turn */
#define REPAIR_MIN_MS 5

static void repair_plan(struct front_leg *l);

/* ---- sending ------------------------------------------------------------ */

static void
leg_flush(struct front_leg *l)
{
	unsigned done = 0;
	int n;

	while (done < l->nout && l->now != NULL) {
		n = sendmmsg(l->now->fd, l->out_msg + done, l->nout - done,
		    MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n <= 0 && errno == EINTR)
			continue;
		if (n <= 0) { /* full or refused: this one is lost */
			front_path_trouble(l->now, errno);
			l->count.dropped++;
			n = 1;
		}
		done += (unsigned)n;
	}
	l->nout = 0;
}

/* The next buffer of the batch, n octets long once it is filled. */
static uint8_t *
out_next(struct front_leg *l)
{
	if (l->nout == BATCH)
		leg_flush(l);
	return l->out[l->nout];
}

static void
out_done(struct front_leg *l, size_t n)
{
	l->out_iov[l->nout].iov_len = n;
	l->nout++;
}

void
front_path_send(struct front_path *p, const uint8_t *m, size_t n)
{
	p->broken = false;
	if (send(p->fd, m, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		front_path_trouble(p, errno);
}

void
front_leg_send(struct front_leg *l, const uint8_t *p, size_t n)
{
	if (l->now != NULL)
		front_path_send(l->now, p, n);
}

void
front_leg_media(struct front_leg *l, const uint8_t *p, size_t n)
{
	struct perc_tail tail;
	struct perc_rtp h;
	uint8_t *out;
	size_t len;

	if (l == NULL || l->state != LEG_UP)
		return;
	if (n + PERC_SRTP_TAG_LEN > ROOM || perc_tail_find(&tail, p, n) != 0 ||
	    perc_rtp_parse(&h, p, n - tail.len) != 0) {
		l->count.dropped++;
		return;
	}
	out = out_next(l);
	if (perc_srtp_protect(l->tx, &h, p, n - tail.len, out, &len) != 0) {
		l->count.dropped++;
		return;
	}
	memcpy(out + len, p + n - tail.len, tail.len);
	if (l->ssrc == 0)
		l->ssrc = h.ssrc;
	front_repair_sent(l->repair, &h, out, len + tail.len, perc_now_ms());
	out_done(l, len + tail.len);
	l->count.sent++;
}

/* out: the buffer of out_next, with n octets of RTCP. */
static void
rtcp_out(struct front_leg *l, uint8_t *out, size_t n)
{
	if (perc_srtcp_protect(l->rtcp_tx, out, &n) != 0) {
		l->count.dropped++;
		return;
	}
	out_done(l, n);
	l->count.rtcp_sent++;
}

void
front_leg_rtcp(struct front_leg *l, const uint8_t *p, size_t n)
{
	uint8_t *out;

	if (l == NULL || l->state != LEG_UP || n + PERC_SRTCP_ROOM > ROOM)
		return;
	out = out_next(l);
	memcpy(out, p, n);
	n = front_repair_app(l->repair, out, n, perc_now_ms());
	if (n > 0)
		rtcp_out(l, out, n);
	repair_plan(l);
}

/* ---- repair ------------------------------------------------------------- */

/* One of our SSRCs: the distributor hears RTCP of no other. Who sends nothing
 * has one all the same, by the roster. */
static uint32_t
own_ssrc(struct front_leg *l)
{
	int64_t v;

	if (l->ssrc == 0 &&
	    perc_json_int(&v,
		json_array_get(json_object_get(l->conf->streams, "in"), 0),
		"ssrc", 1, UINT32_MAX) == 0)
		l->ssrc = (uint32_t)v;
	return l->ssrc;
}

static void
on_repair(void *arg)
{
	struct front_leg *l = arg;
	uint8_t *out;
	size_t n;
	int i;

	for (i = 0; i < REPAIR_ROUNDS && l->state == LEG_UP; i++) {
		out = out_next(l);
		if (own_ssrc(l) == 0 ||
		    (n = front_repair_due(l->repair, l->ssrc, perc_now_ms(),
			 out, ROOM - PERC_SRTCP_ROOM)) == 0)
			break;
		rtcp_out(l, out, n);
	}
	front_leg_turn(l);
	repair_plan(l);
}

static void
repair_plan(struct front_leg *l)
{
	int64_t now = perc_now_ms();
	int64_t ms = front_repair_next(l->repair, now) - now;

	if (ms < REPAIR_MIN_MS)
		ms = REPAIR_MIN_MS;
	if (l->state != LEG_UP ||
	    (perc_timer_armed(&l->repair_timer) && l->repair_ms <= now + ms))
		return;
	l->repair_ms = now + ms;
	if (perc_timer_set(l->loop, &l->repair_timer, ms, on_repair, l) != 0)
		fatalx("no memory for a timer");
}

static void
again(const uint8_t *p, size_t n, void *arg)
{
	struct front_leg *l = arg;

	memcpy(out_next(l), p, n);
	out_done(l, n);
}

/* ---- receiving
 * ------------------------------------------------------------------ */

static void
drop(struct front_leg *l, int err)
{
	if (err == PERC_ERR_AUTH)
		l->count.auth_failed++;
	else if (err == PERC_ERR_REPLAY)
		l->count.replayed++;
	else
		l->count.dropped++;
}

static int64_t
now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void
rtp_in(struct front_leg *l, uint8_t *p, size_t n)
{
	struct perc_tail tail;
	struct perc_rtp h;
	size_t len;
	struct perc_hdrext_item x;
	int r;

	if ((r = perc_tail_find(&tail, p, n)) != 0 ||
	    (r = perc_rtp_parse(&h, p, n - tail.len)) != 0 ||
	    (r = perc_srtp_unprotect(l->rx, &h, p, n - tail.len, p, &len)) !=
		0) {
		drop(l, r);
		if (r == PERC_ERR_LIMIT) /* perc_srtp_evicting() */
			front_leg_lost(l, "one leg knows no more speakers");
		return;
	}
	l->count.received++;
	if (h.extension && perc_hdrext_find(&h, p, PERC_HDREXT_TWCC, &x) &&
	    x.len == 2)
		front_repair_number(l->repair,
		    (uint16_t)(x.data[0] << 8 | x.data[1]), now_us());
	if (front_repair_received(l->repair, &h, perc_now_ms()) ||
	    !perc_timer_armed(&l->repair_timer))
		repair_plan(l);
	front_vault_packet(l->conf->agent->vault, VAULT_MEDIA_IN, l->conf->slot,
	    p, len, p + n - tail.len, tail.len);
}

/* A BYE of SSRC 1, the distributor's own, ends the leg and not a sender
 * (docs/wire/join.md). */
static bool
is_farewell(const uint8_t *p, size_t n)
{
	size_t len;

	for (; n >= 8; p += len, n -= len) {
		len = 4 + 4 * ((size_t)p[2] << 8 | p[3]);
		if (len > n)
			return false;
		if (p[1] == RTCP_BYE && (p[0] & 31) == 1 && len >= 8 &&
		    p[4] == 0 && p[5] == 0 && p[6] == 0 && p[7] == 1)
			return true;
	}
	return false;
}

static void
rtcp_in(struct front_leg *l, uint8_t *p, size_t n)
{
	int r;

	if ((r = perc_srtcp_unprotect(l->rtcp_rx, p, &n)) != 0) {
		drop(l, r);
		return;
	}
	l->count.rtcp_received++;
	if (is_farewell(p, n)) {
		front_leg_lost(l, "the distributor asks us to join again");
		return;
	}
	front_repair_rtcp(l->repair, p, n, perc_now_ms(), again, l);
	front_leg_turn(l);
	front_vault_packet(
	    l->conf->agent->vault, VAULT_RTCP_IN, l->conf->slot, p, n, NULL, 0);
}

static void
datagram(struct front_path *path, uint8_t *p, size_t n)
{
	struct front_leg *l = path->leg;
	bool open = l->state == LEG_UP && l->conf->vault_live;

	switch (perc_pkt_kind(p, n)) {
	case PERC_PKT_STUN:
		front_path_stun(path, p, n);
		break;
	case PERC_PKT_DTLS:
		front_leg_dtls(l, p, n);
		break;
	case PERC_PKT_RTP:
		if (open)
			rtp_in(l, p, n);
		break;
	case PERC_PKT_RTCP:
		if (open)
			rtcp_in(l, p, n);
		break;
	default:
		break;
	}
}

/* No datagram is empty: that is how the far end of a relay's socket closes. */
void
front_leg_ready(int fd, uint32_t events, void *arg)
{
	struct front_path *path = arg;
	struct front_leg *l = path->leg;
	int n;

	for (unsigned i = 0; i < BATCH; i++)
		l->in_iov[i].iov_len = PERC_MTU_MAX;
	n = recvmmsg(fd, l->in_msg, BATCH, MSG_DONTWAIT, NULL);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		front_path_trouble(path, errno);
	for (int i = 0; i < n && l->state != LEG_LOST && path->fd == fd; i++)
		if (path->relay && l->in_msg[i].msg_len == 0)
			front_path_trouble(path, EPIPE);
		else if ((l->in_msg[i].msg_hdr.msg_flags & MSG_TRUNC) == 0)
			datagram(path, l->in[i], l->in_msg[i].msg_len);
}

/* ---- batches --------------------------------------------------------------
 */

void
front_leg_batches(struct front_leg *l)
{
	for (unsigned i = 0; i < BATCH; i++) {
		l->in_iov[i].iov_base = l->in[i];
		l->in_msg[i].msg_hdr.msg_iov = &l->in_iov[i];
		l->in_msg[i].msg_hdr.msg_iovlen = 1;
		l->out_iov[i].iov_base = l->out[i];
		l->out_msg[i].msg_hdr.msg_iov = &l->out_iov[i];
		l->out_msg[i].msg_hdr.msg_iovlen = 1;
	}
}

void
front_leg_turn(struct front_leg *l)
{
	if (l != NULL && l->nout > 0)
		leg_flush(l);
}
