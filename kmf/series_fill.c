/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * From the rule to conferences: a month ahead, sixteen at most, the next one
 * always. What a series has made is looked up by its recurrence id, so to
 * look twice makes nothing twice.
 */
#include "kmf/series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DUE_BATCH 16
#define FORGET_MS (3600 * 1000)

static int
hand_down(struct kmf_keeper *k, const char *series, const char *conf)
{
	struct db_invitee *list = NULL;
	size_t i, n;
	int r;

	if ((r = db_series_invitee_list(k->db, &list, &n, series)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++) {
		perc_random_id(list[i].id, sizeof(list[i].id), "v_");
		r = db_invitee_add(k->db, conf, &list[i]);
	}
	free(list);
	return r;
}

void
kmf_series_dress(const struct kmf_series *o, struct db_conf *c, int64_t at)
{
	memcpy(c->title, o->s.title, sizeof(c->title));
	memcpy(c->policy, o->s.policy, sizeof(c->policy));
	memcpy(c->tzid, o->s.tzid, sizeof(c->tzid));
	c->starts_ms = at;
	c->ends_ms = at + kmf_series_lasts(o);
}

int
kmf_series_make(
    struct kmf_series *o, struct kmf_keeper *k, int64_t at, struct db_conf *c)
{
	int r;

	memset(c, 0, sizeof(*c));
	kmf_series_dress(o, c, at);
	c->recur_ms = at;
	memcpy(c->series, o->s.id, sizeof(c->series));
	if ((r = kmf_conf_init(k, c, o->s.created_by)) != 0 ||
	    (r = db_conf_add(k->db, c)) != 0 ||
	    (r = hand_down(k, o->s.id, c->id)) != 0)
		return r;
	return kmf_audit(k, KMF_AUDIT_CONF_CREATED, o->s.created_by, c->id, "",
	    json_pack("{s:s, s:o}", "series", o->s.id, "recurrence_id",
		kmf_time_json(at)));
}

bool
kmf_series_to_come(const struct kmf_series *o, int64_t at, int64_t now_ms)
{
	const struct db_conf *c = kmf_series_conf(o, at);

	if (c != NULL)
		return c->state != DB_CONF_ENDED && c->ends_ms > now_ms;
	return at + kmf_series_lasts(o) > now_ms &&
	    !kmf_series_leaves_out(o, at);
}

int
kmf_series_fill(struct kmf_series *o, struct kmf_keeper *k)
{
	int64_t last = 0, due = 0, ends;
	const struct db_conf *have;
	struct db_conf c;
	size_t i, ahead = 0;
	int r = 0;

	for (i = 0; o->s.state == DB_SERIES_ON && i < o->nstarts; i++) {
		if (!kmf_series_to_come(o, o->starts[i], k->now_ms))
			continue;
		have = kmf_series_conf(o, o->starts[i]);
		if (have == NULL && ahead > 0 &&
		    (ahead >= KMF_SERIES_AHEAD ||
			o->starts[i] > k->now_ms + KMF_SERIES_AHEAD_MS)) {
			if (ahead < KMF_SERIES_AHEAD &&
			    o->starts[i] - KMF_SERIES_AHEAD_MS < due)
				due = o->starts[i] - KMF_SERIES_AHEAD_MS;
			break;
		}
		if (have == NULL &&
		    (r = kmf_series_make(o, k, o->starts[i], &c)) != 0)
			return r;
		ends = have != NULL ? have->ends_ms : c.ends_ms;
		if (ahead == 0 || ends < due)
			due = ends; /* the first to be over makes room */
		last = ends > last ? ends : last;
		ahead++;
	}
	if (o->s.state == DB_SERIES_ON && ahead == 0)
		o->s.state = DB_SERIES_ENDED;
	/* Room may come late, when an exception lasts: then by the hour. */
	if (due != 0 && due <= k->now_ms)
		due = k->now_ms + 3600 * 1000;
	/* One that is over is forgotten behind its conferences. */
	o->s.due_ms =
	    o->s.state == DB_SERIES_ON ? due : k->now_ms + k->keep.ended_ms;
	if ((r = db_series_put(k->db, &o->s)) != 0)
		return r;
	return kmf_series_reload(o, k);
}

/* Its conferences go when they have been over for long enough (purge.c). */
static int
forget(struct kmf_series *o, struct kmf_keeper *k)
{
	if (o->nconfs == 0)
		return db_series_delete(k->db, o->s.id);
	o->s.due_ms = k->now_ms + FORGET_MS;
	return db_series_put(k->db, &o->s);
}

/* One series' trouble is its own. */
static int
tick_alone(struct kmf_keeper *k, const struct db_series *s)
{
	struct db_series again = *s;
	struct kmf_series o;
	int r;

	if ((r = kmf_mark(k)) != 0)
		return r;
	if ((r = kmf_series_open(&o, k, s->id)) == 0 &&
	    (r = o.s.state == DB_SERIES_ON ? kmf_series_fill(&o, k)
					   : forget(&o, k)) == 0)
		r = kmf_mark_keep(k);
	kmf_series_close(&o);
	if (r == 0)
		return 0;
	log_warnx(
	    "series.failed series=%s why=\"%s\"", s->id, perc_strerror(r));
	kmf_mark_undo(k);
	if (db_broken(k->db))
		return r;
	again.due_ms = k->now_ms + 60000;
	return db_series_put(k->db, &again);
}

int
kmf_series_tick(struct kmf_keeper *k)
{
	struct db_series *list = NULL;
	size_t i, n;
	int r;

	if ((r = db_series_due(k->db, &list, &n, k->now_ms, DUE_BATCH)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++)
		r = tick_alone(k, &list[i]);
	free(list);
	return r;
}
