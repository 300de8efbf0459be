/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receiver against everything that a distributor, or anybody on the path,
 * can do to a packet: the field is outside every tag and may carry any SPI,
 * Epoch or old ciphertext; header fields may change; packets may come late,
 * twice or under another SSRC.
 */
#include "tests/perc/bytes.h"

#include "perc/double.h"
#include "perc/inner.h"
#include "perc/tail.h"

#define A 0xaaaa0001u
#define B 0xbbbb0002u

static struct perc_ekt *ekt;   /* the receiver's */
static struct perc_ekt *world; /* every set there is */
static struct perc_double_rx *rx;

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
learn(uint16_t spi, int64_t expires_ms)
{
	struct perc_enckey k = set(spi);

	CALL(perc_ekt_add(ekt, &k, expires_ms));
}

static int
setup(void **state)
{
	static const uint32_t ssrcs[] = { A, B };
	struct perc_enckey k;
	uint16_t spi;

	CALL(perc_ekt_new(&ekt));
	CALL(perc_ekt_new(&world));
	for (spi = 1; spi <= PERC_EKT_SETS_MAX; spi++) {
		k = set(spi);
		CALL(perc_ekt_add(world, &k, INT64_MAX));
	}
	learn(1, 1000000);
	CALL(perc_double_rx_new(&rx, ekt, 8, 64));
	CALL(perc_double_rx_list(rx, ssrcs, 2));
	return 0;
}

static int
teardown(void **state)
{
	perc_double_rx_free(rx);
	perc_ekt_free(ekt);
	perc_ekt_free(world);
	return 0;
}

struct pkt {
	uint8_t p[2048];
	size_t n; /* without the field */
	size_t field;
};

/* A packet of ssrc at index, sealed with key number `key` under set spi. */
static struct pkt
sealed(uint32_t ssrc, uint64_t index, uint8_t key, uint16_t spi)
{
	uint8_t plain[64], k[16];
	struct pkt p;
	struct perc_rtp h;
	struct perc_gcm *g;
	size_t n = rtp_make(plain, ssrc, (uint16_t)index, 40);

	count_up(k, key, 16);
	CALL(perc_ekt_gcm(world, spi, k, 16, &g));
	CALL(perc_rtp_parse(&h, plain, n));
	CALL(perc_inner_seal(g, &h, index, plain, n, p.p));
	perc_gcm_free(g);
	p.n = n + PERC_INNER_ROOM;
	p.p[p.n] = 0;
	p.field = 1;
	return p;
}

static void
full(struct pkt *p, uint32_t ssrc, uint32_t roc, uint8_t key, uint16_t spi,
    uint16_t epoch)
{
	uint8_t k[16];

	count_up(k, key, 16);
	CALL(perc_ekt_full(
	    world, spi, epoch, k, 16, ssrc, roc, p->p + p->n, &p->field));
}

static uint16_t missing;
static struct perc_double_in info;

static int
receive(int64_t now, const struct pkt *p)
{
	uint8_t out[2048];

	return perc_double_rx_open(
	    rx, now, p->p, p->n + p->field, out, &info, &missing);
}

/* Seal, announce with the same key, receive. */
static int
say(int64_t now, uint32_t ssrc, uint64_t index, uint8_t key, uint16_t spi,
    uint16_t epoch)
{
	struct pkt p = sealed(ssrc, index, key, spi);

	full(&p, ssrc, (uint32_t)(index >> 16), key, spi, epoch);
	return receive(now, &p);
}

static int
say_short(int64_t now, uint32_t ssrc, uint64_t index, uint8_t key, uint16_t spi)
{
	struct pkt p = sealed(ssrc, index, key, spi);

	return receive(now, &p);
}

static const struct perc_double_stats *
stats(void)
{
	return perc_double_rx_stats(rx);
}

static void
test_opens(void **state)
{
	struct pkt p = sealed(A, 100, 7, 1);
	uint8_t out[2048], want[64];
	size_t n = rtp_make(want, A, 100, 40);

	full(&p, A, 0, 7, 1, 0);
	CALL(perc_double_rx_open(
	    rx, 0, p.p, p.n + p.field, out, &info, &missing));
	assert_int_equal(info.len, n);
	assert_memory_equal(out, want, n);
	assert_int_equal(info.ssrc, A);
	assert_int_equal(info.seq, 100);
	assert_int_equal(info.outer_seq, 100);
	assert_int_equal(info.outer_pt, 0x60);
	assert_int_equal(info.spi, 1);
	assert_int_equal(info.roc, 0);
	assert_int_equal(missing, 0);
	assert_int_equal(stats()->keys, 1);
	assert_int_equal(stats()->candidates, 0);
	assert_int_equal(receive(0, &p), PERC_ERR_REPLAY);
}

/* One key for each SSRC, kept with it. */
static void
test_REQ_F_4_3a_key_per_ssrc(void **state)
{
	CALL(say(0, A, 1, 7, 1, 0));
	CALL(say(0, B, 1, 8, 1, 0));
	CALL(say_short(0, A, 2, 7, 1));
	CALL(say_short(0, B, 2, 8, 1));
	assert_int_equal(say_short(0, A, 3, 8, 1), PERC_ERR_AUTH);
	assert_int_equal(stats()->keys, 2);
	assert_int_equal(say(0, 0xcccc, 1, 9, 1, 0), PERC_ERR_DENIED);
	assert_int_equal(stats()->keys, 2);
}

static void
test_REQ_F_8_2_1a_every_bit(void **state)
{
	struct pkt p = sealed(A, 100, 7, 1), q;
	size_t bit;

	CALL(say(0, A, 99, 7, 1, 0));
	for (bit = 0; bit < p.n * 8; bit++) {
		q = p;
		q.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (bit == (p.n - 1) * 8 + 2)
			continue; /* OHB "M was 0", and so it was */
		assert_int_not_equal(receive(0, &q), 0);
	}
	for (bit = 0; bit < p.n; bit++) { /* and every cut */
		q = p;
		q.n = bit;
		q.p[bit] = 0;
		assert_int_not_equal(receive(0, &q), 0);
	}
	CALL(receive(0, &p));
}

/* What the distributor may change, it may. */
static void
test_rewritten_header(void **state)
{
	struct pkt p = sealed(A, 100, 7, 1);
	uint8_t out[2048];

	CALL(say(0, A, 99, 7, 1, 0));
	p.p[1] = 0xa0; /* PT 32, M set */
	p.p[2] = 0xee;
	p.n--; /* instead of OHB 00 */
	p.n += hex(p.p + p.n, "60 0064 07");
	p.p[p.n] = 0;
	p.field = 1;
	CALL(perc_double_rx_open(rx, 0, p.p, p.n + 1, out, &info, &missing));
	assert_int_equal(info.seq, 100);
	assert_int_equal(info.outer_seq, 0xee64);
	assert_int_equal(info.outer_pt, 32);
	assert_int_equal(out[1], 0x60);
}

/* B's packet under A's SSRC. */
static void
test_REQ_F_8_2_4a_splicing(void **state)
{
	struct pkt p;

	CALL(say(0, A, 1, 7, 1, 0));
	CALL(say(0, B, 1, 8, 1, 0));
	p = sealed(B, 2, 8, 1);
	put32(p.p + 8, A);
	assert_int_equal(receive(0, &p), PERC_ERR_AUTH);
	full(&p, B, 0, 8, 1, 1); /* with B's field: SSRC mismatch */
	assert_int_equal(receive(0, &p), PERC_ERR_AUTH);
	assert_int_equal(stats()->fields_refused, 1);
	CALL(say_short(0, A, 2, 7, 1));
	/* the mismatch alone does not drop a good packet */
	p = sealed(A, 3, 7, 1);
	full(&p, B, 0, 8, 1, 1);
	CALL(receive(0, &p));
	assert_int_equal(stats()->candidates, 0);
}

/* For the whole conference: over rekeys, wraps, and absence. */
static void
test_REQ_F_8_2_2a_replay(void **state)
{
	static const uint32_t both[] = { A, B }, only_b[] = { B };
	struct pkt old = sealed(A, 65530, 7, 1), late = sealed(A, 65531, 7, 1);
	uint64_t i;

	full(&old, A, 0, 7, 1, 0);
	CALL(receive(0, &old));
	learn(2, 1000000);
	for (i = 65532; i < 65560; i++)
		CALL(say(100, A, i, 9, 2, 0)); /* new key, over the wrap */
	assert_int_equal(receive(200, &old), PERC_ERR_REPLAY);
	CALL(receive(200, &late)); /* once, for the old key is kept */
	assert_int_equal(receive(200, &late), PERC_ERR_REPLAY);
	CALL(say_short(300, A, 65531 + 64 + 40, 9, 2));
	assert_int_equal(say_short(300, A, 65533, 9, 2), PERC_ERR_REPLAY);
	CALL(perc_double_rx_list(rx, only_b, 1));
	assert_int_equal(receive(400, &old), PERC_ERR_DENIED);
	CALL(perc_double_rx_list(rx, both, 2));
	assert_int_equal(receive(500, &old), PERC_ERR_REPLAY);
	assert_int_equal(say(500, A, 65640, 9, 2, 0), PERC_ERR_NOTFOUND);
	CALL(say(500, A, 65640, 10, 2, 1)); /* it must bring a new key */
}

/* Tags under the new set are understood from its receipt on; SPI tells. */
static void
test_REQ_F_4_5e_announcement(void **state)
{
	struct pkt p;
	uint64_t i;

	CALL(say(0, A, 1, 7, 1, 0));
	learn(2, 1000000);
	for (i = 2; i < 12; i++) { /* old key, new key's field */
		p = sealed(A, i, 7, 1);
		full(&p, A, 0, 8, 2, 0);
		CALL(receive(20, &p));
		assert_int_equal(info.spi, 1);
	}
	assert_int_equal(stats()->candidates, 1);
	assert_int_equal(stats()->unwraps, 2); /* repeats cost nothing */
	CALL(say_short(300, A, 12, 8, 2));     /* no field needed any more */
	assert_int_equal(info.spi, 2);
	assert_int_equal(stats()->candidates, 0);
	assert_int_equal(stats()->keys, 2);
}

static void
test_REQ_F_4_5f_late_packets(void **state)
{
	CALL(say(0, A, 1, 7, 1, 0));
	learn(2, 1000000);
	CALL(say(0, A, 5, 8, 2, 0));
	CALL(say_short(0, A, 3, 7, 1)); /* late, under the old key */
	assert_int_equal(perc_ekt_drop(ekt, 1), 1);
	assert_int_equal(say_short(0, A, 4, 7, 1), PERC_ERR_AUTH);
	assert_int_equal(stats()->keys, 2);
	perc_double_rx_drop(rx, 1);
	assert_int_equal(stats()->keys, 1);
	CALL(say_short(0, A, 6, 8, 2));
}

/* A set that is not there yet: the packet is tried with the keys at hand. */
static void
test_unknown_spi(void **state)
{
	struct pkt p;

	p = sealed(A, 1, 8, 2);
	full(&p, A, 0, 8, 2, 0);
	assert_int_equal(receive(0, &p), PERC_ERR_UNKNOWN_KEY);
	assert_int_equal(missing, 2);
	CALL(say(0, A, 2, 7, 1, 0));
	assert_int_equal(missing, 0);
	p = sealed(A, 3, 7, 1);
	full(&p, A, 0, 8, 2, 0);
	CALL(receive(0, &p)); /* no gap */
	assert_int_equal(missing, 2);
	assert_int_equal(say(0, A, 4, 8, 2, 0), PERC_ERR_UNKNOWN_KEY);
	learn(2, 1000000);
	CALL(say(0, A, 5, 8, 2, 0));
	assert_int_equal(say_short(0, B, 5, 8, 2), PERC_ERR_NOTFOUND);
	assert_int_equal(stats()->no_key, 2);
}

static void
test_REQ_F_8_2_3a_expired(void **state)
{
	CALL(say(0, A, 1, 7, 1, 0));
	CALL(say_short(999999, A, 2, 7, 1));
	assert_int_equal(say_short(1000000, A, 3, 7, 1), PERC_ERR_AUTH);
	assert_int_equal(say(1000000, A, 3, 7, 1, 0), PERC_ERR_UNKNOWN_KEY);
	assert_int_equal(missing, 1);
}

/* An old ciphertext under a raised Epoch does not bring its key back. */
static void
test_forged_epoch_rollback(void **state)
{
	struct pkt p;
	unsigned i;

	CALL(say(0, A, 1, 7, 1, 0));
	CALL(say(0, A, 2, 8, 1, 1));
	for (i = 0; i < 17; i++) /* many keys later the old one is gone */
		CALL(say(1000 * i, A, 3 + i, (uint8_t)(20 + i), 1,
		    (uint16_t)(2 + i)));
	p = sealed(A, 50, 7, 1);
	full(&p, A, 0, 7, 1, 500); /* inner tag would verify */
	assert_int_equal(receive(20000, &p), PERC_ERR_AUTH);
	assert_int_equal(stats()->rollbacks_refused, 1);
	assert_int_equal(say(21000, A, 51, 7, 1, 1), PERC_ERR_AUTH);
	CALL(say_short(21000, A, 52, 36, 1));
	CALL(say(22000, A, 53, 40, 1, 19)); /* no Epoch was burnt */
}

/* Epoch 0xffff on a good ciphertext does not lock out later keys. */
static void
test_forged_epoch_ffff(void **state)
{
	struct pkt p = sealed(A, 2, 7, 1);

	CALL(say(0, A, 1, 7, 1, 0));
	full(&p, A, 0, 7, 1, 0xffff); /* on the present key */
	CALL(receive(10, &p));
	CALL(say(20, A, 3, 8, 1, 1));
	p = sealed(A, 4, 9, 1); /* on a new key's first field */
	full(&p, A, 0, 9, 1, 0xffff);
	assert_int_equal(receive(30, &p), PERC_ERR_AUTH);
	p = sealed(A, 4, 9, 1);
	full(&p, A, 0, 9, 1, 2);
	CALL(receive(40, &p)); /* its true field */
	/* a leap small enough to be believed heals with the next field */
	p = sealed(A, 5, 10, 1);
	full(&p, A, 0, 10, 1, 1000);
	CALL(receive(50, &p));
	CALL(say(60, A, 6, 10, 1, 3));
	CALL(say(70, A, 7, 11, 1, 4));
}

/* What was used is remembered; with no room left for that, no new key. */
static void
test_memory_of_keys(void **state)
{
	uint16_t i;

	for (i = 0; i < 64; i++)
		CALL(say(1000 * i, A, 1 + i, i, 1, i));
	assert_int_equal(say(70000, A, 65, 64, 1, 64), PERC_ERR_AUTH);
	CALL(say_short(70000, A, 66, 63, 1)); /* the last one lives on */
	learn(2, 1000000);
	assert_int_equal(say(71000, A, 67, 65, 2, 0), PERC_ERR_AUTH);
	perc_ekt_drop(ekt, 1); /* its keys cannot come back anyway */
	perc_double_rx_drop(rx, 1);
	CALL(say(72000, A, 68, 66, 2, 0));
}

static void
test_epoch_not_higher(void **state)
{
	CALL(say(0, A, 1, 7, 1, 5));
	assert_int_equal(say(10, A, 2, 8, 1, 5), PERC_ERR_AUTH);
	assert_int_equal(say(20, A, 3, 8, 1, 4), PERC_ERR_AUTH);
	assert_int_equal(stats()->rollbacks_refused, 2);
	CALL(say_short(30, A, 4, 7, 1)); /* and nothing was lost by it */
	learn(2, 1000000);
	CALL(say(40, A, 5, 8, 2, 0)); /* starts anew with the SPI */
}

/* The lowest Epoch seen with a key counts, but none that was there before. */
static void
test_epoch_lowered(void **state)
{
	CALL(say(0, A, 1, 7, 1, 5));
	CALL(say(10, A, 2, 8, 1, 9));
	CALL(say(20, A, 3, 8, 1, 0)); /* forged: lower than key 7's */
	assert_int_equal(say(30, A, 4, 9, 1, 5), PERC_ERR_AUTH);
	CALL(say(40, A, 5, 9, 1, 10));
}

static void
test_bad_fields(void **state)
{
	struct pkt p;

	CALL(say(0, A, 1, 7, 1, 0));
	p = sealed(A, 2, 7, 1);
	full(&p, A, 0, 7, 1, 0);
	p.p[p.n + 3] ^= 1; /* does not unwrap: should drop */
	assert_int_equal(receive(0, &p), PERC_ERR_AUTH);
	assert_int_equal(receive(0, &p), PERC_ERR_AUTH);
	assert_int_equal(stats()->fields_refused, 1);
	p.p[p.n + p.field - 1] = 1; /* type never assigned */
	assert_int_equal(receive(0, &p), PERC_ERR_FORMAT);
	p.p[p.n + p.field - 1] = 4; /* unknown extension: stripped */
	CALL(receive(0, &p));
	p.n = 0;
	p.field = 1;
	p.p[0] = 0;
	assert_int_equal(receive(0, &p), PERC_ERR_SHORT);
}

/* Floods: unlisted SSRCs make nothing, listed ones little, and what a bad
 * packet brought goes with it. */
static void
test_REQ_F_8_2_1b_flood(void **state)
{
	struct pkt p;
	unsigned i;

	for (i = 0; i < 1000; i++)
		assert_int_equal(
		    say(1, 0x1000 + i, 1, (uint8_t)i, 1, 0), PERC_ERR_DENIED);
	assert_int_equal(stats()->unwraps, 0);
	CALL(say(1, A, 1, 7, 1, 0));
	for (i = 0; i < 1000; i++) { /* good fields, rubbish packets */
		p = sealed(A, 2 + i, 99, 1);
		full(&p, A, i, 100, 1, 1);
		p.p[30] ^= 1;
		assert_int_equal(receive(1, &p), PERC_ERR_AUTH);
		assert_int_equal(stats()->candidates, 0);
	}
	assert_in_range(stats()->unwraps, 1, 16);
	assert_in_range(stats()->unwraps_limited, 900, 1000);
	assert_int_equal(stats()->keys, 1);
	CALL(say(1, A, 2, 7, 1, 0));	/* A is heard all the while, */
	CALL(say(1, B, 2, 8, 1, 0));	/* and nobody else suffers */
	CALL(say(1001, A, 3, 9, 1, 1)); /* a second later it may rekey */
	/* a stream with no key yet keeps two candidates at most */
	CALL(perc_double_rx_list(rx, (uint32_t[]){ 5 }, 1));
	for (i = 0; i < 10; i++) {
		p = sealed(5, 1 + i, 99, 1);
		full(&p, 5, 0, (uint8_t)(50 + i), 1, 0);
		assert_int_equal(receive(3000, &p), PERC_ERR_AUTH);
	}
	assert_int_equal(stats()->candidates, 2);
}

/* A joiner hears streams that wrapped long ago. */
static void
test_late_joiner_roc(void **state)
{
	struct pkt p = sealed(B, 0x2fff0, 99, 1);
	uint64_t at = 0x1234500ull << 8;

	CALL(say(0, A, at, 7, 1, 3));
	assert_int_equal(info.roc, (uint32_t)(at >> 16));
	CALL(say_short(0, A, at + 30000, 7, 1));
	/* announced on packets of a key that a joiner never gets, and the
	 * first packet that it opens lies over the next wrap */
	full(&p, B, 2, 8, 1, 0);
	assert_int_equal(receive(0, &p), PERC_ERR_AUTH);
	assert_int_equal(stats()->candidates, 1);
	CALL(say_short(10, B, 0x30005, 8, 1));
	assert_int_equal(info.roc, 3);
}

/* A wrong ROC is refused, not searched for. */
static void
test_wrong_roc(void **state)
{
	struct pkt p = sealed(A, 0x50003, 7, 1);

	full(&p, A, 4, 7, 1, 0);
	assert_int_equal(receive(0, &p), PERC_ERR_AUTH);
	full(&p, A, 6, 7, 1, 0);
	assert_int_equal(receive(0, &p), PERC_ERR_AUTH);
	full(&p, A, 5, 7, 1, 0);
	CALL(receive(0, &p));
}

/* A long-muted stream: its ROC cannot be guessed, the field's is a hint. */
static void
test_roc_hint(void **state)
{
	struct pkt p;

	CALL(say(0, A, 10, 7, 1, 0));
	assert_int_equal(say_short(0, A, 0x50020, 7, 1), PERC_ERR_AUTH);
	CALL(say(0, A, 0x50021, 7, 1, 0)); /* same Epoch, same key */
	assert_int_equal(info.roc, 5);
	assert_int_equal(stats()->roc_hints, 1);
	CALL(say_short(0, A, 0x50022, 7, 1));
	p = sealed(A, 11, 7, 1); /* an old tag leads nowhere */
	full(&p, A, 0, 7, 1, 0);
	assert_int_not_equal(receive(0, &p), 0);
	CALL(say_short(0, A, 0x50023, 7, 1));
	p = sealed(A, 0x50024, 7, 1); /* nor does a future one */
	full(&p, A, 9, 7, 1, 0);
	CALL(receive(0, &p));
	assert_int_equal(info.roc, 5);
}

/* Sender and receiver together, all rules at work, no packet lost. */
static void
converse(enum perc_double_profile profile, enum perc_ekt_cipher cipher)
{
	struct perc_enckey k = set(0);
	struct perc_double_tx *t;
	uint8_t p[1500], out[1600], back[1600];
	uint16_t spi = 100;
	size_t n, len;
	int64_t now;
	unsigned i;

	k.profile = profile;
	k.cipher = cipher;
	k.keylen = cipher == PERC_AESKW128 ? 16 : 32;
	CALL(perc_double_tx_new(&t, ekt, A, PERC_FULL_AUDIO));
	for (i = 0; i < 30000; i++) {
		now = 20 * i;
		if (i % 1000 == 0) { /* the KMF rekeys */
			k.spi = ++spi;
			k.key[0]++;
			perc_double_rx_drop(rx, (uint16_t)(spi - 3));
			perc_ekt_drop(ekt, (uint16_t)(spi - 3));
			CALL(perc_ekt_add(ekt, &k, now + 100000));
			CALL(perc_double_tx_switch(t, spi, now));
		}
		n = rtp_make(p, A, (uint16_t)(60000 + 7 * i), i % 1200);
		CALL(perc_double_tx_seal(t, now, p, n, out, sizeof(out), &len));
		if (i % 50 == 3)
			continue; /* the network loses one */
		CALL(perc_double_rx_open(
		    rx, now, out, len, back, &info, &missing));
		assert_int_equal(info.len, n);
		assert_memory_equal(back, p, n);
	}
	assert_int_equal(stats()->inner_auth_failed, 0);
	assert_int_equal(stats()->keys_installed, 30);
	assert_int_equal(stats()->keys, 3);
	perc_double_tx_free(t);
}

/* A member leaves and comes back under its SSRC, with an application that
 * numbers from anywhere: a new sender, and no replay of its old self. */
static void
test_sender_returns(void **state)
{
	static const uint32_t both[] = { A, B }, only_b[] = { B };
	uint8_t p[64], out[256], back[256];
	struct perc_double_tx *t;
	unsigned life, i;
	uint16_t spi = 1;
	int64_t now = 0;
	size_t n, len;

	for (life = 0; life < 6; life++) {
		CALL(perc_double_tx_new(&t, ekt, A, PERC_FULL_AUDIO));
		CALL(perc_double_tx_switch(t, spi, now));
		for (i = 0; i < 40; i++, now += 20) {
			n = rtp_make(
			    p, A, (uint16_t)(60000 - 9000 * life + i), 40);
			CALL(perc_double_tx_seal(
			    t, now, p, n, out, sizeof(out), &len));
			CALL(perc_double_rx_open(
			    rx, now, out, len, back, &info, &missing));
		}
		perc_double_tx_free(t);
		if (life % 2 == 0) { /* the roster told, or the key changed */
			CALL(perc_double_rx_list(rx, only_b, 1));
			CALL(perc_double_rx_list(rx, both, 2));
		} else {
			learn(++spi, 1000000);
		}
		now += 500;
	}
}

static void
test_REQ_F_6_3a_rekeys_128(void **state)
{
	converse(PERC_DOUBLE_128, PERC_AESKW128);
}

static void
test_REQ_F_6_3a_rekeys_256(void **state)
{
	converse(PERC_DOUBLE_256, PERC_AESKW256);
}

/* A thousand senders go over to a new set at the same moment, twice: the
 * budget of unwraps is for floods, not for them. */
static void
test_thousand_senders(void **state)
{
	static uint32_t ssrcs[1000];
	struct perc_double_rx *small = rx;
	unsigned i, round;

	CALL(perc_double_rx_new(&rx, ekt, 1000, 64));
	for (i = 0; i < 1000; i++)
		ssrcs[i] = i * 0x10000 + 7;
	CALL(perc_double_rx_list(rx, ssrcs, 1000));
	for (round = 0; round < 2; round++) {
		if (round > 0)
			learn(2, 1000000);
		for (i = 0; i < 1000; i++)
			CALL(say(5000 + round, ssrcs[i], 1 + round,
			    (uint8_t)(i + round), (uint16_t)(1 + round), 0));
	}
	for (i = 0; i < 1000; i++)
		CALL(say_short(5002, ssrcs[i], 3, (uint8_t)(i + 1), 2));
	assert_int_equal(stats()->keys, 2000);
	assert_int_equal(stats()->unwraps, 2000);
	assert_int_equal(stats()->unwraps_limited, 0);
	perc_double_rx_drop(rx, 1);
	assert_int_equal(stats()->keys, 1000);
	perc_double_rx_free(rx);
	rx = small;
}

/* Rosters come and go; the table holds, and forgets the oldest first. */
static void
test_list(void **state)
{
	uint32_t list[8], many[9] = { 0 };
	unsigned round, i;

	assert_int_equal(perc_double_rx_list(rx, many, 9), PERC_ERR_LIMIT);
	CALL(say(0, A, 1, 7, 1, 0)); /* nothing had changed */
	for (round = 0; round < 50; round++) {
		for (i = 0; i < 8; i++)
			list[i] = round * 5 + i;
		CALL(perc_double_rx_list(rx, list, 8));
		for (i = 0; i < 8; i++) {
			int r = say(round * 100, list[i], round + 1,
			    (uint8_t)(round * 2 + 1), 1, (uint16_t)round);

			assert_int_equal(r, 0);
		}
		assert_int_equal(
		    say(0, list[7] + 1, 1, 1, 1, 0), PERC_ERR_DENIED);
		assert_in_range(stats()->keys, 8, 16);
	}
	assert_int_equal(say(0, A, 2, 7, 1, 0), PERC_ERR_DENIED);
	list[0] = A; /* long gone: it starts over, with duplicates listed */
	list[1] = A;
	CALL(perc_double_rx_list(rx, list, 2));
	CALL(say(0, A, 1, 7, 1, 0));
	CALL(perc_double_rx_list(rx, list, 0));
	assert_int_equal(stats()->keys, 0);
}

/* Kept because its key is missing, and tried with each that comes. */
static void
test_counted_once(void **state)
{
	struct pkt early, old;
	unsigned i;

	early = sealed(B, 1, 8, 2);
	full(&early, B, 0, 8, 2, 0);
	CALL(say(0, B, 2, 7, 1, 0));
	old = sealed(B, 3, 7, 1);
	CALL(receive(0, &old));
	assert_int_equal(receive(0, &early), PERC_ERR_UNKNOWN_KEY);
	perc_double_rx_again(rx, true);
	for (i = 0; i < 3; i++) {
		assert_int_equal(receive(0, &early), PERC_ERR_UNKNOWN_KEY);
		assert_int_equal(receive(0, &old), PERC_ERR_REPLAY);
	}
	assert_int_equal(stats()->inner_auth_failed, 1);
	assert_int_equal(stats()->unknown_spi, 1);
	assert_int_equal(stats()->replayed, 0);
	learn(2, 1000000);
	CALL(receive(0, &early));
	perc_double_rx_again(rx, false);
	assert_int_equal(stats()->opened, 3);
	assert_int_equal(receive(0, &early), PERC_ERR_REPLAY);
	assert_int_equal(stats()->replayed, 1);
}

static void
test_arguments(void **state)
{
	struct perc_double_rx *r;

	assert_int_equal(perc_double_rx_new(&r, ekt, 0, 64), PERC_ERR_INVAL);
	assert_int_equal(perc_double_rx_new(&r, ekt, 4097, 64), PERC_ERR_INVAL);
	assert_int_equal(perc_double_rx_new(&r, ekt, 1, 63), PERC_ERR_INVAL);
	perc_double_rx_free(NULL);
	perc_double_tx_free(NULL);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_opens),
		T(test_REQ_F_4_3a_key_per_ssrc),
		T(test_REQ_F_8_2_1a_every_bit),
		T(test_rewritten_header),
		T(test_REQ_F_8_2_4a_splicing),
		T(test_REQ_F_8_2_2a_replay),
		T(test_REQ_F_4_5e_announcement),
		T(test_REQ_F_4_5f_late_packets),
		T(test_unknown_spi),
		T(test_REQ_F_8_2_3a_expired),
		T(test_forged_epoch_rollback),
		T(test_forged_epoch_ffff),
		T(test_memory_of_keys),
		T(test_epoch_not_higher),
		T(test_epoch_lowered),
		T(test_bad_fields),
		T(test_REQ_F_8_2_1b_flood),
		T(test_late_joiner_roc),
		T(test_wrong_roc),
		T(test_roc_hint),
		T(test_sender_returns),
		T(test_REQ_F_6_3a_rekeys_128),
		T(test_REQ_F_6_3a_rekeys_256),
		T(test_thousand_senders),
		T(test_list),
		T(test_counted_once),
		T(test_arguments),
	};

	return cmocka_run_group_tests_name("double_rx", tests, NULL, NULL);
}
