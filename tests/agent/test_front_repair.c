/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repair of a hop, with the clock in the test's hand: what is asked for, how
 * often, and that what goes again is what went.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/frontrepair.h"

#define THEIRS 0xaaaa0001u
#define OURS   0xbbbb0001u

static uint32_t seed = 11;

static uint32_t
rnd(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

static void
comes(struct front_repair *r, uint32_t ssrc, uint16_t seq, int64_t now)
{
	struct perc_rtp h = { .ssrc = ssrc, .seq = seq, .ts = seq * 960u };

	(void)front_repair_received(r, &h, now);
}

static size_t
nack(uint8_t *out, uint32_t media, const uint16_t *seq, unsigned n)
{
	struct perc_wire w;

	perc_wire_writer(&w, out, 200);
	perc_rtcp_nack_put(&w, 1, media, seq, n);
	return w.pos;
}

static void
test_asks_quickly_and_not_for_ever(void **state)
{
	struct front_repair *r = front_repair_new();
	uint8_t out[1500];
	unsigned asks = 0;
	int64_t t, first = 0;
	size_t n;

	assert_non_null(r);
	comes(r, THEIRS, 100, 1000);
	comes(r, THEIRS, 103, 1000);
	for (t = 1000; t < 1990; t++) /* before the first report */
		while ((n = front_repair_due(r, OURS, t, out, 1500)) > 0) {
			assert_int_equal(n, 24);
			assert_memory_equal(out,
			    "\x80\xc9\0\1\xbb\xbb\0\1\x81\xcd\0\3\xbb\xbb\0\1"
			    "\xaa\xaa\0\1\0\x65\0\1",
			    24);
			first = first == 0 ? t : first;
			asks++;
		}
	assert_in_range(first, 1001, 1020);
	assert_in_range(asks, 2, 4);
	front_repair_free(r);
}

static void
test_report_is_of_this_hop(void **state)
{
	struct front_repair *r = front_repair_new();
	struct perc_rtcp_block b;
	struct perc_rtcp k;
	uint8_t out[1500];
	struct perc_wire w;
	const uint8_t *p;
	unsigned i, n = 0;
	size_t len = 0;

	for (i = 0; i < 100; i++)
		if (i % 10 != 5) {
			comes(r, THEIRS, (uint16_t)(65500 + i), 1000 + i * 10);
			comes(r, THEIRS + 1, (uint16_t)i, 1000 + i * 10);
		}
	for (i = 0; i < 1200 && n == 0; i++) {
		len = front_repair_due(r, OURS, 2000 + i, out, sizeof(out));
		if (len > 0 && perc_rtcp_next(&k, out, len) &&
		    perc_rtcp_blocks(&k, &n) == NULL)
			n = 0;
	}
	assert_int_equal(n, 2);
	assert_int_equal(k.ssrc, OURS);
	assert_non_null(p = perc_rtcp_blocks(&k, &n));
	perc_wire_reader(&w, p, PERC_RTCP_BLOCK_LEN);
	perc_rtcp_block_get(&b, &w);
	assert_int_equal(b.ssrc, THEIRS);
	assert_int_equal(b.lost, 10);
	assert_int_equal(b.fraction, 25);
	assert_int_equal(b.top, 65599);
	front_repair_free(r);
}

static struct {
	uint8_t p[1600];
	size_t n;
	unsigned calls;
} again;

static void
on_again(const uint8_t *p, size_t n, void *arg)
{
	memcpy(again.p, p, n);
	again.n = n;
	again.calls++;
}

static void
test_goes_again_as_it_went(void **state)
{
	struct front_repair *r = front_repair_new();
	static const uint16_t want[] = { 3, 7 }, old[] = { 1 };
	struct perc_rtp h = { .ssrc = OURS };
	uint8_t p[1300], ask[200];
	unsigned i;
	size_t n;

	for (i = 0; i < 20; i++) {
		h.seq = (uint16_t)i;
		memset(p, (int)i, sizeof(p));
		front_repair_sent(r, &h, p, 1000 + i, 5000 + i * 20);
	}
	memset(&again, 0, sizeof(again));
	n = nack(ask, OURS, want, 2);
	front_repair_rtcp(r, ask, n, 5400, on_again, NULL);
	assert_int_equal(again.calls, 2);
	assert_int_equal(again.n, 1007);
	memset(p, 7, sizeof(p));
	assert_memory_equal(again.p, p, 1007);
	for (i = 0; i < 50; i++)
		front_repair_rtcp(r, ask, n, 5401 + i, on_again, NULL);
	assert_int_equal(again.calls, 2 * REPAIR_TRIES);
	n = nack(ask, OURS, old, 1); /* too old by now */
	front_repair_rtcp(r, ask, n, 5020 + REPAIR_AGE_MS + 1, on_again, NULL);
	n = nack(ask, THEIRS, want, 2); /* not ours */
	front_repair_rtcp(r, ask, n, 5500, on_again, NULL);
	assert_int_equal(again.calls, 2 * REPAIR_TRIES);
	front_repair_free(r);
}

/* What an application asks for is asked for once, by us; all else it says
 * goes on. */
static void
test_the_application_asks_through_us(void **state)
{
	static const uint8_t rr[] = "\x80\xc9\0\1\xbb\xbb\0\1";
	static const uint8_t pli[] = "\x81\xce\0\2\xbb\xbb\0\1\xaa\xaa\0\1";
	static const uint16_t seq[] = { 101, 110 };
	struct front_repair *r = front_repair_new();
	uint8_t c[200], out[1500];
	struct perc_wire w;
	size_t n;

	comes(r, THEIRS, 100, 1000);
	comes(r, THEIRS, 102, 1000);
	perc_wire_writer(&w, c, sizeof(c));
	perc_wire_put_bytes(&w, rr, 8);
	perc_rtcp_nack_put(&w, OURS, THEIRS, seq, 2);
	perc_wire_put_bytes(&w, pli, 12);
	n = front_repair_app(r, c, w.pos, 1001);
	assert_int_equal(n, 20);
	assert_memory_equal(c, rr, 8);
	assert_memory_equal(c + 8, pli, 12);
	n = front_repair_due(r, OURS, 1001, out, sizeof(out)); /* at once */
	assert_int_equal(n, 24);
	assert_memory_equal(out + 20, "\0\x65\0\0", 4);
	assert_int_equal(front_repair_due(r, OURS, 1002, out, 1500), 0);
	n = front_repair_app(r, c, 20, 1003);
	assert_int_equal(n, 20);
	front_repair_free(r);
}

/* What `perch watch` shows: of every stream what never came; what came late
 * or again did. */
static void
test_losses_are_counted(void **state)
{
	static const uint16_t came[] = { 65534, 65535, 1, 4, 2 };
	struct front_repair *r = front_repair_new();
	struct front_repair_count c;

	front_repair_count(r, &c);
	assert_int_equal(c.lost, 0);
	for (size_t i = 0; i < sizeof(came) / sizeof(came[0]); i++)
		comes(r, 7, came[i], 1000);
	comes(r, 8, 100, 1000);
	comes(r, 8, 102, 1000);
	front_repair_count(r, &c);
	assert_int_equal(c.lost, 3); /* 0 and 3, 101 */
	comes(r, 8, 101, 1100);
	front_repair_count(r, &c);
	assert_int_equal(c.lost, 2);
	front_repair_free(r);
}

/* Streams and lengths without end: memory stays what it is. */
static void
test_strange_input_is_bounded(void **state)
{
	struct front_repair *r = front_repair_new();
	struct front_repair_count c;
	uint8_t p[64], out[1500];
	unsigned i, j;
	size_t n;

	for (i = 0; i < 5000; i++)
		comes(r, rnd(), (uint16_t)rnd(), 1000);
	for (i = 0; i < 20000; i++) {
		n = rnd() % sizeof(p);
		for (j = 0; j < n; j++)
			p[j] = (uint8_t)rnd();
		p[0] = (uint8_t)(0x80 | rnd() % 32);
		p[1] = (uint8_t)(200 + rnd() % 8);
		p[2] = 0;
		p[3] = (uint8_t)(rnd() % 16);
		front_repair_rtcp(r, p, n, 1000 + i, on_again, NULL);
		assert_true(front_repair_app(r, p, n, 1000 + i) <= n);
		n = front_repair_due(r, OURS, 1000 + i, out, 600);
		assert_true(n <= 600);
	}
	front_repair_count(r, &c);
	front_repair_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asks_quickly_and_not_for_ever),
		cmocka_unit_test(test_report_is_of_this_hop),
		cmocka_unit_test(test_goes_again_as_it_went),
		cmocka_unit_test(test_the_application_asks_through_us),
		cmocka_unit_test(test_losses_are_counted),
		cmocka_unit_test(test_strange_input_is_bounded),
	};

	return cmocka_run_group_tests_name("repair", tests, NULL, NULL);
}
