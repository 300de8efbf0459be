/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Links over bad roads: what is lost is repaired between the two MDDs, and
 * what is too much for a link is held back before it, sound last.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/sock_diag.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mdd/cc.h"
#include "perc/hdrext.h"
#include "perc/loop.h"
#include "tests/mdd/web.h"

#define SSRC_A 0x0a0a0a0au
#define SSRC_V 0x0b0b0b0bu
#define SSRC_C 0x0c0c0c0cu

static struct mdd_leg *
link_of(struct node *k)
{
	size_t i;

	for (i = 0; i < k->w.legs.limits.max_legs; i++)
		if (k->w.legs.pool[i].link != NULL)
			return &k->w.legs.pool[i];
	return NULL;
}

/* ---- losses ----------------------------------------------------------- */

/* What came so far, once each. */
static void
listen_all(struct peer *p, uint16_t first, uint8_t *came, unsigned n, int ms)
{
	uint8_t d[PEER_PACKET];
	uint16_t at;

	while (peer_recv(p, d, 128, 191, ms) > 0) {
		at = (uint16_t)((d[2] << 8 | d[3]) - first);
		assert_true(at < n);
		assert_int_equal(came[at], 0);
		came[at] = 1;
	}
}

/* One of twenty is lost on each of two links, packets and requests alike; what
 * was said arrives, and no member is asked for any. */
static void
test_losses_of_links_are_repaired(void **state)
{
	enum { N = 300, FIRST = 65400 };
	struct web *x = *state;
	struct node *ka = web_node(x), *kb = web_node(x), *kc = web_node(x);
	struct peer a = { 0 }, c = { 0 };
	static uint8_t came[N];
	unsigned i, lost = 0;

	web_member(x, ka, &a, "m_a", SSRC_A);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_TRANSIT);
	web_link(x, kb, kc, MDD_LINK_TRANSIT, MDD_LINK_PEER);
	web_member(x, kc, &c, "m_c", SSRC_C);
	assert_true(web_learns(x, kc, SSRC_A, true));
	ka->loses = kb->loses = kc->loses = 50;
	for (i = 0; i < N; i++) {
		peer_say(&a, SSRC_A, (uint16_t)(FIRST + i));
		listen_all(&c, FIRST, came, N, 3);
	}
	for (i = 0; i < 45; i++) { /* longer than anybody waits for one */
		web_run(x, 20);
		listen_all(&c, FIRST, came, N, 5);
	}
	for (i = 0; i < N - 3; i++)
		lost += came[i] == 0;
	assert_in_range(lost, 0, 1); /* each try may be lost, too */
	assert_true(kb->w.count[MDD_NACK_ASKED] >= 5);
	assert_true(kc->w.count[MDD_NACK_ASKED] >= 5);
	assert_true(ka->w.count[MDD_RTX_SENT] >= 5);
	assert_int_equal(ka->w.count[MDD_NACK_ASKED], 0);
	peer_close(&a);
	peer_close(&c);
}

/* ---- a narrow road ---------------------------------------------------- */

/* A packet of a picture: one frame, of a temporal layer. */
static void
show(struct peer *p, uint16_t seq, bool key, uint8_t tid)
{
	uint8_t in[1200] = { 0x90, 0x80 | 96, (uint8_t)(seq >> 8),
		(uint8_t)seq },
		out[PEER_PACKET], mark[3] = { 0 };
	struct perc_hdrext_item e = { PERC_HDREXT_MARKING, 3, mark };
	struct perc_rtp h;
	size_t len;

	mark[0] = (uint8_t)(0xc0 | (key ? 0x20 : 0) | tid);
	in[6] = (uint8_t)(seq >> 4); /* each has a time of its own */
	in[7] = (uint8_t)(seq << 4);
	in[8] = in[9] = in[10] = in[11] = 0x0b;
	assert_int_equal(perc_hdrext_put(in + 12, 64, &e, 1, &len), 0);
	assert_int_equal(perc_rtp_parse(&h, in, sizeof(in)), 0);
	assert_int_equal(
	    perc_srtp_protect(p->tx, &h, in, sizeof(in), out, &len), 0);
	out[len] = 0;
	peer_send(p, out, len + 1);
}

struct heard {
	unsigned sound, picture;
};

static void
hear(struct peer *p, struct heard *h)
{
	uint8_t d[PEER_PACKET];

	while (peer_recv(p, d, 128, 191, 0) > 0)
		if (d[8] == 0x0b)
			h->picture++;
		else
			h->sound++;
}

/* For so long: a picture of 2.4 Mbit/s in four layers in time, and a voice. */
static struct heard
talk(struct web *x, struct peer *a, struct peer *v, struct peer *c, int ms)
{
	static const uint8_t tid[4] = { 0, 2, 1, 2 };
	static uint16_t seq, vseq;
	int64_t end = perc_now_ms() + ms, next = perc_now_ms();
	struct heard h = { 0 };

	for (; perc_now_ms() < end; next += 4) {
		show(v, vseq, vseq % 256 == 0, tid[vseq % 4]);
		if (vseq++ % 5 == 0)
			peer_say(a, SSRC_A, ++seq);
		do {
			web_pump(x);
			hear(c, &h);
			(void)usleep(200);
		} while (perc_now_ms() < next);
	}
	return h;
}

/* The road between the two takes half of what comes. The link's estimate
 * falls to that, the picture loses frames and not the voice its words. */
static void
test_narrow_link(void **state)
{
	struct web *x = *state;
	struct node *ka = web_node(x), *kb = web_node(x);
	struct peer a = { 0 }, v = { 0 }, c = { 0 };
	struct mdd_leg *link;
	struct heard h;

	web_member(x, ka, &a, "m_a", SSRC_A);
	web_member(x, ka, &v, "m_v", SSRC_V);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_PEER);
	web_member(x, kb, &c, "m_c", SSRC_C);
	assert_true(web_learns(x, kb, SSRC_A, true));
	assert_true(web_learns(x, kb, SSRC_V, true));
	link = link_of(ka);
	h = talk(x, &a, &v, &c, 1500); /* a wide one: all of it */
	assert_int_equal(link->bps, 0);
	assert_false(link->shaped);
	assert_in_range(h.picture, 330, 376);
	kb->bps = 1200000;
	(void)talk(x, &a, &v, &c, 3000);
	assert_true(link->bps > 0 && link->bps < 2000000);
	assert_true(link->shaped);
	h = talk(x, &a, &v, &c, 1500);
	assert_in_range(h.sound, 68, 82);    /* of 75 */
	assert_in_range(h.picture, 40, 200); /* of 375 */
	peer_close(&a);
	peer_close(&v);
	peer_close(&c);
}

/* ---- bursts ----------------------------------------------------------- */

#define FRAME 40 /* packets */

/* What waits at the narrow end, in the system's octets, and what it threw
 * away because that was too much. */
struct queue {
	uint32_t worst, lost;
};

static void
queue_look(const struct node *k, struct queue *q)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof(info);

	assert_int_equal(
	    getsockopt(k->udp, SOL_SOCKET, SO_MEMINFO, info, &len), 0);
	if (info[SK_MEMINFO_RMEM_ALLOC] > q->worst)
		q->worst = info[SK_MEMINFO_RMEM_ALLOC];
	q->lost = info[SK_MEMINFO_DROPS];
}

/* A frame at once, and then nothing for so long; what c heard meanwhile. */
static unsigned
frame(struct web *x, struct peer *a, struct peer *c, int ms, struct queue *q)
{
	static uint8_t body[1100];
	static const uint8_t tail[1];
	static uint16_t seq;
	int64_t end = perc_now_ms() + ms;
	struct heard h = { 0 };
	uint8_t d[PEER_PACKET];
	unsigned i;
	size_t n;

	for (i = 0; i < FRAME; i++) {
		n = peer_rtp(a, d, SSRC_A, ++seq, body, sizeof(body), tail, 1);
		peer_send(a, d, n);
	}
	do {
		web_pump_one(&x->node[0]);
		queue_look(&x->node[1], q); /* before it takes of it */
		web_pump_one(&x->node[1]);
		hear(c, &h);
		(void)usleep(200);
	} while (perc_now_ms() < end);
	return h.sound;
}

/*
 * Frames of 384 kbit on a road of 4 Mbit/s whose queue holds three quarters
 * of one. Before the road is known to be narrow a frame goes at once, and
 * would not fit; then it leaves over a while, and nothing is lost.
 */
static void
test_link_spreads_bursts(void **state)
{
	struct queue once = { 0, 0 }, spread = { 0, 0 };
	struct web *x = *state;
	struct node *ka = web_node(x), *kb = web_node(x);
	struct peer a = { 0 }, c = { 0 };
	struct mdd_leg *link;
	unsigned i, n = 0;
	uint32_t lost;
	int room;

	web_member(x, ka, &a, "m_a", SSRC_A);
	web_link(x, ka, kb, MDD_LINK_PEER, MDD_LINK_PEER);
	web_member(x, kb, &c, "m_c", SSRC_C);
	assert_true(web_learns(x, kb, SSRC_A, true));
	link = link_of(ka);
	kb->bps = 4000000;
	assert_int_equal(frame(x, &a, &c, 500, &once), FRAME);
	assert_false(link->bwe.slow);
	assert_int_equal(ka->w.count[MDD_PACE_WAITED], 0);
	room = (int)(once.worst * 3 / 4 / 2); /* the system doubles it */
	assert_int_equal(
	    setsockopt(kb->udp, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
	for (i = 0; i < 200 && !link->bwe.slow; i++)
		(void)frame(x, &a, &c, 50, &spread); /* 7.7 Mbit/s */
	assert_true(link->bwe.slow);
	web_run(x, 1000);
	queue_look(kb, &spread);
	lost = spread.lost;
	while (peer_recv(&c, (uint8_t[PEER_PACKET]){ 0 }, 128, 191, 0) > 0)
		;
	spread.worst = 0;
	for (i = 0; i < 5; i++)
		n += frame(x, &a, &c, 500, &spread);
	print_message("# a frame of %u at once: %u octets in the queue, "
		      "spread: %u (estimate %u kbit/s)\n",
	    FRAME, once.worst, spread.worst, (unsigned)(link->bwe.bps / 1000));
	assert_int_equal(spread.lost, lost);
	assert_int_equal(n, 5 * FRAME);
	assert_true(ka->w.count[MDD_PACE_WAITED] > 0);
	peer_close(&a);
	peer_close(&c);
}

#define T(f) cmocka_unit_test_setup_teardown(f, web_setup, web_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_losses_of_links_are_repaired),
		T(test_narrow_link),
		T(test_link_spreads_bursts),
	};

	return cmocka_run_group_tests_name("road", tests, NULL, NULL);
}
