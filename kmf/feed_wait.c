/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who waits for events: calls that may take a while, and streams. They are
 * looked after once a turn, after the commit, so nobody hears of what a crash
 * could undo. A stream that is far behind gets batches with a pause between:
 * its reader has a buffer of bounded size in the front.
 */
#include "kmf/event.h"

#include <stdlib.h>
#include <string.h>

#define SUBS_MAX 256 /* who may wait at the same time */
#define PACE_MS	 100 /* between batches of a stream that is behind */

struct kmf_feed_sub {
	struct kmf_feed_sub *next;
	struct kmf_front *front;
	uint32_t id; /* of the call, or of the stream */
	struct kmf_feed_query q;
	int64_t until_ms;
	bool stream;  /* else one answer is owed */
	bool pending; /* came in this turn, not yet committed */
};

static void timer_arm(struct kmf_keeper *k);

int
kmf_feed_wait(struct kmf_keeper *k, struct kmf_front *f, uint32_t id,
    const struct kmf_feed_query *q, bool stream, int64_t until_ms)
{
	struct kmf_feed_sub *s;

	if (k->feed.nsubs >= SUBS_MAX)
		return PERC_ERR_LIMIT;
	if ((s = calloc(1, sizeof(*s))) == NULL)
		return PERC_ERR_NOMEM;
	s->front = f;
	s->id = id;
	s->q = *q;
	s->stream = stream;
	s->pending = true;
	s->until_ms = until_ms;
	s->next = k->feed.subs;
	k->feed.subs = s;
	k->feed.nsubs++;
	return 0;
}

static void
sub_del(struct kmf_keeper *k, struct kmf_feed_sub **sp)
{
	struct kmf_feed_sub *s = *sp;

	*sp = s->next;
	k->feed.nsubs--;
	free(s);
}

void
kmf_feed_del(struct kmf_keeper *k, struct kmf_front *f, uint32_t id)
{
	struct kmf_feed_sub **sp = &k->feed.subs;

	while (*sp != NULL)
		if ((*sp)->front == f && (id == 0 || (*sp)->id == id))
			sub_del(k, sp);
		else
			sp = &(*sp)->next;
}

static void
answer(struct kmf_keeper *k, struct kmf_feed_sub *s, struct kmf_page *p)
{
	struct kmf_reply r = { .status = 503,
		.code = "unavailable",
		.detail = "try again",
		.retry_after_s = 1 };
	json_t *v = p != NULL ? kmf_page_json(k, &s->q, p) : NULL;
	char *text = v != NULL ? perc_json_text(v) : NULL;

	if (text != NULL)
		r = (struct kmf_reply){ .status = 200,
			.content_type = "application/json",
			.body = (const uint8_t *)text,
			.body_len = strlen(text) };
	kmf_reply_queue(k, s->front, s->id, &r);
	perc_json_free(text);
	json_decref(v);
}

static int
tell(struct kmf_keeper *k, struct kmf_feed_sub *s, const json_t *item)
{
	struct kmf_event e = { .id = perc_json_str(item, "id"),
		.name = perc_json_str(item, "type") };
	char *text = perc_json_text(item);
	uint8_t *buf;
	size_t len;
	int r = PERC_ERR_NOMEM;

	if ((e.data = text) != NULL &&
	    (r = kmf_event_encode(&buf, &len, &e)) == 0)
		r = kmf_out_add(k, s->front, KMF_MSG_EVENT, s->id, buf, len);
	perc_json_free(text);
	return r;
}

/* True: s has got what it came for, or cannot get it. */
static bool
serve(struct kmf_keeper *k, struct kmf_feed_sub *s, int64_t now)
{
	struct kmf_page p;
	json_t *v;
	size_t i;
	bool done;
	int r;

	if ((r = kmf_page_read(k, &s->q, &p)) == 0 && s->stream)
		json_array_foreach(p.items, i, v)
		{
			if ((r = tell(k, s, v)) != 0)
				break;
		}
	k->feed.behind = k->feed.behind || p.more;
	done = r != 0 || now >= s->until_ms || (!s->stream && p.n != 0);
	if (done && s->stream)
		kmf_stream_refuse(k, s->front, s->id, r != 0 ? 503 : 401,
		    r != 0 ? "unavailable" : "token_expired", "");
	else if (done)
		answer(k, s, r == 0 ? &p : NULL);
	json_decref(p.items);
	return done;
}

static void
serve_all(struct kmf_keeper *k)
{
	struct kmf_feed_sub **sp = &k->feed.subs;
	int64_t now = k->clock(k->clock_arg);

	k->feed.fresh = k->feed.behind = false;
	while (*sp != NULL)
		if (serve(k, *sp, now))
			sub_del(k, sp);
		else
			sp = &(*sp)->next;
	timer_arm(k);
}

static void
timer_fire(void *arg)
{
	struct kmf_keeper *k = arg;

	k->feed.fresh = true;
	if (!db_in_transaction(k->db)) /* else the commit does it */
		serve_all(k);
}

static void
timer_arm(struct kmf_keeper *k)
{
	const struct kmf_feed_sub *s;
	int64_t in, least = 3600 * 1000, now = k->clock(k->clock_arg);

	if (k->feed.subs == NULL) {
		perc_timer_stop(k->loop, &k->feed.timer);
		return;
	}
	for (s = k->feed.subs; s != NULL; s = s->next)
		if ((in = s->until_ms - now) < least)
			least = in < 0 ? 0 : in;
	if (k->feed.behind && least > PACE_MS)
		least = PACE_MS;
	if (perc_timer_set(k->loop, &k->feed.timer, least, timer_fire, k) != 0)
		log_warnx("timer.failed");
}

void
kmf_feed_settle(struct kmf_keeper *k, bool committed)
{
	struct kmf_feed_sub **sp = &k->feed.subs, *s;
	bool look = k->feed.fresh;

	while ((s = *sp) != NULL) {
		look = look || s->pending;
		if (s->pending && !committed) {
			if (s->stream)
				kmf_stream_refuse(k, s->front, s->id, 503,
				    "unavailable", "try again");
			else
				answer(k, s, NULL);
			sub_del(k, sp);
			continue;
		}
		s->pending = false;
		sp = &s->next;
	}
	if (committed && look)
		serve_all(k);
}

void
kmf_feed_stop(struct kmf_keeper *k)
{
	perc_timer_stop(k->loop, &k->feed.timer);
	while (k->feed.subs != NULL)
		sub_del(k, &k->feed.subs);
}
