/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What httpc.c (the loop's side) and httpc_easy.c (one request's side) share
 * and nobody else sees.
 */
#pragma once

#include <curl/curl.h>

#include "perc/httpc.h"

#define HTTPC_HEADERS_MAX 64	     /* header fields of one answer */
#define HTTPC_HEADER_OCTETS_MAX 65536 /* all of them together */

struct httpc_buf {
	char *p; /* NUL-terminated once it holds anything */
	size_t len, cap;
};

struct httpc_field {
	char *name, *value; /* one block, at name */
	size_t size;
};

struct perc_httpc {
	struct perc_loop *loop;
	CURLM *multi;
	struct perc_timer timer;
	struct perc_httpc_req *reqs;
	char *ca_file, *user_agent;
	unsigned connect_ms, total_ms;
	size_t max_body;
	bool loopback_http, refuse_metadata;
	int64_t moved_ms; /* the network changed; 0: never */
	int (*open_socket)(struct sockaddr *to, int type, void *arg);
	void *open_arg;
	bool draining; /* a callback may be running */
	bool dead;     /* freed by one; only the struct is left */
};

struct perc_httpc_req {
	struct perc_httpc *client;
	struct perc_httpc_req *next;
	CURL *easy;
	struct curl_slist *sent;
	char *body; /* ours, sent */
	size_t body_len, body_sent; /* the latter by mail alone */
	char where[160]; /* "host:port" for messages */
	struct httpc_field fields[HTTPC_HEADERS_MAX];
	unsigned nfields;
	size_t field_octets;
	struct httpc_buf buf;
	perc_httpc_data_fn on_data;
	perc_httpc_fn done;
	void *arg;
	unsigned idle_ms;
	struct perc_timer idle;
	int status;
	CURLcode code;
	int err; /* decided by us, not by libcurl */
	bool finished, reporting, refused;
	char errbuf[CURL_ERROR_SIZE];
};

/* The easy handle of r, ready to be added to the multi handle. */
PERC_MUST int httpc_easy_open(struct perc_httpc_req *r, const char *method,
    const char *url, const char *const headers[]);
/* Wipe and free everything but the place in the client's list. */
void httpc_easy_close(struct perc_httpc_req *r);
/* Is url one that we may go to? Fills r->where. */
PERC_MUST int httpc_url_check(struct perc_httpc_req *r, const char *url);
/* What became of r, in our codes and in words. */
void httpc_outcome(const struct perc_httpc_req *r,
    struct perc_httpc_answer *a);
/* May a connection go to that address? (httpc_addr.c) */
bool httpc_addr_ok(const struct sockaddr *sa);
void httpc_buf_clear(struct httpc_buf *b);
/* Hand a filled r to libcurl and to the client's list (httpc.c). */
PERC_MUST int httpc_run(struct perc_httpc_req *r);
void httpc_req_free(struct perc_httpc_req *r);
/* Tell owners what has come and what is over (httpc.c). */
void httpc_drain(struct perc_httpc *c);
/* Would the kernel send to `to` from elsewhere than `from`? Literals. */
bool httpc_addr_stale(const char *from, const char *to);
/* Use no connection from before the network changed (httpc_moved.c). */
PERC_MUST int httpc_moved_apply(struct perc_httpc_req *r);
/* An octet came in: start the idle time anew (httpc.c). */
void httpc_idle_touch(struct perc_httpc_req *r);
/* libcurl's allocators that wipe what they free; once per process. */
PERC_MUST int httpc_global_init(void);
