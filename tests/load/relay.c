/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bad line to KMF and MDD for one seat in twenty, where the kernel has no
 * netem: a relay that hands on each octet half the round trip later, and now
 * and then holds a direction up for as long as TCP takes to send again what
 * was lost. It sees TLS records and nothing else.
 */
#include "tests/load/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perc/crypto.h"

#define READ_MAX     16384
#define LOSS_PERCENT 2
#define AGAIN_MS     2 /* the socket was full */

struct chunk {
	struct chunk *next;
	int64_t due_us;
	size_t len, sent; /* len 0: the end */
	char data[];
};

struct half { /* one direction */
	struct line *line;
	int from, to;
	struct perc_io *io;
	struct perc_timer timer;
	struct chunk *q, **end;
	int64_t last_us; /* due time of the youngest: nothing overtakes */
	bool over;
};

struct line {
	struct load *l;
	struct half up, down;
};

#define DOORS_MAX 2 /* KMF, MDD */

static struct door { /* we listen for those who want to go there */
	struct load *l;
	int fd;
	unsigned port, target;
	struct perc_io *io;
} doors[DOORS_MAX];
static unsigned ndoors;

static void half_send(void *arg);

static void
half_clear(struct half *h)
{
	struct chunk *k;

	perc_loop_del(h->io);
	perc_timer_stop(h->line->l->loop, &h->timer);
	while ((k = h->q) != NULL) {
		h->q = k->next;
		free(k);
	}
}

static void
line_close(struct line *n)
{
	half_clear(&n->up);
	half_clear(&n->down);
	close(n->up.from);
	close(n->up.to);
	free(n);
}

static void
half_arm(struct half *h, int64_t at_least_ms)
{
	int64_t ms;

	if (h->q == NULL)
		return;
	ms = (h->q->due_us - load_us() + 999) / 1000;
	if (ms < at_least_ms)
		ms = at_least_ms;
	if (perc_timer_set(h->line->l->loop, &h->timer, ms, half_send, h) != 0)
		exit(1);
}

static void
half_send(void *arg)
{
	struct half *h = arg;
	struct chunk *k;
	ssize_t n;

	while ((k = h->q) != NULL && k->due_us <= load_us()) {
		if (k->len == 0) {
			(void)shutdown(h->to, SHUT_WR);
			h->over = true;
		} else {
			n = send(h->to, k->data + k->sent, k->len - k->sent,
			    MSG_NOSIGNAL | MSG_DONTWAIT);
			if (n < 0 && errno == EAGAIN) {
				half_arm(h, AGAIN_MS);
				return;
			}
			if (n < 0) {
				line_close(h->line);
				return;
			}
			k->sent += (size_t)n;
			if (k->sent < k->len)
				continue;
		}
		if ((h->q = k->next) == NULL)
			h->end = &h->q;
		free(k);
	}
	if (h->line->up.over && h->line->down.over)
		line_close(h->line);
	else
		half_arm(h, 0);
}

static void
half_readable(int fd, uint32_t events, void *arg)
{
	struct half *h = arg;
	struct load *l = h->line->l;
	struct chunk *k;
	ssize_t n;

	if ((k = malloc(sizeof(*k) + READ_MAX)) == NULL)
		exit(1);
	n = recv(fd, k->data, READ_MAX, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN) {
		free(k);
		return;
	}
	k->next = NULL;
	k->sent = 0;
	k->len = n > 0 ? (size_t)n : 0;
	k->due_us = load_us() + (int64_t)l->lag_ms * 500;
	if (perc_random_u32() % 100 < LOSS_PERCENT)
		k->due_us += (int64_t)(l->lag_ms + 200) * 1000;
	if (k->due_us < h->last_us)
		k->due_us = h->last_us;
	h->last_us = k->due_us;
	*h->end = k;
	h->end = &k->next;
	if (k->len == 0) {
		perc_loop_del(h->io);
		h->io = NULL;
	}
	if (h->q == k)
		half_arm(h, 0);
}

static int
half_open(struct half *h, struct line *n, int from, int to)
{
	h->line = n;
	h->from = from;
	h->to = to;
	h->end = &h->q;
	return perc_loop_add(
	    n->l->loop, &h->io, from, EPOLLIN, half_readable, h);
}

static int
server_connect(unsigned port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons((uint16_t)port);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static void
on_caller(int fd, uint32_t events, void *arg)
{
	int a = accept4(fd, NULL, NULL, SOCK_CLOEXEC), b;
	struct door *d = arg;
	struct line *n;

	if (a < 0)
		return;
	if ((b = server_connect(d->target)) < 0) {
		close(a);
		return;
	}
	if ((n = calloc(1, sizeof(*n))) == NULL)
		exit(1);
	n->l = d->l;
	if (half_open(&n->up, n, a, b) != 0 ||
	    half_open(&n->down, n, b, a) != 0)
		exit(1);
}

static int
door_open(struct load *l, const char *base)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);
	struct door *d = &doors[ndoors];

	(void)inet_pton(AF_INET, load_away_address(), &a.sin_addr);
	d->l = l;
	d->target = (unsigned)atoi(strrchr(base, ':') + 1);
	d->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (d->fd < 0 || bind(d->fd, (struct sockaddr *)&a, n) != 0 ||
	    listen(d->fd, SOMAXCONN) != 0 ||
	    getsockname(d->fd, (struct sockaddr *)&a, &n) != 0)
		return PERC_ERR_SYS;
	d->port = ntohs(a.sin_port);
	ndoors++;
	return perc_loop_add(l->loop, &d->io, d->fd, EPOLLIN, on_caller, d);
}

unsigned
load_relay_port(struct load *l, unsigned port)
{
	for (unsigned i = 0; i < ndoors; i++)
		if (doors[i].target == port)
			return doors[i].port;
	return port;
}

int
load_relay_open(struct load *l)
{
	int r;

	l->bad_socket = load_away_socket;
	if ((r = load_away_open()) != 0 || (r = door_open(l, l->base)) != 0)
		return r;
	return l->nmedia > 0 ? door_open(l, l->mdd_base) : 0;
}
