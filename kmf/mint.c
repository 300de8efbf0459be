/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Tokens. token1 opens this KMF to one endpoint for one conference, token2
 * opens one MDD to one DTLS certificate; neither opens the other (`aud`), and
 * token2 carries no name. "Does not exist", "not invited" and "put out" are
 * one answer.
 */
#include "kmf/keeper_int.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"

#define TYPE_ACCESS "urn:ietf:params:oauth:token-type:access_token"

static int
no_target(struct kmf_job *j)
{
	return kmf_refuse(j, 400, "invalid_target",
	    "there is no such conference, or it is not for you");
}

/* Sign claims (taken over) and answer as RFC 6749 and 8693 say. */
static int
token_answer(struct kmf_job *j, json_t *claims, const char *type,
    int64_t lives_s, const char *member)
{
	const char *scope = perc_json_str(claims, "scope");
	json_t *v = NULL;
	char *token = NULL;
	int r;

	if (claims == NULL)
		return PERC_ERR_NOMEM;
	if ((r = perc_jws_sign(
		 &token, j->k->token_key, "at+jwt", claims, false)) != 0)
		goto out;
	r = PERC_ERR_NOMEM;
	v = json_pack("{s:s, s:s, s:s, s:I, s:s}", "access_token", token,
	    "issued_token_type", TYPE_ACCESS, "token_type", type, "expires_in",
	    (json_int_t)lives_s, "scope", scope != NULL ? scope : "");
	if (v == NULL ||
	    (member != NULL &&
		json_object_set_new(v, "member", json_string(member)) != 0))
		goto out;
	r = kmf_answer_json(j, 200, v);
	v = NULL;
out:
	json_decref(v);
	json_decref(claims);
	perc_json_free(token);
	return r;
}

/* The claims that all tokens have; the rest is set by the caller. */
static json_t *
claims_new(struct kmf_job *j, const char *aud, const char *sub,
    const char *client, const char *scope, int64_t lives_s)
{
	char jti[32];
	int64_t now_s = j->k->now_ms / 1000;

	perc_random_id(jti, sizeof(jti), "");
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s}", "iss",
	    j->k->base, "aud", aud, "sub", sub, "client_id", client, "scope",
	    scope, "iat", (json_int_t)now_s, "exp",
	    (json_int_t)(now_s + lives_s), "jti", jti);
}

int
kmf_op_client_key(struct kmf_job *j)
{
	struct db_client c;
	int r;

	r = db_client_find(j->k->db, &c, j->call->obj);
	if (r == PERC_ERR_NOTFOUND || (r == 0 && c.disabled))
		return kmf_not_found(j);
	if (r != 0)
		return r;
	return kmf_answer_json(j, 200,
	    json_pack("{s:o, s:s}", "jwk", json_loads(c.jwk, 0, NULL), "scope",
		c.scope));
}

/* What was asked for, as far as the client has it; "" asks for all. */
static void
scope_cut(char out[static DB_SCOPE_MAX], const char *have, const char *want)
{
	char word[DB_SCOPE_MAX];
	size_t n, o = 0;

	out[0] = '\0';
	for (; *have != '\0'; have += n + strspn(have + n, " ")) {
		n = strcspn(have, " ");
		snprintf(word, sizeof(word), "%.*s", (int)n, have);
		if (want[0] != '\0' && !kmf_has_word(want, word))
			continue;
		o += (size_t)snprintf(
		    out + o, DB_SCOPE_MAX - o, "%s%s", o > 0 ? " " : "", word);
	}
}

int
kmf_op_token_client(struct kmf_job *j)
{
	const struct kmf_call *c = j->call;
	char scope[DB_SCOPE_MAX];
	struct db_client row;
	json_t *claims;
	int r;

	if (c->arg2[0] != '\0') {
		r = db_replay_add(j->k->db, c->arg2,
		    j->k->now_ms / 1000 + KMF_ASSERTION_KEEP_S);
		if (r == PERC_ERR_EXISTS)
			return kmf_refuse(j, 401, "invalid_client",
			    "this assertion was used before");
		if (r != 0)
			return r;
	}
	r = db_client_find(j->k->db, &row, c->id.sub);
	if (r == PERC_ERR_NOTFOUND || (r == 0 && row.disabled))
		return kmf_refuse(j, 401, "invalid_client", "no such client");
	if (r != 0)
		return r;
	scope_cut(scope, row.scope, c->arg);
	if (scope[0] == '\0')
		return kmf_refuse(j, 400, "invalid_scope",
		    "none of that is granted to this client");
	if ((r = kmf_audit(j->k, KMF_AUDIT_TOKEN, row.id, "", row.id,
		 json_pack("{s:s}", "scope", scope))) != 0)
		return r;
	claims = claims_new(
	    j, j->k->base, row.id, row.id, scope, KMF_CLIENT_TOKEN_S);
	if (claims == NULL ||
	    json_object_set_new(
		claims, "cnf", json_pack("{s:s}", "jkt", c->id.jkt)) != 0) {
		json_decref(claims);
		return PERC_ERR_NOMEM;
	}
	return token_answer(j, claims, "DPoP", KMF_CLIENT_TOKEN_S, NULL);
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
member_new(struct kmf_job *j, const struct kmf_person *p,
    const struct kmf_verdict *v, struct db_member *m)
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
	    (r = kmf_copy(m->jkt, sizeof(m->jkt), j->call->id.jkt)) != 0 ||
	    (r = ssrc_assign(j->k, m->conf, &m->ssrc_audio)) != 0 ||
	    (r = ssrc_assign(j->k, m->conf, &m->ssrc_video)) != 0)
		return r;
	return db_member_add(j->k->db, m);
}

/* Bounded rows: an invited person could bring ever new keys. */
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

static int
member_get(
    struct kmf_job *j, const struct kmf_person *p, const struct kmf_verdict *v)
{
	struct db_member *m = &j->me;
	bool full;
	int r;

	r = db_member_find_key(
	    j->k->db, m, j->conf.id, p->iss, p->sub, j->call->id.jkt);
	if (r == 0 && m->state == DB_MEMBER_EVICTED)
		return no_target(j);
	if (r == 0 && strcmp(m->via, v->via) != 0) { /* invited anew */
		memcpy(m->via, v->via, sizeof(m->via));
		return db_member_put(j->k->db, m);
	}
	if (r != PERC_ERR_NOTFOUND)
		return r;
	if ((r = members_full(j, &full)) != 0)
		return r;
	if (full)
		return kmf_refuse(j, 400, "invalid_request",
		    "the conference has too many endpoints");
	if ((r = member_new(j, p, v, m)) != 0)
		return r;
	/* Read again: now with its number. */
	return db_member_find(j->k->db, m, m->id);
}

static int
token1(struct kmf_job *j, const struct kmf_person *p)
{
	struct kmf_verdict v;
	json_t *claims;
	int r;

	if ((r = kmf_decide(j->k, &j->conf, p, &v, NULL)) != 0)
		return r;
	if (!v.allowed)
		return no_target(j);
	if ((r = member_get(j, p, &v)) != 0 || j->a.status != 0)
		return r;
	if ((r = kmf_audit(j->k, KMF_AUDIT_TOKEN, j->me.id, j->conf.id,
		 j->me.id,
		 json_pack("{s:s, s:s, s:s, s:s}", "iss", p->iss, "sub", p->sub,
		     "via", v.via, "scope", "member"))) != 0)
		return r;
	claims = claims_new(
	    j, j->k->base, j->me.id, "perch-agent", "member", KMF_TOKEN1_S);
	if (claims == NULL ||
	    json_object_set_new(
		claims, "conference", json_string(j->conf.id)) != 0 ||
	    json_object_set_new(claims, "cnf",
		json_pack("{s:s}", "jkt", j->call->id.jkt)) != 0) {
		json_decref(claims);
		return PERC_ERR_NOMEM;
	}
	return token_answer(j, claims, "DPoP", KMF_TOKEN1_S, j->me.id);
}

/* The key of the first use owns the code. */
static int
code_bind(struct kmf_job *j, struct db_inv *i)
{
	const char *jkt = j->call->id.jkt;
	int r;

	if (i->state == DB_INV_USED)
		return strcmp(i->jkt, jkt) == 0
		    ? 0
		    : kmf_refuse(j, 400, "invalid_grant",
			  "this invitation code was used by another endpoint");
	if ((r = kmf_copy(i->jkt, sizeof(i->jkt), jkt)) != 0)
		return r;
	i->state = DB_INV_USED;
	return db_inv_put(j->k->db, i);
}

static int
token1_code(struct kmf_job *j)
{
	struct kmf_person p = { .iss = j->k->base, .email_verified = true };
	char hash[DB_HASH_MAX];
	struct db_inv i;
	int r;

	if ((r = kmf_code_hash(hash, j->call->id.code)) != 0)
		return r;
	r = db_inv_find_code(j->k->db, &i, hash);
	if (r == PERC_ERR_NOTFOUND ||
	    (r == 0 &&
		(strcmp(i.conf, j->conf.id) != 0 || i.state == DB_INV_REVOKED)))
		return no_target(j);
	if (r != 0)
		return r;
	if ((r = code_bind(j, &i)) != 0 || j->a.status != 0)
		return r;
	p.sub = i.id;
	p.email = i.email;
	p.name = i.name[0] != '\0' || i.email[0] != '\0' ? i.name : "Guest";
	return token1(j, &p);
}

int
kmf_op_token1(struct kmf_job *j)
{
	const struct kmf_identity *id = &j->call->id;
	bool email = id->email_verified && strlen(id->email) < DB_EMAIL_MAX;
	/* An address that is only claimed would be shown to all as theirs, and
	 * putting its bearer out would put out its owner. */
	const struct kmf_person p = { .iss = id->iss,
		.sub = id->sub,
		.email = email ? id->email : "",
		.name = id->name,
		.email_verified = id->email_verified,
		.groups = id->groups,
		.ngroups = id->ngroups };
	int r;

	if (id->jkt[0] == '\0' || strlen(id->jkt) >= DB_HASH_MAX)
		return kmf_refuse(
		    j, 400, "invalid_dpop_proof", "a DPoP proof is demanded");
	r = db_conf_find(j->k->db, &j->conf, j->call->conf);
	if (r == PERC_ERR_NOTFOUND)
		return no_target(j);
	if (r != 0)
		return r;
	if (id->who == KMF_WHO_CODE)
		return token1_code(j);
	/* A provider that claims our own name could borrow a guest's place. */
	if (kmf_text_check(id->iss, DB_ISS_MAX - 1) != 0 ||
	    kmf_text_check(id->sub, DB_SUB_MAX - 1) != 0 ||
	    strcmp(id->iss, j->k->base) == 0 || !kmf_is_utf8(id->name) ||
	    !kmf_is_utf8(id->email))
		return kmf_refuse(j, 400, "invalid_request",
		    "the identity has no usable iss and sub");
	return token1(j, &p);
}

static bool
same_url(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	n -= n > 0 && a[n - 1] == '/';
	m -= m > 0 && b[m - 1] == '/';
	return n == m && strncmp(a, b, n) == 0;
}

int
kmf_op_token2(struct kmf_job *j)
{
	const struct db_member *m = &j->me;
	uint8_t x5t[PERC_SHA256_LEN];
	json_t *claims;
	int r;

	if (perc_b64_get_exact(x5t, sizeof(x5t), j->call->arg2) != 0)
		return kmf_refuse(j, 400, "invalid_request",
		    "x5t_s256: 43 base64url characters");
	r = kmf_decide_member(j->k, &j->conf, m);
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	if (r != 0 || j->conf.state == DB_CONF_ENDED ||
	    !same_url(j->call->arg, j->conf.mdd))
		return no_target(j);
	if ((r = kmf_audit(j->k, KMF_AUDIT_TOKEN, m->id, j->conf.id, m->id,
		 json_pack("{s:s, s:s}", "scope", "join", "x5t",
		     j->call->arg2))) != 0)
		return r;
	claims = claims_new(
	    j, j->conf.mdd, m->id, "perch-agent", "join", KMF_TOKEN2_S);
	if (claims == NULL ||
	    json_object_set_new(
		claims, "conference", json_string(j->conf.id)) != 0 ||
	    json_object_set_new(claims, "ssrcs",
		json_pack("[I, I]", (json_int_t)m->ssrc_audio,
		    (json_int_t)m->ssrc_video)) != 0 ||
	    json_object_set_new(claims, "cnf",
		json_pack("{s:s}", "x5t#S256", j->call->arg2)) != 0) {
		json_decref(claims);
		return PERC_ERR_NOMEM;
	}
	return token_answer(j, claims, "Bearer", KMF_TOKEN2_S, NULL);
}
