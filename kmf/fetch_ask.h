/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The fetcher's questions about opaque tokens (RFC 7662). A front asks, with
 * a number of its own; each question ends with one answer of that number,
 * but for a front that went away.
 */
#pragma once

#include "kmf/kmf.h"
#include "kmf/msg.h"
#include "perc/chan.h"
#include "perc/httpc.h"
#include "perc/jose.h"
#include "perc/secret.h"

#define KMF_ASKS_MAX 256 /* questions under way */

struct kmf_asker;

struct kmf_ask { /* one question; chan NULL: the place is free */
	struct kmf_asker *a;
	struct perc_chan *chan;
	uint32_t id;
	struct perc_httpc_req *req;
};

struct kmf_asker {
	const struct kmf_conf *conf;
	struct {
		struct perc_httpc *client;
		struct perc_jwk *key;	    /* or */
		struct perc_secret *secret; /* how we prove who we are */
		char *url;		    /* NULL: not discovered yet */
	} issuer[KMF_ISSUERS_MAX];
	struct kmf_ask ask[KMF_ASKS_MAX];
};

/* Read the credentials: before privileges are dropped. why: for people. */
PERC_MUST int kmf_asker_load(
    struct kmf_asker *a, const struct kmf_conf *c, char *why, size_t whycap);
PERC_MUST int kmf_asker_open(struct kmf_asker *a, struct perc_loop *l);
void kmf_asker_close(struct kmf_asker *a);
/* The issuer's metadata name this endpoint (or NULL). */
void kmf_asker_found(struct kmf_asker *a, size_t issuer, const char *url);
/* From a front; never fails, but the answer may say so. */
void kmf_asker_ask(struct kmf_asker *a, struct perc_chan *chan, uint32_t id,
    const struct kmf_question *q);
/* This channel is going away. */
void kmf_asker_drop(struct kmf_asker *a, const struct perc_chan *chan);
/* Is any question under way? */
bool kmf_asker_busy(const struct kmf_asker *a);
/* Would this issuer's credential do? */
PERC_MUST int
kmf_asker_check(const struct kmf_issuer *i, char *why, size_t whycap);
