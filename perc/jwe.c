/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JWE: ECDH-ES with A256GCM and nothing else. Whatever cjose will decode of a
 * stranger's header is decoded and judged by us before.
 */
#include "perc/jose_cjose.h"

#include "config.h"
#include "perc/b64.h"
#include "perc/jose_part.h"
#include "perc/json.h"
#include "perc/secret.h"

#include <string.h>

#define PARTY_MAX 128 /* octets of apu or apv */

#ifdef PERCH_SANITIZED
/* cjose_jwe_import() loses one block per ECDH-ES seal, the copy of its empty
 * encrypted key. No form of the call avoids it; perc/jose_heap.c gets it back
 * where the heap is ours, which under a sanitizer it need not be. */
const char *__lsan_default_suppressions(void);

const char *
__lsan_default_suppressions(void)
{
	return "leak:libcjose\n";
}
#endif

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
	cjose_jwk_t *key = NULL;
	cjose_jwe_t *jwe = NULL;
	char *text = NULL;
	int r;

	if (!to->ec || to->use == PERC_JWK_SIG)
		return PERC_ERR_INVAL;
	if ((r = perc_cjose_room(innerlen)) != 0 ||
	    (r = perc_jwk_for_cjose(&key, to)) != 0)
		return r;
	if ((h = seal_header(typ, &err)) == NULL ||
	    (jwe = cjose_jwe_encrypt(
		 key, h, (const uint8_t *)inner, innerlen, &err)) == NULL ||
	    (text = cjose_jwe_export(jwe, &err)) == NULL)
		r = perc_cjose_err(&err, PERC_ERR_CRYPTO);
	else
		r = (*textp = strdup(text)) != NULL ? 0 : PERC_ERR_NOMEM;
	if (text != NULL)
		cjose_get_dealloc()(text);
	cjose_jwe_release(jwe);
	cjose_jwk_release(key);
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
	    !perc_typ_is(perc_json_str(h, "cty"), "JWT"))
		return PERC_ERR_DENIED;
	return agreement_is_sound(h) ? 0 : PERC_ERR_FORMAT;
}

/* The five parts: ECDH-ES has no encrypted key; GCM's nonce is 12 octets,
 * its tag 16 (RFC 7518 section 5.3), never less. */
static int
seal_check(const char *text, size_t len)
{
	struct perc_part part[5];
	json_t *h = NULL;
	uint8_t fixed[16], *ct = NULL;
	size_t n = sizeof(fixed), ctlen;
	int r;

	if ((r = perc_part_split(part, 5, text, len)) != 0 ||
	    (r = perc_part_header(&h, &part[0])) != 0)
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
	if ((r = perc_part_decode(&ct, &ctlen, &part[3])) == 0)
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
	if ((r = seal_check(text, len)) != 0 || (r = perc_cjose_room(len)) != 0)
		return r;
	perc_cjose_watch();
	if ((jwe = cjose_jwe_import(text, len, &err)) == NULL)
		r = perc_cjose_err(&err, PERC_ERR_FORMAT);
	/* An ephemeral point off the curve is CJOSE_ERR_NO_MEMORY there. */
	else if ((plain = cjose_jwe_decrypt(jwe, mine->cj, &n, &err)) == NULL)
		r = PERC_ERR_AUTH;
	else
		r = take_inner(innerp, innerlen, plain, n);
	cjose_jwe_release(jwe);
	perc_cjose_watch_end();
	return r;
}
