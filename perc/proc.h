/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting the processes of one program. Each role is a fresh exec, so that
 * it has an address space of its own and inherits no secret: descriptors it
 * needs stand at known numbers from PERC_PROC_FD on, all others are closed.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "perc/err.h"

#define PERC_PROC_FD 3	    /* first inherited descriptor */
#define PERC_PROC_FD_MAX 64 /* most of them */

/*
 * Run `path` (NULL: this very program, /proc/self/exe) with argv, fds[0..n-1]
 * as descriptors 3.. of the child, signals unblocked, die-with-parent set.
 * The environment is cut down to PATH, LANG, TZ, HOME, XDG_RUNTIME_DIR,
 * CREDENTIALS_DIRECTORY, the sanitizers' options and PERCH_*.
 */
PERC_MUST int perc_proc_spawn(pid_t *pidp, const char *path,
    char *const argv[], const int *fds, int nfds);
/* Two connected stream sockets, close-on-exec, non-blocking. */
PERC_MUST int perc_proc_pair(int sv[2]);
/* Become `user` (name) for good: groups, gid, uid; a no-op when user is NULL
 * or we are not root. chroot first when dir is not NULL and we are root. */
PERC_MUST int perc_proc_drop(const char *user, const char *dir);
/* Tell systemd (NOTIFY_SOCKET) or do nothing: "READY=1". */
void perc_proc_notify(const char *state);
