/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every command is a row: its words, how many arguments, which options it
 * takes. What a row does not name is a usage error, not something ignored.
 */
#include "agent/cli.h"

#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "config.h"

#define BIT(o)	   (UINT64_C(1) << (o))
#define AGENT_OPTS (BIT(CLI_JSON) | BIT(CLI_SOCKET))
#define ADMIN_OPTS (BIT(CLI_JSON) | BIT(CLI_CLIENT) | BIT(CLI_CA))
#define AUDIT_OPTS                                                             \
	(BIT(CLI_TYPE) | BIT(CLI_CONFERENCE) | BIT(CLI_ACTOR) |                \
	    BIT(CLI_FROM) | BIT(CLI_TO) | BIT(CLI_AFTER))

static const struct option longs[] = {
	{ "json", no_argument, NULL, CLI_JSON },
	{ "socket", required_argument, NULL, CLI_SOCKET },
	{ "client", required_argument, NULL, CLI_CLIENT },
	{ "ca", required_argument, NULL, CLI_CA },
	{ "code", required_argument, NULL, CLI_CODE },
	{ "wait", required_argument, NULL, CLI_WAIT },
	{ "device", no_argument, NULL, CLI_DEVICE },
	{ "browser", no_argument, NULL, CLI_BROWSER },
	{ "kmf", required_argument, NULL, CLI_KMF },
	{ "provider", required_argument, NULL, CLI_PROVIDER },
	{ "no-qr", no_argument, NULL, CLI_NO_QR },
	{ "title", required_argument, NULL, CLI_TITLE },
	{ "start", required_argument, NULL, CLI_START },
	{ "end", required_argument, NULL, CLI_END },
	{ "for", required_argument, NULL, CLI_FOR },
	{ "invite", required_argument, NULL, CLI_INVITE },
	{ "group", required_argument, NULL, CLI_GROUP },
	{ "policy", required_argument, NULL, CLI_POLICY },
	{ "email", required_argument, NULL, CLI_EMAIL },
	{ "name", required_argument, NULL, CLI_NAME },
	{ "kind", required_argument, NULL, CLI_KIND },
	{ "state", required_argument, NULL, CLI_STATE },
	{ "login", no_argument, NULL, CLI_TRIAL },
	{ "type", required_argument, NULL, CLI_TYPE },
	{ "conference", required_argument, NULL, CLI_CONFERENCE },
	{ "actor", required_argument, NULL, CLI_ACTOR },
	{ "from", required_argument, NULL, CLI_FROM },
	{ "to", required_argument, NULL, CLI_TO },
	{ "after", required_argument, NULL, CLI_AFTER },
	{ "format", required_argument, NULL, CLI_FORMAT },
	{ "out", required_argument, NULL, CLI_OUT },
	{ "keys", required_argument, NULL, CLI_KEYS },
	{ "checkpoint", required_argument, NULL, CLI_CHECKPOINT },
	{ "live", no_argument, NULL, CLI_LIVE },
	{ "help", no_argument, NULL, CLI_HELP },
	{ "version", no_argument, NULL, CLI_VERSION },
	{ 0 },
};

static const struct command {
	const char *group, *verb; /* group NULL: the verb alone */
	unsigned min, max;	  /* arguments behind the words */
	uint64_t opts;
	int (*fn)(const struct cli *c);
	const char *synopsis, *help;
} commands[] = {
	{ NULL, "join", 1, 1,
	    AGENT_OPTS | BIT(CLI_CODE) | BIT(CLI_WAIT) | BIT(CLI_NO_QR),
	    cli_join, "join URI [--code -|CODE] [--wait SECONDS]",
	    "enter a conference; says where to send and to hear" },
	{ NULL, "status", 0, 0, AGENT_OPTS, cli_status, "status",
	    "where we are, ports and SDP files, trouble in words" },
	{ NULL, "roster", 0, 1, AGENT_OPTS, cli_roster, "roster [CONFERENCE]",
	    "who is in it, as the KMF signed it" },
	{ NULL, "leave", 0, 1, AGENT_OPTS, cli_leave, "leave [CONFERENCE]",
	    "erase its keys and go" },
	{ NULL, "login", 0, 1,
	    AGENT_OPTS | BIT(CLI_DEVICE) | BIT(CLI_BROWSER) | BIT(CLI_KMF) |
		BIT(CLI_PROVIDER) | BIT(CLI_NO_QR),
	    cli_login,
	    "login [URI] [--kmf URL] [--device [--no-qr]|--browser] "
	    "[--provider NAME]",
	    "log in at the organisation's identity provider" },
	{ NULL, "logout", 0, 1, AGENT_OPTS | BIT(CLI_KMF), cli_logout,
	    "logout [URI] [--kmf URL]", "forget that login, here and there" },
	{ NULL, "doctor", 0, 1,
	    AGENT_OPTS | BIT(CLI_CA) | BIT(CLI_KMF) | BIT(CLI_PROVIDER) |
		BIT(CLI_TRIAL) | BIT(CLI_DEVICE) | BIT(CLI_BROWSER) |
		BIT(CLI_NO_QR),
	    cli_doctor,
	    "doctor [URI] [--kmf URL] [--provider NAME] [--login "
	    "[--device|--browser]]",
	    "is the KMF and its single sign-on in order, and what to do" },
	{ "conference", "create", 0, 0,
	    ADMIN_OPTS | BIT(CLI_TITLE) | BIT(CLI_START) | BIT(CLI_END) |
		BIT(CLI_FOR) | BIT(CLI_INVITE) | BIT(CLI_GROUP) |
		BIT(CLI_POLICY),
	    cli_create,
	    "conference create --title T [--start TIME] [--end TIME] "
	    "[--for MINUTES]\n"
	    "                         [--invite EMAIL]... [--group G]... "
	    "[--policy JSON]",
	    "schedule one" },
	{ "conference", "list", 0, 0, ADMIN_OPTS | BIT(CLI_STATE), cli_list,
	    "conference list [--state scheduled|live|ended]", "all of them" },
	{ "conference", "show", 1, 1, ADMIN_OPTS, cli_show,
	    "conference show CONFERENCE", "one of them" },
	{ "conference", "invite", 1, 1,
	    ADMIN_OPTS | BIT(CLI_EMAIL) | BIT(CLI_NAME) | BIT(CLI_KIND),
	    cli_invite,
	    "conference invite CONFERENCE [--email E] [--name N] [--kind K]",
	    "a code for a guest without an account" },
	{ "conference", "members", 1, 1, ADMIN_OPTS, cli_members,
	    "conference members CONFERENCE", "who holds which epoch" },
	{ "conference", "evict", 2, 2, ADMIN_OPTS, cli_evict,
	    "conference evict CONFERENCE MEMBER", "send somebody away" },
	{ "conference", "rekey", 1, 1, ADMIN_OPTS, cli_rekey,
	    "conference rekey CONFERENCE", "a new key for all, now" },
	{ "conference", "end", 1, 1, ADMIN_OPTS, cli_end,
	    "conference end CONFERENCE", "end it and destroy its keys" },
	{ "audit", "list", 0, 0, ADMIN_OPTS | AUDIT_OPTS, cli_audit_list,
	    "audit list [--type T] [--conference C] [--actor A]\n"
	    "             [--from TIME] [--to TIME] [--after SEQ]",
	    "what happened, oldest first" },
	{ "audit", "export", 0, 0,
	    ADMIN_OPTS | AUDIT_OPTS | BIT(CLI_FORMAT) | BIT(CLI_OUT),
	    cli_audit_export,
	    "audit export [--format jsonl|cef] [--out FILE] [--after SEQ] "
	    "[selection as above]",
	    "the same for machines; jsonl without a selection can be "
	    "verified" },
	{ "audit", "verify", 0, 1,
	    ADMIN_OPTS | BIT(CLI_KEYS) | BIT(CLI_CHECKPOINT) | BIT(CLI_LIVE) |
		BIT(CLI_AFTER),
	    cli_audit_verify,
	    "audit verify [FILE|-] --keys FILE [--checkpoint FILE] [--live] "
	    "[--after SEQ]",
	    "is it the log that the KMF wrote, and where not" },
};

static void
usage(FILE *to)
{
	fputs("usage: perch COMMAND [OPTION]...\n\n", to);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(to, "  perch %s\n      %s\n", commands[i].synopsis,
		    commands[i].help);
	fputs("\n"
	      "  --json         machine-readable output\n"
	      "  --socket PATH  of perch-agent (default: "
	      "$XDG_RUNTIME_DIR/perch/agent.sock)\n"
	      "  --client FILE  the administrator's key (default: "
	      "$PERCH_CLIENT, then\n"
	      "                 ~/.config/perch/client.jwk)\n"
	      "  --ca FILE      trust anchors for the KMF (default: $PERCH_CA, "
	      "then\n"
	      "                 ~/.config/perch/ca.pem, then the system's)\n"
	      "  --help, --version\n"
	      "\n"
	      "A code on the command line can be seen by everybody on this "
	      "machine: --code -\n"
	      "reads it from standard input. Exit status: 0 done, 1 refused "
	      "or failed, 2 usage,\n"
	      "3 agent or KMF out of reach, 4 log in first.\n",
	    to);
}

static int
usage_error(const char *what, const char *which)
{
	cli_complain("%s%s (perch --help)", what, which);
	return CLI_USAGE;
}

static bool
many_add(const char **list, unsigned *n, const char *value)
{
	if (*n == CLI_MANY)
		return false;
	list[(*n)++] = value;
	return true;
}

static int
options_read(struct cli *c, int argc, char *argv[])
{
	int o;

	/* Numbers of our own start at 0, below every letter. */
	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (o >= CLI_OPTS)
			return CLI_USAGE;
		c->opt[o] = optarg != NULL ? optarg : "";
		if ((o == CLI_INVITE &&
			!many_add(c->invite, &c->ninvite, optarg)) ||
		    (o == CLI_GROUP && !many_add(c->group, &c->ngroup, optarg)))
			return usage_error("too many of --", longs[o].name);
	}
	return CLI_OK;
}

static const struct command *
command_find(char *argv[], int n, int *words)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *k = &commands[i];

		*words = k->group != NULL ? 2 : 1;
		if (n >= *words &&
		    (k->group == NULL || strcmp(argv[0], k->group) == 0) &&
		    strcmp(argv[*words - 1], k->verb) == 0)
			return k;
	}
	return NULL;
}

static int
command_run(struct cli *c, char *argv[], int n)
{
	const struct command *k;
	int words;

	if (n == 0) {
		usage(stderr);
		return CLI_USAGE;
	}
	if ((k = command_find(argv, n, &words)) == NULL)
		return usage_error("no such command: ", cli_clean(argv[0]));
	for (int o = 0; o < CLI_OPTS; o++)
		if (c->opt[o] != NULL && (k->opts & BIT(o)) == 0)
			return usage_error(
			    "this command does not take --", longs[o].name);
	c->nargs = (unsigned)(n - words);
	if (c->nargs < k->min || c->nargs > k->max)
		return usage_error("usage: perch ", k->synopsis);
	for (unsigned i = 0; i < c->nargs; i++)
		c->arg[i] = argv[words + (int)i];
	return k->fn(c);
}

int
cli_main(int argc, char *argv[])
{
	struct cli c = { 0 };
	int r;

	setlocale(LC_CTYPE, "");
	signal(SIGPIPE, SIG_IGN);
	if ((r = options_read(&c, argc, argv)) != CLI_OK)
		return r;
	if (c.opt[CLI_HELP] != NULL) {
		usage(stdout);
		return CLI_OK;
	}
	if (c.opt[CLI_VERSION] != NULL) {
		puts(PACKAGE_STRING);
		return CLI_OK;
	}
	return command_run(&c, argv + optind, argc - optind);
}
