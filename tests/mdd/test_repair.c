/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What comes in a repair stream (RFC 4588) is the packet that was lost, or
 * nothing at all. tests/e2e/test_whip_loss.py has both ways with a browser.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mdd/repair.h"
#include "mdd/worker.h"

#define MEDIA 0x11223344u
#define RTX   0x55667788u

static struct mdd_leg leg;
static struct mdd_plan plan;
static struct mdd_worker *w;

static int
setup(void **state)
{
	w = calloc(1, sizeof(*w));
	memset(&leg, 0, sizeof(leg));
	mdd_plan_init(&plan);
	plan.pt[MDD_VP8] = 96;
	plan.rtx[MDD_VP8] = 97;
	plan.ext[PERC_HDREXT_MID] = 9;
	plan.nrepairs = 2;
	plan.repair[0].rtx = 1;
	plan.repair[0].media = 2; /* not of its token */
	plan.repair[1].rtx = RTX;
	plan.repair[1].media = MEDIA;
	leg.plan = &plan;
	leg.nssrcs = 2;
	leg.ssrcs[0] = 7;
	leg.ssrcs[1] = MEDIA;
	w->now_ms = 1000;
	perc_gaps_packet(&leg.in[1].gaps, 0x1200, 1000);
	perc_gaps_packet(&leg.in[1].gaps, 0x1203, 1000);
	return w == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	free(w);
	return 0;
}

/* p as it was opened; what becomes of it, into out (octets, 0: nothing). */
static size_t
open(const uint8_t *p, size_t n, uint8_t *out)
{
	uint8_t *copy = malloc(n), *q = copy; /* a tool sees every step over */
	struct perc_rtp h;
	size_t len = n;
	bool took;

	memcpy(copy, p, n);
	assert_int_equal(perc_rtp_parse(&h, copy, n), 0);
	took = mdd_repair_open(w, &leg, 1, &h, &q, &len);
	if (took) {
		memcpy(out, q, len);
		assert_int_equal(h.ssrc, MEDIA);
		assert_int_equal(h.header_len, h.fixed_len);
	}
	free(copy);
	return took ? len : 0;
}

static const uint8_t lost[] = { 0x80, 0xe0, 0x12, 0x01, 1, 2, 3, 4, 0x11, 0x22,
	0x33, 0x44, 'b', 'o', 'd', 'y' };

static void
test_repairs(void **state)
{
	const uint8_t plain[] = { 0x80, 0xe1, 9, 9, 1, 2, 3, 4, 0x55, 0x66,
		0x77, 0x88, 0x12, 0x01, 'b', 'o', 'd', 'y' };
	const uint8_t more[] = { 0x91, 0xe1, 9, 9, 1, 2, 3, 4, 0x55, 0x66, 0x77,
		0x88, 5, 5, 5, 5, 0xbe, 0xde, 0, 1, 0x90, 'v', 0, 0, 0x12, 0x02,
		'x' };
	uint8_t out[64];

	assert_int_equal(open(plain, sizeof(plain), out), sizeof(lost));
	assert_memory_equal(out, lost, sizeof(lost));
	/* CSRCs stay, extensions do not. */
	assert_int_equal(open(more, sizeof(more), out), 12 + 4 + 1);
	assert_int_equal(out[0], 0x81);
	assert_int_equal(out[1], 0xe0);
	assert_int_equal(out[3], 0x02);
	assert_int_equal(out[15], 5);
	assert_int_equal(out[16], 'x');
}

static void
test_nobody_misses_it(void **state)
{
	uint8_t p[] = { 0x80, 97, 9, 9, 1, 2, 3, 4, 0x55, 0x66, 0x77, 0x88,
		0x12, 0x00, 'b' };
	uint8_t out[64];
	size_t n;

	assert_int_equal(open(p, sizeof(p), out), 0); /* it came */
	p[13] = 3;
	assert_int_equal(open(p, sizeof(p), out), 0);
	p[13] = 4; /* not yet */
	assert_int_equal(open(p, sizeof(p), out), 0);
	p[13] = 1;
	for (n = 12; n < 14; n++) /* a probe has no payload */
		assert_int_equal(open(p, n, out), 0);
	p[1] = 98; /* of a codec that was not agreed on */
	assert_int_equal(open(p, sizeof(p), out), 0);
	p[1] = 97;
	assert_int_equal(open(p, sizeof(p), out), sizeof(p) - 2);
}

static void
test_whose_it_is(void **state)
{
	assert_int_equal(mdd_repair_index(&leg, RTX), 1);
	assert_int_equal(mdd_repair_index(&leg, 1), PERC_ERR_NOTFOUND);
	assert_int_equal(mdd_repair_index(&leg, 3), PERC_ERR_NOTFOUND);
	leg.plan = NULL;
	assert_int_equal(mdd_repair_index(&leg, RTX), PERC_ERR_NOTFOUND);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_repairs),
		T(test_nobody_misses_it),
		T(test_whose_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
