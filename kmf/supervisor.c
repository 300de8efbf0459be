/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The parent of all: opens the ports, starts keeper, fetcher, mailer, fronts,
 * hands them their ends of the socketpairs, and waits. A front that dies is
 * replaced, with fresh channels that travel to the two others. Without the
 * keeper there is nothing to serve, so its end is ours. The supervisor itself
 * never reads a request.
 *
 * A front can read no file any more, so a new certificate or configuration
 * means new fronts, one after the other, and a new fetcher (sup_reload.c).
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmf/supervisor.h"
#include "perc/log.h"
#include "perc/loop.h"
#include "perc/proc.h"
#include "perc/secret.h"

#define DRAIN_MS   8000 /* fronts get that long before they are killed */
#define DEATHS_MAX 10	/* fronts lost within DEATHS_MS: give up */
#define DEATHS_MS  60000

static void
stop(struct sup *s, int code)
{
	unsigned i;

	if (s->stopping)
		return;
	s->stopping = true;
	s->code = code;
	for (i = 0; i < KMF_OUTLETS; i++)
		perc_timer_stop(s->loop, &s->outlet[i].respawn);
	perc_proc_notify("STOPPING=1");
	for (i = 0; i < (unsigned)s->conf->fronts; i++) {
		perc_timer_stop(s->loop, &s->slots[i].respawn);
		if (s->slots[i].pid != 0)
			(void)kill(s->slots[i].pid, SIGTERM);
	}
	for (i = 0; i < s->nretired; i++)
		(void)kill(s->retired[i], SIGTERM);
}

/* Deaths in a row, or one before we were ready: this will not get well. */
static bool
too_many(struct sup *s)
{
	int64_t now = perc_now_ms();

	if (now - s->deaths_since_ms > DEATHS_MS) {
		s->deaths_since_ms = now;
		s->deaths = 0;
	}
	if (s->told && ++s->deaths <= DEATHS_MAX)
		return false;
	log_warnx("kmf.stop reason=processes_do_not_live");
	return true;
}

static void
front_died(struct slot *f, int status)
{
	struct sup *s = f->s;

	f->pid = 0;
	if (f->ready < 0 && s->nready > 0)
		s->nready--;
	if (s->stopping)
		return;
	log_warnx("kmf.front_died front=%u status=%d signal=%d", f->index,
	    WIFEXITED(status) ? WEXITSTATUS(status) : -1,
	    WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	if (too_many(s) ||
	    perc_timer_set(
		s->loop, &f->respawn, SUP_RESPAWN_MS, sup_front_start, f) != 0)
		stop(s, 1);
}

/* Keys that the fronts have go on being good meanwhile. */
static void
fetcher_died(struct outlet *o, int status)
{
	struct sup *s = o->s;

	o->pid = 0;
	if (s->stopping)
		return;
	log_warnx("kmf.fetcher_died status=%d signal=%d",
	    WIFEXITED(status) ? WEXITSTATUS(status) : -1,
	    WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	if (too_many(s) ||
	    perc_timer_set(s->loop, &o->respawn, SUP_RESPAWN_MS,
		sup_fetcher_start, o) != 0)
		stop(s, 1);
}

/* --- signals -------------------------------------------------------------- */
static bool
fronts_left(const struct sup *s)
{
	unsigned i;

	for (i = 0; i < (unsigned)s->conf->fronts; i++)
		if (s->slots[i].pid != 0)
			return true;
	return s->nretired != 0;
}

/* The keeper, and who does its errands; false: all are gone. */
static bool
inner_kill(const struct sup *s, int signo)
{
	bool left = s->keeper != 0;
	unsigned i;

	if (s->keeper != 0)
		(void)kill(s->keeper, signo);
	for (i = 0; i < KMF_OUTLETS; i++)
		if (s->outlet[i].pid != 0) {
			(void)kill(s->outlet[i].pid, signo);
			left = true;
		}
	return left;
}

static void
child_died(struct sup *s, pid_t pid, int status)
{
	unsigned i;

	if (sup_retired_died(s, pid))
		return;
	for (i = 0; i < (unsigned)s->conf->fronts; i++)
		if (s->slots[i].pid == pid) {
			front_died(&s->slots[i], status);
			return;
		}
	if (pid == s->outlet[KMF_OUTLET_FETCHER].pid)
		fetcher_died(&s->outlet[KMF_OUTLET_FETCHER], status);
	if (pid == s->outlet[KMF_OUTLET_MAILER].pid)
		sup_mailer_died(&s->outlet[KMF_OUTLET_MAILER], status);
	if (pid != s->keeper)
		return;
	if (!s->stopping)
		log_warnx("kmf.stop reason=keeper_died status=%d signal=%d",
		    WIFEXITED(status) ? WEXITSTATUS(status) : -1,
		    WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	s->keeper = 0;
	stop(s, 1);
}

static void
on_child(int signo, void *arg)
{
	struct sup *s = arg;
	pid_t pid;
	int status;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		child_died(s, pid, status);
	/* Fronts first: their last answers need the keeper. */
	if (!s->stopping || fronts_left(s))
		return;
	if (!inner_kill(s, SIGTERM))
		perc_loop_stop(s->loop);
}

static void
on_kill(void *arg)
{
	struct sup *s = arg;
	unsigned i;

	log_warnx("kmf.stop reason=too_slow");
	for (i = 0; i < (unsigned)s->conf->fronts; i++)
		if (s->slots[i].pid != 0)
			(void)kill(s->slots[i].pid, SIGKILL);
	for (i = 0; i < s->nretired; i++)
		(void)kill(s->retired[i], SIGKILL);
	(void)inner_kill(s, SIGKILL);
}

static void
on_stop(int signo, void *arg)
{
	struct sup *s = arg;

	log_info("kmf.stop reason=signal");
	stop(s, 0);
	if (perc_timer_set(s->loop, &s->kill, DRAIN_MS, on_kill, s) != 0)
		on_kill(s);
}

static void
on_hup(int signo, void *arg)
{
	sup_reload(arg);
}

static int
signals_take(struct sup *s)
{
	int r;

	if ((r = perc_loop_signal(s->loop, SIGCHLD, on_child, s)) != 0 ||
	    (r = perc_loop_signal(s->loop, SIGTERM, on_stop, s)) != 0 ||
	    (r = perc_loop_signal(s->loop, SIGINT, on_stop, s)) != 0)
		return r;
	return perc_loop_signal(s->loop, SIGHUP, on_hup, s);
}

static int
supervise(struct sup *s)
{
	if (kmf_conf_check(s->conf) != 0 || sup_ports_open(s) != 0)
		return PERC_ERR_INVAL;
	if (perc_process_harden() != 0 || perc_loop_new(&s->loop) != 0 ||
	    signals_take(s) != 0) {
		fprintf(
		    stderr, "perch-kmf: cannot start: %s\n", strerror(errno));
		return PERC_ERR_SYS;
	}
	if (sup_start_all(s) != 0 || sup_reload_start(s) != 0 ||
	    sup_watch_start(s) != 0)
		stop(s, 1);
	else if (perc_loop_run(s->loop) != 0)
		s->code = 1;
	return 0;
}

int
kmf_supervise(const char *file)
{
	struct sup s = { .snapshot = -1,
		.metrics = -1,
		.keeper_sock = -1,
		.fetcher_was = -1,
		.next_fd = -1,
		.pipe = { -1, -1 },
		.code = 1 };
	unsigned i;

	for (i = 0; i < KMF_FRONTS_MAX; i++) {
		s.listen[i] = -1;
		s.slots[i] = (struct slot){ .s = &s, .index = i, .ready = -1 };
	}
	for (i = 0; i < KMF_OUTLETS; i++)
		s.outlet[i] = (struct outlet){ .s = &s, .sock = -1 };
	if (sup_conf_open(&s, file) == 0 && supervise(&s) != 0)
		s.code = 1;
	sup_reload_stop(&s);
	sup_close(s.listen, KMF_FRONTS_MAX);
	sup_close(&s.metrics, 1);
	sup_close(&s.keeper_sock, 1);
	for (i = 0; i < KMF_OUTLETS; i++)
		sup_close(&s.outlet[i].sock, 1);
	sup_close(&s.fetcher_was, 1);
	sup_close(s.pipe, 2);
	perc_loop_free(s.loop);
	sup_conf_close(&s);
	return s.code;
}
