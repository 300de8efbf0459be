/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Authorization fields, forms, ids, routes and nonces: what passes, and each
 * way in which it may not.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/intake.h"
#include "kmf/nonce.h"
#include "kmf/route.h"

#define CONF   "c_AAAAAAAAAAAAAAAAAAAAAA"
#define MEMBER "m_BBBBBBBBBBBBBBBBBBBBBB"
#define INVITE "i_CCCCCCCCCCCCCCCCCCCCCC"

static void
test_authorization(void **state)
{
	static const struct {
		const char *value;
		int err;
		enum kmf_scheme scheme;
		const char *token;
	} t[] = {
		{ "DPoP abc", 0, KMF_SCHEME_DPOP, "abc" },
		{ "dpop abc", 0, KMF_SCHEME_DPOP, "abc" },
		{ "DPOP   a.b-c_d~e+f/g==", 0, KMF_SCHEME_DPOP,
		    "a.b-c_d~e+f/g==" },
		{ "Bearer x", 0, KMF_SCHEME_BEARER, "x" },
		{ "Basic x", PERC_ERR_UNSUPPORTED, 0, NULL },
		{ "", PERC_ERR_UNSUPPORTED, 0, NULL },
		{ "DPoPabc", PERC_ERR_UNSUPPORTED, 0, NULL },
		{ " DPoP abc", PERC_ERR_UNSUPPORTED, 0, NULL },
		{ "DPoP\tabc", PERC_ERR_UNSUPPORTED, 0, NULL },
		{ "DPoP", PERC_ERR_FORMAT, 0, NULL },
		{ "DPoP ", PERC_ERR_FORMAT, 0, NULL },
		{ "DPoP =", PERC_ERR_FORMAT, 0, NULL },
		{ "DPoP a=b", PERC_ERR_FORMAT, 0, NULL },
		{ "DPoP a b", PERC_ERR_FORMAT, 0, NULL },
		{ "DPoP a,b", PERC_ERR_FORMAT, 0, NULL },
		{ "DPoP a\"", PERC_ERR_FORMAT, 0, NULL },
		{ "DPoP abc ", PERC_ERR_FORMAT, 0, NULL },
		{ "DPoP \xc3\xa9", PERC_ERR_FORMAT, 0, NULL },
	};
	enum kmf_scheme scheme;
	const char *token;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(
		    kmf_auth_parse(&scheme, &token, t[i].value), t[i].err);
		if (t[i].err != 0) {
			assert_null(token);
			continue;
		}
		assert_int_equal(scheme, t[i].scheme);
		assert_string_equal(token, t[i].token);
	}
}

static void
test_authorization_length(void **state)
{
	char *value = malloc(9000);
	enum kmf_scheme scheme;
	const char *token;

	memset(value, 'a', 9000);
	memcpy(value, "DPoP ", 5);
	value[5 + 8192] = '\0';
	assert_int_equal(kmf_auth_parse(&scheme, &token, value), 0);
	value[5 + 8192] = 'a';
	value[5 + 8193] = '\0';
	assert_int_equal(
	    kmf_auth_parse(&scheme, &token, value), PERC_ERR_LIMIT);
	free(value);
}

static int
form(struct kmf_form *f, const char *text)
{
	return kmf_form_parse(f, text, strlen(text));
}

static void
test_form(void **state)
{
	static const struct {
		const char *text;
		int err;
	} t[] = {
		{ "a", PERC_ERR_FORMAT },
		{ "=1", PERC_ERR_FORMAT },
		{ "a=1&", 0 },
		{ "a=1&&b=2", PERC_ERR_FORMAT },
		{ "a=%", PERC_ERR_FORMAT },
		{ "a=%4", PERC_ERR_FORMAT },
		{ "a=%4g", PERC_ERR_FORMAT },
		{ "a=%00", PERC_ERR_FORMAT },
		{ "a=%0a", PERC_ERR_FORMAT },
		{ "a=\n", PERC_ERR_FORMAT },
		{ "a=%7f", PERC_ERR_FORMAT },
		{ "a=1&a=2", PERC_ERR_EXISTS },
		{ "a=1&%61=2", PERC_ERR_EXISTS },
		{ "a=1&A=2", 0 },
	};
	struct kmf_form f;
	size_t i;

	assert_int_equal(form(&f, "a=1&b=x+y%2B%C3%A9%26&c=&d==="), 0);
	assert_string_equal(kmf_form_get(&f, "a"), "1");
	assert_string_equal(kmf_form_get(&f, "b"), "x y+\xc3\xa9&");
	assert_string_equal(kmf_form_get(&f, "c"), "");
	assert_string_equal(kmf_form_get(&f, "d"), "==");
	assert_string_equal(kmf_form_get(&f, "e"), "");
	kmf_form_clear(&f);
	kmf_form_clear(&f);
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		if (form(&f, t[i].text) != t[i].err)
			fail_msg("%s", t[i].text);
		assert_true(t[i].err == 0 || f.n == 0);
		kmf_form_clear(&f);
	}
	assert_int_equal(kmf_form_parse(&f, "a=1\0b", 5), PERC_ERR_FORMAT);
	assert_int_equal(kmf_form_parse(&f, "", 0), 0);
	assert_int_equal(f.n, 0);
	kmf_form_clear(&f);
}

static void
test_form_limit(void **state)
{
	char text[KMF_FORM_MAX * 5 + 8] = "";
	struct kmf_form f;
	int i;

	for (i = 0; i < KMF_FORM_MAX; i++)
		sprintf(text + strlen(text), "p%02d=&", i);
	assert_int_equal(form(&f, text), 0);
	assert_int_equal(f.n, KMF_FORM_MAX);
	kmf_form_clear(&f);
	strcat(text, "x=");
	assert_int_equal(form(&f, text), PERC_ERR_LIMIT);
}

static void
test_query(void **state)
{
	assert_true(kmf_query_has("access_token=x", "access_token"));
	assert_true(kmf_query_has("a=1&access_token", "access_token"));
	assert_true(kmf_query_has("a=1&access_token=&b", "access_token"));
	assert_false(kmf_query_has("xaccess_token=1", "access_token"));
	assert_false(kmf_query_has("access_tokens=1", "access_token"));
	assert_false(kmf_query_has("", "access_token"));
	assert_false(kmf_query_has(NULL, "access_token"));
}

static void
test_ids(void **state)
{
	assert_true(kmf_id_ok(CONF, "c_"));
	assert_false(kmf_id_ok(CONF, "m_"));
	assert_false(kmf_id_ok(CONF "A", "c_"));
	assert_false(kmf_id_ok("c_AAAAAAAAAAAAAAAAAAAAA", "c_"));
	assert_false(kmf_id_ok("c_AAAAAAAAAAAAAAAAAAAA..", "c_"));
	assert_false(kmf_id_ok("", "c_"));
}

static void
test_routes(void **state)
{
	static const struct {
		const char *method, *path;
		int err;
		enum kmf_op op;
		const char *conf, *obj, *allow;
	} t[] = {
		{ "GET", "/healthz", 0, 0, "", "", "" },
		{ "POST", "/v1/conferences/" CONF "/keys", 0, KMF_OP_KEYS, CONF,
		    "", "" },
		{ "GET", "/v1/conferences/" CONF "/keys", PERC_ERR_UNSUPPORTED,
		    0, "", "", "POST, OPTIONS" },
		{ "DELETE", "/v1/conferences/" CONF "/members/" MEMBER, 0,
		    KMF_OP_MEMBER_EVICT, CONF, MEMBER, "" },
		{ "GET", "/v1/conferences/" CONF "/invitations/" INVITE ".ics",
		    0, KMF_OP_INV_ICS, CONF, INVITE, "" },
		{ "PUT", "/v1/conferences/" CONF "/invitations/" INVITE,
		    PERC_ERR_UNSUPPORTED, 0, "", "",
		    "GET, HEAD, DELETE, OPTIONS" },
		{ "POST", "/v1/conferences", 0, KMF_OP_CONF_CREATE, "", "",
		    "" },
		{ "PUT", "/v1/conferences", PERC_ERR_UNSUPPORTED, 0, "", "",
		    "POST, GET, HEAD, OPTIONS" },
		{ "GET", "/v1/conferences/", PERC_ERR_NOTFOUND, 0, "", "", "" },
		{ "GET", "/v1/conferences/" CONF "/", PERC_ERR_NOTFOUND, 0, "",
		    "", "" },
		{ "GET", "/v1/conferences/" MEMBER, PERC_ERR_NOTFOUND, 0, "",
		    "", "" },
		{ "DELETE", "/v1/conferences/" CONF "/members/" CONF,
		    PERC_ERR_NOTFOUND, 0, "", "", "" },
		{ "GET", "/", PERC_ERR_NOTFOUND, 0, "", "", "" },
		{ "GET", "", PERC_ERR_NOTFOUND, 0, "", "", "" },
		{ "get", "/healthz", PERC_ERR_UNSUPPORTED, 0, "", "",
		    "GET, HEAD, OPTIONS" },
		{ "GET", "/healthz/", PERC_ERR_NOTFOUND, 0, "", "", "" },
		{ "GET", "/{c}", PERC_ERR_NOTFOUND, 0, "", "", "" },
		{ "GET", "/c/{c}", PERC_ERR_NOTFOUND, 0, "", "", "" },
	};
	const struct kmf_route *r;
	struct kmf_params p;
	char allow[64];
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		assert_int_equal(kmf_route_find(&r, &p, t[i].method, t[i].path,
				     allow, sizeof(allow)),
		    t[i].err);
		if (t[i].err == PERC_ERR_UNSUPPORTED)
			assert_string_equal(allow, t[i].allow);
		if (t[i].err != 0)
			continue;
		assert_int_equal(r->op, t[i].op);
		assert_string_equal(p.conf, t[i].conf);
		assert_string_equal(p.obj, t[i].obj);
	}
}

static void
test_nonces(void **state)
{
	static const uint8_t key[32] = { 1 }, other[32] = { 2 };
	const int64_t now = 1700000000;
	char nonce[KMF_NONCE_LEN + 1];
	size_t i;

	kmf_nonce_make(nonce, key, now);
	assert_int_equal(strlen(nonce), KMF_NONCE_LEN);
	assert_true(kmf_nonce_ok(nonce, key, now));
	assert_true(kmf_nonce_ok(nonce, key, now + 300));
	assert_true(kmf_nonce_ok(nonce, key, now - 59));
	assert_false(kmf_nonce_ok(nonce, key, now + 400));
	assert_false(kmf_nonce_ok(nonce, key, now - 200));
	assert_false(kmf_nonce_ok(nonce, other, now));
	assert_false(kmf_nonce_ok("", key, now));
	for (i = 0; i < KMF_NONCE_LEN; i++) {
		nonce[i] ^= 1;
		assert_false(kmf_nonce_ok(nonce, key, now));
		nonce[i] ^= 1;
	}
	nonce[KMF_NONCE_LEN - 1] = '\0';
	assert_false(kmf_nonce_ok(nonce, key, now));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_authorization),
		cmocka_unit_test(test_authorization_length),
		cmocka_unit_test(test_form),
		cmocka_unit_test(test_form_limit),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_routes),
		cmocka_unit_test(test_nonces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
