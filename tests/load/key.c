/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys are opened for real: JWE, then the KMF's signature; or the statement's
 * signature, the member's sealed copy, and its hash (docs/wire/tokens.md).
 */
#include "tests/load/load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/secret.h"

#define OCTETS_MAX 64 /* key and salt */

/* Every seat goes through here with every epoch that it got. */
static int
epoch_held(struct load_seat *s, int64_t epoch)
{
	int64_t e, now = load_us();

	if (epoch >= LOAD_EPOCHS_MAX)
		return PERC_ERR_LIMIT;
	for (e = s->epoch + 1; e <= epoch; e++)
		s->held_us[e] = now;
	if (epoch > s->epoch)
		s->epoch = epoch;
	if (epoch > s->l->epoch)
		s->l->epoch = epoch;
	s->l->count.opened++;
	return 0;
}

int
load_key_first(struct load_seat *s, const char *jwe, size_t len)
{
	const char *member, *aud, *delivery;
	struct perc_jws j = { 0 };
	char *inner = NULL;
	size_t n = 0;
	int64_t epoch = 0;
	int r;

	if ((r = perc_jwe_open(
		 &inner, &n, s->seal, jwe, len, PERC_JOSE_BIG_MAX)) != 0 ||
	    (r = perc_jws_verify_set(&j, inner, n, PERC_JOSE_BIG_MAX,
		 s->l->jwks, "perch-ekt+jwt")) != 0)
		goto out;
	member = perc_json_str(j.payload, "member");
	aud = perc_json_str(j.payload, "aud");
	delivery = perc_json_str(j.payload, "delivery_key");
	r = PERC_ERR_AUTH;
	if (member == NULL || strcmp(member, s->member) != 0 || aud == NULL ||
	    strcmp(aud, s->seal_jkt) != 0 || delivery == NULL ||
	    perc_json_str(j.payload, "key") == NULL)
		goto out;
	if ((r = perc_b64_get_exact(
		 s->delivery, sizeof(s->delivery), delivery)) == 0 &&
	    (r = perc_json_int(&epoch, j.payload, "epoch", 1, INT64_MAX)) == 0)
		r = epoch_held(s, epoch);
out:
	perc_jws_clear(&j);
	perc_secmem_free(inner);
	return r;
}

static bool
is_good(const struct load *l, const char *text)
{
	return (l->good[0] != NULL && strcmp(l->good[0], text) == 0) ||
	    (l->good[1] != NULL && strcmp(l->good[1], text) == 0);
}

static int
text_verify(struct load *l, const char *text, const char *typ)
{
	struct perc_jws j = { 0 };
	int r;

	if (is_good(l, text))
		return 0;
	r = perc_jws_verify_set(
	    &j, text, strlen(text), PERC_JOSE_BIG_MAX, l->jwks, typ);
	perc_jws_clear(&j);
	if (r != 0)
		return r;
	free(l->good[1]);
	l->good[1] = l->good[0];
	l->good[0] = text_dup(text);
	return 0;
}

static int
copy_open(struct load_seat *s, const char *sealed, int64_t epoch,
    const char *hash_text)
{
	uint8_t box[OCTETS_MAX + PERC_SEAL_OVERHEAD], key[OCTETS_MAX];
	uint8_t hash[PERC_SHA256_LEN], want[PERC_SHA256_LEN];
	size_t n = sizeof(box);
	char aad[192];
	int r;

	text_put(aad, sizeof(aad), "perch-epoch|%s|%" PRId64 "|%s", s->l->conf,
	    epoch, s->member);
	if ((r = perc_b64_get(box, &n, sealed, strlen(sealed))) != 0)
		return r;
	if (n <= PERC_SEAL_OVERHEAD)
		return PERC_ERR_SHORT;
	if ((r = perc_unseal(key, s->delivery, aad, strlen(aad), box, n)) !=
		0 ||
	    (r = perc_sha256(hash, key, n - PERC_SEAL_OVERHEAD)) != 0 ||
	    (r = perc_b64_get_exact(want, sizeof(want), hash_text)) != 0)
		return r;
	return perc_equal(hash, want, sizeof(want)) ? 0 : PERC_ERR_AUTH;
}

int
load_key_next(struct load_seat *s, const json_t *event)
{
	const char *statement = perc_json_str(event, "statement");
	const char *sealed = perc_json_str(event, "sealed"), *hash;
	struct perc_jws j = { 0 };
	int64_t epoch = 0;
	int r;

	if (statement == NULL || sealed == NULL)
		return PERC_ERR_FORMAT;
	if ((r = text_verify(s->l, statement, "perch-epoch+jwt")) != 0 ||
	    (r = perc_jws_peek(
		 &j, statement, strlen(statement), PERC_JOSE_TOKEN_MAX)) != 0)
		goto out;
	hash = perc_json_str(j.payload, "key_hash");
	if ((r = perc_json_int(&epoch, j.payload, "epoch", 1, INT64_MAX)) != 0)
		goto out;
	if (epoch <= s->epoch)
		goto out; /* a resumed stream says it again */
	r = hash != NULL ? copy_open(s, sealed, epoch, hash) : PERC_ERR_FORMAT;
	if (r == 0)
		r = epoch_held(s, epoch);
out:
	perc_jws_clear(&j);
	return r;
}

int
load_roster_take(struct load_seat *s, const char *text)
{
	s->l->count.rosters++;
	return text_verify(s->l, text, "perch-roster+jwt");
}
