/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mail that waits to be sent, and what became of it. What it says and a
 * guest's code go when it is over; the row stays, to tell.
 */
#include "db/sqlite.h"

#include <stdlib.h>
#include <string.h>

static const struct col mail_col[] = {
	COL(COL_I64, db_mail, no),
	COL(COL_TEXT, db_mail, id),
	COL(COL_TEXT, db_mail, about),
	COL(COL_TEXT, db_mail, address),
	COL(COL_SEALED, db_mail, code),
	COL(COL_INT, db_mail, state),
	COL(COL_I64, db_mail, tries),
	COL(COL_I64, db_mail, at_ms),
	COL(COL_I64, db_mail, due_ms),
	COL(COL_I64, db_mail, until_ms),
	COL(COL_TEXT, db_mail, why),
	COL(COL_TEXT, db_mail, place),
	COL(COL_TEXT, db_mail, name),
	COL(COL_TEXT, db_mail, kind),
	COL(COL_TEXT, db_mail, role),
};
static const struct cols mail_cols = COLS(mail_col, db_mail);

int
db_mail_add(struct db *db, const struct db_mail *m, int64_t sheet)
{
	int r;

	if ((r = db_bind_row(db, ST_MAIL_ADD, &mail_cols, m)) != 0)
		return r;
	sqlite3_bind_null(db->st[ST_MAIL_ADD], 1); /* the next number */
	sqlite3_bind_int64(db->st[ST_MAIL_ADD], (int)mail_cols.n + 1, sheet);
	return db_run(db, ST_MAIL_ADD);
}

int
db_mail_due(
    struct db *db, struct db_mail **mp, size_t *np, int64_t now_ms, unsigned n)
{
	int r;

	if ((r = db_bind(db, ST_MAIL_DUE, "ii", now_ms, (int64_t)n)) != 0)
		return r;
	return db_many(db, ST_MAIL_DUE, &mail_cols, mp, np);
}

int
db_mail_next(struct db *db, struct db_mail *m)
{
	return db_one(db, ST_MAIL_NEXT, &mail_cols, m);
}

int
db_mail_find(struct db *db, struct db_mail *m, int64_t no)
{
	int r;

	if ((r = db_bind(db, ST_MAIL_FIND, "i", no)) != 0)
		return r;
	return db_one(db, ST_MAIL_FIND, &mail_cols, m);
}

int
db_mail_last(struct db *db, struct db_mail *m, const char *about)
{
	int r;

	if ((r = db_bind(db, ST_MAIL_LAST, "s", about)) != 0)
		return r;
	return db_one(db, ST_MAIL_LAST, &mail_cols, m);
}

int
db_mail_put(struct db *db, const struct db_mail *m)
{
	return db_put(db, ST_MAIL_PUT, &mail_cols, m);
}

int
db_mail_event(struct db *db, char **textp, int64_t no)
{
	sqlite3_stmt *st = db->st[ST_MAIL_EVENT];
	const unsigned char *text;
	int rc, r;

	if ((r = db_bind(db, ST_MAIL_EVENT, "i", no)) != 0)
		return r;
	rc = sqlite3_step(st);
	r = rc == SQLITE_ROW || rc == SQLITE_DONE ? PERC_ERR_NOTFOUND
						  : db_err(rc);
	if (rc == SQLITE_ROW && (text = sqlite3_column_text(st, 0)) != NULL)
		r = (*textp = strdup((const char *)text)) != NULL
		    ? 0
		    : PERC_ERR_NOMEM;
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return r;
}

int
db_mail_drop(struct db *db, const char *about)
{
	return db_exec(db, ST_MAIL_DROP, "s", about);
}

int
db_mail_hurry(struct db *db, int64_t now_ms)
{
	return db_exec(db, ST_MAIL_HURRY, "i", now_ms);
}

int
db_mail_purge(struct db *db, int64_t before_ms)
{
	return db_exec(db, ST_MAIL_PURGE, "i", before_ms);
}

int
db_sheet_add(struct db *db, int64_t *no, const char *event)
{
	int r;

	if ((r = db_exec(db, ST_SHEET_ADD, "s", event)) == 0)
		*no = sqlite3_last_insert_rowid(db->sql);
	return r;
}
