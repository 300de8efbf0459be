/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What all processes of perch-kmf share: the configuration, and how each role
 * is started. The supervisor runs this program again for every role; what a
 * role may use stands at known descriptors:
 *
 *   keeper   PERC_PROC_FD + i = channel to front i (0 .. fronts - 1),
 *            PERC_PROC_FD + fronts = the supervisor (kmf/handover.h),
 *            PERC_PROC_FD + fronts + 1 = channel to the fetcher,
 *            PERC_PROC_FD + fronts + 2 = channel to the mailer, if any
 *   front i  PERC_PROC_FD = channel to the keeper,
 *            PERC_PROC_FD + 1 = channel to the fetcher,
 *            PERC_PROC_FD + 2 = the supervisor: one octet, "ready",
 *            PERC_PROC_FD + 3 = the listening socket,
 *            PERC_PROC_FD + 4 = that of the metrics (front 0 only)
 *   fetcher  as the keeper; the last one is its channel to the keeper
 *   mailer   PERC_PROC_FD = the supervisor,
 *            PERC_PROC_FD + 1 = channel to the keeper;
 *            it is there when [mail] is configured
 *
 * A front that died is replaced: its new channels travel to the keeper and
 * the fetcher over their sockets to the supervisor.
 *
 * Every role reads the same file and throws away what is not its own.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/conf.h"
#include "perc/err.h"

#define KMF_FRONTS_MAX	32
#define KMF_ISSUERS_MAX 16

enum kmf_discovery { KMF_DISCOVER_AUTO, KMF_DISCOVER_OIDC, KMF_DISCOVER_OAUTH };
enum kmf_subject { /* which name in a certificate says who it is */
	KMF_SUBJECT_URI,
	KMF_SUBJECT_DNS,
	KMF_SUBJECT_EMAIL,
	KMF_SUBJECT_CN,
};

/* "[issuer label]": an identity provider, or a CA. Lists end with NULL, and
 * are NULL when the setting is absent. */
struct kmf_issuer {
	char *label;
	char *url;	 /* iss, exactly */
	char *name;	 /* shown to people */
	char *client_id; /* of perch at this provider; also an audience */
	char *audience;	 /* further accepted aud; NULL: none */
	char *scope;	 /* what perch asks for when logging in */
	bool resource_indicator; /* RFC 8707: logins name this KMF */
	int discovery;		 /* enum kmf_discovery */
	char *jwks_file; /* keys from a file instead of discovery; or NULL */
	char *ca_file;	 /* trust for its TLS, or its devices; NULL: system */
	int64_t cooldown_s; /* between fetches that unknown kids cause */
	int64_t keys_max_age_s;
	int64_t leeway_s;
	/* who may come */
	char **allowed_clients, **allowed_actors;
	bool allow_bearer;
	/* what its word means here */
	char *email_claim, *groups_claim, *roles_claim;
	char **email_domains; /* its addresses count in these alone */
	char **admin_values, **scheduler_values, **auditor_values;
	/* RFC 7662 */
	bool introspection;
	char *introspection_endpoint; /* NULL: as its metadata says */
	char *introspection_client_id;
	char *introspection_key;    /* file: private JWK, or */
	char *introspection_secret; /* file */
	/* RFC 8705 */
	bool certificate;
	char *crl_file;
	int subject_from; /* enum kmf_subject */
	int kind;	  /* enum kmf_kind */
};

enum kmf_kind { /* AUTO: certificates are rooms, others as invited */
	KMF_KIND_AUTO,
	KMF_KIND_PERSON,
	KMF_KIND_ROOM,
	KMF_KIND_RECORDER,
};

#define KMF_HOOKS_MAX 16
#define KMF_HOOK_URL_MAX 1024

struct kmf_webhook { /* "[webhook label]" */
	char *label, *url, *secret_file;
	char *types;   /* with commas; after kmf_conf_load: never NULL */
	char *ca_file; /* NULL: system */
	int64_t timeout_s, give_up_s;
	bool allow_link_local;
};

/* The processes that do what is to be done outside, each its own errands
 * (kmf/errand.h). Mail has one for itself: libcurl waits for the answer to a
 * message without doing anything else meanwhile. */
enum kmf_outlet { KMF_OUTLET_FETCHER, KMF_OUTLET_MAILER, KMF_OUTLETS };

#define KMF_CONF_MAX (1u << 20) /* octets of the file */

struct kmf_mail_conf { /* "[mail]" */
	char *url;  /* NULL: no mail goes out */
	char *from; /* also the organizer of what calendars show */
	char *user, *password_file, *ca_file;
	bool starttls;
};

struct kmf_conf {
	const char *file; /* as given, borrowed */
	bool running;	  /* it was not read to start, but to be taken */
	int snapshot;	  /* the keeper's: what it was read from; else -1 */
	char *base_url;	  /* public, no trailing slash: BASE */
	char *listen;
	char *metrics_listen; /* NULL: on the public port */
	char *tls_cert, *tls_key;
	char *client_ca; /* CAs whose client certificates are asked for */
	char *state_dir; /* perch.db and what lies beside it */
	char *root_key;	   /* file, 32 octets, 0600 */
	bool root_credential; /* systemd brought it: it is not ours to write */
	char *guard_dir;   /* root.gen, revoked.log */
	char *user;	 /* to become; NULL: stay */
	char **mdds;	 /* base URLs of MDDs, NULL-terminated */
	bool cascade;	 /* a conference is at all of them */
	int64_t fronts;	 /* after kmf_conf_load: never 0 */
	int64_t max_conns, max_conns_per_ip;
	int64_t rate_address, rate_person, rate_watch; /* a second, per front */
	int64_t limit_conferences, limit_invitees, limit_invitations;
	int64_t keep_ended_days, keep_gone_days, keep_revoked_days;
	int64_t key_overlap_s; /* new signing keys are published so long before
				* they sign */
	bool syslog;
	int log_level;	/* enum perc_log_level */
	int log_format; /* 0 text, 1 JSON */
	struct kmf_issuer issuers[KMF_ISSUERS_MAX];
	size_t nissuers;
	struct kmf_mail_conf mail;
	struct kmf_webhook hooks[KMF_HOOKS_MAX];
	size_t nhooks;
	int64_t events_keep_s;
};

/* conf_table.c: read FILE; *why gets "FILE:LINE: what, and what to do". */
PERC_MUST int
kmf_conf_load(struct kmf_conf *c, const char *file, char *why, size_t whycap);
/* The same, of a text that stands in `from`; paths are relative to file. */
PERC_MUST int kmf_conf_load_from(struct kmf_conf *c, const char *file,
    const char *from, char *why, size_t whycap);
PERC_MUST int kmf_conf_load_text(struct kmf_conf *c, const char *file,
    const char *text, size_t len, char *why, size_t whycap);
/* conf_same.c: what b has otherwise and a running program cannot take over,
 * the names of settings. */
#define KMF_FROZEN_MAX 16
struct kmf_frozen {
	const char *name[KMF_FROZEN_MAX];
	size_t n;
};
void kmf_conf_frozen(struct kmf_frozen *f, const struct kmf_conf *a,
    const struct kmf_conf *b);
/* What check-config says at last; it names what needs a restart. */
void kmf_conf_print_good(const struct kmf_conf *c);
bool kmf_conf_same_issuers(const struct kmf_conf *a, const struct kmf_conf *b);
bool kmf_conf_same_hooks(const struct kmf_conf *a, const struct kmf_conf *b);
bool kmf_conf_same_mail(const struct kmf_conf *a, const struct kmf_conf *b);
void kmf_conf_clear(struct kmf_conf *c);
void kmf_conf_print_help(void);

/* conf_issuer.c: the section's table, its making and what no table says. */
extern const struct perc_conf_item kmf_issuer_items[];
PERC_MUST int kmf_issuer_open(void *conf, const char *label, void **targetp);
/* Call say for each thing that works but deserves a second look. */
void kmf_issuers_warn(
    const struct kmf_conf *c, void (*say)(const char *label, const char *text));
/* Does anybody come with a TLS certificate? */
bool kmf_conf_asks_cert(const struct kmf_conf *c);
/* Does any setting let a token come as Bearer? */
bool kmf_conf_takes_bearer(const struct kmf_conf *c);

/* Everything serve would open, one line per problem to stderr; the number of
 * problems. The second drops privileges for good, then tries the database. */
int kmf_conf_check(const struct kmf_conf *c);
int kmf_conf_check_db(const struct kmf_conf *c);

struct kmf_init_opts {
	const char *dir, *url, *mdd, *listen;
	const char *cert, *key; /* NULL: a self-signed one is made */
	const char *admin;	/* client id of the first one; NULL: admin */
};
/* `perch-kmf init`; prints what was made and what to do next. Exit code. */
int kmf_init(const struct kmf_init_opts *o);
/* A P-256 key and a certificate for host, localhost and 127.0.0.1, as PEM
 * files; nothing is overwritten. */
PERC_MUST int
kmf_selfsigned(const char *cert_file, const char *key_file, const char *host);

/* `perch-kmf rotate-keys`: after NULL: key_overlap_s. Exit code. */
/* `perch-kmf backup FILE`, `perch-kmf restore FILE`. Exit codes. */
int kmf_backup_cli(const struct kmf_conf *c, const char *file);
int kmf_restore_cli(const struct kmf_conf *c, const char *file,
    bool accept_loss);
struct kmf_client_opts { /* of `perch-kmf client` */
	const char *what, *name, *scope;
	const char *key, *fresh; /* files: a public JWK; one to be made */
};
/* Exit code. */
int kmf_client_cli(const struct kmf_conf *c, const struct kmf_client_opts *o);
/* `perch-kmf check-db`: one line for each problem. Exit code. */
int kmf_check_db(const struct kmf_conf *c);
int kmf_rewrap_cli(const struct kmf_conf *c, bool status);
int kmf_rotate_cli(const struct kmf_conf *c, const char *after, bool status);

/* `perch-kmf serve`: runs the roles until SIGTERM. Exit code. */
int kmf_supervise(const char *file);

/* The roles; each returns the exit code of its process. */
int kmf_keeper_main(const struct kmf_conf *c);
int kmf_front_main(const struct kmf_conf *c, unsigned index);
int kmf_fetch_main(const struct kmf_conf *c);
int kmf_mailer_main(const struct kmf_conf *c);
