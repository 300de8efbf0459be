/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The keeper's part of `perch-kmf init`. Every file is born with its mode and
 * none is overwritten; when a later one cannot be made the earlier ones are
 * removed again, so that a second try starts clean.
 */
#include "kmf/keeper_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADMIN_SCOPE "admin scheduler auditor"
#define PATH_CAP    4096

static const char *const files[] = { KMF_ROOT_FILE, KMF_DB_FILE, KMF_KEYS_FILE,
	KMF_ADMIN_FILE };
#define NFILES (sizeof(files) / sizeof(files[0]))

struct init {
	const char *dir, *base, *admin;
	char *why;
	size_t cap;
	struct db *db;
	struct perc_secret *root;
};

static int
path_put(char out[static PATH_CAP], const struct init *n, const char *file)
{
	int len = snprintf(out, PATH_CAP, "%s/%s", n->dir, file);

	return len > 0 && len < PATH_CAP ? 0 : PERC_ERR_LIMIT;
}

static int
nothing_there(const struct init *n)
{
	char path[PATH_CAP];
	size_t i;
	int r;

	for (i = 0; i < NFILES; i++) {
		if ((r = path_put(path, n, files[i])) != 0)
			return r;
		if (access(path, F_OK) == 0) {
			snprintf(n->why, n->cap,
			    "%s is there already; init overwrites nothing, "
			    "choose another directory",
			    path);
			return PERC_ERR_EXISTS;
		}
	}
	return 0;
}

static void
remove_all(const struct init *n)
{
	static const char *const more[] = { KMF_DB_FILE "-wal",
		KMF_DB_FILE "-shm", KMF_DB_FILE "-lock",
		KMF_DB_FILE "-journal" };
	char path[PATH_CAP];
	size_t i;

	for (i = 0; i < NFILES; i++)
		if (path_put(path, n, files[i]) == 0)
			(void)unlink(path);
	for (i = 0; i < sizeof(more) / sizeof(more[0]); i++)
		if (path_put(path, n, more[i]) == 0)
			(void)unlink(path);
}

static int
file_write(const struct init *n, const char *file, mode_t mode,
    const void *data, size_t len)
{
	char path[PATH_CAP];
	int fd, r;

	if ((r = path_put(path, n, file)) != 0)
		return r;
	fd = open(
	    path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	/* fchmod: what is public stays readable under a strict umask. */
	if (fd < 0 || fchmod(fd, mode) != 0 ||
	    write(fd, data, len) != (ssize_t)len || fsync(fd) != 0) {
		snprintf(n->why, n->cap, "%s: %s", path, strerror(errno));
		r = PERC_ERR_SYS;
	}
	if (fd >= 0)
		close(fd);
	return r;
}

static int
keys_file(struct init *n)
{
	char *text = NULL;
	int r;

	if ((r = kmf_keys_jwks(&text, n->db, n->base, perc_wall_ms(), true)) ==
	    0)
		r = file_write(n, KMF_KEYS_FILE, 0644, text, strlen(text));
	perc_json_free(text);
	return r;
}

static int
admin_row(struct init *n, const struct perc_jwk *key)
{
	struct db_client c = { .scope = ADMIN_SCOPE,
		.created_ms = perc_wall_ms() };
	char *text = NULL;
	int r;

	if ((r = kmf_copy(c.id, sizeof(c.id), n->admin)) == 0 &&
	    (r = perc_jwk_public_json(&text, key)) == 0 &&
	    (r = kmf_copy(c.jwk, sizeof(c.jwk), text)) == 0)
		r = db_client_add(n->db, &c);
	perc_json_free(text);
	return r;
}

static int
admin_file(struct init *n, const struct perc_jwk *key)
{
	char *text = NULL, *out = NULL;
	json_t *v = NULL;
	int r;

	if ((r = perc_jwk_private_json(&text, key)) != 0)
		return r;
	r = PERC_ERR_NOMEM;
	v = json_pack("{s:s, s:s, s:o}", "client_id", n->admin, "kmf", n->base,
	    "key", json_loads(text, 0, NULL));
	if (v != NULL && (out = perc_json_text(v)) != NULL)
		r = file_write(n, KMF_ADMIN_FILE, 0600, out, strlen(out));
	json_decref(v);
	perc_json_free(out);
	perc_json_free(text);
	return r;
}

static int
admin_make(struct init *n)
{
	struct perc_jwk *key = NULL;
	int r;

	if ((r = perc_jwk_generate(&key)) == 0 && (r = admin_row(n, key)) == 0)
		r = admin_file(n, key);
	perc_jwk_free(key);
	return r;
}

static int
db_make(struct init *n)
{
	char path[PATH_CAP];
	int64_t now = perc_wall_ms();
	int r;

	if ((r = path_put(path, n, KMF_DB_FILE)) != 0 ||
	    (r = db_open(&n->db, path, n->why, n->cap)) != 0)
		return r;
	snprintf(n->why, n->cap, "%s: cannot be written", path);
	if ((r = db_begin(n->db)) != 0 ||
	    (r = kmf_signing_key_make(
		 n->db, n->root->data, "token", now, now)) != 0 ||
	    (r = kmf_signing_key_make(
		 n->db, n->root->data, "statement", now, now)) != 0 ||
	    (r = admin_make(n)) != 0)
		return r;
	return db_commit(n->db);
}

int
kmf_keeper_init(const char *dir, const char *base_url, const char *admin,
    char *why, size_t cap)
{
	struct init n = { .dir = dir,
		.base = base_url,
		.admin = admin,
		.why = why,
		.cap = cap };
	int r;

	snprintf(why, cap, "%s: cannot be prepared", dir);
	if ((r = nothing_there(&n)) != 0)
		return r;
	if ((r = perc_secret_random(&n.root, KMF_ROOT_KEY_LEN)) != 0 ||
	    (r = file_write(
		 &n, KMF_ROOT_FILE, 0600, n.root->data, n.root->len)) != 0 ||
	    (r = db_make(&n)) != 0 || (r = keys_file(&n)) != 0)
		goto out;
	r = db_scrub(n.db);
out:
	db_close(n.db);
	perc_secret_free(n.root);
	if (r != 0)
		remove_all(&n);
	return r;
}
