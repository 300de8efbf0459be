/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Scheduling: a conference is checked as a whole before anything is written.
 */
#include "kmf/keeper_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/cal.h"

int
kmf_conf_body(struct kmf_job *j, json_t **bodyp)
{
	char why[128] = "";
	int r;

	r = perc_json_parse(bodyp, j->call->body, j->call->body_len,
	    KMF_BODY_MAX, why, sizeof(why));
	if (r == PERC_ERR_FORMAT || r == PERC_ERR_LIMIT)
		return kmf_refuse(
		    j, 400, "invalid_request", "the body: %s", why);
	return r;
}

static const char *const known[] = { "title", "starts_at", "ends_at",
	"invitees", "policy", "tzid", "rrule", "exdates", "notify" };

static const char *
unknown_member(const json_t *body)
{
	const char *name;
	json_t *v;
	size_t i;

	json_object_foreach((json_t *)body, name, v)
	{
		for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
			if (strcmp(name, known[i]) == 0)
				break;
		if (i == sizeof(known) / sizeof(known[0]))
			return name;
	}
	return NULL;
}

static int
time_get(int64_t *out, const json_t *body, const char *name)
{
	const char *s = perc_json_str(body, name);

	if (json_object_get(body, name) == NULL)
		return 0;
	return s != NULL ? perc_time_get(out, s) : PERC_ERR_FORMAT;
}

static int
policy_put(struct db_conf *c, const struct kmf_policy *p)
{
	json_t *o = kmf_policy_json(p);
	char *text;
	int r = PERC_ERR_NOMEM;

	if ((text = perc_json_text(o)) != NULL)
		r = kmf_copy(c->policy, sizeof(c->policy), text);
	perc_json_free(text);
	json_decref(o);
	return r;
}

static int
window_check(struct kmf_job *j, const struct db_conf *c)
{
	if (c->starts_ms <= 0)
		return kmf_refuse(j, 400, "invalid_request",
		    "/starts_at: RFC 3339, as 2026-11-21T09:30:00Z");
	if (c->ends_ms <= c->starts_ms)
		return kmf_refuse(j, 400, "invalid_request",
		    "/ends_at: must be later than starts_at");
	if (c->starts_ms - j->k->now_ms > KMF_AHEAD_MAX_MS)
		return kmf_refuse(j, 400, "invalid_request",
		    "/starts_at: more than ten years ahead");
	if (c->ends_ms - c->starts_ms > KMF_DURATION_MAX_MS)
		return kmf_refuse(j, 400, "invalid_request",
		    "/ends_at: a conference lasts 31 days at most");
	return 0;
}

static int
title_get(struct kmf_job *j, const json_t *body, struct db_conf *c)
{
	const char *title = perc_json_str(body, "title");

	if (json_object_get(body, "title") != NULL &&
	    (title == NULL || kmf_text_check(title, 200) != 0))
		return kmf_refuse(j, 400, "invalid_request",
		    "/title: a text of 1 to 200 octets");
	if (title != NULL && kmf_copy(c->title, sizeof(c->title), title) != 0)
		return PERC_ERR_LIMIT;
	if (c->title[0] == '\0')
		return kmf_refuse(
		    j, 400, "invalid_request", "/title: is missing");
	return 0;
}

static int
zone_get(struct kmf_job *j, const json_t *body, struct db_conf *c)
{
	const char *tzid = perc_json_str(body, "tzid");

	if (json_object_get(body, "tzid") == NULL)
		return 0;
	if (tzid == NULL || !kmf_zone_known(tzid))
		return kmf_refuse(j, 400, "invalid_request",
		    "/tzid: a time zone of the IANA database, as "
		    "Europe/Berlin");
	return kmf_copy(c->tzid, sizeof(c->tzid), tzid);
}

int
kmf_conf_fields_past(struct kmf_job *j, const json_t *body, struct db_conf *c,
    struct kmf_policy *p)
{
	const char *bad = unknown_member(body);
	char why[128];
	int r;

	if (bad != NULL)
		return kmf_refuse(j, 400, "invalid_request",
		    "/%.40s: there is no such member", bad);
	if ((r = title_get(j, body, c)) != 0 || j->a.status != 0)
		return r;
	if (time_get(&c->starts_ms, body, "starts_at") != 0)
		c->starts_ms = 0;
	if (time_get(&c->ends_ms, body, "ends_at") != 0)
		c->ends_ms = 0;
	if ((r = window_check(j, c)) != 0 || j->a.status != 0 ||
	    (r = zone_get(j, body, c)) != 0 || j->a.status != 0)
		return r;
	if (kmf_policy_get(
		p, json_object_get(body, "policy"), why, sizeof(why)) != 0)
		return kmf_refuse(j, 400, "invalid_request", "/policy%s", why);
	return policy_put(c, p);
}

int
kmf_conf_fields(struct kmf_job *j, const json_t *body, struct db_conf *c,
    struct kmf_policy *p)
{
	int r;

	if ((r = kmf_conf_fields_past(j, body, c, p)) != 0 || j->a.status != 0)
		return r;
	if (c->ends_ms <= j->k->now_ms)
		return kmf_refuse(
		    j, 400, "invalid_request", "/ends_at: has passed");
	return 0;
}

int
kmf_conf_invitees(
    struct kmf_job *j, const json_t *body, struct db_invitee **vp, size_t *np)
{
	const json_t *a = json_object_get(body, "invitees");
	char why[160];
	int r;

	if (a == NULL)
		return 0;
	r = kmf_invitees_get(vp, np, a, why, sizeof(why));
	if (r == PERC_ERR_FORMAT)
		return kmf_refuse(j, 400, "invalid_request", "%s", why);
	if (r == 0 && (int64_t)*np > j->k->limit_invitees) {
		free(*vp);
		*vp = NULL;
		return kmf_refuse(j, 403, "limit_reached",
		    "limit_invitees: a conference has %lld invitees at most; "
		    "invite a group or a domain instead",
		    (long long)j->k->limit_invitees);
	}
	return r;
}

int
kmf_conf_room_left(struct kmf_job *j, unsigned n)
{
	int64_t open = 0, limit = j->k->limit_conferences;
	int r;

	if ((r = db_conf_open_count(j->k->db, &open, j->call->id.sub)) != 0)
		return r;
	if (open + n > limit)
		return kmf_refuse(j, 403, "limit_reached",
		    "limit_conferences: a scheduler has %lld conferences that "
		    "are not over at most, and you have %lld; end, cancel or "
		    "delete some",
		    (long long)limit, (long long)open);
	return 0;
}

int
kmf_conf_answer(struct kmf_job *j, uint16_t status)
{
	kmf_etag_version(j->a.etag, j->conf.version);
	return kmf_answer_json(j, status, kmf_conf_json(j->k, &j->conf));
}

int
kmf_conf_init(struct kmf_keeper *k, struct db_conf *c, const char *by)
{
	int r;

	perc_random_id(c->id, sizeof(c->id), "c_");
	c->state = DB_CONF_SCHEDULED;
	c->version = 1;
	c->created_ms = k->now_ms;
	c->spi_start = (uint16_t)perc_random_u32();
	c->spi_step = (uint16_t)perc_random_u32() | 1;
	c->due_ms = c->ends_ms;
	if ((r = kmf_copy(c->created_by, sizeof(c->created_by), by)) != 0)
		return r;
	return kmf_copy(c->mdd, sizeof(c->mdd), kmf_mdd_pick(k, c->id));
}

static int
invitees_add(struct kmf_job *j, const struct db_invitee *list, size_t n)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < n; i++)
		r = db_invitee_add(j->k->db, j->conf.id, &list[i]);
	return r;
}

static int
conf_create(struct kmf_job *j, const json_t *body)
{
	struct db_invitee *list = NULL;
	struct db_conf *c = &j->conf;
	size_t n = 0;
	int r;

	kmf_policy_default(&j->policy);
	snprintf(c->tzid, sizeof(c->tzid), "UTC");
	if (json_object_get(body, "exdates") != NULL)
		return kmf_refuse(
		    j, 400, "invalid_request", "/exdates: only with rrule");
	if ((r = kmf_conf_fields(j, body, c, &j->policy)) != 0 ||
	    j->a.status != 0 ||
	    (r = kmf_conf_invitees(j, body, &list, &n)) != 0 ||
	    j->a.status != 0)
		return r;
	if ((r = kmf_conf_room_left(j, 1)) != 0 || j->a.status != 0)
		goto out;
	if ((r = kmf_conf_init(j->k, c, j->call->id.sub)) != 0 ||
	    (r = db_conf_add(j->k->db, c)) != 0 ||
	    (r = invitees_add(j, list, n)) != 0 ||
	    (r = kmf_audit(j->k, KMF_AUDIT_CONF_CREATED, j->call->id.sub, c->id,
		 "", json_pack("{s:i}", "invitees", (int)n))) != 0 ||
	    (kmf_notify(body) && (r = kmf_mail_conf(j->k, c)) != 0))
		goto out;
	snprintf(j->a.location, sizeof(j->a.location), "%s/v1/conferences/%s",
	    j->k->base, c->id);
	r = kmf_conf_answer(j, 201);
out:
	free(list);
	return r;
}

int
kmf_op_conf_create(struct kmf_job *j)
{
	json_t *body = NULL;
	int r;

	if ((r = kmf_idem_check(j)) != 0)
		return r < 0 ? r : 0;
	if ((r = kmf_conf_body(j, &body)) == 0 && j->a.status == 0 &&
	    (r = json_object_get(body, "rrule") != NULL
		    ? kmf_series_create(j, body)
		    : conf_create(j, body)) == 0)
		r = kmf_idem_keep(j);
	json_decref(body);
	return r;
}

static json_t *
descriptor_json(struct kmf_job *j)
{
	const struct db_conf *c = &j->conf;
	const struct db_member *m = &j->me;

	return json_pack("{s:s, s:s, s:o, s:o, s:s, s:b, s:o, s:s, s:o, "
			 "s:o, s:{s:s, s:s, s:s, s:s, s:o}}",
	    "id", c->id, "title", c->title, "starts_at",
	    kmf_time_json(c->starts_ms), "ends_at", kmf_time_json(c->ends_ms),
	    "state", kmf_conf_state_text(c), "locked", (int)(c->locked_ms != 0),
	    "policy", json_loads(c->policy, 0, NULL), "mdd",
	    kmf_mdd_of(j->k, c, m->id), "mdds", kmf_mdds_json(j->k, c, m->id),
	    "media", kmf_media_json(), "you", "member", m->id, "name", m->name,
	    "role", m->role, "kind", m->kind, "ssrcs", kmf_ssrcs_json(m));
}

int
kmf_op_conf_get(struct kmf_job *j)
{
	int r;

	if (j->me.id[0] == '\0') /* staff */
		return kmf_conf_answer(j, 200);
	/* token1 outlives the invitation by some minutes. */
	r = kmf_decide_member(j->k, &j->conf, &j->me);
	if (r == PERC_ERR_NOTFOUND)
		return kmf_not_found(j);
	return r != 0 ? r : kmf_answer_json(j, 200, descriptor_json(j));
}
