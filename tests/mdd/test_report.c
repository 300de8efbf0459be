/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sender and receiver reports of each hop, read here byte by byte after RFC
 * 3550 section 6.4 and with none of perc/rtcp.h, against what the test itself
 * sent, lost and received.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "tests/mdd/world.h"

static uint32_t
be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 |
	    (uint32_t)p[2] << 8 | p[3];
}

static void
put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* The packet of this type in a compound; NULL: there is none. */
static const uint8_t *
part(const uint8_t *c, size_t n, uint8_t type, size_t least)
{
	size_t at, len;

	for (at = 0; at + 4 <= n; at += len) {
		len = 4 * ((size_t)(c[at + 2] << 8 | c[at + 3]) + 1);
		assert_int_equal(c[at] >> 6, 2);
		assert_true(at + len <= n);
		if (c[at + 1] == type && len >= least)
			return c + at;
	}
	return NULL;
}

/* The next compound for p that has a packet of this type, or NULL. */
static const uint8_t *
await(struct peer *p, uint8_t d[PEER_PACKET], uint8_t type, size_t least)
{
	const uint8_t *at;
	size_t n;

	while ((n = world_rtcp_in(p, d, 100)) > 0)
		if ((at = part(d, n, type, least)) != NULL)
			return at;
	return NULL;
}

static void
sr_send(struct peer *p, uint32_t ssrc, uint64_t ntp, uint32_t rtp,
    uint32_t packets, uint32_t octets)
{
	uint8_t c[28] = { 0x80, 200, 0, 6 };

	put32(c + 4, ssrc);
	put32(c + 8, (uint32_t)(ntp >> 32));
	put32(c + 12, (uint32_t)ntp);
	put32(c + 16, rtp);
	put32(c + 20, packets);
	put32(c + 24, octets);
	world_rtcp(p, c, sizeof(c));
}

struct heard {
	uint32_t packets, octets;
};

/* Whatever has come for p: counted as RFC 3550 has SR count it. */
static void
hear(struct peer *p, struct heard *h)
{
	uint8_t d[PEER_PACKET];
	const uint8_t *t;
	size_t n, tl;
	int len;

	while ((n = peer_recv(p, d, 128, 191, 5)) > 0) {
		len = peer_open_rtp(p, d, n, &t, &tl);
		assert_true(len > 12);
		h->packets++;
		h->octets += (uint32_t)len - 12; /* no CSRC, no extension */
	}
}

/* A source's SR reaches each receiver with the source's own clocks and the
 * counts of what that receiver was sent. */
static void
test_sr_tells_what_this_receiver_was_sent(void **state)
{
	struct world *x = *state;
	struct heard b = { 0 }, c = { 0 };
	uint8_t d[PEER_PACKET];
	const uint8_t *sr;
	unsigned i;
	size_t n;

	world_two(x);
	for (i = 0; i < 30; i++) {
		if (i == 20) { /* who comes later was sent less */
			hear(&x->b, &b);
			world_join(x, &x->c, "m_c", SSRC_C);
			assert_true(peer_connect(&x->c, 3000));
		}
		n = world_rtp(&x->a, d, SSRC_A, (uint16_t)(100 + i),
		    i % 2 == 0 ? "short" : "a longer one, and longer");
		peer_send(&x->a, d, n);
		world_pump(x);
	}
	hear(&x->b, &b);
	hear(&x->c, &c);
	assert_int_equal(b.packets, 30);
	assert_int_equal(c.packets, 10);
	sr_send(&x->a, SSRC_A, 0xe1e2e3e401020304ull, 0x55667788, 999, 77777);
	assert_non_null(sr = await(&x->b, d, 200, 28));
	assert_int_equal(sr[0], 0x80);
	assert_int_equal(be32(sr + 4), SSRC_A);
	assert_int_equal(be32(sr + 8), 0xe1e2e3e4);
	assert_int_equal(be32(sr + 12), 0x01020304);
	assert_int_equal(be32(sr + 16), 0x55667788);
	assert_int_equal(be32(sr + 20), b.packets);
	assert_int_equal(be32(sr + 24), b.octets);
	assert_non_null(sr = await(&x->c, d, 200, 28));
	assert_int_equal(be32(sr + 8), 0xe1e2e3e4);
	assert_int_equal(be32(sr + 20), c.packets);
	assert_int_equal(be32(sr + 24), c.octets);
}

/* Towards a sender the MDD is the receiver: RFC 3550 section 6.4.1, computed
 * here from what was left out. */
static void
test_rr_of_what_came(void **state)
{
	struct world *x = *state;
	uint8_t d[PEER_PACKET];
	const uint8_t *rr;
	unsigned i, lost = 0;
	int64_t sr_ms;
	uint32_t ms;
	size_t n;

	world_two(x);
	for (i = 0; i < 100; i++) {
		n = world_rtp(&x->a, d, SSRC_A, (uint16_t)(65500 + i), "x");
		if (i % 5 == 3 && i < 95)
			lost++;
		else
			peer_send(&x->a, d, n);
		world_pump(x);
	}
	sr_send(&x->a, SSRC_A, 0x1111222233334444ull, 5, 100, 100);
	sr_ms = perc_now_ms();
	world_wait(x, 60);
	ms = (uint32_t)(perc_now_ms() - sr_ms);
	mdd_worker_tick(&x->w, perc_now_ms());
	assert_non_null(rr = await(&x->a, d, 201, 32));
	assert_int_equal(rr[0], 0x81);
	assert_int_equal(be32(rr + 4), 1); /* the MDD's own SSRC */
	assert_int_equal(be32(rr + 8), SSRC_A);
	assert_int_equal(rr[12], lost * 256 / 100);
	assert_int_equal(be32(rr + 12) & 0xffffff, lost);
	assert_int_equal(be32(rr + 16), 65599); /* went round once */
	assert_int_equal(be32(rr + 24), 0x22223333);
	assert_in_range(be32(rr + 28), (ms - 10) * 65536u / 1000,
	    (ms + 200) * 65536u / 1000);
	mdd_worker_tick(&x->w, perc_now_ms()); /* nothing new: no report */
	assert_null(await(&x->a, d, 201, 32));
}

/* A receiver's report is for us: loss, and the round trip by the SR that it
 * answers. The sender hears nothing of it. */
static void
test_a_receivers_report_ends_here(void **state)
{
	struct world *x = *state;
	uint8_t d[PEER_PACKET], c[32] = { 0x81, 201, 0, 7 };
	struct mdd_leg *leg;
	size_t n;

	world_two(x);
	leg = world_leg(x, &x->b);
	n = world_rtp(&x->a, d, SSRC_A, 1, "x");
	peer_send(&x->a, d, n);
	sr_send(&x->a, SSRC_A, 0x1111222233334444ull, 5, 1, 1);
	world_wait(x, 100); /* the round trip, and 70 ms at B */
	put32(c + 4, SSRC_B);
	put32(c + 8, SSRC_A);
	put32(c + 12, 64u << 24);
	put32(c + 24, 0x22223333);
	put32(c + 28, 70 * 65536 / 1000);
	world_rtcp(&x->b, c, sizeof(c));
	assert_int_equal(leg->report.loss, 64);
	assert_in_range(leg->report.rtt_ms, 20, 90);
	assert_null(await(&x->a, d, 201, 32));
	leg->report.rtt_ms = 0;
	put32(c + 24, 0x22223334); /* of no SR that we sent */
	world_rtcp(&x->b, c, sizeof(c));
	assert_int_equal(leg->report.rtt_ms, 0);
}

static void
test_remb(void **state)
{
	static const uint8_t remb[] = "\x8f\xce\0\5\x22\x22\x22\x22\0\0\0\0REMB"
				      "\1\x0b\xd0\x90\x11\x11\x11\x11";
	struct world *x = *state;

	world_two(x);
	world_rtcp(&x->b, remb, sizeof(remb) - 1);
	assert_int_equal(/* exponent 2, mantissa 0x3d090 */
	    world_leg(x, &x->b)->report.remb_bps, 0x3d090ull << 2);
}

/* So many compounds of a leg are opened in a second, and no more. */
static void
test_storm_is_damped(void **state)
{
	static const uint8_t rr[] = "\x80\xc9\0\1\x22\x22\x22\x22";
	struct world *x = *state;
	uint64_t before, dropped;
	unsigned i;

	world_two(x);
	before = x->w.count[MDD_IN_RTCP];
	dropped = x->w.count[MDD_DROP_RATE];
	for (i = 0; i < 600; i++)
		world_rtcp(&x->b, rr, 8);
	assert_in_range(x->w.count[MDD_IN_RTCP] - before,
	    MDD_DAMP_COMPOUNDS / 2, 2 * MDD_DAMP_COMPOUNDS);
	assert_int_equal(x->w.count[MDD_DROP_RATE] - dropped,
	    600 - (x->w.count[MDD_IN_RTCP] - before));
	/* A keeps its own allowance. */
	before = x->w.count[MDD_IN_RTCP];
	sr_send(&x->a, SSRC_A, 1ull << 40, 5, 1, 1);
	assert_int_equal(x->w.count[MDD_IN_RTCP] - before, 1);
}

/* PLI of three receivers is one, for the source that it names. */
static void
test_pli_is_damped_and_routed(void **state)
{
	static const uint8_t pli[] = "\x81\xce\0\2\x22\x22\x22\x22"
				     "\x11\x11\x11\x11";
	static const uint8_t fir[] = "\x84\xce\0\4\x33\x33\x33\x33\0\0\0\0"
				     "\x22\x22\x22\x22\x09\0\0\0";
	struct world *x = *state;
	uint8_t d[PEER_PACKET];
	const uint8_t *p;
	unsigned i;

	world_two(x);
	world_join(x, &x->c, "m_c", SSRC_C);
	assert_true(peer_connect(&x->c, 3000));
	world_wait(x, 520); /* since it was welcomed */
	while (world_rtcp_in(&x->a, d, 10) > 0 || world_rtcp_in(&x->b, d, 10))
		;
	for (i = 0; i < 10; i++)
		world_rtcp(&x->b, pli, 12);
	assert_non_null(p = await(&x->a, d, 206, 12));
	assert_int_equal(p[0] & 31, 1);
	assert_int_equal(be32(p + 8), SSRC_A);
	assert_null(await(&x->a, d, 206, 12));
	for (i = 0; i < 10; i++)
		world_rtcp(&x->c, fir, 20);
	assert_non_null(p = await(&x->b, d, 206, 20));
	assert_int_equal(p[0] & 31, 4);
	assert_int_equal(be32(p + 12), SSRC_B);
	assert_null(await(&x->b, d, 206, 12));
	assert_null(await(&x->a, d, 206, 12));
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, world_open, world_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_sr_tells_what_this_receiver_was_sent),
		WITH(test_rr_of_what_came),
		WITH(test_a_receivers_report_ends_here),
		WITH(test_remb),
		WITH(test_storm_is_damped),
		WITH(test_pli_is_damped_and_routed),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
