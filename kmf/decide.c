/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The decision who may come in. Token exchange and "explain" run this same
 * code, so an explanation cannot differ from what happens.
 */
#include "kmf/keeper_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static int
rule(json_t *rules, const char *name, bool passed, const char *detail)
{
	if (rules == NULL)
		return 0;
	return json_array_append_new(rules,
		   json_pack("{s:s, s:b, s:s}", "rule", name, "passed",
		       (int)passed, "detail", detail)) == 0
	    ? 0
	    : PERC_ERR_NOMEM;
}

static bool
in_group(const struct kmf_person *p, const char *group)
{
	unsigned i;

	for (i = 0; i < p->ngroups; i++)
		if (strcmp(p->groups[i], group) == 0)
			return true;
	return false;
}

/* An address counts only when the provider says that it was verified. */
static bool
names(const struct db_invitee *v, const struct kmf_person *p)
{
	if (v->email[0] != '\0')
		return p->email_verified && strcasecmp(v->email, p->email) == 0;
	if (v->iss[0] != '\0')
		return strcmp(v->iss, p->iss) == 0 &&
		    strcmp(v->sub, p->sub) == 0;
	return v->group[0] != '\0' && in_group(p, v->group);
}

static int
find_invitee(struct kmf_keeper *k, const struct db_conf *c,
    const struct kmf_person *p, struct kmf_verdict *v)
{
	struct db_invitee *list = NULL;
	size_t i, n;
	int r;

	if ((r = db_invitee_list(k->db, &list, &n, c->id)) != 0)
		return r;
	r = PERC_ERR_NOTFOUND;
	for (i = 0; r != 0 && i < n; i++) {
		if (!names(&list[i], p))
			continue;
		memcpy(v->via, list[i].id, sizeof(v->via));
		memcpy(v->role, list[i].role, sizeof(v->role));
		memcpy(v->kind, list[i].kind, sizeof(v->kind));
		r = 0;
	}
	free(list);
	return r;
}

/* A guest's identity is the invitation itself: iss = BASE, sub = i_... */
static int
find_invitation(struct kmf_keeper *k, const struct db_conf *c,
    const struct kmf_person *p, struct kmf_verdict *v)
{
	struct db_inv i;
	int r;

	if (strcmp(p->iss, k->base) != 0)
		return PERC_ERR_NOTFOUND;
	if ((r = db_inv_find(k->db, &i, p->sub)) != 0)
		return r;
	if (strcmp(i.conf, c->id) != 0 || i.state == DB_INV_REVOKED)
		return PERC_ERR_NOTFOUND;
	memcpy(v->via, i.id, sizeof(v->via));
	memcpy(v->kind, i.kind, sizeof(v->kind));
	return kmf_copy(v->role, sizeof(v->role), "member");
}

int
kmf_decide(struct kmf_keeper *k, const struct db_conf *c,
    const struct kmf_person *p, struct kmf_verdict *v, json_t *rules)
{
	const char *email = p->email_verified ? p->email : "";
	int r;

	memset(v, 0, sizeof(*v));
	v->running = c->state != DB_CONF_ENDED && k->now_ms < c->ends_ms;
	if ((r = rule(rules, "conference_not_over", v->running,
		 v->running ? "it has not ended" : "it is over")) != 0)
		return r;
	r = find_invitation(k, c, p, v);
	if (r == PERC_ERR_NOTFOUND)
		r = find_invitee(k, c, p, v);
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	v->invited = r == 0;
	if (v->invited && kmf_word_is(p->kind, "person room recorder"))
		snprintf(v->kind, sizeof(v->kind), "%s", p->kind);
	if ((r = rule(rules, "invited", v->invited,
		 v->invited ? v->via : "no invitation names this person")) != 0)
		return r;
	r = db_evicted_find(k->db, c->id, p->iss, p->sub, email);
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	v->welcome = r != 0;
	if ((r = rule(rules, "not_evicted", v->welcome,
		 v->welcome ? "never put out" : "was put out for good")) != 0)
		return r;
	v->allowed = v->running && v->invited && v->welcome;
	return 0;
}

int
kmf_decide_member(
    struct kmf_keeper *k, const struct db_conf *c, const struct db_member *m)
{
	struct db_invitee *list = NULL;
	struct db_inv inv;
	size_t i, n;
	int r;

	r = db_inv_find(k->db, &inv, m->via);
	if (r == 0)
		return inv.state == DB_INV_REVOKED ? PERC_ERR_NOTFOUND : 0;
	if (r != PERC_ERR_NOTFOUND ||
	    (r = db_invitee_list(k->db, &list, &n, c->id)) != 0)
		return r;
	r = PERC_ERR_NOTFOUND;
	for (i = 0; r != 0 && i < n; i++)
		if (strcmp(list[i].id, m->via) == 0)
			r = 0;
	free(list);
	return r;
}

/* {"email"} | {"iss", "sub"} | {"member"}: as if its provider vouched. */
static int
subject_get(struct kmf_job *j, const json_t *body, struct kmf_person *p,
    struct db_member *m)
{
	const json_t *s = json_object_get(body, "subject");
	const char *id = perc_json_str(s, "member");
	const char *email = perc_json_str(s, "email");
	const char *iss = perc_json_str(s, "iss");
	const char *sub = perc_json_str(s, "sub");
	int r;

	*p = (struct kmf_person){
		.iss = "", .sub = "", .email = "", .name = "", .kind = ""
	};
	if (id != NULL) {
		r = db_member_find(j->k->db, m, id);
		if (r == 0 && strcmp(m->conf, j->conf.id) != 0)
			r = PERC_ERR_NOTFOUND;
		if (r != 0)
			return r;
		iss = m->iss;
		sub = m->sub;
		email = m->email;
	}
	if (email == NULL && (iss == NULL || sub == NULL))
		return PERC_ERR_FORMAT;
	p->iss = iss != NULL ? iss : "";
	p->sub = sub != NULL ? sub : "";
	p->email = email != NULL ? email : "";
	p->email_verified = p->email[0] != '\0';
	return 0;
}

/* The door opens early_entry_s before the start. */
static int
door_rule(struct kmf_job *j, json_t *rules, bool *open)
{
	*open = j->k->now_ms >=
	    j->conf.starts_ms - (int64_t)j->policy.early_entry_s * 1000;
	return rule(rules, "door_open", *open,
	    *open ? "keys are handed out" : "too early");
}

int
kmf_op_explain(struct kmf_job *j)
{
	json_t *body = NULL, *rules = json_array();
	struct kmf_verdict v;
	struct kmf_person p;
	struct db_member m;
	bool open = false;
	char why[128];
	int r;

	if ((r = perc_json_parse(&body, j->call->body, j->call->body_len,
		 KMF_BODY_MAX, why, sizeof(why))) != 0) {
		r = kmf_refuse(j, 400, "invalid_request", "%s", why);
		goto out;
	}
	r = subject_get(j, body, &p, &m);
	if (r == PERC_ERR_FORMAT || r == PERC_ERR_NOTFOUND) {
		r = kmf_refuse(j, 400, "invalid_request",
		    "/subject: email, iss with sub, or a member of this "
		    "conference");
		goto out;
	}
	if (r != 0 || (r = kmf_decide(j->k, &j->conf, &p, &v, rules)) != 0 ||
	    (r = door_rule(j, rules, &open)) != 0)
		goto out;
	r = kmf_answer_json(j, 200,
	    json_pack("{s:b, s:O}", "allowed", (int)(v.allowed && open),
		"rules", rules));
out:
	json_decref(rules);
	json_decref(body);
	return r;
}
