/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent that its service manager starts at the first connection may as well
 * go when there is nothing to do. Nothing: no conference, nobody connected,
 * and no login, which would be lost (docs/KEYS.md: nothing is kept over a
 * restart).
 */
#include "agent/front.h"

#include "agent/local.h"
#include "perc/log.h"

#define LOOK_MS 1000

static bool
is_idle(const struct agent *a)
{
	for (size_t i = 0; i < FRONT_CONFS_MAX; i++)
		if (a->confs[i] != NULL && a->confs[i]->state != FRONT_OVER)
			return false;
	for (size_t i = 0; i < FRONT_LOGINS_MAX; i++)
		if (a->logins[i] != NULL)
			return false;
	return local_idle(a->local);
}

static void
on_look(void *arg)
{
	struct agent *a = arg;
	int64_t now = perc_now_ms();

	if (a->stopping)
		return;
	if (!is_idle(a))
		a->idle.since_ms = 0;
	else if (a->idle.since_ms == 0)
		a->idle.since_ms = now;
	else if (now - a->idle.since_ms >= a->conf->idle_exit_s * 1000) {
		log_info("idle seconds=%lld: until the next connection",
		    (long long)a->conf->idle_exit_s);
		a->stopping = true;
		perc_loop_stop(a->loop);
		return;
	}
	if (perc_timer_set(a->loop, &a->idle.timer, LOOK_MS, on_look, a) != 0)
		log_warnx("idle_timer");
}

void
front_idle_start(struct agent *a)
{
	if (a->given < 0 || a->conf->idle_exit_s == 0)
		return;
	if (perc_timer_set(a->loop, &a->idle.timer, LOOK_MS, on_look, a) != 0)
		log_warnx("idle_timer");
}
