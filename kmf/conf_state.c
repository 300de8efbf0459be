/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What changes a conference while people are in it, other than its plan:
 * lock, extend, cancel. Hosts may, who come with a member's token and see
 * what a member sees.
 */
#include "kmf/keeper_int.h"

#include <stdio.h>
#include <string.h>

const char *
kmf_actor(const struct kmf_job *j)
{
	return j->me.id[0] != '\0' ? j->me.id : j->call->id.sub;
}

/* Tell those inside, and the engine when to look again. */
int
kmf_conf_changed(struct kmf_job *j, enum kmf_audit_kind kind, json_t *detail)
{
	struct db_conf *c = &j->conf;
	struct kmf_room room;
	json_t *event = NULL;
	int r;

	if ((r = kmf_audit(j->k, kind, kmf_actor(j), c->id, "", detail)) != 0)
		return r;
	event = kmf_conf_event_json(c);
	if ((r = kmf_broadcast(j->k, c, NULL, "conference", event)) == 0 &&
	    (r = kmf_policy_load(&j->policy, c->policy)) == 0 &&
	    (r = kmf_room_load(&room, j->k, c)) == 0)
		r = j->k->now_ms < kmf_conf_opens_ms(c, &room.p)
		    ? kmf_room_adjourn(&room, kmf_actor(j), "rescheduled")
		    : kmf_room_settle(&room, 0);
	json_decref(event);
	return r;
}

static int
over(struct kmf_job *j)
{
	return kmf_refuse(j, 409, "ended", "it is over");
}

/* Only who holds a lease then, or had one later, comes in while it lasts. */
static int
lock_set(struct kmf_job *j, bool lock)
{
	struct db_conf *c = &j->conf;
	int r;

	if (c->state == DB_CONF_ENDED)
		return over(j);
	if (lock != (c->locked_ms != 0)) {
		c->locked_ms = lock ? j->k->now_ms : 0;
		r = kmf_conf_changed(j,
		    lock ? KMF_AUDIT_CONF_LOCKED : KMF_AUDIT_CONF_UNLOCKED,
		    NULL);
		if (r != 0)
			return r;
	}
	return kmf_op_conf_get(j);
}

int
kmf_op_lock(struct kmf_job *j)
{
	return lock_set(j, true);
}

int
kmf_op_unlock(struct kmf_job *j)
{
	return lock_set(j, false);
}

static int
extend_get(struct kmf_job *j, const json_t *body, int64_t *ends_ms)
{
	const json_t *by = json_object_get(body, "by_s");
	const char *at = perc_json_str(body, "ends_at");
	int64_t s;

	if (json_object_size(body) == 1 && by != NULL) {
		if (perc_json_int(&s, body, "by_s", 60, 86400) != 0)
			return kmf_refuse(j, 400, "invalid_request",
			    "/by_s: seconds, 60 to 86400");
		*ends_ms = j->conf.ends_ms + s * 1000;
		return 0;
	}
	if (json_object_size(body) != 1 || at == NULL ||
	    perc_time_get(ends_ms, at) != 0)
		return kmf_refuse(j, 400, "invalid_request",
		    "/ends_at: RFC 3339, as 2026-11-21T09:30:00Z; or /by_s");
	if (*ends_ms <= j->conf.ends_ms)
		return kmf_refuse(j, 400, "invalid_request",
		    "/ends_at: not later than it ends now; to shorten it, "
		    "PATCH the conference");
	return 0;
}

static int
extend(struct kmf_job *j, const json_t *body)
{
	struct db_conf *c = &j->conf;
	int64_t ends_ms = 0;
	int r;

	if ((r = extend_get(j, body, &ends_ms)) != 0 || j->a.status != 0)
		return r;
	if (ends_ms - c->starts_ms > KMF_DURATION_MAX_MS)
		return kmf_refuse(j, 400, "invalid_request",
		    "/%s: a conference lasts 31 days at most",
		    json_object_get(body, "by_s") != NULL ? "by_s" : "ends_at");
	c->ends_ms = ends_ms;
	c->version++;
	c->exception = c->series[0] != '\0';
	if ((r = kmf_conf_changed(j, KMF_AUDIT_CONF_CHANGED,
		 json_pack("{s:o}", "ends_at", kmf_time_json(ends_ms)))) != 0)
		return r;
	return kmf_op_conf_get(j);
}

int
kmf_op_extend(struct kmf_job *j)
{
	json_t *body = NULL;
	int r;

	if (j->conf.state == DB_CONF_ENDED || j->k->now_ms >= j->conf.ends_ms)
		return over(j);
	if ((r = kmf_conf_body(j, &body)) == 0 && j->a.status == 0)
		r = extend(j, body);
	json_decref(body);
	return r;
}

/* why: for people, taken into the audit trail; NULL: none. */
int
kmf_conf_cancel(struct kmf_job *j, struct db_conf *c, const char *why)
{
	struct kmf_room room;
	json_t *event;
	int r;

	if (c->state == DB_CONF_ENDED)
		return 0;
	c->cancelled = true;
	c->version++;
	/* Else the series would make it again once it is forgotten. */
	if (c->series[0] != '\0' &&
	    (r = db_exdate_add(j->k->db, c->series, c->recur_ms)) != 0)
		return r;
	event = kmf_conf_event_json(c);
	if ((r = kmf_broadcast(j->k, c, NULL, "conference", event)) == 0 &&
	    (r = kmf_room_load(&room, j->k, c)) == 0 &&
	    (r = kmf_room_end(&room, kmf_actor(j), "cancelled")) == 0)
		r = kmf_audit(j->k, KMF_AUDIT_CONF_CANCELLED, kmf_actor(j),
		    c->id, "", json_pack("{s:s*}", "why", why));
	json_decref(event);
	return r;
}

int
kmf_cancellation_get(
    struct kmf_job *j, json_t **bodyp, struct kmf_cancellation *what)
{
	const json_t *notify;
	int r;

	*what = (struct kmf_cancellation){ NULL, true };
	if (j->call->body_len == 0)
		return 0;
	if ((r = kmf_conf_body(j, bodyp)) != 0 || j->a.status != 0)
		return r;
	what->why = perc_json_str(*bodyp, "reason");
	if (json_object_get(*bodyp, "reason") != NULL &&
	    (what->why == NULL || kmf_text_check(what->why, 200) != 0))
		return kmf_refuse(j, 400, "invalid_request",
		    "/reason: a text of 1 to 200 octets");
	notify = json_object_get(*bodyp, "notify");
	if (notify != NULL && !json_is_boolean(notify))
		return kmf_refuse(
		    j, 400, "invalid_request", "/notify: true or false");
	what->notify = notify == NULL || json_is_true(notify);
	return 0;
}

int
kmf_op_cancel(struct kmf_job *j)
{
	struct kmf_cancellation what;
	json_t *body = NULL;
	int r;

	if ((r = kmf_cancellation_get(j, &body, &what)) != 0 ||
	    j->a.status != 0)
		goto out;
	if (j->conf.state == DB_CONF_ENDED && !j->conf.cancelled)
		r = over(j);
	else if ((r = kmf_conf_cancel(j, &j->conf, what.why)) == 0 &&
	    (!what.notify || (r = kmf_mail_conf(j->k, &j->conf)) == 0))
		r = kmf_conf_answer(j, 200);
out:
	json_decref(body);
	return r;
}
