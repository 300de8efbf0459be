/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Login at the organisation's own identity provider, by device grant (RFC
 * 8628) or by the system's browser with PKCE (RFC 7636, 8252). No password
 * passes through here, and the tokens stay in this process's memory: an
 * agent that is started anew asks the person again.
 */
#include "agent/front.h"

#include <stdlib.h>
#include <string.h>

#include "agent/frontlogin.h"
#include "agent/local.h"
#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/secret.h"

#define ANSWER_MAX	 65536
#define REFRESH_EARLY_MS 30000

const char front_form_type[] =
    "Content-Type: application/x-www-form-urlencoded";

/* ---- where tokens are kept ---------------------------------------------- */

static struct front_login *
login_find(const struct agent *a, const char *kmf)
{
	for (size_t i = 0; i < FRONT_LOGINS_MAX; i++)
		if (a->logins[i] != NULL && a->logins[i]->over &&
		    strcmp(a->logins[i]->kmf, kmf) == 0)
			return a->logins[i];
	return NULL;
}

bool
front_login_subject(
    const struct agent *a, const char *kmf, bool other, struct front_subject *s)
{
	const struct front_login *l = login_find(a, kmf);
	bool id = l != NULL && l->id_token != NULL;

	if (l == NULL || perc_boot_ms() > l->until_ms)
		return false;
	if (id && !other) {
		s->token = l->id_token;
		s->type = "urn:ietf:params:oauth:token-type:id_token";
	} else if (l->access_token != NULL && id == other) {
		s->token = l->access_token;
		s->type = "urn:ietf:params:oauth:token-type:access_token";
	} else {
		return false;
	}
	return true;
}

void
front_login_keep(char **to, const json_t *j, const char *name)
{
	const char *s = perc_json_str(j, name);

	if (s == NULL || strlen(s) > 8192)
		return;
	text_free(*to);
	*to = text_dup(s);
}

int
front_login_take(struct front_login *l, const struct perc_httpc_answer *a)
{
	int64_t expires = 60;
	json_t *j = NULL;
	int r;

	if ((r = perc_json_parse(&j, a->body, a->len, ANSWER_MAX, NULL, 0)) !=
	    0)
		return r;
	/* A refresh may bring no new ID token; the old one is as old as the
	 * old access token. */
	text_free(l->id_token);
	l->id_token = NULL;
	front_login_keep(&l->id_token, j, "id_token");
	front_login_keep(&l->access_token, j, "access_token");
	front_login_keep(&l->refresh_token, j, "refresh_token");
	if (perc_json_int(&expires, j, "expires_in", 1, 86400) != 0)
		expires = 60;
	l->until_ms = perc_boot_ms() + expires * 1000;
	json_decref(j);
	return l->access_token != NULL || l->id_token != NULL ? 0
							      : PERC_ERR_FORMAT;
}

json_t *
front_logins_json(const struct agent *a)
{
	json_t *all = json_array();

	for (size_t i = 0; i < FRONT_LOGINS_MAX; i++) {
		const struct front_login *l = a->logins[i];

		if (l != NULL && l->over)
			json_array_append_new(all,
			    json_pack("{s:s, s:s, s:b}", "kmf", l->kmf,
				"issuer", l->issuer, "valid",
				perc_boot_ms() < l->until_ms ||
				    l->refresh_token != NULL));
	}
	return all;
}

/* ---- refreshing
 * -------------------------------------------------------------- */

static void
waiters_run(struct front_login *l)
{
	struct front_waiter w;

	while (l->nwaiters > 0) {
		w = l->waiters[--l->nwaiters];
		w.fn(w.arg);
	}
}

static void
on_refreshed(const struct perc_httpc_answer *a, void *arg)
{
	struct front_login *l = arg;
	char words[FRONT_WORDS_MAX];

	l->http = NULL;
	if (a->err != 0 || a->status != 200 || front_login_take(l, a) != 0) {
		front_answer_words(a, words, sizeof(words));
		log_warnx(
		    "login_refresh issuer=%s words=\"%s\"", l->issuer, words);
	}
	waiters_run(l);
}

static int
refresh_ask(struct front_login *l)
{
	const char *headers[] = { front_form_type, "Accept: application/json",
		NULL };
	struct text form = { 0 };
	int r = PERC_ERR_NOMEM;

	text_add_form(&form, "grant_type", "refresh_token");
	text_add_form(&form, "refresh_token", l->refresh_token);
	text_add_form(&form, "client_id", l->client_id);
	if (!form.failed)
		r = perc_httpc_start(l->agent->http, &l->http, "POST",
		    l->token_url, headers, form.p, form.len, NULL, 0,
		    on_refreshed, l);
	text_clear(&form);
	return r;
}

void
front_login_refresh(
    struct agent *a, const char *kmf, void (*done)(void *), void *arg)
{
	struct front_login *l = login_find(a, kmf);

	if (l == NULL || l->refresh_token == NULL ||
	    l->until_ms - perc_boot_ms() > REFRESH_EARLY_MS ||
	    l->nwaiters == FRONT_WAITERS_MAX) {
		done(arg);
		return;
	}
	l->waiters[l->nwaiters++] = (struct front_waiter){ done, arg };
	if (l->http == NULL && refresh_ask(l) != 0)
		waiters_run(l);
}

void
front_login_forget(struct agent *a, const void *arg)
{
	for (size_t i = 0; i < FRONT_LOGINS_MAX; i++) {
		struct front_login *l = a->logins[i];
		unsigned n = 0;

		for (unsigned k = 0; l != NULL && k < l->nwaiters; k++)
			if (l->waiters[k].arg != arg)
				l->waiters[n++] = l->waiters[k];
		if (l != NULL)
			l->nwaiters = n;
	}
}

/* ---- the end of a login, good or bad
 * ------------------------------------------- */

void
front_login_free(struct front_login *l)
{
	if (l == NULL)
		return;
	front_redirect_close(l);
	perc_timer_stop(l->agent->loop, &l->timer);
	perc_httpc_cancel(l->http);
	free(l->kmf);
	free(l->provider);
	free(l->issuer);
	free(l->client_id);
	free(l->scope);
	free(l->token_url);
	free(l->device_url);
	free(l->auth_url);
	text_free(l->device_code);
	text_free(l->access_token);
	text_free(l->id_token);
	text_free(l->refresh_token);
	perc_wipe(l, sizeof(*l));
	free(l);
}

static void
login_remove(struct front_login *l)
{
	struct agent *a = l->agent;

	for (size_t i = 0; i < FRONT_LOGINS_MAX; i++)
		if (a->logins[i] == l)
			a->logins[i] = NULL;
	front_login_free(l);
}

void
front_login_fail(struct front_login *l, const char *fmt, ...)
{
	char words[FRONT_WORDS_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	log_warnx("login_failed kmf=%s words=\"%s\"", l->kmf, words);
	if (l->req != NULL)
		local_error(l->req, "refused", words);
	l->req = NULL;
	login_remove(l);
}

void
front_login_refused(
    struct front_login *l, const struct perc_httpc_answer *a, const char *what)
{
	char words[FRONT_WORDS_MAX];

	front_answer_words(a, words, sizeof(words));
	front_login_fail(l, "%s: %s", what, words);
}

void
front_login_succeed(struct front_login *l)
{
	struct agent *a = l->agent;
	struct front_login *old = login_find(a, l->kmf);

	if (old != NULL) {
		waiters_run(old);
		login_remove(old);
	}
	l->over = true;
	front_redirect_close(l);
	perc_timer_stop(a->loop, &l->timer);
	log_info("logged_in kmf=%s issuer=%s", l->kmf, l->issuer);
	if (l->req != NULL)
		local_result(l->req,
		    json_pack(
			"{s:s, s:s}", "kmf", l->kmf, "issuer", l->issuer));
	l->req = NULL;
}

void
front_login_cancel(struct agent *a, const struct local_req *req)
{
	for (size_t i = 0; i < FRONT_LOGINS_MAX; i++)
		if (a->logins[i] != NULL && a->logins[i]->req == req) {
			a->logins[i]->req = NULL;
			if (!a->logins[i]->over)
				login_remove(a->logins[i]);
		}
}

/* ---- tokens
 * -------------------------------------------------------------------------- */

static void
on_code_tokens(const struct perc_httpc_answer *a, void *arg)
{
	struct front_login *l = arg;

	l->http = NULL;
	if (a->err != 0 || a->status != 200)
		front_login_refused(
		    l, a, "the identity provider gave no token");
	else if (front_login_take(l, a) != 0)
		front_login_fail(l,
		    "the identity provider's answer is "
		    "malformed");
	else
		front_login_succeed(l);
}

void
front_login_code(struct front_login *l, const char *code)
{
	const char *headers[] = { front_form_type, "Accept: application/json",
		NULL };
	struct text form = { 0 };
	int r = PERC_ERR_NOMEM;

	text_add_form(&form, "grant_type", "authorization_code");
	text_add_form(&form, "code", code);
	text_add_form(&form, "redirect_uri", l->redirect);
	text_add_form(&form, "client_id", l->client_id);
	text_add_form(&form, "code_verifier", l->verifier);
	if (!form.failed)
		r = perc_httpc_start(l->agent->http, &l->http, "POST",
		    l->token_url, headers, form.p, form.len, NULL, 0,
		    on_code_tokens, l);
	text_clear(&form);
	if (r != 0)
		front_login_fail(l, "%s", perc_strerror(r));
}

/* ---- who the provider is
 * ------------------------------------------------------------------ */

static char *
url_of(const json_t *j, const char *name)
{
	return text_dup(perc_json_str(j, name));
}

static void
on_provider(const struct perc_httpc_answer *a, void *arg)
{
	struct front_login *l = arg;
	const char *issuer;
	json_t *j = NULL;

	l->http = NULL;
	if (a->err != 0 || a->status != 200) {
		front_login_refused(l, a, "asking the identity provider");
		return;
	}
	if (perc_json_parse(&j, a->body, a->len, ANSWER_MAX, NULL, 0) != 0 ||
	    (issuer = perc_json_str(j, "issuer")) == NULL ||
	    strcmp(issuer, l->issuer) != 0) { /* RFC 8414 section 3.3 */
		front_login_fail(l, "%s does not describe itself", l->issuer);
		json_decref(j);
		return;
	}
	l->token_url = url_of(j, "token_endpoint");
	l->device_url = url_of(j, "device_authorization_endpoint");
	l->auth_url = url_of(j, "authorization_endpoint");
	json_decref(j);
	if (l->token_url == NULL ||
	    (l->browser ? l->auth_url : l->device_url) == NULL)
		front_login_fail(
		    l, "%s does not offer this kind of login", l->issuer);
	else if (l->browser)
		front_redirect_start(l);
	else
		front_device_start(l);
}

static void
provider_ask(struct front_login *l)
{
	const char *headers[] = { "Accept: application/json", NULL };
	size_t n = strlen(l->issuer); /* the issuer may end in a slash */
	char *url = text_new("%s%s.well-known/openid-configuration", l->issuer,
	    n > 0 && l->issuer[n - 1] == '/' ? "" : "/");
	int r = PERC_ERR_NOMEM;

	if (url != NULL)
		r = perc_httpc_start(l->agent->http, &l->http, "GET", url,
		    headers, NULL, 0, NULL, 0, on_provider, l);
	free(url);
	if (r != 0)
		front_login_fail(l, "%s: %s", l->issuer, perc_strerror(r));
}

/* The one that was named, or the only one. */
static const json_t *
provider_choose(const struct front_login *l, const json_t *all)
{
	const json_t *p;
	size_t i;

	if (l->provider == NULL)
		return json_array_size(all) == 1 ? json_array_get(all, 0)
						 : NULL;
	for (i = 0; i < json_array_size(all); i++) {
		const char *name, *issuer;

		p = json_array_get(all, i);
		name = perc_json_str(p, "name");
		issuer = perc_json_str(p, "issuer");
		if ((name != NULL && strcmp(name, l->provider) == 0) ||
		    (issuer != NULL && strcmp(issuer, l->provider) == 0))
			return p;
	}
	return NULL;
}

static void
on_kmf(const struct perc_httpc_answer *a, void *arg)
{
	struct front_login *l = arg;
	const char *issuer;
	const json_t *p;
	json_t *j = NULL;

	l->http = NULL;
	if (a->err != 0 || a->status != 200) {
		front_login_refused(l, a, "asking the KMF where to log in");
		return;
	}
	if (perc_json_parse(&j, a->body, a->len, ANSWER_MAX, NULL, 0) != 0 ||
	    (issuer = perc_json_str(j, "issuer")) == NULL ||
	    strcmp(issuer, l->kmf) != 0) {
		front_login_fail(l, "%s does not describe itself", l->kmf);
	} else if ((p = provider_choose(
			l, json_object_get(j, "perch_identity_providers"))) ==
	    NULL) {
		front_login_fail(l, "%s",
		    l->provider != NULL
			? "no such identity provider at this KMF"
			: "this KMF has no identity provider, or several: "
			  "name one");
	} else {
		l->issuer = url_of(p, "issuer");
		l->client_id = url_of(p, "client_id");
		l->scope = url_of(p, "scope");
		l->resource = perc_json_bool(p, "resource_indicator", true);
		if (l->issuer == NULL || l->client_id == NULL)
			front_login_fail(l, "the KMF's answer is malformed");
		else
			provider_ask(l);
	}
	json_decref(j);
}

/* A conference URI names its KMF; so does the KMF's own base URL. */
static char *
kmf_of(const char *s)
{
	const char *c = strstr(s, "/c/c_");
	size_t n = c != NULL ? (size_t)(c - s) : strlen(s);

	while (n > 0 && s[n - 1] == '/')
		n--;
	return strndup(s, n);
}

static struct front_login **
place(struct agent *a)
{
	for (size_t i = 0; i < FRONT_LOGINS_MAX; i++)
		if (a->logins[i] == NULL)
			return &a->logins[i];
	return NULL;
}

int
front_login_start(struct agent *a, struct local_req *req, const char *kmf,
    const char *method, const char *provider, char *why, size_t whycap)
{
	const char *headers[] = { "Accept: application/json", NULL };
	struct front_login **at = place(a), *l;
	char *url = NULL;
	int r;

	if (kmf == NULL || at == NULL) {
		text_put(why, whycap,
		    kmf == NULL ? "which KMF? Give its URL or a conference's"
				: "too many logins at once");
		return PERC_ERR_INVAL;
	}
	if ((l = calloc(1, sizeof(*l))) == NULL)
		return PERC_ERR_NOMEM;
	l->agent = a;
	l->fd = -1;
	l->kmf = kmf_of(kmf);
	l->provider = text_dup(provider);
	l->browser = method != NULL && strcmp(method, "browser") == 0;
	r = PERC_ERR_NOMEM;
	if (l->kmf != NULL &&
	    (url = front_well_known(l->kmf, "oauth-authorization-server")) !=
		NULL)
		r = perc_httpc_start(a->http, &l->http, "GET", url, headers,
		    NULL, 0, NULL, 0, on_kmf, l);
	free(url);
	if (r != 0) {
		text_put(why, whycap, "%s: %s", kmf,
		    r == PERC_ERR_DENIED ? "not an https URL"
					 : perc_strerror(r));
		front_login_free(l);
		return r;
	}
	l->req = req;
	*at = l;
	return 0;
}
