/* SPDX-License-Identifier: Apache-2.0 */
/* Vaults that are members of one conference, in one loop. */
#pragma once

#include "vaultkit.h"

struct vaultroom {
	struct perc_loop *loop;
	struct kit_kmf kmf, other; /* other: a KMF that nobody pinned */
	struct kit_conf conf;
	struct kit *m[KIT_MEMBERS]; /* alice, bob, carol, dave */
	unsigned n;
};

/* n of them, each with the first key; nobody has a roster yet. */
struct vaultroom *vaultroom_open(const char *conf, unsigned n);
/* cmocka's tear-down: *state is the room. */
int vaultroom_close(void **state);
