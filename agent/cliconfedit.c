/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scheduling a conference, and changing one. A change reads what there is and
 * writes with that version's ETag, so that two people who change the same one
 * do not undo each other unseen.
 */
#include "agent/cli.h"

#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/json.h"
#include "perc/loop.h"

#define FOR_MIN 60 /* minutes, when nothing is said */

static void
time_set(json_t *body, const char *name, int64_t ms)
{
	char text[PERC_TIME_LEN];

	perc_time_put(text, ms);
	json_object_set_new(body, name, json_string(text));
}

/* fallback: of the start; 0: only what is said is set. */
static bool
window_take(const struct cli *c, json_t *body, int64_t start, int64_t end)
{
	const char *tz = c->opt[CLI_TZ], *length = c->opt[CLI_FOR];
	int64_t last = end - start, minutes = length ? atoi(length) : 0;

	if (!cli_time_take(c->opt[CLI_START], tz, start, &start))
		return false;
	if (length != NULL)
		last = minutes * 60000;
	if (!cli_time_take(c->opt[CLI_END], tz, start + last, &end))
		return false;
	if ((length != NULL && minutes <= 0) || end <= start) {
		cli_complain("a conference ends after it starts");
		return false;
	}
	time_set(body, "starts_at", start);
	time_set(body, "ends_at", end);
	return true;
}

static bool
policy_take(const struct cli *c, json_t *body)
{
	json_t *p;

	if (c->opt[CLI_POLICY] == NULL)
		return true;
	p = json_loads(c->opt[CLI_POLICY], JSON_REJECT_DUPLICATES, NULL);
	if (p == NULL) {
		cli_complain("--policy wants a JSON object, like "
			     "{\"lease_s\":30}");
		return false;
	}
	json_object_set_new(body, "policy", p);
	return true;
}

/* The rule counts in somebody's wall clock: ours, if nothing is said. */
static bool
rule_take(const struct cli *c, json_t *body)
{
	const char *tz = c->opt[CLI_TZ], *text;
	json_t *list = NULL;
	unsigned at = 0;
	int64_t ms;

	if (c->opt[CLI_RRULE] != NULL) {
		json_object_set_new(
		    body, "rrule", json_string(c->opt[CLI_RRULE]));
		tz = tz != NULL ? tz : cli_zone();
	}
	if (tz != NULL)
		json_object_set_new(body, "tzid", json_string(tz));
	while ((text = cli_each(c, CLI_EXDATE, &at)) != NULL) {
		char out[PERC_TIME_LEN];

		if (!cli_time_take(text, tz, 0, &ms)) {
			json_decref(list);
			return false;
		}
		perc_time_put(out, ms);
		list = list != NULL ? list : json_array();
		json_array_append_new(list, json_string(out));
	}
	if (list != NULL)
		json_object_set_new(body, "exdates", list);
	if (c->opt[CLI_NO_MAIL] != NULL)
		json_object_set_new(body, "notify", json_false());
	return true;
}

static const struct who {
	enum cli_opt opt;
	const char *member, *role;
} whos[] = {
	{ CLI_INVITE, "email", NULL },
	{ CLI_HOST, "email", "host" },
	{ CLI_GROUP, "group", NULL },
	{ CLI_DOMAIN, "domain", NULL },
};

static void
invitees_add(const struct cli *c, json_t *list)
{
	const char *value;

	for (size_t i = 0; i < sizeof(whos) / sizeof(whos[0]); i++)
		for (unsigned at = 0;
		     (value = cli_each(c, whos[i].opt, &at)) != NULL;)
			json_array_append_new(list,
			    json_pack("{s:s, s:s*}", whos[i].member, value,
				"role", whos[i].role));
}

static void
show_created(const json_t *j)
{
	cli_show_conference(j);
	if (json_object_get(j, "rrule") == NULL)
		cli_say("Invite guests with: perch invite add %s",
		    cli_get(j, "id"));
	else
		cli_say("Guests are invited to one occurrence: perch "
			"conference occurrences %s",
		    cli_get(j, "id"));
}

int
cli_create(const struct cli *c)
{
	int64_t now = perc_wall_ms();
	json_t *body, *who;
	int r = CLI_USAGE;

	if (c->opt[CLI_TITLE] == NULL) {
		cli_complain("conference create: --title is missing");
		return CLI_USAGE;
	}
	who = json_array();
	invitees_add(c, who);
	body = json_pack(
	    "{s:s, s:o}", "title", c->opt[CLI_TITLE], "invitees", who);
	if (window_take(c, body, now, now + FOR_MIN * 60000LL) &&
	    policy_take(c, body) && rule_take(c, body))
		r = cli_run(c, "POST", "/v1/conferences", body, show_created);
	json_decref(body);
	return r;
}

/* ---- changing ------------------------------------------------------------ */
static bool
is_named(const json_t *invitee, const char *who)
{
	static const char *const names[] = { "id", "email", "group", "domain",
		"sub" };
	const char *s;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if ((s = perc_json_str(invitee, names[i])) != NULL &&
		    strcasecmp(s, who) == 0)
			return true;
	return false;
}

/* What may be sent back of an invitee that was read. */
static json_t *
invitee_again(const json_t *i)
{
	return json_pack("{s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*}", "email",
	    perc_json_str(i, "email"), "iss", perc_json_str(i, "iss"), "sub",
	    perc_json_str(i, "sub"), "group", perc_json_str(i, "group"),
	    "domain", perc_json_str(i, "domain"), "role",
	    perc_json_str(i, "role"), "kind", perc_json_str(i, "kind"));
}

static bool
uninvited(const struct cli *c, const json_t *invitee, unsigned *found)
{
	const char *who;

	for (unsigned at = 0; (who = cli_each(c, CLI_UNINVITE, &at)) != NULL;)
		if (is_named(invitee, who)) {
			++*found;
			return true;
		}
	return false;
}

static bool
invitees_change(const struct cli *c, const json_t *have, json_t *body)
{
	json_t *list = json_array();
	unsigned found = 0;
	const json_t *i;
	size_t n;

	json_array_foreach(json_object_get(have, "invitees"), n, i)
	{
		if (!uninvited(c, i, &found))
			json_array_append_new(list, invitee_again(i));
	}
	n = json_array_size(list);
	invitees_add(c, list);
	if (c->opt[CLI_UNINVITE] != NULL && found == 0) {
		cli_complain("--uninvite: nobody of that name is invited");
		json_decref(list);
		return false;
	}
	if (found != 0 || json_array_size(list) != n)
		json_object_set_new(body, "invitees", list);
	else
		json_decref(list);
	return true;
}

/* What the command line says, on what there is. */
static bool
change_make(const struct cli *c, const json_t *have, json_t *body)
{
	int64_t start = 0, end = 0;

	if (c->opt[CLI_TITLE] != NULL)
		json_object_set_new(
		    body, "title", json_string(c->opt[CLI_TITLE]));
	if (c->opt[CLI_START] != NULL || c->opt[CLI_END] != NULL ||
	    c->opt[CLI_FOR] != NULL) {
		const char *s = perc_json_str(have, "starts_at");
		const char *e = perc_json_str(have, "ends_at");

		if (s == NULL || e == NULL || perc_time_get(&start, s) != 0 ||
		    perc_time_get(&end, e) != 0 ||
		    !window_take(c, body, start, end))
			return false;
	}
	return policy_take(c, body) && rule_take(c, body) &&
	    invitees_change(c, have, body);
}

static int
change(const struct cli *c, struct cli_kmf *k, const char *path)
{
	struct cli_answer a = { 0 }, b = { 0 };
	struct cli_how how = { 0 };
	json_t *body = json_object();
	int r;

	if ((r = cli_kmf_call(k, &a, "GET", path, NULL)) != CLI_OK)
		goto out;
	r = CLI_USAGE;
	if (!change_make(c, a.body, body))
		goto out;
	if (json_object_size(body) == 0) {
		cli_complain("conference update: say what shall change "
			     "(perch --help)");
		goto out;
	}
	how.if_match = a.etag;
	r = cli_kmf_call_so(k, &b, "PATCH", path, body, &how);
	if (r == CLI_OK && cli_json(c))
		cli_print_json(b.body);
	else if (r == CLI_OK)
		cli_show_conference(b.body);
out:
	json_decref(body);
	cli_answer_clear(&a);
	cli_answer_clear(&b);
	return r;
}

int
cli_update(const struct cli *c)
{
	char path[CLI_PATH_MAX];
	struct cli_kmf *k = NULL;
	int r;

	if (!cli_conference_path(path, sizeof(path), c->arg[0], ""))
		return CLI_USAGE;
	if ((r = cli_kmf_open(&k, c)) == CLI_OK)
		r = change(c, k, path);
	cli_kmf_close(k);
	return r;
}
