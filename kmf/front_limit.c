/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * How often an address may fail at the token endpoint before it has to wait:
 * guessing invitation codes should be as slow as it is hopeless. A fixed
 * table by a secret hash of the address (an IPv6 network counts as one);
 * two that share a place share a count, which errs on the strict side.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "kmf/front.h"
#include "perc/crypto.h"
#include "perc/rate.h"

#define PLACES	  4096
#define FAILURES  60 /* per window */
#define WINDOW_MS 60000

struct front_limit {
	uint8_t key[32];
	struct {
		int64_t since_ms;
		unsigned failed;
	} place[PLACES];
};

int
front_limit_new(struct front_limit **lp)
{
	if ((*lp = calloc(1, sizeof(**lp))) == NULL)
		return PERC_ERR_NOMEM;
	perc_random((*lp)->key, sizeof((*lp)->key));
	return 0;
}

void
front_limit_free(struct front_limit *l)
{
	free(l);
}

static size_t
place_of(const struct front_limit *l, const struct sockaddr *sa)
{
	uint8_t mac[PERC_SHA256_LEN], who[PERC_RATE_WHO];

	perc_rate_address(who, sa);
	if (perc_hmac_sha256(mac, l->key, sizeof(l->key), who, sizeof(who)) !=
	    0)
		return 0;
	return (mac[0] * 256u + mac[1]) % PLACES;
}

bool
front_limit_reached(
    struct front_limit *l, const struct sockaddr *sa, int64_t now_ms)
{
	size_t i = place_of(l, sa);

	return l->place[i].failed >= FAILURES &&
	    now_ms - l->place[i].since_ms < WINDOW_MS;
}

void
front_limit_fail(
    struct front_limit *l, const struct sockaddr *sa, int64_t now_ms)
{
	size_t i = place_of(l, sa);

	if (now_ms - l->place[i].since_ms >= WINDOW_MS) {
		l->place[i].since_ms = now_ms;
		l->place[i].failed = 0;
	}
	l->place[i].failed++;
}
