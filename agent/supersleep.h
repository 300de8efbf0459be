/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the supervisor does when the machine goes to sleep, wakes or is
 * locked: it tells the vault, and lets the machine sleep when the vault has
 * said that it wiped.
 */
#pragma once

#include <sys/types.h>

#include "agent/agentconf.h"
#include "agent/logind.h"
#include "perc/loop.h"

struct super_sleep {
	struct perc_loop *loop;
	const struct agent_conf *conf;
	const pid_t *vault, *front; /* 0: ended */
	struct logind *logind;	    /* NULL: nobody tells */
	int word_fd; /* the vault's word comes here, set before; -1: never */
	struct perc_io *word;
	struct perc_timer late;
};

/* From now on what logind tells is acted upon. The pids stay the caller's,
 * word_fd becomes ours. */
void super_sleep_start(struct super_sleep *s, struct perc_loop *loop,
    const struct agent_conf *conf, const pid_t *vault, const pid_t *front);
void super_sleep_stop(struct super_sleep *s);
/* A signal to a child; 0: it has ended. */
void super_tell(pid_t pid, int signo);
