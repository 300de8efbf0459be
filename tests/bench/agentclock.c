/* SPDX-License-Identifier: Apache-2.0 */
/* The clock that agentapp and agentroad send by; why two ways to wait, the
 * header says. */
#include "tests/bench/agentclock.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

uint64_t
agentclock_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void
agentclock_sleep(uint64_t until_ns)
{
	struct timespec ts = { .tv_sec = (time_t)(until_ns / 1000000000u),
		.tv_nsec = (long)(until_ns % 1000000000u) };

	while (
	    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		continue;
}

void
agentclock_yield(uint64_t until_ns)
{
	while (agentclock_ns() < until_ns)
		sched_yield();
}
