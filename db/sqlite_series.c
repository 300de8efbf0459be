/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Series: the rule, what it leaves out, and whom its occurrences invite.
 */
#include "db/sqlite.h"

static const struct col series_col[] = {
	COL(COL_I64, db_series, no),
	COL(COL_TEXT, db_series, id),
	COL(COL_TEXT, db_series, title),
	COL(COL_I64, db_series, starts_ms),
	COL(COL_I64, db_series, ends_ms),
	COL(COL_TEXT, db_series, tzid),
	COL(COL_TEXT, db_series, rrule),
	COL(COL_TEXT, db_series, policy),
	COL(COL_INT, db_series, state),
	COL(COL_I64, db_series, version),
	COL(COL_I64, db_series, created_ms),
	COL(COL_TEXT, db_series, created_by),
	COL(COL_I64, db_series, due_ms),
};
static const struct cols series_cols = COLS(series_col, db_series);

struct number {
	int64_t n;
};
static const struct col number_col[] = { COL(COL_I64, number, n) };
static const struct cols number_cols = COLS(number_col, number);

int
db_series_add(struct db *db, struct db_series *s)
{
	int r;

	if ((r = db_bind_row(db, ST_SERIES_ADD, &series_cols, s)) != 0)
		return r;
	sqlite3_bind_null(db->st[ST_SERIES_ADD], 1); /* the next number */
	if ((r = db_run(db, ST_SERIES_ADD)) == 0)
		s->no = sqlite3_last_insert_rowid(db->sql);
	return r;
}

int
db_series_put(struct db *db, const struct db_series *s)
{
	return db_put(db, ST_SERIES_PUT, &series_cols, s);
}

int
db_series_find(struct db *db, struct db_series *s, const char *id)
{
	int r;

	if ((r = db_bind(db, ST_SERIES_FIND, "s", id)) != 0)
		return r;
	return db_one(db, ST_SERIES_FIND, &series_cols, s);
}

int
db_series_delete(struct db *db, const char *id)
{
	return db_exec(db, ST_SERIES_DELETE, "s", id);
}

int
db_series_list(struct db *db, struct db_series **sp, size_t *np,
    const char *client, int64_t after_no, unsigned limit)
{
	int r;

	if ((r = db_bind(db, ST_SERIES_LIST, "sii", client, after_no,
		 (int64_t)limit)) != 0)
		return r;
	return db_many(db, ST_SERIES_LIST, &series_cols, sp, np);
}

int
db_series_due(struct db *db, struct db_series **sp, size_t *np, int64_t now_ms,
    unsigned limit)
{
	int r;

	if ((r = db_bind(db, ST_SERIES_DUE, "ii", now_ms, (int64_t)limit)) != 0)
		return r;
	return db_many(db, ST_SERIES_DUE, &series_cols, sp, np);
}

int
db_exdate_add(struct db *db, const char *series, int64_t at_ms)
{
	return db_exec(db, ST_EXDATE_ADD, "si", series, at_ms);
}

int
db_exdate_clear(struct db *db, const char *series)
{
	return db_exec(db, ST_EXDATE_CLEAR, "s", series);
}

int
db_exdate_list(struct db *db, int64_t **ap, size_t *np, const char *series)
{
	int r;

	if ((r = db_bind(db, ST_EXDATE_LIST, "s", series)) != 0)
		return r;
	return db_many(db, ST_EXDATE_LIST, &number_cols, ap, np);
}
