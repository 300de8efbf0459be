/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What systemd-logind tells of this user's machine: that it is about to sleep,
 * that a session of ours was locked. Where there is no system bus or no
 * logind, nothing is ever told.
 */
#pragma once

#include <stdbool.h>

#include "perc/err.h"
#include "perc/loop.h"

struct logind;

enum logind_event {
	LOGIND_SLEEP, /* soon: it waits for logind_ready(), 5 s by default */
	LOGIND_WAKE,
	LOGIND_LOCK,
};
typedef void (*logind_fn)(enum logind_event event, void *arg);

/* PERC_ERR_UNSUPPORTED: no bus, or no logind on it. *lp is set before fn is
 * called for the first time, which may be before this returns. */
PERC_MUST int logind_new(
    struct logind **lp, struct perc_loop *loop, logind_fn fn, void *arg);
/* The machine may sleep as far as we are concerned. */
void logind_ready(struct logind *l);
void logind_free(struct logind *l);
