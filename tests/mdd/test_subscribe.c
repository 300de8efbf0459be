/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PUT /v1/join/{leg}/subscriptions of the real perch-mdd, with members over
 * DTLS and the inner layer of Double: who unsubscribes gets nothing, who
 * subscribes again gets everything from then on, every packet opens end to
 * end, and the numbers have no gap that a NACK could ask for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perc/double.h"
#include "perc/hdrext.h"
#include "perc/loop.h"
#include "tests/mdd/inner.h"
#include "tests/mdd/stage.h"

struct talk { /* from a to b */
	struct member a, b;
	struct perc_ekt *ea, *eb;
	struct perc_double_tx *tx;
	struct perc_double_rx *rx;
	uint16_t seq;  /* last one sent, of the original */
	uint16_t next; /* that b must see, once it saw one */
	bool any;
	unsigned heard;
};

static void
talk_open(struct talk *t, const char *conference)
{
	const uint32_t listed[] = { SSRC_A };

	memset(t, 0, sizeof(*t));
	t->seq = 65500;
	t->ea = inner_ekt();
	t->eb = inner_ekt();
	two(&t->a, &t->b, conference);
	assert_int_equal(
	    perc_double_tx_new(&t->tx, t->ea, SSRC_A, PERC_FULL_AUDIO), 0);
	assert_int_equal(perc_double_tx_switch(t->tx, 4660, perc_now_ms()), 0);
	assert_int_equal(perc_double_rx_new(&t->rx, t->eb, 16, 64), 0);
	assert_int_equal(perc_double_rx_list(t->rx, listed, 1), 0);
}

static void
talk_close(struct talk *t)
{
	perc_double_tx_free(t->tx);
	perc_double_rx_free(t->rx);
	perc_ekt_free(t->ea);
	perc_ekt_free(t->eb);
	member_end(&t->a);
	member_end(&t->b);
}

/* A packet with an audio level, a MID and a transport-wide number. */
static void
say(struct talk *t)
{
	static const struct perc_hdrext_item items[] = {
		{ PERC_HDREXT_LEVEL, 1, (const uint8_t *)"\x1e" },
		{ PERC_HDREXT_MID, 1, (const uint8_t *)"0" },
		{ PERC_HDREXT_TWCC, 2, (const uint8_t *)"\1\2" },
	};
	uint8_t in[256] = { 0x80, 111, (uint8_t)(++t->seq >> 8),
		(uint8_t)t->seq, 0, 0, 3, 192, 10, 10, 10, 10, 's' };
	uint8_t sealed[512], out[PEER_PACKET];
	size_t n, body = 12 + 40 + 17, len;
	struct perc_rtp h;

	assert_int_equal(perc_double_tx_seal(t->tx, perc_now_ms(), in, 12 + 40,
			     sealed, sizeof(sealed), &n),
	    0);
	/* The extensions come between; the inner layer does not know them. */
	memcpy(in, sealed, 12);
	in[0] |= 0x10;
	assert_int_equal(perc_hdrext_put(in + 12, 64, items, 3, &len), 0);
	memcpy(in + 12 + len, sealed + 12, body - 12);
	assert_int_equal(perc_rtp_parse(&h, in, body + len), 0);
	assert_int_equal(
	    perc_srtp_protect(t->a.p.tx, &h, in, body + len, out, &len), 0);
	memcpy(out + len, sealed + body, n - body);
	peer_send(&t->a.p, out, len + n - body);
}

/* Does the next one arrive? It opens, is the one that was said last, and has
 * the number that follows. */
static bool
hears(struct talk *t, int ms)
{
	uint8_t d[PEER_PACKET], back[PEER_PACKET];
	struct perc_double_in info;
	struct perc_hdrext_item x;
	const uint8_t *tail;
	struct perc_rtp h;
	size_t n, tl;
	uint16_t spi;
	int len;

	if ((n = peer_recv(&t->b.p, d, 128, 191, ms)) == 0)
		return false;
	len = peer_open_rtp(&t->b.p, d, n, &tail, &tl);
	assert_true(len > 0);
	memmove(d + len, tail, tl);
	assert_int_equal(perc_rtp_parse(&h, d, (size_t)len), 0);
	assert_true(perc_hdrext_find(&h, d, PERC_HDREXT_LEVEL, &x));
	assert_int_equal(x.data[0], 0x1e);
	assert_false(perc_hdrext_find(&h, d, PERC_HDREXT_MID, &x));
	assert_false(perc_hdrext_find(&h, d, PERC_HDREXT_TWCC, &x));
	assert_int_equal(perc_double_rx_open(t->rx, perc_now_ms(), d,
			     (size_t)len + tl, back, &info, &spi),
	    0);
	assert_int_equal(info.seq, t->seq);
	assert_true(!t->any || info.outer_seq == t->next);
	t->next = (uint16_t)(info.outer_seq + 1);
	t->any = true;
	t->heard++;
	return true;
}

/* The worker hears of it after we have the answer, but before it answers that
 * somebody else may join. */
static void
worker_hears(const struct member *m)
{
	struct member x;

	member_join(&x, "m_x", m->conference, 0x0f0f0f0f);
	assert_int_equal(x.port, m->port);
	member_end(&x);
}

static struct answer
subscribe(const struct member *m, const char *body)
{
	struct answer a;
	char path[128];

	(void)snprintf(path, sizeof(path), "/v1/join/%s/subscriptions", m->leg);
	a = http("PUT", path, m->token, body);
	if (a.status == 204)
		worker_hears(m);
	return a;
}

static void
speak(struct talk *t, unsigned n, bool heard)
{
	while (n-- > 0) {
		say(t);
		if (hears(t, heard ? 2000 : 20) != heard)
			fail_msg("packet %u: %s", t->seq,
			    heard ? "not heard" : "heard");
	}
}

/* RFC 8723 section 5.2: OHB and outer SEQ over what is taken out; SEQ wraps
 * meanwhile. */
static void
test_unsubscribe_and_back(void **state)
{
	struct talk t;
	unsigned i;

	talk_open(&t, "c_sub");
	speak(&t, 20, true);
	for (i = 0; i < 3; i++) {
		expect(subscribe(&t.b,
			   "{\"rules\": [{\"member\": \"m_a\", "
			   "\"audio\": false, \"video\": false}]}"),
		    204, NULL);
		speak(&t, 15, false);
		expect(subscribe(&t.b, "{}"), 204, NULL);
		speak(&t, 15, true);
	}
	assert_int_equal(t.heard, 20 + 3 * 15);
	metric_reaches("perch_mdd_withheld_total", NULL, 3 * 15);
	talk_close(&t);
}

/* The sender changes its key while nobody listens: the first packet that is
 * heard again tells the new one. */
static void
test_key_changes_meanwhile(void **state)
{
	struct talk t;
	unsigned i;

	talk_open(&t, "c_subkey");
	speak(&t, 5, true);
	expect(subscribe(&t.b, "{\"audio\": false}"), 204, NULL);
	assert_int_equal(perc_double_tx_switch(t.tx, 4660, perc_now_ms()), 0);
	for (i = 0; i < 20; i++) {
		say(&t);
		assert_false(hears(&t, 20));
	}
	expect(subscribe(&t.b, "{}"), 204, NULL);
	for (i = 0; i < 20; i++) { /* up to 100 ms, then all of them */
		say(&t);
		(void)hears(&t, t.heard > 5 ? 2000 : 20);
	}
	assert_true(t.heard > 5 + 10);
	talk_close(&t);
}

static void
test_refused(void **state)
{
	static const char *const bad[] = { "", "[]", "{\"rules\": 1}",
		"{\"audios\": true}", "{\"last_n\": 0}" };
	struct member a, b;
	char path[128];
	size_t i;

	two(&a, &b, "c_subbad");
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect(subscribe(&b, bad[i]), 400, "request_malformed");
	(void)snprintf(path, sizeof(path), "/v1/join/%s/subscriptions", b.leg);
	expect(http("PUT", path, NULL, "{}"), 401, "token_missing");
	expect(http("PUT", path, a.token, "{}"), 404, "leg_unknown");
	expect(http("GET", path, b.token, NULL), 405, "method_not_allowed");
	expect(http("PUT", "/v1/join/l_none/subscriptions", b.token, "{}"), 404,
	    "leg_unknown");
	expect(
	    http("PUT", "/v1/join//subscriptions", b.token, "{}"), 400, NULL);
	expect(http("PUT", "/v1/join/l_x/subscription", b.token, "{}"), 404,
	    "not_found");
	expect(subscribe(&b, "{\"video\": false, \"last_n\": 3}"), 204, NULL);
	member_end(&a);
	member_end(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unsubscribe_and_back),
		cmocka_unit_test(test_key_changes_meanwhile),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name(
	    "subscribe", tests, stage_open, stage_close);
}
