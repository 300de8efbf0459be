/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * People who bring their provider's own token to a member's endpoints, and
 * endpoints that are bound to a certificate or to nothing.
 */
#include "tests/kmf/kit.h"

#include <string.h>

#define X5T_A "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define X5T_B "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB"

static struct kit t;
static char conf[40];

static void
open_as(struct kit_end *e, const char *sub, bool direct)
{
	kit_end_open(e, sub);
	e->direct = direct;
	strcpy(e->conf, conf);
}

static int
setup(void **state)
{
	kit_open(&t);
	kit_conf(&t, conf, NULL);
	return 0;
}

static int
teardown(void **state)
{
	kit_close(&t);
	return 0;
}

/* REQ-W-4: a key comes with the decision of that very moment. */
static void
test_direct_person_does_all_a_member_does(void **state)
{
	struct kit_end bob;
	uint32_t s;

	open_as(&bob, "bob", true);
	assert_int_equal(kit_keys(&t, &bob)->status, 200);
	s = kit_stream(&t, &bob);
	assert_int_equal(t.opened, s); /* the front may say 200 */
	assert_non_null(kit_event(&t, s, "roster"));
	assert_int_equal(
	    kit_as(&t, &bob, KMF_OP_LEASE_RENEW, "{\"epoch\": 1}")->status,
	    200);
	assert_int_equal(kit_as(&t, &bob, KMF_OP_ROSTER, NULL)->status, 200);
	assert_int_equal(kit_as(&t, &bob, KMF_OP_CONF_GET, NULL)->status, 200);
	assert_string_equal(
	    perc_json_str(json_object_get(t.r.json, "you"), "member"),
	    bob.member);
	assert_int_equal(kit_as(&t, &bob, KMF_OP_LEASE_END, NULL)->status, 204);
	kit_end_close(&bob);
}

/* The same identity with the same key is the same seat, by either road. */
static void
test_direct_and_exchanged_are_one_member(void **state)
{
	char first[40];
	struct kit_end bob;

	open_as(&bob, "bob", false);
	kit_join(&t, &bob, conf);
	strcpy(first, bob.member);
	bob.direct = true;
	assert_int_equal(kit_keys(&t, &bob)->status, 200);
	assert_string_equal(bob.member, first);
	kit_end_close(&bob);
}

/* Uninvited and nonexistent are one answer, at every member's endpoint. */
static void
test_direct_stranger_learns_nothing(void **state)
{
	static const enum kmf_op all[] = { KMF_OP_KEYS, KMF_OP_LEASE_RENEW,
		KMF_OP_LEASE_END, KMF_OP_ROSTER, KMF_OP_CONF_GET,
		KMF_OP_TOKEN2 };
	struct kit_reply here;
	struct kit_end eve;
	char detail[256];
	size_t i;

	open_as(&eve, "eve", true);
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		strcpy(eve.conf, conf);
		here = *kit_as(&t, &eve, all[i], NULL);
		assert_int_equal(
		    here.status, all[i] == KMF_OP_TOKEN2 ? 400 : 404);
		strcpy(detail, here.detail);
		strcpy(eve.conf, "c_AAAAAAAAAAAAAAAAAAAAAA");
		kit_as(&t, &eve, all[i], NULL);
		assert_int_equal(t.r.status, here.status);
		assert_string_equal(t.r.code, here.code);
		assert_string_equal(t.r.detail, detail);
	}
	strcpy(eve.conf, conf);
	assert_int_equal(
	    kit_event(&t, kit_stream(&t, &eve), "END")->status, 404);
	assert_int_equal(t.opened, 0);
	kit_end_close(&eve);
}

/* How many statements the database runs for a call that is refused. */
static uint64_t
work(struct kmf_call *c, const char *id)
{
	uint64_t before;

	c->conf = id;
	kit_call(&t, c); /* once before: only the first opens a transaction */
	kit_turn(&t);
	before = db_statements_run(t.k->db);
	kit_call(&t, c);
	assert_true(t.r.status >= 400);
	return db_statements_run(t.k->db) - before;
}

/* By the work done, too: what a clock or a meter could tell. */
static void
test_a_stranger_costs_the_same(void **state)
{
	static const enum kmf_op all[] = { KMF_OP_TOKEN1, KMF_OP_TOKEN2,
		KMF_OP_KEYS, KMF_OP_LEASE_RENEW, KMF_OP_LEASE_END,
		KMF_OP_ROSTER, KMF_OP_CONF_GET, KMF_OP_CONF_END,
		KMF_OP_CONF_LOCK, KMF_OP_MEMBER_LIST };
	static const char nobody[] = "c_AAAAAAAAAAAAAAAAAAAAAA";
	struct kmf_call c = { .obj = "" };
	struct kit_end bob;
	char other[40];
	size_t i;

	c.id.who = KMF_WHO_PERSON;
	c.id.iss = "https://idp.example";
	c.id.sub = "eve";
	c.id.email = "eve@example.org";
	c.id.email_verified = true;
	c.id.groups[0] = "staff";
	c.id.ngroups = 1;
	c.id.jkt = X5T_A;
	for (i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		c.op = all[i];
		assert_int_equal(work(&c, conf), work(&c, nobody));
	}
	/* a guest's code, good for another conference */
	kit_conf(&t, other, NULL);
	kit_end_open(&bob, "");
	kit_code(&t, other, &bob, "Dora", bob.member);
	c.op = KMF_OP_TOKEN1;
	c.id.who = KMF_WHO_CODE;
	c.id.code = bob.code;
	assert_int_equal(work(&c, conf), work(&c, nobody));
	c.id.code = "no code at all";
	assert_int_equal(work(&c, conf), work(&c, nobody));
	/* a scheduler, of somebody else's conference */
	kit_client(&t, "cal", "scheduler");
	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = "cal";
	c.id.scope = "scheduler";
	c.op = KMF_OP_CONF_GET;
	assert_int_equal(work(&c, conf), work(&c, nobody));
	c.op = KMF_OP_MEMBER_EVICT;
	c.obj = "m_AAAAAAAAAAAAAAAAAAAAAA";
	assert_int_equal(work(&c, conf), work(&c, nobody));
	kit_end_close(&bob);
}

/* The invitation is taken back: the next request hears it. */
static void
test_direct_person_is_decided_anew(void **state)
{
	struct kit_end bob;

	open_as(&bob, "bob", true);
	assert_int_equal(kit_keys(&t, &bob)->status, 200);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_PATCH, conf, "", "{\"invitees\": []}")
		->status,
	    200);
	assert_int_equal(kit_keys(&t, &bob)->status, 404);
	assert_int_equal(kit_as(&t, &bob, KMF_OP_ROSTER, NULL)->status, 404);
	kit_end_close(&bob);
}

/* REQ-W-5: put out is put out, whatever token comes next. */
static void
test_direct_person_evicted(void **state)
{
	struct kit_end bob, again;

	open_as(&bob, "bob", true);
	open_as(&again, "bob", true); /* another key of his */
	assert_int_equal(kit_keys(&t, &bob)->status, 200);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_MEMBER_EVICT, conf, bob.member, NULL)->status,
	    204);
	assert_int_equal(kit_keys(&t, &bob)->status, 403);
	assert_int_equal(kit_keys(&t, &again)->status, 404);
	assert_int_equal(/* the receipt may still come */
	    kit_as(&t, &bob, KMF_OP_LEASE_END, NULL)->status, 204);
	kit_restart(&t);
	assert_int_equal(kit_keys(&t, &bob)->status, 403);
	kit_end_close(&bob);
	kit_end_close(&again);
}

/* A provider that left groups out: said, and not treated as no groups. */
static void
test_groups_left_out_are_named(void **state)
{
	struct kmf_call c = { .op = KMF_OP_KEYS, .conf = conf };
	char detail[256];

	c.id.who = KMF_WHO_PERSON;
	c.id.iss = "https://idp.example";
	c.id.sub = "eve";
	c.id.jkt = X5T_A;
	c.id.groups_partial = true;
	assert_int_equal(kit_call(&t, &c)->status, 404);
	assert_non_null(strstr(t.r.detail, "groups"));
	strcpy(detail, t.r.detail);
	c.conf = "c_AAAAAAAAAAAAAAAAAAAAAA"; /* of no such conference too */
	assert_int_equal(kit_call(&t, &c)->status, 404);
	assert_string_equal(t.r.detail, detail);
	c.op = KMF_OP_TOKEN1;
	assert_int_equal(kit_call(&t, &c)->status, 400);
	assert_string_equal(t.r.code, "invalid_target");
	assert_non_null(strstr(t.r.detail, "groups"));
}

/* RFC 8705: a room device with a certificate. */
static void
test_certificate_binds_a_member(void **state)
{
	struct kit_end room, other;
	json_t *v;

	open_as(&room, "bob", false);
	room.x5t = X5T_A;
	room.kind = "room";
	assert_int_equal(kit_token1(&t, &room, conf)->status, 200);
	assert_string_equal(perc_json_str(t.r.json, "token_type"), "Bearer");
	v = kit_verify(&t, perc_json_str(t.r.json, "access_token"), "at+jwt");
	assert_string_equal(
	    perc_json_str(json_object_get(v, "cnf"), "x5t#S256"), X5T_A);
	assert_null(json_object_get(json_object_get(v, "cnf"), "jkt"));
	json_decref(v);
	/* plain form only: no proof says whose sealing key that is */
	assert_int_equal(kit_keys(&t, &room)->status, 400);
	assert_string_equal(t.r.code, "seal_mismatch");
	assert_int_equal(kit_as(&t, &room, KMF_OP_KEYS, NULL)->status, 200);
	assert_non_null(strstr(t.r.secret_header, "usage=\"EKT\""));
	assert_int_equal(kit_as(&t, &room, KMF_OP_CONF_GET, NULL)->status, 200);
	assert_string_equal(
	    perc_json_str(json_object_get(t.r.json, "you"), "kind"), "room");
	/* its token is nothing with another certificate, or a key */
	other = room;
	other.x5t = X5T_B;
	assert_int_equal(kit_as(&t, &other, KMF_OP_KEYS, NULL)->status, 404);
	other.x5t = NULL;
	assert_int_equal(kit_as(&t, &other, KMF_OP_KEYS, NULL)->status, 404);
	memcpy(other.jkt, X5T_A, sizeof(X5T_A));
	assert_int_equal(kit_as(&t, &other, KMF_OP_KEYS, NULL)->status, 404);
	kit_end_close(&room);
}

/* Bearer, where an issuer's setting allows it: one seat, plain form. */
static void
test_unbound_person_has_one_seat(void **state)
{
	struct kit_end bob;
	char first[40];

	open_as(&bob, "bob", true);
	bob.unbound = true;
	assert_int_equal(kit_token1(&t, &bob, conf)->status, 400);
	assert_string_equal(t.r.code, "invalid_dpop_proof");
	assert_int_equal(kit_keys(&t, &bob)->status, 400);
	assert_int_equal(kit_as(&t, &bob, KMF_OP_KEYS, NULL)->status, 200);
	assert_int_equal(kit_as(&t, &bob, KMF_OP_CONF_GET, NULL)->status, 200);
	strcpy(
	    first, perc_json_str(json_object_get(t.r.json, "you"), "member"));
	kit_as(&t, &bob, KMF_OP_CONF_GET, NULL);
	assert_string_equal(
	    first, perc_json_str(json_object_get(t.r.json, "you"), "member"));
	/* and nobody is that member by a token1 bound to nothing */
	bob.direct = false;
	strcpy(bob.member, first);
	assert_int_equal(kit_as(&t, &bob, KMF_OP_KEYS, NULL)->status, 404);
	kit_end_close(&bob);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_direct_person_does_all_a_member_does),
		T(test_direct_and_exchanged_are_one_member),
		T(test_direct_stranger_learns_nothing),
		T(test_a_stranger_costs_the_same),
		T(test_direct_person_is_decided_anew),
		T(test_direct_person_evicted),
		T(test_groups_left_out_are_named),
		T(test_certificate_binds_a_member),
		T(test_unbound_person_has_one_seat),
	};

	return cmocka_run_group_tests_name("person", tests, NULL, NULL);
}
