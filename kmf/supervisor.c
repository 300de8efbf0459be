/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The parent of all: opens the ports, starts keeper, fetcher and fronts,
 * hands them their ends of the socketpairs, and waits. A front that dies is
 * replaced, with fresh channels that travel to the two others. Without the
 * keeper there is nothing to serve, so its end is ours. The supervisor itself
 * never reads a request.
 *
 * A front that gave up root cannot read root's new certificate, so a reload
 * then means new fronts, one after the other; the port stays open in here.
 */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kmf/handover.h"
#include "kmf/kmf.h"
#include "perc/httpd.h"
#include "perc/log.h"
#include "perc/loop.h"
#include "perc/proc.h"
#include "perc/secret.h"

#define DRAIN_MS   8000 /* fronts get that long before they are killed */
#define RESPAWN_MS 1000
#define DEATHS_MAX 10 /* fronts lost within DEATHS_MS: give up */
#define DEATHS_MS  60000

struct slot {
	struct sup *s;
	unsigned index;
	pid_t pid;     /* 0: not running */
	bool renewing; /* it was told to make room for an heir */
	int ready;     /* its "ready" socket, -1: heard or gone */
	struct perc_io *io;
	struct perc_timer respawn;
};

struct sup {
	const struct kmf_conf *conf;
	struct perc_loop *loop;
	int listen[KMF_FRONTS_MAX], metrics;
	int keeper_sock, fetcher_sock; /* handover */
	pid_t keeper, fetcher;
	struct slot slots[KMF_FRONTS_MAX];
	unsigned nready, deaths, rolling; /* fronts still to be renewed */
	int64_t deaths_since_ms;
	bool stopping, told;
	int code;
	struct perc_timer kill;
};

static void front_start(void *arg);
static void roll_next(struct sup *s);

/* --- starting ------------------------------------------------------------- */
static int
ports_open(struct sup *s)
{
	const struct kmf_conf *c = s->conf;
	char why[512];
	int64_t i;

	for (i = 0; i < c->fronts; i++)
		if (perc_httpd_listen(
			&s->listen[i], c->listen, true, why, sizeof(why)) != 0)
			goto bad;
	if (c->metrics_listen != NULL &&
	    perc_httpd_listen(
		&s->metrics, c->metrics_listen, false, why, sizeof(why)) != 0)
		goto bad;
	return 0;
bad:
	fprintf(stderr, "perch-kmf: %s\n", why);
	return 1;
}

static int
role_start(struct sup *s, pid_t *pid, const char *role, unsigned index,
    const int *fds, int nfds)
{
	char number[16];
	char *argv[] = { (char *)(uintptr_t) "perch-kmf",
		(char *)(uintptr_t) "role", (char *)(uintptr_t)role, number,
		(char *)(uintptr_t) "-c", (char *)(uintptr_t)s->conf->file,
		NULL };
	int r;

	snprintf(number, sizeof(number), "%u", index);
	if ((r = perc_proc_spawn(pid, NULL, argv, fds, nfds)) != 0)
		log_warn("kmf.start role=%s", role);
	return r;
}

static void
close_all(int *fds, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void
on_ready(int fd, uint32_t events, void *arg)
{
	struct slot *f = arg;
	char c;

	if (read(fd, &c, 1) == 1)
		f->s->nready++;
	perc_loop_del(f->io);
	f->io = NULL;
	close(f->ready);
	f->ready = -1;
	if (f->s->rolling != 0)
		roll_next(f->s);
	if (!f->s->told && f->s->nready == (unsigned)f->s->conf->fronts) {
		f->s->told = true;
		log_info("kmf.ready url=%s fronts=%u", f->s->conf->base_url,
		    f->s->nready);
		perc_proc_notify("READY=1");
	}
}

/* Start front f with these ends; its other ends are already with the keeper
 * and the fetcher. */
static int
front_spawn(struct slot *f, int keeper_end, int fetcher_end)
{
	struct sup *s = f->s;
	int pair[2], fds[5], n = 4, r;

	if ((r = perc_proc_pair(pair)) != 0)
		return r;
	fds[0] = keeper_end;
	fds[1] = fetcher_end;
	fds[2] = pair[1];
	fds[3] = s->listen[f->index];
	if (f->index == 0 && s->metrics >= 0)
		fds[n++] = s->metrics;
	r = role_start(s, &f->pid, "front", f->index, fds, n);
	close(pair[1]);
	f->ready = pair[0];
	if (r == 0)
		r = perc_loop_add(
		    s->loop, &f->io, f->ready, EPOLLIN, on_ready, f);
	return r;
}

static int
everybody_start(struct sup *s)
{
	unsigned i, n = (unsigned)s->conf->fronts;
	int k[KMF_FRONTS_MAX + 1][2], t[KMF_FRONTS_MAX + 1][2];
	int fds[KMF_FRONTS_MAX + 1], r = 0;

	memset(k, 0xff, sizeof(k)); /* all -1 */
	memset(t, 0xff, sizeof(t));
	for (i = 0; i <= n; i++)
		if ((r = perc_proc_pair(k[i])) != 0 ||
		    (r = perc_proc_pair(t[i])) != 0)
			goto out;
	for (i = 0; i <= n; i++)
		fds[i] = k[i][0];
	if ((r = role_start(s, &s->keeper, "keeper", 0, fds, (int)n + 1)) != 0)
		goto out;
	for (i = 0; i <= n; i++)
		fds[i] = t[i][0];
	if ((r = role_start(s, &s->fetcher, "fetcher", 0, fds, (int)n + 1)) !=
	    0)
		goto out;
	for (i = 0; i < n && r == 0; i++)
		r = front_spawn(&s->slots[i], k[i][1], t[i][1]);
	s->keeper_sock = dup(k[n][1]);
	s->fetcher_sock = dup(t[n][1]);
out:
	for (i = 0; i <= n; i++) {
		close_all(k[i], 2);
		close_all(t[i], 2);
	}
	return r;
}

/* --- a front died --------------------------------------------------------- */
static void
front_start(void *arg)
{
	struct slot *f = arg;
	int k[2] = { -1, -1 }, t[2] = { -1, -1 }, r;

	if ((r = perc_proc_pair(k)) == 0 && (r = perc_proc_pair(t)) == 0 &&
	    (r = kmf_handover_send(f->s->keeper_sock, f->index, k[0])) == 0 &&
	    (r = kmf_handover_send(f->s->fetcher_sock, f->index, t[0])) == 0)
		r = front_spawn(f, k[1], t[1]);
	if (r != 0)
		log_warnx("kmf.restart front=%u err=\"%s\"", f->index,
		    perc_strerror(r));
	close_all(k, 2);
	close_all(t, 2);
}

static void
stop(struct sup *s, int code)
{
	unsigned i;

	if (s->stopping)
		return;
	s->stopping = true;
	s->code = code;
	perc_proc_notify("STOPPING=1");
	for (i = 0; i < (unsigned)s->conf->fronts; i++) {
		perc_timer_stop(s->loop, &s->slots[i].respawn);
		if (s->slots[i].pid != 0)
			(void)kill(s->slots[i].pid, SIGTERM);
	}
}

static void
front_died(struct slot *f, int status)
{
	struct sup *s = f->s;
	int64_t now = perc_now_ms();

	f->pid = 0;
	if (f->ready < 0 && s->nready > 0)
		s->nready--;
	if (s->stopping)
		return;
	if (f->renewing) {
		f->renewing = false;
		front_start(f);
		return;
	}
	log_warnx("kmf.front_died front=%u status=%d signal=%d", f->index,
	    WIFEXITED(status) ? WEXITSTATUS(status) : -1,
	    WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	if (now - s->deaths_since_ms > DEATHS_MS) {
		s->deaths_since_ms = now;
		s->deaths = 0;
	}
	if (!s->told || ++s->deaths > DEATHS_MAX) {
		log_warnx("kmf.stop reason=fronts_do_not_live");
		stop(s, 1);
	} else if (perc_timer_set(
		       s->loop, &f->respawn, RESPAWN_MS, front_start, f) != 0)
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
	return false;
}

static void
child_died(struct sup *s, pid_t pid, int status)
{
	unsigned i;

	for (i = 0; i < (unsigned)s->conf->fronts; i++)
		if (s->slots[i].pid == pid) {
			front_died(&s->slots[i], status);
			return;
		}
	if (pid != s->keeper && pid != s->fetcher)
		return;
	if (!s->stopping)
		log_warnx("kmf.stop reason=%s_died status=%d signal=%d",
		    pid == s->keeper ? "keeper" : "fetcher",
		    WIFEXITED(status) ? WEXITSTATUS(status) : -1,
		    WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	if (pid == s->keeper)
		s->keeper = 0;
	else
		s->fetcher = 0;
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
	if (s->keeper == 0 && s->fetcher == 0)
		perc_loop_stop(s->loop);
	if (s->keeper != 0)
		(void)kill(s->keeper, SIGTERM);
	if (s->fetcher != 0)
		(void)kill(s->fetcher, SIGTERM);
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
	if (s->keeper != 0)
		(void)kill(s->keeper, SIGKILL);
	if (s->fetcher != 0)
		(void)kill(s->fetcher, SIGKILL);
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

/* The last front first; the next when its heir is ready. */
static void
roll_next(struct sup *s)
{
	struct slot *f;

	if (s->rolling == 0 || s->stopping)
		return;
	f = &s->slots[--s->rolling];
	log_info(
	    "kmf.reload certificate=%s front=%u", s->conf->tls_cert, f->index);
	f->renewing = f->pid != 0;
	if (f->renewing)
		(void)kill(f->pid, SIGTERM);
}

static void
on_hup(int signo, void *arg)
{
	struct sup *s = arg;
	char why[512];
	unsigned i;

	log_info("kmf.reload what=certificate other_settings=need_a_restart");
	if (perc_httpd_check_cert(
		s->conf->tls_cert, s->conf->tls_key, why, sizeof(why)) != 0) {
		log_warnx("kmf.reload err=\"%s\" certificate=the_old_one", why);
		return;
	}
	if (s->conf->user != NULL && geteuid() == 0) {
		if (s->rolling == 0) {
			s->rolling = (unsigned)s->conf->fronts;
			roll_next(s);
		}
		return;
	}
	for (i = 0; i < (unsigned)s->conf->fronts; i++)
		if (s->slots[i].pid != 0)
			(void)kill(s->slots[i].pid, SIGHUP);
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

int
kmf_supervise(const struct kmf_conf *c)
{
	struct sup s = { .conf = c,
		.metrics = -1,
		.keeper_sock = -1,
		.fetcher_sock = -1,
		.code = 1 };
	unsigned i;

	for (i = 0; i < KMF_FRONTS_MAX; i++) {
		s.listen[i] = -1;
		s.slots[i] = (struct slot){ .s = &s, .index = i, .ready = -1 };
	}
	if (kmf_conf_check(c) != 0 || ports_open(&s) != 0)
		goto out;
	if (perc_process_harden() != 0 || perc_loop_new(&s.loop) != 0 ||
	    signals_take(&s) != 0) {
		fprintf(
		    stderr, "perch-kmf: cannot start: %s\n", strerror(errno));
		goto out;
	}
	if (everybody_start(&s) != 0)
		stop(&s, 1);
	else if (perc_loop_run(s.loop) != 0)
		s.code = 1;
out:
	close_all(s.listen, KMF_FRONTS_MAX);
	close_all(&s.metrics, 1);
	close_all(&s.keeper_sock, 1);
	close_all(&s.fetcher_sock, 1);
	perc_loop_free(s.loop);
	return s.code;
}
