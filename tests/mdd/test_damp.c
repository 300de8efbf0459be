/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RTCP of one authenticated leg that is made to be dear: what the worker does
 * for it is counted, in a conference of 250 legs and within one second of a
 * clock that the test holds (REQ-F-8.1b: limits come before work).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/mdd/world.h"

#define LEGS	 250
#define NOW	 50000
#define SSRC(i)	 (0x01000000u + (i))
#define UNKNOWN	 0x7f7f7f7fu
#define DATAGRAM 2000 /* octets of a compound, at most */
#define FINDS	 (MDD_DAMP_WORK / MDD_DAMP_FIND(LEGS))

static struct mdd_leg *legs[LEGS];

/* As if they were up; nobody is behind them, so that nothing is sent. */
static int
crowd_open(void **state)
{
	struct mdd_join j = { .nssrcs = 1, .live_ms = 600000 };
	struct world *x;
	unsigned i;

	world_limits.max_legs = world_limits.max_conference_legs = LEGS;
	world_open(state);
	x = *state;
	strcpy(j.conference, "k/c_1");
	strcpy(j.ufrag, PEER_UFRAG);
	strcpy(j.pwd, PEER_PWD);
	for (i = 0; i < LEGS; i++) {
		(void)snprintf(j.leg, sizeof(j.leg), "l_%u", i);
		(void)snprintf(j.member, sizeof(j.member), "m_%u", i);
		j.ssrcs[0] = SSRC(i);
		assert_int_equal(
		    mdd_leg_join(&x->w.legs, &j, NOW, &legs[i]), 0);
		legs[i]->state = MDD_LEG_UP;
	}
	return 0;
}

static size_t
head_put(uint8_t *p, uint8_t fmt, uint8_t type, size_t n, uint32_t media)
{
	struct perc_wire w;
	uint32_t i;

	perc_wire_writer(&w, p, n);
	perc_wire_put_u8(&w, 0x80 | fmt);
	perc_wire_put_u8(&w, type);
	perc_wire_put_u16(&w, (uint16_t)(n / 4 - 1));
	perc_wire_put_u32(&w, SSRC(0));
	perc_wire_put_u32(&w, media);
	/* NACK: each SEQ once. FIR: that SSRC, whatever the number. */
	for (i = 0; perc_wire_left(&w) >= 4; i++)
		perc_wire_put_u32(&w,
		    type == PERC_RTCP_RTPFB && fmt == PERC_RTCP_NACK
			? (17 * i) << 16 | 0xffff
			: media);
	return n;
}

/* As many of such packets as fit, of n octets each; the whole compound. */
static size_t
compound(uint8_t c[static DATAGRAM], uint8_t fmt, uint8_t type, size_t n,
    uint32_t media)
{
	size_t at = 0;

	while (at + n <= DATAGRAM)
		at += head_put(c + at, fmt, type, n, media);
	return at;
}

/* So many of them as the leg may send in a second; searches that it made. */
static uint64_t
second(struct world *x, struct mdd_leg *leg, const uint8_t *c, size_t n,
    int64_t now_ms)
{
	uint64_t before = x->w.count[MDD_RTCP_SOUGHT];
	unsigned i;

	for (i = 0; i < MDD_DAMP_COMPOUNDS; i++)
		mdd_rtcp_relay(&x->w, leg, c, n, now_ms + i);
	return x->w.count[MDD_RTCP_SOUGHT] - before;
}

/* 1,088 SEQs each, seven in a datagram: what is dear is done a few times. */
static void
full_nacks(struct world *x, uint32_t media)
{
	uint64_t damped = x->w.count[MDD_RTCP_DAMPED],
		 missed = x->w.count[MDD_RTX_MISSED];
	uint8_t c[DATAGRAM];
	size_t n = compound(c, PERC_RTCP_NACK, PERC_RTCP_RTPFB, 272, media);
	uint64_t sought = second(x, legs[0], c, n, NOW);

	assert_in_range(sought, 1, 8);
	assert_in_range(
	    x->w.count[MDD_RTX_MISSED] - missed, 1000, MDD_DAMP_WORK);
	assert_int_equal(x->w.count[MDD_RTCP_DAMPED] - damped,
	    n / 272 * MDD_DAMP_COMPOUNDS - sought);
	/* Another leg has its own allowance, and this one has it again. */
	head_put(c, PERC_RTCP_NACK, PERC_RTCP_RTPFB, 16, media);
	c[7] = (uint8_t)SSRC(1);
	sought = x->w.count[MDD_RTCP_SOUGHT];
	mdd_rtcp_relay(&x->w, legs[1], c, 16, NOW + 200);
	assert_int_equal(x->w.count[MDD_RTCP_SOUGHT], sought + 1);
	c[7] = (uint8_t)SSRC(0);
	mdd_rtcp_relay(&x->w, legs[0], c, 16, NOW + 1001);
	assert_int_equal(x->w.count[MDD_RTCP_SOUGHT], sought + 2);
}

static void
test_full_nacks_of_a_known_ssrc(void **state)
{
	full_nacks(*state, SSRC(LEGS / 2));
}

static void
test_full_nacks_of_an_unknown_ssrc(void **state)
{
	full_nacks(*state, UNKNOWN);
}

/* Whose is it? is what each of these asks; of FIR each entry. */
static void
test_small_feedback_by_the_hundred(void **state)
{
	static const struct {
		uint8_t fmt, type;
		size_t n;
	} kind[] = {
		{ PERC_RTCP_NACK, PERC_RTCP_RTPFB, 16 },
		{ PERC_RTCP_PLI, PERC_RTCP_PSFB, 12 },
		{ PERC_RTCP_FIR, PERC_RTCP_PSFB, 20 },
		{ PERC_RTCP_FIR, PERC_RTCP_PSFB, 12 + 64 * 8 },
	};
	struct world *x = *state;
	uint8_t c[DATAGRAM];
	unsigned i, known;
	int64_t now = NOW;
	uint64_t sought;
	size_t n;

	for (i = 0; i < sizeof(kind) / sizeof(kind[0]); i++)
		for (known = 0; known < 2; known++, now += 2000) {
			n = compound(c, kind[i].fmt, kind[i].type, kind[i].n,
			    known ? SSRC(LEGS / 2) : UNKNOWN);
			sought = second(x, legs[0], c, n, now);
			assert_in_range(sought, FINDS / 20, FINDS);
		}
}

/* Of an unknown one, of 8 octets, nothing but its place in the compound. */
static void
test_a_compound_has_so_many_packets(void **state)
{
	struct world *x = *state;
	uint64_t ignored = x->w.count[MDD_RTCP_IGNORED];
	uint8_t c[DATAGRAM];
	size_t at;

	for (at = 0; at < DATAGRAM; at += 8) {
		memcpy(c + at, "\x80\xc9\0\1\1\0\0\0", 8);
	}
	mdd_rtcp_relay(&x->w, legs[0], c, DATAGRAM, NOW);
	assert_int_equal(
	    x->w.count[MDD_RTCP_IGNORED] - ignored, MDD_DAMP_PARTS);
}

/* Transport-wide feedback is looked into as often as other feedback. */
static void
test_transport_wide_feedback(void **state)
{
	struct world *x = *state;
	uint8_t c[DATAGRAM];
	size_t n;

	legs[0]->twcc = true;
	mdd_cc_open(legs[0]);
	assert_non_null(legs[0]->cc);
	n = compound(c, PERC_RTCP_TWCC, PERC_RTCP_RTPFB, 24, SSRC(1));
	(void)second(x, legs[0], c, n, NOW);
	assert_in_range(
	    x->w.count[MDD_CC_TOLD] + x->w.count[MDD_RTCP_IGNORED], 1, FINDS);
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, crowd_open, world_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_full_nacks_of_a_known_ssrc),
		WITH(test_full_nacks_of_an_unknown_ssrc),
		WITH(test_small_feedback_by_the_hundred),
		WITH(test_a_compound_has_so_many_packets),
		WITH(test_transport_wide_feedback),
	};

	return cmocka_run_group_tests_name("damp", tests, NULL, NULL);
}
