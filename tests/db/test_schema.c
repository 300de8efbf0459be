/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file as it ages: an old one comes forward step by step, every statement
 * goes by an index however many rows there are, a reader holds nobody up,
 * damage is found, and what is over is forgotten in small slices.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "db/sqlite.h"
#include "tests/db/place.h"

static void
sql(const char *text)
{
	char *err = NULL;
	sqlite3 *s;

	assert_int_equal(sqlite3_open(path, &s), 0);
	if (sqlite3_exec(s, text, NULL, NULL, &err) != SQLITE_OK)
		fail_msg("%s: %s", text, err);
	sqlite3_close(s);
}

static int64_t
number(struct db *db, const char *text)
{
	sqlite3_stmt *st;
	int64_t n;

	if (sqlite3_prepare_v2(db->sql, text, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(db->sql));
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

/* The file that a KMF of version 1 left. */
static void
load_version_1(void)
{
	const char *top = getenv("top_srcdir");
	static char text[1 << 17];
	char file[512];
	size_t n;
	FILE *f;

	snprintf(
	    file, sizeof(file), "%s/tests/db/001.sql", top != NULL ? top : ".");
	f = fopen(file, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	assert_true(n > 1000 && n < sizeof(text) - 1);
	text[n] = '\0';
	fclose(f);
	sql(text);
}

static unsigned problems;
static char problem[2048]; /* all of them, a line each */

static void
on_problem(const char *line, void *arg)
{
	size_t n = strlen(problem);

	problems++;
	snprintf(problem + n, sizeof(problem) - n, "%s\n", line);
}

static unsigned
check(struct db *db)
{
	problems = 0;
	problem[0] = '\0';
	assert_int_equal(db_check(db, on_problem, NULL), 0);
	return problems;
}

/* --- steps -------------------------------------------------------------- */

static void
test_version_1_comes_forward(void **state)
{
	struct db_count n;
	struct db_meta m;
	struct db *db;

	load_version_1();
	db = open_db();
	assert_int_equal(db_version(db), db_version_newest());
	assert_int_equal(check(db), 0);
	assert_int_equal(db_count(db, &n), 0);
	assert_int_equal(n.conferences, 3);
	assert_int_equal(n.live_conferences, 1);
	assert_int_equal(n.live_members, 1);
	assert_int_equal(number(db, "SELECT count(*) FROM epoch"), n.epochs);
	assert_int_equal(db_meta_get(db, &m), 0);
	assert_int_equal(strlen(m.id), 32);
	db_close(db);
}

/* As after a stop between any two steps. */
static void
test_every_version_comes_forward(void **state)
{
	char text[128];
	int from, i;
	struct db *db;

	for (from = 1; from <= db_steps_count; from++) {
		unlink(path);
		for (i = 0; i < from; i++)
			sql(db_steps[i]);
		snprintf(text, sizeof(text),
		    "PRAGMA application_id = 1349673832;"
		    "PRAGMA user_version = %d;",
		    from);
		sql(text);
		db = open_db();
		assert_int_equal(db_version(db), db_version_newest());
		db_close(db);
	}
}

static void
test_a_step_that_fails_leaves_nothing(void **state)
{
	struct db *db = NULL;
	sqlite3 *s;
	sqlite3_stmt *st;

	load_version_1();
	sql("CREATE TABLE tally (mine)");
	assert_int_not_equal(db_open(&db, path, why, sizeof(why)), 0);
	assert_non_null(strstr(why, "table tally already exists"));
	assert_int_equal(sqlite3_open(path, &s), 0);
	assert_int_equal(sqlite3_prepare_v2(s,
			     "SELECT (SELECT count(*) FROM sqlite_schema "
			     "WHERE name = 'meta'), user_version "
			     "FROM pragma_user_version",
			     -1, &st, NULL),
	    0);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(st, 0), 0);
	assert_true(sqlite3_column_int(st, 1) < db_version_newest());
	sqlite3_finalize(st);
	sqlite3_close(s);
	sql("DROP TABLE tally");
	db_close(open_db());
}

static void
test_tables_of_somebody_else_are_told(void **state)
{
	struct db *db = NULL;

	db_close(open_db());
	sql("ALTER TABLE invitee DROP COLUMN role");
	assert_int_not_equal(db_open(&db, path, why, sizeof(why)), 0);
	assert_non_null(strstr(why, "role"));
	assert_non_null(strstr(why, "restore"));
	assert_null(db);
}

static void
test_the_file_is_kept_strictly(void **state)
{
	struct db *db = open_db();

	assert_int_equal(number(db, "PRAGMA foreign_keys"), 1);
	assert_int_equal(number(db, "PRAGMA secure_delete"), 1);
	assert_int_equal(number(db, "PRAGMA synchronous"), 2);
	assert_int_equal(
	    number(db, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"),
	    1);
	assert_int_equal(number(db,
			     "SELECT count(*) FROM pragma_table_list "
			     "WHERE schema = 'main' AND type = 'table' AND "
			     "strict = 0 AND name NOT LIKE 'sqlite\\_%' "
			     "ESCAPE '\\'"),
	    0);
	db_close(db);
}

/* --- plans -------------------------------------------------------------- */

/* Small by their nature, or an index that holds only what is wanted. */
static const char *const may_scan[] = { "SCAN json_each", "SCAN signing_key",
	"SCAN client", "SCAN sqlite_sequence", "SCAN meta",
	"SCAN conference USING INDEX conference_live",
	"SCAN conference USING COVERING INDEX conference_live",
	"SCAN member USING INDEX member_live",
	"SCAN member USING COVERING INDEX member_live", "SCAN event_floor",
	"SCAN json_each", "SCAN (subquery", "SCAN CONSTANT ROW" };

static bool
reads_all(const char *detail)
{
	size_t i;

	if (strncmp(detail, "SCAN", 4) != 0)
		return false;
	for (i = 0; i < sizeof(may_scan) / sizeof(may_scan[0]); i++)
		if (strncmp(detail, may_scan[i], strlen(may_scan[i])) == 0)
			return false;
	return true;
}

/* A page that ends by LIMIT may walk a table in its own order. */
static bool
walks_a_page(const char *text, const char *detail)
{
	return strstr(text, " LIMIT ") != NULL &&
	    strstr(text, "ORDER BY") != NULL &&
	    strstr(detail, "USING") == NULL && strstr(text, "rowid") == NULL &&
	    (strncmp(detail, "SCAN audit", 10) == 0 ||
		strncmp(detail, "SCAN event", 10) == 0 ||
		strncmp(detail, "SCAN revocation", 15) == 0);
}

static void
plan_look(struct db *db, const char *text)
{
	char explain[4096];
	const char *detail;
	sqlite3_stmt *st;

	snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s", text);
	assert_int_equal(
	    sqlite3_prepare_v2(db->sql, explain, -1, &st, NULL), SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW) {
		detail = (const char *)sqlite3_column_text(st, 3);
		if (reads_all(detail) && !walks_a_page(text, detail))
			fail_msg("%s\n%s", detail, text);
		if (strstr(detail, "USE TEMP B-TREE") != NULL &&
		    strstr(text, "FROM signing_key") == NULL &&
		    strstr(text, "conference = ?") == NULL)
			fail_msg("sorts: %s\n%s", detail, text);
	}
	sqlite3_finalize(st);
}

static void
plan_uses(struct db *db, enum stmt s, const char *index)
{
	char explain[4096], want[96];
	sqlite3_stmt *st;

	snprintf(explain, sizeof(explain), "EXPLAIN QUERY PLAN %s",
	    db_statements[s]);
	snprintf(want, sizeof(want), "USING INDEX %s (", index);
	assert_int_equal(
	    sqlite3_prepare_v2(db->sql, explain, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	if (strstr((const char *)sqlite3_column_text(st, 3), want) == NULL)
		fail_msg("%s: not by %s", sqlite3_column_text(st, 3), index);
	sqlite3_finalize(st);
}

/* With a million conferences a statement that reads them all is an outage. */
static void
test_every_statement_goes_by_an_index(void **state)
{
	struct db *db = open_db();
	int i;

	/* What is counted once, when a rewrap begins, is not asked again. */
	for (i = ST_SIGNING_KEY_ADD; i < ST_MAX; i++)
		if (strncmp(db_statements[i], "SELECT count(*) FROM ", 21) !=
			0 ||
		    strstr(db_statements[i], "WHERE") != NULL)
			plan_look(db, db_statements[i]);
	assert_true(reads_all("SCAN conference"));
	/* A filter that no index serves would walk all to fill a page. */
	plan_uses(db, ST_CONF_LIST_STATE, "conference_state");
	plan_uses(db, ST_CONF_LIST_OWNER, "conference_owner");
	plan_uses(db, ST_CONF_LIST_BOTH, "conference_owner_state");
	db_close(db);
}

/* A new sealed column is sealed anew by a rewrap, or under a conference key. */
static void
test_every_sealed_column_is_known(void **state)
{
	static const char *const under_a_conference_key[] = {
		"sealed_key FROM epoch", "sealed_delivery FROM member"
	};
	struct db *db = open_db();
	char want[128];
	sqlite3_stmt *st;
	bool known;
	size_t i;

	assert_int_equal(
	    sqlite3_prepare_v2(db->sql,
		"SELECT c.name || ' FROM ' || t.name FROM sqlite_schema t, "
		"pragma_table_info(t.name) c WHERE t.type = 'table' "
		"AND c.name LIKE 'sealed%'",
		-1, &st, NULL),
	    SQLITE_OK);
	while (sqlite3_step(st) == SQLITE_ROW) {
		snprintf(want, sizeof(want), "%s",
		    (const char *)sqlite3_column_text(st, 0));
		known = false;
		for (i = 0; i < 2; i++)
			known = known ||
			    strcmp(want, under_a_conference_key[i]) == 0;
		for (i = ST_SEALED_SIGNING_KEY; i < ST_GENERATION_PUT; i++)
			known = known ||
			    (strncmp(db_statements[i], "SELECT", 6) == 0 &&
				strstr(db_statements[i], want) != NULL);
		if (!known)
			fail_msg("%s: not in db/sqlite_sealed.c", want);
	}
	sqlite3_finalize(st);
	db_close(db);
}

/* --- readers ------------------------------------------------------------ */

static void
test_a_reader_holds_nobody_up(void **state)
{
	struct db *db = open_db(), *reader = NULL;
	struct db_meta m, seen;

	assert_int_equal(db_open_reader(&reader, path, why, sizeof(why)), 0);
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(db_meta_get(db, &m), 0);
	m.generation = 7;
	assert_int_equal(db_meta_put(db, &m), 0);
	assert_int_equal(db_meta_get(reader, &seen), 0);
	assert_int_equal(seen.generation, 0);
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(sqlite3_exec(reader->sql, "BEGIN; SELECT * FROM meta",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(db_begin(db), 0);
	m.generation = 8;
	assert_int_equal(db_meta_put(db, &m), 0);
	assert_int_equal(db_commit(db), 0);
	/* The log cannot be cut off under a reader; that is no wait. */
	assert_int_equal(db_scrub(db), PERC_ERR_STATE);
	assert_int_equal(
	    sqlite3_exec(reader->sql, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(db_scrub(db), 0);
	assert_int_equal(db_meta_get(reader, &seen), 0);
	assert_int_equal(seen.generation, 8);
	assert_int_not_equal(db_meta_put(reader, &m), 0);
	db_close(reader);
	db_close(db);
}

/* --- damage -------------------------------------------------------------- */

#define CONF(id, state)                                                        \
	"INSERT INTO conference (id, title, starts_ms, ends_ms, state, "       \
	"policy, mdd, version, created_ms, created_by, spi_start, spi_step, "  \
	"ended_ms) VALUES ('" id "', 't', 1, 2, " state                        \
	", '{}', 'm', 1, 1, 'a', 1, 1, 1000);"

static void
test_check_finds_damage(void **state)
{
	static const struct {
		const char *damage, *found;
	} cases[] = {
		{ "INSERT INTO conference_key VALUES ('c_1', x'00')",
		    "not live" },
		{ "INSERT INTO conference_key VALUES ('c_2', x'00')",
		    "reference without its row" },
		{ "INSERT INTO epoch VALUES ('c_1', 0, 1, x'00', 1)",
		    "no conference key opens" },
		{ "INSERT INTO epoch VALUES ('c_1', 5, 1, NULL, 1)",
		    "beyond the conference's newest" },
		{ "UPDATE tally SET n = 9 WHERE name = 'conference'",
		    "count of conferences: 1 stand, 9 are said" },
		{ "UPDATE conference SET state = 1", "no conference key" },
	};
	struct db *db;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unlink(path);
		db_close(open_db());
		sql(CONF("c_1", "0"));
		db = open_db();
		assert_int_equal(check(db), 0);
		db_close(db);
		sql(cases[i].damage);
		db = open_db();
		if (check(db) == 0 || strstr(problem, cases[i].found) == NULL)
			fail_msg(
			    "%s: %u, %s", cases[i].damage, problems, problem);
		db_close(db);
	}
}

/* --- forgetting ----------------------------------------------------------- */

static void
test_the_ended_are_forgotten_in_slices(void **state)
{
	struct db_purge p = { .now_ms = 5000, .ended_ms = 2000, .rows = 40 };
	struct db *db;
	bool more = true;
	int slices;

	db_close(open_db());
	sql(CONF("c_old", "2") CONF("c_new",
	    "0") "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 "
		 "FROM n WHERE i < 100) INSERT INTO invitee (id, conference, "
		 "email) "
		 "SELECT 'v_' || i, CASE WHEN i % 2 THEN 'c_old' ELSE 'c_new' "
		 "END, "
		 "'x@y' FROM n;"
		 "INSERT INTO ssrc VALUES ('c_old', 1), ('c_new', 1);"
		 "INSERT INTO epoch VALUES ('c_old', 0, 1, NULL, 1);");
	db = open_db();
	for (slices = 0; more; slices++) {
		assert_int_equal(db_begin(db), 0);
		assert_int_equal(db_purge(db, &p, &more), 0);
		assert_int_equal(db_commit(db), 0);
		assert_true(number(db, "SELECT count(*) FROM invitee") >=
		    60 - 40 * slices);
	}
	assert_int_equal(slices, 2);
	assert_int_equal(number(db, "SELECT count(*) FROM conference"), 1);
	assert_int_equal(number(db, "SELECT count(*) FROM invitee"), 50);
	assert_int_equal(number(db, "SELECT count(*) FROM ssrc"), 1);
	assert_int_equal(number(db, "SELECT count(*) FROM epoch"), 0);
	assert_int_equal(number(db, "SELECT count(*) FROM revocation"), 0);
	assert_int_equal(check(db), 0);
	db_close(db);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_version_1_comes_forward),
		T(test_every_version_comes_forward),
		T(test_a_step_that_fails_leaves_nothing),
		T(test_tables_of_somebody_else_are_told),
		T(test_the_file_is_kept_strictly),
		T(test_every_statement_goes_by_an_index),
		T(test_every_sealed_column_is_known),
		T(test_a_reader_holds_nobody_up),
		T(test_check_finds_damage),
		T(test_the_ended_are_forgotten_in_slices),
	};

	return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
