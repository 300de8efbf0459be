/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a change of a series does to the conferences that were made of it.
 * Nothing that has begun is touched: a series' change never puts anybody out;
 * its cancellation does.
 */
#include "kmf/series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
begun(const struct db_conf *c, int64_t now_ms)
{
	return c->state == DB_CONF_LIVE || c->starts_ms <= now_ms;
}

/* As the series' PATCH says; the conference is j->conf. */
static int
conf_follow(struct kmf_job *j, const struct kmf_series *o, bool planned,
    const struct db_invitee *list, size_t n)
{
	struct db_conf *c = &j->conf;
	bool named = kmf_series_names(o, c->recur_ms) &&
	    !kmf_series_leaves_out(o, c->recur_ms);
	int r;

	if (planned && !named && begun(c, j->k->now_ms)) {
		c->exception = true;
		return db_conf_put(j->k->db, c);
	}
	if (planned && !named)
		return kmf_conf_remove(j);
	if (c->exception || begun(c, j->k->now_ms))
		return 0;
	kmf_series_dress(o, c, c->recur_ms);
	c->version++;
	if ((r = db_conf_put(j->k->db, c)) != 0 ||
	    (list != NULL && (r = kmf_invitees_replace(j, list, n)) != 0))
		return r;
	return kmf_conf_changed(j, KMF_AUDIT_CONF_CHANGED, NULL);
}

static int
confs_follow(struct kmf_job *j, struct kmf_series *o, bool planned,
    const struct db_invitee *list, size_t n)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < o->nconfs; i++) {
		if (o->confs[i].state == DB_CONF_ENDED ||
		    o->confs[i].ends_ms <= j->k->now_ms)
			continue;
		j->conf = o->confs[i];
		if ((r = kmf_policy_load(&j->policy, j->conf.policy)) == 0)
			r = conf_follow(j, o, planned, list, n);
	}
	return r != 0 ? r : kmf_series_reload(o, j->k);
}

static int
invitees_put(struct kmf_job *j, const char *series,
    const struct db_invitee *list, size_t n)
{
	struct db_invitee *have = NULL;
	size_t i, nhave;
	int r;

	if (list == NULL)
		return 0;
	if ((r = db_series_invitee_list(j->k->db, &have, &nhave, series)) != 0)
		return r;
	for (i = 0; r == 0 && i < nhave; i++)
		r = db_series_invitee_delete(j->k->db, have[i].id);
	for (i = 0; r == 0 && i < n; i++)
		r = db_series_invitee_add(j->k->db, series, &list[i]);
	free(have);
	return r;
}

static bool
plans(const json_t *body)
{
	static const char *const names[] = { "starts_at", "ends_at", "tzid",
		"rrule", "exdates" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (json_object_get(body, names[i]) != NULL)
			return true;
	return false;
}

/* The past of a series is no fault of a change: its end is what counts. */
static int
patch_check(struct kmf_job *j, const json_t *body, struct kmf_series *o)
{
	struct db_conf c;
	int r;

	kmf_series_to_conf(&c, &o->s);
	if ((r = kmf_policy_load(&j->policy, o->s.policy)) != 0 ||
	    (r = kmf_conf_fields_past(j, body, &c, &j->policy)) != 0 ||
	    j->a.status != 0)
		return r;
	kmf_series_from_conf(&o->s, &c);
	if ((r = kmf_series_rule_get(j, body, o)) != 0 || j->a.status != 0)
		return r;
	return kmf_series_expand(o, j);
}

static int
patch(struct kmf_job *j, const json_t *body, struct kmf_series *o)
{
	struct db_invitee *list = NULL;
	size_t n = 0;
	int r;

	if ((r = patch_check(j, body, o)) != 0 || j->a.status != 0 ||
	    (r = kmf_conf_invitees(j, body, &list, &n)) != 0 ||
	    j->a.status != 0 ||
	    (r = kmf_series_left_out_get(j, body, o)) != 0 ||
	    j->a.status != 0 || (r = kmf_series_something_left(j, o)) != 0 ||
	    j->a.status != 0)
		goto out;
	o->s.version++;
	if ((r = kmf_series_left_out_put(j->k, o)) != 0 ||
	    (r = invitees_put(j, o->s.id, list, n)) != 0 ||
	    (r = confs_follow(j, o, plans(body), list, n)) != 0 ||
	    (r = db_series_put(j->k->db, &o->s)) != 0 || /* events read it */
	    (r = kmf_audit(j->k, KMF_AUDIT_SERIES_CHANGED, j->call->id.sub,
		 o->s.id, "", NULL)) != 0 ||
	    (r = kmf_series_fill(o, j->k)) != 0 ||
	    (kmf_notify(body) && (r = kmf_mail_series(j->k, o)) != 0))
		goto out;
	r = kmf_series_answer(o, j, 200);
out:
	free(list);
	return r;
}

static int
seen(struct kmf_job *j, const struct kmf_series *o)
{
	char have[KMF_ETAG_MAX];

	kmf_etag_version(have, o->s.version);
	return kmf_precondition(j, have);
}

int
kmf_op_series_patch(struct kmf_job *j)
{
	json_t *body = NULL;
	struct kmf_series o;
	int r;

	if ((r = kmf_series_load(&o, j)) != 0 || j->a.status != 0)
		goto out;
	if ((r = seen(j, &o)) != 0 || j->a.status != 0)
		goto out;
	if (o.s.state != DB_SERIES_ON)
		r = kmf_refuse(j, 409, "ended", "it is over");
	else if ((r = kmf_conf_body(j, &body)) == 0 && j->a.status == 0)
		r = patch(j, body, &o);
out:
	json_decref(body);
	kmf_series_close(&o);
	return r;
}

/* --- ending -----------------------------------------------------------------
 */

static int
confs_cancel(struct kmf_job *j, struct kmf_series *o, const char *why)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < o->nconfs; i++) {
		j->conf = o->confs[i];
		r = kmf_conf_cancel(j, &j->conf, why);
	}
	return r != 0 ? r : kmf_series_reload(o, j->k);
}

static int
series_cancel(struct kmf_job *j, struct kmf_series *o, const char *why)
{
	int r;

	if (o->s.state != DB_SERIES_ON)
		return 0;
	o->s.state = DB_SERIES_CANCELLED;
	o->s.version++;
	if ((r = confs_cancel(j, o, why)) != 0 ||
	    (r = kmf_audit(j->k, KMF_AUDIT_SERIES_CANCELLED, j->call->id.sub,
		 o->s.id, "", json_pack("{s:s*}", "why", why))) != 0)
		return r;
	return kmf_series_fill(o, j->k);
}

int
kmf_op_series_cancel(struct kmf_job *j)
{
	struct kmf_cancellation what = { NULL, true };
	json_t *body = NULL;
	struct kmf_series o;
	int r;

	if ((r = kmf_series_load(&o, j)) != 0 || j->a.status != 0 ||
	    (j->call->if_match[0] != '\0' && (r = seen(j, &o)) != 0) ||
	    j->a.status != 0 ||
	    (r = kmf_cancellation_get(j, &body, &what)) != 0 ||
	    j->a.status != 0)
		goto out;
	if (o.s.state == DB_SERIES_ENDED)
		r = kmf_refuse(j, 409, "ended", "it is over");
	else if ((r = series_cancel(j, &o, what.why)) == 0 &&
	    (!what.notify || (r = kmf_mail_series(j->k, &o)) == 0))
		r = kmf_series_answer(&o, j, 200);
out:
	json_decref(body);
	kmf_series_close(&o);
	return r;
}

int
kmf_op_series_delete(struct kmf_job *j)
{
	struct kmf_series o;
	int r;

	if ((r = kmf_series_load(&o, j)) != 0 || j->a.status != 0 ||
	    (r = seen(j, &o)) != 0 || j->a.status != 0 ||
	    (r = series_cancel(j, &o, NULL)) != 0 ||
	    (r = kmf_mail_series(j->k, &o)) != 0 ||
	    (r = kmf_audit(j->k, KMF_AUDIT_SERIES_DELETED, j->call->id.sub,
		 o.s.id, "", NULL)) != 0 ||
	    (r = db_series_delete(j->k->db, o.s.id)) != 0)
		goto out;
	j->a.status = 204;
out:
	kmf_series_close(&o);
	return r;
}
