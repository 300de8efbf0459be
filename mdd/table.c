/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FNV-1a over a random start, mixed once more at the end: strong enough
 * against somebody who sees neither the seed nor the table.
 */
#include "mdd/table.h"

#include <stdlib.h>

#include "perc/crypto.h"

int
mdd_table_init(struct mdd_table *t, size_t n)
{
	size_t size = 16;

	while (size < n)
		size *= 2;
	if ((t->slot = calloc(size, sizeof(*t->slot))) == NULL)
		return PERC_ERR_NOMEM;
	t->mask = (uint32_t)size - 1;
	perc_random(&t->seed, sizeof(t->seed));
	return 0;
}

void
mdd_table_clear(struct mdd_table *t)
{
	free(t->slot);
	t->slot = NULL;
}

uint32_t
mdd_table_hash(const struct mdd_table *t, const void *key, size_t n)
{
	const uint8_t *p = key;
	uint64_t h = t->seed ^ 0xcbf29ce484222325u;

	while (n-- > 0)
		h = (h ^ *p++) * 0x100000001b3u;
	h ^= t->seed >> 32;
	h *= 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 32);
}

void
mdd_table_add(struct mdd_table *t, struct mdd_node *n, uint32_t hash)
{
	struct mdd_node **at = &t->slot[hash & t->mask];

	n->hash = hash;
	n->next = *at;
	n->linkp = at;
	if (*at != NULL)
		(*at)->linkp = &n->next;
	*at = n;
}

void
mdd_table_del(struct mdd_node *n)
{
	if (n->linkp == NULL)
		return;
	*n->linkp = n->next;
	if (n->next != NULL)
		n->next->linkp = n->linkp;
	n->next = NULL;
	n->linkp = NULL;
}

static struct mdd_node *
same_hash(struct mdd_node *n, uint32_t hash)
{
	while (n != NULL && n->hash != hash)
		n = n->next;
	return n;
}

struct mdd_node *
mdd_table_first(const struct mdd_table *t, uint32_t hash)
{
	return same_hash(t->slot[hash & t->mask], hash);
}

struct mdd_node *
mdd_table_next(const struct mdd_node *n)
{
	return same_hash(n->next, n->hash);
}
