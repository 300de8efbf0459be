/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Members, what they may know, and who may never come back.
 */
#include "db/sqlite.h"

static const struct col member_col[] = {
	COL(COL_I64, db_member, no),
	COL(COL_TEXT, db_member, id),
	COL(COL_TEXT, db_member, conf),
	COL(COL_TEXT, db_member, iss),
	COL(COL_TEXT, db_member, sub),
	COL(COL_TEXT, db_member, email),
	COL(COL_TEXT, db_member, name),
	COL(COL_TEXT, db_member, kind),
	COL(COL_TEXT, db_member, role),
	COL(COL_TEXT, db_member, jkt),
	COL(COL_TEXT, db_member, via),
	COL(COL_INT, db_member, state),
	COL(COL_U32, db_member, ssrc_audio),
	COL(COL_U32, db_member, ssrc_video),
	COL(COL_SEALED, db_member, delivery),
	COL(COL_I64, db_member, granted),
	COL(COL_I64, db_member, held),
	COL(COL_I64, db_member, joined_ms),
	COL(COL_I64, db_member, lease_ms),
	COL(COL_U32, db_member, ssrc_video2),
	COL(COL_U32, db_member, ssrc_video3),
};
static const struct cols member_cols = COLS(member_col, db_member);

struct number {
	int64_t n;
};
static const struct col number_col[] = { COL(COL_I64, number, n) };
static const struct cols number_cols = COLS(number_col, number);

int
db_member_add(struct db *db, const struct db_member *m)
{
	return db_put(db, ST_MEMBER_ADD, &member_cols, m);
}

int
db_member_put(struct db *db, const struct db_member *m)
{
	return db_put(db, ST_MEMBER_PUT, &member_cols, m);
}

int
db_member_find(struct db *db, struct db_member *m, const char *id)
{
	int r;

	if ((r = db_bind(db, ST_MEMBER_FIND, "s", id)) != 0)
		return r;
	return db_one(db, ST_MEMBER_FIND, &member_cols, m);
}

int
db_member_find_key(struct db *db, struct db_member *m, const char *conf,
    const char *iss, const char *sub, const char *jkt)
{
	int r;

	if ((r = db_bind(
		 db, ST_MEMBER_FIND_KEY, "ssss", conf, iss, sub, jkt)) != 0)
		return r;
	return db_one(db, ST_MEMBER_FIND_KEY, &member_cols, m);
}

int
db_member_list(struct db *db, struct db_member **mp, size_t *np,
    const char *conf, int state)
{
	int r;

	if ((r = db_bind(db, ST_MEMBER_LIST, "si", conf, (int64_t)state)) != 0)
		return r;
	return db_many(db, ST_MEMBER_LIST, &member_cols, mp, np);
}

int
db_member_page(struct db *db, struct db_member **mp, size_t *np,
    const char *conf, int state, int64_t after_no, unsigned limit)
{
	int r;

	if ((r = db_bind(db, ST_MEMBER_PAGE, "siii", conf, after_no,
		 (int64_t)state, (int64_t)limit)) != 0)
		return r;
	return db_many(db, ST_MEMBER_PAGE, &member_cols, mp, np);
}

static int
number(struct db *db, enum stmt st, int64_t *np)
{
	struct number n;
	int r;

	if ((r = db_one(db, st, &number_cols, &n)) == 0)
		*np = n.n;
	return r;
}

int
db_member_count(struct db *db, int64_t *np, const char *conf, int state)
{
	struct number n;
	int r;

	if ((r = db_known(db, ST_MEMBER_COUNT, &number_cols, &n, "si", conf,
		 (int64_t)state)) == 0)
		*np = n.n;
	return r;
}

int
db_member_welcome(struct db *db, const char *conf, const struct db_member *m)
{
	struct number n;
	int r;

	if ((r = db_known(db, ST_MEMBER_WELCOME, &number_cols, &n, "sssss",
		 conf, m->iss, m->sub, m->email, m->via)) != 0)
		return r;
	return n.n != 0 ? 0 : PERC_ERR_NOTFOUND;
}

int
db_member_behind(struct db *db, int64_t *np, const char *conf, int64_t epoch)
{
	int r;

	if ((r = db_bind(db, ST_MEMBER_BEHIND, "si", conf, epoch)) != 0)
		return r;
	return number(db, ST_MEMBER_BEHIND, np);
}

int
db_member_granted(struct db *db, struct db_member **mp, size_t *np,
    const char *conf, int64_t epoch)
{
	int r;

	if ((r = db_bind(db, ST_MEMBER_GRANTED, "si", conf, epoch)) != 0)
		return r;
	return db_many(db, ST_MEMBER_GRANTED, &member_cols, mp, np);
}

int
db_member_lease(struct db *db, const char *id, int64_t lease_ms, int64_t held)
{
	return db_exec(db, ST_MEMBER_LEASE, "iis", lease_ms, held, id);
}

int
db_member_next_lease(struct db *db, int64_t *lease_ms, const char *conf)
{
	int r;

	if ((r = db_bind(db, ST_MEMBER_NEXT_LEASE, "s", conf)) != 0)
		return r;
	return number(db, ST_MEMBER_NEXT_LEASE, lease_ms);
}

int
db_clock_recover(struct db *db, int64_t now_ms, int64_t min_ms, int64_t step_ms)
{
	int r;

	if ((r = db_exec(db, ST_LEASE_RECOVER, "ii", now_ms, min_ms)) != 0)
		return r;
	return db_exec(db, ST_CONF_RECOVER, "ii", now_ms, step_ms);
}

int
db_member_inside(struct db *db, bool *inside, const char *conf, const char *iss,
    const char *sub, int64_t since_ms)
{
	int64_t n;
	int r;

	if ((r = db_bind(db, ST_MEMBER_INSIDE, "sssi", conf, iss, sub,
		 since_ms)) == 0 &&
	    (r = number(db, ST_MEMBER_INSIDE, &n)) == 0)
		*inside = n != 0;
	return r;
}

int
db_member_wipe_keys(struct db *db, const char *conf)
{
	return db_exec(db, ST_MEMBER_WIPE_KEYS, "s", conf);
}

int
db_member_of_person(struct db *db, struct db_member **mp, size_t *np,
    const char *conf, const char *iss, const char *sub)
{
	int r;

	if ((r = db_bind(db, ST_MEMBER_OF_PERSON, "sss", conf, iss, sub)) != 0)
		return r;
	return db_many(db, ST_MEMBER_OF_PERSON, &member_cols, mp, np);
}

int
db_member_delete(struct db *db, const char *id)
{
	return db_exec(db, ST_MEMBER_DELETE, "s", id);
}

int
db_budget_get(
    struct db *db, int64_t *full_ms, const char *conf, const char *key)
{
	int r;

	if ((r = db_bind(db, ST_BUDGET_GET, "ss", conf, key)) != 0)
		return r;
	return number(db, ST_BUDGET_GET, full_ms);
}

int
db_budget_put(struct db *db, const char *conf, const char *key, int64_t full_ms)
{
	return db_exec(db, ST_BUDGET_PUT, "ssi", conf, key, full_ms);
}

int
db_ssrc_add(struct db *db, const char *conf, uint32_t ssrc)
{
	return db_exec(db, ST_SSRC_ADD, "si", conf, (int64_t)ssrc);
}

int
db_evicted_add(struct db *db, const char *conf, const char *iss,
    const char *sub, const char *email, int64_t at_ms)
{
	return db_exec(
	    db, ST_EVICTED_ADD, "ssssi", conf, iss, sub, email, at_ms);
}

int
db_evicted_find(struct db *db, const char *conf, const char *iss,
    const char *sub, const char *email)
{
	int64_t n = 0;
	int r;

	if ((r = db_bind(db, ST_EVICTED_FIND, "ssss", conf, iss, sub, email)) !=
		0 ||
	    (r = number(db, ST_EVICTED_FIND, &n)) != 0)
		return r;
	return n > 0 ? 0 : PERC_ERR_NOTFOUND;
}
