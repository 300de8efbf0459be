/* SPDX-License-Identifier: Apache-2.0 */
/* perc/dpop.c and perc/htu.c: the examples of RFC 9449, and what it refuses. */
#include "tests/perc/unit.h"

#include <openssl/bn.h>
#include <stdio.h>
#include <stdlib.h>

#include "perc/b64.h"
#include "perc/htu.h"
#include "perc/jose.h"
#include "perc/json.h"

#define TOKEN "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU"
#define JKT   "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
#define ATH   "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
#define HEADER                                                                 \
	"eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwi" \
	"e"                                                                    \
	"CI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5I" \
	"j"                                                                    \
	"oiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydi" \
	"I"                                                                    \
	"6IlAtMjU2In19"
/* RFC 9449 section 4.1: to the token endpoint */
static const char figure2[] = HEADER
    ".eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8"
    "vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ"
    ".2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK"
    "70nfbV37xRZT3Lg";
/* RFC 9449 section 7.1: to a protected resource */
static const char figure12[] = HEADER
    ".eyJqdGkiOiJlMWozVl9iS2ljOC1MQUVCIiwiaHRtIjoiR0VUIiwiaHR1IjoiaHR0cHM6Ly9"
    "yZXNvdXJjZS5leGFtcGxlLm9yZy9wcm90ZWN0ZWRyZXNvdXJjZSIsImlhdCI6MTU2MjI2MjY"
    "xOCwiYXRoIjoiZlVIeU8ycjJaM0RaNTNFc05yV0JiMHhXWG9hTnk1OUlpS0NBcWtzbVFFbyJ"
    "9.2oW9RP35yRqzhrtNP86L-Ey71EOptxRimPPToA1plemAgR6pxHF8y6-yqyVnmcw6Fy1dqd"
    "-jfxSYoMxhAJpLjA";

static struct perc_dpop got;
static const char *why;

static int
check(const char *proof, const char *htm, const char *htu, const char *token,
    int64_t now)
{
	static const struct perc_dpop zero;
	int r = perc_dpop_check(
	    &got, proof, strlen(proof), htm, htu, token, now, 60, &why);

	assert_int_equal(r == 0, *why == '\0');
	if (r != 0)
		assert_memory_equal(&got, &zero, sizeof(got));
	return r;
}

static void
test_RFC_9449_section_4_1(void **state)
{
	assert_int_equal(
	    check(figure2, "POST", "https://server.example.com/token", NULL,
		1562262616),
	    0);
	assert_string_equal(got.jkt, JKT);
	assert_int_equal(got.iat_s, 1562262616);
	assert_string_equal(got.nonce, "");
	assert_string_equal(got.seal_jkt, "");
	assert_int_equal(strlen(got.jti_hash), PERC_JKT_LEN);
}

static void
test_RFC_9449_section_7_1(void **state)
{
	static const char htu[] =
	    "https://resource.example.org/protectedresource";

	assert_int_equal(check(figure12, "GET", htu, TOKEN, 1562262618), 0);
	assert_string_equal(got.jkt, JKT);
	assert_int_equal(check(figure12, "GET", htu, TOKEN "x", 1562262618),
	    PERC_ERR_DENIED);
	assert_string_equal(why, "ath is not the token's");
	assert_int_equal(
	    check(figure12, "GET", htu, NULL, 1562262618), PERC_ERR_DENIED);
	assert_int_equal(
	    check(figure12, "get", htu, TOKEN, 1562262618), PERC_ERR_DENIED);
	assert_string_equal(why, "htm is not the method");
	assert_int_equal(
	    check(figure12, "POST", htu, TOKEN, 1562262618), PERC_ERR_DENIED);
}

/* A proof without ath where a token was shown: check 11. */
static void
test_REQ_W_4_2_a_token_needs_its_ath(void **state)
{
	assert_int_equal(
	    check(figure2, "POST", "https://server.example.com/token", TOKEN,
		1562262616),
	    PERC_ERR_DENIED);
}

static void
test_the_window(void **state)
{
	static const struct {
		int64_t now;
		int r;
	} at[] = { { 1562262616 + 60, 0 }, { 1562262616 - 60, 0 },
		{ 1562262616 + 61, PERC_ERR_EXPIRED },
		{ 1562262616 - 61, PERC_ERR_EXPIRED },
		{ 0, PERC_ERR_EXPIRED } };

	for (size_t i = 0; i < COUNT(at); i++)
		assert_int_equal(
		    check(figure2, "POST", "https://server.example.com/token",
			NULL, at[i].now),
		    at[i].r);
}

static void
test_make_and_check(void **state)
{
	struct perc_jwk *k = NULL;
	char *a = NULL, *b = NULL, jkt[PERC_JKT_LEN + 1], first[44];

	assert_int_equal(perc_jwk_generate(&k), 0);
	assert_int_equal(perc_jwk_thumbprint(jkt, k), 0);
	assert_int_equal(perc_dpop_make(&a, k, "POST", "https://a.example/k",
			     TOKEN, "n-1", JKT, 1000),
	    0);
	assert_int_equal(perc_dpop_make(&b, k, "POST", "https://a.example/k",
			     TOKEN, "n-1", JKT, 1000),
	    0);
	assert_int_equal(
	    check(a, "POST", "https://a.example/k", TOKEN, 1005), 0);
	assert_string_equal(got.jkt, jkt);
	assert_string_equal(got.nonce, "n-1");
	assert_string_equal(got.seal_jkt, JKT);
	strcpy(first, got.jti_hash);
	assert_int_equal(
	    check(b, "POST", "https://a.example/k", TOKEN, 1005), 0);
	assert_string_not_equal(first, got.jti_hash); /* a fresh jti each */
	free(a);
	free(b);
	perc_jwk_free(k);
}

/* (r, n - s) verifies as well as (r, s): the same jti, so still a replay. */
static void
test_a_malleated_signature_is_the_same_proof(void **state)
{
	BIGNUM *n = NULL, *s = BN_new();
	char other[sizeof(figure2)], first[44], *sig;
	uint8_t raw[64];

	assert_int_equal(
	    check(figure2, "POST", "https://server.example.com/token", NULL,
		1562262616),
	    0);
	strcpy(first, got.jti_hash);
	strcpy(other, figure2);
	sig = strrchr(other, '.') + 1;
	assert_int_equal(perc_b64_get_exact(raw, 64, sig), 0);
	assert_int_equal(BN_hex2bn(&n,
			     "FFFFFFFF00000000FFFFFFFFFFFFFFFF"
			     "BCE6FAADA7179E84F3B9CAC2FC632551"),
	    64);
	assert_non_null(BN_bin2bn(raw + 32, 32, s));
	assert_int_equal(BN_sub(s, n, s), 1);
	assert_int_equal(BN_bn2binpad(s, raw + 32, 32), 32);
	perc_b64_put(sig, raw, 64);
	assert_string_not_equal(other, figure2);
	assert_int_equal(
	    check(other, "POST", "https://server.example.com/token", NULL,
		1562262616),
	    0);
	assert_string_equal(got.jti_hash, first);
	BN_free(n);
	BN_free(s);
}

/* --- proofs that are wrong ---------------------------------------------- */

static struct perc_jwk *signer;

/* Sign these claims with a header as perc_dpop_make would. */
static char *
prove(const char *typ, bool with_jwk, const char *claims)
{
	json_t *o = json_loads(claims, 0, NULL);
	char *text = NULL;

	assert_non_null(o);
	assert_int_equal(perc_jws_sign(&text, signer, typ, o, with_jwk), 0);
	json_decref(o);
	return text;
}

static const struct {
	const char *claims;
	int r;
	const char *why;
} claims[] = {
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"https://a/\",\"iat\":100}",
	    0, "" },
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"https://a/\","
	  "\"iat\":100.75}",
	    0, "" },
	{ "{\"htm\":\"GET\",\"htu\":\"https://a/\",\"iat\":100}",
	    PERC_ERR_FORMAT, "no jti" },
	{ "{\"jti\":\"\",\"htm\":\"GET\",\"htu\":\"https://a/\",\"iat\":100}",
	    PERC_ERR_FORMAT, "no jti" },
	{ "{\"jti\":7,\"htm\":\"GET\",\"htu\":\"https://a/\",\"iat\":100}",
	    PERC_ERR_FORMAT, "no jti" },
	{ "{\"jti\":\"a\",\"htu\":\"https://a/\",\"iat\":100}", PERC_ERR_FORMAT,
	    "no htm or htu" },
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"iat\":100}", PERC_ERR_FORMAT,
	    "no htm or htu" },
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"https://b/\","
	  "\"iat\":100}",
	    PERC_ERR_DENIED, "htu is not the target" },
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"http://a/\",\"iat\":100}",
	    PERC_ERR_DENIED, "htu is not the target" },
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"https://a/\"}",
	    PERC_ERR_FORMAT, "no iat" },
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"https://a/\","
	  "\"iat\":\"100\"}",
	    PERC_ERR_FORMAT, "no iat" },
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"https://a/\","
	  "\"iat\":9223372036854775807}",
	    PERC_ERR_EXPIRED, "iat is absurd" },
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"https://a/\","
	  "\"iat\":-9223372036854775807}",
	    PERC_ERR_EXPIRED, "iat is absurd" },
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"https://a/\",\"iat\":100,"
	  "\"ath\":\"" ATH "\"}",
	    PERC_ERR_DENIED, "ath without a token" },
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"https://a/\",\"iat\":100,"
	  "\"nonce\":\"\"}",
	    PERC_ERR_FORMAT, "nonce malformed" },
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"https://a/\",\"iat\":100,"
	  "\"nonce\":\"a b\"}",
	    PERC_ERR_FORMAT, "nonce malformed" },
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"https://a/\",\"iat\":100,"
	  "\"nonce\":\"1234567890123456789012345678901234567890123456789012345"
	  "6789012345\"}",
	    PERC_ERR_FORMAT, "nonce malformed" },
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"https://a/\",\"iat\":100,"
	  "\"nonce\":5}",
	    PERC_ERR_FORMAT, "nonce malformed" },
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"https://a/\",\"iat\":100,"
	  "\"seal_jkt\":\"short\"}",
	    PERC_ERR_FORMAT, "seal_jkt malformed" },
	{ "{\"jti\":\"a\",\"htm\":\"GET\",\"htu\":\"https://a/\",\"iat\":100,"
	  "\"seal_jkt\":\"" ATH "\"}",
	    0, "" },
};

static void
test_claims(void **state)
{
	assert_int_equal(perc_jwk_generate(&signer), 0);
	for (size_t i = 0; i < COUNT(claims); i++) {
		char *p = prove("dpop+jwt", true, claims[i].claims);
		int r = check(p, "GET", "https://a/", NULL, 110);

		if (r != claims[i].r || strcmp(why, claims[i].why) != 0)
			fail_msg("%d '%s': %s", r, why, claims[i].claims);
		free(p);
	}
	perc_jwk_free(signer);
}

static void
test_an_oversized_jti(void **state)
{
	char text[512], jti[258], *p;

	memset(jti, 'j', 257);
	jti[257] = '\0';
	assert_int_equal(perc_jwk_generate(&signer), 0);
	for (int cut = 0; cut < 2; cut++) {
		snprintf(text, sizeof(text),
		    "{\"jti\":\"%s\",\"htm\":\"GET\",\"htu\":\"https://a/\","
		    "\"iat\":100}",
		    jti + cut);
		p = prove("dpop+jwt", true, text);
		assert_int_equal(check(p, "GET", "https://a/", NULL, 110),
		    cut == 0 ? PERC_ERR_FORMAT : 0);
		free(p);
	}
	perc_jwk_free(signer);
}

static void
test_headers(void **state)
{
	const char *c = claims[0].claims;
	char *p;

	assert_int_equal(perc_jwk_generate(&signer), 0);
	p = prove("JWT", true, c);
	assert_int_equal(
	    check(p, "GET", "https://a/", NULL, 110), PERC_ERR_DENIED);
	free(p);
	p = prove("at+jwt", true, c);
	assert_int_equal(
	    check(p, "GET", "https://a/", NULL, 110), PERC_ERR_DENIED);
	free(p);
	p = prove("dpop+jwt", false, c);
	assert_int_equal(
	    check(p, "GET", "https://a/", NULL, 110), PERC_ERR_FORMAT);
	assert_string_equal(why, "no jwk in the header");
	free(p);
	perc_jwk_free(signer);
}

#define PUB                                                                    \
	"\"kty\":\"EC\",\"crv\":\"P-256\","                                    \
	"\"x\":\"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs\","               \
	"\"y\":\"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA\""

static const struct {
	const char *header;
	int r;
	const char *why;
} headers[] = {
	{ "{\"typ\":\"dpop+jwt\",\"alg\":\"none\",\"jwk\":{" PUB "}}",
	    PERC_ERR_DENIED, "alg is not ES256" },
	{ "{\"typ\":\"dpop+jwt\",\"alg\":\"HS256\",\"jwk\":{" PUB "}}",
	    PERC_ERR_DENIED, "alg is not ES256" },
	{ "{\"typ\":\"dpop+jwt\",\"jwk\":{" PUB "}}", PERC_ERR_DENIED,
	    "alg is not ES256" },
	{ "{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"jwk\":{" PUB
	  ",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}}",
	    PERC_ERR_DENIED, "the jwk holds a private key" },
	{ "{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"jwk\":{\"kty\":\"oct\","
	  "\"x\":\"AA\"}}",
	    PERC_ERR_UNSUPPORTED, "the jwk is not a P-256 key" },
	{ "{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"jwk\":\"x\"}",
	    PERC_ERR_FORMAT, "no jwk in the header" },
	{ "{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"crit\":[\"a\"],\"jwk\":"
	  "{" PUB "}}",
	    PERC_ERR_DENIED, "typ, alg or crit" },
	{ "{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"jwk\":{" PUB "}}",
	    PERC_ERR_AUTH, "signature" },
	{ "{\"typ\":\"dpop+jwt\",\"alg\":\"ES256\",\"alg\":\"ES256\",\"jwk\":"
	  "{" PUB "}}",
	    PERC_ERR_FORMAT, "not a compact JWT" },
};

static void
test_forged_headers(void **state)
{
	char text[4096];

	for (size_t i = 0; i < COUNT(headers); i++) {
		perc_b64_put(
		    text, headers[i].header, strlen(headers[i].header));
		strcat(text, ".");
		perc_b64_put(text + strlen(text), claims[0].claims,
		    strlen(claims[0].claims));
		strcat(text, strrchr(figure2, '.'));
		if (check(text, "GET", "https://a/", NULL, 110) !=
			headers[i].r ||
		    strcmp(why, headers[i].why) != 0)
			fail_msg("'%s': %s", why, headers[i].header);
	}
}

static void
test_every_changed_character(void **state)
{
	char text[sizeof(figure2)];

	memcpy(text, figure2, sizeof(text));
	for (size_t i = 0; text[i] != '\0'; i++) {
		char was = text[i];

		text[i] = was == 'A' ? 'Q' : 'A';
		assert_int_not_equal(
		    check(text, "POST", "https://server.example.com/token",
			NULL, 1562262616),
		    0);
		text[i] = was;
	}
}

/* --- target URIs -------------------------------------------------------- */

static const struct {
	const char *uri, *normal;
} uris[] = {
	/* RFC 3986 sections 5.2.4, 6.2.2 and 6.2.3 */
	{ "https://a.example/x", "https://a.example/x" },
	{ "HTTPS://A.Example/X", "https://a.example/X" },
	{ "https://a.example", "https://a.example/" },
	{ "https://a.example:443/", "https://a.example/" },
	{ "https://a.example:/", "https://a.example/" },
	{ "https://a.example:8443/", "https://a.example:8443/" },
	{ "https://a.example:4430/", "https://a.example:4430/" },
	{ "https://[::1]:443/x", "https://[::1]/x" },
	{ "https://[2001:DB8::443]/x", "https://[2001:db8::443]/x" },
	{ "https://a/x?q=1#f", "https://a/x" },
	{ "https://a?q", "https://a/" },
	{ "https://a#f?", "https://a/" },
	{ "https://a/%7euser", "https://a/~user" },
	{ "https://a/%2f%3a", "https://a/%2F%3A" },
	{ "https://a/b/c/./../../g", "https://a/g" },
	{ "https://a/mid/content=5/../6", "https://a/mid/6" },
	{ "https://a/b/%2E%2e/c", "https://a/c" },
	{ "https://a/b/..", "https://a/" },
	{ "https://a/b/.", "https://a/b/" },
	{ "https://a/../../c", "https://a/c" },
	{ "https://a/..b/.c", "https://a/..b/.c" },
	{ "https://a/b//c", "https://a/b//c" },
	{ "https://a/b/", "https://a/b/" },
};

static void
test_uris_are_normalised(void **state)
{
	char out[PERC_HTU_MAX], again[PERC_HTU_MAX];

	for (size_t i = 0; i < COUNT(uris); i++) {
		assert_int_equal(perc_htu_normal(out, uris[i].uri), 0);
		assert_string_equal(out, uris[i].normal);
		assert_int_equal(perc_htu_normal(again, out), 0);
		assert_string_equal(again, out);
	}
}

static void
test_uris_that_are_refused(void **state)
{
	static const char *const bad[] = { "", "a", "http://a/", "https:/a",
		"https:///x", "https://:443/", "https://u@a/", "https://a/%",
		"https://a/%4", "https://a/%zz", "https://a/ b", "https://a/\n",
		"https://a/\xc3\xa9", "https://a\\b/", "https://[2001:DB8::443",
		"https://[]/", "https://a:b:443/", "https://a:x/",
		"https://[::1]x/", "https://a]/", "https://[::1]:4:4/",
		"https://a/<x>" };
	char out[PERC_HTU_MAX], big[4096];

	for (size_t i = 0; i < COUNT(bad); i++)
		if (perc_htu_normal(out, bad[i]) != PERC_ERR_FORMAT)
			fail_msg("'%s' was taken", bad[i]);
	strcpy(big, "https://a/");
	memset(big + 10, 'x', sizeof(big) - 11);
	big[sizeof(big) - 1] = '\0';
	assert_int_equal(perc_htu_normal(out, big), PERC_ERR_LIMIT);
	for (size_t n = 10; n < 1100; n++) {
		big[n] = '\0';
		if (perc_htu_normal(out, big) == 0)
			assert_string_equal(out, big);
		big[n] = 'x';
	}
}

static void
test_htu_forms_in_a_proof(void **state)
{
	struct perc_jwk *k = NULL;
	char *p = NULL;

	assert_int_equal(perc_jwk_generate(&k), 0);
	assert_int_equal(
	    perc_dpop_make(&p, k, "GET",
		"https://KMF.example:443/v1/./c%5F1?x#y", NULL, NULL, NULL, 5),
	    0);
	assert_int_equal(
	    check(p, "GET", "https://kmf.example/v1/c_1", NULL, 5), 0);
	assert_int_equal(
	    check(p, "GET", "https://kmf.example/v1/c_1/", NULL, 5),
	    PERC_ERR_DENIED);
	assert_int_equal(check(p, "GET", "https://kmf.example/V1/c_1", NULL, 5),
	    PERC_ERR_DENIED);
	free(p);
	perc_jwk_free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_RFC_9449_section_4_1),
		cmocka_unit_test(test_RFC_9449_section_7_1),
		cmocka_unit_test(test_REQ_W_4_2_a_token_needs_its_ath),
		cmocka_unit_test(test_the_window),
		cmocka_unit_test(test_make_and_check),
		cmocka_unit_test(test_a_malleated_signature_is_the_same_proof),
		cmocka_unit_test(test_claims),
		cmocka_unit_test(test_an_oversized_jti),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_forged_headers),
		cmocka_unit_test(test_every_changed_character),
		cmocka_unit_test(test_uris_are_normalised),
		cmocka_unit_test(test_uris_that_are_refused),
		cmocka_unit_test(test_htu_forms_in_a_proof),
	};

	return cmocka_run_group_tests_name("dpop", tests, NULL, NULL);
}
