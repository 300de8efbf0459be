/* SPDX-License-Identifier: Apache-2.0 */
/* libjwt's signature, read by the other library (cjose, perc/jose.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "agent/assertion.h"
#include "agent/text.h"
#include "perc/jose.h"
#include "perc/json.h"

static json_t *
key_json(struct perc_jwk **kp)
{
	char *text = NULL;
	json_t *j;

	assert_int_equal(perc_jwk_generate(kp), 0);
	assert_int_equal(perc_jwk_private_json(&text, *kp), 0);
	j = json_loads(text, 0, NULL);
	perc_json_free(text);
	assert_non_null(j);
	return j;
}

static void
test_claims_and_signature(void **state)
{
	struct perc_jwk *key;
	json_t *jwk = key_json(&key);
	char *text = NULL, *again = NULL;
	struct perc_jws s = { 0 }, t = { 0 };
	int64_t n;

	assert_int_equal(
	    assertion_make(&text, jwk, "admin", "https://kmf.example", 1000000),
	    0);
	assert_int_equal(
	    perc_jws_verify(&s, text, strlen(text), 8192, key, "JWT"), 0);
	assert_string_equal(perc_json_str(s.payload, "iss"), "admin");
	assert_string_equal(perc_json_str(s.payload, "sub"), "admin");
	assert_string_equal(
	    perc_json_str(s.payload, "aud"), "https://kmf.example");
	assert_int_equal(perc_json_int(&n, s.payload, "exp", 0, 1 << 30), 0);
	assert_int_equal(n, 1000120);
	assert_string_equal(perc_json_str(s.header, "alg"), "ES256");
	/* never the same twice */
	assert_int_equal(assertion_make(&again, jwk, "admin",
			     "https://kmf.example", 1000000),
	    0);
	assert_int_equal(
	    perc_jws_verify(&t, again, strlen(again), 8192, key, "JWT"), 0);
	assert_string_not_equal(
	    perc_json_str(s.payload, "jti"), perc_json_str(t.payload, "jti"));
	perc_jws_clear(&s);
	perc_jws_clear(&t);
	text_free(text);
	text_free(again);
	json_decref(jwk);
	perc_jwk_free(key);
}

static void
test_other_key_does_not_verify(void **state)
{
	struct perc_jwk *key, *other;
	json_t *jwk = key_json(&key);
	char *text = NULL;
	struct perc_jws s = { 0 };

	assert_int_equal(perc_jwk_generate(&other), 0);
	assert_int_equal(assertion_make(&text, jwk, "a", "b", 1), 0);
	assert_int_equal(
	    perc_jws_verify(&s, text, strlen(text), 8192, other, "JWT"),
	    PERC_ERR_AUTH);
	perc_jws_clear(&s);
	text_free(text);
	json_decref(jwk);
	perc_jwk_free(key);
	perc_jwk_free(other);
}

static void
test_keys_of_other_kinds(void **state)
{
	static const char *const names[] = { "x", "y", "d", "crv" };
	struct perc_jwk *key;
	char *text = NULL;

	for (size_t i = 0; i < 4; i++) {
		json_t *jwk = key_json(&key);

		json_object_set_new(jwk, names[i], json_string("AAAA"));
		assert_int_not_equal(
		    assertion_make(&text, jwk, "a", "b", 1), 0);
		json_object_del(jwk, names[i]);
		assert_int_equal(
		    assertion_make(&text, jwk, "a", "b", 1), PERC_ERR_FORMAT);
		json_decref(jwk);
		perc_jwk_free(key);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_claims_and_signature),
		cmocka_unit_test(test_other_key_does_not_verify),
		cmocka_unit_test(test_keys_of_other_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
