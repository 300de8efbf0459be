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

#include "perc/double.h"
#include "perc/loop.h"
#include "tests/mdd/web.h"

#define SSRC_A 0x0a0a0a0au
#define SSRC_B 0x0b0b0b0bu
#define SSRC_C 0x0c0c0c0cu

static const uint8_t tail1[1] = { 0x00 };

static void
member(struct web *x, struct node *k, struct peer *p, const char *name,
    uint32_t ssrc)
{
	web_join(x, k, p, name, ssrc, MDD_LINK_NONE);
	assert_true(peer_connect(p, 3000));
}

static void
say(struct peer *p, uint32_t ssrc, uint16_t seq)
{
	uint8_t d[PEER_PACKET];
	size_t n = peer_rtp(p, d, ssrc, seq, "words", 5, tail1, 1);

	assert_true(n > 0);
	peer_send(p, d, n);
}

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

	member(x, ka, &a, "m_a", SSRC_A);
	member(x, kb, &b, "m_b", SSRC_B);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_PEER);
	assert_true(web_learns(x, kb, SSRC_A, true));
	assert_true(web_learns(x, ka, SSRC_B, true));
	say(&a, SSRC_A, 7);
	assert_int_equal(hears_once(&b, SSRC_A), 7);
	hears_nothing(&a);
	/* One who comes later is announced at once, not with the next hello */
	member(x, ka, &c, "m_c", SSRC_C);
	say(&c, SSRC_C, 1);
	hears_once(&a, SSRC_C);
	hears_once(&b, SSRC_C);
	say(&b, SSRC_B, 1);
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

	member(x, ka, &a, "m_a", SSRC_A);
	member(x, kc, &c, "m_c", SSRC_C);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	web_link(x, kc, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	assert_true(web_learns(x, kc, SSRC_A, true));
	say(&a, SSRC_A, 9);
	assert_int_equal(hears_once(&c, SSRC_A), 9);
	say(&c, SSRC_C, 3);
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

	member(x, ka, &a, "m_a", SSRC_A);
	member(x, kb, &b, "m_b", SSRC_B);
	member(x, kc, &c, "m_c", SSRC_C);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_PEER);
	web_link(x, kc, kb, MDD_LINK_PEER, MDD_LINK_PEER);
	assert_true(web_learns(x, kb, SSRC_A, true));
	say(&a, SSRC_A, 1);
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

	member(x, ka, &a, "m_a", SSRC_A);
	member(x, kb, &b, "m_b", SSRC_B);
	member(x, kc, &c, "m_c", SSRC_C);
	web_link(x, ka, kb, kind, kind);
	web_link(x, kb, kc, kind, kind);
	web_link(x, kc, ka, kind, kind);
	assert_true(web_learns(x, kb, SSRC_A, true));
	assert_true(web_learns(x, kc, SSRC_A, true));
	assert_true(web_learns(x, ka, SSRC_B, true));
	assert_true(web_learns(x, kc, SSRC_B, true));
	for (seq = 1; seq <= 5; seq++) {
		say(&a, SSRC_A, seq);
		assert_int_equal(hears_once(&b, SSRC_A), seq);
		assert_int_equal(hears_once(&c, SSRC_A), seq);
		hears_nothing(&a);
		say(&b, SSRC_B, seq);
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
	member(x, w1, &a, "m_a", SSRC_A);
	member(x, w2, &b, "m_b", SSRC_B);
	member(x, far, &c, "m_c", SSRC_C);
	assert_true(web_learns(x, far, SSRC_A, true));
	assert_true(web_learns(x, w1, SSRC_C, true));
	say(&a, SSRC_A, 1);
	hears_once(&b, SSRC_A);
	hears_once(&c, SSRC_A);
	say(&c, SSRC_C, 1);
	hears_once(&a, SSRC_C);
	hears_once(&b, SSRC_C);
	peer_close(&a);
	peer_close(&b);
	peer_close(&c);
}

/* ---- end to end ------------------------------------------------------- */

/* The conference's key of the epoch that began when somebody came. */
static void
epoch_add(struct perc_ekt *e, uint16_t spi)
{
	struct perc_enckey k = { .keyid = "c.1",
		.keylen = 16,
		.cipher = PERC_AESKW128,
		.profile = PERC_DOUBLE_128,
		.spi = spi,
		.ttl_s = 300 };

	memset(k.key, (uint8_t)spi, 16);
	memset(k.salt, 0x17, sizeof(k.salt));
	assert_int_equal(perc_ekt_add(e, &k, perc_now_ms() + 300000), 0);
}

struct road { /* from a sealed packet to an opened one */
	struct perc_ekt *ea, *eb;
	struct perc_double_tx *tx;
	struct perc_double_rx *rx;
	uint16_t spi;
};

/* The member's process begins, with a key and a sequence of its own. */
static void
road_sender(struct road *r)
{
	r->spi++;
	epoch_add(r->ea, r->spi);
	epoch_add(r->eb, r->spi);
	perc_double_tx_free(r->tx);
	assert_int_equal(
	    perc_double_tx_new(&r->tx, r->ea, SSRC_A, PERC_FULL_AUDIO), 0);
	assert_int_equal(
	    perc_double_tx_switch(r->tx, r->spi, perc_now_ms()), 0);
}

static void
road_open(struct road *r)
{
	const uint32_t listed[] = { SSRC_A };

	*r = (struct road){ .spi = 4660 };
	assert_int_equal(perc_ekt_new(&r->ea), 0);
	assert_int_equal(perc_ekt_new(&r->eb), 0);
	road_sender(r);
	assert_int_equal(perc_double_rx_new(&r->rx, r->eb, 16, 64), 0);
	assert_int_equal(perc_double_rx_list(r->rx, listed, 1), 0);
}

static void
road_close(struct road *r)
{
	perc_double_tx_free(r->tx);
	perc_double_rx_free(r->rx);
	perc_ekt_free(r->ea);
	perc_ekt_free(r->eb);
}

static size_t
plain_rtp(uint8_t out[static 64], uint16_t seq)
{
	const uint8_t head[12] = { 0x80, 111, (uint8_t)(seq >> 8), (uint8_t)seq,
		0, 0, 3, 192, 10, 10, 10, 10 };

	memcpy(out, head, sizeof(head));
	memset(out + 12, 's', 20);
	return 32;
}

static void
road_send(struct road *r, struct peer *p, uint16_t seq)
{
	uint8_t plain[64], sealed[256], out[PEER_PACKET];
	size_t n = plain_rtp(plain, seq), sn, body = n + 17;
	struct perc_rtp h;

	assert_int_equal(perc_double_tx_seal(r->tx, perc_now_ms(), plain, n,
			     sealed, sizeof(sealed), &sn),
	    0);
	assert_int_equal(perc_rtp_parse(&h, sealed, body), 0);
	assert_int_equal(
	    perc_srtp_protect(p->tx, &h, sealed, body, out, &n), 0);
	memcpy(out + n, sealed + body, sn - body);
	peer_send(p, out, n + sn - body);
}

/* It arrives, opens end to end as it was said; its outer SEQ, and whether the
 * OHB tells another. */
static uint16_t
road_hear(struct road *r, struct peer *p, uint16_t seq, bool changed)
{
	uint8_t d[PEER_PACKET], back[PEER_PACKET], plain[64];
	struct perc_double_in info;
	const uint8_t *tail;
	size_t n, tn;
	uint16_t spi, outer;
	int len;

	n = peer_recv(p, d, 128, 191, 2000);
	assert_true(n > 0);
	outer = (uint16_t)(d[2] << 8 | d[3]);
	len = peer_open_rtp(p, d, n, &tail, &tn);
	assert_true(len > 0);
	if (changed) { /* SEQ and config octet, RFC 8723 section 4 */
		assert_int_equal(d[len - 1], 0x01);
		assert_int_equal(d[len - 3] << 8 | d[len - 2], seq);
		assert_int_not_equal(outer, seq);
	} else {
		assert_int_equal(d[len - 1], 0x00);
		assert_int_equal(outer, seq);
	}
	memmove(d + len, tail, tn);
	assert_int_equal(perc_double_rx_open(r->rx, perc_now_ms(), d,
			     (size_t)len + tn, back, &info, &spi),
	    0);
	n = plain_rtp(plain, seq);
	assert_int_equal(info.len, n);
	assert_memory_equal(back, plain, n);
	return outer;
}

/*
 * Three MDDs in a line, of which the first and the second change the SEQ: the
 * member came back with a new sequence, then the first MDD was restarted and
 * the member came back again. The OHB has the member's own SEQ all the while
 * (RFC 8723 section 5.2), and the receiver's outer SEQ never goes back.
 */
static void
test_ohb_keeps_the_first_original(void **state)
{
	struct web *x = *state;
	struct node *ka = web_node(x), *kb = web_node(x), *kc = web_node(x);
	struct peer a = { 0 }, a2 = { 0 }, c = { 0 };
	uint16_t last, now;
	struct road r;

	road_open(&r);
	member(x, kc, &c, "m_c", SSRC_C);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	web_link(x, kb, kc, MDD_LINK_TRANSIT, MDD_LINK_PEER);
	member(x, ka, &a, "m_a", SSRC_A);
	assert_true(web_learns(x, kc, SSRC_A, true));
	road_send(&r, &a, 1000);
	last = road_hear(&r, &c, 1000, false);
	/* The first MDD is another one now; the second changes the SEQ. */
	node_end(ka);
	ka = web_node(x);
	peer_close(&a);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	member(x, ka, &a, "m_a", SSRC_A);
	mdd_leg_end(&kb->w.legs, kb->w.legs.pool, MDD_LEGS_SILENT);
	assert_true(web_learns(x, kb, SSRC_A, true));
	assert_true(web_learns(x, kc, SSRC_A, true));
	road_sender(&r);
	road_send(&r, &a, 20000);
	now = road_hear(&r, &c, 20000, true);
	assert_true((int16_t)(now - last) > 0);
	assert_int_equal(ka->w.count[MDD_REWRITTEN], 0);
	assert_int_equal(kb->w.count[MDD_REWRITTEN], 1);
	last = now;
	/* The member comes back with a new sequence: both change it. */
	member(x, ka, &a2, "m_a", SSRC_A);
	road_sender(&r);
	road_send(&r, &a2, 50000);
	now = road_hear(&r, &c, 50000, true);
	assert_true((int16_t)(now - last) > 0);
	assert_int_equal(ka->w.count[MDD_REWRITTEN], 1);
	assert_int_equal(kb->w.count[MDD_REWRITTEN], 2);
	road_close(&r);
	peer_close(&a);
	peer_close(&a2);
	peer_close(&c);
}

/* ---- feedback --------------------------------------------------------- */

/* A compound for the MDD: empty RR of ssrc, then what; protected, sent. */
static void
rtcp_send(struct peer *p, uint32_t ssrc, const uint8_t *what, size_t n)
{
	uint8_t d[PEER_PACKET] = { 0x80, 201, 0, 1, (uint8_t)(ssrc >> 24),
		(uint8_t)(ssrc >> 16), (uint8_t)(ssrc >> 8), (uint8_t)ssrc };
	size_t len = 8 + n;

	memcpy(d + 8, what, n);
	assert_int_equal(perc_srtcp_protect(p->tx_rtcp, d, &len), 0);
	peer_send(p, d, len);
}

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

	member(x, ka, &a, "m_a", SSRC_A);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	web_link(x, kc, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	member(x, kc, &c, "m_c", SSRC_C);
	assert_true(web_learns(x, kc, SSRC_A, true));
	assert_true(web_learns(x, ka, SSRC_C, true));
	web_run(x, 600); /* past the damping of the welcome's own */
	while (rtcp_hear(&a, d, 206, 50) != NULL)
		;
	rtcp_send(&c, SSRC_C, pli, sizeof(pli));
	k = rtcp_hear(&a, d, 206, 2000);
	assert_non_null(k);
	assert_memory_equal(k + 4, pli + 4, 8);
	rtcp_send(&a, SSRC_A, bye, sizeof(bye));
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

	member(x, ka, a, "m_a", SSRC_A);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	web_link(x, kc, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	member(x, kc, c, "m_c", SSRC_C);
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
	rtcp_send(&c, SSRC_C, fir, sizeof(fir));
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
	say(&a, SSRC_A, 1);
	assert_int_equal(hears_once(&c, SSRC_A), 1);
	say(&a, SSRC_A, 2);
	web_pump_one(&x->node[0]);
	while (recv(kb->udp, d, sizeof(d), MSG_DONTWAIT) > 0)
		lost++;
	assert_true(lost > 0);
	hears_nothing(&c);
	assert_int_equal(total(x, MDD_RTX_SENT), 0);
	say(&a, SSRC_A, 3);
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

/* One announcement of one SSRC by this path. */
static void
announce(struct peer *p, uint32_t ssrc, const struct mdd_link_path *path)
{
	uint8_t buf[MDD_HELLO_MAX];
	struct mdd_hello h;

	mdd_hello_begin(&h, buf);
	assert_true(mdd_hello_add(&h, path, 1, &ssrc, 1));
	rtcp_send(p, 1, buf, mdd_hello_end(&h));
}

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

	member(x, k, &a, "m_a", SSRC_A);
	member(x, k, &b, "m_b", SSRC_B);
	web_join(x, k, &evil, "peer:evil", 0, MDD_LINK_PEER);
	assert_true(peer_connect(&evil, 3000));
	announce(&evil, SSRC_A, &far);
	loop.node[1] = k->w.node;
	announce(&evil, 0x77777777, &loop);
	web_run(x, 20);
	assert_int_equal(k->w.count[MDD_REFUSED_OWN], 1);
	assert_int_equal(k->w.count[MDD_REFUSED_LOOP], 1);
	before = k->w.count[MDD_DROP_SSRC];
	for (seq = 100; seq < 110; seq++) {
		say(&evil, SSRC_A, seq);     /* a member's */
		say(&evil, 0x77777777, seq); /* not announced */
	}
	hears_nothing(&b);
	assert_int_equal(k->w.count[MDD_DROP_SSRC], before + 20);
	say(&a, SSRC_A, 1);
	assert_int_equal(hears_once(&b, SSRC_A), 1);
	announce(&evil, SSRC_C, &far); /* what it may */
	web_run(x, 20);
	say(&evil, SSRC_C, 9);
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

	member(x, k, &a, "m_a", SSRC_A);
	web_join(x, k, &evil, "peer:evil", 0, MDD_LINK_PEER);
	assert_true(peer_connect(&evil, 3000));
	for (round = 0; round < 200; round++) {
		announce(&evil, ssrc, &far);
		say(&evil, ssrc++, 1);
		web_run(x, 1);
	}
	assert_int_equal(k->w.legs.nfree_in, 4 * MDD_LINK_SHARE);
	assert_true(k->w.count[MDD_REFUSED_FULL] >= 200 - WEB_SOURCES);
	member(x, k, &b, "m_b", SSRC_B); /* there is room for him */
	say(&a, SSRC_A, 1);
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
		T(test_ohb_keeps_the_first_original),
		T(test_feedback_crosses),
		T(test_fir_crosses),
		T(test_nack_over_a_link),
		T(test_REQ_F_8_1c_hostile_peer),
		T(test_REQ_F_8_2_1b_hostile_flood),
	};

	return cmocka_run_group_tests_name("cascade", tests, NULL, NULL);
}
