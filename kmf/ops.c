/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who may do what is this table and nothing else. Every operation goes the
 * same way: replay, caller, conference, membership, handler. An unknown
 * conference and one that the caller has no business with take the same
 * steps and give the same answer.
 */
#include "kmf/admit.h"
#include "kmf/event.h"
#include "kmf/hook.h"

#include <stdio.h>
#include <string.h>

#define WHO(w)	     KMF_BY(w)
#define CLIENT	     WHO(CLIENT)
#define STAFF	     KMF_STAFF
#define MEMBER	     (WHO(MEMBER) | WHO(PERSON))
#define ON_NOTHING   KMF_ON_NOTHING
#define ON_CONF	     KMF_ON_CONF
#define ON_CONF_HOST KMF_ON_CONF_HOST

#define SCHEDULER "scheduler admin"
#define AUDITOR	  "auditor admin"

static const struct kmf_rule ops[KMF_OP_LAST] = {
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
	[KMF_OP_SERIES_SEND] = { STAFF, SCHEDULER, ON_NOTHING,
	    kmf_op_series_send },
	[KMF_OP_MEMBER_GET] = { STAFF | MEMBER, SCHEDULER, ON_CONF_HOST,
	    kmf_op_member_get },
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
	[KMF_OP_REDELIVER] = { STAFF, "admin", ON_NOTHING, kmf_op_redeliver },
	[KMF_OP_READY] = { ~0u, NULL, ON_NOTHING, kmf_op_ready },
	[KMF_OP_METRICS] = { ~0u, NULL, ON_NOTHING, kmf_op_metrics },
};

const struct kmf_rule *
kmf_rule_of(enum kmf_op op)
{
	return &ops[op];
}

/*
 * ONCE: an Idempotency-Key keeps it from happening again; what makes things
 * sees to that itself (conf.c, invite.c), and POST .../keys never does: no key
 * is to lie in a kept answer, and to ask twice for it does no harm.
 * SEEN: the conference is replaced or forgotten, so the caller says which
 * state of it he saw; invitations and series see to that themselves.
 */
enum { ONCE = 1, SEEN = 2 };

static const unsigned char how[KMF_OP_LAST] = {
	[KMF_OP_CONF_END] = ONCE,
	[KMF_OP_CONF_REKEY] = ONCE,
	[KMF_OP_CONF_LOCK] = ONCE,
	[KMF_OP_CONF_UNLOCK] = ONCE,
	[KMF_OP_CONF_EXTEND] = ONCE,
	[KMF_OP_CONF_CANCEL] = ONCE,
	[KMF_OP_EVICT] = ONCE,
	[KMF_OP_INV_SEND] = ONCE,
	[KMF_OP_INVITEE_SEND] = ONCE,
	[KMF_OP_SERIES_CANCEL] = ONCE,
	[KMF_OP_SERIES_SEND] = ONCE,
	[KMF_OP_REDELIVER] = ONCE,
	[KMF_OP_OCCURRENCE_MAKE] = ONCE,
	[KMF_OP_CONF_PATCH] = SEEN,
	[KMF_OP_CONF_DELETE] = SEEN,
};

/* RFC 9110, 13.1.1: whoever says what he saw means that, wherever he says
 * it. An invitation has an ETag of its own (invite.c). */
static int
match_check(struct kmf_job *j)
{
	enum kmf_op op = j->call->op;
	char have[KMF_ETAG_MAX];

	if (j->conf.id[0] == '\0' || op == KMF_OP_INV_DELETE ||
	    ((how[op] & SEEN) == 0 && j->call->if_match[0] == '\0'))
		return 0;
	kmf_etag_version(have, j->conf.version);
	return kmf_precondition(j, have);
}

static int
run_once(struct kmf_job *j, const struct kmf_rule *op)
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
	const struct kmf_rule *op = &ops[j->call->op];
	int r;

	if (op->fn == NULL)
		return kmf_not_found(j);
	if ((r = kmf_admit(j)) != 0 || j->a.status != 0)
		return r;
	if ((how[j->call->op] & ONCE) != 0)
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
		if ((r = kmf_refusal_notice(&j)) == 0)
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
