/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Asking for the roster: whole, or what changed since one that the caller
 * holds. A large one crosses to each front once; the reply then names it.
 */
#include "kmf/rosterlist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* All that led from there to now, oldest first; NULL: not remembered. */
static json_t *
deltas_json(const struct kmf_list *l, int64_t from)
{
	size_t octets = 0;
	json_t *a;
	char *text;

	if (from > l->seq || from <= l->seq - KMF_DELTAS ||
	    (from < l->seq && !l->told))
		return NULL;
	a = json_array();
	while (a != NULL && from++ < l->seq) {
		text = l->deltas[from % KMF_DELTAS];
		octets += text == NULL ? 0 : strlen(text);
		if (text == NULL || octets > KMF_DELTAS_SIZE) {
			json_decref(a);
			return NULL;
		}
		kmf_json_add(&a, json_string(text));
	}
	return a;
}

/* The differences to a roster that the caller has, when they are remembered;
 * else status 0. */
static int
since(struct kmf_job *j, struct kmf_room *o)
{
	const char *query = j->call->arg == NULL ? "" : j->call->arg;
	struct kmf_list *l;
	int64_t from;
	json_t *a;

	if (kmf_query_int(&from, query, "since", -1, 0, INT64_MAX) != 0)
		return kmf_refuse(j, 400, "invalid_request",
		    "since: the sequence number of the roster that you hold");
	if (from < 0 || (l = kmf_list_get(o)) == NULL ||
	    (a = deltas_json(l, from)) == NULL)
		return 0;
	return kmf_answer_json(j, 200,
	    json_pack("{s:I, s:o}", "seq", (json_int_t)l->seq, "deltas", a));
}

/* The newest that can be told whole: if need be, one more. */
static int
text_get(struct kmf_room *o, char **textp)
{
	int r = kmf_roster_text(o, textp);

	if (r != PERC_ERR_STATE)
		return r;
	kmf_lists_forget(o->k, o->c->id);
	if ((r = kmf_room_settle(o, KMF_DO_ROSTER)) != 0)
		return r;
	return kmf_roster_text(o, textp);
}

int
kmf_op_roster(struct kmf_job *j)
{
	struct kmf_room o;
	char *text = NULL;
	int r;

	if (j->conf.state == DB_CONF_ENDED)
		return kmf_refuse(j, 410, "ended", "the conference is over");
	if (j->me.state != DB_MEMBER_LIVE)
		return kmf_refuse(
		    j, 409, "not_joined", "ask for the keys first");
	if ((r = kmf_room_load(&o, j->k, &j->conf)) != 0)
		return r;
	if ((r = since(j, &o)) != 0 || j->a.status != 0)
		return r;
	if (front_has(j))
		return answer_by_front(j);
	if ((r = text_get(&o, &text)) != 0)
		return r;
	if (j->k->caller == NULL || strlen(text) <= KMF_ROSTER_LARGE)
		r = kmf_answer_text(j, 200, "application/jwt", text);
	else if ((r = front_give(j, text)) == 0)
		r = answer_by_front(j);
	free(text);
	return r;
}
