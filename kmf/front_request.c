/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A request from its first line to whoever answers it: the route, the size
 * of the body, the fields that the keeper wants to hear of.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "kmf/front.h"
#include "perc/crypto.h"

#define FIELD_MAX 256

static struct front_req *
req_new(struct front *f, struct perc_httpd_req *r)
{
	struct front_req *q = calloc(1, sizeof(*q));

	f->count[COUNT_REQUESTS]++;
	if (q == NULL) {
		perc_httpd_reply(r, 503, NULL, 0, NULL, 0, false);
		return NULL;
	}
	q->f = f;
	q->r = r;
	q->begun_us = kmf_now_us();
	perc_random_id(q->id, sizeof(q->id), "r_");
	return q;
}

/* A field that changes what a request does: once, and not without bound. */
static int
field(const char **out, const struct front_req *q, const char *name)
{
	unsigned count;
	const char *v = perc_httpd_header(q->r, name, &count);

	*out = v == NULL ? "" : v;
	return count > 1 || strlen(*out) > FIELD_MAX ? PERC_ERR_FORMAT : 0;
}

/* Idempotency-Key makes POST repeatable, If-Match keeps changes apart; where
 * they mean nothing they are not looked at. */
static int
fields_take(struct kmf_call *c, struct front_req *q)
{
	bool post = strcmp(q->route->method, "POST") == 0;
	bool get = strcmp(q->route->method, "GET") == 0;
	struct kmf_faults f = { .n = 0 };

	if (!get && field(&c->if_match, q, "If-Match") != 0)
		kmf_fault_add(
		    &f, KMF_IN_HEADER, "If-Match", "twice or too long");
	if (post && field(&c->idempotency_key, q, "Idempotency-Key") != 0)
		kmf_fault_add(
		    &f, KMF_IN_HEADER, "Idempotency-Key", "twice or too long");
	if (f.n == 0)
		return 0;
	front_faults(q, &f);
	return PERC_ERR_FORMAT;
}

static void
relay_call(struct front_req *q)
{
	const char *query = perc_httpd_query(q->r);
	struct kmf_call c = {
		.op = q->route->op, .conf = q->par.conf, .obj = q->par.obj
	};

	if (front_check(q) != 0)
		return;
	if (fields_take(&c, q) != 0)
		return;
	c.body = perc_httpd_body(q->r, &c.body_len);
	if ((q->route->flags & KMF_QUERY) != 0)
		c.arg = query == NULL ? "" : query;
	else if (q->route->op == KMF_OP_KEYS)
		c.arg = q->proof.seal_jkt;
	front_call(q, &c, front_relay);
}

/* RFC 9110, 12.5.1, as far as it matters here: who can take events asks for
 * nothing else. */
static bool
wants_stream(const struct front_req *q)
{
	const char *accept = perc_httpd_header(q->r, "Accept", NULL);

	return accept != NULL &&
	    strncasecmp(accept, "text/event-stream", 17) == 0;
}

static void
open_events(struct front_req *q)
{
	if (front_check(q) == 0)
		front_events(q);
}

static int
route_take(struct front_req *q)
{
	struct perc_httpd_header allow = { "Allow", NULL };
	char methods[64];
	size_t len;
	int r;

	r = kmf_route_find(&q->route, &q->par, perc_httpd_method(q->r),
	    perc_httpd_path(q->r), methods, sizeof(methods));
	allow.value = methods;
	if (r == PERC_ERR_UNSUPPORTED &&
	    strcmp(perc_httpd_method(q->r), "OPTIONS") == 0)
		front_reply(q, 204, &allow, 1, NULL, 0, false);
	else if (r == PERC_ERR_UNSUPPORTED)
		front_problem_with(q, 405, "method_not_allowed",
		    "not with this method", &allow, 1);
	else if (r != 0)
		front_problem(q, 404, "not_found", "there is no such thing");
	if (r != 0)
		return r;
	(void)perc_httpd_body(q->r, &len);
	if (len > q->route->max_body) {
		front_problem(q, 413, "too_large", "the body is too large");
		return PERC_ERR_LIMIT;
	}
	return 0;
}

/* Whoever watches us should see us when we are busy, too. But strangers who
 * ask how we are would make the keeper write as fast as they can ask. */
static int
rate_take(struct front_req *q)
{
	switch (q->route->handler) {
	case KMF_H_HEALTH:
		return 0;
	case KMF_H_READY:
	case KMF_H_METRICS:
		return front_rate_watch(q);
	default:
		return front_rate_address(q);
	}
}

static void
dispatch(struct front_req *q)
{
	if (rate_take(q) != 0)
		return;
	switch (q->route->handler) {
	case KMF_H_TOKEN:
		front_token(q);
		return;
	case KMF_H_CALL:
		front_auth(q, relay_call);
		return;
	case KMF_H_EVENTS:
		front_auth(q, open_events);
		return;
	case KMF_H_FEED:
		front_auth(q, wants_stream(q) ? open_events : relay_call);
		return;
	default:
		front_meta(q);
	}
}

void
front_on_request(struct perc_httpd_req *r, void *arg)
{
	struct front *f = arg;
	struct front_req *q = req_new(f, r);

	if (q == NULL || route_take(q) != 0)
		return;
	if (q->route->handler == KMF_H_METRICS &&
	    f->conf->metrics_listen != NULL)
		front_problem(q, 404, "not_found", "there is no such thing");
	else
		dispatch(q);
}

void
front_on_metrics_request(struct perc_httpd_req *r, void *arg)
{
	struct front_req *q = req_new(arg, r);

	if (q == NULL || route_take(q) != 0)
		return;
	if (q->route->handler == KMF_H_METRICS ||
	    q->route->handler == KMF_H_HEALTH ||
	    q->route->handler == KMF_H_READY)
		dispatch(q);
	else
		front_problem(q, 404, "not_found", "there is no such thing");
}
