/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lease: who renews it is here, and its answer says which epoch and
 * roster there are. Where no event stream works it is the only news, and then
 * it is asked for each second (docs/wire/events.md).
 */
#include "agent/front.h"

#include <stdlib.h>
#include <string.h>

#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/log.h"

#define ANSWER_MAX 65536
/* Renewals where no stream tells what happens. Shorter than two keys overlap
 * by default, so that nobody's media is lost; more people, more patience. */
#define POLL_MS	      1000
#define POLL_PER_MS   5
#define POLL_FIRST_MS 2000 /* a stream should be open by then */

static void on_lease_timer(void *arg);

static void
lease_plan(struct front_conf *c)
{
	int64_t ms = c->lease_ms / 3, poll;

	if (!front_events_followed(c)) {
		poll =
		    POLL_MS + POLL_PER_MS * (int64_t)json_array_size(c->roster);
		poll = poll * 3 / 4 + perc_random_u32() % (poll / 2);
		ms = poll < ms ? poll : ms;
	}
	front_later(c, &c->lease_timer, ms, on_lease_timer);
}

/* An event may be on its way: a stream gets one more second. */
static void
lease_behind(struct front_conf *c)
{
	bool again = c->behind++ > 0;

	if (front_events_followed(c) && !again) {
		front_later(c, &c->lease_timer, 1000, on_lease_timer);
		return;
	}
	if (front_events_followed(c)) {
		log_info("events_late conf=%s", c->id);
		c->events_late = true;
	}
	front_keys_want(c);
}

static void
lease_news(struct front_conf *c, const struct perc_httpc_answer *a)
{
	int64_t epoch = 0, seq = 0, expires = 0;
	json_t *j = NULL;

	if (perc_json_parse(&j, a->body, a->len, ANSWER_MAX, NULL, 0) != 0)
		return;
	if (perc_json_int(&expires, j, "expires_in", 1, 86400) == 0)
		c->lease_ms = expires * 1000;
	if (perc_json_int(&epoch, j, "epoch", 0, INT64_MAX) == 0 &&
	    epoch > c->epoch)
		lease_behind(c);
	else
		c->behind = 0;
	if (perc_json_int(&seq, j, "roster_seq", 0, INT64_MAX) == 0 &&
	    seq > c->roster_seq)
		front_roster_want(c, 500);
	json_decref(j);
}

/* Taken, or refused for good: it is not told again. */
static void
receipt_done(struct front_conf *c, const struct perc_httpc_answer *a)
{
	if (!c->receipt_told || a->err != 0 ||
	    (a->status != 200 && a->status != 400))
		return;
	log_info("receipt_told conf=%s taken=%d", c->id, a->status == 200);
	free(c->receipt);
	c->receipt = NULL;
	c->receipt_told = false;
}

static void
on_lease(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;

	receipt_done(c, a);
	if (!front_is_live(c))
		return;
	lease_plan(c);
	if (a->err == 0 && a->status == 200) {
		c->kmf_words[0] = '\0';
		perc_timer_stop(c->agent->loop, &c->over_timer);
		lease_news(c, a);
		return;
	}
	front_trouble(c, a);
	if (a->err != 0 || a->status >= 500)
		front_later(c, &c->lease_timer, 750 + perc_random_u32() % 500,
		    on_lease_timer);
	else if (a->status == 401)
		front_token_soon(c);
	else
		front_keys_want(c); /* starts a lapsed lease, or tells why */
}

static void
on_lease_timer(void *arg)
{
	struct front_conf *c = arg;
	struct front_ask ask = {
		.method = "PUT", .token = c->token1, .type = "application/json"
	};
	char *url, *body;

	if (!front_is_live(c) || c->lease_call != NULL)
		return;
	url = text_new("%s/lease", c->resource);
	body = c->receipt == NULL
	    ? text_new("{\"epoch\":%lld}", (long long)c->epoch)
	    : text_new("{\"epoch\":%lld,\"receipt\":\"%s\"}",
		  (long long)c->epoch, c->receipt);
	c->receipt_told = c->receipt != NULL;
	ask.url = url;
	ask.body = body;
	if (url == NULL || body == NULL ||
	    front_call_start(c->agent, &c->lease_call, &c->nonces,
		FRONT_NONCE_RS, &ask, on_lease, c) != 0)
		front_later(c, &c->lease_timer, 1000, on_lease_timer);
	free(url);
	free(body);
}

void
front_lease_in(struct front_conf *c, int64_t ms)
{
	if (front_is_live(c))
		front_later(c, &c->lease_timer, ms, on_lease_timer);
}

void
front_lease_soon(struct front_conf *c)
{
	front_lease_in(c, 0);
}

/* A stream that is not open by now may never be. */
static void
on_lease_first(void *arg)
{
	struct front_conf *c = arg;

	if (front_events_followed(c))
		front_later(c, &c->lease_timer,
		    c->lease_ms > 3 * POLL_FIRST_MS
			? c->lease_ms / 3 - POLL_FIRST_MS
			: 0,
		    on_lease_timer);
	else
		on_lease_timer(c);
}

void
front_lease_start(struct front_conf *c)
{
	int64_t first_ms = c->lease_ms / 3;

	c->behind = 0;
	c->events_eaten = c->events_late = false;
	if (first_ms > POLL_FIRST_MS)
		first_ms = POLL_FIRST_MS;
	front_later(c, &c->lease_timer, c->receipt != NULL ? 0 : first_ms,
	    c->receipt != NULL ? on_lease_timer : on_lease_first);
}
