/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token2 at the MDD: one good token, and every way we could think of to make
 * a bad one. REQ-WS-6.1b: the conference provider admits whom the service
 * provider authorised, and nobody else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mdd/token.h"
#include "perc/b64.h"
#include "perc/json.h"

#define NOW  1795255717
#define KMF  "https://kmf.example"
#define KMF2 "https://kmf.other.example"
#define US   "https://mdd.example"
#define PIN  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE"

static struct perc_jwk *key, *key2, *stranger;
static struct mdd_issuer issuers[2];

static struct perc_jwks *
set_of(const struct perc_jwk *k)
{
	struct perc_jwks *s = NULL;
	char *one = NULL, text[2048];

	assert_int_equal(perc_jwk_public_json(&one, k), 0);
	(void)snprintf(text, sizeof(text), "{\"keys\":[%s]}", one);
	perc_json_free(one);
	assert_int_equal(perc_jwks_from_json(&s, text, strlen(text)), 0);
	return s;
}

static int
setup(void **state)
{
	assert_int_equal(perc_jwk_generate(&key), 0);
	assert_int_equal(perc_jwk_generate(&key2), 0);
	assert_int_equal(perc_jwk_generate(&stranger), 0);
	issuers[0] = (struct mdd_issuer){ "one", KMF, set_of(key) };
	issuers[1] = (struct mdd_issuer){ "two", KMF2, set_of(key2) };
	return 0;
}

static int
teardown(void **state)
{
	perc_jwks_free(issuers[0].keys);
	perc_jwks_free(issuers[1].keys);
	perc_jwk_free(key);
	perc_jwk_free(key2);
	perc_jwk_free(stranger);
	return 0;
}

static json_t *
good(void)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:[i,I], s:{s:s},"
			 " s:I, s:I, s:s}",
	    "iss", KMF, "aud", US, "sub", "m_abc-_1", "client_id",
	    "perch-agent", "scope", "join", "conference", "c_xyz", "ssrcs",
	    305419896, (json_int_t)4294967295, "cnf", "x5t#S256", PIN, "iat",
	    (json_int_t)NOW - 10, "exp", (json_int_t)NOW + 590, "jti", "j1");
}

static int
check(const char *text, struct mdd_token *t, const char **why)
{
	return mdd_token_check(t, issuers, 2, US, text, strlen(text), NOW, why);
}

static void
test_REQ_WS_6_1b_good(void **state)
{
	json_t *c = good();
	const char *why = NULL;
	struct mdd_token t;
	char *text = NULL;

	assert_int_equal(perc_jws_sign(&text, key, "at+jwt", c, false), 0);
	assert_int_equal(check(text, &t, &why), 0);
	assert_int_equal(t.issuer, 0);
	assert_string_equal(t.member, "m_abc-_1");
	assert_string_equal(t.conference, "c_xyz");
	assert_int_equal(t.nssrcs, 2);
	assert_int_equal(t.ssrcs[0], 305419896);
	assert_int_equal(t.ssrcs[1], 4294967295u);
	assert_int_equal(t.exp_s, NOW + 590);
	assert_int_equal(t.pin[31], 1);
	free(text);
	assert_int_equal(
	    perc_jws_sign(&text, key, "application/at+jwt", c, false), 0);
	assert_int_equal(check(text, &t, &why), 0);
	free(text);
	/* The other KMF's token, by its own key. */
	json_object_set_new(c, "iss", json_string(KMF2));
	assert_int_equal(perc_jws_sign(&text, key2, "at+jwt", c, false), 0);
	assert_int_equal(check(text, &t, &why), 0);
	assert_int_equal(t.issuer, 1);
	free(text);
	json_decref(c);
}

/*
 * One member set to JSON text (NULL: taken out), signed by the right key with
 * the right typ: the claim alone must refuse it.
 */
static const struct {
	const char *what, *name, *value;
} forged[] = {
	{ "no iss", "iss", NULL },
	{ "iss of somebody", "iss", "\"https://evil.example\"" },
	{ "iss with a slash", "iss", "\"" KMF "/\"" },
	{ "iss of the other KMF, our key", "iss", "\"" KMF2 "\"" },
	{ "iss a list", "iss", "[\"" KMF "\"]" },
	{ "no aud", "aud", NULL },
	{ "REQ-WS-6.2: aud of token1 is the KMF", "aud", "\"" KMF "\"" },
	{ "aud of another MDD", "aud", "\"https://mdd2.example\"" },
	{ "aud with a slash", "aud", "\"" US "/\"" },
	{ "aud in capitals", "aud", "\"HTTPS://MDD.EXAMPLE\"" },
	{ "aud a prefix", "aud", "\"https://mdd.exampl\"" },
	{ "aud a list with us", "aud", "[\"" US "\", \"" KMF "\"]" },
	{ "no exp", "exp", NULL },
	{ "exp over", "exp", "1795255680" },
	{ "exp a string", "exp", "\"1795256317\"" },
	{ "exp a fraction", "exp", "1795256317.5" },
	{ "exp negative", "exp", "-1" },
	{ "exp years away", "exp", "1895256317" },
	{ "exp beyond all numbers", "exp", "9223372036854775807" },
	{ "no iat", "iat", NULL },
	{ "iat to come", "iat", "1795255800" },
	{ "iat a string", "iat", "\"1795255707\"" },
	{ "iat after exp", "iat", "1795256400" },
	{ "iat long ago", "iat", "1" },
	{ "nbf to come", "nbf", "1795255800" },
	{ "nbf a string", "nbf", "\"0\"" },
	{ "no jti", "jti", NULL },
	{ "jti empty", "jti", "\"\"" },
	{ "jti a number", "jti", "7" },
	{ "no client_id", "client_id", NULL },
	{ "no scope", "scope", NULL },
	{ "REQ-WS-6.2: scope of token1", "scope", "\"member\"" },
	{ "scope with more", "scope", "\"join admin\"" },
	{ "no sub", "sub", NULL },
	{ "sub empty", "sub", "\"\"" },
	{ "sub with a slash", "sub", "\"m_a/../b\"" },
	{ "sub with a NUL", "sub", "\"m_a\\u0000b\"" },
	{ "sub a number", "sub", "5" },
	{ "sub too long", "sub",
	    "\"mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm"
	    "mm\"" },
	{ "no conference", "conference", NULL },
	{ "conference with a newline", "conference", "\"c_a\\n\"" },
	{ "no ssrcs", "ssrcs", NULL },
	{ "ssrcs empty", "ssrcs", "[]" },
	{ "ssrcs an object", "ssrcs", "{\"0\": 1}" },
	{ "ssrcs of strings", "ssrcs", "[\"305419896\"]" },
	{ "ssrc 0", "ssrcs", "[0]" },
	{ "ssrc 1, the MDD's own", "ssrcs", "[1]" },
	{ "ssrc too large", "ssrcs", "[4294967296]" },
	{ "ssrc negative", "ssrcs", "[-5]" },
	{ "ssrc twice", "ssrcs", "[5, 6, 5]" },
	{ "nine ssrcs", "ssrcs", "[11,12,13,14,15,16,17,18,19]" },
	{ "no cnf", "cnf", NULL },
	{ "cnf empty", "cnf", "{}" },
	{ "REQ-WS-6.2: cnf of token1", "cnf", "{\"jkt\": \"" PIN "\"}" },
	{ "cnf with a second binding", "cnf",
	    "{\"x5t#S256\": \"" PIN "\", \"jkt\": \"" PIN "\"}" },
	{ "cnf short", "cnf", "{\"x5t#S256\": \"AAAA\"}" },
	{ "cnf padded", "cnf", "{\"x5t#S256\": \"" PIN "=\"}" },
	{ "cnf with bits to spare", "cnf",
	    "{\"x5t#S256\": \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAF\"}" },
	{ "cnf a string", "cnf", "\"" PIN "\"" },
	{ "cnf a list", "cnf", "[\"" PIN "\"]" },
};

static void
test_REQ_WS_6_2_forged_claims(void **state)
{
	const char *why;
	struct mdd_token t;
	json_t *c;
	char *text;
	size_t i;

	for (i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
		c = good();
		(void)json_object_del(c, forged[i].name);
		if (forged[i].value != NULL)
			assert_int_equal(
			    json_object_set_new(c, forged[i].name,
				json_loads(forged[i].value,
				    JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)),
			    0);
		text = NULL;
		assert_int_equal(
		    perc_jws_sign(&text, key, "at+jwt", c, false), 0);
		why = NULL;
		if (check(text, &t, &why) == 0)
			fail_msg("accepted: %s", forged[i].what);
		assert_non_null(why);
		free(text);
		json_decref(c);
	}
}

static void
refused(const char *what, const char *text)
{
	const char *why = NULL;
	struct mdd_token t;

	if (check(text, &t, &why) == 0)
		fail_msg("accepted: %s", what);
	assert_non_null(why);
}

static void
test_typ_keeps_kinds_apart(void **state)
{
	static const char *const typs[] = { "JWT", "dpop+jwt", "perch-ekt+jwt",
		"perch-roster+jwt", "at+jwt2", "xat+jwt", "" };
	json_t *c = good();
	char *text;
	size_t i;

	for (i = 0; i < sizeof(typs) / sizeof(typs[0]); i++) {
		text = NULL;
		assert_int_equal(
		    perc_jws_sign(&text, key, typs[i], c, false), 0);
		refused(typs[i], text);
		free(text);
	}
	json_decref(c);
}

/* header.payload with any header and the given signature octets */
static char *
raw(const char *header, const json_t *claims, const uint8_t *sig, size_t n)
{
	char *p = json_dumps(claims, JSON_COMPACT), *out = malloc(16384);
	size_t at;

	assert_non_null(p);
	assert_non_null(out);
	perc_b64_put(out, header, strlen(header));
	strcat(out, ".");
	at = strlen(out);
	perc_b64_put(out + at, p, strlen(p));
	strcat(out, ".");
	at = strlen(out);
	perc_b64_put(out + at, sig, n);
	free(p);
	return out;
}

static void
test_signature_and_algorithm(void **state)
{
	static const char *const headers[] = {
		"{\"alg\":\"none\",\"typ\":\"at+jwt\"}",
		"{\"alg\":\"ES256\",\"typ\":\"at+jwt\"}",
		"{\"typ\":\"at+jwt\"}",
		"{\"alg\":\"ES384\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
		"{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
		"{\"alg\":\"none\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
		"{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
		"{\"alg\":\"ES256\",\"alg\":\"none\",\"typ\":\"at+jwt\","
		"\"kid\":\"%s\"}",
		"{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"%s\","
		"\"crit\":[\"x\"],\"x\":1}",
		"not json",
		"[]",
	};
	uint8_t zero[64] = { 0 };
	char header[512], *text;
	json_t *c = good();
	size_t i;

	for (i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
		const char *at = strstr(headers[i], "%s");

		if (at == NULL)
			(void)snprintf(
			    header, sizeof(header), "%s", headers[i]);
		else
			(void)snprintf(header, sizeof(header), "%.*s%s%s",
			    (int)(at - headers[i]), headers[i],
			    perc_jwk_kid(key), at + 2);
		text = raw(header, c, zero, sizeof(zero));
		refused(headers[i], text);
		free(text);
		text = raw(header, c, zero, 0);
		refused(headers[i], text);
		free(text);
	}
	text = NULL;
	assert_int_equal(perc_jws_sign(&text, stranger, "at+jwt", c, false), 0);
	refused("a stranger's key", text);
	free(text);
	assert_int_equal(perc_jws_sign(&text, stranger, "at+jwt", c, true), 0);
	refused("a key brought along", text);
	free(text);
	assert_int_equal(perc_jws_sign(&text, key2, "at+jwt", c, false), 0);
	refused("the other KMF's key", text);
	free(text);
	json_decref(c);
}

/* HS256 with the public key's text as secret: libjwt fell for it. */
static void
test_hmac_with_public_key(void **state)
{
	uint8_t mac[32];
	unsigned n = sizeof(mac);
	char header[256], *text, *pub = NULL;
	json_t *c = good();

	(void)snprintf(header, sizeof(header),
	    "{\"alg\":\"HS256\",\"typ\":\"at+jwt\",\"kid\":\"%s\"}",
	    perc_jwk_kid(key));
	assert_int_equal(perc_jwk_public_json(&pub, key), 0);
	text = raw(header, c, mac, 0);
	assert_non_null(HMAC(EVP_sha256(), pub, (int)strlen(pub),
	    (const uint8_t *)text, strlen(text) - 1, mac, &n));
	free(text);
	text = raw(header, c, mac, sizeof(mac));
	refused("HS256 by the public key", text);
	free(text);
	perc_json_free(pub);
	json_decref(c);
}

/* A KMF's key set may hold a key of another kind. It signs no token2. */
static void
test_rsa_key_in_the_set(void **state)
{
	EVP_PKEY *rsa = EVP_RSA_gen(2048);
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	struct mdd_issuer one = { "one", KMF, NULL };
	uint8_t sig[256], n[256];
	char n64[400], jwks[600], *text;
	const char *why = NULL;
	struct mdd_token t;
	json_t *c = good();
	size_t len = sizeof(sig);
	BIGNUM *bn = NULL;

	assert_true(rsa != NULL && md != NULL);
	assert_int_equal(EVP_PKEY_get_bn_param(rsa, "n", &bn), 1);
	assert_int_equal(BN_bn2binpad(bn, n, sizeof(n)), sizeof(n));
	perc_b64_put(n64, n, sizeof(n));
	(void)snprintf(jwks, sizeof(jwks),
	    "{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"r\",\"alg\":\"RS256\","
	    "\"e\":\"AQAB\",\"n\":\"%s\"}]}",
	    n64);
	assert_int_equal(perc_jwks_from_json(&one.keys, jwks, strlen(jwks)), 0);
	text = raw(
	    "{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"r\"}", c, sig, 0);
	assert_int_equal(
	    EVP_DigestSignInit(md, NULL, EVP_sha256(), NULL, rsa), 1);
	assert_int_equal(EVP_DigestSign(md, sig, &len, (const uint8_t *)text,
			     strlen(text) - 1),
	    1);
	free(text);
	text = raw("{\"alg\":\"RS256\",\"typ\":\"at+jwt\",\"kid\":\"r\"}", c,
	    sig, len);
	assert_int_not_equal(
	    mdd_token_check(&t, &one, 1, US, text, strlen(text), NOW, &why), 0);
	assert_string_equal(why, "algorithm"); /* the signature was good */
	free(text);
	perc_jwks_free(one.keys);
	BN_free(bn);
	EVP_MD_CTX_free(md);
	EVP_PKEY_free(rsa);
	json_decref(c);
}

static void
test_form(void **state)
{
	json_t *c = good();
	char *text = NULL, *big;
	size_t i, n;

	assert_int_equal(perc_jws_sign(&text, key, "at+jwt", c, false), 0);
	n = strlen(text);
	for (i = 0; i < n; i += 3) { /* cut short */
		char save = text[i];

		text[i] = '\0';
		refused("cut short", text);
		text[i] = save;
	}
	for (i = 0; i < n; i++) { /* one character changed */
		char save = text[i];

		text[i] = save == 'A' ? 'B' : 'A';
		refused("changed", text);
		text[i] = save;
	}
	refused("", "");
	refused("dots", "...");
	refused("two dots", "..");
	big = malloc(n + 3);
	assert_non_null(big);
	(void)snprintf(big, n + 3, "%s.", text);
	refused("four parts", big);
	(void)snprintf(big, n + 3, "%s=", text);
	refused("padded", big);
	(void)snprintf(big, n + 3, " %s", text);
	refused("a blank before", big);
	free(big);
	free(text);
	/* A good signature over more than 8 KiB. */
	big = malloc(9001);
	assert_non_null(big);
	memset(big, 'x', 9000);
	big[9000] = '\0';
	json_object_set_new(c, "pad", json_string(big));
	free(big);
	text = NULL;
	assert_int_equal(perc_jws_sign(&text, key, "at+jwt", c, false), 0);
	refused("too long", text);
	free(text);
	json_decref(c);
}

static void
test_leeway(void **state)
{
	json_t *c = good();
	const char *why = NULL;
	struct mdd_token t;
	char *text = NULL;

	assert_int_equal(perc_jws_sign(&text, key, "at+jwt", c, false), 0);
	assert_int_equal(mdd_token_check(&t, issuers, 2, US, text, strlen(text),
			     NOW + 590 + 29, &why),
	    0);
	assert_int_not_equal(mdd_token_check(&t, issuers, 2, US, text,
				 strlen(text), NOW + 590 + 30, &why),
	    0);
	assert_int_equal(mdd_token_check(&t, issuers, 2, US, text, strlen(text),
			     NOW - 10 - 30, &why),
	    0);
	assert_int_not_equal(mdd_token_check(&t, issuers, 2, US, text,
				 strlen(text), NOW - 10 - 31, &why),
	    0);
	free(text);
	json_decref(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_REQ_WS_6_1b_good),
		cmocka_unit_test(test_REQ_WS_6_2_forged_claims),
		cmocka_unit_test(test_typ_keeps_kinds_apart),
		cmocka_unit_test(test_signature_and_algorithm),
		cmocka_unit_test(test_hmac_with_public_key),
		cmocka_unit_test(test_rsa_key_in_the_set),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_leeway),
	};

	return cmocka_run_group_tests_name("token2", tests, setup, teardown);
}
