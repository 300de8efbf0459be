/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seats with media have a process of their own, as each agent has: with
 * the others in one loop their sockets waited behind a thousand handshakes,
 * for seconds when the KMF came back, and packets were read when their key
 * was long wiped. What scenarios look at, states and times, is memory that
 * both processes see, with one writer for each seat; what they do to a seat
 * is an order, and figures come back as notes.
 */
#include "tests/load/media.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/text.h"

#define WAIT_MS 30000

enum order_what { BEGIN, JOIN, LEAVE, GONE, REPORT };

struct order {
	enum order_what what;
	unsigned seat;
	int64_t in_ms;
	char scenario[32];
};

struct word {			 /* from there */
	char name[128], unit[8]; /* no name: an order that was waited for */
	double v;
};

static struct {
	bool there; /* is this that process? */
	int fd;	    /* to the other one; -1: there is none */
	pid_t pid;
	struct perc_io *io;
	unsigned asked, done;
	struct order report; /* there: to be written when the turn is over */
	bool over;
} a = { .fd = -1 };

int
load_board_make(struct load *l)
{
	size_t each = sizeof(struct load_seat) +
	    LOAD_EPOCHS_MAX * sizeof(*l->seats->held_us);
	size_t size = sizeof(*l->board) + l->n * each;
	unsigned i;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return PERC_ERR_NOMEM;
	l->board = (struct load_board *)p;
	l->board->react = true;
	l->count = &l->board->count[0];
	l->seats = (struct load_seat *)(p + sizeof(*l->board));
	p = (char *)(l->seats + l->n);
	for (i = 0; i < l->n; i++)
		l->seats[i].held_us = (int64_t *)p + i * LOAD_EPOCHS_MAX;
	return 0;
}

/* --- there ------------------------------------------------------------------
 */
static void
say(const char *name, double v, const char *unit)
{
	struct word w = { .v = v };

	text_put(w.name, sizeof(w.name), "%s", name);
	text_put(w.unit, sizeof(w.unit), "%s", unit);
	if (send(a.fd, &w, sizeof(w), MSG_NOSIGNAL) != sizeof(w))
		a.over = true;
}

bool
load_aside_note(const char *name, double v, const char *unit)
{
	if (a.there)
		say(name, v, unit);
	return a.there;
}

static int
begin(struct load *l)
{
	int r;

	text_put(l->conf, sizeof(l->conf), "%s", l->board->conf);
	text_put(l->resource, sizeof(l->resource), "%s", l->board->resource);
	if ((r = perc_jwks_from_json(
		 &l->jwks, l->board->jwks, strlen(l->board->jwks))) != 0)
		return r;
	return load_media_run(l);
}

static void
order_do(struct load *l, const struct order *o)
{
	struct load_seat *s = &l->seats[o->seat];

	if (o->what == BEGIN && begin(l) != 0)
		a.over = true;
	else if (o->what == JOIN)
		load_seat_join(s, o->in_ms);
	else if (o->what == LEAVE)
		load_seat_leave(s, o->in_ms);
	else if (o->what == GONE)
		load_media_gone(s);
	else if (o->what == REPORT)
		a.report = *o;
	if (o->what == BEGIN || o->what == GONE)
		say("", 0, "");
}

static void
on_order(int fd, uint32_t events, void *arg)
{
	struct order o;
	ssize_t n = recv(fd, &o, sizeof(o), MSG_DONTWAIT);

	if (n == sizeof(o))
		order_do(arg, &o);
	else if (n >= 0 || errno != EAGAIN)
		a.over = true;
}

/* A report turns the loop itself, so it is not made in a turn. */
static int
there(struct load *l)
{
	int r;

	a.there = true;
	l->count = &l->board->count[1];
	l->first = 0;
	l->end = l->nmedia;
	if ((r = load_part_open(l)) != 0 ||
	    (r = perc_loop_add(l->loop, &a.io, a.fd, EPOLLIN, on_order, l)) !=
		0)
		return r;
	while (!a.over && (r = perc_loop_turn(l->loop, 1000)) == 0) {
		if (a.report.what != REPORT)
			continue;
		load_count_report(l, a.report.scenario);
		a.report.what = BEGIN;
		say("", 0, "");
	}
	load_part_close(l);
	return r;
}

/* --- here -------------------------------------------------------------------
 */
int
load_aside_open(struct load *l)
{
	int sv[2], r;

	l->end = l->n;
	if (l->nmedia == 0 || l->together)
		return 0;
	l->first = l->nmedia;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) != 0 ||
	    (a.pid = fork()) < 0)
		return PERC_ERR_SYS;
	a.fd = sv[a.pid == 0];
	close(sv[a.pid != 0]);
	if (a.pid != 0)
		return 0;
	if ((r = there(l)) != 0)
		fprintf(stderr, "perch-load: those with media: %s\n",
		    perc_strerror(r));
	exit(r != 0);
}

static void
on_word(int fd, uint32_t events, void *arg)
{
	struct word w;

	if (recv(fd, &w, sizeof(w), MSG_DONTWAIT) != sizeof(w)) {
		fprintf(stderr, "perch-load: those with media are gone\n");
		exit(1);
	}
	if (w.name[0] != '\0')
		load_note(arg, w.name, w.v, w.unit);
	else
		a.done++;
}

static bool
is_done(struct load *l)
{
	return a.done == a.asked;
}

static void
order(struct load *l, const struct order *o, bool wait)
{
	a.asked += wait;
	if (send(a.fd, o, sizeof(*o), MSG_NOSIGNAL) != sizeof(*o) ||
	    (wait && !load_until(l, is_done, WAIT_MS))) {
		fprintf(stderr, "perch-load: those with media are silent\n");
		exit(1);
	}
}

int
load_aside_begin(struct load *l)
{
	struct order o = { .what = BEGIN };
	int r;

	if (a.fd < 0)
		return l->nmedia > 0 ? load_media_run(l) : 0;
	text_put(l->board->conf, sizeof(l->board->conf), "%s", l->conf);
	text_put(
	    l->board->resource, sizeof(l->board->resource), "%s", l->resource);
	if ((r = perc_loop_add(l->loop, &a.io, a.fd, EPOLLIN, on_word, l)) != 0)
		return r;
	order(l, &o, true);
	return 0;
}

void
load_aside_close(struct load *l)
{
	if (a.fd < 0)
		return;
	perc_loop_del(a.io);
	a.io = NULL;
	close(a.fd);
	a.fd = -1;
	(void)waitpid(a.pid, NULL, 0);
}

/* --- orders -----------------------------------------------------------------
 */
static bool
is_aside(const struct load *l, const struct load_seat *s)
{
	return a.fd >= 0 && s < l->seats + l->nmedia;
}

void
load_order_join(struct load *l, struct load_seat *s, int64_t in_ms)
{
	struct order o = {
		.what = JOIN, .seat = (unsigned)(s - l->seats), .in_ms = in_ms
	};

	if (!is_aside(l, s)) {
		load_seat_join(s, in_ms);
		return;
	}
	s->state = SEAT_JOINING; /* whoever looks next is to see it */
	order(l, &o, false);
}

void
load_order_leave(struct load *l, struct load_seat *s, int64_t in_ms)
{
	struct order o = {
		.what = LEAVE, .seat = (unsigned)(s - l->seats), .in_ms = in_ms
	};

	if (is_aside(l, s))
		order(l, &o, false);
	else
		load_seat_leave(s, in_ms);
}

void
load_order_gone(struct load *l, struct load_seat *s)
{
	struct order o = { .what = GONE, .seat = (unsigned)(s - l->seats) };

	if (is_aside(l, s))
		order(l, &o, true);
	else if (s->media != NULL)
		load_media_gone(s);
}

void
load_order_report(struct load *l, const char *what)
{
	struct order o = { .what = REPORT };

	text_put(o.scenario, sizeof(o.scenario), "%s", what);
	if (a.fd >= 0)
		order(l, &o, true);
	else if (l->nmedia > 0)
		load_count_report(l, what);
}

struct load_count
load_counted(const struct load *l)
{
	struct load_count c = l->board->count[0];
	const unsigned *more = (const unsigned *)&l->board->count[1];
	size_t i;

	for (i = 0; i < sizeof(c) / sizeof(*more); i++)
		((unsigned *)&c)[i] += more[i];
	return c;
}
