/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many requests somebody may make: token buckets in a fixed table,
 * however many ask. Who somebody is, is 16 octets: an address as below, or
 * the beginning of a hash.
 */
#pragma once

#include <stdint.h>

#include "perc/err.h"

struct sockaddr;

#define PERC_RATE_BURST_S 5 /* so many seconds' worth may come at once */
#define PERC_RATE_WHO	  16

struct perc_rate;
PERC_MUST int perc_rate_new(struct perc_rate **rp);
void perc_rate_free(struct perc_rate *r); /* NULL is fine */
/* One more request of who, who may make per_s a second (0: any number): 0, or
 * in how many seconds he may come again. */
unsigned perc_rate_take(struct perc_rate *r,
    const uint8_t who[static PERC_RATE_WHO], int64_t per_s, int64_t now_ms);
/* An IPv4 address, however the socket tells it, or 64 bits of one of IPv6:
 * who has one of those has 2^64. All zero: not known. */
void perc_rate_address(
    uint8_t who[static PERC_RATE_WHO], const struct sockaddr *sa);
