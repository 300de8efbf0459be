/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The two forms in which strangers hand us credentials: the Authorization
 * field (RFC 6750 section 2.1, RFC 9449 section 7.1) and the form body of the
 * token endpoint (RFC 6749 appendix B). Both parsers take no liberties: what
 * two readers could understand differently is refused.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define KMF_FORM_MAX 24 /* parameters of one form */

enum kmf_scheme { KMF_SCHEME_NONE, KMF_SCHEME_BEARER, KMF_SCHEME_DPOP };

/* *token points into value (NUL-terminated there). PERC_ERR_UNSUPPORTED:
 * another scheme; PERC_ERR_FORMAT; PERC_ERR_LIMIT: longer than any token. */
PERC_MUST int
kmf_auth_parse(enum kmf_scheme *scheme, const char **token, const char *value);

struct kmf_form {
	char *text; /* decoded, wiped by clear */
	size_t cap;
	struct {
		const char *name, *value;
	} item[KMF_FORM_MAX];
	size_t n;
};

/* PERC_ERR_FORMAT: bad escape, control octet, bad UTF-8 is let through;
 * PERC_ERR_EXISTS: a parameter twice (RFC 6749 section 3.2);
 * PERC_ERR_LIMIT. On error the form is cleared. */
PERC_MUST int kmf_form_parse(struct kmf_form *f, const void *body, size_t len);
void kmf_form_clear(struct kmf_form *f);
/* "" when absent or empty: a parameter without a value is as if omitted. */
const char *kmf_form_get(const struct kmf_form *f, const char *name);

/* Is name a parameter of this query string? (RFC 6750 section 2.3: refused) */
bool kmf_query_has(const char *query, const char *name);

/* An id of ours: prefix and 22 base64url characters. */
bool kmf_id_ok(const char *id, const char *prefix);
/* Letters, digits, - _ and . */
#define KMF_CLIENT_ID_MAX 64 /* with NUL */
bool kmf_client_id_ok(const char *id);
