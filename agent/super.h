/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor of perch-agent: opens what the vault needs, starts vault
 * and front, and ends both when either ends.
 */
#pragma once

#include "agent/agentconf.h"
#include "agent/vaultmsg.h"
#include "perc/err.h"

/* Descriptors of the vault, in its order (agent/vaultmsg.h), behind the
 * channel: RTP and RTCP per slot and stream, then the one for sending. */
#define SUPER_LOCAL_FDS (VAULT_SLOTS * VAULT_LOCAL_STREAMS * 2 + 2)

/* Bound to loopback from base on (0: any free even port). -1 marks what is
 * not open; on error none is, and why tells. */
PERC_MUST int super_sockets_open(
    int fds[static SUPER_LOCAL_FDS], unsigned base, char *why, size_t whycap);
void super_sockets_close(int fds[static SUPER_LOCAL_FDS]);

/* Claim a range of VAULT_OUT_PORTS that no other perch-agent of this machine
 * has, until we exit. PERC_ERR_LIMIT: all VAULT_OUT_RANGES are taken. */
PERC_MUST int super_range_find(unsigned *base);

/* Runs until both children have ended; the program's exit status. file: the
 * configuration's path for the front, or NULL. */
int super_main(const struct agent_conf *conf, const char *file);
