/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The decision table: each row once passing, once failing, and no other row
 * speaking up instead. A case is the good token with one member changed.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "kmf/claims.h"

#define NOW 1700000000
#define JKT "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

static const char good_header[] =
    "{\"alg\":\"ES256\",\"typ\":\"at+jwt\",\"kid\":\"k\"}";
static const char good_payload[] =
    "{\"iss\":\"https://kmf\",\"aud\":\"https://kmf\",\"sub\":\"m\","
    "\"client_id\":\"perch-agent\",\"scope\":\"member join\","
    "\"cnf\":{\"jkt\":\"" JKT "\"},\"iat\":1699999990,"
    "\"exp\":1700000300,\"jti\":\"j\"}";

static const struct kmf_rules own = { .typ = "at+jwt",
	.algs = kmf_algs_own,
	.iss = "https://kmf",
	.aud = { "https://kmf", "" },
	.required = kmf_required_at,
	.cnf = KMF_CNF_BOUND,
	.scope = "member",
	.leeway_s = KMF_LEEWAY_S };
/* An ID token's rules, without what only access tokens have. */
static const struct kmf_rules id = { .typ = "JWT",
	.algs = kmf_algs_idp,
	.iss = "https://kmf",
	.aud = { "https://kmf", NULL },
	.azp = "perch",
	.required = kmf_required_id,
	.cnf = KMF_CNF_ANY,
	.leeway_s = KMF_LEEWAY_S };
static const struct kmf_rules brief = { .typ = "at+jwt",
	.algs = kmf_algs_own,
	.iss = "https://kmf",
	.aud = { NULL, "https://kmf" },
	.required = kmf_required_assertion,
	.leeway_s = KMF_LEEWAY_S,
	.max_life_s = 200 };

/* Change members: value JSON text; NULL: take the member away. */
struct change {
	const struct kmf_rules *rules;
	const char *why; /* "" passes */
	const char *in;	 /* "header" or "payload" */
	const char *name, *value;
	int err;
};

static const struct change cases[] = {
	{ &own, "", "payload", "extra", "1", 0 },
	/* alg: RFC 8725 3.1 */
	{ &own, "alg", "header", "alg", "\"none\"", PERC_ERR_DENIED },
	{ &own, "alg", "header", "alg", "\"HS256\"", PERC_ERR_DENIED },
	{ &own, "alg", "header", "alg", "\"RS256\"", PERC_ERR_DENIED },
	{ &own, "alg", "header", "alg", "\"es256\"", PERC_ERR_DENIED },
	{ &own, "alg", "header", "alg", NULL, PERC_ERR_DENIED },
	{ &own, "alg", "header", "alg", "[\"ES256\"]", PERC_ERR_DENIED },
	{ &id, "", "header", "typ", "\"JWT\"", 0 },
	/* typ: RFC 9068 4 */
	{ &own, "", "header", "typ", "\"application/at+jwt\"", 0 },
	{ &own, "", "header", "typ", "\"AT+JWT\"", 0 },
	{ &own, "typ", "header", "typ", "\"JWT\"", PERC_ERR_DENIED },
	{ &own, "typ", "header", "typ", "\"dpop+jwt\"", PERC_ERR_DENIED },
	{ &own, "typ", "header", "typ", "\"at+jwt \"", PERC_ERR_DENIED },
	{ &own, "typ", "header", "typ", NULL, PERC_ERR_DENIED },
	{ &own, "typ", "header", "typ", "7", PERC_ERR_DENIED },
	{ &id, "", "header", "typ", NULL, 0 },
	{ &id, "typ", "header", "typ", "\"at+jwt\"", PERC_ERR_DENIED },
	{ &id, "typ", "header", "typ", "\"dpop+jwt\"", PERC_ERR_DENIED },
	/* crit: RFC 7515 4.1.11; b64: RFC 7797 */
	{ &own, "crit", "header", "crit", "[\"exp\"]", PERC_ERR_DENIED },
	{ &own, "crit", "header", "crit", "[]", PERC_ERR_DENIED },
	{ &own, "crit", "header", "b64", "false", PERC_ERR_DENIED },
	/* iss: exactly */
	{ &own, "iss", "payload", "iss", "\"https://kmf/\"", PERC_ERR_DENIED },
	{ &own, "iss", "payload", "iss", "\"HTTPS://kmf\"", PERC_ERR_DENIED },
	{ &own, "iss", "payload", "iss", "[\"https://kmf\"]", PERC_ERR_DENIED },
	{ &own, "iss", "payload", "iss", NULL, PERC_ERR_DENIED },
	/* aud: RFC 7519 4.1.3 */
	{ &own, "", "payload", "aud", "[\"https://x\",\"https://kmf\"]", 0 },
	{ &brief, "life", "payload", "aud", "[\"https://kmf\"]",
	    PERC_ERR_DENIED },
	{ &own, "aud", "payload", "aud", "\"https://x\"", PERC_ERR_DENIED },
	{ &own, "aud", "payload", "aud", "\"\"", PERC_ERR_DENIED },
	{ &own, "aud", "payload", "aud", "[]", PERC_ERR_DENIED },
	{ &own, "aud", "payload", "aud", "[1,\"https://kmf\"]",
	    PERC_ERR_DENIED },
	{ &own, "aud", "payload", "aud", "{\"https://kmf\":1}",
	    PERC_ERR_DENIED },
	{ &own, "aud", "payload", "aud", NULL, PERC_ERR_DENIED },
	/* azp: OpenID Connect Core 3.1.3.7 */
	{ &own, "", "payload", "azp", "\"x\"", 0 },
	/* exp */
	{ &own, "", "payload", "exp", "1699999941", 0 },
	{ &own, "exp", "payload", "exp", "1699999940", PERC_ERR_EXPIRED },
	{ &own, "exp", "payload", "exp", "\"1700000300\"", PERC_ERR_EXPIRED },
	{ &own, "exp", "payload", "exp", "-1", PERC_ERR_EXPIRED },
	{ &own, "exp", "payload", "exp", "1e400", PERC_ERR_EXPIRED },
	{ &own, "exp", "payload", "exp", "true", PERC_ERR_EXPIRED },
	{ &own, "exp", "payload", "exp", NULL, PERC_ERR_EXPIRED },
	/* life */
	{ &brief, "", "payload", "exp", "1700000260", 0 },
	{ &brief, "life", "payload", "exp", "1700000261", PERC_ERR_DENIED },
	/* nbf */
	{ &own, "", "payload", "nbf", "1700000060", 0 },
	{ &own, "nbf", "payload", "nbf", "1700000061", PERC_ERR_DENIED },
	{ &own, "nbf", "payload", "nbf", "\"1\"", PERC_ERR_DENIED },
	{ &own, "nbf", "payload", "nbf", "null", PERC_ERR_DENIED },
	/* iat */
	{ &own, "", "payload", "iat", "1700000060", 0 },
	{ &own, "iat", "payload", "iat", "1700000061", PERC_ERR_DENIED },
	{ &own, "iat", "payload", "iat", "1699913599", PERC_ERR_DENIED },
	{ &own, "iat", "payload", "iat", "\"x\"", PERC_ERR_DENIED },
	/* required: RFC 9068 2.2 */
	{ &own, "required", "payload", "iat", NULL, PERC_ERR_DENIED },
	{ &own, "required", "payload", "jti", NULL, PERC_ERR_DENIED },
	{ &own, "required", "payload", "client_id", NULL, PERC_ERR_DENIED },
	{ &own, "required", "payload", "sub", NULL, PERC_ERR_DENIED },
	/* sub */
	{ &own, "sub", "payload", "sub", "\"\"", PERC_ERR_DENIED },
	{ &own, "sub", "payload", "sub", "5", PERC_ERR_DENIED },
	/* cnf: RFC 7800, 9449 6.1 */
	{ &own, "cnf", "payload", "cnf", NULL, PERC_ERR_DENIED },
	{ &own, "cnf", "payload", "cnf", "{}", PERC_ERR_DENIED },
	{ &own, "cnf", "payload", "cnf", "{\"jkt\":\"short\"}",
	    PERC_ERR_DENIED },
	{ &own, "cnf", "payload", "cnf",
	    "{\"jkt\":\"" JKT "\",\"x5t#S256\":\"x\"}", PERC_ERR_DENIED },
	{ &own, "", "payload", "cnf", "{\"x5t#S256\":\"" JKT "\"}", 0 },
	{ &own, "cnf", "payload", "cnf", "{\"x5t#S256\":\"short\"}",
	    PERC_ERR_DENIED },
	{ &own, "cnf", "payload", "cnf", "\"" JKT "\"", PERC_ERR_DENIED },
	{ &brief, "life", "payload", "cnf", NULL, PERC_ERR_DENIED },
	/* act: RFC 8693 4.1 */
	{ &own, "act", "payload", "act", "{\"sub\":\"x\"}", PERC_ERR_DENIED },
	{ &own, "act", "payload", "act", "null", PERC_ERR_DENIED },
	/* scope */
	{ &own, "", "payload", "scope", "\"join member\"", 0 },
	{ &own, "scope", "payload", "scope", "\"members\"", PERC_ERR_DENIED },
	{ &own, "scope", "payload", "scope", "\"\"", PERC_ERR_DENIED },
	{ &own, "scope", "payload", "scope", "[\"member\"]", PERC_ERR_DENIED },
	{ &own, "scope", "payload", "scope", NULL, PERC_ERR_DENIED },
};

static json_t *
parsed(const char *text)
{
	json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(j);
	return j;
}

static int
decide(const struct kmf_rules *rules, const char *in, const char *name,
    const char *value, size_t size, const char **why)
{
	json_t *header = parsed(good_header), *payload = parsed(good_payload);
	json_t *to = strcmp(in, "header") == 0 ? header : payload;
	struct kmf_claims c = { header, payload, size, NOW };
	int r;

	if (rules == &id && to == payload)
		assert_int_equal(
		    json_object_set_new(header, "typ", json_string("JWT")), 0);
	if (value == NULL)
		(void)json_object_del(to, name);
	else if (strcmp(value, "1e400") == 0) /* beyond any double */
		(void)json_object_set_new(to, name, json_real(1e300));
	else
		(void)json_object_set_new(to, name, parsed(value));
	r = kmf_claims_check(&c, rules, why);
	json_decref(header);
	json_decref(payload);
	return r;
}

/* REQ-R-4.2a: who that is, the KMF decides by itself. */
static void
test_every_row(void **state)
{
	const char *why;
	size_t i;
	int r;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		r = decide(cases[i].rules, cases[i].in, cases[i].name,
		    cases[i].value, 500, &why);
		if (r != cases[i].err || strcmp(why, cases[i].why) != 0)
			fail_msg("case %zu: %s = %s: %d, row '%s', not '%s'", i,
			    cases[i].name,
			    cases[i].value == NULL ? "-" : cases[i].value, r,
			    why, cases[i].why);
	}
}

static void
test_size(void **state)
{
	const char *why;

	assert_int_equal(decide(&own, "payload", "x", "1", 8192, &why), 0);
	assert_int_equal(
	    decide(&own, "payload", "x", "1", 8193, &why), PERC_ERR_DENIED);
	assert_string_equal(why, "size");
}

static void
test_not_objects(void **state)
{
	json_t *o = parsed(good_payload), *a = parsed("[]");
	struct kmf_claims c = { a, o, 10, NOW };
	const char *why;

	assert_int_equal(kmf_claims_check(&c, &own, &why), PERC_ERR_DENIED);
	c.header = o;
	c.payload = NULL;
	assert_int_equal(kmf_claims_check(&c, &own, &why), PERC_ERR_DENIED);
	json_decref(o);
	json_decref(a);
}

/* Several audiences need azp, and it must be us. */
static void
test_azp(void **state)
{
	static const struct {
		const char *aud, *azp;
		int err;
	} t[] = {
		{ "\"https://kmf\"", NULL, 0 },
		{ "[\"https://kmf\"]", NULL, 0 },
		{ "[\"https://kmf\",\"x\"]", "perch", 0 },
		{ "[\"https://kmf\",\"x\"]", NULL, PERC_ERR_DENIED },
		{ "[\"https://kmf\",\"x\"]", "x", PERC_ERR_DENIED },
		{ "\"https://kmf\"", "x", PERC_ERR_DENIED },
	};
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		json_t *h = parsed(good_header), *p = parsed(good_payload);
		struct kmf_claims c = { h, p, 10, NOW };
		const char *why;

		json_object_set_new(h, "typ", json_string("JWT"));
		json_object_set_new(p, "aud", parsed(t[i].aud));
		if (t[i].azp != NULL)
			json_object_set_new(p, "azp", json_string(t[i].azp));
		assert_int_equal(kmf_claims_check(&c, &id, &why), t[i].err);
		if (t[i].err != 0)
			assert_string_equal(why, "azp");
		json_decref(h);
		json_decref(p);
	}
}

static void
test_words(void **state)
{
	assert_true(kmf_word_in("a b c", "b"));
	assert_true(kmf_word_in("  a", "a"));
	assert_false(kmf_word_in("ab c", "a"));
	assert_false(kmf_word_in("a b", ""));
	assert_false(kmf_word_in("", "a"));
	assert_false(kmf_word_in("a b", "a b"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_row),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_not_objects),
		cmocka_unit_test(test_azp),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
