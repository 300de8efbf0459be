/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An administrator's commands: each is one request to the KMF and one way to
 * show its answer. A conference may be named by its id or by its URI.
 */
#include "agent/cli.h"

#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/json.h"
#include "perc/loop.h"

#define PATH_CAP 256
#define FOR_MIN	 60 /* minutes, when nothing is said */

/* "c_..." out of an id or a URI. */
static bool
conference_id(const struct cli *c, char *out, size_t cap)
{
	const char *slash = strrchr(c->arg[0], '/');
	const char *id = slash != NULL ? slash + 1 : c->arg[0];

	if (!text_is_id(id, "c_")) {
		cli_complain("%s is no conference (c_..., or its URI)",
		    cli_clean(c->arg[0]));
		return false;
	}
	text_put(out, cap, "%s", id);
	return true;
}

typedef void (*show_fn)(const json_t *j);

/* The whole life of one command. */
static int
run(const struct cli *c, const char *method, const char *path,
    const json_t *body, show_fn show)
{
	struct cli_answer a = { 0 };
	struct cli_kmf *k = NULL;
	int r;

	if ((r = cli_kmf_open(&k, c)) != CLI_OK)
		return r;
	r = cli_kmf_call(k, &a, method, path, body);
	if (r == CLI_OK && cli_json(c)) {
		if (a.body != NULL)
			cli_print_json(a.body);
		else
			cli_say("{}");
	} else if (r == CLI_OK) {
		show(a.body);
	}
	cli_answer_clear(&a);
	cli_kmf_close(k);
	return r;
}

/* The same for ".../conferences/<arg 0><tail>". */
static int
run_on(const struct cli *c, const char *method, const char *tail,
    const json_t *body, show_fn show)
{
	char id[64], path[PATH_CAP];

	if (!conference_id(c, id, sizeof(id)))
		return CLI_USAGE;
	text_put(path, sizeof(path), "/v1/conferences/%s%s", id, tail);
	return run(c, method, path, body, show);
}

static long long
number(const json_t *j, const char *name)
{
	return (long long)json_integer_value(json_object_get(j, name));
}

/* ---- conferences
 * ------------------------------------------------------------------- */

static void
show_one(const json_t *j)
{
	const json_t *i, *invitees = json_object_get(j, "invitees");
	size_t n;

	cli_say("%s", cli_get(j, "title"));
	cli_say("  %s", cli_get(j, "uri"));
	cli_say("  %s; from %s to %s", cli_get(j, "state"),
	    cli_get(j, "starts_at"), cli_get(j, "ends_at"));
	cli_say("  %lld members in it, epoch %lld, media at %s",
	    number(j, "members_live"), number(j, "epoch"), cli_get(j, "mdd"));
	json_array_foreach(invitees, n, i)
	{
		const char *who = cli_get(i, "email");

		if (who[0] == '\0')
			who = cli_get(i, "group");
		if (who[0] == '\0')
			who = cli_get(i, "sub");
		cli_say("  invited: %s %s", who, cli_get(i, "role"));
	}
}

static void
show_list(const json_t *j)
{
	static const char *const head[] = { "TITLE", "STATE", "STARTS",
		"MEMBERS", "CONFERENCE" };
	struct cli_table t = { .columns = 5 };
	const json_t *one;
	size_t i;

	cli_table_row(&t, head);
	json_array_foreach(json_object_get(j, "items"), i, one)
	{
		char live[24];
		const char *cells[] = { cli_get(one, "title"),
			cli_get(one, "state"), cli_get(one, "starts_at"), live,
			cli_get(one, "id") };

		text_put(
		    live, sizeof(live), "%lld", number(one, "members_live"));
		cli_table_row(&t, cells);
	}
	cli_table_print(&t);
	if (json_object_get(j, "next") != NULL)
		cli_say("There are more.");
}

/* RFC 3339, or NULL: the given default, ms from now. */
static bool
time_take(const char *text, int64_t fallback_ms, int64_t *ms)
{
	*ms = fallback_ms;
	if (text == NULL || strcmp(text, "now") == 0)
		return true;
	if (perc_time_get(ms, text) == 0)
		return true;
	cli_complain(
	    "\"%s\" is no time like 2026-11-21T09:30:00Z", cli_clean(text));
	return false;
}

static bool
window_take(const struct cli *c, json_t *body)
{
	int64_t now = perc_wall_ms(), start, end;
	char text[PERC_TIME_LEN];
	int minutes = c->opt[CLI_FOR] != NULL ? atoi(c->opt[CLI_FOR]) : FOR_MIN;

	if (!time_take(c->opt[CLI_START], now, &start) ||
	    !time_take(c->opt[CLI_END], start + minutes * 60000LL, &end))
		return false;
	if (minutes <= 0 || end <= start) {
		cli_complain("a conference ends after it starts");
		return false;
	}
	perc_time_put(text, start);
	json_object_set_new(body, "starts_at", json_string(text));
	perc_time_put(text, end);
	json_object_set_new(body, "ends_at", json_string(text));
	return true;
}

static bool
policy_take(const struct cli *c, json_t *body)
{
	json_t *p;

	if (c->opt[CLI_POLICY] == NULL)
		return true;
	if ((p = json_loads(
		 c->opt[CLI_POLICY], JSON_REJECT_DUPLICATES, NULL)) == NULL) {
		cli_complain("--policy wants a JSON object, like "
			     "{\"lease_s\":30}");
		return false;
	}
	json_object_set_new(body, "policy", p);
	return true;
}

static void
show_created(const json_t *j)
{
	show_one(j);
	cli_say(
	    "Invite guests with: perch conference invite %s", cli_get(j, "id"));
}

int
cli_create(const struct cli *c)
{
	json_t *body, *who = json_array();
	int r = CLI_USAGE;

	if (c->opt[CLI_TITLE] == NULL) {
		cli_complain("conference create: --title is missing");
		json_decref(who);
		return CLI_USAGE;
	}
	for (unsigned i = 0; i < c->ninvite; i++)
		json_array_append_new(
		    who, json_pack("{s:s}", "email", c->invite[i]));
	for (unsigned i = 0; i < c->ngroup; i++)
		json_array_append_new(
		    who, json_pack("{s:s}", "group", c->group[i]));
	body = json_pack(
	    "{s:s, s:o}", "title", c->opt[CLI_TITLE], "invitees", who);
	if (window_take(c, body) && policy_take(c, body))
		r = run(c, "POST", "/v1/conferences", body, show_created);
	json_decref(body);
	return r;
}

int
cli_list(const struct cli *c)
{
	struct text path = { 0 };
	int r;

	text_add(&path, "/v1/conferences");
	if (c->opt[CLI_STATE] != NULL) {
		text_add(&path, "?state=");
		text_add_escaped(&path, c->opt[CLI_STATE]);
	}
	r = path.failed ? CLI_FAILED : run(c, "GET", path.p, NULL, show_list);
	text_clear(&path);
	return r;
}

int
cli_show(const struct cli *c)
{
	return run_on(c, "GET", "", NULL, show_one);
}

static void
show_ended(const json_t *j)
{
	cli_say(
	    "\"%s\" has ended; its keys are destroyed.", cli_get(j, "title"));
}

int
cli_end(const struct cli *c)
{
	return run_on(c, "POST", "/end", NULL, show_ended);
}

static void
show_rekeyed(const json_t *j)
{
	cli_say("New key: epoch %lld.", number(j, "epoch"));
}

int
cli_rekey(const struct cli *c)
{
	return run_on(c, "POST", "/rekey", NULL, show_rekeyed);
}

/* ---- people
 * -------------------------------------------------------------------------- */

static void
show_invited(const json_t *j)
{
	cli_say("Give this to %s, by a way you trust; it is shown only now "
		"and opens one place:",
	    cli_get(j, "name")[0] != '\0' ? cli_get(j, "name") : "your guest");
	cli_say("  %s", cli_get(j, "uri"));
	cli_say("  code %s", cli_get(j, "code"));
}

int
cli_invite(const struct cli *c)
{
	json_t *body =
	    json_pack("{s:s*, s:s*, s:s*}", "email", c->opt[CLI_EMAIL], "name",
		c->opt[CLI_NAME], "kind", c->opt[CLI_KIND]);
	int r = run_on(c, "POST", "/invitations", body, show_invited);

	json_decref(body);
	return r;
}

static void
show_members(const json_t *j)
{
	static const char *const head[] = { "NAME", "IDENTITY", "STATE",
		"EPOCH", "MEMBER" };
	struct cli_table t = { .columns = 5 };
	long long now = number(j, "epoch");
	unsigned live = 0, on = 0;
	const json_t *m;
	size_t i;

	cli_table_row(&t, head);
	json_array_foreach(json_object_get(j, "items"), i, m)
	{
		const json_t *id = json_object_get(m, "identity");
		char epoch[24];
		const char *cells[] = { cli_get(m, "name"),
			cli_get(id, "email"), cli_get(m, "state"), epoch,
			cli_get(m, "member") };

		if (cells[1][0] == '\0')
			cells[1] = cli_get(id, "sub");
		text_put(epoch, sizeof(epoch), "%lld", number(m, "epoch"));
		if (strcmp(cells[2], "live") == 0) {
			live++;
			on += number(m, "epoch") == now;
		}
		cli_table_row(&t, cells);
	}
	cli_table_print(&t);
	cli_say("%u of %u on epoch %lld", on, live, now);
}

int
cli_members(const struct cli *c)
{
	return run_on(c, "GET", "/members", NULL, show_members);
}

static void
show_evicted(const json_t *j)
{
	cli_say("Evicted, from every endpoint and for good; the key changes.");
}

int
cli_evict(const struct cli *c)
{
	char tail[96];

	if (!text_is_id(c->arg[1], "m_")) {
		cli_complain("%s is no member (m_..., see conference members)",
		    cli_clean(c->arg[1]));
		return CLI_USAGE;
	}
	text_put(tail, sizeof(tail), "/members/%s", c->arg[1]);
	return run_on(c, "DELETE", tail, NULL, show_evicted);
}
