/* SPDX-License-Identifier: Apache-2.0 */
/* perc/dtls.c: client against server through a wire that loses, repeats and
 * reorders, wrong pins, no common profile, and the exporter's split. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "perc/dtls.h"
#include "perc/dtls_id.h"
#include "perc/loop.h"

#define QUEUE 64

struct end {
	struct perc_dtls_id *id;
	struct perc_dtls *d;
	struct end *peer;
	uint8_t fp[PERC_FINGERPRINT_LEN];
	struct {
		uint8_t p[PERC_DTLS_DATAGRAM];
		size_t n;
	} q[QUEUE]; /* on their way to us */
	unsigned qn, sent, largest;
	uint64_t lose; /* bit n: our nth datagram is lost */
	bool backwards;
	int err;
};

static void
wire_send(const uint8_t *p, size_t n, void *arg)
{
	struct end *e = arg, *to = e->peer;

	e->sent++;
	if (n > e->largest)
		e->largest = (unsigned)n;
	assert_true(n <= PERC_DTLS_DATAGRAM);
	if ((e->sent < 64 && (e->lose >> e->sent & 1) != 0) || to->qn == QUEUE)
		return;
	memcpy(to->q[to->qn].p, p, n);
	to->q[to->qn++].n = n;
}

static void
wire_deliver(struct end *e)
{
	unsigned i, n = e->qn;
	size_t k;
	int r;

	for (i = 0; i < n; i++) {
		k = e->backwards ? n - 1 - i : i;
		r = perc_dtls_input(e->d, e->q[k].p, e->q[k].n);
		if (r != 0 && r != PERC_ERR_STATE && e->err == 0)
			e->err = r;
	}
	memmove(e->q, e->q + n, (e->qn - n) * sizeof(e->q[0]));
	e->qn -= n;
}

static void
run(struct end *c, struct end *s, unsigned max_ms)
{
	unsigned waited = 0;
	int a, b, ms;

	if (perc_dtls_state(c->d) == PERC_DTLS_HANDSHAKE && c->sent == 0)
		assert_int_equal(perc_dtls_start(c->d), 0);
	for (;;) {
		while (c->qn > 0 || s->qn > 0) {
			wire_deliver(s);
			wire_deliver(c);
		}
		a = perc_dtls_next_ms(c->d);
		b = perc_dtls_next_ms(s->d);
		ms = a < 0 || (b >= 0 && b < a) ? b : a;
		if (ms < 0 || waited > max_ms)
			return;
		(void)poll(NULL, 0, ms);
		waited += (unsigned)ms;
		if (a >= 0 && a <= ms)
			(void)!perc_dtls_timeout(c->d);
		if (b >= 0 && b <= ms)
			(void)!perc_dtls_timeout(s->d);
	}
}

static void
open_pair(struct end *c, struct end *s, const enum perc_srtp_profile *cp,
    unsigned ncp, const enum perc_srtp_profile *sp, unsigned nsp)
{
	memset(c, 0, sizeof(*c));
	memset(s, 0, sizeof(*s));
	c->peer = s;
	s->peer = c;
	assert_int_equal(perc_dtls_id_generate(&c->id, "client", 2), 0);
	assert_int_equal(perc_dtls_id_generate(&s->id, "server", 2), 0);
	perc_dtls_id_fingerprint(c->id, c->fp);
	perc_dtls_id_fingerprint(s->id, s->fp);
	assert_int_equal(
	    perc_dtls_new(&c->d, c->id, false, s->fp, cp, ncp, wire_send, c),
	    0);
	assert_int_equal(
	    perc_dtls_new(&s->d, s->id, true, c->fp, sp, nsp, wire_send, s), 0);
}

static void
close_pair(struct end *c, struct end *s)
{
	perc_dtls_free(c->d);
	perc_dtls_free(s->d);
	perc_dtls_id_free(c->id);
	perc_dtls_id_free(s->id);
}

static void
check_keys(struct end *c, struct end *s, enum perc_srtp_profile want)
{
	struct perc_dtls_keys a, b;
	size_t k = want == PERC_AEAD_AES_128_GCM ? 16 : 32;

	assert_int_equal(perc_dtls_state(c->d), PERC_DTLS_UP);
	assert_int_equal(perc_dtls_state(s->d), PERC_DTLS_UP);
	assert_int_equal(perc_dtls_keys(c->d, &a), 0);
	assert_int_equal(perc_dtls_keys(s->d, &b), 0);
	assert_int_equal(a.profile, want);
	assert_int_equal(b.profile, want);
	assert_int_equal(a.keylen, k);
	assert_int_equal(b.keylen, k);
	assert_memory_equal(a.tx_key, b.rx_key, k);
	assert_memory_equal(a.rx_key, b.tx_key, k);
	assert_memory_equal(a.tx_salt, b.rx_salt, 12);
	assert_memory_equal(a.rx_salt, b.tx_salt, 12);
	assert_memory_not_equal(a.tx_key, a.rx_key, k);
}

static void
test_plain(void **state)
{
	struct end c, s;
	struct perc_dtls_keys k;

	open_pair(&c, &s, NULL, 0, NULL, 0);
	assert_int_equal(perc_dtls_keys(c.d, &k), PERC_ERR_STATE);
	assert_int_equal(perc_dtls_start(s.d), PERC_ERR_STATE);
	run(&c, &s, 1000);
	check_keys(&c, &s, PERC_AEAD_AES_256_GCM);
#ifndef PERCH_SANITIZED /* which is slow enough to send again */
	assert_true(c.sent <= 3 && s.sent <= 3);
#endif
	perc_dtls_close(c.d);
	run(&c, &s, 100);
	assert_int_equal(perc_dtls_state(c.d), PERC_DTLS_CLOSED);
	assert_int_equal(perc_dtls_state(s.d), PERC_DTLS_CLOSED);
	assert_int_equal(
	    perc_dtls_input(s.d, (const uint8_t *)"x", 1), PERC_ERR_STATE);
	close_pair(&c, &s);
}

/* REQ-F-4.4b: two hops of one distributor never share a key. */
static void
test_REQ_F_4_4b_two_hops_differ(void **state)
{
	struct perc_dtls_keys a, b;
	struct end c, s, c2, s2;

	open_pair(&c, &s, NULL, 0, NULL, 0);
	open_pair(&c2, &s2, NULL, 0, NULL, 0);
	run(&c, &s, 1000);
	run(&c2, &s2, 1000);
	assert_int_equal(perc_dtls_keys(s.d, &a), 0);
	assert_int_equal(perc_dtls_keys(s2.d, &b), 0);
	assert_memory_not_equal(a.tx_key, b.tx_key, 32);
	assert_memory_not_equal(a.rx_key, b.rx_key, 32);
	close_pair(&c, &s);
	close_pair(&c2, &s2);
}

static void
test_profiles(void **state)
{
	static const enum perc_srtp_profile
	    only128[] = { PERC_AEAD_AES_128_GCM },
	    only256[] = { PERC_AEAD_AES_256_GCM };
	struct end c, s;

	open_pair(&c, &s, only128, 1, NULL, 0);
	run(&c, &s, 1000);
	check_keys(&c, &s, PERC_AEAD_AES_128_GCM);
	close_pair(&c, &s);

	open_pair(&c, &s, only128, 1, only256, 1);
	run(&c, &s, 1000);
	assert_int_equal(perc_dtls_state(c.d), PERC_DTLS_FAILED);
	assert_int_equal(perc_dtls_state(s.d), PERC_DTLS_FAILED);
	assert_int_equal(s.err, PERC_ERR_AUTH);
	close_pair(&c, &s);
}

static void
wrong_pin(bool at_server)
{
	struct perc_dtls_keys k;
	struct end c, s, *who = at_server ? &s : &c;
	struct perc_dtls *d;
	uint8_t pin[PERC_FINGERPRINT_LEN];

	open_pair(&c, &s, NULL, 0, NULL, 0);
	memcpy(pin, who->peer->fp, sizeof(pin));
	pin[31] ^= 1;
	assert_int_equal(
	    perc_dtls_new(&d, who->id, at_server, pin, NULL, 0, wire_send, who),
	    0);
	perc_dtls_free(who->d);
	who->d = d;
	run(&c, &s, 1000);
	assert_int_equal(perc_dtls_state(who->d), PERC_DTLS_FAILED);
	assert_int_equal(who->err, PERC_ERR_AUTH);
	assert_int_not_equal(perc_dtls_state(who->peer->d), PERC_DTLS_UP);
	assert_int_equal(perc_dtls_keys(who->d, &k), PERC_ERR_STATE);
	close_pair(&c, &s);
}

static void
test_wrong_pin(void **state)
{
	wrong_pin(true);
	wrong_pin(false);
}

/* A quarter of everything is lost; the patterns are fixed. */
static void
test_loss(void **state)
{
	static const uint64_t lost[][2] = { { 0x2, 0x2 }, { 0x24, 0x12 },
		{ 0x1248, 0x1122 }, { 0x0606, 0x0884 } };
	struct end c, s;
	unsigned i;

	for (i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
		open_pair(&c, &s, NULL, 0, NULL, 0);
		c.lose = lost[i][0];
		s.lose = lost[i][1];
		run(&c, &s, 4000);
		check_keys(&c, &s, PERC_AEAD_AES_256_GCM);
		close_pair(&c, &s);
	}
}

/* The server's last flight is lost: the client repeats its own, and the
 * server, which is up already, answers again. */
static void
test_last_flight_lost(void **state)
{
	struct end c, s;

	open_pair(&c, &s, NULL, 0, NULL, 0);
	s.lose = 1 << 2;
	run(&c, &s, 2000);
	check_keys(&c, &s, PERC_AEAD_AES_256_GCM);
	assert_true(s.sent >= 3);
	close_pair(&c, &s);
}

static void
test_reordering(void **state)
{
	struct end c, s;

	open_pair(&c, &s, NULL, 0, NULL, 0);
	c.backwards = s.backwards = true;
	run(&c, &s, 3000);
	check_keys(&c, &s, PERC_AEAD_AES_256_GCM);
	close_pair(&c, &s);
}

/* A ClientHello for new keys inside the old association: refused by either
 * side, and what there is goes on. New keys are a new handshake's business
 * (RFC 5764 section 5.2, mdd/rekey.c). */
static void
renegotiates(bool server)
{
	struct end c, s, *who = server ? &s : &c;
	SSL *asks;

	open_pair(&c, &s, NULL, 0, NULL, 0);
	run(&c, &s, 1000);
	check_keys(&c, &s, PERC_AEAD_AES_256_GCM);
	asks = who->peer->d->ssl;
	SSL_clear_options(asks, SSL_OP_NO_RENEGOTIATION);
	assert_int_equal(SSL_renegotiate(asks), 1);
	(void)SSL_do_handshake(asks);
	assert_true(who->qn > 0);
	who->sent = 0;
	wire_deliver(who);
	assert_int_equal(SSL_in_init(who->d->ssl), 0);
	assert_int_equal(SSL_is_init_finished(who->d->ssl), 1);
	assert_true(who->sent <= 1); /* an alert, and no flight */
	assert_int_equal(perc_dtls_state(who->d), PERC_DTLS_UP);
	close_pair(&c, &s);
}

static void
test_no_renegotiation(void **state)
{
	renegotiates(true);
	renegotiates(false);
}

/* RFC 6347 section 4.2.4.1 says a second; for a call we ask again after 100
 * ms, then each time after twice as long. */
static void
test_first_retransmission(void **state)
{
	unsigned want = 100, i;
	int64_t began;
	struct end c, s;
	int ms;

	open_pair(&c, &s, NULL, 0, NULL, 0);
	assert_int_equal(perc_dtls_next_ms(c.d), -1);
	began = perc_now_ms();
	assert_int_equal(perc_dtls_start(c.d), 0);
	for (i = 1; i <= 3; i++, want *= 2) {
		assert_int_equal(c.sent, i);
		ms = perc_dtls_next_ms(c.d);
		assert_in_range(ms, want / 2, want);
		(void)poll(NULL, 0, ms / 2);
		assert_int_equal(perc_dtls_timeout(c.d), 0);
		assert_int_equal(c.sent, i); /* not before its time */
		while ((ms = perc_dtls_next_ms(c.d)) > 0)
			(void)poll(NULL, 0, ms);
		assert_in_range(perc_now_ms() - began, want - 5, want + 400);
		assert_int_equal(perc_dtls_timeout(c.d), 0);
		began = perc_now_ms();
	}
	assert_int_equal(c.sent, 4);
	close_pair(&c, &s);
}

/* Today's browsers send a ClientHello in two fragments; here every octet
 * string is cut by the peer, so cut one by hand: RFC 6347 section 4.2.3. */
static void
test_fragmented_hello(void **state)
{
	struct end c, s;
	uint8_t a[PERC_DTLS_DATAGRAM], *q;
	size_t n, body, half;

	open_pair(&c, &s, NULL, 0, NULL, 0);
	assert_int_equal(perc_dtls_start(c.d), 0);
	assert_int_equal(s.qn, 1);
	q = s.q[0].p;
	n = s.q[0].n;
	body = n - 25; /* record head 13, handshake head 12 */
	half = body / 2;
	s.qn = 0;
	memcpy(a, q, 25 + half);
	a[11] = (uint8_t)((12 + half) >> 8);
	a[12] = (uint8_t)(12 + half);
	a[22] = 0;
	a[23] = (uint8_t)(half >> 8);
	a[24] = (uint8_t)half;
	assert_int_equal(perc_dtls_input(s.d, a, 25 + half), 0);
	memcpy(a, q, 25);
	memcpy(a + 25, q + 25 + half, body - half);
	a[10] = 1; /* record number */
	a[11] = (uint8_t)((12 + body - half) >> 8);
	a[12] = (uint8_t)(12 + body - half);
	a[19] = 0; /* fragment offset */
	a[20] = (uint8_t)(half >> 8);
	a[21] = (uint8_t)half;
	a[22] = 0;
	a[23] = (uint8_t)((body - half) >> 8);
	a[24] = (uint8_t)(body - half);
	assert_int_equal(perc_dtls_input(s.d, a, 25 + body - half), 0);
	assert_int_equal(s.sent > 0, 1);
	run(&c, &s, 1000);
	check_keys(&c, &s, PERC_AEAD_AES_256_GCM);
	close_pair(&c, &s);
}

static void
test_garbage_is_survived(void **state)
{
	struct end c, s;
	uint8_t junk[300];
	unsigned i;
	size_t k;

	open_pair(&c, &s, NULL, 0, NULL, 0);
	srand(1);
	for (i = 0; i < 200; i++) {
		for (k = 0; k < sizeof(junk); k++)
			junk[k] = (uint8_t)rand();
		junk[0] = (uint8_t)(20 + i % 5);
		if (i % 2) {
			junk[1] = 0xfe;
			junk[2] = 0xfd;
			memset(junk + 3, 7, 8); /* an epoch of the future */
		}
		(void)!perc_dtls_input(s.d, junk, 1 + i);
	}
	assert_int_equal(perc_dtls_state(s.d), PERC_DTLS_HANDSHAKE);
	run(&c, &s, 1000);
	check_keys(&c, &s, PERC_AEAD_AES_256_GCM);
	for (i = 0; i < 200; i++)
		(void)!perc_dtls_input(s.d, junk, 1 + i);
	assert_int_equal(perc_dtls_state(s.d), PERC_DTLS_UP);
	close_pair(&c, &s);
}

static void
test_split(void **state)
{
	static const struct {
		unsigned profile;
		size_t k, s;
	} t[] = { { 7, 16, 12 }, { 8, 32, 12 }, { 9, 32, 24 }, { 10, 64, 24 } };
	struct perc_dtls_split o;
	uint8_t m[177];
	size_t i, n;

	for (i = 0; i < sizeof(m); i++)
		m[i] = (uint8_t)i;
	for (i = 0; i < 4; i++) {
		n = 2 * (t[i].k + t[i].s);
		assert_int_equal(perc_dtls_split(&o, t[i].profile, m, n), 0);
		assert_int_equal(o.keylen, t[i].k);
		assert_int_equal(o.saltlen, t[i].s);
		assert_memory_equal(o.client_key, m, t[i].k);
		assert_memory_equal(o.server_key, m + t[i].k, t[i].k);
		assert_memory_equal(o.client_salt, m + 2 * t[i].k, t[i].s);
		assert_memory_equal(
		    o.server_salt, m + 2 * t[i].k + t[i].s, t[i].s);
		assert_int_equal(perc_dtls_split(&o, t[i].profile, m, n - 1),
		    PERC_ERR_FORMAT);
		assert_int_equal(perc_dtls_split(&o, t[i].profile, m, n + 1),
		    PERC_ERR_FORMAT);
	}
	assert_int_equal(perc_dtls_split(&o, 1, m, 60), PERC_ERR_UNSUPPORTED);
}

static void
test_fingerprint_text(void **state)
{
	uint8_t fp[PERC_FINGERPRINT_LEN], back[PERC_FINGERPRINT_LEN];
	char text[PERC_FINGERPRINT_TEXT];
	unsigned i;

	for (i = 0; i < sizeof(fp); i++)
		fp[i] = (uint8_t)(i * 9);
	perc_fingerprint_put(text, fp);
	assert_memory_equal(text, "sha-256 00:09:12:1B:", 20);
	assert_int_equal(strlen(text), PERC_FINGERPRINT_TEXT - 1);
	assert_int_equal(perc_fingerprint_get(back, text), 0);
	assert_memory_equal(fp, back, sizeof(fp));
	text[10] = '-';
	assert_int_equal(perc_fingerprint_get(back, text), PERC_ERR_FORMAT);
	perc_fingerprint_put(text, fp);
	text[strlen(text) - 1] = '\0';
	assert_int_equal(perc_fingerprint_get(back, text), PERC_ERR_FORMAT);
	perc_fingerprint_put(text, fp);
	text[4] = '3';
	assert_int_equal(perc_fingerprint_get(back, text), PERC_ERR_FORMAT);
	assert_int_equal(perc_fingerprint_get(back, ""), PERC_ERR_FORMAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_REQ_F_4_4b_two_hops_differ),
		cmocka_unit_test(test_profiles),
		cmocka_unit_test(test_wrong_pin),
		cmocka_unit_test(test_loss),
		cmocka_unit_test(test_last_flight_lost),
		cmocka_unit_test(test_reordering),
		cmocka_unit_test(test_no_renegotiation),
		cmocka_unit_test(test_first_retransmission),
		cmocka_unit_test(test_fragmented_hello),
		cmocka_unit_test(test_garbage_is_survived),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_fingerprint_text),
	};

	return cmocka_run_group_tests_name("dtls", tests, NULL, NULL);
}
