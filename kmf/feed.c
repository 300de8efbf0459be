/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * GET /v1/events: a page of what happened; who asks to wait, or for a stream,
 * goes on in feed_wait.c. A page reads a bounded number of rows and may hold
 * fewer items than asked for: then `next` tells where to go on.
 */
#include "kmf/event.h"

#include <stdlib.h>
#include <string.h>

#define BATCH	   200		/* rows of one look at the table */
#define SCAN_MAX   2000		/* rows of one page */
#define OCTETS_MAX (256u << 10) /* of one page, as text */

static int
page_add(struct kmf_page *p, const struct db_event *e)
{
	json_t *v = kmf_event_json(e);

	p->octets += v != NULL ? json_dumpb(v, NULL, 0, JSON_COMPACT) : 0;
	kmf_json_add(&p->items, v);
	p->n++;
	return p->items != NULL ? 0 : PERC_ERR_NOMEM;
}

static int
batch_read(struct kmf_keeper *k, struct kmf_feed_query *q, struct kmf_page *p,
    size_t *np)
{
	struct db_event *list = NULL;
	size_t i;
	int r;

	if ((r = db_event_list(
		 k->db, &list, np, q->pos, q->owner, q->conf, BATCH)) != 0)
		return r;
	for (i = 0; r == 0 && i < *np; i++) {
		if (p->n == q->limit || p->octets > OCTETS_MAX) {
			p->more = true;
			break;
		}
		if (kmf_event_wanted(q->types, list[i].type))
			r = page_add(p, &list[i]);
		q->pos = list[i].seq;
		kmf_event_id(q->at, &list[i]);
	}
	free(list);
	return r;
}

int
kmf_page_read(
    struct kmf_keeper *k, struct kmf_feed_query *q, struct kmf_page *p)
{
	size_t n = BATCH, scanned;
	int r = 0;

	memset(p, 0, sizeof(*p));
	if ((p->items = json_array()) == NULL)
		return PERC_ERR_NOMEM;
	for (scanned = 0; r == 0 && n == BATCH && !p->more; scanned += n) {
		if (scanned >= SCAN_MAX)
			p->more = true;
		else
			r = batch_read(k, q, p, &n);
	}
	return r;
}

/* What the events' reader may see: "" all, else a creator's own. */
static int
owner_get(char out[static DB_CLIENT_MAX], const struct kmf_job *j)
{
	out[0] = '\0';
	if (kmf_has_word(j->scope, "admin") ||
	    kmf_has_word(j->scope, "auditor"))
		return 0;
	return kmf_copy(out, DB_CLIENT_MAX, j->call->id.sub);
}

static int
cursor_get(struct kmf_feed_query *q, struct kmf_job *j, const char *query,
    const char *after)
{
	char from[KMF_EVENT_ID_MAX];
	int r;

	r = after != NULL ? kmf_copy(from, sizeof(from), after)
			  : kmf_query_get(from, sizeof(from), query, "after");
	if (r == 0)
		r = kmf_event_cursor(j->k, &q->pos, from);
	else
		r = PERC_ERR_FORMAT;
	if (r == PERC_ERR_FORMAT)
		return kmf_refuse(j, 400, "invalid_request",
		    "after: an id of this feed, 0 or latest");
	if (r == PERC_ERR_NOTFOUND)
		return kmf_refuse(j, 410, "cursor_expired",
		    "events behind this cursor are no longer kept; read what "
		    "you follow anew, then go on with after=latest");
	if (r == 0 && strcmp(from, "latest") != 0)
		r = kmf_copy(q->at, sizeof(q->at), from);
	return r;
}

/* after NULL: of the query. Status 0 afterwards: nobody has refused. */
static int
query_get(struct kmf_feed_query *q, struct kmf_job *j, const char *query,
    const char *after)
{
	int64_t limit = 0;
	int r;

	if ((r = owner_get(q->owner, j)) != 0 ||
	    (r = cursor_get(q, j, query, after)) != 0 || j->a.status != 0)
		return r;
	if (kmf_query_int(&limit, query, "limit", 100, 1, KMF_FEED_PAGE) != 0)
		return kmf_refuse(
		    j, 400, "invalid_request", "limit: 1 to %d", KMF_FEED_PAGE);
	if (kmf_query_get(q->conf, sizeof(q->conf), query, "conference") != 0)
		return kmf_refuse(
		    j, 400, "invalid_request", "conference: an id");
	if (kmf_query_get(q->types, sizeof(q->types), query, "type") != 0 ||
	    !kmf_event_types_ok(q->types))
		return kmf_refuse(j, 400, "invalid_request",
		    "type: types of the feed with commas between, as "
		    "member.joined,epoch.*");
	q->limit = (size_t)limit;
	return 0;
}

/* `cursor` is where to read on in any case, `next` says that there is more.
 */
json_t *
kmf_page_json(
    struct kmf_keeper *k, struct kmf_feed_query *q, struct kmf_page *p)
{
	struct db_event e;

	if (q->at[0] == '\0' && db_event_find(k->db, &e, q->pos) == 0)
		kmf_event_id(q->at, &e);
	if (q->at[0] == '\0')
		strcpy(q->at, "0");
	return json_pack("{s:O, s:s, s:s*}", "items", p->items, "cursor", q->at,
	    "next", p->more ? q->at : NULL);
}

static int
park(struct kmf_job *j, const struct kmf_feed_query *q, int64_t wait_s)
{
	int r = kmf_feed_wait(j->k, j->k->caller, j->k->caller_id, q, false,
	    j->k->now_ms + wait_s * 1000);

	if (r == PERC_ERR_LIMIT)
		return kmf_refuse(j, 503, "unavailable",
		    "too many wait for events; ask without wait");
	j->a.status = KMF_ANSWER_LATER;
	return r;
}

int
kmf_op_feed(struct kmf_job *j)
{
	const char *query = j->call->arg;
	struct kmf_feed_query q = { .limit = 0 };
	struct kmf_page p = { 0 };
	int64_t wait_s;
	int r;

	if (kmf_query_int(&wait_s, query, "wait", 0, 0, KMF_FEED_WAIT_S) != 0)
		return kmf_refuse(j, 400, "invalid_request",
		    "wait: seconds, %d at most", KMF_FEED_WAIT_S);
	if ((r = query_get(&q, j, query, NULL)) != 0 || j->a.status != 0)
		return r;
	if ((r = kmf_page_read(j->k, &q, &p)) != 0)
		goto out;
	if (p.n == 0 && !p.more && wait_s > 0 && j->k->caller != NULL)
		r = park(j, &q, wait_s);
	else
		r = kmf_answer_json(j, 200, kmf_page_json(j->k, &q, &p));
out:
	json_decref(p.items);
	return r;
}

/* As every other request; why not is told on the stream. */
static int
subscribe(struct kmf_job *j, struct kmf_front *f, uint32_t id,
    const struct kmf_subscribe *s)
{
	const char *after = s->after[0] != '\0' ? s->after : NULL;
	struct kmf_feed_query q = { .limit = BATCH };
	int r;

	if ((r = kmf_admit(j)) != 0 || j->a.status != 0 ||
	    (r = query_get(&q, j, s->query, after)) != 0 || j->a.status != 0)
		return r;
	q.limit = BATCH;
	r = kmf_feed_wait(j->k, f, id, &q, true, s->id.token_exp_s * 1000);
	return r == PERC_ERR_LIMIT
	    ? kmf_refuse(j, 503, "unavailable", "too many follow; try again")
	    : r;
}

int
kmf_feed_subscribe(struct kmf_job *j, struct kmf_front *f, uint32_t id,
    const struct kmf_subscribe *s)
{
	int r;

	if ((r = subscribe(j, f, id, s)) != 0 || j->a.status == 0)
		return r;
	if ((r = kmf_refusal_audit(j)) == 0)
		kmf_stream_refuse(
		    j->k, f, id, j->a.status, j->a.code, j->a.detail);
	return r;
}
