/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which leg, by its id, by ICE's user name and by address; and which of its
 * sources. A member's are those of its token, a link's those that it feeds.
 */
#include "mdd/leg.h"

#include <string.h>

#include "mdd/link.h"

struct mdd_leg *
mdd_leg_by_id(struct mdd_legs *l, const char *id)
{
	uint32_t h = mdd_table_hash(&l->by_id, id, strlen(id));
	struct mdd_node *n;

	for (n = mdd_table_first(&l->by_id, h); n != NULL;
	     n = mdd_table_next(n))
		if (strcmp(MDD_OWNER(n, struct mdd_leg, by_id)->id, id) == 0)
			return MDD_OWNER(n, struct mdd_leg, by_id);
	return NULL;
}

struct mdd_leg *
mdd_leg_by_ufrag(struct mdd_legs *l, const char *p, size_t n)
{
	struct mdd_node *d;

	if (n != PERC_ICE_UFRAG)
		return NULL;
	for (d = mdd_table_first(
		 &l->by_ufrag, mdd_table_hash(&l->by_ufrag, p, n));
	     d != NULL; d = mdd_table_next(d))
		if (memcmp(MDD_OWNER(d, struct mdd_leg, by_ufrag)->ufrag, p,
			n) == 0)
			return MDD_OWNER(d, struct mdd_leg, by_ufrag);
	return NULL;
}

struct mdd_leg *
mdd_leg_by_addr(struct mdd_legs *l, const struct mdd_addr *a)
{
	struct mdd_node *d;
	uint8_t key[24];
	size_t n = mdd_addr_key(key, a);

	for (d = mdd_table_first(
		 &l->by_addr, mdd_table_hash(&l->by_addr, key, n));
	     d != NULL; d = mdd_table_next(d))
		if (mdd_addr_same(
			&MDD_OWNER(d, struct mdd_leg, by_addr)->addr, a))
			return MDD_OWNER(d, struct mdd_leg, by_addr);
	return NULL;
}

int
mdd_leg_index(const struct mdd_leg *leg, uint32_t ssrc)
{
	unsigned i;

	if (leg->link != NULL)
		return mdd_link_index(leg->link, ssrc);
	for (i = 0; i < leg->nssrcs; i++)
		if (leg->ssrcs[i] == ssrc)
			return (int)i;
	return PERC_ERR_NOTFOUND;
}

struct mdd_source *
mdd_leg_src(const struct mdd_leg *leg, unsigned i)
{
	return leg->link != NULL ? leg->link->slot[i].src : leg->src[i];
}

struct mdd_inbound *
mdd_leg_in(struct mdd_leg *leg, unsigned i)
{
	return leg->link != NULL ? leg->link->slot[i].in : &leg->in[i];
}

struct mdd_source *
mdd_leg_source(const struct mdd_leg *leg, uint32_t ssrc)
{
	int i = mdd_leg_index(leg, ssrc);

	return i < 0 ? NULL : mdd_leg_src(leg, (unsigned)i);
}

struct mdd_source *
mdd_leg_source_next(const struct mdd_leg *leg, unsigned *at)
{
	const struct mdd_link *k = leg->link;

	if (k == NULL)
		return *at < leg->nssrcs ? leg->src[(*at)++] : NULL;
	while (*at <= k->mask)
		if (k->slot[(*at)++].src != NULL)
			return k->slot[*at - 1].src;
	return NULL;
}
