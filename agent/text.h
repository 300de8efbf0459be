/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text that the front and the command line put together: messages, URLs,
 * forms, request bodies. Everything may hold a token, so everything wipes.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

/* As snprintf; what does not fit is cut, which suits messages. */
void text_put(char *out, size_t cap, const char *fmt, ...) PERC_PRINTF(3, 4);
/* New text or NULL; text_free wipes it. */
char *text_new(const char *fmt, ...) PERC_PRINTF(1, 2);
char *text_dup(const char *s); /* NULL gives NULL */
void text_free(char *s);

/* A growing text; the first failure sticks. Zero it before use. */
struct text {
	char *p; /* NUL-terminated, or NULL */
	size_t len, cap;
	bool failed;
};
void text_add(struct text *t, const char *s);
void text_addf(struct text *t, const char *fmt, ...) PERC_PRINTF(2, 3);
void text_clear(struct text *t); /* wipes */
/* application/x-www-form-urlencoded: "name=value", '&' before all but the
 * first; value NULL: nothing is added. */
void text_add_form(struct text *t, const char *name, const char *value);
/* Percent-encode for a query (RFC 3986 unreserved stay). */
void text_add_escaped(struct text *t, const char *s);

/* Do a and b have the same scheme, host and port? Both are URLs. */
bool text_same_origin(const char *a, const char *b);
/* Is s one of our ids: prefix and 1..48 base64url characters? */
bool text_is_id(const char *s, const char *prefix);
