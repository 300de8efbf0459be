/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bad line of one leg: each datagram later by half the round trip, one in
 * fifty never. Whoever speaks first from outside is whose line it is.
 */
#include "tests/load/load.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "perc/crypto.h"
#include "perc/rtp.h"

#define LOSS_PERCENT 2

struct parcel {
	struct parcel *next;
	int64_t due_us;
	bool out; /* towards the seat */
	size_t len;
	uint8_t p[PERC_MTU_MAX];
};

struct load_road {
	struct load *l;
	int seat, server;
	struct perc_io *seat_io, *server_io;
	struct sockaddr_in from; /* the seat */
	struct perc_timer timer;
	struct parcel *q, **end;
};

static void road_send(void *arg);

static void
road_arm(struct load_road *r)
{
	int64_t ms;

	if (r->q == NULL)
		return;
	ms = (r->q->due_us - load_us() + 999) / 1000;
	if (perc_timer_set(
		r->l->loop, &r->timer, ms > 0 ? ms : 0, road_send, r) != 0)
		exit(1);
}

static void
road_send(void *arg)
{
	struct load_road *r = arg;
	struct parcel *k;

	while ((k = r->q) != NULL && k->due_us <= load_us()) {
		if (k->out)
			(void)!sendto(r->seat, k->p, k->len, MSG_DONTWAIT,
			    (struct sockaddr *)&r->from, sizeof(r->from));
		else
			(void)!send(r->server, k->p, k->len, MSG_DONTWAIT);
		if ((r->q = k->next) == NULL)
			r->end = &r->q;
		free(k);
	}
	road_arm(r);
}

static void
on_datagram(int fd, uint32_t events, void *arg)
{
	struct load_road *r = arg;
	struct parcel *k = malloc(sizeof(*k));
	struct sockaddr_in from = { .sin_family = AF_INET };
	socklen_t len = sizeof(from);
	ssize_t n;

	if (k == NULL)
		exit(1);
	n = recvfrom(fd, k->p, sizeof(k->p), MSG_DONTWAIT,
	    (struct sockaddr *)&from, &len);
	if (n <= 0 || perc_random_u32() % 100 < LOSS_PERCENT) {
		free(k);
		return;
	}
	k->next = NULL;
	k->out = fd == r->server;
	k->len = (size_t)n;
	k->due_us = load_us() + (int64_t)r->l->lag_ms * 500;
	if (!k->out)
		r->from = from;
	*r->end = k;
	r->end = &k->next;
	if (r->q == k)
		road_arm(r);
}

static int
sockets_open(struct load_road *r, uint16_t *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET },
			   b = { .sin_family = AF_INET };
	socklen_t n = sizeof(a);

	(void)inet_pton(AF_INET, load_away_address(), &a.sin_addr);
	b.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	b.sin_port = htons(*port);
	r->seat = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r->server = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (r->seat < 0 || r->server < 0 ||
	    bind(r->seat, (struct sockaddr *)&a, n) != 0 ||
	    getsockname(r->seat, (struct sockaddr *)&a, &n) != 0 ||
	    connect(r->server, (struct sockaddr *)&b, sizeof(b)) != 0)
		return PERC_ERR_SYS;
	*port = ntohs(a.sin_port);
	return 0;
}

int
load_road_open(struct load_road **rp, struct load *l, uint16_t *port)
{
	struct load_road *r = calloc(1, sizeof(*r));
	int err;

	if (r == NULL)
		return PERC_ERR_NOMEM;
	r->l = l;
	r->end = &r->q;
	r->seat = r->server = -1;
	if ((err = sockets_open(r, port)) != 0 ||
	    (err = perc_loop_add(l->loop, &r->seat_io, r->seat, EPOLLIN,
		 on_datagram, r)) != 0 ||
	    (err = perc_loop_add(l->loop, &r->server_io, r->server, EPOLLIN,
		 on_datagram, r)) != 0) {
		load_road_close(r);
		return err;
	}
	*rp = r;
	return 0;
}

void
load_road_close(struct load_road *r)
{
	struct parcel *k;

	if (r == NULL)
		return;
	perc_loop_del(r->seat_io);
	perc_loop_del(r->server_io);
	perc_timer_stop(r->l->loop, &r->timer);
	close(r->seat);
	close(r->server);
	while ((k = r->q) != NULL) {
		r->q = k->next;
		free(k);
	}
	free(r);
}
