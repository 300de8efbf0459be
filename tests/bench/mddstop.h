/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the two processors stood still though we wanted them: another process,
 * or the machine below a virtual one. A delay that was measured then is not
 * the forwarder's.
 *
 * The forwarder's processor has a witness, a process before which nothing
 * runs (SCHED_FIFO 99) that wakes each STOP_EVERY_NS and notes how late; the
 * generator's has the generator itself, which never sleeps. Lists are of one
 * run; clocks are rig_now_ns().
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define STOP_EVERY_NS 500000
/* Later than this is a stop; what the system does for the forwarder without
 * letting go takes a tenth of it. */
#define STOP_NS 150000

struct stops {
	bool known;	  /* we may have a witness */
	uint64_t ns;	  /* the forwarder's processor stood still */
	uint64_t longest; /* at a time */
	uint64_t sender;  /* the generator's did, in a call that sends */
	double cost;	  /* part of the processor that the witness took */
};

/* Once, before all runs. */
void stops_open(void);
/* A run begins: lists are empty, the witness is awake. */
void stops_begin(void);
/* Nothing is noted from now on; what the witness saw between the two. */
void stops_end(int64_t from_ns, int64_t to_ns, struct stops *s);
/* The generator's processor. */
void stops_note(int64_t from_ns, int64_t to_ns);
/* Did one of them stand still meanwhile, or had to make up for it, for which
 * it is given as long again? */
bool stops_touch(int64_t from_ns, int64_t to_ns);
