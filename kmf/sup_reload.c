/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * SIGHUP. The new configuration is read once, into a snapshot that every
 * process started from now on reads: a file that is edited meanwhile, or is
 * wrong, never reaches one of them. One that is wrong is not taken at all; of
 * a good one everything but what cannot change while we run (sup_merge.c).
 * Fronts that were before retire: an heir takes the port, they go on with the
 * streams and requests that they have.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kmf/handover.h"
#include "kmf/supervisor.h"
#include "perc/conf.h"
#include "perc/log.h"
#include "perc/loop.h"
#include "perc/proc.h"
#include "perc/secret.h"
#include "perc/systemd.h"

#define CONF_FILE_MAX (1u << 20)

/* --- the snapshot --------------------------------------------------------- */
static int
file_text(char **textp, const char *file, char *why, size_t cap)
{
	struct perc_conf_error e = { "" };
	size_t len;
	int r;

	if ((r = perc_conf_read_file(textp, &len, file, CONF_FILE_MAX, &e)) !=
	    0)
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
	char from[64];
	int fd = -1, r = PERC_ERR_NOMEM;

	snprintf(why, cap, "%s: out of memory", file);
	if (c == NULL || (r = snapshot_make(&fd, file, text, why, cap)) != 0)
		goto out;
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	if ((r = kmf_conf_load_from(c, file, from, why, cap)) != 0)
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

static void
snapshot_drop(struct kmf_conf **cp, int *fdp)
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
	if (s->conf != NULL) {
		kmf_conf_clear(s->conf);
		free(s->conf);
		s->conf = NULL;
	}
	if (s->snapshot >= 0)
		close(s->snapshot);
	s->snapshot = -1;
}

/* --- taking over ---------------------------------------------------------- */
static void
fetcher_renew(struct sup *s)
{
	s->refetching = s->fetcher != 0;
	if (s->refetching)
		(void)kill(
		    s->fetcher, SIGTERM); /* its heir renews the fronts */
}

static void
conf_take(struct sup *s, struct kmf_conf *next, int snapshot)
{
	bool issuers = !kmf_conf_same_issuers(s->conf, next);

	sup_conf_close(s);
	s->conf = next;
	s->snapshot = snapshot;
	perc_log_level_set(next->log_level);
	perc_log_json_set(next->log_format != 0);
	if (kmf_handover_send(s->keeper_sock, KMF_HANDOVER_CONF, s->snapshot) !=
	    0)
		log_warnx("kmf.reload err=\"the keeper does not know\"");
	if (issuers)
		fetcher_renew(s);
	else
		sup_roll(s);
}

/* What cannot change is told and put back. */
static int
thaw(struct sup *s, struct kmf_conf **cp, int *fdp, char *why, size_t cap)
{
	char was_file[64], next_file[64], *was = NULL, *next = NULL;
	const char *file = s->conf->file;
	struct kmf_frozen f;
	char *text = NULL;
	size_t i;
	int r;

	kmf_conf_frozen(&f, s->conf, *cp);
	if (f.n == 0)
		return 0;
	for (i = 0; i < f.n; i++)
		log_warnx("kmf.reload kept=\"%s%s\" "
			  "hint=\"it changes with a restart\"",
		    f.name[i], f.name[i][0] == '[' ? "]" : "");
	snprintf(was_file, sizeof(was_file), "/proc/self/fd/%d", s->snapshot);
	snprintf(next_file, sizeof(next_file), "/proc/self/fd/%d", *fdp);
	if ((r = file_text(&was, was_file, why, cap)) == 0 &&
	    (r = file_text(&next, next_file, why, cap)) == 0 &&
	    (r = sup_merge(&text, was, next, &f)) == 0) {
		snapshot_drop(cp, fdp);
		r = text_load(cp, fdp, file, text, why, cap);
	}
	free(text);
	perc_secmem_free(was);
	perc_secmem_free(next);
	return r;
}

static int
next_load(struct sup *s, struct kmf_conf **cp, int *fdp, char *why, size_t cap)
{
	int r;

	if ((r = snapshot_load(cp, fdp, s->conf->file, why, cap)) != 0 ||
	    (r = thaw(s, cp, fdp, why, cap)) != 0)
		return r;
	(*cp)->running = true;
	if (kmf_conf_check(*cp) == 0)
		return 0;
	snprintf(why, cap, "it names what cannot be used (told on stderr)");
	return PERC_ERR_FORMAT;
}

void
sup_reload(struct sup *s)
{
	struct kmf_conf *next = NULL;
	char why[700], state[96];
	int fd = -1;

	if (s->stopping || !s->told || s->rolling != 0 || s->refetching) {
		log_warnx("kmf.reload err=\"another is under way\" "
			  "hint=\"try again\"");
		return;
	}
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
	    (long long)perc_now_ms() * 1000);
	perc_proc_notify(state);
	if (next_load(s, &next, &fd, why, sizeof(why)) == 0) {
		s->reloading = true;
		conf_take(s, next, fd);
		return;
	}
	log_warnx("kmf.reload err=\"%s\" settings=the_old_ones", why);
	perc_proc_notify("READY=1");
	snapshot_drop(&next, &fd);
}

void
sup_reload_done(struct sup *s)
{
	if (!s->reloading || s->rolling != 0)
		return;
	s->reloading = false;
	log_info("kmf.reloaded fronts=%d", (int)s->conf->fronts);
	perc_proc_notify("READY=1");
}

/* --- retired fronts ------------------------------------------------------- */
/* The eldest, when there are too many, must end its streams after all. */
void
sup_retire(struct sup *s, pid_t pid)
{
	unsigned i;

	if (s->nretired == SUP_RETIRED_MAX) {
		(void)kill(s->retired[0], SIGTERM);
		for (i = 1; i < s->nretired; i++)
			s->retired[i - 1] = s->retired[i];
		s->nretired--;
	}
	s->retired[s->nretired++] = pid;
	(void)kill(pid, SIGUSR1);
}

bool
sup_retired_died(struct sup *s, pid_t pid)
{
	unsigned i;

	for (i = 0; i < s->nretired; i++)
		if (s->retired[i] == pid) {
			s->retired[i] = s->retired[--s->nretired];
			return true;
		}
	return false;
}

/* --- the watchdog --------------------------------------------------------- */
static void
on_pong(int fd, uint32_t events, void *arg)
{
	struct sup *s = arg;
	char c;

	if (read(fd, &c, 1) == 1)
		s->pong = true;
}

/* The keeper gets the writing end of a pipe each time: it says something as
 * long as its loop turns. */
static void
on_watch(void *arg)
{
	struct sup *s = arg;

	if (s->pong)
		perc_proc_notify("WATCHDOG=1");
	s->pong = false;
	if (kmf_handover_send(s->keeper_sock, KMF_HANDOVER_PING, s->pipe[1]) !=
	    0)
		log_warnx("kmf.watchdog err=\"the keeper does not take it\"");
	if (perc_timer_set(s->loop, &s->watch, s->watch_ms, on_watch, s) != 0)
		log_warnx("kmf.watchdog err=no_memory");
}

int
sup_watch_start(struct sup *s)
{
	s->watch_ms = perc_systemd_watchdog_ms() / 3;
	if (s->watch_ms == 0)
		return 0;
	if (pipe2(s->pipe, O_CLOEXEC | O_NONBLOCK) != 0)
		return PERC_ERR_SYS;
	s->pong = true;
	on_watch(s);
	return perc_loop_add(
	    s->loop, &s->pong_io, s->pipe[0], EPOLLIN, on_pong, s);
}
