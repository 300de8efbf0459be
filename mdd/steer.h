/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker hears its port through two sockets: the road, for addresses where
 * its legs live, and the lobby, for everybody else. Which one a datagram goes
 * to is decided in the kernel by a classic BPF program (SO_ATTACH_REUSEPORT_
 * CBPF, no privilege needed), so that strangers fill a queue of their own and
 * never that of the legs.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mdd/batch.h"
#include "perc/err.h"

#define MDD_STEER_ROAD	    0 /* places in the group: order of bind() */
#define MDD_STEER_LOBBY	    1
#define MDD_STEER_WORDS_MAX 1024 /* 32,768 addresses to hash to */
#define MDD_STEER_PROG_MAX  BPF_MAXINSNS

/* One bit for each hash of an address; a stranger whose address falls on a
 * leg's bit is on the road, and no worse than without all this. */
struct mdd_steer {
	uint32_t mul[2];
	unsigned words; /* a power of two */
	uint32_t map[MDD_STEER_WORDS_MAX];
};

/* Empty, with room for about n addresses in at most words_max words, and a
 * hash that nobody can guess. */
void mdd_steer_init(struct mdd_steer *s, size_t n, size_t words_max);
void mdd_steer_add(struct mdd_steer *s, const struct mdd_addr *a);
bool mdd_steer_has(const struct mdd_steer *s, const struct mdd_addr *a);
/* The program, for tests too. Returns its instructions. */
size_t mdd_steer_compile(const struct mdd_steer *s,
    struct sock_filter out[static MDD_STEER_PROG_MAX]);
/* Set it for fd's group. PERC_ERR_LIMIT: too long for this system (give it
 * fewer words); _UNSUPPORTED. */
PERC_MUST int mdd_steer_attach(const struct mdd_steer *s, int fd);
