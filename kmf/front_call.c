/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Calls to the keeper under way. A call's number is its place in a fixed
 * table and a running count, so a late answer to a request that was given up
 * finds nobody.
 */
#include "config.h"

#include <stdlib.h>

#include "kmf/front.h"
#include "perc/log.h"
#include "perc/secret.h"

#define PLACE(id) ((id) % FRONT_CALLS_MAX)

static int
place_take(struct front *f, struct front_req *q)
{
	unsigned i, at;

	for (i = 0; i < FRONT_CALLS_MAX; i++) {
		at = f->call_next;
		f->call_next = (at + 1) % FRONT_CALLS_MAX;
		if (f->calls[at] != NULL)
			continue;
		f->calls[at] = q;
		f->ncalls++;
		q->call = at + 1;
		/* Counts in the high bits; 0 is never a number. */
		f->call_count = f->call_count % 500000 + 1;
		q->call_id = f->call_count * FRONT_CALLS_MAX + at;
		return 0;
	}
	return PERC_ERR_LIMIT;
}

static void
place_leave(struct front_req *q)
{
	q->f->calls[q->call - 1] = NULL;
	q->f->ncalls--;
	q->call = 0;
}

void
front_call(struct front_req *q, struct kmf_call *c,
    void (*on_reply)(struct front_req *, const struct kmf_reply *))
{
	struct front *f = q->f;
	uint8_t *buf = NULL;
	size_t len;
	int r;

	c->id = q->who;
	c->request_id = q->id;
	/* A proof is good for one act; asking for a key is none yet. */
	if (q->proved && c->op != KMF_OP_CLIENT_KEY) {
		c->replay_hash = q->replay;
		c->replay_until_s = q->proof.iat_s + FRONT_DPOP_WINDOW_S + 1;
		c->replay_nonce = q->proof.nonce[0] != '\0'; /* looked at */
	}
	q->on_reply = on_reply;
	q->until_ms = perc_now_ms() + FRONT_CALL_MS +
	    (q->route->handler == KMF_H_FEED ? KMF_FEED_WAIT_S * 1000 : 0);
	if (f->keeper == NULL || (r = place_take(f, q)) != 0) {
		front_busy(q);
		return;
	}
	if ((r = kmf_call_encode(&buf, &len, c)) == 0)
		r = perc_chan_send(
		    f->keeper, KMF_MSG_CALL, q->call_id, buf, len);
	perc_secmem_free(buf);
	if (r != 0) {
		log_warnx(
		    "front.call id=%s err=\"%s\"", q->id, perc_strerror(r));
		place_leave(q);
		front_busy(q);
	}
}

int
front_on_reply(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct front *f = arg;
	struct front_req *q = f->calls[PLACE(m->id)];
	struct kmf_reply a;
	int r;

	if ((r = kmf_reply_decode(&a, m->data, m->len)) != 0)
		return r;
	if (q == NULL || q->call_id != m->id)
		return 0; /* given up */
	place_leave(q);
	q->on_reply(q, &a);
	return 0;
}

void
front_calls_tick(struct front *f, int64_t now_ms)
{
	struct front_req *q;
	unsigned i;

	if (f->ncalls == 0)
		return;
	for (i = 0; i < FRONT_CALLS_MAX; i++)
		if ((q = f->calls[i]) != NULL && now_ms > q->until_ms) {
			log_warnx("front.call id=%s err=timeout", q->id);
			f->count[COUNT_TIMEOUTS]++;
			place_leave(q);
			front_busy(q);
		}
}

void
front_calls_end(struct front *f)
{
	struct front_req *q;
	unsigned i;

	for (i = 0; i < FRONT_CALLS_MAX; i++)
		if ((q = f->calls[i]) != NULL) {
			place_leave(q);
			front_busy(q);
		}
}
