/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: options, then the command that the table names.
 */
#include "agent/cli.h"

#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent/text.h"
#include "config.h"

static void
usage(FILE *to)
{
	fputs("usage: perch COMMAND [OPTION]...\n\n", to);
	for (size_t i = 0; i < cli_ncommands; i++)
		if (cli_commands[i].synopsis != NULL)
			fprintf(to, "  perch %s\n      %s\n",
			    cli_commands[i].synopsis, cli_commands[i].help);
	fputs("\n"
	      "  --json         machine-readable output\n"
	      "  --socket PATH  of perch-agent (default: "
	      "$XDG_RUNTIME_DIR/perch/agent.sock)\n"
	      "  --client FILE  the administrator's key (default: "
	      "$PERCH_CLIENT, then\n"
	      "                 ~/.config/perch/client.jwk; where there is "
	      "none, or with --kmf,\n"
	      "                 the login's role counts, through the "
	      "agent)\n"
	      "  --ca FILE      trust anchors for the KMF (default: $PERCH_CA, "
	      "then\n"
	      "                 ~/.config/perch/ca.pem, then the system's)\n"
	      "  --utc          show times in UTC, not in the zone here\n"
	      "  --help         this, or after a command what it takes\n"
	      "  --version\n"
	      "\n"
	      "A code on the command line can be seen by everybody on this "
	      "machine: --code -\n"
	      "reads it from standard input. Exit status: 0 done, 1 refused "
	      "or failed, 2 usage,\n"
	      "3 agent or KMF out of reach, 4 log in first.\n",
	    to);
}

static void
command_usage(const struct cli_command *k)
{
	char name[40];

	printf("usage: perch %s\n      %s\n\n", k->synopsis, k->help);
	for (int o = 0; o < CLI_OPTS; o++) {
		const struct cli_option *t = &cli_options[o];

		if ((k->opts & CLI_BIT(o)) == 0)
			continue;
		snprintf(name, sizeof(name), "--%s%s%s", t->name,
		    t->value != NULL ? " " : "",
		    t->value != NULL ? t->value : "");
		printf("  %-26s%s\n", name, t->help);
	}
}

static int
usage_error(const char *what, const char *which)
{
	cli_complain("%s%s (perch --help)", what, which);
	return CLI_USAGE;
}

const char *
cli_each(const struct cli *c, enum cli_opt o, unsigned *at)
{
	while (*at < c->ngiven)
		if (c->given[(*at)++].o == o)
			return c->given[*at - 1].value;
	return NULL;
}

/* Numbers of our own start at 0, below every letter. */
static int
options_read(struct cli *c, int argc, char *argv[])
{
	struct option longs[CLI_OPTS + 1] = { 0 };
	int o;

	for (o = 0; o < CLI_OPTS; o++)
		longs[o] = (struct option){ cli_options[o].name,
			cli_options[o].value != NULL ? required_argument
						     : no_argument,
			NULL, o };
	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (o >= CLI_OPTS)
			return CLI_USAGE;
		if (c->ngiven == CLI_GIVEN)
			return usage_error("too many of --", longs[o].name);
		c->opt[o] = optarg != NULL ? optarg : "";
		c->given[c->ngiven].o = (enum cli_opt)o;
		c->given[c->ngiven++].value = c->opt[o];
	}
	return CLI_OK;
}

static const struct cli_command *
command_find(char *argv[], int n, int *words)
{
	for (size_t i = 0; i < cli_ncommands; i++) {
		const struct cli_command *k = &cli_commands[i];

		*words = k->group != NULL ? 2 : 1;
		if (n >= *words &&
		    (k->group == NULL || strcmp(argv[0], k->group) == 0) &&
		    strcmp(argv[*words - 1], k->verb) == 0)
			return k;
	}
	return NULL;
}

/* The commands of this group; how many. */
static unsigned
group_usage(FILE *to, const char *word)
{
	unsigned n = 0;

	for (size_t i = 0; i < cli_ncommands; i++) {
		const struct cli_command *k = &cli_commands[i];

		if (k->group == NULL || k->synopsis == NULL ||
		    strcmp(k->group, word) != 0)
			continue;
		if (n++ == 0 && to == stderr)
			cli_complain("%s what?", word);
		fprintf(to, "  perch %s\n", k->synopsis);
		if (to == stdout)
			printf("      %s\n", k->help);
	}
	return n;
}

/* "perch conference" alone, or with a word that it does not know. */
static int
group_help(const char *word)
{
	return group_usage(stderr, word) != 0
	    ? CLI_USAGE
	    : usage_error("no such command: ", cli_clean(word));
}

/* perch --help, perch conference --help, perch conference create --help */
static int
help(char *argv[], int n)
{
	const struct cli_command *k;
	int words;

	if (n == 0)
		usage(stdout);
	else if ((k = command_find(argv, n, &words)) != NULL &&
	    k->synopsis != NULL)
		command_usage(k);
	else if (group_usage(stdout, argv[0]) == 0)
		return usage_error("no such command: ", cli_clean(argv[0]));
	return CLI_OK;
}

static int
command_run(struct cli *c, char *argv[], int n)
{
	const struct cli_command *k;
	int words;

	if (n == 0) {
		usage(stderr);
		return CLI_USAGE;
	}
	if ((k = command_find(argv, n, &words)) == NULL)
		return group_help(argv[0]);
	for (int o = 0; o < CLI_OPTS; o++)
		if (c->opt[o] != NULL && (k->opts & CLI_BIT(o)) == 0)
			return usage_error("this command does not take --",
			    cli_options[o].name);
	c->nargs = (unsigned)(n - words);
	if (c->nargs < k->min || c->nargs > k->max)
		return k->synopsis != NULL
		    ? usage_error("usage: perch ", k->synopsis)
		    : usage_error("arguments are missing or too many", "");
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
	tzset();
	signal(SIGPIPE, SIG_IGN);
	if ((r = options_read(&c, argc, argv)) != CLI_OK)
		return r;
	if (c.opt[CLI_HELP] != NULL)
		return help(argv + optind, argc - optind);
	if (c.opt[CLI_VERSION] != NULL) {
		puts(PACKAGE_STRING);
		return CLI_OK;
	}
	if (c.opt[CLI_UTC] != NULL)
		cli_time_utc();
	return command_run(&c, argv + optind, argc - optind);
}
