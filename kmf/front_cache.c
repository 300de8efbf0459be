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
	struct {
		uint8_t hash[PERC_SHA256_LEN];
		json_t *claims; /* NULL: empty */
		int64_t exp_s;
	} place[PLACES];
};

int
front_cache_new(struct front_cache **cp)
{
	*cp = calloc(1, sizeof(**cp));
	return *cp == NULL ? PERC_ERR_NOMEM : 0;
}

void
front_cache_empty(struct front_cache *c)
{
	size_t i;

	for (i = 0; i < PLACES; i++) {
		json_decref(c->place[i].claims);
		c->place[i].claims = NULL;
	}
}

void
front_cache_free(struct front_cache *c)
{
	if (c == NULL)
		return;
	front_cache_empty(c);
	free(c);
}

static size_t
place_of(uint8_t hash[static PERC_SHA256_LEN], const char *token)
{
	if (perc_sha256(hash, token, strlen(token)) != 0)
		return PLACES;
	return (hash[0] * 256u + hash[1]) % PLACES;
}

json_t *
front_cache_get(struct front_cache *c, const char *token, int64_t now_s)
{
	uint8_t hash[PERC_SHA256_LEN];
	size_t i = place_of(hash, token);

	if (i == PLACES || c->place[i].claims == NULL ||
	    memcmp(c->place[i].hash, hash, sizeof(hash)) != 0)
		return NULL;
	if (now_s >= c->place[i].exp_s) {
		json_decref(c->place[i].claims);
		c->place[i].claims = NULL;
		return NULL;
	}
	return json_incref(c->place[i].claims);
}

void
front_cache_put(
    struct front_cache *c, const char *token, json_t *claims, int64_t exp_s)
{
	uint8_t hash[PERC_SHA256_LEN];
	size_t i = place_of(hash, token);

	if (i == PLACES)
		return;
	json_decref(c->place[i].claims);
	memcpy(c->place[i].hash, hash, sizeof(hash));
	c->place[i].claims = json_incref(claims);
	c->place[i].exp_s = exp_s;
}
