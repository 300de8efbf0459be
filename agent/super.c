/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor is a process of its own so that no other ever holds what
 * is the vault's: the plaintext sockets are opened here, handed to the
 * vault by number and closed, before the front exists. Both children die
 * with us (PR_SET_PDEATHSIG), and a vault whose front is gone wipes itself.
 */
#include "agent/super.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/logind.h"
#include "agent/text.h"
#include "agent/vaultmsg.h"
#include "perc/log.h"
#include "perc/loop.h"
#include "perc/proc.h"
#include "perc/secret.h"

#define FREE_TRIES 200	/* for an even port with a free one above */
#define ERASE_MS   300	/* the vault needs a few */
#define KILL_MS	   8000 /* the front's farewells take up to 6 s */

struct super {
	struct perc_loop *loop;
	pid_t vault, front; /* 0: ended */
	const struct agent_conf *conf;
	struct logind *logind; /* NULL: nobody tells */
	bool stopping, failed;
	struct perc_timer late, erased;
};

static int
udp_bound(unsigned port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 && bind(fd, (struct sockaddr *)&sin, sizeof(sin)) != 0) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static unsigned
port_of(int fd)
{
	struct sockaddr_in sin = { 0 };
	socklen_t len = sizeof(sin);

	return getsockname(fd, (struct sockaddr *)&sin, &len) == 0
	    ? ntohs(sin.sin_port)
	    : 0;
}

/* RTP on an even port, RTCP above it (RFC 3550 section 11). */
static bool
pair_bound(int pair[2], unsigned port)
{
	unsigned rtp;

	for (int i = 0; i < (port != 0 ? 1 : FREE_TRIES); i++) {
		if ((pair[0] = udp_bound(port)) < 0)
			continue;
		rtp = port_of(pair[0]);
		if (rtp % 2 == 0 && (pair[1] = udp_bound(rtp + 1)) >= 0)
			return true;
		close(pair[0]);
	}
	pair[0] = pair[1] = -1;
	return false;
}

/* Over it the vault asks whose a local socket is. A kernel without it: any
 * socket will do, for then the question has no answer either. */
static int
diag_socket(void)
{
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    NETLINK_SOCK_DIAG);

	return fd >= 0 ? fd : udp_bound(0);
}

void
super_sockets_close(int fds[static SUPER_LOCAL_FDS])
{
	for (int i = 0; i < SUPER_LOCAL_FDS; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

int
super_sockets_open(
    int fds[static SUPER_LOCAL_FDS], unsigned base, char *why, size_t whycap)
{
	int out = SUPER_LOCAL_FDS - 2, diag = SUPER_LOCAL_FDS - 1;

	for (int i = 0; i < SUPER_LOCAL_FDS; i++)
		fds[i] = -1;
	for (int i = 0; i < out; i += 2) {
		/* Layers come on top: a configured range stays as it was. */
		if (i >= VAULT_SLOTS * VAULT_BASE_STREAMS * 2)
			base = 0;
		if (!pair_bound(fds + i, base != 0 ? base + (unsigned)i : 0)) {
			text_put(why, whycap,
			    "cannot take UDP ports %u and %u on loopback: %s",
			    base + (unsigned)i, base + (unsigned)i + 1,
			    strerror(errno));
			super_sockets_close(fds);
			return PERC_ERR_SYS;
		}
	}
	/* Bound too: the kernel then lets nothing of it leave the machine. */
	if ((fds[out] = udp_bound(0)) >= 0 && (fds[diag] = diag_socket()) >= 0)
		return 0;
	text_put(why, whycap, "cannot take a UDP port on loopback: %s",
	    strerror(errno));
	super_sockets_close(fds);
	return PERC_ERR_SYS;
}

/*
 * Remote streams go to fixed ports, and whoever binds one hears what comes:
 * two agents of one machine must not share a range. A name in the abstract
 * namespace, held as long as we live, says that a range is taken; it binds
 * agents of all users and leaves nothing behind.
 */
static bool
range_claim(unsigned base)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), n;

	if (fd < 0)
		return false;
	n = snprintf(sun.sun_path + 1, sizeof(sun.sun_path) - 1,
	    "perch-agent/out/%u", base);
	if (bind(fd, (struct sockaddr *)&sun,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
		    (size_t)n)) == 0)
		return true; /* fd stays open: it is the claim */
	close(fd);
	return false;
}

int
super_range_find(unsigned *base)
{
	for (unsigned i = 0; i < VAULT_OUT_RANGES; i++) {
		*base = VAULT_OUT_BASE + i * VAULT_OUT_PORTS;
		if (range_claim(*base))
			return 0;
	}
	log_warnx(
	    "no range of ports left for remote streams, %d agents run "
	    "here: name one as local_out_base in the vault's configuration",
	    VAULT_OUT_RANGES);
	return PERC_ERR_LIMIT;
}

/* ---- children
 * ---------------------------------------------------------------- */

static int
vault_spawn(struct super *s, const struct agent_conf *conf, int chan)
{
	char *path = agent_conf_vault_path(conf), port[16], why[256];
	unsigned base = (unsigned)conf->media_out_base;
	int fds[1 + SUPER_LOCAL_FDS], n = 0, r;
	char *argv[8];

	if (path == NULL) {
		log_warnx("no perch-vault, neither beside perch-agent nor "
			  "in " PERCH_LIBEXECDIR);
		return PERC_ERR_NOTFOUND;
	}
	argv[n++] = (char *)"perch-vault";
	argv[n++] = (char *)"-c";
	argv[n++] = conf->vault_conf;
	if (conf->vault_user_owned)
		argv[n++] = (char *)"--user-config";
	/* Without one it is the vault's configuration that must name it. */
	if (base != 0 || super_range_find(&base) == 0) {
		text_put(port, sizeof(port), "%u", base);
		argv[n++] = (char *)"-o";
		argv[n++] = port;
	}
	argv[n] = NULL;
	fds[0] = chan;
	if ((r = super_sockets_open(
		 fds + 1, (unsigned)conf->media_base, why, sizeof(why))) != 0)
		log_warnx("%s", why);
	else if ((r = perc_proc_spawn(
		      &s->vault, path, argv, fds, 1 + SUPER_LOCAL_FDS)) != 0)
		log_warn("vault_spawn path=%s", path);
	super_sockets_close(fds + 1);
	free(path);
	return r;
}

static int
front_spawn(struct super *s, const char *file, int chan)
{
	char *argv[] = { (char *)"perch-agent", (char *)"--front",
		file != NULL ? (char *)"-c" : NULL, (char *)file, NULL };
	int r;

	if ((r = perc_proc_spawn(&s->front, NULL, argv, &chan, 1)) != 0)
		log_warn("front_spawn");
	return r;
}

static int
spawn_both(struct super *s, const struct agent_conf *conf, const char *file)
{
	int sv[2] = { -1, -1 }, r;

	if ((r = perc_proc_pair(sv)) != 0)
		return r;
	if ((r = vault_spawn(s, conf, sv[1])) == 0)
		r = front_spawn(s, file, sv[0]);
	close(sv[0]);
	close(sv[1]);
	return r;
}

static void
tell(pid_t pid, int signo)
{
	if (pid > 0)
		(void)kill(pid, signo);
}

static void
on_late(void *arg)
{
	struct super *s = arg;

	tell(s->front, SIGKILL);
	tell(s->vault, SIGKILL);
}

static void
stop(struct super *s)
{
	if (s->stopping)
		return;
	s->stopping = true;
	tell(s->front, SIGTERM);
	if (perc_timer_set(s->loop, &s->late, KILL_MS, on_late, s) != 0)
		on_late(s);
}

static void
on_stop(int signo, void *arg)
{
	stop(arg);
}

static void
ended(struct super *s, const char *what, int status)
{
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (!s->stopping || !clean)
		log_warnx("%s_ended %s=%d", what,
		    WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status)
					: WEXITSTATUS(status));
	if (!s->stopping || !clean)
		s->failed = true;
	stop(s);
	if (s->front == 0 && s->vault == 0)
		perc_loop_stop(s->loop);
}

static void
on_erased(void *arg)
{
	struct super *s = arg;

	logind_ready(s->logind);
}

/* The vault erases, the front waits for the morning. */
static void
on_logind(enum logind_event event, void *arg)
{
	struct super *s = arg;

	if (event == LOGIND_WAKE)
		tell(s->front, SIGUSR1);
	else if (event == LOGIND_LOCK && s->conf->erase_on_lock)
		tell(s->vault, SIGUSR2);
	else if (event == LOGIND_SLEEP && s->conf->erase_on_suspend)
		tell(s->vault, SIGUSR1);
	if (event == LOGIND_SLEEP &&
	    perc_timer_set(s->loop, &s->erased, ERASE_MS, on_erased, s) != 0)
		on_erased(s);
}

static void
logind_follow(struct super *s)
{
	if (!s->conf->erase_on_lock && !s->conf->erase_on_suspend)
		return;
	if (logind_new(&s->logind, s->loop, on_logind, s) != 0)
		log_info("logind=none: keys stay over suspend and lock");
}

/* Only our own two are waited for. */
static void
on_child(int signo, void *arg)
{
	struct super *s = arg;
	int status;

	if (s->front > 0 && waitpid(s->front, &status, WNOHANG) == s->front) {
		s->front = 0;
		ended(s, "front", status);
	}
	if (s->vault > 0 && waitpid(s->vault, &status, WNOHANG) == s->vault) {
		s->vault = 0;
		ended(s, "vault", status);
	}
}

int
super_main(const struct agent_conf *conf, const char *file)
{
	struct super s = { .conf = conf };
	int r;

	if (perc_process_harden() != 0)
		log_warn("harden");
	if ((r = perc_loop_new(&s.loop)) != 0 ||
	    (r = perc_loop_signal(s.loop, SIGCHLD, on_child, &s)) != 0 ||
	    (r = perc_loop_signal(s.loop, SIGTERM, on_stop, &s)) != 0 ||
	    (r = perc_loop_signal(s.loop, SIGINT, on_stop, &s)) != 0 ||
	    (r = perc_loop_signal(s.loop, SIGHUP, on_stop, &s)) != 0)
		goto out;
	if ((r = spawn_both(&s, conf, file)) != 0) {
		s.failed = true;
		stop(&s);
		if (s.vault == 0 && s.front == 0)
			goto out;
	} else {
		logind_follow(&s);
		perc_proc_notify("READY=1");
	}
	r = perc_loop_run(s.loop);
out:
	logind_free(s.logind);
	perc_loop_free(s.loop);
	return r != 0 || s.failed ? 1 : 0;
}
