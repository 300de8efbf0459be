/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Admission: the caller, the conference, the membership, in this order. An
 * unknown conference and one that the caller has no business with take the
 * same steps and give the same answer.
 */
#include "kmf/admit.h"

#include <stdio.h>
#include <string.h>

static bool
scope_allows(const char *have, const char *any_of)
{
	char word[32];
	size_t n;

	for (; *any_of != '\0'; any_of += strspn(any_of, " ")) {
		n = strcspn(any_of, " ");
		snprintf(word, sizeof(word), "%.*s", (int)n, any_of);
		if (kmf_has_word(have, word))
			return true;
		any_of += n;
	}
	return false;
}

/*
 * One with our nonce is no good after a restart anyway, so memory will do;
 * what found no room there is in the table, and as long as one of those may
 * come again all are looked for in both.
 */
static int
replay_add(struct kmf_keeper *k, const struct kmf_call *c)
{
	int64_t now_s = k->now_ms / 1000;
	int r = PERC_ERR_LIMIT;

	if (c->replay_nonce) {
		r = kmf_replay_add(
		    &k->replay, c->replay_hash, c->replay_until_s, now_s);
		if (r == PERC_ERR_LIMIT &&
		    c->replay_until_s > k->replay_spilt_s)
			k->replay_spilt_s = c->replay_until_s;
	}
	if (r == PERC_ERR_LIMIT || (r == 0 && now_s <= k->replay_spilt_s))
		r = db_replay_add(k->db, c->replay_hash, c->replay_until_s);
	return r;
}

/* RFC 9449, 11.1: a proof is good once, across restarts and fronts. */
static int
replay_check(struct kmf_job *j)
{
	const struct kmf_call *c = j->call;
	int r;

	if (c->replay_hash[0] == '\0')
		return 0;
	r = replay_add(j->k, c);
	if (r != PERC_ERR_EXISTS)
		return r;
	j->k->count.replays++;
	return kmf_refuse(
	    j, 401, "invalid_dpop_proof", "this proof was used before");
}

/* The member that token1 names, if it is still the one who proved itself. */
static int
member_load(struct kmf_job *j, bool have)
{
	const struct kmf_identity *id = &j->call->id;
	char binding[DB_BIND_MAX];
	int r;

	if ((r = kmf_binding_put(binding, id)) != 0)
		return kmf_not_found(j);
	r = db_member_find(j->k->db, &j->me, id->sub);
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	if (r != 0 || !have || strcmp(j->me.conf, j->call->conf) != 0 ||
	    strcmp(id->token_conf, j->call->conf) != 0 || binding[0] == '\0' ||
	    strcmp(j->me.jkt, binding) != 0)
		return kmf_not_found(j);
	if (j->me.state == DB_MEMBER_EVICTED && j->call->op != KMF_OP_LEASE_END)
		return kmf_refuse(
		    j, 403, "evicted", "you were put out of this conference");
	return 0;
}

/* The provider's own token: the conference decides anew each time. */
static int
person_load(struct kmf_job *j, bool have)
{
	struct kmf_person p;

	if (kmf_person_get(&p, j->k, &j->call->id) != 0)
		return kmf_refuse(j, 400, "invalid_request",
		    "the identity has no usable iss and sub");
	return kmf_person_admit(j, &p, have);
}

/* r: of the look for it. */
static int
conf_take(struct kmf_job *j, bool *have, int r)
{
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	*have = r == 0;
	if (*have)
		return 0;
	memset(&j->conf, 0, sizeof(j->conf));
	snprintf(j->conf.id, sizeof(j->conf.id), "%s", j->call->conf);
	return 0;
}

int
kmf_conf_try(struct kmf_job *j, bool *have)
{
	/* As long as one of those that are there. */
	static const char policy[] =
	    "{\"rekey_on_leave\":true,\"rekey_on_join\":true,"
	    "\"join_window_ms\":2000,\"leave_window_ms\":250,"
	    "\"max_epoch_age_s\":300,\"overlap_ms\":2000,\"lease_s\":15,"
	    "\"early_entry_s\":600,\"video_layers\":1,\"cipher\":\"AESKW128\","
	    "\"profile\":\"AEAD_AES_128_GCM\"}";
	int r =
	    conf_take(j, have, db_conf_find(j->k->db, &j->conf, j->call->conf));

	return r != 0
	    ? r
	    : kmf_policy_load(&j->policy, *have ? j->conf.policy : policy);
}

/* The policy is read when nobody is left who might be refused here. */
static int
member_admit(struct kmf_job *j)
{
	bool have;
	int r;

	if ((r = conf_take(j, &have,
		 db_conf_known(j->k->db, &j->conf, j->call->conf))) != 0 ||
	    (r = member_load(j, have)) != 0 || j->a.status != 0)
		return r;
	return kmf_policy_of(j->k, &j->policy, j->conf.policy);
}

/* A scheduler's conferences are its own; an administrator's are all. */
static bool
staff_may_see(const struct kmf_job *j)
{
	return kmf_has_word(j->scope, "admin") ||
	    strcmp(j->conf.created_by, j->call->id.sub) == 0;
}

static int
conf_admit(struct kmf_job *j)
{
	bool have;
	int r;

	if (j->call->id.who == KMF_WHO_MEMBER)
		return member_admit(j);
	if ((r = kmf_conf_try(j, &have)) != 0)
		return r;
	if (j->call->id.who == KMF_WHO_PERSON)
		return person_load(j, have);
	return have && staff_may_see(j) ? 0 : kmf_not_found(j);
}

/*
 * What staff may at this moment: a client's token lives for minutes, but the
 * client may have been disabled or have lost a scope since.
 */
static int
scope_now(struct kmf_job *j)
{
	const struct kmf_identity *id = &j->call->id;
	struct db_client row;
	int r;

	if (id->who == KMF_WHO_ROLE)
		return kmf_copy(j->scope, sizeof(j->scope), id->scope);
	r = db_client_find(j->k->db, &row, id->sub);
	if (r == PERC_ERR_NOTFOUND || (r == 0 && row.disabled))
		return kmf_refuse(j, 401, "invalid_token",
		    "this client is not, or no longer, one of ours");
	if (r == 0 && id->scope[0] != '\0')
		kmf_scope_cut(j->scope, row.scope, id->scope);
	return r;
}

bool
kmf_op_may(enum kmf_op op, enum kmf_who who, const char *scope)
{
	const struct kmf_rule *o = kmf_rule_of(op);

	return (o->who & 1u << who) != 0 &&
	    ((KMF_STAFF & 1u << who) == 0 || o->scope == NULL ||
		scope_allows(scope, o->scope));
}

static int
who_admit(struct kmf_job *j, const struct kmf_rule *op)
{
	enum kmf_who who = j->call->id.who;
	int r;

	if ((op->who & 1u << who) == 0)
		return kmf_not_found(j);
	if (op->scope != NULL && (KMF_STAFF & 1u << who) != 0 &&
	    ((r = scope_now(j)) != 0 || j->a.status != 0))
		return r;
	return kmf_op_may(j->call->op, who, j->scope)
	    ? 0
	    : kmf_refuse(j, 403, "insufficient_scope", "this needs one of: %s",
		  op->scope);
}

/* Still invited, and as a host: token1 outlives a change by some minutes. */
static int
host_check(struct kmf_job *j)
{
	int r;

	r = kmf_decide_member(j->k, &j->conf, &j->me);
	if (r == PERC_ERR_NOTFOUND)
		return kmf_not_found(j);
	if (r == 0 && strcmp(j->me.role, "host") != 0)
		return kmf_refuse(j, 403, "not_host",
		    "only a host of this conference may do that");
	return r;
}

int
kmf_admit(struct kmf_job *j)
{
	const struct kmf_rule *op = kmf_rule_of(j->call->op);
	int r;

	if ((r = replay_check(j)) != 0 || j->a.status != 0 ||
	    (r = who_admit(j, op)) != 0 || j->a.status != 0)
		return r;
	if (op->on != KMF_ON_NOTHING &&
	    ((r = conf_admit(j)) != 0 || j->a.status != 0))
		return r;
	return op->on == KMF_ON_CONF_HOST &&
		(KMF_STAFF & 1u << j->call->id.who) == 0
	    ? host_check(j)
	    : 0;
}
