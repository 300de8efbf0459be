/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of perch-mdd, each a fresh exec of the same file (perc/proc.h)
 * with a hidden first argument. main() sets the log up and goes to one of
 * these; they return the exit status.
 */
#pragma once

#include "mdd/conf.h"
#include "perc/sandbox.h"

/* Control to supervisor, one octet each, in this order. */
#define MDD_CONTROL_SERVES 'S' /* caged, and the port is open: workers now */
#define MDD_CONTROL_READY  'R' /* every worker answers */
#define MDD_CONTROL_DRAINS 'D' /* its end will be a good one */
#define MDD_CONTROL_LEVEL  '0' /* and up: enum perc_log_level from now on */

/* Asked of the kernel for each worker's sockets. */
#define MDD_UDP_ROAD  (4 << 20)
#define MDD_UDP_LOBBY (1 << 20)

/* What the user starts: opens sockets, starts the rest, restarts workers. */
int mdd_supervisor_main(const char *conf_file, struct mdd_conf *c);
/* The HTTPS join API; descriptors 3 (supervisor), 4 (listening TCP) and 5
 * (mdd/admin.h). Takes what is in c. */
int mdd_control_main(const char *conf_file, struct mdd_conf *c);
/* Prints the thumbprint of the key in file, which it makes if need be. */
int mdd_link_key(const char *file);
/* mdd/worker.h has mdd_worker_main. */

/* Close the cage, say so; ends the process unless it is the kernel that
 * knows no cages. */
void mdd_cage(enum perc_cage cage, const char *const ro[]);
/* For signals that the supervisor handles for all. */
void mdd_ignore_signal(int signo, void *arg);
