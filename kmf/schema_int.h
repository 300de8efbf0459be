/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Between schema.c, which walks, and schema_rule.c, which has the keywords.
 */
#pragma once

#include "kmf/schema.h"

struct kmf_look { /* at one value */
	const json_t *doc;
	struct kmf_faults *f;	/* NULL: only the verdict is wanted */
	char at[KMF_WHERE_MAX]; /* where: an RFC 6901 pointer */
	unsigned depth;
};

struct kmf_keyword {
	const char *name;
	bool (*fn)(struct kmf_look *l, const struct kmf_keyword *k,
	    const json_t *schema, const json_t *rule, const json_t *v);
	json_type of; /* bounds: of such values */
	bool least;
	const char *unit;
};
extern const struct kmf_keyword kmf_keywords[];
extern const size_t kmf_nkeywords;
bool kmf_format_known(const char *name);

/* Go down to a member; the mark for at[mark] = 0 on the way back. */
size_t kmf_look_enter(struct kmf_look *l, const char *name);
bool kmf_look_check(struct kmf_look *l, const json_t *schema, const json_t *v);
