/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A person whom the organisation gives a role administrates by their login:
 * perch asks us, we ask the KMF with a role token (RFC 8693), which like all
 * others stays in this process. It is bound to the vault's key, since the
 * provider's own tokens may be, and is got anew when it has run out. What
 * the hosts of a conference may do goes without all that while they are in
 * it; where that is refused the role is tried.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/frontlogin.h"
#include "agent/local.h"
#include "perc/crypto.h"
#include "perc/json.h"

#define GRANT	   "urn:ietf:params:oauth:grant-type:token-exchange"
#define ADMINS_MAX 8
#define EARLY_MS   10000 /* a token this near its end is not used */
#define ANSWER_MAX 65536
#define EXTRA_MAX  160

struct front_admin {
	struct front_admin *next;
	struct agent *agent;
	struct local_req *req; /* NULL: gone */
	char *kmf, *method, *url, *body;
	char extra[EXTRA_MAX]; /* a header line, or "" */
	struct front_call *call;
	struct front_nonces nonces;
	bool as_host; /* with the token of a conference that we are in */
	bool other;   /* the login's second token is being tried */
	bool renewed; /* the role token was got for this request */
};

static void
admin_free(struct front_admin *m)
{
	struct front_admin **p = &m->agent->admins;

	while (*p != m)
		p = &(*p)->next;
	*p = m->next;
	front_login_forget(m->agent, m);
	front_call_cancel(m->call);
	text_free(m->kmf);
	text_free(m->method);
	text_free(m->url);
	text_free(m->body);
	free(m);
}

static void
admin_error(struct front_admin *m, const char *code, const char *text)
{
	if (m->req != NULL)
		local_error(m->req, code, text);
	admin_free(m);
}

static void token_ask(struct front_admin *m);
static void on_fresh(void *arg);

static void
on_answer(const struct perc_httpc_answer *a, void *arg)
{
	struct front_admin *m = arg;
	struct front_login *l = front_login_find(m->agent, m->kmf);
	const char *etag;

	if (a->err != 0) {
		admin_error(m, "unreachable", a->why);
		return;
	}
	if (m->as_host && l != NULL && (a->status == 401 || a->status == 403)) {
		m->as_host = false;
		front_login_refresh(m->agent, m->kmf, on_fresh, m);
		return;
	}
	if (a->status == 401 && !m->as_host && !m->renewed) {
		if (l != NULL)
			l->role_until_ms = 0;
		token_ask(m);
		return;
	}
	etag = perc_httpc_header(a->req, "ETag", NULL);
	if (m->req != NULL)
		local_result(m->req,
		    json_pack("{s:i, s:s*, s:s}", "status", a->status, "etag",
			etag, "body", a->body));
	admin_free(m);
}

static void
request_send(struct front_admin *m, const char *token)
{
	const struct front_ask ask = { .method = m->method,
		.url = m->url,
		.token = token,
		.type = m->body != NULL ? "application/json" : NULL,
		.body = m->body,
		.extra = m->extra[0] != '\0' ? m->extra : NULL };

	if (front_call_start(m->agent, &m->call, &m->nonces, FRONT_NONCE_RS,
		&ask, on_answer, m) != 0)
		admin_error(m, "failed", "out of memory");
}

static bool
token_take(struct front_login *l, const struct perc_httpc_answer *a)
{
	int64_t life_s = 0;
	json_t *j = NULL;

	text_free(l->role_token);
	l->role_token = NULL;
	if (perc_json_parse(&j, a->body, a->len, ANSWER_MAX, NULL, 0) == 0 &&
	    perc_json_int(&life_s, j, "expires_in", 1, 86400) == 0)
		front_login_keep(&l->role_token, j, "access_token");
	l->role_until_ms = perc_boot_ms() + life_s * 1000;
	json_decref(j);
	return l->role_token != NULL;
}

static void
on_token(const struct perc_httpc_answer *a, void *arg)
{
	struct front_admin *m = arg;
	struct front_login *l = front_login_find(m->agent, m->kmf);
	char words[FRONT_WORDS_MAX], text[2 * FRONT_WORDS_MAX];

	if (l == NULL)
		admin_error(m, "login_required", "logged out meanwhile");
	else if (a->err == 0 && a->status == 200 && token_take(l, a))
		request_send(m, l->role_token);
	else if (a->err == 0 && a->status / 100 == 4 && !m->other) {
		m->other = true;
		token_ask(m);
	} else {
		front_answer_words(a, words, sizeof(words));
		text_put(text, sizeof(text),
		    "the KMF gives this login no role: %s", words);
		admin_error(m,
		    a->err != 0 || a->status >= 500 ? "unreachable" : "refused",
		    text);
	}
}

static void
token_ask(struct front_admin *m)
{
	char *url = text_new("%s/oauth/token", m->kmf);
	struct front_ask ask = { .method = "POST",
		.url = url,
		.type = "application/x-www-form-urlencoded" };
	struct front_subject s;
	struct text form = { 0 };
	int r = PERC_ERR_NOMEM;

	m->renewed = true;
	if (!front_login_subject(m->agent, m->kmf, m->other, &s)) {
		admin_error(m, m->other ? "refused" : "login_required",
		    m->other ? "the KMF gives this login no role"
			     : "log in first: perch login");
		goto out;
	}
	text_add_form(&form, "grant_type", GRANT);
	text_add_form(&form, "subject_token", s.token);
	text_add_form(&form, "subject_token_type", s.type);
	text_add_form(&form, "resource", m->kmf);
	text_add_form(&form, "issuer", s.issuer);
	ask.body = form.p;
	if (url != NULL && !form.failed)
		r = front_call_start(m->agent, &m->call, &m->nonces,
		    FRONT_NONCE_AS, &ask, on_token, m);
	if (r != 0)
		admin_error(m, "failed", "out of memory");
out:
	text_clear(&form);
	free(url);
}

/* The login is as fresh as it can be. */
static void
on_fresh(void *arg)
{
	struct front_admin *m = arg;
	const struct front_login *l = front_login_find(m->agent, m->kmf);

	if (l != NULL && l->role_token != NULL &&
	    perc_boot_ms() < l->role_until_ms - EARLY_MS)
		request_send(m, l->role_token);
	else
		token_ask(m);
}

/* Only what the KMF's interface has; no query escapes from its path. */
static bool
ask_ok(const char *method, const char *path)
{
	static const char *const methods[] = { "GET", "POST", "PATCH",
		"DELETE" };

	if (method == NULL || path == NULL || strncmp(path, "/v1/", 4) != 0 ||
	    strpbrk(path, " \t\r\n\\#") != NULL)
		return false;
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		if (strcmp(method, methods[i]) == 0)
			return true;
	return false;
}

/* The one that is named, or the only one. */
static const struct front_login *
login_named(const struct agent *a, const char *base)
{
	const struct front_login *found = NULL;
	unsigned n = 0;

	for (size_t i = 0; i < FRONT_LOGINS_MAX; i++) {
		const struct front_login *l = a->logins[i];

		if (l == NULL || !l->over ||
		    (base != NULL && strcmp(l->kmf, base) != 0))
			continue;
		found = l;
		n++;
	}
	return n == 1 ? found : NULL;
}

static void
extra_put(struct front_admin *m, const char *if_match)
{
	char id[40];

	if (if_match != NULL)
		text_put(m->extra, EXTRA_MAX, "If-Match: %s", if_match);
	else if (strcmp(m->method, "POST") == 0) {
		perc_random_id(id, sizeof(id), "p_");
		text_put(m->extra, EXTRA_MAX, "Idempotency-Key: %s", id);
	}
}

static unsigned
admins_count(const struct agent *a)
{
	const struct front_admin *m;
	unsigned n = 0;

	for (m = a->admins; m != NULL; m = m->next)
		n++;
	return n;
}

/* NULL: r has been told why. */
static struct front_admin *
admin_new(
    struct agent *a, struct local_req *r, const json_t *j, const char *kmf)
{
	const json_t *body = json_object_get(j, "body");
	struct front_admin *m = NULL;

	if (admins_count(a) >= ADMINS_MAX ||
	    (m = calloc(1, sizeof(*m))) == NULL) {
		local_error(r, "failed", "too many requests at a time");
		return NULL;
	}
	m->agent = a;
	m->req = r;
	m->kmf = text_dup(kmf);
	m->method = text_dup(perc_json_str(j, "method"));
	m->url = text_new("%s%s", kmf, perc_json_str(j, "path"));
	m->body = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
	m->next = a->admins;
	a->admins = m;
	if (m->kmf == NULL || m->method == NULL || m->url == NULL ||
	    (body != NULL && m->body == NULL)) {
		admin_error(m, "failed", "out of memory");
		return NULL;
	}
	extra_put(m, perc_json_str(j, "if_match"));
	return m;
}

void
front_admin_start(struct agent *a, struct local_req *r, const json_t *j)
{
	const char *path = perc_json_str(j, "path");
	const char *named = perc_json_str(j, "kmf");
	const struct front_login *l;
	const struct front_conf *c;
	struct front_admin *m;
	char *base = NULL;

	if (!ask_ok(perc_json_str(j, "method"), path)) {
		local_error(r, "usage", "admin: a method and a path below /v1");
		return;
	}
	if (named != NULL && (base = front_login_kmf(named)) == NULL) {
		local_error(r, "failed", "out of memory");
		return;
	}
	c = front_host_of(a, base, path);
	l = login_named(a, base);
	free(base);
	if (c == NULL && l == NULL) {
		local_error(r, "login_required",
		    "log in first (perch login), or say with --kmf where");
		return;
	}
	m = admin_new(a, r, j, c != NULL ? c->kmf : l->kmf);
	if (m == NULL)
		return;
	m->as_host = c != NULL;
	if (m->as_host)
		request_send(m, c->token1);
	else
		front_login_refresh(a, m->kmf, on_fresh, m);
}

void
front_admin_gone(struct agent *a, const struct local_req *r)
{
	struct front_admin *m;

	for (m = a->admins; m != NULL; m = m->next)
		if (m->req == r)
			m->req = NULL;
}

void
front_admins_free(struct agent *a)
{
	while (a->admins != NULL)
		admin_free(a->admins);
}
