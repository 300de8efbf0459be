/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libperchclient for a command: one request, its progress as it comes, one
 * result, and an exit status that scripts can tell apart.
 */
#include "agent/clitalk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/cliqr.h"
#include "agent/text.h"
#include "perc/json.h"
#include "perc/loop.h"

int
talk_open(struct talk *t, const struct cli *c)
{
	memset(t, 0, sizeof(*t));
	t->quiet = cli_json(c);
	t->qr = c->opt[CLI_NO_QR] == NULL;
	if (perch_client_open(&t->client, c->opt[CLI_SOCKET]) == 0)
		return CLI_OK;
	cli_complain("%s", perch_client_error(t->client));
	return CLI_UNREACHABLE;
}

void
talk_close(struct talk *t)
{
	perch_client_close(t->client);
	t->client = NULL;
}

static void
show_device(const struct talk *t, const json_t *device)
{
	const char *uri =
	    json_string_value(json_object_get(device, "verification_uri"));
	const char *whole = json_string_value(
	    json_object_get(device, "verification_uri_complete"));

	fprintf(t->quiet ? stderr : stdout,
	    "Open  %s\nand enter the code  %s\n",
	    cli_get(device, "verification_uri"), cli_get(device, "user_code"));
	if (t->qr && !t->quiet && uri != NULL)
		cli_qr_show(whole != NULL ? whole : uri);
}

static void
show_login(const struct talk *t, const json_t *j)
{
	const json_t *device = json_object_get(j, "device");
	const json_t *open = json_object_get(j, "open");

	if (device != NULL)
		show_device(t, device);
	if (open != NULL)
		fprintf(t->quiet ? stderr : stdout,
		    "Open this in a browser on this machine:\n%s\n",
		    cli_get(open, "url"));
	fflush(stdout);
}

/* xdg-open, where there is a desktop; the URL was printed anyway. */
static void
browser_open(const json_t *j)
{
	const char *url = json_string_value(
	    json_object_get(json_object_get(j, "open"), "url"));
	pid_t pid;

	if (url == NULL || strncmp(url, "https://", 8) != 0 ||
	    (getenv("DISPLAY") == NULL && getenv("WAYLAND_DISPLAY") == NULL))
		return;
	if ((pid = fork()) == 0) {
		(void)!freopen("/dev/null", "w", stderr);
		execlp("xdg-open", "xdg-open", url, (char *)NULL);
		_exit(127);
	}
}

static int
exit_of(const char *code)
{
	static const struct {
		const char *code;
		int status;
	} all[] = {
		{ "unreachable", CLI_UNREACHABLE },
		{ "not_ready", CLI_UNREACHABLE },
		{ "login_required", CLI_LOGIN },
		{ "usage", CLI_USAGE },
		{ "bad_uri", CLI_USAGE },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (strcmp(code, all[i].code) == 0)
			return all[i].status;
	return CLI_FAILED;
}

struct asking {
	struct talk *talk;
	json_t *result;
	int status;
};

static void
error_take(struct asking *a, const struct perch_answer *answer)
{
	struct talk *t = a->talk;
	const char *code = answer->code != NULL ? answer->code : "";
	const char *text = cli_clean(answer->text != NULL ? answer->text : "");

	a->status = exit_of(code);
	if (t->keep)
		t->error = json_pack("{s:s, s:s}", "code", code, "text", text);
	else if (a->status != CLI_LOGIN || !isatty(0))
		cli_complain("%s", text);
}

static void
on_answer(struct perch_client *c, const struct perch_answer *answer, void *arg)
{
	struct asking *a = arg;
	json_t *j = NULL;

	if (answer->json != NULL)
		j = json_loads(answer->json, 0, NULL);
	switch (answer->event) {
	case PERCH_PROGRESS:
		if (!a->talk->quiet)
			cli_say("%s", cli_clean(answer->text));
		fflush(stdout);
		break;
	case PERCH_LOGIN:
		show_login(a->talk, j);
		browser_open(j);
		break;
	case PERCH_DONE:
		a->result = json_incref(j);
		a->status = CLI_OK;
		break;
	case PERCH_FAILED:
		error_take(a, answer);
		break;
	case PERCH_STATUS:
		break;
	}
	json_decref(j);
}

static int
left_ms(const struct talk *t)
{
	int64_t left = t->deadline_ms - perc_now_ms();

	if (t->deadline_ms == 0)
		return -1;
	return left > 0 ? (int)left : 0;
}

int
talk_ask(struct talk *t, json_t *ask, json_t **result)
{
	struct asking a = { .talk = t, .status = CLI_UNREACHABLE };
	char *members = perc_json_text(ask);
	int id = members == NULL
	    ? -1
	    : perch_client_request(
		  t->client, cli_get(ask, "cmd"), members, on_answer, &a);

	perc_json_free(members);
	if (id < 0)
		cli_complain("%s", perch_client_error(t->client));
	else if (perch_client_wait(t->client, id, left_ms(t)) != 0 &&
	    errno == ETIMEDOUT)
		cli_complain("no media yet; the agent goes on trying (perch "
			     "status)");
	*result = a.result;
	return a.status;
}

int
talk_once(const struct cli *c, json_t *ask, json_t **result)
{
	struct talk t;
	int r;

	if ((r = talk_open(&t, c)) == CLI_OK)
		r = talk_ask(&t, ask, result);
	talk_close(&t);
	json_decref(ask);
	return r;
}
