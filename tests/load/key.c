/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys are opened for real: JWE, then the KMF's signature; or the statement's
 * signature, the member's sealed copy, and its hash (docs/wire/tokens.md).
 */
#include "tests/load/load.h"
#include "tests/load/media.h"

#include <inttypes.h>
#include <stdatomic.h>
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
	e = s->l->board->epoch;
	while (epoch > e &&
	    !atomic_compare_exchange_weak(&s->l->board->epoch, &e, epoch))
		continue;
	s->l->count->opened++;
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

/* The claims of a signed text, the load's; verified once for all seats. */
static int
text_claims(struct load *l, const char *text, const char *typ, json_t **claims)
{
	struct load_good *g;
	struct perc_jws j = { 0 };
	unsigned i;
	int r;

	if (text == NULL)
		return PERC_ERR_FORMAT;
	for (i = 0; i < LOAD_GOOD; i++) {
		g = &l->good[i];
		if (g->text != NULL && strcmp(g->text, text) == 0) {
			*claims = g->claims;
			return 0;
		}
	}
	if ((r = perc_jws_verify_set(&j, text, strlen(text), PERC_JOSE_BIG_MAX,
		 l->jwks, typ)) == 0) {
		g = &l->good[l->ngood++ % LOAD_GOOD];
		text_free(g->text);
		json_decref(g->claims);
		g->text = text_dup(text);
		*claims = g->claims = json_incref(j.payload);
	}
	perc_jws_clear(&j);
	return r;
}

void
load_good_clear(struct load *l)
{
	for (unsigned i = 0; i < LOAD_GOOD; i++) {
		text_free(l->good[i].text);
		json_decref(l->good[i].claims);
	}
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
	json_t *claims;
	int64_t epoch = 0;
	int r;

	if (sealed == NULL)
		return PERC_ERR_FORMAT;
	if ((r = text_claims(s->l, statement, "perch-epoch+jwt", &claims)) != 0)
		return r;
	hash = perc_json_str(claims, "key_hash");
	if ((r = perc_json_int(&epoch, claims, "epoch", 1, INT64_MAX)) != 0)
		return r;
	if (epoch <= s->epoch)
		return 0; /* a resumed stream says it again */
	r = hash != NULL ? copy_open(s, sealed, epoch, hash) : PERC_ERR_FORMAT;
	return r == 0 ? epoch_held(s, epoch) : r;
}

/* That each is signed and follows the one held; what a vault does with them
 * is told by tests/agent. */
static int
roster_held(struct load_seat *s, const char *text, const char *typ, bool next)
{
	json_t *claims;
	int64_t seq = 0;
	int r;

	if ((r = text_claims(s->l, text, typ, &claims)) != 0 ||
	    (r = perc_json_int(&seq, claims, "seq", 1, INT64_MAX)) != 0)
		return r;
	if (seq <= s->roster_seq)
		return 0;
	if (next && seq != s->roster_seq + 1)
		return PERC_ERR_NOTFOUND;
	s->roster_seq = seq;
	return 0;
}

int
load_roster_take(struct load_seat *s, const char *text)
{
	s->l->count->rosters++;
	if (s->media != NULL)
		load_media_roster(s, text);
	return roster_held(s, text, "perch-roster+jwt", false);
}

int
load_delta_take(struct load_seat *s, const char *text)
{
	s->l->count->deltas++;
	if (s->media != NULL && text != NULL)
		load_media_roster(s, text);
	return roster_held(s, text, "perch-roster-delta+jwt", true);
}

int
load_roster_answer(struct load_seat *s, const char *body, size_t len)
{
	const json_t *list;
	json_t *j = NULL;
	size_t i;
	int r;

	if (body[0] != '{')
		return load_roster_take(s, body);
	if ((r = perc_json_parse(&j, body, len, 1 << 20, NULL, 0)) != 0)
		return r;
	list = json_object_get(j, "deltas");
	for (i = 0; r == 0 && i < json_array_size(list); i++)
		r = load_delta_take(
		    s, json_string_value(json_array_get(list, i)));
	json_decref(j);
	return r;
}
