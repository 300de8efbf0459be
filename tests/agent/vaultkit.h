/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the vault's tests share: a KMF that signs, a front that speaks the
 * real channel, a local application with real sockets. The vault runs in the
 * test's own process and loop; nothing of it is replaced.
 */
#pragma once

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/vault.h"

#define KIT_KMF	    "https://kmf.test"
#define KIT_MSGS    8192
#define KIT_MEMBERS 4

struct kit_kmf { /* a KMF's statement key and the vault's pin of it */
	struct perc_jwk *key;
	struct vault_config config;
};

struct kit_conf { /* a conference as the KMF knows it */
	const char *id;
	uint64_t epoch, seq;
	uint16_t spi;
	size_t keylen;
	uint8_t key[32], salt[12];
	char prev[PERC_JKT_LEN + 1];
};

struct kit_msg {
	uint16_t type;
	uint32_t id;
	uint8_t *data;
	size_t len;
};

struct kit { /* one endpoint: vault, front, application */
	struct perc_loop *loop;
	struct vault *vault;
	struct perc_chan *chan; /* the front's end */
	bool closed;
	struct kit_msg q[KIT_MSGS];
	unsigned nq;
	uint32_t next_id;
	struct perc_jwk *seal; /* the vault's public sealing key */
	char *sign;	       /* its public signing key, JSON */
	char member[VAULT_ID_MAX], name[64];
	uint32_t ssrc[VAULT_LOCAL_STREAMS];
	unsigned layers; /* of its picture; 0: told without */
	uint8_t delivery[VAULT_DELIVERY_LEN];
	uint16_t base;	     /* of its out ports */
	uint16_t port[VAULT_LOCAL_STREAMS][2]; /* slot 0: [stream][rtcp] */
	int app;	     /* the application's sending socket */
	uint16_t seq;
	uint32_t ts;
	int rx;	   /* a receiver's socket, -1 */
	int guard; /* holds the range of base */
};

struct kit_done { /* an answered request; clear frees */
	int err;
	char words[128];
	json_t *json;
};

void kit_kmf_open(struct kit_kmf *k);
void kit_kmf_close(struct kit_kmf *k);

/* member "m_<name>"; HELLO is done. */
void kit_open(struct kit *k, struct perc_loop *l, const struct kit_kmf *kmf,
    const char *name, unsigned number);
void kit_close(struct kit *k);
/* Turn the loop until nothing moves for `ms`. */
void kit_settle(struct kit *k, int ms);

/* Send a frame of strings; returns its id. */
uint32_t kit_send(struct kit *k, uint16_t type, unsigned n, ...);
void kit_send_raw(struct kit *k, uint16_t type, const void *p, size_t n);
/* Wait for a message of this type (and id, unless 0) and take it out of the
 * queue; false: none within two seconds, or the channel ended. */
bool kit_wait(struct kit *k, uint16_t type, uint32_t id, struct kit_msg *m);
/* Without waiting. */
bool kit_take(struct kit *k, uint16_t type, struct kit_msg *m);
void kit_msg_clear(struct kit_msg *m);
void kit_drop(struct kit *k, uint16_t type); /* all that wait */
/* Send and wait for DONE. */
struct kit_done kit_call(struct kit *k, uint16_t type, unsigned n, ...);
void kit_done_clear(struct kit_done *d);
/* The error of a call; words and JSON forgotten. */
int kit_err(struct kit_done d);
json_t *kit_status(struct kit *k, const char *conf); /* of that conference */

/* ---- what the KMF makes; over: members to replace (stolen), null removes --*/
void kit_conf_init(struct kit_conf *c, const char *id);
void kit_conf_rekey(struct kit_conf *c);
json_t *kit_answer_claims(const struct kit_conf *c, const struct kit *k);
char *kit_answer_seal(
    const struct perc_jwk *key, const struct kit *k, json_t *claims);
char *kit_answer(const struct kit_kmf *kmf, const struct kit_conf *c,
    const struct kit *k, json_t *over);
char *kit_statement(
    const struct perc_jwk *key, const struct kit_conf *c, json_t *over);
char *kit_sealed(const struct kit_conf *c, const struct kit *k);
/* Advances seq and prev unless over is given. */
char *kit_roster(const struct perc_jwk *key, struct kit_conf *c,
    struct kit *const *members, unsigned n, json_t *over);
char *kit_notice(const struct perc_jwk *key, const char *conf,
    const char *event, const char *member);

/* OPEN, KEY; expects success. */
void kit_join(struct kit *k, const struct kit_kmf *kmf, struct kit_conf *c);
/* The same epoch for all, by push. */
void kit_push(struct kit *k, const struct kit_kmf *kmf, struct kit_conf *c);
void kit_roster_all(const struct kit_kmf *kmf, struct kit_conf *c,
    struct kit *const *members, unsigned n);

/* ---- media ---------------------------------------------------------------*/
/* One packet of the application: payload "<name> <seq>". */
void kit_app_send(struct kit *k, enum vault_media media, uint8_t pt);
void kit_app_send_to(struct kit *k, uint16_t port, const void *p, size_t n);
/* Bind the receiver of this stream's RTP (or RTCP) port. */
void kit_listen(struct kit *k, uint16_t port);
/* Next datagram at the receiver, or 0. */
size_t kit_recv(struct kit *k, uint8_t *buf, size_t cap);
/* Carry every waiting MEDIA_OUT of from to its peers as MEDIA_IN. */
unsigned kit_carry(struct kit *from, struct kit *const *to, unsigned n);
/* Port of that SSRC as the last STREAMS said; 0: not there. */
uint16_t kit_port(struct kit *k, uint32_t ssrc);
int64_t kit_counter(struct kit *k, const char *conf, const char *name);
