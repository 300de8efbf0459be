/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mdd/link_member.c with as many sources as a configuration may permit: what
 * a hello costs is bounded by their number, not by its square. Entries looked
 * at are counted, not time.
 */
#include <string.h>

#include "tests/mdd/linkkit.h"

#define ME   0x1111u
#define MOST 3000 /* max_link_sources at most */

static int
setup(void **state)
{
	return linkkit_open(MOST);
}

static struct mdd_leg *
join(void)
{
	struct mdd_join j = { .live_ms = 60000,
		.leg = "l_1",
		.conference = "k/c",
		.member = "link:p",
		.link = MDD_LINK_PEER };
	struct mdd_leg *leg = NULL;

	assert_int_equal(mdd_leg_join(&legs, &j, 0, &leg), 0);
	return leg;
}

struct told {
	unsigned members, sources;
	uint8_t seen[MOST]; /* by SSRC - 2 */
	bool in_order;
};

static void
tell(const struct mdd_word *first, const uint32_t *ssrcs, unsigned n, void *arg)
{
	struct told *t = arg;
	unsigned i;

	assert_true(n >= 1 && n <= MDD_TOKEN_SSRCS);
	t->members++;
	for (i = 0; i < n; i++) {
		assert_true(ssrcs[i] >= 2 && ssrcs[i] < MOST + 2);
		t->seen[ssrcs[i] - 2]++;
		t->in_order = t->in_order && ssrcs[i] == ssrcs[0] + i;
	}
	t->sources += n;
}

/* So many that a member has; 0: all are one's, as only a liar says. */
static struct mdd_leg *
fill(unsigned each)
{
	struct mdd_leg *p = join();
	struct mdd_word w = { .path = { 1, { 0x2222 } } };
	unsigned i, place;

	for (i = 0; i < MOST; i++) {
		place = each == 0 ? i : i % each;
		w.head = 2 + i - place;
		w.place = (uint8_t)place;
		w.member = w.head;
		assert_int_equal(mdd_link_claim(&legs, p, 2 + i, &w, ME, 0),
		    MDD_CLAIM_TAKEN);
	}
	return p;
}

/* Each entry is looked at a few times, however many there are and whatever is
 * said of whose they are; and each source is told once. */
static void
told_cheaply(struct mdd_leg *p, struct told *t)
{
	unsigned looked, i;

	*t = (struct told){ .in_order = true };
	looked = mdd_link_members(p->link, tell, t);
	assert_true(looked <= 2 * (p->link->mask + 1) + MOST);
	assert_int_equal(t->sources, MOST);
	for (i = 0; i < MOST; i++)
		assert_int_equal(t->seen[i], 1);
}

static void
test_REQ_F_8_1b_members_of_a_full_link(void **state)
{
	struct mdd_leg *p = fill(MDD_TOKEN_SSRCS);
	struct told t;

	told_cheaply(p, &t);
	assert_int_equal(t.members, MOST / MDD_TOKEN_SSRCS);
	assert_true(t.in_order);
}

static void
test_REQ_F_8_1b_members_that_are_lies(void **state)
{
	struct mdd_leg *p = fill(0);
	struct told t;

	told_cheaply(p, &t);
	assert_int_equal(t.members, MOST / MDD_TOKEN_SSRCS);
	mdd_link_drop(&legs, p, 2); /* the head of all: each is alone now */
	t = (struct told){ 0 };
	(void)mdd_link_members(p->link, tell, &t);
	assert_int_equal(t.members, MOST - 1);
	assert_int_equal(t.sources, MOST - 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, linkkit_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_REQ_F_8_1b_members_of_a_full_link),
		T(test_REQ_F_8_1b_members_that_are_lies),
	};

	return cmocka_run_group_tests_name("link_member", tests, NULL, NULL);
}
