/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of mdd/admin.h; where they meet is admin_name.c. The answer may be
 * longer than a socket holds, so it waits here until the asker has taken it;
 * askers are few, and who does not take it is cut after ADMIN_MS.
 */
#include "mdd/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADMIN_MS      5000
#define ADMIN_ANSWER  (8u << 20) /* octets that an asker takes */
#define ADMIN_TIMEOUT 5		 /* seconds that an asker waits */

struct admin_client {
	struct ctl *ctl;
	int fd; /* -1: free */
	struct perc_io *io;
	struct perc_timer late;
	char line[MDD_ADMIN_LINE];
	size_t got;
	char *text;
	size_t len, sent;
};

struct ctl_admin {
	int fd;
	uid_t uid;
	struct perc_io *io;
	struct admin_client client[MDD_ADMIN_CLIENTS];
};

/* Whose process is at the other end? */
static bool
peer_is(int fd, uid_t a, uid_t b)
{
	struct ucred u;
	socklen_t len = sizeof(u);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &len) == 0 &&
	    (u.uid == 0 || u.uid == a || u.uid == b);
}

/* ---- the daemon's end ------------------------------------------------- */

static void
client_end(struct admin_client *k)
{
	perc_timer_stop(k->ctl->loop, &k->late);
	perc_loop_del(k->io);
	(void)close(k->fd);
	free(k->text);
	memset(k, 0, sizeof(*k));
	k->fd = -1;
}

static void
client_late(void *arg)
{
	client_end(arg);
}

enum mdd_admin_word
mdd_admin_parse(const char *line, size_t got)
{
	static const struct {
		const char *text;
		enum mdd_admin_word word;
	} words[] = { { "metrics", MDD_ADMIN_METRICS },
		{ "drain", MDD_ADMIN_DRAIN } };
	const char *end = memchr(line, '\n', got);
	size_t i, n;

	if (end == NULL)
		return got < MDD_ADMIN_LINE ? MDD_ADMIN_MORE : MDD_ADMIN_NONE;
	n = (size_t)(end - line);
	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strlen(words[i].text) == n &&
		    memcmp(words[i].text, line, n) == 0)
			return words[i].word;
	return MDD_ADMIN_NONE;
}

static bool
client_answer(struct admin_client *k, enum mdd_admin_word word)
{
	struct ctl *c = k->ctl;

	if (word == MDD_ADMIN_METRICS)
		k->text = metrics_text(c, &k->len);
	else if (word == MDD_ADMIN_DRAIN) {
		ctl_drain(c);
		k->text = strdup("draining\n");
		k->len = 9;
	}
	return k->text != NULL && perc_loop_mod(k->io, EPOLLOUT) == 0;
}

static void
client_write(struct admin_client *k)
{
	ssize_t n = send(k->fd, k->text + k->sent, k->len - k->sent,
	    MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0 && (k->sent += (size_t)n) < k->len)
		return;
	client_end(k);
}

static void
client_ready(int fd, uint32_t events, void *arg)
{
	struct admin_client *k = arg;
	enum mdd_admin_word word;
	ssize_t n;

	if (k->text != NULL) {
		client_write(k);
		return;
	}
	n = recv(fd, k->line + k->got, sizeof(k->line) - k->got, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		k->got += (size_t)n;
	word = mdd_admin_parse(k->line, k->got);
	if (n <= 0 || (word != MDD_ADMIN_MORE && !client_answer(k, word)))
		client_end(k);
}

static void
on_admin(int fd, uint32_t events, void *arg)
{
	struct ctl *c = arg;
	struct ctl_admin *a = c->admin;
	struct admin_client *k = NULL;
	unsigned i;
	int at = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (at < 0)
		return;
	for (i = 0; i < MDD_ADMIN_CLIENTS && k == NULL; i++)
		if (a->client[i].fd < 0)
			k = &a->client[i];
	if (k == NULL || !peer_is(at, a->uid, geteuid())) {
		(void)close(at);
		return;
	}
	k->ctl = c;
	k->fd = at;
	if (perc_loop_add(c->loop, &k->io, at, EPOLLIN, client_ready, k) != 0 ||
	    perc_timer_set(c->loop, &k->late, ADMIN_MS, client_late, k) != 0)
		client_end(k);
}

int
mdd_admin_open(struct ctl *c, int fd, uid_t uid)
{
	struct ctl_admin *a = calloc(1, sizeof(*a));
	unsigned i;

	if (a == NULL)
		return PERC_ERR_NOMEM;
	a->fd = fd;
	a->uid = uid;
	for (i = 0; i < MDD_ADMIN_CLIENTS; i++)
		a->client[i].fd = -1;
	c->admin = a;
	return perc_loop_add(c->loop, &a->io, fd, EPOLLIN, on_admin, c);
}

void
mdd_admin_close(struct ctl *c)
{
	struct ctl_admin *a = c->admin;
	unsigned i;

	if (a == NULL)
		return;
	for (i = 0; i < MDD_ADMIN_CLIENTS; i++)
		if (a->client[i].fd >= 0)
			client_end(&a->client[i]);
	perc_loop_del(a->io);
	(void)close(a->fd);
	free(a);
	c->admin = NULL;
}

/* ---- the asker's end -------------------------------------------------- */

static int
answer_read(int fd, char **textp, size_t *lenp)
{
	char *text = NULL, *more;
	size_t len = 0, room = 0;
	ssize_t n = 1;

	while (n > 0) {
		if (len + 1 >= room) {
			room = room == 0 ? 65536 : room * 2;
			more = room > ADMIN_ANSWER ? NULL : realloc(text, room);
			if (more == NULL) {
				free(text);
				return PERC_ERR_LIMIT;
			}
			text = more;
		}
		n = recv(fd, text + len, room - len - 1, 0);
		if (n > 0)
			len += (size_t)n;
	}
	if (n < 0 || len == 0) {
		free(text);
		return PERC_ERR_CLOSED;
	}
	text[len] = '\0';
	*textp = text;
	*lenp = len;
	return 0;
}

int
mdd_admin_ask(char **textp, size_t *lenp, const struct mdd_conf *conf,
    const char *line, const char **why)
{
	struct timeval wait = { ADMIN_TIMEOUT, 0 };
	int fd = -1, r;

	*why = "no perch-mdd runs with this configuration";
	if ((r = mdd_admin_dial(&fd, conf)) != 0)
		return r;
	*why = "it runs as a user that is not trusted here";
	r = PERC_ERR_DENIED;
	if (!peer_is(fd, geteuid(), mdd_admin_uid(conf)))
		goto out;
	*why = "it did not answer; ask as root, or as its user";
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	r = PERC_ERR_CLOSED;
	if (send(fd, line, strlen(line), MSG_NOSIGNAL) == (ssize_t)strlen(line))
		r = answer_read(fd, textp, lenp);
out:
	(void)close(fd);
	return r;
}
