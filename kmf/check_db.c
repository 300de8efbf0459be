/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * `perch-kmf check-db`: reads everything, changes nothing, holds nobody up.
 * The keeper may run beside it; what it is told is the state of one moment.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "kmf/guard.h"
#include "kmf/keeper.h"
#include "kmf/root.h"
#include "perc/chain.h"

#define PAGE 500

static void
on_problem(const char *line, void *arg)
{
	unsigned *n = arg;

	++*n;
	printf("%s\n", line);
}

static int
record_check(const struct db_audit *last, const struct db_audit *a)
{
	char hash[PERC_JKT_LEN + 1];
	json_t *v = NULL;
	bool told = false;
	int r;

	r = perc_chain_hash(hash, a->prev, a->text, strlen(a->text));
	if (r != 0 || strcmp(hash, a->hash) != 0)
		return r != 0 ? r : PERC_ERR_AUTH;
	if (last->seq == 0 ||
	    (a->seq == last->seq + 1 && strcmp(last->hash, a->prev) == 0))
		return 0;
	if ((v = json_loads(a->text, 0, NULL)) != NULL)
		told = perc_chain_restored(v, a->seq, last->seq, last->hash);
	json_decref(v);
	return told ? 0 : PERC_ERR_AUTH;
}

/* Each record's hash over the one before it. */
int
kmf_check_chain(struct db *db, struct db_audit *last)
{
	struct db_audit *list = NULL;
	size_t i, n = 0;
	int r;

	memset(last, 0, sizeof(*last));
	do {
		if ((r = db_audit_list(db, &list, &n, last->seq, PAGE)) != 0)
			return r;
		for (i = 0; r == 0 && i < n; i++)
			if ((r = record_check(last, &list[i])) == 0)
				*last = list[i];
		free(list);
		list = NULL;
	} while (r == 0 && n == PAGE);
	return r;
}

static void
check_chain(struct db *db, unsigned *bad)
{
	struct db_audit last;
	char line[128];
	int r;

	if ((r = kmf_check_chain(db, &last)) == 0)
		return;
	snprintf(line, sizeof(line),
	    "audit chain: broken behind record %" PRId64 " (%s)", last.seq,
	    perc_strerror(r));
	on_problem(line, bad);
}

/* Does the root key open what it must, and is the file the newest? */
static void
check_root(const struct kmf_conf *c, struct db *db, unsigned *bad)
{
	struct perc_secret *now = NULL, *next = NULL;
	struct kmf_roots roots = { 0 };
	char line[700] = "", path[4200];
	struct kmf_gen gen;
	uint8_t key[32];
	struct db_meta m;
	int r;

	if (db_meta_get(db, &m) != 0)
		return;
	if (kmf_roots_read(&now, &next, c, line, sizeof(line)) != 0) {
		on_problem(line, bad);
		goto out;
	}
	r = kmf_roots_choose(&roots, now, next, m.root_id);
	if (r != 0) {
		on_problem("the root key is not the one of this database", bad);
		goto out;
	}
	snprintf(path, sizeof(path), "%s/%s", c->guard_dir, KMF_GEN_FILE);
	if ((r = kmf_root_derive(key, roots.seal, KMF_GEN_USE)) == 0)
		r = kmf_gen_read(&gen, path, key);
	perc_wipe(key, sizeof(key));
	if (r == PERC_ERR_AUTH && roots.other != NULL)
		goto out; /* a rewrap is under way */
	if (r == PERC_ERR_NOTFOUND && m.generation == 0)
		goto out; /* never started since it came forward */
	if (r != 0) {
		snprintf(line, sizeof(line), "%s: %s", path, perc_strerror(r));
		on_problem(line, bad);
	} else if (strcmp(gen.id, m.id) != 0 || m.backup_ms != 0)
		on_problem("the database is not the one of root.gen", bad);
out:
	kmf_roots_clear(&roots);
	perc_secret_free(now);
	perc_secret_free(next);
}

int
kmf_check_db(const struct kmf_conf *c)
{
	char path[4200], why[512] = "";
	struct db *db = NULL;
	unsigned bad = 0;

	snprintf(path, sizeof(path), "%s/%s", c->state_dir, KMF_DB_FILE);
	if (db_open_reader(&db, path, why, sizeof(why)) != 0) {
		fprintf(stderr, "perch-kmf: check-db: %s\n", why);
		return 2;
	}
	if (db_check(db, on_problem, &bad) != 0)
		bad++;
	else {
		check_chain(db, &bad);
		check_root(c, db, &bad);
	}
	db_close(db);
	if (bad == 0)
		printf("%s: good\n", path);
	return bad == 0 ? 0 : 1;
}
