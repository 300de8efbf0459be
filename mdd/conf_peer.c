/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The [peer] sections: MDDs that carry conferences with us. Two of one URL or
 * of one key would be one peer that is two, so that is refused here.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mdd/conf.h"
#include "perc/jose.h"

#define P(m) offsetof(struct mdd_peer_conf, m)

const struct perc_conf_item mdd_peer_items[] = {
	{ .name = "url",
	    .type = PERC_CONF_URL,
	    .offset = P(url),
	    .required = true,
	    .help = "base URL of an MDD that carries conferences with us" },
	{ .name = "key",
	    .type = PERC_CONF_STR,
	    .offset = P(key),
	    .required = true,
	    .help = "thumbprint of its link key" },
	{ .name = "ca",
	    .type = PERC_CONF_PATH,
	    .offset = P(ca),
	    .help = "whom its certificate is of; default: the system's list" },
	{ .name = "conferences",
	    .type = PERC_CONF_ENUM,
	    .offset = P(conferences),
	    .def = "all",
	    .choices = "all|token",
	    .help = "which: all, or those whose token2 names it" },
	{ .name = "transit",
	    .type = PERC_CONF_BOOL,
	    .offset = P(transit),
	    .def = "no",
	    .help = "pass on between it and others with transit" },
	{ 0 },
};

int
mdd_peer_open(void *conf, const char *label, void **targetp)
{
	struct mdd_conf *c = conf;
	struct mdd_peer_conf *p = &c->peer[c->peers];

	if (c->peers == MDD_PEER_MAX)
		return PERC_ERR_LIMIT;
	if (strlen(label) > 32)
		return PERC_ERR_FORMAT;
	if ((p->name = strdup(label)) == NULL)
		return PERC_ERR_NOMEM;
	c->peers++;
	*targetp = p;
	return 0;
}

static int PERC_PRINTF(3, 4)
    complain(struct perc_conf_error *e, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return r;
}

int
mdd_peers_check(const struct mdd_conf *c, struct perc_conf_error *e)
{
	const struct mdd_peer_conf *p;
	unsigned i, j;
	int fd = -1, r;

	if (c->peers == 0)
		return 0;
	if (c->link_key == NULL)
		return complain(e, PERC_ERR_FORMAT,
		    "[peer %s] needs link_key: make one by 'perch-mdd link-key "
		    "FILE'",
		    c->peer[0].name);
	if ((r = perc_conf_open_secret(&fd, c->link_key, e)) != 0)
		return r;
	(void)close(fd);
	for (i = 0; i < c->peers; i++) {
		p = &c->peer[i];
		if (strlen(p->key) != PERC_JKT_LEN)
			return complain(e, PERC_ERR_FORMAT,
			    "[peer %s] key: the 43 characters that 'perch-mdd "
			    "link-key' prints there",
			    p->name);
		if (p->ca != NULL && access(p->ca, R_OK) != 0)
			return complain(e, PERC_ERR_SYS,
			    "[peer %s] ca = %s: %s", p->name, p->ca,
			    strerror(errno));
		if (strcmp(p->url, c->base_url) == 0)
			return complain(e, PERC_ERR_EXISTS,
			    "[peer %s] url is our own base_url", p->name);
		for (j = 0; j < i; j++)
			if (strcmp(p->url, c->peer[j].url) == 0 ||
			    strcmp(p->key, c->peer[j].key) == 0)
				return complain(e, PERC_ERR_EXISTS,
				    "[peer %s] has the url or key of [peer %s]",
				    p->name, c->peer[j].name);
	}
	return 0;
}

uint32_t
mdd_conf_links(const struct mdd_conf *c)
{
	return c->peers > 0 || (c->workers > 1 && c->legs_per_worker > 0)
	    ? (uint32_t)c->max_links
	    : 0;
}

bool
mdd_peers_same(const struct mdd_conf *a, const struct mdd_conf *b)
{
	const struct perc_conf_item *item;
	unsigned i;

	if (a->peers != b->peers)
		return false;
	for (i = 0; i < a->peers; i++)
		for (item = mdd_peer_items; item->name != NULL; item++)
			if (!perc_conf_equal(&a->peer[i], &b->peer[i], item))
				return false;
	return true;
}
