/* SPDX-License-Identifier: Apache-2.0 */
/*
 * People in a conference: who is there, who may come, who must go.
 */
#include "agent/cli.h"

#include <string.h>

#include "agent/text.h"
#include "perc/json.h"

#define BEHIND_MAX 10 /* told one by one */

/* Who is not on the newest epoch, and what the KMF knows of the reason. */
static void
show_behind(const json_t *items)
{
	static const struct {
		const char *why, *words;
	} all[] = {
		{ "lease_late", "its lease is late: cut off, or asleep" },
		{ "fetch_refused", "its request for the key was refused" },
		{ "stream_lost", "it has no event stream and has not asked" },
		{ "unconfirmed", "told, not confirmed yet" },
	};
	const json_t *m, *lag;
	unsigned told = 0, more = 0;
	size_t i, k;

	json_array_foreach(items, i, m)
	{
		const char *words = "";

		if ((lag = json_object_get(m, "lag")) == NULL)
			continue;
		for (k = 0; k < sizeof(all) / sizeof(all[0]); k++)
			if (strcmp(cli_get(lag, "why"), all[k].why) == 0)
				words = all[k].words;
		if (++told > BEHIND_MAX)
			more++;
		else
			cli_say("  %s is on epoch %lld: %s%s%s",
			    cli_get(m, "name"), cli_number(m, "epoch"), words,
			    cli_get(lag, "code")[0] != '\0' ? ": " : "",
			    cli_get(lag, "code"));
	}
	if (more > 0)
		cli_say("  and %u more (--json has them all)", more);
}

static void
show_members(const json_t *j)
{
	static const char *const head[] = { "NAME", "IDENTITY", "STATE",
		"EPOCH", "JOINED", "MEMBER" };
	struct cli_table t = { .columns = 6, .flex = 3 };
	long long now = cli_number(j, "epoch");
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
			cli_table_time(m, "joined_at"), cli_get(m, "member") };

		if (cells[1][0] == '\0')
			cells[1] = cli_get(id, "sub");
		text_put(epoch, sizeof(epoch), "%lld", cli_number(m, "epoch"));
		if (strcmp(cells[2], "live") == 0) {
			live++;
			on += cli_number(m, "epoch") == now;
		}
		cli_table_row(&t, cells);
	}
	cli_table_print(&t);
	cli_say("%u of %u on epoch %lld", on, live, now);
	show_behind(json_object_get(j, "items"));
}

int
cli_members(const struct cli *c)
{
	char path[CLI_PATH_MAX];

	if (!cli_conference_path(path, sizeof(path), c->arg[0], "/members"))
		return CLI_USAGE;
	return cli_run_pages(c, path, "cursor", show_members);
}

static void
show_evicted(const json_t *j)
{
	cli_say("Evicted, from every endpoint and for good; the key changes.");
}

/* By what they are invited as: they need never have been in. */
static int
person_evict(const struct cli *c)
{
	json_t *body = json_pack("{s:{s:s*, s:s*, s:s*}}", "subject", "email",
	    c->opt[CLI_EMAIL], "iss", c->opt[CLI_ISS], "sub", c->opt[CLI_SUB]);
	int r = CLI_USAGE;

	if (c->nargs > 1 ||
	    json_object_size(json_object_get(body, "subject")) == 0)
		cli_complain(
		    "evict: whom? A member (m_..., see perch members), "
		    "--email, or --iss with --sub");
	else
		r = cli_run_on(c, "POST", "/evict", body, show_evicted);
	json_decref(body);
	return r;
}

int
cli_evict(const struct cli *c)
{
	bool person = c->opt[CLI_EMAIL] != NULL || c->opt[CLI_ISS] != NULL ||
	    c->opt[CLI_SUB] != NULL;
	char tail[96];

	if (person || c->nargs < 2)
		return person_evict(c);
	if (!text_is_id(c->arg[1], "m_")) {
		cli_complain("%s is no member (m_..., see perch members)",
		    cli_clean(c->arg[1]));
		return CLI_USAGE;
	}
	text_put(tail, sizeof(tail), "/members/%s", c->arg[1]);
	return cli_run_on(c, "DELETE", tail, NULL, show_evicted);
}

static void
show_rekeyed(const json_t *j)
{
	cli_say("New key: epoch %lld.", cli_number(j, "epoch"));
}

int
cli_rekey(const struct cli *c)
{
	return cli_run_on(c, "POST", "/rekey", NULL, show_rekeyed);
}

static void
show_explained(const json_t *j)
{
	static const char *const head[] = { "", "RULE", "WHY" };
	struct cli_table t = { .columns = 3, .flex = 4 };
	const json_t *rule;
	size_t i;

	cli_say("%s",
	    json_is_true(json_object_get(j, "allowed"))
		? "Would get the key."
		: "Would not get the key.");
	cli_table_row(&t, head);
	json_array_foreach(json_object_get(j, "rules"), i, rule)
	{
		const char *cells[] = {
			json_is_true(json_object_get(rule, "passed")) ? "yes"
								      : "NO",
			cli_get(rule, "rule"), cli_get(rule, "detail")
		};

		cli_table_row(&t, cells);
	}
	cli_table_print(&t);
}

static json_t *
subject_take(const struct cli *c)
{
	json_t *s = json_pack("{s:s*, s:s*, s:s*, s:s*, s:s*}", "email",
	    c->opt[CLI_EMAIL], "iss", c->opt[CLI_ISS], "sub", c->opt[CLI_SUB],
	    "member", c->opt[CLI_MEMBER], "invitation", c->opt[CLI_INVITATION]);
	json_t *groups;
	const char *g;

	if (json_object_size(s) == 0) {
		cli_complain("explain: who? --email, --iss with --sub, "
			     "--member or --invitation");
		json_decref(s);
		return NULL;
	}
	if (c->opt[CLI_GROUP] != NULL) {
		groups = json_array();
		for (unsigned at = 0;
		     (g = cli_each(c, CLI_GROUP, &at)) != NULL;)
			json_array_append_new(groups, json_string(g));
		json_object_set_new(s, "groups", groups);
	}
	return s;
}

int
cli_explain(const struct cli *c)
{
	json_t *subject = subject_take(c), *body;
	int r;

	if (subject == NULL)
		return CLI_USAGE;
	body = json_pack("{s:o}", "subject", subject);
	r = cli_run_on(c, "POST", "/explain", body, show_explained);
	json_decref(body);
	return r;
}
