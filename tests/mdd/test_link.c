/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mdd/link.c and link_hello.c: who feeds an SSRC, what may go where, what a
 * hostile other side can take, and the announcement's octets.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/mdd/linkkit.h"

#define ME    0x1111u
#define SSRC  0x0a0a0a0au
#define CLAIM 12 /* max_link_sources */

static const struct mdd_link_path near = { 1, { 0x2222 } };
static const struct mdd_word word = { .path = { 1, { 0x2222 } } };

static int
setup(void **state)
{
	return linkkit_open(CLAIM);
}

static struct mdd_leg *
join(const char *member, uint32_t ssrc, enum mdd_link_kind kind)
{
	struct mdd_join j = { .nssrcs = ssrc != 0, .live_ms = 60000 };
	struct mdd_leg *leg = NULL;
	static unsigned n;

	(void)snprintf(j.leg, sizeof(j.leg), "l_%u", ++n);
	strcpy(j.conference, "k/c");
	(void)snprintf(j.member, sizeof(j.member), "%s", member);
	j.ssrcs[0] = ssrc;
	j.link = kind;
	if (mdd_leg_join(&legs, &j, 0, &leg) != 0)
		return NULL;
	return leg;
}

static enum mdd_claim
claim(struct mdd_leg *leg, uint32_t ssrc)
{
	return mdd_link_claim(&legs, leg, ssrc, &word, ME, 0);
}

static void
test_split_horizon(void **state)
{
	struct mdd_leg *m = join("m_a", SSRC, MDD_LINK_NONE);
	struct mdd_leg *p, *q, *w;

	p = join("link:p", 0, MDD_LINK_PEER);
	q = join("link:q", 0, MDD_LINK_TRANSIT);
	w = join("link:w", 0, MDD_LINK_LOCAL);
	assert_null(join("link:x", 0, MDD_LINK_PEER)); /* max_links */
	assert_int_equal(legs.nlinks, 3);
	assert_true(mdd_link_may(m, p) && mdd_link_may(p, m));
	assert_false(mdd_link_may(p, p) || mdd_link_may(m, m));
	assert_false(mdd_link_may(p, q) || mdd_link_may(q, p));
	assert_true(mdd_link_may(p, w) && mdd_link_may(w, q));
	mdd_leg_end(&legs, p, MDD_LEGS_LEFT);
	p = join("link:r", 0, MDD_LINK_TRANSIT);
	assert_non_null(p);
	assert_true(mdd_link_may(p, q) && mdd_link_may(q, p));
}

static void
test_first_link_keeps_it(void **state)
{
	struct mdd_leg *p = join("link:p", 0, MDD_LINK_PEER);
	struct mdd_leg *q = join("link:q", 0, MDD_LINK_PEER);

	assert_null(mdd_leg_source(p, SSRC));
	assert_int_equal(claim(p, SSRC), MDD_CLAIM_TAKEN);
	assert_int_equal(claim(p, SSRC), MDD_CLAIM_HELD);
	assert_int_equal(claim(q, SSRC), MDD_CLAIM_OTHER);
	assert_non_null(mdd_leg_source(p, SSRC));
	assert_null(mdd_leg_source(q, SSRC));
	/* It ends there; whoever announces it still takes over at once. */
	mdd_link_drop(&legs, p, SSRC);
	assert_null(mdd_leg_source(p, SSRC));
	assert_non_null(mdd_leg_source(q, SSRC));
	assert_int_equal(claim(p, SSRC), MDD_CLAIM_OTHER);
	mdd_leg_end(&legs, q, MDD_LEGS_LEFT);
	assert_int_equal(claim(p, SSRC), MDD_CLAIM_TAKEN);
}

static void
test_member_before_link(void **state)
{
	struct mdd_leg *p = join("link:p", 0, MDD_LINK_PEER), *m;
	struct mdd_source *s;

	assert_int_equal(claim(p, SSRC), MDD_CLAIM_TAKEN);
	s = mdd_leg_source(p, SSRC);
	m = join("m_a", SSRC, MDD_LINK_NONE);
	assert_non_null(m);
	assert_null(mdd_leg_source(p, SSRC));
	assert_ptr_equal(mdd_leg_source(m, SSRC), s); /* its SEQ goes on */
	assert_int_equal(claim(p, SSRC), MDD_CLAIM_LOCAL);
	mdd_leg_end(&legs, m, MDD_LEGS_LEFT);
	assert_ptr_equal(mdd_leg_source(p, SSRC), s);
}

static void
test_loop_is_seen(void **state)
{
	struct mdd_leg *p = join("link:p", 0, MDD_LINK_TRANSIT);
	struct mdd_word round = { .path = { 3, { 7, ME, 8 } } };
	struct mdd_word far = { .path = { MDD_LINK_PATH + 1, { 0 } } };

	assert_int_equal(
	    mdd_link_claim(&legs, p, SSRC, &round, ME, 0), MDD_CLAIM_LOOP);
	assert_int_equal(
	    mdd_link_claim(&legs, p, SSRC, &far, ME, 0), MDD_CLAIM_LOOP);
	assert_null(mdd_leg_source(p, SSRC));
}

static void
test_announcements_expire(void **state)
{
	struct mdd_leg *p = join("link:p", 0, MDD_LINK_PEER);
	unsigned i, at = 0, n = 0;

	for (i = 0; i < CLAIM; i++)
		assert_int_equal(mdd_link_claim(&legs, p, 100 + i * 16, &word,
				     ME, (int64_t)i * 100),
		    MDD_CLAIM_TAKEN);
	mdd_link_expire(&legs, p, MDD_LINK_TTL_MS + 450);
	for (i = 0; i < CLAIM; i++)
		assert_int_equal(
		    mdd_leg_source(p, 100 + i * 16) != NULL, i >= 5);
	while (mdd_leg_source_next(p, &at) != NULL)
		n++;
	assert_int_equal(n, CLAIM - 5);
	assert_int_equal(p->room->link_sources, CLAIM - 5);
}

/* A hostile other side: too many at a time, and too many in turn. Members
 * who come later still find their places. */
static void
test_REQ_F_8_2_1b_flood_of_ssrcs(void **state)
{
	struct mdd_leg *p = join("link:p", 0, MDD_LINK_PEER);
	struct mdd_leg *q = join("link:q", 0, MDD_LINK_PEER);
	unsigned i, taken = 0;

	for (i = 0; i < 4 * CLAIM; i++)
		taken += claim(p, 1000 + i) == MDD_CLAIM_TAKEN;
	for (i = 0; i < 4 * CLAIM; i++)
		taken += claim(q, 5000 + i) == MDD_CLAIM_TAKEN;
	assert_int_equal(taken, CLAIM);
	for (i = 0; i < 1000; i++) {
		mdd_link_drop(&legs, p, 1000 + i);
		taken += claim(p, 1000 + CLAIM + i) == MDD_CLAIM_TAKEN;
	}
	assert_int_equal(taken, CLAIM * MDD_LINK_LIFE);
	assert_int_equal(p->room->link_sources, 0);
	assert_int_equal(claim(p, 0), MDD_CLAIM_LIMIT);
	assert_int_equal(claim(p, 1), MDD_CLAIM_LIMIT);
	assert_non_null(join("m_a", SSRC, MDD_LINK_NONE));
	assert_non_null(join("m_b", SSRC + 1, MDD_LINK_NONE));
}

/* What a member has is looked for at each announcement, by a walk over the
 * conference: so often in a second, and then the next one's. */
static void
test_REQ_F_8_1b_claims_cost_so_much(void **state)
{
	struct mdd_leg *p = join("link:p", 0, MDD_LINK_PEER);
	unsigned i, walks = 0, most = MDD_DAMP_TAKES(CLAIM);
	enum mdd_claim c;

	assert_non_null(join("m_a", SSRC, MDD_LINK_NONE));
	for (i = 0; i < 3 * most; i++) {
		c = mdd_link_claim(&legs, p, SSRC, &word, ME, 5000 + i % 1000);
		walks += c == MDD_CLAIM_LOCAL;
		assert_true(c == MDD_CLAIM_LOCAL || c == MDD_CLAIM_LATER);
	}
	assert_int_equal(walks, most);
	assert_int_equal(mdd_link_claim(&legs, p, SSRC + 1, &word, ME, 6000),
	    MDD_CLAIM_TAKEN);
}

/* The table against a plain list, at random. */
static void
test_table_against_list(void **state)
{
	struct mdd_leg *p = join("link:p", 0, MDD_LINK_PEER);
	bool there[CLAIM * 2] = { false };
	unsigned i, k, n = 0;

	p->room->link_life = 0;
	srand(5);
	for (i = 0; i < 20000; i++) {
		k = (unsigned)rand() % (CLAIM * 2);
		if (there[k]) {
			mdd_link_drop(&legs, p, 64 * k + 2);
			there[k] = false;
			n--;
		} else if (n < CLAIM) {
			p->room->link_life = 0;
			assert_int_equal(claim(p, 64 * k + 2), MDD_CLAIM_TAKEN);
			there[k] = true;
			n++;
		}
		assert_int_equal(p->link->n, n);
		for (k = 0; k < CLAIM * 2; k++)
			assert_int_equal(
			    mdd_leg_source(p, 64 * k + 2) != NULL, there[k]);
	}
}

/* ---- the announcement ------------------------------------------------- */

/* The choice among sources knows members: a picture's layers are one's. */
static void
test_members_sources(void **state)
{
	struct mdd_leg *p = join("link:p", 0, MDD_LINK_PEER);
	struct mdd_word w = word;
	struct mdd_source *a, *v;

	w.member = 77;
	w.head = SSRC;
	assert_int_equal(
	    mdd_link_claim(&legs, p, SSRC, &w, ME, 0), MDD_CLAIM_TAKEN);
	w.place = 1;
	assert_int_equal(
	    mdd_link_claim(&legs, p, SSRC + 1, &w, ME, 0), MDD_CLAIM_TAKEN);
	a = mdd_leg_source(p, SSRC);
	v = mdd_leg_source(p, SSRC + 1);
	assert_int_equal(a->head, a - p->room->src);
	assert_int_equal(v->head, a->head);
	assert_int_equal(v->place, 1);
	assert_int_equal(v->member, 77);
	w.head = 4711; /* which is not there */
	assert_int_equal(
	    mdd_link_claim(&legs, p, SSRC + 2, &w, ME, 0), MDD_CLAIM_TAKEN);
	v = mdd_leg_source(p, SSRC + 2);
	assert_int_equal(v->head, v - p->room->src);
}

struct seen {
	struct mdd_word word[600];
	uint32_t ssrc[600];
	unsigned n;
};

static void
see(const struct mdd_word *w, uint32_t ssrc, void *arg)
{
	struct seen *s = arg;

	assert_true(s->n < 600);
	s->word[s->n] = *w;
	s->ssrc[s->n++] = ssrc;
}

static void
test_hello_round_trip(void **state)
{
	struct mdd_link_path far = { 3, { 9, 8, UINT64_MAX } };
	const uint32_t two[2] = { 5, 6 }, one = 7;
	uint8_t buf[MDD_HELLO_MAX];
	struct seen s = { .n = 0 };
	struct mdd_hello h;
	size_t n;

	mdd_hello_begin(&h, buf);
	assert_int_equal(mdd_hello_end(&h), 0);
	assert_true(mdd_hello_add(&h, &near, 1234, two, 2));
	assert_true(mdd_hello_add(&h, &far, 99, &one, 1));
	n = mdd_hello_end(&h);
	assert_int_equal(n, 12 + 12 + 8 + 8 + 12 + 24 + 4);
	assert_int_equal(buf[1], 204);
	assert_int_equal(4 * (buf[2] << 8 | buf[3]) + 4, (int)n);
	assert_int_equal(mdd_hello_read(buf, n, see, &s), 0);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.ssrc[0], 5);
	assert_int_equal(s.ssrc[2], 7);
	assert_int_equal(s.word[1].path.hops, 1);
	assert_int_equal(s.word[1].path.node[0], 0x2222);
	assert_int_equal(s.word[1].member, 1234);
	assert_int_equal(s.word[1].head, 5);
	assert_int_equal(s.word[1].place, 1);
	assert_int_equal(s.word[2].path.hops, 3);
	assert_int_equal(s.word[2].place, 0);
	assert_true(s.word[2].path.node[2] == UINT64_MAX);
}

static void
test_hello_fills_up(void **state)
{
	uint8_t buf[MDD_HELLO_MAX];
	struct seen s = { .n = 0 };
	struct mdd_hello h;
	uint32_t two[2];
	unsigned i;
	size_t n;

	mdd_hello_begin(&h, buf);
	for (i = 0;; i += 2) {
		two[0] = i;
		two[1] = i + 1;
		if (!mdd_hello_add(&h, &near, i, two, 2))
			break;
	}
	n = mdd_hello_end(&h);
	assert_int_equal(i, 2 * ((MDD_HELLO_MAX - 12) / 28));
	assert_true(n <= MDD_HELLO_MAX && n % 4 == 0);
	assert_int_equal(mdd_hello_read(buf, n, see, &s), 0);
	assert_int_equal(s.n, i);
	assert_int_equal(s.ssrc[i - 1], i - 1);
}

static void
test_hello_that_lies(void **state)
{
	uint8_t buf[MDD_HELLO_MAX], bad[MDD_HELLO_MAX];
	struct seen s = { .n = 0 };
	const uint32_t one = 5;
	struct mdd_hello h;
	size_t n, i;

	mdd_hello_begin(&h, buf);
	assert_true(mdd_hello_add(&h, &near, 1, &one, 1));
	n = mdd_hello_end(&h);
	for (i = 0; i < n; i++) {
		uint8_t *copy = malloc(i + 1);

		assert_non_null(copy);
		memcpy(copy, buf, i);
		s.n = 0;
		/* without any block it is good */
		assert_int_equal(
		    mdd_hello_read(copy, i, see, &s) == 0, i == 12);
		assert_int_equal(s.n, 0);
		free(copy);
	}
	memcpy(bad, buf, n);
	bad[12] = 0; /* hops */
	assert_int_equal(mdd_hello_read(bad, n, see, &s), PERC_ERR_FORMAT);
	bad[12] = MDD_LINK_PATH + 1;
	assert_int_equal(mdd_hello_read(bad, n, see, &s), PERC_ERR_FORMAT);
	memcpy(bad, buf, n);
	bad[13] = 0; /* count */
	assert_int_equal(mdd_hello_read(bad, n, see, &s), PERC_ERR_FORMAT);
	bad[13] = 2;
	assert_int_not_equal(mdd_hello_read(bad, n, see, &s), 0);
	bad[13] = MDD_TOKEN_SSRCS + 1;
	assert_int_equal(mdd_hello_read(bad, n, see, &s), PERC_ERR_FORMAT);
	memcpy(bad, buf, n);
	bad[8] = 'X';
	assert_int_equal(mdd_hello_read(bad, n, see, &s), PERC_ERR_UNSUPPORTED);
	memcpy(bad, buf, n);
	bad[0] = 0x82; /* subtype */
	assert_int_equal(mdd_hello_read(bad, n, see, &s), PERC_ERR_UNSUPPORTED);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, linkkit_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_split_horizon),
		T(test_first_link_keeps_it),
		T(test_member_before_link),
		T(test_loop_is_seen),
		T(test_announcements_expire),
		T(test_REQ_F_8_2_1b_flood_of_ssrcs),
		T(test_REQ_F_8_1b_claims_cost_so_much),
		T(test_table_against_list),
		T(test_members_sources),
		cmocka_unit_test(test_hello_round_trip),
		cmocka_unit_test(test_hello_fills_up),
		cmocka_unit_test(test_hello_that_lies),
	};

	return cmocka_run_group_tests_name("link", tests, NULL, NULL);
}
