/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The supervisor gives the keeper and the fetcher the channel to a front that
 * replaces a dead one, the keeper those to a new fetcher and mailer, and a
 * configuration that was read anew: a descriptor over a socketpair
 * (SCM_RIGHTS).
 */
#pragma once

#include "perc/err.h"
#include "perc/loop.h"

/* In the place of a front's number. */
#define KMF_HANDOVER_FETCHER 255
#define KMF_HANDOVER_CONF    254 /* the new configuration's text, last */
#define KMF_HANDOVER_PING    253 /* write one octet into it */
#define KMF_HANDOVER_MAILER  252
#define KMF_HANDOVER_SECRET  128 /* + n: secret_file of its n-th webhook */

/* The keeper's word about CONF, over the same socket: one of these, after NO
 * the reason for people. */
#define KMF_HANDOVER_YES      'y'
#define KMF_HANDOVER_NO	      'n'
#define KMF_HANDOVER_WORD_MAX 600

/* fd is the receiver's to own. */
typedef void (*kmf_handover_fn)(unsigned front, int fd, void *arg);

struct kmf_handover {
	struct perc_io *io;
	struct perc_loop *loop;
	kmf_handover_fn fn;
	void (*gone)(void *arg);
	void *arg;
};

/* Watch `sock`; when the supervisor has closed it gone is called, or, when
 * that is NULL, the loop is stopped. */
PERC_MUST int kmf_handover_watch(struct kmf_handover *h, struct perc_loop *l,
    int sock, kmf_handover_fn fn, void (*gone)(void *arg), void *arg);
void kmf_handover_stop(struct kmf_handover *h);

/* The supervisor's side; fd stays the caller's. */
PERC_MUST int kmf_handover_send(int sock, unsigned front, int fd);
