/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between SQLite's columns and our structs, by table. A text that does not
 * fit its member is an error, never cut: a shortened id would be another id.
 */
#include "db/sqlite.h"

#include <stdlib.h>
#include <string.h>

static int
bind_col(sqlite3_stmt *st, int i, const struct col *c, const uint8_t *row)
{
	const void *p = row + c->offset;
	const struct db_heap *h = p;
	size_t len;

	switch (c->type) {
	case COL_I64:
		return sqlite3_bind_int64(st, i, *(const int64_t *)p);
	case COL_INT:
		return sqlite3_bind_int(st, i, *(const int *)p);
	case COL_U32:
		return sqlite3_bind_int64(st, i, *(const uint32_t *)p);
	case COL_U16:
		return sqlite3_bind_int(st, i, *(const uint16_t *)p);
	case COL_BOOL:
		return sqlite3_bind_int(st, i, *(const bool *)p);
	case COL_TEXT:
		return sqlite3_bind_text(st, i, p, -1, SQLITE_STATIC);
	case COL_SEALED:
		memcpy(&len, p, sizeof(len));
		if (len == 0)
			return sqlite3_bind_null(st, i);
		return sqlite3_bind_blob(st, i, row + c->offset + sizeof(len),
		    (int)len, SQLITE_STATIC);
	case COL_HEAP:
		return sqlite3_bind_blob(
		    st, i, h->data, (int)h->len, SQLITE_STATIC);
	}
	return SQLITE_MISUSE;
}

static int
read_text(sqlite3_stmt *st, int i, const struct col *c, char *p)
{
	const unsigned char *text = sqlite3_column_text(st, i);
	size_t n = (size_t)sqlite3_column_bytes(st, i);

	if (text == NULL)
		return PERC_ERR_NOMEM;
	if (n >= c->size)
		return PERC_ERR_LIMIT;
	memcpy(p, text, n);
	p[n] = '\0';
	return 0;
}

static int
read_sealed(sqlite3_stmt *st, int i, const struct col *c, uint8_t *p)
{
	const void *data = sqlite3_column_blob(st, i);
	size_t n = (size_t)sqlite3_column_bytes(st, i);

	if (n > c->size - sizeof(n))
		return PERC_ERR_LIMIT;
	memcpy(p, &n, sizeof(n));
	if (n != 0)
		memcpy(p + sizeof(n), data, n);
	return 0;
}

static int
read_heap(sqlite3_stmt *st, int i, struct db_heap *h)
{
	const void *data = sqlite3_column_blob(st, i);
	size_t n = (size_t)sqlite3_column_bytes(st, i);

	if ((h->data = malloc(n + 1)) == NULL)
		return PERC_ERR_NOMEM;
	h->len = n;
	if (n != 0)
		memcpy(h->data, data, n);
	return 0;
}

static int
read_col(sqlite3_stmt *st, int i, const struct col *c, uint8_t *row)
{
	void *p = row + c->offset;

	switch (c->type) {
	case COL_I64:
		*(int64_t *)p = sqlite3_column_int64(st, i);
		return 0;
	case COL_INT:
		*(int *)p = sqlite3_column_int(st, i);
		return 0;
	case COL_U32:
		*(uint32_t *)p = (uint32_t)sqlite3_column_int64(st, i);
		return 0;
	case COL_U16:
		*(uint16_t *)p = (uint16_t)sqlite3_column_int(st, i);
		return 0;
	case COL_BOOL:
		*(bool *)p = sqlite3_column_int(st, i) != 0;
		return 0;
	case COL_TEXT:
		return read_text(st, i, c, p);
	case COL_SEALED:
		return read_sealed(st, i, c, p);
	case COL_HEAP:
		return read_heap(st, i, p);
	}
	return PERC_ERR_INVAL;
}

static int
read_row(sqlite3_stmt *st, const struct cols *c, void *row)
{
	size_t i;
	int r;

	memset(row, 0, c->row_size);
	for (i = 0; i < c->n; i++)
		if ((r = read_col(st, (int)i, &c->c[i], row)) != 0)
			return r;
	return 0;
}

static void
stmt_done(sqlite3_stmt *st)
{
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
}

int
db_bind_va(struct db *db, enum stmt st, const char *fmt, va_list ap)
{
	int i, rc = SQLITE_OK;

	for (i = 1; rc == SQLITE_OK && *fmt != '\0'; fmt++, i++) {
		if (*fmt == 's')
			rc = sqlite3_bind_text(db->st[st], i,
			    va_arg(ap, const char *), -1, SQLITE_STATIC);
		else
			rc = sqlite3_bind_int64(
			    db->st[st], i, va_arg(ap, int64_t));
	}
	if (rc != SQLITE_OK)
		stmt_done(db->st[st]);
	return db_err(rc);
}

int
db_bind(struct db *db, enum stmt st, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = db_bind_va(db, st, fmt, ap);
	va_end(ap);
	return r;
}

int
db_bind_row(struct db *db, enum stmt st, const struct cols *c, const void *row)
{
	size_t i;
	int rc = SQLITE_OK;

	for (i = 0; rc == SQLITE_OK && i < c->n; i++)
		rc = bind_col(db->st[st], (int)i + 1, &c->c[i], row);
	if (rc != SQLITE_OK)
		stmt_done(db->st[st]);
	return db_err(rc);
}

/* When the transaction is lost, whatever else its owner writes would stand
 * alone and at once, and SAVEPOINT would begin another: nothing does. */
int
db_run(struct db *db, enum stmt st)
{
	int64_t before = sqlite3_total_changes64(db->sql);
	int rc;

	if (db_broken(db)) {
		stmt_done(db->st[st]);
		return PERC_ERR_SYS;
	}
	db->ran++;
	while ((rc = sqlite3_step(db->st[st])) == SQLITE_ROW)
		;
	stmt_done(db->st[st]);
	db_memo_wrote(db, st, before);
	return db_err(rc);
}

int
db_exec(struct db *db, enum stmt st, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = db_bind_va(db, st, fmt, ap);
	va_end(ap);
	return r != 0 ? r : db_run(db, st);
}

int
db_put(struct db *db, enum stmt st, const struct cols *c, const void *row)
{
	int r;

	if ((r = db_bind_row(db, st, c, row)) != 0)
		return r;
	return db_run(db, st);
}

int
db_one(struct db *db, enum stmt st, const struct cols *c, void *row)
{
	int rc, r;

	db->ran++;
	rc = sqlite3_step(db->st[st]);
	if (rc == SQLITE_ROW)
		r = read_row(db->st[st], c, row);
	else
		r = rc == SQLITE_DONE ? PERC_ERR_NOTFOUND : db_err(rc);
	stmt_done(db->st[st]);
	return r;
}

static int
list_grow(uint8_t **list, size_t *cap, size_t n, size_t row_size)
{
	uint8_t *p;

	if (n < *cap)
		return 0;
	*cap = *cap == 0 ? 8 : *cap * 2;
	if ((p = reallocarray(*list, *cap, row_size)) == NULL)
		return PERC_ERR_NOMEM;
	*list = p;
	return 0;
}

int
db_many(
    struct db *db, enum stmt st, const struct cols *c, void *listp, size_t *np)
{
	uint8_t *list = NULL;
	size_t n = 0, cap = 0;
	int rc, r = 0;

	db->ran++;
	while ((rc = sqlite3_step(db->st[st])) == SQLITE_ROW) {
		if ((r = list_grow(&list, &cap, n, c->row_size)) != 0 ||
		    (r = read_row(db->st[st], c, list + n * c->row_size)) != 0)
			break;
		n++;
	}
	if (r == 0 && rc != SQLITE_DONE)
		r = db_err(rc);
	stmt_done(db->st[st]);
	if (r != 0) {
		free(list);
		return r;
	}
	memcpy(listp, &list, sizeof(list)); /* of whatever row type */
	*np = n;
	return 0;
}
