/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * `perch-kmf restore FILE`: makes the new database beside the old one, and
 * only when it is whole and safe to run on does it take the old one's place.
 * Whatever kills us, either the old one stands (or its absence is told by
 * root.gen at the next start), or the new one; a second run begins anew.
 */
#include "kmf/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "perc/loop.h"

#define MAKING KMF_DB_FILE ".restoring"

static int
fail(struct restore *o, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "perch-kmf: restore: ");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return 1;
}

static const char *
at(char out[static 4200], const char *dir, const char *name, const char *end)
{
	snprintf(out, 4200, "%s/%s%s", dir, name, end);
	return out;
}

static void
remove_all(const char *dir, const char *name)
{
	static const char *const ends[] = { "-wal", "-shm", "-lock", "-journal",
		"" };
	char path[4200];
	size_t i;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		(void)unlink(at(path, dir, name, ends[i]));
}

/* --- reading ---------------------------------------------------------------
 */

static int
file_copy(struct restore *o, const char *from, const char *to)
{
	static char buf[1 << 16];
	int in = open(from, O_RDONLY | O_CLOEXEC), out = -1, r = 1;
	ssize_t n = -1;

	if (in < 0)
		return fail(o, "%s: %s", from, strerror(errno));
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	while (out >= 0 && (n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			break;
	if (out >= 0 && n == 0 && fsync(out) == 0)
		r = 0;
	else
		(void)fail(o, "%s: %s", to, strerror(errno));
	close(in);
	if (out >= 0)
		close(out);
	return r;
}

static int
roots_read(struct restore *o)
{
	char why[600] = "";

	if (kmf_roots_read(&o->now, &o->next, o->c, why, sizeof(why)) != 0)
		return fail(o, "%s", why);
	return 0;
}

/* root.gen under whichever root key there is; that one seals from now on. */
static int
gen_read(struct restore *o)
{
	struct perc_secret *const keys[] = { o->next, o->now };
	char path[4200];
	uint8_t key[32];
	size_t i;
	int r = PERC_ERR_AUTH;

	at(path, o->c->guard_dir, KMF_GEN_FILE, "");
	for (i = 0; i < 2 && r == PERC_ERR_AUTH; i++) {
		if (keys[i] == NULL)
			continue;
		if ((r = kmf_root_derive(key, keys[i], KMF_GEN_USE)) == 0)
			r = kmf_gen_read(&o->gen, path, key);
		o->seal = keys[i];
	}
	perc_wipe(key, sizeof(key));
	o->gen_good = r == 0;
	if (o->seal == NULL)
		o->seal = o->now != NULL ? o->now : o->next;
	return 0;
}

static int
take(const struct db_revocation *v, void *arg)
{
	struct restore *o = arg;
	struct db_revocation *p;

	if (v->no <= o->known)
		return 0;
	p = reallocarray(o->list, o->n + 1, sizeof(*p));
	if (p == NULL)
		return PERC_ERR_NOMEM;
	o->list = p;
	o->list[o->n++] = *v;
	return 0;
}

static int
journal_read(struct restore *o)
{
	struct kmf_journal j;
	char path[4200];
	uint8_t key[32];
	int r;

	at(path, o->c->guard_dir, KMF_JOURNAL_FILE, "");
	if ((r = kmf_root_derive(key, o->seal, KMF_JOURNAL_USE)) == 0)
		r = kmf_journal_open(&j, path, o->meta.id, key, take, o);
	perc_wipe(key, sizeof(key));
	if (r == 0) {
		o->journal_last = j.last;
		o->journal_good = j.from <= o->known + 1;
		kmf_journal_close(&j);
	}
	return r == PERC_ERR_NOMEM ? r : 0;
}

/* Do root.gen and the journal together say all that was revoked since? */
static int
loss_judge(struct restore *o)
{
	const char *why = NULL;

	if (!o->gen_good)
		why = KMF_GEN_FILE " is missing or not of this root key";
	else if (strcmp(o->gen.id, o->meta.id) != 0)
		return fail(o, "%s is a backup of another KMF", o->file);
	else if (!o->journal_good)
		why = KMF_JOURNAL_FILE " is missing, damaged, or does not "
				       "reach back to this backup";
	else if (o->journal_last < o->gen.journal)
		why = KMF_JOURNAL_FILE " was cut off";
	if (why == NULL)
		return 0;
	o->loss = true;
	if (o->accept_loss)
		return 0;
	return fail(o,
	    "%s: what was revoked since the backup cannot be known. Put the "
	    "file back, or accept the loss with --accept-loss: then every "
	    "invitation is revoked and every client but administrators is "
	    "disabled, for nobody can vouch for them",
	    why);
}

/* --- making ----------------------------------------------------------------
 */

static void
on_problem(const char *line, void *arg)
{
	struct restore *o = arg;

	o->problems++;
	fprintf(stderr, "perch-kmf: restore: %s: %s\n", o->file, line);
}

static int
copy_open(struct restore *o)
{
	char path[4200], why[600] = "";
	int r;

	at(path, o->c->state_dir, MAKING, "");
	if (file_copy(o, o->file, path) != 0)
		return 1;
	if (db_open(&o->db, path, why, sizeof(why)) != 0)
		return fail(o, "%s", why);
	if (db_check(o->db, on_problem, o) != 0 || o->problems != 0)
		return fail(o, "%s is damaged; take another backup", o->file);
	if ((r = kmf_check_chain(o->db, &o->backup_last)) != 0 ||
	    (r = db_meta_get(o->db, &o->meta)) != 0 ||
	    (r = db_revocation_last(o->db, &o->known)) != 0)
		return fail(o, "%s: %s", o->file, perc_strerror(r));
	return 0;
}

/* Audit and signing keys of the one that is replaced, if it can be read. */
static void
old_join(struct restore *o)
{
	char path[4200];
	struct stat st;
	int r;

	if (stat(at(path, o->c->state_dir, KMF_DB_FILE, ""), &st) != 0)
		return;
	if ((r = db_restore_join(o->db, path)) != 0)
		fprintf(stderr,
		    "perch-kmf: restore: the replaced database gives nothing "
		    "more (%s)\n",
		    perc_strerror(r));
}

static int
revoke_all(struct restore *o)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < o->n; i++)
		r = db_restore_revoke(o->db, &o->list[i], o->now_ms);
	if (r == 0 && o->loss)
		r = db_restore_distrust(o->db);
	if (r == 0)
		r = db_restore_calm(o->db);
	return r != 0 ? r
		      : db_restore_numbers(o->db,
			    o->journal_last > o->gen.journal ? o->journal_last
							     : o->gen.journal);
}

static int
meta_put(struct restore *o)
{
	struct db_meta m = o->meta;
	int r;

	m.backup_ms = m.rewrapped = m.to_rewrap = 0;
	if (o->gen_good && o->gen.generation > m.generation)
		m.generation = o->gen.generation;
	o->gen.generation = ++m.generation;
	memcpy(o->gen.id, m.id, sizeof(m.id));
	if ((r = kmf_root_id(m.root_id, o->seal)) != 0)
		return r;
	return db_meta_put(o->db, &m);
}

static int
make(struct restore *o)
{
	int r;

	old_join(o);
	if ((r = db_begin(o->db)) != 0 || (r = revoke_all(o)) != 0 ||
	    (r = kmf_restore_keys(o)) != 0 || (r = kmf_restore_note(o)) != 0 ||
	    (r = meta_put(o)) != 0 || (r = db_commit(o->db)) != 0 ||
	    (r = db_scrub(o->db)) != 0) {
		return fail(o, "%s: %s", o->file, perc_strerror(r));
	}
	if (db_check(o->db, on_problem, o) != 0 || o->problems != 0)
		return fail(o, "the result is not sound; nothing was changed");
	return 0;
}

/* --- taking its place --------------------------------------------------------
 */

static int
journal_make(struct restore *o)
{
	struct kmf_journal j;
	char path[4200];
	uint8_t key[32];
	int r;

	at(path, o->c->guard_dir, KMF_JOURNAL_FILE, "");
	if ((r = kmf_root_derive(key, o->seal, KMF_JOURNAL_USE)) != 0)
		return r;
	r = kmf_journal_make(&j, path, o->meta.id, key, o->db);
	perc_wipe(key, sizeof(key));
	if (r == 0) {
		o->gen.journal = j.last;
		kmf_journal_close(&j);
	}
	return r;
}

static int
gen_put(struct restore *o)
{
	char path[4200];
	uint8_t key[32];
	int fd = -1, r;

	at(path, o->c->guard_dir, KMF_GEN_FILE, "");
	if ((r = kmf_root_derive(key, o->seal, KMF_GEN_USE)) == 0 &&
	    (r = kmf_gen_open(&fd, path)) == 0 &&
	    (r = kmf_gen_write(fd, &o->gen, key)) == 0 && fsync(fd) != 0)
		r = PERC_ERR_SYS;
	perc_wipe(key, sizeof(key));
	if (fd >= 0)
		close(fd);
	return r;
}

/* As root for another user's keeper: the directory's owner has it all. */
static void
owner_give(const char *dir, const char *path)
{
	struct stat st;

	if (geteuid() == 0 && stat(dir, &st) == 0)
		(void)!lchown(path, st.st_uid, st.st_gid);
}

/* The log first: alone it is nothing, and without it the old database is an
 * old copy, which root.gen tells. A log of the old one beside the new one
 * would be read into it. */
static int
swap(struct restore *o)
{
	static const char *const ends[] = { "-wal", "-shm", "" };
	const char *dir = o->c->state_dir;
	char from[4200], to[4200];
	size_t i;

	for (i = 0; i < 3; i++)
		if (rename(at(from, dir, KMF_DB_FILE, ends[i]),
			at(to, dir, KMF_DB_FILE ".replaced", ends[i])) != 0 &&
		    errno != ENOENT)
			return PERC_ERR_SYS;
	owner_give(dir, at(from, dir, MAKING, ""));
	if (rename(from, at(to, dir, KMF_DB_FILE, "")) != 0)
		return PERC_ERR_SYS;
	return kmf_dir_sync(dir);
}

static int
replace(struct restore *o)
{
	static const char *const ends[] = { "-wal", "-shm", "" };
	const char *dir = o->c->state_dir;
	char path[4200];
	size_t i;
	int r;

	if ((r = journal_make(o)) != 0)
		return fail(o, "%s: %s", KMF_JOURNAL_FILE, strerror(errno));
	db_close(o->db);
	o->db = NULL;
	if ((r = swap(o)) != 0 || (r = gen_put(o)) != 0)
		return fail(o, "%s: %s; run it again", dir, strerror(errno));
	owner_give(dir, at(path, o->c->guard_dir, KMF_GEN_FILE, ""));
	owner_give(dir, at(path, o->c->guard_dir, KMF_JOURNAL_FILE, ""));
	owner_give(dir, at(path, dir, KMF_DB_FILE, "-lock"));
	for (i = 0; i < 3; i++)
		kmf_file_wipe(at(path, dir, KMF_DB_FILE ".replaced", ends[i]));
	return kmf_dir_sync(dir);
}

static void
tell(const struct restore *o)
{
	printf("%s is restored; start the KMF. %zu revocations since were "
	       "carried out, %" PRId64 " audit records are lost.\n",
	    o->file, o->n, o->lost);
	printf("Live conferences begin a new epoch when somebody comes back. "
	       "Conferences made after the backup are gone.\n");
	if (o->loss)
		printf("What was revoked was not known: every invitation is "
		       "revoked; invite anew.\n");
	if (o->new_keys)
		printf("There are new signing keys: bring %s to MDDs and "
		       "users' machines.\n",
		    KMF_KEYS_FILE);
}

int
kmf_restore_cli(const struct kmf_conf *c, const char *file, bool accept_loss)
{
	struct restore o = { .c = c,
		.file = file,
		.accept_loss = accept_loss,
		.now_ms = perc_wall_ms() };
	char path[4200], why[512] = "";
	int code = 1, lock = -1;

	if (db_lock(&lock, at(path, c->state_dir, KMF_DB_FILE, ""), why,
		sizeof(why)) != 0)
		return fail(&o, "%s", why);
	remove_all(c->state_dir, MAKING);
	if (roots_read(&o) == 0 && copy_open(&o) == 0 && gen_read(&o) == 0 &&
	    journal_read(&o) == 0 && loss_judge(&o) == 0 && make(&o) == 0 &&
	    replace(&o) == 0) {
		code = 0;
		kmf_restore_keys_file(&o);
		tell(&o);
	}
	db_close(o.db);
	remove_all(c->state_dir, MAKING);
	free(o.list);
	perc_secret_free(o.now);
	perc_secret_free(o.next);
	close(lock);
	return code;
}
