/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * `perch-kmf backup FILE`: beside the running keeper, without its help. FILE
 * has its name only when it is whole and on the disk.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kmf/guard.h"
#include "kmf/keeper.h"
#include "perc/loop.h"

static int
fail(const char *what, const char *why)
{
	fprintf(stderr, "perch-kmf: backup: %s%s%s\n", what,
	    why[0] != '\0' ? ": " : "", why);
	return 1;
}

static void
dir_of(char *out, size_t cap, const char *file)
{
	const char *slash = strrchr(file, '/');

	if (slash == NULL)
		snprintf(out, cap, ".");
	else
		snprintf(out, cap, "%.*s", (int)(slash - file + 1), file);
}

/* Onto the disk, then its name. */
static int
finish(const char *tmp, const char *file)
{
	char dir[4200];
	int fd = open(tmp, O_RDONLY | O_CLOEXEC), r = -1;

	dir_of(dir, sizeof(dir), file);
	if (fd >= 0 && fsync(fd) == 0 && link(tmp, file) == 0 &&
	    unlink(tmp) == 0)
		r = kmf_dir_sync(dir);
	if (fd >= 0)
		close(fd);
	return r;
}

int
kmf_backup_cli(const struct kmf_conf *c, const char *file)
{
	char tmp[4200], path[4200], why[512] = "";
	struct stat st;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.partial", file) >=
	    sizeof(tmp) - 1)
		return fail(file, "the name is too long");
	if (lstat(file, &st) == 0)
		return fail(file, "is there already; choose another name");
	snprintf(path, sizeof(path), "%s/%s", c->state_dir, KMF_DB_FILE);
	(void)unlink(tmp); /* of one that was interrupted */
	if (db_backup(path, tmp, perc_wall_ms(), why, sizeof(why)) != 0) {
		(void)unlink(tmp);
		return fail(why, "");
	}
	if (finish(tmp, file) != 0) {
		snprintf(why, sizeof(why), "%s", strerror(errno));
		(void)unlink(tmp);
		return fail(file, why);
	}
	printf("%s: made. It has no conference's key; with the root key it has "
	       "the signing keys: keep the two apart.\n",
	    file);
	return 0;
}
