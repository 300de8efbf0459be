/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member's daily life: renew the token, and tell trouble from the end. The
 * KMF being away is no reason to leave: the vault's keys live on until their
 * ttl, and it alone counts that.
 */
#include "agent/front.h"

#include <stdlib.h>
#include <string.h>

#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/log.h"

#define NOTICE_WAIT_MS 3000 /* for the signed word after a refusal */
#define ANSWER_MAX     65536

static void on_token_timer(void *arg);

int64_t
front_backoff(struct front_retry *r)
{
	int64_t ms = FRONT_BACKOFF_MIN_MS;

	for (unsigned i = 0; i < r->tries && ms < FRONT_BACKOFF_MAX_MS; i++)
		ms *= 2;
	if (ms > FRONT_BACKOFF_MAX_MS)
		ms = FRONT_BACKOFF_MAX_MS;
	r->tries++;
	return ms / 2 + (int64_t)(perc_random_u32() % (uint32_t)(ms / 2 + 1));
}

void
front_later(
    struct front_conf *c, struct perc_timer *t, int64_t in_ms, perc_loop_fn fn)
{
	if (perc_timer_set(c->agent->loop, t, in_ms, fn, c) != 0)
		fatalx("no memory for a timer");
}

bool
front_is_live(const struct front_conf *c)
{
	return c->state == FRONT_CONNECTING || c->state == FRONT_UP;
}

void
front_trouble(struct front_conf *c, const struct perc_httpc_answer *a)
{
	char words[FRONT_WORDS_MAX];

	front_answer_words(a, words, sizeof(words));
	if (strcmp(words, c->kmf_words) != 0)
		log_warnx("kmf_trouble conf=%s words=\"%s\"", c->id, words);
	text_put(c->kmf_words, sizeof(c->kmf_words), "%s", words);
}

static void
on_no_notice(void *arg)
{
	struct front_conf *c = arg;

	text_put(c->words, sizeof(c->words), "the KMF says: %s", c->kmf_words);
	front_leave(c);
}

/* What the events would have told, if there had been any: with the refusal. */
static void
notice_take(struct front_conf *c, const struct perc_httpc_answer *a)
{
	const char *strs[] = { c->id, NULL };
	json_t *j = NULL;

	if (perc_json_parse(&j, a->body, a->len, 16384, NULL, 0) == 0 &&
	    (strs[1] = perc_json_str(j, "notice")) != NULL &&
	    front_vault_ask(
		c->agent->vault, VAULT_NOTICE, strs, 2, NULL, NULL) != 0)
		log_warnx("notice_lost conf=%s", c->id);
	json_decref(j);
}

/* The KMF no longer knows us. Its signed notice is what the vault believes;
 * if none comes, or none can, going is right all the same. */
void
front_doomed(struct front_conf *c, const struct perc_httpc_answer *a)
{
	front_trouble(c, a);
	if (perc_timer_armed(&c->over_timer))
		return;
	if (c->vault_live)
		notice_take(c, a);
	/* Its answer is on its way when the vault is asked to leave. */
	front_later(c, &c->over_timer,
	    front_events_followed(c) ? NOTICE_WAIT_MS : 0, on_no_notice);
}

bool
front_answer_final(const struct perc_httpc_answer *a)
{
	return a->err == 0 &&
	    (a->status == 403 || a->status == 404 || a->status == 410);
}

/* ---- token1 ------------------------------------------------------------- */

static void
token_plan(struct front_conf *c)
{
	int64_t left = c->token1_until_ms - perc_boot_ms();

	front_later(c, &c->token_timer, left > 3000 ? left * 2 / 3 : 1000,
	    on_token_timer);
}

static void
on_token(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;

	if (a->err == 0 && a->status == 200 && front_token1_take(c, a) == 0) {
		c->token_retry.tries = 0;
		c->kmf_words[0] = '\0';
		token_plan(c);
		return;
	}
	front_trouble(c, a);
	front_later(
	    c, &c->token_timer, front_backoff(&c->token_retry), on_token_timer);
}

static void
on_token_first(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;

	if (a->err == 0 && a->status / 100 == 4 && c->code == NULL &&
	    front_token1_ask(c, &c->token_call, true, on_token) == 0)
		return;
	on_token(a, arg);
}

static void
token_ask(void *arg)
{
	struct front_conf *c = arg;

	if (!front_is_live(c) || c->token_call != NULL)
		return;
	if (front_token1_ask(c, &c->token_call, false, on_token_first) != 0) {
		text_put(c->kmf_words, sizeof(c->kmf_words),
		    "your login has ended: perch login");
		front_later(c, &c->token_timer, front_backoff(&c->token_retry),
		    on_token_timer);
	}
}

static void
on_token_timer(void *arg)
{
	struct front_conf *c = arg;

	if (c->code != NULL)
		token_ask(c);
	else
		front_login_refresh(c->agent, c->kmf, token_ask, c);
}

/* A 401: the token ended early, perhaps the KMF has new keys. */
void
front_token_soon(struct front_conf *c)
{
	if (c->token_call == NULL && c->token_retry.tries == 0)
		front_later(c, &c->token_timer, front_backoff(&c->token_retry),
		    on_token_timer);
}

void
front_live_start(struct front_conf *c)
{
	c->state = FRONT_CONNECTING;
	c->returning = false;
	c->token_retry.tries = 0;
	log_info("entered conf=%s member=%s epoch=%lld", c->id, c->member,
	    (long long)c->epoch);
	front_lease_start(c);
	token_plan(c);
	front_roster_want(c, 0);
	front_events_start(c);
	front_mdd_start(c);
}
