/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One hop: packets as two unrelated implementations made them, the rollover
 * counter, the replay window, and that an unverified packet changes nothing.
 */
#include "tests/perc/bytes.h"

#include "perc/srtp.h"

static struct perc_srtp *
hop(enum perc_srtp_profile profile, unsigned streams)
{
	uint8_t key[32], salt[12];
	struct perc_srtp *s;

	count_up(key, 0, 32);
	count_up(salt, 0xa0, 12);
	CALL(perc_srtp_new(&s, profile, key, salt, streams, 64));
	return s;
}

static int
protect(
    struct perc_srtp *s, uint32_t ssrc, uint16_t seq, uint8_t *out, size_t *n)
{
	uint8_t p[64];
	struct perc_rtp h;
	size_t len = rtp_make(p, ssrc, seq, 20);

	CALL(perc_rtp_parse(&h, p, len));
	return perc_srtp_protect(s, &h, p, len, out, n);
}

static int
unprotect(struct perc_srtp *s, const uint8_t *p, size_t n)
{
	uint8_t out[128];
	struct perc_rtp h;
	size_t len;
	int r;

	if ((r = perc_rtp_parse(&h, p, n)) != 0)
		return r;
	return perc_srtp_unprotect(s, &h, p, n, out, &len);
}

static void
test_vectors(void **state)
{
	static const char *const want[] = {
		"800f1234decafbadcafebabe c5002ede04cfdd2eb91159e0880aa06e"
		"d2976826f796b201df3131a127e8a392",
		"800f1234decafbadcafebabe 0af7f21e8a90bdad7a425c9c31ed4bb1"
		"d90238917e7390a2793500e1681acaea",
	};
	uint8_t p[64], back[64];
	struct perc_srtp *s;
	struct perc_rtp h;
	size_t i, n;

	for (i = 0; i < 2; i++) {
		s = hop(PERC_AEAD_AES_128_GCM + (unsigned)i, 1);
		n = hex(p, "800f1234decafbadcafebabe");
		memset(p + n, 0xab, 16);
		CALL(perc_rtp_parse(&h, p, 28));
		CALL(perc_srtp_protect(s, &h, p, 28, p, &n)); /* in place */
		assert_hex(p, n, want[i]);
		perc_srtp_free(s);
		s = hop(PERC_AEAD_AES_128_GCM + (unsigned)i, 1);
		CALL(perc_srtp_unprotect(s, &h, p, n, back, &n));
		assert_int_equal(n, 28);
		assert_int_equal(back[27], 0xab);
		perc_srtp_free(s);
	}
}

/* Every RTP packet is authenticated on every hop, failures are dropped, and
 * what does not verify leaves no trace. */
static void
test_REQ_F_4_4a_F_8_1a_every_bit(void **state)
{
	struct perc_srtp *tx = hop(PERC_AEAD_AES_256_GCM, 4);
	struct perc_srtp *rx = hop(PERC_AEAD_AES_256_GCM, 4);
	uint8_t p[64];
	size_t n, bit;
	uint32_t roc;

	CALL(protect(tx, 7, 100, p, &n));
	for (bit = 0; bit < n * 8; bit++) {
		p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(unprotect(rx, p, n), 0);
		p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (bit = 0; bit < n; bit++)
		assert_int_not_equal(unprotect(rx, p, bit), 0);
	assert_int_equal(perc_srtp_roc_get(rx, 7, &roc), PERC_ERR_NOTFOUND);
	CALL(unprotect(rx, p, n));
	CALL(perc_srtp_roc_get(rx, 7, &roc));
	perc_srtp_free(tx);
	perc_srtp_free(rx);
}

static void
test_REQ_F_4_4c_replay(void **state)
{
	struct perc_srtp *tx = hop(PERC_AEAD_AES_128_GCM, 4);
	struct perc_srtp *rx = hop(PERC_AEAD_AES_128_GCM, 4);
	static uint8_t p[100][64];
	size_t n = 0, i;

	for (i = 0; i < 100; i++)
		CALL(protect(tx, 7, (uint16_t)(65500 + i), p[i], &n));
	CALL(unprotect(rx, p[30], n));
	CALL(unprotect(rx, p[99], n)); /* forward over the wrap */
	assert_int_equal(unprotect(rx, p[99], n), PERC_ERR_REPLAY);
	assert_int_equal(unprotect(rx, p[35], n), PERC_ERR_REPLAY);
	CALL(unprotect(rx, p[36], n)); /* back over it: the window's edge */
	for (i = 37; i < 99; i++)
		CALL(unprotect(rx, p[i], n));
	for (i = 0; i < 100; i++)
		assert_int_equal(unprotect(rx, p[i], n), PERC_ERR_REPLAY);
	perc_srtp_free(tx);
	perc_srtp_free(rx);
}

static void
test_roc_follows(void **state)
{
	struct perc_srtp *tx = hop(PERC_AEAD_AES_128_GCM, 4);
	struct perc_srtp *rx = hop(PERC_AEAD_AES_128_GCM, 4);
	uint8_t p[64];
	uint32_t roc, i;
	size_t n;

	for (i = 0; i < 40; i++) { /* five wraps in steps of 8192 */
		CALL(protect(tx, 7, (uint16_t)(i * 8192), p, &n));
		CALL(unprotect(rx, p, n));
		CALL(perc_srtp_roc_get(rx, 7, &roc));
		assert_int_equal(roc, i / 8);
	}
	perc_srtp_free(rx);
	rx = hop(PERC_AEAD_AES_128_GCM, 4);
	assert_int_equal(unprotect(rx, p, n), PERC_ERR_AUTH);
	CALL(perc_srtp_roc_set(rx, 7, roc)); /* the late joiner is told */
	CALL(unprotect(rx, p, n));
	assert_int_equal(perc_srtp_roc_set(rx, 7, 9), PERC_ERR_STATE);
	perc_srtp_free(tx);
	perc_srtp_free(rx);
}

static void
test_no_nonce_twice(void **state)
{
	struct perc_srtp *tx = hop(PERC_AEAD_AES_128_GCM, 1);
	uint8_t p[64];
	size_t n;

	CALL(protect(tx, 7, 10, p, &n));
	assert_int_equal(protect(tx, 7, 10, p, &n), PERC_ERR_REPLAY);
	CALL(protect(tx, 7, 200, p, &n));
	CALL(protect(tx, 7, 150, p, &n));
	assert_int_equal(protect(tx, 7, 100, p, &n), PERC_ERR_REPLAY);
	perc_srtp_forget(tx, 7); /* nor by forgetting */
	assert_int_equal(protect(tx, 7, 200, p, &n), PERC_ERR_REPLAY);
	assert_int_equal(protect(tx, 7, 151, p, &n), PERC_ERR_REPLAY);
	assert_int_equal(perc_srtp_roc_set(tx, 7, 0), PERC_ERR_STATE);
	CALL(protect(tx, 7, 201, p, &n));
	assert_int_equal(protect(tx, 7, 199, p, &n), PERC_ERR_REPLAY);
	perc_srtp_free(tx);
}

static void
test_last_index(void **state)
{
	struct perc_srtp *tx = hop(PERC_AEAD_AES_128_GCM, 1);
	uint8_t p[64];
	size_t n;

	CALL(perc_srtp_roc_set(tx, 7, 0xffffffff));
	CALL(protect(tx, 7, 0xffff, p, &n));
	assert_int_equal(protect(tx, 7, 0, p, &n), PERC_ERR_LIMIT);
	perc_srtp_free(tx);
}

static void
test_table(void **state)
{
	enum { M = 50 };
	struct perc_srtp *tx = hop(PERC_AEAD_AES_128_GCM, M);
	uint8_t p[64];
	uint32_t i;
	size_t n;

	for (i = 0; i < M; i++)
		CALL(protect(tx, i * 0x10000, 1, p, &n));
	assert_int_equal(protect(tx, 0xdead, 1, p, &n), PERC_ERR_LIMIT);
	for (i = 0; i < M; i++)
		CALL(protect(tx, i * 0x10000, 2, p, &n));
	/* rooms are used again, what they held is remembered */
	for (i = 0; i < PERC_SRTP_FORGOTTEN_MAX * M - 1; i++) {
		perc_srtp_forget(tx, i < M ? i * 0x10000 : i);
		CALL(protect(tx, i + M, 1, p, &n));
	}
	perc_srtp_forget(tx, i);
	assert_int_equal(protect(tx, 0xdead, 1, p, &n), PERC_ERR_LIMIT);
	assert_int_equal(protect(tx, 0x10000, 2, p, &n), PERC_ERR_REPLAY);
	CALL(protect(tx, 0x10000, 3, p, &n));
	perc_srtp_free(tx);
}

/* A leg lives longer than its speakers: a new one is heard, whoever has been
 * silent for longest gives way, and a forgery moves nobody. */
static void
test_evicting(void **state)
{
	enum { M = 4 };
	struct perc_srtp *tx = hop(PERC_AEAD_AES_128_GCM, 64);
	struct perc_srtp *rx = hop(PERC_AEAD_AES_128_GCM, M);
	uint8_t p[64], old[64];
	size_t n, oldn = 0;
	uint32_t i;

	CALL(perc_srtp_evicting(rx));
	for (i = 1; i <= M; i++) {
		CALL(protect(tx, i, 1, p, &n));
		CALL(unprotect(rx, p, n));
		if (i == 2) {
			memcpy(old, p, n);
			oldn = n;
		}
	}
	CALL(protect(tx, 1, 2, p, &n)); /* so that 2 is the idlest */
	CALL(unprotect(rx, p, n));
	CALL(protect(tx, 9, 1, p, &n));
	p[n - 1] ^= 1;
	assert_int_equal(unprotect(rx, p, n), PERC_ERR_AUTH);
	assert_int_equal(unprotect(rx, old, oldn), PERC_ERR_REPLAY);
	CALL(protect(tx, 2, 100, p, &n)); /* its window is there: behind 100 */
	CALL(unprotect(rx, p, n));
	CALL(protect(tx, 2, 99, p, &n));
	CALL(unprotect(rx, p, n));
	CALL(protect(tx, 9, 2, p, &n)); /* 3 goes */
	CALL(unprotect(rx, p, n));
	CALL(protect(tx, 2, 98, p, &n)); /* 2 stays */
	CALL(unprotect(rx, p, n));
	/* who comes back goes on from where it was */
	CALL(protect(tx, 3, 2, p, &n));
	CALL(unprotect(rx, p, n));
	assert_int_equal(unprotect(rx, p, n), PERC_ERR_REPLAY);
	perc_srtp_free(tx);
	perc_srtp_free(rx);
}

/* Whoever it is: what comes late is taken from the live, not from the one
 * that went. */
static void
test_evicting_the_idlest(void **state)
{
	enum { M = 4 };

	for (uint32_t idle = 1; idle <= M; idle++) {
		struct perc_srtp *tx = hop(PERC_AEAD_AES_128_GCM, 64);
		struct perc_srtp *rx = hop(PERC_AEAD_AES_128_GCM, M);
		uint8_t late[M + 1][64], p[64];
		size_t n;

		CALL(perc_srtp_evicting(rx));
		for (uint16_t seq = 5; seq <= 7; seq++)
			for (uint32_t i = 1; i <= M; i++) {
				if (seq == 7 && i == idle)
					continue;
				CALL(protect(
				    tx, i, seq, seq == 5 ? late[i] : p, &n));
				if (seq > 5)
					CALL(unprotect(rx, p, n));
			}
		CALL(protect(tx, 9, 1, p, &n));
		CALL(unprotect(rx, p, n));
		for (uint32_t i = 1; i <= M; i++)
			assert_int_equal(unprotect(rx, late[i], n),
			    i == idle ? PERC_ERR_REPLAY : 0);
		perc_srtp_free(tx);
		perc_srtp_free(rx);
	}
}

/* What was forgotten is remembered so that nothing comes twice; when that is
 * full only a new key helps. */
static void
test_evicting_has_an_end(void **state)
{
	enum { M = 4 };
	struct perc_srtp *tx = hop(PERC_AEAD_AES_128_GCM, 64);
	struct perc_srtp *rx = hop(PERC_AEAD_AES_128_GCM, M);
	uint8_t p[64];
	uint32_t i;
	size_t n;

	CALL(perc_srtp_evicting(rx));
	for (i = 0; i < M * (1 + PERC_SRTP_FORGOTTEN_MAX); i++) {
		CALL(protect(tx, i, 1, p, &n));
		CALL(unprotect(rx, p, n));
	}
	CALL(protect(tx, i, 1, p, &n));
	assert_int_equal(unprotect(rx, p, n), PERC_ERR_LIMIT);
	CALL(protect(tx, i - 1, 2, p, &n)); /* the live go on */
	CALL(unprotect(rx, p, n));
	perc_srtp_free(tx);
	perc_srtp_free(rx);
}

static void
test_arguments(void **state)
{
	uint8_t key[32] = { 0 };
	struct perc_srtp *s;

	assert_int_equal(perc_srtp_new(&s, 1, key, key, 1, 64), PERC_ERR_INVAL);
	assert_int_equal(perc_srtp_new(&s, 7, key, key, 0, 64), PERC_ERR_INVAL);
	assert_int_equal(
	    perc_srtp_new(&s, 7, key, key, PERC_SRTP_STREAMS_MAX + 1, 64),
	    PERC_ERR_INVAL);
	assert_int_equal(perc_srtp_new(&s, 7, key, key, 1, 63), PERC_ERR_INVAL);
	assert_null(s);
	perc_srtp_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_REQ_F_4_4a_F_8_1a_every_bit),
		cmocka_unit_test(test_REQ_F_4_4c_replay),
		cmocka_unit_test(test_roc_follows),
		cmocka_unit_test(test_no_nonce_twice),
		cmocka_unit_test(test_last_index),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_evicting),
		cmocka_unit_test(test_evicting_the_idlest),
		cmocka_unit_test(test_evicting_has_an_end),
		cmocka_unit_test(test_arguments),
	};

	return cmocka_run_group_tests_name("srtp", tests, NULL, NULL);
}
