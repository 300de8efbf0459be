/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cage of what speaks to the network for one user: it may read what
 * resolvers and TLS need, and nothing else of the user's.
 */
#pragma once

#include "agent/agentconf.h"
#include "perc/sandbox.h"

/* rw ends with NULL: directories that it writes in. Told in the log; a kernel
 * without such cages is no error. */
PERC_MUST int agent_cage(
    const struct agent_conf *conf, enum perc_cage cage, const char *const rw[]);
