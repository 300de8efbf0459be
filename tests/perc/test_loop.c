/* SPDX-License-Identifier: Apache-2.0 */
/* perc/loop.c: callbacks that pull the rug from under each other. */
#include "tests/perc/unit.h"

#include <fcntl.h>
#include <stdlib.h>

#include "perc/loop.h"

static struct perc_loop *loop;

static int
setup(void **state)
{
	return perc_loop_new(&loop);
}

static int
teardown(void **state)
{
	perc_loop_free(loop);
	return 0;
}

/* --- descriptors -------------------------------------------------------- */

struct end {
	int fd[2];
	struct perc_io *io;
	unsigned calls;
	struct end *kill; /* deleted by the callback */
};

static void
on_end(int fd, uint32_t events, void *arg)
{
	struct end *e = arg;
	char c;

	e->calls++;
	assert_int_equal(read(fd, &c, 1), 1);
	if (e->kill != NULL) {
		perc_loop_del(e->kill->io);
		e->kill->io = NULL;
	}
}

static void
end_open(struct end *e)
{
	*e = (struct end){ 0 };
	assert_int_equal(pipe(e->fd), 0);
	assert_int_equal(
	    perc_loop_add(loop, &e->io, e->fd[0], EPOLLIN, on_end, e), 0);
}

static void
end_poke(struct end *e)
{
	assert_int_equal(write(e->fd[1], "x", 1), 1);
}

static void
end_close(struct end *e)
{
	perc_loop_del(e->io);
	close(e->fd[0]);
	close(e->fd[1]);
}

static void
test_events_arrive(void **state)
{
	struct end e;

	end_open(&e);
	assert_int_equal(perc_loop_turn(loop, 0), 0);
	assert_int_equal(e.calls, 0);
	end_poke(&e);
	assert_int_equal(perc_loop_turn(loop, 100), 0);
	assert_int_equal(e.calls, 1);
	assert_int_equal(perc_loop_mod(e.io, 0), 0);
	end_poke(&e);
	assert_int_equal(perc_loop_turn(loop, 0), 0);
	assert_int_equal(e.calls, 1);
	end_close(&e);
}

/* Both are ready; whichever runs first deletes the other, which must not
 * be called any more. */
static void
test_deleting_the_other_of_one_batch(void **state)
{
	struct end a, b;

	for (int i = 0; i < 3; i++) {
		end_open(&a);
		end_open(&b);
		a.kill = &b;
		b.kill = &a;
		end_poke(&a);
		end_poke(&b);
		assert_int_equal(perc_loop_turn(loop, 100), 0);
		assert_int_equal(a.calls + b.calls, 1);
		assert_int_equal(perc_loop_turn(loop, 0), 0);
		assert_true(a.calls + b.calls <= 2);
		end_close(&a);
		end_close(&b);
	}
}

static void
test_deleting_oneself(void **state)
{
	struct end e;

	end_open(&e);
	e.kill = &e;
	end_poke(&e);
	end_poke(&e);
	assert_int_equal(perc_loop_turn(loop, 100), 0);
	assert_int_equal(perc_loop_turn(loop, 0), 0);
	assert_int_equal(e.calls, 1);
	end_close(&e);
	perc_loop_del(NULL);
}

/* --- timers ------------------------------------------------------------- */

static int order[512], norder;

struct tick {
	struct perc_timer t;
	int id;
	struct tick *stop;
};

static void
on_tick(void *arg)
{
	struct tick *k = arg;

	assert_false(perc_timer_armed(&k->t));
	order[norder++] = k->id;
	if (k->stop != NULL)
		perc_timer_stop(loop, &k->stop->t);
}

static void
turn_for(int64_t ms)
{
	int64_t end = perc_now_ms() + ms;

	while (perc_now_ms() < end)
		assert_int_equal(perc_loop_turn(loop, 2), 0);
}

static void
test_timers_run_in_order(void **state)
{
	static struct tick k[200];
	int kept = 0, last = -1;

	norder = 0;
	memset(k, 0, sizeof(k));
	srand(1);
	for (int i = 0; i < 200; i++) {
		k[i].id = rand() % 30;
		assert_int_equal(
		    perc_timer_set(loop, &k[i].t, k[i].id, on_tick, &k[i]), 0);
	}
	for (int i = 0; i < 200; i += 3)
		perc_timer_stop(loop, &k[i].t);
	for (int i = 1; i < 200; i += 3) { /* moved to another time */
		k[i].id = 30 + rand() % 30;
		assert_int_equal(
		    perc_timer_set(loop, &k[i].t, k[i].id, on_tick, &k[i]), 0);
	}
	for (int i = 0; i < 200; i++)
		kept += perc_timer_armed(&k[i].t);
	turn_for(80);
	assert_int_equal(norder, kept);
	assert_int_equal(kept, 133);
	for (int i = 0; i < norder; i++) {
		/* A millisecond may pass between the setting of two. */
		assert_true(order[i] >= last - 5);
		last = order[i] > last ? order[i] : last;
	}
}

/* The one that fills a hole may be earlier than the parent of that hole. */
static void
test_a_hole_in_the_heap_is_filled_upwards(void **state)
{
	static const int due[] = { 1, 1000, 2, 1001, 1002, 3, 4, 1003, 1004,
		1005, 1006, 5, 6, 7, 8 };
	static struct tick k[COUNT(due)];

	norder = 0;
	memset(k, 0, sizeof(k));
	for (int i = 0; i < (int)COUNT(due); i++) {
		k[i].id = due[i];
		assert_int_equal(
		    perc_timer_set(loop, &k[i].t, due[i], on_tick, &k[i]), 0);
	}
	perc_timer_stop(loop, &k[3].t);
	turn_for(40);
	assert_int_equal(norder, 8);
	for (int i = 0; i < 8; i++)
		assert_int_equal(order[i], i + 1);
}

static void
test_a_timer_stops_its_neighbour(void **state)
{
	struct tick a = { .id = 1 }, b = { .id = 2 };

	norder = 0;
	a.stop = &b;
	b.stop = &a;
	assert_int_equal(perc_timer_set(loop, &a.t, 0, on_tick, &a), 0);
	assert_int_equal(perc_timer_set(loop, &b.t, 0, on_tick, &b), 0);
	turn_for(10);
	assert_int_equal(norder, 1);
	perc_timer_stop(loop, &a.t); /* idle: fine */
}

static unsigned again_calls;
static struct perc_timer again_timer;

static void
on_again(void *arg)
{
	again_calls++;
	assert_int_equal(
	    perc_timer_set(loop, &again_timer, 0, on_again, NULL), 0);
}

static void
test_a_timer_of_0_ms_starves_nobody(void **state)
{
	struct end e;

	again_calls = 0;
	end_open(&e);
	on_again(NULL);
	end_poke(&e);
	assert_int_equal(perc_loop_turn(loop, 0), 0);
	assert_int_equal(perc_loop_turn(loop, 0), 0);
	assert_int_equal(e.calls, 1);
	assert_true(again_calls <= 3);
	perc_timer_stop(loop, &again_timer);
	end_close(&e);
}

/* --- signals, hooks, deferred ------------------------------------------- */

static int last_signal;

static void
on_signal(int signo, void *arg)
{
	last_signal = signo;
	perc_loop_stop(arg);
}

static void
test_signals_are_events(void **state)
{
	assert_int_equal(perc_loop_signal(loop, SIGUSR1, on_signal, loop), 0);
	assert_int_equal(perc_loop_signal(loop, SIGUSR2, on_signal, loop), 0);
	assert_int_equal(
	    perc_loop_signal(loop, 0, on_signal, loop), PERC_ERR_INVAL);
	kill(getpid(), SIGUSR2);
	assert_int_equal(perc_loop_run(loop), 0);
	assert_int_equal(last_signal, SIGUSR2);
	kill(getpid(), SIGUSR1);
	assert_int_equal(perc_loop_run(loop), 0);
	assert_int_equal(last_signal, SIGUSR1);
}

static struct perc_defer defer_a, defer_b;

static void
note(void *arg)
{
	order[norder++] = (int)(intptr_t)arg;
}

static void
hook_defers(void *arg)
{
	order[norder++] = 1;
	perc_loop_defer(loop, &defer_a, note, (void *)2);
	perc_loop_defer(loop, &defer_a, note, (void *)9); /* once only */
	perc_loop_defer(loop, &defer_b, note, (void *)3);
}

static void
hook_undefers(void *arg)
{
	order[norder++] = 4;
	perc_loop_undefer(loop, &defer_b);
	perc_loop_undefer(loop, &defer_b);
}

static void
test_deferred_runs_behind_the_hooks(void **state)
{
	norder = 0;
	assert_int_equal(perc_loop_after(loop, hook_defers, NULL), 0);
	assert_int_equal(perc_loop_after(loop, hook_undefers, NULL), 0);
	assert_int_equal(perc_loop_turn(loop, 0), 0);
	assert_int_equal(norder, 3);
	assert_memory_equal(order, ((int[]){ 1, 4, 2 }), 3 * sizeof(int));
	for (int i = 2; i < 8; i++)
		assert_int_equal(perc_loop_after(loop, hook_undefers, NULL), 0);
	assert_int_equal(
	    perc_loop_after(loop, hook_undefers, NULL), PERC_ERR_LIMIT);
}

static void
test_deferred_work_does_not_wait(void **state)
{
	int64_t t0 = perc_now_ms();

	norder = 0;
	memset(&defer_a, 0, sizeof(defer_a));
	perc_loop_defer(loop, &defer_a, note, (void *)5);
	assert_int_equal(perc_loop_turn(loop, 3000), 0);
	assert_true(perc_now_ms() - t0 < 1000);
	assert_int_equal(norder, 1);
}

static void
test_clocks(void **state)
{
	assert_true(perc_boot_ms() >= perc_now_ms() - 1000);
	assert_true(perc_wall_ms() > INT64_C(1700000000000));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_events_arrive),
		T(test_deleting_the_other_of_one_batch),
		T(test_deleting_oneself),
		T(test_timers_run_in_order),
		T(test_a_hole_in_the_heap_is_filled_upwards),
		T(test_a_timer_stops_its_neighbour),
		T(test_a_timer_of_0_ms_starves_nobody),
		T(test_signals_are_events),
		T(test_deferred_runs_behind_the_hooks),
		T(test_deferred_work_does_not_wait),
		T(test_clocks),
	};

	return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
