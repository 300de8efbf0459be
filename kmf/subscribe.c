/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Opening an event stream. A member has one; a second one ends the first. It
 * begins with what the member lacks in its newest form, never with history.
 * An id that this conference never gave comes from another life of it (a
 * database that was restored): nobody can tell what was missed, so the member
 * is told to fetch.
 */
#include "kmf/event.h"

#include <string.h>

/* As every other request, and what only streams ask for. */
static int
admit(struct kmf_job *j)
{
	int r;

	if ((r = kmf_admit(j)) != 0 || j->a.status != 0)
		return r;
	r = kmf_decide_member(j->k, &j->conf, &j->me);
	if (r == PERC_ERR_NOTFOUND) /* uninvited since */
		return kmf_not_found(j);
	if (r == 0 && j->conf.state == DB_CONF_ENDED)
		return kmf_refuse(j, 410, "ended", "the conference is over");
	return r;
}

static int
tell(struct kmf_keeper *k, struct kmf_stream *s, const struct db_conf *c,
    const char *name, json_t *data)
{
	char *text = data != NULL ? perc_json_text(data) : NULL;
	int r = PERC_ERR_NOMEM;

	if (text != NULL)
		r = kmf_stream_event(k, s, (uint64_t)c->event_no, name, text);
	perc_json_free(text);
	json_decref(data);
	return r;
}

/* What Last-Event-ID says of the time before: changes of the conference that
 * went by, or an id that we never gave. */
static int
missed(struct kmf_keeper *k, struct kmf_stream *s, const struct db_conf *c,
    const struct kmf_subscribe *sub)
{
	if (sub->after[0] == '\0' ||
	    sub->last_event_id == (uint64_t)c->event_no)
		return 0;
	if (sub->last_event_id != 0 &&
	    sub->last_event_id < (uint64_t)c->event_no)
		return tell(k, s, c, "conference", kmf_conf_event_json(c));
	return tell(k, s, c, "reset",
	    json_pack("{s:I, s:I}", "epoch", (json_int_t)c->epoch, "seq",
		(json_int_t)c->roster_seq));
}

static int
catch_up(struct kmf_keeper *k, struct kmf_stream *s, struct db_conf *c,
    const struct db_member *m, const struct kmf_subscribe *sub)
{
	struct kmf_room o;
	int r;

	if ((r = missed(k, s, c, sub)) != 0)
		return r;
	if (m->state != DB_MEMBER_LIVE || c->state != DB_CONF_LIVE)
		return 0;
	if ((r = kmf_room_load(&o, k, c)) != 0)
		return r;
	if (m->held != 0 && m->held < c->epoch &&
	    (r = kmf_epoch_push_one(&o, s)) != 0)
		return r;
	return kmf_roster_push_one(&o, s);
}

static int
subscribe(struct kmf_job *j, struct kmf_front *f, uint32_t id,
    const struct kmf_subscribe *sub)
{
	struct kmf_keeper *k = j->k;
	struct kmf_stream *s;
	char how[16];
	int r;

	if ((r = admit(j)) != 0)
		return r;
	if (j->a.status != 0) {
		if ((r = kmf_refusal_audit(j)) == 0)
			kmf_stream_refuse(k, f, id, j->a.status, j->a.code,
			    j->a.status == 404 ? "" : j->a.detail);
		return r;
	}
	kmf_stream_end(k, j->conf.id, j->me.id, 409, "replaced");
	if ((r = kmf_stream_add(k, f, id, j->conf.id, j->me.id, &s)) != 0)
		return r;
	if (kmf_query_get(how, sizeof(how), sub->query, "roster") != 0)
		how[0] = '\0';
	s->deltas = strcmp(how, "delta") == 0;
	if ((r = catch_up(k, s, &j->conf, &j->me, sub)) != 0)
		kmf_stream_del(k, f, id);
	return r;
}

int
kmf_subscribe(struct kmf_keeper *k, struct kmf_front *f, uint32_t id,
    const struct kmf_subscribe *s)
{
	bool feed = s->conf[0] == '\0';
	const struct kmf_call c = { .op = feed ? KMF_OP_FEED : KMF_OP_EVENTS,
		.id = s->id,
		.conf = s->conf,
		.obj = "",
		.replay_hash = s->replay_hash,
		.replay_until_s = s->replay_until_s,
		.replay_nonce = s->replay_nonce };
	struct kmf_job j = { .k = k, .call = &c };
	int r;

	if ((r = kmf_mark(k)) != 0)
		return r;
	r = feed ? kmf_feed_subscribe(&j, f, id, s) : subscribe(&j, f, id, s);
	/* The front says 200 when it hears this, and not before. */
	if (r == 0 && j.a.status == 0)
		r = kmf_out_add(k, f, KMF_MSG_STREAM_OPEN, id, NULL, 0);
	if (r == 0)
		return kmf_mark_keep(k);
	kmf_mark_undo(k);
	return r;
}
