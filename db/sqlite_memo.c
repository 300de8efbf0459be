/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that were read and cannot have changed since. Whoever asks for the key
 * in use has his conference, its epoch, his invitation looked up again, while
 * nothing but leases and the audit is written. What is kept here is what a
 * statement gave for its parameters, so whoever decides asks every question
 * each time; only SQLite is not asked twice.
 *
 * It must never be older than the database. SQLite itself counts the rows
 * that change, those by triggers and foreign keys too, so no statement can be
 * forgotten: any that moves the count empties this, but for the few that
 * write what nothing here is read from. To undo changes rows without
 * counting, so that empties it as well; so does what another connection
 * wrote, seen when our transaction begins. Outside of one nothing is known.
 * Emptied means wiped: a key that was destroyed, sealed or not, is not to
 * stay behind here.
 */
#include "db/sqlite.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "perc/secret.h"

#define KEY_MAX 1024

struct db_memo_row {
	struct db_memo_row *next, *alike; /* of all, of the same place */
	unsigned place;
	size_t keylen, len;
	int found;	  /* what the statement returned: 0 or NOTFOUND */
	uint8_t octets[]; /* key, then the columns */
};

struct key {
	uint8_t p[KEY_MAX];
	size_t len;
	unsigned place;
};

/* --- keys ----------------------------------------------------------------- */
static bool
key_add(struct key *k, const void *p, size_t n)
{
	if (n > sizeof(k->p) - k->len)
		return false;
	memcpy(k->p + k->len, p, n);
	k->len += n;
	return true;
}

/* The statement and its parameters; false: too long to be kept. */
static bool
key_make(struct key *k, enum stmt st, const char *fmt, va_list ap)
{
	uint32_t h = 2166136261u; /* FNV-1a */
	const char *s;
	int64_t i;
	bool ok;

	k->len = 0;
	for (ok = key_add(k, &st, sizeof(st)); ok && *fmt != '\0'; fmt++)
		if (*fmt == 's') {
			s = va_arg(ap, const char *);
			ok = key_add(k, s, strlen(s) + 1);
		} else {
			i = va_arg(ap, int64_t);
			ok = key_add(k, &i, sizeof(i));
		}
	for (size_t n = 0; n < k->len; n++)
		h = (h ^ k->p[n]) * 16777619u;
	k->place = (h ^ h >> 16) % DB_MEMO_PLACES;
	return ok;
}

/* --- rows ----------------------------------------------------------------- */

/* How long a column is, in a struct and in what is kept of it alike. */
static size_t
col_len(const struct col *c, const uint8_t *p)
{
	size_t n = 0;

	if (c->type == COL_TEXT)
		return strlen((const char *)p) + 1;
	if (c->type != COL_SEALED)
		return c->size;
	memcpy(&n, p, sizeof(n));
	return sizeof(n) + n;
}

static size_t
cols_len(const struct cols *c, const uint8_t *row)
{
	size_t i, n = 0;

	for (i = 0; i < c->n; i++)
		n += col_len(&c->c[i], row + c->c[i].offset);
	return n;
}

static void
cols_keep(uint8_t *out, const struct cols *c, const uint8_t *row)
{
	size_t i, n;

	for (i = 0; i < c->n; i++, out += n) {
		n = col_len(&c->c[i], row + c->c[i].offset);
		memcpy(out, row + c->c[i].offset, n);
	}
}

static void
cols_give(uint8_t *row, const struct cols *c, const uint8_t *in)
{
	size_t i, n;

	memset(row, 0, c->row_size);
	for (i = 0; i < c->n; i++, in += n) {
		n = col_len(&c->c[i], in);
		memcpy(row + c->c[i].offset, in, n);
	}
}

/* --- the whole ------------------------------------------------------------ */
void
db_memo_clear(struct db *db)
{
	struct db_memo_row *m;

	while ((m = db->memo.rows) != NULL) {
		db->memo.rows = m->next;
		db->memo.at[m->place] = NULL;
		perc_wipe(m, sizeof(*m) + m->keylen + m->len);
		free(m);
	}
	db->memo.n = 0;
	db->memo.audit_seq = 0;
	db->memo.changes = sqlite3_total_changes64(db->sql);
}

/* These write what no remembered statement reads: a lease's end and the epoch
 * held, a record, a proof that was seen, how often was committed. */
static bool
beside_it(enum stmt st)
{
	return st == ST_MEMBER_LEASE || st == ST_AUDIT_ADD ||
	    st == ST_REPLAY_ADD || st == ST_GENERATION_PUT;
}

void
db_memo_wrote(struct db *db, enum stmt st, int64_t before)
{
	int64_t now = sqlite3_total_changes64(db->sql);

	if (beside_it(st) && db->memo.changes == before)
		db->memo.changes = now;
	if (db->memo.changes != now)
		db_memo_clear(db);
}

/* What other connections committed changes this number. */
int
db_memo_begin(struct db *db)
{
	sqlite3_stmt *st = db->st[ST_DATA_VERSION];
	int rc = sqlite3_step(st);
	int64_t v = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : -1;

	sqlite3_reset(st);
	if (rc != SQLITE_ROW || v != db->memo.version)
		db_memo_clear(db);
	db->memo.version = v;
	return rc == SQLITE_ROW ? 0 : db_err(rc);
}

bool
db_memo_good(struct db *db)
{
	if (!db->begun || db_broken(db))
		return false;
	if (db->memo.changes != sqlite3_total_changes64(db->sql))
		db_memo_clear(db);
	return true;
}

static struct db_memo_row *
memo_find(struct db *db, const struct key *k)
{
	struct db_memo_row *m;

	for (m = db->memo.at[k->place]; m != NULL; m = m->alike)
		if (m->keylen == k->len && memcmp(m->octets, k->p, k->len) == 0)
			break;
	return m;
}

/* When there is no room or no memory it is just read again. */
static void
memo_keep(struct db *db, const struct key *k, const struct cols *c,
    const void *row, int found)
{
	size_t len = found == 0 ? cols_len(c, row) : 0;
	struct db_memo_row *m;

	if (db->memo.n == DB_MEMO_ROWS)
		db_memo_clear(db);
	if ((m = malloc(sizeof(*m) + k->len + len)) == NULL)
		return;
	*m = (struct db_memo_row){
		.next = db->memo.rows,
		.alike = db->memo.at[k->place],
		.place = k->place,
		.keylen = k->len,
		.len = len,
		.found = found,
	};
	memcpy(m->octets, k->p, k->len);
	if (found == 0)
		cols_keep(m->octets + k->len, c, row);
	db->memo.rows = db->memo.at[k->place] = m;
	db->memo.n++;
}

int
db_known(struct db *db, enum stmt st, const struct cols *c, void *row,
    const char *fmt, ...)
{
	const struct db_memo_row *m;
	struct key k;
	bool keep;
	va_list ap;
	int r;

	va_start(ap, fmt);
	keep = key_make(&k, st, fmt, ap) && db_memo_good(db);
	va_end(ap);
	if (keep && (m = memo_find(db, &k)) != NULL) {
		db->ran++; /* the same question, for whoever counts them */
		if (m->found == 0)
			cols_give(row, c, m->octets + m->keylen);
		return m->found;
	}
	va_start(ap, fmt);
	r = db_bind_va(db, st, fmt, ap);
	va_end(ap);
	if (r != 0)
		return r;
	r = db_one(db, st, c, row);
	if (keep && (r == 0 || r == PERC_ERR_NOTFOUND))
		memo_keep(db, &k, c, row, r);
	return r;
}
