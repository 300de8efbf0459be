/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's socket and the streams that are heard, behind one descriptor.
 * Nothing of perc/ is used, so that a program which embeds this brings jansson
 * and no more.
 */
#include "agent/perchclientint.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define PACKET_MAX 2048
#define BATCH	   32 /* packets of one ear before others have their turn */
#define OF_AGENT   EARS_MAX /* what epoll says of the socket itself */

int
perch__fail(struct perch_client *c, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->error, sizeof(c->error), fmt, ap);
	va_end(ap);
	errno = err;
	return -1;
}

const char *
perch_client_error(const struct perch_client *c)
{
	return c == NULL ? "out of memory" : c->error;
}

int
perch_client_fd(const struct perch_client *c)
{
	return c->poll;
}

/* ---- the connection ------------------------------------------------------ */

static int
path_find(struct perch_client *c, const char *path, struct sockaddr_un *un)
{
	const char *dir = getenv("XDG_RUNTIME_DIR");
	int n;

	if (path == NULL)
		path = getenv("PERCH_SOCKET");
	if (path != NULL)
		n = snprintf(un->sun_path, sizeof(un->sun_path), "%s", path);
	else if (dir != NULL)
		n = snprintf(un->sun_path, sizeof(un->sun_path),
		    "%s/perch/agent.sock", dir);
	else
		n = snprintf(un->sun_path, sizeof(un->sun_path),
		    "/run/user/%u/perch/agent.sock", (unsigned)getuid());
	if (n < 0 || (size_t)n >= sizeof(un->sun_path))
		return perch__fail(
		    c, ENAMETOOLONG, "the socket's path is too long");
	return 0;
}

static int
watch_fd(struct perch_client *c, int fd, uint32_t who)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = who };

	return epoll_ctl(c->poll, EPOLL_CTL_ADD, fd, &e);
}

static int
client_connect(struct perch_client *c, const char *path)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (path_find(c, path, &un) != 0)
		return -1;
	c->poll = epoll_create1(EPOLL_CLOEXEC);
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->poll < 0 || c->fd < 0)
		return perch__fail(
		    c, errno, "no descriptors: %s", strerror(errno));
	if (connect(c->fd, (struct sockaddr *)&un, sizeof(un)) != 0)
		return perch__fail(c, errno, "no perch-agent at %s: %s",
		    un.sun_path, strerror(errno));
	if (watch_fd(c, c->fd, OF_AGENT) != 0)
		return perch__fail(c, errno, "epoll: %s", strerror(errno));
	return 0;
}

int
perch_client_open(struct perch_client **cp, const char *path)
{
	struct perch_client *c = calloc(1, sizeof(*c));

	*cp = c;
	if (c == NULL)
		return -1;
	c->fd = c->poll = -1;
	for (int i = 0; i < EARS_MAX; i++)
		c->ears[i].fd = -1;
	return client_connect(c, path);
}

void
perch__hang_up(struct perch_client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void
perch_client_close(struct perch_client *c)
{
	if (c == NULL)
		return;
	for (int i = 0; i < EARS_MAX; i++)
		perch_client_deaf(c, i + 1);
	perch__hang_up(c);
	if (c->poll >= 0)
		close(c->poll);
	free(c->in);
	free(c);
}

/* ---- dispatching --------------------------------------------------------- */

static void
ear_read(struct perch_client *c, struct ear *e)
{
	uint8_t p[PACKET_MAX];
	ssize_t n;

	for (int i = 0; i < BATCH && e->fd >= 0; i++) {
		if ((n = recv(e->fd, p, sizeof(p), MSG_DONTWAIT)) < 0)
			return;
		e->fn(c, p, (size_t)n, e->arg);
	}
}

static int
turn(struct perch_client *c, int timeout_ms)
{
	struct epoll_event e[8];
	int n = epoll_wait(c->poll, e, 8, timeout_ms), r = 0;

	for (int i = 0; i < n; i++) {
		if (e[i].data.u32 == OF_AGENT)
			r = c->fd < 0 ? r : perch__read(c);
		else
			ear_read(c, &c->ears[e[i].data.u32]);
	}
	return r;
}

int
perch_client_dispatch(struct perch_client *c)
{
	return turn(c, 0);
}

static int64_t
now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int
perch_client_wait(struct perch_client *c, int id, int timeout_ms)
{
	int64_t end = now_ms() + timeout_ms, left = -1;

	if (id <= 0)
		return perch__fail(c, EINVAL, "no such request");
	while (perch__ask_find(c, id) != NULL) {
		if (timeout_ms >= 0 && (left = end - now_ms()) <= 0)
			return perch__fail(c, ETIMEDOUT, "no answer in time");
		if (turn(c, (int)left) != 0)
			return -1;
	}
	return 0;
}

/* ---- hearing by callback ------------------------------------------------- */

int
perch_client_hear(struct perch_client *c, const struct perch_stream *out,
    perch_packet_fn fn, void *arg)
{
	int i = 0;

	while (i < EARS_MAX && c->ears[i].fd >= 0)
		i++;
	if (i == EARS_MAX)
		return perch__fail(c, EAGAIN, "%d streams are heard", EARS_MAX);
	if ((c->ears[i].fd = perch_media_receive(out)) < 0)
		return perch__fail(c, errno, "cannot hear at port %u: %s",
		    out->port, strerror(errno));
	c->ears[i].fn = fn;
	c->ears[i].arg = arg;
	if (watch_fd(c, c->ears[i].fd, (uint32_t)i) == 0)
		return i + 1;
	perch_client_deaf(c, i + 1);
	return perch__fail(c, errno, "epoll: %s", strerror(errno));
}

void
perch_client_deaf(struct perch_client *c, int handle)
{
	if (handle < 1 || handle > EARS_MAX || c->ears[handle - 1].fd < 0)
		return;
	close(c->ears[handle - 1].fd);
	c->ears[handle - 1].fd = -1;
}
