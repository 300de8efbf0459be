/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conferences, their keys, and who is invited to them.
 */
#include "db/sqlite.h"

#include <stdlib.h>
#include <string.h>

static const struct col conf_col[] = {
	COL(COL_I64, db_conf, no),
	COL(COL_TEXT, db_conf, id),
	COL(COL_TEXT, db_conf, title),
	COL(COL_I64, db_conf, starts_ms),
	COL(COL_I64, db_conf, ends_ms),
	COL(COL_INT, db_conf, state),
	COL(COL_TEXT, db_conf, policy),
	COL(COL_TEXT, db_conf, mdd),
	COL(COL_I64, db_conf, version),
	COL(COL_I64, db_conf, created_ms),
	COL(COL_TEXT, db_conf, created_by),
	COL(COL_I64, db_conf, ended_ms),
	COL(COL_I64, db_conf, epoch),
	COL(COL_I64, db_conf, spi_start),
	COL(COL_I64, db_conf, spi_step),
	COL(COL_I64, db_conf, epoch_ms),
	COL(COL_I64, db_conf, rekey_ms),
	COL(COL_I64, db_conf, roster_ms),
	COL(COL_I64, db_conf, due_ms),
	COL(COL_I64, db_conf, event_no),
	COL(COL_I64, db_conf, roster_seq),
	COL(COL_TEXT, db_conf, tzid),
	COL(COL_TEXT, db_conf, series),
	COL(COL_I64, db_conf, recur_ms),
	COL(COL_BOOL, db_conf, exception),
	COL(COL_I64, db_conf, locked_ms),
	COL(COL_BOOL, db_conf, cancelled),
};
static const struct cols conf_cols = COLS(conf_col, db_conf);

static const struct col invitee_col[] = {
	COL(COL_TEXT, db_invitee, id),
	COL(COL_TEXT, db_invitee, email),
	COL(COL_TEXT, db_invitee, iss),
	COL(COL_TEXT, db_invitee, sub),
	COL(COL_TEXT, db_invitee, group),
	COL(COL_TEXT, db_invitee, domain),
	COL(COL_TEXT, db_invitee, role),
	COL(COL_TEXT, db_invitee, kind),
};
static const struct cols invitee_cols = COLS(invitee_col, db_invitee);

static const struct col inv_col[] = {
	COL(COL_TEXT, db_inv, id),
	COL(COL_TEXT, db_inv, conf),
	COL(COL_TEXT, db_inv, code_hash),
	COL(COL_TEXT, db_inv, email),
	COL(COL_TEXT, db_inv, name),
	COL(COL_TEXT, db_inv, kind),
	COL(COL_TEXT, db_inv, jkt),
	COL(COL_INT, db_inv, state),
	COL(COL_I64, db_inv, created_ms),
	COL(COL_TEXT, db_inv, role),
	COL(COL_I64, db_inv, expires_ms),
};
static const struct cols inv_cols = COLS(inv_col, db_inv);

static const struct col sealed_col[] = {
	{ COL_SEALED, 0, sizeof(struct db_sealed) },
};
static const struct cols sealed_cols = COLS(sealed_col, db_sealed);

struct number {
	int64_t n;
};
static const struct col number_col[] = { COL(COL_I64, number, n) };
static const struct cols number_cols = COLS(number_col, number);

int
db_conf_add(struct db *db, struct db_conf *c)
{
	int r;

	if ((r = db_bind_row(db, ST_CONF_ADD, &conf_cols, c)) != 0)
		return r;
	sqlite3_bind_null(db->st[ST_CONF_ADD], 1); /* the next number */
	if ((r = db_run(db, ST_CONF_ADD)) == 0)
		c->no = sqlite3_last_insert_rowid(db->sql);
	return r;
}

int
db_conf_find(struct db *db, struct db_conf *c, const char *id)
{
	int r;

	if ((r = db_bind(db, ST_CONF_FIND, "s", id)) != 0)
		return r;
	return db_one(db, ST_CONF_FIND, &conf_cols, c);
}

int
db_conf_known(struct db *db, struct db_conf *c, const char *id)
{
	return db_known(db, ST_CONF_FIND, &conf_cols, c, "s", id);
}

int
db_conf_put(struct db *db, const struct db_conf *c)
{
	return db_put(db, ST_CONF_PUT, &conf_cols, c);
}

int
db_conf_delete(struct db *db, const char *id)
{
	return db_exec(db, ST_CONF_DELETE, "s", id);
}

static int
list_when(struct db *db, struct db_conf **cp, size_t *np,
    const struct db_conf_filter *f, unsigned limit)
{
	int r;

	if ((r = db_bind(db, ST_CONF_LIST_WHEN, "iiiiisi", f->after_ms,
		 f->after_no, f->from_ms, f->to_ms != 0 ? f->to_ms : INT64_MAX,
		 (int64_t)f->state, f->owner, (int64_t)limit)) != 0)
		return r;
	return db_many(db, ST_CONF_LIST_WHEN, &conf_cols, cp, np);
}

int
db_conf_list(struct db *db, struct db_conf **cp, size_t *np,
    const struct db_conf_filter *f, unsigned limit)
{
	bool owned = f->owner[0] != '\0';
	enum stmt st = ST_CONF_LIST;
	int r;

	if (f->from_ms != 0 || f->to_ms != 0)
		return list_when(db, cp, np, f, limit);
	if (f->state >= 0)
		st = owned ? ST_CONF_LIST_BOTH : ST_CONF_LIST_STATE;
	else if (owned)
		st = ST_CONF_LIST_OWNER;
	if (st == ST_CONF_LIST_OWNER)
		r = db_bind(
		    db, st, "iis", f->after_no, (int64_t)limit, f->owner);
	else if (st == ST_CONF_LIST)
		r = db_bind(db, st, "ii", f->after_no, (int64_t)limit);
	else if (st == ST_CONF_LIST_STATE)
		r = db_bind(db, st, "iii", f->after_no, (int64_t)limit,
		    (int64_t)f->state);
	else
		r = db_bind(db, st, "iiis", f->after_no, (int64_t)limit,
		    (int64_t)f->state, f->owner);
	return r != 0 ? r : db_many(db, st, &conf_cols, cp, np);
}

int
db_conf_due(struct db *db, struct db_conf **cp, size_t *np, int64_t now_ms,
    unsigned limit)
{
	int r;

	if ((r = db_bind(db, ST_CONF_DUE, "ii", now_ms, (int64_t)limit)) != 0)
		return r;
	return db_many(db, ST_CONF_DUE, &conf_cols, cp, np);
}

int
db_conf_of_series(
    struct db *db, struct db_conf **cp, size_t *np, const char *series)
{
	int r;

	if ((r = db_bind(db, ST_CONF_OF_SERIES, "s", series)) != 0)
		return r;
	return db_many(db, ST_CONF_OF_SERIES, &conf_cols, cp, np);
}

int
db_conf_of_occurrence(
    struct db *db, struct db_conf *c, const char *series, int64_t recur_ms)
{
	int r;

	if ((r = db_bind(db, ST_CONF_OF_OCCURRENCE, "si", series, recur_ms)) !=
	    0)
		return r;
	return db_one(db, ST_CONF_OF_OCCURRENCE, &conf_cols, c);
}

int
db_conf_next_due(struct db *db, int64_t *due_ms)
{
	struct number n;
	int r;

	if ((r = db_one(db, ST_CONF_NEXT_DUE, &number_cols, &n)) == 0)
		*due_ms = n.n;
	return r;
}

int
db_conf_open_count(struct db *db, int64_t *np, const char *client)
{
	struct number n;
	int r;

	if ((r = db_bind(db, ST_CONF_OPEN_COUNT, "s", client)) == 0 &&
	    (r = db_one(db, ST_CONF_OPEN_COUNT, &number_cols, &n)) == 0)
		*np = n.n;
	return r;
}

int
db_conf_key_find(struct db *db, struct db_sealed *s, const char *conf)
{
	return db_known(db, ST_CONF_KEY_FIND, &sealed_cols, s, "s", conf);
}

int
db_conf_key_put(struct db *db, const char *conf, const struct db_sealed *s)
{
	int r;

	if ((r = db_bind_row(db, ST_CONF_KEY_PUT, &sealed_cols, s)) != 0)
		return r;
	sqlite3_bind_text(db->st[ST_CONF_KEY_PUT], 2, conf, -1, SQLITE_STATIC);
	return db_run(db, ST_CONF_KEY_PUT);
}

int
db_conf_key_delete(struct db *db, const char *conf)
{
	return db_exec(db, ST_CONF_KEY_DELETE, "s", conf);
}

static int
invitee_add(
    struct db *db, enum stmt st, const char *of, const struct db_invitee *v)
{
	int r;

	if ((r = db_bind_row(db, st, &invitee_cols, v)) != 0)
		return r;
	sqlite3_bind_text(
	    db->st[st], (int)invitee_cols.n + 1, of, -1, SQLITE_STATIC);
	return db_run(db, st);
}

static int
invitee_list(struct db *db, enum stmt st, struct db_invitee **vp, size_t *np,
    const char *of)
{
	int r;

	if ((r = db_bind(db, st, "s", of)) != 0)
		return r;
	return db_many(db, st, &invitee_cols, vp, np);
}

int
db_invitee_add(struct db *db, const char *conf, const struct db_invitee *v)
{
	return invitee_add(db, ST_INVITEE_ADD, conf, v);
}

int
db_invitee_list(
    struct db *db, struct db_invitee **vp, size_t *np, const char *conf)
{
	return invitee_list(db, ST_INVITEE_LIST, vp, np, conf);
}

int
db_series_invitee_add(
    struct db *db, const char *series, const struct db_invitee *v)
{
	return invitee_add(db, ST_SERIES_INVITEE_ADD, series, v);
}

int
db_series_invitee_list(
    struct db *db, struct db_invitee **vp, size_t *np, const char *series)
{
	return invitee_list(db, ST_SERIES_INVITEE_LIST, vp, np, series);
}

int
db_series_invitee_delete(struct db *db, const char *id)
{
	return db_exec(db, ST_SERIES_INVITEE_DELETE, "s", id);
}

int
db_series_invitee_put(struct db *db, const struct db_invitee *v)
{
	return db_exec(
	    db, ST_SERIES_INVITEE_PUT, "sss", v->id, v->role, v->kind);
}

int
db_invitee_find(
    struct db *db, struct db_invitee *v, const char *conf, const char *id)
{
	int r;

	if ((r = db_bind(db, ST_INVITEE_FIND, "ss", conf, id)) != 0)
		return r;
	return db_one(db, ST_INVITEE_FIND, &invitee_cols, v);
}

int
db_invitee_match(struct db *db, struct db_invitee *v, const char *conf,
    const struct db_who *who)
{
	int r;

	if ((r = db_bind(db, ST_INVITEE_MATCH, "ssssss", conf, who->email,
		 who->domain, who->iss, who->sub, who->groups)) != 0)
		return r;
	return db_one(db, ST_INVITEE_MATCH, &invitee_cols, v);
}

int
db_invitee_by_group(struct db *db, const char *conf)
{
	struct db_invitee v;
	int r;

	if ((r = db_bind(db, ST_INVITEE_BY_GROUP, "s", conf)) != 0)
		return r;
	return db_one(db, ST_INVITEE_BY_GROUP, &invitee_cols, &v);
}

int
db_invitee_delete(struct db *db, const char *id)
{
	return db_exec(db, ST_INVITEE_DELETE, "s", id);
}

int
db_invitee_put(struct db *db, const struct db_invitee *v, const char *conf)
{
	int r;

	if ((r = db_exec(db, ST_INVITEE_PUT, "sss", v->id, v->role, v->kind)) !=
	    0)
		return r;
	return db_exec(
	    db, ST_MEMBER_ROLE, "ssss", conf, v->id, v->role, v->kind);
}

int
db_inv_add(struct db *db, const struct db_inv *i)
{
	return db_put(db, ST_INV_ADD, &inv_cols, i);
}

int
db_inv_put(struct db *db, const struct db_inv *i)
{
	return db_exec(db, ST_INV_PUT, "ssis", i->id, i->jkt, (int64_t)i->state,
	    i->code_hash);
}

int
db_inv_find(struct db *db, struct db_inv *i, const char *id)
{
	int r;

	if ((r = db_bind(db, ST_INV_FIND, "s", id)) != 0)
		return r;
	return db_one(db, ST_INV_FIND, &inv_cols, i);
}

int
db_inv_find_code(struct db *db, struct db_inv *i, const char *code_hash)
{
	int r;

	if ((r = db_bind(db, ST_INV_FIND_CODE, "s", code_hash)) != 0)
		return r;
	return db_one(db, ST_INV_FIND_CODE, &inv_cols, i);
}

int
db_inv_list(struct db *db, struct db_inv **ip, size_t *np, const char *conf)
{
	int r;

	if ((r = db_bind(db, ST_INV_LIST, "s", conf)) != 0)
		return r;
	return db_many(db, ST_INV_LIST, &inv_cols, ip, np);
}
