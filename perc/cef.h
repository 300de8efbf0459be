/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An audit record as one line of ArcSight's Common Event Format, version 0,
 * which security teams' collectors read:
 *
 *	CEF:0|Perch|perch-kmf|VERSION|kind|name|severity|key=value ...
 */
#pragma once

#include <jansson.h>

/* NULL: no memory, or v is no record. The caller free()s.
 * No newline at the end. */
char *perc_cef_text(const json_t *v, const char *version);
