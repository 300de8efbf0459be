/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Around each commit: what was revoked is in the journal before it, how far
 * we came is in root.gen after it. So the journal may know more than the
 * database and root.gen less, never the other way round, and at the next
 * start a database that is behind root.gen can only be an old copy.
 */
#include "kmf/keeper_int.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmf/root.h"

#define PAGE 200

int
kmf_dir_sync(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return PERC_ERR_SYS;
	r = fsync(fd) == 0 ? 0 : PERC_ERR_SYS;
	close(fd);
	return r;
}

/* Zeros over what was replaced: sealed keys stood there. */
void
kmf_file_wipe(const char *path)
{
	static const char zero[1 << 16];
	struct stat st;
	off_t n = 0;
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0)
		while (n < st.st_size && write(fd, zero, sizeof(zero)) > 0)
			n += (off_t)sizeof(zero);
	(void)!fsync(fd);
	close(fd);
	(void)unlink(path);
}

/* What a restore that was killed left: sealed keys may stand there. */
static void
leftovers_wipe(const char *dir)
{
	static const char *const ends[] = { ".restoring", ".restoring-wal",
		".restoring-shm", ".restoring-lock", ".restoring-journal",
		".replaced", ".replaced-wal", ".replaced-shm" };
	char path[4200];
	size_t i;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		snprintf(
		    path, sizeof(path), "%s/%s%s", dir, KMF_DB_FILE, ends[i]);
		kmf_file_wipe(path);
	}
}

static void
path_put(char out[static 4096], const struct kmf_guard *g, const char *name)
{
	snprintf(out, 4096, "%s/%s", g->dir, name);
}

/* Under either root key, while there are two. */
static int
gen_read(struct kmf_keeper *k, const char *path, struct kmf_gen *g)
{
	uint8_t key[32];
	int r;

	if ((r = kmf_root_derive(key, k->root, KMF_GEN_USE)) == 0)
		r = kmf_gen_read(g, path, key);
	if (r == PERC_ERR_AUTH && k->root_old != NULL &&
	    (r = kmf_root_derive(key, k->root_old, KMF_GEN_USE)) == 0)
		r = kmf_gen_read(g, path, key);
	perc_wipe(key, sizeof(key));
	return r;
}

static int
gen_judge(struct kmf_keeper *k, int r, const struct kmf_gen *g,
    const struct db_meta *m, const char *path, char *why, size_t cap)
{
	static const char *const restore =
	    "run: perch-kmf restore -c CONF BACKUP";

	if (m->backup_ms != 0) {
		snprintf(why, cap,
		    "the database is a backup that was copied here: what was "
		    "revoked since would be back; move it elsewhere and %s",
		    restore);
		return PERC_ERR_STATE;
	}
	if (r == PERC_ERR_NOTFOUND && m->generation == 0)
		return 0; /* of an older Perch, or new */
	if (r == PERC_ERR_NOTFOUND)
		snprintf(why, cap,
		    "%s: is not there, so nothing shows that the database is "
		    "the newest; put it back, or %s",
		    path, restore);
	else if (r == PERC_ERR_AUTH || r == PERC_ERR_FORMAT)
		snprintf(why, cap,
		    "%s: is damaged, or not of this root key; put the right "
		    "one back, or %s",
		    path, restore);
	else if (r != 0)
		snprintf(why, cap, "%s: %s", path, strerror(errno));
	else if (strcmp(g->id, m->id) != 0)
		snprintf(why, cap,
		    "%s: belongs to another database; put the right one back",
		    path);
	else if (m->generation < g->generation)
		snprintf(why, cap,
		    "the database is an old copy (generation %" PRId64
		    ", it had come to %" PRId64 "): what was revoked since "
		    "would be back; put the newest one back, or move this one "
		    "elsewhere and %s",
		    m->generation, g->generation, restore);
	else
		return 0;
	return r != 0 ? r : PERC_ERR_STATE;
}

static int
journal_open(struct kmf_keeper *k, const struct db_meta *m)
{
	struct kmf_guard *g = &k->guard;
	char path[4096];
	uint8_t key[32];
	int r;

	path_put(path, g, KMF_JOURNAL_FILE);
	if ((r = kmf_root_derive(key, k->root, KMF_JOURNAL_USE)) != 0)
		return r;
	r = kmf_journal_open(&g->journal, path, m->id, key, NULL, NULL);
	if (r == 0 && g->journal.last < g->revoked) {
		kmf_journal_close(&g->journal);
		r = PERC_ERR_SHORT;
	}
	/* The database is the newest one, and knows it all. */
	if (r != 0 && r != PERC_ERR_NOMEM) {
		if (g->revoked != 0)
			log_warnx(
			    "journal.remade why=\"%s\"", perc_strerror(r));
		r = kmf_journal_make(&g->journal, path, m->id, key, k->db);
		if (r == 0)
			r = kmf_dir_sync(g->dir);
	}
	perc_wipe(key, sizeof(key));
	return r;
}

static int
gen_start(struct kmf_keeper *k, const struct db_meta *m, int64_t was)
{
	struct kmf_guard *g = &k->guard;
	char path[4096];
	int r;

	path_put(path, g, KMF_GEN_FILE);
	if ((r = kmf_root_derive(g->gen_key, k->root, KMF_GEN_USE)) != 0 ||
	    (r = kmf_gen_open(&g->gen_fd, path)) != 0)
		return r;
	g->gen =
	    (struct kmf_gen){ .generation =
				  was > m->generation ? was : m->generation };
	snprintf(g->gen.id, sizeof(g->gen.id), "%s", m->id);
	return 0;
}

int
kmf_guard_present(const struct kmf_keeper_opts *o, char *why, size_t cap)
{
	struct stat st;

	if (o->guard_dir == NULL || stat(o->db_file, &st) == 0)
		return 0;
	snprintf(why, cap,
	    "%s: %s; run: perch-kmf restore -c CONF BACKUP, or make a new KMF "
	    "with perch-kmf init",
	    o->db_file, strerror(errno));
	return PERC_ERR_NOTFOUND;
}

int
kmf_guard_open(struct kmf_keeper *k, const char *dir, char *why, size_t cap)
{
	struct kmf_guard *g = &k->guard;
	struct kmf_gen was;
	struct db_meta m;
	char path[4096];
	int r;

	g->gen_fd = -1;
	g->journal.fd = -1;
	if (dir == NULL)
		return 0;
	g->on = true;
	if ((r = kmf_copy(g->dir, sizeof(g->dir), dir)) != 0 ||
	    (r = db_meta_get(k->db, &m)) != 0 ||
	    (r = db_revocation_last(k->db, &g->revoked)) != 0)
		return r;
	path_put(path, g, KMF_GEN_FILE);
	r = gen_read(k, path, &was);
	if ((r = gen_judge(k, r, &was, &m, path, why, cap)) != 0)
		return r;
	snprintf(why, cap, "%s: %s and %s cannot be written", dir, KMF_GEN_FILE,
	    KMF_JOURNAL_FILE);
	if ((r = journal_open(k, &m)) != 0 ||
	    (r = gen_start(k, &m, was.generation)) != 0)
		return r;
	leftovers_wipe(k->dir);
	return 0;
}

static int
revocations_note(struct kmf_keeper *k)
{
	struct kmf_guard *g = &k->guard;
	struct db_revocation *list = NULL;
	size_t n = 0;
	int r;

	g->revoking = g->revoked;
	do {
		if ((r = db_revocation_list(
			 k->db, &list, &n, g->revoking, PAGE)) != 0)
			return r;
		if (n > 0 && (r = kmf_journal_add(&g->journal, list, n)) == 0)
			g->revoking = list[n - 1].no;
		free(list);
		list = NULL;
	} while (r == 0 && n == PAGE);
	return r;
}

int
kmf_guard_turn(struct kmf_keeper *k)
{
	struct kmf_guard *g = &k->guard;
	struct db_audit last;
	int r;

	g->counted = false;
	if (!g->on || !db_changed(k->db))
		return 0;
	if ((r = revocations_note(k)) != 0)
		return r;
	g->gen.journal = g->revoking;
	r = db_audit_last(k->db, &last);
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	if (r == 0) {
		g->gen.audit_seq = last.seq;
		memcpy(g->gen.audit_hash, last.hash, sizeof(g->gen.audit_hash));
	}
	g->counted = true;
	return db_generation_put(k->db, ++g->gen.generation);
}

void
kmf_guard_committed(struct kmf_keeper *k)
{
	struct kmf_guard *g = &k->guard;

	if (!g->on || !g->counted)
		return;
	g->counted = false;
	g->revoked = g->revoking;
	if (kmf_gen_write(g->gen_fd, &g->gen, g->gen_key) != 0)
		log_warn("generation.not_written");
}

int
kmf_turn_commit(struct kmf_keeper *k)
{
	int r;

	if ((r = kmf_guard_turn(k)) == 0 && (r = db_commit(k->db)) == 0)
		kmf_guard_committed(k);
	return r;
}

int
kmf_guard_rekey(struct kmf_keeper *k)
{
	struct kmf_guard *g = &k->guard;
	struct db_meta m;
	char path[4096];
	uint8_t key[32];
	int r;

	if (!g->on)
		return 0;
	if ((r = db_meta_get(k->db, &m)) != 0 ||
	    (r = kmf_root_derive(key, k->root, KMF_JOURNAL_USE)) != 0)
		return r;
	path_put(path, g, KMF_JOURNAL_FILE);
	kmf_journal_close(&g->journal);
	r = kmf_journal_make(&g->journal, path, m.id, key, k->db);
	perc_wipe(key, sizeof(key));
	if (r != 0 || (r = kmf_dir_sync(g->dir)) != 0 ||
	    (r = kmf_root_derive(g->gen_key, k->root, KMF_GEN_USE)) != 0 ||
	    (r = kmf_gen_write(g->gen_fd, &g->gen, g->gen_key)) != 0)
		return r;
	return fsync(g->gen_fd) == 0 ? 0 : PERC_ERR_SYS;
}

void
kmf_guard_close(struct kmf_keeper *k)
{
	struct kmf_guard *g = &k->guard;

	if (!g->on)
		return;
	if (g->gen_fd >= 0) {
		(void)!fsync(g->gen_fd);
		close(g->gen_fd);
	}
	kmf_journal_close(&g->journal);
	perc_wipe(g->gen_key, sizeof(g->gen_key));
	g->on = false;
}
