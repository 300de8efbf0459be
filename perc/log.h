/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines are "event key=value ...": people and scripts read the same text.
 * To stderr in the foreground, to syslog otherwise. Control characters and
 * quotes of strangers' text are escaped by perc_log_escape. No function here
 * takes key octets. errno survives every call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "perc/err.h"

enum perc_log_level { PERC_LOG_ERROR, PERC_LOG_WARN, PERC_LOG_INFO,
	PERC_LOG_DEBUG };

/* role is shown as "program[role]"; both must stay valid. Ignores SIGPIPE: a
 * reader of the log that goes away must not end us. */
void perc_log_init(const char *program, const char *role, int use_syslog,
    enum perc_log_level level);
void perc_log_level_set(enum perc_log_level level);
/* One JSON object a line instead of text. */
void perc_log_json_set(bool json);

void log_debug(const char *fmt, ...) PERC_PRINTF(1, 2);
void log_info(const char *fmt, ...) PERC_PRINTF(1, 2);
void log_warn(const char *fmt, ...) PERC_PRINTF(1, 2);	/* adds errno text */
void log_warnx(const char *fmt, ...) PERC_PRINTF(1, 2);
/* Startup and broken invariants only: logs and exits 1. */
void fatal(const char *fmt, ...) PERC_PRINTF(1, 2) __attribute__((noreturn));
void fatalx(const char *fmt, ...) PERC_PRINTF(1, 2) __attribute__((noreturn));

/* Escape s (at most max input octets) into out; returns out. */
const char *perc_log_escape(char *out, size_t cap, const char *s, size_t max);

/* At most `burst` lines per `per_ms`; the line after a silence tells how many
 * were left out. One static struct per call site. */
struct perc_log_limit {
	long long start_ms;
	unsigned count, burst, per_ms, suppressed;
};
/* True when the caller may log now. */
int perc_log_allow(struct perc_log_limit *l);
