/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event streams. microhttpd pulls: its reader callback suspends the
 * connection when there is nothing to send. From then on, between two chunks
 * of an HTTP/1.1 answer and with microhttpd's own buffers empty, we write the
 * chunks ourselves, each as one TLS record: resuming and suspending through
 * its epoll costs several times what the record does. It gets the connection
 * back for the last chunk alone. Writers only queue, so that all events of a
 * turn share a record, and each turn of the loop serves one batch. What the
 * socket does not take waits for it in our loop; a reader that does not read
 * fills its bounded queue and is dropped. A suspended connection is invisible
 * to microhttpd: the ticker in httpd.c looks whether its client is still
 * there. (HTTP/1.0, which knows no chunks, is refused by httpd_req.c.)
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "perc/httpd_int.h"

#define STREAM_BLOCK  256   /* microhttpd keeps so much per answer, unused */
#define STREAM_RECORD 16384 /* octets of a TLS record */
#define STREAM_FRAME  16    /* around a chunk, at most */

/* A thousand streams wait most of the time: what is empty holds nothing. */
static void
queue_pass(struct perc_httpd_stream *s, size_t n)
{
	s->start += n;
	s->len -= n;
	if (s->len != 0)
		return;
	free(s->buf);
	s->buf = NULL;
	s->start = s->cap = 0;
}

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
	queue_pass(s, n);
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
	perc_loop_del(s->io);
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

static void on_room(int fd, uint32_t events, void *arg);

/* What GnuTLS holds of a record goes on its way before anything else. */
static int
record_rest(struct perc_httpd_stream *s)
{
	ssize_t n;

	if (!s->stuck)
		return 0;
	n = gnutls_record_send(s->tls, NULL, 0);
	if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
		return PERC_ERR_AGAIN;
	if (n < 0)
		return PERC_ERR_CLOSED;
	s->stuck = false;
	return 0;
}

/* One chunk, one record. */
static int
record_send(struct perc_httpd_stream *s)
{
	char rec[STREAM_RECORD];
	size_t n = s->len;
	ssize_t sent;
	int head;

	if (n > sizeof(rec) - STREAM_FRAME)
		n = sizeof(rec) - STREAM_FRAME;
	head = snprintf(rec, STREAM_FRAME, "%zx\r\n", n);
	memcpy(rec + head, s->buf + s->start, n);
	memcpy(rec + head + n, "\r\n", 2);
	sent = gnutls_record_send(s->tls, rec, (size_t)head + n + 2);
	if (sent < 0 && sent != GNUTLS_E_AGAIN && sent != GNUTLS_E_INTERRUPTED)
		return PERC_ERR_CLOSED;
	queue_pass(s, n); /* GnuTLS has all of it, or the socket */
	s->stuck = sent < 0;
	return s->stuck ? PERC_ERR_AGAIN : 0;
}

/* Look again when the socket takes more; a reader that takes nothing for
 * HTTPD_SEND_MS is cut off by the ticker. */
static int
room_wait(struct perc_httpd_stream *s)
{
	if (s->io != NULL)
		return 0;
	s->c->until_ms = perc_now_ms() + HTTPD_SEND_MS;
	return perc_loop_add(
	    s->h->loop, &s->io, s->c->fd, EPOLLOUT, on_room, s);
}

/* 0: all is written; PERC_ERR_AGAIN: the rest follows. */
static int
stream_flush(struct perc_httpd_stream *s)
{
	int r = record_rest(s);

	while (r == 0 && s->len > 0)
		r = record_send(s);
	if (r == PERC_ERR_AGAIN)
		return room_wait(s) == 0 ? r : PERC_ERR_CLOSED;
	perc_loop_del(s->io);
	s->io = NULL;
	if (r == 0)
		s->c->until_ms = 0;
	return r;
}

static void
on_room(int fd, uint32_t events, void *arg)
{
	struct perc_httpd_stream *s = arg;
	int r = stream_flush(s);

	if (r != 0 && r != PERC_ERR_AGAIN)
		httpd_stream_kill(s);
	else if (r == 0 && s->closing)
		httpd_stream_wake(s);
}

/* Between two chunks, on the session that microhttpd opened? */
static bool
direct(struct perc_httpd_stream *s)
{
	const union MHD_ConnectionInfo *i;
	const int on = 1, off = 0;

	if (s->tls != NULL || s->pulled)
		return s->tls != NULL;
	i = MHD_get_connection_info(
	    s->c->mc, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (i == NULL || i->tls_session == NULL || s->c->fd < 0) {
		s->pulled = true;
		return false;
	}
	s->tls = i->tls_session;
	/* microhttpd corks behind the header, for a body that follows at once:
	 * the kernel would hold each event back for 200 ms. */
	(void)setsockopt(s->c->fd, IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
	(void)setsockopt(s->c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	return true;
}

/* Back to microhttpd, which asks the reader for more, or for the end. */
static void
stream_resume(struct perc_httpd_stream *s)
{
	s->suspended = false;
	s->c->until_ms = perc_now_ms() + HTTPD_SEND_MS;
	MHD_resume_connection(s->c->mc);
	s->h->progress = true;
}

static void
stream_serve(struct perc_httpd_stream *s)
{
	int r = 0;

	if (!s->dead && !s->h->dying && direct(s)) {
		r = stream_flush(s);
		if (r == PERC_ERR_AGAIN || (r == 0 && !s->closing))
			return;
		if (r != 0) {
			s->dead = s->closing = true;
			httpd_conn_cut(s->c);
		}
	}
	perc_loop_del(s->io);
	s->io = NULL;
	stream_resume(s);
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
		stream_serve(s);
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
perc_httpd_stream_writev(
    struct perc_httpd_stream *s, const struct perc_httpd_part *part, size_t k)
{
	size_t i, n = 0;
	int r;

	if (s->closing)
		return PERC_ERR_CLOSED;
	for (i = 0; i < k; i++)
		n += part[i].len;
	if (n > s->max || s->len > s->max - n) {
		httpd_stream_kill(s);
		return PERC_ERR_LIMIT;
	}
	if ((r = queue_room(s, n)) != 0) {
		httpd_stream_kill(s);
		return r;
	}
	for (i = 0; i < k; i++) {
		if (part[i].len != 0)
			memcpy(s->buf + s->len, part[i].p, part[i].len);
		s->len += part[i].len;
	}
	if (!s->stuck)
		httpd_stream_wake(s);
	return 0;
}

int
perc_httpd_stream_write(struct perc_httpd_stream *s, const void *p, size_t n)
{
	const struct perc_httpd_part part = { p, n };

	return perc_httpd_stream_writev(s, &part, 1);
}

void
perc_httpd_stream_close(struct perc_httpd_stream *s)
{
	s->closing = true;
	if (s->c != NULL)
		s->c->until_ms = perc_now_ms() + HTTPD_SEND_MS;
	if (!s->stuck)
		httpd_stream_wake(s);
}
