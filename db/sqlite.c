/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening, steps and transactions. The keeper is the only user of its file:
 * locking_mode=EXCLUSIVE keeps the index of the log in our own memory, so
 * that the sandbox needs no shared mapping and a second keeper is refused.
 * The version is looked at before anything is changed, so that a file of a
 * newer Perch stays as it is.
 */
#include "db/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APPLICATION_ID 0x50726368 /* "Prch" */

int
db_err(int code)
{
	static const struct {
		int code, err;
	} map[] = {
		{ SQLITE_OK, 0 },
		{ SQLITE_ROW, 0 },
		{ SQLITE_DONE, 0 },
		{ SQLITE_NOMEM, PERC_ERR_NOMEM },
		{ SQLITE_CONSTRAINT, PERC_ERR_EXISTS },
		{ SQLITE_BUSY, PERC_ERR_STATE },
		{ SQLITE_LOCKED, PERC_ERR_STATE },
		{ SQLITE_NOTADB, PERC_ERR_FORMAT },
		{ SQLITE_CORRUPT, PERC_ERR_FORMAT },
		{ SQLITE_TOOBIG, PERC_ERR_LIMIT },
		{ SQLITE_MISUSE, PERC_ERR_INVAL },
		{ SQLITE_RANGE, PERC_ERR_INVAL },
	};
	size_t i;

	for (i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (map[i].code == (code & 0xff))
			return map[i].err;
	return PERC_ERR_SYS;
}

static int
pragma_get(struct db *db, const char *sql, int *value)
{
	sqlite3_stmt *st = NULL;
	int rc;

	rc = sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL);
	if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		*value = sqlite3_column_int(st, 0);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return db_err(rc);
}

static int
exec(struct db *db, const char *sql)
{
	return db_err(sqlite3_exec(db->sql, sql, NULL, NULL, NULL));
}

/* One step and its number become durable together. */
static int
step_run(struct db *db, int step)
{
	char sql[80];
	int r;

	if ((r = exec(db, "BEGIN EXCLUSIVE")) != 0)
		return r;
	snprintf(sql, sizeof(sql),
	    "PRAGMA application_id = %d; PRAGMA user_version = %d;",
	    APPLICATION_ID, step);
	if ((r = exec(db, db_steps[step - 1])) != 0 ||
	    (r = exec(db, sql)) != 0 || (r = exec(db, "COMMIT")) != 0)
		(void)exec(db, "ROLLBACK");
	return r;
}

/* Is this file ours, and not from the future? */
static int
version_check(struct db *db, const char *path, char *why, size_t cap)
{
	int app = 0, tables = 0, r;

	if ((r = pragma_get(db, "PRAGMA user_version", &db->version)) != 0 ||
	    (r = pragma_get(db, "PRAGMA application_id", &app)) != 0 ||
	    (r = pragma_get(
		 db, "SELECT count(*) FROM sqlite_schema", &tables)) != 0) {
		snprintf(why, cap, "%s: %s", path,
		    r == PERC_ERR_STATE
			? "another process has the database open; stop it"
			: sqlite3_errmsg(db->sql));
		return r;
	}
	if (tables != 0 && app != APPLICATION_ID) {
		snprintf(why, cap, "%s: not a database of Perch", path);
		return PERC_ERR_FORMAT;
	}
	if (db->version > db_steps_count) {
		snprintf(why, cap,
		    "%s: version %d of the database is newer than this "
		    "program's (%d); install the newer perch-kmf again",
		    path, db->version, db_steps_count);
		return PERC_ERR_UNSUPPORTED;
	}
	return 0;
}

static int
migrate(struct db *db)
{
	int r;

	/* Log and deleted rows leave nothing readable behind. */
	if ((r = exec(db,
		 "PRAGMA journal_mode = WAL;"
		 "PRAGMA synchronous = FULL;"
		 "PRAGMA foreign_keys = ON;"
		 "PRAGMA secure_delete = ON;"
		 "PRAGMA trusted_schema = OFF;"
		 "PRAGMA temp_store = MEMORY;")) != 0)
		return r;
	for (; db->version < db_steps_count; db->version++)
		if ((r = step_run(db, db->version + 1)) != 0)
			return r;
	return 0;
}

static int
prepare(struct db *db)
{
	int i, rc;

	for (i = 0; i < ST_MAX; i++) {
		rc = sqlite3_prepare_v3(db->sql, db_statements[i], -1,
		    SQLITE_PREPARE_PERSISTENT, &db->st[i], NULL);
		if (rc != SQLITE_OK)
			return db_err(rc);
	}
	return 0;
}

/* Born private: SQLite would make the file by the umask alone, and gives the
 * log the file's mode. */
static int
file_make(const char *path)
{
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return PERC_ERR_SYS;
	close(fd);
	return 0;
}

int
db_open(struct db **dbp, const char *path, char *why, size_t cap)
{
	struct db *db = NULL;
	int r, rc;

	if (file_make(path) != 0) {
		snprintf(why, cap, "%s: %s", path, strerror(errno));
		return PERC_ERR_SYS;
	}
	if ((db = calloc(1, sizeof(*db))) == NULL)
		return PERC_ERR_NOMEM;
	rc = sqlite3_open_v2(
	    path, &db->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
	r = db_err(rc);
	if (r == 0)
		r = exec(db, "PRAGMA locking_mode = EXCLUSIVE");
	if (r == 0 && (r = version_check(db, path, why, cap)) != 0)
		goto out;
	if (r == 0)
		r = migrate(db);
	if (r == 0)
		r = prepare(db);
	if (r != 0) {
		snprintf(why, cap, "%s: %s", path,
		    db->sql != NULL ? sqlite3_errmsg(db->sql)
				    : perc_strerror(r));
		goto out;
	}
	*dbp = db;
	db = NULL;
out:
	db_close(db);
	return r;
}

void
db_close(struct db *db)
{
	int i;

	if (db == NULL)
		return;
	for (i = 0; i < ST_MAX; i++)
		sqlite3_finalize(db->st[i]);
	sqlite3_close(db->sql);
	free(db);
}

int
db_version(const struct db *db)
{
	return db->version;
}

int
db_version_newest(void)
{
	return db_steps_count;
}

int
db_begin(struct db *db)
{
	int r;

	if ((r = db_run(db, ST_BEGIN)) == 0)
		db->begun = true;
	return r;
}

int
db_commit(struct db *db)
{
	int r;

	if (db_broken(db))
		return PERC_ERR_SYS;
	if ((r = db_run(db, ST_COMMIT)) == 0)
		db->begun = false;
	return r;
}

void
db_rollback(struct db *db)
{
	db->begun = false;
	if (sqlite3_get_autocommit(db->sql) == 0 &&
	    db_run(db, ST_ROLLBACK) != 0)
		return; /* nothing is left to roll back */
}

bool
db_in_transaction(const struct db *db)
{
	return db->begun;
}

bool
db_broken(const struct db *db)
{
	return db->begun && sqlite3_get_autocommit(db->sql) != 0;
}

int
db_mark(struct db *db)
{
	return db_run(db, ST_MARK);
}

int
db_mark_keep(struct db *db)
{
	return db_run(db, ST_MARK_KEEP);
}

int
db_mark_undo(struct db *db)
{
	int r;

	if ((r = db_run(db, ST_MARK_UNDO)) != 0)
		return r;
	return db_run(db, ST_MARK_KEEP);
}

int
db_scrub(struct db *db)
{
	return db_err(sqlite3_wal_checkpoint_v2(
	    db->sql, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL));
}
