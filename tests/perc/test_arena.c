/* SPDX-License-Identifier: Apache-2.0 */
/* perc/arena.c: blocks never overlap, are zero when given and wiped when
 * taken back, and a free that is no free aborts. */
#include "tests/perc/unit.h"

#include <stdbool.h>

#include <signal.h>
#include <stdlib.h>

#include "perc/arena.h"

#define PAGES 64
#define SIZE  (PAGES * PERC_ARENA_PAGE)

static _Alignas(PERC_ARENA_PAGE) uint8_t base[SIZE];
static struct perc_arena *arena;

static int
setup(void **state)
{
	memset(base, 0, sizeof(base));
	return perc_arena_new(&arena, base, SIZE);
}

static int
teardown(void **state)
{
	perc_arena_free(arena);
	return 0;
}

static bool
is_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i] != 0)
			return false;
	return true;
}

/* Random sizes, each block filled with its own number. */
static void
test_blocks_do_not_overlap(void **state)
{
	enum { SLOTS = 200 };
	struct {
		uint8_t *p;
		size_t n;
	} s[SLOTS] = { 0 };
	unsigned x = 1, got = 0;

	for (int round = 0; round < 20000; round++) {
		unsigned i = (x = x * 1103515245 + 12345) >> 8 & 0xffff;

		i %= SLOTS;
		if (s[i].p != NULL) {
			for (size_t k = 0; k < s[i].n; k++)
				assert_int_equal(s[i].p[k], i + 1);
			perc_arena_put(arena, s[i].p);
			s[i].p = NULL;
			continue;
		}
		s[i].n = 1 + (x >> 9) % ((x >> 28) == 0 ? 20000 : 700);
		if ((s[i].p = perc_arena_get(arena, s[i].n)) == NULL)
			continue;
		got++;
		assert_true(perc_arena_owns(arena, s[i].p));
		assert_true(perc_arena_owns(arena, s[i].p + s[i].n - 1));
		assert_true(perc_arena_size(arena, s[i].p) >= s[i].n);
		assert_int_equal((uintptr_t)s[i].p % PERC_ARENA_ALIGN, 0);
		assert_true(is_zero(s[i].p, s[i].n));
		memset(s[i].p, (int)i + 1, s[i].n);
	}
	assert_true(got > 1000);
	for (int i = 0; i < SLOTS; i++)
		if (s[i].p != NULL)
			perc_arena_put(arena, s[i].p);
	assert_int_equal(perc_arena_used(arena), 0);
	assert_true(is_zero(base, SIZE));
}

static void
test_what_is_freed_is_wiped(void **state)
{
	static const size_t sizes[] = { 1, 32, 33, 100, 700, 2048, 2049, 9000 };

	for (size_t i = 0; i < COUNT(sizes); i++) {
		uint8_t *p = perc_arena_get(arena, sizes[i]);

		assert_non_null(p);
		memset(p, 0xaa, perc_arena_size(arena, p));
		perc_arena_put(arena, p);
		assert_true(is_zero(base, SIZE));
		assert_int_equal(perc_arena_used(arena), 0);
	}
}

static void
test_full_is_NULL_and_recovers(void **state)
{
	void *all, *p;
	unsigned n = 0;

	assert_null(perc_arena_get(arena, SIZE + 1));
	assert_null(perc_arena_get(arena, SIZE_MAX));
	all = perc_arena_get(arena, SIZE);
	assert_ptr_equal(all, base);
	assert_null(perc_arena_get(arena, 1));
	perc_arena_put(arena, all);
	while ((p = perc_arena_get(arena, 32)) != NULL)
		n++;
	assert_int_equal(n, PAGES * PERC_ARENA_PAGE / 32);
	for (unsigned i = 0; i < n; i++)
		perc_arena_put(arena, base + 32 * i);
	assert_ptr_equal(perc_arena_get(arena, SIZE), base);
	perc_arena_put(arena, base);
}

static void
test_a_hole_is_found_again(void **state)
{
	uint8_t *a = perc_arena_get(arena, 3 * PERC_ARENA_PAGE);
	uint8_t *b = perc_arena_get(arena, (PAGES - 3) * PERC_ARENA_PAGE);

	assert_non_null(b);
	assert_null(perc_arena_get(arena, 1));
	perc_arena_put(arena, a);
	assert_null(perc_arena_get(arena, 3 * PERC_ARENA_PAGE + 1));
	assert_ptr_equal(perc_arena_get(arena, 3 * PERC_ARENA_PAGE), a);
	perc_arena_put(arena, a);
	perc_arena_put(arena, b);
	/* A hole stays known while larger blocks pass it by. */
	a = perc_arena_get(arena, 2 * PERC_ARENA_PAGE);
	b = perc_arena_get(arena, 3 * PERC_ARENA_PAGE);
	perc_arena_put(arena, a);
	a = perc_arena_get(arena, (PAGES - 5) * PERC_ARENA_PAGE);
	assert_non_null(a);
	assert_ptr_equal(perc_arena_get(arena, 2 * PERC_ARENA_PAGE), base);
	assert_null(perc_arena_get(arena, 1));
	perc_arena_put(arena, base);
	perc_arena_put(arena, a);
	perc_arena_put(arena, b);
}

static void
free_twice_small(void)
{
	void *p = perc_arena_get(arena, 40);

	if (perc_arena_get(arena, 40) == NULL) /* keeps the page alive */
		_exit(1);
	perc_arena_put(arena, p);
	perc_arena_put(arena, p);
}

static void
free_twice_large(void)
{
	void *p = perc_arena_get(arena, 5000);

	perc_arena_put(arena, p);
	perc_arena_put(arena, p);
}

static void
free_inside(void)
{
	uint8_t *p = perc_arena_get(arena, 40);

	perc_arena_put(arena, p + 1);
}

static void
free_inside_large(void)
{
	uint8_t *p = perc_arena_get(arena, 3 * PERC_ARENA_PAGE);

	perc_arena_put(arena, p + PERC_ARENA_PAGE);
}

static void
test_a_wrong_free_aborts(void **state)
{
	assert_int_equal(in_child(free_twice_small), -SIGABRT);
	assert_int_equal(in_child(free_twice_large), -SIGABRT);
	assert_int_equal(in_child(free_inside), -SIGABRT);
	assert_int_equal(in_child(free_inside_large), -SIGABRT);
}

static void
test_odd_stretches_are_refused(void **state)
{
	struct perc_arena *a = NULL;

	assert_int_equal(perc_arena_new(&a, base, 0), PERC_ERR_INVAL);
	assert_int_equal(perc_arena_new(&a, base, 5000), PERC_ERR_INVAL);
	assert_false(perc_arena_owns(arena, base + SIZE));
	assert_false(perc_arena_owns(arena, (void *)((uintptr_t)base - 1)));
	assert_false(perc_arena_owns(arena, NULL));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_blocks_do_not_overlap, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_what_is_freed_is_wiped, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_full_is_NULL_and_recovers, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_hole_is_found_again, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_a_wrong_free_aborts, setup, teardown),
		cmocka_unit_test_setup_teardown(
		    test_odd_stretches_are_refused, setup, teardown),
	};

	return cmocka_run_group_tests_name("arena", tests, NULL, NULL);
}
