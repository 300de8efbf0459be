/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The watchdog. systemd hears from us only as long as the process with the
 * keys answers: one that hangs is as dead as one that is gone, and nobody but
 * systemd would start us again.
 */
#include "config.h"

#include <fcntl.h>
#include <unistd.h>

#include "kmf/handover.h"
#include "kmf/supervisor.h"
#include "perc/log.h"
#include "perc/loop.h"
#include "perc/proc.h"
#include "perc/systemd.h"

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
