/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The roster of epoch n is the set of those who may know epoch n: it is read
 * from the grants, not from who is here. Somebody who left stays on it until
 * the next epoch has shut him out, so nobody is shown as gone who could still
 * listen. Each roster names the hash of the one before.
 */
#include "kmf/keeper_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"

static json_t *
entry_json(const struct db_member *m)
{
	return json_pack("{s:s, s:s, s:{s:s, s:s, s:s*}, s:s, s:s, s:o}",
	    "member", m->id, "name", m->name, "identity", "iss", m->iss, "sub",
	    m->sub, "email", kmf_json_opt(m->email), "kind", m->kind, "role",
	    m->role, "ssrcs", kmf_ssrcs_json(m));
}

/* All of them or NULL: a roster that lacks somebody would hide a reader. */
static json_t *
members_json(struct kmf_room *o, size_t *np)
{
	struct db_member *list = NULL;
	json_t *a;
	size_t i;

	if (db_member_granted(o->k->db, &list, np, o->c->id, o->r.epoch) != 0)
		return NULL;
	a = json_array();
	for (i = 0; i < *np; i++)
		kmf_json_add(&a, entry_json(&list[i]));
	free(list);
	return a;
}

/* Hash of the last roster's text; "" when there was none. */
static int
prev_hash(struct kmf_room *o, char out[static DB_HASH_MAX])
{
	uint8_t hash[PERC_SHA256_LEN];
	char *text = NULL;
	int r;

	out[0] = '\0';
	if ((r = db_conf_roster(o->k->db, &text, o->c->id)) != 0)
		return r;
	if (text[0] != '\0' && (r = perc_sha256(hash, text, strlen(text))) == 0)
		perc_b64_put(out, hash, sizeof(hash));
	free(text);
	return r;
}

static json_t *
event_json(const struct kmf_room *o, const char *roster, size_t members)
{
	return json_pack("{s:I, s:I, s:s*}", "seq",
	    (json_int_t)o->c->roster_seq, "epoch", (json_int_t)o->r.epoch,
	    "roster", members <= KMF_ROSTER_INLINE_MAX ? roster : NULL);
}

int
kmf_roster_sign(struct kmf_room *o)
{
	int64_t now_s = o->k->now_ms / 1000;
	char prev[DB_HASH_MAX], *text = NULL;
	json_t *v = NULL, *event = NULL;
	size_t n = 0;
	int r;

	if ((r = prev_hash(o, prev)) != 0)
		return r;
	kmf_rekey_signed(&o->r, o->k->now_ms);
	o->c->roster_seq++;
	v = json_pack("{s:s, s:I, s:I, s:s, s:I, s:s, s:I, s:o}", "iss",
	    o->k->base, "iat", (json_int_t)now_s, "exp",
	    (json_int_t)(now_s + KMF_ROSTER_S), "conference", o->c->id, "seq",
	    (json_int_t)o->c->roster_seq, "prev", prev, "epoch",
	    (json_int_t)o->r.epoch, "members", members_json(o, &n));
	r = PERC_ERR_NOMEM;
	if (v == NULL ||
	    (r = perc_jws_sign(&text, o->k->statement_key, "perch-roster+jwt",
		 v, false)) != 0 ||
	    (r = db_conf_roster_put(o->k->db, o->c->id, text)) != 0)
		goto out;
	o->k->count.rosters++;
	event = event_json(o, text, n);
	r = event != NULL ? kmf_broadcast_live(o->k, o->c, "roster", event)
			  : PERC_ERR_NOMEM;
out:
	json_decref(event);
	json_decref(v);
	perc_json_free(text);
	return r;
}

int
kmf_roster_push_one(struct kmf_room *o, struct kmf_stream *s)
{
	char *text = NULL, *data = NULL;
	json_t *event = NULL;
	int r;

	/* A large one is not in the event: leave it where it is. */
	if (o->live <= KMF_ROSTER_INLINE_MAX &&
	    (r = db_conf_roster(o->k->db, &text, o->c->id)) != 0)
		return r;
	r = PERC_ERR_NOMEM;
	if ((event = event_json(o, text, o->live)) != NULL &&
	    (data = perc_json_text(event)) != NULL)
		r = kmf_stream_event(
		    o->k, s, (uint64_t)o->c->event_no, "roster", data);
	perc_json_free(data);
	json_decref(event);
	free(text);
	return r;
}

int
kmf_notice(char **textp, struct kmf_keeper *k, const char *conf,
    const char *event, const char *member, const char *reason)
{
	json_t *v;
	int r;

	v = json_pack("{s:s, s:I, s:s, s:s, s:s}", "iss", k->base, "iat",
	    (json_int_t)(k->now_ms / 1000), "conference", conf, "event", event,
	    "reason", reason);
	if (v == NULL)
		return PERC_ERR_NOMEM;
	r = PERC_ERR_NOMEM;
	if (member == NULL ||
	    json_object_set_new(v, "member", json_string(member)) == 0)
		r = perc_jws_sign(
		    textp, k->statement_key, "perch-notice+jwt", v, false);
	json_decref(v);
	return r;
}

void
kmf_roster_forget(struct kmf_keeper *k)
{
	struct kmf_front *f;

	for (f = k->fronts; f != NULL; f = f->next)
		memset(f->roster, 0, sizeof(f->roster));
}

/* Has the caller's front got this very roster? */
static bool
front_has(const struct kmf_job *j)
{
	const struct kmf_front *f = j->k->caller;
	unsigned at = kmf_roster_place(j->conf.id);

	return f != NULL && f->roster[at].seq == j->conf.roster_seq &&
	    strcmp(f->roster[at].conf, j->conf.id) == 0;
}

/* Ahead of the reply, in the same queue. */
static int
front_give(struct kmf_job *j, const char *text)
{
	const struct kmf_event e = { (uint64_t)j->conf.roster_seq, j->conf.id,
		text, "" };
	struct kmf_front *f = j->k->caller;
	unsigned at = kmf_roster_place(j->conf.id);
	uint8_t *buf;
	size_t len;
	int r;

	if ((r = kmf_event_encode(&buf, &len, &e)) != 0 ||
	    (r = kmf_out_add(j->k, f, KMF_MSG_ROSTER, 0, buf, len)) != 0)
		return r;
	memcpy(f->roster[at].conf, j->conf.id, sizeof(f->roster[at].conf));
	f->roster[at].seq = j->conf.roster_seq;
	return 0;
}

static int
answer_by_front(struct kmf_job *j)
{
	snprintf(j->a.etag, sizeof(j->a.etag), "%lld",
	    (long long)j->conf.roster_seq);
	return kmf_answer_text(j, 200, "application/jwt", "");
}

int
kmf_op_roster(struct kmf_job *j)
{
	char *text = NULL;
	int r;

	if (j->conf.state == DB_CONF_ENDED)
		return kmf_refuse(j, 410, "ended", "the conference is over");
	if (j->me.state != DB_MEMBER_LIVE)
		return kmf_refuse(
		    j, 409, "not_joined", "ask for the keys first");
	if (front_has(j))
		return answer_by_front(j);
	if ((r = db_conf_roster(j->k->db, &text, j->conf.id)) != 0)
		return r;
	if (j->k->caller == NULL || strlen(text) <= KMF_ROSTER_LARGE)
		r = kmf_answer_text(j, 200, "application/jwt", text);
	else if ((r = front_give(j, text)) == 0)
		r = answer_by_front(j);
	free(text);
	return r;
}
