/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forgetting in slices. An ended conference may have thousands of rows below
 * it, and a foreign key's cascade would delete them in one go while everybody
 * waits; so its rows go first, a few at a time, and the conference last.
 */
#include "db/sqlite.h"

static const struct col id_col[] = { { COL_TEXT, 0, DB_ID_MAX } };
static const struct cols id_cols = { id_col, 1, DB_ID_MAX };

/* Run, and count what went away. */
static int
slice(struct db *db, enum stmt st, unsigned *left)
{
	unsigned n;
	int r;

	if ((r = db_run(db, st)) != 0)
		return r;
	n = (unsigned)sqlite3_changes(db->sql);
	*left -= n < *left ? n : *left;
	return 0;
}

static int
ended(struct db *db, int64_t before_ms, unsigned *left)
{
	static const enum stmt below[] = { ST_PURGE_INVITEE,
		ST_PURGE_INVITATION, ST_PURGE_MEMBER, ST_PURGE_SSRC,
		ST_PURGE_EPOCH };
	char conf[DB_ID_MAX];
	size_t i;
	int r;

	while (*left > 0) {
		if ((r = db_bind(db, ST_PURGE_ENDED, "i", before_ms)) != 0)
			return r;
		r = db_one(db, ST_PURGE_ENDED, &id_cols, conf);
		if (r != 0)
			return r == PERC_ERR_NOTFOUND ? 0 : r;
		for (i = 0; i < NCOLS(below) && *left > 0; i++)
			if ((r = db_bind(db, below[i], "si", conf,
				 (int64_t)*left)) != 0 ||
			    (r = slice(db, below[i], left)) != 0)
				return r;
		if (*left == 0)
			return 0;
		if ((r = db_conf_delete(db, conf)) != 0)
			return r;
		--*left;
	}
	return 0;
}

int
db_purge(struct db *db, const struct db_purge *p, bool *more)
{
	const struct {
		enum stmt st;
		int64_t before;
	} rows[] = {
		{ ST_PURGE_REPLAY, p->now_ms / 1000 },
		{ ST_PURGE_IDEM, p->now_ms },
		{ ST_PURGE_GONE, p->gone_ms },
		{ ST_PURGE_REVOCATION, p->revoked_ms / 1000 },
	};
	unsigned left = p->rows;
	size_t i;
	int r;

	for (i = 0; i < NCOLS(rows) && left > 0; i++)
		if ((r = db_bind(db, rows[i].st, "ii", rows[i].before,
			 (int64_t)left)) != 0 ||
		    (r = slice(db, rows[i].st, &left)) != 0)
			return r;
	if ((r = ended(db, p->ended_ms, &left)) != 0)
		return r;
	*more = left == 0;
	return 0;
}
