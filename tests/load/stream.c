/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seat's event stream, taken as the agent's front takes it
 * (agent/frontevents.c): an epoch that does not open while the keys are asked
 * for is looked at once more behind their answer, which it overtook.
 */
#include "tests/load/load.h"
#include "tests/load/media.h"

#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/crypto.h"
#include "perc/json.h"

#define SPREAD_MS 1000 /* when a large conference asks for its roster */
#define LOST_MS	  750  /* a stream that broke should be back by then */
#define SOON_MAX  50   /* so many tell at once which epoch they have */

/* Its delivery key may be on its way, by another connection. */
static bool
may_be_early(struct load_seat *s, const json_t *j)
{
	if (!s->keys_busy)
		return false;
	s->l->count->early++;
	json_decref(s->early);
	s->early = json_incref((json_t *)(uintptr_t)j);
	return true;
}

static void
lease_spread(struct load_seat *s)
{
	load_seat_later(s, &s->lease,
	    s->l->n > SOON_MAX ? perc_random_u32() % s->l->n : 0,
	    load_seat_lease);
}

static void
on_epoch(struct load_seat *s, const json_t *j)
{
	int64_t had = s->epoch, told = s->epoch_told, epoch = 0;
	int r = load_key_next(s, j);

	if (r != 0 && may_be_early(s, j))
		return;
	if (r != 0) {
		if (s->l->verbose)
			fprintf(stderr, "# %s: epoch event: %s\n", s->member,
			    perc_strerror(r));
		s->l->count->bad_keys++;
		load_seat_keys_ask(s);
		return;
	}
	(void)!perc_json_int(&epoch, j, "epoch", 1, INT64_MAX);
	s->epoch_told = epoch > told ? epoch : told;
	if (s->media != NULL && epoch > told)
		load_media_epoch(s, j, epoch < s->epoch);
	if (s->epoch > had && s->l->board->react)
		lease_spread(s);
}

void
load_stream_early(struct load_seat *s)
{
	json_t *j = s->early;

	s->early = NULL;
	if (j != NULL)
		on_epoch(s, j); /* an old one is none of its business */
	json_decref(j);
}

static void
on_roster_event(struct load_seat *s, const json_t *j)
{
	const char *text = perc_json_str(j, "roster");
	int64_t seq = 0;

	(void)!perc_json_int(&seq, j, "seq", 0, INT64_MAX);
	if (seq <= s->roster_seq)
		return;
	if (text != NULL) {
		s->roster_seq = seq;
		if (load_roster_take(s, text) != 0)
			s->l->count->bad_rosters++;
	} else if (s->l->board->react && !s->roster_busy &&
	    !perc_timer_armed(&s->roster))
		load_seat_later(s, &s->roster, perc_random_u32() % SPREAD_MS,
		    load_seat_roster);
}

static void
on_delta_event(struct load_seat *s, const json_t *j)
{
	const char *text = perc_json_str(j, "delta");
	int64_t seq = 0;

	(void)!perc_json_int(&seq, j, "seq", 0, INT64_MAX);
	if (text == NULL || seq <= s->roster_seq)
		return;
	if (s->roster_seq != 0 && seq == s->roster_seq + 1) {
		if (load_delta_take(s, text) != 0)
			s->l->count->bad_rosters++;
	} else if (s->l->board->react && !s->roster_busy &&
	    !perc_timer_armed(&s->roster))
		load_seat_later(s, &s->roster, perc_random_u32() % SPREAD_MS,
		    load_seat_roster);
}

/* What all seats are told alike is taken apart once: each endpoint has a
 * processor of its own, and the seats share ours. */
static json_t *
event_json(struct load *l, const char *data, size_t len)
{
	json_t *j = NULL;

	if (l->event != NULL && l->event_len == len &&
	    memcmp(l->event_data, data, len) == 0)
		return json_incref(l->event);
	if (perc_json_parse(&j, data, len, FRONT_SSE_DATA_MAX, NULL, 0) != 0)
		return NULL;
	if (json_object_get(j, "sealed") != NULL)
		return j; /* one seat's own */
	json_decref(l->event);
	l->event = json_incref(j);
	free(l->event_data);
	if ((l->event_data = malloc(len + 1)) == NULL)
		exit(1);
	memcpy(l->event_data, data, len);
	l->event_len = len;
	return j;
}

static int
on_event(const char *name, const char *data, size_t len, void *arg)
{
	struct load_seat *s = arg;
	json_t *j = event_json(s->l, data, len);

	if (j == NULL)
		return PERC_ERR_FORMAT;
	if (strcmp(name, "epoch") == 0)
		on_epoch(s, j);
	else if (strcmp(name, "roster") == 0)
		on_roster_event(s, j);
	else if (strcmp(name, "roster-delta") == 0)
		on_delta_event(s, j);
	else if (strcmp(name, "evicted") == 0)
		s->evicted = true;
	json_decref(j);
	return 0;
}

static int
on_octets(const char *p, size_t n, void *arg)
{
	struct load_seat *s = arg;

	if (!s->stream_open)
		s->stream_us = load_us();
	if (!s->stream_open && s->tries.stream > 0)
		lease_spread(s);
	s->stream_open = true;
	s->tries.stream = 0;
	return front_sse_feed(&s->sse, p, n, on_event, s);
}

static void
on_stream_done(const struct perc_httpc_answer *a, void *arg)
{
	struct load_seat *s = arg;

	if (s->state == SEAT_LIVE && !s->evicted)
		s->l->count->lost_streams++;
	s->stream_open = false;
	if (s->evicted && s->state == SEAT_LIVE) {
		load_seat_later(s, &s->end, 0, load_seat_end);
	} else if (s->state == SEAT_LIVE) {
		load_seat_later(s, &s->lease,
		    LOST_MS + perc_random_u32() % (500 + s->l->n),
		    load_seat_lease);
		load_seat_later(s, &s->again,
		    load_seat_backoff(&s->tries.stream), load_stream_ask);
	}
}

void
load_stream_ask(void *arg)
{
	struct load_seat *s = arg;
	char url[768], last[64];
	struct load_ask a = { .method = "GET",
		.url = url,
		.token = s->token,
		.on_data = on_octets };

	front_sse_restart(&s->sse);
	text_put(url, sizeof(url), "%s/events%s", s->l->resource,
	    s->l->whole_rosters ? "" : "?roster=delta");
	text_put(last, sizeof(last), "Last-Event-ID: %s", s->sse.last_id);
	if (s->sse.last_id[0] != '\0')
		a.extra = last;
	load_ask(&s->peer, &a, on_stream_done, s);
}
