/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rosters on their way to the vault, whole or as differences, and what of
 * them is shown. The vault alone judges them; what is kept here is a list of
 * names for the user, brought up to date with each text that the vault took.
 */
#include "agent/front.h"

#include <stdlib.h>
#include <string.h>

#include "perc/crypto.h"
#include "perc/jose.h"
#include "perc/json.h"
#include "perc/log.h"

#define ANSWER_MAX 65536
#define SPREAD_MS  1000 /* when a large conference asks for its roster */

struct front_news { /* a text that the vault is looking at */
	struct front_news *next;
	char *text;
};

static void
news_add(struct front_conf *c, struct front_news *n)
{
	struct front_news **np = &c->news;

	while (*np != NULL)
		np = &(*np)->next;
	*np = n;
}

static void
news_free(struct front_news *n)
{
	if (n == NULL)
		return;
	free(n->text);
	free(n);
}

void
front_news_forget(struct front_conf *c)
{
	struct front_news *n;

	while ((n = c->news) != NULL) {
		c->news = n->next;
		news_free(n);
	}
}

static bool
is_named(const json_t *list, const char *id, bool entries)
{
	const json_t *o;
	const char *s;
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		o = json_array_get(list, i);
		s = entries ? perc_json_str(o, "member") : json_string_value(o);
		if (s != NULL && id != NULL && strcmp(s, id) == 0)
			return true;
	}
	return false;
}

/* A new list: who asks at the moment holds the old one. */
static json_t *
delta_apply(const json_t *old, const json_t *claims)
{
	const json_t *added = json_object_get(claims, "added");
	const json_t *removed = json_object_get(claims, "removed");
	json_t *list = json_array(), *o;
	const char *id;
	size_t i;

	for (i = 0; list != NULL && i < json_array_size(old); i++) {
		o = json_array_get(old, i);
		id = perc_json_str(o, "member");
		if (!is_named(removed, id, false) && !is_named(added, id, true))
			json_array_append(list, o);
	}
	for (i = 0; list != NULL && i < json_array_size(added); i++)
		json_array_append(list, json_array_get(added, i));
	return list;
}

/* The vault has verified this very text. */
static void
list_show(struct front_conf *c, const char *text)
{
	struct perc_jws jws = { 0 };
	json_t *list = NULL;

	if (perc_jws_peek(&jws, text, strlen(text), PERC_JOSE_BIG_MAX) == 0) {
		list = json_incref(json_object_get(jws.payload, "members"));
		if (list == NULL)
			list = delta_apply(c->roster, jws.payload);
	}
	if (list != NULL) {
		json_decref(c->roster);
		c->roster = list;
	}
	perc_jws_clear(&jws);
}

static void
roster_show(struct front_conf *c, const char *state, const char *text)
{
	int64_t seq = 0;
	json_t *j = NULL;

	if (perc_json_parse(&j, state, strlen(state), ANSWER_MAX, NULL, 0) != 0)
		return;
	(void)!perc_json_int(&seq, j, "seq", 0, INT64_MAX);
	json_decref(c->roster_state);
	c->roster_state = j;
	if (seq == c->roster_seq && c->roster != NULL)
		return; /* the one that we had */
	c->roster_seq = seq;
	list_show(c, text);
}

static void
on_taken(int err, const char *text, void *arg)
{
	struct front_conf *c = arg;
	struct front_news *n = c->news;

	if (n == NULL)
		return;
	c->news = n->next;
	if (err == 0)
		roster_show(c, text, n->text);
	else if (err == PERC_ERR_NOTFOUND) /* some were missed */
		front_roster_want(c, perc_random_u32() % SPREAD_MS);
	else
		log_warnx("roster_refused conf=%s why=\"%s\"", c->id, text);
	news_free(n);
}

void
front_roster_give(struct front_conf *c, const char *jws)
{
	const char *strs[] = { c->id, jws };
	struct front_news *n;

	if (!c->vault_live)
		return;
	if ((n = calloc(1, sizeof(*n))) == NULL ||
	    (n->text = text_dup(jws)) == NULL ||
	    front_vault_ask(
		c->agent->vault, VAULT_ROSTER, strs, 2, on_taken, c) != 0) {
		log_warnx("roster_lost conf=%s", c->id);
		news_free(n);
		return;
	}
	news_add(c, n);
}

/* {"seq", "deltas": [...]}: oldest first. */
static void
deltas_give(struct front_conf *c, const struct perc_httpc_answer *a)
{
	const json_t *list;
	json_t *j = NULL;
	const char *text;
	size_t i;

	if (perc_json_parse(&j, a->body, a->len, PERC_JOSE_BIG_MAX, NULL, 0) !=
	    0)
		return;
	list = json_object_get(j, "deltas");
	for (i = 0; i < json_array_size(list); i++)
		if ((text = json_string_value(json_array_get(list, i))) != NULL)
			front_roster_give(c, text);
	json_decref(j);
}

static void
on_roster(const struct perc_httpc_answer *a, void *arg)
{
	struct front_conf *c = arg;

	if (a->err != 0 || a->status != 200)
		front_trouble(c, a); /* the lease's answer brings us back */
	else if (a->body[0] == '{')
		deltas_give(c, a);
	else
		front_roster_give(c, a->body);
}

static void
on_roster_timer(void *arg)
{
	struct front_conf *c = arg;
	struct front_ask ask = { .method = "GET", .token = c->token1 };
	char *url;

	if (!front_is_live(c) || c->roster_call != NULL)
		return;
	url = c->roster_seq > 0 && c->roster != NULL
	    ? text_new(
		  "%s/roster?since=%lld", c->resource, (long long)c->roster_seq)
	    : text_new("%s/roster", c->resource);
	ask.url = url;
	if (url == NULL ||
	    front_call_start(c->agent, &c->roster_call, &c->nonces,
		FRONT_NONCE_RS, &ask, on_roster, c) != 0)
		log_warnx("roster_not_asked conf=%s", c->id);
	free(url);
}

void
front_roster_want(struct front_conf *c, int64_t in_ms)
{
	if (c->roster_call == NULL && !perc_timer_armed(&c->roster_timer))
		front_later(c, &c->roster_timer, in_ms, on_roster_timer);
}
