/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parent of all: opens what needs privileges, starts control and the
 * workers, gives control an end of each worker's channel, and does nothing
 * with the network itself. A worker that crashes costs its own legs; its
 * socket stays here, so the next one takes it over on the same port. Control
 * is not restarted: without it nobody could join, and whoever watches the
 * service should know.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mdd/admin.h"
#include "mdd/msg.h"
#include "mdd/role.h"
#include "perc/httpd.h"
#include "perc/log.h"
#include "perc/loop.h"
#include "perc/proc.h"
#include "perc/secret.h"

#define SUP_STOP_MS  5000  /* then children are killed */
#define SUP_CRASHES  5	   /* of all workers ... */
#define SUP_CRASH_MS 10000 /* ... within this time: give up */

struct sup_worker {
	pid_t pid;  /* 0: not running */
	int udp[2]; /* mdd/steer.h: road and lobby, in this order */
	unsigned port;
};

struct sup {
	struct perc_loop *loop;
	struct mdd_conf *conf;
	const char *conf_file;
	pid_t control;
	int link; /* to control */
	struct perc_io *link_io;
	struct sup_worker worker[MDD_WORKERS_MAX];
	unsigned n, crashes;
	int64_t crash_ms;
	struct perc_timer stop;
	struct mdd_admin_socket admin;
	bool stopping, ready, draining;
	int status;
};

void
mdd_ignore_signal(int signo, void *arg)
{
}

void
mdd_cage(enum perc_cage cage, const char *const ro[])
{
	static const char *const rw[] = { NULL };
	struct perc_cage_report rep = { 0 };
	int r = perc_sandbox(cage, rw, ro, &rep);

	if (r != 0 && r != PERC_ERR_UNSUPPORTED)
		fatalx("cannot close the cage: %s", perc_strerror(r));
	if (r != 0 || !rep.seccomp || !rep.landlock)
		log_warnx("the kernel has only a part of the cage");
	log_info("caged seccomp=%d landlock=%d", rep.seccomp, rep.landlock_abi);
}

/* ---- sockets ---------------------------------------------------------- */

static void
udp_address(struct sockaddr_storage *ss, socklen_t *len, const char *host,
    unsigned port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, host, &in->sin_addr) == 1) {
		in->sin_family = AF_INET;
		in->sin_port = htons((uint16_t)port);
		*len = sizeof(*in);
	} else {
		(void)inet_pton(AF_INET6, host, &in6->sin6_addr);
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		*len = sizeof(*in6);
	}
}

static int
udp_socket(const char *host, int family)
{
	int fd, off = 0;

	fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* "::" is both families, whatever net.ipv6.bindv6only says */
	if (strcmp(host, "::") == 0)
		(void)setsockopt(
		    fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	return fd;
}

static int
udp_bind(const char *host, unsigned *port, int room)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd, on = 1;

	udp_address(&ss, &len, host, *port);
	fd = udp_socket(host, ss.ss_family);
	if (fd < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0 ||
	    bind(fd, (struct sockaddr *)&ss, len) != 0 ||
	    getsockname(fd, (struct sockaddr *)&ss, &len) != 0)
		fatalx("cannot receive media on %s port %u: %s", host, *port,
		    strerror(errno));
	/* Without the right to more, net.core.rmem_max bounds it. */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) !=
	    0)
		(void)setsockopt(
		    fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) !=
	    0)
		(void)setsockopt(
		    fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
	*port = ntohs(ss.ss_family == AF_INET
		? ((struct sockaddr_in *)&ss)->sin_port
		: ((struct sockaddr_in6 *)&ss)->sin6_port);
	return fd;
}

/* Somebody else of our user on this port would be a third in the group, and
 * without a program get its share: the port must be free before. */
static void
udp_free(const char *host, unsigned port)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd;

	udp_address(&ss, &len, host, port);
	fd = udp_socket(host, ss.ss_family);
	if (fd < 0 || bind(fd, (struct sockaddr *)&ss, len) != 0)
		fatalx("cannot receive media on %s port %u: %s", host, port,
		    strerror(errno));
	(void)close(fd);
}

static void
udp_open(struct sup_worker *w, const char *host, unsigned port)
{
	udp_free(host, port);
	w->udp[0] = udp_bind(host, &port, MDD_UDP_ROAD);
	w->udp[1] = udp_bind(host, &port, MDD_UDP_LOBBY);
	w->port = port;
}

/* Linux 5.0; elsewhere each datagram goes singly. */
static void
udp_segments(const int fd[2])
{
	int on = 1;

	(void)setsockopt(fd[0], IPPROTO_UDP, UDP_GRO, &on, sizeof(on));
	(void)setsockopt(fd[1], IPPROTO_UDP, UDP_GRO, &on, sizeof(on));
}

/* ---- processes -------------------------------------------------------- */

static void
worker_start(struct sup *s, unsigned i)
{
	char level[8], sys[8], index[8], legs[8];
	char *argv[] = { (char *)"perch-mdd", (char *)"worker", index, level,
		sys, legs, NULL };
	struct mdd_worker_note note = { i, s->worker[i].port };
	int sv[2], fds[3], r;

	(void)snprintf(index, sizeof(index), "%u", i);
	(void)snprintf(level, sizeof(level), "%d", s->conf->log_level);
	(void)snprintf(sys, sizeof(sys), "%d", s->conf->syslog);
	(void)snprintf(legs, sizeof(legs), "%u", (unsigned)s->conf->max_legs);
	if ((r = perc_proc_pair(sv)) != 0)
		fatal("socketpair");
	fds[0] = s->worker[i].udp[0];
	fds[1] = sv[1];
	fds[2] = s->worker[i].udp[1];
	if ((r = perc_proc_spawn(&s->worker[i].pid, NULL, argv, fds, 3)) != 0)
		fatalx("cannot start worker %u: %s", i, perc_strerror(r));
	if ((r = mdd_pass_send(s->link, &note, sv[0])) != 0 && !s->stopping)
		log_warn("control takes no worker");
	(void)close(sv[0]);
	(void)close(sv[1]);
}

static void
control_start(struct sup *s)
{
	char *argv[] = { (char *)"perch-mdd", (char *)"control", (char *)"-c",
		(char *)(uintptr_t)s->conf_file, NULL };
	int sv[2], fds[3], r;
	char why[256];

	if (perc_httpd_listen(
		&fds[1], s->conf->listen, false, why, sizeof(why)) != 0)
		fatalx("%s", why);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) != 0)
		fatal("socketpair");
	if ((r = mdd_admin_listen(&s->admin, s->conf)) != 0)
		fatalx("cannot make the operator's socket for %s: %s",
		    s->conf->listen, perc_strerror(r));
	fds[0] = sv[1];
	fds[2] = s->admin.fd;
	if ((r = perc_proc_spawn(&s->control, NULL, argv, fds, 3)) != 0)
		fatalx("cannot start control: %s", perc_strerror(r));
	(void)close(sv[1]);
	(void)close(fds[1]);
	(void)close(fds[2]);
	s->link = sv[0];
}

static void
children_signal(struct sup *s, int signo)
{
	unsigned i;

	if (s->control > 0)
		(void)kill(s->control, signo);
	for (i = 0; i < s->n && signo == SIGKILL; i++)
		if (s->worker[i].pid > 0)
			(void)kill(s->worker[i].pid, signo);
}

static void
stop_now(void *arg)
{
	struct sup *s = arg;

	log_warnx("not everybody ended in time");
	children_signal(s, SIGKILL);
	perc_loop_stop(s->loop);
}

/* Control drains and ends; the workers end when its channels close. */
static void
stop(struct sup *s, int status)
{
	if (s->stopping)
		return;
	s->stopping = true;
	s->status = status;
	perc_proc_notify("STOPPING=1");
	children_signal(s, SIGTERM);
	if (perc_timer_set(s->loop, &s->stop, SUP_STOP_MS, stop_now, s) != 0)
		stop_now(s);
}

static void
worker_died(struct sup *s, unsigned i, int status)
{
	int64_t now = perc_now_ms();

	s->worker[i].pid = 0;
	if (s->stopping)
		return;
	log_warnx("worker %u ended status=%d; its legs are lost", i, status);
	if (now - s->crash_ms > SUP_CRASH_MS) {
		s->crash_ms = now;
		s->crashes = 0;
	}
	if (++s->crashes > SUP_CRASHES || !s->ready) {
		log_warnx("workers keep ending: giving up");
		stop(s, 1);
		return;
	}
	worker_start(s, i);
}

static bool
all_gone(const struct sup *s)
{
	unsigned i;

	for (i = 0; i < s->n; i++)
		if (s->worker[i].pid > 0)
			return false;
	return s->control <= 0;
}

static void
on_child(int signo, void *arg)
{
	struct sup *s = arg;
	unsigned i;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == s->control) {
			s->control = 0;
			if (!s->stopping && s->ready && !s->draining)
				log_warnx("control ended status=%d", status);
			stop(s, s->draining && status == 0 ? 0 : 1);
			continue;
		}
		for (i = 0; i < s->n; i++)
			if (s->worker[i].pid == pid)
				worker_died(s, i, status);
	}
	if (s->stopping && all_gone(s))
		perc_loop_stop(s->loop);
}

static void
on_stop(int signo, void *arg)
{
	stop(arg, 0);
}

static void
on_hup(int signo, void *arg)
{
	children_signal(arg, SIGHUP);
}

static void
on_drain(int signo, void *arg)
{
	children_signal(arg, SIGUSR1);
}

/* What control says, an octet each (mdd/role.h). */
static void
on_link(int fd, uint32_t events, void *arg)
{
	struct sup *s = arg;
	char c = 0;
	unsigned i;

	if (recv(fd, &c, 1, MSG_DONTWAIT) != 1) {
		/* Closed: its SIGCHLD tells the rest. */
		perc_loop_del(s->link_io);
		s->link_io = NULL;
		return;
	}
	if (c == MDD_CONTROL_SERVES)
		for (i = 0; i < s->n && !s->stopping; i++)
			worker_start(s, i);
	if (c == MDD_CONTROL_DRAINS)
		s->draining = true;
	if (c >= MDD_CONTROL_LEVEL && c <= MDD_CONTROL_LEVEL + PERC_LOG_DEBUG)
		perc_log_level_set(
		    (enum perc_log_level)(c - MDD_CONTROL_LEVEL));
	if (c == MDD_CONTROL_READY) {
		s->ready = true;
		perc_proc_notify("READY=1");
	}
}

int
mdd_supervisor_main(const char *conf_file, struct mdd_conf *c)
{
	struct sup *s = calloc(1, sizeof(*s));
	unsigned i;
	int r;

	if (s == NULL || perc_loop_new(&s->loop) != 0)
		fatal("cannot start");
	s->conf = c;
	s->conf_file = conf_file;
	s->n = (unsigned)c->workers;
	if ((r = perc_process_harden()) != 0)
		log_warnx("hardening: %s", perc_strerror(r));
	for (i = 0; i < s->n; i++) {
		udp_open(&s->worker[i], c->media_listen,
		    c->media_port == 0 ? 0 : (unsigned)c->media_port + i);
		if (c->segments)
			udp_segments(s->worker[i].udp);
	}
	if (perc_loop_signal(s->loop, SIGCHLD, on_child, s) != 0 ||
	    perc_loop_signal(s->loop, SIGTERM, on_stop, s) != 0 ||
	    perc_loop_signal(s->loop, SIGINT, on_stop, s) != 0 ||
	    perc_loop_signal(s->loop, SIGHUP, on_hup, s) != 0 ||
	    perc_loop_signal(s->loop, SIGUSR1, on_drain, s) != 0)
		fatal("cannot take signals");
	control_start(s); /* still with our rights: it reads the TLS key */
	if ((r = perc_proc_drop(c->user, NULL)) != 0)
		fatalx("cannot become user %s: %s", c->user, perc_strerror(r));
	if (perc_loop_add(s->loop, &s->link_io, s->link, EPOLLIN, on_link, s) !=
	    0)
		fatal("cannot watch control");
	r = perc_loop_run(s->loop);
	r = r != 0 ? 1 : s->status;
	for (i = 0; i < s->n; i++) {
		(void)close(s->worker[i].udp[0]);
		(void)close(s->worker[i].udp[1]);
	}
	perc_loop_del(s->link_io);
	(void)close(s->link);
	mdd_admin_remove(&s->admin);
	perc_loop_free(s->loop);
	free(s);
	return r;
}
