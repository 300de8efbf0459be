/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signing keys, clients, epochs, and what is remembered about requests.
 */
#include "db/sqlite.h"

static const struct col client_col[] = {
	COL(COL_TEXT, db_client, id),
	COL(COL_TEXT, db_client, jwk),
	COL(COL_TEXT, db_client, scope),
	COL(COL_I64, db_client, created_ms),
	COL(COL_BOOL, db_client, disabled),
};
static const struct cols client_cols = COLS(client_col, db_client);

static const struct col signing_key_col[] = {
	COL(COL_TEXT, db_signing_key, kid),
	COL(COL_TEXT, db_signing_key, use),
	COL(COL_TEXT, db_signing_key, public_jwk),
	COL(COL_I64, db_signing_key, created_ms),
	COL(COL_I64, db_signing_key, retired_ms),
	COL(COL_I64, db_signing_key, active_ms),
	COL(COL_SEALED, db_signing_key, sealed),
};
static const struct cols signing_key_cols =
    COLS(signing_key_col, db_signing_key);

static const struct col epoch_col[] = {
	COL(COL_TEXT, db_epoch, conf),
	COL(COL_I64, db_epoch, epoch),
	COL(COL_U16, db_epoch, spi),
	COL(COL_SEALED, db_epoch, key),
	COL(COL_I64, db_epoch, made_ms),
};
static const struct cols epoch_cols = COLS(epoch_col, db_epoch);

static const struct col idem_col[] = {
	COL(COL_TEXT, db_idem, client),
	COL(COL_TEXT, db_idem, key),
	COL(COL_TEXT, db_idem, body_hash),
	COL(COL_I64, db_idem, until_ms),
	COL(COL_HEAP, db_idem, answer),
};
static const struct cols idem_cols = COLS(idem_col, db_idem);

static const struct col count_col[] = {
	COL(COL_I64, db_count, conferences),
	COL(COL_I64, db_count, live_conferences),
	COL(COL_I64, db_count, live_members),
	COL(COL_I64, db_count, epochs),
	COL(COL_I64, db_count, audit),
	COL(COL_I64, db_count, behind),
};
static const struct cols count_cols = COLS(count_col, db_count);

static const struct col meta_col[] = {
	COL(COL_TEXT, db_meta, id),
	COL(COL_I64, db_meta, generation),
	COL(COL_TEXT, db_meta, root_id),
	COL(COL_I64, db_meta, backup_ms),
	COL(COL_I64, db_meta, rewrapped),
	COL(COL_I64, db_meta, to_rewrap),
};
static const struct cols meta_cols = COLS(meta_col, db_meta);

static const struct col revocation_col[] = {
	COL(COL_I64, db_revocation, no),
	COL(COL_TEXT, db_revocation, kind),
	COL(COL_TEXT, db_revocation, conf),
	COL(COL_TEXT, db_revocation, a),
	COL(COL_TEXT, db_revocation, b),
	COL(COL_TEXT, db_revocation, c),
	COL(COL_I64, db_revocation, at_s),
};
static const struct cols revocation_cols = COLS(revocation_col, db_revocation);

int
db_client_add(struct db *db, const struct db_client *c)
{
	return db_put(db, ST_CLIENT_ADD, &client_cols, c);
}

int
db_client_find(struct db *db, struct db_client *c, const char *id)
{
	int r;

	if ((r = db_bind(db, ST_CLIENT_FIND, "s", id)) != 0)
		return r;
	return db_one(db, ST_CLIENT_FIND, &client_cols, c);
}

int
db_client_put(struct db *db, const struct db_client *c)
{
	return db_put(db, ST_CLIENT_PUT, &client_cols, c);
}

int
db_client_list(struct db *db, struct db_client **cp, size_t *np)
{
	return db_many(db, ST_CLIENT_LIST, &client_cols, cp, np);
}

int
db_signing_key_add(struct db *db, const struct db_signing_key *k)
{
	return db_put(db, ST_SIGNING_KEY_ADD, &signing_key_cols, k);
}

int
db_signing_key_list(struct db *db, struct db_signing_key **kp, size_t *np)
{
	return db_many(db, ST_SIGNING_KEY_LIST, &signing_key_cols, kp, np);
}

int
db_signing_key_retire(struct db *db, const char *kid, int64_t now_ms)
{
	return db_exec(db, ST_SIGNING_KEY_RETIRE, "is", now_ms, kid);
}

int
db_epoch_add(struct db *db, const struct db_epoch *e)
{
	return db_put(db, ST_EPOCH_ADD, &epoch_cols, e);
}

int
db_epoch_find(
    struct db *db, struct db_epoch *e, const char *conf, int64_t epoch)
{
	return db_known(db, ST_EPOCH_FIND, &epoch_cols, e, "si", conf, epoch);
}

int
db_epoch_wipe(struct db *db, const char *conf, int64_t epoch)
{
	return db_exec(db, ST_EPOCH_WIPE, "si", conf, epoch);
}

int
db_replay_add(struct db *db, const char *hash, int64_t until_s)
{
	return db_exec(db, ST_REPLAY_ADD, "si", hash, until_s);
}

int
db_replay_drop(struct db *db, const char *hash)
{
	return db_exec(db, ST_REPLAY_DROP, "s", hash);
}

int
db_idem_add(struct db *db, const struct db_idem *i)
{
	return db_put(db, ST_IDEM_ADD, &idem_cols, i);
}

int
db_idem_find(
    struct db *db, struct db_idem *i, const char *client, const char *key)
{
	int r;

	if ((r = db_bind(db, ST_IDEM_FIND, "ss", client, key)) != 0)
		return r;
	return db_one(db, ST_IDEM_FIND, &idem_cols, i);
}

int
db_count(struct db *db, struct db_count *c)
{
	return db_one(db, ST_COUNT, &count_cols, c);
}

int
db_meta_get(struct db *db, struct db_meta *m)
{
	return db_one(db, ST_META_GET, &meta_cols, m);
}

int
db_meta_put(struct db *db, const struct db_meta *m)
{
	return db_put(db, ST_META_PUT, &meta_cols, m);
}

int
db_generation_put(struct db *db, int64_t generation)
{
	return db_exec(db, ST_GENERATION_PUT, "i", generation);
}

int
db_revocation_list(struct db *db, struct db_revocation **rp, size_t *np,
    int64_t after_no, unsigned limit)
{
	int r;

	if ((r = db_bind(
		 db, ST_REVOCATION_LIST, "ii", after_no, (int64_t)limit)) != 0)
		return r;
	return db_many(db, ST_REVOCATION_LIST, &revocation_cols, rp, np);
}

static int
number(struct db *db, enum stmt st, int64_t *no)
{
	static const struct col col[] = { { COL_I64, 0, sizeof(int64_t) } };
	static const struct cols cols = { col, 1, sizeof(int64_t) };

	return db_one(db, st, &cols, no);
}

int
db_revocation_last(struct db *db, int64_t *no)
{
	return number(db, ST_REVOCATION_LAST, no);
}

int
db_revocation_from(struct db *db, int64_t *no)
{
	return number(db, ST_REVOCATION_FROM, no);
}
