/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the configured limits allow a worker to take, so that nobody learns it
 * from the kernel's out-of-memory killer.
 */
#pragma once

#include <stddef.h>

#include "mdd/conf.h"

struct mdd_memory { /* octets, of one worker */
	size_t fixed;	   /* program, libraries, buffers of batches */
	size_t leg;	   /* with hop keys, having heard everybody */
	size_t conference; /* without its legs */
	size_t handshakes; /* all that may be under way */
	size_t sockets;	   /* of the kernel: both queues, and the one out */
	size_t worker;	   /* the sum, with all legs and conferences */
};

void mdd_memory_of(struct mdd_memory *m, const struct mdd_conf *c);
