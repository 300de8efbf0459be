/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What waits for the commit. Answers and events of one turn stand in one
 * queue, in order; streams opened or closed in the turn carry a mark until
 * then. A lost commit turns every answer into a 503 and forgets the events:
 * what they would have told has not happened.
 */
#include "kmf/keeper_int.h"

#include <stdlib.h>
#include <string.h>

int
kmf_mark(struct kmf_keeper *k)
{
	k->mark_no++;
	k->mark_tail = k->out_tail;
	return db_mark(k->db);
}

int
kmf_mark_keep(struct kmf_keeper *k)
{
	return db_mark_keep(k->db);
}

static void
out_free(struct kmf_out *o)
{
	struct kmf_out *next;

	for (; o != NULL; o = next) {
		next = o->next;
		perc_secmem_free(o->buf);
		free(o);
	}
}

void
kmf_mark_undo(struct kmf_keeper *k)
{
	struct kmf_stream *s;

	out_free(*k->mark_tail);
	*k->mark_tail = NULL;
	k->out_tail = k->mark_tail;
	kmf_roster_forget(k);
	for (s = k->streams; s != NULL; s = s->next)
		if (s->ending == k->mark_no)
			s->ending = 0;
	if (!db_broken(k->db) && db_mark_undo(k->db) != 0)
		log_warnx("mark.undo_failed");
}

int
kmf_out_add(struct kmf_keeper *k, struct kmf_front *f, uint16_t type,
    uint32_t id, uint8_t *buf, size_t len)
{
	struct kmf_out *o;

	if ((o = calloc(1, sizeof(*o))) == NULL) {
		perc_secmem_free(buf);
		return PERC_ERR_NOMEM;
	}
	o->front = f;
	o->type = type;
	o->id = id;
	o->buf = buf;
	o->len = len;
	*k->out_tail = o;
	k->out_tail = &o->next;
	return 0;
}

void
kmf_reply_queue(struct kmf_keeper *k, struct kmf_front *f, uint32_t id,
    const struct kmf_reply *r)
{
	static const struct kmf_reply big = { .status = 500,
		.code = "answer_too_large",
		.detail = "the answer is too large to be sent; where there is "
			  "a limit, ask for less" };
	uint8_t *buf = NULL;
	size_t len = 0;
	int err;

	if ((err = kmf_reply_encode(&buf, &len, r)) == 0 &&
	    len > PERC_CHAN_FRAME_MAX) {
		perc_secmem_free(buf);
		err = kmf_reply_encode(&buf, &len, &big);
	}
	if (err != 0 || kmf_out_add(k, f, KMF_MSG_REPLY, id, buf, len) != 0)
		log_warnx("reply.lost why=memory");
}

static void
streams_settle(struct kmf_keeper *k, bool committed)
{
	struct kmf_stream *s, *next;

	for (s = k->streams; s != NULL; s = next) {
		next = s->next;
		if (committed ? s->ending != 0 : s->pending) {
			if (!committed)
				kmf_stream_refuse(k, s->front, s->id, 503,
				    "unavailable", "try again");
			kmf_stream_del(k, s->front, s->id);
			continue;
		}
		s->pending = false;
		s->ending = 0;
	}
}

void
kmf_out_send(struct kmf_keeper *k)
{
	struct kmf_front *f;
	struct kmf_out *o;
	uint64_t n = 0;

	streams_settle(k, true);
	for (o = k->out; o != NULL; o = o->next) {
		n++;
		k->count.out_octets += o->len;
		if (o->front->chan == NULL ||
		    perc_chan_send(
			o->front->chan, o->type, o->id, o->buf, o->len) == 0)
			continue;
		k->count.out_lost++;
		log_warnx("front.overrun type=%u octets=%zu", o->type, o->len);
		kmf_roster_forget(k);
	}
	k->count.out += n;
	if (n > k->count.out_peak)
		k->count.out_peak = n;
	kmf_out_clear(k);
	for (f = k->fronts; f != NULL; f = f->next)
		if (f->chan != NULL)
			perc_chan_flush(f->chan);
}

static bool
stream_known(const struct kmf_keeper *k, const struct kmf_front *f, uint32_t id)
{
	const struct kmf_stream *s;

	for (s = k->streams; s != NULL; s = s->next)
		if (s->front == f && s->id == id)
			return true;
	return false;
}

/* The end of a stream that we have did not come to be; the refusal of one
 * that we have not must arrive: the front waits for a word. */
void
kmf_out_fail(struct kmf_keeper *k)
{
	static const struct kmf_reply sorry = { .status = 503,
		.code = "unavailable",
		.detail = "the database could not be written; nothing was done",
		.retry_after_s = 1 };
	struct kmf_out *o = k->out, *next;

	k->out = NULL;
	k->out_tail = &k->out;
	kmf_roster_forget(k);
	for (; o != NULL; o = next) {
		next = o->next;
		if (o->type == KMF_MSG_REPLY)
			kmf_reply_queue(k, o->front, o->id, &sorry);
		else if (o->type == KMF_MSG_STREAM_END &&
		    !stream_known(k, o->front, o->id))
			kmf_stream_refuse(k, o->front, o->id, 503,
			    "unavailable", "try again");
		perc_secmem_free(o->buf);
		free(o);
	}
	streams_settle(k, false);
	kmf_out_send(k);
}

void
kmf_out_clear(struct kmf_keeper *k)
{
	out_free(k->out);
	k->out = NULL;
	k->out_tail = &k->out;
}

int
kmf_stream_add(struct kmf_keeper *k, struct kmf_front *f, uint32_t id,
    const char *conf, const char *member)
{
	struct kmf_stream *s;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return PERC_ERR_NOMEM;
	s->front = f;
	s->id = id;
	s->pending = true;
	if (kmf_copy(s->conf, sizeof(s->conf), conf) != 0 ||
	    kmf_copy(s->member, sizeof(s->member), member) != 0) {
		free(s);
		return PERC_ERR_LIMIT;
	}
	if ((s->next = k->streams) != NULL)
		s->next->prev = s;
	k->streams = s;
	return 0;
}

bool
kmf_stream_has(const struct kmf_keeper *k, const char *member)
{
	const struct kmf_stream *s;

	for (s = k->streams; s != NULL; s = s->next)
		if (s->ending == 0 && strcmp(s->member, member) == 0)
			return true;
	return false;
}

static void
stream_free(struct kmf_keeper *k, struct kmf_stream *s)
{
	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		k->streams = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	free(s);
}

void
kmf_stream_del(struct kmf_keeper *k, struct kmf_front *f, uint32_t id)
{
	struct kmf_stream *s;

	for (s = k->streams; s != NULL; s = s->next)
		if (s->front == f && s->id == id) {
			stream_free(k, s);
			return;
		}
}

void
kmf_stream_front_gone(struct kmf_keeper *k, struct kmf_front *f)
{
	struct kmf_stream *s, *next;

	for (s = k->streams; s != NULL; s = next) {
		next = s->next;
		if (s->front == f)
			stream_free(k, s);
	}
}

void
kmf_stream_refuse(struct kmf_keeper *k, struct kmf_front *f, uint32_t id,
    uint16_t status, const char *code, const char *detail)
{
	const struct kmf_stream_end e = { status, code, detail };
	uint8_t *buf;
	size_t len;

	if (kmf_stream_end_encode(&buf, &len, &e) != 0 ||
	    kmf_out_add(k, f, KMF_MSG_STREAM_END, id, buf, len) != 0)
		log_warnx("stream.lost why=memory");
}

int
kmf_stream_event(struct kmf_keeper *k, struct kmf_stream *s, uint64_t event_id,
    const char *name, const char *data)
{
	const struct kmf_event e = { event_id, name, data, "" };
	uint8_t *buf;
	size_t len;
	int r;

	if ((r = kmf_event_encode(&buf, &len, &e)) != 0)
		return r;
	return kmf_out_add(k, s->front, KMF_MSG_EVENT, s->id, buf, len);
}

void
kmf_stream_end(struct kmf_keeper *k, const char *conf, const char *member,
    uint16_t status, const char *code)
{
	struct kmf_stream *s;

	for (s = k->streams; s != NULL; s = s->next) {
		if (s->ending || strcmp(s->conf, conf) != 0 ||
		    (member != NULL && strcmp(s->member, member) != 0))
			continue;
		s->ending = k->mark_no;
		kmf_stream_refuse(k, s->front, s->id, status, code, "");
	}
}

/* A roster is for who has got a key: it must not come before that key. */
static bool
hears(struct kmf_keeper *k, const struct kmf_stream *s, bool live_only)
{
	struct db_member m;

	return !live_only ||
	    (db_member_find(k->db, &m, s->member) == 0 &&
		m.state == DB_MEMBER_LIVE && m.held != 0);
}

static int
broadcast(struct kmf_keeper *k, struct db_conf *c, const char *member,
    bool live_only, const char *name, const json_t *data)
{
	struct kmf_stream *s;
	char *text;
	int r = 0;

	if ((text = perc_json_text(data)) == NULL)
		return PERC_ERR_NOMEM;
	c->event_no++;
	for (s = k->streams; r == 0 && s != NULL; s = s->next) {
		if (s->ending != 0 || strcmp(s->conf, c->id) != 0 ||
		    (member != NULL && strcmp(s->member, member) != 0) ||
		    !hears(k, s, live_only))
			continue;
		r = kmf_stream_event(k, s, (uint64_t)c->event_no, name, text);
	}
	perc_json_free(text);
	return r;
}

int
kmf_broadcast(struct kmf_keeper *k, struct db_conf *c, const char *member,
    const char *name, const json_t *data)
{
	return broadcast(k, c, member, false, name, data);
}

int
kmf_broadcast_live(struct kmf_keeper *k, struct db_conf *c, const char *name,
    const json_t *data)
{
	return broadcast(k, c, NULL, true, name, data);
}
