/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who listens. A stream opened or closed in a turn carries a mark until the
 * turn is committed. What an event needs to know of its member (live, has a
 * key, the key that copies are sealed with) is read once and kept until the
 * member changes, so that telling a thousand of a new epoch asks the database
 * nothing; the delivery keys lie in secret memory and go with the stream.
 */
#include "kmf/keeper_int.h"

#include <stdlib.h>
#include <string.h>

#define EACH(k, i, s)                                                          \
	for (i = 0; i < KMF_STREAM_CONFS; i++)                                 \
		for (s = (k)->streams.conf[i]; s != NULL; s = s->next)

/* FNV-1a: ids are random, and nobody chooses theirs. */
static unsigned
place(const char *id, unsigned places)
{
	uint32_t h = 2166136261u;

	for (; *id != '\0'; id++)
		h = (h ^ (uint8_t)*id) * 16777619u;
	return h % places;
}

static struct kmf_stream **
id_place(struct kmf_keeper *k, uint32_t id)
{
	return &k->streams.id[id % KMF_STREAM_IDS];
}

static struct kmf_stream **
member_place(struct kmf_keeper *k, const char *member)
{
	return &k->streams.member[place(member, KMF_STREAM_IDS)];
}

static void
stream_doubt(struct kmf_stream *s)
{
	perc_secmem_free(s->delivery);
	s->delivery = NULL;
	s->known = false;
}

static void
stream_free(struct kmf_keeper *k, struct kmf_stream *s)
{
	struct kmf_stream **sp;

	if (s->prev != NULL)
		s->prev->next = s->next;
	else
		k->streams.conf[place(s->conf, KMF_STREAM_CONFS)] = s->next;
	if (s->next != NULL)
		s->next->prev = s->prev;
	for (sp = member_place(k, s->member); *sp != s; sp = &(*sp)->of_member)
		;
	*sp = s->of_member;
	for (sp = id_place(k, s->id); *sp != s; sp = &(*sp)->of_id)
		;
	*sp = s->of_id;
	stream_doubt(s);
	free(s);
}

static struct kmf_stream *
stream_find(struct kmf_keeper *k, const struct kmf_front *f, uint32_t id)
{
	struct kmf_stream *s;

	for (s = *id_place(k, id); s != NULL; s = s->of_id)
		if (s->front == f && s->id == id)
			break;
	return s;
}

int
kmf_stream_add(struct kmf_keeper *k, struct kmf_front *f, uint32_t id,
    const char *conf, const char *member, struct kmf_stream **out)
{
	struct kmf_stream *s, **at;

	if ((s = calloc(1, sizeof(*s))) == NULL)
		return PERC_ERR_NOMEM;
	s->front = f;
	s->id = id;
	s->pending = k->streams.unsettled = true;
	if (kmf_copy(s->conf, sizeof(s->conf), conf) != 0 ||
	    kmf_copy(s->member, sizeof(s->member), member) != 0) {
		free(s);
		return PERC_ERR_LIMIT;
	}
	at = &k->streams.conf[place(conf, KMF_STREAM_CONFS)];
	if ((s->next = *at) != NULL)
		s->next->prev = s;
	*at = s;
	at = member_place(k, member);
	s->of_member = *at;
	*at = s;
	at = id_place(k, id);
	s->of_id = *at;
	*at = s;
	*out = s;
	return 0;
}

bool
kmf_stream_has(struct kmf_keeper *k, const char *member)
{
	const struct kmf_stream *s;

	for (s = *member_place(k, member); s != NULL; s = s->of_member)
		if (s->ending == 0 && strcmp(s->member, member) == 0)
			return true;
	return false;
}

void
kmf_stream_changed(struct kmf_keeper *k, const char *member)
{
	struct kmf_stream *s;

	for (s = *member_place(k, member); s != NULL; s = s->of_member)
		if (strcmp(s->member, member) == 0)
			stream_doubt(s);
}

bool
kmf_stream_known(struct kmf_keeper *k, const struct kmf_front *f, uint32_t id)
{
	return stream_find(k, f, id) != NULL;
}

void
kmf_stream_del(struct kmf_keeper *k, struct kmf_front *f, uint32_t id)
{
	struct kmf_stream *s = stream_find(k, f, id);

	if (s != NULL)
		stream_free(k, s);
}

void
kmf_stream_front_gone(struct kmf_keeper *k, struct kmf_front *f)
{
	struct kmf_stream *s, *next;
	unsigned i;

	for (i = 0; i < KMF_STREAM_CONFS; i++)
		for (s = k->streams.conf[i]; s != NULL; s = next) {
			next = s->next;
			if (s->front == f)
				stream_free(k, s);
		}
	free(f->to);
	f->to = NULL;
	f->to_len = f->to_cap = 0;
}

void
kmf_streams_undo(struct kmf_keeper *k)
{
	struct kmf_stream *s;
	unsigned i;

	EACH(k, i, s)
	{
		if (s->ending == k->mark_no)
			s->ending = 0;
		stream_doubt(s);
	}
}

void
kmf_streams_settle(struct kmf_keeper *k, bool committed)
{
	struct kmf_stream *s, *next;
	unsigned i;

	if (committed && !k->streams.unsettled)
		return;
	k->streams.unsettled = false;
	for (i = 0; i < KMF_STREAM_CONFS; i++)
		for (s = k->streams.conf[i]; s != NULL; s = next) {
			next = s->next;
			if (committed ? s->ending != 0 : s->pending) {
				if (!committed)
					kmf_stream_refuse(k, s->front, s->id,
					    503, "unavailable", "try again");
				stream_free(k, s);
				continue;
			}
			if (!committed)
				stream_doubt(s);
			s->pending = false;
			s->ending = 0;
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

uint64_t
kmf_streams_count(const struct kmf_keeper *k)
{
	const struct kmf_stream *s;
	uint64_t n = 0;
	unsigned i;

	EACH(k, i, s)
	n += s->ending == 0;
	return n;
}

/* --- events ---------------------------------------------------------------
 */
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
	struct kmf_stream *s = member != NULL
	    ? *member_place(k, member)
	    : k->streams.conf[place(conf, KMF_STREAM_CONFS)];

	for (; s != NULL; s = member != NULL ? s->of_member : s->next) {
		if (s->ending || strcmp(s->conf, conf) != 0 ||
		    (member != NULL && strcmp(s->member, member) != 0))
			continue;
		s->ending = k->mark_no;
		k->streams.unsettled = true;
		kmf_stream_refuse(k, s->front, s->id, status, code, "");
	}
}

struct kmf_stream *
kmf_stream_first(struct kmf_keeper *k, const char *conf)
{
	struct kmf_stream *s = k->streams.conf[place(conf, KMF_STREAM_CONFS)];

	while (s != NULL && (s->ending != 0 || strcmp(s->conf, conf) != 0))
		s = s->next;
	return s;
}

struct kmf_stream *
kmf_stream_next(struct kmf_stream *s)
{
	const char *conf = s->conf;

	for (s = s->next; s != NULL; s = s->next)
		if (s->ending == 0 && strcmp(s->conf, conf) == 0)
			break;
	return s;
}

int
kmf_stream_look(
    struct kmf_keeper *k, struct kmf_stream *s, const uint8_t *conf_key)
{
	struct db_member m;
	int r;

	if (s->known && (conf_key == NULL || s->delivery != NULL || !s->keyed))
		return 0;
	r = db_member_find(k->db, &m, s->member);
	s->listens = r == 0 && m.state == DB_MEMBER_LIVE && m.held != 0;
	s->keyed = s->listens && m.delivery.len != 0;
	s->known = r == 0 || r == PERC_ERR_NOTFOUND;
	if (!s->known)
		return r;
	if (!s->keyed || conf_key == NULL || s->delivery != NULL)
		return 0;
	if ((s->delivery = perc_secmem_alloc(32)) == NULL)
		return PERC_ERR_NOMEM;
	r = kmf_unseal_by(s->delivery, 32, conf_key, m.id, &m.delivery);
	if (r != 0)
		stream_doubt(s);
	return r;
}

static void
push_drop(struct kmf_keeper *k)
{
	struct kmf_front *f;

	for (f = k->fronts; f != NULL; f = f->next)
		f->to_len = 0;
}

int
kmf_push_to(struct kmf_stream *s, const char *own, size_t n)
{
	struct kmf_front *f = s->front;
	size_t need = f->to_len + 6 + n, cap = f->to_cap;
	struct perc_wire w;
	uint8_t *p;

	if (need > cap) {
		for (cap = cap == 0 ? 4096 : cap; cap < need; cap *= 2)
			;
		if ((p = realloc(f->to, cap)) == NULL)
			return PERC_ERR_NOMEM;
		f->to = p;
		f->to_cap = cap;
	}
	perc_wire_writer(&w, f->to + f->to_len, 6 + n);
	perc_wire_put_u32(&w, s->id);
	perc_wire_put_u16(&w, (uint16_t)n);
	perc_wire_put_bytes(&w, own, n);
	f->to_len = need;
	return perc_wire_end(&w);
}

int
kmf_push_send(struct kmf_keeper *k, int r, const struct kmf_push *what)
{
	struct kmf_push e = *what;
	struct kmf_front *f;
	uint8_t *buf;
	size_t len;

	for (f = k->fronts; r == 0 && f != NULL; f = f->next) {
		if (f->to_len == 0)
			continue;
		e.to = f->to;
		e.to_len = f->to_len;
		if ((r = kmf_push_encode(&buf, &len, &e)) == 0)
			r = kmf_out_add(k, f, KMF_MSG_PUSH, 0, buf, len);
	}
	push_drop(k);
	return r;
}

int
kmf_broadcast(struct kmf_keeper *k, struct db_conf *c, const char *member,
    const char *name, const json_t *data)
{
	struct kmf_push e = { .name = name, .tail = "" };
	struct kmf_stream *s;
	char *text;
	int r = 0;

	if ((text = perc_json_text(data)) == NULL)
		return PERC_ERR_NOMEM;
	e.event_id = (uint64_t)++c->event_no;
	e.head = text;
	for (s = kmf_stream_first(k, c->id); r == 0 && s != NULL;
	     s = kmf_stream_next(s))
		if (member == NULL || strcmp(s->member, member) == 0)
			r = kmf_push_to(s, "", 0);
	r = kmf_push_send(k, r, &e);
	perc_json_free(text);
	return r;
}

/* To those with the key who asked for differences, or to the others. */
static int
roster_cast(struct kmf_keeper *k, struct db_conf *c, bool deltas,
    const char *name, const json_t *data)
{
	struct kmf_push e = {
		.name = name, .event_id = (uint64_t)c->event_no, .tail = ""
	};
	struct kmf_stream *s;
	char *text;
	int r = 0;

	if ((text = perc_json_text(data)) == NULL)
		return PERC_ERR_NOMEM;
	e.head = text;
	for (s = kmf_stream_first(k, c->id); r == 0 && s != NULL;
	     s = kmf_stream_next(s))
		if (s->deltas == deltas &&
		    (r = kmf_stream_look(k, s, NULL)) == 0 && s->listens)
			r = kmf_push_to(s, "", 0);
	r = kmf_push_send(k, r, &e);
	perc_json_free(text);
	return r;
}

int
kmf_broadcast_roster(struct kmf_keeper *k, struct db_conf *c,
    const json_t *plain, const json_t *diff)
{
	int r;

	c->event_no++;
	if ((r = roster_cast(k, c, false, "roster", plain)) != 0)
		return r;
	return diff != NULL ? roster_cast(k, c, true, "roster-delta", diff)
			    : roster_cast(k, c, true, "roster", plain);
}
