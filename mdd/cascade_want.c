/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which links there should be: whenever legs come or go, cascade_changed
 * compares that with what there is. A conference's parts here are a star around
 * its root, and the root has the links to peers.
 */
#include "mdd/cascade.h"

#include "perc/log.h"

static struct ctl_link *
link_of_room(struct ctl *c, const struct ctl_room *room)
{
	struct ctl_link *k;

	for (k = c->cascade->first; k != NULL; k = k->next)
		if (k->room == room && k->far != NULL)
			return k;
	return NULL;
}

static unsigned
party_legs(const struct ctl_party *p)
{
	const struct ctl_room *r;
	unsigned n = 0;

	for (r = p->first; r != NULL; r = r->next)
		n += r->legs;
	return n;
}

/* Has an MDD that we pass things on for come to us with it? */
static bool
party_passes(
    struct ctl *c, const struct ctl_party *p, const struct ctl_peer *to)
{
	const struct ctl_link *k;

	for (k = c->cascade->first; k != NULL; k = k->next)
		if (k->party == p && k->peer != NULL && k->peer != to &&
		    k->peer->conf.transit && !k->dial && k->state == LINK_LIVE)
			return true;
	return false;
}

static bool
peer_wanted(
    struct ctl *c, const struct ctl_party *p, const struct ctl_peer *peer)
{
	if (peer->http == NULL || !cascade_allows(p, peer))
		return false;
	return party_legs(p) > 0 ||
	    (peer->conf.transit && party_passes(c, p, peer));
}

static bool
link_wanted(struct ctl *c, const struct ctl_link *k)
{
	const struct ctl_party *p = k->party;

	if (c->stopping)
		return false;
	if (k->far != NULL)
		return k->room->legs > 0 && k->far == p->first;
	if (k->room != p->first)
		return false;
	/* Who came to us through an MDD in the middle goes by himself. */
	if (!k->dial && k->peer->conf.transit && k->state != LINK_WAITS)
		return true;
	return peer_wanted(c, p, k->peer);
}

static void
link_make(struct ctl *c, struct ctl_room *room, struct ctl_room *far,
    struct ctl_peer *peer)
{
	struct ctl_link *k = cascade_new(c, room);

	if (k == NULL) {
		log_warnx("no memory for a link of %s", room->key);
		return;
	}
	k->peer = peer;
	if ((k->far = far) != NULL)
		far->links++;
	cascade_start(c, k);
}

void
cascade_changed(struct ctl *c, struct ctl_party *p)
{
	struct ctl_link *k, *next;
	struct ctl_room *r, *root;
	struct ctl_peer *peer;
	unsigned i;

	root = p->first;
	root->links++; /* the party stays while we look at it */
	for (k = c->cascade->first; k != NULL; k = next) {
		next = k->next;
		if (k->party == p && !link_wanted(c, k))
			cascade_end(c, k);
	}
	for (r = root->next; r != NULL && !c->stopping; r = r->next)
		if (r->legs > 0 && link_of_room(c, r) == NULL)
			link_make(c, r, root, NULL);
	for (i = 0; i < MDD_PEER_MAX && !c->stopping; i++) {
		peer = &c->cascade->peer[i];
		if (peer_wanted(c, p, peer) && cascade_find(c, p, peer) == NULL)
			link_make(c, root, NULL, peer);
	}
	root->links--;
	ctl_room_put(c, root);
}

/* Its legs are gone already; a party whose root it was has another now. */
void
cascade_worker_lost(struct ctl *c, struct ctl_worker *w)
{
	struct ctl_link *k, *next;

	for (k = c->cascade->first; k != NULL; k = next) {
		next = k->next;
		if (k->room->worker == w)
			k->leg[0] = '\0';
		else if (k->far != NULL && k->far->worker == w)
			k->far_leg[0] = '\0';
		else
			continue;
		cascade_end(c, k);
	}
	cascade_changed_all(c); /* those that are left have another root */
}

/* Only those with links alone can go while we look at them: then we begin
 * again. */
void
cascade_changed_all(struct ctl *c)
{
	unsigned stamp = ++c->cascade->stamp;
	const struct ctl_leg *leg;
	struct ctl_link *k;

	for (leg = c->first; leg != NULL && !c->stopping; leg = leg->next) {
		if (leg->room->party->stamp == stamp)
			continue;
		leg->room->party->stamp = stamp;
		cascade_changed(c, leg->room->party);
	}
	k = c->cascade->first;
	while (k != NULL && !c->stopping) {
		if (k->party->stamp == stamp) {
			k = k->next;
			continue;
		}
		k->party->stamp = stamp;
		cascade_changed(c, k->party);
		k = c->cascade->first;
	}
}
