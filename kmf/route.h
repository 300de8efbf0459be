/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The one table of the HTTP interface (docs/wire/kmf-http.md): method, path,
 * what it asks of the keeper, who may, and how big a body may be. What is not
 * in it does not exist.
 */
#pragma once

#include <stddef.h>

#include "kmf/msg.h"

enum kmf_handler {
	KMF_H_CALL, /* authenticate, ask the keeper, relay its answer */
	KMF_H_EVENTS,
	KMF_H_FEED, /* a call, or a stream when the client asks for one */
	KMF_H_TOKEN,
	KMF_H_DESCRIPTOR,
	KMF_H_RESOURCE, /* RFC 9728 */
	KMF_H_SERVER,	/* RFC 8414 */
	KMF_H_JWKS,
	KMF_H_HEALTH,
	KMF_H_READY,
	KMF_H_METRICS,
	KMF_H_OPENAPI,
	KMF_H_SERIES, /* descriptor of its current occurrence */
};

enum kmf_route_flags {
	KMF_CLIENT = 1,	 /* a client token may */
	KMF_MEMBER = 2,	 /* token1 may */
	KMF_NONCE = 4,	 /* the proof must carry our nonce */
	KMF_QUERY = 8,	 /* the query string goes to the keeper */
	KMF_PUBLIC = 16, /* nobody need say who he is */
};

struct kmf_route {
	const char *method, *path; /* {c} {s} {m} {i} {v} {i.ics} {v.ics}: ids */
	enum kmf_handler handler;
	enum kmf_op op;
	unsigned flags;
	size_t max_body;
};

struct kmf_params { /* of the path; "" when absent */
	char conf[KMF_ID_MAX], obj[KMF_ID_MAX];
};

/* HEAD finds what GET does, but for event streams. PERC_ERR_NOTFOUND;
 * PERC_ERR_UNSUPPORTED: the path is there for other methods, all of which
 * are listed in allow. */
PERC_MUST int kmf_route_find(const struct kmf_route **rp, struct kmf_params *p,
    const char *method, const char *path, char *allow, size_t allowcap);
/* The table, entry by entry; NULL behind the last. */
const struct kmf_route *kmf_route_at(size_t i);
