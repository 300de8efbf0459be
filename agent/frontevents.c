/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event stream of a conference (docs/wire/events.md). It is a
 * convenience of speed, never of trust: everything on it is signed for the
 * vault, and whatever gets lost is noticed by the lease or by an unknown SPI.
 *
 * Proxies that inspect TLS like to keep an answer until it is whole, which a
 * stream never is. Such a stream looks open and says nothing; some let the
 * first buffer through. So a stream counts once the KMF's first octet has
 * come, and after a bad experience only when it has lived through a heart
 * beat; until then the lease is renewed often (frontlease.c), and its answer
 * tells of epochs and rosters.
 */
#include "agent/front.h"

#include <stdlib.h>
#include <string.h>

#include "agent/local.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/log.h"

#define IDLE_MS	  25000 /* the KMF's heart beats every 10 s */
#define SOON_MAX  50	/* so many tell at once which epoch they have */
#define SPREAD_MS 1000	/* when a large conference asks for its roster */
#define ALIVE_MS  8000	/* a beat this long after the first octet is proof */
#define LOST_MS	  750	/* a stream that broke should be back by then */

static void on_retry(void *arg);

/* All get the key at once; a thousand shall not tell so at once. */
static void
lease_spread(struct front_conf *c)
{
	size_t n = json_array_size(c->roster);

	if (n <= SOON_MAX)
		front_lease_soon(c);
	else
		front_lease_in(c, perc_random_u32() % (uint32_t)n);
}

/*
 * Whoever lost the lease and asks for the keys again gets another delivery
 * key with the answer. Events sealed with that come by a connection of their
 * own, and by another front of the KMF perhaps: they may overtake the answer.
 */
static void
early_keep(
    struct front_conf *c, int64_t epoch, const char *statement, const char *box)
{
	front_events_early_forget(c);
	if (c->keys_call == NULL)
		return;
	c->early.epoch = epoch;
	c->early.statement = text_dup(statement);
	c->early.sealed = text_dup(box);
	if (c->early.statement == NULL || c->early.sealed == NULL)
		front_events_early_forget(c); /* the lease will tell */
}

void
front_events_early_forget(struct front_conf *c)
{
	free(c->early.statement);
	free(c->early.sealed);
	memset(&c->early, 0, sizeof(c->early));
}

static void
on_epoch_taken(int err, const char *text, void *arg)
{
	struct front_conf *c = arg;

	if (err == 0) {
		front_epoch_note(c, text);
		lease_spread(c);
		return;
	}
	if (c->early.epoch > c->epoch) {
		log_info("epoch_early conf=%s why=\"%s\"", c->id, text);
		return;
	}
	log_warnx("epoch_refused conf=%s why=\"%s\"", c->id, text);
	front_keys_want(c);
}

void
front_events_early(struct front_conf *c)
{
	const char *strs[] = { c->id, c->early.statement, c->early.sealed };
	bool wanted = c->early.epoch > c->epoch;
	int r = 0;

	c->early.epoch = 0; /* once */
	if (wanted)
		r = front_vault_ask(
		    c->agent->vault, VAULT_EPOCH, strs, 3, on_epoch_taken, c);
	front_events_early_forget(c);
	if (r != 0)
		front_keys_want(c);
}

/* A fetch overtook it; whether it is of use is for the vault to say. */
static void
jumped_over(struct front_conf *c, const char *const strs[3])
{
	if (strs[1] != NULL && strs[2] != NULL)
		(void)!front_vault_ask(
		    c->agent->vault, VAULT_EPOCH, strs, 3, NULL, NULL);
}

static void
on_epoch(struct front_conf *c, const json_t *j)
{
	const char *statement = perc_json_str(j, "statement");
	const char *sealed = perc_json_str(j, "sealed");
	const char *strs[] = { c->id, statement, sealed };
	int64_t epoch = 0, told = c->epoch_told;

	if (perc_json_int(&epoch, j, "epoch", 0, INT64_MAX) == 0) {
		if (epoch > told)
			c->epoch_told = epoch;
		if (epoch <= c->epoch) { /* a resumed stream says it again */
			if (epoch > told && epoch < c->epoch)
				jumped_over(c, strs);
			return;
		}
	}
	c->events_late = false;
	if (statement != NULL && sealed != NULL)
		early_keep(c, epoch, statement, sealed);
	if (statement == NULL || sealed == NULL ||
	    front_vault_ask(
		c->agent->vault, VAULT_EPOCH, strs, 3, on_epoch_taken, c) != 0)
		front_keys_want(c);
}

static void
on_roster(struct front_conf *c, const json_t *j)
{
	const char *roster = perc_json_str(j, "roster");
	int64_t seq;

	if (roster != NULL)
		front_roster_give(c, roster);
	else if (perc_json_int(&seq, j, "seq", 0, INT64_MAX) != 0 ||
	    seq > c->roster_seq)
		front_roster_want(c, perc_random_u32() % SPREAD_MS);
}

/* The next after the one held, or after one that the vault is just given. */
static void
on_delta(struct front_conf *c, const json_t *j)
{
	const char *delta = perc_json_str(j, "delta");
	int64_t seq;

	if (delta == NULL || perc_json_int(&seq, j, "seq", 0, INT64_MAX) != 0)
		front_roster_want(c, perc_random_u32() % SPREAD_MS);
	else if (seq > c->roster_seq && c->roster != NULL)
		front_roster_give(c, delta);
}

static void
on_notice(struct front_conf *c, const json_t *j)
{
	const char *strs[] = { c->id, perc_json_str(j, "notice") };

	if (strs[1] == NULL ||
	    front_vault_ask(
		c->agent->vault, VAULT_NOTICE, strs, 2, NULL, NULL) != 0)
		log_warnx("notice_lost conf=%s", c->id);
}

static void
on_conference(struct front_conf *c, const json_t *j)
{
	const char *title = perc_json_str(j, "title");
	const char *ends = perc_json_str(j, "ends_at");

	if (title != NULL) {
		free(c->title);
		c->title = text_dup(title);
	}
	if (ends != NULL) {
		free(c->ends_at);
		c->ends_at = text_dup(ends);
	}
}

/* The KMF cannot say what we missed. */
static void
on_reset(struct front_conf *c, const json_t *j)
{
	c->roster_seq = 0;
	front_keys_want(c);
	front_roster_want(c, perc_random_u32() % SPREAD_MS);
}

static const struct {
	const char *name;
	void (*fn)(struct front_conf *c, const json_t *j);
} kinds[] = {
	{ "epoch", on_epoch },
	{ "roster", on_roster },
	{ "roster-delta", on_delta },
	{ "evicted", on_notice },
	{ "ended", on_notice },
	{ "conference", on_conference },
	{ "reset", on_reset },
};

static int
on_event(const char *event, const char *data, size_t len, void *arg)
{
	struct front_conf *c = arg;
	json_t *j = NULL;

	if (!c->vault_live)
		return 0;
	if (perc_json_parse(&j, data, len, FRONT_SSE_DATA_MAX, NULL, 0) != 0)
		return PERC_ERR_FORMAT;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(event, kinds[i].name) == 0)
			kinds[i].fn(c, j);
	json_decref(j);
	return 0;
}

/*
 * What did we miss, and are we still in? When a KMF is back a thousand come at
 * once, and what costs it most is a handshake: first the stream, which brings
 * all news, then the lease, not together.
 */
static void
lease_after(struct front_conf *c, const struct perc_httpc_answer *a)
{
	uint32_t n = (uint32_t)json_array_size(c->roster);

	if (a->err == PERC_ERR_TIMEOUT || (a->err == 0 && a->status != 200))
		front_lease_soon(c);
	else
		front_lease_in(c, LOST_MS + perc_random_u32() % (500 + n));
}

static int
on_octets(const char *p, size_t n, void *arg)
{
	struct front_conf *c = arg;
	int64_t now = perc_now_ms();

	if (!c->events_open) {
		log_debug("events_open conf=%s", c->id);
		c->events_open = true;
		c->events_first_ms = now;
		if (c->events_retry.tries > 0)
			lease_spread(c);
	} else if (now - c->events_first_ms >= ALIVE_MS) {
		c->events_eaten = false;
		c->events_retry.tries = 0;
	}
	return front_sse_feed(&c->sse, p, n, on_event, c);
}

static void
retry(struct front_conf *c)
{
	if (perc_timer_set(c->agent->loop, &c->events_retry.timer,
		front_backoff(&c->events_retry), on_retry, c) != 0)
		fatalx("no memory for a timer");
}

static void
on_done(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;
	char words[FRONT_WORDS_MAX];

	front_answer_words(a, words, sizeof(words));
	log_info("events_closed conf=%s status=%d words=\"%s\"", c->id,
	    a->status, a->status == 200 && a->err == 0 ? "end" : words);
	if (a->err == PERC_ERR_TIMEOUT)
		c->events_eaten = true;
	else if (a->err != 0 && !c->events_open)
		front_trouble(c, a); /* as the lease would find it */
	c->events_open = false;
	lease_after(c, a);
	retry(c);
}

void
front_events_start(struct front_conf *c)
{
	struct front_ask ask = { .method = "GET",
		.token = c->token1,
		.on_data = on_octets,
		.idle_ms = IDLE_MS };
	char *url = text_new("%s/events?roster=delta", c->resource),
	     *last = NULL;

	front_sse_restart(&c->sse);
	if (c->sse.last_id[0] != '\0')
		last = text_new("Last-Event-ID: %s", c->sse.last_id);
	ask.url = url;
	ask.extra = last;
	if (url == NULL ||
	    front_call_start(c->agent, &c->events_call, &c->nonces,
		FRONT_NONCE_RS, &ask, on_done, c) != 0)
		retry(c);
	free(url);
	free(last);
}

static void
on_retry(void *arg)
{
	struct front_conf *c = arg;

	if (c->events_call == NULL && c->vault_live)
		front_events_start(c);
}

void
front_events_stop(struct front_conf *c)
{
	front_call_cancel(c->events_call);
	perc_timer_stop(c->agent->loop, &c->events_retry.timer);
	c->events_open = false;
}

bool
front_events_followed(const struct front_conf *c)
{
	return c->events_open && !c->events_eaten && !c->events_late;
}
