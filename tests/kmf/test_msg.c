/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The codec of kmf/msg.h: there and back, and every way to lie about it.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "kmf/msg.h"
#include "perc/secret.h"

static struct kmf_call
sample(void)
{
	static const uint8_t body[] = "{\"epoch\": 12}";
	struct kmf_call c = { .op = KMF_OP_KEYS,
		.conf = "c_x",
		.arg = "jkt",
		.request_id = "r_1",
		.replay_hash = "h",
		.replay_until_s = 1800000000,
		.body = body,
		.body_len = sizeof(body) - 1 };

	c.id.who = KMF_WHO_PERSON;
	c.id.iss = "https://idp.example";
	c.id.sub = "s\xc3\xa9";
	c.id.email_verified = true;
	c.id.groups[0] = "board";
	c.id.groups[1] = "all";
	c.id.ngroups = 2;
	c.id.roles = "auditor";
	c.id.groups_partial = true;
	c.id.kind = "room";
	c.id.x5t = "x";
	c.id.token_exp_s = -1;
	return c;
}

static void
test_call_there_and_back(void **state)
{
	struct kmf_call c = sample(), d;
	uint8_t *buf;
	size_t n;

	assert_int_equal(kmf_call_encode(&buf, &n, &c), 0);
	assert_int_equal(kmf_call_decode(&d, buf, n), 0);
	assert_int_equal(d.op, KMF_OP_KEYS);
	assert_int_equal(d.id.who, KMF_WHO_PERSON);
	assert_string_equal(d.id.sub, "s\xc3\xa9");
	assert_true(d.id.email_verified);
	assert_int_equal(d.id.ngroups, 2);
	assert_string_equal(d.id.groups[1], "all");
	assert_string_equal(d.id.roles, "auditor");
	assert_true(d.id.groups_partial);
	assert_string_equal(d.id.kind, "room");
	assert_string_equal(d.id.x5t, "x");
	assert_int_equal(d.id.token_exp_s, -1);
	assert_string_equal(d.id.email, ""); /* NULL arrives as "" */
	assert_string_equal(d.arg2, "");
	assert_int_equal(d.body_len, c.body_len);
	assert_memory_equal(d.body, c.body, c.body_len);
	perc_secmem_free(buf);
}

/* One octet less, one more, and every octet changed: never a crash, and
 * never taken when the length is wrong. */
static void
test_call_hostile(void **state)
{
	struct kmf_call c = sample(), d;
	uint8_t *buf, *copy;
	size_t n, i;
	int bit;

	assert_int_equal(kmf_call_encode(&buf, &n, &c), 0);
	for (i = 0; i < n; i++) {
		copy = malloc(i > 0 ? i : 1);
		memcpy(copy, buf, i);
		assert_int_not_equal(kmf_call_decode(&d, copy, i), 0);
		free(copy);
	}
	copy = malloc(n + 1);
	memcpy(copy, buf, n);
	copy[n] = 0;
	assert_int_not_equal(kmf_call_decode(&d, copy, n + 1), 0);
	for (i = 0; i < n; i++)
		for (bit = 1; bit < 256; bit <<= 1) {
			copy[i] ^= (uint8_t)bit;
			(void)!kmf_call_decode(&d, copy, n);
			copy[i] ^= (uint8_t)bit;
		}
	free(copy);
	perc_secmem_free(buf);
}

static void
test_bounds(void **state)
{
	static uint8_t big[KMF_BODY_MAX + 1];
	struct kmf_call c = sample();
	uint8_t *buf;
	size_t n;

	c.id.ngroups = KMF_GROUPS_MAX + 1;
	assert_int_not_equal(kmf_call_encode(&buf, &n, &c), 0);
	c = sample();
	c.op = KMF_OP_LAST;
	assert_int_not_equal(kmf_call_encode(&buf, &n, &c), 0);
	c = sample();
	c.body = big;
	c.body_len = sizeof(big);
	assert_int_not_equal(kmf_call_encode(&buf, &n, &c), 0);
	c.body_len--;
	assert_int_equal(kmf_call_encode(&buf, &n, &c), 0);
	perc_secmem_free(buf);
}

static void
test_others_there_and_back(void **state)
{
	const struct kmf_reply r = { .status = 403,
		.code = "too_early",
		.secret_header = "usage=\"EKT\"",
		.retry_after_s = 7 };
	const struct kmf_event e = { 41, "epoch", "{}", "41-a" };
	struct kmf_welcome w = { .jwks = "{}" }, w2;
	struct kmf_reply r2;
	struct kmf_event e2;
	uint8_t *buf;
	size_t n;

	assert_int_equal(kmf_reply_encode(&buf, &n, &r), 0);
	assert_int_equal(kmf_reply_decode(&r2, buf, n), 0);
	assert_int_equal(r2.status, 403);
	assert_int_equal(r2.retry_after_s, 7);
	assert_string_equal(r2.secret_header, "usage=\"EKT\"");
	assert_string_equal(r2.etag, "");
	perc_secmem_free(buf);
	assert_int_equal(kmf_event_encode(&buf, &n, &e), 0);
	assert_int_equal(kmf_event_decode(&e2, buf, n), 0);
	assert_int_equal(e2.event_id, 41);
	assert_string_equal(e2.id, "41-a");
	perc_secmem_free(buf);
	memset(w.nonce_key, 7, sizeof(w.nonce_key));
	assert_int_equal(kmf_welcome_encode(&buf, &n, &w), 0);
	assert_int_equal(kmf_welcome_decode(&w2, buf, n), 0);
	assert_memory_equal(w.nonce_key, w2.nonce_key, 32);
	perc_secmem_free(buf);
}

static void
test_errand(void **state)
{
	static const uint8_t body[] = "{\"a\": 1}";
	const struct kmf_errand e = { KMF_ERRAND_MAIL, 1ull << 40, body, 8 };
	const struct kmf_errand_end d = { KMF_ERRAND_HOOK, 7,
		KMF_ERRAND_REFUSED, "no such box" };
	struct kmf_errand e2, bad = e;
	struct kmf_errand_end d2;
	uint8_t *buf;
	size_t n, i;

	assert_int_equal(kmf_errand_encode(&buf, &n, &e), 0);
	for (i = 0; i < n; i++)
		assert_int_not_equal(kmf_errand_decode(&e2, buf, i), 0);
	assert_int_equal(kmf_errand_decode(&e2, buf, n), 0);
	assert_int_equal(e2.kind, KMF_ERRAND_MAIL);
	assert_true(e2.job == 1ull << 40);
	assert_int_equal(e2.body_len, 8);
	assert_memory_equal(e2.body, body, 8);
	perc_secmem_free(buf);
	assert_int_equal(kmf_errand_end_encode(&buf, &n, &d), 0);
	for (i = 0; i < n; i++)
		assert_int_not_equal(kmf_errand_end_decode(&d2, buf, i), 0);
	assert_int_equal(kmf_errand_end_decode(&d2, buf, n), 0);
	assert_int_equal(d2.how, KMF_ERRAND_REFUSED);
	assert_string_equal(d2.why, "no such box");
	perc_secmem_free(buf);
	bad.kind = 0; /* indexes tables */
	assert_int_not_equal(kmf_errand_encode(&buf, &n, &bad), 0);
	bad.kind = KMF_ERRAND_LAST;
	assert_int_not_equal(kmf_errand_encode(&buf, &n, &bad), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_call_there_and_back),
		cmocka_unit_test(test_call_hostile),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_others_there_and_back),
		cmocka_unit_test(test_errand),
	};

	return cmocka_run_group_tests_name("msg", tests, NULL, NULL);
}
