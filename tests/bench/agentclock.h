/* SPDX-License-Identifier: Apache-2.0 */
/* When a bench sends: CLOCK_MONOTONIC in ns, and two ways to wait for it. */
#pragma once

#include <stdint.h>

uint64_t agentclock_ns(void);
void agentclock_sleep(uint64_t until_ns);
/* Sleeping takes longer than the gap between single packets. */
void agentclock_yield(uint64_t until_ns);
