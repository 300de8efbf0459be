/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The epoch engine against a model that knows nothing but the promises of
 * kmf/rekey.h: random histories of joins, leaves, evictions, hosts' rekeys,
 * leases that are lost together, crashes, clocks that are set, and pauses;
 * after every step every promise is looked at.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/rekey.h"

#define PEOPLE 12
#define EPOCHS 4096

struct model { /* who is in, and who may know which epoch */
	struct kmf_rekey r;
	struct kmf_policy p;
	int64_t now;
	bool live[PEOPLE];
	int64_t joined[PEOPLE], left[PEOPLE]; /* left 0: never */
	bool evicted[PEOPLE];
	uint8_t knows[EPOCHS][PEOPLE];
	int64_t made[EPOCHS];
	unsigned epochs, rosters;
	uint32_t roster_epoch;
	bool seen_spi[KMF_SPIS];
};

static uint64_t seed;

/* A rekey at each coming and going, at most one in each window. */
static struct kmf_policy
windows(uint32_t join_ms, uint32_t leave_ms, uint32_t max_age_s)
{
	return (struct kmf_policy){ .rekey_on_leave = true,
		.rekey_on_join = true,
		.join_window_ms = join_ms,
		.leave_window_ms = leave_ms,
		.max_epoch_age_s = max_age_s,
		.lease_s = 15 };
}

static uint32_t
rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 20) % n;
}

static unsigned
live(const struct model *m)
{
	unsigned i, n = 0;

	for (i = 0; i < PEOPLE; i++)
		n += m->live[i];
	return n;
}

/* What the keeper does with orders. */
static void
obey(struct model *m, unsigned orders)
{
	unsigned i, spi, guard = 0;

	for (; orders != 0;
	     orders = kmf_rekey_tick(&m->r, &m->p, m->now, live(m))) {
		assert_true(guard++ < 4); /* orders come to an end */
		assert_false(orders & KMF_DO_END);
		if (orders & KMF_DO_EPOCH) {
			kmf_rekey_made(&m->r, m->now);
			assert_true(m->r.epoch < EPOCHS);
			m->made[m->r.epoch] = m->now;
			m->epochs++;
			spi = kmf_rekey_spi(&m->r, m->r.epoch);
			assert_false(m->seen_spi[spi]);
			m->seen_spi[spi] = true;
			for (i = 0; i < PEOPLE; i++)
				m->knows[m->r.epoch][i] |= m->live[i];
		} else {
			kmf_rekey_signed(&m->r, m->now);
			m->rosters++;
			m->roster_epoch = m->r.epoch;
		}
	}
}

static void
join(struct model *m, unsigned who)
{
	uint32_t before = m->r.epoch;
	int64_t made_ms = m->r.epoch_ms;
	unsigned orders;

	m->live[who] = true;
	m->joined[who] = m->now;
	orders = kmf_rekey_join(&m->r, &m->p, m->now, live(m));
	obey(m, orders);
	m->knows[m->r.epoch][who] = 1; /* is given the newest */
	assert_true(m->r.epoch_ms != 0);
	/* Reads at most join_window_ms of the past. */
	if (m->p.rekey_on_join)
		assert_true(m->now - m->made[m->r.epoch] == 0 ||
		    m->now - m->made[m->r.epoch] <
			(int64_t)m->p.join_window_ms);
	else if (made_ms != 0) /* a recording may be shared: it is */
		assert_int_equal(m->r.epoch, before);
	/* Who comes within the window shares the newest: none is younger. */
	if (m->r.epoch > before && made_ms != 0)
		assert_true(m->now - made_ms >= (int64_t)m->p.join_window_ms);
}

static void
leave(struct model *m, unsigned who, bool evict)
{
	bool at_once = evict && m->r.epoch_ms != 0 &&
	    m->now - m->r.epoch_ms >= (int64_t)m->p.leave_window_ms;
	uint32_t before = m->r.epoch;

	m->live[who] = false;
	m->left[who] = m->now;
	m->evicted[who] = evict;
	obey(m,
	    evict ? kmf_rekey_evict(&m->r, &m->p, m->now, live(m))
		  : kmf_rekey_leave(&m->r, &m->p, m->now, live(m)));
	/* An eviction does not wait for the window of a leave. */
	if (at_once && live(m) > 0)
		assert_true(m->r.epoch > before);
}

static void
check(struct model *m)
{
	int64_t due = kmf_rekey_due(&m->r, &m->p, live(m)), since;
	unsigned i;

	if (live(m) == 0) {
		assert_int_equal(m->r.epoch_ms, 0); /* nothing to renew */
		assert_int_equal(due, 0);
		return;
	}
	assert_true(due > m->now); /* all that was due is done */
	assert_true(
	    m->now - m->r.epoch_ms <= (int64_t)m->p.max_epoch_age_s * 1000);
	/* The roster is of this epoch, and signed again in time. */
	assert_int_equal(m->roster_epoch, m->r.epoch);
	assert_true(due <= m->now + KMF_ROSTER_PERIOD_MS);
	for (i = 0; i < PEOPLE; i++) {
		if (m->live[i]) { /* everybody there knows the newest */
			assert_true(m->knows[m->r.epoch][i]);
			continue;
		}
		if (m->left[i] == 0)
			continue;
		/* Who could get it was on its roster: here when it was made,
		 * or since. */
		if (m->knows[m->r.epoch][i])
			assert_true(m->left[i] >= m->made[m->r.epoch]);
		since = m->now - m->left[i];
		if (m->evicted[i] ||
		    (m->p.rekey_on_leave && m->left[i] > m->joined[i]))
			assert_true(since <= (int64_t)m->p.leave_window_ms ||
			    !m->knows[m->r.epoch][i]);
	}
}

/* Time moves from due to due, as the keeper's timer does it. */
static void
pass(struct model *m, int64_t ms)
{
	int64_t until = m->now + ms, due;

	for (;;) {
		due = kmf_rekey_due(&m->r, &m->p, live(m));
		if (due == 0 || due > until)
			break;
		if (due > m->now)
			m->now = due;
		obey(m, kmf_rekey_tick(&m->r, &m->p, m->now, live(m)));
	}
	m->now = until;
}

/* A host asks for a new key: nobody leaves, and within leave_window_ms there
 * is one. */
static void
ask_rekey(struct model *m)
{
	uint32_t before = m->r.epoch;

	if (live(m) == 0)
		return;
	obey(m, kmf_rekey_evict(&m->r, &m->p, m->now, live(m)));
	pass(m, m->p.leave_window_ms);
	assert_true(m->r.epoch > before);
}

/* Half of them fall silent, and their leases end in the same turn: at most
 * one epoch shuts them out. */
static void
lose_leases(struct model *m)
{
	uint32_t before = m->r.epoch;
	bool waiting = m->r.rekey_ms != 0;
	unsigned i;

	for (i = 0; i < PEOPLE; i++)
		if (m->live[i] && i % 2 == 0)
			leave(m, i, false);
	pass(m, m->p.leave_window_ms);
	if (m->p.leave_window_ms > 0 && live(m) > 0)
		assert_true(m->r.epoch <= before + 1 + waiting);
}

/* The process dies: what was written stays, as kmf/room.c loads it, and the
 * first turn comes a while later. */
static void
crash(struct model *m)
{
	const struct kmf_rekey row = m->r;
	uint32_t before = row.epoch;

	memset(&m->r, 0xff, sizeof(m->r));
	m->r = (struct kmf_rekey){ .epoch = row.epoch,
		.spi_start = row.spi_start,
		.spi_step = row.spi_step,
		.epoch_ms = row.epoch_ms,
		.rekey_ms = row.rekey_ms,
		.roster_ms = row.roster_ms };
	m->now += rnd(30000);
	obey(m, kmf_rekey_tick(&m->r, &m->p, m->now, live(m)));
	assert_true(m->r.epoch <= before + 1); /* no storm */
}

/* The clock is set: as db_clock_recover() has it. What is checked by age is
 * moved with it. */
static void
set_clock(struct model *m)
{
	int64_t step = (int64_t)rnd(2000000) - 1000000;
	uint32_t before = m->r.epoch;
	unsigned i;

	m->now += step;
	if (step < 0)
		for (i = 0; i < PEOPLE; i++) {
			m->left[i] += m->left[i] != 0 ? step : 0;
			m->joined[i] += step;
		}
	if (m->r.epoch_ms == 0)
		return;
	for (i = 0; i < EPOCHS && step < 0; i++)
		m->made[i] += step;
	m->r.epoch_ms += step < 0 ? step : 0;
	if (m->r.epoch_ms > m->now)
		m->r.epoch_ms = m->now;
	if (m->r.rekey_ms > m->now)
		m->r.rekey_ms = m->now;
	if (m->r.roster_ms > m->now)
		m->r.roster_ms = m->now;
	obey(m, kmf_rekey_tick(&m->r, &m->p, m->now, live(m)));
	assert_true(m->r.epoch <= before + 1);
}

static void
history(uint64_t s)
{
	static struct model m;
	unsigned step, who;

	seed = s * 0x9e3779b97f4a7c15u + 1;
	memset(&m, 0, sizeof(m));
	m.now = INT64_C(1800000000000);
	m.r.spi_start = (uint16_t)rnd(65536);
	m.r.spi_step = (uint16_t)rnd(65536) | 1;
	m.p = (struct kmf_policy){ .rekey_on_join = rnd(4) != 0,
		.rekey_on_leave = rnd(4) != 0,
		.join_window_ms = rnd(3000),
		.leave_window_ms = rnd(500),
		.max_epoch_age_s = 5 + rnd(60) };
	for (step = 0; step < 400; step++) {
		who = rnd(PEOPLE);
		if (m.live[who])
			leave(&m, who, rnd(3) == 0);
		else
			join(&m, who);
		check(&m);
		switch (rnd(40)) {
		case 0:
			ask_rekey(&m);
			break;
		case 1:
			lose_leases(&m);
			break;
		case 2:
			crash(&m);
			break;
		case 3:
			set_clock(&m);
			break;
		}
		check(&m);
		pass(&m, rnd(4) == 0 ? rnd(20000) : rnd(300));
		check(&m);
	}
}

static void
test_REQ_W_5_promises_hold_in_any_history(void **state)
{
	uint64_t s;

	for (s = 1; s <= 400; s++)
		history(s);
}

/* REQ-V-3: n joins within the window cost one epoch. */
static void
test_REQ_V_3_burst(void **state)
{
	static struct model m;
	unsigned i;

	memset(&m, 0, sizeof(m));
	m.now = 1000;
	m.r.spi_step = 1;
	m.p = windows(2000, 250, 300);
	for (i = 0; i < PEOPLE; i++) {
		join(&m, i);
		pass(&m, 100);
	}
	assert_int_equal(m.epochs, 1);
	assert_true(m.rosters > 1 && m.rosters <= PEOPLE + 1);
	/* REQ-V-4: and n leaves too */
	for (i = 1; i < PEOPLE; i++) {
		leave(&m, i, false);
		pass(&m, 10);
	}
	pass(&m, 250);
	assert_int_equal(m.epochs, 2);
	/* evictions in quick succession: one at once, one at the end */
	for (i = 1; i < PEOPLE; i++)
		join(&m, i);
	pass(&m, 1000);
	m.epochs = 0;
	for (i = 1; i < PEOPLE - 1; i++) {
		leave(&m, i, true);
		pass(&m, 10);
	}
	pass(&m, 250);
	assert_int_equal(m.epochs, 2);
}

/* join_window_ms 0: strictly nothing of the past, even within one ms. */
static void
test_no_window_no_past(void **state)
{
	static struct model m;

	memset(&m, 0, sizeof(m));
	m.now = 1000;
	m.r.spi_step = 3;
	m.p = windows(0, 0, 300);
	join(&m, 0);
	join(&m, 1);
	assert_int_equal(m.r.epoch, 2);
	assert_false(m.knows[1][1]);
}

/* All 65,536 SPIs, each once; then the conference must end. */
static void
test_spi_walk_has_full_period(void **state)
{
	struct kmf_rekey r = { .spi_start = 0xbeef, .spi_step = 0x1235 };
	struct kmf_policy p = windows(0, 0, 300);
	static bool seen[KMF_SPIS];
	int64_t now = 1;
	int i;

	for (i = 0; i < KMF_SPIS; i++) {
		assert_int_equal(
		    kmf_rekey_join(&r, &p, ++now, 1), KMF_DO_EPOCH);
		kmf_rekey_made(&r, now);
		assert_false(seen[kmf_rekey_spi(&r, r.epoch)]);
		seen[kmf_rekey_spi(&r, r.epoch)] = true;
	}
	assert_int_equal(kmf_rekey_join(&r, &p, ++now, 1), KMF_DO_END);
}

/* So many at once, then one every so often, whoever asks when. */
static void
test_bucket_is_bounded(void **state)
{
	static const struct kmf_bucket b = KMF_JOINS;
	int64_t full = 0, wait, start, now = 1000000;
	unsigned taken, round;

	for (taken = 0; kmf_bucket_take(&full, &b, now) == 0; taken++)
		assert_true(taken < 100);
	assert_int_equal(taken, b.burst);
	assert_int_equal(kmf_bucket_take(&full, &b, now), b.every_ms);
	/* what it says to wait is what it takes */
	assert_true(kmf_bucket_take(&full, &b, now + b.every_ms - 1) != 0);
	assert_int_equal(kmf_bucket_take(&full, &b, now + b.every_ms), 0);
	/* asking in vain costs nothing; any pattern stays below the line */
	seed = 4711;
	for (round = 0; round < 50; round++) {
		full = taken = 0;
		start = now += 1000000;
		while (now < start + 600000) {
			wait = kmf_bucket_take(&full, &b, now);
			taken += wait == 0;
			now += wait != 0 && rnd(2) ? wait : (int64_t)rnd(9000);
		}
		assert_true(taken <= b.burst + (now - start) / b.every_ms + 1);
	}
	/* a clock that was set back by a year shuts nobody out for a year */
	full = now + 365 * 86400000LL;
	assert_true(kmf_bucket_take(&full, &b, now) <= b.every_ms);
	/* a debt is paid before the next comes in */
	full = 0;
	for (taken = 0; taken < b.burst + 3; taken++)
		kmf_bucket_spend(&full, &b, now);
	assert_int_equal(kmf_bucket_take(&full, &b, now), 4 * b.every_ms);
}

/*
 * Invited people who do nothing but come and go, as fast as they are let, for
 * the 31 days of the longest conference: the SPIs last, and each leaver is
 * shut out of the very next epoch.
 */
static void
marathon(unsigned people, struct kmf_policy p)
{
	static const struct kmf_bucket mine = KMF_JOINS, open = KMF_OPENINGS,
				       churn = KMF_CHURN;
	int64_t person[PEOPLE] = { 0 }, opened = 0, epochs = 0, now = 1;
	struct kmf_rekey r = { .spi_step = 1 };
	uint32_t had[PEOPLE] = { 0 }; /* newest epoch that each was given */
	unsigned i, live, orders, stuck = 0;
	bool in[PEOPLE] = { false };
	int64_t due, was;

	for (; now < 31 * 86400000LL; now += 700) {
		for (live = i = 0; i < PEOPLE; i++)
			live += in[i];
		due = kmf_rekey_due(&r, &p, live);
		while (due != 0 && due <= now) {
			orders = kmf_rekey_tick(&r, &p, due, live);
			if (orders & KMF_DO_EPOCH) {
				kmf_rekey_made(&r, due);
				for (i = 0; i < PEOPLE; i++)
					had[i] = in[i] ? r.epoch : had[i];
			} else if (orders & KMF_DO_ROSTER)
				kmf_rekey_signed(&r, due);
			assert_false(orders & KMF_DO_END);
			due = kmf_rekey_due(&r, &p, live);
		}
		i = rnd(people);
		if (in[i]) {
			in[i] = false;
			was = r.rekey_ms;
			orders = kmf_rekey_leave(&r, &p, now, live - 1);
			if (was == 0 && r.rekey_ms != 0)
				kmf_bucket_spend(&epochs, &churn, now);
			if (orders & KMF_DO_EPOCH)
				kmf_rekey_made(&r, now);
			continue;
		}
		if (kmf_bucket_take(&person[i], &mine, now) != 0 ||
		    (live == 0 && kmf_bucket_take(&opened, &open, now) != 0) ||
		    (kmf_rekey_join_needs(&r, &p, now) &&
			kmf_bucket_take(&epochs, &churn, now) != 0)) {
			stuck++;
			continue;
		}
		/* gone and back: never into an epoch it had left */
		if (live == 0)
			assert_true(kmf_rekey_join_needs(&r, &p, now));
		orders = kmf_rekey_join(&r, &p, now, live + 1);
		assert_false(orders & KMF_DO_END);
		if (orders & KMF_DO_EPOCH)
			kmf_rekey_made(&r, now);
		in[i] = true;
		had[i] = r.epoch;
	}
	assert_true(stuck > 0); /* it was the budget that held */
	assert_true(r.epoch > 10000 && r.epoch < KMF_SPIS);
}

static void
test_spis_last_whatever_people_do(void **state)
{
	seed = 99;
	/* alone: each coming opens the room anew */
	marathon(1, windows(2000, 250, 300));
	marathon(3, windows(0, 0, 300));
	marathon(PEOPLE, windows(2000, 250, 300));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bucket_is_bounded),
		cmocka_unit_test(test_spis_last_whatever_people_do),
		cmocka_unit_test(test_REQ_W_5_promises_hold_in_any_history),
		cmocka_unit_test(test_REQ_V_3_burst),
		cmocka_unit_test(test_no_window_no_past),
		cmocka_unit_test(test_spi_walk_has_full_period),
	};

	return cmocka_run_group_tests_name("rekey", tests, NULL, NULL);
}
