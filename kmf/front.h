/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the files of a front share. A front owns its connections and the
 * requests on them; it decides who somebody is, never what he may do.
 */
#pragma once

#include <jansson.h>

#include "kmf/api.h"
#include "kmf/counts.h"
#include "kmf/intake.h"
#include "kmf/kmf.h"
#include "kmf/method.h"
#include "kmf/msg.h"
#include "kmf/nonce.h"
#include "kmf/route.h"
#include "perc/chan.h"
#include "perc/httpd.h"
#include "perc/jose.h"
#include "perc/loop.h"

#define FRONT_CALLS_MAX	    8192  /* calls under way with the keeper */
#define FRONT_STREAMS_MAX   65536 /* open event streams */
#define FRONT_CALL_MS	    10000 /* the keeper answers within, or 503 */
#define FRONT_PARK_MS	    5000  /* an exchange waits for new keys */
#define FRONT_DRAIN_MS	    5000
#define FRONT_HB_MS	    10000
#define FRONT_STREAM_MAX    (256u << 10) /* octets a slow reader may owe */
#define FRONT_DPOP_WINDOW_S 120
#define FRONT_CERT_WARN_S   (7 * 24 * 3600)

enum front_state { /* of its channels */
	FRONT_STARTING = 1,
	FRONT_RUNNING = 2,
};

struct front;
struct front_stream;
struct front_cache;
struct front_limit;
struct perc_rate;

/* One request. It lives until it is answered. */
struct front_req {
	struct front *f;
	struct perc_httpd_req *r;
	const struct kmf_route *route;
	struct kmf_params par;
	char id[32];   /* request id */
	unsigned call; /* place in f->calls + 1; 0: no call under way */
	uint32_t call_id;
	int64_t until_ms;
	uint64_t begun_us; /* the whole request was here */
	void (*on_reply)(struct front_req *, const struct kmf_reply *);
	/* who: strings live in claims, jws, form or here */
	struct kmf_cred cred;
	struct perc_jws jws; /* cred taken apart; nothing in it is verified */
	const struct kmf_method *method;
	const struct kmf_issuer *issuer; /* NULL: ourselves */
	kmf_method_fn on_who;
	void (*next)(struct front_req *); /* once who is known */
	struct kmf_identity who;
	json_t *claims; /* verified */
	char roles[48];
	char x5t[PERC_JKT_LEN + 1]; /* of the connection's certificate */
	char say[80];		    /* for people; no octet of theirs */
	const struct kmf_reply *notice; /* its body goes with the problem */
	enum kmf_scheme scheme;
	struct perc_dpop proof;
	bool proved;
	char replay[PERC_JKT_LEN + 1];
	char arg2[PERC_JKT_LEN + 1];
	/* token endpoint */
	struct kmf_form form;
	bool parked; /* waits, or has waited, for the fetcher */
	uint32_t wait_id;
	struct front_req *park_next;
	/* events */
	struct front_stream *stream;
};

struct front_roster { /* the keeper gave it; anybody it lets may have it */
	char conf[KMF_ID_MAX];
	uint64_t seq;
	char *text; /* NULL: none */
	size_t len;
};

struct front_keys {   /* of one issuer */
	json_t *jwks; /* NULL: none yet */
	int64_t fetched_s, wanted_ms;
	bool asked; /* the fetcher, and its answer is to come */
	bool stale; /* and this was said */
	char why[160];
};

#define FRONT_REFUSED_MAX 32 /* different ones between two reports */

struct front_refused { /* failed logins, until the next report */
	char reason[96], what[96], peer[48], client[72];
	uint64_t count;
};

struct front {
	const struct kmf_conf *conf;
	unsigned index;
	struct perc_loop *loop;
	struct perc_httpd *httpd, *metrics;
	struct perc_chan *keeper, *fetcher;
	int ready_fd;
	bool welcomed, stopping, retiring;
	char *jwks_text;
	struct kmf_api *api;
	char openapi_etag[PERC_JKT_LEN + 3]; /* with its quotes */
	struct perc_jwks *jwks;
	uint8_t nonce_key[32], prev_nonce_key[32];
	char nonce_now[KMF_NONCE_LEN + 1]; /* of that minute; "": not made */
	int64_t nonce_minute;
	struct front_keys keys[KMF_ISSUERS_MAX];
	struct perc_httpd_ca *cas[KMF_ISSUERS_MAX]; /* of devices; or NULL */
	struct front_req *calls[FRONT_CALLS_MAX];
	unsigned call_next, ncalls;
	uint32_t call_count;
	struct front_req *parked;
	uint32_t wait_count; /* of questions to the fetcher */
	struct front_stream **streams; /* FRONT_STREAMS_MAX places */
	unsigned stream_next, nstreams;
	uint32_t stream_count;
	struct front_roster rosters[KMF_ROSTER_PLACES];
	struct front_cache *cache;
	struct front_limit *limit;
	struct perc_rate *rate;
	struct front_refused refused[FRONT_REFUSED_MAX];
	unsigned nrefused;
	struct perc_timer tick, hb;
	uint64_t count[COUNT_LAST];
};

/* front_reply.c, front_relay.c: the last act of a request; q is freed. */
void front_reply(struct front_req *q, unsigned status,
    const struct perc_httpd_header *headers, size_t n, const void *body,
    size_t len, bool secret);
void front_problem(
    struct front_req *q, unsigned status, const char *code, const char *detail);
/* As above with more headers. */
void front_problem_with(struct front_req *q, unsigned status, const char *code,
    const char *detail, const struct perc_httpd_header *headers, size_t n);
/* 400: the request itself is wrong, and where. */
void front_faults(struct front_req *q, const struct kmf_faults *f);
/* The same under another status and name. */
void front_faults_with(struct front_req *q, unsigned status, const char *code,
    const char *detail, const struct perc_httpd_header *headers, size_t n,
    const struct kmf_faults *f);
void front_json(struct front_req *q, unsigned status, json_t *body);
/* 401 or 400 with challenges; error NULL: none were shown (RFC 6750 3.1). */
void front_challenge(
    struct front_req *q, unsigned status, const char *error, const char *why);
void front_relay(struct front_req *q, const struct kmf_reply *a);
/* 503 with Retry-After, in the endpoint's form. */
void front_busy(struct front_req *q);
/* RFC 6749 5.2 */
void front_token_error(
    struct front_req *q, unsigned status, const char *error, const char *text);
void front_token_relay(struct front_req *q, const struct kmf_reply *a);
void front_req_free(struct front_req *q);
/* Log and count credentials that are not good, and have them audited. */
void front_refused(const struct front_req *q, const char *reason);
/* The same when the keeper refused, who audited it himself. */
void front_refused_by_keeper(const struct front_req *q, const char *reason);
void front_peer_put(char *out, size_t cap, const struct sockaddr *sa);

/* front_audit.c */
void front_audit_add(const struct front_req *q, const char *reason);
void front_audit_tick(struct front *f);

/* front_request.c */
void front_on_request(struct perc_httpd_req *r, void *arg);
void front_on_metrics_request(struct perc_httpd_req *r, void *arg);

/* front_chan.c */
PERC_MUST int front_chans_open(struct front *f);

/* front_call.c */
void front_call(struct front_req *q, struct kmf_call *c,
    void (*on_reply)(struct front_req *, const struct kmf_reply *));
int
front_on_reply(struct perc_chan *c, const struct perc_chan_msg *m, void *arg);
void front_calls_tick(struct front *f, int64_t now_ms);
void front_calls_end(struct front *f); /* all: 503 */

/* front_auth.c: who is it, may that come here? Then next; else the request
 * has been answered. */
void front_auth(struct front_req *q, void (*next)(struct front_req *));
/* The DPoP field of a request. PERC_ERR_NOTFOUND: there is none. On other
 * errors *why tells. token NULL: none goes with it. */
PERC_MUST int
front_proof(struct front_req *q, const char *token, const char **why);
/* Is what q->who is bound to here: this proof's key, or the certificate of
 * this connection? False also when it is bound to nothing. */
bool front_binding_holds(struct front_req *q);
/* q->x5t of the connection; "" when no certificate was shown. */
const char *front_x5t(struct front_req *q);
bool front_nonce_ok(struct front *f, const char *nonce);
void front_nonce_make(struct front *f, char *out);
/* A member's text, "" when it is none. */
const char *front_text_of(const json_t *o, const char *name);

/* method_person.c: what the claims of q->issuer mean, into q->who. */
void front_person(struct front_req *q);
/* Does an address of that domain count when this issuer says it? */
bool front_email_counts(const struct kmf_issuer *i, const char *email);
/* method_cert.c: the CAs of devices. *trustp: PEM of all whose certificates
 * are asked for, or NULL; free() it. */
PERC_MUST int
front_cas_open(struct front *f, char **trustp, char *why, size_t cap);
void front_cas_close(struct front *f);
/* method_oidc.c: are this issuer's keys older than it may be? */
bool front_keys_stale(const struct front *f, size_t issuer);
void front_keys_tick(struct front *f);

/* front_check.c: query and body as schema/openapi.yaml wants them, or the
 * request has been answered. */
PERC_MUST int front_check_open(struct front *f);
PERC_MUST int front_check(struct front_req *q);

/* method_introspect.c */
int
front_on_word(struct perc_chan *c, const struct perc_chan_msg *m, void *arg);

/* front_link.c: the Link field to the next page; PERC_ERR_LIMIT. */
PERC_MUST int front_link_next(
    char *out, size_t cap, const char *query, const char *next);

/* front_cache.c: verified access tokens by hash until they expire. */
struct front_known {
	const struct kmf_method *method;
	const struct kmf_issuer *issuer;
	json_t *claims;
};
PERC_MUST int front_cache_new(struct front_cache **cp);
void front_cache_free(struct front_cache *c);
/* Forget what came from this issuer; NULL: our own tokens. */
void front_cache_void(struct front_cache *c, const struct kmf_issuer *issuer);
/* Lends claims. */
bool front_cache_get(struct front_cache *c, struct front_known *k,
    const char *token, int64_t now_s);
void front_cache_put(struct front_cache *c, const char *token,
    const struct front_known *k, int64_t exp_s);

/* front_park.c: wait for the fetcher. False: too many wait already. wait_id 0:
 * for keys of q->issuer, then q->method runs again. */
PERC_MUST bool front_park(struct front_req *q, uint32_t wait_id);
struct front_req *front_unpark(struct front *f, uint32_t wait_id);
void front_park_keys(struct front *f, size_t issuer); /* new ones came */
void front_park_tick(struct front *f, int64_t now_ms);
void front_park_end(struct front *f); /* all: 503 */

/* front_rate.c: requests of an address and of a person. 0, or the request
 * has been answered with 429. */
PERC_MUST int front_rate_address(struct front_req *q);
PERC_MUST int front_rate_watch(struct front_req *q);
PERC_MUST int front_rate_person(struct front_req *q);

/* front_limit.c: failed exchanges per address. */
PERC_MUST int front_limit_new(struct front_limit **lp);
void front_limit_free(struct front_limit *l);
bool front_limit_reached(
    struct front_limit *l, const struct sockaddr *sa, int64_t now_ms);
void front_limit_fail(
    struct front_limit *l, const struct sockaddr *sa, int64_t now_ms);

/* front_roster.c */
int
front_on_roster(struct perc_chan *c, const struct perc_chan_msg *m, void *arg);
/* The roster that this reply without a body means, or NULL. */
const struct front_roster *
front_roster_find(const struct front_req *q, const struct kmf_reply *a);
void front_rosters_clear(struct front *f);

/* front_token.c, front_stream.c, front_meta.c */
void front_token(struct front_req *q);
void front_events(struct front_req *q);
int
front_on_event(struct perc_chan *c, const struct perc_chan_msg *m, void *arg);
int
front_on_push(struct perc_chan *c, const struct perc_chan_msg *m, void *arg);
int front_on_stream_open(
    struct perc_chan *c, const struct perc_chan_msg *m, void *arg);
int front_on_stream_end(
    struct perc_chan *c, const struct perc_chan_msg *m, void *arg);
void front_streams_hb(struct front *f);
void front_streams_stop(struct front *f);
void front_meta(struct front_req *q);

/* front_health.c */
void front_health(struct front_req *q);
void front_ready(struct front_req *q);
void front_metrics(struct front_req *q);
void front_counts_send(struct front *f);

