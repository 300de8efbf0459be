/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What waits for the commit. Answers and events of one turn stand in one
 * queue, in order. A lost commit turns every answer into a 503 and forgets the
 * events: what they would have told has not happened.
 */
#include "kmf/rosterlist.h"

#include <stdlib.h>
#include <string.h>

int
kmf_mark(struct kmf_keeper *k)
{
	k->mark_no++;
	k->mark_tail = k->out_tail;
	return db_mark(k->db);
}

int
kmf_mark_keep(struct kmf_keeper *k)
{
	return db_mark_keep(k->db);
}

static void
out_free(struct kmf_out *o)
{
	struct kmf_out *next;

	for (; o != NULL; o = next) {
		next = o->next;
		perc_secmem_free(o->buf);
		free(o);
	}
}

void
kmf_mark_undo(struct kmf_keeper *k)
{
	out_free(*k->mark_tail);
	*k->mark_tail = NULL;
	k->out_tail = k->mark_tail;
	kmf_roster_forget(k);
	kmf_lists_forget(k, NULL);
	kmf_streams_undo(k);
	if (!db_broken(k->db) && db_mark_undo(k->db) != 0)
		log_warnx("mark.undo_failed");
}

int
kmf_out_add(struct kmf_keeper *k, struct kmf_front *f, uint16_t type,
    uint32_t id, uint8_t *buf, size_t len)
{
	struct kmf_out *o;

	if ((o = calloc(1, sizeof(*o))) == NULL) {
		perc_secmem_free(buf);
		return PERC_ERR_NOMEM;
	}
	o->front = f;
	o->type = type;
	o->id = id;
	o->buf = buf;
	o->len = len;
	*k->out_tail = o;
	k->out_tail = &o->next;
	return 0;
}

void
kmf_reply_queue(struct kmf_keeper *k, struct kmf_front *f, uint32_t id,
    const struct kmf_reply *r)
{
	static const struct kmf_reply big = { .status = 500,
		.code = "answer_too_large",
		.detail = "the answer is too large to be sent; where there is "
			  "a limit, ask for less" };
	uint8_t *buf = NULL;
	size_t len = 0;
	int err;

	if ((err = kmf_reply_encode(&buf, &len, r)) == 0 &&
	    len > PERC_CHAN_FRAME_MAX) {
		perc_secmem_free(buf);
		err = kmf_reply_encode(&buf, &len, &big);
	}
	if (err != 0 || kmf_out_add(k, f, KMF_MSG_REPLY, id, buf, len) != 0)
		log_warnx("reply.lost why=memory");
}

void
kmf_out_send(struct kmf_keeper *k)
{
	struct kmf_front *f;
	struct kmf_out *o;
	uint64_t n = 0;

	kmf_streams_settle(k, true);
	for (o = k->out; o != NULL; o = o->next) {
		n++;
		k->count.out_octets += o->len;
		if (o->front->chan == NULL ||
		    perc_chan_send(
			o->front->chan, o->type, o->id, o->buf, o->len) == 0)
			continue;
		k->count.out_lost++;
		log_warnx("front.overrun type=%u octets=%zu", o->type, o->len);
		kmf_roster_forget(k);
	}
	k->count.out += n;
	if (n > k->count.out_peak)
		k->count.out_peak = n;
	kmf_out_clear(k);
	for (f = k->fronts; f != NULL; f = f->next)
		if (f->chan != NULL)
			perc_chan_flush(f->chan);
}

/* The end of a stream that we have did not come to be; the refusal of one
 * that we have not must arrive: the front waits for a word. */
void
kmf_out_fail(struct kmf_keeper *k)
{
	static const struct kmf_reply sorry = { .status = 503,
		.code = "unavailable",
		.detail = "the database could not be written; nothing was done",
		.retry_after_s = 1 };
	struct kmf_out *o = k->out, *next;

	k->out = NULL;
	k->out_tail = &k->out;
	kmf_roster_forget(k);
	kmf_lists_forget(k, NULL);
	for (; o != NULL; o = next) {
		next = o->next;
		if (o->type == KMF_MSG_REPLY)
			kmf_reply_queue(k, o->front, o->id, &sorry);
		else if (o->type == KMF_MSG_STREAM_END &&
		    !kmf_stream_known(k, o->front, o->id))
			kmf_stream_refuse(k, o->front, o->id, 503,
			    "unavailable", "try again");
		perc_secmem_free(o->buf);
		free(o);
	}
	kmf_streams_settle(k, false);
	kmf_out_send(k);
}

void
kmf_out_clear(struct kmf_keeper *k)
{
	out_free(k->out);
	k->out = NULL;
	k->out_tail = &k->out;
}
