/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many requests an address may make of the HTTPS API: one process answers
 * them all, and to look at a token costs it a signature check. A fixed table,
 * however many addresses ask.
 */
#pragma once

#include <stdint.h>

#include "perc/err.h"

struct sockaddr;

#define MDD_RATE_BURST_S 5 /* so many seconds' worth may come at once */
#define MDD_RATE_IP	 16

struct mdd_rate;
PERC_MUST int mdd_rate_new(struct mdd_rate **rp);
void mdd_rate_free(struct mdd_rate *r); /* NULL is fine */
/* One more request of ip, which may make per_s a second (0: any number): 0, or
 * in how many seconds it may come again. */
unsigned mdd_rate_take(struct mdd_rate *r,
    const uint8_t ip[static MDD_RATE_IP], int64_t per_s, int64_t now_ms);
/* Who asks: an IPv4 address, or 64 bits of one of IPv6, for who has one of
 * those has 2^64. All zero: not known. */
void mdd_rate_ip(uint8_t ip[static MDD_RATE_IP], const struct sockaddr *sa);
