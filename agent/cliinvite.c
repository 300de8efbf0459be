/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invitations: codes for guests without an account, and what calendars and
 * mail say to all who are invited. A code is shown once; who loses it gets
 * another.
 */
#include "agent/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/text.h"
#include "perc/json.h"

static void
show_code(const json_t *j)
{
	const char *name = cli_get(j, "name");

	if (json_object_get(j, "code") == NULL) {
		cli_say("Sent anew; a guest's earlier code is good no more.");
		return;
	}
	cli_say("Give this to %s, by a way you trust; it is shown only now "
		"and opens one place:",
	    name[0] != '\0' ? name : "your guest");
	cli_say("  %s", cli_get(j, "uri"));
	cli_say("  code %s", cli_get(j, "code"));
	if (cli_get(j, "expires_at")[0] != '\0')
		cli_say("  good until %s", cli_time(j, "expires_at"));
}

int
cli_invite(const struct cli *c)
{
	char text[PERC_TIME_LEN];
	json_t *body;
	int64_t ms;
	int r;

	if (!cli_time_take(c->opt[CLI_EXPIRES], c->opt[CLI_TZ], 0, &ms))
		return CLI_USAGE;
	perc_time_put(text, ms);
	body = json_pack("{s:s*, s:s*, s:s*, s:s*, s:s*}", "email",
	    c->opt[CLI_EMAIL], "name", c->opt[CLI_NAME], "kind",
	    c->opt[CLI_KIND], "role", c->opt[CLI_ROLE], "expires_at",
	    c->opt[CLI_EXPIRES] != NULL ? text : NULL);
	if (c->opt[CLI_NO_MAIL] != NULL)
		json_object_set_new(body, "notify", json_false());
	r = cli_run_on(c, "POST", "/invitations", body, show_code);
	json_decref(body);
	return r;
}

static void
show_list(const json_t *j)
{
	static const char *const head[] = { "NAME", "E-MAIL", "STATE", "KIND",
		"MAIL", "UNTIL", "INVITATION" };
	struct cli_table t = { .columns = 7, .flex = 3 };
	const json_t *i;
	size_t n;

	cli_table_row(&t, head);
	json_array_foreach(json_object_get(j, "items"), n, i)
	{
		const char *cells[] = { cli_get(i, "name"), cli_get(i, "email"),
			cli_get(i, "state"), cli_get(i, "kind"),
			cli_get(json_object_get(i, "mail"), "state"),
			cli_table_time(i, "expires_at"), cli_get(i, "id") };

		cli_table_row(&t, cells);
	}
	cli_table_print(&t);
}

int
cli_invite_list(const struct cli *c)
{
	char path[CLI_PATH_MAX];

	if (!cli_conference_path(path, sizeof(path), c->arg[0], "/invitations"))
		return CLI_USAGE;
	return cli_run_pages(c, path, "cursor", show_list);
}

/* "/invitations/i_..." or "/invitees/v_..." out of argument 1. */
static bool
target_take(const struct cli *c, char *tail, size_t cap, const char *suffix)
{
	const char *who = c->arg[1];

	if (text_is_id(who, "i_"))
		text_put(tail, cap, "/invitations/%s%s", who, suffix);
	else if (text_is_id(who, "v_"))
		text_put(tail, cap, "/invitees/%s%s", who, suffix);
	else {
		cli_complain("%s is no invitation (i_..., see perch invite "
			     "list) and no invitee (v_..., see perch "
			     "conference show)",
		    cli_clean(who));
		return false;
	}
	return true;
}

int
cli_invite_resend(const struct cli *c)
{
	char tail[96];

	if (!target_take(c, tail, sizeof(tail), "/send"))
		return CLI_USAGE;
	return cli_run_on(c, "POST", tail, NULL, show_code);
}

static void
show_revoked(const json_t *j)
{
	cli_say("Revoked; who came in by it is out.");
}

int
cli_invite_revoke(const struct cli *c)
{
	char tail[96];

	if (!text_is_id(c->arg[1], "i_")) {
		cli_complain("%s is no invitation (i_..., see perch invite "
			     "list); who is invited by name is taken off with "
			     "perch conference update --uninvite",
		    cli_clean(c->arg[1]));
		return CLI_USAGE;
	}
	text_put(tail, sizeof(tail), "/invitations/%s", c->arg[1]);
	return cli_run_delete(c, tail, show_revoked);
}

static int
file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	size_t n = strlen(text);
	bool good = fd >= 0 && write(fd, text, n) == (ssize_t)n;

	if (fd >= 0 && close(fd) != 0)
		good = false;
	if (!good)
		cli_complain("%s: %s", path, strerror(errno));
	return good ? CLI_OK : CLI_FAILED;
}

static int
ics_get(const struct cli *c, struct cli_kmf *k, const char *path)
{
	struct cli_answer a = { 0 };
	int r = cli_kmf_call(k, &a, "GET", path, NULL);

	if (r == CLI_OK && a.text == NULL) {
		cli_complain("the answer is no calendar file");
		r = CLI_FAILED;
	} else if (r == CLI_OK && c->opt[CLI_OUT] != NULL)
		r = file_write(c->opt[CLI_OUT], a.text);
	else if (r == CLI_OK)
		fputs(a.text, stdout);
	cli_answer_clear(&a);
	return r;
}

int
cli_invite_ics(const struct cli *c)
{
	char tail[96], path[CLI_PATH_MAX];
	struct cli_kmf *k = NULL;
	int r;

	if (!target_take(c, tail, sizeof(tail), ".ics") ||
	    !cli_conference_path(path, sizeof(path), c->arg[0], tail))
		return CLI_USAGE;
	if ((r = cli_kmf_open(&k, c)) == CLI_OK)
		r = ics_get(c, k, path);
	cli_kmf_close(k);
	return r;
}
