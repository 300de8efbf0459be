/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One endpoint's life without media, in the order and with the delays of the
 * agent's front (agent/frontenter.c, frontlive.c, frontevents.c): token1,
 * key, then stream, lease and roster; a lease told anew after each epoch.
 */
#include "tests/load/load.h"
#include "tests/load/media.h"

#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/secret.h"

#define GRANT	       "urn:ietf:params:oauth:grant-type:token-exchange"
#define CODE_TYPE      "urn:perch:params:oauth:token-type:invitation-code"
#define LEASE_MS       5000
#define LEASE_AGAIN_MS 750  /* and up to 500 more */
#define SPREAD_MS      1000 /* when a large conference asks for its roster */
#define AGAIN_MS       500
#define AGAIN_MAX      15000
#define KEYS_MS	       1000 /* least time between two POST .../keys */
#define TOKEN_US       (200 * 1000000ll) /* of the 300 s that a token1 has */

static void token_ask(void *arg);
static void keys_ask(void *arg);

void
load_seat_later(
    struct load_seat *s, struct perc_timer *t, int64_t ms, perc_loop_fn fn)
{
	if (perc_timer_set(s->l->loop, t, ms, fn, s) != 0)
		exit(1);
}

/* Growing, and different for each: as front_backoff() has it. */
int64_t
load_seat_backoff(unsigned *tries)
{
	int64_t ms = AGAIN_MS;

	for (unsigned i = 0; i < *tries && ms < AGAIN_MAX; i++)
		ms *= 2;
	if (ms > AGAIN_MAX)
		ms = AGAIN_MAX;
	++*tries;
	return ms / 2 + (int64_t)(perc_random_u32() % (uint32_t)(ms / 2 + 1));
}

static void
ask(struct load_seat *s, const char *method, const char *what, const char *body,
    const char *seal_jkt, perc_httpc_fn done)
{
	char url[768];
	struct load_ask a = { .method = method,
		.url = url,
		.token = s->token,
		.type = body != NULL ? "application/json" : NULL,
		.body = body,
		.seal_jkt = seal_jkt };

	text_put(url, sizeof(url), "%s/%s", s->l->resource, what);
	load_ask(&s->peer, &a, done, s);
}

static bool
good(const struct perc_httpc_answer *a)
{
	return a->err == 0 && a->status == 200;
}

void
load_seat_end(void *arg)
{
	struct load_seat *s = arg;

	s->state = SEAT_OUT;
	s->stream_open = s->roster_busy = s->keys_busy = s->lease_busy =
	    s->token_busy = false;
	json_decref(s->early);
	s->early = NULL;
	perc_timer_stop(s->l->loop, &s->keys);
	perc_timer_stop(s->l->loop, &s->lease);
	perc_timer_stop(s->l->loop, &s->roster);
	perc_timer_stop(s->l->loop, &s->again);
	load_peer_clear(&s->peer);
}

/* --- roster, lease ---------------------------------------------------------
 */
static void
on_roster(const struct perc_httpc_answer *a, void *arg)
{
	struct load_seat *s = arg;

	s->roster_busy = false;
	if (s->state == SEAT_LIVE && good(a) &&
	    load_roster_answer(s, a->body, a->len) != 0)
		s->l->count->bad_rosters++;
}

void
load_seat_roster(void *arg)
{
	struct load_seat *s = arg;
	char what[48];

	if (s->state != SEAT_LIVE || s->roster_busy || s->l->no_rosters)
		return;
	s->roster_busy = true;
	text_put(
	    what, sizeof(what), "roster?since=%lld", (long long)s->roster_seq);
	if (s->roster_seq == 0 || s->l->whole_rosters)
		what[6] = '\0';
	ask(s, "GET", what, NULL, NULL, on_roster);
}

void
load_seat_roster_want(struct load_seat *s, int64_t have)
{
	s->roster_seq = have;
	if (!s->roster_busy && !perc_timer_armed(&s->roster))
		load_seat_later(s, &s->roster, perc_random_u32() % SPREAD_MS,
		    load_seat_roster);
}

static void
on_lease(const struct perc_httpc_answer *a, void *arg)
{
	struct load_seat *s = arg;
	int64_t epoch = 0;
	json_t *j = NULL;

	s->lease_busy = false;
	if (s->state != SEAT_LIVE)
		return;
	if (good(a) &&
	    perc_json_parse(&j, a->body, a->len, 65536, NULL, 0) == 0) {
		s->l->count->leases++;
		if (perc_json_int(&epoch, j, "epoch", 0, INT64_MAX) == 0 &&
		    epoch > s->epoch && !s->stream_open)
			load_seat_keys_ask(s);
		json_decref(j);
	} else if (a->err == 0 && a->status == 409)
		load_seat_keys_ask(s);
	load_seat_later(s, &s->lease,
	    a->err == 0 ? LEASE_MS : LEASE_AGAIN_MS + perc_random_u32() % 500,
	    load_seat_lease);
}

void
load_seat_lease(void *arg)
{
	struct load_seat *s = arg;
	char body[64];

	if (s->state != SEAT_LIVE)
		return;
	if (s->lease_busy || s->l->board->quiet) {
		load_seat_later(s, &s->lease, 100 + perc_random_u32() % 400,
		    load_seat_lease);
		return;
	}
	if (load_us() - s->token_us > TOKEN_US)
		token_ask(s); /* for the next */
	s->lease_busy = true;
	text_put(body, sizeof(body), "{\"epoch\":%lld}", (long long)s->epoch);
	ask(s, "PUT", "lease", body, NULL, on_lease);
}

/* --- coming in -------------------------------------------------------------
 */
void
load_seat_came_in(struct load_seat *s)
{
	s->state = SEAT_LIVE;
	s->live_us = load_us();
	s->l->count->first_keys++;
	s->tries.stream = 0;
	front_sse_clear(&s->sse);
	load_stream_ask(s);
	load_seat_later(s, &s->lease, LEASE_MS, load_seat_lease);
	if (s->l->board->react)
		load_seat_later(s, &s->roster, 0, load_seat_roster);
}

/* As agent/frontkeys.c has it: what nobody answered does not count. */
static void
keys_again(struct load_seat *s, const struct perc_httpc_answer *a)
{
	if (a->err != 0) {
		s->keys_us = 0;
		if (s->media != NULL && s->tries.keys > 1)
			s->tries.keys = 1;
	}
	load_seat_later(
	    s, &s->keys, load_seat_backoff(&s->tries.keys), keys_ask);
}

static void
on_keys(const struct perc_httpc_answer *a, void *arg)
{
	struct load_seat *s = arg;

	s->keys_busy = false;
	if (s->state != SEAT_JOINING && s->state != SEAT_LIVE)
		return;
	if (!good(a)) {
		if (s->state == SEAT_JOINING)
			load_seat_later(s, &s->begin,
			    load_seat_backoff(&s->tries.keys), token_ask);
		else
			keys_again(s, a);
		return;
	}
	s->tries.keys = 0;
	if (load_key_first(s, a->body, a->len) != 0)
		s->l->count->bad_keys++;
	else if (s->media != NULL)
		load_media_key(s, a->body); /* goes on when it is taken */
	else if (s->state == SEAT_JOINING)
		load_seat_came_in(s);
	load_stream_early(s);
}

static void
keys_ask(void *arg)
{
	load_seat_keys_ask(arg);
}

/* As often as the agent does. */
static bool
keys_too_soon(struct load_seat *s)
{
	int64_t since_ms = (load_us() - s->keys_us) / 1000;

	if (s->state != SEAT_LIVE || s->keys_us == 0 || since_ms >= KEYS_MS)
		return false;
	load_seat_later(s, &s->keys, KEYS_MS - since_ms, keys_ask);
	return true;
}

void
load_seat_keys_ask(struct load_seat *s)
{
	char *body;

	if ((s->state != SEAT_JOINING && s->state != SEAT_LIVE) ||
	    s->keys_busy || perc_timer_armed(&s->keys) || keys_too_soon(s))
		return;
	s->keys_us = load_us();
	s->keys_busy = true;
	body = text_new("{\"seal_to\":%s}", s->seal_jwk);
	ask(s, "POST", "keys", body, s->seal_jkt, on_keys);
	text_free(body);
}

static void
on_token(const struct perc_httpc_answer *a, void *arg)
{
	struct load_seat *s = arg;
	json_t *j = NULL;
	const char *member;

	s->token_busy = false;
	if (s->state != SEAT_JOINING && s->state != SEAT_LIVE)
		return;
	if (!good(a) ||
	    perc_json_parse(&j, a->body, a->len, 65536, NULL, 0) != 0) {
		if (s->state == SEAT_JOINING)
			load_seat_later(s, &s->begin,
			    load_seat_backoff(&s->tries.token), token_ask);
		return; /* a lease will ask for it again */
	}
	s->tries.token = 0;
	text_free(s->token);
	s->token = text_dup(perc_json_str(j, "access_token"));
	s->token_us = load_us();
	if ((member = perc_json_str(j, "member")) != NULL)
		text_put(s->member, sizeof(s->member), "%s", member);
	json_decref(j);
	if (s->state == SEAT_JOINING)
		load_seat_keys_ask(s);
}

static void
token_ask(void *arg)
{
	struct load_seat *s = arg;
	char url[512];
	struct text form = { 0 };
	struct load_ask a = { .method = "POST",
		.url = url,
		.type = "application/x-www-form-urlencoded" };

	if ((s->state != SEAT_JOINING && s->state != SEAT_LIVE) ||
	    s->token_busy)
		return;
	s->token_busy = true;
	if (s->peer.http == NULL && load_peer_open(&s->peer, s->l) != 0)
		exit(1);
	text_put(url, sizeof(url), "%s/oauth/token", s->l->base);
	text_add_form(&form, "grant_type", GRANT);
	text_add_form(&form, "subject_token", s->code);
	text_add_form(&form, "subject_token_type", CODE_TYPE);
	text_add_form(&form, "resource", s->l->resource);
	a.body = form.p;
	load_ask(&s->peer, &a, on_token, s);
	text_clear(&form);
}

void
load_seat_join(struct load_seat *s, int64_t in_ms)
{
	s->state = SEAT_JOINING;
	s->due_us = load_us() + in_ms * 1000;
	s->epoch = s->epoch_told = s->roster_seq = s->live_us = s->stream_us =
	    s->gone_us = 0;
	memset(&s->tries, 0, sizeof(s->tries));
	memset(s->held_us, 0, LOAD_EPOCHS_MAX * sizeof(*s->held_us));
	if (s->media != NULL)
		load_media_begin(s);
	load_seat_later(s, &s->begin, in_ms, token_ask);
}

/* --- going -----------------------------------------------------------------
 */
static void
on_left(const struct perc_httpc_answer *a, void *arg)
{
	struct load_seat *s = arg;

	load_seat_later(s, &s->end, 0, load_seat_end);
}

static void
leave_ask(void *arg)
{
	struct load_seat *s = arg;

	if (s->state != SEAT_LIVE)
		return;
	s->state = SEAT_LEAVING;
	s->gone_us = load_us();
	if (s->media != NULL)
		load_media_gone(s);
	ask(s, "DELETE", "lease", NULL, NULL, on_left);
}

void
load_seat_leave(struct load_seat *s, int64_t in_ms)
{
	load_seat_later(s, &s->begin, in_ms, leave_ask);
}

int
load_seat_init(struct load_seat *s, struct load *l, unsigned index)
{
	int r;

	s->l = s->peer.l = l;
	front_sse_init(&s->sse);
	if ((r = perc_jwk_generate(&s->peer.key)) != 0 ||
	    (r = perc_jwk_generate(&s->seal)) != 0)
		return r;
	if (index < l->nmedia && (r = load_media_init(s, index)) != 0)
		return r;
	if ((r = perc_jwk_public_json(&s->seal_jwk, s->seal)) != 0)
		return r;
	return perc_jwk_thumbprint(s->seal_jkt, s->seal);
}

void
load_seat_clear(struct load_seat *s)
{
	if (s->media != NULL)
		load_media_clear(s);
	load_seat_end(s);
	perc_timer_stop(s->l->loop, &s->begin);
	perc_timer_stop(s->l->loop, &s->end);
	front_sse_clear(&s->sse);
	perc_jwk_free(s->peer.key);
	perc_jwk_free(s->seal);
	perc_json_free(s->seal_jwk);
	text_free(s->token);
	perc_wipe(s->delivery, sizeof(s->delivery));
}
