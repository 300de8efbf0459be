/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered is what the database would say: rows come back whole,
 * only leases and records let them stand, and whatever else changes a row, or
 * changes it back, empties the memory.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "db/sqlite.h"
#include "tests/db/place.h"

static struct db *db;
static struct db_conf conf;
static struct db_member member;

static void
rows_make(void)
{
	struct db_conf c = { .id = "c_1",
		.title = "Council \xc3\xa9",
		.policy = "{}",
		.mdd = "https://mdd.example",
		.created_by = "admin",
		.starts_ms = 10,
		.ends_ms = 20,
		.version = 1,
		.spi_step = 3,
		.exception = true };
	struct db_member m = { .id = "m_1",
		.conf = "c_1",
		.iss = "i",
		.sub = "s",
		.via = "v_1",
		.state = DB_MEMBER_LIVE };
	struct db_invitee v = { .id = "v_1", .sub = "s", .role = "member" };
	struct db_epoch e = { .conf = "c_1", .epoch = 1, .spi = 9 };

	strcpy(v.kind, "person");
	e.key.len = 7;
	memcpy(e.key.data, "sealed", 7);
	assert_int_equal(db_conf_add(db, &c), 0);
	assert_int_equal(db_invitee_add(db, "c_1", &v), 0);
	assert_int_equal(db_member_add(db, &m), 0);
	assert_int_equal(db_epoch_add(db, &e), 0);
	assert_int_equal(db_conf_find(db, &conf, "c_1"), 0);
	assert_int_equal(db_member_find(db, &member, "m_1"), 0);
}

static int
rows_open(void **state)
{
	(void)setup(state);
	db = open_db();
	assert_int_equal(db_begin(db), 0);
	rows_make();
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(db_begin(db), 0);
	return 0;
}

static int
rows_close(void **state)
{
	db_rollback(db);
	db_close(db);
	return teardown(state);
}

/* All questions that are remembered, with the answers of rows_make(). */
static void
ask(void)
{
	struct db_epoch e;
	struct db_conf c;
	int64_t n = 0;

	memset(&c, 0xa5, sizeof(c));
	memset(&e, 0xa5, sizeof(e));
	assert_int_equal(db_conf_known(db, &c, "c_1"), 0);
	assert_memory_equal(&c, &conf, sizeof(c));
	assert_int_equal(db_epoch_find(db, &e, "c_1", 1), 0);
	assert_int_equal(e.spi, 9);
	assert_int_equal(e.key.len, 7);
	assert_string_equal((char *)e.key.data, "sealed");
	assert_int_equal(db_epoch_find(db, &e, "c_1", 2), PERC_ERR_NOTFOUND);
	assert_int_equal(db_member_count(db, &n, "c_1", DB_MEMBER_LIVE), 0);
	assert_int_equal(n, 1);
	assert_int_equal(db_member_welcome(db, "c_1", &member), 0);
}
#define QUESTIONS 5

/* How often SQLite was asked for a conference's row. */
static int
looked(void)
{
	return sqlite3_stmt_status(
	    db->st[ST_CONF_FIND], SQLITE_STMTSTATUS_RUN, 0);
}

static void
test_rows_come_back_whole(void **state)
{
	int n = looked();
	uint64_t ran;

	ask();
	ran = db_statements_run(db);
	ask();
	assert_int_equal(looked(), n + 1);
	assert_int_equal(db->memo.n, QUESTIONS);
	assert_int_equal(db_statements_run(db) - ran, QUESTIONS);
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(db_begin(db), 0); /* it outlives the transaction */
	ask();
	assert_int_equal(looked(), n + 1);
}

static void
test_only_inside_of_a_transaction(void **state)
{
	struct db_conf c;
	int n = looked();

	ask();
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(db_conf_known(db, &c, "c_1"), 0);
	assert_int_equal(looked(), n + 2);
	assert_int_equal(db_begin(db), 0);
}

static void
record_add(void)
{
	struct db_audit a = { .text = "{\"at\":\"\",\"kind\":\"\","
				      "\"actor\":\"\",\"conference\":\"\"}" };
	struct db_audit last;
	int r = db_audit_last(db, &last);

	a.seq = r == 0 ? last.seq + 1 : 1;
	snprintf(a.hash, sizeof(a.hash), "hash of %d", (int)a.seq);
	assert_int_equal(db_audit_add(db, &a), 0);
}

static void
test_leases_and_records_let_it_stand(void **state)
{
	int n = looked();

	ask();
	assert_int_equal(db_member_lease(db, "m_1", 99, 1), 0);
	record_add();
	assert_int_equal(db_replay_add(db, "h", 5), 0);
	assert_int_equal(db_generation_put(db, 7), 0);
	ask();
	assert_int_equal(looked(), n + 1);
}

/* They write no other table than their own, by no trigger. */
static void
test_nothing_follows_from_them(void **state)
{
	sqlite3_stmt *st = NULL;

	assert_int_equal(
	    sqlite3_prepare_v2(db->sql,
		"SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' "
		"AND tbl_name IN ('member', 'audit', 'replay', 'meta')",
		-1, &st, NULL),
	    SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(st, 0), 0);
	sqlite3_finalize(st);
}

static void
sql(const char *text)
{
	assert_int_equal(
	    sqlite3_exec(db->sql, text, NULL, NULL, NULL), SQLITE_OK);
}

static void
other(const char *text)
{
	sqlite3 *s;

	assert_int_equal(db_commit(db), 0);
	assert_int_equal(sqlite3_open(path, &s), SQLITE_OK);
	assert_int_equal(sqlite3_exec(s, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(s);
	assert_int_equal(db_begin(db), 0);
}

static void
put_out(void)
{
	assert_int_equal(db_evicted_add(db, "c_1", "i", "s", "", 1), 0);
}

static void
uninvite(void)
{
	assert_int_equal(db_invitee_delete(db, "v_1"), 0);
}

static void
conf_gone(void)
{
	assert_int_equal(db_conf_delete(db, "c_1"), 0);
}

static void
by_sql(void)
{
	sql("DELETE FROM invitee");
}

static void
by_another(void)
{
	other("DELETE FROM invitee");
}

static void
test_any_write_empties_it(void **state)
{
	static void (*const writes[])(
	    void) = { put_out, uninvite, conf_gone, by_sql, by_another };
	size_t i;

	for (i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
		ask();
		ask();
		writes[i]();
		assert_int_equal(
		    db_member_welcome(db, "c_1", &member), PERC_ERR_NOTFOUND);
		db_rollback(db);
		if (writes[i] == by_another)
			return; /* it stays */
		assert_int_equal(db_begin(db), 0);
	}
}

static void
test_keys_leave_no_trace(void **state)
{
	struct db_epoch e;

	ask();
	assert_int_equal(db_epoch_wipe(db, "c_1", 2), 0);
	assert_null(db->memo.rows); /* at once, not at the next question */
	assert_int_equal(db_epoch_find(db, &e, "c_1", 1), 0);
	assert_int_equal(e.key.len, 0);
	assert_int_equal(db_epoch_find(db, &e, "c_1", 1), 0);
	assert_int_equal(e.key.len, 0);
}

static void
test_what_comes_undone(void **state)
{
	assert_int_equal(db_mark(db), 0);
	put_out();
	assert_int_equal(
	    db_member_welcome(db, "c_1", &member), PERC_ERR_NOTFOUND);
	assert_int_equal(db_mark_undo(db), 0);
	ask();
	put_out();
	assert_int_equal(
	    db_member_welcome(db, "c_1", &member), PERC_ERR_NOTFOUND);
	db_rollback(db);
	assert_int_equal(db_begin(db), 0);
	ask();
}

/* A transaction that SQLite gave up, before its owner noticed. */
static void
test_lost_transaction(void **state)
{
	put_out();
	assert_int_equal(
	    db_member_welcome(db, "c_1", &member), PERC_ERR_NOTFOUND);
	sql("ROLLBACK");
	assert_true(db_broken(db));
	assert_int_equal(db_member_welcome(db, "c_1", &member), 0);
	db_rollback(db);
	assert_int_equal(db_begin(db), 0);
	ask();
}

static int64_t
tail(void)
{
	struct db_audit a;
	char want[32];

	assert_int_equal(db_audit_tail(db, &a), 0);
	snprintf(want, sizeof(want), "hash of %d", (int)a.seq);
	assert_string_equal(a.hash, want);
	return a.seq;
}

static void
test_tail_of_the_audit(void **state)
{
	struct db_audit a;

	assert_int_equal(db_audit_tail(db, &a), PERC_ERR_NOTFOUND);
	record_add();
	record_add();
	assert_int_equal(tail(), 2);
	assert_int_equal(db_mark(db), 0);
	record_add();
	assert_int_equal(tail(), 3);
	assert_int_equal(db_mark_undo(db), 0);
	assert_int_equal(tail(), 2);
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(db_begin(db), 0);
	record_add();
	assert_int_equal(tail(), 3);
	db_rollback(db);
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(tail(), 2);
	other("DELETE FROM audit WHERE seq = 2");
	assert_int_equal(tail(), 1);
}

/* The texts of a question do not run together, and all have an end. */
static void
test_questions_are_told_apart(void **state)
{
	char id[DB_ID_MAX], sub[2000];
	struct db_member m = member;
	struct db_conf c;
	unsigned i;

	ask();
	strcpy(m.iss, "");
	strcpy(m.sub, "is");
	put_out();
	assert_int_equal(db_member_welcome(db, "c_1", &m), 0);
	assert_int_equal(
	    db_member_welcome(db, "c_1", &member), PERC_ERR_NOTFOUND);
	assert_int_equal(db_member_welcome(db, "c_1", &m), 0);
	for (i = 0; i < DB_MEMO_ROWS + 10; i++) {
		snprintf(id, sizeof(id), "c_none%u", i);
		assert_int_equal(db_conf_known(db, &c, id), PERC_ERR_NOTFOUND);
		assert_true(db->memo.n <= DB_MEMO_ROWS);
	}
	memset(sub, 'x', sizeof(sub));
	sub[sizeof(sub) - 1] = '\0';
	i = db->memo.n;
	assert_int_equal(db_conf_known(db, &c, sub), PERC_ERR_NOTFOUND);
	assert_int_equal(db->memo.n, i); /* too long to be kept */
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, rows_open, rows_close)
	const struct CMUnitTest tests[] = {
		T(test_rows_come_back_whole),
		T(test_only_inside_of_a_transaction),
		T(test_leases_and_records_let_it_stand),
		T(test_nothing_follows_from_them),
		T(test_any_write_empties_it),
		T(test_keys_leave_no_trace),
		T(test_what_comes_undone),
		T(test_lost_transaction),
		T(test_tail_of_the_audit),
		T(test_questions_are_told_apart),
	};

	return cmocka_run_group_tests_name("memo", tests, NULL, NULL);
}
