/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One login at an identity provider, shared by frontlogin.c (tokens,
 * providers), frontdevice.c (device grant) and frontredirect.c (the browser's
 * loopback redirect).
 */
#pragma once

#include "agent/front.h"
#include "perc/b64.h"

#define FRONT_WAITERS_MAX 8
#define FRONT_RANDOM_TEXT (PERC_B64_LEN(32) + 1)

struct front_waiter {
	void (*fn)(void *arg);
	void *arg;
};

struct front_login {
	struct agent *agent;
	struct local_req *req; /* who waits; NULL once told */
	bool browser, over;    /* over: tokens are here */
	bool resource;	       /* the provider knows RFC 8707 */
	char *kmf, *provider, *issuer, *client_id, *scope;
	char *token_url, *device_url, *auth_url;
	struct perc_httpc_req *http;
	struct perc_timer timer;

	char *device_code;
	int64_t interval_ms, device_until_ms;

	int fd; /* listening on loopback while a browser is awaited */
	struct perc_io *io;
	char redirect[64];
	char verifier[FRONT_RANDOM_TEXT], state[FRONT_RANDOM_TEXT],
	    nonce[FRONT_RANDOM_TEXT];

	char *access_token, *id_token, *refresh_token;
	int64_t until_ms;
	struct front_waiter waiters[FRONT_WAITERS_MAX];
	unsigned nwaiters;
};

/* frontlogin.c */
void front_login_fail(struct front_login *l, const char *fmt, ...)
    PERC_PRINTF(2, 3); /* l is gone after it */
void front_login_code(struct front_login *l, const char *code);
/* As fail, with the words of an answer. */
void front_login_refused(
    struct front_login *l, const struct perc_httpc_answer *a, const char *what);
void front_login_succeed(struct front_login *l);
PERC_MUST int
front_login_take(struct front_login *l, const struct perc_httpc_answer *a);
/* Member name of j, if it is a token; the old one is wiped. */
void front_login_keep(char **to, const json_t *j, const char *name);
extern const char front_form_type[]; /* a header line */

/* frontdevice.c */
void front_device_start(struct front_login *l);

/* frontredirect.c */
void front_redirect_start(struct front_login *l);
void front_redirect_close(struct front_login *l);
/*
 * The query of one redirect request line "GET /cb?code=...&state=... HTTP/".
 * PERC_ERR_FORMAT; PERC_ERR_AUTH: not our state; PERC_ERR_DENIED: the
 * provider says no, code tells which error.
 */
PERC_MUST int front_redirect_parse(const char *request, size_t len,
    const char *state, char *code, size_t codecap);
