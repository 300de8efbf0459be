/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What serve would open, opened now: one line for each problem. The same
 * checks run before serve starts any process, so that a start that cannot
 * succeed changes nothing. The database is left to its user: opened by root
 * it would leave files behind that the keeper cannot write.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/db.h"
#include "kmf/hook.h"
#include "kmf/fetch_ask.h"
#include "kmf/keeper.h"
#include "kmf/kmf.h"
#include "kmf/root.h"
#include "perc/conf.h"
#include "perc/httpd.h"
#include "perc/log.h"
#include "perc/proc.h"
#include "perc/systemd.h"

/* Whoever types a command reads the terminal, a daemon's keeper its log. */
static bool running;

static int
problem(const char *why)
{
	if (running)
		log_warnx("kmf.reload fault=\"%s\"", why);
	else
		fprintf(stderr, "perch-kmf: %s\n", why);
	return 1;
}

static int
check_secret(const char *path)
{
	struct perc_conf_error e;
	int fd;

	if (perc_conf_open_secret(&fd, path, &e) != 0)
		return problem(e.text);
	close(fd);
	return 0;
}

static int
check_hook_secret(const char *path)
{
	struct perc_secret *s[2] = { NULL, NULL };
	char why[512];

	if (kmf_hook_secrets_read(s, path, why, sizeof(why)) != 0)
		return problem(why);
	perc_secret_free(s[0]);
	perc_secret_free(s[1]);
	return 0;
}

static int
check_root(const struct kmf_conf *c)
{
	struct perc_secret *now = NULL, *next = NULL;
	char why[600] = "";
	int bad = 0;

	if (kmf_roots_read(&now, &next, c, why, sizeof(why)) != 0)
		bad = problem(why);
	perc_secret_free(now);
	perc_secret_free(next);
	return bad;
}

static int
check_file(const char *path, const char *what)
{
	char why[512];

	if (access(path, R_OK) == 0)
		return 0;
	snprintf(why, sizeof(why), "%s: cannot read %s: %m", path, what);
	return problem(why);
}

static int
check_state(const struct kmf_conf *c)
{
	char why[512];
	struct stat st;

	if (stat(c->state_dir, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	snprintf(why, sizeof(why),
	    "%s: no such state directory; make one with 'perch-kmf init'",
	    c->state_dir);
	return problem(why);
}

static int
check_ca(const char *ca_file, const char *crl_file)
{
	struct perc_httpd_ca *ca = NULL;
	char why[512] = "";
	int bad = 0;

	if (perc_httpd_ca_new(&ca, ca_file, crl_file, why, sizeof(why)) != 0)
		bad = problem(why);
	perc_httpd_ca_free(ca);
	return bad;
}

/* Its files, as fronts and fetcher will open them. */
static int
check_issuer(const struct kmf_issuer *i)
{
	char why[512] = "";
	int bad = 0;

	if (i->certificate)
		return check_ca(i->ca_file, i->crl_file);
	if (i->introspection && kmf_asker_check(i, why, sizeof(why)) != 0)
		bad += problem(why);
	if (i->ca_file != NULL)
		bad += check_file(i->ca_file, "the CA");
	if (i->jwks_file != NULL)
		bad += check_file(i->jwks_file, "the keys");
	return bad;
}

static int
check_listen(const char *listen)
{
	char why[512];
	int fd;

	if (listen == NULL)
		return 0;
	if (perc_httpd_listen(&fd, listen, false, why, sizeof(why)) != 0)
		return problem(why);
	close(fd);
	return 0;
}

static int
check_mail(const struct kmf_mail_conf *m)
{
	int bad = 0;

	if (m->url != NULL && m->password_file != NULL)
		bad += check_secret(m->password_file);
	if (m->url != NULL && m->ca_file != NULL)
		bad += check_file(m->ca_file, "the CA");
	return bad;
}

int
kmf_conf_check(const struct kmf_conf *c)
{
	char why[512] = "";
	int bad = 0;
	size_t i;

	running = c->running;
	if (check_state(c) != 0)
		return 1; /* all else lies in there */
	bad += check_root(c);
	bad += check_secret(c->tls_key);
	if (perc_httpd_check_cert(c->tls_cert, c->tls_key, why, sizeof(why)) !=
	    0)
		bad += problem(why);
	if (c->client_ca != NULL)
		bad += check_ca(c->client_ca, NULL);
	for (i = 0; i < c->nissuers; i++)
		bad += check_issuer(&c->issuers[i]);
	bad += check_mail(&c->mail);
	for (i = 0; i < c->nhooks; i++) {
		bad += check_hook_secret(c->hooks[i].secret_file);
		if (c->hooks[i].ca_file != NULL)
			bad += check_file(c->hooks[i].ca_file, "the CA");
	}
	if (!c->running &&
	    !perc_systemd_activated()) { /* else they are open, here */
		bad += check_listen(c->listen);
		bad += check_listen(c->metrics_listen);
	}
	return bad;
}

int
kmf_conf_check_db(const struct kmf_conf *c)
{
	char why[512] = "", path[4096];
	struct db *db = NULL;
	int bad;

	if (perc_proc_drop(c->user, NULL) != 0) {
		snprintf(why, sizeof(why), "%s: no such user as '%s'", c->file,
		    c->user);
		return problem(why);
	}
	snprintf(path, sizeof(path), "%s/%s", c->state_dir, KMF_DB_FILE);
	if ((bad = check_file(path, "the database")) != 0)
		return bad;
	if (db_open(&db, path, why, sizeof(why)) != 0)
		bad = problem(why);
	db_close(db);
	return bad;
}
