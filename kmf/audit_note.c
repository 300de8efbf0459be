/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Records that no operation makes: logins that a front refused, and what
 * happens to the program. A front is believed about what it saw, not about
 * how often it may say so: who took one over must not fill the disk.
 */
#include "kmf/keeper_int.h"

#include <inttypes.h>

/* Text of a front, if it can be shown. */
static const char *
shown(const char *s, size_t max)
{
	return kmf_text_check(s, max) == 0 ? s : NULL;
}

static bool
may_record(struct kmf_front *f)
{
	int64_t now = f->k->now_ms;

	if (now - f->refused_ms >= KMF_REFUSED_MS || now < f->refused_ms) {
		f->refused_ms = now;
		f->refused = 0;
	}
	return f->refused++ < KMF_REFUSED_MAX;
}

int
kmf_login_failed(struct kmf_front *f, const struct kmf_refused *x)
{
	uint64_t more = f->refused_more;
	int r;

	f->k->count.login_failures += x->count;
	if (!may_record(f)) {
		f->refused_more += x->count;
		return 0;
	}
	r = kmf_audit(f->k, KMF_AUDIT_LOGIN_FAILED, "", "", "",
	    json_pack("{s:s*, s:s*, s:s*, s:s*, s:I, s:I}", "reason",
		shown(x->reason, 160), "what", shown(x->what, 160), "peer",
		shown(x->peer, 64), "client", shown(x->client, DB_CLIENT_MAX),
		"count", (json_int_t)(x->count & INT32_MAX), "unrecorded",
		(json_int_t)(more & INT32_MAX)));
	if (r == 0)
		f->refused_more = 0;
	return r;
}

int
kmf_audit_program(
    struct kmf_keeper *k, enum kmf_audit_kind kind, json_t *detail)
{
	int r;

	if ((r = kmf_turn_begin(k)) != 0) {
		json_decref(detail);
		return r;
	}
	if ((r = kmf_audit(k, kind, "", "", "", detail)) == 0 &&
	    kind == KMF_AUDIT_STOPPED)
		r = kmf_checkpoint(k);
	if (r == 0)
		r = kmf_turn_commit(k);
	if (r != 0)
		db_rollback(k->db);
	return r;
}
