/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * `perch-kmf rewrap`: puts a new key beside the old one, asks the keeper to
 * begin, and reads in the database how far it is. The new key is whole before
 * it has its name: a keeper that finds it may begin at once.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmf/control.h"
#include "kmf/guard.h"
#include "kmf/keeper.h"
#include "kmf/root.h"
#include "perc/crypto.h"
#include "perc/loop.h"

#define QUIET_MS 10000 /* nobody began by then */

static int
fail(const char *fmt, const char *what)
{
	fprintf(stderr, "perch-kmf: rewrap: ");
	fprintf(stderr, fmt, what);
	fputc('\n', stderr);
	return 1;
}

/* Like the old one: its owner, its mode. */
static int
new_key_make(const struct kmf_conf *c, const char *path)
{
	char tmp[4200];
	uint8_t key[KMF_ROOT_KEY_LEN];
	struct stat st;
	int fd = -1, r = 1;

	snprintf(tmp, sizeof(tmp), "%s.making", path);
	if (stat(c->root_key, &st) != 0)
		return fail("%s: cannot be read", c->root_key);
	(void)unlink(tmp);
	perc_random(key, sizeof(key));
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 ||
	    (geteuid() == 0 && fchown(fd, st.st_uid, st.st_gid) != 0) ||
	    write(fd, key, sizeof(key)) != sizeof(key) || fsync(fd) != 0 ||
	    rename(tmp, path) != 0)
		(void)fail("%s: cannot be written; run this as its owner or "
			   "as root",
		    tmp);
	else
		r = 0;
	perc_wipe(key, sizeof(key));
	if (fd >= 0)
		close(fd);
	if (r != 0)
		(void)unlink(tmp);
	return r;
}

static int
meta_read(const struct kmf_conf *c, struct db_meta *m)
{
	char path[4200], why[512] = "";
	struct db *db = NULL;
	int r;

	snprintf(path, sizeof(path), "%s/%s", c->state_dir, KMF_DB_FILE);
	if ((r = db_open_reader(&db, path, why, sizeof(why))) == 0)
		r = db_meta_get(db, m);
	else
		(void)fail("%s", why);
	db_close(db);
	return r;
}

static bool
is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Until the new key has the old one's name. */
static int
watch(const struct kmf_conf *c, const char *path)
{
	int64_t quiet = perc_now_ms() + QUIET_MS, seen = -1;
	struct db_meta m;
	char old[4200];

	snprintf(old, sizeof(old), "%s.old", c->root_key);
	while (is_there(path) || is_there(old)) {
		if (meta_read(c, &m) != 0)
			return 1;
		if (m.to_rewrap != 0 && m.rewrapped != seen) {
			quiet = perc_now_ms() + QUIET_MS;
			seen = m.rewrapped;
			printf("%" PRId64 " of %" PRId64 "\n", m.rewrapped,
			    m.to_rewrap);
			fflush(stdout);
		}
		if (perc_now_ms() > quiet) {
			(void)fail("%s waits: the KMF does not run, or cannot "
				   "read it; it begins when it is started",
			    path);
			return 3;
		}
		(void)poll(NULL, 0, 100);
	}
	printf("%s is the new root key; the old one is destroyed. Back up the "
	       "new one apart from the database.\n",
	    c->root_key);
	return 0;
}

static bool
is_sealing(const struct kmf_conf *c, const char *path, const struct db_meta *m)
{
	struct perc_secret *s = NULL;
	char id[DB_HASH_MAX] = "", why[512];
	bool is;

	is = kmf_root_read(&s, path, why, sizeof(why)) == 0 &&
	    kmf_root_id(id, s) == 0 && strcmp(id, m->root_id) == 0;
	perc_secret_free(s);
	return is;
}

static int
status_print(const struct kmf_conf *c, const char *path)
{
	struct db_meta m;

	if (meta_read(c, &m) != 0)
		return 1;
	if (m.to_rewrap != 0)
		printf("under way: %" PRId64 " of %" PRId64 "\n", m.rewrapped,
		    m.to_rewrap);
	else if (is_there(path) && is_sealing(c, path, &m))
		printf("it is done; make %s the only root key\n", path);
	else if (is_there(path))
		printf("%s waits for the KMF\n", path);
	else
		printf("none is under way\n");
	printf("root key %.16s\n", m.root_id[0] != '\0' ? m.root_id : "-");
	return 0;
}

int
kmf_rewrap_cli(const struct kmf_conf *c, bool status)
{
	char path[4200], id[32], text[96];

	kmf_root_new_path(path, sizeof(path), c->root_key, c->root_credential);
	if (status)
		return status_print(c, path);
	if (c->root_credential)
		return fail("the root key is a credential: give the service "
			    "the next one as %s too, and start it again; it "
			    "rewraps by itself",
		    strrchr(path, '/') + 1);
	if (!is_there(path) && new_key_make(c, path) != 0)
		return 1;
	perc_random_id(id, sizeof(id), "r_");
	snprintf(
	    text, sizeof(text), "{\"id\": \"%s\", \"do\": \"rewrap\"}", id);
	if (kmf_control_put(c->state_dir, KMF_CONTROL_REQUEST, 0600, text) != 0)
		return fail("%s: cannot be written", c->state_dir);
	return watch(c, path);
}
