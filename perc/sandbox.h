/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cage of one process: Landlock takes the file system away (but for the
 * named paths), seccomp the system calls. Both are for good. Warm up every
 * library first. What the kernel lacks is reported, never silently skipped.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "perc/err.h"

enum perc_cage {
	PERC_CAGE_VAULT,  /* no sockets made, no files, no exec: read, write,
			     send, receive on what is open, epoll, memory */
	PERC_CAGE_KEEPER, /* as vault, and files below the named paths */
	PERC_CAGE_NET,	  /* may accept, connect and make INET sockets */
	PERC_CAGE_DIAL,	  /* may connect INET sockets and read files: no
			   * accept, no writing of files */
};

struct perc_cage_report {
	bool seccomp, landlock;
	int landlock_abi; /* 0: none */
};

/* rw: NULL-terminated list of directories with full rights; ro: readable.
 * PERC_ERR_UNSUPPORTED when the kernel has neither; else 0 and the report. */
PERC_MUST int perc_sandbox(enum perc_cage cage, const char *const rw[],
    const char *const ro[], struct perc_cage_report *report);
