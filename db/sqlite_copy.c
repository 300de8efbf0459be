/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup: all rows as they stood at one moment, copied into a new file
 * while the keeper goes on. Keys of conferences are left out by never being
 * read, so that no octet of them is in the file, in its free pages or in a
 * half-made one. A sealed column that this file does not know ends it.
 */
#include "db/sqlite.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What is not copied: the rows, or (column named) what is NULL instead. */
static const struct {
	const char *table, *column;
} left_out[] = {
	{ "conference_key", NULL },
	{ "idempotency", NULL }, /* answers hold invitation codes */
	{ "replay", NULL },
	{ "mail", NULL }, /* nobody is to be written to twice */
	{ "mail_sheet", NULL },
	{ "epoch", "sealed_key" },
	{ "member", "sealed_delivery" },
};
/* Sealed by the root key, which is no conference's, and copied. */
static const char *const sealed_kept[] = { "signing_key.sealed_jwk" };

struct copy {
	sqlite3 *to;
	char *why;
	size_t cap;
};

static int
complain(struct copy *c, const char *what)
{
	snprintf(c->why, c->cap, "%s: %s", what, sqlite3_errmsg(c->to));
	return db_err(sqlite3_extended_errcode(c->to));
}

static int
run(struct copy *c, const char *sql)
{
	if (sqlite3_exec(c->to, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	return complain(c, "copying");
}

static bool
is_left_out(const char *table, const char *column)
{
	size_t i;

	for (i = 0; i < NCOLS(left_out); i++)
		if (strcmp(table, left_out[i].table) == 0 &&
		    (left_out[i].column == NULL ||
			(column != NULL &&
			    strcmp(column, left_out[i].column) == 0)))
			return true;
	return false;
}

static bool
is_known(const char *table, const char *column)
{
	char name[128];
	size_t i;

	if (strncmp(column, "sealed", 6) != 0 || is_left_out(table, column))
		return true;
	snprintf(name, sizeof(name), "%s.%s", table, column);
	for (i = 0; i < NCOLS(sealed_kept); i++)
		if (strcmp(name, sealed_kept[i]) == 0)
			return true;
	return false;
}

/* "INSERT INTO main.t SELECT a, NULL, c FROM live.t": names come from our
 * own schema, and are quoted all the same. */
static int
table_sql(struct copy *c, sqlite3_str *s, const char *table)
{
	sqlite3_stmt *st = NULL;
	const char *name, *sep = "";
	int rc, r = 0;

	rc = sqlite3_prepare_v2(c->to,
	    "SELECT name FROM pragma_table_info(?1) ORDER BY cid", -1, &st,
	    NULL);
	if (rc != SQLITE_OK)
		return complain(c, table);
	sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	sqlite3_str_appendf(s, "INSERT INTO main.\"%w\" SELECT ", table);
	while (r == 0 && sqlite3_step(st) == SQLITE_ROW) {
		name = (const char *)sqlite3_column_text(st, 0);
		if (!is_known(table, name)) {
			snprintf(c->why, c->cap,
			    "%s.%s: a sealed column of an unknown kind", table,
			    name);
			r = PERC_ERR_UNSUPPORTED;
		}
		if (is_left_out(table, name))
			sqlite3_str_appendf(s, "%sNULL", sep);
		else
			sqlite3_str_appendf(s, "%s\"%w\"", sep, name);
		sep = ", ";
	}
	sqlite3_str_appendf(s, " FROM live.\"%w\"", table);
	sqlite3_finalize(st);
	return r;
}

static int
table_copy(struct copy *c, const char *table)
{
	sqlite3_str *s = sqlite3_str_new(c->to);
	char *text = NULL;
	int r;

	r = table_sql(c, s, table);
	text = sqlite3_str_finish(s);
	if (r == 0 && text == NULL)
		r = PERC_ERR_NOMEM;
	if (r == 0)
		r = run(c, text);
	sqlite3_free(text);
	return r;
}

/* Each value that a query of names or of SQL gives, to fn. */
static int
each(struct copy *c, const char *sql,
    int (*fn)(struct copy *c, const char *text))
{
	char *list[256];
	sqlite3_stmt *st = NULL;
	size_t i, n = 0;
	int r = 0;

	if (sqlite3_prepare_v2(c->to, sql, -1, &st, NULL) != SQLITE_OK)
		return complain(c, "reading the schema");
	while (n < NCOLS(list) && sqlite3_step(st) == SQLITE_ROW)
		list[n++] = sqlite3_mprintf("%s", sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	for (i = 0; i < n; i++) {
		if (r == 0)
			r = list[i] != NULL ? fn(c, list[i]) : PERC_ERR_NOMEM;
		sqlite3_free(list[i]);
	}
	return r;
}

static int
empty(struct copy *c, const char *table)
{
	char *sql = sqlite3_mprintf("DELETE FROM main.\"%w\"", table);
	int r = sql != NULL ? run(c, sql) : PERC_ERR_NOMEM;

	sqlite3_free(sql);
	return r;
}

static int
copy_unless_left_out(struct copy *c, const char *table)
{
	return is_left_out(table, NULL) ? 0 : table_copy(c, table);
}

#define TABLES                                                                 \
	"SELECT name FROM main.sqlite_schema WHERE type = 'table' "            \
	"AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
#define TRIGGERS "FROM main.sqlite_schema WHERE type = 'trigger'"

/* Triggers would count what is only copied, so they are made last. */
static int
fill(struct copy *c, int64_t now_ms)
{
	char sql[200];
	int r;

	snprintf(sql, sizeof(sql),
	    "UPDATE main.meta SET backup_ms = %lld, rewrapped = 0, "
	    "to_rewrap = 0",
	    (long long)now_ms);
	if ((r = run(c, "CREATE TEMP TABLE later AS SELECT sql " TRIGGERS)) !=
		0 ||
	    (r = each(c, "SELECT 'DROP TRIGGER ' || name " TRIGGERS, run)) !=
		0 ||
	    (r = each(c, TABLES, empty)) != 0 || (r = run(c, "BEGIN")) != 0 ||
	    (r = each(c, TABLES, copy_unless_left_out)) != 0 ||
	    (r = run(c,
		 "DELETE FROM main.sqlite_sequence; INSERT INTO "
		 "main.sqlite_sequence SELECT * FROM live.sqlite_sequence")) !=
		0 ||
	    (r = run(c, sql)) != 0 ||
	    (r = each(c, "SELECT sql FROM temp.later", run)) != 0)
		return r;
	return run(c, "COMMIT; DETACH live; DROP TABLE temp.later");
}

static int
steps(struct copy *c)
{
	char sql[96];
	int i, r = 0;

	for (i = 0; r == 0 && i < db_steps_count; i++)
		r = run(c, db_steps[i]);
	snprintf(sql, sizeof(sql),
	    "PRAGMA application_id = %d; PRAGMA user_version = %d",
	    DB_APPLICATION_ID, db_steps_count);
	return r != 0 ? r : run(c, sql);
}

static int
attach(struct copy *c, const char *from)
{
	sqlite3_stmt *st = NULL;
	int rc;

	rc = sqlite3_prepare_v2(c->to, "ATTACH ?1 AS live", -1, &st, NULL);
	if (rc == SQLITE_OK &&
	    (rc = sqlite3_bind_text(st, 1, from, -1, SQLITE_STATIC)) ==
		SQLITE_OK &&
	    (rc = sqlite3_step(st)) == SQLITE_DONE)
		rc = SQLITE_OK;
	sqlite3_finalize(st);
	return rc == SQLITE_OK ? 0 : complain(c, from);
}

int
db_backup(
    const char *from, const char *to, int64_t now_ms, char *why, size_t cap)
{
	struct copy c = { .why = why, .cap = cap };
	struct db *look = NULL;
	int fd = -1, r;

	/* Is it ours, of this version? */
	if ((r = db_open_reader(&look, from, why, cap)) != 0)
		return r;
	db_close(look);
	fd = open(to, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		snprintf(why, cap, "%s: %m", to);
		return PERC_ERR_SYS;
	}
	close(fd);
	r = db_err(sqlite3_open_v2(
	    to, &c.to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL));
	if (r != 0)
		(void)complain(&c, to);
	if (r == 0)
		r = db_err(sqlite3_busy_timeout(c.to, 5000));
	/* Whole or thrown away: it needs no log of its own. */
	if (r == 0)
		r = run(&c,
		    "PRAGMA journal_mode = OFF; PRAGMA synchronous = "
		    "OFF; PRAGMA temp_store = MEMORY");
	if (r == 0 && (r = steps(&c)) == 0 && (r = attach(&c, from)) == 0)
		r = fill(&c, now_ms);
	sqlite3_close(c.to);
	return r;
}
