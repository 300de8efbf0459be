/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The scheduler's lists. A filter with an index goes to the database; what
 * is left is looked at here, row by row, so a page may hold less than was
 * asked for, but never costs more.
 */
#include "kmf/keeper_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONFS_DEF   50
#define CONFS_MAX   100
#define TITLE_SCAN  1000 /* rows looked at for a page of those with a text */
#define MEMBERS_MAX 1000

static int
word_get(struct kmf_job *j, char *out, size_t cap, const char *name)
{
	if (kmf_query_get(out, cap, j->call->arg, name) == 0)
		return 0;
	return kmf_refuse(j, 400, "invalid_request", "%s: too long", name);
}

static int
time_get(struct kmf_job *j, int64_t *ms, const char *name)
{
	char text[64];

	*ms = 0;
	if (kmf_query_get(text, sizeof(text), j->call->arg, name) == 0 &&
	    (text[0] == '\0' || perc_time_get(ms, text) == 0))
		return 0;
	return kmf_refuse(j, 400, "invalid_request",
	    "%s: RFC 3339, as 2026-11-21T09:30:00Z", name);
}

/* Whom the list is about: an administrator's is everybody's. "-": nobody. */
static const char *
owner_of(const struct kmf_job *j, const char *created_by)
{
	const char *own =
	    kmf_has_word(j->scope, "admin") ? "" : j->call->id.sub;

	if (own[0] == '\0')
		return created_by;
	return created_by[0] == '\0' || strcmp(created_by, own) == 0 ? own
								     : "-";
}

static int
state_of(const char *text)
{
	int s;

	if (strcmp(text, "cancelled") == 0)
		return DB_CONF_ENDED;
	for (s = DB_CONF_SCHEDULED; s <= DB_CONF_ENDED; s++)
		if (strcmp(text, kmf_conf_state_name(s)) == 0)
			return s;
	return -1;
}

/* What no index knows. */
struct look {
	char state[16], title[DB_TITLE_MAX];
};

static bool
is_wanted(const struct look *w, const struct db_conf *c)
{
	return (w->state[0] == '\0' ||
		   strcmp(w->state, kmf_conf_state_text(c)) == 0) &&
	    kmf_title_has(c->title, w->title);
}

static int
confs_answer(struct kmf_job *j, struct kmf_paging *p,
    const struct db_conf *list, size_t n, const struct look *w, bool by_time)
{
	size_t most = w->title[0] != '\0' ? TITLE_SCAN : (size_t)p->limit;
	const struct db_conf *c;
	size_t i;

	for (i = 0; i < n && i < most && kmf_page_room(p); i++) {
		c = &list[i];
		if (!is_wanted(w, c))
			kmf_page_skip(p, by_time ? c->starts_ms : 0, c->no);
		else
			kmf_page_add(p, kmf_conf_json(j->k, c),
			    by_time ? c->starts_ms : 0, c->no);
	}
	p->more = p->more || n > most;
	return kmf_page_answer(j, p, json_object());
}

int
kmf_op_conf_list(struct kmf_job *j)
{
	struct look w;
	char by[DB_CLIENT_MAX];
	struct db_conf *list = NULL;
	struct db_conf_filter f = { 0 };
	struct kmf_paging p;
	size_t n;
	int r;

	if ((r = kmf_page_get(j, &p, CONFS_DEF, CONFS_MAX)) != 0 ||
	    j->a.status != 0 ||
	    (r = word_get(j, w.state, sizeof(w.state), "state")) != 0 ||
	    (r = word_get(j, w.title, sizeof(w.title), "title")) != 0 ||
	    (r = word_get(j, by, sizeof(by), "created_by")) != 0 ||
	    (r = time_get(j, &f.from_ms, "from")) != 0 ||
	    (r = time_get(j, &f.to_ms, "to")) != 0 || j->a.status != 0)
		goto out;
	f.state = state_of(w.state);
	if (w.state[0] != '\0' && f.state < 0) {
		r = kmf_refuse(j, 400, "invalid_request",
		    "state: scheduled, live, ended or cancelled");
		goto out;
	}
	f.owner = owner_of(j, by);
	f.after_ms = p.at;
	f.after_no = p.no;
	/* One more than asked for tells whether there is a next page. */
	if ((r = db_conf_list(j->k->db, &list, &n, &f,
		 (w.title[0] != '\0' ? TITLE_SCAN : (unsigned)p.limit) + 1)) ==
	    0)
		r = confs_answer(
		    j, &p, list, n, &w, f.from_ms != 0 || f.to_ms != 0);
	free(list);
out:
	kmf_page_clear(&p);
	return r;
}

/* Rows of invitations are never taken away before their conference is, so
 * the place in the list is a place to go on from. */
int
kmf_op_inv_list(struct kmf_job *j)
{
	char state[16];
	struct db_inv *list = NULL;
	struct kmf_paging p;
	size_t n = 0, i;
	int r;

	if ((r = kmf_page_get(j, &p, MEMBERS_MAX, MEMBERS_MAX)) != 0 ||
	    j->a.status != 0 ||
	    (r = word_get(j, state, sizeof(state), "state")) != 0 ||
	    j->a.status != 0 ||
	    (r = db_inv_list(j->k->db, &list, &n, j->conf.id)) != 0)
		goto out;
	for (i = (size_t)p.no; i < n && kmf_page_room(&p); i++) {
		if (state[0] != '\0' &&
		    strcmp(state, kmf_inv_word(j, &list[i])) != 0)
			kmf_page_skip(&p, 0, (int64_t)i + 1);
		else
			kmf_page_add(
			    &p, kmf_inv_json(j, &list[i]), 0, (int64_t)i + 1);
	}
	r = kmf_page_answer(j, &p, json_object());
	free(list);
out:
	kmf_page_clear(&p);
	return r;
}

/* A member, and what keeps it from the newest epoch. */
static json_t *
member_row(struct kmf_job *j, const struct db_member *m)
{
	json_t *v = kmf_member_json(m), *lag = kmf_lag_json(j, m);

	if (v == NULL || lag == NULL) {
		json_decref(lag);
		return v;
	}
	(void)!json_object_set_new(v, "lag", lag);
	return v;
}

/* "37 of 40 on epoch 12" needs no more than the head of the answer. */
static json_t *
members_head(struct kmf_job *j)
{
	int64_t live = 0, behind = 0;

	if (db_member_count(j->k->db, &live, j->conf.id, DB_MEMBER_LIVE) != 0 ||
	    db_member_behind(j->k->db, &behind, j->conf.id, j->conf.epoch) != 0)
		return NULL;
	return json_pack("{s:I, s:I, s:I}", "epoch", (json_int_t)j->conf.epoch,
	    "live", (json_int_t)live, "current", (json_int_t)(live - behind));
}

int
kmf_op_member_get(struct kmf_job *j)
{
	struct db_member m;
	int r;

	r = db_member_find(j->k->db, &m, j->call->obj);
	if (r == PERC_ERR_NOTFOUND ||
	    (r == 0 && strcmp(m.conf, j->conf.id) != 0))
		return kmf_not_found(j);
	return r != 0 ? r : kmf_answer_json(j, 200, member_row(j, &m));
}

int
kmf_op_member_list(struct kmf_job *j)
{
	char state[16];
	struct db_member *list = NULL;
	struct kmf_paging p;
	size_t n = 0, i;
	int r, s;

	if ((r = kmf_page_get(j, &p, MEMBERS_MAX, MEMBERS_MAX)) != 0 ||
	    j->a.status != 0 ||
	    (r = word_get(j, state, sizeof(state), "state")) != 0 ||
	    j->a.status != 0)
		goto out;
	s = kmf_member_state_of(state);
	if (state[0] != '\0' && s < 0) {
		r = kmf_refuse(
		    j, 400, "invalid_request", "state: live, gone or evicted");
		goto out;
	}
	if ((r = db_member_page(j->k->db, &list, &n, j->conf.id, s, p.no,
		 (unsigned)p.limit + 1)) != 0)
		goto out;
	for (i = 0; i < n && kmf_page_room(&p); i++)
		kmf_page_add(&p, member_row(j, &list[i]), 0, list[i].no);
	r = kmf_page_answer(j, &p, members_head(j));
	free(list);
out:
	kmf_page_clear(&p);
	return r;
}
