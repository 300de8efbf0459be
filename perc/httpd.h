/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTPS server inside our loop, on libmicrohttpd: TLS 1.2 and 1.3 only,
 * whole small bodies, answers now or later, event streams. It refuses what
 * could smuggle past a proxy (Content-Length with Transfer-Encoding, doubled
 * Content-Length, doubled Host or Authorization is left to the caller to see,
 * %00, %2f, '..' and '//' in the target), keeps a deadline for every request,
 * and never spins on a half-open handshake.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "perc/err.h"
#include "perc/loop.h"

struct perc_httpd;
struct perc_httpd_req;	  /* one request, until it is answered */
struct perc_httpd_stream; /* one open event stream */

struct perc_httpd_conf {
	const char *listen;    /* "host:port"; port 0: any free one */
	int listen_fd;	       /* or an open listening socket; -1: none */
	bool reuseport;	       /* several processes share the port */
	const char *cert_file; /* PEM chain */
	const char *key_file;  /* PEM; read before privileges are dropped */
	size_t max_body;       /* octets; 413 beyond */
	unsigned deadline_ms;  /* whole request, first octet to last */
	unsigned max_conns, max_conns_per_ip; /* 0: no bound per address */
	bool ask_client_cert;  /* request, do not verify: x5t bindings */
	/* PEM text: as above, and say whose, so that people's browsers need
	 * not ask them; NULL: nobody's. */
	const char *client_ca;
};

struct perc_httpd_header {
	const char *name, *value;
};

/* Called once the whole body is here. Answer now or later, exactly once. */
typedef void (*perc_httpd_fn)(struct perc_httpd_req *r, void *arg);

/* A listening socket on "host:port", for several processes when reuseport;
 * why gets one line for people. */
PERC_MUST int perc_httpd_listen(int *fdp, const char *listen, bool reuseport,
    char *why, size_t whycap);
/* Also ignores SIGPIPE in this process. A conf->listen_fd is taken over. */
PERC_MUST int perc_httpd_new(struct perc_httpd **hp, struct perc_loop *l,
    const struct perc_httpd_conf *conf, perc_httpd_fn fn, void *arg,
    char *why, size_t whycap);
/* Stop accepting, end streams, let requests finish within grace_ms, then
 * call done (from the loop); free after that. */
void perc_httpd_drain(struct perc_httpd *h, unsigned grace_ms,
    perc_loop_fn done, void *arg);
/* Stop accepting and close each connection with its next answer, but let
 * streams go on; an heir has the listening socket too. drain() may follow. */
void perc_httpd_retire(struct perc_httpd *h);
/* Cuts what is still open: requests not answered get their `gone` and must
 * not be answered any more, streams get theirs. */
void perc_httpd_free(struct perc_httpd *h);
/* New certificate for new connections; the old pair stays on any error. */
PERC_MUST int perc_httpd_reload_cert(struct perc_httpd *h,
    const char *cert_file, const char *key_file, char *why, size_t whycap);
/* Would this pair do? */
PERC_MUST int perc_httpd_check_cert(const char *cert_file,
    const char *key_file, char *why, size_t whycap);
/* When the certificate in use expires, in seconds since 1970; 0: unknown. */
int64_t perc_httpd_cert_until(const struct perc_httpd *h);
unsigned perc_httpd_port(const struct perc_httpd *h);
unsigned perc_httpd_conns(const struct perc_httpd *h);
/* Requests that were refused or broke off before the owner saw them, and
 * connections that ended without one. */
uint64_t perc_httpd_malformed(const struct perc_httpd *h);

/* Of a request: all valid until it is answered. */
const char *perc_httpd_method(const struct perc_httpd_req *r);
const char *perc_httpd_path(const struct perc_httpd_req *r);
const char *perc_httpd_query(const struct perc_httpd_req *r); /* or NULL */
/* First value of the header, any case; *count (may be NULL): how many. */
const char *perc_httpd_header(const struct perc_httpd_req *r,
    const char *name, unsigned *count);
const uint8_t *perc_httpd_body(const struct perc_httpd_req *r, size_t *len);
const struct sockaddr *perc_httpd_peer(const struct perc_httpd_req *r);
/* base64url SHA-256 of the client certificate's DER (44 octets), or "". */
void perc_httpd_client_x5t(const struct perc_httpd_req *r, char out[44]);

/* The CA of clients' certificates, with its revocation lists (NULL: none);
 * why gets one line for people. */
struct perc_httpd_ca;
PERC_MUST int perc_httpd_ca_new(struct perc_httpd_ca **ap, const char *ca_file,
    const char *crl_file, char *why, size_t whycap);
void perc_httpd_ca_free(struct perc_httpd_ca *a);

enum perc_httpd_name {
	PERC_HTTPD_URI,
	PERC_HTTPD_DNS,
	PERC_HTTPD_EMAIL,
	PERC_HTTPD_CN,
};
/* Is the connection's certificate of this CA, for TLS clients, valid now, not
 * revoked, and does it bear this name? PERC_ERR_NOTFOUND: none was shown;
 * PERC_ERR_UNKNOWN_KEY: it is of another CA; else *why, a static phrase,
 * says what is wrong with it. */
PERC_MUST int perc_httpd_client_cert(const struct perc_httpd_req *r,
    const struct perc_httpd_ca *a, enum perc_httpd_name kind,
    const char *name, const char **why);
/* The owner's pointer, and a hook for when the client went away before the
 * answer. The request is still to be answered, but in perc_httpd_free(). */
void perc_httpd_set_data(struct perc_httpd_req *r, void *data,
    void (*gone)(struct perc_httpd_req *, void *data));

/*
 * Answer and forget r. body is copied; headers (at most 14) too. Sends
 * Content-Length, and "Cache-Control: no-store" unless headers has one.
 * secret: the copies of headers and body are wiped after sending.
 */
void perc_httpd_reply(struct perc_httpd_req *r, unsigned status,
    const struct perc_httpd_header *headers, size_t n, const void *body,
    size_t len, bool secret);
/* Answer 200 with text/event-stream and keep it open; r is consumed.
 * gone runs once when the client left or the stream was closed. */
PERC_MUST int perc_httpd_stream_open(struct perc_httpd_stream **sp,
    struct perc_httpd_req *r, const struct perc_httpd_header *headers,
    size_t n, size_t queue_max,
    void (*gone)(struct perc_httpd_stream *, void *), void *arg);
/* Queue octets, of several places as one; PERC_ERR_LIMIT: the reader is too slow, the stream is being
 * closed. */
PERC_MUST int perc_httpd_stream_write(struct perc_httpd_stream *s,
    const void *p, size_t n);
struct perc_httpd_part {
	const void *p;
	size_t len;
};
PERC_MUST int perc_httpd_stream_writev(struct perc_httpd_stream *s,
    const struct perc_httpd_part *part, size_t n);
void perc_httpd_stream_close(struct perc_httpd_stream *s);
