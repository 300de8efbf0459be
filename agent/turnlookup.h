/* SPDX-License-Identifier: Apache-2.0 */
/* The addresses of a name, without waiting for them. */
#pragma once

#include "agent/turn.h"

struct turn_lookup;

/* sa NULL: there is none, why tells. Runs once, from libre's loop. */
typedef void (*turn_lookup_fn)(const struct sa *sa, const char *why, void *arg);

/* NULL: no memory. */
struct turn_lookup *turn_lookup_start(
    const char *host, uint16_t port, turn_lookup_fn done, void *arg);
void turn_lookup_cancel(struct turn_lookup *l); /* done does not run any more */
