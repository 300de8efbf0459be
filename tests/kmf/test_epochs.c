/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Epochs as those see them who hold them or lag behind: resumed streams, and
 * what a scheduler is told of each endpoint.
 */
#include "tests/kmf/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct kit t;
static struct kit_end alice, bob;
static char conf[40];

static int
setup(void **state)
{
	kit_open(&t);
	kit_conf(&t, conf, NULL);
	kit_end_open(&alice, "a-1");
	alice.email = "alice@example.org";
	alice.name = "Alice";
	kit_end_open(&bob, "bob");
	bob.name = "Bob";
	return 0;
}

static int
teardown(void **state)
{
	kit_end_close(&alice);
	kit_end_close(&bob);
	kit_close(&t);
	return 0;
}

/* All events of a stream so far, their names with blanks between. */
static void
names(uint32_t stream, char *out, size_t cap, uint64_t *last)
{
	struct kit_event *e;

	out[0] = '\0';
	while ((e = kit_event(&t, stream, "")) != NULL) {
		snprintf(out + strlen(out), cap - strlen(out), "%s ", e->name);
		*last = e->id;
	}
}

/* Resumed by an id of this conference: what was missed, newest form. */
static void
test_resume_tells_what_was_missed(void **state)
{
	char seen[200], after[24];
	uint64_t last = 0, now = 0;
	uint32_t s;

	kit_join(&t, &alice, conf);
	s = kit_stream(&t, &alice);
	names(s, seen, sizeof(seen), &last);
	assert_string_equal(seen, "roster ");
	snprintf(after, sizeof(after), "%llu", (unsigned long long)last);
	s = kit_stream_after(&t, &alice, after);
	names(s, seen, sizeof(seen), &now);
	assert_string_equal(seen, "roster "); /* nothing was */
	assert_int_equal(now, last);
	kit_pass(&t, 3000);
	kit_join(&t, &bob, conf);
	s = kit_stream_after(&t, &alice, after);
	names(s, seen, sizeof(seen), &now);
	assert_string_equal(seen, "conference epoch roster ");
	assert_true(now > last);
}

/* An id that this conference never gave: fetch. So does rubbish. */
static void
test_unknown_event_id_is_reset(void **state)
{
	static const char *const odd[] = { "99999", "abc", "-1",
		"18446744073709551615" };
	struct kit_event *e;
	uint32_t s;
	size_t i;

	kit_join(&t, &alice, conf);
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		s = kit_stream_after(&t, &alice, odd[i]);
		e = kit_event(&t, s, "reset");
		assert_non_null(e);
		assert_int_equal(kit_num(e->data, "epoch"), 1);
		assert_true(kit_num(e->data, "seq") >= 1);
		assert_non_null(kit_event(&t, s, "roster"));
	}
	s = kit_stream(&t, &alice);
	assert_null(kit_event(&t, s, "reset"));
}

static json_t *
lag_of(struct kit_end *e, int64_t live, int64_t current)
{
	struct kit_reply *r = kit_admin(&t, KMF_OP_MEMBER_LIST, conf, "", NULL);
	json_t *m;
	size_t i;

	assert_int_equal(r->status, 200);
	assert_int_equal(kit_num(r->json, "live"), live);
	assert_int_equal(kit_num(r->json, "current"), current);
	json_array_foreach(json_object_get(r->json, "items"), i,
	    m) if (strcmp(perc_json_str(m, "member"), e->member) ==
	    0) return json_object_get(m, "lag");
	fail_msg("not in the list");
	return NULL;
}

static const char *
why(const json_t *lag)
{
	return lag == NULL ? "" : perc_json_str(lag, "why");
}

/* Which epoch each endpoint holds, and why not the newest: REQ-WC-4.8b. */
static void
test_REQ_WC_4_8b_who_lags_and_why(void **state)
{
	uint32_t s;
	json_t *lag;

	kit_join(&t, &alice, conf);
	assert_string_equal(why(lag_of(&alice, 1, 1)), "");
	kit_pass(&t, 3000);
	kit_join(&t, &bob, conf); /* epoch 2, of which Alice heard nothing */
	assert_string_equal(why(lag_of(&alice, 2, 1)), "stream_lost");
	s = kit_stream(&t, &alice);
	assert_string_equal(why(lag_of(&alice, 2, 1)), "unconfirmed");
	assert_non_null(kit_event(&t, s, "epoch"));
	assert_int_equal(
	    kit_as(&t, &alice, KMF_OP_LEASE_RENEW, "{\"epoch\":2}")->status,
	    200);
	assert_string_equal(why(lag_of(&alice, 2, 2)), "");
	kit_as(&t, &bob, KMF_OP_LEASE_RENEW, "{\"epoch\":1}");
	/* a box between wants to read along */
	bob.seal_jkt[0] ^= 1;
	assert_int_equal(
	    kit_as(&t, &bob, KMF_OP_KEYS, "{\"seal_to\":{}}")->status, 400);
	lag = lag_of(&bob, 2, 1);
	assert_string_equal(why(lag), "fetch_refused");
	assert_string_equal(perc_json_str(lag, "code"), "invalid_request");
	kit_pass(&t, 9000);
	assert_string_equal(why(lag_of(&bob, 2, 1)), "lease_late");
	kit_pass(&t, 7000);
	assert_string_equal(why(lag_of(&bob, 0, 0)), ""); /* gone */
}

/* The clock is set back: an epoch is as old as it was, and is renewed before
 * its ttl (300 s) ends at the endpoints. */
static void
test_clock_set_back_makes_no_epoch_younger(void **state)
{
	unsigned i;

	kit_join(&t, &alice, conf);
	for (i = 0; i < 54; i++) {
		if (i == 40) {
			t.now_ms -= 900 * 1000;
			t.set_ms -= 900 * 1000;
		}
		kit_pass(&t, 5000);
		assert_int_equal(
		    kit_as(&t, &alice, KMF_OP_LEASE_RENEW, "{\"epoch\":1}")
			->status,
		    200);
	}
	kit_pass(&t, 2000);
	assert_int_equal(
	    kit_num(kit_admin(&t, KMF_OP_MEMBER_LIST, conf, "", NULL)->json,
		"epoch"),
	    2);
}

static int
renew_with(
    struct kit_end *e, const struct kit_end *signer, const json_t *claims)
{
	char *jws, body[2048];

	assert_int_equal(perc_jws_sign(&jws, signer->sign, "perch-receipt+jwt",
			     claims, true),
	    0);
	snprintf(body, sizeof(body), "{\"epoch\":1,\"receipt\":\"%s\"}", jws);
	free(jws);
	return kit_as(&t, e, KMF_OP_LEASE_RENEW, body)->status;
}

/* REQ-WC-4.9: what ran out while we were away is signed for afterwards; the
 * lease goes on, and nobody signs for somebody else. */
static void
test_REQ_WC_4_9_receipt_comes_with_the_lease(void **state)
{
	json_t *claims = json_pack("{s:i, s:s, s:s, s:s, s:[i], s:i}", "iat",
	    1800000000, "conference", conf, "member", "m", "reason", "expired",
	    "erased_spis", 7, "keys_erased", 5);

	kit_join(&t, &alice, conf);
	assert_int_equal(renew_with(&alice, &bob, claims), 400);
	assert_null(strstr(
	    kit_admin(&t, KMF_OP_AUDIT, "", "", NULL)->text, "\"receipt\""));
	assert_int_equal(renew_with(&alice, &alice, claims), 200);
	assert_non_null(strstr(
	    kit_admin(&t, KMF_OP_AUDIT, "", "", NULL)->text, "\"expired\""));
	assert_string_equal(why(lag_of(&alice, 1, 1)), "");
	json_decref(claims);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_resume_tells_what_was_missed),
		T(test_unknown_event_id_is_reset),
		T(test_REQ_WC_4_8b_who_lags_and_why),
		T(test_REQ_WC_4_9_receipt_comes_with_the_lease),
		T(test_clock_set_back_makes_no_epoch_younger),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
