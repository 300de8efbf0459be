/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The [peer] sections: MDDs that carry conferences with us. Two of one URL or
 * of one key would be one peer that is two, so that is refused here.
 */
#include <errno.h>
#include <fcntl.h>
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
	int r;

	if (c->peers == MDD_PEER_MAX)
		return PERC_ERR_LIMIT;
	if ((r = mdd_conf_label(&p->name, label)) != 0)
		return r;
	c->peers++;
	*targetp = p;
	return 0;
}

static int
check_peer(const struct mdd_conf *c, unsigned i, const struct perc_conf_text *t,
    struct perc_conf_error *e)
{
	const struct mdd_peer_conf *p = &c->peer[i];
	unsigned j;

	if (strlen(p->key) != PERC_JKT_LEN)
		return perc_conf_fault(e, PERC_ERR_FORMAT, t, "peer", p->name,
		    "key",
		    "[peer %s] key: the 43 characters that 'perch-mdd "
		    "link-key' prints there",
		    p->name);
	if (strcmp(p->url, c->base_url) == 0)
		return perc_conf_fault(e, PERC_ERR_EXISTS, t, "peer", p->name,
		    "url", "[peer %s] url is our own base_url", p->name);
	for (j = 0; j < i; j++)
		if (strcmp(p->url, c->peer[j].url) == 0 ||
		    strcmp(p->key, c->peer[j].key) == 0)
			return perc_conf_fault(e, PERC_ERR_EXISTS, t, "peer",
			    p->name,
			    strcmp(p->url, c->peer[j].url) == 0 ? "url" : "key",
			    "[peer %s] has the url or key of [peer %s]",
			    p->name, c->peer[j].name);
	return 0;
}

int
mdd_peers_check(const struct mdd_conf *c, const struct perc_conf_text *t,
    struct perc_conf_error *e)
{
	unsigned i;
	int r;

	if (c->peers > 0 && c->link_key == NULL)
		return perc_conf_fault(e, PERC_ERR_FORMAT, t, "peer",
		    c->peer[0].name, "url",
		    "[peer %s] needs link_key: make one by 'perch-mdd link-key "
		    "FILE'",
		    c->peer[0].name);
	for (i = 0; i < c->peers; i++)
		if ((r = check_peer(c, i, t, e)) != 0)
			return r;
	return 0;
}

/* By opening them: a cage lets access(2) through and open(2) not. */
int
mdd_peers_check_ca(const struct mdd_conf *c, const struct perc_conf_text *t,
    struct perc_conf_error *e)
{
	unsigned i;
	int fd;

	for (i = 0; i < c->peers; i++) {
		if (c->peer[i].ca == NULL)
			continue;
		fd = open(c->peer[i].ca, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
		if (fd < 0)
			return perc_conf_fault(e, PERC_ERR_SYS, t, "peer",
			    c->peer[i].name, "ca", "[peer %s] ca = %s: %s",
			    c->peer[i].name, c->peer[i].ca, strerror(errno));
		(void)close(fd);
	}
	return 0;
}

/* With a link key peers may come at any SIGHUP, so there is room for them. */
uint32_t
mdd_conf_links(const struct mdd_conf *c)
{
	return c->link_key != NULL || (c->workers > 1 && c->legs_per_worker > 0)
	    ? (uint32_t)c->max_links
	    : 0;
}

static bool
text_same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool
mdd_peer_same(const struct mdd_peer_conf *a, const struct mdd_peer_conf *b)
{
	return strcmp(a->url, b->url) == 0 && strcmp(a->key, b->key) == 0 &&
	    text_same(a->ca, b->ca) && a->transit == b->transit;
}
