/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Transport-wide feedback: a message written by hand after section 3.1 of the
 * draft, what we write read again, and lengths that lie.
 */
#include "tests/perc/unit.h"

#include "perc/twcc.h"

static uint32_t seed = 5;

static uint32_t
rnd(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

/* Run length, vector of one bit, vector of two, small and large deltas. */
static void
test_hand_written(void **state)
{
	static const uint8_t m[] = "\x8f\xcd\0\x0a\0\0\0\1\0\0\0\2"
				   "\xff\xfe\0\x16" /* base 65534, 22 of them */
				   "\0\0\2\7"	    /* 128 ms, the 7th */
				   "\x20\3"	    /* three small */
				   "\xa0\0" /* 1 bit: yes, 13 times no */
				   "\xd8\0" /* 2 bits: small, large, no... */
				   "\4\0\1\x28"	  /* 1 ms, 0, 250 us, 10 ms */
				   "\x02\xff\xf0" /* 500 us, -4 ms */
				   "\0\0\0\0\0\0\0\0\0";
	struct perc_twcc_item x[PERC_TWCC_MAX];
	struct perc_rtcp k;
	unsigned i;

	assert_true(perc_rtcp_next(&k, m, 44));
	assert_int_equal(perc_twcc_get(&k, x), 22);
	assert_int_equal(x[0].tseq, 65534);
	assert_int_equal(x[2].tseq, 0);
	assert_true(x[0].came && x[1].came && x[2].came && x[3].came);
	assert_int_equal(x[0].at_us, 129000);
	assert_int_equal(x[1].at_us, 129000);
	assert_int_equal(x[2].at_us, 129250);
	assert_int_equal(x[3].at_us, 139250);
	for (i = 4; i < 17; i++)
		assert_false(x[i].came);
	assert_true(x[17].came && x[18].came && !x[19].came);
	assert_int_equal(x[17].at_us, 139750);
	assert_int_equal(x[18].at_us, 135750);
	k.n = 26; /* deltas are missing */
	assert_int_equal(perc_twcc_get(&k, x), -1);
	k.n = 20;
	assert_int_equal(perc_twcc_get(&k, x), -1);
	k.n = 16;
	assert_int_equal(perc_twcc_get(&k, x), -1);
}

/* What was logged is what is read, whatever was lost, late or far apart. */
static void
test_round(void **state)
{
	static struct perc_twcc_log l;
	static int64_t want[70000];
	struct perc_twcc_item x[PERC_TWCC_MAX];
	uint8_t buf[1600];
	struct perc_wire w;
	struct perc_rtcp k;
	unsigned i, told = 0, came = 0;
	int64_t now = 5000000;
	int n, j;

	for (i = 0; i < 69000; i++) {
		now += rnd() % 3000;
		if (rnd() % 1000 == 0)
			now += 9000000; /* more than two octets hold */
		if (rnd() % 5 != 0) {
			want[i] = now;
			perc_twcc_seen(&l, (uint16_t)(60000 + i), now);
		}
		if (i % 97 != 0)
			continue;
		while (perc_twcc_pending(&l)) {
			perc_wire_writer(&w, buf, sizeof(buf));
			assert_true(perc_twcc_put(&l, &w, 1, 2));
			assert_true(perc_rtcp_next(&k, buf, w.pos));
			assert_int_equal(k.n, w.pos);
			n = perc_twcc_get(&k, x);
			assert_true(n > 0);
			for (j = 0; j < n; j++, told++) {
				assert_int_equal(
				    x[j].tseq, (uint16_t)(60000 + told));
				assert_int_equal(x[j].came, want[told] != 0);
				if (!x[j].came)
					continue;
				came++;
				assert_in_range(
				    want[told] % (64000ll << 24) - x[j].at_us,
				    0, 249);
			}
		}
	}
	assert_true(came > 50000);
}

/* One packet alone, and a stream that begins anew. */
static void
test_jumps(void **state)
{
	static struct perc_twcc_log l;
	struct perc_twcc_item x[PERC_TWCC_MAX];
	uint8_t buf[1600];
	struct perc_wire w;
	struct perc_rtcp k;

	assert_false(perc_twcc_pending(&l));
	perc_twcc_seen(&l, 7, 1000000);
	perc_twcc_seen(&l, 30000, 1001000); /* everything before is over */
	perc_twcc_seen(&l, 29999, 1002000); /* late, before the first */
	perc_wire_writer(&w, buf, sizeof(buf));
	assert_true(perc_twcc_put(&l, &w, 1, 2));
	assert_true(perc_rtcp_next(&k, buf, w.pos));
	assert_int_equal(perc_twcc_get(&k, x), 1);
	assert_int_equal(x[0].tseq, 30000);
	assert_false(perc_twcc_pending(&l));
	perc_wire_writer(&w, buf, 30); /* no room */
	perc_twcc_seen(&l, 30005, 1003000);
	assert_false(perc_twcc_put(&l, &w, 1, 2));
}

/* One overtook another: the time between them is negative. */
static void
test_reordered(void **state)
{
	static struct perc_twcc_log l;
	struct perc_twcc_item x[PERC_TWCC_MAX];
	uint8_t buf[1600];
	struct perc_wire w;
	struct perc_rtcp k;

	perc_twcc_seen(&l, 1, 1000000);
	perc_twcc_seen(&l, 3, 1001000);
	perc_twcc_seen(&l, 2, 1004000);
	perc_wire_writer(&w, buf, sizeof(buf));
	assert_true(perc_twcc_put(&l, &w, 1, 2));
	assert_true(perc_rtcp_next(&k, buf, w.pos));
	assert_int_equal(perc_twcc_get(&k, x), 3);
	assert_int_equal(x[0].at_us, 1000000);
	assert_int_equal(x[1].at_us, 1004000);
	assert_int_equal(x[2].at_us, 1001000);
}

static void
test_garbage(void **state)
{
	struct perc_twcc_item x[PERC_TWCC_MAX];
	uint8_t p[120];
	struct perc_rtcp k = { .p = p };
	unsigned i, j;
	int n;

	for (i = 0; i < 200000; i++) {
		k.n = 4 * (rnd() % (sizeof(p) / 4));
		for (j = 0; j < k.n; j++)
			p[j] = (uint8_t)rnd();
		n = perc_twcc_get(&k, x);
		assert_in_range(n + 1, 0, PERC_TWCC_MAX + 1);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hand_written),
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_jumps),
		cmocka_unit_test(test_reordered),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests_name("twcc", tests, NULL, NULL);
}
