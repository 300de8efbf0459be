/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of what was sent: its ring held against a list of everything, and
 * a worker whose receivers lose packets. What goes again has the octets of the
 * first time, or does not go.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "mdd/rtx.h"
#include "tests/mdd/world.h"

static uint32_t seed = 3;

static uint32_t
rnd(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

/* ---- the ring --------------------------------------------------------------
 */

static bool
is_pattern(const struct mdd_kept *k, uint32_t number, size_t n, size_t taillen)
{
	size_t i;

	for (i = 0; i < k->n; i++)
		if (k->p[i] != (uint8_t)(number + i))
			return false;
	return k->n == n && k->taillen == taillen &&
	    (taillen == 0 || k->tail[taillen - 1] == (uint8_t)number);
}

/* Random sizes and times: what is found is whole, what is young and recent is
 * found, and the memory is never left. */
static void
ring_walk(size_t room, unsigned steps, unsigned pace_ms)
{
	static struct {
		uint32_t number;
		size_t n, taillen;
		int64_t at;
	} all[20000];
	struct mdd_rtx *r = NULL;
	struct mdd_kept k;
	uint8_t p[1500], tail[64];
	unsigned i, j, found = 0;
	int64_t now = 5000;
	size_t sum;

	assert_int_equal(mdd_rtx_new(&r, room), 0);
	for (i = 0; i < steps; i++) {
		now += rnd() % (pace_ms + 1);
		all[i].n = 40 + rnd() % 1400;
		all[i].taillen = rnd() % 50;
		all[i].at = now;
		for (j = 0; j < all[i].n; j++)
			p[j] = (uint8_t)(i + 1 + j);
		memset(tail, (int)(i + 1), sizeof(tail));
		all[i].number =
		    mdd_rtx_put(r, p, all[i].n, tail, all[i].taillen, now);
		assert_int_equal(all[i].number, i + 1);
		assert_true(mdd_rtx_held(r) <= room);
		j = rnd() % (i + 1);
		if (mdd_rtx_get(r, all[j].number, now, &k)) {
			found++;
			assert_true(
			    is_pattern(&k, j + 1, all[j].n, all[j].taillen));
			assert_true(now - all[j].at <= MDD_RTX_AGE_MS);
		}
		/* the last third of the room is there, if young enough */
		for (sum = 0, j = i + 1; j-- > 0;) {
			sum += all[j].n + all[j].taillen + 64;
			if (sum > room / 3 ||
			    now - all[j].at > MDD_RTX_AGE_MS / 2)
				break;
			assert_true(mdd_rtx_get(r, all[j].number, now, &k));
		}
	}
	assert_true(found > 0);
	assert_false(mdd_rtx_get(r, 0, now, &k));
	assert_false(mdd_rtx_get(r, steps + 1, now, &k));
	mdd_rtx_free(r);
}

static void
test_ring(void **state)
{
	ring_walk(1 << 20, 20000, 0);  /* the room is the bound */
	ring_walk(1 << 20, 5000, 40);  /* the age is */
	ring_walk(5000, 3000, 3);      /* three packets fit */
	ring_walk(1 << 16, 10000, 20); /* both */
}

static void
test_ring_off(void **state)
{
	struct mdd_rtx *r = (struct mdd_rtx *)state;
	struct mdd_kept k;

	assert_int_equal(mdd_rtx_new(&r, 0), 0);
	assert_null(r);
	assert_int_equal(
	    mdd_rtx_put(r, (const uint8_t *)"x", 1, NULL, 0, 1), 0);
	assert_false(mdd_rtx_get(r, 1, 1, &k));
	mdd_rtx_free(r);
}

/* A quiet worker stays in a few pages. */
static void
test_ring_keeps_to_few_pages(void **state)
{
	struct mdd_rtx *r = NULL;
	struct mdd_kept k;
	uint8_t p[1000] = { 0 };
	const uint8_t *low = NULL, *high = NULL;
	uint32_t number;
	unsigned i;

	assert_int_equal(mdd_rtx_new(&r, 8 << 20), 0);
	for (i = 0; i < 5000; i++) { /* 100 a second */
		number = mdd_rtx_put(r, p, sizeof(p), p, 1, 1000 + i * 10);
		assert_true(mdd_rtx_get(r, number, 1000 + i * 10, &k));
		low = low == NULL || k.p < low ? k.p : low;
		high = k.p > high ? k.p : high;
	}
	assert_true(high - low < 400000); /* 1 s is 102,400 octets */
	mdd_rtx_free(r);
}

/* ---- ledgers ---------------------------------------------------------------
 */

static void
test_ledger_bounds(void **state)
{
	struct mdd_sent lines[8];
	struct mdd_ledger l;
	struct mdd_sent *s;
	uint8_t out[40] = { 0 };
	unsigned i, n = 0;

	mdd_ledger_init(&l, lines, 8);
	for (i = 0; i < 20; i++) {
		out[3] = (uint8_t)i;
		out[39] = (uint8_t)(100 + i);
		mdd_ledger_note(&l, out, sizeof(out), i + 1, 0, 1, 0);
	}
	assert_int_equal(mdd_ledger_first(&l), 12);
	s = mdd_ledger_at(&l, 12);
	assert_int_equal(s->seq, 12);
	assert_int_equal(s->number, 13);
	assert_int_equal(s->tag[15], 112);
	for (i = 0; i < 2000; i++) /* however often it is asked for */
		n += mdd_ledger_take(&l, s, 10 + i);
	assert_int_equal(n, MDD_RTX_TRIES);
	for (i = 0, n = 0; i < 1000; i++) { /* all others, without end */
		s = mdd_ledger_at(&l, 13 + i % 7);
		s->tries = 0;
		n += mdd_ledger_take(&l, s, 3000);
	}
	assert_int_equal(n, MDD_LEDGER_BURST - MDD_RTX_TRIES);
	for (i = 0; i < 40; i++)
		mdd_ledger_note(&l, out, sizeof(out), i + 1, 0, 1, 0);
	for (i = 0, n = 0; i < 1000; i++) {
		s = mdd_ledger_at(&l, l.n - 1);
		s->tries = 0;
		n += mdd_ledger_take(&l, s, 3000);
	}
	assert_int_equal(n, 40 / MDD_LEDGER_CREDIT);
}

/* ---- a worker --------------------------------------------------------------
 */

/* n packets of A; B keeps what it got in `got`, and loses none yet. */
static void
stream(struct world *x, uint16_t first, unsigned n, uint8_t got[][PEER_PACKET],
    size_t *len)
{
	uint8_t d[PEER_PACKET];
	unsigned i;
	size_t m;

	for (i = 0; i < n; i++) {
		m = world_rtp(&x->a, d, SSRC_A, (uint16_t)(first + i), "media");
		peer_send(&x->a, d, m);
		len[i] = peer_recv(&x->b, got[i], 128, 191, 1000);
		assert_int_equal(len[i], m);
	}
}

static void
test_nack_answered_with_the_same_octets(void **state)
{
	static uint8_t got[20][PEER_PACKET];
	struct world *x = *state;
	uint8_t d[PEER_PACKET], e[PEER_PACKET];
	const uint8_t *t;
	size_t len[20], n, tl;
	unsigned i;

	world_two(x);
	stream(x, 65530, 20, got, len);
	world_nack(&x->b, SSRC_B, SSRC_A, 65534, 0x0009); /* 65535, 2 */
	for (i = 0; i < 3; i++) {
		unsigned at = i == 0 ? 4 : i == 1 ? 5 : 8;

		n = peer_recv(&x->b, d, 128, 191, 500);
		assert_int_equal(n, len[at]);
		assert_memory_equal(d, got[at], n);
	}
	assert_int_equal(peer_recv(&x->b, d, 128, 191, 30), 0);
	assert_int_equal(x->w.count[MDD_RTX_SENT], 3);
	/* A receiver takes it once, and drops the second as a replay. */
	memcpy(e, got[0], len[0]);
	assert_true(peer_open_rtp(&x->b, e, len[0], &t, &tl) > 0);
	memcpy(e, got[8], len[8]);
	assert_true(peer_open_rtp(&x->b, e, len[8], &t, &tl) > 0);
	assert_int_equal(peer_open_rtp(&x->b, d, n, &t, &tl), PERC_ERR_REPLAY);
	/* Nobody else was troubled. */
	assert_int_equal(world_rtcp_in(&x->a, d, 30), 0);
}

/* One and the same may be asked for for ever; it comes three times. */
static void
test_nack_does_not_amplify(void **state)
{
	static uint8_t got[4][PEER_PACKET];
	struct world *x = *state;
	uint8_t d[PEER_PACKET];
	unsigned i, n = 0;
	size_t len[4];

	world_two(x);
	stream(x, 10, 4, got, len);
	for (i = 0; i < 30; i++) {
		world_nack(&x->b, SSRC_B, SSRC_A, 11, 0);
		n += peer_recv(&x->b, d, 128, 191, 5) > 0;
	}
	while (peer_recv(&x->b, d, 128, 191, 30) > 0)
		n++;
	assert_int_equal(n, MDD_RTX_TRIES);
	assert_int_equal(x->w.count[MDD_RTX_SENT], MDD_RTX_TRIES);
	assert_int_equal(x->w.count[MDD_RTX_DAMPED], 30 - MDD_RTX_TRIES);
}

/* What the worker itself lacks is asked of its sender: once for B and C, and
 * for what was there and is gone nobody is asked. */
static void
test_nack_to_the_source_is_merged(void **state)
{
	struct world *x = *state;
	uint8_t d[PEER_PACKET], lost[PEER_PACKET];
	size_t n, lostlen;
	unsigned i;

	world_two(x);
	world_join(x, &x->c, "m_c", SSRC_C);
	assert_true(peer_connect(&x->c, 3000));
	world_wait(x, 20);
	while (world_rtcp_in(&x->a, d, 20) > 0)
		;
	n = world_rtp(&x->a, d, SSRC_A, 1, "x");
	peer_send(&x->a, d, n);
	lostlen = world_rtp(&x->a, lost, SSRC_A, 2, "lost on the way up");
	n = world_rtp(&x->a, d, SSRC_A, 3, "x");
	peer_send(&x->a, d, n);
	for (i = 0; i < 2; i++)
		assert_true(peer_recv(&x->b, d, 128, 191, 500) > 0 &&
		    peer_recv(&x->c, d, 128, 191, 500) > 0);
	world_nack(&x->b, SSRC_B, SSRC_A, 2, 0);
	world_nack(&x->c, SSRC_C, SSRC_A, 2, 0);
	n = world_rtcp_in(&x->a, d, 500);
	assert_int_equal(n, 24);
	assert_memory_equal(d,
	    "\x80\xc9\0\1\0\0\0\1\x81\xcd\0\3\0\0\0\1\x11\x11\x11\x11\0\2\0\0",
	    24);
	assert_int_equal(world_rtcp_in(&x->a, d, 40), 0); /* once */
	peer_send(&x->a, lost, lostlen); /* its sender mends it */
	assert_int_equal(peer_recv(&x->b, d, 128, 191, 500), lostlen);
	assert_int_equal(peer_recv(&x->c, d, 128, 191, 500), lostlen);
	world_nack(&x->b, SSRC_B, SSRC_A, 500, 0xffff); /* never was */
	assert_int_equal(world_rtcp_in(&x->a, d, 60), 0);
}

/* A gap is seen before anybody asks. */
static void
test_gap_is_asked_for_by_itself(void **state)
{
	struct world *x = *state;
	uint8_t d[PEER_PACKET];
	size_t n;

	world_two(x);
	n = world_rtp(&x->a, d, SSRC_A, 1, "x");
	peer_send(&x->a, d, n);
	n = world_rtp(&x->a, d, SSRC_A, 4, "x");
	peer_send(&x->a, d, n);
	n = world_rtcp_in(&x->a, d, 500);
	assert_int_equal(n, 24);
	assert_memory_equal(d + 16, "\x11\x11\x11\x11\0\2\0\1", 8);
}

/* The cache is the leg's, not its address's. */
static void
test_cache_survives_a_move(void **state)
{
	static uint8_t got[4][PEER_PACKET];
	struct world *x = *state;
	uint8_t d[PEER_PACKET];
	struct peer other;
	size_t len[4];
	int fd;

	world_two(x);
	stream(x, 10, 4, got, len);
	peer_open(&other);
	fd = x->b.fd;
	x->b.fd = other.fd;
	assert_true(peer_stun(&x->b, x->b.pwd, true));
	(void)peer_recv(&x->b, d, 1, 0, 30); /* and answers the check */
	world_nack(&x->b, SSRC_B, SSRC_A, 12, 0);
	assert_int_equal(peer_recv(&x->b, d, 128, 191, 500), len[2]);
	assert_memory_equal(d, got[2], len[2]);
	x->b.fd = fd;
	peer_close(&other);
}

/* New end-to-end keys are none of a distributor's business, new hop keys are:
 * what went out under the old ones goes again under the new ones, as a packet
 * that their window has not seen. */
static void
test_cache_survives_a_rekey(void **state)
{
	static uint8_t got[4][PEER_PACKET];
	struct world *x = *state;
	struct mdd_leg *leg;
	uint8_t d[PEER_PACKET], key[16] = "another hop key", salt[12] = "salt";
	const uint8_t *t;
	size_t len[4], tl, n;

	world_two(x);
	stream(x, 10, 4, got, len);
	leg = world_leg(x, &x->b);
	perc_srtp_free(leg->tx);
	perc_srtp_free(x->b.rx);
	leg->keys++;
	assert_int_equal(
	    perc_srtp_new(&leg->tx, PERC_AEAD_AES_128_GCM, key, salt, 8, 256),
	    0);
	assert_int_equal(
	    perc_srtp_new(&x->b.rx, PERC_AEAD_AES_128_GCM, key, salt, 8, 256),
	    0);
	world_nack(&x->b, SSRC_B, SSRC_A, 12, 0);
	n = peer_recv(&x->b, d, 128, 191, 500);
	assert_int_equal(n, len[2]);
	assert_memory_not_equal(d, got[2], n);
	assert_true(peer_open_rtp(&x->b, d, n, &t, &tl) > 0);
	assert_memory_equal(d + 12, "media", 5);
}

/* Were the kept copy another one than was sent, nothing would leave. */
static void
test_nothing_else_leaves_under_a_spent_nonce(void **state)
{
	static uint8_t got[4][PEER_PACKET];
	struct world *x = *state;
	uint8_t d[PEER_PACKET];
	struct mdd_kept k;
	size_t len[4];

	world_two(x);
	stream(x, 10, 4, got, len);
	assert_true(mdd_rtx_get(x->w.rtx, 3, perc_now_ms(), &k));
	((uint8_t *)(uintptr_t)k.p)[k.n - 20] ^= 1;
	world_nack(&x->b, SSRC_B, SSRC_A, 12, 0);
	assert_int_equal(peer_recv(&x->b, d, 128, 191, 50), 0);
	assert_int_equal(x->w.count[MDD_RTX_MISSED], 1);
}

/* One in ten is lost on the way down, of what is sent again too; a receiver
 * that asks has everything in the end. */
static void
test_lossy_receiver_is_made_whole(void **state)
{
	struct world *x = *state;
	struct perc_gaps g = { 0 };
	uint8_t d[PEER_PACKET], have[400] = { 0 };
	uint16_t seq[32];
	unsigned i, j, n, whole = 0;
	const uint8_t *t;
	size_t m, tl;

	world_two(x);
	for (i = 0; i < 400 + 40; i++) {
		if (i < 400) {
			m = world_rtp(&x->a, d, SSRC_A, (uint16_t)i, "media");
			peer_send(&x->a, d, m);
		}
		while ((m = peer_recv(&x->b, d, 128, 191, 1)) > 0) {
			if (i > 0 && i < 399 && rnd() % 10 == 0)
				continue;
			if (peer_open_rtp(&x->b, d, m, &t, &tl) > 0) {
				n = (unsigned)(d[2] << 8 | d[3]);
				have[n] = 1;
				perc_gaps_packet(
				    &g, (uint16_t)n, perc_now_ms());
			}
		}
		n = perc_gaps_due(&g, perc_now_ms(), 5, seq, 32);
		for (j = 0; j < n; j++)
			world_nack(&x->b, SSRC_B, SSRC_A, seq[j], 0);
	}
	for (i = 0; i < 400; i++)
		whole += have[i];
	assert_int_equal(whole, 400);
	assert_true(x->w.count[MDD_RTX_SENT] > 20);
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, world_open, world_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_ring_off),
		cmocka_unit_test(test_ring_keeps_to_few_pages),
		cmocka_unit_test(test_ledger_bounds),
		WITH(test_nack_answered_with_the_same_octets),
		WITH(test_nack_does_not_amplify),
		WITH(test_nack_to_the_source_is_merged),
		WITH(test_gap_is_asked_for_by_itself),
		WITH(test_cache_survives_a_move),
		WITH(test_cache_survives_a_rekey),
		WITH(test_nothing_else_leaves_under_a_spent_nonce),
		WITH(test_lossy_receiver_is_made_whole),
	};

	return cmocka_run_group_tests_name("rtx", tests, NULL, NULL);
}
