/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of JSON from programs of this user, and the answers. Nobody is let in
 * before the vault is there: whoever is early waits in the kernel's queue
 * instead of hearing that he is.
 */
#include "agent/local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/text.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/secret.h"

#define OUT_MAX (4u << 20) /* octets waiting for a slow reader */

struct client;

struct local_req {
	struct client *client; /* NULL: free */
	int64_t id;
};

struct client {
	struct local *local; /* NULL: free */
	int fd;
	struct perc_io *io;
	char in[LOCAL_LINE_MAX];
	size_t in_len;
	struct text out;
	size_t out_sent;
	bool doomed;
	struct local_req reqs[LOCAL_REQS_MAX];
};

struct local {
	struct perc_loop *loop;
	char *path; /* NULL: the socket was given, and stays */
	int fd;
	struct perc_io *io;
	local_fn fn;
	local_gone_fn gone;
	void *arg;
	struct client *clients[LOCAL_CLIENTS_MAX];
};

int
local_parse(
    json_t **jp, int64_t *id, const char **cmd, const char *line, size_t len)
{
	json_t *j = NULL;
	int r;

	if ((r = perc_json_parse(&j, line, len, LOCAL_LINE_MAX, NULL, 0)) != 0)
		return r;
	if ((r = perc_json_int(id, j, "id", 1, INT32_MAX)) == 0 &&
	    (*cmd = perc_json_str(j, "cmd")) != NULL) {
		*jp = j;
		return 0;
	}
	json_decref(j);
	return PERC_ERR_FORMAT;
}

/* ---- one client ---------------------------------------------------------- */

static void
client_free(struct client *cl)
{
	struct local *l = cl->local;

	for (size_t i = 0; i < LOCAL_REQS_MAX; i++)
		if (cl->reqs[i].client != NULL)
			l->gone(&cl->reqs[i], l->arg);
	for (size_t i = 0; i < LOCAL_CLIENTS_MAX; i++)
		if (l->clients[i] == cl)
			l->clients[i] = NULL;
	perc_loop_del(cl->io);
	close(cl->fd);
	text_clear(&cl->out);
	perc_wipe(cl->in, sizeof(cl->in)); /* invitation codes */
	free(cl);
}

static bool
client_flush(struct client *cl)
{
	size_t left = cl->out.len - cl->out_sent;
	ssize_t n;

	while (left > 0) {
		n = send(cl->fd, cl->out.p + cl->out_sent, left, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN &&
			    perc_loop_mod(cl->io, EPOLLIN | EPOLLOUT) == 0;
		cl->out_sent += (size_t)n;
		left -= (size_t)n;
	}
	text_clear(&cl->out);
	cl->out_sent = 0;
	return perc_loop_mod(cl->io, EPOLLIN) == 0;
}

/* Takes j. A client that does not read is left behind at its next event. */
static void
client_say(struct client *cl, json_t *j)
{
	char *line = perc_json_text(j);

	if (line != NULL && cl->out.len < OUT_MAX) {
		text_add(&cl->out, line);
		text_add(&cl->out, "\n");
	}
	if (line == NULL || cl->out.failed || !client_flush(cl))
		cl->doomed = true;
	perc_json_free(line);
	json_decref(j);
}

static struct local_req *
req_new(struct client *cl, int64_t id)
{
	for (size_t i = 0; i < LOCAL_REQS_MAX; i++)
		if (cl->reqs[i].client == NULL) {
			cl->reqs[i] = (struct local_req){ cl, id };
			return &cl->reqs[i];
		}
	return NULL;
}

static void
client_line(struct client *cl, const char *line, size_t len)
{
	struct local *l = cl->local;
	struct local_req *r;
	const char *cmd;
	json_t *j;
	int64_t id;

	if (local_parse(&j, &id, &cmd, line, len) != 0) {
		cl->doomed = true;
		return;
	}
	if ((r = req_new(cl, id)) != NULL)
		l->fn(r, cmd, j, l->arg);
	else
		cl->doomed = true;
	json_decref(j);
}

static void
client_lines(struct client *cl)
{
	char *end;
	size_t n;

	while (
	    !cl->doomed && (end = memchr(cl->in, '\n', cl->in_len)) != NULL) {
		n = (size_t)(end - cl->in);
		client_line(cl, cl->in, n);
		cl->in_len -= n + 1;
		memmove(cl->in, end + 1, cl->in_len);
		perc_wipe(cl->in + cl->in_len, n + 1);
	}
	if (cl->in_len == sizeof(cl->in))
		cl->doomed = true;
}

static void
on_client(int fd, uint32_t events, void *arg)
{
	struct client *cl = arg;
	ssize_t n;

	if ((events & EPOLLOUT) != 0 && !client_flush(cl))
		cl->doomed = true;
	if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
		n = read(fd, cl->in + cl->in_len, sizeof(cl->in) - cl->in_len);
		if (n > 0)
			cl->in_len += (size_t)n;
		else if (n == 0 || (errno != EAGAIN && errno != EINTR))
			cl->doomed = true;
		client_lines(cl);
	}
	if (cl->doomed)
		client_free(cl);
}

/* ---- answers ------------------------------------------------------------ */

static void
req_say(struct local_req *r, const char *name, json_t *value)
{
	client_say(r->client,
	    json_pack("{s:I, s:o}", "id", (json_int_t)r->id, name, value));
}

/* Servers' words may be no UTF-8; then only their ASCII is shown. */
static json_t *
safe_string(const char *text)
{
	json_t *j = json_string(text);
	char *copy;

	if (j != NULL || (copy = text_dup(text)) == NULL)
		return j;
	for (char *p = copy; *p != '\0'; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	j = json_string(copy);
	free(copy);
	return j;
}

void
local_progress(struct local_req *r, const char *text)
{
	if (r != NULL)
		req_say(r, "progress", safe_string(text));
}

void
local_event(struct local_req *r, const char *name, const json_t *o)
{
	if (r != NULL)
		req_say(r, name, json_deep_copy(o));
}

void
local_result(struct local_req *r, json_t *result)
{
	req_say(r, "result", result != NULL ? result : json_object());
	r->client = NULL;
}

void
local_error(struct local_req *r, const char *code, const char *text)
{
	req_say(r, "error",
	    json_pack("{s:s, s:o}", "code", code, "text", safe_string(text)));
	r->client = NULL;
}

/* ---- the listener
 * ------------------------------------------------------------ */

static bool
peer_is_us(int fd)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return false;
	if (cred.uid == geteuid() || cred.uid == 0)
		return true;
	log_warnx("local_refused uid=%u", (unsigned)cred.uid);
	return false;
}

static int
client_add(struct local *l, int fd)
{
	struct client *cl;
	size_t i;
	int r;

	for (i = 0; i < LOCAL_CLIENTS_MAX && l->clients[i] != NULL; i++)
		continue;
	if (i == LOCAL_CLIENTS_MAX)
		return PERC_ERR_LIMIT;
	if ((cl = calloc(1, sizeof(*cl))) == NULL)
		return PERC_ERR_NOMEM;
	cl->local = l;
	cl->fd = fd;
	if ((r = perc_loop_add(l->loop, &cl->io, fd, EPOLLIN, on_client, cl)) !=
	    0) {
		free(cl);
		return r;
	}
	l->clients[i] = cl;
	return 0;
}

static void
on_accept(int fd, uint32_t events, void *arg)
{
	struct local *l = arg;
	int s = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (s >= 0 && (!peer_is_us(s) || client_add(l, s) != 0))
		close(s);
}

int
local_new(struct local **lp, struct perc_loop *loop, const char *path,
    int given, local_fn fn, local_gone_fn gone, void *arg, char *why,
    size_t whycap)
{
	struct local *l;
	int r = 0;

	if ((l = calloc(1, sizeof(*l))) == NULL)
		return PERC_ERR_NOMEM;
	l->loop = loop;
	l->fn = fn;
	l->gone = gone;
	l->arg = arg;
	l->fd = given;
	if (given < 0 && (l->path = text_dup(path)) == NULL)
		r = PERC_ERR_NOMEM;
	else if (given < 0 &&
	    (r = local_listen(&l->fd, path, why, whycap)) != 0) {
		free(l->path); /* another's, perhaps */
		l->path = NULL;
	}
	if (r != 0)
		local_free(l);
	else
		*lp = l;
	return r;
}

int
local_open(struct local *l)
{
	if (l->io != NULL)
		return 0;
	return perc_loop_add(l->loop, &l->io, l->fd, EPOLLIN, on_accept, l);
}

bool
local_idle(const struct local *l)
{
	for (size_t i = 0; i < LOCAL_CLIENTS_MAX; i++)
		if (l->clients[i] != NULL)
			return false;
	return true;
}

void
local_free(struct local *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < LOCAL_CLIENTS_MAX; i++)
		if (l->clients[i] != NULL)
			client_free(l->clients[i]);
	perc_loop_del(l->io);
	if (l->fd >= 0)
		close(l->fd);
	if (l->path != NULL)
		(void)unlink(l->path);
	free(l->path);
	free(l);
}
