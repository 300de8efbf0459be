/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket's other end: lines out, lines in, progress shown as it comes.
 */
#include "agent/clitalk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/agentconf.h"
#include "agent/cliqr.h"
#include "perc/loop.h"

#define LINE_MAX_LEN (4u << 20)

int
talk_open(struct talk *t, const struct cli *c)
{
	const char *given = c->opt[CLI_SOCKET] != NULL ? c->opt[CLI_SOCKET]
						       : getenv("PERCH_SOCKET");
	char *path = given != NULL ? text_dup(given)
				   : agent_conf_runtime_path("agent.sock");
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int r = CLI_UNREACHABLE;

	memset(t, 0, sizeof(*t));
	t->quiet = cli_json(c);
	t->qr = c->opt[CLI_NO_QR] == NULL;
	t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (path == NULL || t->fd < 0 || strlen(path) >= sizeof(un.sun_path)) {
		cli_complain("the socket's path is too long");
	} else {
		strcpy(un.sun_path, path);
		if (connect(t->fd, (struct sockaddr *)&un, sizeof(un)) == 0)
			r = CLI_OK;
		else
			cli_complain(
			    "no perch-agent at %s: %s", path, strerror(errno));
	}
	free(path);
	return r;
}

void
talk_close(struct talk *t)
{
	if (t->fd >= 0)
		close(t->fd);
	text_clear(&t->in);
}

static bool
talk_say(struct talk *t, const json_t *j)
{
	char *line = json_dumps(j, JSON_COMPACT);
	struct text out = { 0 };
	bool ok;

	text_add(&out, line != NULL ? line : "");
	text_add(&out, "\n");
	ok = line != NULL && !out.failed &&
	    send(t->fd, out.p, out.len, MSG_NOSIGNAL) == (ssize_t)out.len;
	text_free(line);
	text_clear(&out);
	return ok;
}

/* Some octets, or why not: false at the end or when time is over. */
static bool
talk_more(struct talk *t)
{
	struct pollfd p = { .fd = t->fd, .events = POLLIN };
	int64_t left = -1;
	char buf[16384];
	ssize_t n;

	if (t->deadline_ms != 0) {
		left = t->deadline_ms - perc_now_ms();
		if (left < 0)
			left = 0;
	}
	if (poll(&p, 1, (int)left) <= 0)
		return false;
	if ((n = recv(t->fd, buf, sizeof(buf) - 1, 0)) <= 0)
		return false;
	buf[n] = '\0';
	text_add(&t->in, buf);
	return !t->in.failed && t->in.len < LINE_MAX_LEN;
}

/* The next line as JSON, or NULL. */
static json_t *
talk_line(struct talk *t)
{
	struct text rest = { 0 };
	json_t *j = NULL;
	char *end;

	while (t->in.p == NULL || (end = strchr(t->in.p, '\n')) == NULL)
		if (!talk_more(t))
			return NULL;
	*end = '\0';
	j = json_loads(t->in.p, 0, NULL);
	text_add(&rest, end + 1);
	text_clear(&t->in);
	t->in = rest;
	return j;
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
show_event(const struct talk *t, const json_t *j)
{
	const json_t *device = json_object_get(j, "device");
	const json_t *open = json_object_get(j, "open");

	if (json_object_get(j, "progress") != NULL && !t->quiet)
		cli_say("%s", cli_get(j, "progress"));
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

int
talk_ask(struct talk *t, json_t *ask, json_t **result)
{
	json_t *j, *e;
	int r;

	json_object_set_new(ask, "id", json_integer(1));
	if (!talk_say(t, ask)) {
		cli_complain("perch-agent does not listen");
		return CLI_UNREACHABLE;
	}
	while ((j = talk_line(t)) != NULL) {
		show_event(t, j);
		browser_open(j);
		if ((e = json_object_get(j, "error")) != NULL) {
			r = exit_of(cli_get(e, "code"));
			if (t->keep)
				t->error = json_incref(e);
			else if (r != CLI_LOGIN || !isatty(0))
				cli_complain("%s", cli_get(e, "text"));
			json_decref(j);
			return r;
		}
		if ((e = json_object_get(j, "result")) != NULL) {
			*result = json_incref(e);
			json_decref(j);
			return CLI_OK;
		}
		json_decref(j);
	}
	cli_complain(t->deadline_ms != 0 && perc_now_ms() >= t->deadline_ms
		? "no media yet; the agent goes on trying (perch status)"
		: "perch-agent went away");
	return CLI_UNREACHABLE;
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
