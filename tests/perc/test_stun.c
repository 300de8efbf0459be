/* SPDX-License-Identifier: Apache-2.0 */
/* perc/stun.c against the vectors of RFC 5769, and against lying lengths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "perc/stun.h"

static const char pwd[] = "VOkJxbRl1RmTxUk/WvJxBt";

/* RFC 5769 section 2.1 */
static const uint8_t request[108] = { 0x00, 0x01, 0x00, 0x58, 0x21, 0x12, 0xa4,
	0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf,
	0xae, 0x80, 0x22, 0x00, 0x10, 0x53, 0x54, 0x55, 0x4e, 0x20, 0x74, 0x65,
	0x73, 0x74, 0x20, 0x63, 0x6c, 0x69, 0x65, 0x6e, 0x74, 0x00, 0x24, 0x00,
	0x04, 0x6e, 0x00, 0x01, 0xff, 0x80, 0x29, 0x00, 0x08, 0x93, 0x2f, 0xf9,
	0xb1, 0x51, 0x26, 0x3b, 0x36, 0x00, 0x06, 0x00, 0x09, 0x65, 0x76, 0x74,
	0x6a, 0x3a, 0x68, 0x36, 0x76, 0x59, 0x20, 0x20, 0x20, 0x00, 0x08, 0x00,
	0x14, 0x9a, 0xea, 0xa7, 0x0c, 0xbf, 0xd8, 0xcb, 0x56, 0x78, 0x1e, 0xf2,
	0xb5, 0xb2, 0xd3, 0xf2, 0x49, 0xc1, 0xb5, 0x71, 0xa2, 0x80, 0x28, 0x00,
	0x04, 0xe5, 0x7a, 0x3b, 0xcf };
/* section 2.2 */
static const uint8_t answer4[80] = { 0x01, 0x01, 0x00, 0x3c, 0x21, 0x12, 0xa4,
	0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf,
	0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65,
	0x63, 0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1,
	0x47, 0xe1, 0x12, 0xa6, 0x43, 0x00, 0x08, 0x00, 0x14, 0x2b, 0x91, 0xf5,
	0x99, 0xfd, 0x9e, 0x90, 0xc3, 0x8c, 0x74, 0x89, 0xf9, 0x2a, 0xf9, 0xba,
	0x53, 0xf0, 0x6b, 0xe7, 0xd7, 0x80, 0x28, 0x00, 0x04, 0xc0, 0x7d, 0x4c,
	0x96 };
/* section 2.3 */
static const uint8_t answer6[92] = { 0x01, 0x01, 0x00, 0x48, 0x21, 0x12, 0xa4,
	0x42, 0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf,
	0xae, 0x80, 0x22, 0x00, 0x0b, 0x74, 0x65, 0x73, 0x74, 0x20, 0x76, 0x65,
	0x63, 0x74, 0x6f, 0x72, 0x20, 0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1,
	0x47, 0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4,
	0xb5, 0xbe, 0xd2, 0xb9, 0xd9, 0x00, 0x08, 0x00, 0x14, 0xa3, 0x82, 0x95,
	0x4e, 0x4b, 0xe6, 0x7b, 0xf1, 0x17, 0x84, 0xc9, 0x7c, 0x82, 0x92, 0xc2,
	0x75, 0xbf, 0xe3, 0xed, 0x41, 0x80, 0x28, 0x00, 0x04, 0xc8, 0xfb, 0x0b,
	0x4c };

static void
test_RFC_5769_request(void **state)
{
	struct perc_stun m;

	assert_int_equal(perc_stun_parse(&m, request, sizeof(request)), 0);
	assert_int_equal(m.type, 0x0001);
	assert_int_equal(m.username_len, 9);
	assert_memory_equal(m.username, "evtj:h6vY", 9);
	assert_int_equal(m.priority, 0x6e0001ff);
	assert_true(m.controlled && !m.controlling);
	assert_true(m.tie_breaker == 0x932ff9b151263b36u);
	assert_true(m.has_integrity && m.has_fingerprint);
	assert_int_equal(m.unknown_n, 0);
	assert_int_equal(perc_stun_verify(&m, pwd), 0);
	assert_int_equal(
	    perc_stun_verify(&m, "VOkJxbRl1RmTxUk/WvJxBs"), PERC_ERR_AUTH);
}

static void
test_RFC_5769_answers(void **state)
{
	const struct sockaddr_in *in;
	const struct sockaddr_in6 *in6;
	struct perc_stun m;
	char text[64];

	assert_int_equal(perc_stun_parse(&m, answer4, sizeof(answer4)), 0);
	assert_int_equal(perc_stun_verify(&m, pwd), 0);
	in = (const void *)&m.mapped;
	assert_int_equal(in->sin_family, AF_INET);
	assert_int_equal(ntohs(in->sin_port), 32853);
	assert_string_equal(
	    inet_ntop(AF_INET, &in->sin_addr, text, 64), "192.0.2.1");
	assert_int_equal(perc_stun_parse(&m, answer6, sizeof(answer6)), 0);
	assert_int_equal(perc_stun_verify(&m, pwd), 0);
	in6 = (const void *)&m.mapped;
	assert_int_equal(in6->sin6_family, AF_INET6);
	assert_int_equal(ntohs(in6->sin6_port), 32853);
	assert_string_equal(inet_ntop(AF_INET6, &in6->sin6_addr, text, 64),
	    "2001:db8:1234:5678:11:2233:4455:6677");
}

static void
test_round_trip(void **state)
{
	static const uint8_t txid[12] = "abcdefghijk";
	struct sockaddr_in in = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	uint8_t a[PERC_STUN_MAX], b[PERC_STUN_MAX];
	struct perc_stun q, m;
	size_t n, bn;

	assert_int_equal(perc_stun_request(a, &n, txid, "ours:theirs", pwd,
			     2130706431u, true, 77),
	    0);
	assert_int_equal(perc_stun_parse(&q, a, n), 0);
	assert_true(q.use_candidate && q.controlling && !q.controlled);
	assert_true(q.priority == 2130706431u && q.tie_breaker == 77);
	assert_memory_equal(q.txid, txid, 12);
	assert_int_equal(perc_stun_verify(&q, pwd), 0);

	in.sin_port = htons(4242);
	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(
	    perc_stun_success(b, &bn, &q, pwd, (struct sockaddr *)&in), 0);
	assert_int_equal(perc_stun_parse(&m, b, bn), 0);
	assert_int_equal(m.type, 0x0101);
	assert_int_equal(perc_stun_verify(&m, pwd), 0);
	assert_memory_equal(&m.mapped, &in, sizeof(in));

	in6.sin6_port = htons(4243);
	in6.sin6_addr = in6addr_loopback;
	assert_int_equal(
	    perc_stun_success(b, &bn, &q, pwd, (struct sockaddr *)&in6), 0);
	assert_int_equal(perc_stun_parse(&m, b, bn), 0);
	assert_memory_equal(&m.mapped, &in6, sizeof(in6));
}

static void
test_errors(void **state)
{
	uint8_t a[PERC_STUN_MAX], b[PERC_STUN_MAX];
	struct perc_stun q, m;
	size_t n, bn;

	/* An attribute that must be understood and is not: 420. */
	assert_int_equal(
	    perc_stun_request(a, &n, (const uint8_t *)"abcdefghijkl", "u:v",
		pwd, 1, false, 1),
	    0);
	a[20 + 8] = 0x00; /* PRIORITY becomes 0x0033 */
	a[20 + 9] = 0x33;
	assert_int_equal(perc_stun_parse(&q, a, n), PERC_ERR_FORMAT);
	n -= 8; /* without the fingerprint */
	a[3] -= 8;
	assert_int_equal(perc_stun_parse(&q, a, n), 0);
	assert_false(q.has_fingerprint);
	assert_int_equal(q.unknown_n, 1);
	assert_int_equal(q.unknown[0], 0x0033);
	assert_int_equal(perc_stun_verify(&q, pwd), PERC_ERR_AUTH);
	assert_int_equal(perc_stun_error(b, &bn, &q, pwd, 420), 0);
	assert_int_equal(perc_stun_parse(&m, b, bn), 0);
	assert_int_equal(m.type, 0x0111);
	assert_int_equal(m.error_code, 420);
	assert_int_equal(perc_stun_verify(&m, pwd), 0);
	assert_int_equal(perc_stun_error(b, &bn, &q, NULL, 401), 0);
	assert_int_equal(perc_stun_parse(&m, b, bn), 0);
	assert_int_equal(m.error_code, 401);
	assert_false(m.has_integrity);
	assert_int_equal(
	    perc_stun_error(b, &bn, &q, NULL, 200), PERC_ERR_INVAL);
}

/* What follows MESSAGE-INTEGRITY is unprotected and must not count. */
static void
test_after_integrity(void **state)
{
	uint8_t a[PERC_STUN_MAX];
	struct perc_stun m;
	size_t n;

	assert_int_equal(
	    perc_stun_request(a, &n, (const uint8_t *)"abcdefghijkl", "u:v",
		pwd, 1, false, 1),
	    0);
	n -= 8;
	memcpy(a + n, "\x00\x25\x00\x00", 4); /* USE-CANDIDATE */
	n += 4;
	a[3] -= 4;
	assert_int_equal(perc_stun_parse(&m, a, n), 0);
	assert_int_equal(perc_stun_verify(&m, pwd), 0);
	assert_false(m.use_candidate);
}

static void
test_every_bit_counts(void **state)
{
	uint8_t a[sizeof(request)];
	struct perc_stun m;
	size_t bit;

	for (bit = 0; bit < 8 * sizeof(a); bit++) {
		memcpy(a, request, sizeof(a));
		a[bit / 8] ^= (uint8_t)(1 << bit % 8);
		/* A length may swallow the rest: then nothing vouches. */
		if (perc_stun_parse(&m, a, sizeof(a)) == 0 &&
		    (m.has_fingerprint ||
			(bit < 800 && perc_stun_verify(&m, pwd) == 0)))
			fail_msg("bit %zu went unnoticed", bit);
	}
}

/* Exact heap copies, so that a sanitizer sees one octet too far. */
static void
test_hostile_lengths(void **state)
{
	struct perc_stun m;
	uint8_t *p;
	size_t n, at;
	unsigned v;

	for (n = 0; n <= sizeof(request); n++) {
		p = malloc(n + 1);
		assert_non_null(p);
		memcpy(p, request, n);
		if (n < sizeof(request))
			assert_int_equal(
			    perc_stun_parse(&m, p, n), PERC_ERR_FORMAT);
		free(p);
	}
	/* Every 16-bit field takes every small and every huge value. */
	for (at = 0; at + 2 <= sizeof(request); at += 2)
		for (v = 0; v < 0x10000; v += v < 64 ? 1 : 4093) {
			p = malloc(sizeof(request) - 8);
			assert_non_null(p);
			memcpy(p, request, sizeof(request) - 8);
			p[3] -= 8; /* no fingerprint: deeper paths */
			if (at < sizeof(request) - 8) {
				p[at] = (uint8_t)(v >> 8);
				p[at + 1] = (uint8_t)v;
			}
			if (perc_stun_parse(&m, p, sizeof(request) - 8) == 0)
				(void)!perc_stun_verify(&m, pwd);
			free(p);
		}
}

static void
test_credentials(void **state)
{
	char u[PERC_ICE_UFRAG + 1], p[PERC_ICE_PWD + 1], u2[PERC_ICE_UFRAG + 1];

	perc_ice_credentials(u, p);
	perc_ice_credentials(u2, p);
	assert_int_equal(strlen(u), PERC_ICE_UFRAG);
	assert_int_equal(strlen(p), PERC_ICE_PWD);
	assert_string_not_equal(u, u2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_RFC_5769_request),
		cmocka_unit_test(test_RFC_5769_answers),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_after_integrity),
		cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_hostile_lengths),
		cmocka_unit_test(test_credentials),
	};

	return cmocka_run_group_tests_name("stun", tests, NULL, NULL);
}
