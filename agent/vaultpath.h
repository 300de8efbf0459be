/* SPDX-License-Identifier: Apache-2.0 */
/* Files that nobody but root, or who may, could have put where they are. */
#pragma once

#include <sys/types.h>

#include "perc/conf.h"

/*
 * Open path for reading, if the file, every directory on the way to it and
 * every link that is followed belong to root or uid, and others may write
 * none of them. PERC_ERR_DENIED with e. The caller closes *fdp.
 */
PERC_MUST int vault_path_open(
    int *fdp, const char *path, uid_t uid, struct perc_conf_error *e);
