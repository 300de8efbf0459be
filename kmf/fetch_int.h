/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the files of the fetcher share: fetch.c is the process, fetch_keys.c
 * the providers' metadata and keys, fetch_ask.c their word about tokens;
 * fetch_cage.c is the mailer's (mailer.c) too.
 */
#pragma once

#include "kmf/errand.h"
#include "kmf/fetch_ask.h"
#include "kmf/handover.h"
#include "kmf/kmf.h"
#include "perc/chan.h"
#include "perc/httpc.h"
#include "perc/loop.h"

#define FETCH_MAX	(256u << 10) /* octets of one document */
#define FETCH_URL_MAX	1024
#define FETCH_FILES_MAX (2 * KMF_ISSUERS_MAX + KMF_HOOKS_MAX)

struct fetch;

enum fetch_step { FETCH_OIDC, FETCH_OAUTH, FETCH_JWKS };

struct fetch_issuer {
	struct fetch *f;
	const struct kmf_issuer *conf;
	struct perc_httpc *client;
	struct perc_httpc_req *req; /* single flight; NULL: idle */
	enum fetch_step step;
	char url[FETCH_URL_MAX];
	char *keys; /* last good set, NULL: none yet */
	int64_t fetched_s, started_ms, retry_ms;
	char why[160];
	struct perc_timer timer;
};

struct fetch_front {
	struct fetch *f;
	struct perc_chan *chan;
};

struct fetch {
	const struct kmf_conf *conf;
	struct perc_loop *loop;
	struct fetch_issuer issuers[KMF_ISSUERS_MAX];
	struct fetch_front fronts[KMF_FRONTS_MAX];
	struct kmf_handover handover;
	struct kmf_runner runner;
	struct kmf_asker asker;
	struct perc_timer retired; /* an heir is there: finish and go */
};

/* fetch_cage.c: from now on the network, what resolver and TLS read, and these
 * files, NULL-terminated, FETCH_FILES_MAX at most. */
PERC_MUST int fetch_cage(const char *const files[]);

/* fetch_keys.c: fetch i's keys, unless that is under way; then every front
 * hears, and the next time is set. arg: struct fetch_issuer. */
void fetch_keys_start(void *arg);
/* What we have of it, to one front. */
void fetch_keys_tell(struct fetch_issuer *i, struct fetch_front *e);
