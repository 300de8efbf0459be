/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What schema/openapi.yaml says about each route: the one judge of requests,
 * used by the fronts, and of answers, used by the tests.
 */
#pragma once

#include "kmf/route.h"
#include "kmf/schema.h"

struct kmf_api;

/* The document that is compiled in, or PERC_ERR_FORMAT when it is not about
 * each route of kmf/route.c or uses words that kmf/schema.c does not know:
 * why gets the place. */
PERC_MUST int kmf_api_new(struct kmf_api **ap, char *why, size_t cap);
void kmf_api_free(struct kmf_api *a);

/* A JSON body; type: Content-Type or NULL. PERC_ERR_FORMAT: f has why;
 * PERC_ERR_UNSUPPORTED: another media type; PERC_ERR_NOMEM. */
PERC_MUST int kmf_api_body(const struct kmf_api *a, const struct kmf_route *t,
    const char *type, const void *body, size_t len, struct kmf_faults *f);
/* The query string, NULL for none. PERC_ERR_FORMAT: f has why. */
PERC_MUST int kmf_api_query(const struct kmf_api *a, const struct kmf_route *t,
    const char *query, struct kmf_faults *f);
/* Is this what the document promises? PERC_ERR_FORMAT: f has why. */
PERC_MUST int kmf_api_answer(const struct kmf_api *a, const struct kmf_route *t,
    unsigned status, const char *type, const void *body, size_t len,
    struct kmf_faults *f);
