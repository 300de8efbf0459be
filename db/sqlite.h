/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside db/: rows are mapped by tables of columns, so that a struct's
 * members, a statement's columns and its parameters are listed once, in one
 * order. All statements stand in one array and are prepared at open: a typo
 * dies at startup.
 */
#pragma once

#include <sqlite3.h>
#include <stdarg.h>

#include "db/db.h"

#define DB_APPLICATION_ID 0x50726368 /* "Prch" */

enum stmt {
	ST_BEGIN,
	ST_DATA_VERSION,
	ST_COMMIT,
	ST_ROLLBACK,
	ST_MARK,
	ST_MARK_KEEP,
	ST_MARK_UNDO,
	ST_SIGNING_KEY_ADD,
	ST_SIGNING_KEY_LIST,
	ST_SIGNING_KEY_RETIRE,
	ST_CLIENT_ADD,
	ST_CLIENT_FIND,
	ST_CLIENT_PUT,
	ST_CLIENT_LIST,
	ST_CONF_ADD,
	ST_CONF_FIND,
	ST_CONF_PUT,
	ST_CONF_DELETE,
	ST_CONF_LIST,
	ST_CONF_LIST_STATE,
	ST_CONF_LIST_OWNER,
	ST_CONF_LIST_BOTH,
	ST_CONF_LIST_WHEN,
	ST_CONF_DUE,
	ST_CONF_NEXT_DUE,
	ST_CONF_OPEN_COUNT,
	ST_ROSTER_FIND,
	ST_ROSTER_PUT,
	ST_ROSTER_TEXT,
	ST_ROSTER_DELETE,
	ST_CONF_KEY_FIND,
	ST_CONF_KEY_PUT,
	ST_CONF_KEY_DELETE,
	ST_CONF_OF_SERIES,
	ST_CONF_OF_OCCURRENCE,
	ST_MAIL_ADD,
	ST_MAIL_DUE,
	ST_MAIL_NEXT,
	ST_MAIL_FIND,
	ST_MAIL_LAST,
	ST_MAIL_PUT,
	ST_MAIL_EVENT,
	ST_MAIL_DROP,
	ST_MAIL_HURRY,
	ST_MAIL_PURGE,
	ST_SHEET_ADD,
	ST_SERIES_ADD,
	ST_SERIES_PUT,
	ST_SERIES_FIND,
	ST_SERIES_DELETE,
	ST_SERIES_LIST,
	ST_SERIES_DUE,
	ST_EXDATE_ADD,
	ST_EXDATE_CLEAR,
	ST_EXDATE_LIST,
	ST_SERIES_INVITEE_ADD,
	ST_SERIES_INVITEE_LIST,
	ST_SERIES_INVITEE_DELETE,
	ST_SERIES_INVITEE_PUT,
	ST_INVITEE_ADD,
	ST_INVITEE_LIST,
	ST_INVITEE_FIND,
	ST_INVITEE_MATCH,
	ST_INVITEE_BY_GROUP,
	ST_INVITEE_DELETE,
	ST_INVITEE_PUT,
	ST_MEMBER_ROLE,
	ST_INV_ADD,
	ST_INV_PUT,
	ST_INV_FIND,
	ST_INV_FIND_CODE,
	ST_INV_LIST,
	ST_MEMBER_ADD,
	ST_MEMBER_PUT,
	ST_MEMBER_FIND,
	ST_MEMBER_FIND_KEY,
	ST_MEMBER_LIST,
	ST_MEMBER_PAGE,
	ST_MEMBER_COUNT,
	ST_MEMBER_WELCOME,
	ST_MEMBER_BEHIND,
	ST_MEMBER_GRANTED,
	ST_MEMBER_LEASE,
	ST_MEMBER_NEXT_LEASE,
	ST_LEASE_RECOVER,
	ST_CONF_RECOVER,
	ST_MEMBER_INSIDE,
	ST_MEMBER_WIPE_KEYS,
	ST_MEMBER_OF_PERSON,
	ST_MEMBER_DELETE,
	ST_BUDGET_GET,
	ST_BUDGET_PUT,
	ST_SSRC_ADD,
	ST_EVICTED_ADD,
	ST_EVICTED_FIND,
	ST_EPOCH_ADD,
	ST_EPOCH_FIND,
	ST_EPOCH_WIPE,
	ST_REPLAY_ADD,
	ST_REPLAY_DROP,
	ST_IDEM_ADD,
	ST_IDEM_FIND,
	ST_REFUSAL_FIND,
	ST_REFUSAL_PUT,
	ST_REFUSAL_DELETE,
	ST_REFUSAL_PLACES,
	ST_REFUSAL_DUE,
	ST_AUDIT_ADD,
	ST_AUDIT_LAST,
	ST_AUDIT_LIST,
	ST_AUDIT_FIND,
	ST_AUDIT_FIND_CONF,
	ST_CHECKPOINT_ADD,
	ST_CHECKPOINT_LAST,
	ST_CHECKPOINT_LIST,
	ST_EVENT_ADD,
	ST_EVENT_FIND,
	ST_EVENT_LIST,
	ST_EVENT_LIST_OWNER,
	ST_EVENT_LIST_CONF,
	ST_EVENT_LAST,
	ST_EVENT_FLOOR,
	ST_EVENT_RAISE,
	ST_EVENT_PURGE,
	ST_HOOK_PUT,
	ST_HOOK_FIND,
	ST_DEAD_ADD,
	ST_DEAD_LIST,
	ST_DEAD_PURGE,
	ST_DEAD_AGAIN,
	ST_DEAD_NEXT,
	ST_DEAD_CALM,
	ST_DEAD_DELETE,
	ST_COUNT,
	ST_PURGE_REPLAY,
	ST_PURGE_IDEM,
	ST_PURGE_GONE,
	ST_PURGE_REVOCATION,
	ST_PURGE_ENDED,
	ST_PURGE_INVITEE,
	ST_PURGE_INVITATION,
	ST_PURGE_MEMBER,
	ST_PURGE_SSRC,
	ST_PURGE_EPOCH,
	ST_META_GET,
	ST_META_PUT,
	ST_SEALED_SIGNING_KEY,
	ST_RESEAL_SIGNING_KEY,
	ST_COUNT_SIGNING_KEY,
	ST_SEALED_CONF_KEY,
	ST_RESEAL_CONF_KEY,
	ST_COUNT_CONF_KEY,
	ST_SEALED_IDEM,
	ST_RESEAL_IDEM,
	ST_COUNT_IDEM,
	ST_SEALED_MAIL,
	ST_RESEAL_MAIL,
	ST_COUNT_MAIL,
	ST_GENERATION_PUT,
	ST_REVOCATION_LIST,
	ST_REVOCATION_LAST,
	ST_REVOCATION_FROM,
	ST_MAX
};

#define DB_MEMO_PLACES 4096
#define DB_MEMO_ROWS   4096

struct db_memo { /* sqlite_memo.c */
	struct db_memo_row *rows, *at[DB_MEMO_PLACES];
	unsigned n;
	int64_t changes; /* of all time, as far as they do not matter here */
	int64_t version; /* the database's, as others leave it */
	int64_t audit_seq; /* of the last record; 0: not known */
	char audit_hash[DB_HASH_MAX];
};

struct db {
	sqlite3 *sql;
	sqlite3_stmt *st[ST_MAX];
	bool begun; /* between db_begin and db_commit or db_rollback */
	int64_t changes; /* of all time, when the transaction began */
	int version;
	uint64_t ran; /* statements */
	int lock;   /* descriptor of the lock file; -1: a reader */
	char *path; /* of the database; NULL: a reader */
	struct db_memo memo;
};

extern const char *const db_statements[ST_MAX];
extern const char *const db_steps[];
extern const int db_steps_count;

/* SEALED: { size_t len; uint8_t data[]; } within the row; len 0 is NULL.
 * HEAP: struct db_heap, whose data is malloc()ed when read. */
enum col_type { COL_I64, COL_INT, COL_U32, COL_U16, COL_BOOL, COL_TEXT,
	COL_SEALED, COL_HEAP };

struct col {
	enum col_type type;
	size_t offset, size;
};

#define COL(t, s, m)                                                         \
	{ t, offsetof(struct s, m), sizeof(((struct s *)0)->m) }
#define NCOLS(c) (sizeof(c) / sizeof((c)[0]))

struct cols {
	const struct col *c;
	size_t n;
	size_t row_size;
};
#define COLS(c, s) { c, NCOLS(c), sizeof(struct s) }

/* An SQLite result code as one of ours. */
int db_err(int sqlite_code);
/* Bind parameters after those bound so far: s text, i int64_t. */
PERC_MUST int db_bind(struct db *db, enum stmt st, const char *fmt, ...);
PERC_MUST int db_bind_va(struct db *db, enum stmt st, const char *fmt,
    va_list ap);
/* Bind a row's columns as parameters 1.. */
PERC_MUST int db_bind_row(struct db *db, enum stmt st, const struct cols *c,
    const void *row);
/* Run a bound statement to its end. */
PERC_MUST int db_run(struct db *db, enum stmt st);
/* Bind and run. */
PERC_MUST int db_exec(struct db *db, enum stmt st, const char *fmt, ...);
PERC_MUST int db_put(struct db *db, enum stmt st, const struct cols *c,
    const void *row);
/* First row of a bound statement into row; PERC_ERR_NOTFOUND. */
PERC_MUST int db_one(struct db *db, enum stmt st, const struct cols *c,
    void *row);
/* All rows of a bound statement into a malloc()ed array (NULL when none). */
PERC_MUST int db_many(struct db *db, enum stmt st, const struct cols *c,
    void *listp, size_t *np);

/* sqlite_memo.c: bind and read the first row, or remember it. Inside of a
 * transaction, for statements that read nothing of what db_memo_wrote() lets
 * pass. */
PERC_MUST int db_known(struct db *db, enum stmt st, const struct cols *c,
    void *row, const char *fmt, ...);
/* May what is remembered be used now? */
bool db_memo_good(struct db *db);
PERC_MUST int db_memo_begin(struct db *db);
/* st has run; so many rows had changed before. */
void db_memo_wrote(struct db *db, enum stmt st, int64_t before);
void db_memo_clear(struct db *db);
