/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One epoll_wait brings up to 64 events, and the callback of the first may
 * delete the descriptor of the fifth. A deleted perc_io is therefore only
 * marked and parked on a list until the turn ends; its pointer in the batch
 * stays valid. Timers are a binary heap whose entries know their own place.
 */
#include "perc/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define BATCH	   64
#define AFTER_MAX  8
#define TIMERS_MAX (1u << 20)

struct perc_io {
	struct perc_loop *loop;
	int fd;
	bool dead;
	perc_io_fn fn;
	void *arg;
	struct perc_io *next; /* of the deleted */
};

struct hook {
	perc_loop_fn fn;
	void *arg;
};

struct perc_loop {
	int epfd, sigfd;
	bool stop, in_turn;
	struct perc_io *deleted, *sigio;
	struct perc_timer **heap; /* 1-based: slot 0 means idle */
	unsigned timers, room;
	struct hook after[AFTER_MAX];
	unsigned nafter;
	struct perc_defer *first, **last; /* to run when the turn ends */
	sigset_t sigset;
	struct {
		perc_signal_fn fn;
		void *arg;
	} sig[NSIG];
};

static int64_t
clock_ms(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
perc_now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

int64_t
perc_boot_ms(void)
{
	return clock_ms(CLOCK_BOOTTIME);
}

int64_t
perc_wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

int
perc_loop_new(struct perc_loop **lp)
{
	struct perc_loop *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return PERC_ERR_NOMEM;
	l->sigfd = -1;
	l->last = &l->first;
	sigemptyset(&l->sigset);
	if ((l->epfd = epoll_create1(EPOLL_CLOEXEC)) < 0) {
		free(l);
		return PERC_ERR_SYS;
	}
	*lp = l;
	return 0;
}

static void
reap(struct perc_loop *l)
{
	struct perc_io *io;

	while ((io = l->deleted) != NULL) {
		l->deleted = io->next;
		free(io);
	}
}

void
perc_loop_free(struct perc_loop *l)
{
	if (l == NULL)
		return;
	perc_loop_del(l->sigio);
	reap(l);
	if (l->sigfd >= 0)
		close(l->sigfd);
	close(l->epfd);
	for (unsigned i = 1; i <= l->timers; i++)
		l->heap[i]->slot = 0;
	free(l->heap);
	free(l);
}

/* --- descriptors -------------------------------------------------------- */

int
perc_loop_add(struct perc_loop *l, struct perc_io **iop, int fd,
    uint32_t events, perc_io_fn fn, void *arg)
{
	struct perc_io *io = calloc(1, sizeof(*io));
	struct epoll_event ev = { .events = events, .data.ptr = io };

	if (io == NULL)
		return PERC_ERR_NOMEM;
	io->loop = l;
	io->fd = fd;
	io->fn = fn;
	io->arg = arg;
	if (epoll_ctl(l->epfd, EPOLL_CTL_ADD, fd, &ev) != 0) {
		free(io);
		return PERC_ERR_SYS;
	}
	*iop = io;
	return 0;
}

int
perc_loop_mod(struct perc_io *io, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = io };

	return epoll_ctl(io->loop->epfd, EPOLL_CTL_MOD, io->fd, &ev) != 0
	    ? PERC_ERR_SYS
	    : 0;
}

void
perc_loop_del(struct perc_io *io)
{
	struct perc_loop *l;

	if (io == NULL || io->dead)
		return;
	l = io->loop;
	(void)epoll_ctl(l->epfd, EPOLL_CTL_DEL, io->fd, NULL);
	io->dead = true;
	io->next = l->deleted;
	l->deleted = io;
	if (!l->in_turn)
		reap(l);
}

/* --- timers ------------------------------------------------------------- */

static void
place(struct perc_loop *l, struct perc_timer *t, unsigned slot)
{
	l->heap[slot] = t;
	t->slot = slot;
}

static void
sift_up(struct perc_loop *l, struct perc_timer *t, unsigned at)
{
	for (; at > 1 && l->heap[at / 2]->due_ms > t->due_ms; at /= 2)
		place(l, l->heap[at / 2], at);
	place(l, t, at);
}

static void
sift_down(struct perc_loop *l, struct perc_timer *t, unsigned at)
{
	unsigned kid;

	while ((kid = 2 * at) <= l->timers) {
		if (kid < l->timers &&
		    l->heap[kid + 1]->due_ms < l->heap[kid]->due_ms)
			kid++;
		if (l->heap[kid]->due_ms >= t->due_ms)
			break;
		place(l, l->heap[kid], at);
		at = kid;
	}
	place(l, t, at);
}

static int
heap_grow(struct perc_loop *l)
{
	unsigned room = l->room != 0 ? 2 * l->room : 64;
	struct perc_timer **heap;

	if (l->timers + 1 < l->room)
		return 0;
	if (room > TIMERS_MAX)
		return PERC_ERR_LIMIT;
	if ((heap = realloc(l->heap, room * sizeof(*heap))) == NULL)
		return PERC_ERR_NOMEM;
	l->heap = heap;
	l->room = room;
	return 0;
}

int
perc_timer_set(struct perc_loop *l, struct perc_timer *t, int64_t in_ms,
    perc_loop_fn fn, void *arg)
{
	int r;

	perc_timer_stop(l, t);
	if ((r = heap_grow(l)) != 0)
		return r;
	t->due_ms = perc_now_ms() + (in_ms > 0 ? in_ms : 0);
	t->fn = fn;
	t->arg = arg;
	sift_up(l, t, ++l->timers);
	return 0;
}

void
perc_timer_stop(struct perc_loop *l, struct perc_timer *t)
{
	unsigned at = t->slot;
	struct perc_timer *last;

	if (at == 0)
		return;
	last = l->heap[l->timers--];
	t->slot = 0;
	if (last == t)
		return;
	if (at > 1 && l->heap[at / 2]->due_ms > last->due_ms)
		sift_up(l, last, at);
	else
		sift_down(l, last, at);
}

bool
perc_timer_armed(const struct perc_timer *t)
{
	return t->slot != 0;
}

/* Those due at the time of the call: one that sets itself anew with 0 ms
 * waits for the next turn and cannot starve descriptors. */
static void
run_timers(struct perc_loop *l)
{
	int64_t now = l->timers > 0 ? perc_now_ms() : 0;
	unsigned most = l->timers;

	while (most-- > 0 && l->timers > 0 && l->heap[1]->due_ms <= now) {
		struct perc_timer *t = l->heap[1];

		perc_timer_stop(l, t);
		t->fn(t->arg);
	}
}

/* --- signals ------------------------------------------------------------ */

static void
on_signal(int fd, uint32_t events, void *arg)
{
	struct perc_loop *l = arg;
	struct signalfd_siginfo si;

	while (read(fd, &si, sizeof(si)) == sizeof(si))
		if (si.ssi_signo < NSIG && l->sig[si.ssi_signo].fn != NULL)
			l->sig[si.ssi_signo].fn(
			    (int)si.ssi_signo, l->sig[si.ssi_signo].arg);
}

int
perc_loop_signal(struct perc_loop *l, int signo, perc_signal_fn fn, void *arg)
{
	int fd;

	if (signo < 1 || signo >= NSIG)
		return PERC_ERR_INVAL;
	sigaddset(&l->sigset, signo);
	if (sigprocmask(SIG_BLOCK, &l->sigset, NULL) != 0)
		return PERC_ERR_SYS;
	fd = signalfd(l->sigfd, &l->sigset, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return PERC_ERR_SYS;
	l->sigfd = fd;
	l->sig[signo].fn = fn;
	l->sig[signo].arg = arg;
	if (l->sigio != NULL)
		return 0;
	return perc_loop_add(l, &l->sigio, fd, EPOLLIN, on_signal, l);
}

/* --- the turn ----------------------------------------------------------- */

int
perc_loop_after(struct perc_loop *l, perc_loop_fn fn, void *arg)
{
	if (l->nafter == AFTER_MAX)
		return PERC_ERR_LIMIT;
	l->after[l->nafter++] = (struct hook){ fn, arg };
	return 0;
}

void
perc_loop_defer(
    struct perc_loop *l, struct perc_defer *d, perc_loop_fn fn, void *arg)
{
	if (d->linkp != NULL)
		return;
	d->fn = fn;
	d->arg = arg;
	d->next = NULL;
	d->linkp = l->last;
	*l->last = d;
	l->last = &d->next;
}

void
perc_loop_undefer(struct perc_loop *l, struct perc_defer *d)
{
	if (d->linkp == NULL)
		return;
	*d->linkp = d->next;
	if (d->next != NULL)
		d->next->linkp = d->linkp;
	else
		l->last = d->linkp;
	d->linkp = NULL;
}

static void
run_deferred(struct perc_loop *l)
{
	struct perc_defer *d;

	while ((d = l->first) != NULL) {
		perc_loop_undefer(l, d);
		d->fn(d->arg);
	}
}

static int
wait_ms(const struct perc_loop *l, int timeout_ms)
{
	int64_t in;

	if (l->first != NULL)
		return 0;
	if (l->timers == 0)
		return timeout_ms;
	if ((in = l->heap[1]->due_ms - perc_now_ms()) < 0)
		in = 0;
	if (timeout_ms >= 0 && timeout_ms < in)
		return timeout_ms;
	return in > INT32_MAX ? INT32_MAX : (int)in;
}

int
perc_loop_turn(struct perc_loop *l, int timeout_ms)
{
	struct epoll_event ev[BATCH];
	int n = epoll_wait(l->epfd, ev, BATCH, wait_ms(l, timeout_ms));

	if (n < 0 && errno != EINTR)
		return PERC_ERR_SYS;
	l->in_turn = true;
	for (int i = 0; i < n; i++) {
		struct perc_io *io = ev[i].data.ptr;

		if (!io->dead)
			io->fn(io->fd, ev[i].events, io->arg);
	}
	run_timers(l);
	for (unsigned i = 0; i < l->nafter; i++)
		l->after[i].fn(l->after[i].arg);
	run_deferred(l);
	l->in_turn = false;
	reap(l);
	return 0;
}

int
perc_loop_run(struct perc_loop *l)
{
	int r = 0;

	l->stop = false;
	while (!l->stop && r == 0)
		r = perc_loop_turn(l, -1);
	return r;
}

void
perc_loop_stop(struct perc_loop *l)
{
	l->stop = true;
}
