/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who may do what is this table and nothing else. Every operation goes the
 * same way: replay, caller, conference, membership, handler. An unknown
 * conference and one that the caller has no business with take the same
 * steps and give the same answer.
 */
#include "kmf/event.h"
#include "kmf/hook.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define WHO(w) (1u << KMF_WHO_##w)
#define CLIENT WHO(CLIENT)
#define STAFF  (WHO(CLIENT) | WHO(ROLE))
#define MEMBER (WHO(MEMBER) | WHO(PERSON))

enum on {
	ON_NOTHING,
	ON_CONF,
	ON_CONF_HOST /* a member only when it is a host */
};

struct op {
	unsigned who;	   /* bits of enum kmf_who */
	const char *scope; /* words, one of which staff needs; NULL: any */
	enum on on;
	int (*fn)(struct kmf_job *j);
};

#define SCHEDULER "scheduler admin"
#define AUDITOR	  "auditor admin"

static const struct op ops[KMF_OP_LAST] = {
	[KMF_OP_CLIENT_KEY] = { WHO(NOBODY), NULL, ON_NOTHING,
	    kmf_op_client_key },
	[KMF_OP_TOKEN_CLIENT] = { CLIENT, NULL, ON_NOTHING,
	    kmf_op_token_client },
	[KMF_OP_TOKEN1] = { WHO(PERSON) | WHO(CODE), NULL, ON_NOTHING,
	    kmf_op_token1 },
	[KMF_OP_TOKEN_ROLE] = { WHO(PERSON), NULL, ON_NOTHING,
	    kmf_op_token_role },
	[KMF_OP_TOKEN2] = { MEMBER, NULL, ON_CONF, kmf_op_token2 },
	[KMF_OP_CONF_CREATE] = { STAFF, SCHEDULER, ON_NOTHING,
	    kmf_op_conf_create },
	[KMF_OP_CONF_LIST] = { STAFF, SCHEDULER, ON_NOTHING, kmf_op_conf_list },
	[KMF_OP_CONF_GET] = { STAFF | MEMBER, SCHEDULER, ON_CONF,
	    kmf_op_conf_get },
	[KMF_OP_CONF_PATCH] = { STAFF, SCHEDULER, ON_CONF, kmf_op_conf_patch },
	[KMF_OP_CONF_DELETE] = { STAFF, SCHEDULER, ON_CONF,
	    kmf_op_conf_delete },
	[KMF_OP_CONF_END] = { STAFF | MEMBER, SCHEDULER, ON_CONF_HOST,
	    kmf_op_end },
	[KMF_OP_CONF_REKEY] = { STAFF | MEMBER, SCHEDULER, ON_CONF_HOST,
	    kmf_op_rekey },
	[KMF_OP_CONF_EXPLAIN] = { STAFF, SCHEDULER, ON_CONF, kmf_op_explain },
	[KMF_OP_INV_CREATE] = { STAFF, SCHEDULER, ON_CONF, kmf_op_inv_create },
	[KMF_OP_INV_LIST] = { STAFF, SCHEDULER, ON_CONF, kmf_op_inv_list },
	[KMF_OP_INV_DELETE] = { STAFF, SCHEDULER, ON_CONF, kmf_op_inv_delete },
	[KMF_OP_INV_ICS] = { STAFF, SCHEDULER, ON_CONF, kmf_op_inv_ics },
	[KMF_OP_MEMBER_LIST] = { STAFF | MEMBER, SCHEDULER, ON_CONF_HOST,
	    kmf_op_member_list },
	[KMF_OP_MEMBER_EVICT] = { STAFF | MEMBER, SCHEDULER, ON_CONF_HOST,
	    kmf_op_member_evict },
	[KMF_OP_EVICT] = { STAFF, SCHEDULER, ON_CONF, kmf_op_evict },
	[KMF_OP_KEYS] = { MEMBER, NULL, ON_CONF, kmf_op_keys },
	[KMF_OP_LEASE_RENEW] = { MEMBER, NULL, ON_CONF, kmf_op_lease_renew },
	[KMF_OP_LEASE_END] = { MEMBER, NULL, ON_CONF, kmf_op_lease_end },
	[KMF_OP_ROSTER] = { MEMBER, NULL, ON_CONF, kmf_op_roster },
	[KMF_OP_EVENTS] = { MEMBER, NULL, ON_CONF, NULL },
	[KMF_OP_CONF_LOCK] = { STAFF | MEMBER, SCHEDULER, ON_CONF_HOST,
	    kmf_op_lock },
	[KMF_OP_CONF_UNLOCK] = { STAFF | MEMBER, SCHEDULER, ON_CONF_HOST,
	    kmf_op_unlock },
	[KMF_OP_CONF_EXTEND] = { STAFF | MEMBER, SCHEDULER, ON_CONF_HOST,
	    kmf_op_extend },
	[KMF_OP_CONF_CANCEL] = { STAFF, SCHEDULER, ON_CONF, kmf_op_cancel },
	[KMF_OP_INV_GET] = { STAFF, SCHEDULER, ON_CONF, kmf_op_inv_get },
	[KMF_OP_INV_SEND] = { STAFF, SCHEDULER, ON_CONF, kmf_op_inv_send },
	[KMF_OP_INVITEE_SEND] = { STAFF, SCHEDULER, ON_CONF,
	    kmf_op_invitee_send },
	[KMF_OP_INVITEE_ICS] = { STAFF, SCHEDULER, ON_CONF,
	    kmf_op_invitee_ics },
	[KMF_OP_SERIES_ICS] = { STAFF, SCHEDULER, ON_NOTHING,
	    kmf_op_series_ics },
	[KMF_OP_SERIES_LIST] = { STAFF, SCHEDULER, ON_NOTHING,
	    kmf_op_series_list },
	[KMF_OP_SERIES_GET] = { STAFF, SCHEDULER, ON_NOTHING,
	    kmf_op_series_get },
	[KMF_OP_SERIES_PATCH] = { STAFF, SCHEDULER, ON_NOTHING,
	    kmf_op_series_patch },
	[KMF_OP_SERIES_CANCEL] = { STAFF, SCHEDULER, ON_NOTHING,
	    kmf_op_series_cancel },
	[KMF_OP_SERIES_DELETE] = { STAFF, SCHEDULER, ON_NOTHING,
	    kmf_op_series_delete },
	[KMF_OP_SERIES_CURRENT] = { ~0u, NULL, ON_NOTHING,
	    kmf_op_series_current },
	[KMF_OP_OCCURRENCE_LIST] = { STAFF, SCHEDULER, ON_NOTHING,
	    kmf_op_occurrence_list },
	[KMF_OP_OCCURRENCE_MAKE] = { STAFF, SCHEDULER, ON_NOTHING,
	    kmf_op_occurrence_make },
	[KMF_OP_AUDIT] = { STAFF, AUDITOR, ON_NOTHING, kmf_op_audit },
	[KMF_OP_FEED] = { STAFF, AUDITOR " scheduler", ON_NOTHING,
	    kmf_op_feed },
	[KMF_OP_HOOKS] = { STAFF, AUDITOR, ON_NOTHING, kmf_op_hooks },
	[KMF_OP_DEAD] = { STAFF, AUDITOR, ON_NOTHING, kmf_op_dead },
	[KMF_OP_READY] = { ~0u, NULL, ON_NOTHING, kmf_op_ready },
	[KMF_OP_METRICS] = { ~0u, NULL, ON_NOTHING, kmf_op_metrics },
};

int
kmf_refuse(
    struct kmf_job *j, uint16_t status, const char *code, const char *fmt, ...)
{
	va_list ap;

	j->a.status = status;
	j->a.code = code;
	va_start(ap, fmt);
	vsnprintf(j->a.detail, sizeof(j->a.detail), fmt, ap);
	va_end(ap);
	return 0;
}

int
kmf_not_found(struct kmf_job *j)
{
	return kmf_refuse(j, 404, "not_found",
	    "there is no such thing, or it is not for you");
}

int
kmf_answer_text(
    struct kmf_job *j, uint16_t status, const char *type, const char *text)
{
	size_t n = strlen(text);

	if ((j->a.body = perc_secmem_alloc(n + 1)) == NULL)
		return PERC_ERR_NOMEM;
	memcpy(j->a.body, text, n + 1);
	j->a.body_len = n;
	j->a.content_type = type;
	j->a.status = status;
	return 0;
}

int
kmf_answer_json(struct kmf_job *j, uint16_t status, json_t *v)
{
	char *text;
	int r;

	if (v == NULL)
		return PERC_ERR_NOMEM;
	text = perc_json_text(v);
	json_decref(v);
	if (text == NULL)
		return PERC_ERR_NOMEM;
	r = kmf_answer_text(j, status, "application/json", text);
	perc_json_free(text);
	return r;
}

void
kmf_answer_clear(struct kmf_answer *a)
{
	perc_secmem_free(a->body);
	perc_wipe(a, sizeof(*a));
}

void
kmf_json_add(json_t **a, json_t *v)
{
	if (*a != NULL && v != NULL && json_array_append(*a, v) == 0) {
		json_decref(v);
		return;
	}
	json_decref(v);
	json_decref(*a);
	*a = NULL;
}

const char *
kmf_json_opt(const char *s)
{
	return s[0] != '\0' ? s : NULL;
}

int
kmf_copy(char *out, size_t cap, const char *in)
{
	size_t n = strlen(in);

	if (n >= cap)
		return PERC_ERR_LIMIT;
	memcpy(out, in, n + 1);
	return 0;
}

bool
kmf_has_word(const char *list, const char *word)
{
	size_t n = strlen(word);
	const char *p = list;

	for (; n != 0 && (p = strstr(p, word)) != NULL; p += n)
		if ((p == list || p[-1] == ' ') &&
		    (p[n] == ' ' || p[n] == '\0'))
			return true;
	return false;
}

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

/* RFC 9449, 11.1: a proof is good once, across restarts and fronts. */
static int
replay_check(struct kmf_job *j)
{
	const struct kmf_call *c = j->call;
	int r;

	if (c->replay_hash[0] == '\0')
		return 0;
	r = db_replay_add(j->k->db, c->replay_hash, c->replay_until_s);
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

int
kmf_conf_try(struct kmf_job *j, bool *have)
{
	/* As long as one of those that are there. */
	static const char policy[] =
	    "{\"rekey_on_leave\":true,\"rekey_on_join\":true,"
	    "\"join_window_ms\":2000,\"leave_window_ms\":250,"
	    "\"max_epoch_age_s\":300,\"overlap_ms\":2000,\"lease_s\":15,"
	    "\"early_entry_s\":600,\"cipher\":\"AESKW128\","
	    "\"profile\":\"AEAD_AES_128_GCM\"}";
	int r;

	r = db_conf_find(j->k->db, &j->conf, j->call->conf);
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	*have = r == 0;
	if (*have)
		return kmf_policy_load(&j->policy, j->conf.policy);
	memset(&j->conf, 0, sizeof(j->conf));
	snprintf(j->conf.id, sizeof(j->conf.id), "%s", j->call->conf);
	return kmf_policy_load(&j->policy, policy);
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

	if ((r = kmf_conf_try(j, &have)) != 0)
		return r;
	switch (j->call->id.who) {
	case KMF_WHO_MEMBER:
		return member_load(j, have);
	case KMF_WHO_PERSON:
		return person_load(j, have);
	default:
		return have && staff_may_see(j) ? 0 : kmf_not_found(j);
	}
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
	const struct op *o = &ops[op];

	return (o->who & 1u << who) != 0 &&
	    ((STAFF & 1u << who) == 0 || o->scope == NULL ||
		scope_allows(scope, o->scope));
}

static int
who_admit(struct kmf_job *j, const struct op *op)
{
	enum kmf_who who = j->call->id.who;
	int r;

	if ((op->who & 1u << who) == 0)
		return kmf_not_found(j);
	if (op->scope != NULL && (STAFF & 1u << who) != 0 &&
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
	const struct op *op = &ops[j->call->op];
	int r;

	if ((r = replay_check(j)) != 0 || j->a.status != 0 ||
	    (r = who_admit(j, op)) != 0 || j->a.status != 0)
		return r;
	if (op->on != ON_NOTHING &&
	    ((r = conf_admit(j)) != 0 || j->a.status != 0))
		return r;
	return op->on == ON_CONF_HOST && (STAFF & 1u << j->call->id.who) == 0
	    ? host_check(j)
	    : 0;
}

/* What an Idempotency-Key keeps from happening again, besides what is made
 * (conf.c, invite.c). */
static const bool once[KMF_OP_LAST] = {
	[KMF_OP_CONF_END] = true,
	[KMF_OP_CONF_REKEY] = true,
	[KMF_OP_CONF_LOCK] = true,
	[KMF_OP_CONF_UNLOCK] = true,
	[KMF_OP_CONF_EXTEND] = true,
	[KMF_OP_CONF_CANCEL] = true,
};

/* RFC 9110, 13.1.1: whoever says what he saw means that, wherever he says
 * it. A change of members demands it (conf_change.c). */
static int
match_check(struct kmf_job *j)
{
	const char *want = j->call->if_match;
	char have[32];

	if (want[0] == '\0' || strcmp(want, "*") == 0 || j->conf.id[0] == '\0')
		return 0;
	snprintf(have, sizeof(have), "\"%lld\"", (long long)j->conf.version);
	if (strcmp(want, have) == 0)
		return 0;
	return kmf_refuse(
	    j, 412, "changed", "it was changed meanwhile; read it again");
}

static int
run_once(struct kmf_job *j, const struct op *op)
{
	int r;

	if ((r = kmf_idem_check(j)) != 0)
		return r < 0 ? r : 0;
	if ((r = match_check(j)) != 0 || j->a.status != 0)
		return r;
	return (r = op->fn(j)) != 0 ? r : kmf_idem_keep(j);
}

static int
run(struct kmf_job *j)
{
	const struct op *op = &ops[j->call->op];
	int r;

	if (op->fn == NULL)
		return kmf_not_found(j);
	if ((r = kmf_admit(j)) != 0 || j->a.status != 0)
		return r;
	if (once[j->call->op])
		return run_once(j, op);
	if ((r = match_check(j)) != 0 || j->a.status != 0)
		return r;
	return op->fn(j);
}

/* RFC 6749, 5.2: at the token endpoint errors have names of their own. */
static void
oauth_errors(struct kmf_job *j)
{
	enum kmf_op op = j->call->op;

	if (op != KMF_OP_TOKEN1 && op != KMF_OP_TOKEN2 &&
	    op != KMF_OP_TOKEN_CLIENT && op != KMF_OP_TOKEN_ROLE)
		return;
	if (strcmp(j->a.code, "invalid_client") != 0)
		j->a.status = 400;
	if (strcmp(j->a.code, "not_found") == 0 && j->call->id.groups_partial)
		j->a.code = "invalid_target"; /* the detail says more */
	else if (strcmp(j->a.code, "not_found") == 0 ||
	    strcmp(j->a.code, "evicted") == 0 ||
	    strcmp(j->a.code, "ended") == 0)
		kmf_refuse(j, 400, "invalid_target",
		    "there is no such conference, or it is not for you");
	else if (strcmp(j->a.code, "too_many_endpoints") == 0)
		j->a.code = "invalid_request";
}

void
kmf_op_run(struct kmf_keeper *k, const struct kmf_call *c, struct kmf_answer *a)
{
	struct kmf_job j = { .k = k, .call = c };
	bool marked = false;
	int r;

	if ((r = kmf_turn_begin(k)) != 0 || (r = kmf_mark(k)) != 0)
		goto out;
	marked = true;
	if ((r = run(&j)) == 0 && j.a.status >= 400) {
		oauth_errors(&j);
		r = kmf_refusal_audit(&j);
	}
	if (r == 0)
		r = kmf_mark_keep(k);
out:
	if (r != 0) {
		k->count.failed++;
		log_warnx("op.failed id=%s op=%d why=\"%s\"",
		    kmf_id_or_nothing(c->request_id), (int)c->op,
		    perc_strerror(r));
		if (marked)
			kmf_mark_undo(k);
		kmf_answer_clear(&j.a);
		kmf_refuse(&j, r == PERC_ERR_SYS ? 503 : 500,
		    r == PERC_ERR_SYS ? "unavailable" : "internal",
		    "the keeper could not do this; nothing was changed");
		j.a.retry_after_s = 1;
	}
	*a = j.a;
	perc_wipe(&j.a, sizeof(j.a));
}
