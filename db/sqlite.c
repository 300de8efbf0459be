/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Result codes and transactions. SQLite ends a transaction by itself when the
 * disk fails under it; db_broken() is how a caller hears of that before it
 * believes that anything it wrote still stands.
 */
#include "db/sqlite.h"

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

uint64_t
db_statements_run(const struct db *db)
{
	return db->ran;
}

int
db_begin(struct db *db)
{
	int r;

	if ((r = db_run(db, ST_BEGIN)) != 0)
		return r;
	db->begun = true;
	db->changes = sqlite3_total_changes64(db->sql);
	if ((r = db_memo_begin(db)) != 0)
		db_rollback(db);
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
	db_memo_clear(db);
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

bool
db_changed(const struct db *db)
{
	return sqlite3_total_changes64(db->sql) != db->changes;
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

	db_memo_clear(db);
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
