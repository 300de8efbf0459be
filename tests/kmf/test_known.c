/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * REQ-F-8.3a: what the keeper remembers of one fetch (db/sqlite_memo.c) gives
 * nobody a key at the next that the database would refuse, however it came to
 * be refused: by a call, by a write of any other kind, by one that came
 * undone, or by another process. Every test first makes it remember, and sees
 * that it did.
 */
#include "tests/kmf/kitroom.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "db/sqlite.h"
#include "tests/db/faultvfs.h"

static struct kit_end alice, bob, carol;
static char inv[40];

static int
open_all(void **state)
{
	(void)setup(state);
	kit_end_open(&alice, "a-1");
	alice.email = "alice@example.org";
	kit_end_open(&bob, "bob");
	bob.email = "bob@example.org";
	kit_end_open(&carol, "");
	kit_code(&t, conf, &carol, "Carol", inv);
	kit_join(&t, &alice, conf);
	kit_join(&t, &bob, conf);
	kit_join(&t, &carol, conf);
	kit_pass(&t, 3000); /* what joining still orders */
	return 0;
}

static int
close_all(void **state)
{
	kit_end_close(&alice);
	kit_end_close(&bob);
	kit_end_close(&carol);
	return teardown(state);
}

static unsigned
fetch(struct kit_end *e)
{
	return kit_as(&t, e, KMF_OP_KEYS, NULL)->status;
}

/* How often was the database asked whether somebody is still invited? */
static int
asked(void)
{
	return sqlite3_stmt_status(
	    t.k->db->st[ST_MEMBER_WELCOME], SQLITE_STMTSTATUS_RUN, 0);
}

/* From here on all that a fetch needs is remembered. */
static void
remember(void)
{
	struct kit_end *all[] = { &alice, &bob, &carol };
	int n = 0;

	for (size_t i = 0; i < 9; i++) {
		assert_int_equal(fetch(all[i % 3]), 200);
		if (i == 5) /* the first may write what they hold */
			n = asked();
	}
	assert_int_equal(asked(), n);
	assert_true(t.k->db->memo.n > 6);
}

static void
test_put_out(void **state)
{
	char subject[80];

	remember();
	snprintf(subject, sizeof(subject),
	    "{\"subject\": {\"member\": \"%s\"}}", bob.member);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_EVICT, conf, "", subject)->status, 200);
	assert_int_equal(fetch(&bob), 403);
	assert_int_equal(fetch(&alice), 200);
	assert_int_equal(fetch(&carol), 200);
}

static void
test_invitation_deleted(void **state)
{
	remember();
	assert_int_equal(
	    kit_admin(&t, KMF_OP_INV_DELETE, conf, inv, NULL)->status, 204);
	assert_int_equal(fetch(&carol), 404);
	assert_int_equal(fetch(&alice), 200);
}

static void
test_list_without_them(void **state)
{
	remember();
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_PATCH, conf, "",
		"{\"invitees\": [{\"email\": \"alice@example.org\"}]}")
		->status,
	    200);
	assert_int_equal(fetch(&bob), 404);
	assert_int_equal(fetch(&alice), 200);
}

static void
test_locked(void **state)
{
	assert_int_equal(kit_as(&t, &bob, KMF_OP_LEASE_END, NULL)->status, 204);
	kit_pass(&t, 3000);
	assert_int_equal(fetch(&alice), 200);
	assert_int_equal(fetch(&alice), 200);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_LOCK, conf, "", NULL)->status, 200);
	assert_int_equal(fetch(&bob), 403);
	assert_string_equal(t.r.code, "locked");
	assert_int_equal(fetch(&alice), 200);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_UNLOCK, conf, "", NULL)->status, 200);
	assert_int_equal(fetch(&bob), 200);
}

static void
test_ended(void **state)
{
	remember();
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_END, conf, "", NULL)->status, 200);
	assert_int_equal(fetch(&alice), 410);
	assert_int_equal(fetch(&carol), 410);
}

static void
test_policy_and_time(void **state)
{
	char body[160], from[PERC_TIME_LEN], to[PERC_TIME_LEN];

	remember();
	assert_int_equal(kit_admin(&t, KMF_OP_CONF_PATCH, conf, "",
			     "{\"policy\": {\"max_epoch_age_s\": 77}}")
			     ->status,
	    200);
	assert_int_equal(fetch(&alice), 200);
	assert_non_null(strstr(t.r.secret_header, "ttl=\"77\""));
	remember();
	perc_time_put(from, t.now_ms + 7200000);
	perc_time_put(to, t.now_ms + 10800000);
	snprintf(body, sizeof(body),
	    "{\"starts_at\": \"%s\", \"ends_at\": \"%s\"}", from, to);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_PATCH, conf, "", body)->status, 200);
	assert_int_equal(fetch(&alice), 403);
	assert_string_equal(t.r.code, "too_early");
}

/* The key handed out is the new one, whoever asked for the rekey. */
static void
test_rekeyed(void **state)
{
	char old[sizeof(t.r.secret_header)];

	remember();
	snprintf(old, sizeof(old), "%s", t.r.secret_header);
	assert_int_equal(fetch(&carol), 200);
	assert_string_equal(old, t.r.secret_header);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_REKEY, conf, "", NULL)->status, 202);
	assert_int_equal(fetch(&carol), 200);
	assert_string_not_equal(old, t.r.secret_header);
	remember();
	snprintf(old, sizeof(old), "%s", t.r.secret_header);
	assert_int_equal(kit_as(&t, &bob, KMF_OP_LEASE_END, NULL)->status, 204);
	kit_pass(&t, 1000); /* the leave window */
	assert_int_equal(fetch(&carol), 200);
	assert_string_not_equal(old, t.r.secret_header);
}

/* --- writes of other kinds ------------------------------------------------ */

/* A row that says so is enough, whatever wrote it. */
static void
test_any_row(void **state)
{
	remember();
	assert_int_equal(kmf_turn_begin(t.k), 0);
	assert_int_equal(
	    db_evicted_add(t.k->db, conf, bob.iss, bob.sub, "", t.now_ms), 0);
	kit_turn(&t);
	assert_int_equal(fetch(&bob), 404);
	assert_int_equal(fetch(&carol), 200);
	assert_int_equal(fetch(&carol), 200);
	assert_int_equal(kmf_turn_begin(t.k), 0);
	assert_int_equal(db_conf_delete(t.k->db, conf), 0); /* by the key */
	kit_turn(&t);
	assert_int_equal(fetch(&carol), 404);
	assert_int_equal(fetch(&alice), 404);
}

static void
sql(sqlite3 *s, const char *text)
{
	char *q = sqlite3_mprintf(text, conf);

	assert_int_equal(sqlite3_exec(s, q, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_free(q);
}

/* Nobody else is to write, but somebody may have sqlite3 at hand. */
static void
test_another_process(void **state)
{
	sqlite3 *s;

	assert_int_equal(sqlite3_open(t.db_file, &s), SQLITE_OK);
	remember();
	sql(s, "DELETE FROM invitee WHERE conference = %Q AND sub = 'bob'");
	assert_int_equal(fetch(&bob), 404);
	assert_int_equal(fetch(&alice), 200);
	assert_int_equal(fetch(&carol), 200);
	assert_int_equal(fetch(&carol), 200);
	sql(s, "UPDATE invitation SET state = 2 WHERE conference = %Q");
	assert_int_equal(fetch(&carol), 404);
	assert_int_equal(fetch(&alice), 200);
	sql(s, "UPDATE conference SET state = 2 WHERE id = %Q");
	assert_int_equal(fetch(&alice), 410);
	sqlite3_close(s);
}

/* --- what came undone ----------------------------------------------------- */

static const char with_bob[] =
    "{\"invitees\": [{\"email\": \"alice@example.org\"}, "
    "{\"iss\": \"https://idp.example\", \"sub\": \"bob\"}]}";

static void
uninvite_bob(void)
{
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_PATCH, conf, "",
		"{\"invitees\": [{\"email\": \"alice@example.org\"}]}")
		->status,
	    200);
	assert_int_equal(fetch(&bob), 404);
}

/* Bob's row as it stands, put in again; the decision of that moment. */
static void
invite_by_row(struct db_invitee *v, struct db_member *m)
{
	struct db_conf c;

	assert_int_equal(db_conf_find(t.k->db, &c, conf), 0);
	assert_int_equal(db_member_find(t.k->db, m, bob.member), 0);
	assert_int_equal(kmf_decide_member(t.k, &c, m), PERC_ERR_NOTFOUND);
	snprintf(v->id, sizeof(v->id), "%s", m->via);
	snprintf(v->sub, sizeof(v->sub), "bob");
	snprintf(v->role, sizeof(v->role), "member");
	snprintf(v->kind, sizeof(v->kind), "person");
	assert_int_equal(db_invitee_add(t.k->db, conf, v), 0);
	assert_int_equal(kmf_decide_member(t.k, &c, m), 0);
}

static void
test_undone(void **state)
{
	struct db_invitee v = { .email = "" };
	struct db_member m;

	uninvite_bob();
	assert_int_equal(kmf_turn_begin(t.k), 0);
	assert_int_equal(kmf_mark(t.k), 0);
	invite_by_row(&v, &m);
	kmf_mark_undo(t.k);
	kit_turn(&t);
	assert_int_equal(fetch(&bob), 404);
	assert_int_equal(kmf_turn_begin(t.k), 0);
	invite_by_row(&v, &m);
	db_rollback(t.k->db);
	assert_int_equal(fetch(&bob), 404);
	assert_int_equal(fetch(&alice), 200);
}

/* The call that would have invited him, and his own behind it, in a turn
 * whose commit the disk refuses. */
static void
test_lost_commit(void **state)
{
	const struct faultvfs bad = { FAULTVFS_SYNC, SQLITE_IOERR_FSYNC, 1,
		true };
	struct kmf_call c = { .op = KMF_OP_CONF_PATCH, .conf = conf };
	struct kmf_call k = { .op = KMF_OP_KEYS, .conf = conf };
	unsigned want = t.replies + 2;

	uninvite_bob();
	want = t.replies + 2;
	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = "admin";
	c.id.scope = "admin";
	c.if_match = "*";
	c.body = (const uint8_t *)with_bob;
	c.body_len = strlen(with_bob);
	k.id.who = KMF_WHO_MEMBER;
	k.id.sub = bob.member;
	k.id.token_conf = conf;
	k.id.scope = "member";
	k.id.jkt = bob.jkt;
	faultvfs_set(&bad);
	(void)kit_send(&t, &c);
	t.want_id = kit_send(&t, &k);
	kit_wait(&t, want);
	assert_true(faultvfs_hits() > 0);
	faultvfs_set(NULL);
	assert_int_equal(t.r.status, 503);
	assert_int_equal(fetch(&bob), 404);
	assert_int_equal(fetch(&alice), 200);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, open_all, close_all)
	const struct CMUnitTest tests[] = {
		T(test_put_out),
		T(test_invitation_deleted),
		T(test_list_without_them),
		T(test_locked),
		T(test_ended),
		T(test_policy_and_time),
		T(test_rekeyed),
		T(test_any_row),
		T(test_another_process),
		T(test_undone),
		T(test_lost_commit),
	};

	if (faultvfs_register() != 0)
		return 1;
	return cmocka_run_group_tests_name("known", tests, NULL, NULL);
}
