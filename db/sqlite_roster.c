/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest roster of each conference. Its text may be half a megabyte, so
 * whether there is one is told without reading it.
 */
#include "db/sqlite.h"

#include <stdlib.h>
#include <string.h>

static const struct col roster_col[] = {
	COL(COL_I64, db_roster, seq),
	COL(COL_TEXT, db_roster, before),
	COL(COL_TEXT, db_roster, head),
	COL(COL_TEXT, db_roster, last),
	COL(COL_BOOL, db_roster, whole),
};
static const struct cols roster_cols = COLS(roster_col, db_roster);

int
db_roster_find(struct db *db, struct db_roster *o, const char *conf)
{
	int r;

	if ((r = db_bind(db, ST_ROSTER_FIND, "s", conf)) != 0)
		return r;
	return db_one(db, ST_ROSTER_FIND, &roster_cols, o);
}

int
db_roster_put(struct db *db, const struct db_roster *o, const char *conf,
    const char *text)
{
	return db_exec(db, ST_ROSTER_PUT, "sissss", conf, o->seq, o->before,
	    o->head, o->last, text);
}

int
db_roster_text(struct db *db, char **textp, const char *conf)
{
	sqlite3_stmt *st = db->st[ST_ROSTER_TEXT];
	const char *text = "";
	int rc, r;

	if ((r = db_bind(db, ST_ROSTER_TEXT, "s", conf)) != 0)
		return r;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		text = (const char *)sqlite3_column_text(st, 0);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		r = db_err(rc);
	else if (text == NULL || (*textp = strdup(text)) == NULL)
		r = PERC_ERR_NOMEM;
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return r;
}

int
db_roster_delete(struct db *db, const char *conf)
{
	return db_exec(db, ST_ROSTER_DELETE, "s", conf);
}
