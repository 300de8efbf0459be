/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perch-mdd: the arguments, and which of its processes this one is. The
 * commands "control" and "worker" are for the supervisor alone.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "mdd/admin.h"
#include "mdd/memory.h"
#include "mdd/role.h"
#include "mdd/top.h"
#include "mdd/worker.h"
#include "perc/log.h"

static const char usage_text[] =
    "usage: perch-mdd serve -c FILE\n"
    "       perch-mdd check-config -c FILE   (or --check-config)\n"
    "       perch-mdd top [--once] [--json] -c FILE\n"
    "       perch-mdd drain -c FILE\n"
    "       perch-mdd link-key FILE\n"
    "       perch-mdd --help | --version | --help-config\n"
    "\n"
    "The media distribution device: forwards the packets of encrypted\n"
    "conferences between endpoints and cannot read them.\n"
    "\n"
    "  perch-mdd serve         run in the foreground until SIGTERM\n"
    "  perch-mdd check-config  read the configuration, say what is wrong, and\n"
    "                          how much memory it allows\n"
    "  perch-mdd top           what the running one does now\n"
    "  perch-mdd drain         it lets nobody new in and ends when it is "
    "empty\n"
    "  perch-mdd link-key      print the thumbprint of the key that proves\n"
    "                          this MDD to its peers; make it first if\n"
    "                          there is no FILE\n"
    "\n"
    "  -c, --config FILE       the configuration (perch-mdd.conf(5))\n"
    "      --once              top: one table, then leave\n"
    "      --json              top: once, for machines\n"
    "  -h, --help              this text\n"
    "  -V, --version           the version\n"
    "      --help-config       every setting with type, default and meaning\n";

static struct {
	bool once, json;
} opt;

static int
usage(void)
{
	fputs(usage_text, stderr);
	return 2;
}

static void
conf_need(struct mdd_conf *c, const char *file)
{
	struct perc_conf_error e = { "" };
	int r = mdd_conf_load(c, file, &e);

	if (r != 0)
		fatalx("%s", e.text[0] != '\0' ? e.text : perc_strerror(r));
}

static int
serve(const char *file)
{
	struct mdd_conf c;
	int r;

	conf_need(&c, file);
	perc_log_init("perch-mdd", "supervisor", c.syslog,
	    (enum perc_log_level)c.log_level);
	r = mdd_supervisor_main(file, &c);
	mdd_conf_clear(&c);
	return r;
}

static int
check_config(const char *file)
{
	struct mdd_memory m;
	struct mdd_conf c;

	conf_need(&c, file);
	mdd_memory_of(&m, &c);
	printf("%s: good; %u KMF, %d workers\n"
	       "memory: at most %zu MiB for each worker (%zu KiB a leg, %zu "
	       "KiB a conference), %zu MiB for all\n",
	    file, c.kmfs, (int)c.workers, m.worker >> 20, m.leg >> 10,
	    m.conference >> 10, (m.worker >> 20) * (size_t)c.workers);
	mdd_conf_clear(&c);
	return 0;
}

static int
top(const char *file)
{
	struct perc_conf_error e = { "" };
	struct mdd_conf c;
	int r;

	if ((r = mdd_conf_read(&c, file, &e)) != 0)
		fatalx("%s", e.text[0] != '\0' ? e.text : perc_strerror(r));
	r = mdd_top_main(&c, opt.once, opt.json);
	mdd_conf_clear(&c);
	return r;
}

static int
drain(const char *file)
{
	struct perc_conf_error e = { "" };
	const char *why = "";
	struct mdd_conf c;
	char *text = NULL;
	size_t len;
	int r;

	if ((r = mdd_conf_read(&c, file, &e)) != 0)
		fatalx("%s", e.text[0] != '\0' ? e.text : perc_strerror(r));
	if ((r = mdd_admin_ask(&text, &len, &c, "drain\n", &why)) != 0)
		fprintf(stderr, "perch-mdd: %s\n", why);
	free(text);
	mdd_conf_clear(&c);
	return r != 0;
}

static int
control(const char *file)
{
	struct mdd_conf c;
	int r;

	perc_log_init("perch-mdd", "control", 0, PERC_LOG_INFO);
	conf_need(&c, file);
	perc_log_init(
	    "perch-mdd", "control", c.syslog, (enum perc_log_level)c.log_level);
	r = mdd_control_main(file, &c);
	mdd_conf_clear(&c);
	return r;
}

/* worker INDEX LEVEL SYSLOG MAX_LEGS */
static int
worker(char *argv[])
{
	static char role[24];

	(void)snprintf(role, sizeof(role), "worker %.8s", argv[2]);
	perc_log_init("perch-mdd", role, atoi(argv[4]),
	    (enum perc_log_level)atoi(argv[3]));
	return mdd_worker_main((unsigned)strtoul(argv[5], NULL, 10));
}

static const struct {
	const char *name;
	int (*fn)(const char *file);
} commands[] = {
	{ "serve", serve },
	{ "check-config", check_config },
	{ "top", top },
	{ "drain", drain },
	{ "control", control },
};

static int
run(const char *name, const char *file)
{
	size_t i;

	for (i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, name) == 0 && file != NULL)
			return commands[i].fn(file);
	return usage();
}

int
main(int argc, char *argv[])
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "help-config", no_argument, NULL, 'H' },
		{ "check-config", no_argument, NULL, 'C' },
		{ "once", no_argument, NULL, 'o' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 },
	};
	const char *file = NULL, *verb = NULL;
	int o;

	perc_log_init("perch-mdd", NULL, 0, PERC_LOG_INFO);
	if (argc == 6 && strcmp(argv[1], "worker") == 0)
		return worker(argv);
	if (argc == 3 && strcmp(argv[1], "link-key") == 0)
		return mdd_link_key(argv[2]);
	while ((o = getopt_long(argc, argv, "c:hV", longs, NULL)) != -1)
		switch (o) {
		case 'c':
			file = optarg;
			break;
		case 'C':
			verb = "check-config";
			break;
		case 'o':
			opt.once = true;
			break;
		case 'j':
			opt.json = true;
			break;
		case 'h':
			fputs(usage_text, stdout);
			return 0;
		case 'V':
			puts(PACKAGE_STRING);
			return 0;
		case 'H':
			mdd_conf_print_help();
			return 0;
		default:
			return usage();
		}
	if (verb == NULL && optind == argc - 1)
		verb = argv[optind++];
	if (verb == NULL || optind != argc)
		return usage();
	return run(verb, file);
}
