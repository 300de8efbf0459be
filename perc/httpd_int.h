/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of perc/httpd*.c share, and nobody else sees.
 */
#pragma once

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <gnutls/x509.h>
#include <microhttpd.h>

#include "perc/httpd.h"

#define HTTPD_HEADERS_MAX 16	     /* of one answer */
#define HTTPD_BLOCK	  16384	     /* octets a big body moves per turn */
#define HTTPD_TARGET_MAX  4096	     /* octets of path and query */
#define HTTPD_CHAIN_MAX	  8	     /* certificates in a chain */
#define HTTPD_IDLE_MS	  75000	     /* keep-alive, next request included */
#define HTTPD_SEND_MS	  60000	     /* for a reader of an answer */
#define HTTPD_WAKE_BATCH  100	     /* streams resumed per turn */
#define HTTPD_OVERRUN	  (16u << 20) /* octets read past max_body at most */

/* One certificate chain with its key; old ones live on for handshakes that
 * are under way. */
struct httpd_pair {
	gnutls_pcert_st chain[HTTPD_CHAIN_MAX];
	unsigned n;
	gnutls_privkey_t key;
	int64_t retired_ms; /* 0: in use */
	struct httpd_pair *next;
};

enum httpd_phase {
	HTTPD_WAITING, /* for the first octet or the rest of a request */
	HTTPD_BUSY,    /* suspended until the owner answers; no deadline */
	HTTPD_SENDING,
	HTTPD_STREAM,
};

struct httpd_conn {
	struct perc_httpd *h;
	struct MHD_Connection *mc;
	gnutls_session_t tls; /* microhttpd's */
	int fd;
	enum httpd_phase phase;
	int64_t until_ms; /* cut off when passed; 0: never */
	bool cut, asked;
	struct perc_httpd_req *req;
	struct perc_httpd_stream *stream;
	struct httpd_conn *next, **prevp;
};

struct perc_httpd_req {
	struct perc_httpd *h;
	struct httpd_conn *c;
	char *target; /* path, NUL, query */
	const char *query;
	char method[16];
	bool bad; /* target refused */
	bool begun, too_big, handed, suspended, answered;
	uint8_t *body;
	size_t len, cap, seen;
	unsigned status;
	struct MHD_Response *resp;
	void *data;
	void (*gone)(struct perc_httpd_req *, void *);
};

struct perc_httpd_stream {
	struct perc_httpd *h;
	struct httpd_conn *c; /* NULL once the connection is gone */
	char *buf;
	size_t start, len, cap, max;
	bool suspended, waking, closing, dead;
	bool pulled; /* microhttpd writes all of it */
	bool stuck;   /* GnuTLS holds a record that the socket did not take */
	gnutls_session_t tls; /* microhttpd's; NULL: not written to yet */
	struct perc_io *io;   /* waits until the socket takes more */
	struct perc_httpd_stream *wake_next;
	void (*gone)(struct perc_httpd_stream *, void *);
	void *arg;
};

struct perc_httpd {
	struct perc_loop *loop;
	struct MHD_Daemon *mhd;
	struct perc_io *io;
	struct perc_timer turn, tick;
	perc_httpd_fn fn;
	void *arg;
	struct httpd_pair *pair; /* newest first */
	gnutls_datum_t ticket_key;
	size_t max_body;
	unsigned deadline_ms;
	bool ask_client_cert;
	char *client_ca; /* PEM, lives as long as the daemon */
	unsigned port;
	struct httpd_conn *conns;
	struct perc_httpd_stream *wake, **wake_end;
	unsigned quiet; /* turns in a row that moved nothing */
	bool progress, draining, retired, dying;
	uint64_t malformed;
	int64_t drain_until_ms;
	perc_loop_fn done;
	void *done_arg;
};

/* httpd.c */
void httpd_kick(struct perc_httpd *h);
void httpd_conn_cut(struct httpd_conn *c);

/* httpd_req.c */
/* Cut a raw target in two, decode the path in place; false: refuse it. */
bool httpd_target_take(char *target, const char **query);
void *httpd_req_begin(void *cls, const char *uri, struct MHD_Connection *mc);
enum MHD_Result httpd_req_handle(void *cls, struct MHD_Connection *mc,
    const char *url, const char *method, const char *version,
    const char *upload, size_t *upload_len, void **ctx);
void httpd_req_completed(void *cls, struct MHD_Connection *mc, void **ctx,
    enum MHD_RequestTerminationCode why);
void httpd_req_answer(
    struct perc_httpd_req *r, unsigned status, struct MHD_Response *resp);
int httpd_req_add_headers(const struct perc_httpd *h, struct MHD_Response *resp,
    const struct perc_httpd_header *headers, size_t n, bool keep_open);

/* httpd_stream.c */
void httpd_stream_wake(struct perc_httpd_stream *s);
void httpd_stream_kill(struct perc_httpd_stream *s);
/* Resume at most a batch; true when more wait. */
bool httpd_stream_wake_batch(struct perc_httpd *h);

/* httpd_tls.c */
int httpd_tls_load(struct httpd_pair **pp, const char *cert_file,
    const char *key_file, char *why, size_t whycap);
int httpd_tls_init(struct perc_httpd *h);
void httpd_tls_clear(struct perc_httpd *h);
void httpd_tls_session(struct perc_httpd *h, gnutls_session_t s);
void httpd_tls_retire(struct perc_httpd *h, int64_t now_ms);
int httpd_tls_pair(gnutls_session_t s, const gnutls_datum_t *ca, int nca,
    const gnutls_pk_algorithm_t *algs, int nalgs, gnutls_pcert_st **chain,
    unsigned *n, gnutls_privkey_t *key);
