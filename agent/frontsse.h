/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server-Sent Events (HTML standard, section 9.2), as docs/wire/events.md
 * uses them: octets in, events out, in bounded memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "perc/err.h"

#define FRONT_SSE_DATA_MAX (1u << 20) /* octets of one event */
#define FRONT_SSE_NAME_MAX 32
#define FRONT_SSE_ID_MAX   32

/* data is NUL-terminated; all live during the call. Not 0 stops. */
typedef int (*front_sse_fn)(
    const char *event, const char *data, size_t len, void *arg);

struct front_sse { /* embedded; front_sse_init before use */
	char *line;
	size_t line_len, line_cap;
	char *data;
	size_t data_len, data_cap;
	bool has_data, skip_lf;
	char event[FRONT_SSE_NAME_MAX];
	char id[FRONT_SSE_ID_MAX];	/* of the event being read */
	char last_id[FRONT_SSE_ID_MAX]; /* of the last one given out */
};

void front_sse_init(struct front_sse *s);
/* Forget half an event (a new connection), keep last_id. */
void front_sse_restart(struct front_sse *s);
void front_sse_clear(struct front_sse *s);
/* PERC_ERR_LIMIT: a line or an event is too long; else what fn returned. */
PERC_MUST int front_sse_feed(
    struct front_sse *s, const char *p, size_t n, front_sse_fn fn, void *arg);
