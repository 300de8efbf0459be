/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cjose would import keys of many kinds and whatever else the JSON says. It
 * gets to see only members that we have checked: P-256 with coordinates of
 * full length, or the public half of RSA from 2048 bits. The public half of a
 * P-256 key it sees only where something is sealed to it; to verify with one
 * is perc/es256.c's. The thumbprint is printed by hand from the same
 * canonical members (RFC 7638 section 3.2).
 */
#include "perc/jose_cjose.h"

#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/secmem.h"
#include "perc/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JWK_MAX	 16384	/* octets of one key */
#define JWKS_MAX 262144 /* of a set */
#define KEYS_MAX 64	/* in a set */
#define KID_MAX	 256	/* characters */
#define RSA_MIN	 256	/* octets of n: 2048 bits */
#define RSA_MAX	 1024

static const char *const private_names[] = { "d", "p", "q", "dp", "dq", "qi",
	"k", "oth" };
static const char *const kept_names[] = { "kid", "alg", "use" };

int
perc_cjose_err(const cjose_err *e, int otherwise)
{
	return e->code == CJOSE_ERR_NO_MEMORY ? PERC_ERR_NOMEM : otherwise;
}

int
perc_cjose_room(size_t n)
{
	void *p = perc_secmem_alloc(4 * n + 16384);

	if (p == NULL)
		return PERC_ERR_NOMEM;
	perc_secmem_free(p);
	return 0;
}

/* JSON copies strings: overwrite the private ones before they are freed. */
static void
wipe_private(json_t *o)
{
	for (size_t i = 0; i < sizeof(private_names) / sizeof(char *); i++) {
		json_t *v = json_object_get(o, private_names[i]);

		if (json_is_string(v))
			perc_wipe((void *)(uintptr_t)json_string_value(v),
			    json_string_length(v));
	}
}

static bool
has_private(const json_t *o)
{
	for (size_t i = 0; i < sizeof(private_names) / sizeof(char *); i++)
		if (json_object_get(o, private_names[i]) != NULL)
			return true;
	return false;
}

void
perc_jwk_free(struct perc_jwk *k)
{
	if (k == NULL)
		return;
	cjose_jwk_release(k->cj);
	json_decref(k->pub);
	free(k);
}

/* --- members ------------------------------------------------------------ */

/* A coordinate: RFC 7518 section 6.2.1.2: it has the full length. */
static const char *
coordinate(uint8_t out[static 32], const json_t *o, const char *name)
{
	const char *s = perc_json_str(o, name);

	return s != NULL && perc_b64_get_exact(out, 32, s) == 0 ? s : NULL;
}

/* A canonical base64url member of min..max octets. */
static const char *
octets_member(const json_t *o, const char *name, size_t min, size_t max)
{
	const char *s = perc_json_str(o, name);
	uint8_t raw[RSA_MAX];
	size_t n = sizeof(raw);

	if (s == NULL || perc_b64_get(raw, &n, s, strlen(s)) != 0)
		n = 0;
	perc_wipe(raw, sizeof(raw));
	return n >= min && n <= max && n > 0 ? s : NULL;
}

static int
ec_members(struct perc_jwk *k, const json_t *o)
{
	const char *crv = perc_json_str(o, "crv"), *x, *y;

	if (crv == NULL)
		return PERC_ERR_FORMAT;
	if (strcmp(crv, "P-256") != 0)
		return PERC_ERR_UNSUPPORTED;
	if ((x = coordinate(k->xy, o, "x")) == NULL ||
	    (y = coordinate(k->xy + 32, o, "y")) == NULL)
		return PERC_ERR_FORMAT;
	k->pub = json_pack(
	    "{s:s, s:s, s:s, s:s}", "crv", crv, "kty", "EC", "x", x, "y", y);
	return k->pub != NULL ? 0 : PERC_ERR_NOMEM;
}

static int
rsa_members(json_t **pubp, const json_t *o)
{
	const char *n = octets_member(o, "n", RSA_MIN, RSA_MAX);
	const char *e = octets_member(o, "e", 1, 8);

	if (perc_json_str(o, "n") == NULL || e == NULL)
		return PERC_ERR_FORMAT;
	if (n == NULL || n[0] == 'A') /* shorter than it looks, or too short */
		return PERC_ERR_UNSUPPORTED;
	*pubp = json_pack("{s:s, s:s, s:s}", "e", e, "kty", "RSA", "n", n);
	return *pubp != NULL ? 0 : PERC_ERR_NOMEM;
}

static int
thumbprint_of(char out[static PERC_JKT_LEN + 1], const char *canonical)
{
	uint8_t hash[PERC_SHA256_LEN];
	int r;

	if ((r = perc_sha256(hash, canonical, strlen(canonical))) == 0)
		perc_b64_put(out, hash, sizeof(hash));
	return r;
}

static int
rsa_thumbprint(char out[static PERC_JKT_LEN + 1], const json_t *pub)
{
	/* The pack above stands in the order of RFC 7638. */
	char *text = perc_json_text(pub);
	int r;

	if (text == NULL)
		return PERC_ERR_NOMEM;
	r = thumbprint_of(out, text);
	perc_json_free(text);
	return r;
}

/* By hand, since every request has one. */
static int
ec_thumbprint(char out[static PERC_JKT_LEN + 1], const uint8_t *xy)
{
	char text[64 + 2 * PERC_B64_LEN(32)], x[PERC_B64_LEN(32) + 1],
	    y[PERC_B64_LEN(32) + 1];

	perc_b64_put(x, xy, 32);
	perc_b64_put(y, xy + 32, 32);
	snprintf(text, sizeof(text),
	    "{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"%s\",\"y\":\"%s\"}", x,
	    y);
	return thumbprint_of(out, text);
}

/* use and alg, which must fit the key type and each other. */
static int
purpose(struct perc_jwk *k, const json_t *o)
{
	const char *use = perc_json_str(o, "use"),
		   *alg = perc_json_str(o, "alg");

	if (use != NULL && strcmp(use, "sig") == 0)
		k->use = PERC_JWK_SIG;
	else if (use != NULL && strcmp(use, "enc") == 0)
		k->use = PERC_JWK_ENC;
	else if (use != NULL)
		return PERC_ERR_UNSUPPORTED;
	if (k->ec && alg != NULL && strcmp(alg, "ECDH-ES") == 0) {
		if (k->use == PERC_JWK_SIG)
			return PERC_ERR_FORMAT;
		k->use = PERC_JWK_ENC;
		return 0;
	}
	if (k->use == PERC_JWK_ENC)
		return alg == NULL && k->ec ? 0 : PERC_ERR_UNSUPPORTED;
	k->alg = k->ec ? "ES256" : "RS256";
	if (alg == NULL || strcmp(alg, k->alg) == 0)
		return 0;
	if (k->ec || strcmp(alg, "PS256") != 0)
		return PERC_ERR_UNSUPPORTED;
	k->alg = "PS256";
	return 0;
}

static int
keep_members(struct perc_jwk *k, const json_t *o)
{
	const char *kid = perc_json_str(o, "kid");

	if (kid != NULL && strlen(kid) > KID_MAX)
		return PERC_ERR_LIMIT;
	for (size_t i = 0; i < sizeof(kept_names) / sizeof(char *); i++) {
		const char *s = perc_json_str(o, kept_names[i]);

		if (s != NULL &&
		    json_object_set_new(
			k->pub, kept_names[i], json_string(s)) != 0)
			return PERC_ERR_NOMEM;
	}
	k->kid = kid != NULL ? perc_json_str(k->pub, "kid") : k->jkt;
	return 0;
}

/* --- import ------------------------------------------------------------- */

/* As perc_json_text(), in secret memory. */
static char *
secret_text(const json_t *o)
{
	size_t n = json_dumpb(o, NULL, 0, JSON_COMPACT);
	char *text = n > 0 ? perc_secmem_alloc(n + 1) : NULL;

	if (text == NULL)
		return NULL;
	(void)json_dumpb(o, text, n, JSON_COMPACT);
	text[n] = '\0';
	return text;
}

/* Give cjose these members and nothing else. */
static int
import(cjose_jwk_t **cjp, const json_t *o)
{
	cjose_err err = { 0 };
	char *text = secret_text(o);

	if (text == NULL)
		return PERC_ERR_NOMEM;
	*cjp = cjose_jwk_import(text, strlen(text), &err);
	perc_secmem_free(text);
	/* A point off the curve is CJOSE_ERR_NO_MEMORY there: not believed. */
	return *cjp != NULL ? 0 : PERC_ERR_FORMAT;
}

/* What the private half signs, the public half verifies. */
static bool
halves_match(const cjose_jwk_t *private, const cjose_jwk_t *public)
{
	cjose_err err = { 0 };
	cjose_header_t *h = cjose_header_new(&err);
	cjose_jws_t *jws = NULL;
	bool good = h != NULL &&
	    cjose_header_set(h, CJOSE_HDR_ALG, "ES256", &err) &&
	    (jws = cjose_jws_sign(private, h, (const uint8_t *)"x", 1, &err)) !=
		NULL &&
	    cjose_jws_verify(jws, public, &err);

	cjose_jws_release(jws);
	cjose_header_release(h);
	return good;
}

/*
 * cjose believes the x and y that come along with a d, be they off the curve:
 * the thumbprint would be that of another key. So the public half is imported
 * by itself, which checks the point, and has to match.
 */
static int
import_halves(struct perc_jwk *k, const json_t *o)
{
	cjose_jwk_t *public = NULL;
	json_t *all = NULL;
	int r;

	if (!k->private)
		return k->ec ? perc_es256_key_check(k->xy)
			     : import(&k->cj, k->pub);
	if ((r = import(&public, k->pub)) != 0)
		return r;
	if ((all = json_copy(k->pub)) == NULL ||
	    json_object_set(all, "d", json_object_get(o, "d")) != 0)
		r = PERC_ERR_NOMEM;
	else if ((r = import(&k->cj, all)) == 0 && !halves_match(k->cj, public))
		r = PERC_ERR_FORMAT;
	json_decref(all);
	cjose_jwk_release(public);
	return r;
}

int
perc_jwk_for_cjose(cjose_jwk_t **cjp, const struct perc_jwk *k)
{
	return import(cjp, k->pub);
}

int
perc_jwk_from_object(struct perc_jwk **kp, const json_t *o, bool public_only)
{
	const char *kty = perc_json_str(o, "kty");
	struct perc_jwk *k;
	int r;

	if (public_only && has_private(o))
		return PERC_ERR_DENIED;
	if (kty == NULL)
		return PERC_ERR_FORMAT;
	if ((k = calloc(1, sizeof(*k))) == NULL)
		return PERC_ERR_NOMEM;
	k->ec = strcmp(kty, "EC") == 0;
	k->private = json_object_get(o, "d") != NULL;
	if (k->ec)
		r = ec_members(k, o);
	else if (strcmp(kty, "RSA") == 0 && !has_private(o))
		r = rsa_members(&k->pub, o);
	else
		r = PERC_ERR_UNSUPPORTED;
	if (r == 0 && k->private && octets_member(o, "d", 32, 32) == NULL)
		r = PERC_ERR_FORMAT;
	if (r != 0 || (r = purpose(k, o)) != 0 ||
	    (r = import_halves(k, o)) != 0 ||
	    (r = k->ec ? ec_thumbprint(k->jkt, k->xy)
		       : rsa_thumbprint(k->jkt, k->pub)) != 0 ||
	    (r = keep_members(k, o)) != 0)
		goto out;
	*kp = k;
	k = NULL;
out:
	perc_jwk_free(k);
	return r;
}

int
perc_jwk_from_json(
    struct perc_jwk **kp, const char *text, size_t len, bool public_only)
{
	json_t *o = NULL;
	int r = perc_json_parse(&o, text, len, JWK_MAX, NULL, 0);

	if (r != 0)
		return r;
	r = perc_jwk_from_object(kp, o, public_only);
	wipe_private(o);
	json_decref(o);
	return r;
}

int
perc_jwk_generate(struct perc_jwk **kp)
{
	cjose_err err = { 0 };
	cjose_jwk_t *cj = cjose_jwk_create_EC_random(CJOSE_JWK_EC_P_256, &err);
	char *text = NULL;
	int r = PERC_ERR_CRYPTO;

	if (cj == NULL)
		return perc_cjose_err(&err, r);
	if ((text = cjose_jwk_to_json(cj, true, &err)) == NULL)
		r = perc_cjose_err(&err, r);
	else {
		r = perc_jwk_from_json(kp, text, strlen(text), false);
		perc_wipe(text, strlen(text));
		cjose_get_dealloc()(text);
	}
	cjose_jwk_release(cj);
	return r;
}

/* --- asking ------------------------------------------------------------- */

int
perc_jwk_public_json(char **textp, const struct perc_jwk *k)
{
	*textp = perc_json_text(k->pub);
	return *textp != NULL ? 0 : PERC_ERR_NOMEM;
}

int
perc_jwk_private_json(char **textp, const struct perc_jwk *k)
{
	cjose_err err = { 0 };
	json_t *o = NULL;
	char *text;
	int r;

	if (!k->private)
		return PERC_ERR_STATE;
	if ((text = cjose_jwk_to_json(k->cj, true, &err)) == NULL)
		return perc_cjose_err(&err, PERC_ERR_CRYPTO);
	r = perc_json_parse(&o, text, strlen(text), JWK_MAX, NULL, 0);
	perc_wipe(text, strlen(text));
	cjose_get_dealloc()(text);
	if (r != 0)
		return r;
	r = PERC_ERR_NOMEM;
	if (json_object_update(o, k->pub) == 0 &&
	    (*textp = secret_text(o)) != NULL)
		r = 0;
	wipe_private(o);
	json_decref(o);
	return r;
}

bool
perc_jwk_is_private(const struct perc_jwk *k)
{
	return k->private;
}

int
perc_jwk_thumbprint(char out[static PERC_JKT_LEN + 1], const struct perc_jwk *k)
{
	memcpy(out, k->jkt, sizeof(k->jkt));
	return 0;
}

const char *
perc_jwk_kid(const struct perc_jwk *k)
{
	return k->kid;
}

const char *
perc_jwk_alg(const struct perc_jwk *k)
{
	return k->alg != NULL ? k->alg : "ECDH-ES";
}

/* --- sets --------------------------------------------------------------- */

struct perc_jwks {
	size_t n;
	struct perc_jwk *key[KEYS_MAX];
};

/* Keys that we do not do are skipped. Of two with one kid the first is found.
 */
static int
set_fill(struct perc_jwks *s, const json_t *keys)
{
	for (size_t i = 0; i < json_array_size(keys); i++) {
		struct perc_jwk *k = NULL;
		int r = perc_jwk_from_object(&k, json_array_get(keys, i), true);

		if (r == PERC_ERR_NOMEM)
			return r;
		if (r != 0 || k->use == PERC_JWK_ENC) {
			perc_jwk_free(k);
			continue;
		}
		if (s->n == KEYS_MAX) {
			perc_jwk_free(k);
			return PERC_ERR_LIMIT;
		}
		s->key[s->n++] = k;
	}
	return s->n > 0 ? 0 : PERC_ERR_FORMAT;
}

int
perc_jwks_from_json(struct perc_jwks **sp, const char *text, size_t len)
{
	struct perc_jwks *s = NULL;
	json_t *o = NULL;
	int r = perc_json_parse(&o, text, len, JWKS_MAX, NULL, 0);

	if (r != 0)
		return r;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		r = PERC_ERR_NOMEM;
	else
		r = set_fill(s, json_object_get(o, "keys"));
	if (r == 0) {
		*sp = s;
		s = NULL;
	}
	perc_jwks_free(s);
	wipe_private(o);
	json_decref(o);
	return r;
}

void
perc_jwks_free(struct perc_jwks *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->n; i++)
		perc_jwk_free(s->key[i]);
	free(s);
}

const struct perc_jwk *
perc_jwks_find(const struct perc_jwks *s, const char *kid)
{
	for (size_t i = 0; i < s->n; i++)
		if (strcmp(s->key[i]->kid, kid) == 0)
			return s->key[i];
	return NULL;
}
