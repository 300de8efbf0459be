/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * New series, and occurrences made before their time.
 */
#include "kmf/series.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
create(struct kmf_job *j, const json_t *body, struct kmf_series *o,
    struct db_invitee *list, size_t n)
{
	size_t i;
	int r;

	if ((r = kmf_series_left_out_get(j, body, o)) != 0 ||
	    j->a.status != 0 || (r = kmf_series_something_left(j, o)) != 0 ||
	    j->a.status != 0)
		return r;
	if ((r = db_series_add(j->k->db, &o->s)) != 0 ||
	    (r = kmf_series_left_out_put(j->k, o)) != 0)
		return r;
	for (i = 0; i < n; i++)
		if ((r = db_series_invitee_add(j->k->db, o->s.id, &list[i])) !=
		    0)
			return r;
	if ((r = kmf_audit(j->k, KMF_AUDIT_SERIES_CREATED, j->call->id.sub,
		 o->s.id, "",
		 json_pack("{s:s, s:s, s:i}", "rrule", o->s.rrule, "tzid",
		     o->s.tzid, "invitees", (int)n))) != 0 ||
	    (r = kmf_series_fill(o, j->k)) != 0 ||
	    (kmf_notify(body) && (r = kmf_mail_series(j->k, o)) != 0))
		return r;
	snprintf(j->a.location, sizeof(j->a.location), "%s/v1/series/%s",
	    j->k->base, o->s.id);
	return kmf_series_answer(o, j, 201);
}

int
kmf_series_create(struct kmf_job *j, const json_t *body)
{
	struct kmf_series o = { .s = { .version = 1 } };
	struct db_invitee *list = NULL;
	size_t n = 0;
	int r;

	kmf_policy_default(&j->policy);
	snprintf(j->conf.tzid, sizeof(j->conf.tzid), "UTC");
	if ((r = kmf_conf_fields(j, body, &j->conf, &j->policy)) != 0 ||
	    j->a.status != 0 || (r = kmf_series_rule_get(j, body, &o)) != 0 ||
	    j->a.status != 0 ||
	    (r = kmf_conf_invitees(j, body, &list, &n)) != 0 ||
	    j->a.status != 0)
		goto out;
	kmf_series_from_conf(&o.s, &j->conf);
	perc_random_id(o.s.id, sizeof(o.s.id), "s_");
	o.s.created_ms = j->k->now_ms;
	if ((r = kmf_copy(o.s.created_by, sizeof(o.s.created_by),
		 j->call->id.sub)) != 0 ||
	    (r = kmf_series_expand(&o, j)) != 0 || j->a.status != 0 ||
	    (r = kmf_conf_room_left(j,
		 o.nstarts < KMF_SERIES_AHEAD ? (unsigned)o.nstarts
					      : KMF_SERIES_AHEAD)) != 0 ||
	    j->a.status != 0)
		goto out;
	r = create(j, body, &o, list, n);
out:
	free(list);
	kmf_series_close(&o);
	return r;
}

static int
occurrence_make(struct kmf_job *j, struct kmf_series *o, const json_t *body)
{
	const char *s = perc_json_str(body, "recurrence_id");
	const struct db_conf *have;
	int64_t at;
	int r;

	if (s == NULL || perc_time_get(&at, s) != 0 ||
	    !kmf_series_names(o, at) ||
	    (kmf_series_conf(o, at) == NULL &&
		!kmf_series_to_come(o, at, j->k->now_ms)))
		return kmf_refuse(j, 400, "invalid_request",
		    "/recurrence_id: when no occurrence starts that is to "
		    "come");
	if ((have = kmf_series_conf(o, at)) != NULL) {
		j->conf = *have;
		return kmf_conf_answer(j, 200);
	}
	if ((r = kmf_conf_room_left(j, 1)) != 0 || j->a.status != 0 ||
	    (r = kmf_series_make(o, j->k, at, &j->conf)) != 0)
		return r;
	return kmf_conf_answer(j, 200);
}

int
kmf_op_occurrence_make(struct kmf_job *j)
{
	json_t *body = NULL;
	struct kmf_series o;
	int r;

	if ((r = kmf_series_load(&o, j)) == 0 && j->a.status == 0 &&
	    (r = kmf_conf_body(j, &body)) == 0 && j->a.status == 0)
		r = occurrence_make(j, &o, body);
	json_decref(body);
	kmf_series_close(&o);
	return r;
}
