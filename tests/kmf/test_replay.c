/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * kmf/replay.c: a proof is good once, for as long as it could come again, and
 * no number of them takes more memory than there is for it.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "kmf/replay.h"
#include "perc/b64.h"

#define NOW   INT64_C(1800000000)
#define SLICE KMF_REPLAY_SLICE_S

static struct kmf_replay r;

static int
start(void **state)
{
	kmf_replay_init(&r);
	return 0;
}

static int
end(void **state)
{
	kmf_replay_clear(&r);
	assert_int_equal(r.places, 0);
	return 0;
}

/* The n-th of many. */
static int
add(uint32_t n, int64_t until_s, int64_t now_s)
{
	uint8_t raw[32] = { 0 };
	char text[PERC_B64_LEN(32) + 1];

	memcpy(raw + 4, &n, sizeof(n));
	perc_b64_put(text, raw, sizeof(raw));
	return kmf_replay_add(&r, text, until_s, now_s);
}

static void
test_good_once(void **state)
{
	uint32_t n;

	for (n = 0; n < 5000; n++)
		assert_int_equal(add(n, NOW + 61, NOW), 0);
	for (n = 0; n < 5000; n++)
		assert_int_equal(add(n, NOW + 61, NOW), PERC_ERR_EXISTS);
	assert_int_equal(add(n, NOW + 61, NOW), 0);
}

/* Until its last second, whatever else is forgotten meanwhile. */
static void
test_as_long_as_it_could_come(void **state)
{
	int64_t until, now;
	uint32_t n = 0;

	for (until = NOW; until < NOW + 130; until++, n++) {
		assert_int_equal(add(n, until, NOW), 0);
		for (now = NOW; now <= until; now += 7) {
			kmf_replay_forget(&r, now);
			assert_int_equal(add(n, until, now), PERC_ERR_EXISTS);
		}
		assert_int_equal(add(n, until, until), PERC_ERR_EXISTS);
		kmf_replay_clear(&r);
	}
}

static void
test_what_is_over_is_forgotten(void **state)
{
	int64_t now;
	uint32_t n = 0;

	for (now = NOW; now < NOW + 40 * SLICE; now += SLICE / 4, n++) {
		assert_int_equal(add(n, now + 121, now), 0);
		kmf_replay_forget(&r, now);
		assert_true(r.places <= 256 * KMF_REPLAY_SLICES);
	}
	kmf_replay_forget(&r, now + 121 + SLICE);
	assert_int_equal(r.places, 0);
	/* and without being told */
	assert_int_equal(add(1, now + 61, now), 0);
	now += KMF_REPLAY_SLICES * SLICE;
	assert_int_equal(add(2, now + 61, now), 0);
	assert_int_equal(add(2, now + 61, now), PERC_ERR_EXISTS);
}

static void
test_bounds(void **state)
{
	uint32_t n;

	for (n = 0; add(n, NOW + 61, NOW) == 0; n++)
		assert_true(n < KMF_REPLAY_MAX);
	assert_true(n > KMF_REPLAY_MAX / 4);
	assert_true(r.places <= KMF_REPLAY_MAX);
	assert_int_equal(add(n, NOW + 61, NOW), PERC_ERR_LIMIT);
	assert_int_equal(add(0, NOW + 61, NOW), PERC_ERR_EXISTS);
	assert_int_equal(add(n - 1, NOW + 61, NOW), PERC_ERR_EXISTS);
}

static void
test_what_is_not_ours_is_refused(void **state)
{
	assert_int_equal(
	    kmf_replay_add(&r, "jti", NOW + 61, NOW), PERC_ERR_LIMIT);
	assert_int_equal(add(1, NOW - SLICE, NOW), PERC_ERR_LIMIT);
	assert_int_equal(
	    add(1, NOW + (KMF_REPLAY_SLICES + 1) * SLICE, NOW), PERC_ERR_LIMIT);
	assert_int_equal(add(1, INT64_MAX, NOW), PERC_ERR_LIMIT);
	assert_int_equal(add(1, INT64_MIN, NOW), PERC_ERR_LIMIT);
	assert_int_equal(add(1, INT64_MIN, INT64_MIN), PERC_ERR_LIMIT);
	/* a clock that was set back finds its place taken, and says so */
	assert_int_equal(add(1, NOW + 200, NOW), 0);
	assert_int_equal(add(2, NOW + 200 - KMF_REPLAY_SLICES * SLICE,
			     NOW + 200 - KMF_REPLAY_SLICES * SLICE),
	    PERC_ERR_LIMIT);
}

#define T(name) cmocka_unit_test_setup_teardown(name, start, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_good_once),
		T(test_as_long_as_it_could_come),
		T(test_what_is_over_is_forgotten),
		T(test_bounds),
		T(test_what_is_not_ours_is_refused),
	};

	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
