/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What schedulers and auditors do: conditions, idempotency, pages, errors
 * that point at the member, explanations that are the decision itself, and
 * an audit trail that shows any change made to it.
 */
#include "tests/kmf/kitroom.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"

static void
test_errors_point_at_the_member(void **state)
{
	static const struct {
		const char *body, *where;
	} bad[] = {
		{ "", "the body" },
		{ "[]", "the body" },
		{ "{\"title\": \"\"}", "/title" },
		{ "{\"title\": 7}", "/title" },
		{ "{\"titel\": \"x\"}", "/titel" },
		{ "{}", "/title" },
		{ "{\"title\": \"a\\nb\"}", "/title" },
		{ "{\"title\": \"x\"}", "/starts_at" },
		{ "{\"title\": \"x\", \"starts_at\": \"soon\"}", "/starts_at" },
#define W  "\"title\": \"x\", \"starts_at\": \"2027-01-15T08:00:00Z\", "
#define WE W "\"ends_at\": \"2027-01-15T18:00:00Z\", "
		{ "{" W "\"ends_at\": \"2027-01-15T07:00:00Z\"}", "/ends_at" },
		{ "{" W "\"ends_at\": \"2027-05-15T07:00:00Z\"}", "/ends_at" },
		{ "{\"title\": \"x\", \"starts_at\": "
		  "\"2020-01-15T08:00:00Z\", \"ends_at\": "
		  "\"2020-01-15T09:00:00Z\"}",
		    "/ends_at" },
		{ "{" WE "\"policy\": 3}", "/policy:" },
		{ "{" WE "\"policy\": {\"lease\": 3}}", "/policy/lease" },
		{ "{" WE "\"policy\": {\"lease_s\": 0}}", "/policy/lease_s" },
		{ "{" WE "\"policy\": {\"rekey_on_join\": 1}}",
		    "/policy/rekey_on_join" },
		{ "{" WE "\"policy\": {\"cipher\": \"AESKW256\", "
		  "\"profile\": \"AEAD_AES_128_GCM\"}}",
		    "/policy/profile" },
		{ "{" WE "\"policy\": {\"cipher\": \"NULL\"}}",
		    "/policy/cipher" },
		{ "{" WE "\"invitees\": {}}", "/invitees" },
		{ "{" WE "\"invitees\": [{\"email\": \"a@b\"}, "
		  "{\"email\": \"nobody\"}]}",
		    "/invitees/1/email" },
		{ "{" WE "\"invitees\": [{\"iss\": \"x\"}]}", "/invitees/0" },
		{ "{" WE "\"invitees\": [{\"email\": \"a@b\", "
		  "\"group\": \"g\"}]}",
		    "/invitees/0" },
		{ "{" WE "\"invitees\": [{\"email\": \"a@b\", "
		  "\"kind\": \"cat\"}]}",
		    "/invitees/0/kind" },
	};
	struct kit_reply *r;
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		r = kit_admin(&t, KMF_OP_CONF_CREATE, "", "", bad[i].body);
		if (r->status != 400 ||
		    strncmp(r->detail, bad[i].where, strlen(bad[i].where)))
			fail_msg(
			    "%s: %u %s", bad[i].body, r->status, r->detail);
		assert_string_equal(r->code, "invalid_request");
	}
}

static void
test_conditions(void **state)
{
	struct kmf_call c = { .op = KMF_OP_CONF_PATCH, .conf = conf };
	static const char body[] = "{\"title\": \"Second\"}";
	struct kit_reply *r;
	char etag[32];

	r = kit_admin(&t, KMF_OP_CONF_GET, conf, "", NULL);
	assert_int_equal(r->status, 200);
	assert_string_equal(r->etag, "\"1\"");
	strcpy(etag, r->etag);
	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = "admin";
	c.id.scope = "scheduler";
	c.body = (const uint8_t *)body;
	c.body_len = strlen(body);
	assert_int_equal(kit_call(&t, &c)->status, 428);
	c.if_match = "\"99\"";
	assert_int_equal(kit_call(&t, &c)->status, 412);
	c.if_match = etag;
	r = kit_call(&t, &c);
	assert_int_equal(r->status, 200);
	assert_string_equal(r->etag, "\"2\"");
	assert_string_equal(perc_json_str(r->json, "title"), "Second");
	/* what the body did not name stayed */
	assert_int_equal(
	    json_array_size(json_object_get(r->json, "invitees")), 3);
	assert_int_equal(kit_call(&t, &c)->status, 412);
}

static void
test_scopes(void **state)
{
	struct kmf_call c = { .op = KMF_OP_CONF_GET, .conf = conf };

	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = "admin";
	c.id.scope = "auditor";
	assert_int_equal(kit_call(&t, &c)->status, 403);
	c.id.scope = "schedulers";
	assert_int_equal(kit_call(&t, &c)->status, 403);
	c.id.scope = "auditor scheduler";
	assert_int_equal(kit_call(&t, &c)->status, 200);
	c.op = KMF_OP_AUDIT;
	c.id.scope = "scheduler";
	assert_int_equal(kit_call(&t, &c)->status, 403);
	/* a client never gets a key */
	c.op = KMF_OP_KEYS;
	c.id.scope = "admin scheduler auditor member";
	assert_int_equal(kit_call(&t, &c)->status, 404);
	c.op = KMF_OP_CONF_DELETE;
	c.id.who = KMF_WHO_PERSON;
	assert_int_equal(kit_call(&t, &c)->status, 404);
	c.id.who = KMF_WHO_NOBODY;
	assert_int_equal(kit_call(&t, &c)->status, 404);
}

/* Whatever stands in the path is answered like any hole. */
static void
test_absurd_ids_are_holes(void **state)
{
	static char long_id[9000];
	const char *const ids[] = { "", "c_\xff\xfe", "'; DROP TABLE member",
		"c_%s%n", "\x01", long_id };
	struct kmf_call c = { .op = KMF_OP_KEYS };
	size_t i;

	memset(long_id, 'A', sizeof(long_id) - 1);
	for (i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		kit_admin(&t, KMF_OP_CONF_GET, ids[i], ids[i], NULL);
		assert_int_equal(t.r.status, 404);
		kit_admin(&t, KMF_OP_MEMBER_EVICT, conf, ids[i], NULL);
		assert_int_equal(t.r.status, 404);
		c.conf = ids[i];
		c.id.who = KMF_WHO_MEMBER;
		c.id.sub = c.id.jkt = c.id.token_conf = ids[i];
		assert_int_equal(kit_call(&t, &c)->status, 404);
		c.op = KMF_OP_TOKEN1;
		c.id.ngroups = 0;
		c.id.who = KMF_WHO_PERSON;
		c.id.iss = c.id.email = c.id.name = ids[i];
		assert_int_equal(kit_call(&t, &c)->status, 400);
		c.conf = conf;
		assert_int_equal(kit_call(&t, &c)->status, 400);
		c.id.iss = c.id.sub = c.id.jkt = "fine"; /* but the rest */
		c.id.groups[0] = "board";
		c.id.ngroups = 1;
		kit_call(&t, &c);
		assert_int_equal(t.r.status, kmf_is_utf8(ids[i]) ? 200 : 400);
		c.op = KMF_OP_KEYS;
	}
}

static void
test_idempotency(void **state)
{
	struct kmf_call c = {
		.op = KMF_OP_INV_CREATE, .conf = conf, .idempotency_key = "k1"
	};
	static const char body[] = "{\"name\": \"Dora\"}";
	struct kit_reply *r;
	char code[40], id[40];

	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = "admin";
	c.id.scope = "scheduler";
	c.body = (const uint8_t *)body;
	c.body_len = strlen(body);
	r = kit_call(&t, &c);
	assert_int_equal(r->status, 201);
	strcpy(code, perc_json_str(r->json, "code"));
	strcpy(id, perc_json_str(r->json, "id"));
	assert_false(kit_on_disk(&t, code, strlen(code)));
	kit_restart(&t);
	r = kit_call(&t, &c);
	assert_int_equal(r->status, 201);
	assert_string_equal(perc_json_str(r->json, "code"), code);
	assert_non_null(strstr(r->location, id));
	c.body_len--;
	r = kit_call(&t, &c);
	assert_int_equal(r->status, 422);
	assert_string_equal(r->code, "idempotency_conflict");
	c.body_len++;
	c.id.iss = "https://second.example"; /* one name at two issuers */
	r = kit_call(&t, &c);
	assert_int_equal(r->status, 201);
	assert_string_not_equal(perc_json_str(r->json, "code"), code);
	c.id.iss = "";
	kit_client(&t, "other", "admin");
	c.id.scope = "admin";
	c.id.sub = "other"; /* another client's keys are its own */
	r = kit_call(&t, &c);
	assert_string_not_equal(perc_json_str(r->json, "code"), code);
}

static void
list(const char *query)
{
	struct kmf_call c = { .op = KMF_OP_CONF_LIST, .arg = query };

	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = "admin";
	c.id.scope = "scheduler";
	kit_call(&t, &c);
}

static void
test_pages(void **state)
{
	char query[80], id[40];
	unsigned i, pages, items = 0;
	const char *next;

	for (i = 1; i < 7; i++)
		kit_conf(&t, id, NULL);
	strcpy(query, "limit=3");
	for (pages = 1;; pages++) {
		list(query);
		assert_int_equal(t.r.status, 200);
		items += json_array_size(json_object_get(t.r.json, "items"));
		if ((next = perc_json_str(t.r.json, "next")) == NULL)
			break;
		snprintf(query, sizeof(query), "limit=3&cursor=%s", next);
	}
	assert_int_equal(pages, 3);
	assert_int_equal(items, 7);
	list("state=live");
	assert_int_equal(
	    json_array_size(json_object_get(t.r.json, "items")), 0);
	list("limit=0");
	assert_int_equal(t.r.status, 400);
	list("limit=3&cursor=n1%20");
	assert_int_equal(t.r.status, 400);
	list("cursor=%00");
	assert_int_equal(t.r.status, 400);
	list("state=dead");
	assert_int_equal(t.r.status, 400);
}

/* A conference that a thousand groups are invited to. */
static void
big_conf(void)
{
	char body[32768], from[PERC_TIME_LEN], to[PERC_TIME_LEN];
	int i, n;

	perc_time_put(from, t.now_ms);
	perc_time_put(to, t.now_ms + 3600 * 1000);
	n = snprintf(body, sizeof(body),
	    "{\"title\": \"All hands\", \"starts_at\": \"%s\", "
	    "\"ends_at\": \"%s\", \"invitees\": [",
	    from, to);
	for (i = 0; i < KMF_INVITEES_MAX; i++)
		n += snprintf(body + n, sizeof(body) - (size_t)n,
		    "%s{\"group\":\"g%d\"}", i > 0 ? "," : "", i);
	snprintf(body + n, sizeof(body) - (size_t)n, "]}");
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_CREATE, "", "", body)->status, 201);
}

/* A page is cut where it would not pass to the front. */
static void
test_pages_of_big_conferences(void **state)
{
	char query[80] = "limit=100";
	unsigned i, pages, items = 0;
	const char *next;

	for (i = 0; i < 55; i++)
		big_conf();
	for (pages = 1; pages < 40; pages++) {
		list(query);
		assert_int_equal(t.r.status, 200);
		assert_true(strlen(t.r.text) < 512 * 1024);
		items += json_array_size(json_object_get(t.r.json, "items"));
		if ((next = perc_json_str(t.r.json, "next")) == NULL)
			break;
		snprintf(query, sizeof(query), "limit=100&cursor=%s", next);
	}
	assert_in_range(pages, 10, 30);
	assert_int_equal(items, 56);
}

static bool
rule_passed(const char *name)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(t.r.json, "rules"), i,
	    v) if (strcmp(perc_json_str(v, "rule"), name) ==
	    0) return perc_json_bool(v, "passed", false);
	fail_msg("no rule %s", name);
	return false;
}

static void
test_explain_is_the_decision(void **state)
{
	struct kit_end a;

	kit_end_open(&a, "a-1");
	a.email = "alice@example.org";
	kit_admin(&t, KMF_OP_CONF_EXPLAIN, conf, "",
	    "{\"subject\": {\"email\": \"ALICE@example.org\"}}");
	assert_int_equal(t.r.status, 200);
	assert_true(perc_json_bool(t.r.json, "allowed", false));
	kit_admin(&t, KMF_OP_CONF_EXPLAIN, conf, "",
	    "{\"subject\": {\"email\": \"mallory@example.org\"}}");
	assert_false(perc_json_bool(t.r.json, "allowed", true));
	assert_false(rule_passed("invited"));
	assert_true(rule_passed("not_evicted"));
	kit_join(&t, &a, conf);
	kit_admin(&t, KMF_OP_MEMBER_EVICT, conf, a.member, NULL);
	kit_admin(&t, KMF_OP_CONF_EXPLAIN, conf, "",
	    "{\"subject\": {\"email\": \"alice@example.org\"}}");
	assert_false(perc_json_bool(t.r.json, "allowed", true));
	assert_true(rule_passed("invited"));
	assert_false(rule_passed("not_evicted"));
	kit_admin(&t, KMF_OP_CONF_EXPLAIN, conf, "", "{\"subject\": {}}");
	assert_int_equal(t.r.status, 400);
	kit_end_close(&a);
}

/* REQ-WC-4.8b, and "37 of 40 on epoch 12". */
static void
test_REQ_WC_4_8b_members_are_known(void **state)
{
	struct kit_end a, b;
	json_t *items;
	int64_t n = 0;

	kit_end_open(&a, "a-1");
	a.email = "alice@example.org";
	kit_end_open(&b, "bob");
	kit_join(&t, &a, conf);
	kit_pass(&t, 3000);
	kit_join(&t, &b, conf);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_MEMBER_LIST, conf, "", NULL)->status, 200);
	items = json_object_get(t.r.json, "items");
	assert_int_equal(json_array_size(items), 2);
	assert_int_equal(perc_json_int(&n, t.r.json, "epoch", 0, 99), 0);
	assert_int_equal(n, 2);
	assert_int_equal(
	    perc_json_int(&n, json_array_get(items, 0), "epoch", 0, 99), 0);
	assert_int_equal(n, 1); /* Alice has not said that she has it */
	assert_int_equal(
	    kit_as(&t, &a, KMF_OP_LEASE_RENEW, "{\"epoch\": 2}")->status, 200);
	kit_admin(&t, KMF_OP_MEMBER_LIST, conf, "", NULL);
	items = json_object_get(t.r.json, "items");
	assert_int_equal(
	    perc_json_int(&n, json_array_get(items, 0), "epoch", 0, 99), 0);
	assert_int_equal(n, 2);
	kit_end_close(&a);
	kit_end_close(&b);
}

static void
test_calendar_file(void **state)
{
	static const char title[] =
	    "{\"title\": \"Budget; draft, a title long enough to be folded "
	    "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\"}";
	const char *p, *end;
	struct kit_end e;
	char inv[40];

	memset(&e, 0, sizeof(e));
	kit_admin(&t, KMF_OP_CONF_PATCH, conf, "", title);
	kit_code(&t, conf, &e, "Dora", inv);
	kit_admin(&t, KMF_OP_INV_ICS, conf, inv, NULL);
	assert_int_equal(t.r.status, 200);
	assert_string_equal(t.r.content_type, "text/calendar; charset=utf-8");
	assert_non_null(strstr(t.r.text, "DTSTART:20270115T080000Z\r\n"));
	assert_non_null(strstr(t.r.text, "SUMMARY:Budget\\; draft\\, a"));
	assert_non_null(strstr(t.r.text, "END:VCALENDAR\r\n"));
	assert_null(strstr(t.r.text, e.code));
	for (p = t.r.text; *p != '\0'; p = end + 2) { /* RFC 5545, 3.1 */
		end = strstr(p, "\r\n");
		assert_non_null(end);
		assert_true(end - p <= 75);
		assert_int_not_equal(
		    (unsigned char)p[p[0] == ' '] & 0xc0, 0x80);
	}
	kit_admin(&t, KMF_OP_INV_ICS, conf, "i_none", NULL);
	assert_int_equal(t.r.status, 404);
}

/* Walk the chain as an auditor would: rows without prev and hash, sorted. */
static bool
chain_holds(const json_t *items)
{
	char prev[44] = "", text[2048], hash_text[44];
	uint8_t buf[32 + 2048], hash[32];
	json_t *v, *row;
	size_t i, n, off;
	bool ok = true;

	json_array_foreach(items, i, v)
	{
		row = json_copy(v);
		json_object_del(row, "prev");
		json_object_del(row, "hash");
		n = json_dumpb(
		    row, text, sizeof(text), JSON_COMPACT | JSON_SORT_KEYS);
		json_decref(row);
		off = prev[0] != '\0' ? 32 : 0;
		if (off != 0)
			assert_int_equal(perc_b64_get_exact(buf, 32, prev), 0);
		memcpy(buf + off, text, n);
		assert_int_equal(perc_sha256(hash, buf, off + n), 0);
		perc_b64_put(hash_text, hash, 32);
		ok = ok && strcmp(perc_json_str(v, "prev"), prev) == 0 &&
		    strcmp(perc_json_str(v, "hash"), hash_text) == 0;
		snprintf(prev, sizeof(prev), "%s", perc_json_str(v, "hash"));
	}
	return ok;
}

static bool
audit_has(const char *kind)
{
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(t.r.json, "items"), i,
	    v) if (strcmp(perc_json_str(v, "kind"), kind) == 0) return true;
	return false;
}

static void
test_audit_tells_all_and_is_chained(void **state)
{
	static const char *const kinds[] = { "conference_created", "invited",
		"token", "joined", "epoch", "key", "refused", "left", "evicted",
		"conference_ended" };
	struct kit_end a, b;
	char inv[40];
	size_t i;
	sqlite3 *sql;

	kit_end_open(&a, "a-1");
	a.email = "alice@example.org";
	kit_end_open(&b, "bob");
	kit_code(&t, conf, &b, "Bob", inv);
	kit_join(&t, &a, conf);
	kit_join(&t, &b, conf);
	kit_as(&t, &b, KMF_OP_LEASE_END, NULL);
	kit_admin(&t, KMF_OP_MEMBER_EVICT, conf, b.member, NULL);
	kit_keys(&t, &b);
	kit_admin(&t, KMF_OP_CONF_END, conf, "", NULL);
	kit_admin(&t, KMF_OP_AUDIT, "", "", NULL);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!audit_has(kinds[i]))
			fail_msg("nothing of %s", kinds[i]);
	assert_true(chain_holds(json_object_get(t.r.json, "items")));
	/* no secret ever entered it */
	assert_null(strstr(t.r.text, b.code));
	kit_stop(&t);
	assert_int_equal(sqlite3_open(t.db_file, &sql), SQLITE_OK);
	assert_int_equal(sqlite3_exec(sql,
			     "UPDATE audit SET text = replace(text, "
			     "'evicted', 'invited') WHERE seq > 3",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	sqlite3_close(sql);
	kit_start(&t);
	kit_admin(&t, KMF_OP_AUDIT, "", "", NULL);
	assert_false(chain_holds(json_object_get(t.r.json, "items")));
	kit_end_close(&a);
	kit_end_close(&b);
}

static void
test_delete_takes_all_with_it(void **state)
{
	struct kit_end a;
	struct db_conf c;
	uint32_t s;

	kit_end_open(&a, "bob");
	kit_join(&t, &a, conf);
	s = kit_stream(&t, &a);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_DELETE, conf, "", NULL)->status, 204);
	assert_non_null(kit_event(&t, s, "ended"));
	assert_int_equal(db_conf_find(t.k->db, &c, conf), PERC_ERR_NOTFOUND);
	assert_int_equal(kit_as(&t, &a, KMF_OP_KEYS, NULL)->status, 404);
	kit_end_close(&a);
}

static void
test_client_tokens(void **state)
{
	struct kmf_call c = { .op = KMF_OP_CLIENT_KEY, .obj = "admin" };
	struct kit_reply *r;
	json_t *v;

	r = kit_call(&t, &c);
	assert_int_equal(r->status, 200);
	assert_null(json_object_get(json_object_get(r->json, "jwk"), "d"));
	c.obj = "nobody";
	assert_int_equal(kit_call(&t, &c)->status, 404);
	c.op = KMF_OP_TOKEN_CLIENT;
	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = "admin";
	c.id.jkt = "jkt";
	c.arg = "scheduler evil";
	c.arg2 = "assertion-1";
	r = kit_call(&t, &c);
	assert_int_equal(r->status, 200);
	assert_string_equal(perc_json_str(r->json, "scope"), "scheduler");
	v = kit_verify(&t, perc_json_str(r->json, "access_token"), "at+jwt");
	assert_string_equal(perc_json_str(v, "aud"), KIT_BASE);
	json_decref(v);
	r = kit_call(&t, &c); /* an assertion is good once */
	assert_int_equal(r->status, 401);
	assert_string_equal(r->code, "invalid_client");
	c.arg2 = "assertion-2";
	c.arg = "evil";
	assert_string_equal(kit_call(&t, &c)->code, "invalid_scope");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_errors_point_at_the_member),
		T(test_conditions),
		T(test_scopes),
		T(test_absurd_ids_are_holes),
		T(test_idempotency),
		T(test_pages),
		T(test_pages_of_big_conferences),
		T(test_explain_is_the_decision),
		T(test_REQ_WC_4_8b_members_are_known),
		T(test_calendar_file),
		T(test_audit_tells_all_and_is_chained),
		T(test_delete_takes_all_with_it),
		T(test_client_tokens),
	};

	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
