/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * People who schedule or audit. Their provider's word gives them roles; a
 * role token carries those asked for, for minutes, under an id that says
 * nothing of the person. Which person that is stands in the audit chain.
 */
#include "kmf/keeper_int.h"

#include <stdio.h>
#include <string.h>

#include "perc/b64.h"

#define ROLES "admin scheduler auditor"

int
kmf_principal_id(
    char out[static DB_CLIENT_MAX], const char *iss, const char *sub)
{
	char text[DB_ISS_MAX + DB_SUB_MAX], b64[DB_HASH_MAX];
	uint8_t hash[PERC_SHA256_LEN];
	int r;

	snprintf(text, sizeof(text), "%s|%s", iss, sub);
	if ((r = perc_sha256(hash, text, strlen(text))) != 0)
		return r;
	perc_b64_put(b64, hash, sizeof(hash));
	snprintf(out, DB_CLIENT_MAX, "p_%s", b64);
	return 0;
}

int
kmf_op_token_role(struct kmf_job *j)
{
	const struct kmf_identity *id = &j->call->id;
	char sub[DB_CLIENT_MAX], have[DB_SCOPE_MAX], scope[DB_SCOPE_MAX];
	struct kmf_person p;
	json_t *claims;
	int r;

	if (id->jkt[0] == '\0' && id->x5t[0] == '\0')
		return kmf_refuse(j, 400, "invalid_dpop_proof",
		    "a DPoP proof or a TLS certificate is demanded");
	if (kmf_person_get(&p, j->k, id) != 0 ||
	    strlen(id->roles) >= DB_SCOPE_MAX)
		return kmf_refuse(j, 400, "invalid_request",
		    "the identity has no usable iss, sub and roles");
	if ((r = kmf_principal_id(sub, p.iss, p.sub)) != 0)
		return r;
	kmf_scope_cut(have, ROLES, id->roles[0] != '\0' ? id->roles : "-");
	kmf_scope_cut(scope, have, j->call->arg);
	if (scope[0] == '\0')
		return kmf_refuse(j, 400, "invalid_scope",
		    "none of that is granted to you%s",
		    id->groups_partial
			? "; your identity provider left your groups out of "
			  "the token"
			: "");
	if ((r = kmf_audit(j->k, KMF_AUDIT_TOKEN, sub, "", sub,
		 json_pack("{s:s, s:s, s:s}", "iss", p.iss, "sub", p.sub,
		     "scope", scope))) != 0)
		return r;
	claims = kmf_claims_new(
	    j, j->k->base, sub, "perch", scope, KMF_CLIENT_TOKEN_S);
	if (claims == NULL ||
	    json_object_set_new(claims, "cnf", kmf_binding_cnf(id)) != 0) {
		json_decref(claims);
		return PERC_ERR_NOMEM;
	}
	return kmf_token_answer(j, claims,
	    id->jkt[0] != '\0' ? "DPoP" : "Bearer", KMF_CLIENT_TOKEN_S, NULL);
}
