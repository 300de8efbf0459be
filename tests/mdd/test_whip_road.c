/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WebRTC endpoint (docs/wire/whip.md) behind a road that becomes narrow, and
 * wide again: what it is sent falls to what the road carries, and comes back.
 * The road is a queue with a rate, reckoned from the system's stamps on what
 * came; the endpoint reports what would have come over it, and when.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "perc/hdrext.h"
#include "perc/loop.h"
#include "perc/twcc.h"
#include "tests/mdd/offer.h"

#define PICTURE	 1000 /* octets of each packet */
#define EACH_MS	 10   /* 800 kbit/s */
#define SENT_BPS (PICTURE * 8 * 1000 / EACH_MS)
#define NARROW	 250000
#define QUEUE_US 300000
#define TELL_MS	 50
#define TWCC_ID	 5

#define LINES "a=rtpmap:96 VP8/90000\r\n"
#define TWCC_LINES                                                             \
	LINES "a=rtcp-fb:96 transport-cc\r\na=extmap:5 http://www.ietf.org/"   \
	      "id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\n"

struct road {
	uint64_t bps;	 /* 0: as wide as what comes */
	int64_t free_us; /* when its queue is empty */
	struct perc_twcc_log log;
	unsigned came, lost; /* since somebody looked */
};

static void
sdp_join(struct member *m, const char *name, uint32_t ssrc, bool twcc)
{
	struct answer a;
	int on = 1;

	*m = (struct member){
		.name = name, .conference = "c_road", .ssrc = ssrc
	};
	whip_join(
	    m, "video 9 UDP/TLS/RTP/SAVPF 96", twcc ? TWCC_LINES : LINES, &a);
	assert_int_equal(
	    setsockopt(m->p.fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)),
	    0);
	assert_true(
	    twcc == (strstr(a.text, "a=rtcp-fb:96 transport-cc") != NULL));
}

static void
picture_send(struct member *m, unsigned seq)
{
	uint8_t out[PEER_PACKET],
	    in[PICTURE] = { 0x80, 96, (uint8_t)(seq >> 8), (uint8_t)seq, 0,
		    (uint8_t)(seq * 900 >> 16), (uint8_t)(seq * 900 >> 8),
		    (uint8_t)(seq * 900) };
	struct perc_rtp h;
	size_t n;

	in[8] = (uint8_t)(m->ssrc >> 24);
	in[9] = (uint8_t)(m->ssrc >> 16);
	in[10] = (uint8_t)(m->ssrc >> 8);
	in[11] = (uint8_t)m->ssrc;
	assert_int_equal(perc_rtp_parse(&h, in, sizeof(in)), 0);
	assert_int_equal(
	    perc_srtp_protect(m->p.tx, &h, in, sizeof(in), out, &n), 0);
	peer_send(&m->p, out, n);
}

/* A packet came to the road's beginning; its end reports it. */
static void
road_pass(struct road *r, const uint8_t *d, size_t n, int64_t us)
{
	struct perc_hdrext_item x;
	struct perc_rtp h;

	if (n < 12 || d[0] >> 6 != 2 || (d[1] >= 192 && d[1] <= 223))
		return;
	assert_int_equal(perc_rtp_parse(&h, d, n), 0);
	assert_true(perc_hdrext_find(&h, d, TWCC_ID, &x) && x.len == 2);
	if (r->free_us < us)
		r->free_us = us;
	if (r->bps != 0 && r->free_us - us > QUEUE_US) {
		r->lost++;
		return;
	}
	if (r->bps != 0)
		r->free_us += (int64_t)(n * 8 * 1000000 / r->bps);
	r->came++;
	perc_twcc_seen(
	    &r->log, (uint16_t)(x.data[0] << 8 | x.data[1]), r->free_us);
}

static void
road_read(struct road *r, struct member *m)
{
	uint8_t d[PEER_PACKET];
	struct iovec v = { d, sizeof(d) };
	union {
		struct cmsghdr align;
		char space[128];
	} control;
	struct msghdr h;
	struct timespec ts;
	ssize_t n;

	for (;;) {
		h = (struct msghdr){ .msg_iov = &v,
			.msg_iovlen = 1,
			.msg_control = control.space,
			.msg_controllen = sizeof(control.space) };
		if ((n = recvmsg(m->p.fd, &h, MSG_DONTWAIT)) <= 0)
			return;
		assert_non_null(CMSG_FIRSTHDR(&h));
		memcpy(&ts, CMSG_DATA(CMSG_FIRSTHDR(&h)), sizeof(ts));
		road_pass(r, d, (size_t)n,
		    (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
	}
}

static void
road_tell(struct road *r, struct member *m, uint32_t media)
{
	uint8_t c[1500] = { 0x80, 201, 0, 1, (uint8_t)(m->ssrc >> 24),
		(uint8_t)(m->ssrc >> 16), (uint8_t)(m->ssrc >> 8),
		(uint8_t)m->ssrc };
	struct perc_wire w;
	size_t n;

	perc_wire_writer(&w, c + 8, sizeof(c) - 64 - 8);
	if (!perc_twcc_put(&r->log, &w, m->ssrc, media))
		return;
	n = 8 + w.pos;
	assert_int_equal(perc_srtcp_protect(m->p.tx_rtcp, c, &n), 0);
	peer_send(&m->p, c, n);
}

/* Kbit/s that B's leg is said to carry. */
static uint64_t
estimate(const struct member *m)
{
	char label[96];

	(void)snprintf(label, sizeof(label), "member=\"%s\"", m->name);
	return metric("perch_mdd_leg_estimate_kbps", label);
}

static unsigned seq;
static struct road road;

/* A sends for a second: the part of it, in %, that came to B's road. */
static unsigned
flows(struct member *a, struct member *b)
{
	int64_t t0 = perc_now_ms(), now = t0, told = t0, next = t0;
	unsigned sent = 0, before = road.came + road.lost;

	while ((now = perc_now_ms()) < t0 + 1000) {
		for (; next <= now; next += EACH_MS, sent++)
			picture_send(a, seq++);
		road_read(&road, b);
		if (now - told >= TELL_MS) {
			road_tell(&road, b, a->ssrc);
			told = now;
		}
		(void)usleep(2000);
	}
	return (road.came + road.lost - before) * 100 / sent;
}

/* Consent (RFC 7675). */
static void
keep(struct member *m)
{
	assert_true(peer_stun(&m->p, m->p.pwd, true));
}

/* Until that holds for a second; how many seconds it took. */
static unsigned
until(struct member *a, struct member *b, bool full, unsigned most)
{
	unsigned s, part = 0;
	uint64_t kbps = 0;

	for (s = 1; s <= most; s++) {
		if (s % 8 == 7) {
			keep(a);
			keep(b);
		}
		part = flows(a, b);
		kbps = estimate(b);
		if (full ? part >= 95 : part <= 60 && kbps * 2000 <= SENT_BPS)
			return s;
	}
	fail_msg("after %u s %u %% come, %llu kbit/s are thought possible",
	    most, part, (unsigned long long)kbps);
	return 0;
}

static void
test_narrow_and_wide_again(void **state)
{
	struct member a, b;
	unsigned down, up;

	sdp_join(&a, "m_a", SSRC_A, false);
	sdp_join(&b, "m_b", SSRC_B, true);
	(void)until(&a, &b, true, 10);
	road.bps = NARROW;
	down = until(&a, &b, false, 30);
	road.bps = 0;
	up = until(&a, &b, true, 60);
	print_message("narrow: %u s until less is sent, wide again: %u s "
		      "until all is\n",
	    down, up);
	member_end(&a);
	member_end(&b);
}

static int
open_whip(void **state)
{
	stage_more = "whip = yes\nmetrics_legs = 10\n";
	return stage_open(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_narrow_and_wide_again),
	};

	return cmocka_run_group_tests_name(
	    "whip_road", tests, open_whip, stage_close);
}
