/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The local socket between perch and perch-agent (docs/wire/local.md): one
 * JSON object per line, each request with an id that its answers repeat.
 * Whoever is not our own user is turned away by the kernel's word
 * (SO_PEERCRED), whatever the socket's mode.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"
#include "perc/loop.h"

#define LOCAL_LINE_MAX	  65536 /* octets of one request */
#define LOCAL_CLIENTS_MAX 16
#define LOCAL_REQS_MAX	  8 /* unanswered, of one client */

struct local;
struct local_req; /* until its result or error is given */

/* Called for every well-formed request; answer now or later. */
typedef void (*local_fn)(
    struct local_req *r, const char *cmd, const json_t *args, void *arg);
/* The asker went away; r is gone when this returns. */
typedef void (*local_gone_fn)(struct local_req *r, void *arg);

/* given: a socket that listens already, somebody else's, that is left where
 * it is; -1: one is made at path, and unlinked at the end. Who connects waits
 * until local_open(). */
PERC_MUST int local_new(struct local **lp, struct perc_loop *l,
    const char *path, int given, local_fn fn, local_gone_fn gone, void *arg,
    char *why, size_t whycap);
PERC_MUST int local_open(struct local *l);
bool local_idle(const struct local *l); /* is nobody connected? */
void local_free(struct local *l);
/* A listening socket at path, which is replaced if nobody listens there. */
PERC_MUST int local_listen(
    int *fdp, const char *path, char *why, size_t whycap);

void local_progress(struct local_req *r, const char *text);
/* More than text: an object of the sender's, borrowed. */
void local_event(struct local_req *r, const char *name, const json_t *o);
/* These end the request. result is taken over. */
void local_result(struct local_req *r, json_t *result);
void local_error(struct local_req *r, const char *code, const char *text);

/*
 * One request line (without its end): PERC_ERR_FORMAT, PERC_ERR_LIMIT. cmd
 * points into *jp, which the caller json_decref()s.
 */
PERC_MUST int local_parse(
    json_t **jp, int64_t *id, const char **cmd, const char *line, size_t len);
