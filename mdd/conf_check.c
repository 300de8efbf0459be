/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checks that a table of settings cannot do: files that must be there, a
 * key file that must be private, a media address that endpoints can be told.
 * They run before any port is opened, so that every mistake is one line on
 * the terminal.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mdd/conf.h"
#include "perc/jose.h"

static bool
is_family(int family, const char *t)
{
	uint8_t raw[16];

	return inet_pton(family, t, raw) == 1;
}

static bool
is_address(const char *t)
{
	return is_family(AF_INET, t) || is_family(AF_INET6, t);
}

/* One socket for both families: it must be of IPv6, and open to all. */
static int
check_media6(struct mdd_conf *c, const struct perc_conf_text *t,
    struct perc_conf_error *e)
{
	if (!is_family(AF_INET6, c->media_host6) ||
	    strcmp(c->media_host6, "::") == 0 ||
	    !is_family(AF_INET, c->media_host))
		return perc_conf_fault(e, PERC_ERR_FORMAT, t, NULL, NULL,
		    "media_host6",
		    "media_host6 = %s: give an IPv6 address here and one of "
		    "IPv4 as media_host",
		    c->media_host6);
	if (c->media_listen == NULL && (c->media_listen = strdup("::")) == NULL)
		return PERC_ERR_NOMEM;
	if (strcmp(c->media_listen, "::") != 0)
		return perc_conf_fault(e, PERC_ERR_FORMAT, t, NULL, NULL,
		    "media_listen",
		    "media_listen = %s: with media_host6 it must be ::",
		    c->media_listen);
	return 0;
}

static int
check_media(struct mdd_conf *c, const struct perc_conf_text *t,
    struct perc_conf_error *e)
{
	if (!is_address(c->media_host) ||
	    strcmp(c->media_host, "0.0.0.0") == 0 ||
	    strcmp(c->media_host, "::") == 0)
		return perc_conf_fault(e, PERC_ERR_FORMAT, t, NULL, NULL,
		    "media_host",
		    "media_host = %s: give the one address that endpoints "
		    "can reach",
		    c->media_host);
	if (c->media_host6 != NULL)
		return check_media6(c, t, e);
	if (c->media_listen == NULL &&
	    (c->media_listen = strdup(c->media_host)) == NULL)
		return PERC_ERR_NOMEM;
	if (!is_address(c->media_listen))
		return perc_conf_fault(e, PERC_ERR_FORMAT, t, NULL, NULL,
		    "media_listen",
		    "media_listen = %s: an address, not a name, is needed",
		    c->media_listen);
	return 0;
}

int
mdd_conf_check(struct mdd_conf *c, const struct perc_conf_text *t,
    struct perc_conf_error *e)
{
	long n;
	int r;

	if ((r = check_media(c, t, e)) != 0)
		return r;
	if (c->workers == 0) {
		n = sysconf(_SC_NPROCESSORS_ONLN);
		c->workers = n < 1	  ? 1
		    : n > MDD_WORKERS_MAX ? MDD_WORKERS_MAX
					  : n;
	}
	if (c->media_port != 0 && c->media_port + c->workers - 1 > 65535)
		return perc_conf_fault(e, PERC_ERR_FORMAT, t, NULL, NULL,
		    "media_port", "media_port leaves no ports for all workers");
	return mdd_peers_check(c, t, e);
}

/* What a reader of files said, and which setting names the file. */
static int
file_fault(struct perc_conf_error *e, int r, const struct perc_conf_text *t,
    const char *label, const char *name)
{
	const struct perc_conf_error said = *e;

	return perc_conf_fault(e, r, t, label == NULL ? NULL : "kmf", label,
	    name, "%s: %s", name, said.text);
}

static int
check_secret(const char *path, const char *name, const struct perc_conf_text *t,
    struct perc_conf_error *e)
{
	int fd = -1, r = perc_conf_open_secret(&fd, path, e);

	if (r != 0)
		return file_fault(e, r, t, NULL, name);
	(void)close(fd);
	return 0;
}

static int
check_keys(const struct mdd_kmf_conf *k, const struct perc_conf_text *t,
    struct perc_conf_error *e)
{
	struct perc_jwks *set = NULL;
	char *text = NULL;
	size_t len;
	int r;

	if ((r = perc_conf_read_file(&text, &len, k->keys, MDD_JWKS_MAX, e)) !=
	    0)
		return file_fault(e, r, t, k->name, "keys");
	if ((r = perc_jwks_from_json(&set, text, len)) != 0)
		(void)perc_conf_fault(e, r, t, "kmf", k->name, "keys",
		    "%s: no usable key in this JWK set (%s)", k->keys,
		    perc_strerror(r));
	perc_jwks_free(set);
	free(text);
	return r;
}

static int
check_kmf(const struct mdd_conf *c, unsigned i, const struct perc_conf_text *t,
    struct perc_conf_error *e)
{
	const struct mdd_kmf_conf *k = &c->kmf[i];
	unsigned j;

	for (j = 0; j < i; j++)
		if (strcmp(k->url, c->kmf[j].url) == 0)
			return perc_conf_fault(e, PERC_ERR_EXISTS, t, "kmf",
			    k->name, "url", "[kmf %s] has the url of [kmf %s]",
			    k->name, c->kmf[j].name);
	return check_keys(k, t, e);
}

int
mdd_conf_check_files(const struct mdd_conf *c, const struct perc_conf_text *t,
    struct perc_conf_error *e)
{
	unsigned i;
	int r;

	if (access(c->tls_cert, R_OK) != 0)
		return perc_conf_fault(e, PERC_ERR_SYS, t, NULL, NULL,
		    "tls_cert", "tls_cert = %s: %s", c->tls_cert,
		    strerror(errno));
	if ((r = check_secret(c->tls_key, "tls_key", t, e)) != 0)
		return r;
	if (c->link_key != NULL &&
	    (r = check_secret(c->link_key, "link_key", t, e)) != 0)
		return r;
	if (c->kmfs == 0)
		return perc_conf_fault(e, PERC_ERR_FORMAT, t, "kmf", NULL,
		    "url",
		    "no [kmf NAME] section: nobody's tokens would count");
	for (i = 0; i < c->kmfs; i++)
		if ((r = check_kmf(c, i, t, e)) != 0)
			return r;
	return 0;
}
