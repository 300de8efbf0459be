/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * JSON values against the schemas of schema/openapi.yaml: a subset of JSON
 * Schema 2020-12, read straight from the document. What is wrong comes back
 * as faults that name the place, so that whoever sent it can mend it.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "perc/err.h"

#define KMF_FAULTS_MAX 8 /* the first ones are told */
#define KMF_WHERE_MAX  256

enum kmf_fault_in { KMF_IN_BODY, KMF_IN_QUERY, KMF_IN_HEADER };

struct kmf_fault {
	enum kmf_fault_in in;
	char where[KMF_WHERE_MAX]; /* RFC 6901 pointer, or a name; UTF-8 */
	char detail[200];
};

struct kmf_faults {
	struct kmf_fault list[KMF_FAULTS_MAX];
	size_t n;
};

/* What does not fit is cut, never within a character. */
void kmf_fault_add(struct kmf_faults *f, enum kmf_fault_in in,
    const char *where, const char *fmt, ...) PERC_PRINTF(4, 5);

/* Only keywords and formats that check() knows? *why names the first other.
 * doc is the whole document, for $ref. */
PERC_MUST int kmf_schema_understood(
    const json_t *doc, const json_t *schema, const char **why);
/* false: f says why. */
bool kmf_schema_check(const json_t *doc, const json_t *schema, const json_t *v,
    struct kmf_faults *f);
/* The schema (or other object) itself, or what its $ref leads to; NULL: it
 * leads nowhere. */
const json_t *kmf_schema_deref(const json_t *doc, const json_t *node);
