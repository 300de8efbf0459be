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

#define ANSWER_MAX 65536

struct front_login *
front_login_find(const struct agent *a, const char *kmf)
{
	for (size_t i = 0; i < FRONT_LOGINS_MAX; i++)
		if (a->logins[i] != NULL && a->logins[i]->over &&
		    strcmp(a->logins[i]->kmf, kmf) == 0)
			return a->logins[i];
	return NULL;
}

json_t *
front_logins_json(const struct agent *a)
{
	json_t *all = json_array();

	for (size_t i = 0; i < FRONT_LOGINS_MAX; i++) {
		const struct front_login *l = a->logins[i];

		if (l != NULL && l->over)
			json_array_append_new(all,
			    json_pack("{s:s, s:s, s:b, s:b, s:s}", "kmf",
				l->kmf, "issuer", l->issuer, "valid",
				front_login_valid(l) ||
				    l->refresh_token != NULL,
				"bound", l->dpop, "trouble", l->trouble));
	}
	return all;
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
	front_call_cancel(l->call);
	free(l->kmf);
	free(l->provider);
	free(l->issuer);
	free(l->client_id);
	free(l->scope);
	free(l->token_url);
	free(l->device_url);
	free(l->auth_url);
	free(l->revoke_url);
	free(l->sub);
	text_free(l->device_code);
	text_free(l->access_token);
	text_free(l->role_token);
	text_free(l->id_token);
	text_free(l->refresh_token);
	perc_wipe(l, sizeof(*l));
	free(l);
}

void
front_login_remove(struct front_login *l)
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
	front_login_remove(l);
}

/* RFC 6749 sections 4.1.2.1 and 5.2, RFC 8628, 8707, 9449, OpenID Connect. */
const char *
front_login_advice(const char *code)
{
	static const struct {
		const char *code, *words;
	} all[] = {
		{ "access_denied", "you, or a rule of the provider, said no" },
		{ "expired_token", "the code's time is over: try again" },
		{ "invalid_client",
		    "perch is no public client (without a secret) there" },
		{ "unauthorized_client",
		    "perch may not log in this way there: allow the grant" },
		{ "invalid_grant", "the code or the login is over: try again" },
		{ "invalid_redirect_uri",
		    "http://127.0.0.1/cb is no redirect of perch there" },
		{ "invalid_scope",
		    "it does not know a scope that the KMF "
		    "names, or not for perch" },
		{ "invalid_target",
		    "it does not know the KMF as a resource: make it one, or "
		    "resource_indicator = no in perch-kmf.conf" },
		{ "invalid_dpop_proof", "is this machine's clock right?" },
		{ "unsupported_grant_type", "it does not do this login" },
		{ "server_error", "it has trouble: try later" },
		{ "temporarily_unavailable", "it has trouble: try later" },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(code, all[i].code) == 0)
			return all[i].words;
	return "";
}

void
front_login_refused(
    struct front_login *l, const struct perc_httpc_answer *a, const char *what)
{
	char words[FRONT_WORDS_MAX], code[64];
	const char *advice;

	front_answer_words(a, words, sizeof(words));
	front_answer_code(a, code, sizeof(code));
	advice = front_login_advice(a->err == 0 ? code : "");
	if (advice[0] != '\0')
		front_login_fail(l, "%s: %s (%s)", what, words, advice);
	else
		front_login_fail(l, "%s: %s", what, words);
}

void
front_login_succeed(struct front_login *l)
{
	struct agent *a = l->agent;
	struct front_login *old = front_login_find(a, l->kmf);

	if (old != NULL) {
		front_login_wake(old);
		front_login_remove(old);
	}
	l->over = true;
	front_redirect_close(l);
	perc_timer_stop(a->loop, &l->timer);
	front_login_plan(l);
	log_info(
	    "logged_in kmf=%s issuer=%s dpop=%d", l->kmf, l->issuer, l->dpop);
	if (l->req != NULL)
		local_result(l->req,
		    json_pack("{s:s, s:s, s:o*}", "kmf", l->kmf, "issuer",
			l->issuer, "tokens",
			l->examine ? front_login_examine(l) : NULL));
	l->req = NULL;
}

void
front_login_cancel(struct agent *a, const struct local_req *req)
{
	for (size_t i = 0; i < FRONT_LOGINS_MAX; i++)
		if (a->logins[i] != NULL && a->logins[i]->req == req) {
			a->logins[i]->req = NULL;
			if (!a->logins[i]->over && !a->logins[i]->leaving)
				front_login_remove(a->logins[i]);
		}
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
	l->revoke_url = url_of(j, "revocation_endpoint");
	l->iss_param = perc_json_bool(
	    j, "authorization_response_iss_parameter_supported", false);
	/* Over plain http (loopback_http) the vault proves nothing. */
	l->dpop = l->agent->sign_jkt[0] != '\0' && l->token_url != NULL &&
	    strncmp(l->token_url, "https://", 8) == 0 &&
	    perc_json_has(j, "dpop_signing_alg_values_supported", "ES256");
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
char *
front_login_kmf(const char *s)
{
	const char *c = strstr(s, "/c/c_"), *series = strstr(s, "/c/s_");
	size_t n;

	c = c != NULL ? c : series;
	n = c != NULL ? (size_t)(c - s) : strlen(s);

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
front_login_start(struct agent *a, struct local_req *req, const json_t *ask,
    char *why, size_t whycap)
{
	const char *headers[] = { "Accept: application/json", NULL };
	const char *kmf = perc_json_str(ask, "kmf");
	const char *method = perc_json_str(ask, "method");
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
	l->kmf = front_login_kmf(kmf);
	l->provider = text_dup(perc_json_str(ask, "provider"));
	l->examine = perc_json_bool(ask, "examine", false);
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
