/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of parameter sets, the EKTField as two implementations made it
 * (RFC 8870 with the RFC 5649 wrap), and the arithmetic of Epochs.
 */
#include "tests/perc/bytes.h"

#include "perc/ekt.h"
#include "perc/tail.h"

static const struct vector {
	enum perc_ekt_cipher cipher;
	enum perc_double_profile profile;
	size_t keylen;
	const char *ct, *trailer;
} vectors[] = {
	{ PERC_AESKW128, PERC_DOUBLE_128, 16,
	    "f0d8bc9a5fc61ed0a508b5a79cec78e485597c68c921e48b7e6b04d7aa0e8214"
	    "8e92ac2900763757",
	    "1234 0000 002f 02" },
	{ PERC_AESKW256, PERC_DOUBLE_256, 32,
	    "fc743af4bb9a08c37ad27d9372cfd2acab5fa0d64e1524235e1b5bc66ce7572d"
	    "3fdcc619cb434e0edde61caac1600dff9cc2a455fe0faad2",
	    "1234 0000 003f 02" },
};

static struct perc_enckey
set(const struct vector *v, uint16_t spi)
{
	struct perc_enckey k = { .cipher = v->cipher,
		.profile = v->profile,
		.keylen = v->keylen,
		.spi = spi };

	count_up(k.key, 0, v->keylen);
	count_up(k.salt, 0xb0, sizeof(k.salt));
	return k;
}

static struct perc_ekt *
table(const struct vector *v)
{
	struct perc_enckey k = set(v, 0x1234);
	struct perc_ekt *e;

	CALL(perc_ekt_new(&e));
	CALL(perc_ekt_add(e, &k, 1000));
	return e;
}

static void
srtp_key(uint8_t *key)
{
	count_up(key, 0xf0, 16);
	count_up(key + 16, 0xf0, 16);
}

static void
test_vectors(void **state)
{
	uint8_t key[32], out[PERC_EKT_FIELD_MAX], got[PERC_EKT_KEY_MAX];
	const struct vector *v;
	struct perc_ekt *e;
	struct perc_tail t;
	size_t n, i, len;
	uint32_t roc;

	srtp_key(key);
	for (i = 0; i < 2; i++) {
		v = &vectors[i];
		e = table(v);
		CALL(perc_ekt_full(
		    e, 0x1234, 0, key, v->keylen, 0xcafebabe, 1, out, &n));
		assert_hex(out, n - 7, v->ct);
		assert_hex(out + n - 7, 7, v->trailer);
		CALL(perc_tail_find(&t, out, n));
		CALL(perc_ekt_unwrap(e, t.spi, t.ciphertext, t.ciphertext_len,
		    0xcafebabe, got, &len, &roc));
		assert_int_equal(len, v->keylen);
		assert_memory_equal(got, key, len);
		assert_int_equal(roc, 1);
		perc_ekt_free(e);
	}
}

static void
test_256_wraps_16(void **state)
{
	struct perc_enckey k = set(&vectors[1], 7);
	uint8_t key[32], out[PERC_EKT_FIELD_MAX];
	struct perc_ekt *e;
	size_t n;

	srtp_key(key);
	k.profile = PERC_DOUBLE_128;
	CALL(perc_ekt_new(&e));
	CALL(perc_ekt_add(e, &k, 1000));
	CALL(perc_ekt_full(e, 7, 0, key, 16, 1, 0, out, &n));
	assert_int_equal(n, 47);
	perc_ekt_free(e);
}

static void
test_unwrap_refuses(void **state)
{
	uint8_t key[32], out[PERC_EKT_FIELD_MAX], got[PERC_EKT_KEY_MAX];
	uint8_t zero[PERC_EKT_KEY_MAX] = { 0 };
	struct perc_ekt *e = table(&vectors[0]);
	struct perc_enckey k = set(&vectors[1], 8);
	size_t n, len, i;
	uint32_t roc;

	srtp_key(key);
	CALL(perc_ekt_full(e, 0x1234, 0, key, 16, 0xcafebabe, 1, out, &n));
	for (i = 0; i < 40 * 8; i++) {
		out[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(perc_ekt_unwrap(e, 0x1234, out, 40, 0xcafebabe,
				     got, &len, &roc),
		    PERC_ERR_AUTH);
		assert_memory_equal(got, zero, sizeof(got));
		out[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (i = 0; i < 40; i++)
		assert_int_not_equal(perc_ekt_unwrap(e, 0x1234, out, i,
					 0xcafebabe, got, &len, &roc),
		    0);
	assert_int_equal(
	    perc_ekt_unwrap(e, 0x1235, out, 40, 0xcafebabe, got, &len, &roc),
	    PERC_ERR_UNKNOWN_KEY);
	assert_int_equal(
	    perc_ekt_unwrap(e, 0x1234, out, 40, 0xcafebabf, got, &len, &roc),
	    PERC_ERR_FORMAT);
	assert_memory_equal(got, zero, sizeof(got));
	/* the same octets under a set for 32-octet keys: wrong length */
	k.profile = PERC_DOUBLE_128;
	CALL(perc_ekt_add(e, &k, 1000));
	CALL(perc_ekt_full(e, 8, 0, key, 16, 1, 0, out, &n));
	perc_ekt_drop(e, 8);
	k.profile = PERC_DOUBLE_256;
	CALL(perc_ekt_add(e, &k, 1000));
	assert_int_equal(perc_ekt_unwrap(e, 8, out, 40, 1, got, &len, &roc),
	    PERC_ERR_FORMAT);
	assert_int_equal(
	    perc_ekt_full(e, 8, 0, key, 16, 1, 0, out, &n), PERC_ERR_INVAL);
	assert_int_equal(perc_ekt_full(e, 9, 0, key, 16, 1, 0, out, &n),
	    PERC_ERR_UNKNOWN_KEY);
	perc_ekt_free(e);
}

static void
test_add(void **state)
{
	struct perc_enckey k = set(&vectors[0], 1), bad;
	struct perc_ekt *e;
	unsigned i;

	CALL(perc_ekt_new(&e));
	CALL(perc_ekt_add(e, &k, 1000));
	assert_int_equal(perc_ekt_add(e, &k, 1000), PERC_ERR_EXISTS);
	bad = k;
	bad.key[15] ^= 1;
	assert_int_equal(perc_ekt_add(e, &bad, 1000), PERC_ERR_CONFLICT);
	bad = k;
	bad.salt[0] ^= 1;
	assert_int_equal(perc_ekt_add(e, &bad, 1000), PERC_ERR_CONFLICT);
	bad = k;
	bad.spi = 2;
	bad.profile = PERC_DOUBLE_256; /* RFC 8870 section 6 */
	assert_int_equal(perc_ekt_add(e, &bad, 1000), PERC_ERR_UNSUPPORTED);
	bad.profile = 7;
	assert_int_equal(perc_ekt_add(e, &bad, 1000), PERC_ERR_INVAL);
	bad = k;
	bad.keylen = 32;
	assert_int_equal(perc_ekt_add(e, &bad, 1000), PERC_ERR_INVAL);
	bad.cipher = 0;
	assert_int_equal(perc_ekt_add(e, &bad, 1000), PERC_ERR_INVAL);
	for (i = 1; i < PERC_EKT_SETS_MAX; i++) {
		k.spi = (uint16_t)(1 + i);
		CALL(perc_ekt_add(e, &k, 1000 + i));
	}
	k.spi = 99;
	assert_int_equal(perc_ekt_add(e, &k, 1000), PERC_ERR_LIMIT);
	assert_int_equal(perc_ekt_count(e), PERC_EKT_SETS_MAX);
	assert_true(perc_ekt_live(e, 1, 999));
	assert_false(perc_ekt_live(e, 1, 1000));
	assert_int_equal(perc_ekt_expire(e, 1004), 5);
	assert_false(perc_ekt_has(e, 1));
	assert_true(perc_ekt_has(e, 6));
	assert_int_equal(perc_ekt_drop(e, 6), 1);
	assert_int_equal(perc_ekt_drop(e, 6), 0);
	assert_int_equal(perc_ekt_count(e), PERC_EKT_SETS_MAX - 6);
	perc_ekt_free(e);
	perc_ekt_free(NULL);
}

/* The inner salt is the one that came with the EKT key. */
static void
test_REQ_F_4_5c_salt(void **state)
{
	struct perc_ekt *e = table(&vectors[0]);
	uint8_t key[32], salt[12], in[4] = { 0 }, a[20], b[20], aad[12];
	struct perc_gcm *g, *want;

	srtp_key(key);
	memset(aad, 0x80, sizeof(aad));
	count_up(salt, 0xb0, sizeof(salt));
	CALL(perc_ekt_gcm(e, 0x1234, key, 16, &g));
	CALL(perc_gcm_new(&want, key, 16, salt));
	CALL(perc_gcm_seal(g, 1, 1, aad, 12, in, 4, a));
	CALL(perc_gcm_seal(want, 1, 1, aad, 12, in, 4, b));
	assert_memory_equal(a, b, sizeof(a));
	perc_gcm_free(g);
	perc_gcm_free(want);
	assert_int_equal(perc_ekt_gcm(e, 1, key, 16, &g), PERC_ERR_UNKNOWN_KEY);
	perc_ekt_free(e);
}

static void
test_epochs(void **state)
{
	struct perc_epochs s = { .n = 0 };
	struct perc_ekt *e = table(&vectors[0]);
	uint16_t i;

	assert_int_equal(perc_epochs_high(&s, 1), -1);
	CALL(perc_epochs_check(&s, 1, 0));
	perc_epochs_commit(&s, 1, 0);
	assert_int_equal(perc_epochs_check(&s, 1, 0), PERC_ERR_REPLAY);
	CALL(perc_epochs_check(&s, 1, 1));
	perc_epochs_commit(&s, 1, 5);
	assert_int_equal(perc_epochs_check(&s, 1, 5), PERC_ERR_REPLAY);
	perc_epochs_lower(&s, 1, 0); /* not under the key before */
	assert_int_equal(perc_epochs_high(&s, 1), 5);
	perc_epochs_lower(&s, 1, 1);
	assert_int_equal(perc_epochs_high(&s, 1), 1);
	perc_epochs_lower(&s, 1, 9);
	assert_int_equal(perc_epochs_high(&s, 1), 1);
	CALL(perc_epochs_check(&s, 2, 0)); /* each SPI counts alone */
	for (i = 2; i <= PERC_EKT_SETS_MAX; i++)
		perc_epochs_commit(&s, i, 0);
	assert_int_equal(perc_epochs_check(&s, 99, 0), PERC_ERR_LIMIT);
	perc_epochs_commit(&s, 99, 0); /* nothing happens */
	assert_int_equal(perc_epochs_high(&s, 99), -1);
	s.e[3].spi = 0x1234; /* the one that the table has */
	perc_epochs_purge(&s, e);
	assert_int_equal(s.n, 1);
	assert_int_equal(perc_epochs_high(&s, 0x1234), 0);
	perc_ekt_free(e);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_256_wraps_16),
		cmocka_unit_test(test_unwrap_refuses),
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_REQ_F_4_5c_salt),
		cmocka_unit_test(test_epochs),
	};

	return cmocka_run_group_tests_name("ekt", tests, NULL, NULL);
}
