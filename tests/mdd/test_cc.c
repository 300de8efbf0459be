/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Congestion control of a leg in a worker: numbers across its streams, the
 * estimate after what a narrow road would say, who gets no numbers, and our
 * own feedback to a sender that numbers its packets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/mdd/world.h"

/* As world_two, but b's endpoint (or a's) answers transport-wide numbers. */
static void
two(struct world *x, bool a, bool b)
{
	uint8_t d[PEER_PACKET];

	world_join(x, &x->a, "m_a", SSRC_A)->twcc = a;
	world_join(x, &x->b, "m_b", SSRC_B)->twcc = b;
	assert_true(peer_connect(&x->a, 3000));
	assert_true(peer_connect(&x->b, 3000));
	while (world_rtcp_in(&x->a, d, 20) > 0)
		;
}

/* The number of an opened packet, read by hand: one-byte form, id 3; -1. */
static int
number_of(const uint8_t *p)
{
	if ((p[0] & 0x10) == 0)
		return -1;
	assert_memory_equal(p + 12, "\xbe\xde", 2);
	assert_int_equal(p[16], 0x31); /* id 3, two octets */
	return p[17] << 8 | p[18];
}

static size_t
next(struct peer *p, uint8_t d[PEER_PACKET], int *number)
{
	const uint8_t *t;
	size_t n, tl;

	if ((n = peer_recv(p, d, 128, 191, 300)) == 0)
		return 0;
	assert_true(peer_open_rtp(p, d, n, &t, &tl) > 0);
	*number = number_of(d);
	return n;
}

static void
send_one(struct world *x, struct peer *p, uint32_t ssrc, uint16_t seq)
{
	uint8_t d[PEER_PACKET];
	size_t n = world_rtp(p, d, ssrc, seq, "media");

	peer_send(p, d, n);
	world_pump(x);
}

/* One row of numbers for all streams of a leg; none for who did not ask. */
static void
test_numbers(void **state)
{
	struct world *x = *state;
	uint8_t d[PEER_PACKET];
	unsigned i;
	int number;

	two(x, false, true);
	world_join(x, &x->c, "m_c", SSRC_C);
	assert_true(peer_connect(&x->c, 3000));
	for (i = 0; i < 5; i++) {
		send_one(x, &x->a, SSRC_A, (uint16_t)(10 + i));
		send_one(x, &x->c, SSRC_C, (uint16_t)(500 + i));
	}
	for (i = 0; i < 10; i++) {
		assert_true(next(&x->b, d, &number) > 0);
		assert_int_equal(number, i);
		assert_memory_equal(d + 20, "media", 5);
	}
	for (i = 0; i < 5; i++) {
		assert_true(next(&x->a, d, &number) > 0);
		assert_int_equal(number, -1);
	}
}

/* What goes again is the same packet: its number too. */
static void
test_again_has_its_number(void **state)
{
	struct world *x = *state;
	uint8_t got[4][PEER_PACKET], d[PEER_PACKET];
	size_t len[4];
	unsigned i;

	two(x, false, true);
	for (i = 0; i < 4; i++) {
		send_one(x, &x->a, SSRC_A, (uint16_t)(10 + i));
		len[i] = peer_recv(&x->b, got[i], 128, 191, 300);
		assert_true(len[i] > 0);
	}
	world_nack(&x->b, SSRC_B, SSRC_A, 11, 0);
	assert_int_equal(peer_recv(&x->b, d, 128, 191, 300), len[1]);
	assert_memory_equal(d, got[1], len[1]);
}

/* 400 packets, and what B's endpoint would say of them on a road that delays
 * the i-th by i^2 times so many microseconds: it carries no more than
 * arrives, or with 0 whatever comes. What this machine did meanwhile is left
 * out. */
static void
road_tell(struct world *x, uint16_t first, int64_t us)
{
	static struct perc_twcc_log log;
	struct mdd_cc *cc = world_leg(x, &x->b)->cc;
	uint8_t d[PEER_PACKET], c[1500];
	struct perc_wire w;
	unsigned i;
	int number;

	memset(&log, 0, sizeof(log));
	for (i = 0; i < 400; i++) {
		send_one(x, &x->a, SSRC_A, (uint16_t)(first + i));
		world_wait(x, 2);
		if (next(&x->b, d, &number) > 0)
			perc_twcc_seen(&log, (uint16_t)number,
			    cc->sent[number % MDD_CC_SENT].at_us +
				(int64_t)i * i * us);
		if (i % 20 != 19)
			continue;
		perc_wire_writer(&w, c, sizeof(c));
		while (perc_twcc_put(&log, &w, SSRC_B, SSRC_A))
			;
		world_rtcp(&x->b, c, w.pos);
	}
}

/* The estimate falls, and the choice among layers is told. */
static void
test_estimate_follows_the_road(void **state)
{
	struct world *x = *state;
	struct mdd_leg *leg;
	uint64_t before;

	two(x, false, true);
	leg = world_leg(x, &x->b);
	before = leg->bwe.bps;
	road_tell(x, 0, 250);
	assert_true(leg->bwe.bps < before / 2);
	/* mdd_select_rate, which passes over small changes */
	assert_in_range(leg->bps, leg->bwe.bps * 3 / 4, leg->bwe.bps * 4 / 3);
}

/* Feedback for a sender that numbers: what came and what did not. */
static void
test_our_feedback(void **state)
{
	struct world *x = *state;
	struct perc_twcc_item item[PERC_TWCC_MAX];
	uint8_t in[PEER_PACKET], d[PEER_PACKET];
	struct perc_rtcp k;
	struct perc_rtp h;
	unsigned i, told = 0;
	size_t n, at;
	int got;

	two(x, true, false);
	for (i = 0; i < 20; i++) {
		memset(in, 0xee, sizeof(in));
		memcpy(in, "\x90\x6f\0\0\0\0\3\xc0\x11\x11\x11\x11", 12);
		in[3] = (uint8_t)i;
		memcpy(in + 12, "\xbe\xde\0\1\x31\1\0\0", 8);
		in[18] = (uint8_t)i;
		in[60] = 0; /* OHB */
		assert_int_equal(perc_rtp_parse(&h, in, 61), 0);
		assert_int_equal(
		    perc_srtp_protect(x->a.tx, &h, in, 61, d, &n), 0);
		d[n] = 0;
		if (i != 7)
			peer_send(&x->a, d, n + 1);
		world_wait(x, 3);
	}
	world_wait(x, 80);
	while ((n = world_rtcp_in(&x->a, d, 60)) > 0)
		for (at = 0; perc_rtcp_next(&k, d + at, n - at); at += k.n) {
			if (k.type != PERC_RTCP_RTPFB ||
			    k.count != PERC_RTCP_TWCC)
				continue;
			got = perc_twcc_get(&k, item);
			assert_true(got > 0);
			for (i = 0; i < (unsigned)got; i++, told++) {
				assert_int_equal(item[i].tseq, 256 + told);
				assert_int_equal(item[i].came, told != 7);
			}
		}
	assert_int_equal(told, 20);
	/* The number was this hop's: B sees none of it. */
	n = peer_recv(&x->b, d, 128, 191, 300);
	assert_true(n > 0);
	assert_int_equal(d[0] & 0x10, 0);
}

/* A frame of 60 packets at once: it leaves over a while, whole and in order,
 * and sound passes it. */
static void
test_paced(void **state)
{
	static char body[1100];
	struct world *x = *state;
	uint8_t d[PEER_PACKET];
	struct mdd_leg *leg;
	unsigned i, n = 0, sound = 0;
	const uint8_t *t;
	size_t m, tl;
	int len;

	two(x, false, true);
	world_join(x, &x->c, "m_c", SSRC_C);
	assert_true(peer_connect(&x->c, 3000));
	leg = world_leg(x, &x->b);
	mdd_pace_rate(&leg->cc->pace, 1000000);
	memset(body, 'v', sizeof(body) - 1);
	for (i = 0; i < 60; i++) {
		m = world_rtp(&x->a, d, SSRC_A, (uint16_t)i, body);
		peer_send(&x->a, d, m);
		if (i % 8 == 7)
			world_pump(x);
	}
	m = world_rtp(&x->c, d, SSRC_C, 1, "sound");
	peer_send(&x->c, d, m);
	world_pump(x);
	assert_in_range(leg->cc->pace.n, 30, 58);
	while ((m = peer_recv(&x->b, d, 128, 191, 100)) > 0) {
		len = peer_open_rtp(&x->b, d, m, &t, &tl);
		assert_true(len > 0);
		if (d[8] == 0x33)
			sound = n;
		else
			assert_int_equal(d[2] << 8 | d[3], n++);
	}
	assert_int_equal(n, 60);
	assert_in_range(sound, 1, 30);
	assert_true(x->w.count[MDD_PACE_WAITED] >= 30);
	assert_int_equal(x->w.count[MDD_PACE_DROPPED], 0);
}

/* A frame of 40 packets, all at once. */
static void
frame_send(struct world *x, uint16_t first)
{
	static char body[1100];
	uint8_t d[PEER_PACKET];
	uint16_t i;

	memset(body, 'v', sizeof(body) - 1);
	for (i = 0; i < 40; i++) {
		peer_send(&x->a, d,
		    world_rtp(&x->a, d, SSRC_A, (uint16_t)(first + i), body));
		if (i % 8 == 7)
			world_pump(x);
	}
}

/* An estimate that nothing has proven holds nobody back: what was said so far
 * is what was sent, not what the road carries. Then it is found narrow. */
static void
test_wide_road_waits_for_nothing(void **state)
{
	struct world *x = *state;
	uint8_t d[PEER_PACKET];
	struct mdd_leg *leg;
	unsigned n = 0;

	two(x, false, true);
	leg = world_leg(x, &x->b);
	assert_int_equal(leg->cc->pace.bps, 0);
	road_tell(x, 0, 0);
	assert_false(leg->bwe.slow);
	frame_send(x, 400);
	assert_int_equal(leg->cc->pace.n, 0);
	assert_int_equal(x->w.count[MDD_PACE_WAITED], 0);
	while (peer_recv(&x->b, d, 128, 191, 50) > 0)
		n++;
	assert_int_equal(n, 40);
	road_tell(x, 440, 250);
	assert_true(leg->bwe.slow);
	assert_int_equal(leg->cc->pace.bps, leg->bwe.bps);
	frame_send(x, 840);
	assert_true(leg->cc->pace.n > 0);
	assert_true(x->w.count[MDD_PACE_WAITED] > 0);
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, world_open, world_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_numbers),
		WITH(test_again_has_its_number),
		WITH(test_estimate_follows_the_road),
		WITH(test_our_feedback),
		WITH(test_paced),
		WITH(test_wide_road_waits_for_nothing),
	};

	return cmocka_run_group_tests_name("cc", tests, NULL, NULL);
}
