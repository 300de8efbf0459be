/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that hold secrets are looked at through the open descriptor, so the
 * one that was judged is the one that is read. O_NONBLOCK keeps a FIFO in
 * their place from hanging us. A credential of systemd may show a group's
 * right to read: that is how an access list for one user looks.
 */
#include "perc/conf.h"

#include "perc/secret.h"
#include "perc/systemd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
perc_conf_complain(struct perc_conf_error *e, int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return r;
}

static int
open_regular(
    int *fdp, struct stat *st, const char *path, struct perc_conf_error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return perc_conf_complain(e,
		    errno == ENOENT ? PERC_ERR_NOTFOUND : PERC_ERR_SYS,
		    "%.300s: %s", path, strerror(errno));
	if (fstat(fd, st) != 0 || !S_ISREG(st->st_mode)) {
		close(fd);
		return perc_conf_complain(
		    e, PERC_ERR_DENIED, "%.300s: not a regular file", path);
	}
	*fdp = fd;
	return 0;
}

int
perc_conf_open_secret(int *fdp, const char *path, struct perc_conf_error *e)
{
	struct stat st;
	int fd, r;

	if ((r = open_regular(&fd, &st, path, e)) != 0)
		return r;
	if (st.st_uid != geteuid() && st.st_uid != 0)
		r = perc_conf_complain(e, PERC_ERR_DENIED,
		    "%.200s: belongs to somebody else; run: chown %u %.200s",
		    path, (unsigned)geteuid(), path);
	else if ((st.st_mode &
		     (perc_systemd_is_credential(path) ? 037 : 077)) != 0)
		r = perc_conf_complain(e, PERC_ERR_DENIED,
		    "%.200s: others may read it; run: chmod 0600 %.200s", path,
		    path);
	if (r != 0)
		close(fd);
	else
		*fdp = fd;
	return r;
}

/* All octets of fd into p, which has cap of room. */
static int
read_all(uint8_t *p, size_t cap, size_t *lenp, int fd)
{
	ssize_t n = 0;

	*lenp = 0;
	while (*lenp < cap) {
		n = read(fd, p + *lenp, cap - *lenp);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		*lenp += (size_t)n;
	}
	return n < 0 ? PERC_ERR_SYS : 0;
}

int
perc_conf_read_secret_fd(struct perc_secret **sp, int fd, const char *path,
    size_t max, struct perc_conf_error *e)
{
	struct perc_secret *all = NULL;
	size_t len;
	int r;

	if (max >= PERC_SECRET_MAX)
		max = PERC_SECRET_MAX - 1;
	if ((r = perc_secret_new(&all, max + 1)) != 0) {
		(void)perc_conf_complain(
		    e, r, "%.300s: %s", path, perc_strerror(r));
		goto out;
	}
	if (lseek(fd, 0, SEEK_SET) != 0)
		r = PERC_ERR_SYS;
	if (r != 0 || (r = read_all(all->data, max + 1, &len, fd)) != 0)
		(void)perc_conf_complain(
		    e, r, "%.300s: %s", path, strerror(errno));
	else if (len > max)
		r = perc_conf_complain(e, PERC_ERR_LIMIT,
		    "%.300s: more than %zu octets", path, max);
	else if (len == 0)
		r = perc_conf_complain(
		    e, PERC_ERR_SHORT, "%.300s: empty", path);
	else if ((r = perc_secret_from(sp, all->data, len)) != 0)
		(void)perc_conf_complain(
		    e, r, "%.300s: %s", path, perc_strerror(r));
out:
	perc_secret_free(all);
	return r;
}

int
perc_conf_read_secret(struct perc_secret **sp, const char *path, size_t max,
    struct perc_conf_error *e)
{
	int fd, r;

	if ((r = perc_conf_open_secret(&fd, path, e)) != 0)
		return r;
	r = perc_conf_read_secret_fd(sp, fd, path, max, e);
	close(fd);
	return r;
}

int
perc_conf_read_fd(char **sp, size_t *lenp, int fd, const char *path, size_t max,
    struct perc_conf_error *e)
{
	struct stat st;
	char *text;
	int r;

	if (fstat(fd, &st) != 0)
		return perc_conf_complain(
		    e, PERC_ERR_SYS, "%.300s: %s", path, strerror(errno));
	if (st.st_size < 0 || (size_t)st.st_size > max)
		return perc_conf_complain(e, PERC_ERR_LIMIT,
		    "%.300s: more than %zu octets", path, max);
	/* One octet more than it had: growth while we read is seen. */
	if ((text = malloc((size_t)st.st_size + 2)) == NULL)
		r = perc_conf_complain(
		    e, PERC_ERR_NOMEM, "%.300s: out of memory", path);
	else if ((r = read_all(
		      (uint8_t *)text, (size_t)st.st_size + 1, lenp, fd)) != 0)
		(void)perc_conf_complain(
		    e, r, "%.300s: %s", path, strerror(errno));
	else if (*lenp > (size_t)st.st_size)
		r = perc_conf_complain(e, PERC_ERR_CONFLICT,
		    "%.300s: changed while it was read", path);
	if (r != 0) {
		perc_secmem_free(text);
		return r;
	}
	text[*lenp] = '\0';
	*sp = text;
	return 0;
}

int
perc_conf_read_file(char **sp, size_t *lenp, const char *path, size_t max,
    struct perc_conf_error *e)
{
	struct stat st;
	int fd, r;

	if ((r = open_regular(&fd, &st, path, e)) != 0)
		return r;
	r = perc_conf_read_fd(sp, lenp, fd, path, max, e);
	close(fd);
	return r;
}
