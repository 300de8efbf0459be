/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The claims of what the KMF signed, as structs. A signature says who wrote
 * them, not that they make sense: a KMF of another version, or one taken
 * over for an hour, must not bring the vault to a weaker cipher, a key of
 * the wrong size or a payload type that is none.
 */
#include "agent/vaultclaims.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "perc/b64.h"
#include "perc/json.h"
#include "perc/secret.h"

#define ANSWER_LIFE_MAX_S 300
#define EPOCH_MAX	  (INT64_C(1) << 53) /* exact in every JSON reader */
#define TTL_MAX		  16777215 /* RFC 8870 section 5.2.2: uint24 */

static const struct {
	const char *cipher, *profile, *policy;
	enum perc_ekt_cipher c;
	enum perc_double_profile p;
	size_t keylen;
} suites[] = {
	/* RFC 8870 section 6: the wrap is no weaker than the media */
	{ "AESKW128", "0009", "AEAD_AES_128_GCM", PERC_AESKW128,
	    PERC_DOUBLE_128, 16 },
	{ "AESKW256", "0009", "AEAD_AES_128_GCM", PERC_AESKW256,
	    PERC_DOUBLE_128, 32 },
	{ "AESKW256", "000A", "AEAD_AES_256_GCM", PERC_AESKW256,
	    PERC_DOUBLE_256, 32 },
};
#define SUITES (sizeof(suites) / sizeof(suites[0]))

static int
fail(const char **why, int err, const char *words)
{
	*why = words;
	return err;
}

const char *
vault_media_name(enum vault_media m)
{
	return m == VAULT_VIDEO ? "video" : "audio";
}

bool
vault_id_ok(const char *s)
{
	size_t n;

	if (s == NULL)
		return false;
	n = strspn(s,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789-._~");
	return n > 0 && n < VAULT_ID_MAX && s[n] == '\0';
}

static int
media_get(enum vault_media *m, const json_t *o)
{
	const char *s = perc_json_str(o, "media");

	if (s == NULL)
		return PERC_ERR_FORMAT;
	if (strcmp(s, "audio") == 0)
		*m = VAULT_AUDIO;
	else if (strcmp(s, "video") == 0)
		*m = VAULT_VIDEO;
	else
		return PERC_ERR_UNSUPPORTED;
	return 0;
}

int
vault_ssrc_get(struct vault_ssrc *s, const json_t *o)
{
	int64_t v;
	int r;

	if (!json_is_object(o) ||
	    perc_json_int(&v, o, "ssrc", 1, UINT32_MAX) != 0)
		return PERC_ERR_FORMAT;
	if ((r = media_get(&s->media, o)) != 0)
		return r;
	s->ssrc = (uint32_t)v;
	s->layer = 0;
	if (json_object_get(o, "layer") == NULL)
		return 0;
	if (perc_json_int(&v, o, "layer", 0, UINT8_MAX) != 0 ||
	    s->media != VAULT_VIDEO)
		return PERC_ERR_FORMAT;
	s->layer = (uint8_t)v;
	return v < VAULT_LAYERS_MAX ? 0 : PERC_ERR_UNSUPPORTED;
}

unsigned
vault_ssrc_place(const struct vault_ssrc *s)
{
	return s->media == VAULT_AUDIO ? 0 : 1u + s->layer;
}

int
vault_claims_common(const json_t *claims, const char *iss, const char *conf,
    int64_t now_s, const char **why)
{
	const char *s;
	int64_t iat;

	if (claims == NULL)
		return fail(why, PERC_ERR_FORMAT, "claims are no object");
	s = perc_json_str(claims, "iss");
	if (s == NULL || strcmp(s, iss) != 0)
		return fail(why, PERC_ERR_DENIED, "another issuer");
	s = perc_json_str(claims, "conference");
	if (s == NULL || strcmp(s, conf) != 0)
		return fail(why, PERC_ERR_DENIED, "another conference");
	if (perc_json_int(&iat, claims, "iat", 0, EPOCH_MAX) != 0)
		return fail(why, PERC_ERR_FORMAT, "no iat");
	if (iat > now_s + VAULT_SKEW_S)
		return fail(why, PERC_ERR_EXPIRED, "issued in the future");
	return 0;
}

/* cipher and profile as named; the first such pair. */
static int
suite_get(size_t *i, const json_t *claims)
{
	const char *c = perc_json_str(claims, "cipher");
	const char *p = perc_json_str(claims, "profile");

	if (c == NULL || p == NULL)
		return PERC_ERR_FORMAT;
	for (*i = 0; *i < SUITES; (*i)++)
		if (strcmp(c, suites[*i].cipher) == 0 &&
		    strcasecmp(p, suites[*i].profile) == 0)
			return 0;
	return PERC_ERR_UNSUPPORTED;
}

/* What answer and statement have in common: epoch, spi, keyid, ttl. */
static int
set_get(const json_t *claims, uint64_t *epoch, uint16_t *spi, char *keyid,
    uint32_t *ttl_s, const char **why)
{
	const char *id = perc_json_str(claims, "keyid");
	int64_t v;

	if (!vault_id_ok(id))
		return fail(why, PERC_ERR_FORMAT, "keyid malformed");
	strcpy(keyid, id); /* vault_id_ok: shorter than the field */
	if (perc_json_int(&v, claims, "epoch", 1, EPOCH_MAX) != 0)
		return fail(why, PERC_ERR_FORMAT, "epoch malformed");
	*epoch = (uint64_t)v;
	if (perc_json_int(&v, claims, "spi", 0, UINT16_MAX) != 0)
		return fail(why, PERC_ERR_FORMAT, "spi malformed");
	*spi = (uint16_t)v;
	if (perc_json_int(&v, claims, "ttl", 1, TTL_MAX) != 0)
		return fail(why, PERC_ERR_FORMAT, "ttl malformed");
	*ttl_s = (uint32_t)v;
	return 0;
}

static int
key_get(struct perc_enckey *k, const json_t *claims, const char **why)
{
	const char *key = perc_json_str(claims, "key");
	const char *salt = perc_json_str(claims, "salt");
	size_t i;

	if (suite_get(&i, claims) != 0)
		return fail(why, PERC_ERR_UNSUPPORTED,
		    "cipher or profile not done here");
	k->cipher = suites[i].c;
	k->profile = suites[i].p;
	k->keylen = suites[i].keylen;
	if (key == NULL || perc_b64_get_exact(k->key, k->keylen, key) != 0)
		return fail(why, PERC_ERR_FORMAT,
		    "key malformed or not of its cipher's size");
	if (salt == NULL ||
	    perc_b64_get_exact(k->salt, sizeof(k->salt), salt) != 0)
		return fail(why, PERC_ERR_FORMAT, "salt malformed");
	return 0;
}

/* The policy is the organisation's word: the key must be what it demands. */
static int
policy_get(struct vault_answer *a, const json_t *claims, const char **why)
{
	const json_t *pol = json_object_get(claims, "policy");
	const char *c = perc_json_str(pol, "cipher");
	const char *p = perc_json_str(pol, "profile");
	size_t i;

	if (!json_is_object(pol) || c == NULL || p == NULL)
		return fail(why, PERC_ERR_FORMAT, "policy malformed");
	for (i = 0; i < SUITES; i++)
		if (strcmp(c, suites[i].cipher) == 0 &&
		    strcmp(p, suites[i].policy) == 0 &&
		    a->key.cipher == suites[i].c &&
		    a->key.profile == suites[i].p)
			break;
	if (i == SUITES)
		return fail(why, PERC_ERR_DENIED,
		    "cipher or profile is not the policy's");
	a->overlap_ms = 2000;
	if (json_object_get(pol, "overlap_ms") != NULL &&
	    perc_json_int(&a->overlap_ms, pol, "overlap_ms", 0,
		VAULT_OVERLAP_MAX_MS) != 0)
		return fail(why, PERC_ERR_FORMAT, "overlap_ms malformed");
	if (a->overlap_ms < VAULT_OVERLAP_MIN_MS)
		a->overlap_ms = VAULT_OVERLAP_MIN_MS; /* peers switch late */
	return 0;
}

/* "opus/48000/2": name, clock rate, channels. */
static int
codec_get(struct vault_codec *c, const json_t *o)
{
	const char *name = perc_json_str(o, "codec"), *slash;
	char *end;
	unsigned long rate;
	int64_t pt;

	if (!json_is_object(o) || name == NULL ||
	    media_get(&c->media, o) != 0 ||
	    perc_json_int(&pt, o, "pt", 0, 127) != 0)
		return PERC_ERR_FORMAT;
	/* 64..95 would look like RTCP (RFC 5761 section 4). */
	if ((pt >= 64 && pt <= 95) || strlen(name) >= sizeof(c->name))
		return PERC_ERR_FORMAT;
	/* It ends up in an SDP line: nothing but printable, no spaces. */
	if (name[strspn(name,
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/-_.+"
		"abcdefghijklmnopqrstuvwxyz")] != '\0')
		return PERC_ERR_FORMAT;
	if ((slash = strchr(name, '/')) == NULL)
		return PERC_ERR_FORMAT;
	rate = strtoul(slash + 1, &end, 10);
	if (end == slash + 1 || (*end != '\0' && *end != '/') || rate < 1000 ||
	    rate > 1000000)
		return PERC_ERR_FORMAT;
	strcpy(c->name, name);
	c->pt = (uint8_t)pt;
	c->rate = (uint32_t)rate;
	return 0;
}

static int
lists_get(struct vault_answer *a, const json_t *claims, const char **why)
{
	const json_t *list = json_object_get(claims, "ssrcs"), *o;
	size_t i, k;

	if (!json_is_array(list) || json_array_size(list) > VAULT_LOCAL_STREAMS)
		return fail(why, PERC_ERR_FORMAT, "ssrcs malformed");
	json_array_foreach(list, i, o)
	{
		if (vault_ssrc_get(&a->ssrcs[i], o) != 0)
			return fail(why, PERC_ERR_FORMAT, "ssrcs malformed");
		for (k = 0; k < i; k++)
			if (a->ssrcs[k].ssrc == a->ssrcs[i].ssrc ||
			    vault_ssrc_place(&a->ssrcs[k]) ==
				vault_ssrc_place(&a->ssrcs[i]))
				return fail(
				    why, PERC_ERR_FORMAT, "ssrcs not distinct");
		a->nssrcs++;
	}
	list = json_object_get(claims, "media");
	if (!json_is_array(list) || json_array_size(list) > VAULT_CODECS_MAX)
		return fail(why, PERC_ERR_FORMAT, "media malformed");
	json_array_foreach(list, i, o)
	{
		if (codec_get(&a->codecs[i], o) != 0)
			return fail(why, PERC_ERR_FORMAT, "media malformed");
		a->ncodecs++;
	}
	return 0;
}

static int
times_get(struct vault_answer *a, const json_t *claims, int64_t now_s,
    const char **why)
{
	int64_t iat;

	if (perc_json_int(&iat, claims, "iat", 0, EPOCH_MAX) != 0 ||
	    perc_json_int(&a->exp_s, claims, "exp", 0, EPOCH_MAX) != 0 ||
	    a->exp_s <= iat || a->exp_s - iat > ANSWER_LIFE_MAX_S)
		return fail(why, PERC_ERR_FORMAT, "iat or exp malformed");
	if (a->exp_s <= now_s)
		return fail(why, PERC_ERR_EXPIRED, "answer expired");
	return 0;
}

static int
member_get(struct vault_answer *a, const json_t *claims, const char **why)
{
	const char *member = perc_json_str(claims, "member");
	const char *name = perc_json_str(claims, "name");
	const char *dk = perc_json_str(claims, "delivery_key");
	int64_t seq;

	if (!vault_id_ok(member))
		return fail(why, PERC_ERR_FORMAT, "member malformed");
	if (name == NULL || strlen(name) >= sizeof(a->name))
		return fail(why, PERC_ERR_FORMAT, "name malformed");
	if (dk == NULL ||
	    perc_b64_get_exact(a->delivery, sizeof(a->delivery), dk) != 0)
		return fail(why, PERC_ERR_FORMAT, "delivery_key malformed");
	if (perc_json_int(&seq, claims, "roster_seq", 0, EPOCH_MAX) != 0)
		return fail(why, PERC_ERR_FORMAT, "roster_seq malformed");
	strcpy(a->member, member);
	strcpy(a->name, name);
	a->roster_seq = (uint64_t)seq;
	return 0;
}

int
vault_answer_get(struct vault_answer *a, const json_t *claims, int64_t now_s,
    const char **why)
{
	const char *usage = perc_json_str(claims, "usage");
	int r;

	memset(a, 0, sizeof(*a));
	/* Key material is bound to its usage: REQ-W-3.2. */
	if (usage == NULL || strcmp(usage, "EKT") != 0)
		return fail(why, PERC_ERR_DENIED, "usage is not EKT");
	if ((r = times_get(a, claims, now_s, why)) != 0 ||
	    (r = set_get(claims, &a->epoch, &a->key.spi, a->key.keyid,
		 &a->key.ttl_s, why)) != 0 ||
	    (r = key_get(&a->key, claims, why)) != 0 ||
	    (r = member_get(a, claims, why)) != 0 ||
	    (r = lists_get(a, claims, why)) != 0 ||
	    (r = policy_get(a, claims, why)) != 0)
		perc_wipe(a, sizeof(*a));
	return r;
}

int
vault_statement_get(struct vault_statement *st, const json_t *claims,
    int64_t now_s, const char **why)
{
	const char *hash = perc_json_str(claims, "key_hash");
	size_t i;
	int r;

	memset(st, 0, sizeof(*st));
	if ((r = set_get(claims, &st->epoch, &st->spi, st->keyid, &st->ttl_s,
		 why)) != 0)
		return r;
	if (suite_get(&i, claims) != 0)
		return fail(why, PERC_ERR_UNSUPPORTED,
		    "cipher or profile not done here");
	st->cipher = suites[i].c;
	st->profile = suites[i].p;
	if (hash == NULL ||
	    perc_b64_get_exact(st->hash, sizeof(st->hash), hash) != 0)
		return fail(why, PERC_ERR_FORMAT, "key_hash malformed");
	if (perc_json_int(&st->iat_s, claims, "iat", 0, EPOCH_MAX) != 0)
		return fail(why, PERC_ERR_FORMAT, "no iat");
	if (st->iat_s + st->ttl_s + VAULT_SKEW_S / 2 <= now_s)
		return fail(why, PERC_ERR_EXPIRED, "epoch is over");
	return 0;
}
