/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * schema/openapi.yaml, compiled in as JSON: what /openapi.json serves and what
 * requests are checked against.
 */
#pragma once

#include <stddef.h>

extern const char kmf_openapi_text[]; /* kmf_openapi_len octets and a NUL */
extern const size_t kmf_openapi_len;
