/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way to a file, walked by descriptor and not by name: what was checked
 * is what is opened, whoever renames meanwhile. Links are followed by hand,
 * because one that stands in somebody's directory, or is his in /tmp, is his
 * to turn, wherever it points when we look.
 */
#include "agent/vaultpath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 40 /* as path_resolution(7) */

struct walk {
	int dir;	     /* where we are, checked; -1: not begun */
	char left[PATH_MAX]; /* still to go */
	unsigned links;
	uid_t uid;
	const char *path; /* for e */
	struct perc_conf_error *e;
};

static int
say(struct walk *w, int error)
{
	return perc_conf_complain(w->e,
	    error == ENOENT ? PERC_ERR_NOTFOUND : PERC_ERR_SYS, "%.400s: %s",
	    w->path, strerror(error));
}

static int
part_trusted(struct walk *w, const char *name, int fd, mode_t *mode)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return say(w, errno);
	*mode = st.st_mode;
	if (st.st_uid != 0 && st.st_uid != w->uid)
		return perc_conf_complain(w->e, PERC_ERR_DENIED,
		    "%.300s: \"%.80s\" is owned by uid %u; chown it to root",
		    w->path, name, (unsigned)st.st_uid);
	/* /tmp and its like: others may not rename what is not theirs. The
	 * mode of a link means nothing. */
	if ((st.st_mode & (S_IWGRP | S_IWOTH)) == 0 || S_ISLNK(st.st_mode) ||
	    (S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX) != 0))
		return 0;
	return perc_conf_complain(w->e, PERC_ERR_DENIED,
	    "%.300s: \"%.80s\": others may write it; chmod go-w it", w->path,
	    name);
}

static void
dir_set(struct walk *w, int fd)
{
	if (w->dir >= 0)
		close(w->dir);
	w->dir = fd;
}

static int
root_go(struct walk *w)
{
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	mode_t mode;

	if (fd < 0)
		return say(w, errno);
	dir_set(w, fd);
	return part_trusted(w, "/", fd, &mode);
}

/* What the link says stands before what is left. */
static int
link_follow(struct walk *w, int fd)
{
	char text[PATH_MAX], left[PATH_MAX];
	ssize_t n = readlinkat(fd, "", text, sizeof(text) - 1);

	if (n < 0 || ++w->links > LINKS_MAX)
		return say(w, n < 0 ? errno : ELOOP);
	text[n] = '\0';
	memcpy(left, w->left, sizeof(left));
	n = snprintf(w->left, sizeof(w->left), "%s/%s", text, left);
	if ((size_t)n >= sizeof(w->left))
		return say(w, ENAMETOOLONG);
	return text[0] == '/' ? root_go(w) : 0;
}

/* Looked at once more, as it is now that it is open. */
static int
file_open(struct walk *w, const char *name, int *fdp)
{
	int fd = openat(w->dir, name,
	    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	mode_t mode;
	int r;

	if (fd < 0)
		return say(w, errno);
	if ((r = part_trusted(w, name, fd, &mode)) == 0 && !S_ISREG(mode))
		r = perc_conf_complain(w->e, PERC_ERR_DENIED,
		    "%.400s: not a regular file", w->path);
	if (r == 0)
		*fdp = fd;
	else
		close(fd);
	return r;
}

/* The next component; a name that is too long stays so. */
static void
part_take(struct walk *w, char name[static NAME_MAX + 2])
{
	char *p = w->left + strspn(w->left, "/");
	size_t n = strcspn(p, "/"), rest = n + strspn(p + n, "/");

	snprintf(name, NAME_MAX + 2, "%.*s",
	    (int)(n <= NAME_MAX ? n : NAME_MAX + 1), p);
	memmove(w->left, p + rest, strlen(p + rest) + 1);
}

static int
part_go(struct walk *w, int *fdp)
{
	char name[NAME_MAX + 2];
	mode_t mode;
	int fd, r;

	part_take(w, name);
	fd = openat(w->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return say(w, errno);
	if ((r = part_trusted(w, name, fd, &mode)) != 0)
		goto out;
	if (S_ISLNK(mode)) {
		r = link_follow(w, fd);
	} else if (w->left[0] == '\0') {
		r = file_open(w, name, fdp);
	} else {
		dir_set(w, fd);
		fd = -1;
	}
out:
	if (fd >= 0)
		close(fd);
	return r;
}

int
vault_path_open(
    int *fdp, const char *path, uid_t uid, struct perc_conf_error *e)
{
	struct walk w = { .dir = -1, .uid = uid, .path = path, .e = e };
	char *here = NULL;
	int r, n;

	*fdp = -1;
	if (path[0] != '/' && (here = getcwd(NULL, 0)) == NULL)
		return say(&w, errno);
	n = snprintf(
	    w.left, sizeof(w.left), "%s/%s", here != NULL ? here : "", path);
	free(here);
	if ((size_t)n >= sizeof(w.left))
		return say(&w, ENAMETOOLONG);
	r = root_go(&w);
	while (r == 0 && *fdp < 0)
		r = part_go(&w, fdp);
	dir_set(&w, -1);
	return r;
}
