/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perch-turn, as the supervisor of perch-agent keeps it: started where relays
 * are configured, and again when it ends, on the same channel to the front.
 */
#pragma once

#include <sys/types.h>

#include "agent/agentconf.h"
#include "perc/err.h"
#include "perc/loop.h"

struct super_turn { /* embedded by the supervisor; zero it before first use */
	struct perc_loop *loop;
	const char *file; /* configuration, or NULL */
	pid_t pid;	  /* 0: it does not run */
	int front_fd;	  /* the front's end, until the front has it */
	int fd;		  /* its own end, which each of them gets */
	unsigned tries;
	bool on, stopping;
	struct perc_timer again;
};

/* 0 too where no relay is configured; then nothing runs. */
PERC_MUST int super_turn_start(struct super_turn *t, struct perc_loop *l,
    const struct agent_conf *conf, const char *file);
/* A child has ended: was it ours? Start another. */
void super_turn_reap(struct super_turn *t);
void super_turn_stop(struct super_turn *t);
