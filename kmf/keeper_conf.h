/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The keeper's process and its configuration: as options, and a new one that
 * the supervisor hands over (kmf/handover.h). The keeper can open no file, so
 * text and secrets come as descriptors.
 */
#pragma once

#include "kmf/keeper.h"
#include "perc/b64.h"
#include "perc/crypto.h"

struct kmf_hook_set { /* what options of webhooks point to */
	struct kmf_hook_opts o[KMF_HOOKS_MAX];
	struct perc_secret *secrets[KMF_HOOKS_MAX][2];
};

/* What changes at a reload; o borrows from c and w. fds: of the secrets, or
 * NULL: they are opened. why: one line. Call forget in any case. */
PERC_MUST int kmf_keeper_opts_put(struct kmf_keeper_opts *o,
    struct kmf_hook_set *w, const struct kmf_conf *c, const int *fds,
    char *why, size_t cap);
void kmf_hook_set_forget(struct kmf_hook_set *w);

struct kmf_heir_conf { /* embedded; what has arrived so far */
	struct kmf_keeper *k;
	const struct kmf_conf *now; /* in force */
	struct kmf_conf *own;	    /* the same, when it is ours; or NULL */
	int secrets[KMF_HOOKS_MAX]; /* -1: none */
	int sock;		    /* where the supervisor waits for a word */
};

void kmf_heir_conf_init(struct kmf_heir_conf *h, struct kmf_keeper *k,
    const struct kmf_conf *c, int sock);
void kmf_heir_conf_clear(struct kmf_heir_conf *h);
/* Take these over. */
void kmf_heir_conf_secret(struct kmf_heir_conf *h, unsigned n, int fd);
void kmf_heir_conf_text(struct kmf_heir_conf *h, int fd);

/* Which configuration this is, for who compares: base64url SHA-256, "" when
 * it cannot be read. */
#define KMF_CONF_HASH_LEN PERC_B64_LEN(PERC_SHA256_LEN)
void kmf_conf_hash(char out[static KMF_CONF_HASH_LEN + 1], int fd);
