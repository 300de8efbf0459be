/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "perch-mdd top": what a running daemon does now, from two looks at its
 * counters.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "mdd/conf.h"
#include "perc/err.h"

/* Print a table every two seconds until a signal, or once; json: once, an
 * object for machines. Returns the exit status. */
int mdd_top_main(const struct mdd_conf *conf, bool once, bool json);
