/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The fronts that the keeper answers, and the closed list of what it takes
 * from them. A front that sends anything else is cut off.
 */
#include "kmf/event.h"

#include <stdlib.h>
#include <string.h>

#define CALL_MAX (KMF_BODY_MAX + 65536u)

static int
on_call(struct perc_chan *ch, const struct perc_chan_msg *m, void *arg)
{
	struct kmf_front *f = arg;
	struct kmf_keeper *k = f->k;
	struct kmf_answer a = { 0 };
	struct kmf_reply r = { 0 };
	struct kmf_call c;
	int err;

	if ((err = kmf_call_decode(&c, m->data, m->len)) != 0)
		return err;
	k->count.calls++;
	k->caller = f;
	k->caller_id = m->id;
	kmf_op_run(k, &c, &a);
	k->caller = NULL;
	if (a.status == KMF_ANSWER_LATER)
		return 0;
	r.status = a.status;
	r.code = a.code;
	r.detail = a.detail;
	r.content_type = a.content_type;
	r.location = a.location;
	r.etag = a.etag;
	r.next = a.next;
	r.secret_header = a.secret_header;
	r.retry_after_s = a.retry_after_s;
	r.body = (const uint8_t *)a.body;
	r.body_len = a.body_len;
	kmf_reply_queue(k, f, m->id, &r);
	kmf_answer_clear(&a);
	return 0;
}

static int
on_subscribe(struct perc_chan *ch, const struct perc_chan_msg *m, void *arg)
{
	struct kmf_front *f = arg;
	struct kmf_keeper *k = f->k;
	struct kmf_subscribe s;
	int r;

	if ((r = kmf_subscribe_decode(&s, m->data, m->len)) != 0)
		return r;
	kmf_stream_del(k, f, m->id); /* a number used twice: the old is dead */
	if ((r = kmf_turn_begin(k)) == 0)
		r = kmf_subscribe(k, f, m->id, &s);
	if (r != 0)
		kmf_stream_refuse(k, f, m->id, 503, "unavailable", "try again");
	return 0;
}

static int
on_unsubscribe(struct perc_chan *ch, const struct perc_chan_msg *m, void *arg)
{
	struct kmf_front *f = arg;

	kmf_stream_del(f->k, f, m->id);
	kmf_feed_del(f->k, f, m->id);
	return 0;
}

/* A failed login. It changes nothing, so it is worth no answer; the record
 * that cannot be kept is told in the log, as all are by the front. */
static int
on_refused(struct perc_chan *ch, const struct perc_chan_msg *m, void *arg)
{
	struct kmf_front *f = arg;
	struct kmf_refused x;
	int r;

	if ((r = kmf_refused_decode(&x, m->data, m->len)) != 0)
		return r;
	if ((r = kmf_turn_begin(f->k)) == 0)
		r = kmf_login_failed(f, &x);
	if (r != 0)
		log_warnx("audit.lost kind=login_failed why=\"%s\"",
		    perc_strerror(r));
	return 0;
}

static int
on_counts(struct perc_chan *ch, const struct perc_chan_msg *m, void *arg)
{
	struct kmf_front *f = arg;

	return kmf_counts_decode(&f->counts, m->data, m->len);
}

static const struct perc_chan_rule rules[] = {
	{ KMF_MSG_CALL, ~0u, CALL_MAX, on_call },
	{ KMF_MSG_SUBSCRIBE, ~0u, 65536, on_subscribe },
	{ KMF_MSG_UNSUBSCRIBE, ~0u, 0, on_unsubscribe },
	{ KMF_MSG_REFUSED, ~0u, 4096, on_refused },
	{ KMF_MSG_COUNTS, ~0u, 8 * COUNT_LAST, on_counts },
};

static void
on_front_gone(struct perc_chan *ch, int why, void *arg)
{
	struct kmf_front *f = arg;

	log_info("front.gone why=\"%s\"", perc_strerror(why));
	kmf_stream_front_gone(f->k, f);
	kmf_counts_gone(f->k, f);
	kmf_feed_del(f->k, f, 0);
	f->chan = NULL; /* the struct stays while answers name it */
	perc_chan_free(ch);
}

static int
welcome(struct kmf_keeper *k, struct kmf_front *f)
{
	struct kmf_welcome w = { .jwks = k->jwks };
	uint8_t *buf;
	size_t len;
	int r;

	memcpy(w.nonce_key, k->nonce_key, sizeof(w.nonce_key));
	memcpy(w.prev_nonce_key, k->prev_nonce_key, sizeof(w.prev_nonce_key));
	r = kmf_welcome_encode(&buf, &len, &w);
	perc_wipe(&w, sizeof(w));
	if (r != 0)
		return r;
	r = perc_chan_send(f->chan, KMF_MSG_WELCOME, 0, buf, len);
	perc_secmem_free(buf);
	return r;
}

int
kmf_keeper_front_add(struct kmf_keeper *k, int fd)
{
	struct kmf_front *f;
	int r;

	if ((f = calloc(1, sizeof(*f))) == NULL)
		return PERC_ERR_NOMEM;
	f->k = k;
	if ((r = perc_chan_new(&f->chan, k->loop, fd, rules,
		 sizeof(rules) / sizeof(rules[0]), on_front_gone, f)) != 0) {
		free(f);
		return r;
	}
	f->next = k->fronts;
	k->fronts = f;
	return welcome(k, f);
}

void
kmf_keeper_welcome_all(struct kmf_keeper *k)
{
	struct kmf_front *f;

	for (f = k->fronts; f != NULL; f = f->next)
		if (f->chan != NULL && welcome(k, f) != 0)
			log_warnx("front.overrun type=welcome");
}
