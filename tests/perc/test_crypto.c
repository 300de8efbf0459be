/* SPDX-License-Identifier: Apache-2.0 */
/* perc/crypto.c: FIPS 180-4, RFC 4231, RFC 5869; seals that are touched. */
#include "tests/perc/unit.h"

#include <stdlib.h>

#include "perc/crypto.h"

static void
assert_hex(const uint8_t *have, size_t n, const char *hex)
{
	uint8_t want[128];

	assert_int_equal(unhex(want, hex), n);
	assert_memory_equal(have, want, n);
}

static void
test_sha256(void **state)
{
	uint8_t out[PERC_SHA256_LEN];

	assert_int_equal(perc_sha256(out, "abc", 3), 0);
	assert_hex(out, 32,
	    "ba7816bf8f01cfea414140de5dae2223"
	    "b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(perc_sha256(out, "", 0), 0);
	assert_hex(out, 32,
	    "e3b0c44298fc1c149afbf4c8996fb924"
	    "27ae41e4649b934ca495991b7852b855");
}

static void
test_RFC_4231_hmac(void **state)
{
	uint8_t out[PERC_SHA256_LEN];

	assert_int_equal(perc_hmac_sha256(out, "Jefe", 4,
			     "what do ya want for nothing?", 28),
	    0);
	assert_hex(out, 32,
	    "5bdcc146bf60754e6a042426089575c7"
	    "5a003f089d2739839dec58b964ec3843");
	/* An absent key is an empty key. */
	assert_int_equal(perc_hmac_sha256(out, NULL, 0, "", 0), 0);
	assert_hex(out, 32,
	    "b613679a0814d9ec772f95d778c35fc5"
	    "ff1697c493715653c6c712144292c5ad");
}

static const struct {
	const char *ikm, *salt, *info, *okm;
} hkdf[] = { /* RFC 5869 appendix A */
	{ "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
	    "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
	    "3cb25f25faacd57a90434f64d0362f2a"
	    "2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865" },
	{ "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	  "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
	  "404142434445464748494a4b4c4d4e4f",
	    "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
	    "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
	    "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
	    "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
	    "d0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeef"
	    "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
	    "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
	    "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
	    "cc30c58179ec3e87c14c01d5c1f3434f1d87" },
	{ "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
	    "8da4e775a563c18f715f802a063c5a31"
	    "b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8" }
};

static void
test_RFC_5869_hkdf(void **state)
{
	uint8_t ikm[128], salt[128], info[129], out[128];

	for (size_t i = 0; i < COUNT(hkdf); i++) {
		size_t n = strlen(hkdf[i].okm) / 2;
		size_t ikmlen = unhex(ikm, hkdf[i].ikm);
		size_t saltlen = unhex(salt, hkdf[i].salt);

		info[unhex(info, hkdf[i].info)] = '\0';
		assert_int_equal(perc_hkdf_sha256(out, n, ikm, ikmlen, salt,
				     saltlen, (const char *)info),
		    0);
		assert_hex(out, n, hkdf[i].okm);
	}
}

static void
test_hkdf_bounds(void **state)
{
	static uint8_t out[255 * 32 + 1];
	char info[258];

	memset(info, 'i', sizeof(info));
	info[257] = '\0';
	assert_int_equal(
	    perc_hkdf_sha256(out, 32, "k", 1, NULL, 0, info), PERC_ERR_INVAL);
	assert_int_equal(
	    perc_hkdf_sha256(out, 32, "k", 1, NULL, 0, info + 1), 0);
	assert_int_equal(
	    perc_hkdf_sha256(out, sizeof(out), "k", 1, NULL, 0, ""),
	    PERC_ERR_INVAL);
	assert_int_equal(
	    perc_hkdf_sha256(out, sizeof(out) - 1, "k", 1, NULL, 0, ""), 0);
}

static void
test_every_touch_of_a_seal_is_seen(void **state)
{
	static const uint8_t key[32] = "0123456789abcdef0123456789abcde";
	uint8_t sealed[20 + PERC_SEAL_OVERHEAD], out[20], zero[20] = { 0 };
	size_t n = sizeof(sealed);

	assert_int_equal(
	    perc_seal(sealed, key, "aad", 3, "a key of twenty octs", 20), 0);
	assert_int_equal(perc_unseal(out, key, "aad", 3, sealed, n), 0);
	assert_memory_equal(out, "a key of twenty octs", 20);
	for (size_t i = 0; i < n; i++) {
		sealed[i] ^= 0x40;
		memset(out, 0xee, sizeof(out));
		assert_int_equal(
		    perc_unseal(out, key, "aad", 3, sealed, n), PERC_ERR_AUTH);
		assert_memory_equal(out, zero, 20);
		sealed[i] ^= 0x40;
	}
	assert_int_equal(
	    perc_unseal(out, key, "aae", 3, sealed, n), PERC_ERR_AUTH);
	assert_int_equal(
	    perc_unseal(out, key, "aad", 2, sealed, n), PERC_ERR_AUTH);
	assert_int_equal(
	    perc_unseal(out, key, "aad", 3, sealed, n - 1), PERC_ERR_AUTH);
	for (size_t i = 0; i < PERC_SEAL_OVERHEAD; i++)
		assert_int_equal(
		    perc_unseal(out, key, NULL, 0, sealed, i), PERC_ERR_SHORT);
}

static void
test_seals_of_nothing_and_their_nonces(void **state)
{
	uint8_t key[32] = { 1 }, a[PERC_SEAL_OVERHEAD], b[PERC_SEAL_OVERHEAD];
	uint8_t out[1];

	assert_int_equal(perc_seal(a, key, NULL, 0, NULL, 0), 0);
	assert_int_equal(perc_seal(b, key, NULL, 0, NULL, 0), 0);
	assert_memory_not_equal(a, b, PERC_GCM_NONCE_LEN);
	assert_int_equal(perc_unseal(out, key, NULL, 0, a, sizeof(a)), 0);
	a[27] ^= 1;
	assert_int_equal(
	    perc_unseal(out, key, NULL, 0, a, sizeof(a)), PERC_ERR_AUTH);
}

static void
test_random(void **state)
{
	uint8_t a[1000], b[1000];
	char id[32], other[32];

	perc_random(a, sizeof(a));
	perc_random(b, sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a + 990, b + 990, 10);
	perc_random_id(id, sizeof(id), "c_");
	perc_random_id(other, sizeof(other), "c_");
	assert_int_equal(strlen(id), 24);
	assert_memory_equal(id, "c_", 2);
	assert_string_not_equal(id, other);
	assert_true(perc_random_u32() != perc_random_u32() ||
	    perc_random_u32() != perc_random_u32());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_RFC_4231_hmac),
		cmocka_unit_test(test_RFC_5869_hkdf),
		cmocka_unit_test(test_hkdf_bounds),
		cmocka_unit_test(test_every_touch_of_a_seal_is_seen),
		cmocka_unit_test(test_seals_of_nothing_and_their_nonces),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests_name("crypto", tests, NULL, NULL);
}
