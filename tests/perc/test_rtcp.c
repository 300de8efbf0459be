/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RTCP's shapes against bytes written by hand, the list of what is missing
 * against lossy walks, and receiver statistics against RFC 3550 appendix A,
 * computed here in another way.
 */
#include "tests/perc/unit.h"

#include "perc/gaps.h"
#include "perc/reception.h"
#include "perc/rtcp.h"

static uint32_t seed = 7;

static uint32_t
rnd(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

/* ---- shapes ----------------------------------------------------------------
 */

static void
test_compound(void **state)
{
	static const uint8_t c[] = "\x80\xc9\0\1\0\0\0\1"
				   "\x81\xcd\0\3\0\0\0\1\0\0\0\2\0\5\0\1";
	struct perc_rtcp k;
	size_t i;

	assert_true(perc_rtcp_next(&k, c, 24));
	assert_int_equal(k.type, PERC_RTCP_RR);
	assert_int_equal(k.n, 8);
	assert_true(perc_rtcp_next(&k, c + 8, 16));
	assert_int_equal(k.count, PERC_RTCP_NACK);
	assert_int_equal(k.ssrc, 1);
	for (i = 0; i < 16; i++) /* shorter than it says */
		assert_false(perc_rtcp_next(&k, c + 8, i));
	assert_false(perc_rtcp_next(&k, (const uint8_t *)"\x40\xc9\0\0", 4));
	assert_true(perc_rtcp_next(&k, (const uint8_t *)"\x80\xcb\0\0", 4));
	assert_int_equal(k.ssrc, 0);
}

static void
test_nack_bytes(void **state)
{
	static const uint16_t seq[] = { 65530, 65531, 10, 11, 27, 40 };
	static const uint8_t want[] = "\x81\xcd\0\5\0\0\0\1\xaa\xbb\xcc\xdd"
				      "\xff\xfa\x80\x01" /* +1, +16 = 10 */
				      "\0\x0b\x80\0"	 /* 11, 27 */
				      "\0\x28\0\0";
	uint8_t out[64];
	struct perc_wire w;

	perc_wire_writer(&w, out, sizeof(out));
	perc_rtcp_nack_put(&w, 1, 0xaabbccdd, seq, 6);
	assert_int_equal(w.err, 0);
	assert_int_equal(w.pos, sizeof(want) - 1);
	assert_memory_equal(out, want, sizeof(want) - 1);
	perc_wire_writer(&w, out, 20); /* one word too few */
	perc_rtcp_nack_put(&w, 1, 0xaabbccdd, seq, 6);
	assert_int_not_equal(w.err, 0);
}

static void
test_blocks(void **state)
{
	struct perc_rtcp_block b = { .ssrc = 5,
		.fraction = 64,
		.lost = -3,
		.top = 0x10002,
		.jitter = 9,
		.lsr = 0x11223344,
		.dlsr = 0x55667788 },
			       c;
	uint8_t out[64], again[PERC_RTCP_BLOCK_LEN];
	struct perc_wire w;
	struct perc_rtcp k;
	const uint8_t *p;
	unsigned n = 9;
	size_t at;

	perc_wire_writer(&w, out, sizeof(out));
	at = perc_rtcp_open(&w, 1, PERC_RTCP_RR);
	perc_wire_put_u32(&w, 1);
	perc_rtcp_block_put(&w, &b);
	perc_rtcp_close(&w, at);
	assert_int_equal(w.pos, 32);
	assert_memory_equal(
	    out, "\x81\xc9\0\7\0\0\0\1\0\0\0\5\x40\xff\xff\xfd", 16);
	assert_true(perc_rtcp_next(&k, out, w.pos));
	assert_non_null(p = perc_rtcp_blocks(&k, &n));
	assert_int_equal(n, 1);
	perc_wire_reader(&w, p, PERC_RTCP_BLOCK_LEN);
	perc_rtcp_block_get(&c, &w);
	perc_wire_writer(&w, again, sizeof(again));
	perc_rtcp_block_put(&w, &c); /* structures have padding between */
	assert_memory_equal(again, out + 8, sizeof(again));
	out[0] = 0x82; /* says two, has one */
	assert_true(perc_rtcp_next(&k, out, 32));
	assert_null(perc_rtcp_blocks(&k, &n));
}

static void
test_sr(void **state)
{
	static const uint8_t raw[] = "\x80\xc8\0\6\0\0\0\7"
				     "\1\2\3\4\5\6\7\x08\x11\x12\x13\x14"
				     "\x21\x22\x23\x24\x31\x32\x33\x34";
	struct perc_rtcp_sr s;
	struct perc_rtcp k;
	uint8_t out[32];
	struct perc_wire w;

	assert_true(perc_rtcp_next(&k, raw, 28));
	assert_true(perc_rtcp_sr_get(&s, &k));
	assert_true(s.ntp == 0x0102030405060708ull && s.rtp == 0x11121314);
	perc_wire_writer(&w, out, sizeof(out));
	perc_rtcp_sr_put(&w, 7, &s);
	assert_int_equal(w.pos, 28);
	assert_memory_equal(out, raw, 28);
	k.n = 24;
	assert_false(perc_rtcp_sr_get(&s, &k));
}

/* ---- gaps ------------------------------------------------------------------
 */

static void
test_gaps_order_asks_nothing(void **state)
{
	struct perc_gaps g = { 0 };
	uint16_t seq[8];
	unsigned i;

	for (i = 0; i < 70000; i++)
		perc_gaps_packet(&g, (uint16_t)(65000 + i), i);
	assert_int_equal(perc_gaps_due(&g, 70000, 10, seq, 8), 0);
	assert_true(perc_gaps_next(&g) == INT64_MAX);
	assert_int_equal(g.missed, 0);
}

static void
test_gaps_are_asked_and_mended(void **state)
{
	struct perc_gaps g = { 0 };
	uint16_t seq[8];

	perc_gaps_packet(&g, 65534, 0);
	perc_gaps_packet(&g, 1, 0); /* 65535 and 0 are missing */
	assert_int_equal(perc_gaps_due(&g, 0, 50, seq, 8), 0); /* maybe late */
	assert_int_equal(perc_gaps_due(&g, PERC_GAPS_WAIT, 50, seq, 8), 2);
	assert_int_equal(seq[0], 65535);
	assert_int_equal(seq[1], 0);
	assert_int_equal(perc_gaps_due(&g, 80, 50, seq, 8), 0);
	perc_gaps_packet(&g, 0, 80);
	assert_int_equal(perc_gaps_due(&g, 90, 50, seq, 8), 1);
	assert_int_equal(seq[0], 65535);
	perc_gaps_packet(&g, 65535, 91);
	perc_gaps_packet(&g, 65535, 92); /* twice: nothing happens */
	assert_int_equal(g.n, 0);
	assert_int_equal(g.mended, 2);
}

/* Each is asked for a bounded number of times, whatever happens. */
static void
test_gaps_give_up(void **state)
{
	struct perc_gaps g = { 0 };
	unsigned asked = 0;
	uint16_t seq[8];
	int64_t t;

	perc_gaps_packet(&g, 10, 0);
	perc_gaps_packet(&g, 12, 0);
	for (t = 0; t < 5000; t++)
		asked += perc_gaps_due(&g, t, 30, seq, 8);
	assert_int_equal(asked, PERC_GAPS_TRIES);
	assert_int_equal(g.n, 0);
	assert_int_equal(g.given_up, 1);
	perc_gaps_packet(&g, 5000, 0); /* a jump is nothing to ask for */
	assert_int_equal(g.n, 0);
	perc_gaps_packet(&g, 4, 0); /* nor one backwards */
	assert_int_equal(g.n, 0);
}

static void
test_gaps_want(void **state)
{
	struct perc_gaps g = { 0 };
	uint16_t seq[8];

	assert_true(perc_gaps_want(&g, 100, 0)); /* nothing came at all */
	assert_int_equal(perc_gaps_due(&g, 0, 50, seq, 8), 1);
	memset(&g, 0, sizeof(g));
	perc_gaps_packet(&g, 10, 0);
	perc_gaps_packet(&g, 12, 0);
	assert_true(perc_gaps_want(&g, 11, 1)); /* due at once */
	assert_int_equal(perc_gaps_due(&g, 1, 50, seq, 8), 1);
	assert_true(perc_gaps_want(&g, 11, 2)); /* damped */
	assert_int_equal(perc_gaps_due(&g, 2, 50, seq, 8), 0);
	assert_false(perc_gaps_want(&g, 10, 2)); /* that came */
	assert_false(perc_gaps_want(&g, 13, 2)); /* that is not yet */
}

/* A link that loses a tenth, and a tenth of what is sent again. */
static void
test_gaps_lossy_link(void **state)
{
	static uint8_t have[4000];
	struct perc_gaps g = { 0 };
	uint16_t seq[64], late[64];
	unsigned i, j, n, nlate = 0, got = 0;

	for (i = 0; i < sizeof(have); i++) {
		if (i == 0 || rnd() % 10 != 0) {
			perc_gaps_packet(&g, (uint16_t)i, i * 5);
			have[i] = 1;
		}
		for (j = 0; j < nlate; j++) /* asked for 5 ms ago */
			if (rnd() % 10 != 0) {
				perc_gaps_packet(&g, late[j], i * 5);
				have[late[j]] = 1;
			}
		n = perc_gaps_due(&g, i * 5, 5, seq, 64);
		memcpy(late, seq, n * sizeof(seq[0]));
		nlate = n;
	}
	for (i = 0; i < sizeof(have) - 40; i++)
		got += have[i];
	assert_in_range(got, sizeof(have) - 42, sizeof(have) - 40);
}

/* ---- reception -------------------------------------------------------------
 */

static void
test_reception_loss(void **state)
{
	struct perc_reception r = { 0 };
	struct perc_rtcp_block b;
	struct perc_rtp h = { .seq = 65530 };
	unsigned i;

	assert_false(perc_reception_block(&r, 5, 0, &b));
	for (i = 0; i < 20; i++, h.seq++)
		if (i % 4 != 3) /* a quarter is lost, the last too */
			perc_reception_packet(&r, &h, i);
	assert_true(perc_reception_block(&r, 5, 100, &b));
	assert_int_equal(b.ssrc, 5);
	assert_int_equal(b.top, 65530 + 18); /* once round */
	assert_int_equal(b.lost, 19 - 15);
	assert_int_equal(b.fraction, 4 * 256 / 19);
	assert_int_equal(b.lsr, 0);
	assert_false(perc_reception_block(&r, 5, 0, &b)); /* nothing new */
	for (i = 0; i < 10; i++, h.seq++)
		perc_reception_packet(&r, &h, 100 + i);
	h.seq--;
	perc_reception_packet(&r, &h, 111); /* twice: one lost less */
	assert_true(perc_reception_block(&r, 5, 200, &b));
	assert_int_equal(b.lost, 4);
	assert_int_equal(b.fraction, 0); /* 11 expected, 11 came */
}

/* Jitter by appendix A.8, in doubles; the clock from two sender reports. */
static void
test_reception_jitter_and_sr(void **state)
{
	struct perc_reception r = { 0 };
	struct perc_rtcp_sr sr = { .ntp = (uint64_t)1000 << 32, .rtp = 500 };
	struct perc_rtcp_block b;
	struct perc_rtp h = { 0 };
	double j = 0, d, before = 0;
	int64_t at;
	unsigned i;

	perc_reception_sr(&r, &sr, 10);
	assert_int_equal(r.rate, 0);
	sr.ntp += (uint64_t)2 << 32;
	sr.rtp += 2 * 48000 + 7;
	perc_reception_sr(&r, &sr, 2010);
	assert_int_equal(r.rate, 48000);
	for (i = 0; i < 500; i++, h.seq++, h.ts += 960) {
		at = 3000 + i * 20 + rnd() % 9;
		perc_reception_packet(&r, &h, at);
		d = (double)at * 48 - (double)h.ts;
		if (i > 0)
			j += ((d > before ? d - before : before - d) - j) / 16;
		before = d;
	}
	assert_true(perc_reception_block(&r, 5, 13010, &b));
	assert_in_range(b.jitter, (uint32_t)(j * 0.97), (uint32_t)(j * 1.03));
	assert_int_equal(b.lsr, (1002u << 16) & 0xffffffff);
	assert_int_equal(b.dlsr, 11 * 65536);
	assert_int_equal(perc_rtcp_to_ms(b.dlsr), 11000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compound),
		cmocka_unit_test(test_nack_bytes),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_sr),
		cmocka_unit_test(test_gaps_order_asks_nothing),
		cmocka_unit_test(test_gaps_are_asked_and_mended),
		cmocka_unit_test(test_gaps_give_up),
		cmocka_unit_test(test_gaps_want),
		cmocka_unit_test(test_gaps_lossy_link),
		cmocka_unit_test(test_reception_loss),
		cmocka_unit_test(test_reception_jitter_and_sr),
	};

	return cmocka_run_group_tests_name("rtcp", tests, NULL, NULL);
}
