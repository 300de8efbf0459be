/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events for machines that follow, and how far each webhook has come. An
 * event's number is that of its audit row, so the two can be held side by
 * side; what is forgotten here is still there.
 */
#include "db/sqlite.h"

static const struct col event_col[] = {
	COL(COL_I64, db_event, seq),
	COL(COL_TEXT, db_event, mark),
	COL(COL_I64, db_event, at_ms),
	COL(COL_TEXT, db_event, type),
	COL(COL_TEXT, db_event, conf),
	COL(COL_TEXT, db_event, data),
};
static const struct cols event_cols = COLS(event_col, db_event);

static const struct col hook_col[] = {
	COL(COL_TEXT, db_hook, name),
	COL(COL_I64, db_hook, cursor),
	COL(COL_I64, db_hook, tries),
	COL(COL_I64, db_hook, failing_ms),
	COL(COL_I64, db_hook, next_ms),
	COL(COL_I64, db_hook, ok_ms),
	COL(COL_I64, db_hook, delivered),
	COL(COL_I64, db_hook, dead),
	COL(COL_TEXT, db_hook, why),
};
static const struct cols hook_cols = COLS(hook_col, db_hook);

static const struct col dead_col[] = {
	COL(COL_TEXT, db_dead, hook),
	COL(COL_I64, db_dead, dead_ms),
	COL(COL_TEXT, db_dead, why),
	COL(COL_I64, db_dead, e.seq),
	COL(COL_TEXT, db_dead, e.mark),
	COL(COL_I64, db_dead, e.at_ms),
	COL(COL_TEXT, db_dead, e.type),
	COL(COL_TEXT, db_dead, e.conf),
	COL(COL_TEXT, db_dead, e.data),
};
static const struct cols dead_cols = COLS(dead_col, db_dead);

struct number {
	int64_t v;
};
static const struct col number_col[] = { COL(COL_I64, number, v) };
static const struct cols number_cols = COLS(number_col, number);

int
db_event_add(struct db *db, const struct db_event *e)
{
	return db_put(db, ST_EVENT_ADD, &event_cols, e);
}

int
db_event_find(struct db *db, struct db_event *e, int64_t seq)
{
	int r;

	if ((r = db_bind(db, ST_EVENT_FIND, "i", seq)) != 0)
		return r;
	return db_one(db, ST_EVENT_FIND, &event_cols, e);
}

int
db_event_list(struct db *db, struct db_event **ep, size_t *np, int64_t after,
    const char *owner, const char *conf, unsigned limit)
{
	enum stmt st = ST_EVENT_LIST;
	int r;

	if (conf[0] != '\0') {
		st = ST_EVENT_LIST_CONF;
		r = db_bind(db, st, "ssii", conf, owner, after, (int64_t)limit);
	} else if (owner[0] != '\0') {
		st = ST_EVENT_LIST_OWNER;
		r = db_bind(db, st, "sii", owner, after, (int64_t)limit);
	} else
		r = db_bind(db, st, "ii", after, (int64_t)limit);
	return r != 0 ? r : db_many(db, st, &event_cols, ep, np);
}

int
db_event_last(struct db *db, struct db_event *e)
{
	return db_one(db, ST_EVENT_LAST, &event_cols, e);
}

int
db_event_floor(struct db *db, int64_t *floor)
{
	struct number n = { 0 };
	int r;

	if ((r = db_one(db, ST_EVENT_FLOOR, &number_cols, &n)) == 0)
		*floor = n.v;
	return r;
}

int
db_event_purge(struct db *db, int64_t before_ms, int64_t keep_after)
{
	int r;

	if ((r = db_exec(db, ST_EVENT_RAISE, "ii", before_ms, keep_after)) != 0)
		return r;
	return db_exec(db, ST_EVENT_PURGE, "");
}

int
db_hook_put(struct db *db, const struct db_hook *h)
{
	return db_put(db, ST_HOOK_PUT, &hook_cols, h);
}

int
db_hook_find(struct db *db, struct db_hook *h, const char *name)
{
	int r;

	if ((r = db_bind(db, ST_HOOK_FIND, "s", name)) != 0)
		return r;
	return db_one(db, ST_HOOK_FIND, &hook_cols, h);
}

int
db_dead_add(struct db *db, const struct db_dead *d)
{
	return db_put(db, ST_DEAD_ADD, &dead_cols, d);
}

int
db_dead_list(struct db *db, struct db_dead **dp, size_t *np, const char *hook,
    int64_t after, unsigned limit)
{
	int r;

	if ((r = db_bind(
		 db, ST_DEAD_LIST, "sii", hook, after, (int64_t)limit)) != 0)
		return r;
	return db_many(db, ST_DEAD_LIST, &dead_cols, dp, np);
}

int
db_dead_purge(struct db *db, int64_t before_ms)
{
	return db_exec(db, ST_DEAD_PURGE, "i", before_ms);
}

int
db_dead_again(
    struct db *db, const char *hook, int64_t seq, int64_t now_ms, unsigned *n)
{
	int r;

	if ((r = db_exec(db, ST_DEAD_AGAIN, "sii", hook, seq, now_ms)) == 0)
		*n = (unsigned)sqlite3_changes(db->sql);
	return r;
}

int
db_dead_next(struct db *db, struct db_dead *d, const char *hook)
{
	int r;

	if ((r = db_bind(db, ST_DEAD_NEXT, "s", hook)) != 0)
		return r;
	return db_one(db, ST_DEAD_NEXT, &dead_cols, d);
}

int
db_dead_calm(struct db *db, const char *hook, const char *why)
{
	return db_exec(db, ST_DEAD_CALM, "ss", hook, why);
}

int
db_dead_delete(struct db *db, const char *hook, int64_t seq)
{
	return db_exec(db, ST_DEAD_DELETE, "si", hook, seq);
}
