/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who connects to the port of a browser login: every program of this machine
 * can, and the loop that serves it carries calls. So nobody is waited for:
 * a few visitors at a time, each with a buffer and a timer, and where there
 * are too many the one that has been silent longest goes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/frontlogin.h"
#include "perc/secret.h"

#define REQUEST_MAX 8192
#define PATIENCE_MS 10000 /* a browser's request comes at once */

struct front_visit {
	struct front_login *login;
	int fd;
	struct perc_io *io;
	struct perc_timer late;
	size_t n;
	char request[REQUEST_MAX];
};

/* Off the login's list, which may not live much longer. */
static void
visit_detach(struct front_visit *v)
{
	struct front_visit **all = v->login->visits;
	size_t i = 0;

	while (all[i] != v)
		i++;
	memmove(
	    all + i, all + i + 1, (FRONT_VISITS_MAX - 1 - i) * sizeof(*all));
	all[FRONT_VISITS_MAX - 1] = NULL;
	perc_loop_del(v->io);
	perc_timer_stop(v->login->agent->loop, &v->late);
}

static void
visit_free(struct front_visit *v)
{
	close(v->fd);
	perc_wipe(v, sizeof(*v)); /* a code may be in it */
	free(v);
}

static void
visit_end(struct front_visit *v)
{
	visit_detach(v);
	front_redirect_answer(v->login, v->fd, v->request, v->n);
	visit_free(v);
}

static void
on_late(void *arg)
{
	visit_end(arg);
}

static void
on_request(int fd, uint32_t events, void *arg)
{
	struct front_visit *v = arg;
	ssize_t got = recv(fd, v->request + v->n, REQUEST_MAX - v->n, 0);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got > 0)
		v->n += (size_t)got;
	/* The first line is all that counts. */
	if (got <= 0 || v->n == REQUEST_MAX ||
	    memchr(v->request, '\r', v->n) != NULL)
		visit_end(v);
}

void
front_visit_accept(int fd, uint32_t events, void *arg)
{
	struct front_login *l = arg;
	struct front_visit **all = l->visits, *v;
	size_t i = 0;
	int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (s < 0)
		return;
	if (all[FRONT_VISITS_MAX - 1] != NULL)
		visit_end(all[0]);
	if ((v = calloc(1, sizeof(*v))) == NULL) {
		close(s);
		return;
	}
	v->login = l;
	v->fd = s;
	while (all[i] != NULL)
		i++;
	all[i] = v;
	if (perc_loop_add(l->agent->loop, &v->io, s, EPOLLIN, on_request, v) !=
		0 ||
	    perc_timer_set(l->agent->loop, &v->late, PATIENCE_MS, on_late, v) !=
		0)
		visit_end(v);
}

void
front_visits_close(struct front_login *l)
{
	struct front_visit *v;

	while ((v = l->visits[0]) != NULL) {
		visit_detach(v);
		visit_free(v);
	}
}
