/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A new root key, while we run. From the first moment all that is written is
 * sealed by the new one, and both open; slice by slice the rest is sealed
 * anew, until one whole pass found nothing of the old. Then, in one commit,
 * root_id names the new key, and only after it the old one is destroyed. So
 * at each moment the two files and root_id say all that a restart must know.
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

#define PAGE	 100
#define SLICE_MS 10
#define AGAIN_MS 1000

static void slice_fire(void *arg);

static void
again(struct kmf_keeper *k, int64_t in_ms)
{
	if (perc_timer_set(k->loop, &k->rewrap.timer, in_ms, slice_fire, k))
		log_warnx("timer.failed");
}

static void
from_the_start(struct kmf_keeper *k)
{
	struct kmf_rewrap *w = &k->rewrap;

	w->table = 0;
	w->key[0] = w->key2[0] = '\0';
	w->changed = 0;
	w->failures = k->count.commit_failures;
}

static void
pages_clear(struct db_sealed_row *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(list[i].sealed.data);
	free(list);
}

/* What the new key opens is done already. */
static int
row_rewrap(struct kmf_keeper *k, struct db_sealed_row *row)
{
	struct kmf_rewrap *w = &k->rewrap;
	size_t len = row->sealed.len, aad = strlen(row->aad);
	uint8_t *plain;
	int r;

	if (len <= PERC_SEAL_OVERHEAD)
		return 0;
	if ((plain = perc_secmem_alloc(len - PERC_SEAL_OVERHEAD)) == NULL)
		return PERC_ERR_NOMEM;
	r = perc_unseal(
	    plain, k->root->data, row->aad, aad, row->sealed.data, len);
	if (r != PERC_ERR_AUTH)
		goto out;
	r = perc_unseal(
	    plain, k->root_old->data, row->aad, aad, row->sealed.data, len);
	if (r == PERC_ERR_AUTH) {
		log_warnx("rewrap.opens_by_neither table=%u", w->table);
		r = 0;
		goto out;
	}
	w->changed++;
	if (r == 0 &&
	    (r = kmf_root_seal(k, row->sealed.data, row->aad, plain,
		 len - PERC_SEAL_OVERHEAD)) == 0)
		r = db_sealed_put(k->db, w->table, row);
out:
	perc_secmem_free(plain);
	return r;
}

static int
page_rewrap(struct kmf_keeper *k, size_t *np)
{
	struct kmf_rewrap *w = &k->rewrap;
	struct db_sealed_row *list = NULL;
	size_t i, n = 0;
	int r;

	if ((r = db_sealed_page(
		 k->db, w->table, &list, &n, w->key, w->key2, PAGE)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++)
		r = row_rewrap(k, &list[i]);
	if (r == 0 && n > 0) {
		memcpy(w->key, list[n - 1].key, sizeof(w->key));
		memcpy(w->key2, list[n - 1].key2, sizeof(w->key2));
	}
	pages_clear(list, n);
	*np = n;
	return r;
}

static int
progress(struct kmf_keeper *k, size_t n)
{
	struct db_meta m;
	int64_t total;
	int r;

	if ((r = db_meta_get(k->db, &m)) != 0)
		return r;
	if (m.to_rewrap == 0) {
		if ((r = db_sealed_count(k->db, &total)) != 0)
			return r;
		m.to_rewrap = total > 0 ? total : 1;
		m.rewrapped = 0;
	}
	m.rewrapped += (int64_t)n;
	if (m.rewrapped > m.to_rewrap)
		m.rewrapped = m.to_rewrap; /* the pass that only looks */
	return db_meta_put(k->db, &m);
}

static int
pass_end(struct kmf_keeper *k)
{
	struct kmf_rewrap *w = &k->rewrap;
	struct db_meta m;
	int r;

	if (w->changed != 0 || w->failures != k->count.commit_failures) {
		from_the_start(k);
		return 0;
	}
	if ((r = db_meta_get(k->db, &m)) != 0 ||
	    (r = kmf_root_id(m.root_id, k->root)) != 0)
		return r;
	m.rewrapped = m.to_rewrap = 0;
	if ((r = db_meta_put(k->db, &m)) != 0 ||
	    (r = kmf_audit(k, KMF_AUDIT_ROOT_KEY, "", "", "",
		 json_pack("{s:s}", "state", "rewrapped"))) != 0)
		return r;
	w->committed = true; /* if it is: looked at in the next slice */
	k->scrub = true;
	return 0;
}

static int
slice(struct kmf_keeper *k)
{
	struct kmf_rewrap *w = &k->rewrap;
	size_t n;
	int r;

	if (w->table == db_sealed_tables())
		return pass_end(k);
	if ((r = page_rewrap(k, &n)) != 0 || (r = progress(k, n)) != 0)
		return r;
	if (n < PAGE) {
		w->table++;
		w->key[0] = w->key2[0] = '\0';
	}
	return 0;
}

/* Overwritten before it is unlinked, for what that is worth on a disk that
 * writes elsewhere (docs/KEYS.md). */
static void
file_destroy(const char *path)
{
	static const uint8_t zero[KMF_ROOT_KEY_LEN];
	int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0) {
		(void)!pwrite(fd, zero, sizeof(zero), 0);
		(void)!fsync(fd);
		close(fd);
		(void)unlink(path);
	}
}

static bool
is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

int
kmf_root_swap(const char *path)
{
	char next[4096 + 8], old[4096 + 8], dir[4096 + 8];
	char *slash;

	snprintf(next, sizeof(next), "%s.new", path);
	snprintf(old, sizeof(old), "%s.old", path);
	snprintf(dir, sizeof(dir), "%s", path);
	if ((slash = strrchr(dir, '/')) != NULL)
		slash[slash == dir] = '\0';
	else
		strcpy(dir, ".");
	if (is_there(next)) {
		if (is_there(path) && rename(path, old) != 0)
			return PERC_ERR_SYS;
		if (rename(next, path) != 0 || kmf_dir_sync(dir) != 0)
			return PERC_ERR_SYS;
	}
	file_destroy(old);
	return 0;
}

static void
finish(struct kmf_keeper *k)
{
	char id[DB_HASH_MAX];
	struct db_meta m;

	k->rewrap.committed = false;
	if (kmf_root_id(id, k->root) != 0 || db_meta_get(k->db, &m) != 0 ||
	    strcmp(id, m.root_id) != 0) { /* that commit failed */
		from_the_start(k);
		again(k, AGAIN_MS);
		return;
	}
	if (k->root_file[0] == '\0')
		log_info("rewrap.done next=\"make the new credential the only "
			 "one\"");
	else if (kmf_root_swap(k->root_file) != 0)
		log_warn("rewrap.done root_key=%s next=\"move %s.new over "
			 "it\"",
		    k->root_file, k->root_file);
	else
		log_info("rewrap.done root_key=%s", k->root_file);
	perc_secret_free(k->root_old);
	k->root_old = NULL;
}

static void
slice_fire(void *arg)
{
	struct kmf_keeper *k = arg;
	int r;

	if (k->rewrap.committed) {
		finish(k);
		return;
	}
	if ((r = kmf_turn_begin(k)) == 0)
		r = slice(k);
	if (r != 0) {
		log_warnx("rewrap.failed why=\"%s\"", perc_strerror(r));
		from_the_start(k);
	}
	again(k, r == 0 ? SLICE_MS : AGAIN_MS);
}

int
kmf_rewrap_begin(struct kmf_keeper *k, char *text, size_t cap)
{
	char path[4096 + 8];
	struct perc_secret *next = NULL;
	int r;

	snprintf(text, cap, "the rewrap runs");
	if (k->root_old != NULL)
		return 0;
	if (k->root_file[0] == '\0') {
		snprintf(text, cap,
		    "the root key is a credential: see "
		    "perch-kmf(8), rewrap");
		return PERC_ERR_STATE;
	}
	snprintf(path, sizeof(path), "%s.new", k->root_file);
	if ((r = kmf_root_read(&next, path, text, cap)) != 0)
		return r;
	k->root_old = k->root;
	k->root = next;
	if ((r = kmf_guard_rekey(k)) != 0)
		log_warnx("guard.not_rekeyed why=\"%s\"", perc_strerror(r));
	snprintf(text, cap, "the rewrap has begun");
	log_info("rewrap.begun");
	return kmf_rewrap_resume(k);
}

int
kmf_rewrap_resume(struct kmf_keeper *k)
{
	if (k->root_old == NULL)
		return 0;
	from_the_start(k);
	return perc_timer_set(
	    k->loop, &k->rewrap.timer, SLICE_MS, slice_fire, k);
}

int
kmf_roots_note(struct kmf_keeper *k)
{
	struct db_meta m;
	int r;

	if ((r = db_meta_get(k->db, &m)) != 0 || m.root_id[0] != '\0')
		return r;
	if ((r = kmf_root_id(
		 m.root_id, k->root_old != NULL ? k->root_old : k->root)) != 0)
		return r;
	return db_meta_put(k->db, &m);
}

/* A swap that a crash cut short: the new key is the database's, and stands
 * under its second name yet; or the old one is only to be destroyed. And what
 * a command left that was killed while it made a key: nothing is sealed by
 * that one. */
static void
swap_late(struct kmf_keeper *k)
{
	char making[4096 + 16];

	if (k->root_file[0] != '\0') {
		snprintf(making, sizeof(making), "%s.new.making", k->root_file);
		file_destroy(making);
	}
	if (k->root_file[0] != '\0' && k->root_old == NULL &&
	    kmf_root_swap(k->root_file) != 0)
		log_warn("root_key.not_swapped path=%s", k->root_file);
}

int
kmf_roots_open(struct kmf_keeper *k, const struct kmf_keeper_opts *o, char *why,
    size_t cap)
{
	struct perc_secret *now = NULL, *next = NULL;
	struct kmf_roots roots = { 0 };
	struct db_meta m;
	int r;

	if (o->root_file != NULL &&
	    (r = kmf_copy(k->root_file, sizeof(k->root_file), o->root_file)))
		return r;
	if ((r = db_meta_get(k->db, &m)) != 0 ||
	    (o->root != NULL &&
		(r = perc_secret_from(&now, o->root, KMF_ROOT_KEY_LEN)) != 0) ||
	    (o->root_new != NULL &&
		(r = perc_secret_from(&next, o->root_new, KMF_ROOT_KEY_LEN)) !=
		    0))
		goto out;
	r = kmf_roots_choose(&roots, now, next, m.root_id);
	if (r == PERC_ERR_AUTH)
		snprintf(why, cap,
		    "the root key is not the one of this database; use the "
		    "root.key that stood beside it");
	if (r != 0)
		goto out;
	k->root = roots.seal;
	k->root_old = roots.other;
	swap_late(k);
out:
	perc_secret_free(now);
	perc_secret_free(next);
	return r;
}
