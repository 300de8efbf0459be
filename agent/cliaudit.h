/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The auditor's commands: cliaudit.c fetches, cliauditverify.c verifies what
 * was fetched, from a file or as it comes.
 */
#pragma once

#include "agent/cli.h"

/* One record, or one checkpoint {"checkpoint"}, in the order of the export;
 * CLI_OK to go on. */
typedef int (*cli_audit_fn)(const json_t *line, void *arg);

/* Walk the log at the KMF from the options' place on, selected as they say
 * and from behind record `after`. */
int cli_audit_walk(struct cli_kmf *k, const struct cli *c, int64_t after,
    cli_audit_fn fn, void *arg);
/* --after; CLI_USAGE has been said. */
int cli_audit_after(int64_t *after, const struct cli *c);
