/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database by its interface: steps, versions, rows there and back,
 * transactions that come undone, and octets that must be gone.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/db.h"
#include "tests/db/place.h"

static struct db_conf
sample(const char *id)
{
	struct db_conf c = { .starts_ms = 10,
		.ends_ms = 20,
		.version = 1,
		.spi_start = 7,
		.spi_step = 3,
		.due_ms = 10 };

	snprintf(c.id, sizeof(c.id), "%s", id);
	strcpy(c.title, "Council \xc3\xa9");
	strcpy(c.policy, "{}");
	strcpy(c.mdd, "https://mdd.example");
	strcpy(c.created_by, "admin");
	return c;
}

static bool
file_has(const char *name, const void *needle, size_t n)
{
	char file[128];
	uint8_t *buf;
	size_t len;
	FILE *f;
	bool found;

	snprintf(file, sizeof(file), "%s/%s", dir, name);
	if ((f = fopen(file, "rb")) == NULL)
		return false;
	buf = malloc(8u << 20);
	assert_non_null(buf);
	len = fread(buf, 1, 8u << 20, f);
	fclose(f);
	found = memmem(buf, len, needle, n) != NULL;
	free(buf);
	return found;
}

static void
test_open_is_private_and_current(void **state)
{
	struct db *db = open_db();
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(db_version(db), db_version_newest());
	db_close(db);
	db = open_db(); /* and again: nothing left to do */
	assert_int_equal(db_version(db), db_version_newest());
	db_close(db);
}

static void
test_newer_version_is_refused_unchanged(void **state)
{
	struct db *db = open_db();
	sqlite3 *sql;
	struct stat a, b;

	db_close(db);
	db = NULL;
	assert_int_equal(sqlite3_open(path, &sql), 0);
	assert_int_equal(
	    sqlite3_exec(sql, "PRAGMA user_version = 9999", NULL, NULL, NULL),
	    0);
	sqlite3_close(sql);
	assert_int_equal(stat(path, &a), 0);
	assert_int_equal(
	    db_open(&db, path, why, sizeof(why)), PERC_ERR_UNSUPPORTED);
	assert_non_null(strstr(why, "newer"));
	assert_null(db);
	assert_int_equal(stat(path, &b), 0);
	assert_int_equal(a.st_size, b.st_size);
	assert_int_equal(a.st_mtim.tv_nsec, b.st_mtim.tv_nsec);
}

static void
test_foreign_file_is_refused(void **state)
{
	struct db *db = NULL;
	sqlite3 *sql;
	FILE *f;

	assert_int_equal(sqlite3_open(path, &sql), 0);
	assert_int_equal(
	    sqlite3_exec(sql, "CREATE TABLE t (x)", NULL, NULL, NULL), 0);
	sqlite3_close(sql);
	assert_int_equal(db_open(&db, path, why, sizeof(why)), PERC_ERR_FORMAT);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("this is not a database, whatever its name may say........\n", f);
	fclose(f);
	assert_int_equal(db_open(&db, path, why, sizeof(why)), PERC_ERR_FORMAT);
}

static void
test_second_opener_is_refused(void **state)
{
	struct db *db = open_db(), *other = NULL;

	assert_int_equal(
	    db_open(&other, path, why, sizeof(why)), PERC_ERR_STATE);
	assert_non_null(strstr(why, "another process"));
	db_close(db);
}

static void
test_rows_come_back(void **state)
{
	struct db *db = open_db();
	struct db_conf c = sample("c_one"), d, *list;
	struct db_member m = { .ssrc_audio = 0xfffffffe,
		.ssrc_video = 1,
		.state = DB_MEMBER_LIVE,
		.granted = 3,
		.lease_ms = 99 },
			 *ms;
	size_t n;

	assert_int_equal(db_begin(db), 0);
	assert_int_equal(db_conf_add(db, &c), 0);
	assert_int_equal(db_conf_add(db, &c), PERC_ERR_EXISTS);
	strcpy(m.id, "m_one");
	strcpy(m.conf, "c_one");
	strcpy(m.jkt, "k");
	m.delivery.len = 5;
	memcpy(m.delivery.data, "\0\1\2\3\4", 5);
	assert_int_equal(db_member_add(db, &m), 0);
	assert_int_equal(db_commit(db), 0);
	db_close(db);

	db = open_db();
	assert_int_equal(db_conf_find(db, &d, "c_one"), 0);
	assert_memory_equal(&c, &d, sizeof(c));
	assert_int_equal(db_conf_find(db, &d, "c_two"), PERC_ERR_NOTFOUND);
	assert_int_equal(db_conf_due(db, &list, &n, 10, 5), 0);
	assert_int_equal(n, 1);
	free(list);
	assert_int_equal(db_conf_due(db, &list, &n, 9, 5), 0);
	assert_int_equal(n, 0);
	free(list);
	assert_int_equal(db_member_granted(db, &ms, &n, "c_one", 3), 0);
	assert_int_equal(n, 1);
	assert_int_equal(ms[0].ssrc_audio, 0xfffffffe);
	assert_int_equal(ms[0].delivery.len, 5);
	assert_memory_equal(ms[0].delivery.data, "\0\1\2\3\4", 5);
	free(ms);
	db_close(db);
}

static void
test_undo_is_exact(void **state)
{
	struct db *db = open_db();
	struct db_conf a = sample("c_a"), b = sample("c_b"), x;

	assert_int_equal(db_begin(db), 0);
	assert_int_equal(db_mark(db), 0);
	assert_int_equal(db_conf_add(db, &a), 0);
	assert_int_equal(db_mark_keep(db), 0);
	assert_int_equal(db_mark(db), 0);
	assert_int_equal(db_conf_add(db, &b), 0);
	assert_int_equal(db_mark_undo(db), 0);
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(db_conf_find(db, &x, "c_a"), 0);
	assert_int_equal(db_conf_find(db, &x, "c_b"), PERC_ERR_NOTFOUND);
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(db_conf_add(db, &b), 0);
	db_rollback(db);
	assert_int_equal(db_conf_find(db, &x, "c_b"), PERC_ERR_NOTFOUND);
	db_close(db);
}

static bool
purge(struct db *db, int64_t now_ms)
{
	const struct db_purge p = { .now_ms = now_ms, .rows = 10 };
	bool more;

	assert_int_equal(db_purge(db, &p, &more), 0);
	return more;
}

static void
test_replay_once_until_purged(void **state)
{
	struct db *db = open_db();

	assert_int_equal(db_begin(db), 0);
	assert_int_equal(db_replay_add(db, "h", 100), 0);
	assert_int_equal(db_replay_add(db, "h", 200), PERC_ERR_EXISTS);
	assert_int_equal(purge(db, 100999), false);
	assert_int_equal(db_replay_add(db, "h", 200), PERC_ERR_EXISTS);
	assert_int_equal(purge(db, 101000), false);
	assert_int_equal(db_replay_add(db, "h", 200), 0);
	assert_int_equal(db_commit(db), 0);
	db_close(db);
}

/* A destroyed key is in neither file, not even sealed. */
static void
test_REQ_F_8_3c_deleted_octets_are_gone(void **state)
{
	static const char needle[] = "sealed octets of the conference key 31";
	struct db *db = open_db();
	struct db_conf c = sample("c_k");
	struct db_sealed s = { .len = sizeof(needle) };

	memcpy(s.data, needle, sizeof(needle));
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(db_conf_add(db, &c), 0);
	assert_int_equal(db_conf_key_put(db, "c_k", &s), 0);
	assert_int_equal(db_commit(db), 0);
	assert_true(file_has("perch.db", needle, sizeof(needle)) ||
	    file_has("perch.db-wal", needle, sizeof(needle)));
	assert_int_equal(db_begin(db), 0);
	assert_int_equal(db_conf_key_delete(db, "c_k"), 0);
	assert_int_equal(db_commit(db), 0);
	assert_int_equal(db_scrub(db), 0);
	assert_false(file_has("perch.db", needle, sizeof(needle)));
	assert_false(file_has("perch.db-wal", needle, sizeof(needle)));
	db_close(db);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_open_is_private_and_current),
		T(test_newer_version_is_refused_unchanged),
		T(test_foreign_file_is_refused),
		T(test_second_opener_is_refused),
		T(test_rows_come_back),
		T(test_undo_is_exact),
		T(test_replay_once_until_purged),
		T(test_REQ_F_8_3c_deleted_octets_are_gone),
	};

	return cmocka_run_group_tests_name("db", tests, NULL, NULL);
}
