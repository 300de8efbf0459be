/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The webhooks that the configuration names, and how they are. One that is
 * taken out of it keeps its row: when it comes back it goes on where it was,
 * as far as the events are still kept.
 */
#include "kmf/hook.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/event.h"
#include "perc/conf.h"

/* --- life ----------------------------------------------------------------- */
static int
hook_take(struct kmf_hook *h, const struct kmf_hook_opts *o)
{
	size_t i;
	int r;

	if ((r = kmf_copy(h->name, sizeof(h->name), o->name)) != 0 ||
	    (r = kmf_copy(h->url, sizeof(h->url), o->url)) != 0 ||
	    (r = kmf_copy(h->types, sizeof(h->types), o->types)) != 0)
		return r;
	h->give_up_ms = o->give_up_ms;
	for (i = 0; r == 0 && i < 2 && o->secrets[i] != NULL; i++)
		r = perc_secret_from(
		    &h->secrets[i], o->secrets[i]->data, o->secrets[i]->len);
	return r;
}

/* A new one begins with what comes; an old one may have missed something. */
static int
row_ready(struct kmf_keeper *k, const struct kmf_hook *h, bool now)
{
	struct db_hook row = { .cursor = 0 };
	int64_t oldest, newest;
	int r;

	if ((r = kmf_event_cursor(k, &oldest, "0")) != 0 ||
	    (r = kmf_event_cursor(k, &newest, "latest")) != 0)
		return r;
	r = db_hook_find(k->db, &row, h->name);
	if (r == PERC_ERR_NOTFOUND) {
		row.cursor = newest;
		if ((r = kmf_copy(row.name, sizeof(row.name), h->name)) != 0)
			return r;
	} else if (r != 0)
		return r;
	else if (row.cursor > newest) /* the database is an older one */
		row.cursor = newest;
	else if (row.cursor < oldest) {
		log_warnx("hook.missed name=%s why=\"events behind its cursor "
			  "are no longer kept\"",
		    h->name);
		row.cursor = oldest;
	}
	if (now)
		row.next_ms = 0;
	return db_hook_put(k->db, &row);
}

int
kmf_hooks_make(struct kmf_hooks **hp, struct kmf_keeper *k,
    const struct kmf_hook_opts *o, size_t n, bool now)
{
	struct kmf_hooks *w;
	size_t i;
	int r = 0;

	if (n > KMF_HOOKS_MAX)
		return PERC_ERR_LIMIT;
	if ((w = calloc(1, sizeof(*w))) == NULL)
		return PERC_ERR_NOMEM;
	w->n = n;
	for (i = 0; r == 0 && i < n; i++)
		if ((r = hook_take(&w->h[i], &o[i])) == 0)
			r = row_ready(k, &w->h[i], now);
	if (r == 0)
		*hp = w;
	else
		kmf_hooks_free(w);
	return r;
}

static void
secrets_free(struct kmf_hook *h)
{
	size_t i;

	for (i = 0; i < 2; i++) {
		perc_secret_free(h->secrets[i]);
		h->secrets[i] = NULL;
	}
}

static struct kmf_hook *
by_name(struct kmf_hook *list, const char *name)
{
	size_t i;

	for (i = 0; i < KMF_HOOKS_MAX; i++)
		if (strcmp(list[i].name, name) == 0)
			return &list[i];
	return NULL;
}

/* What was looked through with other types has to be looked through again. */
static void
go_on(struct kmf_hook *h, const struct kmf_hook *was)
{
	h->flying = was->flying;
	h->job = was->job;
	h->again = was->again;
	if (strcmp(h->types, was->types) == 0)
		h->seen = was->seen;
}

static void
leave(struct kmf_hooks *next, struct kmf_hook *list)
{
	struct kmf_hook *h, *to;
	size_t i;

	for (i = 0; i < KMF_HOOKS_MAX; i++) {
		h = &list[i];
		if (h->name[0] == '\0')
			continue;
		if ((to = by_name(next->h, h->name)) != NULL) {
			go_on(to, h);
			continue;
		}
		to = by_name(next->leaving, "");
		if (h->flying == 0 || to == NULL)
			continue;
		*to = *h;
		h->secrets[0] = h->secrets[1] = NULL;
	}
}

void
kmf_hooks_take(struct kmf_keeper *k, struct kmf_hooks *next)
{
	struct kmf_hooks *was = k->hooks;

	if (was != NULL) {
		next->jobs = was->jobs;
		leave(next, was->h);
		leave(next, was->leaving);
	}
	k->hooks = next;
	kmf_hooks_free(was);
}

void
kmf_hooks_free(struct kmf_hooks *w)
{
	size_t i;

	for (i = 0; w != NULL && i < KMF_HOOKS_MAX; i++) {
		secrets_free(&w->h[i]);
		secrets_free(&w->leaving[i]);
	}
	free(w);
}

struct kmf_hook *
kmf_hook_of_job(struct kmf_keeper *k, uint64_t job)
{
	struct kmf_hooks *w = k->hooks;
	size_t i;

	for (i = 0; w != NULL && i < KMF_HOOKS_MAX; i++) {
		if (w->h[i].flying != 0 && w->h[i].job == job)
			return &w->h[i];
		if (w->leaving[i].flying != 0 && w->leaving[i].job == job)
			return &w->leaving[i];
	}
	return NULL;
}

void
kmf_hook_landed(struct kmf_keeper *k, struct kmf_hook *h)
{
	h->flying = 0;
	if (h >= k->hooks->leaving && h < k->hooks->leaving + KMF_HOOKS_MAX) {
		secrets_free(h);
		memset(h, 0, sizeof(*h));
	}
}

int64_t
kmf_hook_keep_after(struct kmf_keeper *k)
{
	int64_t least = INT64_MAX;
	struct db_hook row;
	size_t i;

	for (i = 0; i < k->hooks->n; i++)
		if (db_hook_find(k->db, &row, k->hooks->h[i].name) != 0)
			least = 0;
		else if (row.cursor < least)
			least = row.cursor;
	return least;
}

int
kmf_hook_skip(struct kmf_keeper *k)
{
	struct db_hook row;
	struct kmf_hook *h;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < k->hooks->n; i++) {
		h = &k->hooks->h[i];
		if (h->flying != 0 ||
		    (r = db_hook_find(k->db, &row, h->name)) != 0 ||
		    h->seen <= row.cursor)
			continue;
		row.cursor = h->seen;
		r = db_hook_put(k->db, &row);
	}
	return r;
}

/* --- how they are --------------------------------------------------------- */
/* When what is next happened; 0: nothing waits. */
static int
waiting_since(struct kmf_keeper *k, const struct kmf_hook *h,
    const struct db_hook *row, int64_t *ms)
{
	int64_t after = h->seen > row->cursor ? h->seen : row->cursor;
	struct db_event *list = NULL;
	size_t n = 0;
	int r;

	*ms = 0;
	if ((r = db_event_list(k->db, &list, &n, after, "", "", 1)) == 0 &&
	    n == 1)
		*ms = list[0].at_ms;
	free(list);
	return r;
}

static json_t *
time_opt(int64_t ms)
{
	return ms != 0 ? kmf_time_json(ms) : NULL;
}

static int
hook_json(json_t **out, struct kmf_keeper *k, const struct kmf_hook *h)
{
	struct db_hook row;
	int64_t since;
	int r;

	if ((r = db_hook_find(k->db, &row, h->name)) != 0 ||
	    (r = waiting_since(k, h, &row, &since)) != 0)
		return r;
	*out = json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:o*, s:o*, "
			 "s:o*, s:o*, s:s*}",
	    "name", h->name, "url", h->url, "types",
	    h->types[0] != '\0' ? h->types : "*", "state",
	    row.failing_ms != 0 ? "failing"
		: since != 0	? "delivering"
				: "idle",
	    "delivered", (json_int_t)row.delivered, "dead",
	    (json_int_t)row.dead, "tries", (json_int_t)row.tries,
	    "waiting_since", time_opt(since), "failing_since",
	    time_opt(row.failing_ms), "next_try_at",
	    time_opt(row.failing_ms != 0 ? row.next_ms : 0),
	    "last_delivered_at", time_opt(row.ok_ms), "last_error",
	    kmf_json_opt(row.why));
	return *out != NULL ? 0 : PERC_ERR_NOMEM;
}

int
kmf_op_hooks(struct kmf_job *j)
{
	json_t *items = json_array(), *v;
	size_t i;
	int r;

	for (i = 0; i < j->k->hooks->n; i++) {
		if ((r = hook_json(&v, j->k, &j->k->hooks->h[i])) != 0) {
			json_decref(items);
			return r;
		}
		kmf_json_add(&items, v);
	}
	return kmf_answer_json(j, 200, json_pack("{s:o}", "items", items));
}

static json_t *
dead_json(const struct db_dead *d)
{
	return json_pack("{s:o, s:s, s:o}", "dead_at",
	    kmf_time_json(d->dead_ms), "why", d->why, "event",
	    kmf_event_json(&d->e));
}

/* GET /v1/webhooks/{name}/dead?after=&limit= */
int
kmf_op_dead(struct kmf_job *j)
{
	struct db_dead *list = NULL;
	json_t *items, *v;
	int64_t after, limit;
	char next[24] = "";
	size_t i, n = 0;
	int r;

	if (kmf_query_int(&after, j->call->arg, "after", 0, 0, INT64_MAX) ||
	    kmf_query_int(&limit, j->call->arg, "limit", 50, 1, 200))
		return kmf_refuse(j, 400, "invalid_request",
		    "after: the next of an answer; limit: 1 to 200");
	if ((r = db_dead_list(j->k->db, &list, &n, j->call->obj, after,
		 (unsigned)limit)) != 0)
		return r;
	items = json_array();
	for (i = 0; i < n; i++)
		kmf_json_add(&items, dead_json(&list[i]));
	if (n == (size_t)limit)
		snprintf(next, sizeof(next), "%" PRId64, list[n - 1].e.seq);
	free(list);
	v = json_pack(
	    "{s:o, s:s*}", "items", items, "next", kmf_json_opt(next));
	return kmf_answer_json(j, 200, v);
}

/* POST /v1/webhooks/{name}/redeliver {"event"?} */
int
kmf_op_redeliver(struct kmf_job *j)
{
	json_t *body = NULL;
	const char *event;
	char *end = NULL;
	bool bad = false;
	int64_t seq = 0;
	unsigned n = 0;
	size_t i;
	int r;

	for (i = 0; i < j->k->hooks->n; i++)
		if (strcmp(j->k->hooks->h[i].name, j->call->obj) == 0)
			break;
	if (i == j->k->hooks->n)
		return kmf_not_found(j);
	if (j->call->body_len != 0 &&
	    ((r = kmf_conf_body(j, &body)) != 0 || j->a.status != 0))
		return r;
	if ((event = perc_json_str(body, "event")) != NULL) {
		seq = strtoll(event, &end, 10);
		bad = seq <= 0 || (*end != '\0' && *end != '-');
	}
	json_decref(body);
	if (bad)
		return kmf_refuse(
		    j, 400, "invalid_request", "/event: the id of an event");
	if ((r = db_dead_again(
		 j->k->db, j->call->obj, seq, j->k->now_ms, &n)) != 0)
		return r;
	if (seq != 0 && n == 0)
		return kmf_not_found(j);
	kmf_errand_wake(j->k, KMF_ERRAND_HOOK);
	if ((r = kmf_audit(j->k, KMF_AUDIT_REDELIVERED, j->call->id.sub, "",
		 j->call->obj, json_pack("{s:i}", "events", (int)n))) != 0)
		return r;
	return kmf_answer_json(j, 202, json_pack("{s:i}", "events", (int)n));
}

static const struct {
	const char *name, *type, *help;
} hook_rows[] = {
	{ "delivered_total", "counter", "Deliveries that were taken" },
	{ "dead_total", "counter", "Deliveries that were given up" },
	{ "tries", "gauge", "Tries of the delivery under way" },
	{ "waiting_seconds", "gauge", "How long it has waited" },
};

/* Lines of one name stand together: the format wants it. */
int
kmf_hook_metrics(struct kmf_keeper *k, FILE *f)
{
	int64_t since, now = k->clock(k->clock_arg), v[4];
	const struct kmf_hook *h;
	struct db_hook row;
	size_t i, m;
	int r = 0;

	for (m = 0; k->hooks->n != 0 && m < 4; m++) {
		fprintf(f,
		    "# HELP perch_kmf_webhook_%s %s\n"
		    "# TYPE perch_kmf_webhook_%s %s\n",
		    hook_rows[m].name, hook_rows[m].help, hook_rows[m].name,
		    hook_rows[m].type);
		for (i = 0; i < k->hooks->n; i++) {
			h = &k->hooks->h[i];
			if ((r = db_hook_find(k->db, &row, h->name)) != 0 ||
			    (r = waiting_since(k, h, &row, &since)) != 0)
				return r;
			v[0] = row.delivered;
			v[1] = row.dead;
			v[2] = row.tries;
			v[3] = since != 0 ? (now - since) / 1000 : 0;
			fprintf(f,
			    "perch_kmf_webhook_%s{webhook=\"%s\"} %" PRId64
			    "\n",
			    hook_rows[m].name, h->name, v[m]);
		}
	}
	return 0;
}
