/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to the agent and its answers (docs/wire/local.md). Lines are read
 * into one growing buffer; a request is a place in a small table until its
 * answer came.
 */
#include "agent/perchclientint.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LINE_LIMIT (4u << 20) /* octets of one line */
#define CHUNK	   65536u

struct ask *
perch__ask_find(struct perch_client *c, int id)
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
		return perch__fail(c, ENOMEM, "out of memory");
	(void)json_dumpb(o, text, n, JSON_COMPACT);
	text[n] = '\n';
	sent = send(c->fd, text, n + 1, MSG_NOSIGNAL);
	explicit_bzero(text, n);
	free(text);
	if (sent != (ssize_t)n + 1)
		return perch__fail(c, EPIPE, "perch-agent does not listen");
	return 0;
}

/* Takes o. */
static int
request(struct perch_client *c, const char *cmd, json_t *o, perch_answer_fn fn,
    void *arg)
{
	struct ask *a = perch__ask_find(c, 0);
	int r = -1;

	if (o == NULL)
		return perch__fail(c, EINVAL, "members are no JSON object");
	if (c->fd < 0) {
		perch__fail(c, EPIPE, "perch-agent went away");
	} else if (a == NULL) {
		perch__fail(c, EAGAIN, "%d requests are under way", ASKS_MAX);
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
	perch__fail(c, EREMOTEIO, "%s", answer.text != NULL ? answer.text : "");
	answer_give(c, a, &answer);
}

/* One line; what it is called says what it is. */
static void
line_take(struct perch_client *c, const char *line)
{
	struct perch_answer progress = { .event = PERCH_PROGRESS };
	json_t *o = json_loads(line, 0, NULL), *v;
	struct ask *a = perch__ask_find(
	    c, (int)json_integer_value(json_object_get(o, "id")));

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

	perch__hang_up(c);
	for (int i = 0; i < ASKS_MAX; i++)
		if (c->asks[i].id != 0)
			answer_give(c, &c->asks[i], &a);
	return perch__fail(c, EPIPE, "%s", a.text);
}

int
perch__read(struct perch_client *c)
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
