/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a scheduler sees of members and does to them. Putting out means the
 * person: every endpoint now, every exchange later, one rekey for all.
 */
#include "kmf/keeper_int.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *const states[] = { "known", "live", "gone", "evicted" };

int
kmf_member_state_of(const char *text)
{
	int s;

	for (s = DB_MEMBER_LIVE; s <= DB_MEMBER_EVICTED; s++)
		if (strcmp(text, states[s]) == 0)
			return s;
	return -1;
}

json_t *
kmf_member_json(const struct db_member *m)
{
	return json_pack("{s:s, s:s, s:{s:s, s:s, s:s*}, s:s, s:I, s:o, s:s, "
			 "s:o}",
	    "member", m->id, "name", m->name, "identity", "iss", m->iss, "sub",
	    m->sub, "email", kmf_json_opt(m->email), "kind", m->kind, "epoch",
	    (json_int_t)m->held, "joined_at", kmf_time_json(m->joined_ms),
	    "state", states[m->state], "lease_expires_at",
	    kmf_time_json(m->lease_ms));
}

static bool
same_person(const struct db_member *a, const struct db_member *b)
{
	return (strcmp(a->iss, b->iss) == 0 && strcmp(a->sub, b->sub) == 0) ||
	    (a->email[0] != '\0' && strcasecmp(a->email, b->email) == 0);
}

/* Never again, by this name or this address. Who is known by address alone
 * gets a name that no provider can have: an issuer is never empty. */
static int
ban(struct kmf_keeper *k, const struct db_conf *c, const struct db_member *m)
{
	return db_evicted_add(k->db, c->id, m->iss,
	    m->iss[0] != '\0' ? m->sub : m->email, m->email, k->now_ms);
}

/* Endpoints of the conference for which `out` says so; *np: how many. */
static int
put_out(struct kmf_keeper *k, struct db_conf *c, const char *actor,
    enum db_member_state to, const char *reason,
    bool (*out)(const struct db_member *m, const void *arg), const void *arg,
    unsigned *np)
{
	struct db_member *list = NULL;
	struct kmf_room o;
	bool any = false;
	size_t i, n;
	int r;

	if ((r = kmf_room_load(&o, k, c)) != 0 ||
	    (r = db_member_list(k->db, &list, &n, c->id, -1)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++) {
		if (list[i].state == DB_MEMBER_EVICTED || !out(&list[i], arg))
			continue;
		any = any || list[i].state == DB_MEMBER_LIVE;
		++*np;
		r = kmf_room_evict(&o, &list[i], to, actor, reason);
		/* Another account with the same address is out as itself. */
		if (r == 0 && to == DB_MEMBER_EVICTED)
			r = ban(k, c, &list[i]);
	}
	free(list);
	if (r != 0)
		return r;
	return any ? kmf_room_evict_settle(&o) : kmf_room_settle(&o, 0);
}

static bool
is_person(const struct db_member *m, const void *arg)
{
	return same_person(m, arg);
}

static bool
came_via(const struct db_member *m, const void *arg)
{
	return strcmp(m->via, arg) == 0;
}

int
kmf_drop_via(
    struct kmf_keeper *k, struct db_conf *c, const char *via, const char *actor)
{
	unsigned n = 0;

	return put_out(k, c, actor, DB_MEMBER_GONE, "no longer invited",
	    came_via, via, &n);
}

/* Tokens, seats and grants of this person end together; *np: endpoints. */
static int
person_evict(struct kmf_job *j, const struct db_member *m, unsigned *np)
{
	struct db_inv inv;
	int r;

	*np = 0;
	if ((r = ban(j->k, &j->conf, m)) != 0)
		return r;
	r = db_inv_find(j->k->db, &inv, m->via);
	if (r == 0) { /* a guest: the code dies too */
		inv.state = DB_INV_REVOKED;
		r = db_inv_put(j->k->db, &inv);
	}
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	return put_out(j->k, &j->conf, kmf_actor(j), DB_MEMBER_EVICTED,
	    "evicted", is_person, m, np);
}

/* The member of this conference with that id. */
static int
member_of(struct kmf_job *j, struct db_member *m, const char *id)
{
	int r = db_member_find(j->k->db, m, id);

	return r == 0 && strcmp(m->conf, j->conf.id) != 0 ? PERC_ERR_NOTFOUND
							  : r;
}

int
kmf_op_member_evict(struct kmf_job *j)
{
	struct db_member m;
	unsigned n;
	int r;

	r = member_of(j, &m, j->call->obj);
	if (r == PERC_ERR_NOTFOUND)
		return kmf_not_found(j);
	if (r != 0 || (r = person_evict(j, &m, &n)) != 0)
		return r;
	j->a.status = 204;
	return 0;
}

/* Under which address this person came, if ever. */
static int
address_find(struct kmf_job *j, struct db_member *m)
{
	struct db_member *list = NULL;
	size_t i, n;
	int r;

	if ((r = db_member_of_person(
		 j->k->db, &list, &n, j->conf.id, m->iss, m->sub)) != 0)
		return r;
	for (i = 0; i < n && m->email[0] == '\0'; i++)
		memcpy(m->email, list[i].email, sizeof(m->email));
	free(list);
	return 0;
}

/* {"member"} | {"iss", "sub"} | {"email"}; FORMAT: none of these. */
static int
subject_get(struct kmf_job *j, const json_t *s, struct db_member *m)
{
	const char *id = perc_json_str(s, "member");
	const char *iss = perc_json_str(s, "iss");
	const char *sub = perc_json_str(s, "sub");

	memset(m, 0, sizeof(*m));
	if (id != NULL)
		return member_of(j, m, id);
	if (kmf_email_get(m->email, sizeof(m->email), s) != 0)
		return PERC_ERR_FORMAT;
	if (m->email[0] != '\0')
		return 0;
	if (iss == NULL || sub == NULL ||
	    kmf_text_check(iss, sizeof(m->iss) - 1) != 0 ||
	    kmf_text_check(sub, sizeof(m->sub) - 1) != 0)
		return PERC_ERR_FORMAT;
	memcpy(m->iss, iss, strlen(iss));
	memcpy(m->sub, sub, strlen(sub));
	return address_find(j, m);
}

int
kmf_op_evict(struct kmf_job *j)
{
	struct db_member m;
	json_t *body = NULL;
	unsigned n;
	int r;

	if ((r = kmf_conf_body(j, &body)) != 0 || j->a.status != 0)
		goto out;
	r = subject_get(j, json_object_get(body, "subject"), &m);
	if (r == PERC_ERR_FORMAT || r == PERC_ERR_NOTFOUND) {
		r = kmf_refuse(j, 400, "invalid_request",
		    "/subject: email, iss with sub, or a member of this "
		    "conference");
		goto out;
	}
	if (r != 0 || (r = person_evict(j, &m, &n)) != 0 ||
	    (r = kmf_audit(j->k, KMF_AUDIT_EVICTED, kmf_actor(j), j->conf.id,
		 m.id,
		 json_pack("{s:s, s:s*, s:s*, s:s*, s:i}", "reason", "evicted",
		     "iss", kmf_json_opt(m.iss), "sub", kmf_json_opt(m.sub),
		     "email", kmf_json_opt(m.email), "endpoints", (int)n))) !=
		0)
		goto out;
	r = kmf_answer_json(j, 200, json_pack("{s:i}", "endpoints", (int)n));
out:
	json_decref(body);
	return r;
}

int
kmf_op_rekey(struct kmf_job *j)
{
	struct kmf_room o;
	int r;

	if (j->conf.state != DB_CONF_LIVE)
		return kmf_refuse(j, 409, "not_live", "nobody is in it");
	if ((r = kmf_room_load(&o, j->k, &j->conf)) != 0)
		return r;
	o.cause = "request";
	if ((r = kmf_room_evict_settle(&o)) != 0)
		return r;
	/* Merged into an eviction's: the number is that epoch's. */
	return kmf_answer_json(j, 202,
	    json_pack("{s:I}", "epoch",
		(json_int_t)(o.r.epoch + (o.r.rekey_ms != 0))));
}

int
kmf_op_end(struct kmf_job *j)
{
	struct kmf_room o;
	int r;

	if ((r = kmf_room_load(&o, j->k, &j->conf)) != 0 ||
	    (r = kmf_room_end(&o, kmf_actor(j), "ended")) != 0)
		return r;
	return kmf_op_conf_get(j);
}
