/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's socket, where no service manager made it. It gets a name of its
 * own first and is renamed into place, so that it never stands there with the
 * wrong mode and a stale one of a crashed agent is replaced; a live one is
 * not, since then connect() succeeds.
 */
#include "agent/local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/text.h"

/* The directory is ours alone, or made so: in one that others may write (but
 * for /tmp's kind) they could put a socket of theirs in the place of ours. */
static int
directory_make(const char *path, char *why, size_t whycap)
{
	char *dir = text_dup(path), *slash;
	struct stat st;
	int r = 0;

	if (dir == NULL)
		return PERC_ERR_NOMEM;
	if ((slash = strrchr(dir, '/')) != NULL && slash != dir) {
		*slash = '\0';
		(void)mkdir(dir, 0700);
		if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode)) {
			text_put(why, whycap, "%s: %s", dir, strerror(errno));
			r = PERC_ERR_SYS;
		} else if (st.st_uid != geteuid() && st.st_uid != 0) {
			text_put(why, whycap, "%s belongs to uid %u", dir,
			    (unsigned)st.st_uid);
			r = PERC_ERR_DENIED;
		} else if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0 &&
		    (st.st_mode & S_ISVTX) == 0) {
			text_put(why, whycap,
			    "%s: others may write it; chmod go-w it", dir);
			r = PERC_ERR_DENIED;
		}
	}
	free(dir);
	return r;
}

static int
name_set(struct sockaddr_un *un, const char *path)
{
	memset(un, 0, sizeof(*un));
	un->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(un->sun_path))
		return PERC_ERR_LIMIT;
	strcpy(un->sun_path, path);
	return 0;
}

static bool
somebody_listens(const struct sockaddr_un *un)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool yes = fd >= 0 &&
	    connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0;

	if (fd >= 0)
		close(fd);
	return yes;
}

static int
socket_bind(int fd, const char *path, char *why, size_t whycap)
{
	char *fresh = text_new("%s.%u", path, (unsigned)getpid());
	struct sockaddr_un un;
	mode_t mask = umask(0177);
	int r = PERC_ERR_NOMEM;

	if (fresh == NULL)
		goto out;
	if ((r = name_set(&un, path)) != 0 || somebody_listens(&un)) {
		text_put(why, whycap, "%s: %s", path,
		    r != 0 ? "the path is too long"
			   : "another perch-agent is running");
		r = r != 0 ? r : PERC_ERR_EXISTS;
		goto out;
	}
	(void)unlink(fresh);
	if ((r = name_set(&un, fresh)) != 0 ||
	    bind(fd, (struct sockaddr *)&un, sizeof(un)) != 0 ||
	    listen(fd, LOCAL_CLIENTS_MAX) != 0 || rename(fresh, path) != 0) {
		text_put(why, whycap, "%s: %s", path, strerror(errno));
		r = PERC_ERR_SYS;
	}
out:
	umask(mask);
	free(fresh);
	return r;
}

int
local_listen(int *fdp, const char *path, char *why, size_t whycap)
{
	int fd, r;

	text_put(why, whycap, "no local socket");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return PERC_ERR_SYS;
	if ((r = directory_make(path, why, whycap)) == 0 &&
	    (r = socket_bind(fd, path, why, whycap)) == 0) {
		*fdp = fd;
		return 0;
	}
	close(fd);
	return r;
}
