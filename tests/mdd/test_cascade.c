/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers that carry one conference between them (docs/wire/cascade.md): in a
 * line, in a triangle, in a triangle that should not be; and a far side that
 * lies. Each packet arrives once at each, and opens end to end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "perc/loop.h"
#include "tests/mdd/web.h"

#define SSRC_A 0x0a0a0a0au
#define SSRC_B 0x0b0b0b0bu
#define SSRC_C 0x0c0c0c0cu

/* Exactly one packet, of this source; its outer SEQ. */
static uint16_t
hears_once(struct peer *p, uint32_t ssrc)
{
	uint8_t d[PEER_PACKET];
	const uint8_t *tail;
	size_t n, tn;
	uint16_t seq;

	n = peer_recv(p, d, 128, 191, 2000);
	assert_true(n > 12);
	assert_int_equal(
	    (uint32_t)d[8] << 24 | d[9] << 16 | d[10] << 8 | d[11], ssrc);
	seq = (uint16_t)(d[2] << 8 | d[3]);
	assert_true(peer_open_rtp(p, d, n, &tail, &tn) > 0);
	assert_int_equal(tn, 1);
	assert_int_equal(peer_recv(p, d, 128, 191, 50), 0);
	return seq;
}

static void
hears_nothing(struct peer *p)
{
	uint8_t d[PEER_PACKET];

	assert_int_equal(peer_recv(p, d, 128, 191, 100), 0);
}

static uint64_t
total(const struct web *x, enum mdd_count c)
{
	uint64_t sum = 0;
	unsigned i;

	for (i = 0; i < x->n; i++)
		sum += x->node[i].w.count[c];
	return sum;
}

static void
test_two(void **state)
{
	struct web *x = *state;
	struct node *ka = web_node(x), *kb = web_node(x);
	struct peer a = { 0 }, b = { 0 }, c = { 0 };

	web_member(x, ka, &a, "m_a", SSRC_A);
	web_member(x, kb, &b, "m_b", SSRC_B);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_PEER);
	assert_true(web_learns(x, kb, SSRC_A, true));
	assert_true(web_learns(x, ka, SSRC_B, true));
	peer_say(&a, SSRC_A, 7);
	assert_int_equal(hears_once(&b, SSRC_A), 7);
	hears_nothing(&a);
	/* One who comes later is announced at once, not with the next hello */
	web_member(x, ka, &c, "m_c", SSRC_C);
	peer_say(&c, SSRC_C, 1);
	hears_once(&a, SSRC_C);
	hears_once(&b, SSRC_C);
	peer_say(&b, SSRC_B, 1);
	hears_once(&a, SSRC_B);
	hears_once(&c, SSRC_B);
	peer_close(&a);
	peer_close(&b);
	peer_close(&c);
}

static void
test_line(void **state)
{
	struct web *x = *state;
	struct node *ka = web_node(x), *kb = web_node(x), *kc = web_node(x);
	struct peer a = { 0 }, c = { 0 };

	web_member(x, ka, &a, "m_a", SSRC_A);
	web_member(x, kc, &c, "m_c", SSRC_C);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	web_link(x, kc, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	assert_true(web_learns(x, kc, SSRC_A, true));
	peer_say(&a, SSRC_A, 9);
	assert_int_equal(hears_once(&c, SSRC_A), 9);
	peer_say(&c, SSRC_C, 3);
	assert_int_equal(hears_once(&a, SSRC_C), 3);
	peer_close(&a);
	peer_close(&c);
}

/* Split horizon: without transit nothing passes from peer to peer. */
static void
test_line_without_transit(void **state)
{
	struct web *x = *state;
	struct node *ka = web_node(x), *kb = web_node(x), *kc = web_node(x);
	struct peer a = { 0 }, b = { 0 }, c = { 0 };

	web_member(x, ka, &a, "m_a", SSRC_A);
	web_member(x, kb, &b, "m_b", SSRC_B);
	web_member(x, kc, &c, "m_c", SSRC_C);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_PEER);
	web_link(x, kc, kb, MDD_LINK_PEER, MDD_LINK_PEER);
	assert_true(web_learns(x, kb, SSRC_A, true));
	peer_say(&a, SSRC_A, 1);
	hears_once(&b, SSRC_A);
	hears_nothing(&c);
	peer_close(&a);
	peer_close(&b);
	peer_close(&c);
}

static void
triangle(struct web *x, enum mdd_link_kind kind)
{
	struct node *ka = web_node(x), *kb = web_node(x), *kc = web_node(x);
	struct peer a = { 0 }, b = { 0 }, c = { 0 };
	uint16_t seq;

	web_member(x, ka, &a, "m_a", SSRC_A);
	web_member(x, kb, &b, "m_b", SSRC_B);
	web_member(x, kc, &c, "m_c", SSRC_C);
	web_link(x, ka, kb, kind, kind);
	web_link(x, kb, kc, kind, kind);
	web_link(x, kc, ka, kind, kind);
	assert_true(web_learns(x, kb, SSRC_A, true));
	assert_true(web_learns(x, kc, SSRC_A, true));
	assert_true(web_learns(x, ka, SSRC_B, true));
	assert_true(web_learns(x, kc, SSRC_B, true));
	for (seq = 1; seq <= 5; seq++) {
		peer_say(&a, SSRC_A, seq);
		assert_int_equal(hears_once(&b, SSRC_A), seq);
		assert_int_equal(hears_once(&c, SSRC_A), seq);
		hears_nothing(&a);
		peer_say(&b, SSRC_B, seq);
		assert_int_equal(hears_once(&a, SSRC_B), seq);
		assert_int_equal(hears_once(&c, SSRC_B), seq);
	}
	/* to two links and from each to a member: no packet more */
	if (kind == MDD_LINK_PEER) {
		assert_int_equal(total(x, MDD_FORWARDED), 10 * 4);
		assert_int_equal(total(x, MDD_DROP_SSRC), 0);
	}
	peer_close(&a);
	peer_close(&b);
	peer_close(&c);
}

static void
test_triangle(void **state)
{
	triangle(*state, MDD_LINK_PEER);
}

/* A configuration that would send packets round for ever. */
static void
test_triangle_all_transit(void **state)
{
	struct web *x = *state;

	triangle(x, MDD_LINK_TRANSIT);
	assert_true(total(x, MDD_REFUSED_LOOP) > 0);
}

/* A star of workers behind a root, and a peer: all hear all. */
static void
test_star_and_peer(void **state)
{
	struct web *x = *state;
	struct node *root = web_node(x), *w1 = web_node(x), *w2 = web_node(x);
	struct node *far = web_node(x);
	struct peer a = { 0 }, b = { 0 }, c = { 0 };

	web_link(x, w1, root, MDD_LINK_LOCAL, MDD_LINK_LOCAL);
	web_link(x, w2, root, MDD_LINK_LOCAL, MDD_LINK_LOCAL);
	web_link(x, root, far, MDD_LINK_PEER, MDD_LINK_PEER);
	web_member(x, w1, &a, "m_a", SSRC_A);
	web_member(x, w2, &b, "m_b", SSRC_B);
	web_member(x, far, &c, "m_c", SSRC_C);
	assert_true(web_learns(x, far, SSRC_A, true));
	assert_true(web_learns(x, w1, SSRC_C, true));
	peer_say(&a, SSRC_A, 1);
	hears_once(&b, SSRC_A);
	hears_once(&c, SSRC_A);
	peer_say(&c, SSRC_C, 1);
	hears_once(&a, SSRC_C);
	hears_once(&b, SSRC_C);
	peer_close(&a);
	peer_close(&b);
	peer_close(&c);
}

/* ---- feedback --------------------------------------------------------- */

/* Until a packet of this type is in a compound; where it begins, or NULL. */
static const uint8_t *
rtcp_hear(struct peer *p, uint8_t d[static PEER_PACKET], uint8_t type, int ms)
{
	int64_t end = perc_now_ms() + ms;
	size_t n, at;

	while (perc_now_ms() < end) {
		if ((n = peer_recv_rtcp(p, d, 100)) == 0 ||
		    perc_srtcp_unprotect(p->rx_rtcp, d, &n) != 0)
			continue;
		for (at = 0; at + 8 <= n;
		     at += 4 * ((size_t)(d[at + 2] << 8 | d[at + 3]) + 1))
			if (d[at + 1] == type)
				return d + at;
	}
	return NULL;
}

/* A request for a key frame and a goodbye find their way over two links. */
static void
test_feedback_crosses(void **state)
{
	static const uint8_t pli[] = { 0x81, 206, 0, 2, 0x0c, 0x0c, 0x0c, 0x0c,
		0x0a, 0x0a, 0x0a, 0x0a };
	static const uint8_t bye[] = { 0x81, 203, 0, 1, 0x0a, 0x0a, 0x0a,
		0x0a };
	struct web *x = *state;
	struct node *ka = web_node(x), *kb = web_node(x), *kc = web_node(x);
	struct peer a = { 0 }, c = { 0 };
	uint8_t d[PEER_PACKET];
	const uint8_t *k;

	web_member(x, ka, &a, "m_a", SSRC_A);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	web_link(x, kc, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	web_member(x, kc, &c, "m_c", SSRC_C);
	assert_true(web_learns(x, kc, SSRC_A, true));
	assert_true(web_learns(x, ka, SSRC_C, true));
	web_run(x, 600); /* past the damping of the welcome's own */
	while (rtcp_hear(&a, d, 206, 50) != NULL)
		;
	web_rtcp_send(&c, SSRC_C, pli, sizeof(pli));
	k = rtcp_hear(&a, d, 206, 2000);
	assert_non_null(k);
	assert_memory_equal(k + 4, pli + 4, 8);
	web_rtcp_send(&a, SSRC_A, bye, sizeof(bye));
	k = rtcp_hear(&c, d, 203, 2000);
	assert_non_null(k);
	assert_memory_equal(k + 4, bye + 4, 4);
	peer_close(&a);
	peer_close(&c);
}

/* a, a link, a link, c; all know all. */
static void
line_open(struct web *x, struct peer *a, struct peer *c)
{
	struct node *ka = web_node(x), *kb = web_node(x), *kc = web_node(x);

	web_member(x, ka, a, "m_a", SSRC_A);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	web_link(x, kc, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	web_member(x, kc, c, "m_c", SSRC_C);
	assert_true(web_learns(x, kc, SSRC_A, true));
	assert_true(web_learns(x, ka, SSRC_C, true));
}

/* RFC 5104 section 4.3.1: each hop counts its requests for itself. */
static void
test_fir_crosses(void **state)
{
	static const uint8_t fir[] = { 0x84, 206, 0, 4, 0x0c, 0x0c, 0x0c, 0x0c,
		0, 0, 0, 0, 0x0a, 0x0a, 0x0a, 0x0a, 77, 0, 0, 0 };
	struct web *x = *state;
	struct peer a = { 0 }, c = { 0 };
	uint8_t d[PEER_PACKET];
	const uint8_t *k;

	line_open(x, &a, &c);
	web_run(x, 600); /* as in test_feedback_crosses */
	while (rtcp_hear(&a, d, 206, 50) != NULL)
		;
	web_rtcp_send(&c, SSRC_C, fir, sizeof(fir));
	k = rtcp_hear(&a, d, 206, 2000);
	assert_non_null(k);
	assert_int_equal(k[0], 0x84);
	assert_memory_equal(k + 4, fir + 4, 12);
	assert_in_range(k[16], 1, 76);
	peer_close(&a);
	peer_close(&c);
}

/* What is lost between the first MDD and the second the second asks for, and
 * it comes to all behind. */
static void
test_nack_over_a_link(void **state)
{
	struct web *x = *state;
	struct peer a = { 0 }, c = { 0 };
	uint8_t d[PEER_PACKET];
	unsigned lost = 0;
	struct node *kb;

	line_open(x, &a, &c);
	kb = &x->node[1];
	peer_say(&a, SSRC_A, 1);
	assert_int_equal(hears_once(&c, SSRC_A), 1);
	peer_say(&a, SSRC_A, 2);
	web_pump_one(&x->node[0]);
	while (recv(kb->udp, d, sizeof(d), MSG_DONTWAIT) > 0)
		lost++;
	assert_true(lost > 0);
	hears_nothing(&c);
	assert_int_equal(total(x, MDD_RTX_SENT), 0);
	peer_say(&a, SSRC_A, 3);
	assert_true(peer_recv(&c, d, 128, 191, 2000) > 0);
	assert_int_equal(d[2] << 8 | d[3], 3);
	assert_int_equal(hears_once(&c, SSRC_A), 2);
	assert_true(kb->w.count[MDD_NACK_ASKED] > 0);
	assert_int_equal(x->node[0].w.count[MDD_RTX_SENT], 1);
	assert_int_equal(x->node[0].w.count[MDD_NACK_ASKED], 0);
	peer_close(&a);
	peer_close(&c);
}

/* ---- a far side that lies --------------------------------------------- */

/* It takes no member's SSRC, sends none that it did not announce, and what it
 * sends back of ours goes nowhere. */
static void
test_REQ_F_8_1c_hostile_peer(void **state)
{
	struct mdd_link_path far = { 1, { 4711 } }, loop = { 2, { 4711, 0 } };
	struct web *x = *state;
	struct node *k = web_node(x);
	struct peer a = { 0 }, b = { 0 }, evil = { 0 };
	uint64_t before;
	uint16_t seq;

	web_member(x, k, &a, "m_a", SSRC_A);
	web_member(x, k, &b, "m_b", SSRC_B);
	web_join(x, k, &evil, "peer:evil", 0, MDD_LINK_PEER);
	assert_true(peer_connect(&evil, 3000));
	web_announce(&evil, SSRC_A, &far);
	loop.node[1] = k->w.node;
	web_announce(&evil, 0x77777777, &loop);
	web_run(x, 20);
	assert_int_equal(k->w.count[MDD_REFUSED_OWN], 1);
	assert_int_equal(k->w.count[MDD_REFUSED_LOOP], 1);
	before = k->w.count[MDD_DROP_SSRC];
	for (seq = 100; seq < 110; seq++) {
		peer_say(&evil, SSRC_A, seq);	  /* a member's */
		peer_say(&evil, 0x77777777, seq); /* not announced */
	}
	hears_nothing(&b);
	assert_int_equal(k->w.count[MDD_DROP_SSRC], before + 20);
	peer_say(&a, SSRC_A, 1);
	assert_int_equal(hears_once(&b, SSRC_A), 1);
	web_announce(&evil, SSRC_C, &far); /* what it may */
	web_run(x, 20);
	peer_say(&evil, SSRC_C, 9);
	assert_int_equal(hears_once(&b, SSRC_C), 9);
	peer_close(&a);
	peer_close(&b);
	peer_close(&evil);
}

/* Each datagram announces others: what it gets is bounded, and the members do
 * not notice. */
static void
test_REQ_F_8_2_1b_hostile_flood(void **state)
{
	struct mdd_link_path far = { 1, { 4711 } };
	struct web *x = *state;
	struct node *k = web_node(x);
	struct peer a = { 0 }, b = { 0 }, evil = { 0 };
	uint32_t ssrc = 1000;
	unsigned round;

	web_member(x, k, &a, "m_a", SSRC_A);
	web_join(x, k, &evil, "peer:evil", 0, MDD_LINK_PEER);
	assert_true(peer_connect(&evil, 3000));
	for (round = 0; round < 200; round++) {
		web_announce(&evil, ssrc, &far);
		peer_say(&evil, ssrc++, 1);
		web_run(x, 1);
	}
	assert_int_equal(k->w.legs.nfree_in, 4 * MDD_LINK_SHARE);
	assert_true(k->w.count[MDD_REFUSED_FULL] >= 200 - WEB_SOURCES);
	web_member(x, k, &b, "m_b", SSRC_B); /* there is room for him */
	peer_say(&a, SSRC_A, 1);
	assert_int_equal(hears_once(&b, SSRC_A), 1);
	peer_close(&a);
	peer_close(&b);
	peer_close(&evil);
}

#define T(f) cmocka_unit_test_setup_teardown(f, web_setup, web_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_two),
		T(test_line),
		T(test_line_without_transit),
		T(test_triangle),
		T(test_triangle_all_transit),
		T(test_star_and_peer),
		T(test_feedback_crosses),
		T(test_fir_crosses),
		T(test_nack_over_a_link),
		T(test_REQ_F_8_1c_hostile_peer),
		T(test_REQ_F_8_2_1b_hostile_flood),
	};

	return cmocka_run_group_tests_name("cascade", tests, NULL, NULL);
}
