/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict JSON for input from strangers, on jansson: size and depth are
 * bounded, duplicate names and bytes behind the document are refused, and the
 * typed getters say which member was wrong.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PERC_JSON_DEPTH 16

/* The caller json_decref()s *jp. PERC_ERR_FORMAT, PERC_ERR_LIMIT. An object
 * is demanded. why (may be NULL) gets a phrase without the input's text. */
PERC_MUST int perc_json_parse(json_t **jp, const void *text, size_t len,
    size_t max, char *why, size_t whycap);
/* Compact text with sorted keys off; caller free()s (perc_json_free wipes). */
char *perc_json_text(const json_t *j);
void perc_json_free(char *text);

/* NULL / false / def when the member is missing or of another type. */
const char *perc_json_str(const json_t *o, const char *name);
bool perc_json_bool(const json_t *o, const char *name, bool def);
/* PERC_ERR_NOTFOUND missing, PERC_ERR_FORMAT not an integer in range. */
PERC_MUST int perc_json_int(int64_t *out, const json_t *o, const char *name,
    int64_t min, int64_t max);
/* Is s in the string or array of strings `name` (aud, scope lists)? */
bool perc_json_has(const json_t *o, const char *name, const char *s);

/* RFC 3339 UTC "2026-11-21T09:30:00Z" <-> milliseconds since 1970. */
#define PERC_TIME_LEN 21
void perc_time_put(char out[static PERC_TIME_LEN], int64_t wall_ms);
/* Accepts offsets and fractions. PERC_ERR_FORMAT for anything absurd. */
PERC_MUST int perc_time_get(int64_t *wall_ms, const char *text);
