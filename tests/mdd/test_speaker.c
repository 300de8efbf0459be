/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who spoke last, with time as an input: who begins to speak is soon in, a
 * cough and equal voices move nobody, and, whatever the levels are, the set
 * has its size and nobody is thrown out before the hold is over.
 */
#include "tests/perc/unit.h"

#include <stdlib.h>

#include "mdd/speaker.h"

#define VOICES 12
#define FRAME  20 /* ms */

static struct mdd_voice pool[VOICES], *v[VOICES];
static int64_t now;

static int
setup(void **state)
{
	unsigned i;

	memset(pool, 0, sizeof(pool));
	for (i = 0; i < VOICES; i++)
		v[i] = &pool[i];
	now = 1000000;
	return 0;
}

/* Everybody tells a level for ms; every 100 ms a choice of n. How often the
 * set changed. */
static unsigned
run(unsigned count, unsigned n, const uint8_t *level, int ms)
{
	unsigned i, changes = 0;
	int t;

	for (t = 0; t < ms; t += FRAME, now += FRAME) {
		for (i = 0; i < count; i++)
			if (level[i] != 255)
				mdd_voice_hear(v[i], level[i], now);
		if (t % 100 == 0)
			changes += mdd_voices_choose(v, count, n, now);
	}
	return changes;
}

static unsigned
members(unsigned count)
{
	unsigned i, sum = 0;

	for (i = 0; i < count; i++)
		sum += v[i]->in;
	return sum;
}

static void
test_speaker_gets_in(void **state)
{
	uint8_t level[6] = { 80, 80, 80, 80, 80, 80 };

	run(6, 2, level, 3000);
	assert_int_equal(members(6), 2);
	assert_true(v[0]->in && v[1]->in); /* who came first */
	level[4] = 30;
	run(6, 2, level, 400);
	assert_true(v[4]->in);
	assert_int_equal(members(6), 2);
	level[4] = 127; /* who falls silent stays until another speaks */
	run(6, 2, level, 10000);
	assert_true(v[4]->in);
	level[5] = 30;
	run(6, 2, level, 500);
	assert_true(v[5]->in && !v[4]->in);
}

/* One loud frame, then silence. */
static void
test_cough(void **state)
{
	uint8_t level[4] = { 40, 42, 127, 127 };

	run(4, 2, level, 3000);
	level[3] = 10;
	run(4, 2, level, FRAME);
	level[3] = 127;
	assert_int_equal(run(4, 2, level, 5000), 0);
	assert_true(v[0]->in && v[1]->in);
}

/* Voices that differ by less than the margin do not take turns. */
static void
test_equal_voices(void **state)
{
	uint8_t level[VOICES];
	unsigned i, k;

	memset(level, 45, sizeof(level));
	run(VOICES, 3, level, 3000);
	for (k = 0; k < 100; k++) {
		for (i = 0; i < VOICES; i++)
			level[i] = (uint8_t)(43 + rand() % 5);
		assert_int_equal(run(VOICES, 3, level, 200), 0);
	}
}

/* Nobody speaks: quiet noises change nothing, however they differ. */
static void
test_floor(void **state)
{
	uint8_t level[3] = { 127, 127, 127 };

	run(3, 1, level, 3000);
	level[2] = 70;
	assert_int_equal(run(3, 1, level, 5000), 0);
}

/* Who sends nothing while silent becomes quiet all the same. */
static void
test_dtx(void **state)
{
	uint8_t level[3] = { 30, 127, 127 };

	run(3, 1, level, 3000);
	level[0] = 255;
	level[1] = 50; /* less loud than the first one was */
	run(3, 1, level, 2000);
	assert_true(v[1]->in && !v[0]->in);
}

static void
test_size(void **state)
{
	uint8_t level[5] = { 50, 40, 30, 60, 70 };

	run(5, 0, level, 200); /* 0: all */
	assert_int_equal(members(5), 5);
	run(5, 2, level, 200); /* the loudest of them stay */
	assert_int_equal(members(5), 2);
	assert_true(v[1]->in && v[2]->in);
	run(5, 4, level, 200);
	assert_int_equal(members(5), 4);
	run(5, 9, level, 200);
	assert_int_equal(members(5), 5);
}

/* Levels, pauses and times at random. */
static void
test_property(void **state)
{
	unsigned seed, i, k, n, count, ins;
	bool was[VOICES];

	for (seed = 1; seed <= 300; seed++) {
		setup(NULL);
		srand(seed);
		count = 1 + (unsigned)rand() % VOICES;
		n = 1 + (unsigned)rand() % VOICES;
		for (k = 0; k < 500; k++) {
			for (i = 0; i < count; i++)
				if (rand() % 3 != 0)
					mdd_voice_hear(
					    v[i], (uint8_t)rand(), now);
			for (i = 0; i < count; i++)
				was[i] = v[i]->in;
			(void)mdd_voices_choose(v, count, n, now);
			for (i = ins = 0; i < count; i++) {
				ins += v[i]->in;
				assert_in_range(v[i]->loud, 0, 127 * 16);
				if (was[i] && !v[i]->in)
					assert_true(now - v[i]->in_ms >=
					    MDD_VOICE_HOLD_MS);
			}
			assert_int_equal(ins, n < count ? n : count);
			now += rand() % 400;
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_speaker_gets_in, setup),
		cmocka_unit_test_setup(test_cough, setup),
		cmocka_unit_test_setup(test_equal_voices, setup),
		cmocka_unit_test_setup(test_floor, setup),
		cmocka_unit_test_setup(test_dtx, setup),
		cmocka_unit_test_setup(test_size, setup),
		cmocka_unit_test_setup(test_property, setup),
	};

	return cmocka_run_group_tests_name("mdd/speaker", tests, NULL, NULL);
}
