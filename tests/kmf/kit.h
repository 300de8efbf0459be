/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A real keeper on a real database in a directory of its own, driven as a
 * front would: frames over a socketpair. Time is the test's. Endpoints have
 * real keys, so that sealed answers are opened and signatures checked.
 */
#pragma once

#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdbool.h>

#include "kmf/keeper_int.h"

#define KIT_BASE "https://kmf.example"
#define KIT_MDD "https://mdd.example:9443"
#define KIT_EVENTS 4096

struct kit_event {
	uint32_t stream;
	uint64_t id;
	char name[16]; /* "END" for the end of the stream */
	uint16_t status;
	char code[32];
	json_t *data;
};

struct kit_reply { /* of the last call; strings stay until the next */
	uint16_t status;
	char code[40], detail[256], content_type[40], location[400];
	char etag[48], secret_header[600];
	uint32_t retry_after_s;
	json_t *json; /* when the body is JSON */
	char *text;
};

struct kit {
	char dir[64], db_file[128];
	uint8_t root[32];
	int64_t now_ms;
	int64_t set_ms; /* how far the clock was set, unlike time passing */
	struct perc_loop *loop;
	struct kmf_keeper *k;
	struct perc_chan *chan;
	uint32_t next_id, want_id;
	bool answered;
	struct kit_reply r;
	struct kit_event ev[KIT_EVENTS];
	size_t nev, seen;
	char *jwks_text;
	struct perc_jwks *jwks;
	unsigned replies; /* all that came */
	uint32_t opened; /* the stream that was opened last */
	unsigned pushes;  /* events for many that came in one message */
	const char *query; /* of the next streams; NULL: none */
	const char *arg;  /* of the next calls of members; NULL: none */
	unsigned rosters; /* large ones, given to the front */
	uint64_t roster_seq; /* of the newest */
	size_t roster_len;
	void (*fault)(bool on); /* called around the keeper's work; or NULL */
};

/* One endpoint: a person, keys, and what the keeper gave it. */
struct kit_end {
	const char *iss, *sub, *email, *name;
	const char *group;
	const char *x5t, *kind; /* bound to a certificate; what it is */
	bool direct;		/* uses the provider's own token */
	bool unbound;		/* which is bound to nothing */
	char code[40];
	struct perc_jwk *sign, *seal;
	char jkt[PERC_JKT_LEN + 1], seal_jkt[PERC_JKT_LEN + 1];
	char member[40], conf[40];
	/* from the newest key */
	uint32_t epoch, spi;
	uint8_t key[64];
	size_t keylen; /* key || salt */
	uint8_t delivery[32];
	json_t *claims;
};

void kit_open(struct kit *t);
void kit_close(struct kit *t); /* and remove everything */
void kit_restart(struct kit *t);
void kit_stop(struct kit *t);
void kit_start(struct kit *t);
/* Let so much time pass, in steps, serving what is due. */
void kit_pass(struct kit *t, int64_t ms);

/* Send without waiting; returns the frame's id. */
uint32_t kit_send(struct kit *t, const struct kmf_call *c);
struct kit_reply *kit_call(struct kit *t, const struct kmf_call *c);
void kit_turn(struct kit *t);
/* Run the loop until all so many replies of all time have come. */
void kit_wait(struct kit *t, unsigned replies);

/* As the administrator; body is JSON text or NULL. */
struct kit_reply *kit_admin(struct kit *t, enum kmf_op op, const char *conf,
    const char *obj, const char *body);
/* A client that may ask for these scopes, with no key worth the name. */
void kit_client(struct kit *t, const char *id, const char *scope);
void kit_client_set(struct kit *t, const char *id, const char *scope,
    bool disabled);
/* As that client, its token having this scope. */
struct kit_reply *kit_staff(struct kit *t, const char *id, const char *scope,
    enum kmf_op op, const char *conf, const char *obj, const char *body);
/* A conference from now on, with an invitation for each code wanted. */
void kit_conf(struct kit *t, char id[static 40], const char *policy);
void kit_code(struct kit *t, const char *conf, struct kit_end *e,
    const char *name, char inv[static 40]);

void kit_end_open(struct kit_end *e, const char *sub);
void kit_end_close(struct kit_end *e);
struct kit_reply *kit_token1(struct kit *t, struct kit_end *e,
    const char *conf);
/* As the member with its token1. */
struct kit_reply *kit_as(struct kit *t, struct kit_end *e, enum kmf_op op,
    const char *body);
/* The sealed form; opens and checks the answer into e. */
struct kit_reply *kit_keys(struct kit *t, struct kit_end *e);
/* token1, then keys; fails the test unless both succeed. */
void kit_join(struct kit *t, struct kit_end *e, const char *conf);
uint32_t kit_stream(struct kit *t, struct kit_end *e);
uint32_t kit_stream_after(struct kit *t, struct kit_end *e,
    const char *after); /* Last-Event-ID */
/* The next event of that stream with that name ("" any) not yet looked at;
 * NULL when there is none. */
struct kit_event *kit_event(struct kit *t, uint32_t stream,
    const char *name);
/* Open a pushed epoch into e; false when it does not open. */
bool kit_epoch_open(struct kit *t, struct kit_end *e,
    const struct kit_event *ev);
/* Verify a statement of the KMF; fails the test. The caller decrefs. */
json_t *kit_verify(struct kit *t, const char *jws, const char *typ);
/* Is the needle anywhere in the database's files? */
bool kit_on_disk(struct kit *t, const void *needle, size_t n);
/* A member that is a number, 0 or more; fails the test. */
int64_t kit_num(const json_t *o, const char *name);
