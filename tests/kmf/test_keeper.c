/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The keeper's road from scheduling to the end, as a front sees it.
 */
#include "tests/kmf/kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"

static struct kit t;
static struct kit_end alice, bob, carol, eve;
static char conf[40], inv[40];

static int
setup(void **state)
{
	kit_open(&t);
	kit_conf(&t, conf, NULL);
	kit_end_open(&alice, "a-1");
	alice.email = "alice@example.ORG";
	alice.name = "Alice";
	kit_end_open(&bob, "bob");
	bob.name = "Bob";
	kit_end_open(&carol, "guest");
	kit_code(&t, conf, &carol, "Carol", inv);
	kit_end_open(&eve, "eve");
	eve.name = "Eve";
	return 0;
}

static int
teardown(void **state)
{
	kit_end_close(&alice);
	kit_end_close(&bob);
	kit_end_close(&carol);
	kit_end_close(&eve);
	kit_close(&t);
	return 0;
}

/* Newest roster event of a stream, verified. */
static json_t *
last_roster(uint32_t stream)
{
	struct kit_event *e;
	json_t *v = NULL;

	while ((e = kit_event(&t, stream, "roster")) != NULL) {
		json_decref(v);
		v = kit_verify(
		    &t, perc_json_str(e->data, "roster"), "perch-roster+jwt");
	}
	return v;
}

static bool
on_roster(const json_t *roster, const char *member)
{
	json_t *m;
	size_t i;

	json_array_foreach(json_object_get(roster, "members"), i,
	    m) if (strcmp(perc_json_str(m, "member"), member) == 0) return true;
	return false;
}

static void
test_REQ_WS_6_3a_keys_in_both_forms(void **state)
{
	struct perc_enckey k[PERC_ENCKEY_MAX];
	struct kit_reply *r;
	size_t n;

	kit_join(&t, &alice, conf);
	assert_int_equal(alice.epoch, 1);
	assert_string_equal(perc_json_str(alice.claims, "usage"), "EKT");
	assert_string_equal(perc_json_str(alice.claims, "cipher"), "AESKW128");
	assert_int_equal(alice.keylen, 28);
	r = kit_as(&t, &alice, KMF_OP_KEYS, NULL);
	assert_int_equal(r->status, 200);
	assert_string_equal(r->text, "");
	assert_int_equal(perc_enckey_parse(
			     k, &n, r->secret_header, strlen(r->secret_header)),
	    0);
	assert_int_equal(n, 1);
	assert_memory_equal(k[0].key, alice.key, 16);
	/* REQ-F-4.5c: the salt is delivered with the key */
	assert_memory_equal(k[0].salt, alice.key + 16, 12);
	assert_int_equal(k[0].spi, alice.spi);
	assert_int_equal(k[0].ttl_s, 300);
}

static void
test_REQ_F_3_2a_uninvited_sees_a_hole(void **state)
{
	struct kit_reply *r, a;

	r = kit_token1(&t, &eve, conf);
	assert_int_equal(r->status, 400);
	assert_string_equal(r->code, "invalid_target");
	a = *r;
	r = kit_token1(&t, &eve, "c_AAAAAAAAAAAAAAAAAAAAAA");
	assert_int_equal(r->status, a.status);
	assert_string_equal(r->code, a.code);
	assert_string_equal(r->detail, a.detail);
	/* an unverified address invites nobody */
	{
		struct kmf_call c = { .op = KMF_OP_TOKEN1, .conf = conf };

		c.id.who = KMF_WHO_PERSON;
		c.id.iss = "https://idp.example";
		c.id.sub = "x";
		c.id.jkt = eve.jkt;
		c.id.email = "alice@example.org";
		r = kit_call(&t, &c);
		assert_string_equal(r->code, "invalid_target");
		c.id.email_verified = true;
		r = kit_call(&t, &c);
		assert_int_equal(r->status, 200);
	}
	/* nor may a provider speak in our name */
	eve.iss = KIT_BASE;
	eve.sub = inv;
	r = kit_token1(&t, &eve, conf);
	assert_string_equal(r->code, "invalid_request");
}

static void
test_invited_by_group_and_subject(void **state)
{
	eve.group = "board";
	assert_int_equal(kit_token1(&t, &eve, conf)->status, 200);
	assert_int_equal(kit_token1(&t, &bob, conf)->status, 200);
	bob.iss = "https://other.example";
	assert_int_equal(kit_token1(&t, &bob, conf)->status, 400);
}

/* REQ-W-4.2 at the KMF: a token is its key's, and its conference's. */
static void
test_REQ_F_5b_token_is_bound(void **state)
{
	char other[40];

	kit_join(&t, &alice, conf);
	kit_conf(&t, other, NULL);
	strcpy(alice.conf, other);
	assert_int_equal(kit_as(&t, &alice, KMF_OP_KEYS, NULL)->status, 404);
	strcpy(alice.conf, conf);
	assert_int_equal(kit_as(&t, &alice, KMF_OP_KEYS, NULL)->status, 200);
	memcpy(alice.jkt, bob.jkt, sizeof(alice.jkt));
	assert_int_equal(kit_as(&t, &alice, KMF_OP_KEYS, NULL)->status, 404);
}

static void
test_code_belongs_to_its_first_key(void **state)
{
	struct kit_reply *r;

	kit_join(&t, &carol, conf);
	assert_int_equal(kit_token1(&t, &carol, conf)->status, 200);
	strcpy(eve.code, carol.code);
	r = kit_token1(&t, &eve, conf);
	assert_int_equal(r->status, 400);
	assert_string_equal(r->code, "invalid_grant");
	assert_false(kit_on_disk(&t, carol.code, strlen(carol.code)));
	strcpy(eve.code, "AAAAAAAAAAAAAAAAAAAAAA");
	assert_string_equal(kit_token1(&t, &eve, conf)->code, "invalid_target");
}

static void
test_seal_to_must_be_the_proven_key(void **state)
{
	struct kit_reply *r;

	assert_int_equal(kit_token1(&t, &alice, conf)->status, 200);
	memcpy(alice.seal_jkt, bob.seal_jkt, sizeof(alice.seal_jkt));
	r = kit_keys(&t, &alice);
	assert_int_equal(r->status, 400);
	assert_string_equal(r->code, "seal_mismatch");
	r = kit_as(&t, &alice, KMF_OP_KEYS, "{\"seal_to\": {\"kty\": 1}}");
	assert_int_equal(r->status, 400);
}

/* Who proves with seal_jkt asks for the sealed form; whoever sends that proof
 * without seal_to is in between. */
static void
test_no_plain_answer_to_a_sealing_proof(void **state)
{
	struct kmf_call c = {
		.op = KMF_OP_KEYS, .conf = conf, .arg = alice.seal_jkt
	};
	struct kit_reply *r;

	assert_int_equal(kit_token1(&t, &alice, conf)->status, 200);
	c.id.who = KMF_WHO_MEMBER;
	c.id.sub = alice.member;
	c.id.token_conf = alice.conf;
	c.id.jkt = alice.jkt;
	c.id.scope = "member";
	r = kit_call(&t, &c);
	assert_int_equal(r->status, 400);
	assert_string_equal(r->code, "seal_mismatch");
	assert_string_equal(r->secret_header, "");
}

static void
test_REQ_WS_6_2_two_tokens_two_audiences(void **state)
{
	struct kmf_call c = { .op = KMF_OP_TOKEN2, .conf = conf };
	struct kit_reply *r;
	json_t *v;

	r = kit_token1(&t, &alice, conf);
	v = kit_verify(&t, perc_json_str(r->json, "access_token"), "at+jwt");
	assert_string_equal(perc_json_str(v, "aud"), KIT_BASE);
	assert_string_equal(perc_json_str(v, "scope"), "member");
	assert_string_equal(
	    perc_json_str(json_object_get(v, "cnf"), "jkt"), alice.jkt);
	json_decref(v);
	c.id.who = KMF_WHO_MEMBER;
	c.id.who = KMF_WHO_MEMBER;
	c.id.sub = alice.member;
	c.id.token_conf = conf;
	c.id.jkt = alice.jkt;
	c.arg = KIT_MDD "/";
	c.arg2 = alice.jkt; /* 43 characters, as an x5t#S256 has */
	r = kit_call(&t, &c);
	assert_int_equal(r->status, 200);
	assert_string_equal(perc_json_str(r->json, "token_type"), "Bearer");
	v = kit_verify(&t, perc_json_str(r->json, "access_token"), "at+jwt");
	assert_string_equal(perc_json_str(v, "aud"), KIT_MDD);
	assert_string_equal(perc_json_str(v, "scope"), "join");
	assert_int_equal(json_array_size(json_object_get(v, "ssrcs")), 2);
	assert_null(strstr(r->text, "lice")); /* a pseudonym alone */
	json_decref(v);
	c.arg = "https://evil.example";
	assert_string_equal(kit_call(&t, &c)->code, "invalid_target");
	c.arg = KIT_MDD;
	c.arg2 = "short";
	assert_string_equal(kit_call(&t, &c)->code, "invalid_request");
}

/* A proof is good once, also after a restart (RFC 9449, 11.1). */
static void
test_replay_is_refused_across_restart(void **state)
{
	struct kmf_call c = { .op = KMF_OP_CONF_GET,
		.conf = conf,
		.replay_hash = "jti-hash",
		.replay_until_s = t.now_ms / 1000 + 60 };
	struct kit_reply *r;

	assert_int_equal(kit_token1(&t, &alice, conf)->status, 200);
	c.id.who = KMF_WHO_MEMBER;
	c.id.who = KMF_WHO_MEMBER;
	c.id.sub = alice.member;
	c.id.token_conf = conf;
	c.id.jkt = alice.jkt;
	assert_int_equal(kit_call(&t, &c)->status, 200);
	r = kit_call(&t, &c);
	assert_int_equal(r->status, 401);
	assert_string_equal(r->code, "invalid_dpop_proof");
	kit_restart(&t);
	assert_int_equal(kit_call(&t, &c)->status, 401);
	c.replay_hash = "another";
	assert_int_equal(kit_call(&t, &c)->status, 200);
}

/* One with a nonce of this start needs no row; for want of room it gets one,
 * and is looked for there as long as it may come. */
static void
test_a_nonce_spares_the_table(void **state)
{
	static const char *const hash[] = {
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
		"BAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	};
	struct kmf_call c = { .op = KMF_OP_CONF_GET,
		.conf = conf,
		.replay_hash = hash[0],
		.replay_nonce = true,
		.replay_until_s = t.now_ms / 1000 + 61 };
	size_t places;

	assert_int_equal(kit_token1(&t, &alice, conf)->status, 200);
	c.id.who = KMF_WHO_MEMBER;
	c.id.sub = alice.member;
	c.id.token_conf = conf;
	c.id.jkt = alice.jkt;
	assert_int_equal(kit_call(&t, &c)->status, 200);
	assert_string_equal(kit_call(&t, &c)->code, "invalid_dpop_proof");
	assert_int_equal(db_replay_drop(t.k->db, hash[0]), 0);
	assert_string_equal(kit_call(&t, &c)->code, "invalid_dpop_proof");
	assert_int_equal(db_begin(t.k->db), 0);
	assert_int_equal(db_replay_add(t.k->db, hash[0], 1), 0); /* no row */
	db_rollback(t.k->db);

	places = t.k->replay.places;
	c.replay_hash = hash[1];
	c.replay_until_s += 64; /* a table of its own */
	t.k->replay.places = KMF_REPLAY_MAX;
	assert_int_equal(kit_call(&t, &c)->status, 200);
	assert_string_equal(kit_call(&t, &c)->code, "invalid_dpop_proof");
	t.k->replay.places = places; /* there is room again */
	assert_string_equal(kit_call(&t, &c)->code, "invalid_dpop_proof");
}

/* REQ-W-5, first half: a joiner's epoch is new, and all get it. */
static void
test_REQ_W_5_joiner_gets_a_new_epoch(void **state)
{
	struct kit_event *e;
	uint8_t old[28];
	uint32_t s;

	kit_join(&t, &alice, conf);
	s = kit_stream(&t, &alice);
	memcpy(old, alice.key, sizeof(old));
	kit_pass(&t, 2000);
	kit_join(&t, &bob, conf);
	assert_int_equal(bob.epoch, 2);
	assert_memory_not_equal(bob.key, old, 16);
	assert_memory_not_equal(bob.key + 16, old + 16, 12);
	/* REQ-WC-4.8c: pushed, REQ-F-6.3a: at each join */
	e = kit_event(&t, s, "epoch");
	assert_non_null(e);
	assert_true(kit_epoch_open(&t, &alice, e));
	assert_int_equal(alice.epoch, 2);
	assert_memory_equal(alice.key, bob.key, 28);
	assert_int_not_equal(alice.spi, kit_num(alice.claims, "spi"));
}

/* REQ-V-3: a burst of joins is one rekey. */
static void
test_REQ_V_3_burst_of_joins_is_one_rekey(void **state)
{
	kit_join(&t, &alice, conf);
	kit_pass(&t, 3000);
	kit_join(&t, &bob, conf);
	kit_pass(&t, 1000);
	kit_join(&t, &carol, conf);
	assert_int_equal(bob.epoch, 2);
	assert_int_equal(carol.epoch, 2);
	assert_memory_equal(bob.key, carol.key, 28);
	kit_pass(&t, 1000); /* the window is over */
	eve.group = "board";
	kit_join(&t, &eve, conf);
	assert_int_equal(eve.epoch, 3);
}

/* REQ-V-4, REQ-WC-4.8a: a leaver is shut out, leaves are merged. */
static void
test_REQ_V_4_leaves_are_one_rekey(void **state)
{
	struct kit_event *e;
	json_t *roster;
	uint32_t s;

	kit_join(&t, &alice, conf);
	kit_join(&t, &bob, conf);
	kit_join(&t, &carol, conf);
	s = kit_stream(&t, &alice);
	assert_int_equal(kit_as(&t, &bob, KMF_OP_LEASE_END, NULL)->status, 204);
	kit_pass(&t, 100);
	/* REQ-WC-4.8g: still shown, for he still holds the key */
	roster = last_roster(s);
	assert_true(on_roster(roster, bob.member));
	json_decref(roster);
	assert_null(kit_event(&t, s, "epoch"));
	assert_int_equal(
	    kit_as(&t, &carol, KMF_OP_LEASE_END, NULL)->status, 204);
	kit_pass(&t, 200);
	e = kit_event(&t, s, "epoch");
	assert_non_null(e);
	assert_true(kit_epoch_open(&t, &alice, e));
	assert_memory_not_equal(alice.key, bob.key, 16);
	assert_null(kit_event(&t, s, "epoch"));
	roster = last_roster(s);
	assert_false(on_roster(roster, bob.member));
	assert_false(on_roster(roster, carol.member));
	assert_true(on_roster(roster, alice.member));
	json_decref(roster);
	/* neither gets anything by the lease he once had */
	assert_int_equal(kit_as(&t, &bob, KMF_OP_ROSTER, NULL)->status, 409);
}

/* REQ-WC-4.8e, f: a crashed endpoint is noticed by its lease alone. */
static void
test_REQ_WC_4_8e_lease_runs_out(void **state)
{
	struct kit_reply *r;
	int i;

	kit_join(&t, &alice, conf);
	kit_join(&t, &bob, conf);
	for (i = 0; i < 4; i++) {
		kit_pass(&t, 5000);
		r = kit_as(&t, &alice, KMF_OP_LEASE_RENEW, "{\"epoch\": 1}");
		assert_int_equal(r->status, 200);
		assert_int_equal(kit_num(r->json, "expires_in"), 15);
	}
	assert_int_equal(kit_num(r->json, "epoch"), 2);
	r = kit_as(&t, &bob, KMF_OP_LEASE_RENEW, "{\"epoch\": 1}");
	assert_int_equal(r->status, 409);
	assert_int_equal(kit_keys(&t, &bob)->status, 200); /* comes back */
	assert_int_equal(bob.epoch, 3);
}

/* REQ-F-8.2.3a at the KMF: no epoch outlives its age. */
static void
test_epochs_are_renewed_by_age(void **state)
{
	struct kit_event *e;
	uint32_t s;
	int i;

	kit_conf(&t, conf, "{\"max_epoch_age_s\": 10, \"lease_s\": 300}");
	kit_join(&t, &alice, conf);
	s = kit_stream(&t, &alice);
	for (i = 2; i < 6; i++) {
		kit_pass(&t, 9000);
		e = kit_event(&t, s, "epoch");
		assert_non_null(e);
		assert_true(kit_epoch_open(&t, &alice, e));
		assert_int_equal(alice.epoch, i);
	}
	assert_int_equal(kit_num(alice.claims, "ttl"), 10);
}

/* REQ-WC-4.8h: with rekey_on_join off a late joiner shares the key. */
static void
test_REQ_WC_4_8h_policy_may_share_the_past(void **state)
{
	char c[40];

	kit_conf(&t, c, "{\"rekey_on_join\": false}");
	kit_join(&t, &alice, c);
	kit_pass(&t, 10000);
	kit_join(&t, &bob, c);
	assert_int_equal(bob.epoch, 1);
	assert_memory_equal(bob.key, alice.key, 28);
}

/* REQ-W-6, REQ-R-3b: names from the provider, SSRCs from us, signed. */
static void
test_REQ_W_6_roster_is_the_set_of_grants(void **state)
{
	json_t *a, *b, *m;
	struct kit_reply *r;
	uint8_t hash[32];
	char hash_text[44], *first;

	kit_join(&t, &alice, conf);
	r = kit_as(&t, &alice, KMF_OP_ROSTER, NULL);
	assert_string_equal(r->content_type, "application/jwt");
	first = strdup(r->text);
	a = kit_verify(&t, r->text, "perch-roster+jwt");
	assert_int_equal(json_array_size(json_object_get(a, "members")), 1);
	m = json_array_get(json_object_get(a, "members"), 0);
	assert_string_equal(perc_json_str(m, "name"), "Alice");
	assert_string_equal(
	    perc_json_str(json_object_get(m, "identity"), "sub"), "a-1");
	assert_true(json_equal(json_object_get(m, "ssrcs"),
	    json_object_get(alice.claims, "ssrcs")));
	assert_int_equal(kit_num(a, "exp") - kit_num(a, "iat"), 75);
	kit_join(&t, &bob, conf);
	kit_pass(&t, 200);
	r = kit_as(&t, &alice, KMF_OP_ROSTER, NULL);
	b = kit_verify(&t, r->text, "perch-roster+jwt");
	assert_true(on_roster(b, bob.member));
	assert_int_equal(kit_num(b, "seq"), kit_num(a, "seq") + 1);
	assert_int_equal(perc_sha256(hash, first, strlen(first)), 0);
	perc_b64_put(hash_text, hash, 32);
	assert_string_equal(perc_json_str(b, "prev"), hash_text);
	assert_string_equal(perc_json_str(a, "prev"), "");
	json_decref(a);
	json_decref(b);
	free(first);
	/* REQ-WC-4.8g: signed again although nothing changed */
	kit_pass(&t, 14000);
	kit_as(&t, &alice, KMF_OP_LEASE_RENEW, "{\"epoch\": 1}");
	kit_pass(&t, 14000);
	kit_as(&t, &alice, KMF_OP_LEASE_RENEW, "{\"epoch\": 1}");
	kit_pass(&t, 4000);
	r = kit_as(&t, &alice, KMF_OP_ROSTER, NULL);
	a = kit_verify(&t, r->text, "perch-roster+jwt");
	assert_true(kit_num(a, "iat") * 1000 > t.now_ms - 31000);
	json_decref(a);
}

/* A big room's roster is fetched, not broadcast. */
static void
test_big_roster_is_announced_only(void **state)
{
	struct kit_end crowd[KMF_ROSTER_INLINE_MAX + 1];
	const unsigned n = sizeof(crowd) / sizeof(crowd[0]);
	struct kit_event *e, *last = NULL;
	char subs[KMF_ROSTER_INLINE_MAX + 1][16];
	struct kit_reply *r;
	uint32_t s;
	unsigned i;
	json_t *v;

	kit_join(&t, &alice, conf);
	s = kit_stream(&t, &alice);
	for (i = 0; i < n; i++) {
		snprintf(subs[i], sizeof(subs[i]), "p%u", i);
		kit_end_open(&crowd[i], subs[i]);
		crowd[i].group = "board";
		kit_join(&t, &crowd[i], conf);
	}
	kit_pass(&t, 600);
	for (i = 0; (e = kit_event(&t, s, "roster")) != NULL; i++)
		last = e;
	assert_true(i < 4); /* a crowd is few rosters */
	assert_non_null(last);
	assert_null(json_object_get(last->data, "roster"));
	r = kit_as(&t, &alice, KMF_OP_ROSTER, NULL);
	v = kit_verify(&t, r->text, "perch-roster+jwt");
	assert_int_equal(kit_num(v, "seq"), kit_num(last->data, "seq"));
	for (i = 0; i < n; i++) {
		assert_true(on_roster(v, crowd[i].member));
		kit_end_close(&crowd[i]);
	}
	json_decref(v);
}

/* A roster of hundreds crosses the channel once, not once for each of them;
 * the sequence in the reply says which one the front shall give. */
static void
test_large_roster_is_given_to_a_front_once(void **state)
{
	char large[KMF_ROSTER_LARGE + 2], seq[24];
	struct db_roster row;
	struct kit_reply *r;
	int i;

	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	kit_join(&t, &alice, conf);
	kit_pass(&t, 200);
	assert_int_equal(db_roster_find(t.k->db, &row, conf), 0);
	assert_int_equal(db_roster_put(t.k->db, &row, conf, large), 0);
	for (i = 0; i < 3; i++) {
		r = kit_as(&t, &alice, KMF_OP_ROSTER, NULL);
		assert_int_equal(r->status, 200);
		assert_int_equal(strlen(r->text), 0);
		assert_int_equal(t.rosters, 1);
		assert_int_equal(t.roster_len, sizeof(large) - 1);
		snprintf(
		    seq, sizeof(seq), "%llu", (unsigned long long)t.roster_seq);
		assert_string_equal(r->etag, seq);
	}
	/* Whoever is not in gets neither. */
	kit_token1(&t, &bob, conf);
	r = kit_as(&t, &bob, KMF_OP_ROSTER, NULL);
	assert_int_equal(r->status, 409);
	/* A front that may have lost it is given it again. */
	kmf_roster_forget(t.k);
	kit_as(&t, &alice, KMF_OP_ROSTER, NULL);
	assert_int_equal(t.rosters, 2);
	/* The next one is small: it stands in the reply. */
	kit_join(&t, &bob, conf);
	kit_pass(&t, 3000);
	r = kit_as(&t, &alice, KMF_OP_ROSTER, NULL);
	json_decref(kit_verify(&t, r->text, "perch-roster+jwt"));
	assert_int_equal(t.rosters, 2);
}

/* REQ-W-5, second half: the person, every endpoint, at once, for good. */
static void
test_REQ_W_5_evicted_is_shut_out(void **state)
{
	struct kit_end other;
	struct kit_event *e;
	struct kit_reply *r;
	uint32_t sa, sb;
	json_t *v;

	kit_end_open(&other, "bob"); /* Bob's second endpoint */
	kit_join(&t, &alice, conf);
	kit_join(&t, &bob, conf);
	kit_join(&t, &other, conf);
	kit_pass(&t, 1000);
	sa = kit_stream(&t, &alice);
	sb = kit_stream(&t, &bob);
	json_decref(last_roster(sb));
	r = kit_admin(&t, KMF_OP_MEMBER_EVICT, conf, bob.member, NULL);
	assert_int_equal(r->status, 204);
	kit_turn(&t);
	/* at once: no window has passed */
	e = kit_event(&t, sa, "epoch");
	assert_non_null(e);
	assert_true(kit_epoch_open(&t, &alice, e));
	assert_memory_not_equal(alice.key, bob.key, 16);
	assert_null(kit_event(&t, sb, "epoch"));
	e = kit_event(&t, sb, "evicted");
	assert_non_null(e);
	v = kit_verify(
	    &t, perc_json_str(e->data, "notice"), "perch-notice+jwt");
	assert_string_equal(perc_json_str(v, "member"), bob.member);
	json_decref(v);
	e = kit_event(&t, sb, "END");
	assert_non_null(e);
	assert_string_equal(e->code, "evicted");
	/* REQ-WC-4.9: who has no stream hears it with the refusal */
	r = kit_keys(&t, &bob);
	assert_int_equal(r->status, 403);
	v = kit_verify(&t, r->text, "perch-notice+jwt");
	assert_string_equal(perc_json_str(v, "event"), "evicted");
	assert_string_equal(perc_json_str(v, "member"), bob.member);
	json_decref(v);
	assert_int_equal(kit_keys(&t, &other)->status, 403);
	assert_string_equal(kit_token1(&t, &bob, conf)->code, "invalid_target");
	kit_end_close(&other);
	kit_end_open(&other, "bob"); /* a third, with a fresh key */
	assert_string_equal(
	    kit_token1(&t, &other, conf)->code, "invalid_target");
	kit_end_close(&other);
	v = last_roster(sa);
	assert_false(on_roster(v, bob.member));
	json_decref(v);
}

static void
test_guest_evicted_cannot_reuse_the_code(void **state)
{
	kit_join(&t, &alice, conf);
	kit_join(&t, &carol, conf);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_MEMBER_EVICT, conf, carol.member, NULL)
		->status,
	    204);
	assert_string_equal(
	    kit_token1(&t, &carol, conf)->code, "invalid_target");
}

static void
test_REQ_F_8_3a_uninvited_meanwhile_gets_no_key(void **state)
{
	struct kit_reply *r;
	uint32_t s;

	kit_join(&t, &alice, conf);
	kit_join(&t, &bob, conf);
	kit_join(&t, &carol, conf);
	s = kit_stream(&t, &carol);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_INV_DELETE, conf, inv, NULL)->status, 204);
	assert_non_null(kit_event(&t, s, "evicted"));
	assert_int_equal(kit_keys(&t, &carol)->status, 404);
	/* Bob goes with the list that no longer names him */
	r = kit_admin(&t, KMF_OP_CONF_PATCH, conf, "",
	    "{\"invitees\": [{\"email\": \"alice@example.org\"}]}");
	assert_int_equal(r->status, 200);
	assert_int_equal(kit_keys(&t, &bob)->status, 404);
	assert_int_equal(kit_keys(&t, &alice)->status, 200);
	/* and comes back with the list that names him again */
	r = kit_admin(&t, KMF_OP_CONF_PATCH, conf, "",
	    "{\"invitees\": [{\"email\": \"alice@example.org\"}, "
	    "{\"iss\": \"https://idp.example\", \"sub\": \"bob\"}]}");
	assert_int_equal(r->status, 200);
	kit_join(&t, &bob, conf);
}

/* Its token1 lives on for minutes, but opens nothing any more. */
static void
test_REQ_F_8_3a_uninvited_hears_nothing_more(void **state)
{
	struct kit_event *e;
	uint32_t s;

	kit_join(&t, &alice, conf);
	kit_join(&t, &carol, conf);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_INV_DELETE, conf, inv, NULL)->status, 204);
	assert_int_equal(
	    kit_as(&t, &carol, KMF_OP_CONF_GET, NULL)->status, 404);
	s = kit_stream(&t, &carol);
	e = kit_event(&t, s, "END");
	assert_non_null(e);
	assert_int_equal(e->status, 404);
	assert_int_equal(kit_admin(&t, KMF_OP_CONF_PATCH, conf, "",
			     "{\"title\": \"Elsewhere\"}")
			     ->status,
	    200);
	kit_turn(&t);
	assert_null(kit_event(&t, s, "conference"));
	assert_int_equal(
	    kit_as(&t, &alice, KMF_OP_CONF_GET, NULL)->status, 200);
}

/* Who only claims an address neither bears it nor drags its owner along. */
static void
test_unverified_address_is_nobodys(void **state)
{
	struct kmf_call c = { .op = KMF_OP_TOKEN1, .conf = conf };
	struct kit_reply *r;

	c.id.who = KMF_WHO_PERSON;
	c.id.iss = bob.iss;
	c.id.sub = bob.sub;
	c.id.email = alice.email;
	c.id.jkt = bob.jkt;
	r = kit_call(&t, &c);
	assert_int_equal(r->status, 200);
	snprintf(bob.member, sizeof(bob.member), "%s",
	    perc_json_str(r->json, "member"));
	snprintf(bob.conf, sizeof(bob.conf), "%s", conf);
	assert_int_equal(kit_keys(&t, &bob)->status, 200);
	kit_join(&t, &alice, conf);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_MEMBER_EVICT, conf, bob.member, NULL)->status,
	    204);
	assert_int_equal(kit_token1(&t, &alice, conf)->status, 200);
	assert_int_equal(kit_keys(&t, &alice)->status, 200);
}

/* A provider's capitals do not make another person. */
static void
test_REQ_W_5_evicted_by_address_of_any_case(void **state)
{
	struct kit_end guest;
	struct kit_reply *r;

	alice.email = "ALICE@example.org";
	kit_join(&t, &alice, conf);
	kit_end_open(&guest, "");
	r = kit_admin(&t, KMF_OP_INV_CREATE, conf, "",
	    "{\"email\": \"alice@example.org\"}");
	assert_int_equal(r->status, 201);
	snprintf(guest.code, sizeof(guest.code), "%s",
	    perc_json_str(r->json, "code"));
	kit_join(&t, &guest, conf);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_MEMBER_EVICT, conf, alice.member, NULL)
		->status,
	    204);
	assert_int_equal(kit_keys(&t, &guest)->status, 403);
	kit_end_close(&guest);
	kit_end_open(&guest, "alice-elsewhere");
	guest.email = "alice@example.org";
	assert_string_equal(
	    kit_token1(&t, &guest, conf)->code, "invalid_target");
	kit_end_close(&guest);
}

/* REQ-F-8.3b, c and REQ-WC-4.9: the end destroys every key. */
static void
test_REQ_F_8_3c_after_the_end_no_key_is_left(void **state)
{
	struct db_sealed sealed;
	struct kit_event *e;
	uint8_t first[28];
	json_t *v;
	uint32_t s;

	kit_join(&t, &alice, conf);
	memcpy(first, alice.key, 28);
	s = kit_stream(&t, &alice);
	kit_pass(&t, 2000);
	kit_join(&t, &bob, conf);
	assert_int_equal(db_conf_key_find(t.k->db, &sealed, conf), 0);
	assert_true(kit_on_disk(&t, sealed.data, sealed.len));
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_END, conf, "", NULL)->status, 200);
	e = kit_event(&t, s, "ended");
	assert_non_null(e);
	v = kit_verify(
	    &t, perc_json_str(e->data, "notice"), "perch-notice+jwt");
	assert_string_equal(perc_json_str(v, "event"), "ended");
	json_decref(v);
	assert_string_equal(kit_event(&t, s, "END")->code, "ended");
	assert_int_equal(kit_keys(&t, &alice)->status, 410);
	assert_false(kit_on_disk(&t, first, 16));
	assert_false(kit_on_disk(&t, bob.key, 16));
	assert_false(kit_on_disk(&t, bob.key + 16, 12));
	assert_false(kit_on_disk(&t, bob.delivery, 32));
	assert_false(kit_on_disk(&t, sealed.data, sealed.len));
}

/* A key that was replaced is destroyed, sealed form and all. */
static void
test_REQ_F_8_3b_replaced_key_is_destroyed(void **state)
{
	struct db_epoch e;

	kit_join(&t, &alice, conf);
	assert_int_equal(db_epoch_find(t.k->db, &e, conf, 1), 0);
	assert_true(kit_on_disk(&t, e.key.data, e.key.len));
	kit_pass(&t, 2000);
	kit_join(&t, &bob, conf);
	t.k->purge.fn(t.k->purge.arg);
	kit_pass(&t, 10);
	assert_false(kit_on_disk(&t, e.key.data, e.key.len));
	assert_int_equal(db_epoch_find(t.k->db, &e, conf, 1), 0);
	assert_int_equal(e.key.len, 0);
}

static void
test_ends_by_time(void **state)
{
	struct kit_event *e;
	uint32_t s;

	kit_conf(&t, conf, "{\"lease_s\": 300, \"max_epoch_age_s\": 86400}");
	kit_join(&t, &alice, conf);
	s = kit_stream(&t, &alice);
	t.now_ms += 3599 * 1000; /* the laptop slept; leases are old */
	assert_int_equal(
	    kit_as(&t, &alice, KMF_OP_LEASE_RENEW, "{\"epoch\": 1}")->status,
	    200);
	kit_pass(&t, 1000);
	e = kit_event(&t, s, "ended");
	assert_non_null(e);
	assert_int_equal(kit_keys(&t, &alice)->status, 410);
	assert_string_equal(kit_token1(&t, &bob, conf)->code, "invalid_target");
}

static void
test_too_early_says_when(void **state)
{
	struct kit_reply *r;
	char body[300], from[PERC_TIME_LEN], to[PERC_TIME_LEN];

	perc_time_put(from, t.now_ms + 3600 * 1000);
	perc_time_put(to, t.now_ms + 7200 * 1000);
	snprintf(body, sizeof(body),
	    "{\"starts_at\": \"%s\", \"ends_at\": \"%s\"}", from, to);
	r = kit_admin(&t, KMF_OP_CONF_PATCH, conf, "", body);
	assert_int_equal(r->status, 200);
	assert_int_equal(kit_token1(&t, &alice, conf)->status, 200);
	r = kit_keys(&t, &alice);
	assert_int_equal(r->status, 403);
	assert_string_equal(r->code, "too_early");
	assert_int_equal(r->retry_after_s, 3000);
	kit_pass(&t, 3000 * 1000);
	assert_int_equal(kit_keys(&t, &alice)->status, 200);
}

/* Everybody left: keys are gone, the conference is not. */
static void
test_empty_room_forgets_its_keys(void **state)
{
	struct kit_reply *r;
	uint8_t old[28];

	kit_join(&t, &alice, conf);
	memcpy(old, alice.key, 28);
	assert_int_equal(
	    kit_as(&t, &alice, KMF_OP_LEASE_END, NULL)->status, 204);
	r = kit_admin(&t, KMF_OP_CONF_GET, conf, "", NULL);
	assert_string_equal(perc_json_str(r->json, "state"), "scheduled");
	assert_true(json_is_null(json_object_get(r->json, "epoch")));
	assert_int_equal(kit_keys(&t, &alice)->status, 200);
	assert_int_equal(alice.epoch, 2);
	assert_memory_not_equal(alice.key, old, 16);
}

/* Members, keys and leases outlive the process, without a rekey storm. */
static void
test_restart_keeps_everybody(void **state)
{
	struct kit_event *e;
	uint32_t s;

	kit_join(&t, &alice, conf);
	kit_join(&t, &bob, conf);
	t.now_ms += 20000; /* longer than a lease */
	kit_restart(&t);
	kit_pass(&t, 1000);
	assert_int_equal(
	    kit_as(&t, &alice, KMF_OP_LEASE_RENEW, "{\"epoch\": 1}")->status,
	    200);
	s = kit_stream(&t, &alice);
	assert_int_equal(kit_keys(&t, &bob)->status, 200);
	assert_int_equal(bob.epoch, 1);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_REKEY, conf, "", NULL)->status, 202);
	e = kit_event(&t, s, "epoch");
	assert_non_null(e);
	assert_true(kit_epoch_open(&t, &alice, e));
	assert_int_equal(alice.epoch, 2);
}

static void
clock_set(int64_t by_ms)
{
	t.now_ms += by_ms;
	t.set_ms += by_ms;
}

/* The clock is set, either way: nobody is put out, nobody lives for ever. */
static void
test_clock_steps_put_nobody_out(void **state)
{
	static const int64_t steps[] = { 900 * 1000, -900 * 1000 };
	struct kit_reply *r;
	unsigned i;

	kit_join(&t, &alice, conf);
	kit_join(&t, &bob, conf);
	for (i = 0; i < 2; i++) {
		clock_set(steps[i]);
		kit_pass(&t, 1000);
		r = kit_as(&t, &alice, KMF_OP_LEASE_RENEW, "{\"epoch\": 1}");
		assert_int_equal(r->status, 200);
		r = kit_as(&t, &bob, KMF_OP_LEASE_RENEW, "{\"epoch\": 1}");
		assert_int_equal(r->status, 200);
	}
	kit_pass(&t, 32000); /* but a lease still ends, after the grace */
	assert_int_equal(
	    kit_as(&t, &bob, KMF_OP_LEASE_RENEW, "{\"epoch\": 1}")->status,
	    409);
}

/* A stream that was away begins with the newest epoch and roster. */
static void
test_stream_resumes_with_the_newest(void **state)
{
	struct kit_event *e;
	uint32_t s;

	kit_join(&t, &alice, conf);
	kit_pass(&t, 3000);
	kit_join(&t, &bob, conf);
	kit_pass(&t, 3000);
	kit_join(&t, &carol, conf);
	s = kit_stream(&t, &alice);
	e = kit_event(&t, s, "");
	assert_non_null(e);
	assert_string_equal(e->name, "epoch");
	assert_true(kit_epoch_open(&t, &alice, e));
	assert_int_equal(alice.epoch, 3);
	e = kit_event(&t, s, "");
	assert_non_null(e);
	assert_string_equal(e->name, "roster");
	/* one stream each: a second ends the first */
	kit_stream(&t, &alice);
	e = kit_event(&t, s, "");
	assert_string_equal(e->name, "END");
	assert_string_equal(e->code, "replaced");
}

static void
test_receipt_is_kept_even_after_the_end(void **state)
{
	json_t *claims = json_pack("{s:i, s:s, s:s, s:s, s:[i], s:i}", "iat",
	    1800000000, "conference", conf, "member", "m", "reason", "ended",
	    "erased_spis", 7, "keys_erased", 5);
	struct kit_reply *r;
	char *jws, body[2048];

	kit_join(&t, &alice, conf);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_END, conf, "", NULL)->status, 200);
	assert_int_equal(
	    perc_jws_sign(&jws, bob.sign, "perch-receipt+jwt", claims, true),
	    0);
	snprintf(body, sizeof(body), "{\"receipt\": \"%s\"}", jws);
	free(jws);
	r = kit_as(&t, &alice, KMF_OP_LEASE_END, body);
	assert_int_equal(r->status, 400);
	assert_int_equal(
	    perc_jws_sign(&jws, alice.sign, "perch-receipt+jwt", claims, true),
	    0);
	snprintf(body, sizeof(body), "{\"receipt\": \"%s\"}", jws);
	free(jws);
	json_decref(claims);
	r = kit_as(&t, &alice, KMF_OP_LEASE_END, body);
	assert_int_equal(r->status, 204);
	r = kit_admin(&t, KMF_OP_AUDIT, "", "", NULL);
	assert_non_null(strstr(r->text, "\"receipt\""));
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_REQ_WS_6_3a_keys_in_both_forms),
		T(test_REQ_F_3_2a_uninvited_sees_a_hole),
		T(test_invited_by_group_and_subject),
		T(test_REQ_F_5b_token_is_bound),
		T(test_code_belongs_to_its_first_key),
		T(test_seal_to_must_be_the_proven_key),
		T(test_no_plain_answer_to_a_sealing_proof),
		T(test_REQ_WS_6_2_two_tokens_two_audiences),
		T(test_replay_is_refused_across_restart),
		T(test_a_nonce_spares_the_table),
		T(test_REQ_W_5_joiner_gets_a_new_epoch),
		T(test_REQ_V_3_burst_of_joins_is_one_rekey),
		T(test_REQ_V_4_leaves_are_one_rekey),
		T(test_REQ_WC_4_8e_lease_runs_out),
		T(test_epochs_are_renewed_by_age),
		T(test_REQ_WC_4_8h_policy_may_share_the_past),
		T(test_REQ_W_6_roster_is_the_set_of_grants),
		T(test_big_roster_is_announced_only),
		T(test_large_roster_is_given_to_a_front_once),
		T(test_REQ_W_5_evicted_is_shut_out),
		T(test_guest_evicted_cannot_reuse_the_code),
		T(test_REQ_F_8_3a_uninvited_meanwhile_gets_no_key),
		T(test_REQ_F_8_3a_uninvited_hears_nothing_more),
		T(test_unverified_address_is_nobodys),
		T(test_REQ_W_5_evicted_by_address_of_any_case),
		T(test_REQ_F_8_3c_after_the_end_no_key_is_left),
		T(test_REQ_F_8_3b_replaced_key_is_destroyed),
		T(test_ends_by_time),
		T(test_too_early_says_when),
		T(test_empty_room_forgets_its_keys),
		T(test_restart_keeps_everybody),
		T(test_clock_steps_put_nobody_out),
		T(test_stream_resumes_with_the_newest),
		T(test_receipt_is_kept_even_after_the_end),
	};

	return cmocka_run_group_tests_name("keeper", tests, NULL, NULL);
}
