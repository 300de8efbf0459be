/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The window held against a list of everything ever committed, over random
 * walks; the index guess against its definition.
 */
#include "tests/perc/bytes.h"

#include "perc/replay.h"

#define STEPS 20000

static uint32_t seed = 1;

static uint32_t
rnd(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

static void
walk(unsigned window)
{
	static uint8_t seen[STEPS * 64];
	struct perc_replay r;
	uint64_t bits[32], index = 2000, top = 0;
	int i, want;

	memset(seen, 0, sizeof(seen));
	assert_in_range(perc_replay_words(window), 1, 32);
	perc_replay_init(&r, window, bits);
	for (i = 0; i < STEPS; i++) {
		index = rnd() % 3 == 0 ? top + rnd() % 90
				       : top - rnd() % (window + 9);
		if (i == 0)
			index = 2000;
		want = 0;
		if (i > 0 && index <= top &&
		    (top - index >= window || seen[index]))
			want = PERC_ERR_REPLAY;
		assert_int_equal(perc_replay_check(&r, index), want);
		if (want != 0 || (i > 0 && rnd() % 4 == 0))
			continue;
		perc_replay_commit(&r, index);
		seen[index] = 1;
		if (index > top)
			top = index;
	}
}

static void
test_REQ_J_6_2_2_window(void **state)
{
	walk(64);
	walk(65);
	walk(127);
	walk(128);
	walk(1000);
	walk(1024);
	assert_int_equal(perc_replay_words(63), 0);
	assert_int_equal(perc_replay_words(1025), 0);
	assert_int_equal(perc_replay_words(64), 2);
}

static void
test_edges(void **state)
{
	struct perc_replay r;
	uint64_t bits[2];

	perc_replay_init(&r, 64, bits);
	CALL(perc_replay_check(&r, 1000));
	perc_replay_commit(&r, 1000);
	assert_int_equal(perc_replay_check(&r, 1000), PERC_ERR_REPLAY);
	CALL(perc_replay_check(&r, 1000 - 63));
	assert_int_equal(perc_replay_check(&r, 1000 - 64), PERC_ERR_REPLAY);
	perc_replay_commit(&r, PERC_INDEX_MAX); /* a leap clears it all */
	CALL(perc_replay_check(&r, PERC_INDEX_MAX - 63));
	assert_int_equal(perc_replay_check(&r, 1001), PERC_ERR_REPLAY);
}

static void
test_close(void **state)
{
	struct perc_replay r;
	uint64_t bits[2];
	unsigned i, top;

	for (top = 100; top < 300; top++) {
		perc_replay_init(&r, 64, bits);
		perc_replay_close(&r, top);
		for (i = 0; i <= top; i++)
			assert_int_equal(
			    perc_replay_check(&r, i), PERC_ERR_REPLAY);
		for (i = 1; i < 200; i++) {
			CALL(perc_replay_check(&r, top + i));
			perc_replay_commit(&r, top + i);
			assert_int_equal(
			    perc_replay_check(&r, top + i), PERC_ERR_REPLAY);
		}
	}
}

static void
test_guess(void **state)
{
	static const struct {
		uint64_t near;
		uint16_t seq;
		uint64_t want;
	} t[] = {
		{ 0, 0, 0 },
		{ 0, 0x8000, 0x8000 },
		{ 5, 65000, 65000 }, /* there is nothing below ROC 0 */
		{ 0x1fffe, 0x0001, 0x20001 },
		{ 0x20001, 0xfffe, 0x1fffe },
		{ 0x10000, 0x8000, 0x18000 },
		{ 0x10000, 0x8001, 0x8001 },
		{ 0x1ffff, 0x7fff, 0x1ffff - 0x8000 },
		{ 0x1ffff, 0x7ffe, 0x27ffe },
	};
	uint64_t index;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		CALL(perc_index_guess(&index, t[i].near, t[i].seq));
		assert_int_equal(index, t[i].want);
	}
	CALL(perc_index_guess(&index, PERC_INDEX_MAX, 0xffff));
	assert_int_equal(
	    perc_index_guess(&index, PERC_INDEX_MAX, 0), PERC_ERR_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_REQ_J_6_2_2_window),
		cmocka_unit_test(test_edges),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_guess),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
