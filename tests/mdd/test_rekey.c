/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to a leg that is up: new keys by a new handshake (RFC 5764
 * section 5.2), the consent of its endpoint (RFC 7675), and what tells STUN,
 * DTLS, RTP and the rest apart (RFC 7983).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/mdd/world.h"

static void
goes(struct world *x, struct peer *from, struct peer *to, uint32_t ssrc,
    uint16_t seq, bool arrives)
{
	uint8_t d[PEER_PACKET], e[PEER_PACKET];
	const uint8_t *tail;
	size_t n, tn;

	n = world_rtp(from, d, ssrc, seq, "some ciphertext");
	assert_true(n > 0);
	peer_send(from, d, n);
	n = peer_recv(to, e, 128, 191, arrives ? 2000 : 60);
	if (!arrives) {
		assert_int_equal(n, 0);
		return;
	}
	assert_true(n > 0);
	assert_int_equal(e[2] << 8 | e[3], seq);
	assert_true(peer_open_rtp(to, e, n, &tail, &tn) > 0);
}

/* Both ways: the linger of the first association is over after it. */
static void
talk(struct world *x, uint16_t seq)
{
	goes(x, &x->a, &x->b, SSRC_A, seq, true);
	goes(x, &x->b, &x->a, SSRC_B, seq, true);
}

static void
test_REQ_F_4_5g_new_keys_same_leg(void **state)
{
	struct world *x = *state;
	struct perc_srtp *old_tx, *keep;
	struct mdd_leg *leg;

	world_two(x);
	talk(x, 100);
	leg = world_leg(x, &x->a);
	old_tx = x->a.tx;
	x->a.tx = NULL; /* the handshake must not free it */
	assert_true(peer_handshake(&x->a, 5000));
	assert_ptr_equal(world_leg(x, &x->a), leg);
	assert_int_equal(x->w.count[MDD_DTLS_REKEYED], 1);
	assert_int_equal(x->w.legs.up, 2);
	talk(x, 101);
	/* what was under way under the old keys still counts ... */
	keep = x->a.tx;
	x->a.tx = old_tx;
	goes(x, &x->a, &x->b, SSRC_A, 102, true);
	/* ... and later no more */
	leg->old_until_ms = perc_now_ms();
	mdd_worker_tick(&x->w, perc_now_ms());
	goes(x, &x->a, &x->b, SSRC_A, 103, false);
	x->a.tx = keep;
	perc_srtp_free(old_tx);
	goes(x, &x->a, &x->b, SSRC_A, 104, true);
}

/* A rollover counter is never set back (RFC 3711 section 3.3.1). */
static void
test_new_keys_go_on_counting(void **state)
{
	struct world *x = *state;
	uint16_t seq;
	uint32_t roc;

	world_two(x);
	for (seq = 65036; seq != 200; seq = (uint16_t)(seq + 50))
		goes(x, &x->a, &x->b, SSRC_A, seq, true);
	assert_int_equal(
	    perc_srtp_roc_get(world_leg(x, &x->a)->rx, SSRC_A, &roc), 0);
	assert_int_equal(roc, 1);
	assert_true(peer_handshake(&x->a, 5000));
	assert_int_equal(perc_srtp_roc_set(x->a.tx, SSRC_A, 1), 0);
	goes(x, &x->a, &x->b, SSRC_A, 200, true);
	/* b's side too: the MDD's sending counter goes on */
	goes(x, &x->b, &x->a, SSRC_B, 1, true);
	assert_true(peer_handshake(&x->b, 5000));
	assert_int_equal(perc_srtp_roc_set(x->b.rx, SSRC_A, 1), 0);
	goes(x, &x->a, &x->b, SSRC_A, 201, true);
}

/* Whoever is at that address without the key changes nothing. */
static void
test_wrong_certificate_changes_nothing(void **state)
{
	struct world *x = *state;
	struct perc_srtp *tx, *rx;
	struct perc_dtls_id *own, *other = NULL;

	world_two(x);
	talk(x, 100);
	assert_int_equal(perc_dtls_id_generate(&other, "thief", 2), 0);
	own = x->a.id;
	tx = x->a.tx;
	rx = x->a.rx;
	x->a.tx = x->a.rx = NULL;
	x->a.id = other;
	assert_false(peer_handshake(&x->a, 1500));
	perc_dtls_free(x->a.dtls);
	x->a.dtls = NULL;
	x->a.id = own;
	x->a.tx = tx;
	x->a.rx = rx;
	perc_dtls_id_free(other);
	assert_int_equal(x->w.count[MDD_DTLS_REFUSED], 1);
	assert_int_equal(x->w.legs.up, 2);
	assert_int_equal(x->w.legs.dtls, 0);
	talk(x, 101);
	/* and not again so soon: one handshake in a while */
	assert_false(peer_handshake(&x->a, 200));
	assert_int_equal(x->w.legs.dtls, 0);
}

/* What is no ClientHello begins no handshake. */
static void
test_only_a_hello_begins(void **state)
{
	static uint8_t d[64] = { 22, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 9, 0, 51,
		2 };
	struct world *x = *state;
	uint64_t before;

	world_two(x);
	talk(x, 100);
	before = x->w.count[MDD_DROP_DTLS];
	peer_send(&x->a, d, sizeof(d)); /* a ServerHello */
	d[13] = 1;
	d[4] = 1; /* of another epoch */
	peer_send(&x->a, d, sizeof(d));
	d[4] = 0;
	d[0] = 23;
	peer_send(&x->a, d, sizeof(d));
	world_wait(x, 30);
	assert_int_equal(x->w.legs.dtls, 0);
	assert_int_equal(x->w.count[MDD_DROP_DTLS], before + 3);
	d[0] = 22;
}

/* ---- consent ---------------------------------------------------------- */

static void
test_consent(void **state)
{
	struct world *x = *state;
	struct mdd_leg *a, *b;
	int64_t now;

	world_two(x);
	a = world_leg(x, &x->a);
	b = world_leg(x, &x->b);
	x->a.mute = true;
	now = perc_now_ms();
	a->consent_ms = b->consent_ms = now - MDD_CONSENT_ASK_MS;
	mdd_worker_tick(&x->w, now);
	world_wait(x, 50);
	(void)peer_recv(&x->a, (uint8_t[PEER_PACKET]){ 0 }, 0, 0, 50);
	(void)peer_recv(&x->b, (uint8_t[PEER_PACKET]){ 0 }, 0, 0, 50);
	world_wait(x, 50);
	assert_true(x->a.asked > 0 && x->b.asked > 0);
	assert_true(b->consent_ms >= now); /* it answered */
	assert_int_equal(a->consent_ms, now - MDD_CONSENT_ASK_MS);

	/* Media alone is no consent (RFC 7675 section 5.1). */
	goes(x, &x->a, &x->b, SSRC_A, 5, true);
	a->consent_ms = perc_now_ms() - MDD_CONSENT_MS + 500;
	mdd_worker_tick(&x->w, perc_now_ms());
	assert_int_equal(x->w.legs.n, 2);
	a->consent_ms = perc_now_ms() - MDD_CONSENT_MS;
	mdd_worker_tick(&x->w, perc_now_ms());
	assert_int_equal(x->w.legs.n, 1);
	assert_int_equal(x->w.count[MDD_LEGS_CONSENT], 1);
}

/* A check of its own is as good as an answer to ours. */
static void
test_consent_by_check(void **state)
{
	struct world *x = *state;
	struct mdd_leg *a;

	world_two(x);
	a = world_leg(x, &x->a);
	x->a.mute = true;
	a->consent_ms = perc_now_ms() - MDD_CONSENT_MS;
	assert_true(peer_stun(&x->a, x->a.pwd, false));
	mdd_worker_tick(&x->w, perc_now_ms());
	assert_int_equal(x->w.legs.n, 2);
	assert_true(perc_now_ms() - a->consent_ms < 1000);
}

/* ---- RFC 7983 section 7, RFC 5761 section 4 --------------------------- */

static void
test_first_octets(void **state)
{
	static const struct {
		unsigned lo, hi;
		enum mdd_count kind;
	} table[] = {
		{ 0, 3, MDD_DROP_STUN_FORM },
		{ 4, 19, MDD_DROP_KIND }, /* ZRTP is not spoken */
		{ 20, 63, MDD_DROP_DTLS },
		{ 64, 127, MDD_DROP_KIND }, /* TURN channels neither */
		{ 128, 191, MDD_COUNTS },   /* RTP or RTCP, below */
		{ 192, 255, MDD_DROP_KIND },
	};
	struct world *x = *state;
	uint8_t d[64] = { 0 };
	uint64_t before;
	unsigned i, c;

	world_two(x);
	talk(x, 1); /* no association is left to take DTLS */
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		for (c = table[i].lo; c <= table[i].hi; c++) {
			if (table[i].kind == MDD_COUNTS)
				continue;
			before = x->w.count[table[i].kind];
			d[0] = (uint8_t)c;
			peer_send(&x->a, d, sizeof(d));
			world_pump(x);
			if (x->w.count[table[i].kind] != before + 1)
				fail_msg("first octet %u", c);
		}
	for (c = 0; c < 256; c++) {
		d[0] = 0x80;
		d[1] = (uint8_t)c; /* 192 to 223 is RTCP, and a stranger's */
		memset(d + 4, 0, 4);
		before = x->w.count[MDD_DROP_SSRC];
		assert_int_equal(perc_pkt_kind(d, sizeof(d)),
		    c >= 192 && c <= 223 ? PERC_PKT_RTCP : PERC_PKT_RTP);
		peer_send(&x->a, d, sizeof(d));
		world_pump(x);
		assert_int_equal(x->w.count[MDD_DROP_SSRC], before + 1);
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)
	const struct CMUnitTest tests[] = {
		T(test_REQ_F_4_5g_new_keys_same_leg),
		T(test_new_keys_go_on_counting),
		T(test_wrong_certificate_changes_nothing),
		T(test_only_a_hello_begins),
		T(test_consent),
		T(test_consent_by_check),
		T(test_first_octets),
	};

	return cmocka_run_group_tests_name("rekey", tests, NULL, NULL);
}
