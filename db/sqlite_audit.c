/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log. The text of a row is what is hashed; a few of its members
 * stand in columns too, to search by. Only the conference has an index, for
 * every row pays for it. Other questions look at a stretch of rows at a time,
 * which the caller bounds.
 */
#include "db/sqlite.h"

#include <string.h>

static const struct col audit_col[] = {
	COL(COL_I64, db_audit, seq),
	COL(COL_TEXT, db_audit, text),
	COL(COL_TEXT, db_audit, prev),
	COL(COL_TEXT, db_audit, hash),
};
static const struct cols audit_cols = COLS(audit_col, db_audit);

static const struct col checkpoint_col[] = {
	COL(COL_I64, db_checkpoint, n),
	COL(COL_I64, db_checkpoint, seq),
	COL(COL_I64, db_checkpoint, at_ms),
	COL(COL_TEXT, db_checkpoint, jws),
};
static const struct cols checkpoint_cols = COLS(checkpoint_col, db_checkpoint);

static void
tail_set(struct db *db, const struct db_audit *a)
{
	db->memo.audit_seq = a->seq;
	memcpy(db->memo.audit_hash, a->hash, sizeof(a->hash));
}

int
db_audit_add(struct db *db, const struct db_audit *a)
{
	int r;

	if ((r = db_put(db, ST_AUDIT_ADD, &audit_cols, a)) == 0)
		tail_set(db, a);
	return r;
}

int
db_audit_last(struct db *db, struct db_audit *a)
{
	return db_one(db, ST_AUDIT_LAST, &audit_cols, a);
}

int
db_audit_tail(struct db *db, struct db_audit *a)
{
	int r;

	if (db_memo_good(db) && db->memo.audit_seq != 0) {
		db->ran++;
		a->seq = db->memo.audit_seq;
		memcpy(a->hash, db->memo.audit_hash, sizeof(a->hash));
		return 0;
	}
	if ((r = db_audit_last(db, a)) == 0 && db_memo_good(db))
		tail_set(db, a);
	return r;
}

int
db_audit_list(struct db *db, struct db_audit **ap, size_t *np,
    int64_t after_seq, unsigned limit)
{
	int r;

	if ((r = db_bind(db, ST_AUDIT_LIST, "ii", after_seq, (int64_t)limit)) !=
	    0)
		return r;
	return db_many(db, ST_AUDIT_LIST, &audit_cols, ap, np);
}

int
db_audit_find(struct db *db, struct db_audit **ap, size_t *np,
    const struct db_audit_query *q)
{
	enum stmt st = q->conf[0] != '\0' ? ST_AUDIT_FIND_CONF : ST_AUDIT_FIND;
	int r;

	if ((r = db_bind(db, st, "iisssssi", q->after_seq, q->upto_seq, q->conf,
		 q->kind, q->actor, q->from, q->to, (int64_t)q->limit)) != 0)
		return r;
	return db_many(db, st, &audit_cols, ap, np);
}

int
db_checkpoint_add(struct db *db, const struct db_checkpoint *c)
{
	return db_put(db, ST_CHECKPOINT_ADD, &checkpoint_cols, c);
}

int
db_checkpoint_last(struct db *db, struct db_checkpoint *c)
{
	return db_one(db, ST_CHECKPOINT_LAST, &checkpoint_cols, c);
}

int
db_checkpoint_list(struct db *db, struct db_checkpoint **cp, size_t *np,
    int64_t after_seq, int64_t upto_seq)
{
	int r;

	if ((r = db_bind(db, ST_CHECKPOINT_LIST, "ii", after_seq, upto_seq)) !=
	    0)
		return r;
	return db_many(db, ST_CHECKPOINT_LIST, &checkpoint_cols, cp, np);
}
