/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for a path, at first and whenever the one in use fails. A path that
 * answers no check within a second, or that the kernel no longer knows,
 * starts a search: fresh sockets (from a new address, if that is what
 * changed) are nominated beside it. The distributor asks the new address
 * itself before it moves the leg there (docs/wire/join.md), so what we wait
 * for is its question, and media changes over behind our answer.
 */
#include "agent/frontleg.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "perc/log.h"

#define ICE_MAX_MS     10000 /* without any answer: no such path */
#define DTLS_MAX_MS    10000
#define RELAY_AFTER_MS 750   /* direct's head start */
#define RELAY_MAX_MS   20000 /* a relay asks several servers first */

static void on_search(void *arg);

void
front_path_close(struct front_path *p)
{
	if (p->state == PATH_NONE)
		return;
	perc_timer_stop(p->leg->loop, &p->check);
	perc_loop_del(p->io);
	close(p->fd);
	if (p->leg->now == p)
		p->leg->now = NULL;
	*p = (struct front_path){ .leg = p->leg, .fd = -1 };
}

struct front_path *
front_path_find(struct front_leg *l, enum path_state state, bool relay)
{
	for (size_t i = 0; i < PATHS; i++)
		if (l->path[i].state == state &&
		    (state == PATH_NONE || l->path[i].relay == relay))
			return &l->path[i];
	return NULL;
}

void
front_paths_close(struct front_leg *l, enum path_state state)
{
	for (size_t i = 0; i < PATHS; i++)
		if (l->path[i].state == state)
			front_path_close(&l->path[i]);
}

/* ---- sockets ------------------------------------------------------------ */

static int
direct_socket(const struct front_leg *l)
{
	const struct sockaddr *to = (const struct sockaddr *)&l->there;
	socklen_t len = to->sa_family == AF_INET ? sizeof(struct sockaddr_in)
						 : sizeof(struct sockaddr_in6);
	int size = 2 << 20, fd, e;

	fd =
	    socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fd;
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (connect(fd, to, len) == 0)
		return fd;
	e = errno;
	close(fd);
	errno = e;
	return -1;
}

/* One more that is tried, from now on. */
static bool
path_open(struct front_leg *l, bool relay)
{
	struct front_path *p = front_path_find(l, PATH_NONE, false);
	int fd;

	if (p == NULL)
		return false;
	fd = relay ? front_relay_open(l->conf->agent->relays,
			 (const struct sockaddr *)&l->there, -1, &p->relay_id)
		   : direct_socket(l);
	if (fd < 0)
		return false;
	if (perc_loop_add(l->loop, &p->io, fd, EPOLLIN, front_leg_ready, p) !=
	    0) {
		close(fd);
		errno = ENOMEM;
		return false;
	}
	p->fd = fd;
	p->relay = relay;
	p->state = PATH_TRIED;
	front_path_check_in(p, 0);
	return true;
}

/* Would the kernel send from elsewhere than p does? */
static bool
is_elsewhere(const struct front_path *p)
{
	struct sockaddr_storage now, then;
	socklen_t nlen = sizeof(now), tlen = sizeof(then);
	int fd = direct_socket(p->leg);
	bool same = true;

	if (fd < 0)
		return true;
	if (getsockname(fd, (struct sockaddr *)&now, &nlen) == 0 &&
	    getsockname(p->fd, (struct sockaddr *)&then, &tlen) == 0)
		same = now.ss_family == AF_INET
		    ? ((struct sockaddr_in *)&now)->sin_addr.s_addr ==
			((struct sockaddr_in *)&then)->sin_addr.s_addr
		    : memcmp(&((struct sockaddr_in6 *)&now)->sin6_addr,
			  &((struct sockaddr_in6 *)&then)->sin6_addr, 16) == 0;
	close(fd);
	return !same;
}

/* ---- searching ---------------------------------------------------------- */

void
front_search_start(struct front_leg *l)
{
	if (l->state == LEG_LOST || l->searching)
		return;
	l->searching = true;
	l->search_ms = perc_now_ms();
	front_leg_timer(l, &l->search, 0, on_search);
}

void
front_search_stop(struct front_leg *l)
{
	l->searching = false;
	front_paths_close(l, PATH_TRIED);
}

/* What could be tried and is not. A direct one that was opened before the
 * network changed once more stands where nobody sends from. */
static void
search_more(struct front_leg *l)
{
	const struct front_relays *r = l->conf->agent->relays;
	struct front_path *p = front_path_find(l, PATH_TRIED, false);
	bool only = front_relay_only(r);

	if (p != NULL && is_elsewhere(p)) {
		front_path_close(p);
		p = NULL;
	}
	if (p == NULL && !only) {
		front_paths_close(l, PATH_SPARE);
		(void)path_open(l, false);
	}
	if (r != NULL && front_path_find(l, PATH_TRIED, true) == NULL &&
	    (only || perc_now_ms() - l->search_ms >= RELAY_AFTER_MS))
		(void)path_open(l, true);
}

static void
on_search(void *arg)
{
	struct front_leg *l = arg;
	int64_t age = perc_now_ms() - l->started_ms;
	bool relays = l->conf->agent->relays != NULL;

	if (l->state == LEG_ICE && age > (relays ? RELAY_MAX_MS : ICE_MAX_MS)) {
		char why[FRONT_WORDS_MAX];

		text_put(why, sizeof(why), "%s%s%s",
		    "no answer at the distributor's media address",
		    l->relay_words[0] != '\0' ? "; relay: " : "",
		    l->relay_words);
		front_leg_lost(l, why);
		return;
	}
	if (l->state == LEG_DTLS && age > DTLS_MAX_MS) {
		front_leg_lost(l, "the distributor does not finish DTLS");
		return;
	}
	if (l->searching)
		search_more(l);
	if (l->searching || l->state == LEG_DTLS)
		front_search_watch(l);
}

void
front_search_watch(struct front_leg *l)
{
	front_leg_timer(l, &l->search, FRONT_ICE_MS, on_search);
}

bool
front_path_start(struct front_leg *l)
{
	const struct front_relays *r = l->conf->agent->relays;

	for (size_t i = 0; i < PATHS; i++)
		l->path[i] = (struct front_path){ .leg = l, .fd = -1 };
	if (!path_open(l, front_relay_only(r)) && r == NULL)
		return false;
	front_search_start(l);
	return true;
}

void
front_path_stop(struct front_leg *l)
{
	for (size_t i = 0; i < PATHS; i++)
		front_path_close(&l->path[i]);
	perc_timer_stop(l->loop, &l->search);
}

/* Addresses or routes of this machine are others. */
void
front_leg_moved(struct front_leg *l)
{
	if (l == NULL || l->now == NULL || l->state == LEG_LOST)
		return;
	front_path_check_in(l->now, 0);
	if (!l->now->relay && is_elsewhere(l->now))
		front_search_start(l);
}

void
front_leg_relay_told(
    struct front_leg *l, uint32_t id, bool up, const char *words)
{
	for (size_t i = 0; i < PATHS; i++) {
		struct front_path *p = &l->path[i];

		if (p->state == PATH_NONE || !p->relay || p->relay_id != id)
			continue;
		text_put(p->words, sizeof(p->words), "%s", words);
		l->relay_words[0] = '\0';
		if (!up)
			text_put(l->relay_words, sizeof(l->relay_words), "%s",
			    words);
		else if (p->state == PATH_TRIED)
			front_path_check_in(p, 0);
		log_info("relay conf=%s %s=\"%s\"", l->conf->id,
		    up ? "by" : "trouble", words);
	}
}
