/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The supervisor gives the keeper and the fetcher the channel to a front that
 * replaces a dead one, and the keeper that to a new fetcher: a descriptor over
 * a socketpair (SCM_RIGHTS).
 */
#pragma once

#include "perc/err.h"
#include "perc/loop.h"

/* In the place of a front's number. */
#define KMF_HANDOVER_FETCHER 255
#define KMF_HANDOVER_CONF    254 /* the new configuration's text */
#define KMF_HANDOVER_PING    253 /* write one octet into it */

/* fd is the receiver's to own. */
typedef void (*kmf_handover_fn)(unsigned front, int fd, void *arg);

struct kmf_handover {
	struct perc_io *io;
	struct perc_loop *loop;
	kmf_handover_fn fn;
	void *arg;
};

/* Watch `sock`; when the supervisor is gone the loop is stopped. */
PERC_MUST int kmf_handover_watch(struct kmf_handover *h, struct perc_loop *l,
    int sock, kmf_handover_fn fn, void *arg);
void kmf_handover_stop(struct kmf_handover *h);

/* The supervisor's side; fd stays the caller's. */
PERC_MUST int kmf_handover_send(int sock, unsigned front, int fd);
