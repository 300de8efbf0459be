/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of each one number is kept: when it will have paid for all that it
 * asked for so far. That is a token bucket, and stays right when the rate
 * changes. Places are found by a secret hash, four for each value of it, and
 * in the worst case the one that owes least is given to somebody else: whoever
 * has very many addresses can so buy others a request, but take none from them.
 */
#include "perc/rate.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "perc/crypto.h"
#include "perc/secret.h"

#define SETS 4096
#define WAYS 4

struct place {
	uint8_t who[PERC_RATE_WHO];
	int64_t paid_us;
};

struct perc_rate {
	uint8_t key[32];
	struct place set[SETS][WAYS];
};

int
perc_rate_new(struct perc_rate **rp)
{
	if ((*rp = calloc(1, sizeof(**rp))) == NULL)
		return PERC_ERR_NOMEM;
	perc_random((*rp)->key, sizeof((*rp)->key));
	return 0;
}

void
perc_rate_free(struct perc_rate *r)
{
	if (r != NULL)
		perc_wipe(r->key, sizeof(r->key));
	free(r);
}

static struct place *
place_of(struct perc_rate *r, const uint8_t who[static PERC_RATE_WHO])
{
	uint8_t in[sizeof(r->key) + PERC_RATE_WHO], hash[PERC_SHA256_LEN];
	struct place *p, *least, *set;
	int err;

	/* Of one length always and never shown: this need not be an HMAC. */
	memcpy(in, r->key, sizeof(r->key));
	memcpy(in + sizeof(r->key), who, PERC_RATE_WHO);
	err = perc_sha256(hash, in, sizeof(in));
	perc_wipe(in, sizeof(in));
	if (err != 0)
		return NULL;
	set = least = r->set[(hash[0] * 256u + hash[1]) % SETS];
	for (p = set; p < set + WAYS; p++) {
		if (memcmp(p->who, who, PERC_RATE_WHO) == 0)
			return p;
		if (p->paid_us < least->paid_us)
			least = p;
	}
	memcpy(least->who, who, PERC_RATE_WHO);
	least->paid_us = 0;
	return least;
}

unsigned
perc_rate_take(struct perc_rate *r, const uint8_t who[static PERC_RATE_WHO],
    int64_t per_s, int64_t now_ms)
{
	int64_t now = now_ms * 1000, cost, over;
	struct place *p;

	if (per_s <= 0 || (p = place_of(r, who)) == NULL)
		return 0;
	cost = 1000000 / per_s;
	if (p->paid_us < now)
		p->paid_us = now;
	over = p->paid_us + cost - now - PERC_RATE_BURST_S * 1000000;
	if (over > 0)
		return (unsigned)((over + 999999) / 1000000);
	p->paid_us += cost;
	return 0;
}

void
perc_rate_address(uint8_t who[static PERC_RATE_WHO], const struct sockaddr *sa)
{
	const struct sockaddr_in *in = (const void *)sa;
	const struct sockaddr_in6 *in6 = (const void *)sa;

	memset(who, 0, PERC_RATE_WHO);
	if (sa == NULL)
		return;
	if (sa->sa_family == AF_INET) {
		who[10] = who[11] = 0xff;
		memcpy(who + 12, &in->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6)
		memcpy(who, &in6->sin6_addr,
		    IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr) ? PERC_RATE_WHO
							  : PERC_RATE_WHO / 2);
}
