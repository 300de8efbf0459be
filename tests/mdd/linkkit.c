/* SPDX-License-Identifier: Apache-2.0 */
/* What a link may be told of is the only limit that its tests differ in. */
#include "tests/mdd/linkkit.h"

struct mdd_legs legs;
static struct perc_loop *loop;

int
linkkit_open(unsigned sources)
{
	const struct mdd_setup limits = { .max_legs = 8,
		.max_conferences = 2,
		.max_conference_legs = 2,
		.max_leg_pps = 100,
		.idle_ms = 30000,
		.max_links = 3,
		.max_link_sources = sources,
		.max_link_pps = 1000 };

	assert_int_equal(perc_loop_new(&loop), 0);
	assert_int_equal(mdd_legs_init(&legs, &limits, loop, NULL, NULL), 0);
	return 0;
}

int
linkkit_close(void **state)
{
	mdd_legs_clear(&legs);
	perc_loop_free(loop);
	return 0;
}
