/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real perch-mdd from outside: who is let in and who is not, what is
 * thrown away, how one leaves.
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

#include "perc/json.h"
#include "tests/mdd/stage.h"

static void
test_foreign_ssrc_and_garbage(void **state)
{
	uint8_t d[PEER_PACKET], junk[200];
	struct member a, b;
	uint64_t before;
	size_t n, i;

	two(&a, &b, "c_bad");
	before = metric("perch_mdd_dropped_total", "reason=\"ssrc\"");
	n = peer_rtp(&a.p, d, SSRC_B, 1, "x", 1, "", 1);
	peer_send(&a.p, d, n);
	assert_int_equal(peer_recv(&b.p, d, 128, 191, 100), 0);
	metric_reaches(
	    "perch_mdd_dropped_total", "reason=\"ssrc\"", before + 1);
	srand(3);
	before = metric("perch_mdd_dropped_total", NULL);
	for (i = 0; i < 300; i++) {
		size_t k, len = (size_t)rand() % sizeof(junk) + 1;

		for (k = 0; k < len; k++)
			junk[k] = (uint8_t)rand();
		peer_send(&b.p, junk, len);
	}
	metric_reaches("perch_mdd_dropped_total", NULL, before + 200);
	n = peer_rtp(&a.p, d, SSRC_A, 1, "x", 1, "", 1);
	peer_send(&a.p, d, n);
	assert_int_equal(peer_recv(&b.p, d, 128, 191, 10000), n);
	member_end(&a);
	member_end(&b);
}

/* A burst that comes as one message (UDP_GRO) is several packets, whatever is
 * among them, and leaves as a burst. */
static void
test_burst_in_one_message(void **state)
{
	uint8_t d[8 * PEER_PACKET], e[PEER_PACKET], stun[40] = { 0 };
	struct member a, b;
	size_t n = 0, size = 0;
	uint16_t seq;

	two(&a, &b, "c_burst");
	for (seq = 1; seq <= 6; seq++) {
		size = peer_rtp(&a.p, d + n, SSRC_A, seq, e, 500, "", 1);
		n += size;
		if (seq == 3) { /* no STUN check, but as long */
			memcpy(d + n, stun, sizeof(stun));
			n += size;
		}
	}
	memcpy(d + n, stun, sizeof(stun)); /* a rest, shorter */
	peer_send_segments(&a.p, d, n + sizeof(stun), (uint16_t)size);
	for (seq = 1; seq <= 6; seq++) {
		assert_int_equal(peer_recv(&b.p, e, 128, 191, 10000), size);
		assert_int_equal(e[2] << 8 | e[3], seq);
	}
	metric_reaches("perch_mdd_sent_segments_total", NULL, 2);
	metric_reaches("perch_mdd_dropped_total", "reason=\"stun_form\"", 2);
	member_end(&a);
	member_end(&b);
}

/* A stolen token without the certificate's key gets no further than DTLS; the
 * fingerprint that counts is token2's, of a user who signed in: REQ-F-5.2a. */
static void
test_REQ_F_8_1c_wrong_certificate(void **state)
{
	struct member a;
	struct peer thief;

	member_join(&a, "m_a", "c_cert", SSRC_A);
	peer_open(&thief);
	thief.mdd = a.p.mdd;
	memcpy(thief.ufrag, a.p.ufrag, sizeof(thief.ufrag));
	memcpy(thief.pwd, a.p.pwd, sizeof(thief.pwd));
	memcpy(thief.mdd_fp, a.p.mdd_fp, sizeof(thief.mdd_fp));
	assert_false(peer_connect(&thief, 500));
	metric_reaches("perch_mdd_dtls_refused_total", NULL, 1);
	assert_true(peer_connect(&a.p, 30000)); /* the owner still can */
	peer_close(&thief);
	member_end(&a);
}

/* REQ-WS-6.2: token1 and another MDD's token2 are nothing here. */
static void
test_REQ_WS_6_2_tokens_of_others(void **state)
{
	struct member m = {
		.name = "m_a", .conference = "c_x", .ssrc = SSRC_A
	};
	json_t *c;
	char *t;

	peer_open(&m.p);
	c = claims(&m);
	json_object_set_new(c, "aud", json_string("https://mdd2.example"));
	t = sign(c);
	expect(http("POST", "/v1/join", t, BODY), 401, "token_invalid");
	free(t);
	c = claims(&m);
	json_object_set_new(c, "aud", json_string(KMF));
	json_object_set_new(c, "scope", json_string("member"));
	json_object_set_new(c, "cnf",
	    json_pack(
		"{s:s}", "jkt", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
	json_object_del(c, "ssrcs");
	t = sign(c);
	expect(http("POST", "/v1/join", t, BODY), 401, "token_invalid");
	free(t);
	expect(http("POST", "/v1/join", NULL, BODY), 401, "token_missing");
	peer_close(&m.p);
}

static void
test_bodies(void **state)
{
	static const char *const bad[] = { "", "{}", "[]", "{\"ufrag\": 1}",
		"{\"ufrag\": \"mine\", \"pwd\": \"short\"}",
		"{\"ufrag\": \"a b c\", \"pwd\": \"0123456789012345678901\"}",
		"{\"ufrag\": \"mine\", \"pwd\": \"0123456789012345678901\"} x",
		("{\"ufrag\": \"mine\", \"ufrag\": \"mine\","
		 " \"pwd\": \"0123456789012345678901\"}") };
	struct member m;
	size_t i;

	member_join(&m, "m_a", "c_body", SSRC_A);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect(http("POST", "/v1/join", m.token, bad[i]), 400,
		    "request_malformed");
	expect(
	    http("GET", "/v1/join", m.token, NULL), 405, "method_not_allowed");
	expect(http("GET", "/nothing", m.token, NULL), 404, "not_found");
	member_end(&m);
}

static void
test_leave_and_renew(void **state)
{
	uint8_t d[PEER_PACKET];
	struct member a, b, c;
	char path[128];
	size_t n;

	two(&a, &b, "c_leave");
	member_join(&c, "m_c", "c_leave", 0x0c0c0c0c);
	(void)snprintf(path, sizeof(path), "/v1/join/%s", a.leg);
	expect(http("DELETE", path, b.token, NULL), 404, "leg_unknown");
	expect(http("DELETE", path, NULL, NULL), 401, "token_missing");
	expect(http("PUT", path, a.token, NULL), 200, NULL);
	expect(http("DELETE", path, a.token, NULL), 204, NULL);
	n = peer_recv_rtcp(&b.p, d, 10000); /* a BYE */
	assert_true(n > 8);
	assert_int_equal(perc_srtcp_unprotect(b.p.rx_rtcp, d, &n), 0);
	assert_int_equal(d[9], 203);
	expect(http("DELETE", path, a.token, NULL), 404, "leg_unknown");
	n = peer_rtp(&a.p, d, SSRC_A, 1, "x", 1, "", 1);
	peer_send(&a.p, d, n);
	assert_int_equal(peer_recv(&b.p, d, 128, 191, 100), 0);
	member_end(&a);
	member_end(&b);
	member_end(&c);
}

static void
test_ssrc_of_another(void **state)
{
	struct member a,
	    thief = { .name = "m_t", .conference = "c_ssrc", .ssrc = SSRC_A };

	member_join(&a, "m_a", "c_ssrc", SSRC_A);
	peer_open(&thief.p);
	thief.token = sign(claims(&thief));
	expect(http("POST", "/v1/join", thief.token, BODY), 409, "ssrc_taken");
	member_end(&a);
	member_end(&thief);
}

/* A full conference: everybody hears one. More handshakes at a time than the
 * worker's secret memory holds are put off, not lost. */
static void
test_forty_eight_legs(void **state)
{
	enum { N = 48 };
	static struct member m[N];
	static char names[N][8];
	uint8_t d[PEER_PACKET], e[PEER_PACKET];
	const uint8_t *tail;
	size_t n, got, tl;
	unsigned i;

	for (i = 0; i < N; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "m_%u", i);
		member_join(&m[i], names[i], "c_many", 1000 + i);
	}
	for (i = 0; i < N; i++)
		assert_true(peer_connect(&m[i].p, 30000));
	n = peer_rtp(&m[0].p, d, 1000, 1, "to all", 6, "", 1);
	peer_send(&m[0].p, d, n);
	for (i = 1; i < N; i++) {
		got = peer_recv(&m[i].p, e, 128, 191, 10000);
		assert_int_equal(got, n);
		assert_true(peer_open_rtp(&m[i].p, e, got, &tail, &tl) > 0);
	}
	for (i = 0; i < N; i++)
		member_end(&m[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_in_one_message),
		cmocka_unit_test(test_foreign_ssrc_and_garbage),
		cmocka_unit_test(test_REQ_F_8_1c_wrong_certificate),
		cmocka_unit_test(test_REQ_WS_6_2_tokens_of_others),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_leave_and_renew),
		cmocka_unit_test(test_ssrc_of_another),
		cmocka_unit_test(test_forty_eight_legs),
	};

	return cmocka_run_group_tests_name(
	    "mdd", tests, stage_open, stage_close);
}
