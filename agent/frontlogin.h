/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One login at an identity provider. Files:
 *
 *	frontlogin.c    who the provider is; the end of a login, good or bad
 *	frontdevice.c   device grant (RFC 8628)
 *	frontredirect.c the browser's loopback redirect (RFC 8252)
 *	frontvisit.c    whoever connects there
 *	fronttoken.c    the token endpoint: what it gives, renewing it
 *	frontidtoken.c  what an ID token must say (OpenID Connect Core)
 *	frontlogout.c   forgetting, here and there (RFC 7009)
 *	frontexamine.c  what tokens look like, for perch doctor
 */
#pragma once

#include "agent/front.h"
#include "perc/b64.h"

#define FRONT_WAITERS_MAX 8
#define FRONT_VISITS_MAX  4 /* connections to the redirect's port at once */
#define FRONT_RANDOM_TEXT (PERC_B64_LEN(32) + 1)

struct front_waiter {
	void (*fn)(void *arg);
	void *arg;
};

struct front_visit;

struct front_login {
	struct agent *agent;
	struct local_req *req; /* who waits; NULL once told */
	bool browser;
	bool examine;	/* the asker wants to know what the tokens look like */
	bool over;	/* tokens are here */
	bool leaving;	/* logged out, the provider is being told */
	bool resource;	/* the provider knows RFC 8707 */
	bool dpop;	/* and RFC 9449: tokens get bound to the vault's key */
	bool iss_param; /* and RFC 9207 */
	char *kmf, *provider, *issuer, *client_id, *scope;
	char *token_url, *device_url, *auth_url, *revoke_url;
	struct perc_httpc_req *http;
	struct front_call *call; /* in place of http where a proof goes along */
	struct front_nonces nonces;
	struct perc_timer timer; /* poll or patience; then the next renewal */
	unsigned tries;		 /* renewals that failed in a row */

	char *device_code;
	int64_t interval_ms, device_until_ms;

	int fd; /* listening on loopback while a browser is awaited */
	struct perc_io *io;
	struct front_visit *visits[FRONT_VISITS_MAX]; /* the oldest first */
	char redirect[64];
	char verifier[FRONT_RANDOM_TEXT], state[FRONT_RANDOM_TEXT];
	char nonce[FRONT_RANDOM_TEXT]; /* "": none was sent */

	char *access_token, *id_token, *refresh_token;
	char *sub; /* of the first ID token: who has logged in */
	int64_t access_until_ms, id_until_ms;
	char *role_token; /* of the KMF, for administration; or NULL */
	int64_t role_until_ms;
	char trouble[FRONT_WORDS_MAX]; /* with renewing it, or "" */
	struct front_waiter waiters[FRONT_WAITERS_MAX];
	unsigned nwaiters;
};

/* frontlogin.c */
struct front_login *front_login_find(const struct agent *a, const char *kmf);
void front_login_fail(struct front_login *l, const char *fmt, ...)
    PERC_PRINTF(2, 3); /* l is gone after it */
/* As fail, with the words of an answer. */
void front_login_refused(
    struct front_login *l, const struct perc_httpc_answer *a, const char *what);
/* What an OAuth error code means for whoever reads it, "" if unknown. */
const char *front_login_advice(const char *code);
void front_login_succeed(struct front_login *l);
void front_login_remove(struct front_login *l); /* off the list, wiped */
char *front_login_kmf(const char *s); /* the KMF of a conference's URI; new */

/* fronttoken.c */
/* POST form to the token endpoint, with a proof where the provider does
 * DPoP. done clears l->http. */
PERC_MUST int front_token_ask(
    struct front_login *l, const struct text *form, perc_httpc_fn done);
void front_login_code(struct front_login *l, const char *code);
/* Keep what an answer brings; *why tells in words what is wrong with it. */
PERC_MUST int front_login_take(
    struct front_login *l, const struct perc_httpc_answer *a, const char **why);
/* Member name of j, if it is a token; the old one is wiped. */
void front_login_keep(char **to, const json_t *j, const char *name);
void front_login_plan(struct front_login *l); /* the next renewal */
/* Milliseconds until the next renewal of tokens that live that long. */
int64_t front_login_early(int64_t life_ms);
bool front_login_valid(const struct front_login *l);
void front_login_wake(struct front_login *l); /* whoever waits for it */
extern const char front_form_type[];	      /* a header line */

/* frontexamine.c */
json_t *front_login_examine(const struct front_login *l); /* new */

/* frontidtoken.c */
struct front_idtoken_want {
	const char *issuer, *client_id;
	const char *nonce; /* NULL or "": none was sent */
	const char *sub;   /* whose it was before; NULL: the first */
	int64_t now_s;
};
/*
 * OpenID Connect Core 3.1.3.7 and 12.2. The signature is the KMF's business:
 * the token came over TLS from the provider itself (step 6 of that section).
 * On 0 *subp is new and *life_s how long it lives; else *why says what is
 * wrong, static.
 */
PERC_MUST int front_idtoken_check(char **subp, int64_t *life_s,
    const char *token, const struct front_idtoken_want *want, const char **why);

/* frontdevice.c */
void front_device_start(struct front_login *l);

/* frontredirect.c */
void front_redirect_start(struct front_login *l);
void front_redirect_close(struct front_login *l);
/* A visitor's request, of which the first line counts: writes the page to fd
 * and does what follows, after which l may be gone. */
void front_redirect_answer(
    struct front_login *l, int fd, const char *request, size_t len);

/* frontvisit.c */
void front_visit_accept(int fd, uint32_t events, void *arg);
void front_visits_close(struct front_login *l);

struct front_redirect {
	char code[2048];
	char error[64], description[160]; /* of PERC_ERR_DENIED */
};
/*
 * The query of one redirect request line "GET /cb?code=...&state=... HTTP/".
 * PERC_ERR_FORMAT; PERC_ERR_AUTH: not our state; PERC_ERR_CONFLICT: of
 * another provider (RFC 9207; iss_needed: it promised to name itself);
 * PERC_ERR_DENIED: the provider says no.
 */
PERC_MUST int front_redirect_parse(struct front_redirect *out,
    const char *request, size_t len, const char *state, const char *issuer,
    bool iss_needed);
