/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Starting the roles and joining them: a socketpair between each front and
 * the keeper, each front and the fetcher, keeper and fetcher, keeper and
 * mailer, and one from each of these to us, over which the channels of later
 * fronts travel, and to the keeper those of a later fetcher and mailer
 * (kmf/handover.h). A fetcher that is started again knows no front, so the
 * fronts are renewed after it.
 */
#include "kmf/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kmf/handover.h"
#include "perc/httpd.h"
#include "perc/log.h"
#include "perc/proc.h"
#include "perc/systemd.h"

/* Sockets that systemd opened: "metrics" is one, all others are for clients.
 * Every front gets one, and several may share it. */
static int
ports_take(struct sup *s, char *why, size_t cap)
{
	struct perc_systemd_socket got[PERC_SYSTEMD_SOCKETS_MAX];
	int clients[PERC_SYSTEMD_SOCKETS_MAX];
	size_t i, n, nclients = 0;
	int r;

	if ((r = perc_systemd_sockets(got, &n, why, cap)) != 0)
		return r;
	for (i = 0; i < n; i++)
		if (strcmp(got[i].name, "metrics") != 0)
			clients[nclients++] = got[i].fd;
		else if (s->metrics < 0 && s->conf->metrics_listen != NULL)
			s->metrics = got[i].fd;
		else {
			snprintf(why, cap,
			    "a socket for metrics was passed; "
			    "set metrics_listen, and pass one");
			return PERC_ERR_FORMAT;
		}
	for (i = 0; nclients != 0 && i < (size_t)s->conf->fronts; i++)
		if ((s->listen[i] = fcntl(
			 clients[i % nclients], F_DUPFD_CLOEXEC, 0)) < 0) {
			snprintf(why, cap, "sockets: %s", strerror(errno));
			return PERC_ERR_SYS;
		}
	sup_close(clients, nclients);
	return 0;
}

int
sup_ports_open(struct sup *s)
{
	const struct kmf_conf *c = s->conf;
	char why[512];
	int64_t i;

	if (ports_take(s, why, sizeof(why)) != 0)
		goto bad;
	for (i = 0; i < c->fronts; i++)
		if (s->listen[i] < 0 &&
		    perc_httpd_listen(
			&s->listen[i], c->listen, true, why, sizeof(why)) != 0)
			goto bad;
	if (c->metrics_listen != NULL && s->metrics < 0 &&
	    perc_httpd_listen(
		&s->metrics, c->metrics_listen, false, why, sizeof(why)) != 0)
		goto bad;
	return 0;
bad:
	fprintf(stderr, "perch-kmf: %s\n", why);
	return 1;
}

/* Every role reads the snapshot, its last descriptor, in the file's name. */
int
sup_role_start(struct sup *s, pid_t *pid, const char *role, unsigned index,
    const int *fds, int nfds)
{
	char number[16], snapshot[16];
	char *argv[] = { (char *)(uintptr_t) "perch-kmf",
		(char *)(uintptr_t) "role", (char *)(uintptr_t)role, number,
		(char *)(uintptr_t) "-c", (char *)(uintptr_t)s->conf->file,
		(char *)(uintptr_t) "--snapshot", snapshot, NULL };
	int all[KMF_FRONTS_MAX + 4], r;

	memcpy(all, fds, (size_t)nfds * sizeof(fds[0]));
	all[nfds] = s->snapshot;
	snprintf(number, sizeof(number), "%u", index);
	snprintf(snapshot, sizeof(snapshot), "%d", PERC_PROC_FD + nfds);
	if ((r = perc_proc_spawn(pid, NULL, argv, all, nfds + 1)) != 0)
		log_warn("kmf.start role=%s", role);
	return r;
}

void
sup_close(int *fds, size_t n)
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
		sup_roll_next(f->s);
	else
		sup_reload_done(f->s);
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
	r = sup_role_start(s, &f->pid, "front", f->index, fds, n);
	close(pair[1]);
	f->ready = pair[0];
	if (r == 0)
		r = perc_loop_add(
		    s->loop, &f->io, f->ready, EPOLLIN, on_ready, f);
	return r;
}

/* The keeper or the fetcher: its ends of n + 1 pairs, and `others`, of those
 * between the inner ones; -1: there is none. */
static int
inner_start(struct sup *s, pid_t *pid, const char *role,
    int pairs[KMF_FRONTS_MAX + 1][2], const int others[2])
{
	int fds[KMF_FRONTS_MAX + 3], n;

	for (n = 0; n <= (int)s->conf->fronts; n++)
		fds[n] = pairs[n][0];
	fds[n++] = others[0];
	if (others[1] >= 0)
		fds[n++] = others[1];
	return sup_role_start(s, pid, role, 0, fds, n);
}

int
sup_start_all(struct sup *s)
{
	unsigned i, n = (unsigned)s->conf->fronts;
	int k[KMF_FRONTS_MAX + 1][2], t[KMF_FRONTS_MAX + 1][2];
	struct outlet *o = &s->outlet[KMF_OUTLET_FETCHER];
	int errands[2] = { -1, -1 }, ours[2] = { -1, -1 };
	int theirs[2] = { -1, -1 }, r = 0;

	memset(k, 0xff, sizeof(k)); /* all -1 */
	memset(t, 0xff, sizeof(t));
	for (i = 0; i <= n; i++)
		if ((r = perc_proc_pair(k[i])) != 0 ||
		    (r = perc_proc_pair(t[i])) != 0)
			goto out;
	if ((r = perc_proc_pair(errands)) != 0 ||
	    (r = sup_files_stamp(o->files, s->conf, KMF_OUTLET_FETCHER)) != 0)
		goto out;
	ours[0] = errands[0];
	theirs[0] = errands[1];
	if ((r = sup_mailer_first(s, &ours[1])) != 0 ||
	    (r = inner_start(s, &s->keeper, "keeper", k, ours)) != 0 ||
	    (r = inner_start(s, &o->pid, "fetcher", t, theirs)) != 0)
		goto out;
	for (i = 0; i < n && r == 0; i++)
		r = front_spawn(&s->slots[i], k[i][1], t[i][1]);
	s->keeper_sock = dup(k[n][1]);
	o->sock = dup(t[n][1]);
out:
	sup_close(errands, 2);
	sup_close(&ours[1], 1);
	for (i = 0; i <= n; i++) {
		sup_close(k[i], 2);
		sup_close(t[i], 2);
	}
	return r;
}

void
sup_again(struct sup *s, struct perc_timer *t, perc_loop_fn fn, void *arg)
{
	if (perc_timer_set(s->loop, t, SUP_RESPAWN_MS, fn, arg) != 0)
		log_warnx("kmf.restart err=no_memory");
}

void
sup_front_start(void *arg)
{
	struct slot *f = arg;
	int k[2] = { -1, -1 }, t[2] = { -1, -1 }, r;

	if ((r = perc_proc_pair(k)) == 0 && (r = perc_proc_pair(t)) == 0 &&
	    (r = kmf_handover_send(f->s->keeper_sock, f->index, k[0])) == 0 &&
	    (r = kmf_handover_send(
		 f->s->outlet[KMF_OUTLET_FETCHER].sock, f->index, t[0])) == 0)
		r = front_spawn(f, k[1], t[1]);
	if (r != 0) {
		log_warnx("kmf.restart front=%u err=\"%s\"", f->index,
		    perc_strerror(r));
		sup_again(f->s, &f->respawn, sup_front_start, f);
	}
	sup_close(k, 2);
	sup_close(t, 2);
}

/* The last front first; the next when its heir is ready. The port stays open
 * in here, so whoever comes between the two waits a moment. */
void
sup_roll_next(struct sup *s)
{
	struct slot *f;

	if (s->rolling == 0 || s->stopping)
		return;
	f = &s->slots[--s->rolling];
	log_info(
	    "kmf.reload certificate=%s front=%u", s->conf->tls_cert, f->index);
	perc_timer_stop(s->loop, &f->respawn);
	if (f->pid != 0) {
		if (f->ready < 0 && s->nready > 0)
			s->nready--;
		sup_retire(s, f->pid);
		(void)kill(f->pid, SIGUSR1);
		f->pid = 0;
	}
	sup_front_start(f);
}

void
sup_roll(struct sup *s)
{
	if (s->rolling != 0)
		return;
	s->rolling = (unsigned)s->conf->fronts;
	sup_roll_next(s);
}

/* Its handover stays open until the fronts have heirs that ask the new one. */
void
sup_fetcher_renew(struct sup *s)
{
	struct outlet *o = &s->outlet[KMF_OUTLET_FETCHER];

	if (o->pid != 0)
		sup_retire(s, o->pid);
	o->pid = 0;
	perc_timer_stop(s->loop, &o->respawn);
	sup_close(&s->fetcher_was, 1);
	s->fetcher_was = o->sock;
	o->sock = -1;
	sup_fetcher_start(o);
}

void
sup_fetcher_start(void *arg)
{
	struct outlet *o = arg;
	struct sup *s = o->s;
	unsigned i, n = (unsigned)s->conf->fronts;
	int t[KMF_FRONTS_MAX + 1][2], errands[2] = { -1, -1 }, r;
	int theirs[2] = { -1, -1 };

	memset(t, 0xff, sizeof(t));
	r = perc_proc_pair(errands);
	for (i = 0; i <= n && r == 0; i++)
		r = perc_proc_pair(t[i]);
	/* The fronts' places stay empty: our ends close below. */
	if (r == 0 &&
	    (r = sup_files_stamp(o->files, s->conf, KMF_OUTLET_FETCHER)) == 0 &&
	    (r = kmf_handover_send(
		 s->keeper_sock, KMF_HANDOVER_FETCHER, errands[0])) == 0) {
		theirs[0] = errands[1];
		r = inner_start(s, &o->pid, "fetcher", t, theirs);
	}
	if (r == 0) {
		sup_close(&o->sock, 1);
		o->sock = dup(t[n][1]);
		sup_roll(s);
	} else
		sup_again(s, &o->respawn, sup_fetcher_start, o);
	sup_close(errands, 2);
	for (i = 0; i <= n; i++)
		sup_close(t[i], 2);
}
