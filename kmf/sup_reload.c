/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * SIGHUP. The new configuration is read once, into a snapshot that every
 * process started from now on reads: a file that is edited meanwhile, or is
 * wrong, never reaches one of them. It is taken as a whole or not at all.
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
snapshot_make(int *fdp, const char *file, char *why, size_t cap)
{
	struct perc_conf_error e = { "" };
	char *text = NULL;
	size_t len;
	int fd = -1, r;

	if ((r = perc_conf_read_file(&text, &len, file, CONF_FILE_MAX, &e)) !=
	    0) {
		snprintf(why, cap, "%s", e.text);
		return r;
	}
	if ((fd = memfd_create("perch-kmf.conf", MFD_CLOEXEC)) < 0 ||
	    write(fd, text, len) != (ssize_t)len) {
		snprintf(why, cap, "%s: %s", file, strerror(errno));
		if (fd >= 0)
			close(fd);
		r = PERC_ERR_SYS;
	} else
		*fdp = fd;
	perc_secmem_free(text);
	return r;
}

static int
snapshot_load(
    struct kmf_conf **cp, int *fdp, const char *file, char *why, size_t cap)
{
	struct kmf_conf *c = calloc(1, sizeof(*c));
	char from[64];
	int fd = -1, r = PERC_ERR_NOMEM;

	snprintf(why, cap, "%s: out of memory", file);
	if (c == NULL || (r = snapshot_make(&fd, file, why, cap)) != 0)
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

/* NULL: it can be taken. */
static const char *
unfit(char *why, size_t cap, const struct sup *s, struct kmf_conf *next)
{
	const char *frozen = kmf_conf_frozen(s->conf, next);

	if (frozen != NULL) {
		snprintf(why, cap,
		    "'%s' cannot change while running; restart, or put it "
		    "back",
		    frozen);
		return why;
	}
	next->running = true;
	if (kmf_conf_check(next) == 0)
		return NULL;
	snprintf(why, cap, "it names what cannot be used (told on stderr)");
	return why;
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
	if (snapshot_load(&next, &fd, s->conf->file, why, sizeof(why)) == 0 &&
	    unfit(why, sizeof(why), s, next) == NULL) {
		s->reloading = true;
		conf_take(s, next, fd);
		return;
	}
	log_warnx("kmf.reload err=\"%s\" settings=the_old_ones", why);
	perc_proc_notify("READY=1");
	if (next != NULL) {
		kmf_conf_clear(next);
		free(next);
		close(fd);
	}
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
