/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A finished line of the log, "event key=value key=\"two words\"", as one JSON
 * object. Values stay texts: a collector knows better than we what a number
 * is. Private to perc/log.c and its test.
 */
#pragma once

#include <stddef.h>

struct perc_log_line {
	const char *time, *level, *program, *role; /* role NULL: none */
	const char *text;
};

/* Octets written, without a newline; what does not fit is left out, whole
 * members at a time. cap is 256 at least. */
size_t perc_log_json(char *out, size_t cap, const struct perc_log_line *l);
