/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * From a person to a member. One invited person with one key is one member
 * (a seat, SSRCs, a row), found again at every exchange and at every request
 * that brings the provider's own token. The invitation is looked at each
 * time, and a conference that is not there takes the same steps.
 */
#include "kmf/rosterlist.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define X5T "x5t:" /* no thumbprint has a colon */

int
kmf_binding_put(char out[static DB_BIND_MAX], const struct kmf_identity *id)
{
	const char *hash = id->jkt[0] != '\0' ? id->jkt : id->x5t;

	out[0] = '\0';
	if (strlen(hash) >= DB_HASH_MAX)
		return PERC_ERR_FORMAT;
	snprintf(out, DB_BIND_MAX, "%s%s", hash == id->x5t && *hash ? X5T : "",
	    hash);
	return 0;
}

json_t *
kmf_binding_cnf(const struct kmf_identity *id)
{
	return id->jkt[0] != '\0' ? json_pack("{s:s}", "jkt", id->jkt)
				  : json_pack("{s:s}", "x5t#S256", id->x5t);
}

int
kmf_person_get(
    struct kmf_person *p, struct kmf_keeper *k, const struct kmf_identity *id)
{
	bool email = id->email_verified && strlen(id->email) < DB_EMAIL_MAX;

	/* An address that is only claimed would be shown to all as theirs, and
	 * putting its bearer out would put out its owner. */
	*p = (struct kmf_person){ .iss = id->iss,
		.sub = id->sub,
		.email = email ? id->email : "",
		.name = id->name,
		.kind = id->kind,
		.email_verified = id->email_verified,
		.groups_partial = id->groups_partial,
		.groups = id->groups,
		.ngroups = id->ngroups };
	/* A provider that claims our own name could borrow a guest's place. */
	return kmf_text_check(id->iss, DB_ISS_MAX - 1) != 0 ||
		kmf_text_check(id->sub, DB_SUB_MAX - 1) != 0 ||
		strcmp(id->iss, k->base) == 0 || !kmf_is_utf8(id->name) ||
		!kmf_is_utf8(id->email)
	    ? PERC_ERR_FORMAT
	    : 0;
}

/* A name from outside: cut at a character's edge, without controls. */
static void
name_put(char out[static DB_NAME_MAX], const char *in)
{
	size_t n = strlen(in), i;

	if (n >= DB_NAME_MAX)
		for (n = DB_NAME_MAX - 1; n > 0 && (in[n] & 0xc0) == 0x80;)
			n--;
	for (i = 0; i < n; i++)
		out[i] = (char)(iscntrl((unsigned char)in[i]) ? ' ' : in[i]);
	out[n] = '\0';
}

/* Random, never 0, never one that this conference has seen. */
static int
ssrc_assign(struct kmf_keeper *k, const char *conf, uint32_t *ssrc)
{
	int r = PERC_ERR_EXISTS, tries;

	for (tries = 0; r == PERC_ERR_EXISTS && tries < 64; tries++) {
		do
			*ssrc = perc_random_u32();
		while (*ssrc == 0);
		r = db_ssrc_add(k->db, conf, *ssrc);
	}
	return r;
}

static int
ssrcs_assign(struct kmf_job *j, struct db_member *m)
{
	uint32_t *const place[] = { &m->ssrc_audio, &m->ssrc_video,
		&m->ssrc_video2, &m->ssrc_video3 };
	unsigned i, n = 1 + j->policy.video_layers;
	int r = 0;

	for (i = 0; r == 0 && i < n; i++)
		r = ssrc_assign(j->k, m->conf, place[i]);
	return r;
}

static int
member_new(struct kmf_job *j, const struct kmf_person *p,
    const struct kmf_verdict *v, const char *binding, struct db_member *m)
{
	int r;

	memset(m, 0, sizeof(*m));
	perc_random_id(m->id, sizeof(m->id), "m_");
	memcpy(m->conf, j->conf.id, sizeof(m->conf));
	memcpy(m->kind, v->kind, sizeof(m->kind));
	memcpy(m->role, v->role, sizeof(m->role));
	memcpy(m->via, v->via, sizeof(m->via));
	m->state = DB_MEMBER_KNOWN;
	name_put(m->name,
	    p->name[0] != '\0'	      ? p->name
		: p->email[0] != '\0' ? p->email
				      : p->sub);
	if ((r = kmf_copy(m->iss, sizeof(m->iss), p->iss)) != 0 ||
	    (r = kmf_copy(m->sub, sizeof(m->sub), p->sub)) != 0 ||
	    (r = kmf_copy(m->email, sizeof(m->email), p->email)) != 0 ||
	    (r = kmf_copy(m->jkt, sizeof(m->jkt), binding)) != 0 ||
	    (r = ssrcs_assign(j, m)) != 0 ||
	    (r = db_member_add(j->k->db, m)) != 0)
		return r;
	/* Read again: now with its number. */
	return db_member_find(j->k->db, m, m->id);
}

/* Bounded rows: invited persons could bring ever new keys. */
static int
members_full(struct kmf_job *j, bool *full)
{
	int64_t known, gone, live;
	int r;

	if ((r = db_member_count(
		 j->k->db, &known, j->conf.id, DB_MEMBER_KNOWN)) != 0 ||
	    (r = db_member_count(
		 j->k->db, &gone, j->conf.id, DB_MEMBER_GONE)) != 0 ||
	    (r = db_member_count(
		 j->k->db, &live, j->conf.id, DB_MEMBER_LIVE)) != 0)
		return r;
	*full = known + gone + live >= KMF_MEMBERS_MAX;
	return 0;
}

/* May this row make room? Not while it sits here or stands on the roster. */
static bool
replaceable(const struct kmf_job *j, const struct db_member *m)
{
	return m->state != DB_MEMBER_LIVE &&
	    (j->conf.state != DB_CONF_LIVE || m->granted == 0 ||
		m->granted != j->conf.epoch);
}

/* A person's newest key takes the place of the oldest that is not in use;
 * SSRCs stay taken. */
static int
make_room(struct kmf_job *j, const struct kmf_person *p)
{
	struct db_member *list = NULL;
	size_t i, n;
	int r;

	if ((r = db_member_of_person(
		 j->k->db, &list, &n, j->conf.id, p->iss, p->sub)) != 0)
		return r;
	for (i = 0; i < n && !replaceable(j, &list[i]); i++)
		;
	if (n < KMF_PERSON_MEMBERS_MAX)
		r = 0;
	else if (i < n) {
		kmf_stream_end(j->k, j->conf.id, list[i].id, 410, "gone");
		r = db_member_delete(j->k->db, list[i].id);
	} else
		r = kmf_refuse(j, 409, "too_many_endpoints",
		    "you are in this conference with %d endpoints; leave with "
		    "one first",
		    KMF_PERSON_MEMBERS_MAX);
	free(list);
	return r;
}

static int
member_add(struct kmf_job *j, const struct kmf_person *p,
    const struct kmf_verdict *v, const char *binding)
{
	bool full;
	int r;

	if ((r = make_room(j, p)) != 0 || j->a.status != 0 ||
	    (r = members_full(j, &full)) != 0)
		return r;
	if (full)
		return kmf_refuse(j, 409, "too_many_endpoints",
		    "the conference has too many endpoints");
	if ((r = member_new(j, p, v, binding, &j->me)) != 0)
		return r;
	return kmf_audit(j->k, KMF_AUDIT_ADMITTED, j->me.id, j->conf.id,
	    j->me.id,
	    json_pack("{s:s, s:s, s:s, s:s}", "iss", p->iss, "sub", p->sub,
		"via", v->via, "bound_to",
		binding[0] == '\0'		   ? "nothing"
		    : strchr(binding, ':') != NULL ? "certificate"
						   : "key"));
}

/* Why not, to somebody whom the conference may never have heard of. */
static int
turn_away(struct kmf_job *j, const struct kmf_person *p)
{
	if (!p->groups_partial)
		return kmf_not_found(j);
	return kmf_refuse(j, 404, "not_found",
	    "there is no such thing, or it is not for you; your identity "
	    "provider left your groups out of the token, so an invitation of "
	    "a group could not be seen");
}

/* The row changed, and with it what the roster says of who is on it. */
static int
member_renew(struct kmf_job *j)
{
	struct kmf_room o;
	int r;

	if (replaceable(j, &j->me) || j->conf.state != DB_CONF_LIVE)
		return db_member_put(j->k->db, &j->me);
	if ((r = kmf_room_load(&o, j->k, &j->conf)) != 0)
		return r;
	kmf_list_touch(&o, j->me.id);
	if ((r = db_member_put(j->k->db, &j->me)) != 0)
		return r;
	o.r.roster_ms = j->k->now_ms;
	return kmf_room_settle(&o, 0);
}

int
kmf_person_admit(struct kmf_job *j, const struct kmf_person *p, bool have)
{
	bool leaving = j->call->op == KMF_OP_LEASE_END;
	char binding[DB_BIND_MAX];
	struct kmf_verdict v;
	bool found;
	int r;

	if ((r = kmf_binding_put(binding, &j->call->id)) != 0)
		return kmf_refuse(j, 400, "invalid_request", "the thumbprint");
	if ((r = kmf_decide(j->k, &j->conf, p, &v, NULL)) != 0)
		return r;
	r = db_member_find_key(
	    j->k->db, &j->me, j->conf.id, p->iss, p->sub, binding);
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	if (!have)
		return turn_away(j, p);
	found = r == 0;
	if (found && leaving) /* receipts arrive, whatever happened since */
		return 0;
	if (found && j->me.state == DB_MEMBER_EVICTED)
		return kmf_refuse(
		    j, 403, "evicted", "you were put out of this conference");
	if (!v.invited || !v.welcome)
		return turn_away(j, p);
	if (!found)
		return v.allowed
		    ? member_add(j, p, &v, binding)
		    : kmf_refuse(j, 410, "ended", "the conference is over");
	if (strcmp(j->me.via, v.via) == 0 && strcmp(j->me.role, v.role) == 0)
		return 0;
	memcpy(j->me.via, v.via, sizeof(j->me.via)); /* invited anew */
	memcpy(j->me.role, v.role, sizeof(j->me.role));
	return member_renew(j);
}
