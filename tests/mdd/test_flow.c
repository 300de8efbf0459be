/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The numbers that a receiver sees of a source: without a gap where packets
 * were taken out, right for those that come late, and never twice. The model
 * in test_property knows every packet's fate and has no window.
 */
#include "tests/perc/unit.h"

#include <stdlib.h>

#include "mdd/flow.h"

#define DROP true
#define PASS false
#define HOLE true
#define OPEN false

static void
passes(struct mdd_flow *f, uint16_t in, uint16_t want)
{
	uint16_t out = 0, back = 0;

	assert_true(mdd_flow_take(f, in, PASS, OPEN, &out));
	assert_int_equal(out, want);
	assert_true(mdd_flow_back(f, out, &back));
	assert_int_equal(back, in);
}

static void
drops(struct mdd_flow *f, uint16_t in)
{
	uint16_t out;

	assert_false(mdd_flow_take(f, in, DROP, HOLE, &out));
}

/* What is dropped leaves no gap. */
static void
test_no_gap(void **state)
{
	struct mdd_flow f;
	unsigned i;

	mdd_flow_start(&f, 99);
	passes(&f, 100, 100);
	for (i = 101; i < 200; i++)
		drops(&f, (uint16_t)i);
	passes(&f, 200, 101);
	passes(&f, 201, 102);
	drops(&f, 202);
	passes(&f, 203, 103);
}

/* Late by some, across a place where others were taken out. */
static void
test_late(void **state)
{
	struct mdd_flow f;
	uint16_t out;

	mdd_flow_start(&f, 9);
	passes(&f, 10, 10);
	passes(&f, 12, 12); /* 11 is late: its number stays open */
	drops(&f, 13);
	drops(&f, 14);
	passes(&f, 15, 13);
	assert_true(mdd_flow_take(&f, 11, DROP, OPEN, &out));
	assert_int_equal(out, 11); /* it fills the gap, wanted or not */
	assert_false(mdd_flow_take(&f, 13, PASS, OPEN, &out));
	passes(&f, 16, 14);
	assert_true(mdd_flow_take(&f, 15, PASS, OPEN, &out));
	assert_int_equal(out, 13); /* the same again is the window's business */
}

/* Missing before a dropped one: taken out with it, or left open. */
static void
test_missing(void **state)
{
	struct mdd_flow f;
	uint16_t out;

	mdd_flow_start(&f, 9);
	passes(&f, 10, 10);
	assert_false(mdd_flow_take(&f, 13, DROP, HOLE, &out));
	passes(&f, 14, 11);
	assert_false(mdd_flow_take(&f, 12, PASS, OPEN, &out));
	assert_false(mdd_flow_take(&f, 17, DROP, OPEN, &out));
	passes(&f, 18, 14); /* 12 and 13 are for 15 and 16 */
	assert_true(mdd_flow_take(&f, 16, PASS, OPEN, &out));
	assert_int_equal(out, 13);
}

/* A source that sends for hours while it is off, through every wrap: what
 * goes out goes on by one (RFC 3711 section 3.3.1: a receiver's ROC follows
 * only steps below 2^15). */
static void
test_wraps(void **state)
{
	struct mdd_flow f;
	unsigned i, in = 65530;

	mdd_flow_start(&f, 65529);
	passes(&f, 65530, 65530);
	for (i = 0; i < 3 * 65536 + 40000; i++)
		drops(&f, (uint16_t)++in);
	passes(&f, (uint16_t)++in, 65531);
	for (i = 0; i < 30; i++)
		drops(&f, (uint16_t)(in += 1000)); /* with losses */
	passes(&f, (uint16_t)++in, 65532);
}

static void
test_back(void **state)
{
	struct mdd_flow f;
	uint16_t in;

	mdd_flow_start(&f, 0);
	passes(&f, 1, 1);
	passes(&f, 4, 4); /* 2 and 3 lost */
	drops(&f, 5);
	passes(&f, 6, 5);
	drops(&f, 7);
	assert_true(mdd_flow_back(&f, 3, &in));
	assert_int_equal(in, 3);
	assert_true(mdd_flow_back(&f, 5, &in));
	assert_int_equal(in, 6);
	assert_true(mdd_flow_back(&f, 4, &in));
	assert_int_equal(in, 4);
	assert_false(mdd_flow_back(&f, 6, &in)); /* was never sent */
	assert_false(mdd_flow_back(&f, 5 - MDD_FLOW_BACK, &in));
}

/* ---- against a model -------------------------------------------------- */

#define RUN 20000
enum fate { UNKNOWN, GONE, STAYS };
static uint8_t fate[RUN];
static unsigned sent[RUN]; /* by out - start: how often */

/* Numbers go out once, and those before in go out before it. */
static unsigned
model_out(unsigned in)
{
	unsigned i, n = 0;

	for (i = 0; i < in; i++)
		n += fate[i] != GONE;
	return n;
}

static void
model_settle(unsigned from, unsigned to, bool hole)
{
	while (from < to)
		fate[from++] = hole ? GONE : STAYS;
}

static void
one_run(unsigned seed)
{
	unsigned order[RUN], i, j, t, top = 0;
	uint16_t first, out = 0;
	struct mdd_flow f;
	bool drop = false, hole, went;

	srand(seed);
	first = (uint16_t)rand();
	memset(fate, 0, sizeof(fate));
	memset(sent, 0, sizeof(sent));
	for (i = 0; i < RUN; i++)
		order[i] = i;
	for (i = 1; i + 40 < RUN; i++) { /* local disorder */
		j = i + (rand() % 8 == 0 ? (unsigned)rand() % 40 : 0);
		t = order[i];
		order[i] = order[j];
		order[j] = t;
	}
	fate[0] = STAYS;
	mdd_flow_start(&f, first);
	for (i = 1; i < RUN; i++) {
		if (rand() % 20 == 0)
			continue; /* lost */
		if (rand() % 10 == 0)
			drop = !drop;
		hole = rand() % 2 == 0;
		t = order[i];
		if (t > top) {
			model_settle(top + 1, t, hole);
			fate[t] = drop ? GONE : STAYS;
			top = t;
		}
		went =
		    mdd_flow_take(&f, (uint16_t)(first + t), drop, hole, &out);
		if (top - t >= MDD_FLOW_BACK)
			continue;
		assert_int_equal(went, fate[t] == STAYS);
		if (!went)
			continue;
		if (i % 16 == 0) /* the model is slow */
			assert_int_equal((uint16_t)(out - first), model_out(t));
		sent[(uint16_t)(out - first)]++;
	}
	for (i = 0; i < RUN; i++)
		assert_true(sent[i] <= 1);
}

static void
test_property(void **state)
{
	unsigned seed;

	for (seed = 1; seed <= 20; seed++)
		one_run(seed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_gap),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_missing),
		cmocka_unit_test(test_wraps),
		cmocka_unit_test(test_back),
		cmocka_unit_test(test_property),
	};

	return cmocka_run_group_tests_name("mdd/flow", tests, NULL, NULL);
}
