/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What failed is remembered by its bits a second, not by its layer: a smaller
 * step is another question. Rates vary, so that a little less counts as the
 * same.
 */
#include "mdd/climb.h"

#define SAME_NUM   7
#define SAME_DEN   8
#define TRY_OLD_MS 5000 /* who did not ask for so long did fit meanwhile */

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

static void
try_wait(struct mdd_climb_try *t, int64_t ms, int64_t now_ms)
{
	t->wait_ms = ms < MDD_CLIMB_TRY_MOST_MS ? ms : MDD_CLIMB_TRY_MOST_MS;
	t->at_ms = now_ms + t->wait_ms;
	t->place = 0;
}

bool
mdd_climb_try(struct mdd_climb *c, unsigned place, int64_t now_ms)
{
	struct mdd_climb_try *t = &c->try;

	if (t->place != 0 && now_ms < t->until_ms)
		return t->place == place;
	if (t->place != 0 && now_ms - t->until_ms < MDD_CLIMB_GOOD_MS) {
		try_wait(t, 2 * t->wait_ms, now_ms); /* it was in vain */
		return false;
	}
	if (t->place != 0 || t->at_ms == 0 || now_ms - t->at_ms > TRY_OLD_MS) {
		try_wait(t, MDD_CLIMB_TRY_WAIT_MS, now_ms);
		return false;
	}
	if (now_ms < t->at_ms)
		return false;
	t->place = place;
	t->until_ms = now_ms + MDD_CLIMB_TRY_MS;
	return true;
}
