/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Series as people ask for them. What the database holds is the rule; the
 * instants are worked out each time, a few hundred at most.
 */
#include "kmf/series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/cal.h"

#define LIST_DEF   20
#define LIST_MAX   100
#define TITLE_SCAN 1000 /* as in list.c */

int64_t
kmf_series_lasts(const struct kmf_series *o)
{
	return o->s.ends_ms - o->s.starts_ms;
}

void
kmf_series_close(struct kmf_series *o)
{
	free(o->starts);
	free(o->left_out);
	free(o->confs);
	memset(o, 0, sizeof(*o));
}

static int
expand(struct kmf_series *o, char *why, size_t cap)
{
	free(o->starts);
	o->starts = NULL;
	o->nstarts = 0;
	return kmf_rrule_expand(&o->starts, &o->nstarts, o->s.rrule, o->s.tzid,
	    o->s.starts_ms, kmf_series_lasts(o), why, cap);
}

int
kmf_series_expand(struct kmf_series *o, struct kmf_job *j)
{
	char why[160];
	int r;

	if ((r = expand(o, why, sizeof(why))) == PERC_ERR_FORMAT)
		return kmf_refuse(j, 400, "invalid_request", "/rrule: %s", why);
	return r;
}

int
kmf_series_reload(struct kmf_series *o, struct kmf_keeper *k)
{
	int r;

	free(o->left_out);
	free(o->confs);
	o->left_out = NULL;
	o->confs = NULL;
	o->nleft_out = o->nconfs = 0;
	if ((r = db_exdate_list(k->db, &o->left_out, &o->nleft_out, o->s.id)) !=
	    0)
		return r;
	return db_conf_of_series(k->db, &o->confs, &o->nconfs, o->s.id);
}

int
kmf_series_open(struct kmf_series *o, struct kmf_keeper *k, const char *id)
{
	char why[160];
	int r;

	memset(o, 0, sizeof(*o));
	if ((r = db_series_find(k->db, &o->s, id)) != 0 ||
	    (r = kmf_series_reload(o, k)) != 0)
		return r;
	/* Time zones change their minds: what was a rule may be none today,
	 * and then nothing new comes of it. */
	if ((r = expand(o, why, sizeof(why))) != PERC_ERR_FORMAT)
		return r;
	log_warnx("series.rule series=%s why=\"%s\"", id, why);
	return 0;
}

int
kmf_series_load(struct kmf_series *o, struct kmf_job *j)
{
	int r;

	r = kmf_series_open(o, j->k, j->call->conf);
	if (r == PERC_ERR_NOTFOUND ||
	    (r == 0 && !kmf_has_word(j->scope, "admin") &&
		strcmp(o->s.created_by, j->call->id.sub) != 0))
		return kmf_not_found(j);
	return r;
}

static int
by_time(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static bool
among(const int64_t *list, size_t n, int64_t at)
{
	return n != 0 && bsearch(&at, list, n, sizeof(*list), by_time) != NULL;
}

bool
kmf_series_names(const struct kmf_series *o, int64_t at)
{
	return among(o->starts, o->nstarts, at);
}

bool
kmf_series_leaves_out(const struct kmf_series *o, int64_t at)
{
	return among(o->left_out, o->nleft_out, at);
}

static int
by_recurrence(const void *key, const void *conf)
{
	return by_time(key, &((const struct db_conf *)conf)->recur_ms);
}

const struct db_conf *
kmf_series_conf(const struct kmf_series *o, int64_t at)
{
	return o->nconfs == 0 ? NULL
			      : bsearch(&at, o->confs, o->nconfs,
				    sizeof(*o->confs), by_recurrence);
}

/* --- as JSON ---------------------------------------------------------------
 */

static bool
is_over(const struct kmf_series *o, const struct db_conf *c, int64_t at,
    int64_t now_ms)
{
	return c != NULL ? c->state == DB_CONF_ENDED || c->ends_ms <= now_ms
			 : at + kmf_series_lasts(o) <= now_ms;
}

static json_t *
occurrence_json(const struct kmf_series *o, const struct db_conf *c, int64_t at)
{
	int64_t ends = at + kmf_series_lasts(o);

	return json_pack("{s:o, s:o, s:o, s:s, s:b, s:o}", "recurrence_id",
	    kmf_time_json(at), "starts_at",
	    kmf_time_json(c != NULL ? c->starts_ms : at), "ends_at",
	    kmf_time_json(c != NULL ? c->ends_ms : ends), "state",
	    c != NULL ? kmf_conf_state_text(c) : "scheduled", "exception",
	    c != NULL && c->exception, "conference",
	    c != NULL ? json_string(c->id) : json_null());
}

/* Occurrences behind after_ms, at most max; over: those that are over, too.
 * *next_ms: the last one that there was room for, when more follow. */
static json_t *
occurrences_json(const struct kmf_series *o, int64_t now_ms, int64_t after_ms,
    size_t max, bool over, int64_t *next_ms)
{
	json_t *a = json_array();
	const struct db_conf *c;
	int64_t last = 0;
	size_t i, n = 0;

	*next_ms = 0;
	for (i = 0; i < o->nstarts; i++) {
		c = kmf_series_conf(o, o->starts[i]);
		if (o->starts[i] <= after_ms ||
		    (c == NULL && kmf_series_leaves_out(o, o->starts[i])) ||
		    (!over && is_over(o, c, o->starts[i], now_ms)))
			continue;
		if (n++ == max) {
			*next_ms = last;
			break;
		}
		last = o->starts[i];
		kmf_json_add(&a, occurrence_json(o, c, last));
	}
	return a;
}

static json_t *
left_out_json(const struct kmf_series *o)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < o->nleft_out; i++)
		kmf_json_add(&a, kmf_time_json(o->left_out[i]));
	return a;
}

static json_t *
series_json(const struct kmf_series *o, struct kmf_keeper *k)
{
	static const char *const states[] = { "scheduled", "ended",
		"cancelled" };
	const struct db_conf *next = kmf_series_current(o, k->now_ms);
	const struct db_series *s = &o->s;
	struct db_invitee *list = NULL;
	char uri[DB_URL_MAX + 64];
	int64_t more;
	json_t *v;
	size_t n;

	if (db_series_invitee_list(k->db, &list, &n, s->id) != 0)
		return NULL;
	snprintf(uri, sizeof(uri), "%s/c/%s", k->base, s->id);
	v = json_pack("{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:o, s:s, s:o, s:o, "
		      "s:o, s:o, s:o, s:s}",
	    "id", s->id, "title", s->title, "uri", uri, "starts_at",
	    kmf_time_json(s->starts_ms), "ends_at", kmf_time_json(s->ends_ms),
	    "tzid", s->tzid, "rrule", s->rrule, "exdates", left_out_json(o),
	    "state", states[s->state], "policy", json_loads(s->policy, 0, NULL),
	    "invitees", kmf_invitees_json(k, list, n), "next",
	    next != NULL ? json_string(next->id) : json_null(), "occurrences",
	    occurrences_json(o, k->now_ms, 0, KMF_SERIES_AHEAD, false, &more),
	    "created_at", kmf_time_json(s->created_ms), "created_by",
	    s->created_by);
	free(list);
	return v;
}

int
kmf_series_answer(struct kmf_series *o, struct kmf_job *j, uint16_t status)
{
	kmf_etag_version(j->a.etag, o->s.version);
	return kmf_answer_json(j, status, series_json(o, j->k));
}

/* --- questions --------------------------------------------------------------
 */

int
kmf_op_series_get(struct kmf_job *j)
{
	struct kmf_series o;
	int r;

	if ((r = kmf_series_load(&o, j)) == 0 && j->a.status == 0)
		r = kmf_series_answer(&o, j, 200);
	kmf_series_close(&o);
	return r;
}

static int
page_fill(struct kmf_job *j, struct kmf_paging *p, const char *title,
    const struct db_series *list, size_t n)
{
	struct kmf_series o;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < n && kmf_page_room(p); i++) {
		if (!kmf_title_has(list[i].title, title)) {
			kmf_page_skip(p, 0, list[i].no);
			continue;
		}
		if ((r = kmf_series_open(&o, j->k, list[i].id)) == 0)
			kmf_page_add(p, series_json(&o, j->k), 0, list[i].no);
		kmf_series_close(&o);
	}
	return r;
}

int
kmf_op_series_list(struct kmf_job *j)
{
	const char *own =
	    kmf_has_word(j->scope, "admin") ? "" : j->call->id.sub;
	struct db_series *list = NULL;
	char title[DB_TITLE_MAX];
	struct kmf_paging p;
	size_t n = 0, most;
	int r;

	if ((r = kmf_page_get(j, &p, LIST_DEF, LIST_MAX)) != 0 ||
	    j->a.status != 0)
		goto out;
	if (kmf_query_get(title, sizeof(title), j->call->arg, "title") != 0) {
		r = kmf_refuse(j, 400, "invalid_request", "title: too long");
		goto out;
	}
	most = title[0] != '\0' ? TITLE_SCAN : (size_t)p.limit;
	if ((r = db_series_list(
		 j->k->db, &list, &n, own, p.no, (unsigned)most + 1)) != 0)
		goto out;
	if ((r = page_fill(j, &p, title, list, n > most ? most : n)) != 0)
		goto out;
	p.more = p.more || n > most;
	r = kmf_page_answer(j, &p, json_object());
out:
	free(list);
	kmf_page_clear(&p);
	return r;
}

int
kmf_op_occurrence_list(struct kmf_job *j)
{
	const char *q = j->call->arg;
	int64_t limit, after = INT64_MIN, more;
	char text[40];
	struct kmf_series o;
	json_t *items;
	int r;

	if ((r = kmf_series_load(&o, j)) != 0 || j->a.status != 0)
		goto out;
	if (kmf_query_int(&limit, q, "limit", 50, 1, LIST_MAX) != 0)
		r = kmf_refuse(
		    j, 400, "invalid_request", "limit: 1 to %d", LIST_MAX);
	else if (kmf_query_get(text, sizeof(text), q, "after") != 0 ||
	    (text[0] != '\0' && perc_time_get(&after, text) != 0))
		r = kmf_refuse(
		    j, 400, "invalid_request", "after: a recurrence_id");
	if (r != 0 || j->a.status != 0)
		goto out;
	items = occurrences_json(
	    &o, j->k->now_ms, after, (size_t)limit, true, &more);
	if (more != 0)
		perc_time_put(text, more);
	r = kmf_answer_json(j, 200,
	    json_pack("{s:o, s:s*}", "items", items, "next",
		more != 0 ? text : NULL));
out:
	kmf_series_close(&o);
	return r;
}
