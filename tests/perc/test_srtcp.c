/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SRTCP as libsrtp does it for us: the packets of an unrelated implementation,
 * replay, E = 0, and the bounds that we put around the library.
 */
#include "tests/perc/bytes.h"

#include "perc/srtp.h"

static struct perc_srtcp *
leg(unsigned profile, int inbound)
{
	uint8_t key[32], salt[12];
	struct perc_srtcp *s;

	count_up(key, 0, 32);
	count_up(salt, 0xa0, 12);
	CALL(perc_srtcp_new(&s, profile, key, salt, inbound));
	return s;
}

static size_t
report(uint8_t *p, uint32_t ssrc)
{
	hex(p, "81c8000bcafebabe");
	put32(p + 4, ssrc);
	memset(p + 8, 0xab, 16);
	return 24;
}

static void
test_vectors(void **state)
{
	static const char *const want[] = {
		"81c8000bcafebabe c98b8b5df0392a55852b6c21ac8e7025"
		"c52c6fbea2b3b446ea31123ba88ce61e 80000001",
		"81c8000bcafebabe 8abfafa780070a90e80f9161cf4aac08"
		"1ed93aaa53c15b0f3ed1a3b984167b03 80000001",
	};
	uint8_t p[64 + PERC_SRTCP_ROOM], plain[64];
	struct perc_srtcp *tx, *rx;
	size_t n;
	unsigned i;

	for (i = 0; i < 2; i++) {
		tx = leg(PERC_AEAD_AES_128_GCM + i, 0);
		rx = leg(PERC_AEAD_AES_128_GCM + i, 1);
		n = report(p, 0xcafebabe);
		CALL(perc_srtcp_protect(tx, p, &n));
		assert_hex(p, n, want[i]);
		CALL(perc_srtcp_unprotect(rx, p, &n));
		assert_int_equal(n, report(plain, 0xcafebabe));
		assert_memory_equal(p, plain, n);
		perc_srtcp_free(tx);
		perc_srtcp_free(rx);
	}
}

static void
test_REQ_F_4_4a_F_4_4c_rtcp(void **state)
{
	struct perc_srtcp *tx = leg(7, 0), *rx = leg(7, 1);
	uint8_t p[200][64 + PERC_SRTCP_ROOM], q[64 + PERC_SRTCP_ROOM];
	size_t n = 0, len, i;

	for (i = 0; i < 200; i++) {
		n = report(p[i], 7);
		CALL(perc_srtcp_protect(tx, p[i], &n));
	}
	for (i = 0; i < n * 8; i++) {
		memcpy(q, p[0], n);
		q[i / 8] ^= (uint8_t)(1 << i % 8);
		len = n;
		assert_int_not_equal(perc_srtcp_unprotect(rx, q, &len), 0);
	}
	for (i = 0; i < n; i++) {
		memcpy(q, p[0], n);
		len = i;
		assert_int_not_equal(perc_srtcp_unprotect(rx, q, &len), 0);
	}
	for (i = 0; i < 200; i += 2) {
		memcpy(q, p[i], n);
		len = n;
		CALL(perc_srtcp_unprotect(rx, q, &len));
		memcpy(q, p[i], n);
		len = n;
		assert_int_equal(
		    perc_srtcp_unprotect(rx, q, &len), PERC_ERR_REPLAY);
	}
	memcpy(q, p[199 - 64], n);
	len = n;
	CALL(perc_srtcp_unprotect(rx, q, &len)); /* late, but in the window */
	memcpy(q, p[1], n);
	len = n;
	assert_int_equal(perc_srtcp_unprotect(rx, q, &len), PERC_ERR_REPLAY);
	perc_srtcp_free(tx);
	perc_srtcp_free(rx);
}

static void
test_clear_text(void **state)
{
	struct perc_srtcp *tx = leg(8, 0), *rx = leg(8, 1);
	uint8_t p[64 + PERC_SRTCP_ROOM], q[64 + PERC_SRTCP_ROOM];
	size_t n = report(p, 7), len;

	CALL(perc_srtcp_clear_text(tx));
	CALL(perc_srtcp_protect(tx, p, &n));
	assert_int_equal(n, 24 + 20);
	assert_int_equal(p[8], 0xab);
	assert_int_equal(p[n - 4], 0);
	memcpy(q, p, n);
	q[9] ^= 1;
	len = n;
	assert_int_equal(perc_srtcp_unprotect(rx, q, &len), PERC_ERR_AUTH);
	memcpy(q, p, n);
	q[n - 4] |= 0x80; /* claims to be encrypted */
	len = n;
	assert_int_equal(perc_srtcp_unprotect(rx, q, &len), PERC_ERR_AUTH);
	memcpy(q, p, n);
	len = n;
	CALL(perc_srtcp_unprotect(rx, q, &len));
	assert_int_equal(len, 24);
	len = n;
	assert_int_equal(perc_srtcp_unprotect(rx, p, &len), PERC_ERR_REPLAY);
	assert_int_equal(perc_srtcp_clear_text(tx), PERC_ERR_STATE);
	perc_srtcp_free(tx);
	perc_srtcp_free(rx);
}

static void
test_index_set(void **state)
{
	static const uint32_t at[] = { 0, 1, 2, 3, 100, 126, 127, 128, 129,
		0x5d4, 70000, 0x7fffff00, 0x7fffff81, 0x7fffff82, 0x7ffffffe,
		0x7fffffff };
	uint8_t p[64 + PERC_SRTCP_ROOM], want[4];
	struct perc_srtcp *tx;
	size_t i, n;

	for (i = 0; i < sizeof(at) / sizeof(at[0]); i++) {
		tx = leg(7, 0);
		CALL(perc_srtcp_index_set(tx, 7, at[i]));
		n = report(p, 7);
		CALL(perc_srtcp_protect(tx, p, &n));
		put32(want, at[i] | 0x80000000u);
		assert_memory_equal(p + n - 4, want, 4);
		assert_int_equal(
		    perc_srtcp_index_set(tx, 7, 5), PERC_ERR_STATE);
		if (at[i] == 0x7fffffff) { /* 2^31 packets a key, no more */
			n = report(p, 7);
			assert_int_equal(
			    perc_srtcp_protect(tx, p, &n), PERC_ERR_LIMIT);
		}
		perc_srtcp_free(tx);
	}
	tx = leg(7, 0);
	assert_int_equal(
	    perc_srtcp_index_set(tx, 7, 0x80000000u), PERC_ERR_INVAL);
	perc_srtcp_free(tx);
}

static void
test_streams_bounded(void **state)
{
	struct perc_srtcp *tx[2] = { leg(7, 0), leg(7, 0) }, *rx = leg(7, 1);
	uint8_t p[64 + PERC_SRTCP_ROOM];
	uint32_t i;
	size_t n;

	for (i = 0; i < PERC_SRTCP_STREAMS_MAX + 1; i++) {
		n = report(p, i);
		assert_int_equal(
		    perc_srtcp_protect(tx[i == PERC_SRTCP_STREAMS_MAX], p, &n),
		    0);
		assert_int_equal(perc_srtcp_unprotect(rx, p, &n),
		    i == PERC_SRTCP_STREAMS_MAX ? PERC_ERR_LIMIT : 0);
	}
	n = report(p, i);
	assert_int_equal(perc_srtcp_protect(tx[0], p, &n), PERC_ERR_LIMIT);
	n = report(p, 5);
	CALL(perc_srtcp_protect(tx[0], p, &n));
	CALL(perc_srtcp_unprotect(rx, p, &n));
	assert_int_equal(perc_srtcp_unprotect(tx[0], p, &n), PERC_ERR_STATE);
	assert_int_equal(perc_srtcp_protect(rx, p, &n), PERC_ERR_STATE);
	perc_srtcp_free(tx[0]);
	perc_srtcp_free(tx[1]);
	perc_srtcp_free(rx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_REQ_F_4_4a_F_4_4c_rtcp),
		cmocka_unit_test(test_clear_text),
		cmocka_unit_test(test_index_set),
		cmocka_unit_test(test_streams_bounded),
	};

	return cmocka_run_group_tests_name("srtcp", tests, NULL, NULL);
}
