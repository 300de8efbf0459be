/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event streams. microhttpd pulls: its reader callback suspends the
 * connection when there is nothing to send, and a write resumes it. Resuming
 * thousands at once would hold up every ordinary request for tens of
 * milliseconds, so writers only queue for a wake-up and each turn of the loop
 * resumes one batch. A reader that does not read fills its bounded queue and
 * is dropped. A suspended connection is invisible to microhttpd: the ticker
 * in httpd.c looks whether its client is still there.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "perc/httpd_int.h"

#define STREAM_BLOCK 4096 /* octets per chunk */
#define STREAM_KEEP  4096 /* a drained buffer up to this size is kept */

static ssize_t
stream_reader(void *cls, uint64_t pos, char *out, size_t max)
{
	struct perc_httpd_stream *s = cls;
	size_t n = s->len < max ? s->len : max;

	s->h->progress = true;
	if (s->dead)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (n == 0) {
		if (s->closing || s->h->dying || s->c == NULL)
			return MHD_CONTENT_READER_END_OF_STREAM;
		s->suspended = true;
		s->c->until_ms = 0;
		MHD_suspend_connection(s->c->mc);
		return 0;
	}
	memcpy(out, s->buf + s->start, n);
	s->start += n;
	s->len -= n;
	if (s->len == 0) {
		s->start = 0;
		if (s->cap > STREAM_KEEP) {
			free(s->buf);
			s->buf = NULL;
			s->cap = 0;
		}
	}
	if (s->c != NULL)
		s->c->until_ms = perc_now_ms() + HTTPD_SEND_MS;
	return (ssize_t)n;
}

static void
wake_drop(struct perc_httpd_stream *s)
{
	struct perc_httpd_stream **pp;

	for (pp = &s->h->wake; *pp != NULL; pp = &(*pp)->wake_next)
		if (*pp == s) {
			if ((*pp = s->wake_next) == NULL)
				s->h->wake_end = pp;
			return;
		}
}

static void
stream_free(void *cls)
{
	struct perc_httpd_stream *s = cls;

	if (s->waking)
		wake_drop(s);
	if (s->c != NULL)
		s->c->stream = NULL;
	if (s->gone != NULL)
		s->gone(s, s->arg);
	free(s->buf);
	free(s);
}

void
httpd_stream_wake(struct perc_httpd_stream *s)
{
	if (!s->suspended || s->waking)
		return;
	s->waking = true;
	s->wake_next = NULL;
	*s->h->wake_end = s;
	s->h->wake_end = &s->wake_next;
	httpd_kick(s->h);
}

bool
httpd_stream_wake_batch(struct perc_httpd *h)
{
	struct perc_httpd_stream *s;
	unsigned n;

	for (n = 0; n < HTTPD_WAKE_BATCH && (s = h->wake) != NULL; n++) {
		if ((h->wake = s->wake_next) == NULL)
			h->wake_end = &h->wake;
		s->waking = false;
		s->suspended = false;
		s->c->until_ms = perc_now_ms() + HTTPD_SEND_MS;
		MHD_resume_connection(s->c->mc);
		h->progress = true;
	}
	return h->wake != NULL;
}

void
httpd_stream_kill(struct perc_httpd_stream *s)
{
	s->dead = s->closing = true;
	if (s->c != NULL)
		httpd_conn_cut(s->c);
	httpd_stream_wake(s);
}

int
perc_httpd_stream_open(struct perc_httpd_stream **sp, struct perc_httpd_req *r,
    const struct perc_httpd_header *headers, size_t n, size_t queue_max,
    void (*gone)(struct perc_httpd_stream *, void *), void *arg)
{
	static const struct perc_httpd_header type = { "Content-Type",
		"text/event-stream" };
	struct perc_httpd_stream *s = calloc(1, sizeof(*s));
	struct MHD_Response *resp = NULL;
	int e = PERC_ERR_NOMEM;

	if (s == NULL)
		goto out;
	s->h = r->h;
	resp = MHD_create_response_from_callback(
	    MHD_SIZE_UNKNOWN, STREAM_BLOCK, stream_reader, s, stream_free);
	if (resp == NULL) {
		free(s);
		goto out;
	}
	if ((e = httpd_req_add_headers(r->h, resp, &type, 1, true)) != 0 ||
	    (e = httpd_req_add_headers(r->h, resp, headers, n, true)) != 0) {
		MHD_destroy_response(resp); /* frees s */
		goto out;
	}
	s->c = r->c;
	s->c->stream = s;
	s->max = queue_max;
	s->gone = gone;
	s->arg = arg;
	*sp = s;
	httpd_req_answer(r, MHD_HTTP_OK, resp);
out:
	return e;
}

static int
queue_room(struct perc_httpd_stream *s, size_t n)
{
	size_t cap = s->cap == 0 ? 1024 : s->cap;
	char *p;

	if (s->start != 0) {
		memmove(s->buf, s->buf + s->start, s->len);
		s->start = 0;
	}
	while (cap < s->len + n)
		cap *= 2;
	if (cap == s->cap)
		return 0;
	if ((p = realloc(s->buf, cap)) == NULL)
		return PERC_ERR_NOMEM;
	s->buf = p;
	s->cap = cap;
	return 0;
}

int
perc_httpd_stream_write(struct perc_httpd_stream *s, const void *p, size_t n)
{
	int r;

	if (s->closing)
		return PERC_ERR_CLOSED;
	if (n > s->max || s->len > s->max - n) {
		httpd_stream_kill(s);
		return PERC_ERR_LIMIT;
	}
	if ((r = queue_room(s, n)) != 0) {
		httpd_stream_kill(s);
		return r;
	}
	memcpy(s->buf + s->start + s->len, p, n);
	s->len += n;
	httpd_stream_wake(s);
	return 0;
}

void
perc_httpd_stream_close(struct perc_httpd_stream *s)
{
	s->closing = true;
	if (s->c != NULL)
		s->c->until_ms = perc_now_ms() + HTTPD_SEND_MS;
	httpd_stream_wake(s);
}
