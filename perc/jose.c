/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JWS. cjose follows whatever alg the header names as far as the key type
 * allows, so the header is read and judged by us before cjose sees the text:
 * one spelling of base64url, one algorithm per key, no crit. Keys that a
 * header brings along are never looked at here.
 */
#include "perc/jose_cjose.h"

#include "perc/b64.h"
#include "perc/jose_part.h"
#include "perc/json.h"
#include "perc/secret.h"

#include <stdlib.h>
#include <string.h>

#define RSA_SIG_MAX 1024 /* octets of a signature */

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
	struct perc_part part[3];
	int r;

	if (len > max)
		return PERC_ERR_LIMIT;
	if ((r = perc_part_split(part, 3, text, len)) != 0 ||
	    (r = perc_part_header(&j->header, &part[0])) != 0 ||
	    (r = perc_part_decode(&j->raw, &j->rawlen, &part[1])) != 0)
		return r;
	if (perc_b64_get(sig, &signlen, part[2].p, part[2].n) != 0)
		return PERC_ERR_FORMAT;
	j->siglen = signlen;
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

bool
perc_jws_sig_fits(const struct perc_jws *j)
{
	const char *alg = perc_json_str(j->header, "alg");

	return alg == NULL || strcmp(alg, "ES256") != 0 || j->siglen == 64;
}

/* May this key be asked about a token with this header? */
static int
header_judge(const json_t *h, const struct perc_jwk *k, const char *typ)
{
	const char *alg = perc_json_str(h, "alg");

	if (alg == NULL || k->alg == NULL || strcmp(alg, k->alg) != 0)
		return PERC_ERR_DENIED;
	if (typ != NULL && !perc_typ_is(perc_json_str(h, "typ"), typ))
		return PERC_ERR_DENIED;
	/* RFC 7515 section 4.1.11: we understand no extension; RFC 7797's b64
	 * would change what is signed. */
	if (json_object_get(h, "crit") != NULL ||
	    json_object_get(h, "b64") != NULL)
		return PERC_ERR_DENIED;
	return 0;
}

static int
es256_verify(const char *text, size_t len, const struct perc_jwk *k)
{
	const char *dot = memrchr(text, '.', len);
	uint8_t sig[PERC_ES256_SIG_LEN];
	size_t n = sizeof(sig);

	if (dot == NULL ||
	    perc_b64_get(sig, &n, dot + 1, (size_t)(text + len - dot - 1)) !=
		0 ||
	    n != sizeof(sig))
		return PERC_ERR_AUTH;
	return perc_es256_verify(k->xy, text, (size_t)(dot - text), sig);
}

static int
signature_verify(const char *text, size_t len, const struct perc_jwk *k)
{
	cjose_err err = { 0 };
	cjose_jws_t *jws;
	int r;

	if (k->ec)
		return es256_verify(text, len, k);
	if ((r = perc_cjose_room(len)) != 0)
		return r;
	if ((jws = cjose_jws_import(text, len, &err)) == NULL)
		return perc_cjose_err(&err, PERC_ERR_FORMAT);
	r = cjose_jws_verify(jws, k->cj, &err)
	    ? 0
	    : perc_cjose_err(&err, PERC_ERR_AUTH);
	cjose_jws_release(jws);
	return r;
}

int
perc_jws_verify_peeked(struct perc_jws *j, const char *text, size_t len,
    const struct perc_jwk *k, const char *typ)
{
	int r = header_judge(j->header, k, typ);

	if (r == 0 && !perc_jws_sig_fits(j))
		r = PERC_ERR_AUTH;
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

	return r != 0 ? r : perc_jws_verify_peeked(j, text, len, k, typ);
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
	return perc_jws_verify_peeked(j, text, len, k, typ);
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
	    perc_cjose_room(strlen(body)) != 0 ||
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
