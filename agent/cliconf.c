/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conferences: what there is, and what is done to one of them. A conference
 * may be named by its id or by its URI, a series by "s_...".
 */
#include "agent/cli.h"

#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/json.h"
#include "perc/loop.h"

static const char *
invitee_name(const json_t *i)
{
	static const char *const names[] = { "email", "domain", "group",
		"sub" };
	const char *s = "";

	for (size_t n = 0; n < 4 && s[0] == '\0'; n++)
		s = cli_get(i, names[n]);
	return s;
}

static void
show_invitees(const json_t *j)
{
	static const char *const head[] = { "INVITED", "ROLE", "KIND", "MAIL",
		"INVITEE" };
	struct cli_table t = { .columns = 5, .flex = 1 };
	const json_t *i, *list = json_object_get(j, "invitees");
	size_t n;

	if (json_array_size(list) == 0)
		return;
	cli_table_row(&t, head);
	json_array_foreach(list, n, i)
	{
		const char *cells[] = { invitee_name(i), cli_get(i, "role"),
			cli_get(i, "kind"),
			cli_get(json_object_get(i, "mail"), "state"),
			cli_get(i, "id") };

		cli_table_row(&t, cells);
	}
	cli_table_print(&t);
}

static void
show_occurrences_of(const json_t *list)
{
	static const char *const head[] = { "STARTS", "ENDS", "STATE", "",
		"CONFERENCE" };
	struct cli_table t = { .columns = 5 };
	const json_t *o;
	size_t n;

	cli_table_row(&t, head);
	json_array_foreach(list, n, o)
	{
		const char *cells[] = { cli_table_time(o, "starts_at"),
			cli_table_time(o, "ends_at"), cli_get(o, "state"),
			json_is_true(json_object_get(o, "exception"))
			    ? "changed"
			    : "",
			cli_get(o, "conference") };

		cli_table_row(&t, cells);
	}
	cli_table_print(&t);
}

void
cli_show_conference(const json_t *j)
{
	const json_t *list = json_object_get(j, "occurrences");
	bool series = list != NULL;

	cli_say("%s", cli_get(j, "title"));
	cli_say("  %s", cli_get(j, "uri"));
	cli_say("  %s%s; from %s to %s", cli_get(j, "state"),
	    json_is_true(json_object_get(j, "locked")) ? ", locked" : "",
	    cli_time(j, "starts_at"), cli_time(j, "ends_at"));
	if (series)
		cli_say("  again by %s in %s", cli_get(j, "rrule"),
		    cli_get(j, "tzid"));
	else
		cli_say("  %lld member%s in it, epoch %lld, media at %s",
		    cli_number(j, "members_live"),
		    cli_number(j, "members_live") == 1 ? "" : "s",
		    cli_number(j, "epoch"), cli_get(j, "mdd"));
	if (json_object_get(j, "series") != NULL)
		cli_say("  of the series %s", cli_get(j, "series"));
	show_invitees(j);
	if (json_array_size(list) != 0)
		show_occurrences_of(list);
}

static void
show_list(const json_t *j)
{
	static const char *const head[] = { "TITLE", "STATE", "STARTS",
		"MEMBERS", "CONFERENCE" };
	struct cli_table t = { .columns = 5, .flex = 1 };
	const json_t *one;
	size_t i;

	cli_table_row(&t, head);
	json_array_foreach(json_object_get(j, "items"), i, one)
	{
		char live[24];
		const char *cells[] = { cli_get(one, "title"),
			cli_get(one, "state"), cli_table_time(one, "starts_at"),
			live, cli_get(one, "id") };

		text_put(live, sizeof(live), "%lld",
		    cli_number(one, "members_live"));
		cli_table_row(&t, cells);
	}
	cli_table_print(&t);
}

int
cli_list(const struct cli *c)
{
	struct text path = { 0 };
	int r = CLI_FAILED;

	if (c->opt[CLI_SERIES] != NULL && c->opt[CLI_STATE] != NULL) {
		cli_complain("--state is of conferences, not of series");
		return CLI_USAGE;
	}
	text_add(&path,
	    c->opt[CLI_SERIES] != NULL ? "/v1/series?limit=100"
				       : "/v1/conferences?limit=100");
	if (c->opt[CLI_STATE] != NULL) {
		text_add(&path, "&state=");
		text_add_escaped(&path, c->opt[CLI_STATE]);
	}
	if (c->opt[CLI_TITLE] != NULL) {
		text_add(&path, "&title=");
		text_add_escaped(&path, c->opt[CLI_TITLE]);
	}
	if (!path.failed)
		r = cli_run_pages(c, path.p, "cursor", show_list);
	text_clear(&path);
	return r;
}

int
cli_show(const struct cli *c)
{
	return cli_run_on(c, "GET", "", NULL, cli_show_conference);
}

static void
show_occurrences(const json_t *j)
{
	show_occurrences_of(json_object_get(j, "items"));
}

int
cli_occurrences(const struct cli *c)
{
	char path[CLI_PATH_MAX];

	if (!cli_conference_path(path, sizeof(path), c->arg[0], "/occurrences"))
		return CLI_USAGE;
	if (strncmp(path, "/v1/series/", 11) != 0) {
		cli_complain("%s is one conference; a series is s_... (perch "
			     "conference list --series)",
		    cli_clean(c->arg[0]));
		return CLI_USAGE;
	}
	return cli_run_pages(c, path, "after", show_occurrences);
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
	return cli_run_on(c, "POST", "/end", NULL, show_ended);
}

static void
show_locked(const json_t *j)
{
	cli_say("\"%s\" is locked: nobody new comes in.", cli_get(j, "title"));
}

int
cli_lock(const struct cli *c)
{
	return cli_run_on(c, "POST", "/lock", NULL, show_locked);
}

static void
show_unlocked(const json_t *j)
{
	cli_say("\"%s\" is open again to who is invited.", cli_get(j, "title"));
}

int
cli_unlock(const struct cli *c)
{
	return cli_run_on(c, "POST", "/unlock", NULL, show_unlocked);
}

static void
show_extended(const json_t *j)
{
	cli_say(
	    "\"%s\" ends at %s.", cli_get(j, "title"), cli_time(j, "ends_at"));
}

int
cli_extend(const struct cli *c)
{
	int minutes = c->opt[CLI_FOR] != NULL ? atoi(c->opt[CLI_FOR]) : 0;
	char text[PERC_TIME_LEN];
	json_t *body;
	int64_t ms;
	int r;

	if ((minutes > 0) == (c->opt[CLI_END] != NULL)) {
		cli_complain("conference extend: --for MINUTES, or --end TIME");
		return CLI_USAGE;
	}
	if (!cli_time_take(c->opt[CLI_END], c->opt[CLI_TZ], 0, &ms))
		return CLI_USAGE;
	perc_time_put(text, ms);
	body = minutes > 0 ? json_pack("{s:i}", "by_s", minutes * 60)
			   : json_pack("{s:s}", "ends_at", text);
	r = cli_run_on(c, "POST", "/extend", body, show_extended);
	json_decref(body);
	return r;
}

static void
show_cancelled(const json_t *j)
{
	cli_say(
	    "\"%s\" is cancelled; who was in it is out.", cli_get(j, "title"));
}

int
cli_cancel(const struct cli *c)
{
	json_t *body = json_pack("{s:s*}", "reason", c->opt[CLI_REASON]);
	int r;

	if (c->opt[CLI_NO_MAIL] != NULL)
		json_object_set_new(body, "notify", json_false());
	r = cli_run_on(c, "POST", "/cancel", body, show_cancelled);
	json_decref(body);
	return r;
}

static void
show_deleted(const json_t *j)
{
	cli_say("Cancelled where it was not over, and forgotten; the audit "
		"log remembers.");
}

int
cli_delete(const struct cli *c)
{
	return cli_run_delete(c, "", show_deleted);
}
