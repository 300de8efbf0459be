/* SPDX-License-Identifier: Apache-2.0 */
/* The workers of web.h. What goes wrong here fails the running test. */
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

#include "tests/mdd/web.h"

int
web_setup(void **state)
{
	assert_int_equal(perc_srtcp_warm_up(), 0);
	*state = calloc(1, sizeof(struct web));
	assert_non_null(*state);
	return 0;
}

static void
node_open(struct node *k)
{
	static const struct mdd_setup limits = { .max_legs = 12,
		.max_conferences = 2,
		.max_conference_legs = 6,
		.max_leg_pps = 2000,
		.max_leg_kbps = 20000,
		.rtx_packets = 512,
		.rtx_kib = 1024,
		.idle_ms = 30000,
		.max_links = 4,
		.max_link_sources = WEB_SOURCES,
		.max_link_pps = 5000 };
	socklen_t len = sizeof(k->at);

	memset(k, 0, sizeof(*k));
	assert_int_equal(perc_loop_new(&k->loop), 0);
	k->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	k->at.sin_family = AF_INET;
	k->at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(k->udp, (struct sockaddr *)&k->at, len), 0);
	assert_int_equal(
	    getsockname(k->udp, (struct sockaddr *)&k->at, &len), 0);
	assert_int_equal(mdd_worker_init(&k->w, k->loop, k->udp, &limits), 0);
}

struct node *
web_node(struct web *x)
{
	assert_true(x->n < WEB_NODES);
	node_open(&x->node[x->n]);
	return &x->node[x->n++];
}

void
node_end(struct node *k)
{
	if (k->loop == NULL)
		return;
	mdd_worker_clear(&k->w);
	perc_loop_free(k->loop);
	(void)close(k->udp);
	k->loop = NULL;
}

int
web_teardown(void **state)
{
	struct web *x = *state;

	while (x->n > 0)
		node_end(&x->node[--x->n]);
	free(x);
	return 0;
}

/* What is not taken from the socket waits there, and is lost when that is
 * full: such is a narrow road. */
static bool
road_open(struct node *k)
{
	int64_t now = perc_now_ms() * 1000;

	if (k->bps == 0)
		return true;
	k->credit += (now - k->credit_us) * k->bps / 1000000;
	if (k->credit > 20000)
		k->credit = 20000;
	k->credit_us = now;
	return k->credit > 0;
}

/* The same losses in every run (Numerical Recipes, "quick and dirty"). */
static unsigned
dice(void)
{
	static uint32_t at = 1;

	at = at * 1664525u + 1013904223u;
	return at >> 16;
}

static bool
road_carries(struct node *k, const uint8_t *p, size_t n)
{
	k->credit -= 8 * (int64_t)n;
	return n == 0 || p[0] < 0x40 || p[0] > 0x4f ||
	    dice() % 1000 >= k->loses;
}

void
web_pump_one(struct node *k)
{
	uint8_t buf[MDD_OUT_MAX];
	struct mdd_addr from;
	ssize_t n;

	(void)usleep(0); /* what is under way is there (stilltime.c) */
	while (road_open(k)) {
		from.len = sizeof(from.u);
		n = recvfrom(k->udp, buf, PERC_MTU_MAX + 1, MSG_DONTWAIT,
		    &from.u.sa, &from.len);
		if (n < 0)
			break;
		if (!road_carries(k, buf, (size_t)n))
			continue;
		mdd_worker_input(&k->w, &from, buf, (size_t)n, perc_now_ms());
		mdd_media_flush(&k->w); /* buf is used again */
	}
	mdd_worker_flush(&k->w);
	assert_int_equal(perc_loop_turn(k->loop, 0), 0);
}

void
web_pump(void *web)
{
	struct web *x = web;
	unsigned i;

	for (i = 0; i < x->n; i++)
		if (x->node[i].loop != NULL)
			web_pump_one(&x->node[i]);
}

void
web_run(struct web *x, int ms)
{
	int64_t end = perc_now_ms() + ms;

	do {
		web_pump(x);
		(void)usleep(500);
	} while (perc_now_ms() < end);
}

static void
join_fill(struct mdd_join *j, const char *member)
{
	static unsigned n;

	(void)snprintf(j->leg, sizeof(j->leg), "l_%u", ++n);
	strcpy(j->conference, "k/c_1");
	(void)snprintf(j->member, sizeof(j->member), "%s", member);
	j->live_ms = 600000;
}

struct mdd_leg *
web_join(struct web *x, struct node *k, struct peer *p, const char *member,
    uint32_t ssrc, enum mdd_link_kind kind)
{
	struct mdd_join j = { .nssrcs = ssrc != 0, .link = kind };
	struct mdd_leg *leg = NULL;

	if (p->id == NULL)
		peer_open(p);
	join_fill(&j, member);
	memcpy(j.pin, p->fp, sizeof(j.pin));
	strcpy(j.ufrag, PEER_UFRAG);
	strcpy(j.pwd, PEER_PWD);
	j.ssrcs[0] = ssrc;
	assert_int_equal(mdd_leg_join(&k->w.legs, &j, perc_now_ms(), &leg), 0);
	strcpy(p->ufrag, leg->ufrag);
	strcpy(p->pwd, leg->pwd);
	perc_dtls_id_fingerprint(k->w.id, p->mdd_fp);
	p->mdd = k->at;
	p->pump = web_pump;
	p->arg = x;
	return leg;
}

void
web_link(struct web *x, struct node *a, struct node *b, enum mdd_link_kind at_a,
    enum mdd_link_kind at_b)
{
	struct mdd_join ja = { .link = at_a, .dial = true };
	struct mdd_join jb = { .link = at_b };
	struct mdd_leg *la = NULL, *lb = NULL;
	struct mdd_dial d = { .host = "127.0.0.1",
		.twcc = at_a != MDD_LINK_LOCAL };
	char name[32];
	int i;

	(void)snprintf(name, sizeof(name), "link:%u", b->at.sin_port);
	join_fill(&ja, name);
	(void)snprintf(name, sizeof(name), "link:%u", a->at.sin_port);
	join_fill(&jb, name);
	assert_int_equal(mdd_leg_join(&a->w.legs, &ja, perc_now_ms(), &la), 0);
	perc_dtls_id_fingerprint(a->w.id, jb.pin);
	jb.twcc = d.twcc;
	strcpy(jb.ufrag, la->ufrag);
	strcpy(jb.pwd, la->pwd);
	assert_int_equal(mdd_leg_join(&b->w.legs, &jb, perc_now_ms(), &lb), 0);
	strcpy(d.leg, ja.leg);
	perc_dtls_id_fingerprint(b->w.id, d.pin);
	d.port = ntohs(b->at.sin_port);
	strcpy(d.ufrag, lb->ufrag);
	strcpy(d.pwd, lb->pwd);
	mdd_link_dial(&a->w, la, &d, perc_now_ms());
	for (i = 0;
	     i < 3000 && (la->state != MDD_LEG_UP || lb->state != MDD_LEG_UP);
	     i++)
		web_run(x, 1);
	assert_int_equal(la->state, MDD_LEG_UP);
	assert_int_equal(lb->state, MDD_LEG_UP);
}

bool
web_learns(struct web *x, struct node *b, uint32_t ssrc, bool fed)
{
	struct mdd_leg *leg;
	bool is;
	size_t i;
	int ms;

	for (ms = 0; ms < 3000; ms++) {
		is = false;
		for (i = 0; i < b->w.legs.limits.max_legs; i++) {
			leg = &b->w.legs.pool[i];
			is |= leg->state == MDD_LEG_UP && leg->link != NULL &&
			    mdd_leg_source(leg, ssrc) != NULL;
		}
		if (is == fed)
			return true;
		web_run(x, 1);
	}
	return false;
}

void
web_member(struct web *x, struct node *k, struct peer *p, const char *name,
    uint32_t ssrc)
{
	web_join(x, k, p, name, ssrc, MDD_LINK_NONE);
	assert_true(peer_connect(p, 3000));
}

void
web_rtcp_send(struct peer *p, uint32_t ssrc, const uint8_t *what, size_t n)
{
	uint8_t d[PEER_PACKET] = { 0x80, 201, 0, 1, (uint8_t)(ssrc >> 24),
		(uint8_t)(ssrc >> 16), (uint8_t)(ssrc >> 8), (uint8_t)ssrc };
	size_t len = 8 + n;

	memcpy(d + 8, what, n);
	assert_int_equal(perc_srtcp_protect(p->tx_rtcp, d, &len), 0);
	peer_send(p, d, len);
}

void
web_announce(struct peer *p, uint32_t ssrc, const struct mdd_link_path *path)
{
	uint8_t buf[MDD_HELLO_MAX];
	struct mdd_hello h;

	mdd_hello_begin(&h, buf);
	assert_true(mdd_hello_add(&h, path, 1, &ssrc, 1));
	web_rtcp_send(p, 1, buf, mdd_hello_end(&h));
}
