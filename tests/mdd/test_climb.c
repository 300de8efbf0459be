/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mdd/climb.c: when a leg may have a better layer again, and when a picture
 * that does not fit is tried in spite of that.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "mdd/climb.h"

/* A step that is taken back at once waits, twice as long each time. */
static void
test_step_that_failed(void **state)
{
	struct mdd_climb c = { 0 };
	int64_t now = 1000;

	assert_true(mdd_climb_may(&c, 800, now));
	mdd_climb_up(&c, now);
	mdd_climb_down(&c, 800, now + 1000);
	assert_false(mdd_climb_may(&c, 800, now + 1001));
	assert_true(mdd_climb_may(&c, 400, now + 1001)); /* a smaller one */
	now += 1000 + MDD_CLIMB_WAIT_MS;
	assert_true(mdd_climb_may(&c, 800, now));
	mdd_climb_up(&c, now);
	mdd_climb_down(&c, 800, now + 1);
	assert_false(mdd_climb_may(&c, 800, now + 1 + MDD_CLIMB_WAIT_MS));
	assert_true(mdd_climb_may(&c, 800, now + 1 + 2 * MDD_CLIMB_WAIT_MS));
}

/* Two pictures that do not fit, looked at each half second: how long after
 * from until the first is let pass. */
static int64_t
tried_after(struct mdd_climb *c, int64_t from)
{
	int64_t now;

	for (now = from; now < from + 100000; now += 500)
		if (mdd_climb_try(c, 1, now)) {
			assert_false(mdd_climb_try(c, 2, now)); /* one only */
			return now - from;
		}
	return -1;
}

static void
test_tried_less_and_less(void **state)
{
	static const int64_t want[] = { 1, 2, 4, 8, 15, 15 };
	struct mdd_climb c = { 0 };
	int64_t now = 1000;
	unsigned i;

	for (i = 0; i < 6; i++) {
		assert_int_equal(
		    tried_after(&c, now), want[i] * MDD_CLIMB_TRY_WAIT_MS);
		now += want[i] * MDD_CLIMB_TRY_WAIT_MS;
		assert_true(mdd_climb_try(&c, 1, now + MDD_CLIMB_TRY_MS - 1));
		now += MDD_CLIMB_TRY_MS;
		assert_false(mdd_climb_try(&c, 1, now));
	}
}

/* It fitted for a while: what failed before is forgotten. */
static void
test_success_is_remembered(void **state)
{
	struct mdd_climb c = { 0 };
	int64_t now = 1000;
	unsigned i;

	for (i = 0; i < 3; i++) {
		now += tried_after(&c, now) + MDD_CLIMB_TRY_MS;
		assert_false(mdd_climb_try(&c, 1, now));
	}
	now += tried_after(&c, now) + MDD_CLIMB_TRY_MS + MDD_CLIMB_GOOD_MS;
	assert_int_equal(tried_after(&c, now), MDD_CLIMB_TRY_WAIT_MS);
}

/* Who did not fit long ago, and did since without a try, waits as at first. */
static void
test_old_wait_is_none(void **state)
{
	struct mdd_climb c = { 0 };

	assert_false(mdd_climb_try(&c, 1, 1000));
	assert_int_equal(tried_after(&c, 60000), MDD_CLIMB_TRY_WAIT_MS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_step_that_failed),
		cmocka_unit_test(test_tried_less_and_less),
		cmocka_unit_test(test_success_is_remembered),
		cmocka_unit_test(test_old_wait_is_none),
	};

	return cmocka_run_group_tests_name("climb", tests, NULL, NULL);
}
