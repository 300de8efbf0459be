/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command `perch`. A user's commands go to perch-agent over its local
 * socket; an administrator's go to the KMF. Files:
 *
 *	climain.c  the program: commands, options, help
 *	cliagent.c the socket; join, leave, status, roster, login
 *	clicommand.c the table of commands and options
 *	clicomplete.c what shells complete, made of that table
 *	cliconf.c, cliconfedit.c  conference ...
 *	cliinvite.c invite ...
 *	climember.c members, evict, rekey, explain
 *	clievents.c events, webhooks
 *	cliqr.c    a QR code on the terminal
 *	clikmf.c   requests to the KMF with the administrator's key
 *	cliexchange.c one request and its answer
 *	cliclient.c  where that key and the trust anchors are
 *	clirun.c   one request, or all pages of one, from question to output
 *	clitime.c  times as people write and read them
 *	clidoctor.c is the way to the KMF and its single sign-on in order?
 *	cliaudit.c, cliauditverify.c  audit ...
 *	clisubscribe.c  what the distributor is to send
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
	CLI_FOLLOW,
	CLI_RRULE,
	CLI_TZ,
	CLI_EXDATE,
	CLI_HOST,
	CLI_DOMAIN,
	CLI_UNINVITE,
	CLI_ROLE,
	CLI_EXPIRES,
	CLI_REASON,
	CLI_NO_MAIL,
	CLI_SERIES,
	CLI_ISS,
	CLI_SUB,
	CLI_MEMBER,
	CLI_INVITATION,
	CLI_NO_TTY,
	CLI_AUDIO,
	CLI_VIDEO,
	CLI_LAST_N,
	CLI_MAX_LAYER,
	CLI_UTC,
	CLI_HELP,
	CLI_VERSION,
	CLI_OPTS
};

#define CLI_GIVEN 512 /* options on one command line */
#define CLI_ARGS  4   /* positional arguments */

struct cli {
	const char *opt[CLI_OPTS]; /* last value given; "" for flags */
	struct {
		enum cli_opt o;
		const char *value;
	} given[CLI_GIVEN]; /* all, in order */
	unsigned ngiven;
	const char *arg[CLI_ARGS];
	unsigned nargs;
};
/* The next value of an option that may be given several times; *at is 0 at
 * first. NULL: no more. */
const char *cli_each(const struct cli *c, enum cli_opt o, unsigned *at);

/* cliout.c */
bool cli_json(const struct cli *c); /* --json? */
void cli_say(const char *fmt, ...) PERC_PRINTF(1, 2);
void cli_complain(const char *fmt, ...) PERC_PRINTF(1, 2); /* stderr */
/* One JSON value on standard output, indented. */
void cli_print_json(const json_t *j);
/* Text of strangers, with control characters made visible; static buffer of
 * its own for each of the last sixteen calls. */
const char *cli_clean(const char *s);
const char *cli_get(const json_t *o, const char *name); /* cleaned, or "" */

/* Cells are copied. On a terminal that is too narrow the columns whose bit
 * stands in `flex` are cut, the widest first; ids never are. */
struct cli_table {
	unsigned columns, rows, flex;
	char **cells;
};
void cli_table_row(struct cli_table *t, const char *const cells[]);
void cli_table_print(struct cli_table *t); /* and free */

/* cliagent.c */
int cli_join(const struct cli *c);
int cli_leave(const struct cli *c);
int cli_status(const struct cli *c);
int cli_roster(const struct cli *c);
int cli_subscribe(const struct cli *c);
int cli_unsubscribe(const struct cli *c);
int cli_code(const struct cli *c);
int cli_login(const struct cli *c);
int cli_logout(const struct cli *c);

/* cliwatch.c */
int cli_watch(const struct cli *c);
/* Show that conference (id or URI; NULL: the only one) until it is over or
 * the user looks away: live on a terminal, or a line for each change. */
int cli_watch_run(const struct cli *c, const char *conference, bool live);

/* clikmf.c */
struct cli_kmf;
struct cli_answer {
	int status;
	json_t *body; /* object, or NULL */
	char *text;   /* the body when it is no JSON, or NULL */
	char etag[80];
};
struct cli_how { /* what only some requests need; zero: nothing */
	const char *if_match;
	unsigned wait_s; /* that much longer than others it may take */
};
/* With the client file's key; or, where there is none or --kmf names one, as
 * the person who is logged in there, through the agent. Says what is wrong
 * itself. CLI_OK or an exit status. */
int cli_kmf_open(struct cli_kmf **kp, const struct cli *c);
void cli_kmf_close(struct cli_kmf *k);
/* Its client id; "" of a person. */
const char *cli_kmf_client(const struct cli_kmf *k);
/* Seconds that a call may wait for events. */
unsigned cli_kmf_wait_s(const struct cli_kmf *k);
/* cliclient.c */
/* The client file {"client_id", "kmf", "key"}; CLI_OK, or it has said what
 * is wrong. The caller decrefs. */
int cli_client_read(json_t **out, const struct cli *c);
/* Was one named, or is there one at its usual place? */
bool cli_client_there(const struct cli *c);
/* Trust anchors as --ca, PERCH_CA or the user's file say; the caller frees.
 * NULL: the system's. */
char *cli_ca_file(const struct cli *c);
/* path begins with "/v1"; body may be NULL. CLI_OK for any 2xx. Complains
 * itself. cli_answer_clear afterwards in any case. */
int cli_kmf_call(struct cli_kmf *k, struct cli_answer *a, const char *method,
    const char *path, const json_t *body);
int cli_kmf_call_so(struct cli_kmf *k, struct cli_answer *a, const char *method,
    const char *path, const json_t *body, const struct cli_how *how);
void cli_answer_clear(struct cli_answer *a);

/* clirun.c */
typedef void (*cli_show_fn)(const json_t *j);
#define CLI_PATH_MAX 256
/* "/v1/conferences/c_...<tail>" or "/v1/series/s_...<tail>" for an id or a
 * URI; complains. */
bool cli_conference_path(
    char *out, size_t cap, const char *text, const char *tail);
long long cli_number(const json_t *j, const char *name);
/* The whole life of a command that is one request. */
int cli_run(const struct cli *c, const char *method, const char *path,
    const json_t *body, cli_show_fn show);
/* The same for ".../conferences/<argument 0><tail>". */
int cli_run_on(const struct cli *c, const char *method, const char *tail,
    const json_t *body, cli_show_fn show);
/* DELETE what has an ETag, as it is at this moment (If-Match). */
int cli_run_delete(const struct cli *c, const char *tail, cli_show_fn show);
/* All pages as one: {"items": [...]} and what else the first page had. `by`
 * is the parameter that takes an answer's "next". */
int cli_run_pages(
    const struct cli *c, const char *path, const char *by, cli_show_fn show);

/* clitime.c */
/* RFC 3339, "now", or "2026-11-21 10:30" in zone tz (NULL: here). text NULL:
 * the fallback. Complains. */
bool cli_time_take(
    const char *text, const char *tz, int64_t fallback_ms, int64_t *ms);
/* A time of the KMF as the wall clock here shows it, "" when it is none: by
 * cli_table_time for columns; both like cli_clean. */
const char *cli_time(const json_t *o, const char *name);
const char *cli_table_time(const json_t *o, const char *name);
/* --utc */
void cli_time_utc(void);
/* IANA name of the zone here, or "UTC". */
const char *cli_zone(void);

/* cliconf.c */
int cli_list(const struct cli *c);
int cli_show(const struct cli *c);
int cli_end(const struct cli *c);
int cli_lock(const struct cli *c);
int cli_unlock(const struct cli *c);
int cli_extend(const struct cli *c);
int cli_cancel(const struct cli *c);
int cli_delete(const struct cli *c);
int cli_occurrences(const struct cli *c);
void cli_show_conference(const json_t *j);

/* cliconfedit.c */
int cli_create(const struct cli *c);
int cli_update(const struct cli *c);

/* cliinvite.c */
int cli_invite(const struct cli *c);
int cli_invite_list(const struct cli *c);
int cli_invite_resend(const struct cli *c);
int cli_invite_revoke(const struct cli *c);
int cli_invite_ics(const struct cli *c);

/* climember.c */
int cli_evict(const struct cli *c);
int cli_members(const struct cli *c);
int cli_rekey(const struct cli *c);
int cli_explain(const struct cli *c);

/* clievents.c */
int cli_events(const struct cli *c);
int cli_webhooks(const struct cli *c);
int cli_webhooks_dead(const struct cli *c);
int cli_webhooks_redeliver(const struct cli *c);

/* cliaudit.c, cliauditverify.c */
int cli_audit_list(const struct cli *c);
int cli_audit_export(const struct cli *c);
int cli_audit_verify(const struct cli *c);

/* clidoctor.c */
int cli_doctor(const struct cli *c);

/* clicommand.c */
#define CLI_BIT(o) (UINT64_C(1) << (o))
struct cli_command {
	const char *group, *verb; /* group NULL: the verb alone */
	unsigned min, max;	  /* arguments behind the words */
	uint64_t opts;
	int (*fn)(const struct cli *c);
	const char *synopsis; /* NULL: another name, not shown */
	const char *help;
};
struct cli_option {
	const char *name;
	const char *value; /* what it takes; NULL: a flag */
	const char *words; /* what a shell may offer, "a b c"; NULL */
	const char *help;
};
extern const struct cli_command cli_commands[];
extern const size_t cli_ncommands;
extern const struct cli_option cli_options[CLI_OPTS];

/* clicomplete.c */
int cli_completion(const struct cli *c);

/* climain.c */
int cli_main(int argc, char *argv[]);
