/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What anyone may read: metadata (RFC 9728, RFC 8414), public keys, health
 * and numbers. A conference's descriptor is the same for every well-formed
 * id, so it tells nobody which conferences exist.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/front.h"
#include "kmf/openapi.h"
#include "perc/log.h"
#include "perc/json.h"

static void
resource_put(char *out, size_t cap, const struct front_req *q)
{
	if (q->par.conf[0] == '\0')
		snprintf(out, cap, "%s", q->f->conf->base_url);
	else
		snprintf(out, cap, "%s/v1/conferences/%s", q->f->conf->base_url,
		    q->par.conf);
}

static void
descriptor(struct front_req *q)
{
	const char *base = q->f->conf->base_url;
	char resource[600], token[600];

	resource_put(resource, sizeof(resource), q);
	snprintf(token, sizeof(token), "%s/oauth/token", base);
	front_json(q, 200,
	    json_pack("{s:s, s:s, s:s, s:s}", "conference", q->par.conf, "kmf",
		base, "resource", resource, "token_endpoint", token));
}

/* RFC 8705 3.3, 3.4: only where a certificate is asked for at all. */
static void
cert_flag(json_t *o, const struct kmf_conf *c)
{
	if (o != NULL && kmf_conf_asks_cert(c))
		(void)json_object_set_new(o,
		    "tls_client_certificate_bound_access_tokens", json_true());
}

static void
resource(struct front_req *q)
{
	const struct kmf_conf *c = q->f->conf;
	char name[600];
	json_t *o;

	resource_put(name, sizeof(name), q);
	o = json_pack("{s:s, s:[s], s:[s], s:b, s:[s]}", "resource", name,
	    "authorization_servers", c->base_url, "bearer_methods_supported",
	    "header", "dpop_bound_access_tokens_required",
	    !kmf_conf_takes_bearer(c), "dpop_signing_alg_values_supported",
	    "ES256");
	cert_flag(o, c);
	front_json(q, 200, o);
}

static json_t *
providers(const struct kmf_conf *c)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; list != NULL && i < c->nissuers; i++)
		if (!c->issuers[i].certificate &&
		    json_array_append_new(list,
			json_pack("{s:s, s:s, s:s, s:s, s:b}", "issuer",
			    c->issuers[i].url, "client_id",
			    c->issuers[i].client_id, "scope",
			    c->issuers[i].scope, "name", c->issuers[i].name,
			    "resource_indicator",
			    c->issuers[i].resource_indicator)) != 0)
			break;
	return list;
}

static json_t *
client_methods(const struct kmf_conf *c)
{
	json_t *a = json_pack("[s, s]", "none", "private_key_jwt");
	size_t i;

	for (i = 0; a != NULL && i < c->nissuers; i++)
		if (c->issuers[i].certificate) {
			(void)json_array_append_new(
			    a, json_string("tls_client_auth"));
			break;
		}
	return a;
}

static void
server(struct front_req *q)
{
	const struct kmf_conf *c = q->f->conf;
	char token[600], jwks[600];
	json_t *o;

	snprintf(token, sizeof(token), "%s/oauth/token", c->base_url);
	snprintf(jwks, sizeof(jwks), "%s/.well-known/jwks.json", c->base_url);
	o = json_pack("{s:s, s:s, s:s, s:[s,s], s:o, s:[s], s:[s], s:[], s:o}",
	    "issuer", c->base_url, "token_endpoint", token, "jwks_uri", jwks,
	    "grant_types_supported",
	    "urn:ietf:params:oauth:grant-type:token-exchange",
	    "client_credentials", "token_endpoint_auth_methods_supported",
	    client_methods(c),
	    "token_endpoint_auth_signing_alg_values_supported", "ES256",
	    "dpop_signing_alg_values_supported", "ES256",
	    "response_types_supported", "perch_identity_providers",
	    providers(c));
	cert_flag(o, c);
	front_json(q, 200, o);
}

static void
text_reply(struct front_req *q, unsigned status, const char *text)
{
	static const struct perc_httpd_header type = { "Content-Type",
		"text/plain; charset=utf-8" };

	front_reply(q, status, &type, 1, text, strlen(text), false);
}

static void
jwks(struct front_req *q)
{
	static const struct perc_httpd_header type = { "Content-Type",
		"application/jwk-set+json" };
	const char *text = q->f->jwks_text;

	front_reply(q, 200, &type, 1, text, strlen(text), false);
}

/* --- readiness ------------------------------------------------------------ */
/* An issuer without good keys is named, but the KMF is ready: guests and the
 * members of other issuers can come. */
static size_t
issuer_put(char *out, size_t cap, const struct front *f, size_t i)
{
	const struct front_keys *k = &f->keys[i];
	const char *name = f->conf->issuers[i].label, *why = k->why;
	long long age = (long long)(perc_wall_ms() / 1000 - k->fetched_s);
	int n = 0;

	out[0] = '\0';
	if (f->conf->issuers[i].certificate)
		return 0;
	if (k->jwks == NULL)
		n = snprintf(out, cap, "issuer %s: no keys yet: %s\n", name,
		    why[0] != '\0' ? why : "still asking");
	else if (front_keys_stale(f, i))
		n = snprintf(out, cap,
		    "issuer %s: logins refused, keys are %lld s old: %s\n",
		    name, age, why);
	else if (why[0] != '\0')
		n = snprintf(out, cap,
		    "issuer %s: not reached, keys are %lld s old: %s\n", name,
		    age, why);
	return n < 0 ? 0 : (size_t)n;
}

static void
on_ready(struct front_req *q, const struct kmf_reply *a)
{
	const struct front *f = q->f;
	char text[4096];
	size_t n, i;

	n = (size_t)snprintf(text, sizeof(text), "%s%.*s%s",
	    a->status < 300 ? "ready\n" : "not ready\n",
	    (int)(a->body_len > 2000 ? 2000 : a->body_len), a->body, a->detail);
	if (n > 0 && n < sizeof(text) - 1 && text[n - 1] != '\n')
		n += (size_t)snprintf(text + n, sizeof(text) - n, "\n");
	for (i = 0; i < f->conf->nissuers && n < sizeof(text); i++)
		n += issuer_put(text + n, sizeof(text) - n, f, i);
	text_reply(q, a->status < 300 ? 200 : 503, text);
}

static void
ready(struct front_req *q)
{
	struct kmf_call c = { .op = KMF_OP_READY };

	if (q->f->stopping)
		text_reply(q, 503, "not ready\nstopping\n");
	else
		front_call(q, &c, on_ready);
}

/* --- metrics -------------------------------------------------------------- */
static const char *const counters[COUNT_LAST] = {
	[COUNT_REQUESTS] = "requests_total",
	[COUNT_2XX] = "answers_2xx_total",
	[COUNT_4XX] = "answers_4xx_total",
	[COUNT_5XX] = "answers_5xx_total",
	[COUNT_REFUSED] = "refused_total",
	[COUNT_EXCHANGED] = "exchanges_total",
	[COUNT_EXCHANGE_FAILED] = "exchange_failures_total",
	[COUNT_LIMITED] = "exchange_limited_total",
	[COUNT_RATE] = "rate_limited_total",
	[COUNT_CACHE_HITS] = "token_cache_hits_total",
	[COUNT_EVENTS] = "events_total",
};

static void
number(FILE *f, const char *name, const char *type, unsigned front,
    unsigned long long v)
{
	fprintf(f,
	    "# TYPE perch_kmf_front_%s %s\n"
	    "perch_kmf_front_%s{front=\"%u\"} %llu\n",
	    name, type, name, front, v);
}

static void
on_metrics(struct front_req *q, const struct kmf_reply *a)
{
	struct front *f = q->f;
	char *text = NULL;
	size_t len = 0, i;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL) {
		front_problem(q, 500, "no_memory", "try again");
		return;
	}
	for (i = 0; i < COUNT_LAST; i++)
		number(out, counters[i], "counter", f->index, f->count[i]);
	number(
	    out, "connections", "gauge", f->index, perc_httpd_conns(f->httpd));
	number(out, "malformed_total", "counter", f->index,
	    perc_httpd_malformed(f->httpd));
	number(out, "streams", "gauge", f->index, f->nstreams);
	number(out, "calls_pending", "gauge", f->index, f->ncalls);
	if (a->status < 300)
		fprintf(out, "%.*s", (int)a->body_len, a->body);
	if (fclose(out) == 0)
		text_reply(q, 200, text);
	else
		front_problem(q, 500, "no_memory", "try again");
	free(text);
}

static void
metrics(struct front_req *q)
{
	struct kmf_call c = { .op = KMF_OP_METRICS };

	front_call(q, &c, on_metrics);
}

/* --- the document of the interface ---------------------------------------- */
/* One and the same for everybody until the program is another. */
static void
openapi(struct front_req *q)
{
	const char *seen = perc_httpd_header(q->r, "If-None-Match", NULL);
	const struct perc_httpd_header h[] = { { "ETag", q->f->openapi_etag },
		{ "Cache-Control", "public, max-age=3600" },
		{ "Content-Type", "application/json" } };

	if (seen != NULL && strstr(seen, q->f->openapi_etag) != NULL)
		front_reply(q, 304, h, 2, NULL, 0, false);
	else
		front_reply(
		    q, 200, h, 3, kmf_openapi_text, kmf_openapi_len, false);
}

static void
health(struct front_req *q)
{
	text_reply(q, 200, "ok\n");
}

void
front_meta(struct front_req *q)
{
	static void (*const by[])(struct front_req *) = {
		[KMF_H_DESCRIPTOR] = descriptor,
		[KMF_H_RESOURCE] = resource,
		[KMF_H_SERVER] = server,
		[KMF_H_JWKS] = jwks,
		[KMF_H_HEALTH] = health,
		[KMF_H_READY] = ready,
		[KMF_H_METRICS] = metrics,
		[KMF_H_OPENAPI] = openapi,
	};

	by[q->route->handler](q);
}
