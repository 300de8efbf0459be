/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash table of fixed size whose nodes are embedded in what they find: no
 * allocation after init. The hash is seeded, so that whoever chooses keys
 * (addresses) cannot choose collisions.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

struct mdd_node { /* zero when in no table */
	struct mdd_node *next, **linkp;
	uint32_t hash;
};

struct mdd_table {
	struct mdd_node **slot;
	uint32_t mask;
	uint64_t seed;
};

/* Room for about n nodes at one per slot. */
PERC_MUST int mdd_table_init(struct mdd_table *t, size_t n);
void mdd_table_clear(struct mdd_table *t);
uint32_t mdd_table_hash(const struct mdd_table *t, const void *key, size_t n);
void mdd_table_add(struct mdd_table *t, struct mdd_node *n, uint32_t hash);
void mdd_table_del(struct mdd_node *n); /* fine when it is in none */
/* The first node with that hash, then the next one; NULL at the end. */
struct mdd_node *mdd_table_first(const struct mdd_table *t, uint32_t hash);
struct mdd_node *mdd_table_next(const struct mdd_node *n);

#define MDD_OWNER(node, type, member)                                          \
	((type *)(void *)((char *)(node)-offsetof(type, member)))
