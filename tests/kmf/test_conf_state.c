/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Changes under people's feet: what each does to those inside, to their keys
 * and to those who come later (docs/wire/kmf-http.md, "What happens to
 * people inside"), who may make them, and what explain says of it.
 */
#include "tests/kmf/kit.h"

#include <stdio.h>
#include <string.h>

static struct kit t;
static char conf[40];
static struct kit_end host, ann, ben; /* ben is still outside */

static const char invitees[] =
    "[{\"email\": \"host@example.org\", \"role\": \"host\"}, "
    "{\"domain\": \"Corp.Example\"}, {\"group\": \"board\"}]";

/* From `from_s` to `to_s` after now. */
static void
window(char *out, size_t cap, int64_t from_s, int64_t to_s)
{
	char from[PERC_TIME_LEN], to[PERC_TIME_LEN];

	perc_time_put(from, t.now_ms + from_s * 1000);
	perc_time_put(to, t.now_ms + to_s * 1000);
	snprintf(
	    out, cap, "\"starts_at\": \"%s\", \"ends_at\": \"%s\"", from, to);
}

static void
conf_make(char id[static 40], const char *list, int64_t from_s, int64_t to_s)
{
	char body[1024], w[128];
	struct kit_reply *r;

	window(w, sizeof(w), from_s, to_s);
	snprintf(body, sizeof(body),
	    "{\"title\": \"Council\", %s, \"invitees\": %s}", w, list);
	r = kit_admin(&t, KMF_OP_CONF_CREATE, "", "", body);
	if (r->status != 201)
		fail_msg("create: %u %s", r->status, r->detail);
	snprintf(id, 40, "%s", perc_json_str(r->json, "id"));
}

static void
person(struct kit_end *e, const char *sub, const char *email)
{
	kit_end_open(e, sub);
	e->email = email;
}

static int
setup(void **state)
{
	kit_open(&t);
	conf_make(conf, invitees, 0, 3600);
	person(&host, "h", "HOST@example.org");
	person(&ann, "a", "ann@corp.example");
	person(&ben, "b", "ben@corp.example");
	kit_join(&t, &host, conf);
	kit_join(&t, &ann, conf);
	return 0;
}

static int
teardown(void **state)
{
	kit_end_close(&host);
	kit_end_close(&ann);
	kit_end_close(&ben);
	kit_close(&t);
	return 0;
}

static const char *
state_of(const char *id)
{
	struct kit_reply *r = kit_admin(&t, KMF_OP_CONF_GET, id, "", NULL);

	return r->status == 200 ? perc_json_str(r->json, "state") : "gone";
}

static void
patch(const char *id, const char *members, uint16_t status)
{
	char body[1024];

	snprintf(body, sizeof(body), "{%s}", members);
	kit_admin(&t, KMF_OP_CONF_PATCH, id, "", body);
	if (t.r.status != status)
		fail_msg("%s: %u %s", body, t.r.status, t.r.detail);
}

/* What a stream told of a conference; "" when nothing did. */
static const char *
told(uint32_t stream)
{
	struct kit_event *e = kit_event(&t, stream, "conference");

	return e != NULL ? perc_json_str(e->data, "state") : "";
}

/* The signed reason of the end, then the stream's own. */
static void
assert_let_go(uint32_t stream, const char *reason, const char *code)
{
	struct kit_event *e = kit_event(&t, stream, "ended");
	json_t *notice;

	assert_non_null(e);
	notice = kit_verify(
	    &t, perc_json_str(e->data, "notice"), "perch-notice+jwt");
	assert_string_equal(perc_json_str(notice, "reason"), reason);
	json_decref(notice);
	e = kit_event(&t, stream, "END");
	assert_non_null(e);
	assert_string_equal(e->code, code);
}

static int64_t
live(const char *id)
{
	int64_t n = -1;

	kit_admin(&t, KMF_OP_CONF_GET, id, "", NULL);
	assert_int_equal(
	    perc_json_int(&n, t.r.json, "members_live", 0, 100), 0);
	return n;
}

static void
test_domain_is_exact_and_verified(void **state)
{
	static const struct {
		const char *email;
		uint16_t status;
	} who[] = { { "x@corp.example", 200 }, { "X@CORP.example", 200 },
		{ "x@sub.corp.example", 400 }, { "x@notcorp.example", 400 },
		{ "corp.example", 400 }, { "", 400 } };
	struct kmf_call c = { .op = KMF_OP_TOKEN1, .conf = conf };
	size_t i;

	for (i = 0; i < sizeof(who) / sizeof(who[0]); i++) {
		c.id.who = KMF_WHO_PERSON;
		c.id.iss = "https://idp.example";
		c.id.sub = "someone";
		c.id.jkt = ann.jkt;
		c.id.email = who[i].email;
		c.id.email_verified = true;
		assert_int_equal(kit_call(&t, &c)->status, who[i].status);
	}
	c.id.email = "y@corp.example"; /* only claimed */
	c.id.email_verified = false;
	assert_int_equal(kit_call(&t, &c)->status, 400);
}

static void
test_domains_are_checked(void **state)
{
	static const char *const bad[] = { "", "corp", "-a.example", "a-.b",
		"a..b", ".b.c", "b.c.", "a b.c", "a@b.c", "\\u00e4.example" };
	char body[256], w[128];
	size_t i;

	window(w, sizeof(w), 0, 60);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(body, sizeof(body),
		    "{\"title\": \"x\", %s, \"invitees\": [{\"domain\": "
		    "\"%s\"}]}",
		    w, bad[i]);
		kit_admin(&t, KMF_OP_CONF_CREATE, "", "", body);
		assert_int_equal(t.r.status, 400);
		assert_non_null(strstr(t.r.detail, "/invitees/0"));
	}
}

static void
test_lock_keeps_newcomers_out(void **state)
{
	uint32_t s = kit_stream(&t, &ann);
	struct kit_event *e;

	assert_int_equal(kit_token1(&t, &ben, conf)->status, 200);
	assert_int_equal(
	    kit_as(&t, &host, KMF_OP_CONF_LOCK, NULL)->status, 200);
	/* a host sees what members see */
	assert_true(json_is_true(json_object_get(t.r.json, "locked")));
	assert_null(json_object_get(t.r.json, "invitees"));
	e = kit_event(&t, s, "conference");
	assert_non_null(e);
	assert_true(json_is_true(json_object_get(e->data, "locked")));
	assert_int_equal(kit_keys(&t, &ben)->status, 403);
	assert_string_equal(t.r.code, "locked");
	assert_int_equal(kit_keys(&t, &ann)->status, 200);
	assert_int_equal(
	    kit_as(&t, &host, KMF_OP_CONF_UNLOCK, NULL)->status, 200);
	assert_int_equal(kit_keys(&t, &ben)->status, 200);
}

/* Inside means: with a lease when it was locked, or later. */
static void
test_lock_and_coming_back(void **state)
{
	struct kit_end again;

	kit_join(&t, &ben, conf);
	assert_int_equal(kit_as(&t, &ben, KMF_OP_LEASE_END, NULL)->status, 204);
	kit_pass(&t, 1000);
	kit_admin(&t, KMF_OP_CONF_LOCK, conf, "", NULL);
	assert_int_equal(kit_keys(&t, &ben)->status, 403); /* had left */
	kit_pass(&t, 20000);
	assert_int_equal(live(conf), 0); /* all leases ran out */
	assert_int_equal(kit_keys(&t, &ann)->status, 200);
	assert_int_equal(kit_as(&t, &ann, KMF_OP_LEASE_END, NULL)->status, 204);
	assert_int_equal(kit_keys(&t, &ann)->status, 200);
	person(&again, "a", "ann@corp.example"); /* another machine of hers */
	kit_join(&t, &again, conf);
	kit_end_close(&again);
	assert_int_equal(kit_keys(&t, &ben)->status, 403);
}

static void
test_only_hosts_may(void **state)
{
	static const enum kmf_op ops[] = { KMF_OP_CONF_LOCK, KMF_OP_CONF_UNLOCK,
		KMF_OP_CONF_REKEY, KMF_OP_CONF_EXTEND, KMF_OP_MEMBER_LIST,
		KMF_OP_MEMBER_EVICT, KMF_OP_CONF_END };
	struct kmf_call c = { .op = KMF_OP_MEMBER_EVICT, .conf = conf };
	size_t i;

	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		kit_as(&t, &ann, ops[i], "{\"by_s\": 60}");
		assert_int_equal(t.r.status, 403);
		assert_string_equal(t.r.code, "not_host");
	}
	assert_int_equal(kit_token1(&t, &ben, conf)->status, 200);
	c.id.who = KMF_WHO_MEMBER;
	c.id.sub = host.member;
	c.id.token_conf = conf;
	c.id.jkt = host.jkt;
	c.obj = ben.member;
	assert_int_equal(kit_call(&t, &c)->status, 204);
	assert_int_equal(kit_keys(&t, &ben)->status, 403);
	assert_string_equal(t.r.code, "evicted");
	assert_int_equal(
	    kit_as(&t, &host, KMF_OP_CONF_REKEY, NULL)->status, 202);
	assert_int_equal(
	    kit_as(&t, &host, KMF_OP_MEMBER_LIST, NULL)->status, 200);
	/* what schedulers do, hosts do not */
	assert_int_equal(
	    kit_as(&t, &host, KMF_OP_CONF_CANCEL, NULL)->status, 404);
	assert_int_equal(kit_as(&t, &host, KMF_OP_CONF_END, NULL)->status, 200);
	assert_string_equal(state_of(conf), "ended");
}

/* Another role is no new invitation: nobody is put out. */
static void
test_role_changes_in_place(void **state)
{
	uint32_t s = kit_stream(&t, &ann);

	patch(conf,
	    "\"invitees\": [{\"email\": \"host@example.org\"}, {\"domain\": "
	    "\"corp.example\", \"role\": \"moderator\"}]",
	    200);
	assert_int_equal(live(conf), 2);
	assert_null(kit_event(&t, s, "evicted"));
	assert_int_equal(
	    kit_as(&t, &host, KMF_OP_CONF_LOCK, NULL)->status, 403);
	assert_int_equal(kit_as(&t, &ann, KMF_OP_CONF_LOCK, NULL)->status, 200);
	/* who loses the invitation loses the power, token1 or not */
	patch(conf, "\"invitees\": []", 200);
	assert_int_equal(live(conf), 0);
	assert_int_equal(
	    kit_as(&t, &ann, KMF_OP_CONF_UNLOCK, NULL)->status, 404);
}

static void
test_move_within_now(void **state)
{
	uint32_t s = kit_stream(&t, &ann);
	char w[128];

	window(w, sizeof(w), 60, 7200); /* the door is open ten minutes early */
	patch(conf, w, 200);
	assert_string_equal(told(s), "live");
	assert_null(kit_event(&t, s, "ended"));
	assert_int_equal(live(conf), 2);
	for (int i = 0; i < 360; i++) { /* past the old end */
		kit_pass(&t, 11000);
		assert_int_equal(
		    kit_as(&t, &ann, KMF_OP_LEASE_RENEW, "{\"epoch\": 0}")
			->status,
		    200);
	}
	assert_string_equal(state_of(conf), "live");
}

static void
test_move_away(void **state)
{
	uint32_t s = kit_stream(&t, &ann), old_epoch = ann.epoch;
	uint8_t old[64];
	char w[128];

	memcpy(old, ann.key, sizeof(old));
	window(w, sizeof(w), 7200, 10800);
	patch(conf, w, 200);
	assert_string_equal(told(s), "live"); /* as it was when it moved */
	assert_let_go(s, "rescheduled", "rescheduled");
	assert_string_equal(state_of(conf), "scheduled");
	assert_int_equal(live(conf), 0);
	assert_int_equal(kit_keys(&t, &ann)->status, 403);
	assert_string_equal(t.r.code, "too_early");
	assert_int_equal(
	    kit_as(&t, &ann, KMF_OP_LEASE_RENEW, "{\"epoch\": 0}")->status,
	    409);
	kit_pass(&t, 6600 * 1000);
	assert_int_equal(kit_keys(&t, &ann)->status, 200);
	assert_true(ann.epoch > old_epoch);
	assert_memory_not_equal(old, ann.key, ann.keylen);
	assert_string_equal(state_of(conf), "live");
}

static void
test_move_into_the_past(void **state)
{
	char w[128];

	window(w, sizeof(w), -7200, -60);
	patch(conf, w, 400);
	assert_non_null(strstr(t.r.detail, "/ends_at"));
	assert_string_equal(state_of(conf), "live");
	assert_int_equal(live(conf), 2);
}

static void
test_extend(void **state)
{
	uint32_t s = kit_stream(&t, &ann);
	static const char *const bad[] = { "{}", "{\"by_s\": 59}",
		"{\"by_s\": 86401}", "{\"by_s\": \"60\"}",
		"{\"by_s\": 60, \"ends_at\": \"2099-01-01T00:00:00Z\"}",
		"{\"ends_at\": \"2099-01-01T00:00:00Z\"}",
		"{\"ends_at\": \"2001-01-01T00:00:00Z\"}", "{\"to\": 1}" };
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		kit_as(&t, &host, KMF_OP_CONF_EXTEND, bad[i]);
		assert_int_equal(t.r.status, 400);
	}
	assert_int_equal(
	    kit_as(&t, &host, KMF_OP_CONF_EXTEND, "{\"by_s\": 1800}")->status,
	    200);
	assert_string_equal(told(s), "live");
	kit_pass(&t, 3601 * 1000);
	assert_string_equal(state_of(conf), "scheduled"); /* leases ran out */
	assert_int_equal(kit_keys(&t, &ann)->status, 200);
	kit_pass(&t, 1800 * 1000);
	assert_string_equal(state_of(conf), "ended");
	kit_admin(&t, KMF_OP_CONF_EXTEND, conf, "", "{\"by_s\": 1800}");
	assert_int_equal(t.r.status, 409);
}

static void
test_cancel(void **state)
{
	uint32_t s = kit_stream(&t, &ann);

	kit_admin(&t, KMF_OP_CONF_CANCEL, conf, "", "{\"reason\": 7}");
	assert_int_equal(t.r.status, 400);
	kit_admin(&t, KMF_OP_CONF_CANCEL, conf, "",
	    "{\"reason\": \"the hall burnt down\"}");
	assert_int_equal(t.r.status, 200);
	assert_string_equal(perc_json_str(t.r.json, "state"), "cancelled");
	assert_string_equal(told(s), "cancelled");
	assert_let_go(s, "cancelled", "ended");
	assert_false(kit_on_disk(&t, ann.key, ann.keylen));
	assert_int_equal(kit_keys(&t, &ann)->status, 410);
	assert_int_equal(kit_token1(&t, &ben, conf)->status, 400);
	/* again is no fault, and what is over stays so */
	kit_admin(&t, KMF_OP_CONF_CANCEL, conf, "", NULL);
	assert_int_equal(t.r.status, 200);
	patch(conf, "\"title\": \"x\"", 409);
	kit_admin(&t, KMF_OP_CONF_LOCK, conf, "", NULL);
	assert_int_equal(t.r.status, 409);
}

static void
test_ended_is_not_cancelled(void **state)
{
	kit_admin(&t, KMF_OP_CONF_END, conf, "", NULL);
	assert_int_equal(t.r.status, 200);
	kit_admin(&t, KMF_OP_CONF_CANCEL, conf, "", NULL);
	assert_int_equal(t.r.status, 409);
	assert_string_equal(state_of(conf), "ended");
}

static void
test_delete_is_a_cancellation(void **state)
{
	uint32_t s = kit_stream(&t, &ann);

	kit_admin(&t, KMF_OP_CONF_DELETE, conf, "", NULL);
	assert_int_equal(t.r.status, 204);
	assert_string_equal(told(s), "cancelled");
	assert_let_go(s, "cancelled", "ended");
	assert_string_equal(state_of(conf), "gone");
}

static void
invite(const char *more, struct kit_end *e, char id[static 40])
{
	char body[200];

	snprintf(body, sizeof(body), "{\"name\": \"Guest\"%s}", more);
	kit_admin(&t, KMF_OP_INV_CREATE, conf, "", body);
	assert_int_equal(t.r.status, 201);
	snprintf(
	    e->code, sizeof(e->code), "%s", perc_json_str(t.r.json, "code"));
	snprintf(id, 40, "%s", perc_json_str(t.r.json, "id"));
}

static const char *
inv_state(const char *id)
{
	kit_admin(&t, KMF_OP_INV_GET, conf, id, NULL);
	assert_int_equal(t.r.status, 200);
	return perc_json_str(t.r.json, "state");
}

static void
test_codes_expire(void **state)
{
	char more[80], at[PERC_TIME_LEN], id1[40], id2[40];
	struct kit_end one, two;

	kit_end_open(&one, "");
	kit_end_open(&two, "");
	perc_time_put(at, t.now_ms + 60000);
	snprintf(more, sizeof(more), ", \"expires_at\": \"%s\"", at);
	invite(more, &one, id1);
	assert_string_equal(perc_json_str(t.r.json, "expires_at"), at);
	invite(more, &two, id2);
	assert_int_equal(kit_token1(&t, &one, conf)->status, 200);
	assert_string_equal(inv_state(id1), "used");
	assert_string_equal(inv_state(id2), "open");
	kit_pass(&t, 60000);
	/* used in time: it stays that endpoint's */
	assert_int_equal(kit_token1(&t, &one, conf)->status, 200);
	assert_int_equal(kit_token1(&t, &two, conf)->status, 400);
	assert_string_equal(t.r.code, "invalid_grant");
	assert_string_equal(inv_state(id2), "expired");
	assert_string_equal(inv_state(id1), "used");
	kit_admin(&t, KMF_OP_INV_CREATE, conf, "",
	    "{\"expires_at\": \"2001-01-01T00:00:00Z\"}");
	assert_int_equal(t.r.status, 400);
	assert_non_null(strstr(t.r.detail, "/expires_at"));
	kit_end_close(&one);
	kit_end_close(&two);
}

static void
test_guest_hosts(void **state)
{
	struct kit_end g;
	char id[40];

	kit_end_open(&g, "");
	invite(", \"role\": \"host\", \"kind\": \"room\"", &g, id);
	kit_join(&t, &g, conf);
	assert_int_equal(kit_as(&t, &g, KMF_OP_CONF_LOCK, NULL)->status, 200);
	kit_end_close(&g);
}

/* "rule+" passed, "rule-" failed, each followed by a space. */
static void
explain(char *out, size_t cap, const char *subject)
{
	char body[300];
	size_t i, n = 0;
	json_t *v;

	snprintf(body, sizeof(body), "{\"subject\": %s}", subject);
	kit_admin(&t, KMF_OP_CONF_EXPLAIN, conf, "", body);
	if (t.r.status != 200)
		fail_msg("%s: %u %s", body, t.r.status, t.r.detail);
	json_array_foreach(json_object_get(t.r.json, "rules"), i, v) n +=
	    (size_t)snprintf(out + n, cap - n, "%s%c ",
		perc_json_str(v, "rule"),
		json_is_true(json_object_get(v, "passed")) ? '+' : '-');
}

static void
test_explain(void **state)
{
	char out[400], subject[80], id[40];
	struct kit_end g;

	kit_end_open(&g, "");
	explain(out, sizeof(out), "{\"email\": \"ben@corp.example\"}");
	assert_string_equal(out,
	    "conference_not_over+ invited+ not_evicted+ door_open+ "
	    "not_locked+ ");
	/* nobody asked a provider: not in the group is not what it says */
	explain(out, sizeof(out), "{\"email\": \"x@else.example\"}");
	assert_string_equal(out,
	    "conference_not_over+ invited- groups_complete- not_evicted+ "
	    "door_open+ not_locked+ ");
	explain(out, sizeof(out),
	    "{\"email\": \"x@else.example\", \"groups\": [\"staff\"]}");
	assert_null(strstr(out, "groups_complete"));
	explain(out, sizeof(out),
	    "{\"email\": \"x@else.example\", \"groups\": [\"board\"]}");
	assert_non_null(strstr(out, "invited+"));
	kit_admin(&t, KMF_OP_CONF_LOCK, conf, "", NULL);
	explain(out, sizeof(out), "{\"email\": \"ben@corp.example\"}");
	assert_non_null(strstr(out, "not_locked-"));
	assert_true(json_is_false(json_object_get(t.r.json, "allowed")));
	snprintf(subject, sizeof(subject), "{\"member\": \"%s\"}", ann.member);
	explain(out, sizeof(out), subject);
	assert_non_null(strstr(out, "not_locked+"));
	invite("", &g, id);
	snprintf(subject, sizeof(subject), "{\"invitation\": \"%s\"}", id);
	explain(out, sizeof(out), subject);
	assert_non_null(strstr(out, "invited+ code_valid+"));
	kit_pass(&t, 3601 * 1000);
	explain(out, sizeof(out), subject);
	assert_non_null(strstr(out, "code_valid-"));
	assert_non_null(strstr(out, "conference_not_over-"));
	kit_end_close(&g);
}

static void
test_limits(void **state)
{
	char id[40], w[128], body[300];

	t.k->limit_conferences = 3;
	conf_make(id, "[]", 0, 60);
	conf_make(id, "[]", 0, 60);
	window(w, sizeof(w), 0, 60);
	snprintf(body, sizeof(body), "{\"title\": \"x\", %s}", w);
	kit_admin(&t, KMF_OP_CONF_CREATE, "", "", body);
	assert_int_equal(t.r.status, 403);
	assert_string_equal(t.r.code, "limit_reached");
	assert_non_null(strstr(t.r.detail, "limit_conferences: "));
	/* each way for one to be over makes room */
	kit_admin(&t, KMF_OP_CONF_CANCEL, id, "", NULL);
	conf_make(id, "[]", 0, 60);
	kit_admin(&t, KMF_OP_CONF_DELETE, id, "", NULL);
	conf_make(id, "[]", 0, 60);
	kit_admin(&t, KMF_OP_CONF_CREATE, "", "", body);
	assert_int_equal(t.r.status, 403);
	kit_pass(&t, 61000);
	conf_make(id, "[]", 0, 60);
	conf_make(id, "[]", 0, 60);
	kit_admin(&t, KMF_OP_CONF_DELETE, conf, "", NULL);
	t.k->limit_invitees = 1;
	snprintf(body, sizeof(body),
	    "{\"title\": \"x\", %s, \"invitees\": [{\"group\": \"a\"}, "
	    "{\"group\": \"b\"}]}",
	    w);
	perc_time_put(w, t.now_ms + 60000); /* w's end has passed */
	kit_admin(&t, KMF_OP_CONF_PATCH, id, "",
	    "{\"invitees\": [{\"group\": \"a\"}, {\"group\": \"b\"}]}");
	assert_int_equal(t.r.status, 403);
	assert_non_null(strstr(t.r.detail, "limit_invitees: "));
	t.k->limit_invitations = 1;
	kit_admin(&t, KMF_OP_INV_CREATE, id, "", NULL);
	assert_int_equal(t.r.status, 201);
	kit_admin(&t, KMF_OP_INV_CREATE, id, "", NULL);
	assert_int_equal(t.r.status, 403);
	assert_string_equal(t.r.code, "limit_reached");
	assert_non_null(strstr(t.r.detail, "limit_invitations: "));
}

static void
test_absurd_windows(void **state)
{
	static const char *const bad[] = {
		("\"starts_at\": \"2999-01-01T00:00:00Z\", \"ends_at\": "
		 "\"2999-01-01T01:00:00Z\""),
		"\"starts_at\": \"2027-02-30T00:00:00Z\"",
		"\"starts_at\": \"2027-01-01T25:00:00Z\"",
		"\"starts_at\": \"99999-01-01T00:00:00Z\"",
		"\"starts_at\": \"2027-01-01\"",
		"\"starts_at\": 5",
	};
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		patch(conf, bad[i], 400);
		assert_non_null(strstr(t.r.detail, "/starts_at"));
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_domain_is_exact_and_verified),
		T(test_domains_are_checked),
		T(test_lock_keeps_newcomers_out),
		T(test_lock_and_coming_back),
		T(test_only_hosts_may),
		T(test_role_changes_in_place),
		T(test_move_within_now),
		T(test_move_away),
		T(test_move_into_the_past),
		T(test_extend),
		T(test_cancel),
		T(test_ended_is_not_cancelled),
		T(test_delete_is_a_cancellation),
		T(test_codes_expire),
		T(test_guest_hosts),
		T(test_explain),
		T(test_limits),
		T(test_absurd_windows),
	};

	return cmocka_run_group_tests_name("conf_state", tests, NULL, NULL);
}
