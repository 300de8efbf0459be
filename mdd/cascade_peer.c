/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which peers there are, at start and after each SIGHUP. A peer whose section
 * says the same as before keeps its place, and its links know nothing of it.
 * One that is gone is told so over the client it had, which therefore lives on
 * for a while; all others get a new client, for TLS libraries keep what a `ca`
 * file once had in it.
 */
#include "mdd/cascade.h"

#include <stdlib.h>
#include <string.h>

#include "mdd/select.h"
#include "perc/log.h"
#include "perc/secret.h"

/* ---- which conferences they are for ----------------------------------- */

static bool
is_named(const struct ctl_party *p, uint64_t hash)
{
	unsigned i;

	for (i = 0; i < MDD_PEER_MAX && i < p->nnamed; i++)
		if (p->named[i] == hash)
			return true;
	return false;
}

bool
cascade_allows(const struct ctl_party *p, const struct ctl_peer *peer)
{
	bool all = peer->conf.conferences == MDD_PEER_ALL;

	if (p == NULL)
		return peer->conf.transit && all;
	return ctl_key_divisible(p->key) &&
	    (all || is_named(p, mdd_select_member(peer->conf.url)));
}

/* Of more names than there can be peers the newest count. */
bool
cascade_named(struct ctl_party *p, const struct mdd_token *t)
{
	bool more = false;
	uint64_t hash;
	unsigned n;

	for (n = 0; n < t->ncascade; n++) {
		hash = mdd_select_member(t->cascade[n]);
		if (is_named(p, hash))
			continue;
		p->named[p->nnamed % MDD_PEER_MAX] = hash;
		p->nnamed = p->nnamed == 2 * MDD_PEER_MAX - 1 ? MDD_PEER_MAX
							      : p->nnamed + 1;
		more = true;
	}
	return more;
}

/* ---- clients ---------------------------------------------------------- */

static int
client_new(struct ctl *c, const struct mdd_peer_conf *p, struct perc_httpc **hp)
{
	struct perc_httpc_conf h = {
		.user_agent = "perch-mdd", .max_body = 8192, .ca_file = p->ca
	};

	return perc_httpc_new(hp, c->loop, &h);
}

/* In the place of the one that went first. */
static void
client_retire(struct ctl *c, struct perc_httpc *http)
{
	struct ctl_client *o = c->cascade->old, *at = o;
	unsigned i;

	for (i = 1; i < MDD_PEER_MAX; i++)
		if (o[i].until_ms < at->until_ms)
			at = &o[i];
	perc_httpc_free(at->http);
	at->http = http;
	at->until_ms = perc_now_ms() + LINK_CLIENT_MS;
}

void
cascade_clients_tick(struct ctl *c, int64_t now_ms)
{
	struct ctl_client *o;
	unsigned i;

	for (i = 0; i < MDD_PEER_MAX; i++) {
		o = &c->cascade->old[i];
		if (o->http == NULL || now_ms < o->until_ms)
			continue;
		perc_httpc_free(o->http);
		memset(o, 0, sizeof(*o));
	}
}

static void
fresh_clear(struct ctl_cascade *q)
{
	unsigned i;

	for (i = 0; i < MDD_PEER_MAX; i++) {
		perc_httpc_free(q->fresh[i]);
		q->fresh[i] = NULL;
	}
}

/* ---- a reload --------------------------------------------------------- */

int
cascade_peers_ready(struct ctl *c, const struct mdd_conf *next)
{
	unsigned i;
	int r = 0;

	fresh_clear(c->cascade);
	for (i = 0; i < next->peers && r == 0; i++)
		r = client_new(c, &next->peer[i], &c->cascade->fresh[i]);
	return r;
}

/* Where next has this peer; next->peers: nowhere. */
static unsigned
peer_in(const struct mdd_conf *next, const struct ctl_peer *peer)
{
	unsigned i;

	for (i = 0; i < next->peers; i++)
		if (mdd_peer_same(&next->peer[i], &peer->conf))
			break;
	return i;
}

static void
peer_end(struct ctl *c, struct ctl_peer *peer)
{
	struct ctl_link *k, *next;
	unsigned n = 0;

	for (k = c->cascade->first; k != NULL; k = next) {
		next = k->next;
		if (k->peer != peer)
			continue;
		cascade_end(c, k);
		n++;
	}
	log_info("peer gone name=%s url=%s links=%u", peer->conf.name,
	    peer->conf.url, n);
	client_retire(c, peer->http);
	memset(peer, 0, sizeof(*peer));
}

static void
peer_add(struct ctl *c, const struct mdd_peer_conf *p, struct perc_httpc **hp)
{
	struct ctl_peer *at = c->cascade->peer;

	while (at->http != NULL)
		at++; /* there are as many places as sections */
	at->conf = *p;
	at->http = *hp;
	*hp = NULL;
	log_info("peer new name=%s url=%s", p->name, p->url);
}

void
cascade_peers_take(struct ctl *c, const struct mdd_conf *next)
{
	struct ctl_cascade *q = c->cascade;
	struct ctl_peer *peer;
	unsigned i, at;

	for (i = 0; i < MDD_PEER_MAX; i++) {
		peer = &q->peer[i];
		if (peer->http == NULL)
			continue;
		if ((at = peer_in(next, peer)) == next->peers) {
			peer_end(c, peer);
			continue;
		}
		peer->conf = next->peer[at];
		client_retire(c, peer->http);
		peer->http = q->fresh[at];
		q->fresh[at] = NULL;
	}
	for (i = 0; i < next->peers; i++)
		if (q->fresh[i] != NULL)
			peer_add(c, &next->peer[i], &q->fresh[i]);
}

void
cascade_peers_settle(struct ctl *c)
{
	cascade_changed_all(c);
}

/* ---- start and end ---------------------------------------------------- */

static void
key_load(struct ctl *c)
{
	struct perc_conf_error e = { "" };
	char *text = NULL;
	size_t len = 0;
	int r;

	if ((r = perc_conf_read_file(
		 &text, &len, c->conf->link_key, MDD_JWKS_MAX, &e)) != 0 ||
	    (r = perc_jwk_from_json(&c->cascade->key, text, len, false)) != 0 ||
	    !perc_jwk_is_private(c->cascade->key))
		fatalx("link_key = %s: %s", c->conf->link_key,
		    e.text[0] != '\0' ? e.text
			: r != 0      ? perc_strerror(r)
				      : "not a private key");
	perc_wipe(text, len);
	free(text);
}

void
cascade_open(struct ctl *c)
{
	int r;

	if ((c->cascade = calloc(1, sizeof(*c->cascade))) == NULL)
		fatal("cannot start");
	if (c->conf->link_key != NULL)
		key_load(c);
	if ((r = cascade_peers_ready(c, c->conf)) != 0)
		fatalx("peers: %s", perc_strerror(r));
	cascade_peers_take(c, c->conf);
}

void
cascade_close(struct ctl *c)
{
	struct ctl_cascade *q = c->cascade;
	unsigned i;

	for (i = 0; i < MDD_PEER_MAX; i++) {
		perc_httpc_free(q->peer[i].http);
		perc_httpc_free(q->old[i].http);
	}
	fresh_clear(q);
	perc_jwk_free(q->key);
	free(q);
	c->cascade = NULL;
}
