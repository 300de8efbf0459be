/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The walk before the walk (mdd/fetch.c): it leaves out no receiver, reads
 * nothing of those that have no keys, and changes nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "mdd/worker.h"

#define LEGS (2 * MDD_FETCH + 6)
#define SSRC 0x11111111u

static struct perc_srtp *
hop(void)
{
	static const uint8_t key[16] = { 1 }, salt[12] = { 2 };
	struct perc_srtp *s;

	assert_int_equal(
	    perc_srtp_new(&s, PERC_AEAD_AES_128_GCM, key, salt, 4, 64), 0);
	return s;
}

static void
protect(struct perc_srtp *s, uint32_t ssrc, uint16_t seq, uint8_t out[64])
{
	uint8_t p[40] = { 0x80, 111, (uint8_t)(seq >> 8), (uint8_t)seq, 0, 0, 0,
		0, (uint8_t)(ssrc >> 24), (uint8_t)(ssrc >> 16),
		(uint8_t)(ssrc >> 8), (uint8_t)ssrc };
	struct perc_rtp h;
	size_t n;

	assert_int_equal(perc_rtp_parse(&h, p, sizeof(p)), 0);
	assert_int_equal(perc_srtp_protect(s, &h, p, sizeof(p), out, &n), 0);
}

/* Legs in a row: those that are up share tx, the others have none. */
static struct mdd_leg *
legs_make(struct perc_srtp *tx, struct mdd_tally *tally)
{
	struct mdd_leg *leg = calloc(LEGS, sizeof(*leg));
	unsigned i;

	assert_non_null(leg);
	for (i = 0; i < LEGS; i++) {
		leg[i].next = i + 1 < LEGS ? &leg[i + 1] : NULL;
		leg[i].addr.len = i % 5 != 0 ? sizeof(struct sockaddr_in) : 0;
		if (i % 3 == 0 || leg[i].addr.len == 0)
			continue;
		leg[i].state = MDD_LEG_UP;
		leg[i].tx = tx;
		leg[i].tally = tally;
	}
	return leg;
}

static void
test_each_leg_once(void **state)
{
	struct mdd_source src = { .ssrc = SSRC };
	struct mdd_room room = { .src = &src };
	struct mdd_staged k = { .room = &room, .src = &src };
	struct mdd_tally tally = { 0 }, none = { 0 };
	struct perc_srtp *tx = hop();
	struct mdd_leg *leg = legs_make(tx, &tally);

	assert_ptr_equal(mdd_fetch(leg, &k), &leg[MDD_FETCH]);
	assert_ptr_equal(mdd_fetch(&leg[MDD_FETCH], &k), &leg[2 * MDD_FETCH]);
	assert_null(mdd_fetch(&leg[2 * MDD_FETCH], &k));
	assert_memory_equal(&tally, &none, sizeof(none));
	free(leg);
	perc_srtp_free(tx);
}

/* Streams that run, that were forgotten, that nobody knows. */
static void
test_nothing_changes(void **state)
{
	struct perc_srtp *plain = hop(), *fetched = hop();
	uint8_t a[64] = { 0 }, b[64] = { 0 };
	unsigned i, step;

	for (i = 0; i < 40; i++) {
		for (step = 0; step < PERC_SRTP_FETCH_STEPS; step++) {
			perc_srtp_fetch(fetched, SSRC + i % 3, step);
			perc_srtp_fetch(fetched, 77 + i, step);
		}
		protect(plain, SSRC + i % 3, (uint16_t)(65520 + i), a);
		protect(fetched, SSRC + i % 3, (uint16_t)(65520 + i), b);
		assert_memory_equal(a, b, sizeof(a));
		if (i == 20) {
			perc_srtp_forget(plain, SSRC);
			perc_srtp_forget(fetched, SSRC);
		}
	}
	perc_srtp_free(plain);
	perc_srtp_free(fetched);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_leg_once),
		cmocka_unit_test(test_nothing_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
