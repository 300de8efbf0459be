/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the perch command asks (docs/wire/local.md). The answers are for
 * people and scripts; nothing in them is secret.
 */
#include "agent/front.h"

#include <stdlib.h>
#include <string.h>

#include "agent/local.h"
#include "perc/json.h"

/* By id, by URI, or the only one. */
static struct front_conf *
conf_named(struct agent *a, const char *name)
{
	const char *id = name != NULL ? strrchr(name, '/') : NULL;
	struct front_conf *only = NULL;

	if (name != NULL)
		return front_conf_find(a, id != NULL ? id + 1 : name);
	for (size_t i = 0; i < FRONT_CONFS_MAX; i++) {
		if (a->confs[i] == NULL || a->confs[i]->state == FRONT_OVER)
			continue;
		if (only != NULL)
			return NULL;
		only = a->confs[i];
	}
	return only;
}

/* ---- what the perch command asks ---------------------------------------- */

static void
cmd_join(struct agent *a, struct local_req *r, const json_t *j)
{
	const char *uri = perc_json_str(j, "uri");
	char why[FRONT_WORDS_MAX] = "out of memory";

	if (uri == NULL)
		local_error(r, "usage", "join: uri is missing");
	else if (front_enter(a, r, uri, perc_json_str(j, "code"), why,
		     sizeof(why)) != 0)
		local_error(r, "bad_uri", why);
}

static void
cmd_leave(struct agent *a, struct local_req *r, const json_t *j)
{
	struct front_conf *c = conf_named(a, perc_json_str(j, "conference"));

	if (c == NULL) {
		local_error(r, "not_joined",
		    perc_json_str(j, "conference") != NULL
			? "not in that conference"
			: "in no conference, or in several: name one");
		return;
	}
	if (c->leaver != NULL)
		local_error(c->leaver, "failed", "somebody else asked too");
	c->leaver = r;
	front_leave(c);
}

static void
cmd_roster(struct agent *a, struct local_req *r, const json_t *j)
{
	struct front_conf *c = conf_named(a, perc_json_str(j, "conference"));

	if (c == NULL)
		local_error(r, "not_joined",
		    perc_json_str(j, "conference") != NULL
			? "not in that conference"
			: "in no conference, or in several: name one");
	else
		local_result(r,
		    json_pack("{s:s, s:s, s:O?, s:O?}", "conference", c->id,
			"you", c->member, "state", c->roster_state, "members",
			c->roster));
}

static void
cmd_subscribe(struct agent *a, struct local_req *r, const json_t *j)
{
	struct front_conf *c = conf_named(a, perc_json_str(j, "conference"));

	if (c == NULL)
		local_error(r, "not_joined", "not in that conference");
	else
		front_subscribe(c, r, json_object_get(j, "subscriptions"));
}

/* Keeps a status request until the vault has told its part. */
struct status {
	struct agent *agent;
	struct local_req *req;
	struct status *next;
};

/* Of the vault's own words, what belongs to conference j. */
static void
vault_add(json_t *j, const json_t *vault)
{
	const char *id = perc_json_str(j, "conference"), *name;
	json_t *v, *roster, *o, *list = json_object_get(vault, "conferences");
	size_t i, held = 0;

	json_array_foreach(list, i, v)
	{
		name = perc_json_str(v, "conference");
		if (name == NULL || id == NULL || strcmp(name, id) != 0)
			continue;
		held = json_array_size(json_object_get(v, "spis"));
		roster = json_object_get(v, "roster");
		if ((o = json_object_get(roster, "code")) != NULL)
			json_object_set(j, "code", o);
		if ((o = json_object_get(roster, "warnings")) != NULL)
			json_object_set(j, "warnings", o);
		json_object_set(j, "vault", v);
	}
	json_object_set_new(j, "epochs_held", json_integer((json_int_t)held));
}

json_t *
front_status_json(struct agent *a, const json_t *vault)
{
	json_t *all = json_array(), *one;

	/* Those we are in first, those that are over behind. */
	for (int over = 0; over < 2; over++)
		for (size_t i = 0; i < FRONT_CONFS_MAX; i++) {
			if (a->confs[i] == NULL ||
			    (a->confs[i]->state == FRONT_OVER) != over)
				continue;
			one = front_conf_json(a->confs[i]);
			vault_add(one, vault);
			json_array_append_new(all, one);
		}
	return json_pack("{s:o, s:o?, s:o}", "conferences", all, "protection",
	    json_loads(a->vault_report, 0, NULL), "logins",
	    front_logins_json(a));
}

static void
on_vault_status(int err, const char *text, void *arg)
{
	struct status *s = arg, **p;
	json_t *vault = err == 0 ? json_loads(text, 0, NULL) : NULL;

	for (p = &s->agent->statuses; *p != s; p = &(*p)->next)
		continue;
	*p = s->next;
	if (s->req != NULL)
		local_result(s->req, front_status_json(s->agent, vault));
	json_decref(vault);
	free(s);
}

static void
cmd_status(struct agent *a, struct local_req *r, const json_t *j)
{
	struct status *s = calloc(1, sizeof(*s));
	const char *strs[] = { "" };

	if (s != NULL) {
		*s = (struct status){ a, r, a->statuses };
		a->statuses = s;
		if (front_vault_ask(a->vault, VAULT_STATUS, strs, 1,
			on_vault_status, s) == 0)
			return;
		a->statuses = s->next;
		free(s);
	}
	local_error(r, "failed", "the vault does not answer");
}

static void
cmd_login(struct agent *a, struct local_req *r, const json_t *j)
{
	char why[FRONT_WORDS_MAX] = "out of memory";

	if (front_login_start(a, r, j, why, sizeof(why)) != 0)
		local_error(r, "failed", why);
}

static void
cmd_logout(struct agent *a, struct local_req *r, const json_t *j)
{
	char why[FRONT_WORDS_MAX];

	if (front_login_logout(
		a, r, perc_json_str(j, "kmf"), why, sizeof(why)) != 0)
		local_error(r, "failed", why);
}

static const struct {
	const char *name;
	void (*fn)(struct agent *a, struct local_req *r, const json_t *args);
} commands[] = {
	{ "admin", front_admin_start },
	{ "join", cmd_join },
	{ "leave", cmd_leave },
	{ "status", cmd_status },
	{ "roster", cmd_roster },
	{ "subscribe", cmd_subscribe },
	{ "relays", front_relay_try },
	{ "login", cmd_login },
	{ "logout", cmd_logout },
	{ "watch", front_watch_start },
};

void
front_command(
    struct local_req *r, const char *cmd, const json_t *args, void *arg)
{
	struct agent *a = arg;

	if (!a->vault_ready || a->stopping) {
		local_error(r, "not_ready",
		    a->stopping ? "the agent is stopping"
				: "the agent is starting");
		return;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(cmd, commands[i].name) == 0) {
			commands[i].fn(a, r, args);
			return;
		}
	local_error(r, "usage", "no such command");
}

/* Whoever asked has gone; what was asked goes on. */
void
front_asker_gone(struct local_req *r, void *arg)
{
	struct agent *a = arg;

	front_relay_try_gone(a, r);
	for (size_t i = 0; i < FRONT_CONFS_MAX; i++) {
		struct front_conf *c = a->confs[i];

		if (c != NULL && c->joiner == r)
			c->joiner = NULL;
		if (c != NULL && c->leaver == r)
			c->leaver = NULL;
		if (c != NULL && c->subscriber == r)
			c->subscriber = NULL;
	}
	for (struct status *s = a->statuses; s != NULL; s = s->next)
		if (s->req == r)
			s->req = NULL;
	front_login_cancel(a, r);
	front_admin_gone(a, r);
	front_watch_gone(a, r);
}

void
front_statuses_free(struct agent *a)
{
	struct status *s;

	while ((s = a->statuses) != NULL) {
		a->statuses = s->next;
		free(s);
	}
}

json_t *
front_conf_json(const struct front_conf *c)
{
	static const char *const names[] = { "entering", "connecting", "up",
		"leaving", "over" };
	json_t *j = json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:o}", "conference",
	    c->id, "uri", c->uri, "state", names[c->state], "words", c->words,
	    "kmf_trouble", c->kmf_words, "mdd_trouble", c->mdd_words, "member",
	    c->member, "epoch", (json_int_t)c->epoch, "events", c->events_open,
	    "leg", front_leg_json(c->leg));

	if (j == NULL)
		return json_object();
	json_object_set_new(j, "follows",
	    json_string(front_events_followed(c) ? "stream" : "polling"));
	if (c->title != NULL)
		json_object_set_new(j, "title", json_string(c->title));
	if (c->name != NULL)
		json_object_set_new(j, "name", json_string(c->name));
	if (c->mdd != NULL)
		json_object_set_new(j, "mdd", json_string(c->mdd));
	if (c->ends_at != NULL)
		json_object_set_new(j, "ends_at", json_string(c->ends_at));
	if (c->streams != NULL && c->state != FRONT_OVER)
		json_object_update(j, c->streams); /* "in" and "out" */
	if (c->speaking != NULL && c->state != FRONT_OVER)
		json_object_set(j, "speaking", c->speaking);
	if (c->roster_state != NULL)
		json_object_set(j, "roster", c->roster_state);
	return j;
}

void
front_joined(struct front_conf *c)
{
	if (c->joiner != NULL)
		local_result(c->joiner, front_conf_json(c));
	c->joiner = NULL;
}
