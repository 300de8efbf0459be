/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Answers. Whoever was refused hears a dull, constant text; the log has the
 * reason and the request id that ties the two together.
 */
#include "config.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/front.h"
#include "kmf/nonce.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/secret.h"

#define PROBLEM	  "application/problem+json"
#define JSON	  "application/json"
#define BUSY_S	  "2"  /* Retry-After of 503 */
#define LIMITED_S "60" /* of 429 */

static const struct {
	unsigned status;
	const char *title;
} titles[] = {
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 415, "Unsupported Media Type" },
	{ 422, "Unprocessable Content" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 503, "Service Unavailable" },
};

static const char *
title_of(unsigned status)
{
	size_t i;

	for (i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
		if (titles[i].status == status)
			return titles[i].title;
	return status >= 500 ? "Internal Server Error" : "Refused";
}

void
front_req_free(struct front_req *q)
{
	if (q->call != 0) {
		q->f->calls[q->call - 1] = NULL;
		q->f->ncalls--;
	}
	json_decref(q->claims);
	perc_jws_clear(&q->jws);
	kmf_form_clear(&q->form);
	perc_wipe(q, sizeof(*q));
	free(q);
}

static void
count_status(struct front *f, unsigned status)
{
	f->count[status < 300  ? COUNT_2XX
		: status < 500 ? COUNT_4XX
			       : COUNT_5XX]++;
}

void
front_reply(struct front_req *q, unsigned status,
    const struct perc_httpd_header *headers, size_t n, const void *body,
    size_t len, bool secret)
{
	count_status(q->f, status);
	kmf_hist_add(q->f->count + COUNT_ANSWER, kmf_now_us() - q->begun_us);
	log_debug("front.answer id=%s status=%u", q->id, status);
	perc_httpd_reply(q->r, status, headers, n, body, len, secret);
	front_req_free(q);
}

static json_t *
fault_json(const struct kmf_fault *t)
{
	static const char *const in[] = { [KMF_IN_BODY] = "pointer",
		[KMF_IN_QUERY] = "parameter",
		[KMF_IN_HEADER] = "header" };

	return json_pack(
	    "{s:s, s:s}", in[t->in], t->where, "detail", t->detail);
}

/* RFC 9457, 3.1 and 3.2; errors is ours. */
static json_t *
problem_json(const struct front_req *q, unsigned status, const char *code,
    const char *detail, const struct kmf_faults *f)
{
	json_t *o, *errors = NULL;
	size_t i;

	o = json_pack("{s:s, s:s, s:i, s:s, s:s, s:s}", "type", "about:blank",
	    "title", title_of(status), "status", (int)status, "code", code,
	    "detail", detail, "request_id", q->id);
	if (f->n != 0)
		errors = json_array();
	for (i = 0; i < f->n; i++)
		(void)json_array_append_new(errors, fault_json(&f->list[i]));
	if (errors != NULL)
		(void)json_object_set_new(o, "errors", errors);
	if (q->notice != NULL)
		(void)json_object_set_new(o, "notice",
		    json_stringn(
			(const char *)q->notice->body, q->notice->body_len));
	return o;
}

void
front_faults_with(struct front_req *q, unsigned status, const char *code,
    const char *detail, const struct perc_httpd_header *headers, size_t n,
    const struct kmf_faults *f)
{
	struct perc_httpd_header all[8] = { { "Content-Type", PROBLEM } };
	json_t *o;
	char *text;

	if (n > 6)
		n = 6;
	if (n != 0)
		memcpy(all + 1, headers, n * sizeof(all[0]));
	o = problem_json(q, status, code, detail, f);
	text = o == NULL ? NULL : perc_json_text(o);
	json_decref(o);
	front_reply(q, status, all, n + 1, text == NULL ? "" : text,
	    text == NULL ? 0 : strlen(text), false);
	perc_json_free(text);
}

void
front_problem_with(struct front_req *q, unsigned status, const char *code,
    const char *detail, const struct perc_httpd_header *headers, size_t n)
{
	static const struct kmf_faults none;

	front_faults_with(q, status, code, detail, headers, n, &none);
}

void
front_problem(
    struct front_req *q, unsigned status, const char *code, const char *detail)
{
	front_problem_with(q, status, code, detail, NULL, 0);
}

void
front_faults(struct front_req *q, const struct kmf_faults *f)
{
	char detail[KMF_WHERE_MAX + 256];
	const struct kmf_fault *t = &f->list[0];

	snprintf(detail, sizeof(detail), "%s%s%s",
	    t->where[0] == '\0' && t->in == KMF_IN_BODY ? "the body" : t->where,
	    t->where[0] == '\0' && t->in == KMF_IN_QUERY ? "the query: " : ": ",
	    t->detail);
	front_faults_with(q, 400, "invalid_request", detail, NULL, 0, f);
}

void
front_json(struct front_req *q, unsigned status, json_t *body)
{
	static const struct perc_httpd_header type = { "Content-Type", JSON };
	char *text = body == NULL ? NULL : perc_json_text(body);

	json_decref(body);
	if (text == NULL) {
		front_problem(q, 500, "no_memory", "try again");
		return;
	}
	front_reply(q, status, &type, 1, text, strlen(text), false);
	perc_json_free(text);
}

/* --- refusals ------------------------------------------------------------- */
void
front_peer_put(char *out, size_t cap, const struct sockaddr *sa)
{
	const void *a = NULL;

	snprintf(out, cap, "unknown");
	if (sa == NULL)
		return;
	if (sa->sa_family == AF_INET)
		a = &((const struct sockaddr_in *)(const void *)sa)->sin_addr;
	else if (sa->sa_family == AF_INET6)
		a = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
	if (a != NULL &&
	    inet_ntop(sa->sa_family, a, out, (socklen_t)cap) == NULL)
		snprintf(out, cap, "unknown");
}

void
front_refused(const struct front_req *q, const char *reason)
{
	front_audit_add(q, reason);
	front_refused_by_keeper(q, reason);
}

void
front_refused_by_keeper(const struct front_req *q, const char *reason)
{
	static struct perc_log_limit limit = { .burst = 50, .per_ms = 10000 };
	char peer[64];

	q->f->count[COUNT_REFUSED]++;
	if (!perc_log_allow(&limit))
		return;
	front_peer_put(peer, sizeof(peer), perc_httpd_peer(q->r));
	log_info("front.refuse id=%s peer=%s route=\"%s %s\" method=%s "
		 "issuer=%s reason=\"%s\"%s%s%s",
	    q->id, peer, q->route == NULL ? "-" : q->route->method,
	    q->route == NULL ? "-" : q->route->path,
	    q->method == NULL ? "-" : q->method->name,
	    q->issuer == NULL ? "-" : q->issuer->label, reason,
	    q->say[0] == '\0' ? "" : " clock=\"", q->say,
	    q->say[0] == '\0' ? "" : "\"");
}

/* Both schemes where Bearer is a choice; the error stands at the one that
 * was used (RFC 9449 7.2). */
static size_t
challenges_put(const struct front_req *q, struct perc_httpd_header h[2],
    char text[2][256], const char *error)
{
	static const char *const schemes[] = {
		"DPoP realm=\"perch\", algs=\"ES256\"", "Bearer realm=\"perch\""
	};
	size_t n = kmf_conf_takes_bearer(q->f->conf) ? 2 : 1, i, used;
	char tail[160] = "";

	used = n == 2 && q->scheme == KMF_SCHEME_BEARER ? 1 : 0;
	if (error != NULL)
		snprintf(tail, sizeof(tail), ", error=\"%s\"%s%s%s", error,
		    q->say[0] == '\0' ? "" : ", error_description=\"", q->say,
		    q->say[0] == '\0' ? "" : "\"");
	for (i = 0; i < n; i++) {
		snprintf(text[i], sizeof(text[i]), "%s%s", schemes[i],
		    i == used ? tail : "");
		h[i] =
		    (struct perc_httpd_header){ "WWW-Authenticate", text[i] };
	}
	return n;
}

void
front_challenge(
    struct front_req *q, unsigned status, const char *error, const char *why)
{
	struct perc_httpd_header h[3];
	char text[2][256], nonce[KMF_NONCE_LEN + 1];
	size_t n = challenges_put(q, h, text, error);

	/* A first try without our nonce is how every client begins. */
	if (error == NULL || strcmp(error, "use_dpop_nonce") != 0)
		front_refused(q, why);
	else {
		front_nonce_make(q->f, nonce);
		h[n++] = (struct perc_httpd_header){ "DPoP-Nonce", nonce };
	}
	front_problem_with(q, status, error == NULL ? "unauthorized" : error,
	    q->say[0] != '\0' ? q->say
			      : "credentials are missing or not good for this",
	    h, n);
}

void
front_token_error(
    struct front_req *q, unsigned status, const char *error, const char *text)
{
	struct perc_httpd_header h[5] = { { "Content-Type", JSON },
		{ "Pragma", "no-cache" } };
	char nonce[KMF_NONCE_LEN + 1], *body;
	size_t n = 2;
	json_t *o;

	if (strcmp(error, "use_dpop_nonce") == 0) {
		front_nonce_make(q->f, nonce);
		h[n++] = (struct perc_httpd_header){ "DPoP-Nonce", nonce };
	} else if (status < 500 && status != 429) {
		q->f->count[COUNT_EXCHANGE_FAILED]++;
		front_limit_fail(
		    q->f->limit, perc_httpd_peer(q->r), perc_now_ms());
	}
	if (status == 503 || status == 429)
		h[n++] = (struct perc_httpd_header){ "Retry-After",
			status == 503 ? BUSY_S : LIMITED_S };
	/* RFC 6749 5.2: 401 names a scheme; ours is the assertion. */
	if (status == 401)
		h[n++] = (struct perc_httpd_header){ "WWW-Authenticate",
			"DPoP realm=\"perch\", algs=\"ES256\"" };
	o = json_pack("{s:s, s:s}", "error", error, "error_description", text);
	body = o == NULL ? NULL : perc_json_text(o);
	json_decref(o);
	front_reply(q, status, h, n, body == NULL ? "" : body,
	    body == NULL ? 0 : strlen(body), false);
	perc_json_free(body);
}

void
front_busy(struct front_req *q)
{
	static const struct perc_httpd_header soon = { "Retry-After", BUSY_S };

	if (q->route->handler == KMF_H_TOKEN)
		front_token_error(
		    q, 503, "temporarily_unavailable", "try again");
	else
		front_problem_with(
		    q, 503, "unavailable", "try again", &soon, 1);
}
