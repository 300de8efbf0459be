/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Errands: what the keeper, which has no network, lets the fetcher do
 * outside: post to a webhook, hand a message to a mail server.
 *
 *   keeper  -> fetcher  ERRAND      kind, job, body
 *   fetcher -> keeper   ERRAND_END  kind, job, how it ended, why in words
 *
 * `job` is the kind's own number (a row of the database), `body` a JSON
 * object whose members the two ends of the kind agree on. Each errand gets
 * exactly one end, unless the fetcher dies first: then the keeper's side of
 * the kind hears lost() and gives the same job again to the next fetcher. One
 * that is replaced in good order, at a reload, finishes what it has and goes.
 * So an errand may be run twice and must say what it is (an event id, a
 * Message-ID), and what has to survive stands in the database before it is
 * sent: this channel forgets.
 *
 * To add a kind: a name in enum kmf_errand_kind; in the keeper its ops in
 * kinds[] of errand.c; in the fetcher its ops in kinds[] of fetch_errand.c.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "kmf/kmf.h"
#include "kmf/msg.h"
#include "perc/chan.h"
#include "perc/loop.h"

#define KMF_ERRAND_BODY_MAX (1u << 20)

/* --- the keeper's side ------------------------------------------------- */

struct kmf_keeper;

struct kmf_errand_kind_ops {
	/*
	 * Send what is due by kmf_errand_send(), from what is committed: no
	 * transaction is open. Called after the commit of a turn in which
	 * kmf_errand_wake() was called for this kind, when an errand of it
	 * ended, when a fetcher came, and at *next_ms (wall clock; set it,
	 * 0: not by the clock). It may be called too often, never too seldom.
	 */
	int (*pump)(struct kmf_keeper *k, int64_t *next_ms);
	/* Write down what became of it; the turn's transaction is open. On an
	 * error its writes are undone, and lost() is called. */
	int (*end)(struct kmf_keeper *k, const struct kmf_errand_end *e);
	/* By the clock, before pump(): write down what a pump found, which
	 * may not write. It begins the turn when there is something; NULL:
	 * there never is. */
	int (*settle)(struct kmf_keeper *k);
	/* Nobody knows what became of this one: forget that it is under way.
	 */
	void (*lost)(struct kmf_keeper *k, uint64_t job);
};

#define KMF_FLIGHTS_MAX 128 /* errands under way */
#define KMF_FETCHERS_OLD 4

struct kmf_flight {
	enum kmf_errand_kind kind;
	uint64_t job;
	struct perc_chan *chan; /* whose it is; NULL: a free place */
};

struct kmf_errands { /* within struct kmf_keeper */
	struct perc_chan *chan; /* NULL: no fetcher at present */
	struct perc_chan *old[KMF_FETCHERS_OLD]; /* that only finish */
	struct kmf_flight flights[KMF_FLIGHTS_MAX];
	unsigned wake;		/* bits 1 << kind: pump at the next commit */
	int64_t next_ms[KMF_ERRAND_LAST];
	struct perc_timer timer;
};

/* Something of this kind may be due once this turn is committed. */
void kmf_errand_wake(struct kmf_keeper *k, enum kmf_errand_kind kind);
/* From pump() alone. PERC_ERR_CLOSED: no fetcher; it will be asked again. The
 * numbers of a kind's jobs under way must differ. */
PERC_MUST int kmf_errand_send(struct kmf_keeper *k, enum kmf_errand_kind kind,
    uint64_t job, const void *body, size_t len);
/* Is this job under way? */
bool kmf_errand_flies(const struct kmf_keeper *k, enum kmf_errand_kind kind,
    uint64_t job);
/* How many are, of a kind; at the present fetcher alone, or at all. */
unsigned kmf_errands_count(const struct kmf_keeper *k,
    enum kmf_errand_kind kind, bool present);
/* What is to be done outside has changed: nothing more for this fetcher, its
 * heir is on the way. */
void kmf_errands_rest(struct kmf_keeper *k);
/* keeper.c: after a commit, and after one that failed. */
void kmf_errands_pump(struct kmf_keeper *k);
void kmf_errands_later(struct kmf_keeper *k);
void kmf_errands_stop(struct kmf_keeper *k);

/* --- the fetcher's side ------------------------------------------------ */

struct kmf_runner { /* what runs errands; passed to every kind */
	struct perc_loop *loop;
	const struct kmf_conf *conf;
	struct perc_chan *chan;		/* to the keeper; NULL: it is gone */
	unsigned flying;		/* errands that have not ended */
	void *state[KMF_ERRAND_LAST];	/* a kind's own */
};

struct kmf_run_ops {
	/* Before the cage: read files, set u->state[kind]. */
	int (*open)(struct kmf_runner *u);
	/* Begin, without blocking; then, now or later, kmf_run_end() once.
	 * An error here is told as KMF_ERRAND_FAILED. o dies on return. */
	int (*start)(struct kmf_runner *u, uint64_t job, const json_t *o);
	void (*close)(struct kmf_runner *u);
};

/* Take over fd; the kinds open. u outlives the channel. */
PERC_MUST int kmf_runner_open(struct kmf_runner *u, struct perc_loop *l,
    const struct kmf_conf *c, int fd);
void kmf_runner_close(struct kmf_runner *u);
/* How a job ended; why: a few words for people, "" when done. */
void kmf_run_end(struct kmf_runner *u, enum kmf_errand_kind kind,
    uint64_t job, enum kmf_errand_how how, const char *why);
