/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the table of perch-kmf.conf cannot say: defaults made of other
 * settings, and faults between them. Those name their line too.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmf/conf_hook.h"
#include "kmf/conf_table.h"
#include "kmf/kmf.h"
#include "perc/systemd.h"

int
kmf_conf_fault(const struct kmf_conf_text *t, const char *section,
    const char *label, const char *name, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	perc_conf_vfault(
	    t->why, t->cap, &t->read, section, label, name, fmt, ap);
	va_end(ap);
	return PERC_ERR_FORMAT;
}

static int
beside(char **pathp, const char *dir, const char *name)
{
	if (*pathp != NULL)
		return 0;
	return asprintf(pathp, "%s/%s", dir, name) < 0 ? PERC_ERR_NOMEM : 0;
}

/* None was named: root.key, or where there is no such file, the credential
 * root_key. */
static int
root_complete(struct kmf_conf *c)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char *path = NULL;
	int r;

	if (c->root_key == NULL &&
	    ((r = beside(&path, c->state_dir, "root.key")) != 0))
		return r;
	if (path != NULL && access(path, F_OK) != 0 && dir != NULL) {
		free(path);
		if (asprintf(&path, "%s/root_key", dir) < 0)
			return PERC_ERR_NOMEM;
	}
	if (path != NULL)
		c->root_key = path;
	c->root_credential = perc_systemd_is_credential(c->root_key);
	return 0;
}

/* An address is all that stands between angle brackets. */
static int
mail_complete(const struct kmf_mail_conf *m, const struct kmf_conf_text *t)
{
	if (m->url == NULL)
		return 0;
	if (strncmp(m->url, "smtp://", 7) != 0 &&
	    strncmp(m->url, "smtps://", 8) != 0)
		return kmf_conf_fault(t, "mail", NULL, "url",
		    "'url' of [mail] must be smtp:// or smtps://");
	if (m->from == NULL || strchr(m->from, '@') == NULL ||
	    strpbrk(m->from, " <>\t") != NULL || strlen(m->from) > 254)
		return kmf_conf_fault(t, "mail", NULL, "from",
		    "[mail] needs 'from', an e-mail address");
	return 0;
}

static int
mdds_complete(char **mdds, const struct kmf_conf_text *t)
{
	size_t i, n;

	for (i = 0; mdds[i] != NULL; i++) {
		n = strlen(mdds[i]);
		while (n > 0 && mdds[i][n - 1] == '/')
			mdds[i][--n] = '\0';
		if (strncmp(mdds[i], "https://", 8) != 0 || n <= 8)
			return kmf_conf_fault(
			    t, NULL, NULL, "mdds", "'mdds' must be https URLs");
	}
	if (i == 0)
		return kmf_conf_fault(t, NULL, NULL, "mdds",
		    "'mdds' names no media distributor; add its base URL");
	return 0;
}

static void
fronts_complete(struct kmf_conf *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (c->fronts == 0)
		c->fronts = cores < 1	     ? 1
		    : cores > KMF_FRONTS_MAX ? KMF_FRONTS_MAX
					     : cores;
}

int
kmf_conf_complete(struct kmf_conf *c, const struct kmf_conf_text *t)
{
	int r;

	if ((r = beside(&c->tls_cert, c->state_dir, "tls.crt")) != 0 ||
	    (r = beside(&c->tls_key, c->state_dir, "tls.key")) != 0 ||
	    (r = root_complete(c)) != 0)
		return r;
	if (c->guard_dir == NULL &&
	    (c->guard_dir = strdup(c->state_dir)) == NULL)
		return PERC_ERR_NOMEM;
	fronts_complete(c);
	if (strchr(c->base_url + 8, '/') != NULL)
		return kmf_conf_fault(t, NULL, NULL, "base_url",
		    "'base_url' must have no path: %s",
		    "well-known documents hang on the host");
	if ((r = mdds_complete(c->mdds, t)) != 0 ||
	    (r = mail_complete(&c->mail, t)) != 0 ||
	    (r = kmf_hooks_complete(c, t)) != 0)
		return r;
	return kmf_issuers_complete(c, t);
}
