/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a restored file safe to run on: no key of a conference, nobody live,
 * counters beyond all that was ever given out, and everything that was
 * revoked since, revoked. These statements run once in the life of a
 * database, so they are prepared where they are used.
 */
#include "db/sqlite.h"

#include <stdio.h>
#include <string.h>

static int
run(struct db *db, const char *sql)
{
	return db_err(sqlite3_exec(db->sql, sql, NULL, NULL, NULL));
}

/* ?1 conference, ?2 a, ?3 b, ?4 c, ?5 now. */
static const struct {
	const char *kind, *sql;
} deeds[] = {
	{ "evicted",
	    "INSERT OR REPLACE INTO evicted (conference, iss, sub, email, "
	    "at_ms) SELECT id, ?2, ?3, ?4, ?5 FROM conference WHERE id = ?1" },
	{ "evicted",
	    "UPDATE member SET state = 3, sealed_delivery = NULL "
	    "WHERE conference = ?1 AND ((iss = ?2 AND sub = ?3) "
	    "OR (?4 <> '' AND email = ?4 COLLATE NOCASE))" },
	{ "invitation", "UPDATE invitation SET state = 2 WHERE id = ?2" },
	{ "bound",
	    "UPDATE invitation SET jkt = ?3, state = max(state, 1) "
	    "WHERE id = ?2" },
	{ "invitee", "DELETE FROM invitee WHERE id = ?2" },
	{ "ended",
	    "UPDATE conference SET state = 2, ended_ms = ?5, "
	    "due_ms = 0 WHERE id = ?1 AND state <> 2" },
	{ "signing_key",
	    "UPDATE signing_key SET retired_ms = ?5, "
	    "sealed_jwk = x'' WHERE kid = ?2 "
	    "AND retired_ms = 0" },
	{ "client", "UPDATE client SET disabled = 1 WHERE id = ?2" },
	{ "mark",
	    "UPDATE conference SET epoch = max(epoch, CAST(?2 AS "
	    "INTEGER)), roster_seq = max(roster_seq, CAST(?3 AS "
	    "INTEGER)), event_no = max(event_no, CAST(?4 AS INTEGER)) "
	    "WHERE id = ?1" },
	{ "series_invitee", "DELETE FROM series_invitee WHERE id = ?2" },
	{ "series",
	    "UPDATE series SET state = CAST(?3 AS INTEGER), "
	    "due_ms = 0 WHERE id = ?2" },
	{ "locked",
	    "UPDATE conference SET locked_ms = CAST(?2 AS INTEGER) "
	    "WHERE id = ?1" },
};

static int
deed_run(struct db *db, const char *sql, const struct db_revocation *v,
    int64_t now_ms)
{
	sqlite3_stmt *st = NULL;
	const char *text[] = { v->conf, v->a, v->b, v->c };
	int i, n, rc;

	rc = sqlite3_prepare_v2(db->sql, sql, -1, &st, NULL);
	n = rc == SQLITE_OK ? sqlite3_bind_parameter_count(st) : 0;
	for (i = 0; rc == SQLITE_OK && i < n; i++)
		rc = i < 4
		    ? sqlite3_bind_text(st, i + 1, text[i], -1, SQLITE_STATIC)
		    : sqlite3_bind_int64(st, i + 1, now_ms);
	if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_DONE)
		rc = SQLITE_OK;
	sqlite3_finalize(st);
	return db_err(rc);
}

int
db_restore_revoke(struct db *db, const struct db_revocation *v, int64_t now_ms)
{
	int r = PERC_ERR_UNSUPPORTED; /* of a newer Perch */
	size_t i;

	for (i = 0; i < NCOLS(deeds); i++)
		if (strcmp(deeds[i].kind, v->kind) == 0 &&
		    (r = deed_run(db, deeds[i].sql, v, now_ms)) != 0)
			return r;
	return r;
}

int
db_restore_numbers(struct db *db, int64_t last)
{
	char sql[160];

	snprintf(sql, sizeof(sql),
	    "INSERT INTO sqlite_sequence (name, seq) SELECT 'revocation', 0 "
	    "WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence)");
	if (run(db, sql) != 0)
		return PERC_ERR_SYS;
	snprintf(sql, sizeof(sql),
	    "UPDATE sqlite_sequence SET seq = max(seq, %lld) "
	    "WHERE name = 'revocation'",
	    (long long)last);
	return run(db, sql);
}

/* The quanta are those of the trigger conference_mark: what had not come to
 * the next mark is before it. */
int
db_restore_calm(struct db *db)
{
	return run(db,
	    "DELETE FROM conference_key; DELETE FROM idempotency;"
	    "DELETE FROM replay; DELETE FROM mail;"
	    "UPDATE epoch SET sealed_key = NULL WHERE sealed_key IS NOT NULL;"
	    "UPDATE member SET sealed_delivery = NULL "
	    "WHERE sealed_delivery IS NOT NULL;"
	    "UPDATE member SET state = 2, granted = 0, held = 0 "
	    "WHERE state = 1;"
	    "UPDATE conference SET epoch = (epoch / 64 + 1) * 64, "
	    "roster_seq = (roster_seq / 1024 + 1) * 1024, "
	    "event_no = (event_no / 4096 + 1) * 4096 WHERE state <> 2;"
	    "UPDATE conference SET state = 0, epoch_ms = 0, rekey_ms = 0, "
	    "roster_ms = 0, due_ms = ends_ms WHERE state = 1;");
}

int
db_restore_distrust(struct db *db)
{
	return run(db,
	    "UPDATE invitation SET state = 2 WHERE state <> 2;"
	    "DELETE FROM invitee WHERE conference IN "
	    "(SELECT id FROM conference WHERE state <> 2);"
	    "DELETE FROM series_invitee;"
	    "UPDATE client SET disabled = 1 "
	    "WHERE ' ' || scope || ' ' NOT LIKE '% admin %';");
}

/* What only grows is taken over from the replaced database, if that is of the
 * same past: its row at our end must be ours. */
int
db_restore_join(struct db *db, const char *old)
{
	static const char *const sql =
	    "SAVEPOINT join_old;"
	    "CREATE TEMP TABLE same (x INTEGER CHECK (x = 1));"
	    "INSERT INTO same SELECT (SELECT id FROM old.meta) = "
	    "(SELECT id FROM main.meta) AND coalesce((SELECT o.hash = a.hash "
	    "FROM main.audit a JOIN old.audit o ON o.seq = a.seq "
	    "ORDER BY a.seq DESC LIMIT 1), 1);"
	    "INSERT INTO main.audit SELECT * FROM old.audit WHERE seq > "
	    "(SELECT coalesce(max(seq), 0) FROM main.audit);"
	    "INSERT INTO main.audit_checkpoint SELECT * FROM "
	    "old.audit_checkpoint WHERE n > (SELECT coalesce(max(n), 0) "
	    "FROM main.audit_checkpoint);"
	    "INSERT INTO main.event SELECT * FROM old.event WHERE seq > "
	    "(SELECT coalesce(max(seq), 0) FROM main.event);"
	    "INSERT OR REPLACE INTO main.webhook SELECT * FROM old.webhook;"
	    "INSERT OR REPLACE INTO main.signing_key "
	    "SELECT * FROM old.signing_key;";
	sqlite3_stmt *st = NULL;
	int r;

	/* Outside of a transaction, as ATTACH wants it. */
	if (sqlite3_prepare_v2(db->sql, "ATTACH ?1 AS old", -1, &st, NULL) !=
	    SQLITE_OK)
		return PERC_ERR_SYS;
	sqlite3_bind_text(st, 1, old, -1, SQLITE_STATIC);
	r = sqlite3_step(st) == SQLITE_DONE ? 0 : PERC_ERR_SYS;
	sqlite3_finalize(st);
	if (r != 0)
		return r;
	r = run(db, sql);
	if (r != 0)
		(void)run(db, "ROLLBACK TO join_old");
	(void)run(db, "RELEASE join_old");
	(void)run(db, "DROP TABLE IF EXISTS temp.same");
	(void)run(db, "DETACH old");
	return r;
}

int
db_restore_floor(struct db *db, int64_t seq)
{
	char sql[96];

	snprintf(sql, sizeof(sql),
	    "UPDATE event_floor SET floor = max(floor, %lld)", (long long)seq);
	return run(db, sql);
}
