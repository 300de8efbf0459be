/* SPDX-License-Identifier: Apache-2.0 */
/* What is on its way, in the order of its arrival (simulated time). */
#pragma once

#include "vaultkit.h"

#define FLIGHTS 65536

struct flight { /* a packet on its way to one member, or a piece of news */
	int64_t at_ms;
	unsigned to;
	unsigned seq; /* order of those due together */
	size_t len;   /* 0: an epoch */
	bool newest;  /* a poll or fetch brings what there is by then */
	struct kit_conf conf;
	uint8_t *p;
};

struct road { /* a heap by time */
	struct flight *f[FLIGHTS];
	unsigned nf, order;
};

/* p is copied, and NULL for news; what is returned is the road's. */
struct flight *road_add(
    struct road *r, int64_t at_ms, unsigned to, const void *p, size_t n);
/* What is due, the caller's now; or NULL. */
struct flight *road_next(struct road *r, int64_t now);
void flight_free(struct flight *f);
void road_clear(struct road *r);
