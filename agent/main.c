/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perch-agent: supervisor and front in one binary that contains no
 * end-to-end symbol; what needs one is perch-vault's.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/front.h"
#include "agent/super.h"
#include "config.h"
#include "perc/log.h"
#include "perc/proc.h"

#define CONF_DEFAULT PERCH_SYSCONFDIR "/perch-agent.conf"

struct options {
	const char *file;
	bool check, front, given;
};

static const struct option longs[] = {
	{ "check-config", no_argument, NULL, 'n' },
	{ "help", no_argument, NULL, 'h' },
	{ "help-config", no_argument, NULL, 'H' },
	{ "version", no_argument, NULL, 'V' },
	{ "front", no_argument, NULL, 'F' }, /* our own exec alone */
	{ "given", no_argument, NULL, 'G' }, /* the same, with a socket */
	{ 0 },
};

static void
usage(FILE *to)
{
	fputs("usage: perch-agent [-c FILE]\n"
	      "       perch-agent --check-config [-c FILE]\n"
	      "       perch-agent --help-config | --help | --version\n"
	      "\n"
	      "The endpoint of Perch: joins conferences for you, keeps their "
	      "keys in a\n"
	      "process of their own (perch-vault), and hands media to "
	      "programs on this\n"
	      "machine. Runs in the foreground; the perch command talks to "
	      "it.\n"
	      "\n"
	      "  -c FILE         configuration (default " CONF_DEFAULT ",\n"
	      "                  or built-in defaults where that is absent)\n"
	      "  --check-config  read the configuration and leave\n"
	      "  --help-config   every setting with its default\n"
	      "  --version       what this is\n",
	    to);
}

/* 0: go on; else the exit status plus one. */
static int
options_read(struct options *o, int argc, char *argv[])
{
	int c;

	while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1)
		switch (c) {
		case 'c':
			o->file = optarg;
			break;
		case 'n':
			o->check = true;
			break;
		case 'F':
			o->front = true;
			break;
		case 'G':
			o->given = true;
			break;
		case 'H':
			agent_conf_print_help();
			return 1;
		case 'V':
			puts(PACKAGE_STRING);
			return 1;
		case 'h':
			usage(stdout);
			return 1;
		default:
			usage(stderr);
			return 3;
		}
	if (optind != argc) {
		usage(stderr);
		return 3;
	}
	if (o->file == NULL && access(CONF_DEFAULT, F_OK) == 0)
		o->file = CONF_DEFAULT;
	return 0;
}

int
main(int argc, char *argv[])
{
	struct options o = { 0 };
	struct perc_conf_error e = { "" };
	struct agent_conf conf;
	int r;

	if ((r = options_read(&o, argc, argv)) != 0)
		return r - 1;
	if ((r = agent_conf_load(&conf, o.file, &e)) != 0) {
		fprintf(stderr, "perch-agent: %s\n",
		    e.text[0] != '\0' ? e.text : perc_strerror(r));
		agent_conf_clear(&conf);
		return 1;
	}
	perc_log_init("perch-agent", o.front ? "front" : "supervisor", 0,
	    (enum perc_log_level)conf.log_level);
	if (o.check)
		puts("the configuration is good");
	else if (o.front)
		r = front_main(&conf, PERC_PROC_FD,
		    o.given ? PERC_PROC_FD + 1 : -1,
		    agent_conf_relays(&conf) ? PERC_PROC_FD + 1 + o.given : -1);
	else
		r = super_main(&conf, o.file);
	agent_conf_clear(&conf);
	return r;
}
