/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perc/ecdhes.c beside OpenSSL's own derivation from the other side, with its
 * single-step KDF; that cjose opens what is sealed so is test_jose's.
 */
#include "tests/perc/unit.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <string.h>

#include "perc/ecdhes.h"

static EVP_PKEY *
key_new(uint8_t xy[static 64])
{
	EVP_PKEY *k = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	uint8_t *point = NULL;

	assert_non_null(k);
	assert_int_equal(EVP_PKEY_get1_encoded_public_key(k, &point), 65);
	memcpy(xy, point + 1, 64);
	OPENSSL_free(point);
	return k;
}

/* RFC 7518 section 4.6.2; its appendix C spells OtherInfo out. */
static void
sskdf(uint8_t key[static 32], uint8_t *secret)
{
	static uint8_t info[] = { 0, 0, 0, 7, 'A', '2', '5', '6', 'G', 'C', 'M',
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0 };
	static char digest[] = "SHA256";
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "SSKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	const OSSL_PARAM params[] = { OSSL_PARAM_construct_utf8_string(
					  OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_KEY, secret, 32),
		OSSL_PARAM_construct_octet_string(
		    OSSL_KDF_PARAM_INFO, info, sizeof(info)),
		OSSL_PARAM_construct_end() };

	assert_non_null(ctx);
	assert_int_equal(EVP_KDF_derive(ctx, key, 32, params), 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

static void
other_side(uint8_t key[static 32], EVP_PKEY *mine, const uint8_t *epk)
{
	EVP_PKEY *peer = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(mine, NULL);
	uint8_t point[65] = { 4 }, secret[32];
	size_t n = sizeof(secret);

	memcpy(point + 1, epk, 64);
	assert_int_equal(
	    EVP_PKEY_set1_encoded_public_key(peer, point, sizeof(point)), 1);
	assert_int_equal(EVP_PKEY_derive_init(ctx), 1);
	assert_int_equal(EVP_PKEY_derive_set_peer(ctx, peer), 1);
	assert_int_equal(EVP_PKEY_derive(ctx, secret, &n), 1);
	sskdf(key, secret);
	EVP_PKEY_CTX_free(ctx);
	EVP_PKEY_free(peer);
}

static void
test_both_sides_agree(void **state)
{
	uint8_t to[2][64], epk[64], key[32], want[32];
	EVP_PKEY *k[2] = { key_new(to[0]), key_new(to[1]) };

	for (int i = 0; i < 8; i++) {
		assert_int_equal(perc_ecdhes_make(key, epk, to[i % 2]), 0);
		other_side(want, k[i % 2], epk);
		assert_memory_equal(key, want, sizeof(key));
		other_side(want, k[1 - i % 2], epk);
		assert_memory_not_equal(key, want, sizeof(key));
	}
	EVP_PKEY_free(k[0]);
	EVP_PKEY_free(k[1]);
}

static void
test_every_ephemeral_key_is_new(void **state)
{
	uint8_t to[64], epk[8][64], key[8][32];
	EVP_PKEY *k = key_new(to);

	for (int i = 0; i < 8; i++) {
		assert_int_equal(perc_ecdhes_make(key[i], epk[i], to), 0);
		assert_memory_not_equal(epk[i], to, 64);
		for (int j = 0; j < i; j++) {
			assert_memory_not_equal(epk[i], epk[j], 64);
			assert_memory_not_equal(key[i], key[j], 32);
		}
	}
	EVP_PKEY_free(k);
}

static void
test_what_is_no_point_agrees_on_nothing(void **state)
{
	static const uint8_t zeros[32];
	uint8_t to[64], bad[64], epk[64], key[32];
	EVP_PKEY *k = key_new(to);

	memset(key, 0, sizeof(key));
	memcpy(bad, to, sizeof(bad));
	bad[63] ^= 1; /* beside the curve */
	assert_int_equal(perc_ecdhes_make(key, epk, bad), PERC_ERR_FORMAT);
	memset(bad, 0, sizeof(bad));
	assert_int_equal(perc_ecdhes_make(key, epk, bad), PERC_ERR_FORMAT);
	memset(bad, 0xff, 32); /* beyond the field */
	assert_int_equal(perc_ecdhes_make(key, epk, bad), PERC_ERR_FORMAT);
	assert_memory_equal(key, zeros, sizeof(key));
	assert_int_equal(perc_ecdhes_make(key, epk, to), 0);
	EVP_PKEY_free(k);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_sides_agree),
		cmocka_unit_test(test_every_ephemeral_key_is_new),
		cmocka_unit_test(test_what_is_no_point_agrees_on_nothing),
	};

	return cmocka_run_group_tests_name("ecdhes", tests, NULL, NULL);
}
