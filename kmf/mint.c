/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Tokens. token1 opens this KMF to one endpoint for one conference, token2
 * opens one MDD to one DTLS certificate; neither opens the other (`aud`), and
 * token2 carries no name. "Does not exist", "not invited" and "put out" are
 * one answer.
 */
#include "kmf/keeper_int.h"

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

int
kmf_token_answer(struct kmf_job *j, json_t *claims, const char *type,
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

json_t *
kmf_claims_new(struct kmf_job *j, const char *aud, const char *sub,
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

void
kmf_scope_cut(char out[static DB_SCOPE_MAX], const char *have, const char *want)
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
	kmf_scope_cut(scope, row.scope, c->arg);
	if (scope[0] == '\0')
		return kmf_refuse(j, 400, "invalid_scope",
		    "none of that is granted to this client");
	if ((r = kmf_audit(j->k, KMF_AUDIT_TOKEN, row.id, "", row.id,
		 json_pack("{s:s}", "scope", scope))) != 0)
		return r;
	claims = kmf_claims_new(
	    j, j->k->base, row.id, row.id, scope, KMF_CLIENT_TOKEN_S);
	if (claims == NULL ||
	    json_object_set_new(
		claims, "cnf", json_pack("{s:s}", "jkt", c->id.jkt)) != 0) {
		json_decref(claims);
		return PERC_ERR_NOMEM;
	}
	return kmf_token_answer(j, claims, "DPoP", KMF_CLIENT_TOKEN_S, NULL);
}

static int
token1(struct kmf_job *j, const struct kmf_person *p, bool have)
{
	const struct kmf_identity *id = &j->call->id;
	const char *type = id->jkt[0] != '\0' ? "DPoP" : "Bearer";
	json_t *claims;
	int r;

	if ((r = kmf_person_admit(j, p, have)) != 0 || j->a.status != 0)
		return r;
	if (j->conf.state == DB_CONF_ENDED || j->k->now_ms >= j->conf.ends_ms)
		return no_target(j);
	if ((r = kmf_audit(j->k, KMF_AUDIT_TOKEN, j->me.id, j->conf.id,
		 j->me.id,
		 json_pack("{s:s, s:s, s:s, s:s}", "iss", p->iss, "sub", p->sub,
		     "via", j->me.via, "scope", "member"))) != 0)
		return r;
	claims = kmf_claims_new(
	    j, j->k->base, j->me.id, "perch-agent", "member", KMF_TOKEN1_S);
	if (claims == NULL ||
	    json_object_set_new(
		claims, "conference", json_string(j->conf.id)) != 0 ||
	    json_object_set_new(claims, "cnf", kmf_binding_cnf(id)) != 0) {
		json_decref(claims);
		return PERC_ERR_NOMEM;
	}
	return kmf_token_answer(j, claims, type, KMF_TOKEN1_S, j->me.id);
}

/* The key of the first use owns the code. */
static int
code_bind(struct kmf_job *j, struct db_inv *i)
{
	char binding[DB_BIND_MAX];
	int r;

	if ((r = kmf_binding_put(binding, &j->call->id)) != 0)
		return r;
	if (kmf_inv_expired(j->k, i, &j->conf))
		return kmf_refuse(j, 400, "invalid_grant",
		    "this invitation code has expired; ask for a new one");
	if (i->state == DB_INV_USED)
		return strcmp(i->jkt, binding) == 0
		    ? 0
		    : kmf_refuse(j, 400, "invalid_grant",
			  "this invitation code was used by another endpoint");
	memcpy(i->jkt, binding, sizeof(i->jkt));
	i->state = DB_INV_USED;
	return db_inv_put(j->k->db, i);
}

static int
token1_code(struct kmf_job *j, bool have)
{
	struct kmf_person p = {
		.iss = j->k->base, .kind = "", .email_verified = true
	};
	char hash[DB_HASH_MAX];
	struct db_inv i;
	int r;

	if ((r = kmf_code_hash(hash, j->call->id.code)) != 0)
		return r;
	r = db_inv_find_code(j->k->db, &i, hash);
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	if (r != 0 || !have || strcmp(i.conf, j->conf.id) != 0 ||
	    i.state == DB_INV_REVOKED)
		return no_target(j);
	if ((r = code_bind(j, &i)) != 0 || j->a.status != 0)
		return r;
	p.sub = i.id;
	p.email = i.email;
	p.name = i.name[0] != '\0' || i.email[0] != '\0' ? i.name : "Guest";
	return token1(j, &p, have);
}

int
kmf_op_token1(struct kmf_job *j)
{
	const struct kmf_identity *id = &j->call->id;
	struct kmf_person p;
	bool have;
	int r;

	if (id->jkt[0] == '\0' && id->x5t[0] == '\0')
		return kmf_refuse(j, 400, "invalid_dpop_proof",
		    "a DPoP proof or a TLS certificate is demanded");
	if ((r = kmf_conf_try(j, &have)) != 0)
		return r;
	if (id->who == KMF_WHO_CODE)
		return token1_code(j, have);
	if (kmf_person_get(&p, j->k, id) != 0)
		return kmf_refuse(j, 400, "invalid_request",
		    "the identity has no usable iss and sub");
	return token1(j, &p, have);
}

int
kmf_op_token2(struct kmf_job *j)
{
	const struct db_member *m = &j->me;
	uint8_t x5t[PERC_SHA256_LEN];
	const char *mdd;
	json_t *claims;
	int r;

	if (perc_b64_get_exact(x5t, sizeof(x5t), j->call->arg2) != 0)
		return kmf_refuse(j, 400, "invalid_request",
		    "x5t_s256: 43 base64url characters");
	r = kmf_decide_member(j->k, &j->conf, m);
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	mdd = kmf_mdd_find(j->k, &j->conf, j->call->arg);
	if (r != 0 || j->conf.state == DB_CONF_ENDED || mdd == NULL)
		return no_target(j);
	if ((r = kmf_audit(j->k, KMF_AUDIT_TOKEN, m->id, j->conf.id, m->id,
		 json_pack("{s:s, s:s}", "scope", "join", "x5t",
		     j->call->arg2))) != 0)
		return r;
	claims =
	    kmf_claims_new(j, mdd, m->id, "perch-agent", "join", KMF_TOKEN2_S);
	if (claims == NULL || kmf_mdd_name_others(j->k, mdd, claims) != 0 ||
	    json_object_set_new(
		claims, "conference", json_string(j->conf.id)) != 0 ||
	    json_object_set_new(claims, "ssrcs", kmf_ssrc_numbers_json(m)) !=
		0 ||
	    json_object_set_new(claims, "cnf",
		json_pack("{s:s}", "x5t#S256", j->call->arg2)) != 0) {
		json_decref(claims);
		return PERC_ERR_NOMEM;
	}
	return kmf_token_answer(j, claims, "Bearer", KMF_TOKEN2_S, NULL);
}
