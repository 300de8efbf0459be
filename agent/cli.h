/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command `perch`. A user's commands go to perch-agent over its local
 * socket; an administrator's go to the KMF. Files:
 *
 *	climain.c  the program: commands, options, help
 *	cliagent.c the socket; join, leave, status, roster, login
 *	cliadmin.c conference ...
 *	cliqr.c    a QR code on the terminal
 *	clikmf.c   requests to the KMF with the administrator's key
 *	clidoctor.c is the way to the KMF and its single sign-on in order?
 *	cliaudit.c, cliauditverify.c  audit ...
 *	cliout.c   tables and sentences
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,	     /* refused, or it went wrong */
	CLI_USAGE = 2,	     /* the command line makes no sense */
	CLI_UNREACHABLE = 3, /* no agent, no KMF */
	CLI_LOGIN = 4,	     /* log in first, or give a code */
};

enum cli_opt {
	CLI_JSON,
	CLI_SOCKET,
	CLI_CLIENT,
	CLI_CA,
	CLI_CODE,
	CLI_WAIT,
	CLI_DEVICE,
	CLI_BROWSER,
	CLI_KMF,
	CLI_PROVIDER,
	CLI_NO_QR,
	CLI_TITLE,
	CLI_START,
	CLI_END,
	CLI_FOR,
	CLI_INVITE,
	CLI_GROUP,
	CLI_POLICY,
	CLI_EMAIL,
	CLI_NAME,
	CLI_KIND,
	CLI_STATE,
	CLI_TRIAL,
	CLI_TYPE,
	CLI_CONFERENCE,
	CLI_ACTOR,
	CLI_FROM,
	CLI_TO,
	CLI_AFTER,
	CLI_FORMAT,
	CLI_OUT,
	CLI_KEYS,
	CLI_CHECKPOINT,
	CLI_LIVE,
	CLI_HELP,
	CLI_VERSION,
	CLI_OPTS
};

#define CLI_MANY 64 /* of one option */
#define CLI_ARGS 4  /* positional arguments */

struct cli {
	const char *opt[CLI_OPTS]; /* last value given; "" for flags */
	const char *invite[CLI_MANY], *group[CLI_MANY];
	unsigned ninvite, ngroup;
	const char *arg[CLI_ARGS];
	unsigned nargs;
};

/* cliout.c */
bool cli_json(const struct cli *c); /* --json? */
void cli_say(const char *fmt, ...) PERC_PRINTF(1, 2);
void cli_complain(const char *fmt, ...) PERC_PRINTF(1, 2); /* stderr */
/* One JSON value on standard output, indented. */
void cli_print_json(const json_t *j);
/* Text of strangers, with control characters made visible; static buffer of
 * its own for each of the last eight calls. */
const char *cli_clean(const char *s);
const char *cli_get(const json_t *o, const char *name); /* cleaned, or "" */

struct cli_table { /* cells are copied */
	unsigned columns, rows;
	char **cells;
};
void cli_table_row(struct cli_table *t, const char *const cells[]);
void cli_table_print(struct cli_table *t); /* and free */

/* cliagent.c */
int cli_join(const struct cli *c);
int cli_leave(const struct cli *c);
int cli_status(const struct cli *c);
int cli_roster(const struct cli *c);
int cli_login(const struct cli *c);
int cli_logout(const struct cli *c);

/* clikmf.c */
struct cli_kmf;
struct cli_answer {
	int status;
	json_t *body; /* object, or NULL */
};
/* With the client file's key; says what is wrong itself. CLI_OK or an exit
 * status. */
int cli_kmf_open(struct cli_kmf **kp, const struct cli *c);
void cli_kmf_close(struct cli_kmf *k);
const char *cli_kmf_client(const struct cli_kmf *k); /* its client id */
/* Trust anchors as --ca, PERCH_CA or the user's file say; the caller frees.
 * NULL: the system's. */
char *cli_ca_file(const struct cli *c);
/* path begins with "/v1"; body may be NULL. CLI_OK for any 2xx. Complains
 * itself. cli_answer_clear afterwards in any case. */
int cli_kmf_call(struct cli_kmf *k, struct cli_answer *a, const char *method,
    const char *path, const json_t *body);
void cli_answer_clear(struct cli_answer *a);

/* cliadmin.c */
int cli_create(const struct cli *c);
int cli_list(const struct cli *c);
int cli_show(const struct cli *c);
int cli_invite(const struct cli *c);
int cli_end(const struct cli *c);
int cli_evict(const struct cli *c);
int cli_members(const struct cli *c);
int cli_rekey(const struct cli *c);

/* cliaudit.c, cliauditverify.c */
int cli_audit_list(const struct cli *c);
int cli_audit_export(const struct cli *c);
int cli_audit_verify(const struct cli *c);

/* clidoctor.c */
int cli_doctor(const struct cli *c);

/* climain.c */
int cli_main(int argc, char *argv[]);
