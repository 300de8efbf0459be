/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The roster of epoch n is the set of those who may know epoch n: it is read
 * from the grants, not from who is here. Somebody who left stays on it until
 * the next epoch has shut him out, so nobody is shown as gone who could still
 * listen. Each roster is chained to the one before.
 *
 * What changed is signed at once, as a difference; the whole is signed when
 * somebody wants it whole, and then once for all who do. In a small room that
 * is always.
 */
#include "kmf/rosterlist.h"

#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"

json_t *
kmf_roster_entry(const struct db_member *m)
{
	return json_pack("{s:s, s:s, s:{s:s, s:s, s:s*}, s:s, s:s, s:o}",
	    "member", m->id, "name", m->name, "identity", "iss", m->iss, "sub",
	    m->sub, "email", kmf_json_opt(m->email), "kind", m->kind, "role",
	    m->role, "ssrcs", kmf_ssrcs_json(m));
}

/*
 * All whom the difference of this number left on it, in *ap: in a large room
 * others may have come since, who are told with the next one, and two rosters
 * of one number would be a fork. PERC_ERR_STATE: somebody on it is not as he
 * was, or who was on it is forgotten, so this one cannot be told any more.
 */
static int
members_json(struct kmf_room *o, json_t **ap)
{
	const struct kmf_list *l = kmf_list_get(o);
	struct db_member *rows = NULL;
	json_t *a = json_array(), *entry;
	size_t i, n = 0;
	int r;

	if (l == NULL || a == NULL) {
		r = PERC_ERR_NOMEM;
		goto out;
	}
	if ((r = db_member_granted(
		 o->k->db, &rows, &n, o->c->id, o->c->epoch)) != 0)
		goto out;
	for (i = 0; i < n; i++) {
		entry = kmf_roster_entry(&rows[i]);
		if (entry != NULL && !kmf_list_has(l, rows[i].id, entry))
			json_decref(entry);
		else
			kmf_json_add(&a, entry); /* a is NULL after a NULL */
	}
	if (a == NULL)
		r = PERC_ERR_NOMEM;
	else if (!l->told || json_array_size(a) != l->n)
		r = PERC_ERR_STATE;
out:
	free(rows);
	if (r != 0) {
		json_decref(a);
		a = NULL;
	}
	*ap = a;
	return r;
}

static int
hash_text(char out[static DB_HASH_MAX], const char *text)
{
	uint8_t hash[PERC_SHA256_LEN];
	int r;

	if ((r = perc_sha256(hash, text, strlen(text))) == 0)
		perc_b64_put(out, hash, sizeof(hash));
	return r;
}

/* Hash of the text made last, when a Perch before this one made it. */
static int
last_hash(struct kmf_room *o, struct db_roster *row)
{
	char *text = NULL;
	int r;

	if (row->last[0] != '\0' || !row->whole)
		return 0;
	if ((r = db_roster_text(o->k->db, &text, o->c->id)) == 0)
		r = hash_text(row->last, text);
	free(text);
	return r;
}

static json_t *
claims_json(struct kmf_room *o, json_t *rest)
{
	int64_t now_s = o->k->now_ms / 1000;
	json_t *v;

	v = json_pack("{s:s, s:I, s:I, s:s, s:I, s:I}", "iss", o->k->base,
	    "iat", (json_int_t)now_s, "exp", (json_int_t)(now_s + KMF_ROSTER_S),
	    "conference", o->c->id, "seq", (json_int_t)o->c->roster_seq,
	    "epoch", (json_int_t)o->r.epoch);
	if (v == NULL || rest == NULL || json_object_update(v, rest) != 0) {
		json_decref(v);
		v = NULL;
	}
	json_decref(rest);
	return v;
}

int
kmf_roster_text(struct kmf_room *o, char **textp)
{
	struct db_roster row = { .seq = 0 };
	json_t *v = NULL, *members;
	char *text = NULL;
	int r;

	r = db_roster_find(o->k->db, &row, o->c->id);
	if (r == PERC_ERR_NOTFOUND || (r == 0 && row.whole))
		return db_roster_text(o->k->db, textp, o->c->id);
	if (r != 0 || (r = members_json(o, &members)) != 0)
		return r;
	v = claims_json(o,
	    json_pack("{s:s, s:s, s:o}", "prev", row.last, "head_before",
		row.before, "members", members));
	if (v == NULL)
		return PERC_ERR_NOMEM;
	if ((r = perc_jws_sign(&text, o->k->statement_key, "perch-roster+jwt",
		 v, false)) == 0 &&
	    (r = hash_text(row.last, text)) == 0 &&
	    (r = db_roster_put(o->k->db, &row, o->c->id, text)) == 0) {
		*textp = text;
		text = NULL;
	}
	json_decref(v);
	perc_json_free(text);
	return r;
}

/* The list's members as the next roster's, and its row in the database. */
static int
step_take(struct kmf_room *o, struct kmf_list *l, struct db_roster *row,
    json_t **rest)
{
	json_t *added, *removed;
	char head[DB_HASH_MAX];
	int r;

	*rest = NULL;
	r = db_roster_find(o->k->db, row, o->c->id);
	if ((r != 0 && r != PERC_ERR_NOTFOUND) || (r = last_hash(o, row)) != 0)
		return r;
	memcpy(row->before, row->head, sizeof(row->before));
	if ((r = kmf_list_step(l, o, &added, &removed)) != 0)
		return r;
	perc_b64_put(head, l->head, sizeof(l->head));
	if (added != NULL &&
	    (*rest = json_pack("{s:s, s:s, s:I, s:o, s:o}", "head_before",
		 row->before, "head", head, "count", (json_int_t)l->n, "added",
		 added, "removed", removed)) == NULL)
		return PERC_ERR_NOMEM;
	memcpy(row->head, head, sizeof(row->head));
	row->seq = ++o->c->roster_seq;
	return db_roster_put(o->k->db, row, o->c->id, "");
}

static int
delta_sign(struct kmf_room *o, struct kmf_list *l, json_t *rest)
{
	char *text = NULL;
	json_t *v;
	int r;

	if (rest == NULL) {
		kmf_list_told(l, NULL);
		return 0;
	}
	if ((v = claims_json(o, rest)) == NULL)
		return PERC_ERR_NOMEM;
	if ((r = perc_jws_sign(&text, o->k->statement_key,
		 "perch-roster-delta+jwt", v, false)) == 0)
		kmf_list_told(l, text);
	json_decref(v);
	return r;
}

static json_t *
event_json(const struct kmf_room *o, const char *name, const char *text)
{
	return json_pack("{s:I, s:I, s:s*}", "seq",
	    (json_int_t)o->c->roster_seq, "epoch", (json_int_t)o->r.epoch, name,
	    text);
}

/* To those who asked for differences one, to the others the event of old;
 * who gets no difference hears that there is a roster to be fetched. */
static int
tell(struct kmf_room *o, const char *delta, const char *whole)
{
	json_t *plain = event_json(o, "roster", whole);
	json_t *diff = delta == NULL ? NULL : event_json(o, "delta", delta);
	int r = PERC_ERR_NOMEM;

	if (plain != NULL && (delta == NULL || diff != NULL))
		r = kmf_broadcast_roster(o->k, o->c, plain, diff);
	json_decref(plain);
	json_decref(diff);
	return r;
}

int
kmf_roster_sign(struct kmf_room *o)
{
	struct db_roster row = { .seq = 0 };
	struct kmf_list *l = kmf_list_get(o);
	char *whole = NULL;
	json_t *rest = NULL;
	int r;

	if (l == NULL)
		return PERC_ERR_NOMEM;
	kmf_rekey_signed(&o->r, o->k->now_ms);
	if ((r = step_take(o, l, &row, &rest)) != 0) {
		json_decref(rest);
		goto out;
	}
	o->c->epoch = o->r.epoch;
	o->k->count.rosters++;
	if ((r = delta_sign(o, l, rest)) == 0 &&
	    (l->n > KMF_ROSTER_INLINE_MAX ||
		(r = kmf_roster_text(o, &whole)) == 0 || r == PERC_ERR_STATE))
		r = tell(o, l->deltas[l->seq % KMF_DELTAS], whole);
out:
	if (r != 0)
		kmf_lists_forget(o->k, o->c->id);
	free(whole);
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
	    (r = kmf_roster_text(o, &text)) != 0 && r != PERC_ERR_STATE)
		return r;
	r = PERC_ERR_NOMEM;
	if ((event = event_json(o, "roster", text)) != NULL &&
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
