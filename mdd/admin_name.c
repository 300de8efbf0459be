/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the operator's socket is. A file in a directory that only root and we
 * can write to is nobody else's; such a directory has who installs us (systemd:
 * RuntimeDirectory), and who has none gets an abstract name as before.
 *
 * A file outlives a daemon that was killed: one that refuses is removed, one
 * that answers is another daemon's.
 */
#include <errno.h>
#include <pwd.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "mdd/admin.h"
#include "perc/log.h"

struct name {
	struct sockaddr_un un;
	socklen_t len;
};

uid_t
mdd_admin_uid(const struct mdd_conf *conf)
{
	struct passwd *p = conf->user == NULL ? NULL : getpwnam(conf->user);

	return p == NULL ? geteuid() : p->pw_uid;
}

/* Is it there, and can nobody else put a file there? */
static bool
dir_good(const struct mdd_conf *conf)
{
	struct stat st;

	if (stat(conf->run_dir, &st) != 0 || !S_ISDIR(st.st_mode))
		return false;
	return (st.st_mode & (S_IWGRP | S_IWOTH)) == 0 &&
	    (st.st_uid == 0 || st.st_uid == geteuid() ||
		st.st_uid == mdd_admin_uid(conf));
}

static int
name_file(struct name *m, const struct mdd_conf *conf)
{
	int n;

	memset(m, 0, sizeof(*m));
	m->un.sun_family = AF_UNIX;
	n = snprintf(m->un.sun_path, sizeof(m->un.sun_path), "%s/%s.sock",
	    conf->run_dir, conf->listen);
	m->len = sizeof(m->un);
	return n > 0 && (size_t)n < sizeof(m->un.sun_path) ? 0 : PERC_ERR_LIMIT;
}

static int
name_abstract(struct name *m, const struct mdd_conf *conf)
{
	int n;

	memset(m, 0, sizeof(*m));
	m->un.sun_family = AF_UNIX;
	n = snprintf(m->un.sun_path + 1, sizeof(m->un.sun_path) - 1,
	    "perch-mdd:%s", conf->listen);
	if (n < 0 || (size_t)n >= sizeof(m->un.sun_path) - 1)
		return PERC_ERR_LIMIT;
	m->len =
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	return 0;
}

static int
stream(int flags)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
}

/* errno is connect's on error. */
static int
dial(int *fdp, const struct name *m)
{
	int fd = stream(0), why;

	if (fd < 0 ||
	    connect(fd, (const struct sockaddr *)&m->un, m->len) != 0) {
		why = errno;
		if (fd >= 0)
			(void)close(fd);
		errno = why;
		return PERC_ERR_NOTFOUND;
	}
	*fdp = fd;
	return 0;
}

int
mdd_admin_dial(int *fdp, const struct mdd_conf *conf)
{
	struct name m;

	if (dir_good(conf) && name_file(&m, conf) == 0 && dial(fdp, &m) == 0)
		return 0;
	if (name_abstract(&m, conf) != 0)
		return PERC_ERR_LIMIT;
	return dial(fdp, &m);
}

/* ---- the daemon's end ------------------------------------------------- */

/* Nobody listens there any more. */
static void
stale_remove(const struct name *m)
{
	int fd;

	if (dial(&fd, m) == 0)
		(void)close(fd);
	else if (errno == ECONNREFUSED)
		(void)unlink(m->un.sun_path);
}

static int
bind_file(int fd, struct mdd_admin_socket *s, const struct mdd_conf *conf)
{
	struct name m;
	mode_t before;
	int r;

	if (!dir_good(conf) || name_file(&m, conf) != 0)
		return -1;
	stale_remove(&m);
	before = umask(0177);
	r = bind(fd, (const struct sockaddr *)&m.un, m.len);
	(void)umask(before);
	if (r == 0)
		(void)snprintf(s->path, sizeof(s->path), "%s", m.un.sun_path);
	else
		log_warn("no operator's socket %s", m.un.sun_path);
	return r;
}

/* An address without a path has the kernel choose a name (unix(7)). */
static int
bind_somewhere(int fd)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	return bind(fd, (struct sockaddr *)&un, sizeof(sa_family_t));
}

/* Any local user can take the name first, which must not keep us from
 * serving. */
static int
bind_abstract(int fd, const struct mdd_conf *conf)
{
	struct name m;

	if (name_abstract(&m, conf) != 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)&m.un, m.len) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -1;
	log_warnx("another process has the operator's socket @%s (ss -xlp "
		  "shows whose): top and drain will not find us, SIGUSR1 "
		  "drains; in a run_dir nobody else can take it",
	    m.un.sun_path + 1);
	return bind_somewhere(fd);
}

int
mdd_admin_listen(struct mdd_admin_socket *s, const struct mdd_conf *conf)
{
	s->path[0] = '\0';
	s->fd = stream(SOCK_NONBLOCK);
	if (s->fd >= 0 &&
	    (bind_file(s->fd, s, conf) == 0 ||
		bind_abstract(s->fd, conf) == 0) &&
	    listen(s->fd, MDD_ADMIN_CLIENTS) == 0)
		return 0;
	mdd_admin_remove(s);
	if (s->fd >= 0)
		(void)close(s->fd);
	return PERC_ERR_SYS;
}

void
mdd_admin_remove(const struct mdd_admin_socket *s)
{
	if (s->path[0] != '\0')
		(void)unlink(s->path);
}
