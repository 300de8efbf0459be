/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGHUP: settings, the KMFs' keys and the certificate are read again while
 * legs and connections go on. A file with a mistake, or one that changes what
 * is fixed at start (sockets, pools), changes no setting at all, and the log
 * names each of them; keys and certificate are then still read again, each
 * staying as it was when the new one is no good.
 */
#include <stdlib.h>
#include <string.h>

#include "mdd/cascade.h"
#include "perc/log.h"
#include "perc/secret.h"

/* ---- the KMFs' keys --------------------------------------------------- */

static int
keys_read(const struct mdd_kmf_conf *k, struct perc_jwks **setp)
{
	struct perc_conf_error e = { "" };
	char *text = NULL;
	size_t len;
	int r;

	if ((r = perc_conf_read_file(&text, &len, k->keys, MDD_JWKS_MAX, &e)) !=
		0 ||
	    (r = perc_jwks_from_json(setp, text, len)) != 0)
		log_warnx("keys of kmf %s cannot be used: %s", k->name,
		    e.text[0] != '\0' ? e.text : perc_strerror(r));
	free(text);
	return r;
}

/* The issuer's keys, or NULL. */
static struct perc_jwks **
keys_in_use(struct mdd_issuer *set, const char *url)
{
	unsigned i;

	for (i = 0; i < MDD_KMF_MAX; i++)
		if (set[i].keys != NULL && strcmp(set[i].issuer, url) == 0)
			return &set[i].keys;
	return NULL;
}

static void
issuers_free(struct mdd_issuer *set)
{
	unsigned i;

	for (i = 0; i < MDD_KMF_MAX; i++)
		perc_jwks_free(set[i].keys);
	memset(set, 0, MDD_KMF_MAX * sizeof(*set));
}

int
ctl_issuers_load(struct ctl *c, const struct mdd_conf *conf, unsigned *freshp)
{
	struct mdd_issuer next[MDD_KMF_MAX] = { 0 };
	struct perc_jwks **old;
	unsigned i;
	int r = 0;

	*freshp = 0;
	for (i = 0; i < conf->kmfs; i++) {
		next[i].name = conf->kmf[i].name;
		next[i].issuer = conf->kmf[i].url;
		if (keys_read(&conf->kmf[i], &next[i].keys) == 0)
			(*freshp)++;
		else if (keys_in_use(c->issuer, conf->kmf[i].url) == NULL)
			r = PERC_ERR_NOTFOUND;
	}
	if (r != 0) {
		issuers_free(next);
		return r;
	}
	for (i = 0; i < conf->kmfs; i++)
		if (next[i].keys == NULL) { /* it goes on with what it has */
			old = keys_in_use(c->issuer, next[i].issuer);
			next[i].keys = *old;
			*old = NULL;
		}
	issuers_free(c->issuer);
	memcpy(c->issuer, next, sizeof(c->issuer));
	return 0;
}

void
ctl_issuers_free(struct ctl *c)
{
	issuers_free(c->issuer);
}

/* ---- settings --------------------------------------------------------- */

/* False: said why, and nothing has changed. */
static bool
settings_read(struct ctl *c, struct mdd_conf *next)
{
	struct perc_conf_error e = { "" };
	char frozen[256];
	int r = mdd_conf_reread(next, c->conf_file, &e);

	if (r == 0)
		r = cascade_peers_ready(c, next);
	if (r != 0) {
		log_warnx("settings stay as they were: %s",
		    e.text[0] != '\0' ? e.text : perc_strerror(r));
		return false;
	}
	if (mdd_conf_frozen(c->conf, next, frozen, sizeof(frozen)) > 0) {
		log_warnx("settings stay as they were: %s cannot change "
			  "without a restart; put them back, or restart",
		    frozen);
		return false;
	}
	return true;
}

static void
settings_take(struct ctl *c, struct mdd_conf *next)
{
	cascade_peers_take(c, next);
	mdd_conf_clear(c->conf);
	*c->conf = *next;
	memset(next, 0, sizeof(*next));
	cascade_peers_settle(c);
	perc_log_level_set((enum perc_log_level)c->conf->log_level);
	ctl_limits_send(c);
	ctl_tell(c, (char)(MDD_CONTROL_LEVEL + c->conf->log_level));
}

void
ctl_reload(struct ctl *c)
{
	struct mdd_conf *next = calloc(1, sizeof(*next));
	unsigned fresh = 0;
	char why[256];
	bool taken;

	if (next == NULL)
		return;
	taken =
	    settings_read(c, next) && ctl_issuers_load(c, next, &fresh) == 0;
	if (taken)
		settings_take(c, next);
	else if (ctl_issuers_load(c, c->conf, &fresh) != 0)
		log_warnx("keys stay as they were");
	if (perc_httpd_reload_cert(c->httpd, c->conf->tls_cert,
		c->conf->tls_key, why, sizeof(why)) != 0)
		log_warnx("certificate stays as it was: %s", why);
	log_info(
	    "reloaded kmfs=%u settings=%s", fresh, taken ? "new" : "unchanged");
	mdd_conf_clear(next);
	free(next);
}
