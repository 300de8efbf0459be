/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Series: occurrences are conferences of their own, made in time, changed
 * alone or together, and nothing that has begun is touched by a new plan.
 */
#include "tests/kmf/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS (24LL * 3600 * 1000)

static struct kit t;
static char series[40];
static struct kit_end ann, ben;

/* The start of day n from the first occurrence, which is in ten minutes. */
static int64_t first_ms;

static void
time_put(char out[static PERC_TIME_LEN], int64_t days)
{
	perc_time_put(out, first_ms + days * DAY_MS);
}

/* As kit_pass(), in steps fit for a calendar. */
static void
leap(int64_t ms)
{
	int64_t step = ms > 2 * DAY_MS ? 6 * 3600 * 1000 : 300 * 1000, now;

	for (; ms > 0; ms -= now) {
		now = ms < step ? ms : step;
		t.now_ms += now;
		kmf_due_arm(t.k);
		for (int i = 0; i < 2; i++)
			assert_int_equal(perc_loop_turn(t.loop, 0), 0);
	}
	kit_pass(&t, 100);
}

static struct kit_reply *
create(const char *rule, const char *more)
{
	char body[1024], from[PERC_TIME_LEN], to[PERC_TIME_LEN];

	perc_time_put(from, first_ms);
	perc_time_put(to, first_ms + 3600 * 1000);
	snprintf(body, sizeof(body),
	    "{\"title\": \"Daily\", \"starts_at\": \"%s\", \"ends_at\": "
	    "\"%s\", \"rrule\": \"%s\", \"invitees\": [{\"email\": "
	    "\"ann@x.example\"}]%s}",
	    from, to, rule, more);
	return kit_admin(&t, KMF_OP_CONF_CREATE, "", "", body);
}

static void
made(const char *rule, const char *more)
{
	create(rule, more);
	if (t.r.status != 201)
		fail_msg("%s: %u %s", rule, t.r.status, t.r.detail);
	snprintf(series, sizeof(series), "%s", perc_json_str(t.r.json, "id"));
}

static int
setup(void **state)
{
	kit_open(&t);
	first_ms = (t.now_ms / 1000 + 600) * 1000;
	kit_end_open(&ann, "a");
	ann.email = "ann@x.example";
	kit_end_open(&ben, "b");
	ben.email = "ben@x.example";
	return 0;
}

static int
teardown(void **state)
{
	kit_end_close(&ann);
	kit_end_close(&ben);
	kit_close(&t);
	return 0;
}

static json_t *
get(void)
{
	kit_admin(&t, KMF_OP_SERIES_GET, series, "", NULL);
	assert_int_equal(t.r.status, 200);
	return t.r.json;
}

static size_t
noccurrences(void)
{
	return json_array_size(json_object_get(get(), "occurrences"));
}

/* Member `name` of occurrence i of those not over; NULL when it is null. */
static const char *
occ(size_t i, const char *name)
{
	return perc_json_str(
	    json_array_get(json_object_get(get(), "occurrences"), i), name);
}

static void
conf_of(size_t i, char id[static 40])
{
	const char *s = occ(i, "conference");

	assert_non_null(s);
	snprintf(id, 40, "%s", s);
}

static const char *
conf_str(const char *id, const char *name)
{
	kit_admin(&t, KMF_OP_CONF_GET, id, "", NULL);
	return t.r.status == 200 ? perc_json_str(t.r.json, name) : "gone";
}

static void
patch(enum kmf_op op, const char *id, const char *body, uint16_t status)
{
	struct kmf_call c = { .op = op, .conf = id, .if_match = "*" };

	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = "admin";
	c.id.scope = "admin scheduler auditor";
	c.body = (const uint8_t *)body;
	c.body_len = strlen(body);
	kit_call(&t, &c);
	if (t.r.status != status)
		fail_msg("%s: %u %s", body, t.r.status, t.r.detail);
}

static int64_t
open_count(void)
{
	int64_t n = -1;

	assert_int_equal(db_conf_open_count(t.k->db, &n, "admin"), 0);
	return n;
}

static void
test_create(void **state)
{
	char at[PERC_TIME_LEN], id[40];

	made("FREQ=DAILY;COUNT=5", ", \"tzid\": \"Europe/Berlin\"");
	assert_true(strncmp(series, "s_", 2) == 0);
	assert_string_equal(perc_json_str(t.r.json, "state"), "scheduled");
	assert_string_equal(perc_json_str(t.r.json, "tzid"), "Europe/Berlin");
	assert_non_null(strstr(t.r.location, "/v1/series/s_"));
	assert_string_equal(t.r.etag, "\"1\"");
	assert_int_equal(noccurrences(), 5);
	conf_of(1, id);
	time_put(at, 1);
	assert_string_equal(occ(1, "recurrence_id"), at);
	assert_string_equal(conf_str(id, "series"), series);
	assert_string_equal(conf_str(id, "recurrence_id"), at);
	assert_string_equal(conf_str(id, "starts_at"), at);
	assert_int_equal(
	    json_array_size(json_object_get(t.r.json, "invitees")), 1);
	assert_true(json_is_false(json_object_get(t.r.json, "exception")));
	assert_int_equal(open_count(), 5);
}

/* The heart of it: a key of one opens no other, nor does being put out. */
static void
test_each_has_its_own(void **state)
{
	char one[40], two[40];
	uint8_t key[64];
	struct kmf_call c = { .op = KMF_OP_MEMBER_EVICT };

	made("FREQ=DAILY;COUNT=3", "");
	conf_of(0, one);
	conf_of(1, two);
	kit_join(&t, &ann, one);
	memcpy(key, ann.key, sizeof(key));
	assert_int_equal(kit_token1(&t, &ann, two)->status, 200);
	assert_int_equal(kit_keys(&t, &ann)->status, 403);
	assert_string_equal(t.r.code, "too_early");
	assert_int_equal(kit_token1(&t, &ann, one)->status, 200);
	kit_admin(&t, KMF_OP_MEMBER_EVICT, one, ann.member, NULL);
	assert_int_equal(t.r.status, 204);
	assert_int_equal(kit_token1(&t, &ann, one)->status, 400);
	leap(DAY_MS);
	assert_string_equal(conf_str(one, "state"), "ended");
	kit_join(&t, &ann, two); /* invited there as ever */
	assert_int_equal(ann.epoch, 1);
	assert_memory_not_equal(key, ann.key, ann.keylen);
	(void)c;
}

static void
test_made_in_time(void **state)
{
	int64_t due = 0;

	made("FREQ=WEEKLY;COUNT=100", "");
	assert_int_equal(open_count(), 5); /* 31 days */
	assert_int_equal(noccurrences(), 16);
	assert_null(occ(5, "conference"));
	assert_int_equal(db_conf_next_due(t.k->db, &due), 0);
	assert_true(due > 0);
	leap(8 * DAY_MS); /* two are over, one is new */
	assert_int_equal(open_count(), 4);
	assert_non_null(occ(3, "conference"));
	assert_null(occ(4, "conference"));
	leap(4 * DAY_MS);
	assert_int_equal(open_count(), 5);
	leap(364 * DAY_MS);
	assert_int_equal(open_count(), 5);
	leap(400 * DAY_MS);
	assert_int_equal(open_count(), 0);
	assert_string_equal(perc_json_str(get(), "state"), "ended");
	assert_int_equal(noccurrences(), 0);
}

/* The next one is there however far away; of frequent ones, sixteen. */
static void
test_how_many_are_made(void **state)
{
	made("FREQ=YEARLY;COUNT=4", "");
	assert_int_equal(open_count(), 1);
	leap(2 * 3600 * 1000);
	assert_int_equal(open_count(), 1);
	assert_non_null(occ(0, "conference"));
	kit_admin(&t, KMF_OP_SERIES_DELETE, series, "", NULL);
	assert_int_equal(t.r.status, 204);
	assert_int_equal(open_count(), 0);
	first_ms = (t.now_ms / 1000 + 600) * 1000;
	made("FREQ=DAILY;COUNT=40", "");
	assert_int_equal(open_count(), 16);
	leap(DAY_MS + 3600 * 1000);
	assert_int_equal(open_count(), 16);
	leap(30 * DAY_MS);
	assert_int_equal(open_count(), 9);
}

static void
test_uri_leads_to_the_current_one(void **state)
{
	struct kmf_call c = { .op = KMF_OP_SERIES_CURRENT };
	char one[40], two[40];

	made("FREQ=DAILY;COUNT=2", "");
	conf_of(0, one);
	conf_of(1, two);
	c.conf = series;
	assert_string_equal(kit_call(&t, &c)->text, one);
	leap(1200 * 1000);
	assert_string_equal(kit_call(&t, &c)->text, one);
	leap(3600 * 1000);
	assert_string_equal(kit_call(&t, &c)->text, two);
	leap(DAY_MS);
	assert_string_equal(kit_call(&t, &c)->text, two); /* which is over */
	/* nobody can tell one that is not there */
	c.conf = "s_AAAAAAAAAAAAAAAAAAAAAA";
	assert_int_equal(kit_call(&t, &c)->status, 200);
	snprintf(one, sizeof(one), "%s", t.r.text);
	assert_true(strncmp(one, "c_", 2) == 0 && strlen(one) == 24);
	assert_string_equal(kit_call(&t, &c)->text, one);
	kit_restart(&t);
	assert_string_equal(kit_call(&t, &c)->text, one);
	c.conf = "s_BBBBBBBBBBBBBBBBBBBBBB";
	assert_string_not_equal(kit_call(&t, &c)->text, one);
	c.conf = "s_AAAAAAAAAAAAAAAAAAAAAA";
	leap(7 * DAY_MS);
	assert_string_not_equal(kit_call(&t, &c)->text, one);
}

static void
test_exdates(void **state)
{
	char more[200], at[PERC_TIME_LEN], id[40];

	time_put(at, 1);
	snprintf(more, sizeof(more), ", \"exdates\": [\"%s\"]", at);
	made("FREQ=DAILY;COUNT=4", more);
	assert_int_equal(noccurrences(), 3);
	time_put(at, 2);
	assert_string_equal(occ(1, "recurrence_id"), at);
	/* to take one out is to delete its conference, or to cancel it */
	conf_of(1, id);
	kit_admin(&t, KMF_OP_CONF_DELETE, id, "", NULL);
	assert_int_equal(t.r.status, 204);
	assert_int_equal(noccurrences(), 2);
	conf_of(1, id);
	kit_admin(&t, KMF_OP_CONF_CANCEL, id, "", NULL);
	assert_int_equal(t.r.status, 200);
	assert_int_equal(noccurrences(), 1);
	assert_int_equal(json_array_size(json_object_get(get(), "exdates")), 3);
	kit_admin(&t, KMF_OP_OCCURRENCE_LIST, series, "", NULL);
	assert_int_equal(
	    json_array_size(json_object_get(t.r.json, "items")), 2);
	assert_string_equal(
	    perc_json_str(
		json_array_get(json_object_get(t.r.json, "items"), 1), "state"),
	    "cancelled");
	leap(2 * DAY_MS);
	assert_string_equal(perc_json_str(get(), "state"), "ended");
}

static void
test_exceptions_stay(void **state)
{
	char id[40], other[40], body[200], from[PERC_TIME_LEN],
	    to[PERC_TIME_LEN], at[PERC_TIME_LEN];

	made("FREQ=DAILY;COUNT=4", "");
	conf_of(1, id);
	conf_of(2, other);
	time_put(at, 1);
	perc_time_put(from, first_ms + DAY_MS + 7200 * 1000);
	perc_time_put(to, first_ms + DAY_MS + 9000 * 1000);
	snprintf(body, sizeof(body),
	    "{\"starts_at\": \"%s\", \"ends_at\": \"%s\"}", from, to);
	patch(KMF_OP_CONF_PATCH, id, body, 200);
	assert_string_equal(occ(1, "recurrence_id"), at);
	assert_string_equal(occ(1, "starts_at"), from);
	patch(KMF_OP_SERIES_PATCH, series, "{\"title\": \"Renamed\"}", 200);
	assert_string_equal(conf_str(id, "title"), "Daily");
	assert_string_equal(conf_str(id, "starts_at"), from);
	assert_string_equal(conf_str(other, "title"), "Renamed");
	patch(
	    KMF_OP_CONF_PATCH, id, "{\"rrule\": \"FREQ=DAILY;COUNT=3\"}", 400);
	assert_non_null(strstr(t.r.detail, "/rrule"));
}

/* People who are inside, or about to be, are not moved by a new plan. */
static void
test_new_plan(void **state)
{
	char live[40], kept[40], gone[40], rule[200], until[PERC_TIME_LEN];
	uint32_t s;

	made("FREQ=DAILY;COUNT=6", "");
	conf_of(0, live);
	kit_join(&t, &ann, live);
	s = kit_stream(&t, &ann);
	conf_of(1, gone);
	conf_of(2, kept);
	time_put(until, 5);
	(void)until;
	snprintf(rule, sizeof(rule),
	    "{\"rrule\": \"FREQ=DAILY;INTERVAL=2;COUNT=5\"}");
	patch(KMF_OP_SERIES_PATCH, series, rule, 200);
	assert_string_equal(t.r.etag, "\"2\"");
	assert_string_equal(conf_str(live, "state"), "live");
	assert_null(kit_event(&t, s, "ended"));
	assert_string_equal(conf_str(gone, "state"), "gone");
	assert_string_equal(conf_str(kept, "state"), "scheduled");
	assert_int_equal(noccurrences(), 5);
	assert_int_equal(open_count(), 5);
	/* shifted by an hour: all of it anew, but what is live */
	patch(KMF_OP_SERIES_PATCH, series,
	    "{\"starts_at\": \"2027-02-01T10:00:00Z\", \"ends_at\": "
	    "\"2027-02-01T11:00:00Z\"}",
	    200);
	assert_string_equal(conf_str(live, "state"), "live");
	assert_true(json_is_true(json_object_get(t.r.json, "exception")));
	assert_string_equal(conf_str(kept, "state"), "gone");
	assert_int_equal(noccurrences(), 5);
	assert_string_equal(occ(0, "starts_at"), "2027-02-01T10:00:00Z");
}

static void
test_invitees_follow(void **state)
{
	char id[40], mine[40];

	made("FREQ=DAILY;COUNT=3", "");
	conf_of(1, id);
	conf_of(2, mine);
	patch(KMF_OP_CONF_PATCH, mine, "{\"title\": \"Mine\"}", 200);
	patch(KMF_OP_SERIES_PATCH, series,
	    "{\"invitees\": [{\"email\": \"ben@x.example\"}]}", 200);
	assert_int_equal(kit_token1(&t, &ben, id)->status, 200);
	assert_int_equal(kit_token1(&t, &ann, id)->status, 400);
	assert_int_equal(kit_token1(&t, &ann, mine)->status, 200);
	assert_int_equal(kit_token1(&t, &ben, mine)->status, 400);
}

static void
test_make_early(void **state)
{
	char body[80], at[PERC_TIME_LEN], id[40];

	made("FREQ=WEEKLY;COUNT=20", "");
	time_put(at, 70);
	snprintf(body, sizeof(body), "{\"recurrence_id\": \"%s\"}", at);
	kit_admin(&t, KMF_OP_OCCURRENCE_MAKE, series, "", body);
	assert_int_equal(t.r.status, 200);
	snprintf(id, sizeof(id), "%s", perc_json_str(t.r.json, "id"));
	assert_string_equal(perc_json_str(t.r.json, "starts_at"), at);
	kit_admin(&t, KMF_OP_OCCURRENCE_MAKE, series, "", body);
	assert_string_equal(perc_json_str(t.r.json, "id"), id);
	assert_string_equal(occ(10, "conference"), id);
	leap(45 * DAY_MS); /* and is not made twice */
	assert_string_equal(occ(3, "conference"), id);
	time_put(at, 71);
	snprintf(body, sizeof(body), "{\"recurrence_id\": \"%s\"}", at);
	kit_admin(&t, KMF_OP_OCCURRENCE_MAKE, series, "", body);
	assert_int_equal(t.r.status, 400);
	time_put(at, 7); /* is over */
	snprintf(body, sizeof(body), "{\"recurrence_id\": \"%s\"}", at);
	kit_admin(&t, KMF_OP_OCCURRENCE_MAKE, series, "", body);
	assert_int_equal(t.r.status, 200); /* there still, though ended */
	assert_string_equal(perc_json_str(t.r.json, "state"), "ended");
}

static void
test_cancel_and_delete(void **state)
{
	char live[40], later[40];
	uint32_t s;

	made("FREQ=DAILY;COUNT=3", "");
	conf_of(0, live);
	conf_of(1, later);
	kit_join(&t, &ann, live);
	s = kit_stream(&t, &ann);
	kit_admin(&t, KMF_OP_SERIES_CANCEL, series, "", NULL);
	assert_int_equal(t.r.status, 200);
	assert_string_equal(perc_json_str(t.r.json, "state"), "cancelled");
	assert_non_null(kit_event(&t, s, "ended"));
	assert_string_equal(conf_str(live, "state"), "cancelled");
	assert_string_equal(conf_str(later, "state"), "cancelled");
	assert_int_equal(open_count(), 0);
	leap(3 * DAY_MS);
	assert_int_equal(open_count(), 0); /* nothing grows back */
	patch(KMF_OP_SERIES_PATCH, series, "{\"title\": \"x\"}", 409);
	kit_admin(&t, KMF_OP_SERIES_DELETE, series, "", NULL);
	assert_int_equal(t.r.status, 204);
	assert_string_equal(conf_str(live, "state"), "gone");
	kit_admin(&t, KMF_OP_SERIES_GET, series, "", NULL);
	assert_int_equal(t.r.status, 404);
}

/* What is over is forgotten with its last conference. */
static void
test_forgotten(void **state)
{
	char first[40], second[40];

	made("FREQ=DAILY;COUNT=2", "");
	conf_of(0, first);
	conf_of(1, second);
	kit_admin(&t, KMF_OP_SERIES_CANCEL, series, "", NULL);
	leap(KMF_KEEP_ENDED_DAYS * KMF_DAY_MS + 60000);
	kit_admin(&t, KMF_OP_SERIES_GET, series, "", NULL);
	assert_int_equal(t.r.status, 200); /* they are still here */
	kit_admin(&t, KMF_OP_CONF_DELETE, first, "", NULL);
	leap(2 * 3600 * 1000);
	kit_admin(&t, KMF_OP_SERIES_GET, series, "", NULL);
	assert_int_equal(t.r.status, 200);
	kit_admin(&t, KMF_OP_CONF_DELETE, second, "", NULL);
	leap(2 * 3600 * 1000);
	kit_admin(&t, KMF_OP_SERIES_GET, series, "", NULL);
	assert_int_equal(t.r.status, 404);
}

static void
test_bad_series(void **state)
{
	static const struct {
		const char *rule, *more, *where;
	} bad[] = {
		{ "FREQ=DAILY", "", "/rrule: never ends" },
		{ "FREQ=DAILY;COUNT=9", ", \"tzid\": \"Mars/X\"", "/tzid" },
		{ "FREQ=DAILY;COUNT=9", ", \"tzid\": 3", "/tzid" },
		{ "FREQ=DAILY;COUNT=9", ", \"exdates\": 3", "/exdates" },
		{ "FREQ=DAILY;COUNT=9", ", \"exdates\": [\"x\"]",
		    "/exdates/0" },
		{ "FREQ=DAILY;COUNT=9",
		    ", \"exdates\": [\"2030-01-01T00:00:00Z\"]", "/exdates/0" },
		{ "FREQ=SECONDLY;COUNT=9", "", "/rrule: FREQ" },
		{ "FREQ=DAILY;COUNT=1000000000", "", "/rrule: " },
	};
	char more[80], at[PERC_TIME_LEN];
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		create(bad[i].rule, bad[i].more);
		if (t.r.status != 400 ||
		    strncmp(t.r.detail, bad[i].where, strlen(bad[i].where)))
			fail_msg("%s%s: %u %s", bad[i].rule, bad[i].more,
			    t.r.status, t.r.detail);
	}
	time_put(at, 0);
	snprintf(more, sizeof(more), ", \"exdates\": [\"%s\"]", at);
	create("FREQ=DAILY;COUNT=1", more);
	assert_int_equal(t.r.status, 400);
	assert_int_equal(open_count(), 0); /* nothing of it stayed */
	kit_admin(&t, KMF_OP_SERIES_LIST, "", "", NULL);
	assert_int_equal(
	    json_array_size(json_object_get(t.r.json, "items")), 0);
	t.k->limit_conferences = 4;
	create("FREQ=DAILY;COUNT=5", "");
	assert_int_equal(t.r.status, 403);
	assert_string_equal(t.r.code, "limit_reached");
	made("FREQ=DAILY;COUNT=4", "");
}

/* A series is its scheduler's, as its conferences are. */
static void
test_whose_it_is(void **state)
{
	struct kmf_call c = { .op = KMF_OP_SERIES_GET };

	made("FREQ=DAILY;COUNT=3", "");
	c.conf = series;
	c.id.who = KMF_WHO_ROLE;
	c.id.sub = "p_other";
	c.id.scope = "scheduler";
	assert_int_equal(kit_call(&t, &c)->status, 404);
	c.op = KMF_OP_SERIES_DELETE;
	assert_int_equal(kit_call(&t, &c)->status, 404);
	c.op = KMF_OP_SERIES_LIST;
	assert_int_equal(kit_call(&t, &c)->status, 200);
	assert_int_equal(
	    json_array_size(json_object_get(t.r.json, "items")), 0);
	c.id.scope = "admin";
	assert_int_equal(
	    json_array_size(json_object_get(kit_call(&t, &c)->json, "items")),
	    1);
}

static void
test_pages(void **state)
{
	struct kmf_call c = { .op = KMF_OP_OCCURRENCE_LIST, .conf = series };
	char arg[80], at[PERC_TIME_LEN];
	const char *next;

	made("FREQ=DAILY;COUNT=7", "");
	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = "admin";
	c.id.scope = "scheduler";
	c.arg = "limit=5";
	kit_call(&t, &c);
	assert_int_equal(
	    json_array_size(json_object_get(t.r.json, "items")), 5);
	next = perc_json_str(t.r.json, "next");
	time_put(at, 4);
	assert_string_equal(next, at);
	snprintf(arg, sizeof(arg), "limit=5&after=%s", at);
	c.arg = arg;
	kit_call(&t, &c);
	assert_int_equal(
	    json_array_size(json_object_get(t.r.json, "items")), 2);
	assert_null(json_object_get(t.r.json, "next"));
	c.arg = "after=then";
	assert_int_equal(kit_call(&t, &c)->status, 400);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_create),
		T(test_each_has_its_own),
		T(test_made_in_time),
		T(test_how_many_are_made),
		T(test_uri_leads_to_the_current_one),
		T(test_exdates),
		T(test_exceptions_stay),
		T(test_new_plan),
		T(test_invitees_follow),
		T(test_make_early),
		T(test_cancel_and_delete),
		T(test_forgotten),
		T(test_bad_series),
		T(test_whose_it_is),
		T(test_pages),
	};

	return cmocka_run_group_tests_name("series", tests, NULL, NULL);
}
