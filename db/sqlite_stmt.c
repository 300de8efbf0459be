/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All SQL that runs after opening. The order of columns is that of the
 * column tables in the files that use them.
 */
#include "db/sqlite.h"

#define CONF_BASE                                                              \
	"no, id, title, starts_ms, ends_ms, state, policy, mdd, version, "     \
	"created_ms, created_by, ended_ms, epoch, spi_start, spi_step, "       \
	"epoch_ms, rekey_ms, roster_ms, due_ms, event_no, roster_seq, tzid, "
#define CONF_REST ", recur_ms, exception, locked_ms, cancelled"
#define CONF_COLS CONF_BASE "coalesce(series, '')" CONF_REST
#define SERIES_COLS                                                            \
	"no, id, title, starts_ms, ends_ms, tzid, rrule, policy, state, "      \
	"version, created_ms, created_by, due_ms"
#define MAIL_COLS                                                              \
	"no, id, about, address, sealed_code, state, tries, at_ms, due_ms, "   \
	"until_ms, why, place, name, kind, role"
#define INVITEE_COLS "id, email, iss, sub, grp, domain, role, kind"
#define INV_COLS                                                               \
	"id, conference, code_hash, email, name, kind, jkt, state, "           \
	"created_ms, role, expires_ms"
#define MEMBER_COLS                                                            \
	"no, id, conference, iss, sub, email, name, kind, role, jkt, via, "    \
	"state, ssrc_audio, ssrc_video, sealed_delivery, granted, held, "      \
	"joined_ms, lease_ms, ssrc_video2, ssrc_video3"
#define AUDIT_FILTER                                                           \
	"(?3 = '' OR conference = ?3) AND (?4 = '' OR kind = ?4) AND "         \
	"(?5 = '' OR actor = ?5) AND (?6 = '' OR at >= ?6) AND "               \
	"(?7 = '' OR at < ?7) ORDER BY seq LIMIT ?8"
#define EVENT_COLS "seq, mark, at_ms, type, conference, data"
#define HOOK_COLS                                                              \
	"name, cursor, tries, failing_ms, next_ms, ok_ms, delivered, dead, "   \
	"why"
#define DEAD_COLS "hook, dead_ms, why, " EVENT_COLS

#define REFUSAL_COLS                                                           \
	"iss, actor, conference, code, status, noted_ms, count, first_ms, "    \
	"last_ms"

const char *const db_statements[ST_MAX] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_DATA_VERSION] = "PRAGMA data_version",
	[ST_COMMIT] = "COMMIT",
	[ST_ROLLBACK] = "ROLLBACK",
	[ST_MARK] = "SAVEPOINT mark",
	[ST_MARK_KEEP] = "RELEASE mark",
	[ST_MARK_UNDO] = "ROLLBACK TO mark",

	[ST_SIGNING_KEY_ADD] =
	    "INSERT INTO signing_key (kid, use, public_jwk, created_ms, "
	    "retired_ms, active_ms, sealed_jwk) VALUES (?, ?, ?, ?, ?, ?, ?)",
	[ST_SIGNING_KEY_LIST] =
	    "SELECT kid, use, public_jwk, created_ms, retired_ms, active_ms, "
	    "sealed_jwk FROM signing_key ORDER BY created_ms, kid",
	[ST_SIGNING_KEY_RETIRE] =
	    "UPDATE signing_key SET retired_ms = ?1, sealed_jwk = x'' "
	    "WHERE kid = ?2",
	[ST_CLIENT_ADD] = "INSERT INTO client (id, jwk, scope, created_ms, "
			  "disabled) VALUES (?, ?, ?, ?, ?)",
	[ST_CLIENT_FIND] = "SELECT id, jwk, scope, created_ms, disabled "
			   "FROM client WHERE id = ?",
	[ST_CLIENT_PUT] = "UPDATE client SET jwk = ?2, scope = ?3, "
			  "disabled = ?5 WHERE id = ?1 AND ?4 IS NOT NULL",
	[ST_CLIENT_LIST] = "SELECT id, jwk, scope, created_ms, disabled "
			   "FROM client ORDER BY id",

	[ST_CONF_ADD] =
	    "INSERT INTO conference (" CONF_BASE "series" CONF_REST
	    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, "
	    "?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, "
	    "nullif(?23, ''), ?24, ?25, ?26, ?27)",
	[ST_CONF_FIND] = "SELECT " CONF_COLS " FROM conference WHERE id = ?",
	[ST_CONF_PUT] =
	    "UPDATE conference SET title = ?3, starts_ms = ?4, ends_ms = ?5, "
	    "state = ?6, policy = ?7, mdd = ?8, version = ?9, "
	    "created_ms = ?10, created_by = ?11, ended_ms = ?12, "
	    "epoch = ?13, spi_start = ?14, spi_step = ?15, epoch_ms = ?16, "
	    "rekey_ms = ?17, roster_ms = ?18, due_ms = ?19, event_no = ?20, "
	    "roster_seq = ?21, tzid = ?22, series = nullif(?23, ''), "
	    "recur_ms = ?24, exception = ?25, locked_ms = ?26, "
	    "cancelled = ?27 WHERE no = ?1 AND id = ?2",
	[ST_CONF_DELETE] = "DELETE FROM conference WHERE id = ?",
	[ST_CONF_LIST] = "SELECT " CONF_COLS " FROM conference WHERE no > ?1 "
			 "ORDER BY no LIMIT ?2",
	[ST_CONF_LIST_STATE] = "SELECT " CONF_COLS " FROM conference "
			       "WHERE no > ?1 AND state = ?3 "
			       "ORDER BY no LIMIT ?2",
	[ST_CONF_LIST_OWNER] = "SELECT " CONF_COLS " FROM conference "
			       "WHERE no > ?1 AND created_by = ?3 "
			       "ORDER BY no LIMIT ?2",
	[ST_CONF_LIST_BOTH] = "SELECT " CONF_COLS " FROM conference "
			      "WHERE no > ?1 AND state = ?3 "
			      "AND created_by = ?4 ORDER BY no LIMIT ?2",
	/* a conference lasts 31 days at most, so from bounds the start too */
	[ST_CONF_LIST_WHEN] =
	    "SELECT " CONF_COLS " FROM conference "
	    "WHERE (starts_ms, no) > (?1, ?2) AND starts_ms > ?3 - 2678400000 "
	    "AND ends_ms > ?3 AND starts_ms < ?4 "
	    "AND (?5 < 0 OR state = ?5) AND (?6 = '' OR created_by = ?6) "
	    "ORDER BY starts_ms, no LIMIT ?7",
	[ST_CONF_DUE] = "SELECT " CONF_COLS " FROM conference "
			"WHERE due_ms > 0 AND due_ms <= ? "
			"ORDER BY due_ms LIMIT ?",
	[ST_CONF_NEXT_DUE] =
	    "SELECT coalesce(min(due), 0) FROM (SELECT min(due_ms) AS due "
	    "FROM conference WHERE due_ms > 0 UNION ALL "
	    "SELECT min(due_ms) FROM series WHERE due_ms > 0)",
	[ST_CONF_OPEN_COUNT] = "SELECT coalesce(sum(open), 0) FROM scheduler "
			       "WHERE client = ?",
	[ST_ROSTER_FIND] = "SELECT seq, before, head, last, "
			   "text IS NOT NULL FROM roster WHERE conference = ?",
	[ST_ROSTER_PUT] =
	    "INSERT OR REPLACE INTO roster (conference, seq, before, head, "
	    "last, text) VALUES (?1, ?2, ?3, ?4, ?5, nullif(?6, ''))",
	[ST_ROSTER_TEXT] =
	    "SELECT coalesce(text, '') FROM roster WHERE conference = ?",
	[ST_ROSTER_DELETE] = "DELETE FROM roster WHERE conference = ?",
	[ST_CONF_KEY_FIND] =
	    "SELECT sealed_key FROM conference_key WHERE conference = ?",
	[ST_CONF_KEY_PUT] =
	    "INSERT INTO conference_key (sealed_key, conference) "
	    "VALUES (?1, ?2) ON CONFLICT (conference) "
	    "DO UPDATE SET sealed_key = ?1",
	[ST_CONF_KEY_DELETE] =
	    "DELETE FROM conference_key WHERE conference = ?",

	[ST_CONF_OF_SERIES] = "SELECT " CONF_COLS " FROM conference "
			      "WHERE series = ? ORDER BY recur_ms",
	[ST_CONF_OF_OCCURRENCE] = "SELECT " CONF_COLS " FROM conference "
				  "WHERE series = ? AND recur_ms = ?",

	[ST_MAIL_ADD] = "INSERT INTO mail (" MAIL_COLS ", sheet, event) VALUES "
			"(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '')",
	[ST_MAIL_DUE] = "SELECT " MAIL_COLS " FROM mail WHERE due_ms > 0 "
			"AND due_ms <= ? ORDER BY due_ms LIMIT ?",
	[ST_MAIL_NEXT] = "SELECT " MAIL_COLS " FROM mail WHERE due_ms > 0 "
			 "ORDER BY due_ms LIMIT 1",
	[ST_MAIL_FIND] = "SELECT " MAIL_COLS " FROM mail WHERE no = ?",
	[ST_MAIL_LAST] = "SELECT " MAIL_COLS " FROM mail WHERE about = ? "
			 "ORDER BY no DESC LIMIT 1",
	[ST_MAIL_PUT] =
	    "UPDATE mail SET address = ?4, sealed_code = ?5, state = ?6, "
	    "tries = ?7, at_ms = ?8, due_ms = ?9, until_ms = ?10, why = ?11, "
	    "event = iif(?9 = 0, '', event), sheet = iif(?9 = 0, NULL, sheet) "
	    "WHERE no = ?1 AND id = ?2 AND about = ?3 AND place = ?12 "
	    "AND name = ?13 AND kind = ?14 AND role = ?15",
	[ST_MAIL_EVENT] = "SELECT coalesce(s.event, m.event) FROM mail m "
			  "LEFT JOIN mail_sheet s ON s.no = m.sheet "
			  "WHERE m.no = ?",
	[ST_MAIL_DROP] =
	    "UPDATE mail SET state = 2, due_ms = 0, sealed_code = NULL, "
	    "event = '', sheet = NULL, why = 'replaced' WHERE about = ? AND "
	    "state = 0",
	[ST_MAIL_HURRY] = "UPDATE mail SET due_ms = ?1 WHERE due_ms > 0 AND "
			  "due_ms > ?1",
	[ST_MAIL_PURGE] = "DELETE FROM mail WHERE no IN (SELECT no FROM mail "
			  "WHERE due_ms = 0 AND at_ms < ? LIMIT 200)",
	[ST_SHEET_ADD] = "INSERT INTO mail_sheet (event) VALUES (?)",

	[ST_SERIES_ADD] = "INSERT INTO series (" SERIES_COLS ") VALUES "
			  "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[ST_SERIES_PUT] =
	    "UPDATE series SET title = ?3, starts_ms = ?4, ends_ms = ?5, "
	    "tzid = ?6, rrule = ?7, policy = ?8, state = ?9, version = ?10, "
	    "created_ms = ?11, created_by = ?12, due_ms = ?13 "
	    "WHERE no = ?1 AND id = ?2",
	[ST_SERIES_FIND] = "SELECT " SERIES_COLS " FROM series WHERE id = ?",
	[ST_SERIES_DELETE] = "DELETE FROM series WHERE id = ?",
	[ST_SERIES_LIST] = "SELECT " SERIES_COLS " FROM series "
			   "WHERE (?1 = '' OR created_by = ?1) AND no > ?2 "
			   "ORDER BY no LIMIT ?3",
	[ST_SERIES_DUE] = "SELECT " SERIES_COLS " FROM series "
			  "WHERE due_ms > 0 AND due_ms <= ? "
			  "ORDER BY due_ms LIMIT ?",
	[ST_EXDATE_ADD] = "INSERT OR IGNORE INTO series_exdate "
			  "(series, at_ms) VALUES (?, ?)",
	[ST_EXDATE_CLEAR] = "DELETE FROM series_exdate WHERE series = ?",
	[ST_EXDATE_LIST] = "SELECT at_ms FROM series_exdate "
			   "WHERE series = ? ORDER BY at_ms",
	[ST_SERIES_INVITEE_ADD] =
	    "INSERT INTO series_invitee (" INVITEE_COLS ", series) "
	    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[ST_SERIES_INVITEE_LIST] = "SELECT " INVITEE_COLS " FROM "
				   "series_invitee WHERE series = ? "
				   "ORDER BY no",
	[ST_SERIES_INVITEE_DELETE] = "DELETE FROM series_invitee "
				     "WHERE id = ?",
	[ST_SERIES_INVITEE_PUT] = "UPDATE series_invitee SET role = ?2, "
				  "kind = ?3 WHERE id = ?1",

	[ST_INVITEE_ADD] = "INSERT INTO invitee (" INVITEE_COLS ", conference) "
			   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[ST_INVITEE_LIST] = "SELECT " INVITEE_COLS " FROM invitee "
			    "WHERE conference = ? ORDER BY no",
	[ST_INVITEE_FIND] = "SELECT " INVITEE_COLS " FROM invitee "
			    "WHERE conference = ? AND id = ?",
	[ST_INVITEE_MATCH] =
	    "SELECT " INVITEE_COLS " FROM ("
	    "SELECT no, " INVITEE_COLS " FROM invitee WHERE conference = ?1 "
	    "AND email <> '' AND email = ?2 UNION ALL "
	    "SELECT no, " INVITEE_COLS " FROM invitee WHERE conference = ?1 "
	    "AND domain <> '' AND domain = ?3 UNION ALL "
	    "SELECT no, " INVITEE_COLS " FROM invitee WHERE conference = ?1 "
	    "AND iss <> '' AND iss = ?4 AND sub = ?5 UNION ALL "
	    "SELECT no, invitee.id, email, iss, sub, grp, domain, role, kind "
	    "FROM json_each(?6) CROSS JOIN invitee WHERE conference = ?1 "
	    "AND grp <> '' AND grp = value) "
	    "ORDER BY role <> 'host', no LIMIT 1",
	[ST_INVITEE_BY_GROUP] =
	    "SELECT " INVITEE_COLS " FROM invitee WHERE conference = ? "
	    "AND grp <> '' LIMIT 1",
	[ST_INVITEE_DELETE] = "DELETE FROM invitee WHERE id = ?",
	[ST_INVITEE_PUT] = "UPDATE invitee SET role = ?2, kind = ?3 "
			   "WHERE id = ?1",
	[ST_MEMBER_ROLE] = "UPDATE member SET role = ?3, kind = ?4 "
			   "WHERE conference = ?1 AND via = ?2",
	[ST_INV_ADD] = "INSERT INTO invitation (" INV_COLS ") "
		       "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[ST_INV_PUT] = "UPDATE invitation SET jkt = ?2, state = ?3, "
		       "code_hash = ?4 WHERE id = ?1",
	[ST_INV_FIND] = "SELECT " INV_COLS " FROM invitation WHERE id = ?",
	[ST_INV_FIND_CODE] =
	    "SELECT " INV_COLS " FROM invitation WHERE code_hash = ?",
	[ST_INV_LIST] = "SELECT " INV_COLS " FROM invitation "
			"WHERE conference = ? ORDER BY no",

	[ST_MEMBER_ADD] =
	    "INSERT INTO member (" MEMBER_COLS ") VALUES (nullif(?1, 0), ?2, "
	    "?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, "
	    "?17, ?18, ?19, ?20, ?21)",
	[ST_MEMBER_PUT] =
	    "UPDATE member SET conference = ?3, iss = ?4, sub = ?5, "
	    "email = ?6, name = ?7, kind = ?8, role = ?9, jkt = ?10, "
	    "via = ?11, state = ?12, ssrc_audio = ?13, ssrc_video = ?14, "
	    "sealed_delivery = ?15, granted = ?16, held = ?17, "
	    "joined_ms = ?18, lease_ms = ?19, ssrc_video2 = ?20, "
	    "ssrc_video3 = ?21 WHERE no = ?1 AND id = ?2",
	[ST_MEMBER_FIND] = "SELECT " MEMBER_COLS " FROM member WHERE id = ?",
	[ST_MEMBER_FIND_KEY] =
	    "SELECT " MEMBER_COLS " FROM member WHERE conference = ? "
	    "AND iss = ? AND sub = ? AND jkt = ?",
	[ST_MEMBER_LIST] = "SELECT " MEMBER_COLS " FROM member "
			   "WHERE conference = ?1 AND (?2 < 0 OR state = ?2) "
			   "ORDER BY no",
	[ST_MEMBER_PAGE] = "SELECT " MEMBER_COLS " FROM member "
			   "WHERE conference = ?1 AND no > ?2 AND state <> 0 "
			   "AND (?3 < 0 OR state = ?3) ORDER BY no LIMIT ?4",
	[ST_MEMBER_COUNT] = "SELECT count(*) FROM member "
			    "WHERE conference = ? AND state = ?",
	/* Not put out, and what let them in still stands. */
	[ST_MEMBER_WELCOME] =
	    "SELECT NOT EXISTS (SELECT 1 FROM evicted WHERE conference = ?1 "
	    "AND ((iss = ?2 AND sub = ?3) "
	    "OR (?4 <> '' AND email = ?4 COLLATE NOCASE))) "
	    "AND coalesce((SELECT state <> 2 FROM invitation WHERE id = ?5), "
	    "EXISTS (SELECT 1 FROM invitee WHERE conference = ?1 "
	    "AND id = ?5))",
	[ST_MEMBER_BEHIND] = "SELECT count(*) FROM member "
			     "WHERE conference = ? AND state = 1 "
			     "AND held < ?",
	[ST_MEMBER_GRANTED] = "SELECT " MEMBER_COLS " FROM member "
			      "WHERE conference = ?1 AND (state = 1 OR "
			      "granted = ?2) ORDER BY no",
	[ST_MEMBER_LEASE] = "UPDATE member SET lease_ms = ?, held = ? "
			    "WHERE id = ?",
	[ST_MEMBER_NEXT_LEASE] = "SELECT coalesce(min(lease_ms), 0) "
				 "FROM member WHERE conference = ? "
				 "AND state = 1",
	[ST_LEASE_RECOVER] =
	    "UPDATE member INDEXED BY member_live SET lease_ms = ?1 + max(?2, "
	    "1000 * (SELECT "
	    "json_extract(policy, '$.lease_s') FROM conference AS c "
	    "WHERE c.id = member.conference)) WHERE state = 1",
	[ST_CONF_RECOVER] =
	    "UPDATE conference SET "
	    "epoch_ms = max(1, min(epoch_ms + min(?2, 0), ?1)), "
	    "rekey_ms = min(rekey_ms, ?1), roster_ms = min(roster_ms, ?1), "
	    "due_ms = ?1 WHERE state = 1",
	[ST_MEMBER_INSIDE] = "SELECT count(*) FROM member WHERE "
			     "conference = ? AND iss = ? AND sub = ? "
			     "AND joined_ms > 0 AND lease_ms >= ?",
	[ST_MEMBER_WIPE_KEYS] = "UPDATE member SET sealed_delivery = NULL "
				"WHERE conference = ?",
	[ST_MEMBER_OF_PERSON] =
	    "SELECT " MEMBER_COLS " FROM member WHERE conference = ? "
	    "AND iss = ? AND sub = ? ORDER BY no",
	[ST_MEMBER_DELETE] = "DELETE FROM member WHERE id = ?",
	[ST_BUDGET_GET] = "SELECT coalesce(max(full_ms), 0) FROM budget "
			  "WHERE conference = ? AND key = ?",
	[ST_BUDGET_PUT] = "INSERT INTO budget (conference, key, full_ms) "
			  "VALUES (?1, ?2, ?3) ON CONFLICT (conference, key) "
			  "DO UPDATE SET full_ms = ?3",
	[ST_SSRC_ADD] = "INSERT INTO ssrc (conference, ssrc) VALUES (?, ?)",
	[ST_EVICTED_ADD] =
	    "INSERT OR REPLACE INTO evicted (conference, iss, sub, email, "
	    "at_ms) VALUES (?, ?, ?, ?, ?)",
	[ST_EVICTED_FIND] =
	    "SELECT count(*) FROM evicted WHERE conference = ?1 "
	    "AND ((iss = ?2 AND sub = ?3) "
	    "OR (?4 <> '' AND email = ?4 COLLATE NOCASE))",

	[ST_EPOCH_ADD] = "INSERT INTO epoch (conference, epoch, spi, "
			 "sealed_key, made_ms) VALUES (?, ?, ?, ?, ?)",
	[ST_EPOCH_FIND] = "SELECT conference, epoch, spi, sealed_key, made_ms "
			  "FROM epoch WHERE conference = ? AND epoch = ?",
	[ST_EPOCH_WIPE] = "UPDATE epoch SET sealed_key = NULL "
			  "WHERE conference = ? AND epoch < ? "
			  "AND sealed_key IS NOT NULL",

	[ST_REPLAY_ADD] = "INSERT INTO replay (hash, until_s) VALUES (?, ?)",
	[ST_REPLAY_DROP] = "DELETE FROM replay WHERE hash = ?",
	[ST_IDEM_ADD] = "INSERT OR REPLACE INTO idempotency (client, key, "
			"body_hash, until_ms, sealed_answer) "
			"VALUES (?, ?, ?, ?, ?)",
	[ST_IDEM_FIND] = "SELECT client, key, body_hash, until_ms, "
			 "sealed_answer FROM idempotency "
			 "WHERE client = ? AND key = ?",
	[ST_REFUSAL_FIND] =
	    "SELECT " REFUSAL_COLS " FROM refusal WHERE iss = ? AND actor = ? "
	    "AND conference = ? AND code = ?",
	[ST_REFUSAL_PUT] = "INSERT OR REPLACE INTO refusal (" REFUSAL_COLS ") "
			   "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[ST_REFUSAL_DELETE] = "DELETE FROM refusal WHERE iss = ? AND actor = ? "
			      "AND conference = ? AND code = ?",
	[ST_REFUSAL_PLACES] = "SELECT count(*) FROM refusal WHERE iss = ? "
			      "AND actor = ?",
	[ST_REFUSAL_DUE] = "SELECT " REFUSAL_COLS " FROM refusal "
			   "WHERE noted_ms <= ? ORDER BY noted_ms LIMIT ?",
	[ST_AUDIT_ADD] =
	    "INSERT INTO audit (seq, text, prev, hash, at, kind, actor, "
	    "conference) VALUES (?1, ?2, ?3, ?4, json_extract(?2, '$.at'), "
	    "json_extract(?2, '$.kind'), json_extract(?2, '$.actor'), "
	    "json_extract(?2, '$.conference'))",
	[ST_AUDIT_LAST] = "SELECT seq, text, prev, hash FROM audit "
			  "ORDER BY seq DESC LIMIT 1",
	[ST_AUDIT_LIST] = "SELECT seq, text, prev, hash FROM audit "
			  "WHERE seq > ? ORDER BY seq LIMIT ?",
	/* The conference's own index reads no row of another. */
	[ST_AUDIT_FIND] = "SELECT seq, text, prev, hash FROM audit "
			  "WHERE seq > ?1 AND seq <= ?2 AND " AUDIT_FILTER,
	[ST_AUDIT_FIND_CONF] =
	    "SELECT seq, text, prev, hash FROM audit "
	    "INDEXED BY audit_conference WHERE seq > ?1 AND seq <= ?2 "
	    "AND conference <> '' AND conference = ?3 AND " AUDIT_FILTER,
	[ST_CHECKPOINT_ADD] = "INSERT INTO audit_checkpoint (n, seq, at_ms, "
			      "jws) VALUES (?, ?, ?, ?)",
	[ST_CHECKPOINT_LAST] = "SELECT n, seq, at_ms, jws "
			       "FROM audit_checkpoint ORDER BY n DESC LIMIT 1",
	[ST_CHECKPOINT_LIST] =
	    "SELECT n, seq, at_ms, jws FROM audit_checkpoint "
	    "WHERE seq > ? AND seq <= ? ORDER BY seq",
	[ST_COUNT] =
	    "SELECT (SELECT n FROM tally WHERE name = 'conference'), "
	    "(SELECT count(*) FROM conference INDEXED BY conference_live "
	    "WHERE state = 1), "
	    "(SELECT count(*) FROM member INDEXED BY member_live "
	    "WHERE state = 1), "
	    "(SELECT n FROM tally WHERE name = 'epoch'), "
	    "(SELECT coalesce(max(seq), 0) FROM audit), "
	    "(SELECT count(*) FROM member m JOIN conference c "
	    "ON c.id = m.conference WHERE m.state = 1 AND c.state = 1 "
	    "AND m.held < c.epoch)",

	[ST_PURGE_REPLAY] =
	    "DELETE FROM replay WHERE hash IN (SELECT hash FROM replay "
	    "WHERE until_s < ? ORDER BY until_s LIMIT ?)",
	[ST_PURGE_IDEM] =
	    "DELETE FROM idempotency WHERE (client, key) IN (SELECT client, "
	    "key FROM idempotency WHERE until_ms < ? ORDER BY until_ms "
	    "LIMIT ?)",
	[ST_PURGE_GONE] =
	    "DELETE FROM member WHERE no IN (SELECT no FROM member "
	    "WHERE state = 2 AND lease_ms < ? ORDER BY lease_ms LIMIT ?)",
	[ST_PURGE_REVOCATION] =
	    "DELETE FROM revocation WHERE at_s < ?1 AND no IN (SELECT no "
	    "FROM revocation ORDER BY no LIMIT ?2)",
	[ST_PURGE_ENDED] = "SELECT id FROM conference "
			   "INDEXED BY conference_ended WHERE state = 2 "
			   "AND ended_ms < ? ORDER BY ended_ms LIMIT 1",
	[ST_PURGE_INVITEE] =
	    "DELETE FROM invitee WHERE no IN (SELECT no FROM invitee "
	    "WHERE conference = ? LIMIT ?)",
	[ST_PURGE_INVITATION] =
	    "DELETE FROM invitation WHERE no IN (SELECT no FROM invitation "
	    "WHERE conference = ? LIMIT ?)",
	[ST_PURGE_MEMBER] =
	    "DELETE FROM member WHERE no IN (SELECT no FROM member "
	    "WHERE conference = ? LIMIT ?)",
	[ST_PURGE_SSRC] =
	    "DELETE FROM ssrc WHERE (conference, ssrc) IN (SELECT "
	    "conference, ssrc FROM ssrc WHERE conference = ? LIMIT ?)",
	[ST_PURGE_EPOCH] =
	    "DELETE FROM epoch WHERE (conference, epoch) IN (SELECT "
	    "conference, epoch FROM epoch WHERE conference = ? LIMIT ?)",

	[ST_META_GET] = "SELECT id, generation, root_id, backup_ms, "
			"rewrapped, to_rewrap FROM meta",
	[ST_META_PUT] = "UPDATE meta SET id = ?, generation = ?, "
			"root_id = ?, backup_ms = ?, rewrapped = ?, "
			"to_rewrap = ?",
	[ST_EVENT_ADD] =
	    "INSERT INTO event (" EVENT_COLS ", owner) VALUES (?1, ?2, ?3, "
	    "?4, ?5, ?6, coalesce((SELECT created_by FROM conference "
	    "WHERE id = ?5), (SELECT created_by FROM series WHERE id = ?5), "
	    "''))",
	[ST_EVENT_FIND] = "SELECT " EVENT_COLS " FROM event WHERE seq = ?",
	[ST_EVENT_LIST] = "SELECT " EVENT_COLS " FROM event WHERE seq > ? "
			  "ORDER BY seq LIMIT ?",
	[ST_EVENT_LIST_OWNER] =
	    "SELECT " EVENT_COLS " FROM event WHERE owner = ? AND seq > ? "
	    "ORDER BY seq LIMIT ?",
	[ST_EVENT_LIST_CONF] =
	    "SELECT " EVENT_COLS " FROM event WHERE conference = ?1 "
	    "AND (?2 = '' OR owner = ?2) AND seq > ?3 ORDER BY seq LIMIT ?4",
	[ST_EVENT_LAST] = "SELECT " EVENT_COLS " FROM event "
			  "ORDER BY seq DESC LIMIT 1",
	[ST_EVENT_FLOOR] = "SELECT floor FROM event_floor",
	[ST_EVENT_RAISE] =
	    "UPDATE event_floor SET floor = max(floor, coalesce((SELECT "
	    "max(seq) FROM (SELECT seq, at_ms FROM event ORDER BY seq "
	    "LIMIT 2000) WHERE at_ms < ?1 AND seq <= ?2), 0))",
	[ST_EVENT_PURGE] = "DELETE FROM event "
			   "WHERE seq <= (SELECT floor FROM event_floor)",
	[ST_HOOK_PUT] =
	    "INSERT OR REPLACE INTO webhook (" HOOK_COLS ") VALUES (?, ?, ?, "
	    "?, ?, ?, ?, ?, ?)",
	[ST_HOOK_FIND] = "SELECT " HOOK_COLS " FROM webhook WHERE name = ?",
	[ST_DEAD_AGAIN] = "UPDATE webhook_dead SET again_ms = ?3 "
			  "WHERE hook = ?1 AND (?2 = 0 OR seq = ?2)",
	[ST_DEAD_NEXT] = "SELECT " DEAD_COLS " FROM webhook_dead "
			 "WHERE hook = ? AND again_ms > 0 "
			 "ORDER BY seq LIMIT 1",
	[ST_DEAD_CALM] = "UPDATE webhook_dead SET again_ms = 0, why = ?2 "
			 "WHERE hook = ?1 AND again_ms > 0",
	[ST_DEAD_DELETE] =
	    "DELETE FROM webhook_dead WHERE hook = ? AND seq = ?",
	[ST_DEAD_ADD] = "INSERT OR REPLACE INTO webhook_dead (" DEAD_COLS ") "
			"VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[ST_DEAD_LIST] = "SELECT " DEAD_COLS " FROM webhook_dead "
			 "WHERE hook = ? AND seq > ? ORDER BY seq LIMIT ?",
	[ST_DEAD_PURGE] = "DELETE FROM webhook_dead WHERE dead_ms < ?",
	[ST_SEALED_SIGNING_KEY] =
	    "SELECT kid, '', kid, sealed_jwk FROM signing_key "
	    "WHERE kid > ?1 AND ?2 IS NOT NULL ORDER BY kid LIMIT ?3",
	[ST_RESEAL_SIGNING_KEY] = "UPDATE signing_key SET sealed_jwk = ?3 "
				  "WHERE kid = ?1 AND ?2 IS NOT NULL",
	[ST_COUNT_SIGNING_KEY] = "SELECT count(*) FROM signing_key",
	[ST_SEALED_CONF_KEY] =
	    "SELECT conference, '', conference, sealed_key FROM conference_key "
	    "WHERE conference > ?1 AND ?2 IS NOT NULL ORDER BY conference "
	    "LIMIT ?3",
	[ST_RESEAL_CONF_KEY] = "UPDATE conference_key SET sealed_key = ?3 "
			       "WHERE conference = ?1 AND ?2 IS NOT NULL",
	[ST_COUNT_CONF_KEY] = "SELECT count(*) FROM conference_key",
	[ST_SEALED_IDEM] =
	    "SELECT client, key, body_hash, sealed_answer FROM idempotency "
	    "WHERE (client, key) > (?1, ?2) ORDER BY client, key LIMIT ?3",
	[ST_RESEAL_IDEM] = "UPDATE idempotency SET sealed_answer = ?3 WHERE "
			   "client = ?1 AND key = ?2",
	[ST_COUNT_IDEM] = "SELECT count(*) FROM idempotency",
	[ST_SEALED_MAIL] =
	    "SELECT id, '', id, sealed_code FROM mail "
	    "WHERE id > ?1 AND ?2 IS NOT NULL ORDER BY id LIMIT ?3",
	[ST_RESEAL_MAIL] =
	    "UPDATE mail SET sealed_code = ?3 WHERE id = ?1 AND ?2 IS NOT NULL",
	[ST_COUNT_MAIL] = "SELECT count(*) FROM mail",
	[ST_GENERATION_PUT] = "UPDATE meta SET generation = ?",
	[ST_REVOCATION_LIST] =
	    "SELECT no, kind, conference, a, b, c, at_s FROM revocation "
	    "WHERE no > ? ORDER BY no LIMIT ?",
	[ST_REVOCATION_LAST] =
	    "SELECT coalesce((SELECT seq FROM sqlite_sequence "
	    "WHERE name = 'revocation'), 0)",
	[ST_REVOCATION_FROM] =
	    "SELECT coalesce((SELECT min(no) FROM revocation), 1 + (SELECT "
	    "seq FROM sqlite_sequence WHERE name = 'revocation'), 1)",
};
