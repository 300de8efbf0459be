/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user's commands: one request to the agent on this machine, its progress
 * as it comes, one result. An invitation code need not stand on the command
 * line, where every process of the machine could read it.
 */
#include "agent/clitalk.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "agent/agentconf.h"
#include "agent/text.h"
#include "perc/json.h"
#include "perc/loop.h"
#include "perc/secret.h"

#define CODE_MAX 256
#define WAIT_S	 30

/* ---- telling people where media goes
 * -------------------------------------------- */

static void
show_in(const json_t *s)
{
	const char *codec = cli_get(s, "codec");
	int port = (int)json_integer_value(json_object_get(s, "port"));
	int pt = (int)json_integer_value(json_object_get(s, "pt"));
	const json_t *layer = json_object_get(s, "layer");
	bool audio = strcmp(cli_get(s, "media"), "audio") == 0;
	char which[64] = "";

	if (layer != NULL)
		text_put(which, sizeof(which), ", layer %d%s",
		    (int)json_integer_value(layer),
		    json_integer_value(layer) == 0 ? " (the smallest)" : "");
	cli_say("  send your %s%s as RTP (%s, payload type %d) to "
		"127.0.0.1:%d",
	    cli_get(s, "media"), which, codec, pt, port);
	if (audio && strncmp(codec, "opus", 4) == 0)
		cli_say("    ffmpeg -re -i FILE -vn -c:a libopus "
			"-payload_type %d -f rtp rtp://127.0.0.1:%d",
		    pt, port);
	else if (!audio && strncasecmp(codec, "vp8", 3) == 0)
		cli_say("    ffmpeg -re -i FILE -an -c:v libvpx -deadline "
			"realtime -g 30 -payload_type %d -f rtp "
			"\"rtp://127.0.0.1:%d?pkt_size=1100\"",
		    pt, port);
}

static void
show_media(const json_t *conf)
{
	const json_t *s;
	size_t i;

	json_array_foreach(json_object_get(conf, "in"), i, s)
	{
		show_in(s);
	}
	json_array_foreach(json_object_get(conf, "out"), i, s)
	{
		if (cli_get(s, "sdp")[0] == '\0')
			continue;
		cli_say("  hear %s (%s): %s", cli_get(s, "name"),
		    cli_get(s, "media"), cli_get(s, "sdp"));
		cli_say("    ffplay -protocol_whitelist file,udp,rtp %s",
		    cli_get(s, "sdp"));
		if (cli_get(s, "vlc")[0] != '\0')
			cli_say("    vlc %s", cli_get(s, "vlc"));
	}
}

static const char *
count(const json_t *o, const char *name)
{
	static char text[24];

	text_put(text, sizeof(text), "%lld",
	    (long long)json_integer_value(json_object_get(o, name)));
	return text;
}

static void
show_speaking(const json_t *conf)
{
	struct text t = { 0 };
	const json_t *s;
	size_t i;

	json_array_foreach(json_object_get(conf, "speaking"), i, s)
	{
		text_addf(&t, "%s%s", i > 0 ? ", " : "", cli_get(s, "name"));
	}
	if (t.len > 0 && !t.failed)
		cli_say("  speaking: %s", t.p);
	text_clear(&t);
}

/* Nobody asks as long as it is the straight way. */
static void
show_path(const json_t *leg)
{
	if (cli_get(leg, "relay")[0] != '\0')
		cli_say("  media goes by the relay %s", cli_get(leg, "relay"));
	if (cli_get(leg, "relay_trouble")[0] != '\0')
		cli_say(
		    "  trouble with relays: %s", cli_get(leg, "relay_trouble"));
}

static void
show_conference(const json_t *j)
{
	static const char *const troubles[] = { "kmf_trouble", "mdd_trouble" };
	const char *title = cli_get(j, "title");
	const json_t *roster = json_object_get(j, "roster");

	cli_say("%s  %s", title[0] != '\0' ? title : cli_get(j, "uri"),
	    cli_get(j, "conference"));
	cli_say("  %s: %s", cli_get(j, "state"), cli_get(j, "words"));
	if (strcmp(cli_get(j, "state"), "over") == 0)
		return;
	cli_say("  you are %s, with the key of epoch %s", cli_get(j, "name"),
	    count(j, "epoch"));
	for (size_t i = 0; i < 2; i++)
		if (cli_get(j, troubles[i])[0] != '\0')
			cli_say("  trouble: %s", cli_get(j, troubles[i]));
	show_path(json_object_get(j, "leg"));
	if (roster != NULL)
		cli_say("  roster of %s%s%s", count(roster, "members"),
		    cli_get(j, "code")[0] != '\0' ? ", compare by voice: " : "",
		    cli_get(j, "code"));
	cli_roster_warn(j, "  ");
	show_speaking(j);
	show_media(j);
}

int
cli_status(const struct cli *c)
{
	json_t *j = NULL, *one;
	const json_t *all;
	size_t i;
	int r;

	if ((r = talk_once(c, json_pack("{s:s}", "cmd", "status"), &j)) !=
	    CLI_OK)
		return r;
	all = json_object_get(j, "conferences");
	if (cli_json(c)) {
		cli_print_json(j);
	} else {
		if (json_array_size(all) == 0)
			cli_say("Not in a conference.");
		json_array_foreach(all, i, one)
		{
			show_conference(one);
		}
		one = json_object_get(j, "protection");
		cli_say("keys: %s memory, seccomp %s, landlock %s",
		    cli_get(one, "secret_memory"),
		    json_is_true(json_object_get(one, "seccomp")) ? "on"
								  : "OFF",
		    json_is_true(json_object_get(one, "landlock")) ? "on"
								   : "OFF");
	}
	json_decref(j);
	return CLI_OK;
}

int
cli_leave(const struct cli *c)
{
	json_t *j = NULL;
	int r = talk_once(c,
	    json_pack("{s:s, s:s?}", "cmd", "leave", "conference",
		c->nargs > 0 ? c->arg[0] : NULL),
	    &j);

	if (r != CLI_OK)
		return r;
	if (cli_json(c))
		cli_print_json(j);
	else
		cli_say("Left; all keys are erased.");
	json_decref(j);
	return CLI_OK;
}

/* ---- login and join
 * ------------------------------------------------------------------ */

static int
login(const struct cli *c, const char *kmf)
{
	json_t *j = NULL;
	int r = talk_once(c,
	    json_pack("{s:s, s:s, s:s, s:s?}", "cmd", "login", "kmf", kmf,
		"method", c->opt[CLI_BROWSER] != NULL ? "browser" : "device",
		"provider", c->opt[CLI_PROVIDER]),
	    &j);

	if (r != CLI_OK)
		return r;
	if (cli_json(c))
		cli_print_json(j);
	else
		cli_say("Logged in at %s.", cli_get(j, "issuer"));
	json_decref(j);
	return CLI_OK;
}

int
cli_login(const struct cli *c)
{
	const char *kmf = c->nargs > 0 ? c->arg[0] : c->opt[CLI_KMF];

	if (kmf == NULL) {
		cli_complain("login: which KMF? Give a conference's URI, or "
			     "--kmf URL");
		return CLI_USAGE;
	}
	return login(c, kmf);
}

int
cli_logout(const struct cli *c)
{
	const char *kmf = c->nargs > 0 ? c->arg[0] : c->opt[CLI_KMF];
	json_t *j = NULL;
	int r = talk_once(
	    c, json_pack("{s:s, s:s?}", "cmd", "logout", "kmf", kmf), &j);

	if (r != CLI_OK)
		return r;
	if (cli_json(c))
		cli_print_json(j);
	else
		cli_say("Logged out of %s; %s.", cli_get(j, "issuer"),
		    json_is_true(json_object_get(j, "revoked"))
			? "it knows"
			: "it was not told, its tokens end by themselves");
	json_decref(j);
	return CLI_OK;
}

/* A line of standard input, unseen on a terminal. */
static bool
read_secret(const char *prompt, char *out, size_t cap)
{
	struct termios old, off;
	bool tty = isatty(0) && tcgetattr(0, &old) == 0;
	bool ok;

	if (tty) {
		fprintf(stderr, "%s", prompt);
		off = old;
		off.c_lflag &= ~(tcflag_t)ECHO;
		(void)tcsetattr(0, TCSAFLUSH, &off);
	}
	setvbuf(stdin, NULL, _IONBF, 0); /* else it stays in the buffer */
	ok = fgets(out, (int)cap, stdin) != NULL;
	if (tty) {
		(void)tcsetattr(0, TCSAFLUSH, &old);
		fputc('\n', stderr);
	}
	if (ok)
		out[strcspn(out, "\r\n")] = '\0';
	return ok;
}

/* The code is wiped as soon as it was said: the view that follows may stay
 * for hours, and ps shows the command line all that time. */
static int
join(const struct cli *c, const char *uri, char *code)
{
	int64_t wait_s =
	    c->opt[CLI_WAIT] != NULL ? atoi(c->opt[CLI_WAIT]) : WAIT_S;
	json_t *ask = json_pack(
	    "{s:s, s:s, s:s?}", "cmd", "join", "uri", uri, "code", code);
	json_t *j = NULL;
	struct talk t;
	int r;

	if (code != NULL)
		perc_wipe(code, strlen(code));
	if ((r = talk_open(&t, c)) == CLI_OK) {
		t.deadline_ms = perc_now_ms() + wait_s * 1000;
		r = talk_ask(&t, ask, &j);
	}
	talk_close(&t);
	json_decref(ask);
	if (r == CLI_OK && cli_json(c))
		cli_print_json(j);
	else if (r == CLI_OK)
		show_media(j);
	if (r == CLI_OK && !cli_json(c) &&
	    (c->opt[CLI_NO_TTY] != NULL || (isatty(0) && isatty(1))))
		r = cli_watch_run(
		    c, cli_get(j, "conference"), c->opt[CLI_NO_TTY] == NULL);
	json_decref(j);
	return r;
}

/* No code, no login, but a person: ask for one, or log in. */
static int
join_asking(const struct cli *c, const char *uri)
{
	char code[CODE_MAX] = "";
	int r;

	if (!read_secret(
		"Invitation code (none: log in instead): ", code, sizeof(code)))
		return CLI_LOGIN;
	if (code[0] != '\0')
		r = join(c, uri, code);
	else if ((r = login(c, uri)) == CLI_OK)
		r = join(c, uri, NULL);
	perc_wipe(code, sizeof(code));
	return r;
}

int
cli_join(const struct cli *c)
{
	char *code = (char *)(uintptr_t)c->opt[CLI_CODE];
	char line[CODE_MAX] = "";
	int r;

	if (code != NULL && strcmp(code, "-") == 0) {
		if (!read_secret("Invitation code: ", line, sizeof(line))) {
			cli_complain("join: no code on standard input");
			return CLI_USAGE;
		}
		code = line;
	}
	r = join(c, c->arg[0], code);
	perc_wipe(line, sizeof(line));
	if (r == CLI_LOGIN && code == NULL && isatty(0))
		r = join_asking(c, c->arg[0]);
	return r;
}
