/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread, one loop per process: descriptors by epoll, timers, signals as
 * events, and hooks that run after each turn (where the keeper commits and
 * channels flush). Callbacks may add, change and remove anything, themselves
 * included.
 */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "perc/err.h"

struct perc_loop;
struct perc_io; /* one watched descriptor */

typedef void (*perc_io_fn)(int fd, uint32_t events, void *arg);
typedef void (*perc_loop_fn)(void *arg);
typedef void (*perc_signal_fn)(int signo, void *arg);

struct perc_timer {	/* embedded by the owner; zero it before first use */
	int64_t due_ms; /* perc_now_ms() time; private */
	perc_loop_fn fn;
	void *arg;
	unsigned slot; /* private: place in the heap, 0 = idle */
};

PERC_MUST int perc_loop_new(struct perc_loop **lp);
void perc_loop_free(struct perc_loop *l);

/* Watch fd for EPOLLIN and/or EPOLLOUT. The loop does not own fd. */
PERC_MUST int perc_loop_add(struct perc_loop *l, struct perc_io **iop, int fd,
    uint32_t events, perc_io_fn fn, void *arg);
PERC_MUST int perc_loop_mod(struct perc_io *io, uint32_t events);
/* Stop watching and free; NULL is fine. Call before closing the fd. */
void perc_loop_del(struct perc_io *io);

/* Run fn once, `in_ms` from now; setting a running timer moves it. */
PERC_MUST int perc_timer_set(struct perc_loop *l, struct perc_timer *t,
    int64_t in_ms, perc_loop_fn fn, void *arg);
void perc_timer_stop(struct perc_loop *l, struct perc_timer *t);
bool perc_timer_armed(const struct perc_timer *t);

/* Deliver signo (blocked from now on) as an event of the loop. */
PERC_MUST int perc_loop_signal(struct perc_loop *l, int signo,
    perc_signal_fn fn, void *arg);
/* Run fn after every turn, in order of registration (at most 8). */
PERC_MUST int perc_loop_after(struct perc_loop *l, perc_loop_fn fn,
    void *arg);

/*
 * Run fn once when this turn ends, behind the hooks (where a channel writes
 * what the hooks queued). Embedded by the owner, zeroed before first use,
 * taken out before the owner is freed; deferring twice is deferring once.
 */
struct perc_defer {
	perc_loop_fn fn;
	void *arg;
	struct perc_defer *next, **linkp; /* private; linkp NULL: idle */
};
void perc_loop_defer(struct perc_loop *l, struct perc_defer *d,
    perc_loop_fn fn, void *arg);
void perc_loop_undefer(struct perc_loop *l, struct perc_defer *d);

/* Until perc_loop_stop(). 0, or PERC_ERR_SYS. */
PERC_MUST int perc_loop_run(struct perc_loop *l);
/* One turn, waiting at most timeout_ms (-1: for an event). */
PERC_MUST int perc_loop_turn(struct perc_loop *l, int timeout_ms);
void perc_loop_stop(struct perc_loop *l);

int64_t perc_now_ms(void);  /* CLOCK_MONOTONIC, suspend not counted */
int64_t perc_boot_ms(void); /* CLOCK_BOOTTIME: goes on in suspend (ttl!) */
int64_t perc_wall_ms(void); /* UTC, milliseconds since 1970 */
