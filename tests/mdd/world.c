/* SPDX-License-Identifier: Apache-2.0 */
/* The world of world.h. What goes wrong here fails the running test. */
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
#include <unistd.h>

#include "perc/wire.h"
#include "tests/mdd/world.h"

struct mdd_setup world_limits = { .max_legs = 8,
	.max_conferences = 2,
	.max_conference_legs = 4,
	.max_leg_pps = 20000,
	.max_leg_kbps = 1000000,
	.idle_ms = 30000,
	.rtx_packets = 512,
	.rtx_kib = 1024 };

void
world_pump(void *world)
{
	struct world *x = world;
	uint8_t buf[MDD_OUT_MAX];
	struct mdd_addr from;
	ssize_t n;

	(void)usleep(0); /* what is under way is there (stilltime.c) */
	for (;;) {
		from.len = sizeof(from.u);
		n = recvfrom(x->udp, buf, PERC_MTU_MAX + 1, MSG_DONTWAIT,
		    &from.u.sa, &from.len);
		if (n < 0)
			break;
		mdd_worker_input(&x->w, &from, buf, (size_t)n, perc_now_ms());
		mdd_media_flush(&x->w); /* buf is used again */
	}
	mdd_worker_flush(&x->w);
	assert_int_equal(perc_loop_turn(x->loop, 0), 0);
}

int
world_open(void **state)
{
	struct world *x = calloc(1, sizeof(*x));
	socklen_t len = sizeof(x->at);

	assert_non_null(x);
	assert_int_equal(perc_srtcp_warm_up(), 0);
	assert_int_equal(perc_loop_new(&x->loop), 0);
	x->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	x->at.sin_family = AF_INET;
	x->at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(x->udp, (struct sockaddr *)&x->at, len), 0);
	assert_int_equal(
	    getsockname(x->udp, (struct sockaddr *)&x->at, &len), 0);
	x->w.segments = true;
	assert_int_equal(
	    mdd_worker_init(&x->w, x->loop, x->udp, &world_limits), 0);
	*state = x;
	return 0;
}

int
world_close(void **state)
{
	struct world *x = *state;

	peer_close(&x->a);
	peer_close(&x->b);
	peer_close(&x->c);
	mdd_worker_clear(&x->w);
	perc_loop_free(x->loop);
	(void)close(x->udp);
	free(x);
	return 0;
}

struct mdd_leg *
world_join(struct world *x, struct peer *p, const char *member, uint32_t ssrc)
{
	static unsigned n;
	struct mdd_join j = { .nssrcs = 1, .live_ms = 600000 };
	struct mdd_leg *leg = NULL;

	if (p->id == NULL)
		peer_open(p);
	(void)snprintf(j.leg, sizeof(j.leg), "l_%u", ++n);
	strcpy(j.conference, "k/c_1");
	strcpy(j.member, member);
	memcpy(j.pin, p->fp, sizeof(j.pin));
	strcpy(j.ufrag, PEER_UFRAG);
	strcpy(j.pwd, PEER_PWD);
	j.ssrcs[0] = ssrc;
	if (ssrc == SSRC_A)
		j.ssrcs[j.nssrcs++] = SSRC_A2;
	assert_int_equal(mdd_leg_join(&x->w.legs, &j, perc_now_ms(), &leg), 0);
	strcpy(p->ufrag, leg->ufrag);
	strcpy(p->pwd, leg->pwd);
	perc_dtls_id_fingerprint(x->w.id, p->mdd_fp);
	p->mdd = x->at;
	p->pump = world_pump;
	p->arg = x;
	return leg;
}

void
world_two(struct world *x)
{
	uint8_t d[PEER_PACKET];

	world_join(x, &x->a, "m_a", SSRC_A);
	world_join(x, &x->b, "m_b", SSRC_B);
	assert_true(peer_connect(&x->a, 3000));
	assert_true(peer_connect(&x->b, 3000));
	assert_int_equal(x->w.legs.up, 2);
	while (world_rtcp_in(&x->a, d, 20) > 0)
		;
	while (world_rtcp_in(&x->b, d, 20) > 0)
		;
}

struct mdd_leg *
world_leg(struct world *x, const struct peer *p)
{
	struct mdd_addr a = { .len = sizeof(a.u.in) };

	a.u.in = p->self;
	return mdd_leg_by_addr(&x->w.legs, &a);
}

size_t
world_rtp(struct peer *p, uint8_t d[PEER_PACKET], uint32_t ssrc, uint16_t seq,
    const char *body)
{
	static const uint8_t short_tail[1];

	return peer_rtp(p, d, ssrc, seq, body, strlen(body), short_tail,
	    sizeof(short_tail));
}

void
world_rtcp(struct peer *p, const void *c, size_t n)
{
	uint8_t d[PEER_PACKET];

	memcpy(d, c, n);
	assert_int_equal(perc_srtcp_protect(p->tx_rtcp, d, &n), 0);
	peer_send(p, d, n);
	world_pump(p->arg);
}

size_t
world_rtcp_in(struct peer *p, uint8_t d[PEER_PACKET], int ms)
{
	size_t n = peer_recv_rtcp(p, d, ms);

	if (n > 0)
		assert_int_equal(perc_srtcp_unprotect(p->rx_rtcp, d, &n), 0);
	return n;
}

void
world_wait(struct world *x, int ms)
{
	int64_t end = perc_now_ms() + ms;

	do {
		world_pump(x);
		(void)usleep(1000);
	} while (perc_now_ms() < end);
}

void
world_nack(
    struct peer *p, uint32_t own, uint32_t media, uint16_t pid, uint16_t blp)
{
	uint8_t c[16];
	struct perc_wire w;

	perc_wire_writer(&w, c, sizeof(c));
	perc_wire_put_u32(&w, 0x81cd0003);
	perc_wire_put_u32(&w, own);
	perc_wire_put_u32(&w, media);
	perc_wire_put_u16(&w, pid);
	perc_wire_put_u16(&w, blp);
	world_rtcp(p, c, sizeof(c));
}
