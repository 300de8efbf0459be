/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker's two sockets (mdd/steer.h) and the buffers that datagrams come
 * into. The road is read until it is empty; of the lobby one batch follows,
 * and then it is the road's turn again.
 */
#pragma once

#include "mdd/steer.h"
#include "mdd/worker.h"
#include "perc/err.h"
#include "perc/loop.h"

struct mdd_intake;

/* Borrows w and the two sockets of one port, of which `lobby` was bound
 * second. Watches nothing yet. */
PERC_MUST int mdd_intake_new(
    struct mdd_intake **ip, struct mdd_worker *w, int road, int lobby);
void mdd_intake_free(struct mdd_intake *in);
/* Do both sockets carry several datagrams in one message? */
bool mdd_intake_segments(const struct mdd_intake *in);
/* The worker is ready: from now on it hears the network. */
PERC_MUST int mdd_intake_start(struct mdd_intake *in);
/* Once a second: what the system dropped, and who lives where. */
void mdd_intake_tick(struct mdd_intake *in, int64_t now_ms);
