/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a calendar is told of a conference or a series. The UID is that of
 * the whole: an occurrence has its series' UID and a RECURRENCE-ID, so that a
 * calendar that knows the series finds what has changed. SEQUENCE is the
 * number of changes made so far, the series' and the occurrence's.
 */
#include "kmf/series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/cal.h"

struct sheet { /* an event and what its texts stand in */
	struct kmf_ics_event e;
	char uid[DB_ID_MAX + DB_URL_MAX], uri[DB_URL_MAX + 64];
	char organizer[DB_URL_MAX + 16];
	struct db_series series;
};

/* The host of BASE: where the ids are unique. */
static int
host_len(const char *base, const char **host)
{
	*host = base + strlen("https://");
	return (int)strcspn(*host, ":/");
}

static void
names_put(
    struct kmf_keeper *k, struct sheet *t, const char *whole, const char *id)
{
	const char *host;
	int n = host_len(k->base, &host);

	snprintf(t->uid, sizeof(t->uid), "%s@%.*s", whole, n, host);
	snprintf(t->uri, sizeof(t->uri), "%s/c/%s", k->base, id);
	snprintf(t->organizer, sizeof(t->organizer), "noreply@%.*s", n, host);
	t->e.uid = t->uid;
	t->e.uri = t->uri;
	t->e.organizer = t->organizer;
	t->e.stamp_ms = k->now_ms;
	t->e.rrule = "";
}

/* out: it is none of theirs any more. */
static void
guest_put(struct kmf_ics_event *e, const struct kmf_ics_guest *g, bool out)
{
	static const struct kmf_ics_guest nobody = { "", "", "", "" };

	e->guest = g != NULL ? *g : nobody;
	e->method = out			       ? KMF_ICS_CANCEL
	    : g == NULL || g->email[0] != '\0' ? KMF_ICS_REQUEST
					       : KMF_ICS_PUBLISH;
}

static int
conf_put(struct kmf_keeper *k, struct sheet *t, const struct db_conf *c,
    const struct kmf_ics_guest *g, bool out)
{
	bool part = c->series[0] != '\0';
	int r;

	memset(t, 0, sizeof(*t));
	if (part && (r = db_series_find(k->db, &t->series, c->series)) != 0)
		return r;
	names_put(k, t, part ? c->series : c->id, c->id);
	guest_put(&t->e, g, out || c->cancelled);
	t->e.title = c->title;
	t->e.tzid = c->tzid;
	t->e.starts_ms = c->starts_ms;
	t->e.ends_ms = c->ends_ms;
	t->e.recur_ms = c->recur_ms;
	t->e.sequence = c->version - 1 + (part ? t->series.version - 1 : 0);
	return 0;
}

int
kmf_calendar_conf(char **textp, struct kmf_keeper *k, const struct db_conf *c,
    const struct kmf_ics_guest *g, bool out)
{
	struct sheet *t;
	int r;

	if ((t = calloc(1, sizeof(*t))) == NULL)
		return PERC_ERR_NOMEM;
	if ((r = conf_put(k, t, c, g, out)) == 0)
		r = kmf_ics(textp, &t->e, 1);
	free(t);
	return r;
}

static void
series_put(struct kmf_keeper *k, struct sheet *t, const struct kmf_series *o,
    const struct kmf_ics_guest *g)
{
	names_put(k, t, o->s.id, o->s.id);
	guest_put(&t->e, g, o->s.state == DB_SERIES_CANCELLED);
	t->e.title = o->s.title;
	t->e.tzid = o->s.tzid;
	t->e.rrule = o->s.rrule;
	t->e.starts_ms = o->s.starts_ms;
	t->e.ends_ms = o->s.ends_ms;
	t->e.sequence = o->s.version - 1;
	t->e.left_out = o->left_out;
	t->e.nleft_out = o->nleft_out;
}

/* The series, then the occurrences that are otherwise. */
int
kmf_calendar_series(char **textp, struct kmf_keeper *k,
    const struct kmf_series *o, const struct kmf_ics_guest *g)
{
	struct kmf_ics_event *list = NULL;
	struct sheet *sheets = NULL;
	size_t i, n = 1;
	int r = PERC_ERR_NOMEM;

	if ((sheets = calloc(o->nconfs + 1, sizeof(*sheets))) == NULL ||
	    (list = calloc(o->nconfs + 1, sizeof(*list))) == NULL)
		goto out;
	series_put(k, &sheets[0], o, g);
	list[0] = sheets[0].e;
	for (i = 0; i < o->nconfs; i++) {
		if (!o->confs[i].exception || o->confs[i].cancelled)
			continue;
		r = conf_put(k, &sheets[n], &o->confs[i], g, false);
		if (r != 0)
			goto out;
		list[n] = sheets[n].e;
		list[n].method = list[0].method;
		n++;
	}
	r = kmf_ics(textp, list, n);
out:
	free(list);
	free(sheets);
	return r;
}

/* --- questions --------------------------------------------------------------
 */

static int
answer(struct kmf_job *j, char *text)
{
	int r;

	r = kmf_answer_text(j, 200, "text/calendar; charset=utf-8", text);
	kmf_ics_free(text);
	return r;
}

static void
invitee_guest(struct kmf_ics_guest *g, const struct db_invitee *v)
{
	*g = (struct kmf_ics_guest){
		.email = v->email, .name = "", .kind = v->kind, .role = v->role
	};
}

int
kmf_op_inv_ics(struct kmf_job *j)
{
	struct kmf_ics_guest g;
	struct db_inv i;
	char *text;
	int r;

	r = db_inv_find(j->k->db, &i, j->call->obj);
	if (r == PERC_ERR_NOTFOUND ||
	    (r == 0 && strcmp(i.conf, j->conf.id) != 0))
		return kmf_not_found(j);
	g = (struct kmf_ics_guest){
		.email = i.email, .name = i.name, .kind = i.kind, .role = i.role
	};
	if (r != 0 ||
	    (r = kmf_calendar_conf(
		 &text, j->k, &j->conf, &g, i.state == DB_INV_REVOKED)) != 0)
		return r;
	return answer(j, text);
}

int
kmf_op_invitee_ics(struct kmf_job *j)
{
	struct db_invitee v;
	struct kmf_ics_guest g;
	char *text;
	int r;

	r = db_invitee_find(j->k->db, &v, j->conf.id, j->call->obj);
	if (r == PERC_ERR_NOTFOUND)
		return kmf_not_found(j);
	invitee_guest(&g, &v);
	if (r != 0 ||
	    (r = kmf_calendar_conf(&text, j->k, &j->conf, &g, false)) != 0)
		return r;
	return answer(j, text);
}

int
kmf_series_invitee_find(
    struct kmf_job *j, const char *series, struct db_invitee *v)
{
	struct db_invitee *list = NULL;
	size_t i, n;
	int r;

	if ((r = db_series_invitee_list(j->k->db, &list, &n, series)) != 0)
		return r;
	r = PERC_ERR_NOTFOUND;
	for (i = 0; r != 0 && i < n; i++)
		if (strcmp(list[i].id, j->call->obj) == 0) {
			*v = list[i];
			r = 0;
		}
	free(list);
	return r;
}

int
kmf_op_series_ics(struct kmf_job *j)
{
	struct db_invitee v;
	struct kmf_series o;
	struct kmf_ics_guest g;
	char *text;
	int r;

	if ((r = kmf_series_load(&o, j)) != 0 || j->a.status != 0)
		goto out;
	r = kmf_series_invitee_find(j, o.s.id, &v);
	if (r == PERC_ERR_NOTFOUND)
		r = kmf_not_found(j);
	else if (r == 0) {
		invitee_guest(&g, &v);
		if ((r = kmf_calendar_series(&text, j->k, &o, &g)) == 0)
			r = answer(j, text);
	}
out:
	kmf_series_close(&o);
	return r;
}
