/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * REQ-W-6, REQ-WC-4.8g: a roster told as differences says what the whole one
 * says, at every step, through leaves, restarts and operations undone; each
 * difference is signed, builds on the one before and names no more than what
 * changed.
 */
#include "tests/kmf/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/rosterlist.h"
#include "perc/b64.h"

static struct kit t;
static char conf[40];
static struct kit_end alice, bob, carol;

static int
setup(void **state)
{
	kit_open(&t);
	kit_conf(&t, conf, NULL);
	kit_end_open(&alice, "a-1");
	kit_end_open(&bob, "b-1");
	kit_end_open(&carol, "c-1");
	alice.group = bob.group = carol.group = "board";
	t.query = "roster=delta";
	return 0;
}

static int
teardown(void **state)
{
	kit_end_close(&alice);
	kit_end_close(&bob);
	kit_end_close(&carol);
	kit_close(&t);
	return 0;
}

static json_int_t
num(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

/* What a follower holds: the members by id, and the head. */
struct follower {
	json_t *members; /* object: id -> entry */
	json_int_t seq;
	uint8_t head[PERC_ROSTER_HASH];
};

static int
id_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void
head_of(struct follower *f, const json_t *claims)
{
	struct perc_roster_step step = { .seq = (uint64_t)num(claims, "seq"),
		.epoch = (uint64_t)num(claims, "epoch") };
	const char *before = perc_json_str(claims, "head_before"), *id;
	const char *ids[64];
	uint8_t leaves[64 * PERC_ROSTER_HASH];
	json_t *entry;
	size_t n = 0, i;

	assert_non_null(before);
	if (before[0] != '\0')
		assert_int_equal(perc_b64_get_exact(
				     step.before, sizeof(step.before), before),
		    0);
	json_object_foreach(f->members, id, entry) ids[n++] = id;
	qsort(ids, n, sizeof(ids[0]), id_cmp);
	for (i = 0; i < n; i++)
		assert_int_equal(perc_roster_leaf(leaves + i * PERC_ROSTER_HASH,
				     json_object_get(f->members, ids[i])),
		    0);
	assert_int_equal(perc_roster_head(f->head, &step, leaves, n), 0);
	f->seq = num(claims, "seq");
}

static void
members_put(struct follower *f, const json_t *list)
{
	const json_t *o;
	size_t i;

	json_array_foreach(list, i, o) json_object_set(
	    f->members, perc_json_str(o, "member"), (json_t *)(uintptr_t)o);
}

static void
whole(struct follower *f)
{
	struct kit_reply *r = kit_as(&t, &alice, KMF_OP_ROSTER, NULL);
	json_t *v;

	assert_int_equal(r->status, 200);
	v = kit_verify(&t, r->text, "perch-roster+jwt");
	json_decref(f->members);
	f->members = json_object();
	members_put(f, json_object_get(v, "members"));
	head_of(f, v);
	json_decref(v);
}

static void
follow(struct follower *f, const char *text)
{
	json_t *v = kit_verify(&t, text, "perch-roster-delta+jwt"), *id;
	uint8_t before[PERC_ROSTER_HASH], head[PERC_ROSTER_HASH];
	size_t i;

	assert_int_equal(num(v, "seq"), f->seq + 1);
	assert_int_equal(perc_b64_get_exact(before, sizeof(before),
			     perc_json_str(v, "head_before")),
	    0);
	assert_memory_equal(before, f->head, sizeof(before));
	json_array_foreach(json_object_get(v, "removed"), i, id)
	    json_object_del(f->members, json_string_value(id));
	members_put(f, json_object_get(v, "added"));
	assert_int_equal(num(v, "count"), json_object_size(f->members));
	head_of(f, v);
	assert_int_equal(
	    perc_b64_get_exact(head, sizeof(head), perc_json_str(v, "head")),
	    0);
	assert_memory_equal(head, f->head, sizeof(head));
	json_decref(v);
}

/* All differences that came on the stream; how many. */
static unsigned
follow_stream(struct follower *f, uint32_t s)
{
	struct kit_event *e;
	unsigned n = 0;

	while ((e = kit_event(&t, s, "roster-delta")) != NULL) {
		assert_int_equal(num(e->data, "seq"), f->seq + 1);
		follow(f, perc_json_str(e->data, "delta"));
		n++;
	}
	return n;
}

/* The follower's list is the whole roster's. */
static void
agree(struct follower *f)
{
	struct follower w = { .members = NULL };

	whole(&w);
	assert_int_equal(w.seq, f->seq);
	assert_true(json_equal(w.members, f->members));
	assert_memory_equal(w.head, f->head, sizeof(w.head));
	json_decref(w.members);
}

static void
test_REQ_W_6_differences_lead_to_the_roster(void **state)
{
	struct follower f = { .members = NULL };
	uint32_t s;

	kit_join(&t, &alice, conf);
	s = kit_stream(&t, &alice);
	whole(&f);
	kit_join(&t, &bob, conf);
	kit_join(&t, &carol, conf);
	kit_pass(&t, 600);
	assert_int_not_equal(follow_stream(&f, s), 0);
	assert_int_equal(json_object_size(f.members), 3);
	agree(&f);
	/* Who left stands on it until an epoch has shut him out. */
	assert_int_equal(kit_as(&t, &bob, KMF_OP_LEASE_END, NULL)->status, 204);
	agree(&f);
	kit_pass(&t, 600);
	assert_int_not_equal(follow_stream(&f, s), 0);
	assert_int_equal(json_object_size(f.members), 2);
	agree(&f);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_MEMBER_EVICT, conf, carol.member, NULL)
		->status,
	    204);
	kit_pass(&t, 600);
	assert_int_not_equal(follow_stream(&f, s), 0);
	assert_int_equal(json_object_size(f.members), 1);
	agree(&f);
	assert_null(kit_event(&t, s, "roster-delta"));
	json_decref(f.members);
}

/* REQ-WC-4.8g: signed again, and what nobody changed is not told again. */
static void
test_signing_anew_is_of_constant_size(void **state)
{
	struct follower f = { .members = NULL };
	struct kit_event *e;
	uint32_t s;
	json_t *v;
	int i;

	kit_join(&t, &alice, conf);
	s = kit_stream(&t, &alice);
	whole(&f);
	for (i = 0; i < 3; i++) {
		kit_pass(&t, 11000);
		kit_as(&t, &alice, KMF_OP_LEASE_RENEW, "{\"epoch\": 1}");
	}
	e = kit_event(&t, s, "roster-delta");
	assert_non_null(e);
	v = kit_verify(
	    &t, perc_json_str(e->data, "delta"), "perch-roster-delta+jwt");
	assert_int_equal(json_array_size(json_object_get(v, "added")), 0);
	assert_int_equal(json_array_size(json_object_get(v, "removed")), 0);
	assert_true(num(v, "exp") * 1000 > t.now_ms + 40000);
	json_decref(v);
	follow(&f, perc_json_str(e->data, "delta"));
	agree(&f);
	json_decref(f.members);
}

static struct kit_reply *
since(json_int_t seq)
{
	struct kit_reply *r;
	char query[40];

	snprintf(query, sizeof(query), "since=%lld", (long long)seq);
	t.arg = query;
	r = kit_as(&t, &alice, KMF_OP_ROSTER, NULL);
	t.arg = NULL;
	return r;
}

static size_t
missed_follow(struct follower *f)
{
	json_t *list, *o;
	size_t i, n;

	assert_string_equal(since(f->seq)->content_type, "application/json");
	list = json_incref(json_object_get(t.r.json, "deltas"));
	n = json_array_size(list);
	json_array_foreach(list, i, o) follow(f, json_string_value(o));
	json_decref(list);
	return n;
}

static void
test_what_was_missed_is_told(void **state)
{
	struct follower f = { .members = NULL };

	kit_join(&t, &alice, conf);
	whole(&f);
	assert_int_equal(since(f.seq)->status, 200);
	assert_int_equal(
	    json_array_size(json_object_get(t.r.json, "deltas")), 0);
	kit_join(&t, &bob, conf);
	kit_pass(&t, 600);
	kit_join(&t, &carol, conf);
	kit_pass(&t, 600);
	assert_true(missed_follow(&f) >= 2);
	agree(&f);
	/* of a roster that nobody can know, and of one that is forgotten */
	assert_string_equal(since(f.seq + 1)->content_type, "application/jwt");
	kmf_lists_forget(t.k, NULL);
	assert_string_equal(since(f.seq - 1)->content_type, "application/jwt");
	json_decref(f.members);
}

/* The chain goes on where it was: a follower sees no fork in a restart. */
static void
test_restart_keeps_the_chain(void **state)
{
	struct follower f = { .members = NULL };
	uint32_t s;

	kit_join(&t, &alice, conf);
	kit_join(&t, &bob, conf);
	kit_pass(&t, 600);
	whole(&f);
	kit_restart(&t);
	s = kit_stream(&t, &alice);
	follow_stream(&f, s);
	missed_follow(&f); /* it is signed anew at once */
	agree(&f);
	kit_join(&t, &carol, conf);
	kit_pass(&t, 600);
	assert_int_not_equal(follow_stream(&f, s), 0);
	agree(&f);
	/* a change that no roster has told yet: the whole is fetched then */
	assert_int_equal(kit_as(&t, &bob, KMF_OP_LEASE_END, NULL)->status, 204);
	kmf_lists_forget(t.k, NULL);
	kit_pass(&t, 600);
	follow_stream(&f, s);
	whole(&f);
	agree(&f);
	assert_int_equal(json_object_size(f.members), 2);
	json_decref(f.members);
}

/*
 * In a large room rosters wait for who else comes. Who fetches the whole
 * meanwhile gets what its difference said to all others, and not one more of
 * the same number, which every vault would have to take for a fork.
 */
static void
test_whole_rosters_are_what_was_told(void **state)
{
	static struct kit_end many[KMF_ROSTER_INLINE_MAX + 2];
	struct follower f = { .members = NULL };
	char sub[16];
	uint32_t s;
	size_t i;

	kit_join(&t, &alice, conf);
	s = kit_stream(&t, &alice);
	whole(&f);
	for (i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
		snprintf(sub, sizeof(sub), "m-%zu", i);
		kit_end_open(&many[i], sub);
		many[i].group = "board";
		kit_join(&t, &many[i], conf);
	}
	kit_pass(&t, 700);
	follow_stream(&f, s);
	kit_join(&t, &bob, conf);
	assert_int_equal(follow_stream(&f, s), 0); /* it waits */
	agree(&f);
	assert_null(json_object_get(f.members, bob.member));
	assert_int_equal(
	    kit_as(&t, &many[0], KMF_OP_LEASE_END, NULL)->status, 204);
	agree(&f);
	kit_pass(&t, 700);
	assert_int_not_equal(follow_stream(&f, s), 0);
	assert_non_null(json_object_get(f.members, bob.member));
	assert_null(json_object_get(f.members, many[0].member));
	/* who stood on it is forgotten just then: one more is signed */
	kit_join(&t, &carol, conf);
	kmf_lists_forget(t.k, NULL);
	json_decref(f.members);
	f.members = NULL;
	whole(&f);
	assert_non_null(json_object_get(f.members, carol.member));
	agree(&f);
	json_decref(f.members);
	for (i = 0; i < sizeof(many) / sizeof(many[0]); i++)
		kit_end_close(&many[i]);
}

/* A plain client beside it sees the event of old and nothing else. */
static void
test_plain_streams_are_as_they_were(void **state)
{
	uint32_t s;

	t.query = NULL;
	kit_join(&t, &alice, conf);
	s = kit_stream(&t, &alice);
	kit_join(&t, &bob, conf);
	kit_pass(&t, 600);
	assert_null(kit_event(&t, s, "roster-delta"));
	assert_non_null(kit_event(&t, s, "roster"));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(test_REQ_W_6_differences_lead_to_the_roster),
		T(test_signing_anew_is_of_constant_size),
		T(test_what_was_missed_is_told),
		T(test_restart_keeps_the_chain),
		T(test_whole_rosters_are_what_was_told),
		T(test_plain_streams_are_as_they_were),
	};

	return cmocka_run_group_tests_name("roster", tests, NULL, NULL);
}
