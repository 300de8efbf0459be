/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Webhooks: every event of the feed that a webhook wants, one POST each, in
 * order, until it was taken or is too old (docs/wire/feed.md). The keeper
 * holds the secrets and signs; the fetcher posts what it is given. How far a
 * webhook is stands in the database; an errand under way does not, so after
 * a crash the last event is posted again, under the same id.
 */
#pragma once

#include <stdio.h>

#include "kmf/keeper_int.h"

#define KMF_HOOK_SECRET_MIN 16 /* octets of a line of secret_file */
#define KMF_HOOK_SECRET_MAX 512

struct kmf_hook {
	char name[DB_CLIENT_MAX], url[KMF_HOOK_URL_MAX], types[256];
	struct perc_secret *secrets[2];
	int64_t give_up_ms;
	int64_t flying; /* seq of the event under way; 0: none */
	uint64_t job;	/* the errand that it is */
	bool again;	/* that one had been given up before */
	int64_t seen;	/* nothing is wanted of what is up to it */
};

struct kmf_hooks {
	size_t n;
	struct kmf_hook h[KMF_HOOKS_MAX];
	/* No longer configured, but an event is under way; name "": free. */
	struct kmf_hook leaving[KMF_HOOKS_MAX];
	uint64_t jobs; /* errands so far */
};

/*
 * Hooks as the options say, in the turn that is open; also makes the row of
 * one that is new: it begins with what comes now. now: try those that fail at
 * once.
 */
PERC_MUST int kmf_hooks_make(struct kmf_hooks **hp, struct kmf_keeper *k,
    const struct kmf_hook_opts *o, size_t n, bool now);
/* They are the keeper's from here on; what is under way stays so. */
void kmf_hooks_take(struct kmf_keeper *k, struct kmf_hooks *next);
void kmf_hooks_free(struct kmf_hooks *w);
/* Whose event is this errand; NULL: nobody's. Then: it is over, and one that
 * was leaving is gone. */
struct kmf_hook *kmf_hook_of_job(struct kmf_keeper *k, uint64_t job);
void kmf_hook_landed(struct kmf_keeper *k, struct kmf_hook *h);
/* Events behind it are still wanted by somebody. */
int64_t kmf_hook_keep_after(struct kmf_keeper *k);
/* Move idle cursors over what nobody wants; within a transaction. */
PERC_MUST int kmf_hook_skip(struct kmf_keeper *k);
/* Prometheus text. */
PERC_MUST int kmf_hook_metrics(struct kmf_keeper *k, FILE *f);
int kmf_op_hooks(struct kmf_job *j);
int kmf_op_dead(struct kmf_job *j);
int kmf_op_redeliver(struct kmf_job *j);

/* The lines of secret_file: the first signs, so does a second (while the
 * receiver changes over). why: one line. secrets[1] may stay NULL. */
PERC_MUST int kmf_hook_secrets_read(struct perc_secret *secrets[static 2],
    const char *file, char *why, size_t whycap);
/* The same of what is open already; file is for why. */
PERC_MUST int kmf_hook_secrets_read_fd(struct perc_secret *secrets[static 2],
    int fd, const char *file, char *why, size_t whycap);
/* "t=<seconds>,v1=<hex>[,v1=<hex>]" over "<seconds>.<body>". */
#define KMF_HOOK_SIGNATURE_MAX 200
PERC_MUST int kmf_hook_sign(char out[static KMF_HOOK_SIGNATURE_MAX],
    const struct kmf_hook *h, int64_t now_s, const char *body);

/* hook_send.c, for errand.c */
extern const struct kmf_errand_kind_ops kmf_hook_errands;
/* fetch_hook.c, for fetch_errand.c */
extern const struct kmf_run_ops kmf_hook_runner;
