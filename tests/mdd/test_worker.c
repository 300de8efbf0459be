/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker without its process: real sockets on loopback, real handshakes,
 * packets byte by byte. What it must forward, and what it must throw away and
 * count, each datagram exactly once.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/mdd/world.h"

static const uint8_t short_tail[1] = { 0x00 };
/* Full, 40 octets of ciphertext: nobody here can open it. */
static uint8_t full_tail[47];

static int
setup(void **state)
{
	memset(full_tail, 0x5a, sizeof(full_tail));
	full_tail[44] = 0;
	full_tail[45] = 47;
	full_tail[46] = 2;
	world_limits.max_leg_pps = 2000;
	return world_open(state);
}

static void
connect_ab(struct world *x)
{
	world_join(x, &x->a, "m_a", SSRC_A);
	world_join(x, &x->b, "m_b", SSRC_B);
	assert_true(peer_connect(&x->a, 3000));
	assert_true(peer_connect(&x->b, 3000));
	assert_int_equal(x->w.legs.up, 2);
}

/* Every datagram is in exactly one of the IN_ and DROP_ counters. */
static void
check_sum(const struct world *x)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = MDD_IN_STUN; i <= MDD_DROP_RTCP; i++)
		sum += x->w.count[i];
	assert_int_equal(sum, x->w.count[MDD_RX_DATAGRAMS]);
}

static void
expect_none(struct world *x, struct peer *p)
{
	uint8_t d[PEER_PACKET];

	assert_int_equal(peer_recv(p, d, 128, 191, 20), 0);
	check_sum(x);
}

/* The outer layer changes hands, all else stays: header, inner octets, OHB
 * 00, EKTField. */
static void
forwarded_as_it_was(
    struct world *x, uint16_t seq, const uint8_t *tail, size_t tn)
{
	static const char body[] = "inner ciphertext, opaque to everybody here";
	uint8_t d[PEER_PACKET], e[PEER_PACKET];
	const uint8_t *t;
	size_t n, m, tl;
	int len;

	n = peer_rtp(&x->a, d, SSRC_A, seq, body, sizeof(body), tail, tn);
	peer_send(&x->a, d, n);
	m = peer_recv(&x->b, e, 128, 191, 1000);
	assert_int_equal(m, n);
	assert_memory_equal(e, d, 12);
	assert_memory_not_equal(e + 12, d + 12, n - tn - 12);
	len = peer_open_rtp(&x->b, e, m, &t, &tl);
	assert_int_equal(len, 12 + sizeof(body) + 17);
	assert_memory_equal(e + 12, body, sizeof(body));
	assert_int_equal(e[len - 1], 0); /* OHB config */
	assert_int_equal(tl, tn);
	assert_memory_equal(t, tail, tn);
}

static void
test_forward(void **state)
{
	struct world *x = *state;

	connect_ab(x);
	forwarded_as_it_was(x, 100, short_tail, sizeof(short_tail));
	forwarded_as_it_was(x, 101, full_tail, sizeof(full_tail));
	forwarded_as_it_was(x, 103, full_tail, sizeof(full_tail));
	forwarded_as_it_was(x, 102, short_tail, sizeof(short_tail));
	assert_int_equal(x->w.count[MDD_FORWARDED], 4);
	assert_int_equal(x->w.count[MDD_REWRITTEN], 0);
	expect_none(x, &x->a);
}

/* Hop keys are per hop, and those of one open nothing of another. */
static void
test_REQ_F_6_2a_and_F_4_4b_keys_of_one_hop(void **state)
{
	struct world *x = *state;
	uint8_t d[PEER_PACKET];
	const uint8_t *t;
	size_t n, tl;

	connect_ab(x);
	assert_memory_not_equal(x->a.keys.tx_key, x->b.keys.tx_key, 32);
	assert_memory_not_equal(x->a.keys.rx_key, x->b.keys.rx_key, 32);
	assert_memory_not_equal(x->a.keys.tx_key, x->b.keys.rx_key, 32);
	/* A's good packet from B's address, with B's SSRC claimed. */
	n = peer_rtp(&x->a, d, SSRC_B, 7, "x", 1, short_tail, 1);
	peer_send(&x->b, d, n);
	expect_none(x, &x->a);
	assert_int_equal(x->w.count[MDD_DROP_AUTH], 1);
	/* What goes to B does not open with A's keys. */
	n = peer_rtp(&x->a, d, SSRC_A, 7, "x", 1, short_tail, 1);
	peer_send(&x->a, d, n);
	n = peer_recv(&x->b, d, 128, 191, 1000);
	assert_true(n > 0);
	assert_int_equal(peer_open_rtp(&x->a, d, n, &t, &tl), PERC_ERR_AUTH);
}

static void
test_REQ_F_8_1a_tampered_is_dropped(void **state)
{
	struct world *x = *state;
	uint8_t d[PEER_PACKET], bad[PEER_PACKET];
	size_t n, i;

	connect_ab(x);
	n = peer_rtp(&x->a, d, SSRC_A, 500, "0123456789", 10, short_tail, 1);
	for (i = 0; i + 1 < n; i++) {
		if (i == 1 || (i >= 8 && i < 12))
			continue; /* RTCP range and SSRC: other counters */
		memcpy(bad, d, n);
		bad[i] ^= 0x04;
		peer_send(&x->a, bad, n);
	}
	expect_none(x, &x->b);
	assert_int_equal(x->w.count[MDD_IN_RTP], 0);
	assert_true(x->w.count[MDD_DROP_AUTH] >= n - 10);
	/* None of it spoilt the state: the good one passes, once. */
	peer_send(&x->a, d, n);
	assert_int_equal(peer_recv(&x->b, bad, 128, 191, 1000), n);
	peer_send(&x->a, d, n);
	expect_none(x, &x->b);
	assert_int_equal(x->w.count[MDD_DROP_REPLAY], 1);
}

static void
test_foreign_ssrc(void **state)
{
	struct world *x = *state;
	uint8_t d[PEER_PACKET];
	size_t n;

	connect_ab(x);
	n = peer_rtp(&x->a, d, SSRC_B, 1, "x", 1, short_tail, 1);
	peer_send(&x->a, d, n);
	n = peer_rtp(&x->a, d, 0xdeadbeef, 1, "x", 1, short_tail, 1);
	peer_send(&x->a, d, n);
	expect_none(x, &x->b);
	assert_int_equal(x->w.count[MDD_DROP_SSRC], 2);
	/* The second SSRC of the token is as good as the first. */
	n = peer_rtp(&x->a, d, SSRC_A2, 1, "x", 1, short_tail, 1);
	peer_send(&x->a, d, n);
	assert_int_equal(peer_recv(&x->b, d, 128, 191, 1000), n);
}

/* Rate and form come before any cipher: whatever is over the rate is dropped
 * unseen, and the leg goes on afterwards. */
static void
test_REQ_F_8_1b_rate_before_decryption(void **state)
{
	struct world *x = *state;
	uint8_t d[PEER_PACKET], junk[60] = { 0x80, 111 };
	int64_t now = perc_now_ms();
	unsigned i;
	size_t n;

	connect_ab(x);
	memcpy(junk + 8, "\x11\x11\x11\x11", 4);
	for (i = 0; i < 6000; i++) {
		struct mdd_addr from = { .len = sizeof(x->a.self) };

		from.u.in = x->a.self;
		memcpy(d, junk, sizeof(junk));
		mdd_worker_input(&x->w, &from, d, sizeof(junk), now);
	}
	assert_true(x->w.count[MDD_DROP_RATE] >= 3500);
	assert_true(x->w.count[MDD_DROP_AUTH] <= 2500);
	check_sum(x);
	(void)usleep(20000); /* 2000 a second: 40 more */
	n = peer_rtp(&x->a, d, SSRC_A, 1, "x", 1, short_tail, 1);
	peer_send(&x->a, d, n);
	assert_int_equal(peer_recv(&x->b, d, 128, 191, 1000), n);
}

/* Anybody's datagrams: each is counted, none is answered at length, and the
 * conference goes on (REQ-J-3.1.1). */
static void
test_REQ_J_3_1_1_malformed_flood(void **state)
{
	struct world *x = *state;
	struct peer evil;
	uint8_t junk[PERC_MTU_MAX + 1];
	uint64_t octets;
	unsigned i, k;
	size_t n, sent = 0;

	connect_ab(x);
	peer_open(&evil);
	evil.mdd = x->at;
	octets = x->w.count[MDD_TX_OCTETS];
	srand(7);
	for (i = 0; i < 2000; i++) {
		for (k = 0; k < sizeof(junk); k++)
			junk[k] = (uint8_t)rand();
		n = i % 3 == 0 ? (size_t)rand() % sizeof(junk) + 1
			       : (size_t)rand() % 64 + 1;
		if (i % 4 == 0)
			memcpy(junk, "\0\1\0\0\x21\x12\xa4\x42", 8);
		peer_send(i % 2 ? &evil : &x->a, junk, n);
		sent += n;
		if (i % 16 == 0)
			world_pump(x);
	}
	world_pump(x);
	check_sum(x);
	assert_true(x->w.count[MDD_DROP_KIND] > 0);
	assert_true(x->w.count[MDD_DROP_STRANGER] > 0);
	assert_true(x->w.count[MDD_DROP_STUN_FORM] > 0);
	assert_true(x->w.count[MDD_TX_OCTETS] - octets <= sent);
	assert_int_equal(x->w.legs.up, 2);
	forwarded_as_it_was(x, 9000, full_tail, sizeof(full_tail));
	peer_close(&evil);
}

/* No datagram but STUN makes state, and STUN answers strangers rarely. */
static void
test_strangers_get_little(void **state)
{
	static const uint8_t bare[] = { 0x00, 0x01, 0x00, 0x08, 0x21, 0x12,
		0xa4, 0x42, '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
		'a', 'b', 0x80, 0x28, 0x00, 0x04, 0xcf, 0x5c, 0xf6, 0xab };
	struct world *x = *state;
	struct peer evil;
	uint8_t d[PEER_PACKET];
	unsigned i, answers = 0;
	uint64_t tx;
	size_t n;

	world_join(x, &x->a, "m_a", SSRC_A);
	peer_open(&evil);
	evil.mdd = x->at;
	evil.pump = world_pump;
	evil.arg = x;
	memcpy(evil.mdd_fp, x->a.mdd_fp, sizeof(evil.mdd_fp));
	tx = x->w.count[MDD_TX_DATAGRAMS];
	assert_false(peer_handshake(&evil, 300)); /* before any check */
	assert_int_equal(x->w.count[MDD_TX_DATAGRAMS], tx);
	assert_int_equal(x->w.legs.dtls, 0);
	strcpy(evil.ufrag, "AAAAAAAA");
	assert_false(peer_stun(&evil, x->a.pwd, true));
	assert_int_equal(x->w.count[MDD_DROP_STUN_USER], 1);
	strcpy(evil.ufrag, x->a.ufrag);
	assert_false(peer_stun(&evil, "a wrong password, really", true));
	assert_int_equal(x->w.count[MDD_DROP_STUN_AUTH], 1);
	assert_int_equal(x->w.legs.pool[0].addr.len, 0);
	/* Well-formed checks for nobody, faster than we care to answer. */
	assert_int_equal(
	    perc_stun_request(d, &n, (const uint8_t *)"0123456789ab",
		"AAAAAAAA:x", "pwd", 1, true, 7),
	    0);
	for (i = 0; i < 200; i++)
		peer_send(&evil, d, n);
	while (peer_recv(&evil, d, 0, 3, 20) > 0)
		answers++;
	assert_in_range(answers, 1, MDD_STRANGER_ANSWERS);
	/* None at all to what is shorter than its answer: a fingerprint. */
	x->w.answers = 0;
	peer_send(&evil, bare, sizeof(bare));
	assert_int_equal(peer_recv(&evil, d, 0, 3, 20), 0);
	check_sum(x);
	peer_close(&evil);
}

/* Only the certificate that the token named gets keys (REQ-F-8.1c, the MDD's
 * side), and five wrong tries end the leg. */
static void
test_wrong_certificate(void **state)
{
	struct world *x = *state;
	struct peer evil;
	unsigned i;

	world_join(x, &x->a, "m_a", SSRC_A);
	peer_open(&evil); /* a certificate of its own, all else is A's */
	evil.mdd = x->at;
	evil.pump = world_pump;
	evil.arg = x;
	strcpy(evil.ufrag, x->a.ufrag);
	strcpy(evil.pwd, x->a.pwd);
	memcpy(evil.mdd_fp, x->a.mdd_fp, sizeof(evil.mdd_fp));
	for (i = 0; i < MDD_TRIES_MAX; i++) {
		assert_true(peer_stun(&evil, evil.pwd, true));
		assert_false(peer_handshake(&evil, 400));
		assert_int_equal(x->w.legs.up, 0);
	}
	assert_int_equal(x->w.count[MDD_DTLS_REFUSED], MDD_TRIES_MAX);
	assert_int_equal(x->w.legs.n, 0);
	assert_int_equal(x->w.legs.dtls, 0);
	peer_close(&evil);
}

/* The endpoint's side of REQ-F-8.1c: another MDD than the one of the join
 * answer gets no further than its certificate. */
static void
test_REQ_F_8_1c_fake_mdd(void **state)
{
	struct world *x = *state;

	world_join(x, &x->a, "m_a", SSRC_A);
	x->a.mdd_fp[5] ^= 1;
	assert_true(peer_stun(&x->a, x->a.pwd, true));
	assert_false(peer_handshake(&x->a, 500));
	assert_int_equal(perc_dtls_state(x->a.dtls), PERC_DTLS_FAILED);
	assert_null(x->a.tx);
}

/* Media before keys, then media from where it was before. */
static void
test_no_keys_no_media(void **state)
{
	struct world *x = *state;
	uint8_t junk[80] = { 0x80, 111 };

	world_join(x, &x->a, "m_a", SSRC_A);
	assert_true(peer_stun(&x->a, x->a.pwd, true));
	memcpy(junk + 8, "\x11\x11\x11\x11", 4);
	peer_send(&x->a, junk, sizeof(junk));
	world_pump(x);
	assert_int_equal(x->w.count[MDD_DROP_NO_KEYS], 1);
	check_sum(x);
}

/* A member comes back with a new leg: the old one ends when the new one is
 * up, the outer SEQ goes on, the OHB says what it was, and no receiver loses
 * the stream. */
static void
test_rejoin_goes_on(void **state)
{
	struct world *x = *state;
	struct peer again = { 0 };
	uint8_t d[PEER_PACKET];
	const uint8_t *t;
	size_t n, tl;
	int len;

	connect_ab(x);
	forwarded_as_it_was(x, 40000, short_tail, 1);
	forwarded_as_it_was(x, 40001, short_tail, 1);
	world_join(x, &again, "m_a", SSRC_A);
	assert_int_equal(x->w.legs.n, 3); /* the thief's token throws nobody */
	forwarded_as_it_was(x, 40002, short_tail, 1);
	assert_true(peer_connect(&again, 3000));
	assert_int_equal(x->w.legs.n, 2);
	assert_int_equal(x->w.count[MDD_LEGS_REPLACED], 1);
	n = peer_rtp(&again, d, SSRC_A, 17, "new", 3, full_tail, 47);
	peer_send(&again, d, n);
	n = peer_recv(&x->b, d, 128, 191, 1000);
	assert_true(n > 0);
	len = peer_open_rtp(&x->b, d, n, &t, &tl);
	assert_true(len > 0);
	assert_int_equal(d[2] << 8 | d[3], 40002 + 64);
	assert_int_equal(d[len - 1], 1); /* Q: original SEQ given */
	assert_int_equal(d[len - 3] << 8 | d[len - 2], 17);
	assert_memory_equal(t, full_tail, 47);
	n = peer_rtp(&again, d, SSRC_A, 18, "new", 3, short_tail, 1);
	peer_send(&again, d, n);
	n = peer_recv(&x->b, d, 128, 191, 1000);
	assert_true(peer_open_rtp(&x->b, d, n, &t, &tl) > 0);
	assert_int_equal(d[2] << 8 | d[3], 40002 + 65);
	assert_int_equal(x->w.count[MDD_REWRITTEN], 2);
	peer_close(&again);
}

/* The ROC is per SSRC and per receiver, from 0: who joins after the sender's
 * SEQ went round starts afresh, who was there goes on. */
static void
test_REQ_J_7a_roc_per_receiver(void **state)
{
	struct world *x = *state;
	uint8_t d[PEER_PACKET], e[PEER_PACKET];
	const uint8_t *t;
	uint32_t roc;
	unsigned i;
	size_t n, tl;

	connect_ab(x);
	for (i = 0; i < 8; i++)
		forwarded_as_it_was(x, (uint16_t)(65532 + i), short_tail, 1);
	assert_int_equal(perc_srtp_roc_get(x->b.rx, SSRC_A, &roc), 0);
	assert_int_equal(roc, 1);
	world_join(x, &x->c, "m_c", SSRC_C);
	assert_true(peer_connect(&x->c, 3000));
	n = peer_rtp(&x->a, d, SSRC_A, 10, "x", 1, short_tail, 1);
	peer_send(&x->a, d, n);
	n = peer_recv(&x->c, e, 128, 191, 1000);
	assert_true(n > 0 && peer_open_rtp(&x->c, e, n, &t, &tl) > 0);
	assert_int_equal(perc_srtp_roc_get(x->c.rx, SSRC_A, &roc), 0);
	assert_int_equal(roc, 0);
	n = peer_recv(&x->b, e, 128, 191, 1000);
	assert_true(n > 0 && peer_open_rtp(&x->b, e, n, &t, &tl) > 0);
	assert_int_equal(perc_srtp_roc_get(x->b.rx, SSRC_A, &roc), 0);
	assert_int_equal(roc, 1);
}

static void
victim_send(const uint8_t *p, size_t n, void *arg)
{
	peer_send(arg, p, n);
}

/* Nomination from another address that answers moves the leg there. */
static void
test_address_moves(void **state)
{
	struct world *x = *state;
	uint8_t d[PEER_PACKET];
	struct peer other;
	const uint8_t *t;
	size_t n, tl;
	int fd;

	connect_ab(x);
	peer_open(&other);
	fd = x->b.fd;
	x->b.fd = other.fd;
	assert_true(peer_stun(&x->b, x->b.pwd, false)); /* not nominated */
	n = peer_rtp(&x->a, d, SSRC_A, 1, "x", 1, short_tail, 1);
	peer_send(&x->a, d, n);
	assert_int_equal(peer_recv(&x->b, d, 128, 191, 30), 0);
	assert_true(peer_stun(&x->b, x->b.pwd, true));
	(void)peer_recv(&x->b, d, 1, 0, 30); /* and answers */
	n = peer_rtp(&x->a, d, SSRC_A, 2, "x", 1, short_tail, 1);
	peer_send(&x->a, d, n);
	n = peer_recv(&x->b, d, 128, 191, 1000);
	assert_true(n > 0 && peer_open_rtp(&x->b, d, n, &t, &tl) > 0);
	x->b.fd = fd;
	peer_close(&other);
}

/* A forged source: the nomination is good, the address does not answer, and
 * nothing moves. One check of ours goes there, however often it is sent. */
static void
test_address_must_answer(void **state)
{
	struct world *x = *state;
	uint8_t d[PEER_PACKET];
	struct peer other;
	unsigned i;
	size_t n;
	int fd;

	connect_ab(x);
	peer_open(&other);
	fd = x->b.fd;
	x->b.fd = other.fd;
	x->b.mute = true;
	x->b.asked = 0;
	for (i = 0; i < 20; i++)
		assert_true(peer_stun(&x->b, x->b.pwd, true));
	assert_in_range(x->b.asked, 1, 2);
	x->b.fd = fd;
	n = peer_rtp(&x->a, d, SSRC_A, 1, "x", 1, short_tail, 1);
	peer_send(&x->a, d, n);
	assert_int_equal(peer_recv(&x->b, d, 128, 191, 1000), n);
	peer_close(&other);
}

/* An answer counts once, from the address that was asked, under the
 * endpoint's password. */
static void
test_forged_answers(void **state)
{
	struct world *x = *state;
	struct mdd_leg *leg;
	uint8_t q[PERC_STUN_MAX], a[PERC_STUN_MAX];
	struct perc_stun m;
	struct mdd_addr to = { .len = sizeof(struct sockaddr_in) };
	size_t n, i;

	connect_ab(x);
	leg = x->w.legs.pool[0].nssrcs == 1 ? &x->w.legs.pool[0]
					    : &x->w.legs.pool[1];
	to.u.in = x->a.self; /* any that is not its own */
	to.u.in.sin_port ^= 0x5555;
	leg->path.to = to;
	leg->path.sent_ms = perc_now_ms();
	leg->path.txid[8] = (uint8_t)(leg - x->w.legs.pool);
	for (i = 0; i < 3; i++) {
		memcpy(q, leg->path.txid, 12);
		if (i == 1)
			q[3] ^= 1;
		assert_int_equal(
		    perc_stun_check(q + 12, &n, q, "mine:x", PEER_PWD, 1, 1),
		    0);
		assert_int_equal(perc_stun_parse(&m, q + 12, n), 0);
		assert_int_equal(
		    perc_stun_success(a, &n, &m,
			i == 0 ? "not the password, no no" : PEER_PWD,
			&to.u.sa),
		    0);
		if (i == 2)
			to.u.in.sin_port ^= 1;
		mdd_worker_input(&x->w, &to, a, n, perc_now_ms());
		assert_false(mdd_addr_same(&leg->addr, &to));
	}
	assert_int_equal(x->w.count[MDD_DROP_STUN_AUTH], 3);
	to.u.in.sin_port ^= 1;
	mdd_worker_input(&x->w, &to, a, n, perc_now_ms());
	assert_true(mdd_addr_same(&leg->addr, &to)); /* the good one does */
}

/* Both clocks: ours, which stands still, and that of OpenSSL. */
static void
dtls_waits(unsigned ms)
{
	(void)usleep(ms * 1000);
	(void)nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000L }, NULL);
}

/* A handshake towards an address that does not answer costs its bearer no
 * more than three times what was sent from it. */
static void
test_REQ_F_8_1_amplification(void **state)
{
	struct world *x = *state;
	uint8_t d[PEER_PACKET];
	uint64_t before, in;
	unsigned i;
	size_t n;

	world_join(x, &x->a, "m_a", SSRC_A);
	x->a.mute = true;
	before = x->w.count[MDD_TX_OCTETS];
	assert_true(peer_stun(&x->a, x->a.pwd, true));
	assert_int_equal(perc_dtls_new(&x->a.dtls, x->a.id, false, x->a.mdd_fp,
			     NULL, 0, victim_send, &x->a),
	    0);
	assert_int_equal(perc_dtls_start(x->a.dtls), 0);
	/* and the victim says nothing more */
	for (i = 0; i < 400 && x->w.count[MDD_TX_HELD] == 0; i++) {
		world_pump(x);
		dtls_waits(50);
	}
	in = x->w.count[MDD_RX_OCTETS];
	assert_true(x->w.count[MDD_TX_HELD] > 0);
	assert_in_range(x->w.count[MDD_TX_OCTETS] - before, 1, 3 * in);
	/* Its bearer was the endpoint after all: with what it says, all goes
	 * on. */
	for (i = 0; i < 10; i++)
		assert_true(peer_stun(&x->a, x->a.pwd, false));
	for (i = 0; i < 400 && x->w.legs.up == 0; i++)
		if ((n = peer_recv(&x->a, d, 20, 63, 0)) > 0)
			(void)!perc_dtls_input(x->a.dtls, d, n);
		else
			dtls_waits(50);
	assert_int_equal(x->w.legs.up, 1);
}

/* Who may join could name another's address as his own, by a forged source,
 * and so cut him off: while that one is heard, his address is his. */
static void
test_address_of_another_is_not_taken(void **state)
{
	struct world *x = *state;
	int fd;

	connect_ab(x);
	world_join(x, &x->c, "m_c", SSRC_C);
	assert_true(peer_connect(&x->c, 3000));
	fd = x->c.fd;
	x->c.fd = x->b.fd;
	assert_false(peer_stun(&x->c, x->c.pwd, true));
	x->c.fd = fd;
	forwarded_as_it_was(x, 9000, short_tail, 1);
}

/* A check that was read on the way and sent again from elsewhere is answered
 * (it is good) and moves nothing. */
static void
test_replayed_check_moves_nothing(void **state)
{
	struct world *x = *state;
	uint8_t q[PERC_STUN_MAX], d[PEER_PACKET];
	struct peer evil;
	char user[80];
	size_t n;

	connect_ab(x);
	(void)snprintf(user, sizeof(user), "%s:mine", x->b.ufrag);
	assert_int_equal(
	    perc_stun_request(q, &n, (const uint8_t *)"0123456789ab", user,
		x->b.pwd, 1, true, 7),
	    0);
	peer_send(&x->b, q, n);
	assert_true(peer_recv(&x->b, d, 0, 3, 1000) > 0);
	peer_open(&evil);
	evil.mdd = x->at;
	evil.pump = world_pump;
	evil.arg = x;
	evil.mute = true; /* the password it has not */
	peer_send(&evil, q, n);
	assert_true(peer_recv(&evil, d, 0, 3, 1000) > 0);
	n = peer_rtp(&x->a, d, SSRC_A, 1, "x", 1, short_tail, 1);
	peer_send(&x->a, d, n);
	assert_int_equal(peer_recv(&x->b, d, 128, 191, 1000), n);
	assert_int_equal(peer_recv(&evil, d, 128, 191, 20), 0);
	peer_close(&evil);
}

static void
test_silence_and_expiry(void **state)
{
	struct world *x = *state;
	int64_t now;

	connect_ab(x);
	now = perc_now_ms();
	x->w.legs.pool[0].heard_ms = now - 30001;
	mdd_worker_tick(&x->w, now);
	assert_int_equal(x->w.count[MDD_LEGS_SILENT], 1);
	assert_int_equal(x->w.legs.n, 1);
	mdd_worker_tick(&x->w, now + 600001);
	assert_int_equal(x->w.count[MDD_LEGS_EXPIRED], 1);
	assert_int_equal(x->w.count[MDD_GAUGE_LEGS], 0);
	assert_int_equal(x->w.count[MDD_GAUGE_CONFERENCES], 0);
}

/* ---- RTCP ------------------------------------------------------------- */

static void
rtcp_send(struct peer *p, const void *c, size_t n)
{
	uint8_t d[PEER_PACKET];

	memcpy(d, c, n);
	assert_int_equal(perc_srtcp_protect(p->tx_rtcp, d, &n), 0);
	peer_send(p, d, n);
}

/* Opened, without the MDD's empty RR in front. */
static size_t
rtcp_recv(struct peer *p, uint8_t *d)
{
	size_t n = peer_recv_rtcp(p, d, 200);

	if (n == 0)
		return 0;
	assert_int_equal(perc_srtcp_unprotect(p->rx_rtcp, d, &n), 0);
	assert_memory_equal(d, "\x80\xc9\0\1\0\0\0\1", 8);
	memmove(d, d + 8, n - 8);
	return n - 8;
}

static void
test_rtcp(void **state)
{
	/* SR with one report block, SDES */
	static const uint8_t sr[] = "\x81\xc8\0\x0c\x11\x11\x11\x11"
				    "ntp1ntp2rtptpktsocts"
				    "\x22\x22\x22\x22"
				    "block, of this hop!!"
				    "\x81\xca\0\3\x11\x11\x11\x11\1\4name\0\0";
	static const uint8_t pli[] = "\x81\xce\0\2\x22\x22\x22\x22"
				     "\x11\x11\x11\x11";
	static const uint8_t fir[] = "\x84\xce\0\4\x22\x22\x22\x22\0\0\0\0"
				     "\x11\x11\x11\x11\x09\0\0\0";
	static const uint8_t nack[] = "\x81\xcd\0\3\x22\x22\x22\x22"
				      "\x11\x11\x11\x11\0\x64\0\3";
	static const uint8_t rr[] = "\x81\xc9\0\7\x22\x22\x22\x22"
				    "\x11\x11\x11\x11"
				    "block of this hop!!!";
	static const uint8_t lie[] = "\x81\xcd\0\3\x33\x33\x33\x33"
				     "\x11\x11\x11\x11\0\x64\0\3";
	static const uint8_t mixed[] = "\x80\xc8\0\6\x11\x11\x11\x11"
				       "ntp1ntp2rtptpktsocts"
				       "\x81\xca\0\3\x22\x22\x22\x22"
				       "\1\4name\0\0";
	struct world *x = *state;
	uint8_t d[PEER_PACKET];
	size_t n;

	connect_ab(x);
	/* B has come: A is asked for key frames, of both its SSRCs. */
	assert_int_equal(rtcp_recv(&x->a, d), 12);
	assert_memory_equal(d, "\x81\xce\0\2\0\0\0\1\x11\x11\x11\x11", 12);
	assert_int_equal(rtcp_recv(&x->a, d), 12);
	x->w.legs.pool[0].src[0]->refresh_ms = 0; /* no waiting here */
	rtcp_send(&x->a, sr, sizeof(sr) - 1);
	n = rtcp_recv(&x->b, d);
	assert_int_equal(n, 28 + 16);
	assert_memory_equal(d, "\x80\xc8\0\6", 4);
	assert_memory_equal(d + 4, sr + 4, 16);
	assert_memory_equal(d + 20, "\0\0\0\0\0\0\0\0", 8); /* sent to B */
	assert_memory_equal(d + 28, sr + 52, 16);
	rtcp_send(&x->b, pli, sizeof(pli) - 1);
	assert_int_equal(rtcp_recv(&x->a, d), 12);
	assert_memory_equal(d, pli, 12);
	rtcp_send(&x->b, fir, sizeof(fir) - 1); /* the same wish, damped */
	assert_int_equal(rtcp_recv(&x->a, d), 0);
	assert_int_equal(x->w.count[MDD_RTCP_DAMPED], 1);
	rtcp_send(&x->b, nack, sizeof(nack) - 1);
	assert_int_equal(rtcp_recv(&x->a, d), 16);
	/* in our own name, for it speaks for every receiver */
	assert_memory_equal(d, "\x81\xcd\0\3\0\0\0\1", 8);
	assert_memory_equal(d + 8, nack + 8, 8);
	x->w.legs.pool[0].in[0].gaps.n = 0; /* it will never come */
	rtcp_send(&x->b, rr, sizeof(rr) - 1);
	assert_int_equal(rtcp_recv(&x->a, d), 0);
	assert_int_equal(x->w.count[MDD_RTCP_IGNORED], 1);
	rtcp_send(&x->b, lie, sizeof(lie) - 1);
	assert_int_equal(rtcp_recv(&x->a, d), 0);
	assert_int_equal(x->w.count[MDD_DROP_SSRC], 1);
	/* The first packet is A's own, the second speaks for B: it stays. */
	rtcp_send(&x->a, mixed, sizeof(mixed) - 1);
	assert_int_equal(rtcp_recv(&x->b, d), 28);
	check_sum(x);
}

static void
test_rtcp_bye(void **state)
{
	struct world *x = *state;
	uint8_t d[PEER_PACKET];

	connect_ab(x);
	mdd_leg_end(&x->w.legs, &x->w.legs.pool[0], MDD_LEGS_LEFT);
	assert_int_equal(rtcp_recv(&x->b, d), 12);
	assert_memory_equal(
	    d, "\x82\xcb\0\2\x11\x11\x11\x11\x11\x11\x22\x22", 12);
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, setup, world_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_forward),
		WITH(test_REQ_F_6_2a_and_F_4_4b_keys_of_one_hop),
		WITH(test_REQ_F_8_1a_tampered_is_dropped),
		WITH(test_foreign_ssrc),
		WITH(test_REQ_F_8_1b_rate_before_decryption),
		WITH(test_REQ_J_3_1_1_malformed_flood),
		WITH(test_strangers_get_little),
		WITH(test_wrong_certificate),
		WITH(test_REQ_F_8_1c_fake_mdd),
		WITH(test_no_keys_no_media),
		WITH(test_rejoin_goes_on),
		WITH(test_REQ_J_7a_roc_per_receiver),
		WITH(test_address_moves),
		WITH(test_address_must_answer),
		WITH(test_forged_answers),
		WITH(test_REQ_F_8_1_amplification),
		WITH(test_address_of_another_is_not_taken),
		WITH(test_replayed_check_moves_nothing),
		WITH(test_silence_and_expiry),
		WITH(test_rtcp),
		WITH(test_rtcp_bye),
	};

	return cmocka_run_group_tests_name("worker", tests, NULL, NULL);
}
