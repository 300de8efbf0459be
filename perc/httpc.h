/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTPS client inside our loop, on libcurl's multi interface: https only
 * (plain http to loopback where a test or metadata says so), no redirects,
 * bounded answers, own trust anchors or a pinned key. Header values and
 * bodies of answers are wiped when the request is freed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"
#include "perc/loop.h"

struct perc_httpc;
struct perc_httpc_req; /* one request under way */

struct perc_httpc_conf {
	const char *ca_file; /* PEM trust anchors; NULL: the system's */
	const char *user_agent;
	unsigned connect_ms, total_ms; /* 0: 5000, 15000 */
	size_t max_body;	       /* octets of an answer; 0: 1 MiB */
};

struct perc_httpc_answer {
	int err;	 /* 0, or why there is no answer at all */
	char why[160];	 /* in words, when err */
	int status;	 /* HTTP */
	const char *body; /* NUL-terminated */
	size_t len;
	const struct perc_httpc_req *req; /* for perc_httpc_header */
};

typedef void (*perc_httpc_fn)(const struct perc_httpc_answer *a, void *arg);
/* Octets of a stream as they come; not 0 ends it. */
typedef int (*perc_httpc_data_fn)(const char *p, size_t n, void *arg);

PERC_MUST int perc_httpc_new(struct perc_httpc **cp, struct perc_loop *l,
    const struct perc_httpc_conf *conf);
void perc_httpc_free(struct perc_httpc *c); /* done is not called any more */

/*
 * Start. headers: NULL-terminated "Name: value" strings, copied. body may be
 * NULL. on_data NULL: gather the body; else a stream without total time
 * limit that must show an octet every idle_ms (0: 45000).
 */
PERC_MUST int perc_httpc_start(struct perc_httpc *c,
    struct perc_httpc_req **rp, const char *method, const char *url,
    const char *const headers[], const void *body, size_t len,
    perc_httpc_data_fn on_data, unsigned idle_ms, perc_httpc_fn done,
    void *arg);
void perc_httpc_cancel(struct perc_httpc_req *r); /* no callback follows */
/* Value of a header of the answer, or NULL; *count: how many there were. */
const char *perc_httpc_header(const struct perc_httpc_req *r,
    const char *name, unsigned *count);

/* Blocking convenience for command lines: runs a loop of its own. The
 * answer is given to done before it returns. */
PERC_MUST int perc_httpc_once(const struct perc_httpc_conf *conf,
    const char *method, const char *url, const char *const headers[],
    const void *body, size_t len, perc_httpc_fn done, void *arg);
