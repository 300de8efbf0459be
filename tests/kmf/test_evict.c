/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * REQ-W-5: a person is put out in one call, with everything they came by and
 * might come by, for good.
 */
#include "tests/kmf/kitroom.h"

#include <string.h>

static void
end_open(struct kit_end *e, const char *sub, const char *email, bool direct)
{
	kit_end_open(e, sub);
	e->email = email;
	e->group = "board"; /* invited */
	e->direct = direct;
	strcpy(e->conf, conf);
}

static int
evict(const char *subject)
{
	char body[400];

	snprintf(body, sizeof(body), "{\"subject\": %s}", subject);
	return kit_admin(&t, KMF_OP_EVICT, conf, "", body)->status;
}

static json_int_t
endpoints(void)
{
	return json_integer_value(json_object_get(t.r.json, "endpoints"));
}

/* Whatever this endpoint tries, it is refused. */
static void
assert_out(struct kit_end *e)
{
	static const enum kmf_op all[] = { KMF_OP_KEYS, KMF_OP_LEASE_RENEW,
		KMF_OP_ROSTER, KMF_OP_CONF_GET, KMF_OP_TOKEN2 };
	struct kit_event *ev;
	size_t i;

	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		kit_as(&t, e, all[i], "{\"epoch\": 1}");
		if (t.r.status != 403 && t.r.status != 404 &&
		    strcmp(t.r.code, "invalid_target") != 0)
			fail_msg("operation %d: %u %s", (int)all[i], t.r.status,
			    t.r.code);
	}
	ev = kit_event(&t, kit_stream(&t, e), "END");
	assert_non_null(ev);
	assert_true(ev->status == 403 || ev->status == 404);
	assert_int_equal(kit_token1(&t, e, conf)->status, 400);
	assert_string_equal(t.r.code, "invalid_target");
}

/* Two keys by exchange, one by the provider's own token, and another account
 * with the same address: one call, one rekey, all out; so it stays. */
static void
test_everything_ends_together(void **state)
{
	struct kit_end a[5], alice, other;
	uint32_t stream[4], s;
	struct kit_event *ev;
	unsigned i, epoch;

	end_open(&alice, "alice", "alice@example.org", false);
	kit_join(&t, &alice, conf);
	s = kit_stream(&t, &alice);
	end_open(&a[0], "bob", "bob@example.org", false);
	end_open(&a[1], "bob", "bob@example.org", false);
	end_open(&a[2], "bob", "bob@example.org", true);
	end_open(&a[3], "bobby", "Bob@Example.org", false);
	end_open(&a[4], "bob", "", true); /* a key that is not yet known */
	for (i = 0; i < 4; i++) {
		if (!a[i].direct)
			kit_join(&t, &a[i], conf);
		else
			assert_int_equal(kit_keys(&t, &a[i])->status, 200);
		stream[i] = kit_stream(&t, &a[i]);
	}
	kit_pass(&t, 3000);
	while ((ev = kit_event(&t, s, "epoch")) != NULL)
		assert_true(kit_epoch_open(&t, &alice, ev));
	epoch = alice.epoch;
	assert_int_equal(
	    evict("{\"iss\": \"https://idp.example\", \"sub\": \"bob\"}"), 200);
	assert_int_equal(endpoints(), 4);
	kit_pass(&t, 1000);
	for (i = 0; i < 4; i++) {
		assert_non_null(kit_event(&t, stream[i], "evicted"));
		ev = kit_event(&t, stream[i], "END");
		assert_non_null(ev);
		assert_int_equal(ev->status, 403);
		assert_null(kit_event(&t, stream[i], "epoch"));
	}
	ev = kit_event(&t, s, "epoch"); /* one rekey for all of it */
	assert_non_null(ev);
	assert_true(kit_epoch_open(&t, &alice, ev));
	assert_int_equal(alice.epoch, epoch + 1);
	assert_null(kit_event(&t, s, "epoch"));
	for (i = 0; i < 5; i++)
		assert_out(&a[i]);
	kit_restart(&t);
	for (i = 0; i < 5; i++)
		assert_out(&a[i]);
	/* the other account is out as itself, not by its address alone */
	end_open(&other, "bobby", "", true);
	assert_out(&other);
	kit_end_close(&other);
	assert_int_equal(kit_keys(&t, &alice)->status, 200);
	for (i = 0; i < 5; i++)
		kit_end_close(&a[i]);
	kit_end_close(&alice);
}

/* Who was never there cannot come; each of several is remembered. */
static void
test_before_they_come(void **state)
{
	struct kit_end dora, erik, carol;

	end_open(&dora, "dora", "dora@example.org", false);
	end_open(&erik, "erik", "erik@example.org", true);
	end_open(&carol, "carol", "carol@example.org", false);
	assert_int_equal(evict("{\"email\": \"Dora@Example.org\"}"), 200);
	assert_int_equal(endpoints(), 0);
	assert_int_equal(evict("{\"email\": \"erik@example.org\"}"), 200);
	assert_int_equal(
	    evict("{\"iss\": \"https://idp.example\", \"sub\": \"nobody\"}"),
	    200);
	kit_restart(&t);
	assert_out(&dora);
	assert_out(&erik);
	kit_join(&t, &carol, conf);
	kit_end_close(&dora);
	kit_end_close(&erik);
	kit_end_close(&carol);
}

/* A guest's code, used or not, ends with the guest. */
static void
test_guests(void **state)
{
	struct kit_end gus;
	char inv[40], subject[80];

	kit_end_open(&gus, "");
	kit_code(&t, conf, &gus, "Gus", inv);
	kit_join(&t, &gus, conf);
	snprintf(subject, sizeof(subject), "{\"member\": \"%s\"}", gus.member);
	assert_int_equal(evict(subject), 200);
	assert_int_equal(endpoints(), 1);
	assert_out(&gus);
	kit_admin(&t, KMF_OP_INV_LIST, conf, "", NULL);
	assert_non_null(strstr(t.r.text, "\"state\":\"revoked\""));
	kit_end_close(&gus);
}

static void
test_what_names_nobody(void **state)
{
	static const char *const bad[] = { "{}", "null", "\"bob\"",
		"{\"iss\": \"https://idp.example\"}", "{\"sub\": \"bob\"}",
		"{\"iss\": \"\", \"sub\": \"\"}", "{\"email\": \"no address\"}",
		"{\"email\": \"\"}", "{\"member\": \"m_unknown\"}",
		"{\"iss\": 1, \"sub\": 2}" };
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (evict(bad[i]) != 400)
			fail_msg("%s: %u", bad[i], t.r.status);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_everything_ends_together),
		T(test_before_they_come),
		T(test_guests),
		T(test_what_names_nobody),
	};

	return cmocka_run_group_tests_name("evict", tests, NULL, NULL);
}
