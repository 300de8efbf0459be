/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every column that the root key seals, in one list: what a rewrap must seal
 * anew. A test holds the list against the schema, so that a new column is
 * not forgotten. Rows are walked by their key, a page at a time.
 */
#include "db/sqlite.h"

static const struct col row_col[] = {
	COL(COL_TEXT, db_sealed_row, key),
	COL(COL_TEXT, db_sealed_row, key2),
	COL(COL_TEXT, db_sealed_row, aad),
	COL(COL_HEAP, db_sealed_row, sealed),
};
static const struct cols row_cols = COLS(row_col, db_sealed_row);

static const struct {
	enum stmt page, put, count;
} tables[] = {
	{ ST_SEALED_SIGNING_KEY, ST_RESEAL_SIGNING_KEY, ST_COUNT_SIGNING_KEY },
	{ ST_SEALED_CONF_KEY, ST_RESEAL_CONF_KEY, ST_COUNT_CONF_KEY },
	{ ST_SEALED_IDEM, ST_RESEAL_IDEM, ST_COUNT_IDEM },
	{ ST_SEALED_MAIL, ST_RESEAL_MAIL, ST_COUNT_MAIL },
};

unsigned
db_sealed_tables(void)
{
	return NCOLS(tables);
}

int
db_sealed_page(struct db *db, unsigned table, struct db_sealed_row **rp,
    size_t *np, const char *key, const char *key2, unsigned limit)
{
	enum stmt st = tables[table].page;
	int r;

	if ((r = db_bind(db, st, "ssi", key, key2, (int64_t)limit)) != 0)
		return r;
	return db_many(db, st, &row_cols, rp, np);
}

int
db_sealed_put(struct db *db, unsigned table, const struct db_sealed_row *row)
{
	enum stmt st = tables[table].put;
	int r;

	if ((r = db_bind(db, st, "ss", row->key, row->key2)) != 0)
		return r;
	if (sqlite3_bind_blob(db->st[st], 3, row->sealed.data,
		(int)row->sealed.len, SQLITE_STATIC) != SQLITE_OK)
		return PERC_ERR_NOMEM;
	return db_run(db, st);
}

int
db_sealed_count(struct db *db, int64_t *n)
{
	static const struct col col[] = { { COL_I64, 0, sizeof(int64_t) } };
	static const struct cols cols = { col, 1, sizeof(int64_t) };
	int64_t one = 0;
	size_t i;
	int r;

	*n = 0;
	for (i = 0; i < NCOLS(tables); i++) {
		if ((r = db_one(db, tables[i].count, &cols, &one)) != 0)
			return r;
		*n += one;
	}
	return 0;
}
