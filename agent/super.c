/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor is a process of its own so that no other ever holds what
 * is the vault's: the plaintext sockets are opened here, handed to the
 * vault by number and closed, before the front exists. Both children die
 * with us (PR_SET_PDEATHSIG), and a vault whose front is gone wipes itself.
 */
#include "agent/super.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/supersleep.h"
#include "agent/superturn.h"
#include "agent/text.h"
#include "agent/vaultmsg.h"
#include "perc/log.h"
#include "perc/loop.h"
#include "perc/proc.h"
#include "perc/secret.h"
#include "perc/systemd.h"

#define KILL_MS 8000 /* the front's farewells take up to 6 s */

struct super {
	struct perc_loop *loop;
	pid_t vault, front; /* 0: ended */
	int given;	    /* the socket that clients connect to; -1: none */
	bool stopping, failed;
	struct perc_timer late;
	struct super_sleep sleep;
	struct super_turn turn;
};

/* ---- children
 * ---------------------------------------------------------------- */

static int
vault_spawn(struct super *s, const struct agent_conf *conf, int chan, int word)
{
	char *path = agent_conf_vault_path(conf), port[16], why[256];
	unsigned base = (unsigned)conf->media_out_base;
	int fds[VAULT_FDS], n = 0, r;
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
	fds[1 + SUPER_LOCAL_FDS] = word;
	if ((r = super_sockets_open(
		 fds + 1, (unsigned)conf->media_base, why, sizeof(why))) != 0)
		log_warnx("%s", why);
	else if ((r = perc_proc_spawn(&s->vault, path, argv, fds, VAULT_FDS)) !=
	    0)
		log_warn("vault_spawn path=%s", path);
	super_sockets_close(fds + 1);
	free(path);
	return r;
}

static int
front_spawn(struct super *s, const char *file, int chan)
{
	int fds[3] = { chan }, nfds = 1, n = 0, r;
	char *argv[8];

	argv[n++] = (char *)"perch-agent";
	argv[n++] = (char *)"--front";
	if (s->given >= 0)
		argv[n++] = (char *)"--given";
	if (file != NULL) {
		argv[n++] = (char *)"-c";
		argv[n++] = (char *)file;
	}
	argv[n] = NULL;
	if (s->given >= 0)
		fds[nfds++] = s->given;
	if (s->turn.on)
		fds[nfds++] = s->turn.front_fd;
	if ((r = perc_proc_spawn(&s->front, NULL, argv, fds, nfds)) != 0)
		log_warn("front_spawn");
	if (s->turn.on)
		close(s->turn.front_fd);
	return r;
}

static int
spawn_both(struct super *s, const struct agent_conf *conf, const char *file)
{
	int sv[2] = { -1, -1 }, word[2] = { -1, -1 }, r;

	if ((r = perc_proc_pair(sv)) != 0)
		return r;
	if ((r = perc_proc_pair(word)) != 0)
		goto out;
	if ((r = vault_spawn(s, conf, sv[1], word[1])) == 0 &&
	    (r = super_turn_start(&s->turn, s->loop, conf, file)) == 0)
		r = front_spawn(s, file, sv[0]);
	close(word[1]);
	s->sleep.word_fd = word[0];
out:
	close(sv[0]);
	close(sv[1]);
	return r;
}

static void
on_late(void *arg)
{
	struct super *s = arg;

	super_tell(s->front, SIGKILL);
	super_tell(s->vault, SIGKILL);
}

static void
stop(struct super *s)
{
	if (s->stopping)
		return;
	s->stopping = true;
	super_tell(s->front, SIGTERM);
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
	/* The front had nothing to do (agent/frontidle.c), the vault follows,
	 * perhaps seen first. A front that crashed is no clean end. */
	bool meant = s->stopping || s->given >= 0;

	if (!meant || !clean)
		log_warnx("%s_ended %s=%d", what,
		    WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status)
					: WEXITSTATUS(status));
	if (!meant || !clean)
		s->failed = true;
	stop(s);
	if (s->front != 0 || s->vault != 0)
		return;
	super_turn_stop(&s->turn);
	perc_loop_stop(s->loop);
}

/* Only our own are waited for. */
static void
on_child(int signo, void *arg)
{
	struct super *s = arg;
	int status;

	super_turn_reap(&s->turn);
	if (s->front > 0 && waitpid(s->front, &status, WNOHANG) == s->front) {
		s->front = 0;
		ended(s, "front", status);
	}
	if (s->vault > 0 && waitpid(s->vault, &status, WNOHANG) == s->vault) {
		s->vault = 0;
		ended(s, "vault", status);
	}
}

/* One Unix stream socket, or none. */
static int
socket_take(struct super *s)
{
	struct perc_systemd_socket all[PERC_SYSTEMD_SOCKETS_MAX];
	char why[256] = "";
	int domain = 0, r;
	socklen_t len = sizeof(domain);
	size_t n;

	if ((r = perc_systemd_sockets(all, &n, why, sizeof(why))) == 0 &&
	    n > 0) {
		s->given = all[0].fd;
		if (n != 1 ||
		    getsockopt(
			s->given, SOL_SOCKET, SO_DOMAIN, &domain, &len) != 0 ||
		    domain != AF_UNIX) {
			text_put(why, sizeof(why),
			    "one Unix socket is expected, as "
			    "perch-agent.socket makes it");
			r = PERC_ERR_FORMAT;
		}
	}
	if (r != 0)
		log_warnx("%s", why);
	return r;
}

int
super_main(const struct agent_conf *conf, const char *file)
{
	struct super s = { .given = -1, .sleep.word_fd = -1 };
	int r;

	if (perc_process_harden() != 0)
		log_warn("harden");
	if (socket_take(&s) != 0)
		return 1;
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
		super_sleep_start(&s.sleep, s.loop, conf, &s.vault, &s.front);
		perc_proc_notify("READY=1");
	}
	r = perc_loop_run(s.loop);
out:
	super_sleep_stop(&s.sleep);
	perc_loop_free(s.loop);
	return r != 0 || s.failed ? 1 : 0;
}
