/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perch-turn is the one child that may die without an end to it all: it
 * speaks to strangers, and holds nothing that a new one could not have. The
 * channel is of packets and not a stream, so that a message is read whole or
 * not at all, by whichever perch-turn is there.
 */
#include "agent/superturn.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perc/log.h"
#include "perc/proc.h"

#define AGAIN_MS 500 /* the first time; then twice as long, up to */
#define LATE_MS	 30000

static int
spawn(struct super_turn *t)
{
	char *path = agent_conf_turn_path();
	char *argv[] = { (char *)"perch-turn",
		t->file != NULL ? (char *)"-c" : NULL, (char *)t->file, NULL };
	int r = PERC_ERR_NOTFOUND;

	if (path == NULL)
		log_warnx("no perch-turn, neither beside perch-agent nor "
			  "in " PERCH_LIBEXECDIR);
	else if ((r = perc_proc_spawn(&t->pid, path, argv, &t->fd, 1)) != 0)
		log_warn("turn_spawn path=%s", path);
	free(path);
	return r;
}

int
super_turn_start(struct super_turn *t, struct perc_loop *l,
    const struct agent_conf *conf, const char *file)
{
	int sv[2];

	if (!agent_conf_relays(conf))
		return 0;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
		0, sv) != 0)
		return PERC_ERR_SYS;
	*t = (struct super_turn){ .loop = l,
		.file = file,
		.front_fd = sv[0],
		.fd = sv[1],
		.on = true };
	return spawn(t);
}

static void
on_again(void *arg)
{
	struct super_turn *t = arg;

	if (!t->stopping && spawn(t) != 0 &&
	    perc_timer_set(t->loop, &t->again, LATE_MS, on_again, t) != 0)
		log_warnx("turn: no memory for a timer");
}

void
super_turn_reap(struct super_turn *t)
{
	int64_t ms = AGAIN_MS << (t->tries < 6 ? t->tries : 6);
	int status;

	if (t->pid <= 0 || waitpid(t->pid, &status, WNOHANG) != t->pid)
		return;
	t->pid = 0;
	if (t->stopping)
		return;
	t->tries++;
	ms = ms < LATE_MS ? ms : LATE_MS;
	log_warnx("turn_ended %s=%d again_ms=%lld",
	    WIFSIGNALED(status) ? "signal" : "status",
	    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status),
	    (long long)ms);
	if (perc_timer_set(t->loop, &t->again, ms, on_again, t) != 0)
		log_warnx("turn: no memory for a timer");
}

void
super_turn_stop(struct super_turn *t)
{
	t->stopping = true;
	if (t->pid > 0)
		(void)kill(t->pid, SIGTERM);
}
