/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals that are counted before they are told.
 */
#include "db/sqlite.h"

static const struct col refusal_col[] = {
	COL(COL_TEXT, db_refusal, iss),
	COL(COL_TEXT, db_refusal, actor),
	COL(COL_TEXT, db_refusal, conf),
	COL(COL_TEXT, db_refusal, code),
	COL(COL_I64, db_refusal, status),
	COL(COL_I64, db_refusal, noted_ms),
	COL(COL_I64, db_refusal, count),
	COL(COL_I64, db_refusal, first_ms),
	COL(COL_I64, db_refusal, last_ms),
};
static const struct cols refusal_cols = COLS(refusal_col, db_refusal);

struct number {
	int64_t n;
};
static const struct col number_col[] = { COL(COL_I64, number, n) };
static const struct cols number_cols = COLS(number_col, number);

int
db_refusal_find(struct db *db, struct db_refusal *f)
{
	int r;

	if ((r = db_bind(db, ST_REFUSAL_FIND, "ssss", f->iss, f->actor, f->conf,
		 f->code)) != 0)
		return r;
	return db_one(db, ST_REFUSAL_FIND, &refusal_cols, f);
}

int
db_refusal_put(struct db *db, const struct db_refusal *f)
{
	return db_put(db, ST_REFUSAL_PUT, &refusal_cols, f);
}

int
db_refusal_delete(struct db *db, const struct db_refusal *f)
{
	return db_exec(
	    db, ST_REFUSAL_DELETE, "ssss", f->iss, f->actor, f->conf, f->code);
}

int
db_refusal_places(struct db *db, int64_t *np, const struct db_refusal *f)
{
	struct number n;
	int r;

	if ((r = db_bind(db, ST_REFUSAL_PLACES, "ss", f->iss, f->actor)) != 0 ||
	    (r = db_one(db, ST_REFUSAL_PLACES, &number_cols, &n)) != 0)
		return r;
	*np = n.n;
	return 0;
}

int
db_refusal_due(struct db *db, struct db_refusal **fp, size_t *np,
    int64_t before_ms, unsigned limit)
{
	int r;

	if ((r = db_bind(
		 db, ST_REFUSAL_DUE, "ii", before_ms, (int64_t)limit)) != 0)
		return r;
	return db_many(db, ST_REFUSAL_DUE, &refusal_cols, fp, np);
}
