/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The estimator and the pacer on links made here, with the clock in hand: one
 * that carries so much and drops what is more than its queue, one whose queue
 * is as good as endless (a home router), one that loses at random.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mdd/bwe.h"
#include "mdd/pace.h"

#define PACKET 1200

static uint32_t seed = 9;

static uint32_t
rnd(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

struct link {
	uint64_t bps;
	int64_t queue_us; /* longer than that is dropped */
	unsigned loss;	  /* of 1000, at random */
	int64_t now_us;
	int64_t free_us; /* when its last octet is through */
	unsigned dropped, sent;
	int64_t worst_us;
	int64_t stall_us, stall_end_us; /* who receives stands still until */
};

/* When a packet arrives; 0: it is lost. */
static int64_t
link_send(struct link *l, int64_t now_us, unsigned octets)
{
	int64_t at = l->free_us > now_us ? l->free_us : now_us;

	l->sent++;
	if (at - now_us > l->queue_us || rnd() % 1000 < l->loss) {
		l->dropped++;
		return 0;
	}
	if (at - now_us > l->worst_us)
		l->worst_us = at - now_us;
	l->free_us = at + (int64_t)octets * 8 * 1000000 / (int64_t)l->bps;
	at = l->free_us + 20000;
	return at >= l->stall_us && at < l->stall_end_us ? l->stall_end_us : at;
}

/* A sender that offers `offer` bits a second at most and what is estimated
 * else, feedback each 50 ms; the estimate's mean over the last third. */
static uint64_t
run(struct mdd_bwe *b, struct link *l, uint64_t offer, unsigned seconds)
{
	static struct {
		int64_t sent, at;
	} air[4000];
	unsigned n = 0, i, kept, lost;
	int64_t now, start = l->now_us == 0 ? 1000000 : l->now_us;
	int64_t next = start, fb = start;
	int64_t end = start + (int64_t)seconds * 1000000;
	uint64_t rate, sum = 0, count = 0;

	l->now_us = end;
	for (now = start; now < end; now += 1000) {
		while (next <= now && n < 4000) {
			air[n].sent = next;
			air[n++].at = link_send(l, next, PACKET);
			rate = offer != 0 && offer < b->bps ? offer : b->bps;
			next += PACKET * 8 * 1000000ll / (int64_t)rate;
		}
		if (now < fb)
			continue;
		fb = now + 50000;
		for (i = kept = lost = 0; i < n; i++)
			if (air[i].at == 0)
				lost++;
			else if (air[i].at > now - 20000)
				air[kept++] = air[i];
			else
				mdd_bwe_came(b, air[i].sent, air[i].at, PACKET);
		n = kept;
		mdd_bwe_lost(b, lost);
		b->bps = mdd_bwe_update(b, now / 1000, 40);
		if (now > end - (end - start) / 3) {
			sum += b->bps;
			count++;
		}
	}
	return sum / count;
}

/* The rate is found from above and from below, and the queue stays short. */
static void
test_fixed_link(void **state)
{
	static const uint64_t rates[] = { 300000, 1000000, 5000000 };
	struct mdd_bwe b;
	uint64_t got;
	unsigned i;

	for (i = 0; i < 3; i++) {
		struct link l = { .bps = rates[i], .queue_us = 300000 };

		mdd_bwe_init(&b);
		got = run(&b, &l, 0, 60);
		print_message("# link %u kbit/s: estimate %u, worst queue "
			      "%u ms, lost %u of %u\n",
		    (unsigned)(rates[i] / 1000), (unsigned)(got / 1000),
		    (unsigned)(l.worst_us / 1000), l.dropped, l.sent);
		assert_in_range(got, rates[i] / 2, rates[i] * 115 / 100);
		/* most of it before the first feedback */
		assert_true(l.dropped < l.sent / 8);
	}
}

/* A queue of five seconds: delay tells, for nothing is ever lost. */
static void
test_bufferbloat(void **state)
{
	struct link l = { .bps = 1000000, .queue_us = 5000000 };
	struct mdd_bwe b;
	uint64_t got;

	mdd_bwe_init(&b);
	(void)run(&b, &l, 0, 20);
	l.worst_us = 0; /* when it has found its rate */
	got = run(&b, &l, 0, 40);
	print_message("# bufferbloat: estimate %u, worst queue %u ms\n",
	    (unsigned)(got / 1000), (unsigned)(l.worst_us / 1000));
	assert_in_range(got, 500000, 1150000);
	assert_true(l.worst_us < 1000000);
}

/* A few lost at random are no reason to slow down; a quarter is. */
static void
test_random_loss(void **state)
{
	struct link few = { .bps = 50000000, .queue_us = 300000, .loss = 20 };
	struct link many = { .bps = 50000000, .queue_us = 300000, .loss = 250 };
	struct mdd_bwe b;

	mdd_bwe_init(&b);
	assert_true(run(&b, &few, 1500000, 30) > 1500000);
	mdd_bwe_init(&b);
	assert_true(run(&b, &many, 0, 30) < 1000000);
	assert_true(b.bps >= MDD_BWE_MIN);
}

/* Half the link goes, and comes back. */
static void
test_link_changes(void **state)
{
	struct link l = { .bps = 4000000, .queue_us = 400000 };
	struct mdd_bwe b;
	uint64_t high, low, again;

	mdd_bwe_init(&b);
	high = run(&b, &l, 0, 40);
	l.bps = 800000;
	low = run(&b, &l, 0, 40);
	l.bps = 4000000;
	again = run(&b, &l, 0, 120);
	print_message("# 4000 -> 800 -> 4000 kbit/s: %u %u %u\n",
	    (unsigned)(high / 1000), (unsigned)(low / 1000),
	    (unsigned)(again / 1000));
	assert_in_range(high, 2000000, 4600000);
	assert_in_range(low, 400000, 920000);
	assert_in_range(again, 2000000, 4600000);
}

/*
 * A receiver that stands still for a while, as on a machine that does
 * something else: all that came meanwhile comes at once then. That is no
 * narrow road, and within two seconds all that was sent before fits again.
 */
static void
test_stalls(void **state)
{
	static const uint64_t offers[] = { 500000, 2000000, 10000000 };
	static const unsigned stalls[] = { 50, 150, 300, 1000 };
	struct link l;
	struct mdd_bwe b;
	uint64_t least;
	unsigned i, k, at;

	for (i = 0; i < 3; i++)
		for (k = 0; k < 4; k++) {
			l = (struct link){ .bps = 2 * offers[i],
				.queue_us = 300000 };
			mdd_bwe_init(&b);
			b.bps = 2 * offers[i];
			least = UINT64_MAX;
			for (at = 0; at < 20; at++) {
				(void)run(&b, &l, offers[i], 3);
				if (at > 0 && b.bps < least)
					least = b.bps;
				l.stall_us = l.now_us + 100000 + 1700 * at;
				l.stall_end_us = l.stall_us + stalls[k] * 1000;
			}
			print_message("# %u kbit/s, stalls of %u ms: least "
				      "%u kbit/s 2 s after%s\n",
			    (unsigned)(offers[i] / 1000), stalls[k],
			    (unsigned)(least / 1000), b.slow ? ", cut" : "");
			assert_true(least >= offers[i]);
			assert_int_equal(l.dropped, 0);
		}
}

/* But what stands still now and then and is narrow is found narrow. */
static void
test_stalls_hide_no_queue(void **state)
{
	struct link l = { .bps = 1600000, .queue_us = 2000000 };
	struct mdd_bwe b;
	uint64_t got = 0;
	unsigned i;

	mdd_bwe_init(&b);
	b.bps = 4000000;
	for (i = 0; i < 20; i++) {
		got = run(&b, &l, 2000000, 3);
		if (i == 10)
			l.worst_us = 0;
		l.stall_us = l.now_us + 100000 + 1700 * i;
		l.stall_end_us = l.stall_us + 300000;
	}
	print_message("# 1600 kbit/s that stand still: estimate %u, worst "
		      "queue %u ms\n",
	    (unsigned)(got / 1000), (unsigned)(l.worst_us / 1000));
	assert_in_range(got, 800000, 1600000 * 115 / 100);
	assert_true(l.worst_us < 1000000);
}

/* What is sent is less than the link: the estimate may be above it, so that a
 * better layer is tried, and is bounded. */
static void
test_application_limited(void **state)
{
	struct link l = { .bps = 20000000, .queue_us = 300000 };
	struct mdd_bwe b;
	uint64_t got;

	mdd_bwe_init(&b);
	got = run(&b, &l, 300000, 120);
	assert_in_range(got, 600000, 300000 * 9 + 100000);
}

static void
test_reports(void **state)
{
	struct mdd_bwe b;
	uint64_t bps = 1;
	unsigned i;

	mdd_bwe_init(&b);
	assert_int_equal(mdd_bwe_report(&b, 0, 0, 1000000, 1000), 0);
	assert_int_equal(mdd_bwe_report(&b, 0, 700000, 1000000, 2000), 700000);
	bps = mdd_bwe_report(&b, 77, 0, 1000000, 3000); /* 30 % */
	assert_in_range(bps, 800000, 900000);
	for (i = 0; i < 40; i++)
		bps = mdd_bwe_report(&b, 128, 0, 1000000, 4000 + i * 1000);
	assert_in_range(bps, MDD_BWE_MIN, 100000);
	for (i = 0; bps != 0 && i < 300; i++)
		bps = mdd_bwe_report(&b, 0, 0, 200000, 50000 + i * 1000);
	assert_int_equal(bps, 0); /* it is over, and forgotten */
}

/* Feedback is a stranger's: whatever it says, the estimate stays in bounds. */
static void
test_lies(void **state)
{
	struct mdd_bwe b;
	int64_t t = 1000000;
	unsigned i;

	mdd_bwe_init(&b);
	for (i = 0; i < 200000; i++) {
		t += rnd() % 20000;
		mdd_bwe_came(&b, t,
		    rnd() % 3 == 0 ? (int64_t)rnd() << (rnd() % 20)
				   : t + rnd() % 50000,
		    rnd() % 2000);
		mdd_bwe_lost(&b, rnd() % 3);
		if (i % 7 == 0)
			b.bps = mdd_bwe_update(&b, t / 1000, rnd() % 500);
		assert_in_range(b.bps, MDD_BWE_MIN, MDD_BWE_MAX);
	}
}

/* ---- the pacer
 * ---------------------------------------------------------------
 */

static void
pace_open(struct mdd_pace *p)
{
	static struct mdd_pace_item items[MDD_PACE_QUEUE];

	mdd_pace_init(p, items, MDD_PACE_QUEUE);
}

static struct mdd_pace_item
item(unsigned i, int64_t now_us)
{
	return (struct mdd_pace_item){
		.number = i + 1, .octets = PACKET, .at_ms = now_us / 1000
	};
}

/* A key frame of 100 packets at once, every second, into 1 Mbit/s: no more
 * than the burst leaves in any 10 ms, in order, and all of it within the
 * second. */
static void
test_pace_spreads_a_burst(void **state)
{
	struct mdd_pace p;
	struct mdd_pace_item x;
	uint64_t stale = 0, window = 0, worst = 0;
	unsigned i, out = 0, last = 0;
	int64_t now;

	pace_open(&p);
	mdd_pace_rate(&p, 1000000);
	for (now = 1000000; now < 1400000; now += 1000) {
		if (now == 1000000)
			for (i = 0; i < 60; i++) {
				x = item(i, now);
				if (mdd_pace_now(&p, PACKET, false, now)) {
					last = x.number;
					window += PACKET;
					out++;
				} else
					assert_true(mdd_pace_put(&p, &x));
			}
		while (mdd_pace_take(&p, &x, now, &stale)) {
			assert_int_equal(x.number, last + 1);
			last = x.number;
			window += PACKET;
			out++;
		}
		if (now % 10000 == 0) {
			worst = window > worst ? window : worst;
			window = 0;
		}
	}
	assert_int_equal(out, 60);
	assert_int_equal(stale, 0);
	assert_true(worst <= MDD_PACE_BURST + 2 * PACKET + 2500);
}

/* Sound goes first, though pictures wait. */
static void
test_pace_sound_does_not_wait(void **state)
{
	struct mdd_pace p;
	struct mdd_pace_item x = item(0, 1000000);
	unsigned i, now = 0;

	pace_open(&p);
	mdd_pace_rate(&p, 300000);
	for (i = 0; i < 50; i++)
		if (mdd_pace_now(&p, PACKET, false, 1000000))
			now++;
		else
			assert_true(mdd_pace_put(&p, &x));
	assert_in_range(now, 4, 6);
	assert_true(mdd_pace_now(&p, 160, true, 1000000));
	assert_false(mdd_pace_now(&p, 160, false, 1000000));
}

/* Queue and age are bounded; without an estimate nothing waits. */
static void
test_pace_bounds(void **state)
{
	struct mdd_pace p;
	struct mdd_pace_item x = item(0, 1000000);
	uint64_t stale = 0;
	unsigned i, n = 0;

	pace_open(&p);
	for (i = 0; i < 1000; i++)
		assert_true(mdd_pace_now(&p, PACKET, false, 1000000));
	mdd_pace_rate(&p, 100000);
	for (i = 0; i < 1000; i++)
		if (!mdd_pace_now(&p, PACKET, false, 1000000))
			n += mdd_pace_put(&p, &x);
	assert_int_equal(n, MDD_PACE_QUEUE);
	assert_false(mdd_pace_take(
	    &p, &x, 1000000 + (MDD_PACE_AGE_MS + 1) * 1000, &stale));
	assert_int_equal(stale, MDD_PACE_QUEUE);
	assert_int_equal(p.n, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixed_link),
		cmocka_unit_test(test_bufferbloat),
		cmocka_unit_test(test_random_loss),
		cmocka_unit_test(test_link_changes),
		cmocka_unit_test(test_stalls),
		cmocka_unit_test(test_stalls_hide_no_queue),
		cmocka_unit_test(test_application_limited),
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_pace_spreads_a_burst),
		cmocka_unit_test(test_pace_sound_does_not_wait),
		cmocka_unit_test(test_pace_bounds),
	};

	return cmocka_run_group_tests_name("bwe", tests, NULL, NULL);
}
