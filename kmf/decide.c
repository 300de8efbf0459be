/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The decision who may come in. Token exchange and "explain" run this same
 * code, so an explanation cannot differ from what happens.
 */
#include "kmf/keeper_int.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct explained { /* whom an explanation is about */
	struct db_member member;
	struct db_inv inv;
	const char *groups[KMF_GROUPS_MAX];
};

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

static void
lower(char *out, size_t cap, const char *in)
{
	size_t i;

	for (i = 0; i + 1 < cap && in[i] != '\0'; i++)
		out[i] = (char)tolower((unsigned char)in[i]);
	out[i] = '\0';
}

static char *
groups_text(const struct kmf_person *p)
{
	json_t *list = json_array();
	char *text;
	unsigned i;

	for (i = 0; i < p->ngroups; i++)
		if (kmf_is_utf8(p->groups[i]))
			kmf_json_add(&list, json_string(p->groups[i]));
	text = list != NULL ? perc_json_text(list) : NULL;
	json_decref(list);
	return text;
}

/* Looked up, not gone through: a list of a thousand would show by the clock,
 * and one of a conference that does not exist is as quick. */
static int
find_invitee(struct kmf_keeper *k, const struct db_conf *c,
    const struct kmf_person *p, struct kmf_verdict *v)
{
	char email[DB_EMAIL_MAX];
	struct db_who who = { .iss = p->iss, .sub = p->sub };
	struct db_invitee found;
	const char *at;
	char *groups;
	int r;

	/* An address counts only when the provider says it was verified. */
	lower(email, sizeof(email), p->email_verified ? p->email : "");
	who.email = email;
	/* Exactly this domain: sub.example.org may be somebody else's. */
	at = strrchr(email, '@');
	who.domain = at != NULL ? at + 1 : "";
	if ((groups = groups_text(p)) == NULL)
		return PERC_ERR_NOMEM;
	who.groups = groups;
	r = db_invitee_match(k->db, &found, c->id, &who);
	perc_json_free(groups);
	if (r != 0)
		return r;
	memcpy(v->via, found.id, sizeof(v->via));
	memcpy(v->role, found.role, sizeof(v->role));
	memcpy(v->kind, found.kind, sizeof(v->kind));
	return 0;
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
	memcpy(v->role, i.role, sizeof(v->role));
	return 0;
}

/* Absent from a list that has gaps is not "not in the group". */
static int
groups_rule(struct kmf_keeper *k, json_t *rules, const struct db_conf *c,
    const struct kmf_person *p, const struct kmf_verdict *v)
{
	int r;

	if (rules == NULL || v->invited || !p->groups_partial)
		return 0;
	if ((r = db_invitee_by_group(k->db, c->id)) != 0)
		return r == PERC_ERR_NOTFOUND ? 0 : r;
	return rule(rules, "groups_complete", false,
	    "a group is invited, but the identity provider left this person's "
	    "groups out: whether they are in it is not known");
}

/* Only for guests, whose code is what invites them. */
static int
code_rule(struct kmf_keeper *k, json_t *rules, const struct db_conf *c,
    const struct kmf_person *p)
{
	static const char *const states[] = { "it can be used, once",
		"it was used, and stays with that endpoint", "it was revoked" };
	struct db_inv i;
	int r;

	if (rules == NULL || strcmp(p->iss, k->base) != 0)
		return 0;
	if ((r = db_inv_find(k->db, &i, p->sub)) != 0)
		return r == PERC_ERR_NOTFOUND ? 0 : r;
	if (kmf_inv_expired(k, &i, c))
		return rule(rules, "code_valid", false,
		    "it expired before it was used; send a new one");
	return rule(
	    rules, "code_valid", i.state != DB_INV_REVOKED, states[i.state]);
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
		 v->invited ? v->via : "no invitation names this person")) !=
		0 ||
	    (r = groups_rule(k, rules, c, p, v)) != 0 ||
	    (r = code_rule(k, rules, c, p)) != 0)
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
	return db_member_welcome(k->db, c->id, m);
}

int
kmf_decide_lock(struct kmf_keeper *k, const struct db_conf *c, const char *iss,
    const char *sub, bool *in)
{
	*in = true;
	if (c->locked_ms == 0)
		return 0;
	return db_member_inside(k->db, in, c->id, iss, sub, c->locked_ms);
}

/* Nobody's provider is asked: groups are those that the question names. */
static int
groups_get(struct kmf_person *p, const json_t *list, const char **groups)
{
	size_t i, n = json_array_size(list);

	p->groups_partial = list == NULL;
	if (list != NULL && (!json_is_array(list) || n > KMF_GROUPS_MAX))
		return PERC_ERR_FORMAT;
	for (i = 0; i < n; i++)
		if ((groups[i] = json_string_value(json_array_get(list, i))) ==
		    NULL)
			return PERC_ERR_FORMAT;
	p->groups = groups;
	p->ngroups = (unsigned)n;
	return 0;
}

/* A guest as the exchange of the code would see them. */
static int
guest_get(
    struct kmf_job *j, const char *id, struct kmf_person *p, struct db_inv *inv)
{
	int r;

	r = db_inv_find(j->k->db, inv, id);
	if (r == 0 && strcmp(inv->conf, j->conf.id) != 0)
		r = PERC_ERR_NOTFOUND;
	p->iss = j->k->base;
	p->sub = inv->id;
	p->email = inv->email;
	p->email_verified = true;
	return r;
}

/* {"email"} | {"iss", "sub"} | {"member"} | {"invitation"}: as if its provider
 * vouched. */
static int
subject_get(struct kmf_job *j, const json_t *body, struct kmf_person *p,
    struct explained *about)
{
	struct db_member *m = &about->member;
	const json_t *s = json_object_get(body, "subject");
	const char *id = perc_json_str(s, "member");
	const char *email = perc_json_str(s, "email");
	const char *iss = perc_json_str(s, "iss");
	const char *sub = perc_json_str(s, "sub");
	int r;

	*p = (struct kmf_person){
		.iss = "", .sub = "", .email = "", .name = "", .kind = ""
	};
	if (groups_get(p, json_object_get(s, "groups"), about->groups) != 0)
		return PERC_ERR_FORMAT;
	if (perc_json_str(s, "invitation") != NULL)
		return guest_get(
		    j, perc_json_str(s, "invitation"), p, &about->inv);
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

/* What the door asks of whom the conference welcomes. */
static int
door_rules(
    struct kmf_job *j, json_t *rules, const struct kmf_person *p, bool *open)
{
	bool in;
	int r;

	*open = j->k->now_ms >= kmf_conf_opens_ms(&j->conf, &j->policy);
	if ((r = rule(rules, "door_open", *open,
		 *open ? "keys are handed out" : "too early")) != 0 ||
	    (r = kmf_decide_lock(j->k, &j->conf, p->iss, p->sub, &in)) != 0)
		return r;
	*open = *open && in;
	return rule(rules, "not_locked", in,
	    j->conf.locked_ms == 0 ? "it is not locked"
		: in		   ? "was inside when it was locked"
		     : "it is locked, and this person was not inside");
}

int
kmf_op_explain(struct kmf_job *j)
{
	json_t *body = NULL, *rules = json_array();
	struct kmf_verdict v;
	struct kmf_person p;
	struct explained about;
	bool open = false;
	char why[128];
	int r;

	if ((r = perc_json_parse(&body, j->call->body, j->call->body_len,
		 KMF_BODY_MAX, why, sizeof(why))) != 0) {
		r = kmf_refuse(j, 400, "invalid_request", "%s", why);
		goto out;
	}
	r = subject_get(j, body, &p, &about);
	if (r == PERC_ERR_FORMAT || r == PERC_ERR_NOTFOUND) {
		r = kmf_refuse(j, 400, "invalid_request",
		    "/subject: email, iss with sub, or a member or an "
		    "invitation of this conference");
		goto out;
	}
	if (r != 0 || (r = kmf_decide(j->k, &j->conf, &p, &v, rules)) != 0 ||
	    (r = door_rules(j, rules, &p, &open)) != 0)
		goto out;
	r = kmf_answer_json(j, 200,
	    json_pack("{s:b, s:O}", "allowed", (int)(v.allowed && open),
		"rules", rules));
out:
	json_decref(rules);
	json_decref(body);
	return r;
}
