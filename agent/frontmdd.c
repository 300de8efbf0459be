/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The distributor's side of a conference: token2 for our certificate, the
 * join, a leg, and all of it again whenever any part is lost. The MDD is a
 * stranger: its answer gives us an address and the one fingerprint that we
 * will talk DTLS to, and no other right.
 */
#include "agent/front.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "agent/local.h"
#include "perc/b64.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/secret.h"
#include "perc/stun.h"

#define GRANT	       "urn:ietf:params:oauth:grant-type:token-exchange"
#define ACCESS_TYPE    "urn:ietf:params:oauth:token-type:access_token"
#define ANSWER_MAX     65536
#define RENEW_AGAIN_MS 5000

static void on_retry(void *arg);
static void on_renew(void *arg);

static bool
wanted(const struct front_conf *c)
{
	return c->state == FRONT_CONNECTING || c->state == FRONT_UP;
}

static void
retry(struct front_conf *c, const char *words)
{
	if (strcmp(words, c->mdd_words) != 0)
		log_warnx("mdd_trouble conf=%s words=\"%s\"", c->id, words);
	text_put(c->mdd_words, sizeof(c->mdd_words), "%s", words);
	if (c->state == FRONT_CONNECTING)
		front_progress(c, "%s; trying again", words);
	if (perc_timer_set(c->agent->loop, &c->mdd_retry.timer,
		front_backoff(&c->mdd_retry), on_retry, c) != 0)
		fatalx("no memory for a timer");
}

static void
retry_answer(
    struct front_conf *c, const struct perc_httpc_answer *a, const char *what)
{
	char words[FRONT_WORDS_MAX], all[FRONT_WORDS_MAX];

	front_answer_words(a, words, sizeof(words));
	text_put(all, sizeof(all), "%s: %s", what, words);
	retry(c, all);
}

/* ---- the MDD's answer --------------------------------------------------- */

/* ice-char of RFC 8839 section 5.4 */
static bool
ice_text(char *out, size_t cap, const json_t *j, const char *name, size_t min)
{
	const char *s = perc_json_str(j, name);
	size_t n = s != NULL ? strlen(s) : 0;

	if (n < min || n >= cap ||
	    strspn(s,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789+/") != n)
		return false;
	memcpy(out, s, n + 1);
	return true;
}

static bool
is_address(const char *s)
{
	struct in6_addr a;

	return inet_pton(AF_INET, s, &a) == 1 ||
	    inet_pton(AF_INET6, s, &a) == 1;
}

int
front_join_parse(struct front_join *j, const char *text, size_t len)
{
	const char *host, *leg, *fp;
	int64_t port;
	json_t *o = NULL;
	int r;

	memset(j, 0, sizeof(*j));
	if ((r = perc_json_parse(&o, text, len, ANSWER_MAX, NULL, 0)) != 0)
		return r;
	host = perc_json_str(o, "host");
	leg = perc_json_str(o, "leg");
	fp = perc_json_str(o, "fingerprint");
	r = PERC_ERR_FORMAT;
	if (!text_is_id(leg, "") || strlen(leg) >= sizeof(j->leg) ||
	    host == NULL || strlen(host) >= sizeof(j->host) ||
	    !is_address(host) || fp == NULL ||
	    perc_fingerprint_get(j->fingerprint, fp) != 0 ||
	    perc_json_int(&port, o, "port", 1, 65535) != 0 ||
	    perc_json_int(&j->expires_in, o, "expires_in", 1, 864000) != 0 ||
	    !ice_text(j->ufrag, sizeof(j->ufrag), o, "ufrag", 4) ||
	    !ice_text(j->pwd, sizeof(j->pwd), o, "pwd", 22))
		goto out;
	text_put(j->host, sizeof(j->host), "%s", host);
	text_put(j->leg, sizeof(j->leg), "%s", leg);
	j->port = (uint16_t)port;
	r = 0;
out:
	json_decref(o);
	return r;
}

/* ---- join
 * -------------------------------------------------------------------- */

static void
renew_plan(struct front_conf *c, int64_t in_ms)
{
	if (perc_timer_set(
		c->agent->loop, &c->token2_timer, in_ms, on_renew, c) != 0)
		fatalx("no memory for a timer");
}

static void
leg_replace(struct front_conf *c, const struct front_join *j)
{
	char why[FRONT_WORDS_MAX] = "out of memory";
	struct front_leg *leg = NULL;
	int64_t renew_ms = j->expires_in * 1000 * 2 / 3;

	if (front_leg_new(&leg, c, c->dtls_id, j, c->ufrag, why, sizeof(why)) !=
	    0) {
		retry(c, why);
		return;
	}
	front_leg_free(c->leg);
	c->leg = leg;
	free(c->leg_url);
	c->leg_url = text_new("%s/v1/join/%s", c->mdd, j->leg);
	renew_plan(c, renew_ms);
}

static void
on_join(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;
	struct front_join j;

	c->join_req = NULL;
	front_mdds_joined(c, a);
	if (a->err != 0 || a->status != 201)
		retry_answer(c, a, "the distributor does not let us in");
	else if (front_join_parse(&j, a->body, a->len) != 0)
		retry(c, "the distributor's answer is malformed");
	else
		leg_replace(c, &j);
	perc_wipe(&j, sizeof(j));
}

static void
join_ask(struct front_conf *c)
{
	char *auth = text_new("Authorization: Bearer %s", c->token2);
	char *url = text_new("%s/v1/join", c->mdd);
	const char *headers[] = { auth, "Content-Type: application/json",
		NULL };
	char *body;

	perc_ice_credentials(c->ufrag, c->ice_pwd);
	body =
	    text_new("{\"ufrag\":\"%s\",\"pwd\":\"%s\",\"transport_cc\":true}",
		c->ufrag, c->ice_pwd);
	perc_httpc_cancel(c->join_req);
	c->join_req = NULL;
	if (auth == NULL || url == NULL || body == NULL ||
	    perc_httpc_start(c->agent->http, &c->join_req, "POST", url, headers,
		body, strlen(body), NULL, 0, on_join, c) != 0)
		retry(c, "cannot ask the distributor");
	text_free(auth);
	text_free(url);
	text_free(body);
}

/* ---- token2
 * -------------------------------------------------------------------- */

static int
token2_take(struct front_conf *c, const struct perc_httpc_answer *a)
{
	const char *token, *type;
	json_t *j = NULL;
	int r;

	if ((r = perc_json_parse(&j, a->body, a->len, ANSWER_MAX, NULL, 0)) !=
	    0)
		return r;
	token = perc_json_str(j, "access_token");
	type = perc_json_str(j, "token_type");
	if (token == NULL || strlen(token) > 8192 || type == NULL ||
	    strcmp(type, "Bearer") != 0) {
		r = PERC_ERR_FORMAT;
	} else {
		text_free(c->token2);
		c->token2 = text_dup(token);
		r = c->token2 != NULL ? 0 : PERC_ERR_NOMEM;
	}
	json_decref(j);
	return r;
}

/* A running leg that cannot be prolonged is still good for a while. */
static void
renew_again(struct front_conf *c, const struct perc_httpc_answer *a)
{
	char words[FRONT_WORDS_MAX];

	front_answer_words(a, words, sizeof(words));
	log_warnx("leg_renewal conf=%s words=\"%s\"", c->id, words);
	renew_plan(c, RENEW_AGAIN_MS);
}

static void
on_renewed(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;
	int64_t expires;
	json_t *j = NULL;

	c->join_req = NULL;
	if (a->err == 0 && a->status == 404) {
		join_ask(c); /* the leg is gone: a new one */
		return;
	}
	if (a->err == 0 && a->status == 200 &&
	    perc_json_parse(&j, a->body, a->len, ANSWER_MAX, NULL, 0) == 0 &&
	    perc_json_int(&expires, j, "expires_in", 1, 864000) == 0)
		renew_plan(c, expires * 1000 * 2 / 3);
	else
		renew_again(c, a);
	json_decref(j);
}

static void
renew_ask(struct front_conf *c)
{
	char *auth = text_new("Authorization: Bearer %s", c->token2);
	const char *headers[] = { auth, NULL };

	perc_httpc_cancel(c->join_req);
	c->join_req = NULL;
	if (auth == NULL ||
	    perc_httpc_start(c->agent->http, &c->join_req, "PUT", c->leg_url,
		headers, "", 0, NULL, 0, on_renewed, c) != 0)
		renew_plan(c, RENEW_AGAIN_MS);
	text_free(auth);
}

static void
on_token2(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;
	bool renewal = c->leg != NULL && c->leg_url != NULL;

	if (a->err != 0 || a->status != 200) {
		if (renewal) {
			renew_again(c, a);
			return;
		}
		front_mdds_named(c, a);
		retry_answer(c, a, "no token for the distributor");
	} else if (token2_take(c, a) != 0) {
		retry(c, "the token for the distributor is malformed");
	} else if (renewal) {
		renew_ask(c);
	} else {
		join_ask(c);
	}
}

static int
token2_ask(struct front_conf *c)
{
	struct front_ask ask = { .method = "POST",
		.url = c->token_endpoint,
		.type = "application/x-www-form-urlencoded" };
	uint8_t fp[PERC_FINGERPRINT_LEN];
	char x5t[PERC_B64_LEN(PERC_FINGERPRINT_LEN) + 1];
	struct text form = { 0 };
	int r = PERC_ERR_NOMEM;

	perc_dtls_id_fingerprint(c->dtls_id, fp);
	perc_b64_put(x5t, fp, sizeof(fp));
	text_add_form(&form, "grant_type", GRANT);
	text_add_form(&form, "subject_token", c->token1);
	text_add_form(&form, "subject_token_type", ACCESS_TYPE);
	text_add_form(&form, "resource", c->mdd);
	text_add_form(&form, "conference", c->id);
	text_add_form(&form, "x5t_s256", x5t);
	ask.body = form.p;
	if (!form.failed)
		r = front_call_start(c->agent, &c->token2_call, &c->nonces,
		    FRONT_NONCE_AS, &ask, on_token2, c);
	text_clear(&form);
	return r;
}

void
front_mdd_start(struct front_conf *c)
{
	if (!wanted(c) || c->token2_call != NULL)
		return;
	/* No name in it: the certificate goes to a stranger. */
	if (c->dtls_id == NULL &&
	    perc_dtls_id_generate(&c->dtls_id, "perch", 30) != 0) {
		retry(c, "cannot make a certificate");
		return;
	}
	if (token2_ask(c) != 0)
		retry(c, "cannot ask for the distributor's token");
}

static void
on_renew(void *arg)
{
	front_mdd_start(arg);
}

static void
on_retry(void *arg)
{
	front_mdd_start(arg);
}

/* ---- what the leg tells
 * ------------------------------------------------------------ */

void
front_mdd_up(struct front_conf *c)
{
	c->mdd_words[0] = '\0';
	c->mdd_retry.tries = 0;
	c->state = FRONT_UP;
	log_info("leg_up conf=%s mdd=%s", c->id, c->mdd);
	front_progress(c, "connected to %s", c->mdd);
	front_subscribe_again(c);
	front_joined(c);
}

void
front_mdd_lost(struct front_conf *c, const char *why)
{
	front_leg_free(c->leg);
	c->leg = NULL;
	perc_timer_stop(c->agent->loop, &c->token2_timer);
	if (!wanted(c))
		return;
	if (c->state == FRONT_CONNECTING) /* it never carried anything */
		front_mdds_next(c);
	c->state = FRONT_CONNECTING;
	retry(c, why);
}

static void
on_left(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;

	c->leave_req = NULL;
	front_leave_step(c);
}

void
front_mdd_stop(struct front_conf *c)
{
	char *auth;

	perc_httpc_cancel(c->join_req);
	c->join_req = NULL;
	front_leg_free(c->leg);
	c->leg = NULL;
	if (c->token2 == NULL || c->leg_url == NULL || c->leave_req != NULL)
		return;
	if ((auth = text_new("Authorization: Bearer %s", c->token2)) != NULL) {
		const char *headers[] = { auth, NULL };

		if (perc_httpc_start(c->agent->http, &c->leave_req, "DELETE",
			c->leg_url, headers, NULL, 0, NULL, 0, on_left, c) != 0)
			c->leave_req = NULL;
	}
	text_free(auth);
}
