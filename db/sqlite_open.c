/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and steps. One process may write, the keeper: it holds a lock on a
 * file of its own ("-lock"), for SQLite's locks come and go with each
 * transaction. Others may read beside it, which is how backup and check-db
 * work while it runs. The version is looked at before anything is changed, so
 * that a file of a newer Perch stays as it is.
 */
#include "db/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUSY_MS 2000 /* a reader may be ending */

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
step_run(struct db *db, int step, const char *path, char *why, size_t cap)
{
	char sql[80];
	int r;

	snprintf(why, cap, "%s: step %d: cannot begin", path, step);
	if ((r = exec(db, "BEGIN EXCLUSIVE")) != 0)
		return r;
	snprintf(sql, sizeof(sql),
	    "PRAGMA application_id = %d; PRAGMA user_version = %d;",
	    DB_APPLICATION_ID, step);
	if ((r = exec(db, db_steps[step - 1])) != 0 ||
	    (r = exec(db, sql)) != 0 || (r = exec(db, "COMMIT")) != 0) {
		snprintf(why, cap, "%s: step %d: %s", path, step,
		    sqlite3_errmsg(db->sql));
		(void)exec(db, "ROLLBACK");
	}
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
		snprintf(why, cap, "%s: %s", path, sqlite3_errmsg(db->sql));
		return r;
	}
	if (tables != 0 && app != DB_APPLICATION_ID) {
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
pragmas(struct db *db)
{
	/* Log and deleted rows leave nothing readable behind. */
	return exec(db,
	    "PRAGMA journal_mode = WAL;"
	    "PRAGMA synchronous = FULL;"
	    "PRAGMA foreign_keys = ON;"
	    "PRAGMA secure_delete = ON;"
	    "PRAGMA trusted_schema = OFF;"
	    "PRAGMA temp_store = MEMORY;");
}

static int
migrate(struct db *db, const char *path, char *why, size_t cap)
{
	int r;

	for (; db->version < db_steps_count; db->version++)
		if ((r = step_run(db, db->version + 1, path, why, cap)) != 0)
			return r;
	return 0;
}

/* A typo in our SQL, or a table that somebody changed, ends it here. */
static int
prepare(struct db *db, const char *path, char *why, size_t cap)
{
	int i, rc;

	for (i = 0; i < ST_MAX; i++) {
		rc = sqlite3_prepare_v3(db->sql, db_statements[i], -1,
		    SQLITE_PREPARE_PERSISTENT, &db->st[i], NULL);
		if (rc == SQLITE_OK)
			continue;
		snprintf(why, cap,
		    "%s: its tables are not those of version %d (%s); restore "
		    "a backup with perch-kmf restore",
		    path, db->version, sqlite3_errmsg(db->sql));
		return db_err(rc);
	}
	return 0;
}

/* Born private: SQLite would make the file by the umask alone, and gives the
 * log the file's mode. */
static int
file_make(const char *path, int *fdp)
{
	int fd;

	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return PERC_ERR_SYS;
	if (fdp != NULL)
		*fdp = fd;
	else
		close(fd);
	return 0;
}

/* What root did for once must not keep the keeper's user out. */
static void
give_to_owner(int fd, const char *path)
{
	struct stat st;

	if (geteuid() == 0 && stat(path, &st) == 0 && st.st_uid != 0)
		(void)!fchown(fd, st.st_uid, st.st_gid);
}

/* Does the name still mean what fd locks? Who closes removes the file. */
static bool
lock_stands(int fd, const char *name)
{
	struct stat a, b;

	return fstat(fd, &a) == 0 && stat(name, &b) == 0 &&
	    a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

int
db_lock(int *fdp, const char *path, char *why, size_t cap)
{
	char lock[4096];
	int tries, busy = 0;

	if ((size_t)snprintf(lock, sizeof(lock), "%s-lock", path) >=
	    sizeof(lock))
		return PERC_ERR_LIMIT;
	for (tries = 0; !busy && tries < 100; tries++) {
		if (file_make(lock, fdp) != 0) {
			snprintf(why, cap, "%s: %s", lock, strerror(errno));
			return PERC_ERR_SYS;
		}
		give_to_owner(*fdp, path);
		busy = flock(*fdp, LOCK_EX | LOCK_NB) != 0;
		if (!busy && lock_stands(*fdp, lock))
			return 0;
		close(*fdp);
		*fdp = -1;
	}
	snprintf(why, cap, "%s: another process has the database open; stop it",
	    path);
	return PERC_ERR_STATE;
}

void
db_unlock(int fd, const char *path)
{
	char lock[4096];

	if (fd < 0)
		return;
	if ((size_t)snprintf(lock, sizeof(lock), "%s-lock", path) <
		sizeof(lock) &&
	    lock_stands(fd, lock))
		(void)unlink(lock); /* a cage may forbid it: it may stay */
	close(fd);
}

/* What is common to both ways of opening; *why is filled. */
static int
connect(struct db *db, const char *path, int flags, char *why, size_t cap)
{
	int r;

	r = db_err(
	    sqlite3_open_v2(path, &db->sql, flags | SQLITE_OPEN_NOMUTEX, NULL));
	/* A plan must not hang on what is bound: SQLite would make some anew,
	 * SQL text and all, each time that they run. */
	if (r == 0)
		r = db_err(sqlite3_db_config(
		    db->sql, SQLITE_DBCONFIG_ENABLE_QPSG, 1, NULL));
	if (r == 0)
		r = db_err(sqlite3_busy_timeout(db->sql, BUSY_MS));
	if (r == 0)
		return version_check(db, path, why, cap);
	snprintf(why, cap, "%s: %s", path,
	    db->sql != NULL ? sqlite3_errmsg(db->sql) : perc_strerror(r));
	return r;
}

int
db_open(struct db **dbp, const char *path, char *why, size_t cap)
{
	struct db *db = NULL;
	int r = PERC_ERR_NOMEM;

	if ((db = calloc(1, sizeof(*db))) == NULL)
		return PERC_ERR_NOMEM;
	db->lock = -1;
	if ((db->path = strdup(path)) == NULL ||
	    (r = db_lock(&db->lock, path, why, cap)) != 0) {
		free(db->path);
		free(db);
		return r;
	}
	r = PERC_ERR_SYS;
	if (file_make(path, NULL) != 0) {
		snprintf(why, cap, "%s: %s", path, strerror(errno));
		goto out;
	}
	if ((r = connect(db, path, SQLITE_OPEN_READWRITE, why, cap)) != 0)
		goto out;
	if ((r = pragmas(db)) != 0) {
		snprintf(why, cap, "%s: %s", path, sqlite3_errmsg(db->sql));
		goto out;
	}
	if ((r = migrate(db, path, why, cap)) != 0 ||
	    (r = prepare(db, path, why, cap)) != 0)
		goto out;
	/* From here on nobody else writes: waiting would only hold up those
	 * who wait for us, behind a reader that keeps the log from shrinking.
	 */
	r = db_err(sqlite3_busy_timeout(db->sql, 0));
	*dbp = db;
	db = NULL;
out:
	db_close(db);
	return r;
}

int
db_open_reader(struct db **dbp, const char *path, char *why, size_t cap)
{
	struct db *db = NULL;
	int r;

	if ((db = calloc(1, sizeof(*db))) == NULL)
		return PERC_ERR_NOMEM;
	db->lock = -1;
	if ((r = connect(db, path, SQLITE_OPEN_READONLY, why, cap)) != 0)
		goto out;
	if (db->version != db_steps_count) {
		snprintf(why, cap,
		    "%s: is of version %d, this program of %d; start it once "
		    "with perch-kmf serve",
		    path, db->version, db_steps_count);
		r = PERC_ERR_UNSUPPORTED;
		goto out;
	}
	if ((r = exec(db, "PRAGMA trusted_schema = OFF")) != 0 ||
	    (r = prepare(db, path, why, cap)) != 0)
		goto out;
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
	if (db->sql != NULL)
		db_memo_clear(db);
	for (i = 0; i < ST_MAX; i++)
		sqlite3_finalize(db->st[i]);
	sqlite3_close(db->sql);
	db_unlock(db->lock, db->path);
	free(db->path);
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
