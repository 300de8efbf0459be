/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking for damage, ours or the disk's. Each row that one of these
 * statements returns is a problem, told in one line. They read everything, so
 * they are not among those that the keeper prepares.
 */
#include "db/sqlite.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *what, *sql;
} checks[] = {
	{ "structure", "PRAGMA integrity_check(100)" },
	{ "reference without its row: table %s, row %s, of %s",
	    "PRAGMA foreign_key_check" },
	{ "conference key of a conference that is not live: %s",
	    "SELECT conference FROM conference_key WHERE conference NOT IN "
	    "(SELECT id FROM conference WHERE state = 1)" },
	{ "epoch key that no conference key opens: conference %s, epoch %s",
	    "SELECT conference, epoch FROM epoch WHERE sealed_key IS NOT NULL "
	    "AND conference NOT IN (SELECT conference FROM conference_key)" },
	{ "key of an epoch that was replaced: conference %s, epoch %s",
	    "SELECT e.conference, e.epoch FROM epoch e JOIN conference c "
	    "ON c.id = e.conference WHERE e.sealed_key IS NOT NULL "
	    "AND e.epoch <> c.epoch" },
	{ "delivery key of a member who is not live: %s",
	    "SELECT id FROM member WHERE sealed_delivery IS NOT NULL "
	    "AND state <> 1" },
	{ "live member of a conference that is not live: %s in %s",
	    "SELECT m.id, c.id FROM member m JOIN conference c "
	    "ON c.id = m.conference WHERE m.state = 1 AND c.state <> 1" },
	{ "member who is live and evicted: %s in %s",
	    "SELECT m.id, m.conference FROM member m JOIN evicted e "
	    "ON e.conference = m.conference AND e.iss = m.iss "
	    "AND e.sub = m.sub WHERE m.state = 1" },
	{ "live conference with no conference key: %s",
	    "SELECT id FROM conference WHERE state = 1 AND id NOT IN "
	    "(SELECT conference FROM conference_key) "
	    "AND (SELECT backup_ms FROM meta) = 0" },
	{ "count of conferences: %s stand, %s are said",
	    "SELECT c, n FROM (SELECT count(*) AS c FROM conference), tally "
	    "WHERE name = 'conference' AND n <> c" },
	{ "count of epochs: %s stand, %s are said",
	    "SELECT c, n FROM (SELECT count(*) AS c FROM epoch), tally "
	    "WHERE name = 'epoch' AND n <> c" },
	{ "epoch beyond the conference's newest: conference %s, epoch %s",
	    "SELECT e.conference, e.epoch FROM epoch e JOIN conference c "
	    "ON c.id = e.conference WHERE e.epoch > c.epoch" },
};

static const char *
text(sqlite3_stmt *st, int i)
{
	const unsigned char *s =
	    i < sqlite3_column_count(st) ? sqlite3_column_text(st, i) : NULL;

	return s != NULL ? (const char *)s : "";
}

/* A format of ours with the row's columns: %s is the only mark in it. */
static void
line_put(char *out, size_t cap, const char *fmt, sqlite3_stmt *st)
{
	size_t n = 0;
	int col = 0;

	for (; *fmt != '\0' && n + 1 < cap; fmt++) {
		if (fmt[0] == '%' && fmt[1] == 's') {
			n += (size_t)snprintf(
			    out + n, cap - n, "%s", text(st, col++));
			fmt++;
		} else
			out[n++] = *fmt;
		if (n >= cap)
			n = cap - 1;
	}
	out[n] = '\0';
}

static int
check_run(struct db *db, size_t i, db_problem_fn fn, void *arg)
{
	sqlite3_stmt *st = NULL;
	char line[512];
	int rc;

	rc = sqlite3_prepare_v2(db->sql, checks[i].sql, -1, &st, NULL);
	if (rc != SQLITE_OK)
		return db_err(rc);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		if (i == 0 && strcmp(text(st, 0), "ok") == 0)
			continue;
		if (i == 0)
			snprintf(line, sizeof(line), "%s: %s", checks[i].what,
			    text(st, 0));
		else
			line_put(line, sizeof(line), checks[i].what, st);
		fn(line, arg);
	}
	sqlite3_finalize(st);
	return db_err(rc);
}

int
db_check(struct db *db, db_problem_fn fn, void *arg)
{
	size_t i;
	int r;

	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++)
		if ((r = check_run(db, i, fn, arg)) != 0 && i == 0) {
			fn(sqlite3_errmsg(db->sql), arg);
			return r; /* too damaged for the others to tell */
		} else if (r != 0)
			fn(sqlite3_errmsg(db->sql), arg);
	return 0;
}
