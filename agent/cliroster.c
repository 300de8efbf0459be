/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is in the conference: as the KMF signed it, as the vault judges it, and
 * as two people can compare it by voice.
 */
#include "agent/clitalk.h"

#include <string.h>

#include "agent/text.h"

/* What the vault's warnings (docs/wire/vault.md) mean to a user. */
static const struct {
	const char *word, *text;
} warnings[] = {
	{ "forked",
	    "FORKED: others may have been shown another roster; compare "
	    "`perch code` with them, and do not rely on it" },
	{ "stale", "STALE: the KMF has not confirmed it of late" },
	{ "frozen",
	    "FROZEN: the key has changed and the roster has not; somebody "
	    "may have come whom it does not show" },
	{ "unsigned",
	    "UNSIGNED: a roster was offered that the KMF did not sign; it was "
	    "refused" },
	{ "unlisted", "you are not on it" },
};

void
cli_roster_warn(const json_t *conf, const char *indent)
{
	const json_t *w;
	size_t i, k;

	json_array_foreach(json_object_get(conf, "warnings"), i, w)
	{
		for (k = 0; k < sizeof(warnings) / sizeof(warnings[0]); k++)
			if (strcmp(json_string_value(w), warnings[k].word) == 0)
				cli_say(
				    "%sroster %s", indent, warnings[k].text);
	}
}

/* The agent's whole status; in *onep what it says of the conference that
 * the command names, or of the only one. */
static int
status_get(const struct cli *c, json_t **allp, const json_t **onep)
{
	const char *name = c->nargs > 0 ? c->arg[0] : NULL, *id;
	const json_t *j, *list;
	size_t i, found = 0;
	int r;

	if ((r = talk_once(c, json_pack("{s:s}", "cmd", "status"), allp)) !=
	    CLI_OK)
		return r;
	if (name != NULL && (id = strrchr(name, '/')) != NULL)
		name = id + 1;
	list = json_object_get(*allp, "conferences");
	json_array_foreach(list, i, j)
	{
		if (strcmp(cli_get(j, "state"), "over") == 0 ||
		    (name != NULL &&
			strcmp(cli_get(j, "conference"), name) != 0))
			continue;
		*onep = j;
		found++;
	}
	if (found == 1)
		return CLI_OK;
	cli_complain(name != NULL
		? "not in that conference"
		: "in no conference, or in several: name one");
	return CLI_FAILED;
}

int
cli_code(const struct cli *c)
{
	const json_t *one = NULL, *roster;
	json_t *all = NULL, *out;
	int r;

	if ((r = status_get(c, &all, &one)) != CLI_OK) {
		json_decref(all);
		return r;
	}
	roster = json_object_get(json_object_get(one, "vault"), "roster");
	if (cli_json(c)) {
		out = json_pack("{s:O, s:O?, s:O?, s:O?}", "conference",
		    json_object_get(one, "conference"), "code",
		    json_object_get(one, "code"), "epoch",
		    json_object_get(roster, "epoch"), "warnings",
		    json_object_get(one, "warnings"));
		cli_print_json(out);
		json_decref(out);
	} else if (cli_get(one, "code")[0] == '\0') {
		cli_complain("no roster yet; try again");
		r = CLI_FAILED;
	} else {
		cli_say("%s  (epoch %lld)", cli_get(one, "code"),
		    cli_number(roster, "epoch"));
		cli_roster_warn(one, "");
	}
	json_decref(all);
	return r;
}

static void
show_roster(const json_t *j)
{
	static const char *const head[] = { "NAME", "IDENTITY", "KIND",
		"MEMBER" };
	struct cli_table t = { .columns = 4 };
	const json_t *m, *id;
	size_t i;

	cli_table_row(&t, head);
	json_array_foreach(json_object_get(j, "members"), i, m)
	{
		const char *cells[4] = { cli_get(m, "name") };

		id = json_object_get(m, "identity");
		cells[1] = cli_get(id, "email");
		if (cells[1][0] == '\0')
			cells[1] = cli_get(id, "sub");
		cells[2] = cli_get(m, "kind");
		cells[3] = cli_get(m, "member");
		cli_table_row(&t, cells);
	}
	cli_table_print(&t);
	m = json_object_get(j, "state");
	if (json_is_true(json_object_get(m, "forked")))
		cli_say("FORKED: others may have been shown another roster");
	else if (!json_is_true(json_object_get(m, "fresh")))
		cli_say("STALE: the KMF has not confirmed it of late");
}

int
cli_roster(const struct cli *c)
{
	json_t *j = NULL;
	int r = talk_once(c,
	    json_pack("{s:s, s:s?}", "cmd", "roster", "conference",
		c->nargs > 0 ? c->arg[0] : NULL),
	    &j);

	if (r != CLI_OK)
		return r;
	if (cli_json(c))
		cli_print_json(j);
	else
		show_roster(j);
	json_decref(j);
	return CLI_OK;
}
