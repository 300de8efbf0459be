/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Persons, rooms and recorders: each is what its invitation says, for
 * schedulers, in the roster that everybody sees, and to itself; only a
 * provider that knows better (issuer's kind) says otherwise. And a repeated
 * request is the same one for a day, and no longer.
 */
#include "tests/kmf/kit.h"

#include <stdio.h>
#include <string.h>

static struct kit t;
static char conf[40];

static const char invitees[] =
    "[{\"email\": \"ann@x.example\"}, "
    "{\"email\": \"hall@x.example\", \"kind\": \"room\"}, "
    "{\"email\": \"tape@x.example\", \"kind\": \"recorder\"}]";

static int
setup(void **state)
{
	char body[1024], from[PERC_TIME_LEN], to[PERC_TIME_LEN];

	kit_open(&t);
	perc_time_put(from, t.now_ms);
	perc_time_put(to, t.now_ms + 3 * KMF_DAY_MS);
	snprintf(body, sizeof(body),
	    "{\"title\": \"Council\", \"starts_at\": \"%s\", \"ends_at\": "
	    "\"%s\", \"invitees\": %s}",
	    from, to, invitees);
	kit_admin(&t, KMF_OP_CONF_CREATE, "", "", body);
	assert_int_equal(t.r.status, 201);
	snprintf(conf, sizeof(conf), "%s", perc_json_str(t.r.json, "id"));
	return 0;
}

static int
teardown(void **state)
{
	kit_close(&t);
	return 0;
}

static void
join(struct kit_end *e, const char *email, const char *kind)
{
	kit_end_open(e, email);
	e->email = email;
	e->kind = kind;
	kit_join(&t, e, conf);
}

/* As the member list has it; the caller looks at once. */
static const char *
listed(const struct kit_end *e)
{
	json_t *items, *v;
	size_t i;

	kit_admin(&t, KMF_OP_MEMBER_LIST, conf, "", NULL);
	assert_int_equal(t.r.status, 200);
	items = json_object_get(t.r.json, "items");
	json_array_foreach(
	    items, i, v) if (strcmp(perc_json_str(v, "member"), e->member) ==
	    0) return perc_json_str(v, "kind");
	return "";
}

static void
test_each_is_what_it_was_invited_as(void **state)
{
	struct kit_end ann = { 0 }, hall = { 0 }, tape = { 0 };

	join(&ann, "ann@x.example", NULL);
	join(&hall, "hall@x.example", NULL);
	join(&tape, "tape@x.example", NULL);
	assert_string_equal(listed(&ann), "person");
	assert_string_equal(listed(&hall), "room");
	assert_string_equal(listed(&tape), "recorder");
	kit_as(&t, &tape, KMF_OP_CONF_GET, NULL);
	assert_int_equal(t.r.status, 200);
	assert_string_equal(
	    perc_json_str(json_object_get(t.r.json, "you"), "kind"),
	    "recorder");
	kit_end_close(&ann);
	kit_end_close(&hall);
	kit_end_close(&tape);
}

static void
test_a_provider_may_know_better(void **state)
{
	struct kit_end hall = { 0 };

	join(&hall, "hall@x.example", "recorder");
	assert_string_equal(listed(&hall), "recorder");
	kit_end_close(&hall);
}

static void
test_other_kinds_there_are_not(void **state)
{
	kit_admin(&t, KMF_OP_CONF_PATCH, conf, "",
	    "{\"invitees\": [{\"email\": \"a@x.example\", \"kind\": "
	    "\"spy\"}]}");
	assert_int_equal(t.r.status, 400);
	assert_non_null(strstr(t.r.detail, "/invitees/0/kind"));
}

/* The id of what came of it. */
static void
repeat(char id[static 40])
{
	struct kmf_call c = {
		.op = KMF_OP_INV_CREATE, .conf = conf, .idempotency_key = "k1"
	};

	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = "admin";
	c.id.scope = "scheduler";
	kit_call(&t, &c);
	assert_int_equal(t.r.status, 201);
	snprintf(id, 40, "%s", perc_json_str(t.r.json, "id"));
}

static void
test_repeated_within_a_day(void **state)
{
	char first[40], later[40];

	repeat(first);
	t.now_ms += KMF_DAY_MS - 60000;
	kit_pass(&t, 11000); /* what ran out is forgotten */
	repeat(later);
	assert_string_equal(first, later);
	t.now_ms += 60000;
	kit_pass(&t, 11000);
	repeat(later);
	assert_string_not_equal(first, later);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_each_is_what_it_was_invited_as),
		T(test_a_provider_may_know_better),
		T(test_other_kinds_there_are_not),
		T(test_repeated_within_a_day),
	};

	return cmocka_run_group_tests_name("kinds", tests, NULL, NULL);
}
