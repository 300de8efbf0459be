/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the sender said, after several MDDs changed what they may: the Original
 * Header Block of RFC 8723 keeps the first original, and the vault's code
 * opens by it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "perc/double.h"
#include "perc/forward.h"
#include "perc/loop.h"
#include "tests/mdd/web.h"

#define SSRC_A 0x0a0a0a0au
#define SSRC_C 0x0c0c0c0cu

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

/* w: what an MDD in between, which p then is, has changed; or NULL. */
static void
road_send(
    struct road *r, struct peer *p, uint16_t seq, const struct perc_rewrite *w)
{
	uint8_t plain[64], sealed[256], out[PEER_PACKET];
	size_t n = plain_rtp(plain, seq), sn, body = n + 17;

	assert_int_equal(perc_double_tx_seal(r->tx, perc_now_ms(), plain, n,
			     sealed, sizeof(sealed), &sn),
	    0);
	assert_int_equal(
	    perc_forward(p->tx, w, sealed, body, out, sizeof(out), &n), 0);
	memcpy(out + n, sealed + body, sn - body);
	peer_send(p, out, n + sn - body);
}

/* It arrives, and opens end to end as it was said. head: its outer header;
 * ohb: the last octets of what the outer layer protected. */
static void
road_open_end(struct road *r, struct peer *p, uint16_t seq,
    uint8_t head[static 12], uint8_t ohb[static 4])
{
	uint8_t d[PEER_PACKET], back[PEER_PACKET], plain[64];
	struct perc_double_in info;
	const uint8_t *tail;
	size_t n, tn;
	uint16_t spi;
	int len;

	n = peer_recv(p, d, 128, 191, 2000);
	assert_true(n > 0);
	memcpy(head, d, 12);
	len = peer_open_rtp(p, d, n, &tail, &tn);
	assert_true(len > 12 + 16 + 4);
	memcpy(ohb, d + len - 4, 4);
	memmove(d + len, tail, tn);
	assert_int_equal(perc_double_rx_open(r->rx, perc_now_ms(), d,
			     (size_t)len + tn, back, &info, &spi),
	    0);
	n = plain_rtp(plain, seq);
	assert_int_equal(info.len, n);
	assert_memory_equal(back, plain, n);
}

/* Its outer SEQ, and whether the OHB tells another. */
static uint16_t
road_hear(struct road *r, struct peer *p, uint16_t seq, bool changed)
{
	uint8_t head[12], ohb[4];
	uint16_t outer;

	road_open_end(r, p, seq, head, ohb);
	outer = (uint16_t)(head[2] << 8 | head[3]);
	if (changed) { /* SEQ and config octet, RFC 8723 section 4 */
		assert_int_equal(ohb[3], 0x01);
		assert_int_equal(ohb[1] << 8 | ohb[2], seq);
		assert_int_not_equal(outer, seq);
	} else {
		assert_int_equal(ohb[3], 0x00);
		assert_int_equal(outer, seq);
	}
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
	web_member(x, kc, &c, "m_c", SSRC_C);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	web_link(x, kb, kc, MDD_LINK_TRANSIT, MDD_LINK_PEER);
	web_member(x, ka, &a, "m_a", SSRC_A);
	assert_true(web_learns(x, kc, SSRC_A, true));
	road_send(&r, &a, 1000, NULL);
	last = road_hear(&r, &c, 1000, false);
	/* The first MDD is another one now; the second changes the SEQ. */
	node_end(ka);
	ka = web_node(x);
	peer_close(&a);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	web_member(x, ka, &a, "m_a", SSRC_A);
	mdd_leg_end(&kb->w.legs, kb->w.legs.pool, MDD_LEGS_SILENT);
	assert_true(web_learns(x, kb, SSRC_A, true));
	assert_true(web_learns(x, kc, SSRC_A, true));
	road_sender(&r);
	road_send(&r, &a, 20000, NULL);
	now = road_hear(&r, &c, 20000, true);
	assert_true((int16_t)(now - last) > 0);
	assert_int_equal(ka->w.count[MDD_REWRITTEN], 0);
	assert_int_equal(kb->w.count[MDD_REWRITTEN], 1);
	last = now;
	/* The member comes back with a new sequence: both change it. */
	web_member(x, ka, &a2, "m_a", SSRC_A);
	road_sender(&r);
	road_send(&r, &a2, 50000, NULL);
	now = road_hear(&r, &c, 50000, true);
	assert_true((int16_t)(now - last) > 0);
	assert_int_equal(ka->w.count[MDD_REWRITTEN], 1);
	assert_int_equal(kb->w.count[MDD_REWRITTEN], 2);
	road_close(&r);
	peer_close(&a);
	peer_close(&a2);
	peer_close(&c);
}

/* ---- an MDD that is not ours ------------------------------------------- */

static void
stranger_come(struct web *x, struct node *k, struct peer *p)
{
	static const struct mdd_link_path far = { 1, { 4711 } };

	web_join(x, k, p, "peer:other", 0, MDD_LINK_TRANSIT);
	assert_true(peer_connect(p, 3000));
	web_announce(p, SSRC_A, &far);
}

/*
 * RFC 8723 section 5.2: an MDD of somebody else changes all three fields that
 * it may, PT 111 to 96, the SEQ, the marker; our next one changes the SEQ once
 * more, for the peer came back with another. The OHB keeps what the sender
 * said, and the receiver opens and sees that: two hops of ours are nothing to
 * the PT. The marker that was changed was clear: M without B.
 */
static void
test_payload_type_crosses(void **state)
{
	struct perc_rewrite w = { .set_pt = true,
		.pt = 96,
		.set_seq = true,
		.seq = 4000,
		.set_marker = true,
		.marker = true };
	struct web *x = *state;
	struct node *ka = web_node(x), *kb = web_node(x);
	struct peer f = { 0 }, f2 = { 0 }, c = { 0 };
	uint8_t head[12], ohb[4];
	struct road r;

	road_open(&r);
	web_member(x, kb, &c, "m_c", SSRC_C);
	web_link(x, ka, kb, MDD_LINK_TRANSIT, MDD_LINK_PEER);
	stranger_come(x, ka, &f);
	assert_true(web_learns(x, kb, SSRC_A, true));
	road_send(&r, &f, 1000, &w);
	road_open_end(&r, &c, 1000, head, ohb);
	assert_int_equal(head[1], 0x80 | 96);
	assert_int_equal(head[2] << 8 | head[3], 4000);
	assert_memory_equal(ohb, "\x6f\x03\xe8\x07", 4);

	stranger_come(x, ka, &f2);
	assert_true(web_learns(x, kb, SSRC_A, true));
	w.seq = 50000;
	road_send(&r, &f2, 1001, &w);
	road_open_end(&r, &c, 1001, head, ohb);
	assert_int_equal(head[1], 0x80 | 96);
	assert_int_equal(ka->w.count[MDD_REWRITTEN], 1);
	assert_true(
	    (head[2] << 8 | head[3]) > 4000 && (head[2] << 8 | head[3]) < 4200);
	assert_memory_equal(ohb, "\x6f\x03\xe9\x07", 4);
	road_close(&r);
	peer_close(&f);
	peer_close(&f2);
	peer_close(&c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, web_setup, web_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_ohb_keeps_the_first_original),
		T(test_payload_type_crosses),
	};

	return cmocka_run_group_tests_name("original", tests, NULL, NULL);
}
