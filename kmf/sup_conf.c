/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The configuration is read once, into a snapshot that every process started
 * from now on reads: a file that is edited meanwhile, or is wrong, never
 * reaches one of them.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kmf/supervisor.h"
#include "perc/conf.h"
#include "perc/log.h"
#include "perc/secret.h"

static int
file_text(char **textp, const char *file, char *why, size_t cap)
{
	struct perc_conf_error e = { "" };
	size_t len;
	int r;

	if ((r = perc_conf_read_file(textp, &len, file, KMF_CONF_MAX, &e)) != 0)
		snprintf(why, cap, "%s", e.text);
	return r;
}

static int
snapshot_make(
    int *fdp, const char *file, const char *text, char *why, size_t cap)
{
	size_t len = strlen(text);
	int fd;

	if ((fd = memfd_create("perch-kmf.conf", MFD_CLOEXEC)) >= 0 &&
	    write(fd, text, len) == (ssize_t)len) {
		*fdp = fd;
		return 0;
	}
	snprintf(why, cap, "%s: %s", file, strerror(errno));
	if (fd >= 0)
		close(fd);
	return PERC_ERR_SYS;
}

static int
text_load(struct kmf_conf **cp, int *fdp, const char *file, const char *text,
    char *why, size_t cap)
{
	struct kmf_conf *c = calloc(1, sizeof(*c));
	int fd = -1, r = PERC_ERR_NOMEM;

	snprintf(why, cap, "%s: out of memory", file);
	if (c == NULL || (r = snapshot_make(&fd, file, text, why, cap)) != 0 ||
	    (r = kmf_conf_load_text(c, file, text, strlen(text), why, cap)) !=
		0)
		goto out;
	*cp = c;
	*fdp = fd;
	return 0;
out:
	if (fd >= 0)
		close(fd);
	free(c);
	return r;
}

static int
snapshot_load(
    struct kmf_conf **cp, int *fdp, const char *file, char *why, size_t cap)
{
	char *text = NULL;
	int r;

	if ((r = file_text(&text, file, why, cap)) == 0)
		r = text_load(cp, fdp, file, text, why, cap);
	perc_secmem_free(text);
	return r;
}

void
sup_conf_drop(struct kmf_conf **cp, int *fdp)
{
	if (*cp != NULL) {
		kmf_conf_clear(*cp);
		free(*cp);
		*cp = NULL;
	}
	if (*fdp >= 0)
		close(*fdp);
	*fdp = -1;
}

int
sup_conf_open(struct sup *s, const char *file)
{
	char why[700];
	int r;

	if ((r = snapshot_load(
		 &s->conf, &s->snapshot, file, why, sizeof(why))) != 0)
		fprintf(stderr, "perch-kmf: %s\n", why);
	return r;
}

void
sup_conf_close(struct sup *s)
{
	sup_conf_drop(&s->conf, &s->snapshot);
}

/* What cannot change is told and put back. */
static int
thaw(struct kmf_conf **cp, int *fdp, const struct kmf_conf *was_conf,
    int was_fd, char *why, size_t cap)
{
	char was_file[64], next_file[64], *was = NULL, *next = NULL;
	const char *file = was_conf->file;
	struct kmf_frozen f;
	char *text = NULL;
	size_t i;
	int r;

	kmf_conf_frozen(&f, was_conf, *cp);
	if (f.n == 0)
		return 0;
	for (i = 0; i < f.n; i++)
		log_warnx("kmf.reload kept=\"%s\" "
			  "hint=\"it changes with a restart\"",
		    f.name[i]);
	snprintf(was_file, sizeof(was_file), "/proc/self/fd/%d", was_fd);
	snprintf(next_file, sizeof(next_file), "/proc/self/fd/%d", *fdp);
	if ((r = file_text(&was, was_file, why, cap)) == 0 &&
	    (r = file_text(&next, next_file, why, cap)) == 0 &&
	    (r = sup_merge(&text, was, next, &f)) == 0) {
		sup_conf_drop(cp, fdp);
		r = text_load(cp, fdp, file, text, why, cap);
	}
	free(text);
	perc_secmem_free(was);
	perc_secmem_free(next);
	return r;
}

int
sup_conf_next(struct kmf_conf **cp, int *fdp, const struct kmf_conf *was,
    int was_fd, char *why, size_t cap)
{
	int r;

	if ((r = snapshot_load(cp, fdp, was->file, why, cap)) != 0 ||
	    (r = thaw(cp, fdp, was, was_fd, why, cap)) != 0)
		return r;
	(*cp)->running = true;
	if (kmf_conf_check(*cp) == 0)
		return 0;
	snprintf(why, cap, "it names what cannot be used; the log says what");
	return PERC_ERR_FORMAT;
}
