/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cjose follows whatever alg the header names as far as the key type allows,
 * so the header is read and judged by us before cjose sees the text: one
 * spelling of base64url, one algorithm per key, no crit, no zip. Keys that a
 * header brings along are never looked at here.
 */
#include "perc/jose_cjose.h"

#include "config.h"
#include "perc/b64.h"
#include "perc/json.h"
#include "perc/secret.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADER_MAX  4096 /* octets of a decoded header */
#define RSA_SIG_MAX 1024 /* octets of a signature */
#define PARTY_MAX   128	 /* of apu or apv */

struct part {
	const char *p;
	size_t n;
};

/* Cut at the dots into exactly want parts. */
static int
split(struct part *part, size_t want, const char *text, size_t len)
{
	const char *end = text + len;
	size_t n = 0;

	for (;;) {
		const char *dot = memchr(text, '.', (size_t)(end - text));

		if (n == want || (dot == NULL && n != want - 1))
			return PERC_ERR_FORMAT;
		part[n].p = text;
		part[n++].n = (size_t)((dot != NULL ? dot : end) - text);
		if (dot == NULL)
			return 0;
		text = dot + 1;
	}
}

/* A decoded part in secret memory, NUL-terminated. */
static int
part_decode(uint8_t **outp, size_t *np, const struct part *part)
{
	size_t n = PERC_B64_RAW(part->n);
	uint8_t *out = perc_secmem_alloc(n + 1);
	int r;

	if (out == NULL)
		return PERC_ERR_NOMEM;
	if ((r = perc_b64_get(out, &n, part->p, part->n)) != 0) {
		perc_secmem_free(out);
		return r;
	}
	out[n] = '\0';
	*outp = out;
	*np = n;
	return 0;
}

static int
header_get(json_t **hp, const struct part *part)
{
	uint8_t *raw = NULL;
	size_t n;
	int r;

	if (part->n > PERC_B64_LEN(HEADER_MAX))
		return PERC_ERR_LIMIT;
	if ((r = part_decode(&raw, &n, part)) != 0)
		return r;
	r = perc_json_parse(hp, raw, n, HEADER_MAX, NULL, 0);
	perc_secmem_free(raw);
	return r;
}

/*
 * cjose 0.6.2 does not look at every pointer that its allocator gives, so a
 * full arena would be a crash: refuse before, while there is no room for the
 * copies that it makes of n octets.
 */
static int
room_check(size_t n)
{
	void *p = perc_secmem_alloc(4 * n + 16384);

	if (p == NULL)
		return PERC_ERR_NOMEM;
	perc_secmem_free(p);
	return 0;
}

/* --- JWS ---------------------------------------------------------------- */

/* A payload that begins like an object must be a strict one. */
static int
payload_parse(struct perc_jws *j, size_t max)
{
	size_t i = 0;

	while (i < j->rawlen && j->raw[i] != '\0' &&
	    strchr(" \t\r\n", j->raw[i]) != NULL)
		i++;
	if (i == j->rawlen || j->raw[i] != '{')
		return 0;
	return perc_json_parse(&j->payload, j->raw, j->rawlen, max, NULL, 0);
}

static int
peek(struct perc_jws *j, const char *text, size_t len, size_t max)
{
	uint8_t sig[RSA_SIG_MAX];
	size_t signlen = sizeof(sig);
	struct part part[3];
	int r;

	if (len > max)
		return PERC_ERR_LIMIT;
	if ((r = split(part, 3, text, len)) != 0 ||
	    (r = header_get(&j->header, &part[0])) != 0 ||
	    (r = part_decode(&j->raw, &j->rawlen, &part[1])) != 0)
		return r;
	if (perc_b64_get(sig, &signlen, part[2].p, part[2].n) != 0)
		return PERC_ERR_FORMAT;
	return payload_parse(j, max);
}

int
perc_jws_peek(struct perc_jws *j, const char *text, size_t len, size_t max)
{
	int r;

	*j = (struct perc_jws){ 0 };
	if ((r = peek(j, text, len, max)) != 0)
		perc_jws_clear(j);
	return r;
}

void
perc_jws_clear(struct perc_jws *j)
{
	json_decref(j->header);
	json_decref(j->payload);
	perc_secmem_free(j->raw);
	*j = (struct perc_jws){ 0 };
}

/* RFC 7515 section 4.1.9: "application/" may be left out. */
static bool
typ_is(const char *have, const char *want)
{
	static const char prefix[] = "application/";

	if (have == NULL)
		return false;
	if (strncasecmp(have, prefix, sizeof(prefix) - 1) == 0)
		have += sizeof(prefix) - 1;
	return strcasecmp(have, want) == 0;
}

/* May this key be asked about a token with this header? */
static int
header_judge(const json_t *h, const struct perc_jwk *k, const char *typ)
{
	const char *alg = perc_json_str(h, "alg");

	if (alg == NULL || k->alg == NULL || strcmp(alg, k->alg) != 0)
		return PERC_ERR_DENIED;
	if (typ != NULL && !typ_is(perc_json_str(h, "typ"), typ))
		return PERC_ERR_DENIED;
	/* RFC 7515 section 4.1.11: we understand no extension; RFC 7797's b64
	 * would change what is signed. */
	if (json_object_get(h, "crit") != NULL ||
	    json_object_get(h, "b64") != NULL)
		return PERC_ERR_DENIED;
	return 0;
}

static int
signature_verify(const char *text, size_t len, const struct perc_jwk *k)
{
	cjose_err err = { 0 };
	cjose_jws_t *jws;
	int r = room_check(len);

	if (r != 0)
		return r;
	if ((jws = cjose_jws_import(text, len, &err)) == NULL)
		return perc_cjose_err(&err, PERC_ERR_FORMAT);
	r = cjose_jws_verify(jws, k->cj, &err)
	    ? 0
	    : perc_cjose_err(&err, PERC_ERR_AUTH);
	cjose_jws_release(jws);
	return r;
}

static int
verify(struct perc_jws *j, const char *text, size_t len,
    const struct perc_jwk *k, const char *typ)
{
	int r = header_judge(j->header, k, typ);

	if (r == 0)
		r = signature_verify(text, len, k);
	if (r != 0)
		perc_jws_clear(j);
	return r;
}

int
perc_jws_verify(struct perc_jws *j, const char *text, size_t len, size_t max,
    const struct perc_jwk *k, const char *typ)
{
	int r = perc_jws_peek(j, text, len, max);

	return r != 0 ? r : verify(j, text, len, k, typ);
}

int
perc_jws_verify_set(struct perc_jws *j, const char *text, size_t len,
    size_t max, const struct perc_jwks *set, const char *typ)
{
	const struct perc_jwk *k;
	const char *kid;
	int r = perc_jws_peek(j, text, len, max);

	if (r != 0)
		return r;
	kid = perc_json_str(j->header, "kid");
	if (kid == NULL || (k = perc_jwks_find(set, kid)) == NULL) {
		perc_jws_clear(j);
		return PERC_ERR_UNKNOWN_KEY;
	}
	return verify(j, text, len, k, typ);
}

static cjose_header_t *
sign_header(
    const struct perc_jwk *k, const char *typ, bool with_jwk, cjose_err *err)
{
	cjose_header_t *h = cjose_header_new(err);
	char *jwk = NULL;
	bool good = h != NULL &&
	    cjose_header_set(h, CJOSE_HDR_ALG, k->alg, err) &&
	    cjose_header_set(h, "typ", typ, err);

	if (good && with_jwk)
		good = perc_jwk_public_json(&jwk, k) == 0 &&
		    cjose_header_set_raw(h, "jwk", jwk, err);
	else if (good)
		good = cjose_header_set(h, CJOSE_HDR_KID, k->kid, err);
	free(jwk);
	if (good)
		return h;
	cjose_header_release(h);
	return NULL;
}

int
perc_jws_sign(char **textp, const struct perc_jwk *k, const char *typ,
    const json_t *claims, bool with_jwk)
{
	cjose_err err = { 0 };
	cjose_header_t *h = NULL;
	cjose_jws_t *jws = NULL;
	const char *lent;
	char *body = NULL;
	int r = PERC_ERR_NOMEM;

	if (!k->private || k->alg == NULL)
		return PERC_ERR_STATE;
	if ((body = perc_json_text(claims)) == NULL ||
	    room_check(strlen(body)) != 0 ||
	    (h = sign_header(k, typ, with_jwk, &err)) == NULL)
		goto out;
	jws =
	    cjose_jws_sign(k->cj, h, (const uint8_t *)body, strlen(body), &err);
	if (jws == NULL || !cjose_jws_export(jws, &lent, &err)) {
		r = perc_cjose_err(&err, PERC_ERR_CRYPTO);
		goto out;
	}
	if ((*textp = strdup(lent)) != NULL)
		r = 0;
out:
	perc_json_free(body);
	cjose_header_release(h);
	cjose_jws_release(jws);
	return r;
}

#ifdef PERCH_SANITIZED
/* cjose_jwe_import() loses one block per ECDH-ES seal, the copy of its empty
 * encrypted key. No form of the call avoids it. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libcjose\n";
}
#endif

/* --- JWE ---------------------------------------------------------------- */

static cjose_header_t *
seal_header(const char *typ, cjose_err *err)
{
	cjose_header_t *h = cjose_header_new(err);

	if (h != NULL &&
	    cjose_header_set(h, CJOSE_HDR_ALG, CJOSE_HDR_ALG_ECDH_ES, err) &&
	    cjose_header_set(h, CJOSE_HDR_ENC, CJOSE_HDR_ENC_A256GCM, err) &&
	    cjose_header_set(h, "typ", typ, err) &&
	    cjose_header_set(h, CJOSE_HDR_CTY, "JWT", err))
		return h;
	cjose_header_release(h);
	return NULL;
}

int
perc_jwe_seal(char **textp, const struct perc_jwk *to, const char *typ,
    const char *inner, size_t innerlen)
{
	cjose_err err = { 0 };
	cjose_header_t *h = NULL;
	cjose_jwe_t *jwe = NULL;
	char *text = NULL;
	int r;

	if (!to->ec || to->use == PERC_JWK_SIG)
		return PERC_ERR_INVAL;
	if ((r = room_check(innerlen)) != 0)
		return r;
	if ((h = seal_header(typ, &err)) == NULL ||
	    (jwe = cjose_jwe_encrypt(
		 to->cj, h, (const uint8_t *)inner, innerlen, &err)) == NULL ||
	    (text = cjose_jwe_export(jwe, &err)) == NULL)
		r = perc_cjose_err(&err, PERC_ERR_CRYPTO);
	else
		r = (*textp = strdup(text)) != NULL ? 0 : PERC_ERR_NOMEM;
	if (text != NULL)
		cjose_get_dealloc()(text);
	cjose_jwe_release(jwe);
	cjose_header_release(h);
	return r;
}

static bool
member_is(const json_t *o, const char *name, const char *want)
{
	const char *have = perc_json_str(o, name);

	return have != NULL && strcmp(have, want) == 0;
}

/* A member of at most max octets of canonical base64url; *n: how many. */
static bool
octets_are(const json_t *o, const char *name, size_t max, size_t *n)
{
	const char *s = perc_json_str(o, name);
	uint8_t raw[PARTY_MAX];

	*n = max;
	return s != NULL && perc_b64_get(raw, n, s, strlen(s)) == 0;
}

/*
 * cjose's decoder ends in an assertion on "AA=A": what it will decode, the
 * ephemeral key and the party information, is decoded by us before.
 */
static bool
agreement_is_sound(const json_t *h)
{
	static const char *const parties[] = { "apu", "apv" };
	const json_t *epk = json_object_get(h, "epk");
	size_t n;

	for (size_t i = 0; i < sizeof(parties) / sizeof(parties[0]); i++)
		if (json_object_get(h, parties[i]) != NULL &&
		    !octets_are(h, parties[i], PARTY_MAX, &n))
			return false;
	return member_is(epk, "kty", "EC") && member_is(epk, "crv", "P-256") &&
	    json_object_get(epk, "d") == NULL && octets_are(epk, "x", 32, &n) &&
	    n == 32 && octets_are(epk, "y", 32, &n) && n == 32;
}

/* One algorithm, one encryption, an ephemeral P-256 key; nothing else. */
static int
seal_judge(const json_t *h)
{
	static const char *const refused[] = { "crit", "zip", "jku", "x5u",
		"p2c", "p2s" };

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (json_object_get(h, refused[i]) != NULL)
			return PERC_ERR_DENIED;
	if (!member_is(h, "alg", "ECDH-ES") ||
	    !member_is(h, "enc", "A256GCM") ||
	    !typ_is(perc_json_str(h, "cty"), "JWT"))
		return PERC_ERR_DENIED;
	return agreement_is_sound(h) ? 0 : PERC_ERR_FORMAT;
}

/* The five parts: ECDH-ES has no encrypted key; GCM's nonce is 12 octets,
 * its tag 16 (RFC 7518 section 5.3), never less. */
static int
seal_check(const char *text, size_t len)
{
	struct part part[5];
	json_t *h = NULL;
	uint8_t fixed[16], *ct = NULL;
	size_t n = sizeof(fixed), ctlen;
	int r;

	if ((r = split(part, 5, text, len)) != 0 ||
	    (r = header_get(&h, &part[0])) != 0)
		return r;
	r = seal_judge(h);
	json_decref(h);
	if (r != 0)
		return r;
	if (part[1].n != 0 || part[2].n != PERC_B64_LEN(12) ||
	    part[4].n != PERC_B64_LEN(16) ||
	    perc_b64_get(fixed, &n, part[2].p, part[2].n) != 0)
		return PERC_ERR_FORMAT;
	n = sizeof(fixed);
	if (perc_b64_get(fixed, &n, part[4].p, part[4].n) != 0)
		return PERC_ERR_FORMAT;
	if ((r = part_decode(&ct, &ctlen, &part[3])) == 0)
		perc_secmem_free(ct);
	return r;
}

/* *innerp: a copy that ends with NUL; cjose's own is wiped. */
static int
take_inner(char **innerp, size_t *innerlen, uint8_t *plain, size_t n)
{
	char *copy = NULL;
	int r = PERC_ERR_FORMAT;

	if (memchr(plain, '\0', n) == NULL) {
		r = PERC_ERR_NOMEM;
		if ((copy = perc_secmem_alloc(n + 1)) != NULL) {
			memcpy(copy, plain, n);
			copy[n] = '\0';
			*innerp = copy;
			*innerlen = n;
			r = 0;
		}
	}
	perc_wipe(plain, n);
	cjose_get_dealloc()(plain);
	return r;
}

int
perc_jwe_open(char **innerp, size_t *innerlen, const struct perc_jwk *mine,
    const char *text, size_t len, size_t max)
{
	cjose_err err = { 0 };
	cjose_jwe_t *jwe = NULL;
	uint8_t *plain;
	size_t n = 0;
	int r;

	if (!mine->ec || !mine->private || mine->use == PERC_JWK_SIG)
		return PERC_ERR_INVAL;
	if (len > max)
		return PERC_ERR_LIMIT;
	if ((r = seal_check(text, len)) != 0 || (r = room_check(len)) != 0)
		return r;
	if ((jwe = cjose_jwe_import(text, len, &err)) == NULL)
		return perc_cjose_err(&err, PERC_ERR_FORMAT);
	/* An ephemeral point off the curve is CJOSE_ERR_NO_MEMORY there. */
	if ((plain = cjose_jwe_decrypt(jwe, mine->cj, &n, &err)) == NULL)
		r = PERC_ERR_AUTH;
	else
		r = take_inner(innerp, innerlen, plain, n);
	cjose_jwe_release(jwe);
	return r;
}
