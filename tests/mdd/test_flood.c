/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floods against the real perch-mdd: what strangers send can fill no queue of
 * the legs, and honest legs lose nothing to a flood of any kind. While a
 * worker is stopped its queues are all there is, so what is lost then is lost
 * for certain: without a queue of their own the legs' packets would be among
 * the tens of thousands that do not fit.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/mdd/flood.h"
#include "tests/mdd/stage.h"

#define HONEST 100   /* packets of an honest leg */
#define MASSES 30000 /* datagrams of a flood: far more than a queue holds */

static uint16_t seq;

static void
flood_on(struct flood *f, enum flood_kind kind, const struct member *m)
{
	memset(f, 0, sizeof(*f));
	f->kind = kind;
	f->to = m->p.mdd;
	f->ufrag = m->p.ufrag;
	f->ssrc = m->ssrc;
	f->leg_fd = -1;
}

/* Packets of a, one or more datagrams of the flood between them; all must
 * reach b. */
static void
all_arrive(struct member *a, struct member *b, struct flood *f, unsigned each)
{
	uint8_t d[PEER_PACKET];
	unsigned i;
	size_t n;

	for (i = 0; i < HONEST; i++) {
		n = peer_rtp(&a->p, d, a->ssrc, ++seq, "x", 1, "", 1);
		peer_send(&a->p, d, n);
		if (each > 0)
			flood_send(f, each);
	}
	for (i = 0; i < HONEST; i++)
		assert_int_equal(peer_recv(&b->p, d, 128, 191, 5000), n);
}

static void
workers_signal(int signo)
{
	pid_t pid[8];
	unsigned i, n = stage_workers(pid, 8);

	assert_int_equal(n, 2);
	for (i = 0; i < n; i++)
		assert_int_equal(kill(pid[i], signo), 0);
}

static void
masses(struct member *a, struct member *b, enum flood_kind kind)
{
	static struct flood f;
	uint64_t lobby, lost;
	uint8_t d[PEER_PACKET];
	unsigned i;
	size_t n = 0;

	flood_on(&f, kind, a);
	for (i = 0; kind == FLOOD_REPLAY && i < FLOOD_SHOTS; i++) {
		n = peer_rtp(&a->p, d, a->ssrc, ++seq, "x", 1, "", 1);
		memcpy(f.shot[i], d, n);
		f.len[i] = n;
		peer_send(&a->p, d, n);
		assert_int_equal(peer_recv(&b->p, d, 128, 191, 5000), n);
	}
	flood_open(&f);
	lobby = metric("perch_mdd_received_lobby_total", NULL);
	lost = metric("perch_mdd_receive_lost_total", "queue=\"strangers\"");
	workers_signal(SIGSTOP);
	flood_send(&f, MASSES / 2);
	for (i = 0; i < HONEST; i++) {
		n = peer_rtp(&a->p, d, a->ssrc, ++seq, "x", 1, "", 1);
		peer_send(&a->p, d, n);
	}
	flood_send(&f, MASSES / 2);
	workers_signal(SIGCONT);
	for (i = 0; i < HONEST; i++)
		assert_int_equal(peer_recv(&b->p, d, 128, 191, 5000), n);
	metric_reaches("perch_mdd_received_lobby_total", NULL, lobby + 100);
	metric_reaches("perch_mdd_receive_lost_total", "queue=\"strangers\"",
	    lost + MASSES / 2);
	all_arrive(a, b, &f, 20); /* and while it can read */
	flood_close(&f);
}

static void
test_strangers_fill_no_queue_of_legs(void **state)
{
	struct member a, b;
	int kind;

	two(&a, &b, "c_flood");
	for (kind = 0; kind < FLOOD_KINDS; kind++)
		masses(&a, &b, (enum flood_kind)kind);
	assert_int_equal(
	    metric("perch_mdd_receive_lost_total", "queue=\"legs\""), 0);
	member_end(&a);
	member_end(&b);
}

/* Legs that keep quiet cost the strangers' queue nothing. */
static void
test_legs_are_not_in_the_lobby(void **state)
{
	struct member a, b;
	uint64_t before, after, got;

	two(&a, &b, "c_road");
	(void)usleep(3000000); /* workers have told, each second */
	before = metric("perch_mdd_received_lobby_total", NULL);
	got = metric("perch_mdd_received_total", NULL);
	all_arrive(&a, &b, NULL, 0);
	assert_true(peer_stun(&a.p, a.p.pwd, false));
	metric_reaches("perch_mdd_received_total", NULL, got + HONEST + 1);
	after = metric("perch_mdd_received_lobby_total", NULL);
	assert_int_equal(after, before);
	member_end(&a);
	member_end(&b);
}

/* A leg that floods, or whose address is forged, waits with the strangers
 * until it is quiet; the others do not notice. */
static void
test_flooding_leg_waits(void **state)
{
	static struct flood f;
	struct member a, b, evil;
	uint8_t d[PEER_PACKET];
	unsigned i;

	two(&a, &b, "c_evil");
	member_join(&evil, "m_e", "c_evil", 0x0e0e0e0e);
	assert_true(peer_connect(&evil.p, 30000));
	flood_on(&f, FLOOD_REPLAY, &evil);
	f.leg_fd = evil.p.fd;
	for (i = 0; i < FLOOD_SHOTS; i++) {
		f.len[i] = peer_rtp(
		    &evil.p, d, evil.ssrc, (uint16_t)(1 + i), "evil", 4, "", 1);
		memcpy(f.shot[i], d, f.len[i]);
	}
	flood_open(&f);
	/* in portions that its queue holds, were the worker late */
	for (i = 1; i < 600; i++) {
		flood_send(&f, FLOOD_SHOTS * 16);
		(void)usleep(10000);
		if (i % 30 == 0 && metric("perch_mdd_legs_flooded", NULL) == 1)
			break;
	}
	assert_int_equal(metric("perch_mdd_legs_flooded", NULL), 1);
	while (peer_recv(&b.p, d, 128, 191, 50) > 0)
		;
	all_arrive(&a, &b, &f, 20);
	for (i = 0; i < 200 && metric("perch_mdd_legs_flooded", NULL) != 0; i++)
		(void)usleep(100000);
	assert_int_equal(metric("perch_mdd_legs_flooded", NULL), 0);
	all_arrive(&evil, &b, NULL, 0); /* none of its credit was spent */
	flood_close(&f);
	member_end(&a);
	member_end(&b);
	member_end(&evil);
}

/* Members that prove their address, begin DTLS, and then only keep the leg
 * alive: no processor time, and their associations are taken back. */
static void
test_handshakes_that_stop_half_way(void **state)
{
	enum { N = 40 };
	static struct member m[N];
	static char names[N][8];
	static struct flood f;
	uint64_t cpu, broken;
	unsigned i, round;

	broken = metric("perch_mdd_legs_ended_total", "reason=\"broken\"");
	for (i = 0; i < N; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "m_%u", i);
		member_join(&m[i], names[i], "c_half", 500 + i);
	}
	flood_on(&f, FLOOD_HELLO, &m[0]);
	flood_open(&f);
	for (i = 0; i < N; i++) {
		assert_true(peer_stun(&m[i].p, m[i].p.pwd, true));
		peer_send(&m[i].p, f.shot[i], f.len[i]);
	}
	(void)usleep(2000000);
	cpu = metric("perch_mdd_cpu_milliseconds_total", NULL);
	(void)usleep(3000000);
	cpu = metric("perch_mdd_cpu_milliseconds_total", NULL) - cpu;
	assert_true(cpu < 150); /* of 3,000 */
	for (round = 0; round < 2; round++) {
		for (i = 0; i < N; i++)
			(void)peer_stun(&m[i].p, m[i].p.pwd, false);
		(void)usleep(2000000);
	}
	metric_reaches(
	    "perch_mdd_legs_ended_total", "reason=\"broken\"", broken + N);
	flood_close(&f);
	for (i = 0; i < N; i++)
		member_end(&m[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_strangers_fill_no_queue_of_legs),
		cmocka_unit_test(test_legs_are_not_in_the_lobby),
		cmocka_unit_test(test_flooding_leg_waits),
		cmocka_unit_test(test_handshakes_that_stop_half_way),
	};

	return cmocka_run_group_tests_name(
	    "flood", tests, stage_open, stage_close);
}
