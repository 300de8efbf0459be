/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Posting events, in order: the next one leaves when the one before was
 * taken. A receiver that fails is asked again after a while, longer each
 * time, by chance earlier or later so that many do not come at once; its
 * events wait, other webhooks do not. What is older than give_up when a try
 * fails is put aside, where it can be seen.
 */
#include "kmf/hook.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/event.h"

#define BATCH	     100
#define SCAN_MAX     2000 /* events of other types, in one look */
#define BURY_MAX     500  /* events put aside after one try */
#define RETRY_MS     1000
#define RETRY_MAX_MS (300 * 1000)

/* The next wanted event behind `after`; e->seq 0: there is none (up to
 * h->seen). PERC_ERR_AGAIN: look on later. */
static int
next_find(
    struct kmf_keeper *k, struct kmf_hook *h, int64_t after, struct db_event *e)
{
	struct db_event *list = NULL;
	size_t i, n = BATCH, scanned;
	int r = 0;

	e->seq = 0;
	h->seen = after > h->seen ? after : h->seen;
	for (scanned = 0; r == 0 && n == BATCH && e->seq == 0; scanned += n) {
		if (scanned >= SCAN_MAX)
			return PERC_ERR_AGAIN;
		r = db_event_list(k->db, &list, &n, h->seen, "", "", BATCH);
		for (i = 0; r == 0 && i < n && e->seq == 0; i++)
			if (kmf_event_wanted(h->types, list[i].type))
				*e = list[i];
			else
				h->seen = list[i].seq;
		free(list);
		list = NULL;
	}
	return r;
}

static json_t *
errand_json(const struct kmf_hook *h, const struct db_event *e, int64_t now_s)
{
	char id[KMF_EVENT_ID_MAX], signature[KMF_HOOK_SIGNATURE_MAX];
	json_t *v = kmf_event_json(e), *o = NULL;
	char *body = v != NULL ? perc_json_text(v) : NULL;

	kmf_event_id(id, e);
	if (body != NULL && kmf_hook_sign(signature, h, now_s, body) == 0)
		o = json_pack("{s:s, s:s, s:s, s:s, s:s}", "hook", h->name,
		    "id", id, "type", e->type, "signature", signature, "body",
		    body);
	perc_json_free(body);
	json_decref(v);
	return o;
}

static int
post(struct kmf_keeper *k, size_t at, const struct db_event *e, int64_t now)
{
	struct kmf_hook *h = &k->hooks->h[at];
	json_t *o = errand_json(h, e, now / 1000);
	char *text = o != NULL ? perc_json_text(o) : NULL;
	int r = PERC_ERR_NOMEM;

	if (text != NULL)
		r = kmf_errand_send(
		    k, KMF_ERRAND_HOOK, k->hooks->jobs + 1, text, strlen(text));
	if (r == 0) {
		h->job = ++k->hooks->jobs;
		h->flying = e->seq;
	}
	perc_json_free(text);
	json_decref(o);
	return r;
}

/* What was given up and asked for again goes first: it is older. */
static int
again_find(struct kmf_keeper *k, struct kmf_hook *h, struct db_event *e)
{
	struct db_dead d;
	int r;

	r = db_dead_next(k->db, &d, h->name);
	h->again = r == 0;
	e->seq = 0;
	if (r == 0)
		*e = d.e;
	return r == PERC_ERR_NOTFOUND ? 0 : r;
}

static int
hook_pump(struct kmf_keeper *k, size_t at, int64_t *next_ms)
{
	struct kmf_hook *h = &k->hooks->h[at];
	int64_t now = k->clock(k->clock_arg);
	struct db_hook row;
	struct db_event e;
	int r;

	if (h->flying != 0)
		return 0;
	if ((r = db_hook_find(k->db, &row, h->name)) != 0)
		return r;
	/* A clock that was set back must not silence it for long. */
	if (row.next_ms > now && row.next_ms <= now + RETRY_MAX_MS) {
		*next_ms = row.next_ms;
		return 0;
	}
	if ((r = again_find(k, h, &e)) != 0)
		return r;
	if (e.seq == 0)
		r = next_find(k, h, row.cursor, &e);
	if (r == PERC_ERR_AGAIN) {
		*next_ms = now;
		return 0;
	}
	return r != 0 || e.seq == 0 ? r : post(k, at, &e, now);
}

static int
pump(struct kmf_keeper *k, int64_t *next_ms)
{
	int64_t next;
	size_t i;
	int r;

	for (i = 0; i < k->hooks->n; i++) {
		next = 0;
		if ((r = hook_pump(k, i, &next)) != 0)
			return r;
		if (next != 0 && (*next_ms == 0 || next < *next_ms))
			*next_ms = next;
	}
	return 0;
}

static int64_t
wait_ms(int64_t tries)
{
	int64_t ms = tries > 9 ? RETRY_MAX_MS : RETRY_MS << (tries - 1);

	if (ms > RETRY_MAX_MS)
		ms = RETRY_MAX_MS;
	return ms / 2 + (int64_t)(perc_random_u32() % (uint64_t)(ms / 2 + 1));
}

/* Put aside what is too old; row's cursor moves behind it. */
static int
bury(struct kmf_keeper *k, struct kmf_hook *h, struct db_hook *row)
{
	struct db_event *list = NULL;
	struct db_dead d = { .dead_ms = k->now_ms };
	size_t i, n = 0;
	int r;

	if ((r = kmf_copy(d.hook, sizeof(d.hook), h->name)) != 0 ||
	    (r = db_event_list(
		 k->db, &list, &n, row->cursor, "", "", BURY_MAX)) != 0)
		return r;
	memcpy(d.why, row->why, sizeof(d.why));
	for (i = 0; r == 0 && i < n; i++) {
		if (list[i].at_ms > k->now_ms - h->give_up_ms)
			break;
		row->cursor = list[i].seq;
		if (!kmf_event_wanted(h->types, list[i].type))
			continue;
		d.e = list[i];
		row->dead++;
		log_warnx("hook.dead name=%s event=%lld", h->name,
		    (long long)d.e.seq);
		r = db_dead_add(k->db, &d);
	}
	free(list);
	return r;
}

static int
failed(struct kmf_keeper *k, struct kmf_hook *h, struct db_hook *row,
    const char *why)
{
	if (row->failing_ms == 0) {
		log_warnx("hook.failing name=%s why=\"%s\"", h->name, why);
		row->failing_ms = k->now_ms;
	}
	row->tries++;
	row->next_ms = k->now_ms + wait_ms(row->tries);
	snprintf(row->why, sizeof(row->why), "%s", why);
	return bury(k, h, row);
}

static void
taken(
    struct kmf_keeper *k, struct kmf_hook *h, struct db_hook *row, int64_t seq)
{
	if (row->failing_ms != 0)
		log_info("hook.well name=%s tries=%lld", h->name,
		    (long long)row->tries);
	row->cursor = seq;
	row->tries = row->failing_ms = row->next_ms = 0;
	row->ok_ms = k->now_ms;
	row->delivered++;
	row->why[0] = '\0';
}

/* One try for each; the first that fails ends it, and all stay dead. */
static int
again_end(struct kmf_keeper *k, struct kmf_hook *h, struct db_hook *row,
    int64_t seq, const struct kmf_errand_end *e)
{
	int r;

	if (e->how != KMF_ERRAND_DONE) {
		log_warnx("hook.dead name=%s event=%lld again=1 why=\"%s\"",
		    h->name, (long long)seq, e->why);
		return db_dead_calm(k->db, h->name, e->why);
	}
	row->ok_ms = k->now_ms;
	row->delivered++;
	if ((r = db_dead_delete(k->db, h->name, seq)) != 0)
		return r;
	return db_hook_put(k->db, row);
}

static int
landed(struct kmf_keeper *k, struct kmf_hook *h, const struct kmf_errand_end *e)
{
	int64_t seq = h->flying;
	struct db_hook row;
	int r;

	if ((r = db_hook_find(k->db, &row, h->name)) != 0)
		return r;
	if (h->again)
		return again_end(k, h, &row, seq, e);
	if (e->how == KMF_ERRAND_DONE)
		taken(k, h, &row, seq);
	else if ((r = failed(k, h, &row, e->why)) != 0)
		return r;
	return db_hook_put(k->db, &row);
}

static int
end(struct kmf_keeper *k, const struct kmf_errand_end *e)
{
	struct kmf_hook *h = kmf_hook_of_job(k, e->job);
	int r;

	if (h == NULL)
		return 0;
	r = landed(k, h, e);
	kmf_hook_landed(k, h);
	return r;
}

static void
lost(struct kmf_keeper *k, uint64_t job)
{
	struct kmf_hook *h = kmf_hook_of_job(k, job);

	if (h != NULL)
		kmf_hook_landed(k, h);
}

const struct kmf_errand_kind_ops kmf_hook_errands = { pump, end, NULL, lost };
