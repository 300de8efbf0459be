/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one run sends, and the receivers' side of it.
 */
#pragma once

#include "tests/bench/mddrig.h"

struct train {
	unsigned packets, burst;
	uint8_t *octets;
	int64_t *sent_ns; /* of each burst */
	size_t len;
	uint16_t first_seq[RIG_MEMBERS];
};

struct ear_delays { /* in tenths of microseconds */
	uint32_t *us10;
	unsigned n;
};
struct ear {
	uint64_t received;
	struct ear_delays all, still; /* still: no stop touched it */
};

/* The clock that the system stamps packets by. */
int64_t rig_now_ns(void);
/* Receivers' sockets keep one packet of so many and the system throws the
 * others away as they come, counted as drops; 0 or 1: they keep all. */
void rig_sieve(struct rig *r, unsigned one_of);
/* Read what waits at a member's socket, at most one batch; true: more may. */
bool
ear_drain(struct rig *r, const struct train *t, struct ear *e, unsigned who);
void ear_open(struct ear *e);
void ear_sort(struct ear *e);
/* Sorted; of `parts` in a thousand none is longer. */
double ear_delay_us(const struct ear_delays *d, unsigned parts);
