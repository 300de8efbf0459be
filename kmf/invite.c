/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Invitations by code, for guests. The code is 128 random bits, shown once;
 * the database keeps its hash. Taking an invitation back puts out whoever
 * came in by it.
 */
#include "kmf/keeper_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"

#define CODE_OCTETS 16

void
kmf_code_new(char code[static KMF_CODE_MAX])
{
	uint8_t raw[CODE_OCTETS];

	perc_random(raw, sizeof(raw));
	perc_b64_put(code, raw, sizeof(raw));
	perc_wipe(raw, sizeof(raw));
}

int
kmf_code_hash(char out[static DB_HASH_MAX], const char *code)
{
	uint8_t hash[PERC_SHA256_LEN];
	int r;

	if ((r = perc_sha256(hash, code, strlen(code))) == 0)
		perc_b64_put(out, hash, sizeof(hash));
	return r;
}

/* Never later than the conference: what is absent or later is its end. */
static int
expiry_get(struct kmf_job *j, struct db_inv *i, const json_t *body)
{
	const char *s = perc_json_str(body, "expires_at");

	if (json_object_get(body, "expires_at") == NULL)
		return 0;
	if (s == NULL || perc_time_get(&i->expires_ms, s) != 0 ||
	    i->expires_ms <= j->k->now_ms)
		return PERC_ERR_FORMAT;
	return 0;
}

static int
inv_get(struct kmf_job *j, struct db_inv *i, bool *notify)
{
	json_t *body = NULL;
	const char *name;
	char why[128] = "";
	int r = 0;

	if (j->call->body_len != 0 &&
	    perc_json_parse(&body, j->call->body, j->call->body_len,
		KMF_BODY_MAX, why, sizeof(why)) != 0)
		return kmf_refuse(
		    j, 400, "invalid_request", "the body: %s", why);
	name = perc_json_str(body, "name");
	if (kmf_email_get(i->email, sizeof(i->email), body) != 0)
		r = kmf_refuse(
		    j, 400, "invalid_request", "/email: an e-mail address");
	else if (json_object_get(body, "name") != NULL &&
	    (name == NULL || kmf_text_check(name, sizeof(i->name) - 1) != 0))
		r = kmf_refuse(j, 400, "invalid_request",
		    "/name: a text of 1 to %zu octets", sizeof(i->name) - 1);
	else if (kmf_word_get(i->kind, sizeof(i->kind), body, "kind",
		     "person room recorder", "person") != 0)
		r = kmf_refuse(j, 400, "invalid_request",
		    "/kind: person, room or recorder");
	else if (kmf_role_get(i->role, body) != 0)
		r = kmf_refuse(
		    j, 400, "invalid_request", "/role: member or host");
	else if (expiry_get(j, i, body) != 0)
		r = kmf_refuse(j, 400, "invalid_request",
		    "/expires_at: RFC 3339, later than now");
	else if (name != NULL)
		r = kmf_copy(i->name, sizeof(i->name), name);
	*notify = kmf_notify(body);
	json_decref(body);
	return r;
}

static int
inv_room_left(struct kmf_job *j)
{
	struct db_inv *list = NULL;
	size_t n;
	int r;

	if ((r = db_inv_list(j->k->db, &list, &n, j->conf.id)) != 0)
		return r;
	free(list);
	if ((int64_t)n >= j->k->limit_invitations)
		return kmf_refuse(j, 403, "limit_reached",
		    "limit_invitations: a conference has %lld invitations at "
		    "most; invite people by e-mail, group or domain instead",
		    (long long)j->k->limit_invitations);
	return 0;
}

static int64_t
expires_ms(const struct db_inv *i, const struct db_conf *c)
{
	return i->expires_ms != 0 && i->expires_ms < c->ends_ms ? i->expires_ms
								: c->ends_ms;
}

bool
kmf_inv_expired(
    struct kmf_keeper *k, const struct db_inv *i, const struct db_conf *c)
{
	return i->state == DB_INV_OPEN && k->now_ms >= expires_ms(i, c);
}

const char *
kmf_inv_word(const struct kmf_job *j, const struct db_inv *i)
{
	static const char *const names[] = { "open", "used", "revoked" };

	return kmf_inv_expired(j->k, i, &j->conf) ? "expired" : names[i->state];
}

/* code, uri: shown once; NULL leaves them out. */
static json_t *
inv_json(const struct kmf_job *j, const struct db_inv *i, const char *code,
    const char *uri)
{
	return json_pack(
	    "{s:s, s:s*, s:s*, s:s*, s:s*, s:s, s:s, s:s, s:o, s:o, s:o}", "id",
	    i->id, "code", code, "uri", uri, "email", kmf_json_opt(i->email),
	    "name", kmf_json_opt(i->name), "state", kmf_inv_word(j, i), "kind",
	    i->kind, "role", i->role, "created_at",
	    kmf_time_json(i->created_ms), "expires_at",
	    kmf_time_json(expires_ms(i, &j->conf)), "mail",
	    kmf_mail_json(j->k, i->id));
}

json_t *
kmf_inv_json(const struct kmf_job *j, const struct db_inv *i)
{
	return inv_json(j, i, NULL, NULL);
}

/* What of it can change: whether it is open, and until when. */
static void
etag_put(char out[static KMF_ETAG_MAX], const struct kmf_job *j,
    const struct db_inv *i)
{
	snprintf(out, KMF_ETAG_MAX, "\"%s-%lld\"", kmf_inv_word(j, i),
	    (long long)expires_ms(i, &j->conf));
}

static int
inv_create(struct kmf_job *j)
{
	char code[KMF_CODE_MAX], uri[DB_URL_MAX + 64];
	struct db_inv i = { .state = DB_INV_OPEN };
	bool notify = true;
	int r;

	if ((r = inv_get(j, &i, &notify)) != 0 || j->a.status != 0 ||
	    (r = inv_room_left(j)) != 0 || j->a.status != 0)
		return r;
	kmf_code_new(code);
	perc_random_id(i.id, sizeof(i.id), "i_");
	memcpy(i.conf, j->conf.id, sizeof(i.conf));
	i.created_ms = j->k->now_ms;
	if ((r = kmf_code_hash(i.code_hash, code)) != 0 ||
	    (r = db_inv_add(j->k->db, &i)) != 0 ||
	    (notify && (r = kmf_mail_guest(j->k, &j->conf, &i, code)) != 0) ||
	    (r = kmf_audit(j->k, KMF_AUDIT_INVITED, j->call->id.sub, j->conf.id,
		 i.id, NULL)) != 0)
		goto out;
	snprintf(uri, sizeof(uri), "%s/c/%s", j->k->base, j->conf.id);
	snprintf(j->a.location, sizeof(j->a.location),
	    "%s/v1/conferences/%s/invitations/%s", j->k->base, j->conf.id,
	    i.id);
	etag_put(j->a.etag, j, &i);
	r = kmf_answer_json(j, 201, inv_json(j, &i, code, uri));
out:
	perc_wipe(code, sizeof(code));
	return r;
}

int
kmf_op_inv_create(struct kmf_job *j)
{
	int r;

	if (j->conf.state == DB_CONF_ENDED)
		return kmf_refuse(j, 409, "ended", "it is over");
	if ((r = kmf_idem_check(j)) != 0)
		return r < 0 ? r : 0;
	if ((r = inv_create(j)) == 0)
		r = kmf_idem_keep(j);
	return r;
}

/* The invitation that the path names, of this conference. */
int
kmf_inv_load(struct kmf_job *j, struct db_inv *i)
{
	int r;

	r = db_inv_find(j->k->db, i, j->call->obj);
	if (r == PERC_ERR_NOTFOUND ||
	    (r == 0 && strcmp(i->conf, j->conf.id) != 0))
		return kmf_not_found(j);
	return r;
}

int
kmf_op_inv_get(struct kmf_job *j)
{
	struct db_inv i;
	int r;

	if ((r = kmf_inv_load(j, &i)) != 0 || j->a.status != 0)
		return r;
	etag_put(j->a.etag, j, &i);
	return kmf_answer_json(j, 200, kmf_inv_json(j, &i));
}

int
kmf_op_inv_delete(struct kmf_job *j)
{
	char have[KMF_ETAG_MAX];
	struct db_inv i;
	int r;

	if ((r = kmf_inv_load(j, &i)) != 0 || j->a.status != 0)
		return r;
	etag_put(have, j, &i);
	if ((r = kmf_precondition(j, have)) != 0 || j->a.status != 0)
		return r;
	i.state = DB_INV_REVOKED;
	if ((r = db_inv_put(j->k->db, &i)) != 0 ||
	    (r = kmf_drop_via(j->k, &j->conf, i.id, j->call->id.sub)) != 0 ||
	    (r = kmf_mail_guest(j->k, &j->conf, &i, NULL)) != 0 ||
	    (r = kmf_audit(j->k, KMF_AUDIT_UNINVITED, j->call->id.sub,
		 j->conf.id, i.id, NULL)) != 0)
		return r;
	j->a.status = 204;
	return 0;
}
