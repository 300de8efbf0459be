/* SPDX-License-Identifier: Apache-2.0 */
/* mdd/leg.c: pools, limits, who is found where, and whose SSRC it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mdd/leg.h"

static struct mdd_legs l;
static struct perc_loop *loop;
static unsigned gone[MDD_COUNTS];

static void
on_gone(struct mdd_leg *leg, enum mdd_count why, void *arg)
{
	assert_non_null(leg->room);
	gone[why]++;
}

static uint8_t from_ip; /* whose next joins are */

static int
setup(void **state)
{
	static const struct mdd_setup limits = { .max_legs = 6,
		.max_conferences = 2,
		.max_conference_legs = 4,
		.max_leg_pps = 100,
		.max_leg_kbps = 1000000,
		.idle_ms = 1000 };

	memset(gone, 0, sizeof(gone));
	from_ip = 0;
	assert_int_equal(perc_loop_new(&loop), 0);
	assert_int_equal(mdd_legs_init(&l, &limits, loop, on_gone, NULL), 0);
	return 0;
}

static int
teardown(void **state)
{
	mdd_legs_clear(&l);
	perc_loop_free(loop);
	return 0;
}

static int
join(const char *id, const char *conf, const char *member, uint32_t ssrc,
    struct mdd_leg **lp)
{
	struct mdd_join j = { .nssrcs = 1, .live_ms = 60000 };
	struct mdd_leg *leg;
	int r;

	j.from[0] = from_ip;

	strcpy(j.leg, id);
	strcpy(j.conference, conf);
	strcpy(j.member, member);
	j.ssrcs[0] = ssrc;
	if ((r = mdd_leg_join(&l, &j, 5000, &leg)) == 0 && lp != NULL)
		*lp = leg;
	return r;
}

static struct mdd_addr
addr(unsigned port)
{
	struct mdd_addr a = { .len = sizeof(struct sockaddr_in) };

	a.u.in.sin_family = AF_INET;
	a.u.in.sin_port = htons((uint16_t)port);
	a.u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static void
test_found_and_lost(void **state)
{
	struct mdd_addr a1 = addr(1), a2 = addr(2), six = { .len = 28 };
	struct mdd_leg *x, *y;

	assert_int_equal(join("l_1", "k/c", "m_1", 11, &x), 0);
	assert_int_equal(join("l_2", "k/c", "m_2", 12, &y), 0);
	assert_int_equal(join("l_1", "k/c", "m_3", 13, NULL), PERC_ERR_EXISTS);
	assert_ptr_equal(mdd_leg_by_id(&l, "l_1"), x);
	assert_null(mdd_leg_by_id(&l, "l_3"));
	assert_ptr_equal(mdd_leg_by_ufrag(&l, y->ufrag, 8), y);
	assert_null(mdd_leg_by_ufrag(&l, y->ufrag, 7));
	assert_string_not_equal(x->pwd, y->pwd);
	assert_null(mdd_leg_by_addr(&l, &a1));
	mdd_leg_bind(&l, x, &a1);
	assert_int_equal(x->state, MDD_LEG_PROVEN);
	assert_ptr_equal(mdd_leg_by_addr(&l, &a1), x);
	mdd_leg_bind(&l, y, &a1); /* the newer proof counts */
	assert_ptr_equal(mdd_leg_by_addr(&l, &a1), y);
	assert_int_equal(x->addr.len, 0);
	mdd_leg_bind(&l, y, &a2);
	assert_null(mdd_leg_by_addr(&l, &a1));
	assert_ptr_equal(mdd_leg_by_addr(&l, &a2), y);
	six.u.in6.sin6_family = AF_INET6;
	six.u.in6.sin6_port = htons(2);
	assert_null(mdd_leg_by_addr(&l, &six));
	mdd_leg_end(&l, y, MDD_LEGS_LEFT);
	assert_null(mdd_leg_by_addr(&l, &a2));
	assert_null(mdd_leg_by_id(&l, "l_2"));
	assert_int_equal(l.n, 1);
	mdd_leg_end(&l, x, MDD_LEGS_LEFT);
	assert_int_equal(l.nrooms, 0);
	assert_int_equal(gone[MDD_LEGS_LEFT], 2);
}

static void
test_limits(void **state)
{
	char id[16], m[16];
	unsigned i;

	for (i = 0; i < 4; i++) {
		(void)sprintf(id, "l_%u", i);
		(void)sprintf(m, "m_%u", i);
		assert_int_equal(join(id, "k/a", m, 100 + i, NULL), 0);
	}
	assert_int_equal(join("l_x", "k/a", "m_x", 200, NULL), PERC_ERR_LIMIT);
	assert_int_equal(join("l_4", "k/b", "m_x", 200, NULL), 0);
	assert_int_equal(join("l_x", "k/c", "m_x", 200, NULL), PERC_ERR_LIMIT);
	assert_int_equal(join("l_5", "k/b", "m_y", 201, NULL), 0);
	assert_int_equal(join("l_x", "k/b", "m_z", 202, NULL), PERC_ERR_LIMIT);
	assert_int_equal(l.n, 6);
	assert_int_equal(l.nrooms, 2);
	/* The same SSRC in two conferences is two sources. */
	mdd_leg_end(&l, mdd_leg_by_id(&l, "l_5"), MDD_LEGS_LEFT);
	assert_int_equal(join("l_6", "k/b", "m_z", 100, NULL), 0);
}

static void
test_ssrc_is_one_members(void **state)
{
	struct mdd_leg *x;

	assert_int_equal(join("l_1", "k/a", "m_1", 7, &x), 0);
	assert_int_equal(join("l_2", "k/a", "m_2", 7, NULL), PERC_ERR_CONFLICT);
	assert_int_equal(l.n, 1);
	assert_int_equal(join("l_2", "k/a", "m_1", 7, NULL), 0); /* its own */
	assert_non_null(mdd_leg_source(x, 7));
	assert_null(mdd_leg_source(x, 8));
}

/* Somebody with a stolen token asks again and again: the leg that is up stays,
 * the oldest try goes. */
static void
test_tries_of_one_member(void **state)
{
	struct mdd_leg *x;
	char id[16];
	unsigned i;

	assert_int_equal(join("l_0", "k/a", "m_1", 7, &x), 0);
	mdd_leg_up(&l, x);
	for (i = 1; i < 20; i++) {
		(void)sprintf(id, "l_%u", i);
		assert_int_equal(join(id, "k/a", "m_1", 7, NULL), 0);
	}
	assert_int_equal(l.n, 1 + MDD_TRIES_PER_IP);
	assert_ptr_equal(mdd_leg_by_id(&l, "l_0"), x);
	assert_non_null(mdd_leg_by_id(&l, "l_19"));
	assert_int_equal(gone[MDD_LEGS_REPLACED], 17);
	mdd_leg_up(&l, mdd_leg_by_id(&l, "l_19"));
	assert_int_equal(l.n, 1);
	assert_int_equal(l.up, 1);
}

/* A thief of the token asks without end: the owner's try stays, whatever comes
 * from elsewhere, and longest when it has proven its address. */
static void
test_thief_cannot_keep_the_owner_out(void **state)
{
	struct mdd_addr a = { .len = sizeof(struct sockaddr_in) };
	struct mdd_leg *own;
	char id[16];
	unsigned i;

	from_ip = 1;
	assert_int_equal(join("l_own", "k/a", "m_1", 7, &own), 0);
	from_ip = 2;
	for (i = 1; i < 50; i++) {
		(void)sprintf(id, "l_%u", i);
		assert_int_equal(join(id, "k/a", "m_1", 7, NULL), 0);
	}
	assert_int_equal(l.n, 1 + MDD_TRIES_PER_IP);
	assert_ptr_equal(mdd_leg_by_id(&l, "l_own"), own);
	from_ip = 1;
	a.u.sa.sa_family = AF_INET;
	mdd_leg_bind(&l, own, &a);
	for (i = 50; i < 60; i++) { /* behind the same NAT */
		(void)sprintf(id, "l_%u", i);
		assert_int_equal(join(id, "k/a", "m_1", 7, NULL), 0);
	}
	assert_ptr_equal(mdd_leg_by_id(&l, "l_own"), own);
	mdd_leg_up(&l, own);
	assert_int_equal(l.up, 1);
	assert_ptr_equal(mdd_leg_by_id(&l, "l_own"), own);
}

/* A thief with many addresses: bounded, and who has most loses first. */
static void
test_thief_with_many_addresses(void **state)
{
	static const struct mdd_setup wide = { .max_legs = 60,
		.max_conferences = 2,
		.max_conference_legs = 40,
		.max_leg_pps = 100,
		.max_leg_kbps = 1000000,
		.idle_ms = 1000 };
	struct mdd_leg *own;
	char id[16];
	unsigned i;

	mdd_legs_clear(&l);
	assert_int_equal(mdd_legs_init(&l, &wide, loop, on_gone, NULL), 0);
	for (i = 0; i < 6; i++) {
		from_ip = (uint8_t)(10 + i / 2);
		(void)sprintf(id, "l_%u", i);
		assert_int_equal(join(id, "k/a", "m_1", 7, NULL), 0);
	}
	from_ip = 1;
	assert_int_equal(join("l_own", "k/a", "m_1", 7, &own), 0);
	for (i = 6; i < 9; i++) {
		from_ip = (uint8_t)(20 + i);
		(void)sprintf(id, "l_%u", i);
		assert_int_equal(join(id, "k/a", "m_1", 7, NULL), 0);
	}
	assert_int_equal(l.n, MDD_TRIES_OF_MEMBER);
	assert_ptr_equal(mdd_leg_by_id(&l, "l_own"), own);
	assert_null(mdd_leg_by_id(&l, "l_0")); /* of an address with two */
	assert_null(mdd_leg_by_id(&l, "l_2"));
}

/* People come and go for ever; the table of SSRCs does not fill up, and who
 * is there keeps the record. */
static void
test_sources_are_used_again(void **state)
{
	struct mdd_leg *stay, *x;
	struct mdd_source *s;
	char id[16], m[16];
	unsigned i;

	assert_int_equal(join("l_stay", "k/a", "m_stay", 7, &stay), 0);
	s = mdd_leg_source(stay, 7);
	s->top = 4711;
	for (i = 0; i < 100; i++) {
		(void)sprintf(id, "l_%u", i);
		(void)sprintf(m, "m_%u", i);
		assert_int_equal(join(id, "k/a", m, 1000 + i, &x), 0);
		assert_int_equal(mdd_leg_source(x, 1000 + i)->ssrc, 1000 + i);
		mdd_leg_end(&l, x, MDD_LEGS_LEFT);
	}
	assert_int_equal(stay->room->nsrc, l.sources_max);
	assert_ptr_equal(mdd_leg_source(stay, 7), s);
	assert_int_equal(s->ssrc, 7);
	assert_int_equal(s->top, 4711);
}

static void
test_sweep(void **state)
{
	struct mdd_leg *x, *y;

	assert_int_equal(join("l_1", "k/a", "m_1", 7, &x), 0);
	assert_int_equal(join("l_2", "k/a", "m_2", 8, &y), 0);
	mdd_legs_sweep(&l, 5999);
	assert_int_equal(l.n, 2);
	y->heard_ms = 5500;
	mdd_legs_sweep(&l, 6000);
	assert_int_equal(l.n, 1);
	assert_int_equal(gone[MDD_LEGS_SILENT], 1);
	y->heard_ms = 64900;
	mdd_legs_sweep(&l, 64999);
	assert_int_equal(l.n, 1);
	mdd_legs_sweep(&l, 65000);
	assert_int_equal(gone[MDD_LEGS_EXPIRED], 1);
	assert_int_equal(l.n, 0);
}

static void
test_credit(void **state)
{
	struct mdd_leg *x;
	unsigned i;

	assert_int_equal(join("l_1", "k/a", "m_1", 7, &x), 0);
	for (i = 0; i < 100; i++)
		assert_true(mdd_leg_credit(&l, x, 100, 5000));
	assert_false(mdd_leg_credit(&l, x, 100, 5000));
	assert_false(mdd_leg_credit(&l, x, 100, 5009));
	assert_true(mdd_leg_credit(&l, x, 100, 5010));
	assert_false(mdd_leg_credit(&l, x, 100, 5010));
	assert_false(mdd_leg_credit(&l, x, 100, 4000)); /* a clock gone back */
	for (i = 0; i < 100; i++)
		assert_true(mdd_leg_credit(&l, x, 100, 900000));
	assert_false(mdd_leg_credit(&l, x, 100, 900000));
}

/* The limit of bits stops a leg whose packets are few but long. */
static void
test_credit_of_octets(void **state)
{
	static const struct mdd_setup limits = { .max_legs = 2,
		.max_conferences = 1,
		.max_conference_legs = 2,
		.max_leg_pps = 1000,
		.max_leg_kbps = 80, /* 10,000 octets a second */
		.idle_ms = 1000 };
	struct mdd_leg *x;
	unsigned i;

	mdd_legs_clear(&l);
	assert_int_equal(mdd_legs_init(&l, &limits, loop, on_gone, NULL), 0);
	assert_int_equal(join("l_1", "k/a", "m_1", 7, &x), 0);
	for (i = 0; i < 10; i++)
		assert_true(mdd_leg_credit(&l, x, 1000, 5000));
	assert_false(mdd_leg_credit(&l, x, 10, 5000));
	assert_true(mdd_leg_credit(&l, x, 1000, 5100)); /* 1,000 came */
	assert_false(mdd_leg_credit(&l, x, 10, 5100));
	for (i = 0; i < 10; i++) /* a second's, not an hour's */
		assert_true(mdd_leg_credit(&l, x, 1000, 3600000));
	assert_false(mdd_leg_credit(&l, x, 10, 3600000));
}

/* Who sends twice what a leg may is told apart, until a second of quiet. */
static void
test_flooded(void **state)
{
	struct mdd_leg *x;
	unsigned i;

	assert_int_equal(join("l_1", "k/a", "m_1", 7, &x), 0);
	x->heard_ms = 5000;
	l.moved = false;
	for (i = 0; i < 200; i++)
		mdd_leg_seen(&l, x, 100);
	assert_false(x->flooded);
	assert_false(l.moved);
	mdd_leg_seen(&l, x, 100);
	assert_true(x->flooded);
	assert_true(l.moved);
	assert_int_equal(l.flooded, 1);
	mdd_legs_sweep(&l, 5000); /* it was not quiet */
	assert_true(x->flooded);
	l.moved = false;
	mdd_legs_sweep(&l, 5001);
	assert_false(x->flooded);
	assert_true(l.moved);
	assert_int_equal(l.flooded, 0);
	for (i = 0; i < 201; i++)
		mdd_leg_seen(&l, x, 100);
	mdd_leg_end(&l, x, MDD_LEGS_LEFT);
	assert_int_equal(l.flooded, 0);
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_found_and_lost),
		WITH(test_limits),
		WITH(test_ssrc_is_one_members),
		WITH(test_tries_of_one_member),
		WITH(test_thief_cannot_keep_the_owner_out),
		WITH(test_thief_with_many_addresses),
		WITH(test_sources_are_used_again),
		WITH(test_sweep),
		WITH(test_credit),
		WITH(test_credit_of_octets),
		WITH(test_flooded),
	};

	return cmocka_run_group_tests_name("leg", tests, NULL, NULL);
}
