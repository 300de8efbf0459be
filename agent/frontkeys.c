/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a member asks of the KMF at the beginning and again and again:
 * token1, and the key itself.
 */
#include "agent/front.h"

#include <stdlib.h>
#include <string.h>

#include "perc/json.h"
#include "perc/log.h"

#define GRANT	      "urn:ietf:params:oauth:grant-type:token-exchange"
#define CODE_TYPE     "urn:perch:params:oauth:token-type:invitation-code"
#define ANSWER_MAX    65536
#define KEYS_EVERY_MS 1000 /* least time between two POST .../keys */
#define HINT_TRIES    1	   /* of the back-off's growth: 0.5 to 1 s */
#define VAIN_MIN_MS   2000 /* between two for hints that were wrong */
#define VAIN_MAX_MS   30000

/* ---- token1 ------------------------------------------------------------- */

int
front_token1_ask(struct front_conf *c, struct front_call **callp,
    bool second_best, perc_httpc_fn done)
{
	struct front_subject s = { c->code, CODE_TYPE, NULL };
	struct front_ask ask = { .method = "POST",
		.url = c->token_endpoint,
		.type = "application/x-www-form-urlencoded" };
	struct text form = { 0 };
	int r = PERC_ERR_NOMEM;

	if (c->code == NULL &&
	    !front_login_subject(c->agent, c->kmf, second_best, &s))
		return PERC_ERR_NOTFOUND;
	text_add_form(&form, "grant_type", GRANT);
	text_add_form(&form, "subject_token", s.token);
	text_add_form(&form, "subject_token_type", s.type);
	text_add_form(&form, "resource", c->resource);
	/* An opaque token does not say whose it is; the KMF may ask several. */
	text_add_form(&form, "issuer", s.issuer);
	ask.body = form.p;
	if (!form.failed)
		r = front_call_start(
		    c->agent, callp, &c->nonces, FRONT_NONCE_AS, &ask, done, c);
	text_clear(&form);
	return r;
}

int
front_token1_take(struct front_conf *c, const struct perc_httpc_answer *a)
{
	const char *token, *member, *type;
	int64_t expires;
	json_t *j = NULL;
	int r;

	if ((r = perc_json_parse(&j, a->body, a->len, ANSWER_MAX, NULL, 0)) !=
	    0)
		return r;
	token = perc_json_str(j, "access_token");
	member = perc_json_str(j, "member");
	type = perc_json_str(j, "token_type");
	r = PERC_ERR_FORMAT;
	if (token == NULL || strlen(token) > 8192 ||
	    !text_is_id(member, "m_") || type == NULL ||
	    strcmp(type, "DPoP") != 0 ||
	    perc_json_int(&expires, j, "expires_in", 1, 86400) != 0)
		goto out;
	text_free(c->token1);
	c->token1 = text_dup(token);
	c->token1_until_ms = perc_boot_ms() + expires * 1000;
	text_put(c->member, sizeof(c->member), "%s", member);
	r = c->token1 != NULL ? 0 : PERC_ERR_NOMEM;
out:
	json_decref(j);
	return r;
}

/* ---- the key --------------------------------------------------------------
 */

int
front_keys_ask(
    struct front_conf *c, struct front_call **callp, perc_httpc_fn done)
{
	struct front_ask ask = { .method = "POST",
		.token = c->token1,
		.type = "application/json",
		.seal_jkt = true };
	char *url = text_new("%s/keys", c->resource);
	char *body = text_new("{\"seal_to\":%s}", c->agent->seal_jwk);
	int r = PERC_ERR_NOMEM;

	ask.url = url;
	ask.body = body;
	if (url != NULL && body != NULL)
		r = front_call_start(
		    c->agent, callp, &c->nonces, FRONT_NONCE_RS, &ask, done, c);
	free(url);
	free(body);
	return r;
}

void
front_epoch_note(struct front_conf *c, const char *json)
{
	int64_t epoch;
	json_t *j;

	if (perc_json_parse(&j, json, strlen(json), ANSWER_MAX, NULL, 0) != 0)
		return;
	if (perc_json_int(&epoch, j, "epoch", 0, INT64_MAX) == 0 &&
	    epoch > c->epoch) {
		c->epoch = epoch;
		c->hint.vain_ms = c->hint.next_ms = 0;
		front_progress(c, "got key of epoch %lld", (long long)epoch);
		log_info("epoch conf=%s epoch=%lld", c->id, (long long)epoch);
	}
	json_decref(j);
}

/* ---- keys again
 * --------------------------------------------------------------- */

/* The KMF knows of nothing newer: whoever named it was wrong, or lied. */
static void
hint_vain(struct front_conf *c)
{
	int64_t twice = 2 * c->hint.vain_ms;

	c->hint.vain_ms = twice < VAIN_MIN_MS ? VAIN_MIN_MS
	    : twice > VAIN_MAX_MS	      ? VAIN_MAX_MS
					      : twice;
	c->hint.next_ms = perc_now_ms() + c->hint.vain_ms;
}

static void
on_key_taken(int err, const char *text, void *arg)
{
	struct front_conf *c = arg;
	int64_t had = c->epoch;

	if (err != 0)
		log_warnx("key_refused conf=%s why=\"%s\"", c->id, text);
	else
		front_epoch_note(c, text);
	if (c->hint.asked && c->epoch == had)
		hint_vain(c);
	c->hint.asked = false;
	front_events_early(c);
	if (err == 0)
		front_lease_soon(c);
}

static void
on_keys_timer(void *arg)
{
	struct front_conf *c = arg;

	front_keys_want(c);
}

/*
 * Where packets name a key that we lack and the KMF is away, it is asked again
 * each second: it may be back at once, and the vault keeps those packets for
 * 8 s. That ends with the epoch at the latest. What nobody answered does not
 * count as asked.
 */
static void
keys_again(struct front_conf *c, const struct perc_httpc_answer *a)
{
	if (a->err != 0) {
		c->keys_asked_ms = 0;
		if (c->hint.asked && c->keys_retry.tries > HINT_TRIES)
			c->keys_retry.tries = HINT_TRIES;
	}
	front_later(c, &c->keys_retry.timer, front_backoff(&c->keys_retry),
	    on_keys_timer);
}

static void
on_keys(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;
	const char *strs[] = { c->id, a->body };

	if (!front_is_live(c))
		return;
	if (a->err == 0 && a->status == 200) {
		c->keys_retry.tries = 0;
		c->kmf_words[0] = '\0';
		if (front_vault_ask(c->agent->vault, VAULT_KEY, strs, 2,
			on_key_taken, c) != 0)
			log_warnx("vault_full conf=%s", c->id);
	} else if (front_answer_final(a)) {
		front_doomed(c, a);
	} else {
		front_trouble(c, a);
		if (a->status == 401)
			front_token_soon(c);
		keys_again(c, a);
	}
}

void
front_keys_want(struct front_conf *c)
{
	int64_t now = perc_now_ms(), since = now - c->keys_asked_ms;

	if (!front_is_live(c) || c->keys_call != NULL ||
	    perc_timer_armed(&c->keys_retry.timer))
		return;
	if (c->keys_asked_ms != 0 && since < KEYS_EVERY_MS) {
		front_later(c, &c->keys_retry.timer, KEYS_EVERY_MS - since,
		    on_keys_timer);
		return;
	}
	c->keys_asked_ms = now;
	if (front_keys_ask(c, &c->keys_call, on_keys) != 0)
		front_later(c, &c->keys_retry.timer,
		    front_backoff(&c->keys_retry), on_keys_timer);
}

void
front_keys_hint(struct front_conf *c, uint16_t spi)
{
	if (!front_is_live(c) || c->keys_call != NULL ||
	    perc_now_ms() < c->hint.next_ms ||
	    perc_timer_armed(&c->keys_retry.timer))
		return;
	log_info("key_wanted conf=%s spi=%u", c->id, spi);
	c->hint.asked = true;
	front_keys_want(c);
}
