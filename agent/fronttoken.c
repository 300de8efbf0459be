/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The provider's token endpoint, and what it gave us. The tokens stay in
 * this process's memory: an agent that is started anew asks the person again.
 * They are renewed well before their end, in the background, so that nobody
 * who joins has to wait for a provider; and one that is away is asked
 * less and less often, since a whole organisation's agents ask it.
 */
#include "agent/frontlogin.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/log.h"

#define ANSWER_MAX	 65536
#define TOKEN_MAX	 8192
#define REFRESH_EARLY_MS 30000
#define RETRY_MIN_MS	 2000
#define RETRY_MAX_MS	 300000

const char front_form_type[] =
    "Content-Type: application/x-www-form-urlencoded";

static void on_renew_timer(void *arg);

/* ---- what we hold
 * ------------------------------------------------------------- */

bool
front_login_valid(const struct front_login *l)
{
	int64_t now = perc_boot_ms();

	return (l->id_token != NULL && now <= l->id_until_ms) ||
	    (l->access_token != NULL && now <= l->access_until_ms);
}

bool
front_login_subject(
    const struct agent *a, const char *kmf, bool other, struct front_subject *s)
{
	const struct front_login *l = front_login_find(a, kmf);
	int64_t now = perc_boot_ms();
	bool id;

	if (l == NULL)
		return false;
	s->issuer = l->issuer;
	id = l->id_token != NULL && now <= l->id_until_ms;
	if (id && !other) {
		s->token = l->id_token;
		s->type = "urn:ietf:params:oauth:token-type:id_token";
	} else if (l->access_token != NULL && now <= l->access_until_ms &&
	    id == other) {
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

	if (s == NULL || strlen(s) > TOKEN_MAX)
		return;
	text_free(*to);
	*to = text_dup(s);
}

/* A renewal may bring no new ID token; the old one is as old as the old
 * access token. */
static int
id_take(struct front_login *l, const json_t *j, const char **why)
{
	const struct front_idtoken_want want = { .issuer = l->issuer,
		.client_id = l->client_id,
		.nonce = l->nonce,
		.sub = l->sub,
		.now_s = perc_wall_ms() / 1000 };
	const char *token = perc_json_str(j, "id_token");
	int64_t life_s = 0;
	char *sub = NULL;
	int r;

	text_free(l->id_token);
	l->id_token = NULL;
	if (token == NULL)
		return 0;
	if ((r = front_idtoken_check(&sub, &life_s, token, &want, why)) != 0)
		return r;
	free(l->sub);
	l->sub = sub;
	front_login_keep(&l->id_token, j, "id_token");
	l->id_until_ms = perc_boot_ms() + life_s * 1000;
	return 0;
}

int
front_login_take(
    struct front_login *l, const struct perc_httpc_answer *a, const char **why)
{
	int64_t expires = 60;
	const char *type;
	json_t *j = NULL;
	int r;

	*why = "its answer is malformed";
	if ((r = perc_json_parse(&j, a->body, a->len, ANSWER_MAX, NULL, 0)) !=
		0 ||
	    (r = id_take(l, j, why)) != 0)
		goto out;
	front_login_keep(&l->access_token, j, "access_token");
	front_login_keep(&l->refresh_token, j, "refresh_token");
	if (perc_json_int(&expires, j, "expires_in", 1, 86400) != 0)
		expires = 60;
	l->access_until_ms = perc_boot_ms() + expires * 1000;
	type = perc_json_str(j, "token_type");
	if (l->dpop && (type == NULL || strcasecmp(type, "DPoP") != 0))
		log_info("login_unbound issuer=%s", l->issuer);
	*why = "it gave no token that perch can use";
	r = l->access_token != NULL || l->id_token != NULL ? 0
							   : PERC_ERR_FORMAT;
out:
	json_decref(j);
	return r;
}

/* ---- asking
 * ------------------------------------------------------------------- */

int
front_token_ask(
    struct front_login *l, const struct text *form, perc_httpc_fn done)
{
	const char *headers[] = { front_form_type, "Accept: application/json",
		NULL };
	const struct front_ask ask = { .method = "POST",
		.url = l->token_url,
		.type = "application/x-www-form-urlencoded",
		.body = form->p,
		.extra = "Accept: application/json",
		.login = true };

	if (form->failed)
		return PERC_ERR_NOMEM;
	if (l->dpop)
		return front_call_start(l->agent, &l->call, &l->nonces,
		    FRONT_NONCE_AS, &ask, done, l);
	return perc_httpc_start(l->agent->http, &l->http, "POST", l->token_url,
	    headers, form->p, form->len, NULL, 0, done, l);
}

static void
on_code_tokens(const struct perc_httpc_answer *a, void *arg)
{
	struct front_login *l = arg;
	const char *why;

	l->http = NULL;
	if (a->err != 0 || a->status != 200)
		front_login_refused(
		    l, a, "the identity provider gave no token");
	else if (front_login_take(l, a, &why) != 0)
		front_login_fail(l, "the identity provider: %s", why);
	else
		front_login_succeed(l);
}

void
front_login_code(struct front_login *l, const char *code)
{
	struct text form = { 0 };
	int r;

	text_add_form(&form, "grant_type", "authorization_code");
	text_add_form(&form, "code", code);
	text_add_form(&form, "redirect_uri", l->redirect);
	text_add_form(&form, "client_id", l->client_id);
	text_add_form(&form, "code_verifier", l->verifier);
	text_add_form(&form, "resource", l->resource ? l->kmf : NULL);
	r = front_token_ask(l, &form, on_code_tokens);
	text_clear(&form);
	if (r != 0)
		front_login_fail(l, "%s", perc_strerror(r));
}

/* ---- renewing
 * ----------------------------------------------------------------- */

void
front_login_wake(struct front_login *l)
{
	struct front_waiter w;

	while (l->nwaiters > 0) {
		w = l->waiters[--l->nwaiters];
		w.fn(w.arg);
	}
}

int64_t
front_login_early(int64_t life_ms)
{
	int64_t early = life_ms / 5;

	if (early < REFRESH_EARLY_MS)
		early = REFRESH_EARLY_MS;
	if (early > life_ms / 2)
		early = life_ms / 2;
	return life_ms - early;
}

static void
renew_in(struct front_login *l, int64_t ms)
{
	if (perc_timer_set(l->agent->loop, &l->timer, ms, on_renew_timer, l) !=
	    0)
		fatalx("no memory for a timer");
}

void
front_login_plan(struct front_login *l)
{
	int64_t until = l->access_until_ms, left;

	if (l->refresh_token == NULL)
		return;
	if (l->id_token != NULL &&
	    (l->access_token == NULL || l->id_until_ms < until))
		until = l->id_until_ms;
	left = until - perc_boot_ms();
	renew_in(l, left > 2000 ? front_login_early(left) : 1000);
}

/* From 2 s to 5 min, half of it by chance. */
static int64_t
retry_ms(struct front_login *l)
{
	int64_t ms = RETRY_MIN_MS;

	for (unsigned i = 0; i < l->tries && ms < RETRY_MAX_MS; i++)
		ms *= 2;
	if (ms > RETRY_MAX_MS)
		ms = RETRY_MAX_MS;
	l->tries++;
	return ms / 2 + (int64_t)(perc_random_u32() % (uint32_t)(ms / 2 + 1));
}

static void
renew_failed(struct front_login *l, const char *words, bool again)
{
	if (again) {
		text_put(l->trouble, sizeof(l->trouble),
		    "the identity provider is not reached: %s", words);
		renew_in(l, retry_ms(l));
	} else {
		text_put(l->trouble, sizeof(l->trouble),
		    "the identity provider does not renew this login (%s): "
		    "perch login",
		    words);
		text_free(l->refresh_token);
		l->refresh_token = NULL;
	}
	log_warnx("login_refresh issuer=%s again=%d words=\"%s\"", l->issuer,
	    again, words);
}

static void
on_renewed(const struct perc_httpc_answer *a, void *arg)
{
	struct front_login *l = arg;
	char words[FRONT_WORDS_MAX];
	const char *why;

	l->http = NULL;
	if (a->err != 0 || a->status != 200) {
		front_answer_words(a, words, sizeof(words));
		renew_failed(
		    l, words, a->err != 0 || front_answer_transient(a));
	} else if (front_login_take(l, a, &why) != 0) {
		renew_failed(l, why, false);
	} else {
		l->tries = 0;
		l->trouble[0] = '\0';
		front_login_plan(l);
	}
	front_login_wake(l);
}

static int
renew_ask(struct front_login *l)
{
	struct text form = { 0 };
	int r;

	text_add_form(&form, "grant_type", "refresh_token");
	text_add_form(&form, "refresh_token", l->refresh_token);
	text_add_form(&form, "client_id", l->client_id);
	text_add_form(&form, "resource", l->resource ? l->kmf : NULL);
	r = front_token_ask(l, &form, on_renewed);
	text_clear(&form);
	return r;
}

static void
on_renew_timer(void *arg)
{
	struct front_login *l = arg;

	if (l->http == NULL && l->call == NULL && renew_ask(l) != 0)
		renew_failed(l, "out of memory", true);
}

void
front_login_refresh(
    struct agent *a, const char *kmf, void (*done)(void *), void *arg)
{
	struct front_login *l = front_login_find(a, kmf);
	bool asking = l != NULL && (l->http != NULL || l->call != NULL);

	/* Who joins does not wait for a provider that is away. */
	if (l == NULL || l->refresh_token == NULL || front_login_valid(l) ||
	    l->nwaiters == FRONT_WAITERS_MAX) {
		done(arg);
		return;
	}
	l->waiters[l->nwaiters++] = (struct front_waiter){ done, arg };
	if (!asking && renew_ask(l) != 0)
		front_login_wake(l);
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
