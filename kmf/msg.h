/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The closed list of messages between perch-kmf's processes, on perc/chan.h.
 *
 *   front  -> keeper   CALL, SUBSCRIBE, UNSUBSCRIBE, REFUSED, COUNTS
 *   keeper -> front    WELCOME, REPLY, STREAM_OPEN, EVENT, STREAM_END,
 *                      ROSTER, PUSH
 *   front  -> fetcher  KEYS_WANTED, QUESTION
 *   fetcher-> front    KEYS, WORD
 *   keeper -> fetcher  ERRAND (kmf/errand.h)
 *   fetcher-> keeper   ERRAND_END
 *
 * A front is believed about nothing but who authenticated: it verified the
 * token and the proof; what that person may do is the keeper's decision.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kmf/counts.h"
#include "perc/err.h"
#include "perc/wire.h"

#define KMF_ID_MAX	32    /* characters of a c_, m_, i_ id, with NUL */
#define KMF_GROUPS_MAX	64    /* of one identity */
#define KMF_FEED_WAIT_S 30    /* a call for events may wait that long */
#define KMF_BODY_MAX	65536 /* octets of a request body */

enum kmf_msg_type {
	KMF_MSG_CALL = 1,
	KMF_MSG_SUBSCRIBE,
	KMF_MSG_UNSUBSCRIBE,
	KMF_MSG_REFUSED,
	KMF_MSG_COUNTS,
	KMF_MSG_WELCOME = 16,
	KMF_MSG_REPLY,
	KMF_MSG_EVENT,
	KMF_MSG_STREAM_END,
	KMF_MSG_ROSTER,
	KMF_MSG_STREAM_OPEN,
	KMF_MSG_PUSH,
	KMF_MSG_KEYS_WANTED = 32,
	KMF_MSG_KEYS,
	KMF_MSG_QUESTION,
	KMF_MSG_WORD,
	KMF_MSG_ERRAND = 48,
	KMF_MSG_ERRAND_END,
};

enum kmf_op { /* what a CALL asks; the table in keeper.c says who may */
	KMF_OP_CLIENT_KEY = 1, /* obj = client id -> body: JWK, scope */
	KMF_OP_TOKEN_CLIENT,   /* mint a client token; arg = wanted scope */
	KMF_OP_TOKEN1,	       /* exchange for conf */
	KMF_OP_TOKEN2,	       /* exchange for conf; arg = MDD, arg2 = x5t */
	KMF_OP_CONF_CREATE,
	KMF_OP_CONF_LIST, /* arg = query string */
	KMF_OP_CONF_GET,
	KMF_OP_CONF_PATCH,
	KMF_OP_CONF_DELETE,
	KMF_OP_CONF_END,
	KMF_OP_CONF_REKEY,
	KMF_OP_CONF_EXPLAIN,
	KMF_OP_INV_CREATE,
	KMF_OP_INV_LIST,
	KMF_OP_INV_DELETE, /* obj = invitation */
	KMF_OP_INVITEE_ICS, /* obj = invitee */
	KMF_OP_INV_SEND, /* obj = invitation */
	KMF_OP_INVITEE_SEND, /* obj = invitee */
	KMF_OP_INV_ICS,	   /* obj = invitation */
	KMF_OP_MEMBER_LIST,
	KMF_OP_MEMBER_EVICT, /* obj = member */
	KMF_OP_KEYS,	     /* body: empty, or {"seal_to"} ; arg = seal_jkt */
	KMF_OP_LEASE_RENEW,
	KMF_OP_LEASE_END,
	KMF_OP_ROSTER,
	KMF_OP_AUDIT,	/* arg = query string */
	KMF_OP_READY,	/* readiness: named reasons */
	KMF_OP_FEED,	/* arg = query string; may be answered later */
	KMF_OP_HOOKS,	/* the webhooks and how they are */
	KMF_OP_DEAD,	/* obj = webhook; arg = query string */
	KMF_OP_METRICS, /* Prometheus text of the keeper's part */
	KMF_OP_CONF_CANCEL,
	KMF_OP_CONF_LOCK,
	KMF_OP_CONF_UNLOCK,
	KMF_OP_CONF_EXTEND,
	KMF_OP_INV_GET,	   /* obj = invitation */
	KMF_OP_EVENTS,	   /* SUBSCRIBE, not CALL: open an event stream */
	KMF_OP_EVICT,	/* a person, member or not */
	KMF_OP_SERIES_LIST, /* arg = query string; from here conf = series */
	KMF_OP_SERIES_GET,
	KMF_OP_SERIES_ICS, /* obj = invitee */
	KMF_OP_SERIES_PATCH,
	KMF_OP_SERIES_CANCEL,
	KMF_OP_SERIES_DELETE,
	KMF_OP_SERIES_CURRENT, /* body: the conference's id */
	KMF_OP_OCCURRENCE_LIST, /* arg = query string */
	KMF_OP_OCCURRENCE_MAKE,
	KMF_OP_SERIES_SEND, /* obj = invitee */
	KMF_OP_REDELIVER, /* obj = webhook */
	KMF_OP_MEMBER_GET, /* obj = member */
	KMF_OP_TOKEN_ROLE, /* a person's own role token; arg = wanted scope */
	KMF_OP_LAST
};

enum kmf_who { /* how the caller was authenticated */
	KMF_WHO_NOBODY,
	KMF_WHO_CLIENT, /* sub = client id; scope */
	KMF_WHO_MEMBER, /* token1: sub = member id, conf bound */
	KMF_WHO_PERSON, /* some issuer's word: iss, sub, email, name, groups */
	KMF_WHO_CODE,	/* code = invitation code, not yet looked up */
	KMF_WHO_ROLE,	/* a role token: sub = p_ id of a person; scope */
	KMF_WHO_LAST
};

/* Strings point into the frame and are never NULL ("" when absent). */
struct kmf_identity {
	enum kmf_who who;
	const char *iss, *sub, *email, *name, *code, *scope;
	bool email_verified;
	const char *groups[KMF_GROUPS_MAX];
	unsigned ngroups;
	/* The issuer's setting maps claims to roles: words, "" for none. */
	const char *roles;
	/* The provider left groups out (too many for a token): absent from
	 * the list is not "not in the group". */
	bool groups_partial;
	const char *kind;	/* person, room, recorder; "" as invited */
	const char *token_conf; /* conference the token is bound to */
	const char *jkt;	/* thumbprint that proved possession */
	const char *x5t;	/* RFC 8705: that of the TLS certificate */
	int64_t token_exp_s;
};

struct kmf_call {
	enum kmf_op op;
	struct kmf_identity id;
	const char *conf, *obj, *arg, *arg2;
	const char *if_match, *idempotency_key;
	const char *request_id;
	/* DPoP replay: hash of jti and htu, until when it must be kept; the
	 * keeper refuses what it has seen. "" when there was no proof. */
	const char *replay_hash;
	int64_t replay_until_s;
	bool replay_nonce; /* the proof has a nonce of the keeper's present life */
	const uint8_t *body;
	size_t body_len;
};

struct kmf_reply {
	uint16_t status;	  /* HTTP status */
	const char *code;	  /* stable error code, "" when 2xx */
	const char *detail;	  /* for people */
	const char *content_type; /* "" none */
	const char *location, *etag;
	const char *next;	  /* cursor of the next page; "" none */
	const char *secret_header; /* Encryption-Key value; "" none */
	uint32_t retry_after_s;	   /* 0 none */
	const uint8_t *body;
	size_t body_len;
};

/* Encode into a buffer that the caller frees (perc_secmem_free, wiped). */
PERC_MUST int
kmf_call_encode(uint8_t **bufp, size_t *lenp, const struct kmf_call *c);
PERC_MUST int kmf_call_decode(struct kmf_call *c, const uint8_t *p, size_t n);
PERC_MUST int
kmf_reply_encode(uint8_t **bufp, size_t *lenp, const struct kmf_reply *r);
PERC_MUST int kmf_reply_decode(struct kmf_reply *r, const uint8_t *p, size_t n);

/* SUBSCRIBE: the frame's id is the front's stream number from then on; the
 * keeper answers with STREAM_OPEN (no body) and EVENTs, or with STREAM_END
 * when it may not. */
struct kmf_subscribe {
	struct kmf_identity id;
	const char *conf; /* "": the feed of all events (kmf/event.h) */
	uint64_t last_event_id;
	const char *query, *after; /* of the feed; after: Last-Event-ID */
	const char *replay_hash;
	int64_t replay_until_s;
	bool replay_nonce;
};
PERC_MUST int kmf_subscribe_encode(
    uint8_t **bufp, size_t *lenp, const struct kmf_subscribe *s);
PERC_MUST int
kmf_subscribe_decode(struct kmf_subscribe *s, const uint8_t *p, size_t n);

struct kmf_refused {	    /* credentials that a front did not accept */
	const char *reason; /* in a few words */
	const char *what;   /* method and route */
	const char *peer;   /* address; "" several */
	const char *client; /* who it claimed to be, unproven; "" nobody */
	uint64_t count;	    /* so many alike, merged */
};
PERC_MUST int
kmf_refused_encode(uint8_t **bufp, size_t *lenp, const struct kmf_refused *r);
PERC_MUST int
kmf_refused_decode(struct kmf_refused *r, const uint8_t *p, size_t n);

struct kmf_counts { /* of a front, all of its life */
	uint64_t n[COUNT_LAST];
};
PERC_MUST int
kmf_counts_encode(uint8_t **bufp, size_t *lenp, const struct kmf_counts *c);
PERC_MUST int
kmf_counts_decode(struct kmf_counts *c, const uint8_t *p, size_t n);

struct kmf_event { /* for stream = frame id */
	uint64_t event_id;
	const char *name;
	const char *data; /* one line of JSON */
	const char *id;	  /* when not "": in the place of the number */
};
PERC_MUST int
kmf_event_encode(uint8_t **bufp, size_t *lenp, const struct kmf_event *e);
PERC_MUST int kmf_event_decode(struct kmf_event *e, const uint8_t *p, size_t n);

/*
 * PUSH: one event for many streams. Each gets the data head | own | tail, one
 * line of JSON. `to` is, for each: stream (u32), length of own (u16), own.
 */
struct kmf_push {
	uint64_t event_id;
	const char *name, *head, *tail;
	const uint8_t *to;
	size_t to_len;
};
PERC_MUST int kmf_push_encode(uint8_t **bufp, size_t *lenp,
    const struct kmf_push *e);
PERC_MUST int kmf_push_decode(struct kmf_push *e, const uint8_t *p, size_t n);

/*
 * ROSTER: a large roster, once for each front and not once for each member
 * who asks. It has the form of an event: sequence, conference, text. Both
 * sides keep it in the same place of a small table, and a reply to
 * KMF_OP_ROSTER without a body means the one there of the sequence in etag.
 */
#define KMF_ROSTER_PLACES 64
#define KMF_ROSTER_LARGE  65536 /* octets; smaller ones go in the reply */
unsigned kmf_roster_place(const char *conf);

struct kmf_stream_end { /* why a stream ends or was never opened */
	uint16_t status;
	const char *code, *detail;
};
PERC_MUST int kmf_stream_end_encode(
    uint8_t **bufp, size_t *lenp, const struct kmf_stream_end *e);
PERC_MUST int
kmf_stream_end_decode(struct kmf_stream_end *e, const uint8_t *p, size_t n);

struct kmf_welcome {	  /* first message of the keeper; again on rotation */
	const char *jwks; /* public keys, current and next */
	uint8_t nonce_key[32]; /* HMAC key of DPoP nonces, per start */
	uint8_t prev_nonce_key[32];
};
PERC_MUST int
kmf_welcome_encode(uint8_t **bufp, size_t *lenp, const struct kmf_welcome *w);
PERC_MUST int
kmf_welcome_decode(struct kmf_welcome *w, const uint8_t *p, size_t n);

struct kmf_keys { /* fetcher -> front: an issuer's keys, or why there are none
		   */
	const char *issuer, *jwks; /* jwks "" : none at present */
	const char *why;
	int64_t fetched_s;
};
PERC_MUST int
kmf_keys_encode(uint8_t **bufp, size_t *lenp, const struct kmf_keys *k);
PERC_MUST int kmf_keys_decode(struct kmf_keys *k, const uint8_t *p, size_t n);

/* About an opaque token (RFC 7662); the frame's id is the front's, and comes
 * back with the answer. */
struct kmf_question {
	uint32_t issuer; /* place in the configuration */
	const char *token;
};
PERC_MUST int
kmf_question_encode(uint8_t **bufp, size_t *lenp, const struct kmf_question *q);
PERC_MUST int
kmf_question_decode(struct kmf_question *q, const uint8_t *p, size_t n);

struct kmf_word {  /* of the issuer */
	bool good; /* it answered; text is its JSON, not looked at */
	const char *text;
	const char *why; /* when not good */
};
PERC_MUST int
kmf_word_encode(uint8_t **bufp, size_t *lenp, const struct kmf_word *w);
PERC_MUST int kmf_word_decode(struct kmf_word *w, const uint8_t *p, size_t n);

/* What the fetcher is to do outside; kmf/errand.h tells the rest. */
#define KMF_ERRAND_WHY_MAX 256

enum kmf_errand_kind {
	KMF_ERRAND_HOOK = 1, /* post an event to a webhook */
	KMF_ERRAND_MAIL,     /* hand a message to the mail server */
	KMF_ERRAND_LAST
};

enum kmf_errand_how {
	KMF_ERRAND_DONE,
	KMF_ERRAND_FAILED,  /* worth another try */
	KMF_ERRAND_REFUSED, /* for good: trying again would not help */
};

struct kmf_errand {
	enum kmf_errand_kind kind;
	uint64_t job;
	const uint8_t *body;
	size_t body_len;
};
PERC_MUST int
kmf_errand_encode(uint8_t **bufp, size_t *lenp, const struct kmf_errand *e);
PERC_MUST int
kmf_errand_decode(struct kmf_errand *e, const uint8_t *p, size_t n);

struct kmf_errand_end {
	enum kmf_errand_kind kind;
	uint64_t job;
	enum kmf_errand_how how;
	const char *why; /* in words, never with a secret; "" when done */
};
PERC_MUST int kmf_errand_end_encode(
    uint8_t **bufp, size_t *lenp, const struct kmf_errand_end *e);
PERC_MUST int
kmf_errand_end_decode(struct kmf_errand_end *e, const uint8_t *p, size_t n);
