/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What failed is remembered by its bits a second, not by its layer: a smaller
 * step is another question. Rates vary, so that a little less counts as the
 * same.
 */
#include "mdd/climb.h"

#define SAME_NUM 7
#define SAME_DEN 8

void
mdd_climb_up(struct mdd_climb *c, int64_t now_ms)
{
	c->at_ms = now_ms;
}

void
mdd_climb_down(struct mdd_climb *c, uint64_t bps, int64_t now_ms)
{
	int64_t up = now_ms - c->at_ms;
	bool failed = c->at_ms != 0 && up < MDD_CLIMB_FAIL_MS;

	if (c->at_ms != 0 && up >= MDD_CLIMB_GOOD_MS)
		c->wait_ms = 0;
	c->at_ms = 0;
	if (!failed)
		return;
	c->wait_ms = c->wait_ms == 0 ? MDD_CLIMB_WAIT_MS : 2 * c->wait_ms;
	if (c->wait_ms > MDD_CLIMB_MOST_MS)
		c->wait_ms = MDD_CLIMB_MOST_MS;
	c->until_ms = now_ms + c->wait_ms;
	c->bps = bps;
}

bool
mdd_climb_may(const struct mdd_climb *c, uint64_t bps, int64_t now_ms)
{
	return now_ms >= c->until_ms || bps < c->bps / SAME_DEN * SAME_NUM;
}
