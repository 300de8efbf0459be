/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's socket (docs/wire/local.md) as functions. Lines are read into
 * one growing buffer; a request is a place in a small table until its answer
 * came. Nothing of perc/ is used, so that a program which embeds this brings
 * jansson and no more.
 */
#include "agent/perchclient.h"

#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ASKS_MAX   8	      /* the agent takes no more at once */
#define EARS_MAX   64	      /* streams heard by callback */
#define LINE_LIMIT (4u << 20) /* octets of one line */
#define CHUNK	   65536u
#define PACKET_MAX 2048
#define BATCH	   32 /* packets of one ear before others have their turn */
#define OF_AGENT   EARS_MAX /* what epoll says of the socket itself */

struct ask {
	int id; /* 0: free */
	perch_answer_fn fn;
	void *arg;
};

struct ear {
	int fd; /* -1: free */
	perch_packet_fn fn;
	void *arg;
};

struct perch_client {
	int fd, poll;
	char *in;
	size_t len, cap;
	int next_id;
	struct ask asks[ASKS_MAX];
	struct ear ears[EARS_MAX];
	char error[256];
};

__attribute__((format(printf, 3, 4))) static int
fail(struct perch_client *c, int err, const char *fmt, ...)
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
		return fail(c, ENAMETOOLONG, "the socket's path is too long");
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
		return fail(c, errno, "no descriptors: %s", strerror(errno));
	if (connect(c->fd, (struct sockaddr *)&un, sizeof(un)) != 0)
		return fail(c, errno, "no perch-agent at %s: %s", un.sun_path,
		    strerror(errno));
	if (watch_fd(c, c->fd, OF_AGENT) != 0)
		return fail(c, errno, "epoll: %s", strerror(errno));
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

static void
hang_up(struct perch_client *c)
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
	hang_up(c);
	if (c->poll >= 0)
		close(c->poll);
	free(c->in);
	free(c);
}

/* ---- asking -------------------------------------------------------------- */

static struct ask *
ask_find(struct perch_client *c, int id)
{
	for (int i = 0; i < ASKS_MAX; i++)
		if (c->asks[i].id == id)
			return &c->asks[i];
	return NULL;
}

/* What we ask may have an invitation code inside: jansson frees strings as
 * they are, and its own writer leaves copies in buffers that it outgrew. */
static void
request_free(json_t *o)
{
	const char *name;
	json_t *v;

	json_object_foreach(o, name, v)
	{
		if (json_is_string(v))
			explicit_bzero((char *)(uintptr_t)json_string_value(v),
			    json_string_length(v));
	}
	json_decref(o);
}

/* A line is short beside the socket's buffer: it goes whole or not at all. */
static int
line_send(struct perch_client *c, const json_t *o)
{
	size_t n = json_dumpb(o, NULL, 0, JSON_COMPACT);
	char *text = n == 0 ? NULL : malloc(n + 1);
	ssize_t sent;

	if (text == NULL)
		return fail(c, ENOMEM, "out of memory");
	(void)json_dumpb(o, text, n, JSON_COMPACT);
	text[n] = '\n';
	sent = send(c->fd, text, n + 1, MSG_NOSIGNAL);
	explicit_bzero(text, n);
	free(text);
	if (sent != (ssize_t)n + 1)
		return fail(c, EPIPE, "perch-agent does not listen");
	return 0;
}

/* Takes o. */
static int
request(struct perch_client *c, const char *cmd, json_t *o, perch_answer_fn fn,
    void *arg)
{
	struct ask *a = ask_find(c, 0);
	int r = -1;

	if (o == NULL)
		return fail(c, EINVAL, "members are no JSON object");
	if (c->fd < 0) {
		fail(c, EPIPE, "perch-agent went away");
	} else if (a == NULL) {
		fail(c, EAGAIN, "%d requests are under way", ASKS_MAX);
	} else {
		c->next_id = c->next_id == INT32_MAX ? 1 : c->next_id + 1;
		json_object_set_new(o, "id", json_integer(c->next_id));
		json_object_set_new(o, "cmd", json_string(cmd));
		if (line_send(c, o) == 0) {
			*a = (struct ask){ c->next_id, fn, arg };
			r = a->id;
		}
	}
	request_free(o);
	return r;
}

int
perch_client_request(struct perch_client *c, const char *cmd,
    const char *members, perch_answer_fn fn, void *arg)
{
	json_t *o =
	    members == NULL ? json_object() : json_loads(members, 0, NULL);

	if (o != NULL && !json_is_object(o)) {
		json_decref(o);
		o = NULL;
	}
	return request(c, cmd, o, fn, arg);
}

int
perch_client_join(struct perch_client *c, const char *uri, const char *code,
    perch_answer_fn fn, void *arg)
{
	return request(c, "join",
	    json_pack("{s:s, s:s*}", "uri", uri, "code", code), fn, arg);
}

int
perch_client_leave(struct perch_client *c, const char *conference,
    perch_answer_fn fn, void *arg)
{
	return request(
	    c, "leave", json_pack("{s:s*}", "conference", conference), fn, arg);
}

int
perch_client_watch(
    struct perch_client *c, int every_ms, perch_answer_fn fn, void *arg)
{
	return request(c, "watch",
	    every_ms > 0 ? json_pack("{s:i}", "every_ms", every_ms)
			 : json_object(),
	    fn, arg);
}

/* ---- answers ------------------------------------------------------------- */

static void
answer_give(struct perch_client *c, struct ask *a, struct perch_answer *answer)
{
	struct ask was = *a;

	answer->id = was.id;
	if (answer->event == PERCH_DONE || answer->event == PERCH_FAILED)
		a->id = 0;
	if (was.fn != NULL)
		was.fn(c, answer, was.arg);
}

static void
object_give(struct perch_client *c, struct ask *a, enum perch_event event,
    const json_t *o)
{
	struct perch_answer answer = { .event = event };
	char *text = json_dumps(o, JSON_COMPACT);

	answer.json = text;
	if (text != NULL)
		answer_give(c, a, &answer);
	free(text);
}

static void
error_give(struct perch_client *c, struct ask *a, const json_t *e)
{
	struct perch_answer answer = { .event = PERCH_FAILED };

	answer.code = json_string_value(json_object_get(e, "code"));
	answer.text = json_string_value(json_object_get(e, "text"));
	fail(c, EREMOTEIO, "%s", answer.text != NULL ? answer.text : "");
	answer_give(c, a, &answer);
}

/* One line; what it is called says what it is. */
static void
line_take(struct perch_client *c, const char *line)
{
	struct perch_answer progress = { .event = PERCH_PROGRESS };
	json_t *o = json_loads(line, 0, NULL), *v;
	struct ask *a =
	    ask_find(c, (int)json_integer_value(json_object_get(o, "id")));

	if (a == NULL || a->id == 0) {
		json_decref(o);
		return;
	}
	if ((v = json_object_get(o, "result")) != NULL)
		object_give(c, a, PERCH_DONE, v);
	else if ((v = json_object_get(o, "error")) != NULL)
		error_give(c, a, v);
	else if ((v = json_object_get(o, "status")) != NULL)
		object_give(c, a, PERCH_STATUS, v);
	else if ((v = json_object_get(o, "progress")) != NULL) {
		progress.text = json_string_value(v);
		answer_give(c, a, &progress);
	} else
		object_give(c, a, PERCH_LOGIN, o);
	json_decref(o);
}

static void
lines_take(struct perch_client *c)
{
	size_t at = 0;
	char *end;

	while ((end = memchr(c->in + at, '\n', c->len - at)) != NULL) {
		*end = '\0';
		line_take(c, c->in + at);
		at = (size_t)(end - c->in) + 1;
	}
	memmove(c->in, c->in + at, c->len - at);
	c->len -= at;
}

static int
gone(struct perch_client *c)
{
	struct perch_answer a = { .event = PERCH_FAILED,
		.code = "unreachable",
		.text = "perch-agent went away" };

	hang_up(c);
	for (int i = 0; i < ASKS_MAX; i++)
		if (c->asks[i].id != 0)
			answer_give(c, &c->asks[i], &a);
	return fail(c, EPIPE, "%s", a.text);
}

static int
agent_read(struct perch_client *c)
{
	char *p;
	ssize_t n;

	if (c->cap - c->len < CHUNK) {
		p = c->cap < LINE_LIMIT ? realloc(c->in, c->cap + 2 * CHUNK)
					: NULL;
		if (p == NULL)
			return gone(c);
		c->in = p;
		c->cap += 2 * CHUNK;
	}
	n = recv(c->fd, c->in + c->len, CHUNK, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)
		return gone(c);
	c->len += (size_t)n;
	lines_take(c);
	return 0;
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
			r = c->fd < 0 ? r : agent_read(c);
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
		return fail(c, EINVAL, "no such request");
	while (ask_find(c, id) != NULL) {
		if (timeout_ms >= 0 && (left = end - now_ms()) <= 0)
			return fail(c, ETIMEDOUT, "no answer in time");
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
		return fail(c, EAGAIN, "%d streams are heard", EARS_MAX);
	if ((c->ears[i].fd = perch_media_receive(out)) < 0)
		return fail(c, errno, "cannot hear at port %u: %s", out->port,
		    strerror(errno));
	c->ears[i].fn = fn;
	c->ears[i].arg = arg;
	if (watch_fd(c, c->ears[i].fd, (uint32_t)i) == 0)
		return i + 1;
	perch_client_deaf(c, i + 1);
	return fail(c, errno, "epoll: %s", strerror(errno));
}

void
perch_client_deaf(struct perch_client *c, int handle)
{
	if (handle < 1 || handle > EARS_MAX || c->ears[handle - 1].fd < 0)
		return;
	close(c->ears[handle - 1].fd);
	c->ears[handle - 1].fd = -1;
}
