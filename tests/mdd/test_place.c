/* SPDX-License-Identifier: Apache-2.0 */
/* Where conferences go: control's records alone, with workers that only tell
 * what they count. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mdd/cascade.h"

#define WORKERS 3

struct stage {
	struct ctl c;
	struct mdd_conf conf;
	int64_t now;
	unsigned n; /* conferences so far */
	uint64_t cpu[WORKERS];
};

static int
setup(void **state)
{
	struct stage *s = calloc(1, sizeof(*s));
	unsigned i;

	assert_non_null(s);
	s->c.conf = &s->conf;
	s->c.workers = WORKERS;
	s->now = 1000;
	assert_int_equal(mdd_table_init(&s->c.rooms, 64), 0);
	for (i = 0; i < WORKERS; i++) {
		s->c.worker[i].ctl = &s->c;
		s->c.worker[i].index = i;
		s->c.worker[i].ready = true;
	}
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct stage *s = *state;
	struct ctl_party *p;
	char key[32];
	unsigned i;

	for (i = 0; i < s->n; i++) {
		(void)snprintf(key, sizeof(key), "k/c_%u", i);
		while ((p = ctl_party_find(&s->c, key)) != NULL) {
			p->first->legs = 0;
			ctl_room_put(&s->c, p->first);
		}
	}
	mdd_table_clear(&s->c.rooms);
	free(s);
	return 0;
}

/* A second goes by, in which the workers took so much of a processor. */
static void
second(struct stage *s, unsigned a, unsigned b, unsigned c)
{
	const unsigned took[WORKERS] = { a, b, c };
	struct mdd_stats t = { .v = { 0 } };
	unsigned i;

	s->now += 1000;
	for (i = 0; i < WORKERS; i++) {
		t.v[MDD_CPU_MS] = s->cpu[i] += took[i];
		ctl_worker_told(&s->c.worker[i], &t, s->now);
	}
}

/* A new conference with so many legs; its worker. */
static unsigned
place(struct stage *s, unsigned legs)
{
	struct ctl_room *room = NULL;
	char key[32];

	(void)snprintf(key, sizeof(key), "k/c_%u", s->n++);
	assert_int_equal(ctl_room_get(&s->c, key, "m_1", &room), 0);
	room->legs += legs;
	room->worker->legs += legs;
	return room->worker->index;
}

/* Two legs of pictures on worker 0 are more than forty on worker 1. */
static void
test_work_counts_before_legs(void **state)
{
	struct stage *s = *state;

	s->c.worker[0].legs = 2;
	s->c.worker[1].legs = 40;
	s->c.worker[2].legs = 41;
	second(s, 0, 0, 0);
	second(s, 800, 60, 300);
	second(s, 800, 60, 300);
	assert_int_equal(place(s, 1), 1);
}

/* About alike: fewest legs, as with workers that told nothing yet. */
static void
test_alike_by_legs(void **state)
{
	struct stage *s = *state;

	s->c.worker[0].legs = 9;
	s->c.worker[1].legs = 8;
	s->c.worker[2].legs = 7;
	s->c.worker[2].told_legs = s->c.worker[1].told_legs =
	    s->c.worker[0].told_legs = 9;
	assert_int_equal(place(s, 0), 2);
	second(s, 0, 0, 0);
	second(s, 20, 10, 30);
	assert_int_equal(place(s, 0), 2);
}

/* Sixty conferences within one second are not all put on the one that was
 * idle; and each gets some. */
static void
test_no_herd(void **state)
{
	unsigned i, got[WORKERS] = { 0 };
	struct stage *s = *state;

	second(s, 0, 0, 0);
	second(s, 200, 200, 0);
	second(s, 200, 200, 0);
	for (i = 0; i < 60; i++)
		got[place(s, 4)]++;
	assert_true(got[2] > got[0] && got[2] > got[1]);
	assert_true(got[0] >= 10 && got[1] >= 10);
}

/* What was long ago counts less and less; a gap in what it tells, not at all.
 */
static void
test_busy_no_more(void **state)
{
	struct stage *s = *state;
	unsigned i;

	s->c.worker[1].legs = s->c.worker[2].legs = 5;
	second(s, 0, 0, 0);
	for (i = 0; i < 5; i++)
		second(s, 1000, 100, 100);
	assert_int_not_equal(place(s, 0), 0);
	for (i = 0; i < 6; i++)
		second(s, 0, 100, 100);
	assert_int_equal(place(s, 0), 0);
	s->now += 60000;
	second(s, 61000, 0, 0); /* all of a minute */
	assert_int_equal(place(s, 0), 0);
}

/* A conference that outgrows a worker goes on where there is least to do. */
static void
test_part_of_a_conference(void **state)
{
	struct ctl_room *room = NULL, *first = NULL;
	struct stage *s = *state;

	s->conf.legs_per_worker = 2;
	s->n = 1;
	assert_int_equal(ctl_room_get(&s->c, "k/c_0", "m_1", &first), 0);
	assert_int_equal(first->worker->index, 0);
	first->legs = first->worker->legs = 2;
	second(s, 0, 0, 0);
	second(s, 100, 900, 100);
	assert_int_equal(ctl_room_get(&s->c, "k/c_0", "m_2", &room), 0);
	assert_int_equal(room->worker->index, 2);
	room->legs = 1;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_work_counts_before_legs),
		T(test_alike_by_legs),
		T(test_no_herd),
		T(test_busy_no_more),
		T(test_part_of_a_conference),
	};

	return cmocka_run_group_tests_name("place", tests, NULL, NULL);
}
