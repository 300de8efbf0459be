/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Modified condition/decision coverage of the decision (kmf/claims.c): for
 * each condition of each row a pair of cases that differ in one member alone,
 * one of which passes the whole table and one of which that row refuses. No
 * compiler of Debian 12 measures this, so the conditions are written down
 * here, and tests/kmf/test_conditions.py counts them in the source.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/claims.h"
#include "perc/json.h"

#define NOW 1700000000
#define T43 "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

/* A case is one object; a base is this with members replaced. */
static const char good[] =
    "{\"header\":{\"alg\":\"ES256\",\"typ\":\"at+jwt\"},"
    "\"payload\":{\"iss\":\"i\",\"aud\":\"a\",\"sub\":\"s\",\"exp\":1700000300,"
    "\"cnf\":{\"jkt\":\"" T43 "\"}},"
    "\"rules\":{\"typ\":\"at+jwt\",\"algs\":[\"ES256\",\"RS256\"],\"iss\":"
    "\"i\","
    "\"aud\":[\"a\"],\"required\":[\"exp\"],\"cnf\":\"bound\","
    "\"leeway_s\":60},"
    "\"top\":{\"size\":500}}";

struct pair {
	const char *row, *condition;
	const char *base; /* members replaced in good; null takes one away */
	const char *in, *name;	 /* the one member that differs */
	const char *pass, *fail; /* JSON; NULL: absent */
};

#define JWT "{\"header\":{\"typ\":null},\"rules\":{\"typ\":\"JWT\"}}"
#define OWN_WORD                                                               \
	"{\"header\":{\"alg\":null,\"typ\":null},\"rules\":{\"typ\":null}}"
#define EC "{\"top\":{\"key\":{\"kty\":\"EC\"}}}"
#define AZP                                                                    \
	"{\"payload\":{\"aud\":[\"a\",\"b\"],\"azp\":\"me\"},"                 \
	"\"rules\":{\"azp\":\"me\"}}"
#define AZP_NONE "{\"rules\":{\"azp\":\"me\"}}"
#define CLIENTS                                                                \
	"{\"payload\":{\"client_id\":\"c\"},\"rules\":{\"clients\":[\"c\"]}}"
#define LIFE   "{\"rules\":{\"max_life_s\":200},\"payload\":{\"exp\":1700000260}}"
#define NO_CNF "{\"payload\":{\"cnf\":null},\"rules\":{\"cnf\":\"any\"}}"
#define ACTOR                                                                  \
	"{\"payload\":{\"act\":{\"sub\":\"g\"}},\"rules\":{\"actors\":[\"g\"]" \
	"}}"
#define SCOPE	  "{\"payload\":{\"scope\":\"x y\"},\"rules\":{\"scope\":\"y\"}}"
#define KEY(more) "{\"kty\":\"EC\"" more "}"

static const struct pair pairs[] = {
	{ "size", "size <= max", "{}", "top", "size", "8192", "8193" },
	{ "size", "header is an object", "{}", "top", "header", NULL, "[]" },
	{ "size", "payload is an object", "{}", "top", "payload", NULL, "[]" },
	{ "alg", "typ == NULL", OWN_WORD, "rules", "typ", NULL, "\"at+jwt\"" },
	{ "alg", "alg of algs", "{}", "header", "alg", "\"ES256\"",
	    "\"HS256\"" },
	{ "key", "key == NULL", "{}", "top", "key", NULL, "{\"kty\":\"RSA\"}" },
	{ "key", "alg is ES256", EC, "header", "alg", "\"ES256\"",
	    "\"RS256\"" },
	{ "key", "kty != NULL", "{}", "top", "key", KEY(""), "{}" },
	{ "key", "kty is wanted", "{}", "top", "key", KEY(""),
	    "{\"kty\":\"oct\"}" },
	{ "key", "its == NULL", "{}", "top", "key", KEY(""),
	    KEY(",\"alg\":\"ES384\"") },
	{ "key", "its is alg", "{}", "top", "key", KEY(",\"alg\":\"ES256\""),
	    KEY(",\"alg\":\"ES384\"") },
	{ "key", "use == NULL", "{}", "top", "key", KEY(""),
	    KEY(",\"use\":\"enc\"") },
	{ "key", "use is sig", "{}", "top", "key", KEY(",\"use\":\"sig\""),
	    KEY(",\"use\":\"enc\"") },
	{ "typ", "rules' typ == NULL", "{\"rules\":{\"typ\":null}}", "rules",
	    "typ", NULL, "\"JWT\"" },
	{ "typ", "no typ", JWT, "header", "typ", NULL, "\"at+jwt\"" },
	{ "typ", "none is as JWT", JWT, "rules", "typ", "\"JWT\"",
	    "\"at+jwt\"" },
	{ "typ", "typ is text", "{}", "header", "typ", "\"at+jwt\"", "7" },
	{ "typ", "application/", "{}", "header", "typ",
	    "\"application/at+jwt\"", "\"application:at+jwt\"" },
	{ "typ", "typ is wanted", "{}", "header", "typ", "\"AT+jwt\"",
	    "\"dpop+jwt\"" },
	{ "crit", "no crit", "{}", "header", "crit", NULL, "[\"exp\"]" },
	{ "crit", "no b64", "{}", "header", "b64", NULL, "true" },
	{ "iss", "iss != NULL", "{}", "payload", "iss", "\"i\"", NULL },
	{ "iss", "rules' iss != NULL", "{}", "rules", "iss", "\"i\"", NULL },
	{ "iss", "iss is wanted", "{}", "payload", "iss", "\"i\"", "\"i/\"" },
	{ "aud", "is text", "{}", "payload", "aud", "\"a\"", "7" },
	{ "aud", "is array", "{}", "payload", "aud", "[\"a\"]", "{\"a\":1}" },
	{ "aud", "each is text", "{}", "payload", "aud", "[\"a\",\"b\"]",
	    "[\"a\",7]" },
	{ "aud", "rules' aud != NULL", "{}", "rules", "aud", "[\"a\"]",
	    "[null]" },
	{ "aud", "rules' aud not empty", "{\"payload\":{\"aud\":[\"\",\"a\"]}}",
	    "rules", "aud", "[\"a\"]", "[\"\"]" },
	{ "aud", "aud has it", "{}", "payload", "aud", "[\"b\",\"a\"]",
	    "[\"b\"]" },
	{ "azp", "rules' azp == NULL",
	    "{\"payload\":{\"azp\":\"you\"},\"rules\":{\"azp\":\"me\"}}",
	    "rules", "azp", NULL, "\"me\"" },
	{ "azp", "azp == NULL", AZP_NONE, "payload", "azp", NULL, "\"you\"" },
	{ "azp", "aud is no array", AZP_NONE, "payload", "aud", "\"a\"",
	    "[\"a\",\"b\"]" },
	{ "azp", "aud is one", AZP_NONE, "payload", "aud", "[\"a\"]",
	    "[\"a\",\"b\"]" },
	{ "azp", "azp is text", AZP, "payload", "azp", "\"me\"", "7" },
	{ "azp", "azp is wanted", AZP, "payload", "azp", "\"me\"", "\"you\"" },
	{ "client", "clients == NULL", CLIENTS, "rules", "clients", NULL,
	    "[\"d\"]" },
	{ "client", "client_id of clients", CLIENTS, "payload", "client_id",
	    "\"c\"", "\"d\"" },
	{ "client", "azp == NULL", CLIENTS, "payload", "azp", NULL, "\"d\"" },
	{ "client", "azp of clients", CLIENTS, "payload", "azp", "\"c\"",
	    "\"d\"" },
	{ "exp", "is a time", "{\"rules\":{\"required\":[]}}", "payload", "exp",
	    "1700000300", "\"1700000300\"" },
	{ "exp", "is ahead", "{}", "payload", "exp", "1699999941",
	    "1699999940" },
	{ "life", "max == 0", "{}", "rules", "max_life_s", "0", "200" },
	{ "life", "exp is near", LIFE, "payload", "exp", "1700000260",
	    "1700000261" },
	{ "nbf", "absent", "{}", "payload", "nbf", NULL, "1800000000" },
	{ "nbf", "is a time", "{}", "payload", "nbf", "1", "\"1\"" },
	{ "nbf", "has come", "{}", "payload", "nbf", "1700000060",
	    "1700000061" },
	{ "iat", "absent", "{}", "payload", "iat", NULL, "1" },
	{ "iat", "is a time", "{}", "payload", "iat", "1700000000",
	    "\"1700000000\"" },
	{ "iat", "not ahead", "{}", "payload", "iat", "1700000060",
	    "1700000061" },
	{ "iat", "not absurd", "{}", "payload", "iat", "1699913600",
	    "1699913599" },
	{ "required", "is there",
	    "{\"rules\":{\"required\":[\"exp\",\"jti\"]}}", "payload", "jti",
	    "\"j\"", NULL },
	{ "sub", "sub != NULL", "{}", "payload", "sub", "\"s\"", "7" },
	{ "sub", "not empty", "{}", "payload", "sub", "\"s\"", "\"\"" },
	{ "sub", "not too long", "{}", "payload", "sub", "512", "513" },
	{ "cnf", "absent", NO_CNF, "payload", "cnf", NULL, "{}" },
	{ "cnf", "may be absent", NO_CNF, "rules", "cnf", "\"any\"",
	    "\"bound\"" },
	{ "cnf", "one member", "{}", "payload", "cnf", "{\"jkt\":\"" T43 "\"}",
	    "{\"jkt\":\"" T43 "\",\"x\":1}" },
	{ "cnf", "jkt", "{}", "payload", "cnf", "{\"jkt\":\"" T43 "\"}",
	    "{\"kid\":\"" T43 "\"}" },
	{ "cnf", "x5t#S256", "{}", "payload", "cnf",
	    "{\"x5t#S256\":\"" T43 "\"}", "{\"x5t\":\"" T43 "\"}" },
	{ "cnf", "thumbprint != NULL", "{}", "payload", "cnf",
	    "{\"jkt\":\"" T43 "\"}", "{\"jkt\":7}" },
	{ "cnf", "thumbprint of 43", "{}", "payload", "cnf",
	    "{\"jkt\":\"" T43 "\"}", "{\"jkt\":\"" T43 "A\"}" },
	{ "act", "absent", "{}", "payload", "act", NULL, "{\"sub\":\"g\"}" },
	{ "act", "actors != NULL", ACTOR, "rules", "actors", "[\"g\"]", NULL },
	{ "act", "sub of actors", ACTOR, "payload", "act",
	    "{\"sub\":\"g\",\"act\":{\"sub\":\"x\"}}",
	    "{\"sub\":\"x\",\"act\":{\"sub\":\"g\"}}" },
	{ "scope", "rules' scope == NULL", "{}", "rules", "scope", NULL,
	    "\"y\"" },
	{ "scope", "scope is text", SCOPE, "payload", "scope", "\"y\"",
	    "[\"y\"]" },
	{ "scope", "word of scope", SCOPE, "payload", "scope", "\"x y\"",
	    "\"x yy\"" },
};

static json_t *
parsed(const char *text)
{
	json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);

	if (j == NULL)
		fail_msg("not JSON: %s", text);
	return j;
}

static void
set(json_t *o, const char *name, json_t *v)
{
	if (v == NULL || json_is_null(v))
		(void)json_object_del(o, name);
	else
		(void)json_object_set(o, name, v);
	json_decref(v);
}

/* Members of members of patch into o. */
static void
merge(json_t *o, const char *patch)
{
	json_t *p = parsed(patch), *part, *v;
	const char *in, *name;

	json_object_foreach(p, in, part) json_object_foreach(part, name, v)
	    set(json_object_get(o, in), name, json_incref(v));
	json_decref(p);
}

/* "sub": a number stands for a text of that length. */
static json_t *
value(const char *name, const char *text)
{
	json_t *v = text == NULL ? NULL : parsed(text);
	char *long_one;
	size_t n;

	if (v == NULL || strcmp(name, "sub") != 0 || !json_is_integer(v) ||
	    json_integer_value(v) < 100)
		return v;
	n = (size_t)json_integer_value(v);
	json_decref(v);
	long_one = calloc(1, n + 1);
	memset(long_one, 's', n);
	v = json_string(long_one);
	free(long_one);
	return v;
}

struct lists {
	const char *algs[4], *clients[4], *required[4], *actors[4];
};

static const char *const *
list_of(const char *out[4], const json_t *rules, const char *name)
{
	const json_t *a = json_object_get(rules, name), *one;
	size_t i;

	memset(out, 0, 4 * sizeof(out[0]));
	json_array_foreach(a, i, one) out[i] = json_string_value(one);
	return a == NULL ? NULL : out;
}

static int
decide(const json_t *o, const char **why)
{
	const json_t *in = json_object_get(o, "rules");
	const json_t *top = json_object_get(o, "top");
	const json_t *aud = json_object_get(in, "aud");
	const json_t *h = json_object_get(top, "header");
	const json_t *p = json_object_get(top, "payload");
	const char *cnf = perc_json_str(in, "cnf");
	struct lists l;
	const struct kmf_rules r = { .typ = perc_json_str(in, "typ"),
		.algs = list_of(l.algs, in, "algs"),
		.key = json_object_get(top, "key"),
		.iss = perc_json_str(in, "iss"),
		.aud = { json_string_value(json_array_get(aud, 0)) },
		.azp = perc_json_str(in, "azp"),
		.clients = list_of(l.clients, in, "clients"),
		.required = list_of(l.required, in, "required"),
		.cnf = strcmp(cnf, "any") == 0 ? KMF_CNF_ANY : KMF_CNF_BOUND,
		.actors = list_of(l.actors, in, "actors"),
		.scope = perc_json_str(in, "scope"),
		.leeway_s = json_integer_value(json_object_get(in, "leeway_s")),
		.max_life_s =
		    json_integer_value(json_object_get(in, "max_life_s")) };
	const struct kmf_claims c = {
		.header = h != NULL ? h : json_object_get(o, "header"),
		.payload = p != NULL ? p : json_object_get(o, "payload"),
		.size =
		    (size_t)json_integer_value(json_object_get(top, "size")),
		.now_s = NOW
	};

	return kmf_claims_check(&c, &r, why);
}

/* Base, and one member of it as told. */
static int
one(const struct pair *p, const char *text, const char **why)
{
	json_t *o = parsed(good);
	int r;

	merge(o, p->base);
	set(json_object_get(o, p->in), p->name, value(p->name, text));
	r = decide(o, why);
	json_decref(o);
	return r;
}

static void
test_each_condition_alone_decides(void **state)
{
	const struct pair *p;
	const char *why;
	size_t i;

	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		p = &pairs[i];
		if (one(p, p->pass, &why) != 0)
			fail_msg("%s: %s: the good one: row '%s'", p->row,
			    p->condition, why);
		if (one(p, p->fail, &why) == 0 || strcmp(why, p->row) != 0)
			fail_msg("%s: %s: the bad one: row '%s'", p->row,
			    p->condition, why);
	}
}

static void
test_no_row_is_left_out(void **state)
{
	const char *row;
	size_t i, k, n;

	for (i = 0; (row = kmf_claims_row(i)) != NULL; i++) {
		for (k = n = 0; k < sizeof(pairs) / sizeof(pairs[0]); k++)
			n += strcmp(pairs[k].row, row) == 0;
		if (n == 0)
			fail_msg("row '%s' has no pair", row);
	}
	assert_true(i >= 18);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_condition_alone_decides),
		cmocka_unit_test(test_no_row_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
