/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The feed of events: what is in it, in which order, for whom, for how long;
 * and who waits for the next one.
 */
#include "tests/kmf/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/event.h"

static struct kit t;
static struct kit_end ann, bob;
static char conf[40], inv[40];

static void
client_add(const char *id, const char *scope)
{
	struct db_client c = { .created_ms = 1 };

	snprintf(c.id, sizeof(c.id), "%s", id);
	snprintf(c.scope, sizeof(c.scope), "%s", scope);
	strcpy(c.jwk, "{}");
	assert_int_equal(kmf_turn_begin(t.k), 0);
	assert_int_equal(db_client_add(t.k->db, &c), 0);
	kit_turn(&t);
}

static int
setup(void **state)
{
	kit_open(&t);
	kit_conf(&t, conf, "{\"leave_window_ms\": 100}");
	kit_end_open(&ann, "ann");
	kit_end_open(&bob, "bob");
	kit_code(&t, conf, &ann, "Ann", inv);
	client_add("watch", "auditor");
	client_add("cal", "scheduler");
	return 0;
}

static int
teardown(void **state)
{
	kit_end_close(&ann);
	kit_end_close(&bob);
	kit_close(&t);
	return 0;
}

static uint32_t
ask_as(const char *who, const char *scope, const char *query)
{
	struct kmf_call c = { .op = KMF_OP_FEED, .arg = query };

	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = who;
	c.id.scope = scope;
	return kit_send(&t, &c);
}

static struct kit_reply *
feed_as(const char *who, const char *scope, const char *query)
{
	struct kmf_call c = { .op = KMF_OP_FEED, .arg = query };

	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = who;
	c.id.scope = scope;
	return kit_call(&t, &c);
}

static struct kit_reply *
feed(const char *query)
{
	return feed_as("watch", "auditor", query);
}

static const json_t *
item(size_t i)
{
	return json_array_get(json_object_get(t.r.json, "items"), i);
}

static size_t
items(void)
{
	return json_array_size(json_object_get(t.r.json, "items"));
}

/* The types of the answer, with blanks between. */
static const char *
types(void)
{
	static char text[2048];
	size_t i, n = 0;

	text[0] = '\0';
	for (i = 0; i < items(); i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s",
		    i > 0 ? " " : "", perc_json_str(item(i), "type"));
	return text;
}

static const json_t *
data(size_t i)
{
	return json_object_get(item(i), "data");
}

static void
test_a_conference_from_begin_to_end(void **state)
{
	int64_t n;

	kit_join(&t, &ann, conf);
	kit_join(&t, &bob, conf);
	kit_pass(&t, 3000);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_REKEY, conf, "", NULL)->status, 202);
	kit_pass(&t, 3000);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_MEMBER_EVICT, conf, bob.member, NULL)->status,
	    204);
	kit_pass(&t, 3000);
	kit_as(&t, &ann, KMF_OP_LEASE_END, "");
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_DELETE, conf, "", NULL)->status, 204);
	assert_int_equal(feed("after=0")->status, 200);
	assert_string_equal(types(),
	    "conference.created invitation.created conference.started "
	    "member.joined epoch.rekeyed member.joined epoch.rekeyed "
	    "member.evicted epoch.rekeyed member.left conference.emptied "
	    "conference.ended conference.cancelled conference.deleted");
	assert_string_equal(perc_json_str(data(0), "title"), "Council");
	assert_string_equal(perc_json_str(data(1), "name"), "Ann");
	assert_null(strstr(t.r.text, ann.code));
	assert_string_equal(perc_json_str(data(3), "member"), ann.member);
	assert_string_equal(perc_json_str(data(4), "cause"), "join");
	assert_string_equal(perc_json_str(data(6), "cause"), "request");
	assert_string_equal(perc_json_str(data(8), "cause"), "evict");
	assert_int_equal(perc_json_int(&n, data(8), "members", 0, 9), 0);
	assert_int_equal(n, 1);
	assert_string_equal(perc_json_str(data(7), "actor"), "admin");
	assert_string_equal(perc_json_str(item(7), "conference"), conf);
	assert_null(json_object_get(t.r.json, "next"));
}

static void
test_causes_of_epochs(void **state)
{
	kit_join(&t, &ann, conf);
	kit_join(&t, &bob, conf);
	kit_as(&t, &bob, KMF_OP_LEASE_END, "");
	kit_pass(&t, 1000);
	feed("type=epoch.rekeyed");
	assert_int_equal(items(), 2);
	assert_string_equal(perc_json_str(data(1), "cause"), "leave");
	while (t.now_ms < 1800000000000 + 280 * 1000) {
		kit_pass(&t, 4000);
		kit_as(&t, &ann, KMF_OP_LEASE_RENEW, "{\"epoch\": 2}");
	}
	feed("type=epoch.rekeyed");
	assert_int_equal(items(), 3);
	assert_string_equal(perc_json_str(data(2), "cause"), "age");
}

/* An event's number is its audit row's; nothing is told twice or left out
 * whatever the pages' size. */
static void
test_pages_are_whole_and_in_order(void **state)
{
	char query[80] = "after=0&limit=2", all[2048];
	int64_t seq, last = 0;
	size_t i, n = 0;
	const char *next;

	kit_join(&t, &ann, conf);
	feed("after=0");
	snprintf(all, sizeof(all), "%s", types());
	do {
		assert_int_equal(feed(query)->status, 200);
		for (i = 0; i < items(); i++, n++) {
			seq = atoll(perc_json_str(item(i), "id"));
			assert_true(seq > last);
			last = seq;
		}
		next = perc_json_str(t.r.json, "next");
		snprintf(query, sizeof(query), "after=%s&limit=2",
		    next != NULL ? next : "");
	} while (next != NULL);
	assert_int_equal(n, 5);
	snprintf(query, sizeof(query), "after=%s",
	    perc_json_str(t.r.json, "cursor"));
	assert_int_equal(feed(query)->status, 200);
	assert_int_equal(items(), 0);
	/* the answer to nothing is where it was asked from */
	assert_string_equal(
	    perc_json_str(t.r.json, "cursor"), strchr(query, '=') + 1);
	feed("type=member.*,conference.started");
	assert_string_equal(types(), "conference.started member.joined");
	assert_int_equal(feed("type=member.jumped")->status, 400);
	assert_int_equal(feed("type=member.joined,")->status, 200);
	assert_int_equal(feed("after=7x")->status, 400);
	assert_int_equal(feed("after=-1")->status, 400);
	assert_int_equal(feed("after=99999999999999999999")->status, 400);
	assert_int_equal(feed("limit=0")->status, 400);
	assert_int_equal(feed("wait=31")->status, 400);
	snprintf(query, sizeof(query), "conference=%s", conf);
	feed(query);
	assert_string_equal(types(), all);
	feed("conference=c_other");
	assert_int_equal(items(), 0);
}

static void
test_schedulers_see_their_own(void **state)
{
	assert_int_equal(feed_as("cal", "scheduler", "")->status, 200);
	assert_int_equal(items(), 0);
	feed_as("admin", "scheduler", "");
	assert_int_equal(items(), 2);
	assert_int_equal(feed_as("cal", "admin", "")->status, 403);
	assert_int_equal(feed_as("cal", "member", "")->status, 403);
	/* another's conference cannot be named either */
	char query[80];
	snprintf(query, sizeof(query), "conference=%s", conf);
	feed_as("cal", "scheduler", query);
	assert_int_equal(items(), 0);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_DELETE, conf, "", NULL)->status, 204);
	feed_as("admin", "scheduler", "");
	assert_int_equal(items(), 5); /* still its own: ended, and so on */
}

static void
purge(void)
{
	assert_int_equal(kmf_turn_begin(t.k), 0);
	assert_int_equal(kmf_event_purge(t.k), 0);
	kit_turn(&t);
	kit_turn(&t);
}

static void
test_old_cursors_expire(void **state)
{
	char first[80], last[80];

	feed("");
	snprintf(
	    first, sizeof(first), "after=%s", perc_json_str(item(0), "id"));
	snprintf(last, sizeof(last), "after=%s", perc_json_str(item(1), "id"));
	purge();
	assert_int_equal(feed(first)->status, 200);
	assert_int_equal(items(), 1);
	t.now_ms += KMF_EVENTS_KEEP_MS + 1000;
	purge();
	assert_int_equal(feed(first)->status, 410);
	assert_string_equal(t.r.code, "cursor_expired");
	first[strcspn(first, "-")] = '\0'; /* its number alone */
	assert_int_equal(feed(first)->status, 410);
	/* whoever had the last one has missed nothing; its time is over */
	assert_int_equal(feed(last)->status, 200);
	assert_string_equal(types(), "conference.ended");
	assert_int_equal(feed("after=0")->status, 200);
	assert_string_equal(types(), "conference.ended");
	kit_restart(&t);
	assert_int_equal(feed(first)->status, 410);
	assert_int_equal(feed(last)->status, 200);
}

/* A cursor of a history that this database does not have. */
static void
test_another_history_is_seen(void **state)
{
	char id[80], query[96];

	feed("");
	snprintf(id, sizeof(id), "%s", perc_json_str(item(1), "id"));
	id[strlen(id) - 1] ^= 1;
	snprintf(query, sizeof(query), "after=%s", id);
	assert_int_equal(feed(query)->status, 410);
	snprintf(query, sizeof(query), "after=%d", atoi(id));
	assert_int_equal(feed(query)->status, 200);
	snprintf(query, sizeof(query), "after=%d", atoi(id) + 1000);
	assert_int_equal(feed(query)->status, 410);
}

static void
test_a_call_waits_for_the_next(void **state)
{
	unsigned had;

	feed("after=latest");
	assert_int_equal(items(), 0);
	had = t.replies;
	t.want_id = ask_as(
	    "watch", "auditor", "after=latest&wait=30&type=member.joined");
	for (int i = 0; i < 5; i++)
		kit_turn(&t);
	assert_int_equal(t.replies, had);
	kit_join(&t, &ann, conf); /* two calls, and ours */
	kit_turn(&t);
	assert_int_equal(t.replies, had + 3);
	/* a keeper that stops owes nobody */
	(void)ask_as("watch", "auditor", "after=latest&wait=30");
	kit_turn(&t);
}

static uint32_t
stream(const char *scope, const char *query, const char *after, int64_t exp_s)
{
	struct kmf_subscribe s = { .query = query, .after = after, .conf = "" };
	uint32_t id = t.next_id++;
	uint8_t *buf;
	size_t len;

	s.id.who = KMF_WHO_CLIENT;
	s.id.sub = "watch";
	s.id.scope = scope;
	s.id.token_exp_s = exp_s;
	assert_int_equal(kmf_subscribe_encode(&buf, &len, &s), 0);
	assert_int_equal(
	    perc_chan_send(t.chan, KMF_MSG_SUBSCRIBE, id, buf, len), 0);
	perc_secmem_free(buf);
	for (int i = 0; i < 3; i++)
		kit_turn(&t);
	return id;
}

static void
test_a_stream_goes_on_where_it_was(void **state)
{
	int64_t exp_s = t.now_ms / 1000 + 300;
	struct kit_event *e;
	char id[64];
	uint32_t s;

	s = stream("auditor", "", "", exp_s);
	assert_non_null(e = kit_event(&t, s, ""));
	assert_string_equal(
	    perc_json_str(e->data, "type"), "conference.created");
	snprintf(id, sizeof(id), "%s", perc_json_str(e->data, "id"));
	assert_non_null(e = kit_event(&t, s, ""));
	kit_join(&t, &ann, conf);
	kit_turn(&t);
	for (int i = 0; i < 3; i++)
		assert_non_null(e = kit_event(&t, s, ""));
	assert_string_equal(perc_json_str(e->data, "type"), "epoch.rekeyed");
	assert_null(kit_event(&t, s, ""));
	s = stream("auditor", "type=member.joined", id, exp_s);
	assert_non_null(e = kit_event(&t, s, ""));
	assert_string_equal(perc_json_str(e->data, "type"), "member.joined");
	s = stream("member", "", "", exp_s);
	assert_non_null(e = kit_event(&t, s, "END"));
	assert_int_equal(e->status, 403);
	s = stream("auditor", "", "9999-zzzzzzzz", exp_s);
	assert_non_null(e = kit_event(&t, s, "END"));
	assert_int_equal(e->status, 410);
	s = stream("auditor", "after=latest", "", t.now_ms / 1000 - 1);
	assert_non_null(e = kit_event(&t, s, "END"));
	assert_string_equal(e->code, "token_expired");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_a_conference_from_begin_to_end),
		T(test_causes_of_epochs),
		T(test_pages_are_whole_and_in_order),
		T(test_schedulers_see_their_own),
		T(test_old_cursors_expire),
		T(test_another_history_is_seen),
		T(test_a_call_waits_for_the_next),
		T(test_a_stream_goes_on_where_it_was),
	};

	if (perc_secmem_init(4u << 20) != 0)
		return 1;
	return cmocka_run_group_tests_name("feed", tests, NULL, NULL);
}
