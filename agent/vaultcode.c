/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fifteen digits that two people read to each other: equal means that both
 * hold the same members, names, identities and SSRCs, and the same key, for
 * the same epoch. Rosters are signed anew every 30 s, so what is hashed is
 * what a roster says, not its octets: the code changes when who is in it
 * changes, or the key, and at no other time.
 *
 * 15 digits are 49.8 bits. Whoever must match a given roster needs 2^49
 * tries; a KMF that makes up both rosters is faster, 2^25 (birthdays), so
 * each try is made dear by STRETCH hashes (some milliseconds here, once a
 * change and only when somebody looks). docs/THREATS.md says what is left.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/vault.h"
#include "perc/json.h"

#define DOMAIN	  "perch-voice-code-1"
#define STRETCH	  16384
#define FROZEN_MS 5000 /* a roster comes with its epoch, not much later */
#define DIGITS	  UINT64_C(1000000000000000)

/* h = SHA-256(h || SHA-256(p)): no field runs into the next. */
static int
chain(uint8_t h[static PERC_SHA256_LEN], const void *p, size_t n)
{
	uint8_t both[2 * PERC_SHA256_LEN];
	int r;

	memcpy(both, h, PERC_SHA256_LEN);
	if ((r = perc_sha256(both + PERC_SHA256_LEN, p, n)) != 0)
		return r;
	return perc_sha256(h, both, sizeof(both));
}

static int
chain_str(uint8_t h[static PERC_SHA256_LEN], const char *s)
{
	return chain(h, s != NULL ? s : "", s != NULL ? strlen(s) : 0);
}

static int
chain_u64(uint8_t h[static PERC_SHA256_LEN], uint64_t v)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, v);
	return chain_str(h, text);
}

int
vault_member_digest(uint8_t h[static PERC_SHA256_LEN], const json_t *entry)
{
	static const char *const own[] = { "member", "name", "kind" };
	static const char *const who[] = { "iss", "sub", "email" };
	const json_t *id = json_object_get(entry, "identity"), *v;
	size_t i;
	int r = 0;

	memset(h, 0, PERC_SHA256_LEN);
	for (i = 0; r == 0 && i < 3; i++)
		r = chain_str(h, perc_json_str(entry, own[i]));
	for (i = 0; r == 0 && i < 3; i++)
		r = chain_str(h, perc_json_str(id, who[i]));
	json_array_foreach(json_object_get(entry, "ssrcs"), i, v)
	{
		if (r == 0 &&
		    (r = chain_str(h, perc_json_str(v, "media"))) == 0)
			r = chain_u64(h,
			    (uint64_t)json_integer_value(
				json_object_get(v, "ssrc")));
	}
	return r;
}

static int
digest_cmp(const void *a, const void *b)
{
	return memcmp(a, b, PERC_SHA256_LEN);
}

/* All members, in no order but that of their digests. */
static int
members_hash(const struct vault_roster *h, uint8_t out[static PERC_SHA256_LEN])
{
	uint8_t(*all)[PERC_SHA256_LEN];
	size_t i;
	int r;

	if ((all = calloc(h->nmembers + 1, sizeof(*all))) == NULL)
		return PERC_ERR_NOMEM;
	for (i = 0; i < h->nmembers; i++)
		memcpy(all[i], h->members[i].digest, sizeof(all[i]));
	qsort(all, h->nmembers, sizeof(*all), digest_cmp);
	r = perc_sha256(out, all, h->nmembers * sizeof(*all));
	free(all);
	return r;
}

static const struct vault_epoch *
epoch_of(const struct vault_slot *s, uint64_t epoch)
{
	unsigned i;

	for (i = 0; i < VAULT_EPOCHS_MAX; i++)
		if (s->epochs[i].epoch == epoch && epoch != 0)
			return &s->epochs[i];
	return NULL;
}

static int
base_make(const struct vault_slot *s, const struct vault_epoch *e,
    uint8_t h[static PERC_SHA256_LEN])
{
	uint8_t members[PERC_SHA256_LEN];
	int r;

	memset(h, 0, PERC_SHA256_LEN);
	if ((r = members_hash(&s->roster, members)) != 0 ||
	    (r = chain_str(h, DOMAIN)) != 0 ||
	    (r = chain_str(h, s->kmf->url)) != 0 ||
	    (r = chain_str(h, s->conf)) != 0 ||
	    (r = chain_u64(h, e->epoch)) != 0 ||
	    (r = chain_u64(h, e->spi)) != 0 ||
	    (r = chain(h, e->hash, sizeof(e->hash))) != 0)
		return r;
	return chain(h, members, sizeof(members));
}

static int
digits_make(char text[static VAULT_CODE_LEN + 1],
    const uint8_t base[static PERC_SHA256_LEN])
{
	uint8_t h[PERC_SHA256_LEN];
	uint64_t v = 0;
	unsigned i;
	int r;

	memcpy(h, base, sizeof(h));
	for (i = 0; i < STRETCH; i++)
		if ((r = chain(h, base, PERC_SHA256_LEN)) != 0)
			return r;
	for (i = 0; i < 8; i++)
		v = v << 8 | h[i];
	v %= DIGITS;
	snprintf(text, VAULT_CODE_LEN + 1, "%05u %05u %05u",
	    (unsigned)(v / 10000000000), (unsigned)(v / 100000 % 100000),
	    (unsigned)(v % 100000));
	return 0;
}

const char *
vault_code_text(struct vault_slot *s)
{
	const struct vault_epoch *e = epoch_of(s, s->roster.epoch);
	uint8_t base[PERC_SHA256_LEN];

	if (!s->roster.have || e == NULL || base_make(s, e, base) != 0)
		return "";
	if (s->code.text[0] == '\0' ||
	    memcmp(base, s->code.base, sizeof(base)) != 0) {
		memcpy(s->code.base, base, sizeof(base));
		if (digits_make(s->code.text, base) != 0)
			s->code.text[0] = '\0';
	}
	return s->code.text;
}

/* What the user must be told of the roster; none: []. */
json_t *
vault_roster_warnings(const struct vault_slot *s)
{
	const struct vault_roster *h = &s->roster;
	bool behind = !h->have || h->epoch < s->epoch;
	const struct {
		bool is;
		const char *word;
	} all[] = {
		{ h->forked, "forked" },
		{ vault_roster_stale(s), "stale" },
		{ behind && perc_boot_ms() - s->epoch_ms > FROZEN_MS,
		    "frozen" },
		{ h->unsigned_seen, "unsigned" },
		{ h->have && !h->listed, "unlisted" },
	};
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].is && s->state == VAULT_SLOT_LIVE)
			json_array_append_new(list, json_string(all[i].word));
	return list;
}
