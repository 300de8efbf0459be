/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Event streams (docs/wire/events.md): the keeper's EVENTs as text. A stream
 * begins as a waiting request; the keeper's first word opens it with 200 or
 * ends it with an error's status, so that a client learns at once why it may
 * not. A keeper that is slow is waited for, as with any other call. A comment
 * line every 10 s shows life in both directions.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/front.h"
#include "kmf/nonce.h"
#include "perc/log.h"
#include "perc/secret.h"
#include "perc/wire.h"

#define PLACE(id) ((id) % FRONT_STREAMS_MAX)

struct front_stream {
	struct front *f;
	uint32_t id;
	struct front_req *q;	     /* until it is open */
	struct perc_httpd_stream *s; /* from then on */
	struct perc_timer patience;
};

static struct front_stream *
stream_new(struct front *f)
{
	struct front_stream *st = calloc(1, sizeof(*st));
	unsigned i, at;

	for (i = 0; st != NULL && i < FRONT_STREAMS_MAX; i++) {
		at = f->stream_next;
		f->stream_next = (at + 1) % FRONT_STREAMS_MAX;
		if (f->streams[at] != NULL)
			continue;
		f->stream_count = f->stream_count % 60000 + 1;
		st->f = f;
		st->id = f->stream_count * FRONT_STREAMS_MAX + at;
		f->streams[at] = st;
		f->nstreams++;
		return st;
	}
	free(st);
	return NULL;
}

static void
stream_free(struct front_stream *st, bool tell)
{
	struct front *f = st->f;

	perc_timer_stop(f->loop, &st->patience);
	f->streams[PLACE(st->id)] = NULL;
	f->nstreams--;
	if (tell && f->keeper != NULL &&
	    perc_chan_send(f->keeper, KMF_MSG_UNSUBSCRIBE, st->id, NULL, 0) !=
		0)
		log_warnx("front.unsubscribe err=failed");
	free(st);
}

static struct front_stream *
stream_find(struct front *f, uint32_t id)
{
	struct front_stream *st = f->streams[PLACE(id)];

	return st != NULL && st->id == id ? st : NULL;
}

/* The HTTP side is gone: client left, too slow, or closed by us. */
static void
on_gone(struct perc_httpd_stream *s, void *arg)
{
	stream_free(arg, true);
}

static uint64_t
last_event_id(const struct front_req *q)
{
	const char *text = perc_httpd_header(q->r, "Last-Event-ID", NULL);

	if (text == NULL || strspn(text, "0123456789") != strlen(text) ||
	    strlen(text) > 18)
		return 0;
	return strtoull(text, NULL, 10);
}

static void
stream_say(struct front_stream *st, const char *text, size_t n)
{
	if (perc_httpd_stream_write(st->s, text, n) == PERC_ERR_LIMIT)
		log_info("front.stream event=dropped reason=slow");
}

static int
stream_start(struct front_stream *st)
{
	struct front_req *q = st->q;
	char nonce[KMF_NONCE_LEN + 1];
	const struct perc_httpd_header h = { "DPoP-Nonce", nonce };
	int r;

	front_nonce_make(st->f, nonce);
	if ((r = perc_httpd_stream_open(&st->s, q->r, &h, q->proved ? 1 : 0,
		 FRONT_STREAM_MAX, on_gone, st)) != 0)
		return r;
	st->f->count[COUNT_2XX]++;
	st->q = NULL;
	front_req_free(q);
	/* At once, so that a client sees whether its path passes a stream. */
	stream_say(st, ": hb\n\n", 6);
	return 0;
}

static void
stream_refuse(struct front_stream *st, unsigned status, const char *code,
    const char *detail)
{
	struct front_req *q = st->q;

	stream_free(st, status == 503);
	if (status == 401)
		front_challenge(q, 401, code, detail);
	else if (status == 503)
		front_busy(q);
	else
		front_problem(q, status, code, detail);
}

static void
on_patience(void *arg)
{
	struct front_stream *st = arg;

	if (st->q != NULL)
		stream_refuse(st, 503, "unavailable", "try again");
}

void
front_events(struct front_req *q)
{
	struct front *f = q->f;
	const char *query = perc_httpd_query(q->r);
	const char *after = perc_httpd_header(q->r, "Last-Event-ID", NULL);
	struct kmf_subscribe sub = { .id = q->who,
		.conf = q->par.conf,
		.query = query,
		.after = after == NULL || strlen(after) > 64 ? "" : after,
		.last_event_id = last_event_id(q),
		.replay_hash = q->proved ? q->replay : "",
		.replay_until_s = q->proof.iat_s + FRONT_DPOP_WINDOW_S + 1,
		.replay_nonce = q->proved && q->proof.nonce[0] != '\0' };
	struct front_stream *st;
	uint8_t *buf = NULL;
	size_t len;
	int r;

	if (f->stopping || (st = stream_new(f)) == NULL) {
		front_busy(q);
		return;
	}
	if ((r = perc_timer_set(
		 f->loop, &st->patience, FRONT_CALL_MS, on_patience, st)) == 0)
		r = kmf_subscribe_encode(&buf, &len, &sub);
	if (r == 0)
		r = perc_chan_send(
		    f->keeper, KMF_MSG_SUBSCRIBE, st->id, buf, len);
	perc_secmem_free(buf);
	if (r != 0) {
		stream_free(st, false);
		front_busy(q);
		return;
	}
	st->q = q;
}

int
front_on_event(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front *f = arg;
	struct front_stream *st = stream_find(f, m->id);
	char number[24], *text = NULL;
	struct kmf_event e;
	int r, n;

	if ((r = kmf_event_decode(&e, m->data, m->len)) != 0)
		return r;
	if (st == NULL)
		return 0; /* left meanwhile */
	if (strpbrk(e.name, "\r\n") != NULL ||
	    strpbrk(e.data, "\r\n") != NULL || strpbrk(e.id, "\r\n") != NULL)
		return PERC_ERR_FORMAT;
	if (st->q != NULL && stream_start(st) != 0) {
		stream_refuse(st, 503, "unavailable", "try again");
		return 0;
	}
	snprintf(number, sizeof(number), "%" PRIu64, e.event_id);
	n = asprintf(&text, "id: %s\nevent: %s\ndata: %s\n\n",
	    e.id[0] != '\0' ? e.id : number, e.name, e.data);
	if (n < 0)
		return PERC_ERR_NOMEM;
	f->count[COUNT_EVENTS]++;
	stream_say(st, text, (size_t)n);
	perc_wipe(text, (size_t)n);
	free(text);
	return 0;
}

struct front_frame { /* what all who get a push share */
	char *head, *tail;
	size_t head_len, tail_len;
};

static int
frame_init(struct front_frame *c, const struct kmf_push *e)
{
	int h, t;

	h = asprintf(&c->head, "id: %" PRIu64 "\nevent: %s\ndata: %s",
	    e->event_id, e->name, e->head);
	t = asprintf(&c->tail, "%s\n\n", e->tail);
	if (h < 0)
		c->head = NULL;
	if (t < 0)
		c->tail = NULL;
	if (h < 0 || t < 0) {
		free(c->head);
		free(c->tail);
		return PERC_ERR_NOMEM;
	}
	c->head_len = (size_t)h;
	c->tail_len = (size_t)t;
	return 0;
}

/* One of the many that a push names; its own data is put between. */
static int
push_one(struct front *f, uint32_t id, const struct front_frame *c,
    const uint8_t *own, size_t n)
{
	const struct perc_httpd_part parts[] = {
		{ c->head, c->head_len },
		{ own, n },
		{ c->tail, c->tail_len },
	};
	struct front_stream *st = stream_find(f, id);

	if (st == NULL)
		return 0; /* left meanwhile */
	if (memchr(own, '\n', n) != NULL || memchr(own, '\r', n) != NULL)
		return PERC_ERR_FORMAT;
	if (st->q != NULL && stream_start(st) != 0) {
		stream_refuse(st, 503, "unavailable", "try again");
		return 0;
	}
	f->count[COUNT_EVENTS]++;
	if (perc_httpd_stream_writev(st->s, parts, 3) == PERC_ERR_LIMIT)
		log_info("front.stream event=dropped reason=slow");
	return 0;
}

int
front_on_push(struct perc_chan *ch, const struct perc_chan_msg *m, void *arg)
{
	struct front_frame c = { .head = NULL };
	struct front *f = arg;
	struct kmf_push e;
	struct perc_wire w;
	const uint8_t *own;
	uint32_t id;
	size_t n;
	int r;

	if ((r = kmf_push_decode(&e, m->data, m->len)) != 0)
		return r;
	if (strpbrk(e.name, "\r\n") != NULL ||
	    strpbrk(e.head, "\r\n") != NULL || strpbrk(e.tail, "\r\n") != NULL)
		return PERC_ERR_FORMAT;
	if ((r = frame_init(&c, &e)) != 0)
		return r;
	perc_wire_reader(&w, e.to, e.to_len);
	while (r == 0 && perc_wire_left(&w) > 0) {
		id = perc_wire_get_u32(&w);
		n = perc_wire_get_u16(&w);
		if ((own = perc_wire_get_bytes(&w, n)) == NULL)
			r = PERC_ERR_FORMAT;
		else
			r = push_one(f, id, &c, own, n);
	}
	if (r == 0)
		r = perc_wire_end(&w);
	free(c.head);
	free(c.tail);
	return r;
}

int
front_on_stream_open(
    struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front_stream *st = stream_find(arg, m->id);

	if (st != NULL && st->q != NULL && stream_start(st) != 0)
		stream_refuse(st, 503, "unavailable", "try again");
	return 0;
}

int
front_on_stream_end(
    struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front *f = arg;
	struct front_stream *st = stream_find(f, m->id);
	struct kmf_stream_end e;
	int r;

	if ((r = kmf_stream_end_decode(&e, m->data, m->len)) != 0)
		return r;
	if (st == NULL)
		return 0;
	if (st->q != NULL)
		stream_refuse(st, e.status < 400 ? 503 : e.status,
		    e.code[0] == '\0' ? "unavailable" : e.code, e.detail);
	else
		perc_httpd_stream_close(st->s);
	return 0;
}

void
front_streams_hb(struct front *f)
{
	struct front_stream *st;
	unsigned i, left = f->nstreams;

	for (i = 0; left != 0 && i < FRONT_STREAMS_MAX; i++) {
		if ((st = f->streams[i]) == NULL)
			continue;
		left--;
		if (st->s != NULL)
			stream_say(st, ": hb\n\n", 6);
	}
}

/* When stopping: who still waits for the first word hears that. */
void
front_streams_stop(struct front *f)
{
	struct front_stream *st;
	unsigned i, left = f->nstreams;

	for (i = 0; left != 0 && i < FRONT_STREAMS_MAX; i++) {
		if ((st = f->streams[i]) == NULL)
			continue;
		left--;
		if (st->q != NULL)
			stream_refuse(st, 503, "unavailable", "try again");
	}
}
