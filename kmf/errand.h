/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Errands: what the keeper, which has no network, lets others do outside: the
 * fetcher post to a webhook, the mailer hand a message to a mail server.
 *
 *   keeper -> outlet  ERRAND      kind, job, body
 *   outlet -> keeper  ERRAND_END  kind, job, how it ended, why in words
 *
 * An outlet is either of those two processes; each knows its own kinds and no
 * other. `job` is the kind's own number (a row of the database), `body` a
 * JSON object whose members the two ends of the kind agree on. Each errand
 * gets exactly one end, unless the outlet dies first: then the keeper's side
 * of the kind hears lost() and gives the same job again to its heir. One that
 * is replaced in good order, at a reload, finishes what it has and goes. So an
 * errand may be run twice and must say what it is (an event id, a
 * Message-ID), and what has to survive stands in the database before it is
 * sent: this channel forgets.
 *
 * To add a kind: a name in enum kmf_errand_kind, and whose it is in
 * kmf_errand_outlet(); in the keeper its ops in kinds[] of errand.c; outside
 * its ops in kinds[] of fetch_errand.c.
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

static inline enum kmf_outlet
kmf_errand_outlet(enum kmf_errand_kind kind)
{
	return kind == KMF_ERRAND_MAIL ? KMF_OUTLET_MAILER : KMF_OUTLET_FETCHER;
}

/* --- the keeper's side ------------------------------------------------- */

struct kmf_keeper;

struct kmf_errand_kind_ops {
	/*
	 * Send what is due by kmf_errand_send(), from what is committed: no
	 * transaction is open. Called after the commit of a turn in which
	 * kmf_errand_wake() was called for this kind, when an errand of it
	 * ended, when its outlet came, and at *next_ms (wall clock; set it,
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
#define KMF_HEIRS_MAX	4   /* at once: who was before them still finishes */

struct kmf_flight {
	enum kmf_errand_kind kind;
	uint64_t job;
	struct perc_chan *chan; /* whose it is; NULL: a free place */
};

struct kmf_errands { /* within struct kmf_keeper */
	struct kmf_errands_way {
		struct perc_chan *chan; /* NULL: nobody at present */
		struct perc_chan *old[KMF_HEIRS_MAX]; /* that only finish */
	} way[KMF_OUTLETS];
	struct kmf_flight flights[KMF_FLIGHTS_MAX];
	unsigned wake; /* bits 1 << kind: pump at the next commit */
	int64_t next_ms[KMF_ERRAND_LAST];
	struct perc_timer timer;
};

/* Something of this kind may be due once this turn is committed. */
void kmf_errand_wake(struct kmf_keeper *k, enum kmf_errand_kind kind);
/* From pump() alone. PERC_ERR_CLOSED: no outlet; it will be asked again. The
 * numbers of a kind's jobs under way must differ. */
PERC_MUST int kmf_errand_send(struct kmf_keeper *k, enum kmf_errand_kind kind,
    uint64_t job, const void *body, size_t len);
/* Is this job under way? */
bool kmf_errand_flies(
    const struct kmf_keeper *k, enum kmf_errand_kind kind, uint64_t job);
/* How many are, of a kind; at the present outlet alone, or at all. */
unsigned kmf_errands_count(
    const struct kmf_keeper *k, enum kmf_errand_kind kind, bool present);
/* What is to be done outside has changed: nothing more for this process, its
 * heir is on the way. */
void kmf_errands_rest(struct kmf_keeper *k, enum kmf_outlet o);
/* Is one there? */
bool kmf_errands_out(const struct kmf_keeper *k, enum kmf_outlet o);
/* keeper.c: after a commit, and after one that failed. */
void kmf_errands_pump(struct kmf_keeper *k);
void kmf_errands_later(struct kmf_keeper *k);
void kmf_errands_stop(struct kmf_keeper *k);

/* --- the outlets' side ------------------------------------------------- */

struct kmf_runner { /* what runs errands; passed to every kind */
	struct perc_loop *loop;
	const struct kmf_conf *conf;
	enum kmf_outlet outlet;	      /* whose kinds it runs */
	struct perc_chan *chan;	      /* to the keeper; NULL: it is gone */
	unsigned flying;	      /* errands that have not ended */
	void *state[KMF_ERRAND_LAST]; /* a kind's own */
};

struct kmf_run_ops {
	/* Before the cage: read files, set u->state[kind]. */
	int (*open)(struct kmf_runner *u);
	/* Begin, without blocking; then, now or later, kmf_run_end() once.
	 * An error here is told as KMF_ERRAND_FAILED. o dies on return. */
	int (*start)(struct kmf_runner *u, uint64_t job, const json_t *o);
	void (*close)(struct kmf_runner *u);
};

/* Take over fd; o's kinds open. u outlives the channel. */
PERC_MUST int kmf_runner_open(struct kmf_runner *u, enum kmf_outlet o,
    struct perc_loop *l, const struct kmf_conf *c, int fd);
void kmf_runner_close(struct kmf_runner *u);
/* How a job ended; why: a few words for people, "" when done. */
void kmf_run_end(struct kmf_runner *u, enum kmf_errand_kind kind, uint64_t job,
    enum kmf_errand_how how, const char *why);
