/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perc/es256.c: the examples of RFC 7515 and RFC 6979, and that one key's
 * point never answers for another's.
 */
#include "tests/perc/unit.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <string.h>

#include "perc/b64.h"
#include "perc/es256.h"

struct example {
	uint8_t key[PERC_ES256_KEY_LEN], sig[PERC_ES256_SIG_LEN];
	const char *text;
};

/* RFC 7515 appendix A.3 */
static struct example
rfc7515(void)
{
	struct example e = {
		.text = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEz"
			"MDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290"
			"Ijp0cnVlfQ"
	};

	assert_int_equal(perc_b64_get_exact(e.key, 32,
			     "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
	    0);
	assert_int_equal(perc_b64_get_exact(e.key + 32, 32,
			     "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
	    0);
	assert_int_equal(
	    perc_b64_get_exact(e.sig, sizeof(e.sig),
		"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8IS"
		"lSApmWQxfKTUJqPP3-Kg6NU1Q"),
	    0);
	return e;
}

/* RFC 6979 appendix A.2.5 */
static struct example
rfc6979(void)
{
	struct example e = { .text = "sample" };

	assert_int_equal(
	    unhex(e.key,
		"60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29"
		"fb67903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4"
		"462299"),
	    64);
	assert_int_equal(
	    unhex(e.sig,
		"efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3"
		"716f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f84"
		"3acda8"),
	    64);
	return e;
}

static int
verify(const uint8_t *key, const struct example *e)
{
	return perc_es256_verify(key, e->text, strlen(e->text), e->sig);
}

/* By OpenSSL's own form of a signature. */
static void
sign(uint8_t sig[static 64], EVP_PKEY *k, const char *text)
{
	EVP_MD_CTX *m = EVP_MD_CTX_new();
	uint8_t der[80];
	const uint8_t *p = der;
	size_t n = sizeof(der);
	ECDSA_SIG *s;

	assert_non_null(m);
	assert_int_equal(EVP_DigestSignInit(m, NULL, EVP_sha256(), NULL, k), 1);
	assert_int_equal(
	    EVP_DigestSign(m, der, &n, (const uint8_t *)text, strlen(text)), 1);
	EVP_MD_CTX_free(m);
	assert_non_null(s = d2i_ECDSA_SIG(NULL, &p, (long)n));
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_r(s), sig, 32), 32);
	assert_int_equal(BN_bn2binpad(ECDSA_SIG_get0_s(s), sig + 32, 32), 32);
	ECDSA_SIG_free(s);
}

static void
test_RFC_7515_and_6979(void **state)
{
	struct example a = rfc7515(), b = rfc6979();

	assert_int_equal(verify(a.key, &a), 0);
	assert_int_equal(verify(b.key, &b), 0);
	assert_int_equal(perc_es256_key_check(a.key), 0);
}

/* The key that was looked at before must not count. */
static void
test_each_key_for_itself(void **state)
{
	struct example a = rfc7515(), b = rfc6979();

	for (int i = 0; i < 3; i++) {
		assert_int_equal(verify(a.key, &a), 0);
		assert_int_equal(verify(b.key, &a), PERC_ERR_AUTH);
		assert_int_equal(verify(b.key, &b), 0);
		assert_int_equal(verify(a.key, &b), PERC_ERR_AUTH);
		assert_int_equal(perc_es256_key_check(b.key), 0);
		assert_int_equal(verify(a.key, &a), 0);
	}
}

static void
test_what_is_no_key_verifies_nothing(void **state)
{
	struct example a = rfc7515();
	uint8_t bad[3][PERC_ES256_KEY_LEN];

	memcpy(bad[0], a.key, sizeof(bad[0]));
	bad[0][63] ^= 1; /* beside the curve */
	memset(bad[1], 0, sizeof(bad[1]));
	memcpy(bad[2], a.key, sizeof(bad[2]));
	memset(bad[2], 0xff, 32); /* beyond the field */
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(verify(a.key, &a), 0);
		assert_int_equal(perc_es256_key_check(bad[i]), PERC_ERR_FORMAT);
		assert_int_equal(verify(bad[i], &a), PERC_ERR_FORMAT);
		assert_int_equal(verify(a.key, &a), 0);
	}
}

static void
test_every_bit_counts(void **state)
{
	struct example a = rfc7515();

	for (size_t i = 0; i < 8 * sizeof(a.sig); i += 5) {
		a.sig[i / 8] ^= (uint8_t)(1u << (i % 8));
		assert_int_equal(verify(a.key, &a), PERC_ERR_AUTH);
		a.sig[i / 8] ^= (uint8_t)(1u << (i % 8));
	}
	assert_int_equal(verify(a.key, &a), 0);
	assert_int_equal(
	    perc_es256_verify(a.key, a.text, strlen(a.text) - 1, a.sig),
	    PERC_ERR_AUTH);
}

/* An INTEGER of DER is as short as it can be and not negative. */
static void
test_numbers_of_every_length(void **state)
{
	EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	struct example e = { .text = "sample" };
	unsigned shorter = 0, longer = 0;
	uint8_t *point = NULL;

	assert_non_null(k);
	assert_int_equal(EVP_PKEY_get1_encoded_public_key(k, &point), 65);
	memcpy(e.key, point + 1, sizeof(e.key));
	OPENSSL_free(point);
	/* A first octet is 0 and the next below 128 once in 256 signatures. */
	for (int i = 0; i < 16384 && (shorter == 0 || longer == 0); i++) {
		bool is_short, is_long;

		sign(e.sig, k, e.text);
		is_short = (e.sig[0] == 0 && e.sig[1] < 0x80) ||
		    (e.sig[32] == 0 && e.sig[33] < 0x80);
		is_long = (e.sig[0] & 0x80) != 0;
		if (is_short || is_long)
			assert_int_equal(verify(e.key, &e), 0);
		shorter += is_short;
		longer += is_long;
	}
	assert_true(shorter > 0 && longer > 0);
	EVP_PKEY_free(k);
}

/* r or s of nothing, or of the order itself: FIPS 186-5, 6.4.2 */
static void
test_numbers_out_of_range(void **state)
{
	static const char *const order =
	    "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
	struct example a = rfc7515(), b;
	uint8_t n[32];

	assert_int_equal(unhex(n, order), 32);
	for (size_t half = 0; half < 64; half += 32) {
		b = a;
		memset(b.sig + half, 0, 32);
		assert_int_equal(verify(b.key, &b), PERC_ERR_AUTH);
		memcpy(b.sig + half, n, 32);
		assert_int_equal(verify(b.key, &b), PERC_ERR_AUTH);
	}
	memset(a.sig, 0, sizeof(a.sig));
	assert_int_equal(verify(a.key, &a), PERC_ERR_AUTH);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_RFC_7515_and_6979),
		cmocka_unit_test(test_each_key_for_itself),
		cmocka_unit_test(test_what_is_no_key_verifies_nothing),
		cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_numbers_of_every_length),
		cmocka_unit_test(test_numbers_out_of_range),
	};

	return cmocka_run_group_tests_name("es256", tests, NULL, NULL);
}
