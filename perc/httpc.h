/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTPS client inside our loop, on libcurl's multi interface: https only
 * (plain http to loopback alone, and where the caller allows it), no
 * redirects, no proxies, bounded answers, own trust anchors. Headers and
 * bodies, sent and received, are wiped when the request is over. Who uses it
 * ignores SIGPIPE.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "perc/err.h"
#include "perc/loop.h"

struct perc_httpc;
struct perc_httpc_req; /* one request under way */

struct perc_httpc_conf {
	const char *ca_file; /* PEM trust anchors; NULL: the system's */
	const char *user_agent;
	unsigned connect_ms, total_ms; /* 0: 5000, 15000 */
	size_t max_body;	       /* octets of an answer; 0: 1 MiB */
	bool loopback_http; /* http://127.0.0.1, [::1], localhost allowed */
	/* Never connect to link-local, multicast and unspecified addresses,
	 * nor where clouds keep their metadata, whatever the name says. */
	bool refuse_metadata;
	/* Opens the socket of each connection and may change where it goes
	 * (within its family); -1: no. NULL: socket(2). */
	int (*open_socket)(struct sockaddr *to, int type, void *arg);
	void *open_arg;
};

/*
 * err: PERC_ERR_CLOSED (cannot connect, or the connection broke), _NOTFOUND
 * (no such host), _AUTH (certificate not trusted), _TIMEOUT, _LIMIT (answer
 * too long), _DENIED (scheme, or an address refused), _SYS.
 */
struct perc_httpc_answer {
	int err;	 /* 0, or why there is no answer at all */
	char why[160];	 /* in words, when err */
	int status;	 /* HTTP */
	const char *body; /* NUL-terminated */
	size_t len;
	const struct perc_httpc_req *req; /* for perc_httpc_header */
};

typedef void (*perc_httpc_fn)(const struct perc_httpc_answer *a, void *arg);
/* Octets of a 2xx answer as they come; not 0 ends it (done follows). After
 * perc_httpc_cancel() of its own request it returns 0. */
typedef int (*perc_httpc_data_fn)(const char *p, size_t n, void *arg);

PERC_MUST int perc_httpc_new(struct perc_httpc **cp, struct perc_loop *l,
    const struct perc_httpc_conf *conf);
void perc_httpc_free(struct perc_httpc *c); /* done is not called any more */

/*
 * Start. headers: NULL-terminated "Name: value" strings, copied. body may be
 * NULL. on_data NULL: gather the body; else a stream without total time
 * limit that must show an octet every idle_ms (0: 45000); an answer other
 * than 2xx is gathered all the same. No callback runs before this returns;
 * done runs exactly once, and the request is gone after it. Callbacks may
 * start, cancel, and free the client. PERC_ERR_DENIED: not an https URL.
 */
PERC_MUST int perc_httpc_start(struct perc_httpc *c,
    struct perc_httpc_req **rp, const char *method, const char *url,
    const char *const headers[], const void *body, size_t len,
    perc_httpc_data_fn on_data, unsigned idle_ms, perc_httpc_fn done,
    void *arg);
void perc_httpc_cancel(struct perc_httpc_req *r); /* no callback follows */
/* This machine's addresses or routes have changed: requests whose connection
 * stands where nothing is sent from any more end with PERC_ERR_CLOSED, and no
 * old connection is used again. Not from within a callback. */
void perc_httpc_moved(struct perc_httpc *c);
/* Value of a header of the answer, or NULL; *count: how many there were. r
 * NULL: none. */
const char *perc_httpc_header(const struct perc_httpc_req *r,
    const char *name, unsigned *count);

/* A message of RFC 5322 to one address (RFC 5321), smtp:// or smtps://. The
 * answer's status is the server's last reply code. */
struct perc_mail {
	const char *url, *from, *to;
	const char *user, *password; /* NULL: none */
	bool starttls;		     /* demand it */
	const char *text;
};
PERC_MUST int perc_httpc_mail(struct perc_httpc *c, const struct perc_mail *m,
    perc_httpc_fn done, void *arg);

/* Blocking convenience for command lines: runs a loop of its own. The
 * answer is given to done before it returns. */
PERC_MUST int perc_httpc_once(const struct perc_httpc_conf *conf,
    const char *method, const char *url, const char *const headers[],
    const void *body, size_t len, perc_httpc_fn done, void *arg);
