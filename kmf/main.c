/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * perch-kmf: arguments, and which role this process is. The supervisor runs
 * this same program once per role ("role" is for it alone).
 */
#include "config.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmf/intake.h"
#include "kmf/kmf.h"
#include "perc/log.h"

static const char usage[] =
    "usage:\n"
    "  perch-kmf init DIR [--url BASE] [--mdd URL] [--listen HOST:PORT]\n"
    "                     [--cert FILE --key FILE] [--admin NAME]\n"
    "  perch-kmf serve -c FILE\n"
    "  perch-kmf check-config -c FILE\n"
    "  perch-kmf rotate-keys -c FILE [--after SECONDS | --status]\n"
    "  perch-kmf rewrap -c FILE [--status]\n"
    "  perch-kmf client list | disable NAME | enable NAME -c FILE\n"
    "  perch-kmf client add NAME --scope \"scheduler admin auditor\"\n"
    "                     --key FILE | --new FILE -c FILE\n"
    "  perch-kmf check-db -c FILE\n"
    "  perch-kmf backup -c FILE BACKUP\n"
    "  perch-kmf restore -c FILE [--accept-loss] BACKUP\n"
    "  perch-kmf --help | --help-config | --version\n"
    "\n"
    "The key management function: it knows the conferences and who is\n"
    "invited, and hands each endpoint the conference's key over HTTPS.\n"
    "\n"
    "  init          make DIR with keys, database, certificate, settings\n"
    "  serve         run; SIGTERM ends, SIGHUP reloads\n"
    "  check-config  open all that serve would, tell every problem\n"
    "  rotate-keys   publish new signing keys, which sign from\n"
    "                key_overlap_s (or SECONDS) later on; or show them\n"
    "  rewrap        a new root key: seal all anew, destroy the old one\n"
    "  client        who may schedule or audit with a key of its own: a\n"
    "                calendar system, an operator, an auditor\n"
    "  check-db      look for damage in the database, also while it runs\n"
    "  backup        copy the database, also while it runs; no key is in it\n"
    "  restore       put a backup in its place; what was revoked stays so\n";

struct args {
	const char *conf, *after, *snapshot, *scope, *fresh;
	bool status, accept_loss;
	struct kmf_init_opts init;
};

static int
bad_usage(const char *why)
{
	fprintf(stderr, "perch-kmf: %s; try perch-kmf --help\n", why);
	return 2;
}

static int
args_get(struct args *a, int argc, char **argv)
{
	static const struct option options[] = { { "config", required_argument,
						     NULL, 'c' },
		{ "url", required_argument, NULL, 'u' },
		{ "mdd", required_argument, NULL, 'm' },
		{ "listen", required_argument, NULL, 'l' },
		{ "cert", required_argument, NULL, 't' },
		{ "key", required_argument, NULL, 'k' },
		{ "admin", required_argument, NULL, 'A' },
		{ "after", required_argument, NULL, 'a' },
		{ "scope", required_argument, NULL, 'o' },
		{ "new", required_argument, NULL, 'w' },
		{ "snapshot", required_argument, NULL, 'n' },
		{ "status", no_argument, NULL, 's' },
		{ "accept-loss", no_argument, NULL, 'x' }, { 0 } };
	const char **to[128] = { ['c'] = &a->conf,
		['a'] = &a->after,
		['o'] = &a->scope,
		['w'] = &a->fresh,
		['A'] = &a->init.admin,
		['n'] = &a->snapshot,
		['u'] = &a->init.url,
		['m'] = &a->init.mdd,
		['l'] = &a->init.listen,
		['t'] = &a->init.cert,
		['k'] = &a->init.key };
	int c;

	while ((c = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (c == '?')
			return -1;
		if (c == 's')
			a->status = true;
		else if (c == 'x')
			a->accept_loss = true;
		else
			*to[c] = optarg;
	}
	return 0;
}

static int
conf_get(struct kmf_conf *c, const struct args *a)
{
	char why[700], from[64];
	int r;

	if (a->conf == NULL)
		return bad_usage("-c FILE is missing");
	/* A role reads what the supervisor has read. */
	snprintf(from, sizeof(from), "/proc/self/fd/%s",
	    a->snapshot == NULL ? "" : a->snapshot);
	r = kmf_conf_load_from(
	    c, a->conf, a->snapshot == NULL ? a->conf : from, why, sizeof(why));
	if (r != 0) {
		fprintf(stderr, "perch-kmf: %s\n", why);
		kmf_conf_clear(c);
		return 1;
	}
	return 0;
}

/* role NAME INDEX -c FILE; started by the supervisor only. */
static int
run_role(int argc, char **argv, const struct args *a)
{
	static char label[32];
	char name[48];
	struct kmf_conf c;
	const char *role;
	unsigned index;
	int code;

	if (argc < 3)
		return bad_usage("a role needs a name and a number");
	role = argv[1];
	index = (unsigned)atoi(argv[2]);
	if ((code = conf_get(&c, a)) != 0)
		return code;
	c.snapshot = a->snapshot == NULL ? -1 : atoi(a->snapshot);
	if (c.snapshot >= 0 && strcmp(role, "keeper") != 0)
		close(c.snapshot);     /* of no use to who has it read */
	(void)signal(SIGINT, SIG_IGN); /* the supervisor tells us */
	(void)signal(SIGHUP, SIG_IGN);
	if (strcmp(role, "front") == 0)
		snprintf(label, sizeof(label), "front%u", index);
	else
		snprintf(label, sizeof(label), "%s", role);
	snprintf(name, sizeof(name), "kmf-%s", label);
	(void)prctl(PR_SET_NAME, name); /* else it is called "exe" */
	perc_log_init("perch-kmf", label, c.syslog, c.log_level);
	perc_log_json_set(c.log_format != 0);
	code = 2;
	if (strcmp(role, "keeper") == 0)
		code = kmf_keeper_main(&c);
	else if (strcmp(role, "fetcher") == 0)
		code = kmf_fetch_main(&c);
	else if (strcmp(role, "mailer") == 0)
		code = kmf_mailer_main(&c);
	else if (strcmp(role, "front") == 0)
		code = kmf_front_main(&c, index);
	kmf_conf_clear(&c);
	return code;
}

static int
run_init(int argc, char **argv, struct args *a)
{
	if (argc != 2)
		return bad_usage("init needs one directory");
	if ((a->init.cert == NULL) != (a->init.key == NULL))
		return bad_usage("--cert and --key go together");
	if (a->init.admin != NULL && !kmf_client_id_ok(a->init.admin))
		return bad_usage("--admin takes letters, digits, - _ and .");
	a->init.dir = argv[1];
	return kmf_init(&a->init);
}

static void
warn_print(const char *label, const char *text)
{
	fprintf(stderr, "perch-kmf: warning: [issuer %s]: %s\n", label, text);
}

static void
warn_log(const char *label, const char *text)
{
	log_warnx("kmf.warning issuer=%s text=\"%s\"", label, text);
}

static int
run_check(int argc, char **argv, const struct args *a)
{
	struct kmf_conf c;
	int code = conf_get(&c, a);

	if (code != 0)
		return code;
	kmf_issuers_warn(&c, warn_print);
	if (kmf_conf_check(&c) + kmf_conf_check_db(&c) != 0)
		code = 1;
	else
		kmf_conf_print_good(&c);
	kmf_conf_clear(&c);
	return code;
}

static int
run_rotate(int argc, char **argv, const struct args *a)
{
	struct kmf_conf c;
	int code = conf_get(&c, a);

	if (code != 0)
		return code;
	code = kmf_rotate_cli(&c, a->after, a->status);
	kmf_conf_clear(&c);
	return code;
}

static int
run_rewrap(int argc, char **argv, const struct args *a)
{
	struct kmf_conf c;
	int code = conf_get(&c, a);

	if (code != 0)
		return code;
	code = kmf_rewrap_cli(&c, a->status);
	kmf_conf_clear(&c);
	return code;
}

static int
run_backup(int argc, char **argv, const struct args *a)
{
	struct kmf_conf c;
	int code = conf_get(&c, a);

	if (code != 0)
		return code;
	if (strcmp(argv[0], "backup") == 0)
		code = kmf_backup_cli(&c, argv[1]);
	else
		code = kmf_restore_cli(&c, argv[1], a->accept_loss);
	kmf_conf_clear(&c);
	return code;
}

static int
run_check_db(int argc, char **argv, const struct args *a)
{
	struct kmf_conf c;
	int code = conf_get(&c, a);

	if (code != 0)
		return code;
	code = kmf_check_db(&c);
	kmf_conf_clear(&c);
	return code;
}

static int
run_client(int argc, char **argv, const struct args *a)
{
	const struct kmf_client_opts o = { .what = argc > 1 ? argv[1] : "",
		.name = argc > 2 ? argv[2] : NULL,
		.scope = a->scope,
		.key = a->init.key,
		.fresh = a->fresh };
	struct kmf_conf c;
	int code = conf_get(&c, a);

	if (code != 0)
		return code;
	code = kmf_client_cli(&c, &o);
	kmf_conf_clear(&c);
	return code;
}

static int
run_serve(int argc, char **argv, const struct args *a)
{
	struct kmf_conf c;
	int code = conf_get(&c, a);

	if (code != 0)
		return code;
	perc_log_init("perch-kmf", "main", c.syslog, c.log_level);
	perc_log_json_set(c.log_format != 0);
	kmf_issuers_warn(&c, warn_log);
	kmf_conf_clear(&c);
	return kmf_supervise(a->conf);
}

int
main(int argc, char **argv)
{
	struct args a = { 0 };
	const char *verb = argc > 1 ? argv[1] : "--help";

	(void)umask(077);
	if (strcmp(verb, "--help") == 0 || strcmp(verb, "-h") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (strcmp(verb, "--version") == 0) {
		puts("perch-kmf " PACKAGE_VERSION);
		return 0;
	}
	if (strcmp(verb, "--help-config") == 0) {
		kmf_conf_print_help();
		return 0;
	}
	argc--;
	argv++;
	if (args_get(&a, argc, argv) != 0)
		return 2;
	argc -= optind - 1; /* argv[0] stays the verb */
	argv[optind - 1] = argv[0];
	argv += optind - 1;
	if (strcmp(verb, "init") == 0)
		return run_init(argc, argv, &a);
	if (strcmp(verb, "serve") == 0 && argc == 1)
		return run_serve(argc, argv, &a);
	if (strcmp(verb, "check-config") == 0 && argc == 1)
		return run_check(argc, argv, &a);
	if (strcmp(verb, "rotate-keys") == 0 && argc == 1)
		return run_rotate(argc, argv, &a);
	if (strcmp(verb, "rewrap") == 0 && argc == 1)
		return run_rewrap(argc, argv, &a);
	if ((strcmp(verb, "backup") == 0 || strcmp(verb, "restore") == 0) &&
	    argc == 2)
		return run_backup(argc, argv, &a);
	if (strcmp(verb, "client") == 0 && argc <= 3)
		return run_client(argc, argv, &a);
	if (strcmp(verb, "check-db") == 0 && argc == 1)
		return run_check_db(argc, argv, &a);
	if (strcmp(verb, "role") == 0)
		return run_role(argc, argv, &a);
	return bad_usage("no such command");
}
