/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sending rules of RFC 8870 sections 4.3.1, 4.5 and 4.6, told from what
 * leaves the sender: which field, under which SPI and Epoch, and which key
 * encrypted.
 */
#include "tests/perc/bytes.h"

#include "perc/double.h"
#include "perc/inner.h"
#include "perc/tail.h"

#define SSRC 0xcafebabe

static struct perc_ekt *ekt;

static struct perc_enckey
set(uint16_t spi)
{
	struct perc_enckey k = { .cipher = PERC_AESKW128,
		.profile = PERC_DOUBLE_128,
		.keylen = 16,
		.spi = spi };

	count_up(k.key, (uint8_t)spi, 16);
	count_up(k.salt, (uint8_t)(spi + 99), sizeof(k.salt));
	return k;
}

static void
add(uint16_t spi, int64_t expires_ms)
{
	struct perc_enckey k = set(spi);

	CALL(perc_ekt_add(ekt, &k, expires_ms));
}

static int
setup(void **state)
{
	CALL(perc_ekt_new(&ekt));
	add(1, 1000000);
	add(2, 1000000);
	add(3, 1000000);
	return 0;
}

static int
teardown(void **state)
{
	perc_ekt_free(ekt);
	return 0;
}

static struct perc_double_tx *
sender(enum perc_full_rule rule)
{
	struct perc_double_tx *t;

	CALL(perc_double_tx_new(&t, ekt, SSRC, rule));
	return t;
}

struct sent { /* one packet as it left */
	uint8_t p[512];
	size_t n;
	struct perc_tail tail;
	struct perc_ekt_plain plain; /* of a Full field */
};

static void
send_packet(struct perc_double_tx *t, int64_t now, uint16_t seq, struct sent *s)
{
	uint8_t p[64];
	size_t n = rtp_make(p, SSRC, seq, 40);

	CALL(perc_double_tx_seal(t, now, p, n, s->p, sizeof(s->p), &s->n));
	CALL(perc_tail_find(&s->tail, s->p, s->n));
	assert_int_equal(s->n, n + PERC_INNER_ROOM + s->tail.len);
	if (s->tail.type == PERC_TAIL_FULL) {
		CALL(perc_ekt_open(ekt, s->tail.spi, s->tail.ciphertext,
		    s->tail.ciphertext_len, &s->plain));
		assert_int_equal(s->plain.ssrc, SSRC);
		assert_int_equal(s->plain.keylen, 16);
	}
}

/* Did the key that `field` announced encrypt packet s, at this index? */
static bool
opens(const struct sent *s, const struct sent *field, uint64_t index)
{
	uint8_t out[512];
	struct perc_inner in;
	struct perc_gcm *g;
	size_t len;
	int r;

	CALL(perc_ekt_gcm(ekt, field->tail.spi, field->plain.key, 16, &g));
	CALL(perc_inner_parse(&in, s->p, s->n - s->tail.len));
	r = perc_inner_open(g, &in, index, out, &len);
	perc_gcm_free(g);
	return r == 0;
}

static void
test_new_sender_three_full(void **state)
{
	struct perc_double_tx *t = sender(PERC_FULL_AUDIO);
	struct sent s, first;
	int i;

	CALL(perc_double_tx_switch(t, 1, 0));
	for (i = 0; i < 20; i++) { /* 20 ms a packet */
		send_packet(t, i * 20, (uint16_t)(10 + i), &s);
		if (i == 0)
			first = s;
		/* three in a row, then 100 ms after the last one */
		assert_int_equal(
		    s.tail.type == PERC_TAIL_FULL, i < 3 || (i - 2) % 5 == 0);
		assert_true(opens(&s, &first, 10u + (unsigned)i));
		if (s.tail.type == PERC_TAIL_FULL) {
			assert_int_equal(s.tail.epoch, 0);
			assert_int_equal(s.tail.spi, 1);
			assert_memory_equal(s.plain.key, first.plain.key, 16);
		}
	}
	perc_double_tx_free(t);
}

static void
test_video_rule(void **state)
{
	struct perc_double_tx *t = sender(PERC_FULL_VIDEO);
	struct sent s;
	int i, full = 0;

	CALL(perc_double_tx_switch(t, 1, 0));
	for (i = 0; i < 3; i++)
		send_packet(t, i, (uint16_t)i, &s);
	for (; i < 900; i++) {
		send_packet(t, i, (uint16_t)i, &s);
		assert_int_equal(s.tail.type, PERC_TAIL_SHORT);
	}
	perc_double_tx_key_frame(t);
	send_packet(t, i, (uint16_t)i, &s);
	assert_int_equal(s.tail.type, PERC_TAIL_FULL);
	for (i++; i < 5000; i++) { /* no key frame: once a second */
		send_packet(t, i, (uint16_t)i, &s);
		full += s.tail.type == PERC_TAIL_FULL;
	}
	assert_int_equal(full, 4);
	perc_double_tx_free(t);
}

/* Who joins lacks the key, and his leg may come up any time within seconds:
 * Full fields 100 ms apart, however many join. */
static void
test_newcomer(void **state)
{
	struct perc_double_tx *t = sender(PERC_FULL_VIDEO);
	int now, full_at = 0;
	struct sent s;

	CALL(perc_double_tx_switch(t, 1, 0));
	for (now = 0; now < 9000; now += 10) {
		if (now == 450 || (now >= 5200 && now < 5900))
			perc_double_tx_newcomer(t, now);
		send_packet(t, now, (uint16_t)(now / 10), &s);
		if (now < 30 || now == 450) { /* at once */
			assert_int_equal(s.tail.type, PERC_TAIL_FULL);
		} else if ((now > 450 && now < 3450) ||
		    (now >= 5200 && now < 8890)) { /* 5890 was the last */
			assert_int_equal(s.tail.type == PERC_TAIL_FULL,
			    now - full_at >= 100);
		} else {
			assert_int_equal(s.tail.type == PERC_TAIL_FULL,
			    now - full_at >= 1000);
		}
		if (s.tail.type == PERC_TAIL_FULL)
			full_at = now;
	}
	perc_double_tx_free(t);
}

/* Not even with one newcomer is a field sooner than 100 ms after another. */
static void
test_newcomer_waits_his_turn(void **state)
{
	struct perc_double_tx *t = sender(PERC_FULL_AUDIO);
	struct sent s;
	int i;

	CALL(perc_double_tx_switch(t, 1, 0));
	for (i = 0; i < 3; i++)
		send_packet(t, i, (uint16_t)i, &s);
	perc_double_tx_newcomer(t, 3);
	for (; i < 400; i++) {
		send_packet(t, i, (uint16_t)i, &s);
		assert_int_equal(s.tail.type == PERC_TAIL_FULL, i % 100 == 2);
	}
	perc_double_tx_free(t);
}

/* REQ-WC-4.8a. A new EKT key: a new E2E key, announced under the new SPI with
 * Epoch 0, while the old one encrypts for 250 ms. */
static void
test_REQ_F_4_5d_rekey(void **state)
{
	struct perc_double_tx *t = sender(PERC_FULL_AUDIO);
	struct sent s, old, new;
	int i;

	CALL(perc_double_tx_switch(t, 1, 0));
	for (i = 0; i < 10; i++) {
		send_packet(t, i * 20, (uint16_t)i, &s);
		if (i == 0)
			old = s;
	}
	CALL(perc_double_tx_switch(t, 2, 200));
	for (i = 10; i < 40; i++) {
		send_packet(t, i * 20, (uint16_t)i, &s);
		if (i < 13) {
			assert_int_equal(s.tail.type, PERC_TAIL_FULL);
			new = s;
		}
		if (s.tail.type == PERC_TAIL_FULL) {
			assert_int_equal(s.tail.spi, 2);
			assert_int_equal(s.tail.epoch, 0);
		}
		/* first announced at 200 ms */
		assert_int_equal(perc_double_tx_spi(t), i < 23 ? 1 : 2);
		assert_true(opens(&s, i < 23 ? &old : &new, (uint64_t)i));
		assert_false(opens(&s, i < 23 ? &new : &old, (uint64_t)i));
	}
	assert_memory_not_equal(old.plain.key, new.plain.key, 16);
	perc_double_tx_free(t);
}

/* The owner may change its key at any time: Epoch + 1 under the same SPI. */
static void
test_REQ_F_4_5h_own_change(void **state)
{
	struct perc_double_tx *t = sender(PERC_FULL_AUDIO);
	struct sent s;
	uint16_t e, seq = 0;

	for (e = 0; e < 5; e++) {
		CALL(perc_double_tx_switch(t, 1, e * 1000));
		send_packet(t, e * 1000, seq++, &s);
		assert_int_equal(s.tail.type, PERC_TAIL_FULL);
		assert_int_equal(s.tail.epoch, e);
	}
	CALL(perc_double_tx_switch(t, 2, 9000));
	CALL(perc_double_tx_switch(t, 2, 9001)); /* nobody saw the first */
	send_packet(t, 9002, seq++, &s);
	assert_int_equal(s.tail.spi, 2);
	assert_int_equal(s.tail.epoch, 0);
	perc_double_tx_free(t);
}

/* Three rekeys within 100 ms: each key waits its own 250 ms, the old one does
 * not live on. */
static void
test_rekey_storm(void **state)
{
	struct perc_double_tx *t = sender(PERC_FULL_AUDIO);
	struct sent s;
	int now;
	uint16_t seq = 0;

	CALL(perc_double_tx_switch(t, 1, 0));
	send_packet(t, 0, seq++, &s);
	for (now = 1000; now < 1500; now += 10) {
		if (now == 1000)
			CALL(perc_double_tx_switch(t, 2, now));
		if (now == 1050)
			CALL(perc_double_tx_switch(t, 3, now));
		if (now == 1100)
			CALL(perc_double_tx_switch(t, 1, now));
		send_packet(t, now, seq++, &s);
		assert_int_equal(perc_double_tx_spi(t),
		    now < 1250	     ? 1
			: now < 1300 ? 2
			: now < 1350 ? 3
				     : 1);
	}
	send_packet(t, 2000, seq++, &s);
	assert_int_equal(s.tail.epoch, 1); /* second key under SPI 1 */
	perc_double_tx_free(t);
}

/* A storm longer than the queue: the oldest goes first. */
/* The first key encrypts for 250 ms more: whoever lost its only field would
 * open nothing of that. The newest goes first. */
static void
test_each_of_a_storm_gets_three_full(void **state)
{
	static const uint16_t spi[] = { 1, 2, 2, 2, 1, 1 };
	struct perc_double_tx *t = sender(PERC_FULL_AUDIO);
	struct sent s, first = { 0 };
	uint16_t i;

	CALL(perc_double_tx_switch(t, 1, 0));
	for (i = 0; i < 6; i++) {
		send_packet(t, 20 * i, i, &s);
		assert_int_equal(s.tail.type, PERC_TAIL_FULL);
		assert_int_equal(s.tail.spi, spi[i]);
		if (i == 0) {
			first = s;
			CALL(perc_double_tx_switch(t, 2, 10));
		}
		assert_true(
		    opens(&s, &first, (uint64_t)first.plain.roc << 16 | i));
	}
	send_packet(t, 119, 6, &s);
	assert_int_equal(s.tail.type, PERC_TAIL_SHORT);
	send_packet(t, 200, 7, &s);
	assert_int_equal(s.tail.type, PERC_TAIL_FULL);
	assert_int_equal(s.tail.spi, 2);
	perc_double_tx_free(t);
}

/* Under one SPI its Epoch would be a step back. */
static void
test_own_change_ends_the_burst(void **state)
{
	struct perc_double_tx *t = sender(PERC_FULL_AUDIO);
	struct sent s;
	uint16_t i;

	CALL(perc_double_tx_switch(t, 1, 0));
	send_packet(t, 0, 0, &s);
	CALL(perc_double_tx_switch(t, 1, 10));
	for (i = 1; i < 4; i++) {
		send_packet(t, 20 * i, i, &s);
		assert_int_equal(s.tail.type, PERC_TAIL_FULL);
		assert_int_equal(s.tail.epoch, 1);
	}
	send_packet(t, 80, 4, &s);
	assert_int_equal(s.tail.type, PERC_TAIL_SHORT);
	perc_double_tx_free(t);
}

static void
test_queue_full(void **state)
{
	struct perc_double_tx *t = sender(PERC_FULL_AUDIO);
	struct sent s;
	uint16_t i;

	for (i = 0; i < 20; i++) {
		CALL(perc_double_tx_switch(t, (uint16_t)(1 + i % 3), i));
		send_packet(t, i, i, &s);
	}
	send_packet(t, 500, i, &s);
	assert_int_equal(perc_double_tx_spi(t), 1 + 19 % 3);
	perc_double_tx_free(t);
}

/* A source that was silent begins with the new key: the evicted may have the
 * old one. */
static void
test_silent_source(void **state)
{
	struct perc_double_tx *t = sender(PERC_FULL_AUDIO);
	struct sent s;

	CALL(perc_double_tx_switch(t, 1, 0));
	send_packet(t, 0, 1, &s);
	CALL(perc_double_tx_switch(t, 2, 1000));
	send_packet(t, 1250, 2, &s);
	assert_int_equal(s.tail.spi, 2);
	assert_int_equal(perc_double_tx_spi(t), 2);
	assert_true(opens(&s, &s, 2));
	perc_double_tx_free(t);
}

/* The tag's ROC is that of its packet; the key, SPI and Epoch stay. */
static void
test_roc_in_tag(void **state)
{
	struct perc_double_tx *t = sender(PERC_FULL_AUDIO);
	struct sent a, b;
	uint32_t i;

	CALL(perc_double_tx_switch(t, 1, 0));
	send_packet(t, 0, 65535, &a);
	assert_int_equal(a.plain.roc, 0);
	for (i = 1; i <= 24; i++) { /* three wraps */
		send_packet(t, i * 100, (uint16_t)(65535 + i * 8192), &b);
		assert_int_equal(b.tail.type, PERC_TAIL_FULL);
		assert_int_equal(b.plain.roc, (65535 + i * 8192) >> 16);
		assert_int_equal(b.tail.epoch, 0);
		assert_memory_equal(a.plain.key, b.plain.key, 16);
		assert_true(opens(&b, &a, 65535 + i * 8192));
	}
	CALL(perc_double_tx_switch(t, 2, 10000)); /* not reset by a rekey */
	send_packet(t, 10000, (uint16_t)(65536 + i * 8192), &b);
	assert_int_equal(b.plain.roc, perc_double_tx_roc(t));
	assert_int_equal(b.plain.roc, 4);
	perc_double_tx_free(t);
}

/* REQ-J-7b: nor under one that is for listening only. */
static void
test_nothing_without_key(void **state)
{
	struct perc_double_tx *t = sender(PERC_FULL_AUDIO);
	struct perc_enckey ro = set(77);
	uint8_t p[64], out[256];
	size_t n = rtp_make(p, SSRC, 1, 40), len;
	struct sent s;

	assert_int_equal(
	    perc_double_tx_seal(t, 0, p, n, out, 256, &len), PERC_ERR_STATE);
	assert_int_equal(perc_double_tx_switch(t, 9, 0), PERC_ERR_UNKNOWN_KEY);
	ro.recvonly = 1;
	CALL(perc_ekt_add(ekt, &ro, 5000));
	assert_int_equal(perc_double_tx_switch(t, 77, 0), PERC_ERR_DENIED);
	add(9, 5000);
	CALL(perc_double_tx_switch(t, 9, 0));
	send_packet(t, 4999, 1, &s);
	rtp_make(p, SSRC, 2, 40);
	assert_int_equal(perc_double_tx_seal(t, 5000, p, n, out, 256, &len),
	    PERC_ERR_STATE); /* ttl over */
	assert_int_equal(
	    perc_double_tx_switch(t, 9, 5000), PERC_ERR_UNKNOWN_KEY);
	CALL(perc_double_tx_switch(t, 1, 5000));
	send_packet(t, 5000, 2, &s);
	perc_double_tx_drop(t, 1);
	rtp_make(p, SSRC, 3, 40);
	assert_int_equal(
	    perc_double_tx_seal(t, 5001, p, n, out, 256, &len), PERC_ERR_STATE);
	perc_double_tx_free(t);
}

static void
test_expiry_in_overlap(void **state)
{
	struct perc_double_tx *t = sender(PERC_FULL_AUDIO);
	struct sent s;

	add(9, 1100);
	CALL(perc_double_tx_switch(t, 9, 0));
	send_packet(t, 0, 1, &s);
	CALL(perc_double_tx_switch(t, 1, 1000));
	send_packet(t, 1010, 2, &s);
	assert_int_equal(perc_double_tx_spi(t), 9);
	send_packet(t, 1100, 3, &s); /* before the 250 ms are over */
	assert_int_equal(perc_double_tx_spi(t), 1);
	perc_double_tx_free(t);
}

static void
test_input(void **state)
{
	struct perc_double_tx *t = sender(PERC_FULL_AUDIO);
	uint8_t p[64], out[256];
	size_t n = rtp_make(p, SSRC, 1, 40), i, len;

	CALL(perc_double_tx_switch(t, 1, 0));
	for (i = 0; i < 12; i++)
		assert_int_equal(
		    perc_double_tx_seal(t, 0, p, i, out, 256, &len),
		    PERC_ERR_SHORT);
	for (i = 0; i < n + 17 + 47; i++)
		assert_int_equal(perc_double_tx_seal(t, 0, p, n, out, i, &len),
		    PERC_ERR_SHORT);
	CALL(perc_double_tx_seal(t, 0, p, n, out, i, &len));
	assert_int_equal(perc_double_tx_seal(t, 0, p, n, out, 256, &len),
	    PERC_ERR_REPLAY); /* a nonce never repeats, not with a new key */
	CALL(perc_double_tx_switch(t, 2, 1000));
	assert_int_equal(perc_double_tx_seal(t, 2000, p, n, out, 256, &len),
	    PERC_ERR_REPLAY);
	p[11] ^= 1;
	assert_int_equal(
	    perc_double_tx_seal(t, 0, p, n, out, 256, &len), PERC_ERR_INVAL);
	perc_double_tx_free(t);
}

/* Keys travel in Full fields and nowhere else. */
static void
test_REQ_F_4_2a_only_in_full(void **state)
{
	struct perc_double_tx *t = sender(PERC_FULL_AUDIO);
	struct sent s;
	uint8_t key[16];
	size_t j;
	uint16_t i;

	CALL(perc_double_tx_switch(t, 1, 0));
	send_packet(t, 0, 0, &s);
	memcpy(key, s.plain.key, 16);
	for (i = 1; i < 50; i++) {
		send_packet(t, i * 20, i, &s);
		if (s.tail.type == PERC_TAIL_FULL)
			assert_memory_equal(s.plain.key, key, 16);
		for (j = 0; j + 16 <= s.n; j++)
			assert_memory_not_equal(s.p + j, key, 16);
	}
	perc_double_tx_free(t);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_new_sender_three_full),
		T(test_video_rule),
		T(test_newcomer),
		T(test_newcomer_waits_his_turn),
		T(test_REQ_F_4_5d_rekey),
		T(test_REQ_F_4_5h_own_change),
		T(test_rekey_storm),
		T(test_each_of_a_storm_gets_three_full),
		T(test_own_change_ends_the_burst),
		T(test_queue_full),
		T(test_silent_source),
		T(test_roc_in_tag),
		T(test_nothing_without_key),
		T(test_expiry_in_overlap),
		T(test_input),
		T(test_REQ_F_4_2a_only_in_full),
	};

	return cmocka_run_group_tests_name("double_tx", tests, NULL, NULL);
}
