/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Changes to a scheduled conference. Who is no longer invited is put out in
 * the same transaction that took the invitation back.
 */
#include "kmf/keeper_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool
same_people(const struct db_invitee *a, const struct db_invitee *b)
{
	return strcmp(a->email, b->email) == 0 && strcmp(a->iss, b->iss) == 0 &&
	    strcmp(a->sub, b->sub) == 0 && strcmp(a->group, b->group) == 0 &&
	    strcmp(a->domain, b->domain) == 0;
}

static int
invitee_update(
    struct kmf_job *j, struct db_invitee *have, const struct db_invitee *want)
{
	if (strcmp(have->role, want->role) == 0 &&
	    strcmp(have->kind, want->kind) == 0)
		return 0;
	memcpy(have->role, want->role, sizeof(have->role));
	memcpy(have->kind, want->kind, sizeof(have->kind));
	return db_invitee_put(j->k->db, have, j->conf.id);
}

/* A series gives the same list to each of its occurrences. */
static int
invitee_new(struct kmf_job *j, const struct db_invitee *want)
{
	struct db_invitee v = *want;

	perc_random_id(v.id, sizeof(v.id), "v_");
	return db_invitee_add(j->k->db, j->conf.id, &v);
}

/* The new list replaces the old; who stays keeps the id, perhaps in another
 * role, who goes is out. */
int
kmf_invitees_replace(struct kmf_job *j, const struct db_invitee *want, size_t n)
{
	struct db_invitee *have = NULL;
	size_t i, o, nhave;
	bool *kept = NULL;
	int r;

	if ((r = db_invitee_list(j->k->db, &have, &nhave, j->conf.id)) != 0)
		return r;
	r = PERC_ERR_NOMEM;
	if ((kept = calloc(nhave + 1, sizeof(*kept))) == NULL)
		goto out;
	for (r = 0, i = 0; r == 0 && i < n; i++) {
		for (o = 0; o < nhave; o++)
			if (!kept[o] && same_people(&want[i], &have[o]))
				break;
		if (o < nhave) {
			kept[o] = true;
			r = invitee_update(j, &have[o], &want[i]);
		} else
			r = invitee_new(j, &want[i]);
	}
	for (o = 0; r == 0 && o < nhave; o++)
		if (!kept[o] &&
		    (r = db_invitee_delete(j->k->db, have[o].id)) == 0 &&
		    (r = kmf_mail_invitee(j->k, &j->conf, &have[o], true)) == 0)
			r = kmf_drop_via(
			    j->k, &j->conf, have[o].id, j->call->id.sub);
out:
	free(kept);
	free(have);
	return r;
}

static const char *
for_series(const json_t *body)
{
	return json_object_get(body, "rrule") != NULL  ? "rrule"
	    : json_object_get(body, "exdates") != NULL ? "exdates"
						       : NULL;
}

static int
conf_patch(struct kmf_job *j, const json_t *body)
{
	struct db_invitee *list = NULL;
	struct db_conf *c = &j->conf;
	size_t n = 0;
	int r;

	if (for_series(body) != NULL)
		return kmf_refuse(j, 400, "invalid_request",
		    "/%s: of a series; this is a single conference",
		    for_series(body));
	if ((r = kmf_conf_fields(j, body, c, &j->policy)) != 0 ||
	    j->a.status != 0 ||
	    (r = kmf_conf_invitees(j, body, &list, &n)) != 0 ||
	    j->a.status != 0)
		goto out;
	c->version++;
	c->exception = c->series[0] != '\0';
	if ((r = db_conf_put(j->k->db, c)) != 0 ||
	    (list != NULL && (r = kmf_invitees_replace(j, list, n)) != 0) ||
	    (r = kmf_conf_changed(j, KMF_AUDIT_CONF_CHANGED, NULL)) != 0 ||
	    (kmf_notify(body) && (r = kmf_mail_conf(j->k, c)) != 0))
		goto out;
	r = kmf_conf_answer(j, 200);
out:
	free(list);
	return r;
}

int
kmf_op_conf_patch(struct kmf_job *j)
{
	json_t *body = NULL;
	int r;

	if (j->conf.state == DB_CONF_ENDED)
		return kmf_refuse(j, 409, "ended", "it is over");
	if ((r = kmf_conf_body(j, &body)) == 0 && j->a.status == 0)
		r = conf_patch(j, body);
	json_decref(body);
	return r;
}

int
kmf_conf_remove(struct kmf_job *j)
{
	int r;

	if ((r = kmf_conf_cancel(j, &j->conf, NULL)) != 0 ||
	    (r = kmf_audit(j->k, KMF_AUDIT_CONF_DELETED, j->call->id.sub,
		 j->conf.id, "", NULL)) != 0)
		return r;
	return db_conf_delete(j->k->db, j->conf.id);
}

int
kmf_op_conf_delete(struct kmf_job *j)
{
	struct db_conf was = j->conf;
	int r;

	/* Written down while it is there. */
	was.cancelled = true;
	was.version++;
	if (was.state != DB_CONF_ENDED && (r = kmf_mail_conf(j->k, &was)) != 0)
		return r;
	if ((r = kmf_conf_remove(j)) != 0)
		return r;
	j->a.status = 204;
	return 0;
}
