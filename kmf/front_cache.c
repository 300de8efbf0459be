/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Access tokens that were verified, by their SHA-256, until they expire. A
 * fixed table; a new entry throws out the one in its place. The proof of
 * possession is never cached: every request brings its own.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "kmf/front.h"
#include "perc/crypto.h"

#define PLACES 4096

struct front_cache {
	struct place {
		uint8_t hash[PERC_SHA256_LEN];
		struct front_known known; /* claims NULL: empty */
		int64_t exp_s;
	} place[PLACES];
};

int
front_cache_new(struct front_cache **cp)
{
	*cp = calloc(1, sizeof(**cp));
	return *cp == NULL ? PERC_ERR_NOMEM : 0;
}

static void
place_empty(struct place *p)
{
	json_decref(p->known.claims);
	p->known.claims = NULL;
}

void
front_cache_void(struct front_cache *c, const struct kmf_issuer *issuer)
{
	size_t i;

	for (i = 0; i < PLACES; i++)
		if (c->place[i].known.issuer == issuer)
			place_empty(&c->place[i]);
}

void
front_cache_free(struct front_cache *c)
{
	size_t i;

	for (i = 0; c != NULL && i < PLACES; i++)
		place_empty(&c->place[i]);
	free(c);
}

static struct place *
place_of(
    struct front_cache *c, uint8_t hash[static PERC_SHA256_LEN], const char *t)
{
	if (perc_sha256(hash, t, strlen(t)) != 0)
		return NULL;
	return &c->place[(hash[0] * 256u + hash[1]) % PLACES];
}

bool
front_cache_get(struct front_cache *c, struct front_known *k, const char *token,
    int64_t now_s)
{
	uint8_t hash[PERC_SHA256_LEN];
	struct place *p = place_of(c, hash, token);

	if (p == NULL || p->known.claims == NULL ||
	    memcmp(p->hash, hash, sizeof(hash)) != 0)
		return false;
	if (now_s >= p->exp_s) {
		place_empty(p);
		return false;
	}
	*k = p->known;
	return true;
}

void
front_cache_put(struct front_cache *c, const char *token,
    const struct front_known *k, int64_t exp_s)
{
	uint8_t hash[PERC_SHA256_LEN];
	struct place *p = place_of(c, hash, token);

	if (p == NULL)
		return;
	place_empty(p);
	memcpy(p->hash, hash, sizeof(hash));
	p->known = *k;
	p->known.claims = json_incref(k->claims);
	p->exp_s = exp_s;
}
