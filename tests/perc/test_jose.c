/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perc/jwk.c and perc/jose.c: the examples of RFC 7515 and RFC 7638, the
 * attacks of RFC 8725, and every allocation failing once.
 */
#include "tests/perc/unit.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "perc/b64.h"
#include "perc/jose.h"
#include "perc/json.h"
#include "perc/secmem.h"
#include "perc/secret.h"

/* RFC 7515 appendix A.3: ES256 */
static const char a3_key[] =
    "{\"kty\":\"EC\",\"crv\":\"P-256\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\","
    "\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}";
#define A_PAYLOAD                                                              \
	"eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl" \
	"LmNvbS9pc19yb290Ijp0cnVlfQ"
static const char a3_token[] =
    "eyJhbGciOiJFUzI1NiJ9." A_PAYLOAD
    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxf"
    "KTUJqPP3-Kg6NU1Q";

/* RFC 7515 appendix A.2: RS256 */
#define A2_N                                                                   \
	"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Va"  \
	"w-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32"  \
	"690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBd"  \
	"QOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJ"  \
	"H7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FR"  \
	"WyuXpoQ"
static const char a2_token[] =
    "eyJhbGciOiJSUzI1NiJ9." A_PAYLOAD
    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4"
    "Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_n"
    "ZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_"
    "dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np"
    "6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";

/* RFC 7638 section 3.1 */
static const char rfc7638_key[] =
    "{\"kty\": \"RSA\",\"n\": \"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM"
    "78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn"
    "64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQ"
    "MicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWh"
    "AI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awap"
    "JzKnqDKgw\",\"e\": \"AQAB\",\"alg\": \"RS256\",\"kid\": \"2011-04-29\"}";

/* By joserfc 1.6.5: PS256, and ECDH-ES with apu and apv to the key of A.3. */
#define PS_N                                                                   \
	"vyXiAvKeEZI1EXRubxZRxRRzxI4v3IpaLHPvnqYmm6SuDDK8i2ajlXAG6ZGUr1jfwV2g" \
	"OD"                                                                   \
	"OwPelRqN7KALlZVuHl2OJCugKUwh6PDCKtJIcfb6SuFr6M4DoRWdTZHu-"            \
	"k3mqOzafYCWLr"                                                        \
	"75FZIp2c-_A0knbfjBj_7ioBY073Om471A7GrrsFDKLofdLlns2_"                 \
	"UHUlUJ54ZoGLspJgjQ"                                                   \
	"fwOK1s1DOnbeKcA45LDO0C2FJyXPVjQxMl7vpGAcXnG0LTx8ield7upJnxgCt9K3bjsQ" \
	"Lq"                                                                   \
	"uAZrBOSFsBTgQYwTqN8F1WaFUzW6yrsdu4xPFhFfpAjbV_-M8uRdef7MjYlwLw"
static const char ps_token[] =
    "eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCJ9.eyJpc3MiOiJqb2UifQ.haxWxLaZ6Dq_r8"
    "0rcVBnvmOeJHs_fJgGBIvbYmyeeXIyoDIGDc6iG2p0UJWVxvC68U_PxLZuFghqVNtmDCie"
    "Alhw6WsmyKVRzz-PCQO22KnJPUV3gRRKVwS0Ccdwwngc2tRcdPlSIRvpZPbX1iUgDTUiLL"
    "cQw_8nV52yLAP0QcZrUChuDJfJruvUjGBb2X4-OMHCKT70y2PlI4a2Z_qXNreG-6iQ4Z78"
    "uL0-x9zVpWWx0Bcx83hv0hnFJe-1n-PcuW43-ymLX5oI2TtFjm8xc4u0BH2uFOhcOyrmr1"
    "uH2nd_cKTm-jALxWbqtoWP8T0IPZXm5JK6A6YwcldkJ6icZg";
static const char foreign_seal[] =
    "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTI1NkdDTSIsImN0eSI6IkpXVCIsImFwdSI6Il"
    "FXeHBZMlUiLCJhcHYiOiJRbTlpIiwiZXBrIjp7ImNydiI6IlAtMjU2IiwieCI6Im51bGpL"
    "b3RGREFVUDJMTzVzd0JrTUhyQks2T2hZSEJhOFdoc3Rhc0NDbm8iLCJ5IjoiUk5tZTFOTD"
    "lyODFEWmlUMzNaSWlxczZaaTJwUTJiakFsZ05qZGdXYWprMCIsImt0eSI6IkVDIn19..KH"
    "1v6XlV7bq09s0V.a78_FYq30U9CdqLavKk.hWc3TUIHSOXjuLBkE9I5ag";

static struct perc_jwk *
key(const char *text, bool public_only)
{
	struct perc_jwk *k = NULL;

	assert_int_equal(
	    perc_jwk_from_json(&k, text, strlen(text), public_only), 0);
	return k;
}

static struct perc_jwk *
generate(void)
{
	struct perc_jwk *k = NULL;

	assert_int_equal(perc_jwk_generate(&k), 0);
	return k;
}

static int
verify(const struct perc_jwk *k, const char *text, const char *typ)
{
	struct perc_jws j;
	int r = perc_jws_verify(
	    &j, text, strlen(text), PERC_JOSE_TOKEN_MAX, k, typ);

	if (r != 0) {
		assert_null(j.header);
		assert_null(j.raw);
	}
	perc_jws_clear(&j);
	return r;
}

/* header (JSON text) and payload, with the signature of another token or
 * any other text. */
static const char *
compose(const char *header, const char *payload, const char *sig)
{
	static char out[8192];

	perc_b64_put(out, header, strlen(header));
	strcat(out, ".");
	perc_b64_put(out + strlen(out), payload, strlen(payload));
	strcat(out, ".");
	strcat(out, sig);
	return out;
}

/* --- keys --------------------------------------------------------------- */

static void
test_RFC_7638_section_3_1(void **state)
{
	struct perc_jwk *k = key(rfc7638_key, true);
	char jkt[PERC_JKT_LEN + 1];

	assert_int_equal(perc_jwk_thumbprint(jkt, k), 0);
	assert_string_equal(jkt, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
	assert_string_equal(perc_jwk_kid(k), "2011-04-29");
	assert_string_equal(perc_jwk_alg(k), "RS256");
	perc_jwk_free(k);
}

static void
test_RFC_9449_thumbprint(void **state)
{
	struct perc_jwk *k =
	    key("{\"y\":\"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA\","
		"\"crv\":\"P-256\",\"kty\":\"EC\","
		"\"x\":\"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs\"}",
		true);
	char jkt[PERC_JKT_LEN + 1];

	assert_int_equal(perc_jwk_thumbprint(jkt, k), 0);
	assert_string_equal(jkt, "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
	assert_string_equal(perc_jwk_kid(k), jkt);
	perc_jwk_free(k);
}

static void
test_keys_go_out_and_in(void **state)
{
	for (int i = 0; i < 20; i++) {
		struct perc_jwk *k = generate(), *p, *q;
		char *pub = NULL, *priv = NULL, *no = NULL;

		assert_int_equal(perc_jwk_public_json(&pub, k), 0);
		assert_int_equal(perc_jwk_private_json(&priv, k), 0);
		assert_null(strstr(pub, "\"d\""));
		assert_non_null(strstr(priv, "\"d\""));
		p = key(pub, true);
		q = key(priv, false);
		assert_string_equal(perc_jwk_kid(p), perc_jwk_kid(k));
		assert_string_equal(perc_jwk_kid(q), perc_jwk_kid(k));
		assert_true(perc_jwk_is_private(q) && !perc_jwk_is_private(p));
		assert_int_equal(perc_jwk_private_json(&no, p), PERC_ERR_STATE);
		free(pub);
		perc_json_free(priv);
		perc_jwk_free(k);
		perc_jwk_free(p);
		perc_jwk_free(q);
	}
	perc_jwk_free(NULL);
}

static void
test_kid_alg_use_are_kept(void **state)
{
	struct perc_jwk *k =
	    key("{\"kty\":\"EC\",\"crv\":\"P-256\",\"use\":\"sig\",\"alg\":"
		"\"ES256\",\"kid\":\"k'1\\\"\",\"other\":1,"
		"\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
		"\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
		true);
	char *text = NULL;

	assert_string_equal(perc_jwk_kid(k), "k'1\"");
	assert_int_equal(perc_jwk_public_json(&text, k), 0);
	assert_non_null(strstr(text, "\"kid\":\"k'1\\\"\""));
	assert_non_null(strstr(text, "\"use\":\"sig\""));
	assert_non_null(strstr(text, "\"alg\":\"ES256\""));
	assert_null(strstr(text, "other"));
	free(text);
	perc_jwk_free(k);
}

#define X  "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\""
#define Y  "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\""
#define D  "\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\""
#define EC "\"kty\":\"EC\",\"crv\":\"P-256\""

static const struct {
	const char *text;
	int r;
} bad_keys[] = {
	{ "", PERC_ERR_FORMAT },
	{ "[]", PERC_ERR_FORMAT },
	{ "{}", PERC_ERR_FORMAT },
	{ "{" EC "," X "}", PERC_ERR_FORMAT },
	{ "{\"kty\":\"EC\"," X "," Y "}", PERC_ERR_FORMAT },
	{ "{" EC "," X "," Y "," X "}", PERC_ERR_FORMAT },
	{ "{\"kty\":\"EC\",\"crv\":\"P-384\"," X "," Y "}",
	    PERC_ERR_UNSUPPORTED },
	{ "{\"kty\":\"EC\",\"crv\":\"secp256k1\"," X "," Y "}",
	    PERC_ERR_UNSUPPORTED },
	{ "{\"kty\":\"OKP\",\"crv\":\"Ed25519\"," X "}", PERC_ERR_UNSUPPORTED },
	{ "{\"kty\":\"ec\",\"crv\":\"P-256\"," X "," Y "}",
	    PERC_ERR_UNSUPPORTED },
	/* off the curve: one bit of y */
	{ "{" EC "," X
	  ",\"y\":\"y_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}",
	    PERC_ERR_FORMAT },
	/* the point at infinity has no coordinates; zeros are off the curve */
	{ "{" EC ",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
	  "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
	    PERC_ERR_FORMAT },
	/* 31 octets, 33 octets, not canonical, padded */
	{ "{" EC "," X ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5Q\"}",
	    PERC_ERR_FORMAT },
	{ "{" EC "," X
	  ",\"y\":\"AMfxRM0bvZt-hyzf7bnuufSzaV1uqQskrYpGIyiFiOWt\"}",
	    PERC_ERR_FORMAT },
	{ "{" EC "," X
	  ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a1\"}",
	    PERC_ERR_FORMAT },
	{ "{" EC "," X
	  ",\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0=\"}",
	    PERC_ERR_FORMAT },
	{ "{" EC ",\"x\":\"AH_Nzidw9sRdQYPL7m_bS3tYBzM1e-nvE7rPbjx70VRF\"," Y
	  "}",
	    PERC_ERR_FORMAT },
	{ "{" EC ",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEV\"," Y
	  "}",
	    PERC_ERR_FORMAT },
	/* alg and use that do not fit */
	{ "{" EC "," X "," Y ",\"alg\":\"RS256\"}", PERC_ERR_UNSUPPORTED },
	{ "{" EC "," X "," Y ",\"alg\":\"HS256\"}", PERC_ERR_UNSUPPORTED },
	{ "{" EC "," X "," Y ",\"alg\":\"none\"}", PERC_ERR_UNSUPPORTED },
	{ "{" EC "," X "," Y ",\"use\":\"any\"}", PERC_ERR_UNSUPPORTED },
	{ "{" EC "," X "," Y ",\"use\":\"sig\",\"alg\":\"ECDH-ES\"}",
	    PERC_ERR_FORMAT },
	{ "{\"kty\":\"RSA\",\"e\":\"AQAB\"}", PERC_ERR_FORMAT },
	{ "{\"kty\":\"RSA\",\"n\":\"" A2_N "\"}", PERC_ERR_FORMAT },
	{ "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" A2_N
	  "\",\"alg\":\"RSA1_5\"}",
	    PERC_ERR_UNSUPPORTED },
	{ "{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"0vx7agoebGcQSuuPiLJX\"}",
	    PERC_ERR_UNSUPPORTED },
};

static void
test_bad_keys(void **state)
{
	for (size_t i = 0; i < COUNT(bad_keys); i++) {
		struct perc_jwk *k = NULL;
		int r = perc_jwk_from_json(
		    &k, bad_keys[i].text, strlen(bad_keys[i].text), true);

		if (r != bad_keys[i].r || k != NULL)
			fail_msg("%d: %s", r, bad_keys[i].text);
	}
}

static void
test_private_members_are_seen(void **state)
{
	static const char *const names[] = { "d", "p", "q", "dp", "dq", "qi",
		"k", "oth" };
	struct perc_jwk *k = NULL;
	char text[512];

	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(text, sizeof(text), "{" EC "," X "," Y ",\"%s\":1}",
		    names[i]);
		assert_int_equal(
		    perc_jwk_from_json(&k, text, strlen(text), true),
		    PERC_ERR_DENIED);
	}
	snprintf(text, sizeof(text), "{\"kty\":\"oct\",\"k\":\"AAAA\"}");
	assert_int_equal(
	    perc_jwk_from_json(&k, text, strlen(text), true), PERC_ERR_DENIED);
	assert_int_equal(perc_jwk_from_json(&k, text, strlen(text), false),
	    PERC_ERR_UNSUPPORTED);
}

/* cjose takes any x and y beside a d; found by fuzz_jwk. */
static void
test_a_private_key_matches_its_public_half(void **state)
{
	static const char *const bad[] = {
		/* another point, and one off the curve */
		"{" EC ",\"x\":\"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs\","
		"\"y\":\"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA\"," D "}",
		"{" EC "," X
		",\"y\":\"y_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"," D "}",
		/* d of 0, and beyond the order */
		"{" EC "," X "," Y
		",\"d\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
		"{" EC "," X "," Y
		",\"d\":\"_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE\"}",
	};
	struct perc_jwk *k = NULL;

	for (size_t i = 0; i < COUNT(bad); i++)
		if (perc_jwk_from_json(&k, bad[i], strlen(bad[i]), false) !=
		    PERC_ERR_FORMAT)
			fail_msg("taken: %s", bad[i]);
	perc_jwk_free(key("{" EC "," X "," Y "," D "}", false));
}

/* --- JWS ---------------------------------------------------------------- */

static void
test_RFC_7515_A3_ES256(void **state)
{
	struct perc_jwk *k = key(a3_key, false);
	struct perc_jws j;

	assert_int_equal(
	    perc_jws_verify(&j, a3_token, strlen(a3_token), 8192, k, NULL), 0);
	assert_string_equal(perc_json_str(j.header, "alg"), "ES256");
	assert_string_equal(perc_json_str(j.payload, "iss"), "joe");
	assert_int_equal(j.rawlen, 70);
	perc_jws_clear(&j);
	perc_jwk_free(k);
}

static void
test_RFC_7515_A2_RS256(void **state)
{
	struct perc_jwk *k =
	    key("{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" A2_N "\"}", true);
	struct perc_jwk *ps =
	    key("{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" A2_N
		"\",\"alg\":\"PS256\"}",
		true);

	assert_string_equal(perc_jwk_alg(k), "RS256");
	assert_int_equal(verify(k, a2_token, NULL), 0);
	/* The same key pinned to PS256 refuses the header. */
	assert_string_equal(perc_jwk_alg(ps), "PS256");
	assert_int_equal(verify(ps, a2_token, NULL), PERC_ERR_DENIED);
	perc_jwk_free(k);
	perc_jwk_free(ps);
}

static void
test_PS256_only_where_the_key_says_so(void **state)
{
	struct perc_jwk *rs =
	    key("{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" PS_N "\"}", true);
	struct perc_jwk *ps =
	    key("{\"kty\":\"RSA\",\"e\":\"AQAB\",\"n\":\"" PS_N
		"\",\"alg\":\"PS256\"}",
		true);

	assert_int_equal(verify(ps, ps_token, "JWT"), 0);
	assert_int_equal(verify(rs, ps_token, "JWT"), PERC_ERR_DENIED);
	perc_jwk_free(rs);
	perc_jwk_free(ps);
}

static char *
sign(const struct perc_jwk *k, const char *typ, bool with_jwk)
{
	json_t *claims = json_pack("{s:s, s:i}", "sub", "alice", "n", 7);
	char *text = NULL;

	assert_int_equal(perc_jws_sign(&text, k, typ, claims, with_jwk), 0);
	json_decref(claims);
	return text;
}

static void
test_sign_and_verify(void **state)
{
	struct perc_jwk *k = generate(), *other = generate();
	char *text = sign(k, "perch-roster+jwt", false);
	struct perc_jws j;

	assert_int_equal(perc_jws_verify(&j, text, strlen(text), 8192, k,
			     "perch-roster+jwt"),
	    0);
	assert_string_equal(perc_json_str(j.header, "kid"), perc_jwk_kid(k));
	assert_string_equal(perc_json_str(j.header, "typ"), "perch-roster+jwt");
	assert_null(json_object_get(j.header, "jwk"));
	assert_string_equal(perc_json_str(j.payload, "sub"), "alice");
	perc_jws_clear(&j);
	assert_int_equal(verify(k, text, NULL), 0);
	assert_int_equal(verify(k, text, "PERCH-Roster+jwt"), 0);
	assert_int_equal(verify(k, text, "perch-ekt+jwt"), PERC_ERR_DENIED);
	assert_int_equal(verify(other, text, NULL), PERC_ERR_AUTH);
	assert_int_equal(
	    perc_jws_verify(&j, text, strlen(text), strlen(text) - 1, k, NULL),
	    PERC_ERR_LIMIT);
	free(text);
	perc_jwk_free(k);
	perc_jwk_free(other);
}

/* cjose leaves the odd octet out, so one token would have many spellings. */
static void
test_an_odd_octet_of_a_signature(void **state)
{
	struct perc_jwk *k = generate();
	char *text = sign(k, "at+jwt", false), *longer = NULL;

	/* 64 octets end in two characters, 65 in three: a zero is an A */
	assert_true(asprintf(&longer, "%sA", text) > 0);
	assert_int_equal(verify(k, text, NULL), 0);
	assert_int_equal(verify(k, longer, NULL), PERC_ERR_AUTH);
	free(longer);
	free(text);
	perc_jwk_free(k);
}

static void
test_typ_with_and_without_application(void **state)
{
	struct perc_jwk *k = generate();
	char *text = sign(k, "application/AT+JWT", false);

	assert_int_equal(verify(k, text, "at+jwt"), 0);
	assert_int_equal(verify(k, text, "jwt"), PERC_ERR_DENIED);
	free(text);
	perc_jwk_free(k);
}

static void
test_every_changed_character_is_refused(void **state)
{
	struct perc_jwk *k = key(a3_key, false);
	char text[sizeof(a3_token)];

	memcpy(text, a3_token, sizeof(text));
	for (size_t i = 0; text[i] != '\0'; i++) {
		char was = text[i];

		text[i] = was == 'A' ? 'B' : 'A';
		assert_int_not_equal(verify(k, text, NULL), 0);
		text[i] = '=';
		assert_int_not_equal(verify(k, text, NULL), 0);
		text[i] = was;
	}
	for (size_t n = 0; n < sizeof(a3_token) - 1; n++) {
		struct perc_jws j;

		assert_int_not_equal(
		    perc_jws_verify(&j, a3_token, n, 8192, k, NULL), 0);
	}
	assert_int_equal(verify(k, a3_token, NULL), 0);
	perc_jwk_free(k);
}

static const struct {
	const char *header;
	int r;
} bad_headers[] = {
	/* RFC 8725 and the house rules */
	{ "{\"alg\":\"none\"}", PERC_ERR_DENIED },
	{ "{\"alg\":\"HS256\"}", PERC_ERR_DENIED },
	{ "{\"alg\":\"RS256\"}", PERC_ERR_DENIED },
	{ "{\"alg\":\"ES384\"}", PERC_ERR_DENIED },
	{ "{\"alg\":\"es256\"}", PERC_ERR_DENIED },
	{ "{\"alg\":[\"ES256\"]}", PERC_ERR_DENIED },
	{ "{\"typ\":\"JWT\"}", PERC_ERR_DENIED },
	{ "{\"alg\":\"ES256\",\"crit\":[\"exp\"]}", PERC_ERR_DENIED },
	{ "{\"alg\":\"ES256\",\"crit\":[]}", PERC_ERR_DENIED },
	{ "{\"alg\":\"ES256\",\"b64\":false}", PERC_ERR_DENIED },
	{ "{\"alg\":\"none\",\"alg\":\"ES256\"}", PERC_ERR_FORMAT },
	{ "[]", PERC_ERR_FORMAT },
	{ "", PERC_ERR_FORMAT },
	{ "{\"alg\":\"ES256\"}x", PERC_ERR_FORMAT },
	{ "{\"alg\":\"ES256\"}", PERC_ERR_AUTH },
};

static void
test_headers_are_judged_first(void **state)
{
	const char *sig = strrchr(a3_token, '.') + 1;
	struct perc_jwk *k = key(a3_key, false);

	for (size_t i = 0; i < COUNT(bad_headers); i++)
		if (verify(k, compose(bad_headers[i].header, "{}", sig),
			NULL) != bad_headers[i].r)
			fail_msg("header %s", bad_headers[i].header);
	assert_int_equal(
	    verify(k, compose("{\"alg\":\"none\"}", "{}", ""), NULL),
	    PERC_ERR_DENIED);
	assert_int_equal(
	    verify(k, compose("{\"alg\":\"ES256\"}", "{}", ""), NULL),
	    PERC_ERR_AUTH);
	perc_jwk_free(k);
}

/* A signature that is good under the key in the header means nothing. */
static void
test_a_key_in_the_header_is_not_followed(void **state)
{
	struct perc_jwk *ours = generate(), *evil = generate();
	char *text = sign(evil, "at+jwt", true);
	struct perc_jws j;

	assert_int_equal(perc_jws_peek(&j, text, strlen(text), 8192), 0);
	assert_non_null(json_object_get(j.header, "jwk"));
	assert_null(json_object_get(j.header, "kid"));
	perc_jws_clear(&j);
	assert_int_equal(verify(ours, text, "at+jwt"), PERC_ERR_AUTH);
	free(text);
	perc_jwk_free(ours);
	perc_jwk_free(evil);
}

static const struct {
	const char *payload;
	int r;
	bool object;
} payloads[] = {
	{ "{\"a\":1}", 0, true },
	{ " \r\n{}", 0, true },
	{ "text", 0, false },
	{ "", 0, false },
	{ "[1]", 0, false },
	{ "{\"a\":1,\"a\":2}", PERC_ERR_FORMAT, false },
	{ "{\"a\":1", PERC_ERR_FORMAT, false },
	{ "{} {}", PERC_ERR_FORMAT, false },
	{ "{\"a\":\"\xff\"}", PERC_ERR_FORMAT, false },
};

static void
test_payloads(void **state)
{
	for (size_t i = 0; i < COUNT(payloads); i++) {
		const char *t = compose("{}", payloads[i].payload, "AA");
		struct perc_jws j;

		assert_int_equal(
		    perc_jws_peek(&j, t, strlen(t), 8192), payloads[i].r);
		if (payloads[i].r == 0) {
			assert_int_equal(j.payload != NULL, payloads[i].object);
			assert_int_equal(j.rawlen, strlen(payloads[i].payload));
			assert_string_equal((char *)j.raw, payloads[i].payload);
		}
		perc_jws_clear(&j);
	}
}

static void
test_forms_that_are_no_jws(void **state)
{
	static const char *const bad[] = { "", ".", "..", "e30.e30", "e30.e30.",
		"e30.e30.AA.AA", "e30.e30.AA.AA.AA",
		"e30.e30.AA.AA.AA.AA.AA.AA.AA.AA.AA", "e30.e30.AA.",
		" e30.e30.AA", "e30.e30.AA\n", "e30=.e30.AA", "e30.e30.A",
		"e30.e30.AB", "e31.e30.AA", ".e30.AA" };
	struct perc_jws j;

	for (size_t i = 0; i < COUNT(bad); i++) {
		int r = perc_jws_peek(&j, bad[i], strlen(bad[i]), 8192);

		if (strcmp(bad[i], "e30.e30.") == 0) /* an empty signature */
			assert_int_equal(r, 0);
		else if (r == 0)
			fail_msg("'%s' was taken", bad[i]);
		perc_jws_clear(&j);
	}
}

/* --- sets --------------------------------------------------------------- */

static void
test_key_sets(void **state)
{
	struct perc_jwk *k = generate(), *other = generate();
	struct perc_jwks *s = NULL;
	struct perc_jws j;
	char text[4096], *pub = NULL, *t = sign(k, "x+jwt", false);

	assert_int_equal(perc_jwk_public_json(&pub, k), 0);
	snprintf(text, sizeof(text),
	    "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\"," X "},%s,7,"
	    "{" EC "," X "," Y ",\"kid\":\"enc\",\"use\":\"enc\"},"
	    "{" EC "," X "," Y ",\"kid\":\"two\"}]}",
	    pub);
	assert_int_equal(perc_jwks_from_json(&s, text, strlen(text)), 0);
	assert_non_null(perc_jwks_find(s, perc_jwk_kid(k)));
	assert_non_null(perc_jwks_find(s, "two"));
	assert_null(perc_jwks_find(s, "enc"));
	assert_null(perc_jwks_find(s, ""));
	assert_int_equal(
	    perc_jws_verify_set(&j, t, strlen(t), 8192, s, "x+jwt"), 0);
	perc_jws_clear(&j);
	assert_int_equal(
	    perc_jws_verify_set(&j, t, strlen(t), 8192, s, "y+jwt"),
	    PERC_ERR_DENIED);
	free(t);
	t = sign(other, "x+jwt", false);
	assert_int_equal(perc_jws_verify_set(&j, t, strlen(t), 8192, s, NULL),
	    PERC_ERR_UNKNOWN_KEY);
	/* no kid at all */
	assert_int_equal(
	    perc_jws_verify_set(&j, a3_token, strlen(a3_token), 8192, s, NULL),
	    PERC_ERR_UNKNOWN_KEY);
	perc_jwks_free(s);
	perc_jwks_free(NULL);
	free(t);
	free(pub);
	perc_jwk_free(k);
	perc_jwk_free(other);
}

static void
test_sets_without_a_usable_key(void **state)
{
	static const char *const bad[] = { "{}", "{\"keys\":[]}",
		"{\"keys\":{}}", "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AA\"}]}",
		/* a private key in public: that key is spent */
		"{\"keys\":[{" EC "," X "," Y ",\"d\":\"jpsQnnGQmL-YBIffH1136"
		"cspYG6-0iY7X1fCE9-E9LI\"}]}" };
	struct perc_jwks *s = NULL;

	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(
		    perc_jwks_from_json(&s, bad[i], strlen(bad[i])),
		    PERC_ERR_FORMAT);
}

/* Of two keys with one kid the first counts: nobody shadows it. */
static void
test_a_kid_twice(void **state)
{
	struct perc_jwk *k = generate();
	struct perc_jwks *s = NULL;
	char text[2048], *pub = NULL;
	const struct perc_jwk *found;
	char a[PERC_JKT_LEN + 1], b[PERC_JKT_LEN + 1];

	assert_int_equal(perc_jwk_public_json(&pub, k), 0);
	snprintf(text, sizeof(text),
	    "{\"keys\":[{" EC "," X "," Y ",\"kid\":\"a\"},"
	    "{\"kid\":\"a\",%s]}",
	    pub + 1);
	assert_int_equal(perc_jwks_from_json(&s, text, strlen(text)), 0);
	found = perc_jwks_find(s, "a");
	assert_int_equal(perc_jwk_thumbprint(a, found), 0);
	assert_int_equal(perc_jwk_thumbprint(b, k), 0);
	assert_string_not_equal(a, b);
	perc_jwks_free(s);
	free(pub);
	perc_jwk_free(k);
}

/* --- JWE ---------------------------------------------------------------- */

static int
open_seal(const struct perc_jwk *k, const char *text)
{
	char *inner = NULL;
	size_t n = 0;
	int r =
	    perc_jwe_open(&inner, &n, k, text, strlen(text), PERC_JOSE_BIG_MAX);

	if (r != 0)
		assert_null(inner);
	perc_secmem_free(inner);
	return r;
}

static char *
seal(const struct perc_jwk *to, const char *inner)
{
	char *text = NULL;

	assert_int_equal(
	    perc_jwe_seal(&text, to, "perch-ekt+jwt", inner, strlen(inner)), 0);
	return text;
}

static void
test_seal_and_open(void **state)
{
	struct perc_jwk *mine = generate(), *other = generate(), *pub;
	char *json = NULL, *text, *again, *inner = NULL;
	size_t n = 0;

	assert_int_equal(perc_jwk_public_json(&json, mine), 0);
	pub = key(json, true);
	text = seal(pub, a3_token);
	again = seal(pub, a3_token);
	assert_string_not_equal(text, again);
	assert_null(strstr(text, A_PAYLOAD));
	assert_int_equal(
	    perc_jwe_open(&inner, &n, mine, text, strlen(text), 8192), 0);
	assert_int_equal(n, strlen(a3_token));
	assert_string_equal(inner, a3_token);
	perc_secmem_free(inner);
	assert_int_equal(open_seal(other, text), PERC_ERR_AUTH);
	assert_int_equal(open_seal(pub, text), PERC_ERR_INVAL);
	inner = NULL;
	assert_int_equal(perc_jwe_open(&inner, &n, mine, text, strlen(text),
			     strlen(text) - 1),
	    PERC_ERR_LIMIT);
	free(text);
	free(again);
	free(json);
	perc_jwk_free(mine);
	perc_jwk_free(other);
	perc_jwk_free(pub);
}

static void
test_a_seal_of_another_implementation(void **state)
{
	struct perc_jwk *k = key(a3_key, false);
	char *inner = NULL;
	size_t n;

	assert_int_equal(perc_jwe_open(&inner, &n, k, foreign_seal,
			     strlen(foreign_seal), 8192),
	    0);
	assert_string_equal(inner, "inner.jwt.text");
	perc_secmem_free(inner);
	perc_jwk_free(k);
}

static void
test_every_changed_character_of_a_seal(void **state)
{
	struct perc_jwk *mine = generate();
	char *text = seal(mine, "x.y.z");

	for (size_t i = 0; text[i] != '\0'; i++) {
		char was = text[i];

		text[i] = was == 'A' ? 'Q' : 'A';
		assert_int_not_equal(open_seal(mine, text), 0);
		text[i] = was;
	}
	for (size_t n = 0; n < strlen(text); n++) {
		char *inner = NULL;
		size_t len;

		assert_int_not_equal(
		    perc_jwe_open(&inner, &len, mine, text, n, 8192), 0);
	}
	assert_int_equal(open_seal(mine, text), 0);
	free(text);
	perc_jwk_free(mine);
}

#define EPK "\"epk\":{" EC "," X "," Y "}"
#define OK  "\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\",\"cty\":\"JWT\""

static const struct {
	const char *header;
	int r;
} bad_seals[] = {
	{ "{\"alg\":\"dir\",\"enc\":\"A256GCM\",\"cty\":\"JWT\"," EPK "}",
	    PERC_ERR_DENIED },
	{ "{\"alg\":\"RSA1_5\",\"enc\":\"A256GCM\",\"cty\":\"JWT\"," EPK "}",
	    PERC_ERR_DENIED },
	{ "{\"alg\":\"ECDH-ES\",\"enc\":\"A128GCM\",\"cty\":\"JWT\"," EPK "}",
	    PERC_ERR_DENIED },
	{ "{\"alg\":\"ECDH-ES\",\"enc\":\"A256CBC-HS512\",\"cty\":\"JWT\"," EPK
	  "}",
	    PERC_ERR_DENIED },
	{ "{\"alg\":\"ECDH-ES\",\"enc\":\"A256GCM\"," EPK "}",
	    PERC_ERR_DENIED },
	{ "{" OK "," EPK ",\"zip\":\"DEF\"}", PERC_ERR_DENIED },
	{ "{" OK "," EPK ",\"crit\":[\"x\"]}", PERC_ERR_DENIED },
	{ "{" OK "," EPK ",\"p2c\":1000000}", PERC_ERR_DENIED },
	{ "{" OK "}", PERC_ERR_FORMAT },
	{ "{" OK ",\"epk\":7}", PERC_ERR_FORMAT },
	{ "{" OK ",\"epk\":{\"kty\":\"EC\",\"crv\":\"P-384\"," X "," Y "}}",
	    PERC_ERR_FORMAT },
	{ "{" OK ",\"epk\":{" EC "," X "," Y ",\"d\":\"AA\"}}",
	    PERC_ERR_FORMAT },
	{ "{" OK "," OK "," EPK "}", PERC_ERR_FORMAT },
	{ "{" OK "," EPK "}", PERC_ERR_AUTH },
	/* an ephemeral point off the curve (the invalid curve attack) */
	{ "{" OK ",\"epk\":{" EC "," X
	  ",\"y\":\"y_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}}",
	    PERC_ERR_AUTH },
	{ "{" OK ",\"epk\":{" EC "," X "}}", PERC_ERR_FORMAT },
	{ "{" OK ",\"epk\":{" EC ",\"x\":\"AA\",\"y\":\"AA\"}}",
	    PERC_ERR_FORMAT },
	/* found by fuzz_jws: an assertion of cjose's */
	{ "{" OK ",\"epk\":{" EC
	  ",\"x\":\"f83OJ3D2xF1Bg=vub9tLe1gHMzV76e8Tus9uPHvRVEU\"," Y "}}",
	    PERC_ERR_FORMAT },
	{ "{" OK "," EPK ",\"apu\":\"AA=A\"}", PERC_ERR_FORMAT },
	{ "{" OK "," EPK ",\"apv\":\"A\"}", PERC_ERR_FORMAT },
	{ "{" OK "," EPK ",\"apv\":7}", PERC_ERR_FORMAT },
	{ "{" OK "," EPK ",\"apu\":\"\",\"apv\":\"AAAA\"}", PERC_ERR_AUTH },
};

static void
test_seal_headers_are_judged_first(void **state)
{
	struct perc_jwk *mine = generate();
	char text[4096];

	for (size_t i = 0; i < COUNT(bad_seals); i++) {
		perc_b64_put(
		    text, bad_seals[i].header, strlen(bad_seals[i].header));
		strcat(text, "..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA");
		if (open_seal(mine, text) != bad_seals[i].r)
			fail_msg("%d: %s", open_seal(mine, text),
			    bad_seals[i].header);
	}
	perc_jwk_free(mine);
}

static void
test_seal_parts_have_their_lengths(void **state)
{
	static const char *const tails[] = {
		".AAAA.AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA",
		"..AAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA",
		"..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAA",
		"..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAB",
		"..AAAAAAAAAAAAAAAA.A.AAAAAAAAAAAAAAAAAAAAAA",
		"..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAA", /* 96-bit tag */
		"..AAAAAAAAAAAAAAAA.AAAA.", "..AAAAAAAAAAAAAAAA.AAAA", "...."
	};
	struct perc_jwk *mine = generate();
	char text[4096];

	for (size_t i = 0; i < COUNT(tails); i++) {
		perc_b64_put(
		    text, "{" OK "," EPK "}", strlen("{" OK "," EPK "}"));
		strcat(text, tails[i]);
		assert_int_equal(open_seal(mine, text), PERC_ERR_FORMAT);
	}
	perc_jwk_free(mine);
}

static void
test_keys_keep_to_their_use(void **state)
{
	struct perc_jwk *enc = key(
	    "{" EC "," X "," Y ",\"alg\":\"ECDH-ES\",\"use\":\"enc\"}", true);
	struct perc_jwk *sig =
	    key("{" EC "," X "," Y ",\"use\":\"sig\"}", true);
	char *text = NULL;

	assert_string_equal(perc_jwk_alg(enc), "ECDH-ES");
	assert_int_equal(verify(enc, a3_token, NULL), PERC_ERR_DENIED);
	assert_int_equal(verify(sig, a3_token, NULL), 0);
	assert_int_equal(
	    perc_jwe_seal(&text, sig, "x", "a", 1), PERC_ERR_INVAL);
	assert_int_equal(perc_jwe_seal(&text, enc, "x", "a", 1), 0);
	free(text);
	text = NULL;
	assert_int_equal(perc_jws_sign(&text, sig, "x", json_null(), false),
	    PERC_ERR_STATE); /* public */
	perc_jwk_free(enc);
	perc_jwk_free(sig);
}

/* --- the Nth allocation fails ------------------------------------------- */

static long left = -1; /* allocations that still succeed; -1: all */

static void *
meter_alloc(size_t n)
{
	if (left == 0)
		return NULL;
	left -= left > 0;
	return malloc(n);
}

static void *
meter_realloc(void *p, size_t n)
{
	if (left == 0)
		return NULL;
	left -= left > 0;
	return realloc(p, n);
}

static const struct perc_secmem_fns meter = { meter_alloc, meter_realloc,
	free };

static int
whole_life(void)
{
	struct perc_jwk *k = NULL;
	struct perc_jws j = { 0 };
	char *text = NULL, *sealed = NULL, *inner = NULL;
	json_t *claims = NULL;
	size_t n;
	int r;

	if ((r = perc_jwk_from_json(&k, a3_key, strlen(a3_key), false)) != 0)
		goto out;
	if ((claims = json_pack("{s:s}", "a", "b")) == NULL) {
		r = PERC_ERR_NOMEM;
		goto out;
	}
	if ((r = perc_jws_sign(&text, k, "t+jwt", claims, true)) != 0 ||
	    (r = perc_jws_verify(&j, text, strlen(text), 8192, k, "t+jwt")) !=
		0 ||
	    (r = perc_jwe_seal(&sealed, k, "t+jwt", text, strlen(text))) != 0)
		goto out;
	r = perc_jwe_open(&inner, &n, k, sealed, strlen(sealed), 8192);
out:
	perc_jws_clear(&j);
	json_decref(claims);
	free(text);
	free(sealed);
	perc_secmem_free(inner);
	perc_jwk_free(k);
	return r;
}

static void
test_the_Nth_allocation_fails(void **state)
{
	long n, last = 3000;

	perc_json_heap_set(&meter);
	for (n = 0; n < last; n++) {
		int r;

		left = n;
		r = whole_life();
		if (left > 0 && r == 0)
			break;
		if (left == 0 && r == 0)
			continue; /* cjose did without the last one */
		assert_int_not_equal(r, 0);
	}
	left = -1;
	assert_true(n > 50 && n < last);
	assert_int_equal(whole_life(), 0);
}

/* cjose does not look at every allocation: a full arena must not reach it. */
static void
fill_arena(void)
{
	struct perc_jwk *k = NULL;
	struct perc_jws j;
	size_t size = 1 << 18;
	char *text = NULL, *sealed = NULL;
	size_t n;
	int r;

	if (perc_secmem_init(1 << 20) != 0 ||
	    perc_jwk_from_json(&k, a3_key, strlen(a3_key), false) != 0 ||
	    perc_jws_verify(&j, a3_token, strlen(a3_token), 8192, k, NULL) !=
		0 ||
	    perc_jwe_seal(&sealed, k, "t", "a", 1) != 0)
		_exit(1);
	perc_jws_clear(&j);
	for (; size >= 4096; size /= 2)
		while (perc_secmem_alloc(size) != NULL)
			;
	/* This is not cjose's, and may find room between other blocks. */
	r = perc_jws_verify(&j, a3_token, strlen(a3_token), 8192, k, NULL);
	if (r != 0 && r != PERC_ERR_NOMEM)
		_exit(2);
	if (perc_jwe_seal(&text, k, "t", "a", 1) != PERC_ERR_NOMEM)
		_exit(3);
	if (perc_jwe_open(&text, &n, k, sealed, strlen(sealed), 8192) !=
	    PERC_ERR_NOMEM)
		_exit(4);
}

static void
test_a_full_arena_is_no_crash(void **state)
{
	assert_int_equal(in_child(fill_arena), 0);
}

/* A vault lives for weeks, and every rekey is a sealed key: ten thousand of
 * them must find room in an arena that a block lost each time would fill. */
static void
open_many(void)
{
	struct perc_jwk *k = NULL;
	char *sealed = NULL, *bad = NULL, *inner;
	size_t n;

	if (perc_secmem_init(1 << 19) != 0 ||
	    perc_jwk_from_json(&k, a3_key, strlen(a3_key), false) != 0 ||
	    perc_jwe_seal(&sealed, k, "t", "a", 1) != 0 ||
	    (bad = strdup(sealed)) == NULL)
		_exit(1);
	n = strlen(bad) - 3;
	bad[n] = bad[n] == 'A' ? 'B' : 'A';
	for (int i = 0; i < 10000; i++) {
		if (perc_jwe_open(
			&inner, &n, k, sealed, strlen(sealed), 8192) != 0)
			_exit(2);
		perc_secmem_free(inner);
		if (i % 16 == 0 &&
		    perc_jwe_open(&inner, &n, k, bad, strlen(bad), 8192) !=
			PERC_ERR_AUTH)
			_exit(3);
	}
	free(sealed);
	free(bad);
	perc_jwk_free(k);
}

static void
test_ten_thousand_keys_are_opened(void **state)
{
	assert_int_equal(in_child(open_many), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: the arena comes before OpenSSL. */
		cmocka_unit_test(test_a_full_arena_is_no_crash),
		cmocka_unit_test(test_ten_thousand_keys_are_opened),
		cmocka_unit_test(test_RFC_7638_section_3_1),
		cmocka_unit_test(test_RFC_9449_thumbprint),
		cmocka_unit_test(test_keys_go_out_and_in),
		cmocka_unit_test(test_kid_alg_use_are_kept),
		cmocka_unit_test(test_bad_keys),
		cmocka_unit_test(test_private_members_are_seen),
		cmocka_unit_test(test_a_private_key_matches_its_public_half),
		cmocka_unit_test(test_RFC_7515_A3_ES256),
		cmocka_unit_test(test_RFC_7515_A2_RS256),
		cmocka_unit_test(test_PS256_only_where_the_key_says_so),
		cmocka_unit_test(test_sign_and_verify),
		cmocka_unit_test(test_an_odd_octet_of_a_signature),
		cmocka_unit_test(test_typ_with_and_without_application),
		cmocka_unit_test(test_every_changed_character_is_refused),
		cmocka_unit_test(test_headers_are_judged_first),
		cmocka_unit_test(test_a_key_in_the_header_is_not_followed),
		cmocka_unit_test(test_payloads),
		cmocka_unit_test(test_forms_that_are_no_jws),
		cmocka_unit_test(test_key_sets),
		cmocka_unit_test(test_sets_without_a_usable_key),
		cmocka_unit_test(test_a_kid_twice),
		cmocka_unit_test(test_seal_and_open),
		cmocka_unit_test(test_a_seal_of_another_implementation),
		cmocka_unit_test(test_every_changed_character_of_a_seal),
		cmocka_unit_test(test_seal_headers_are_judged_first),
		cmocka_unit_test(test_seal_parts_have_their_lengths),
		cmocka_unit_test(test_keys_keep_to_their_use),
		cmocka_unit_test(test_the_Nth_allocation_fails),
	};

	return cmocka_run_group_tests_name("jose", tests, NULL, NULL);
}
