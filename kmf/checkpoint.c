/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A chain of hashes shows what was changed to whoever knows its newest hash,
 * and to nobody else: who can write the database can write the whole chain
 * anew. So the keeper signs the newest hash now and then, when it is asked
 * for the end of the log, and when it stops. The signature stands in the
 * transaction of what it covers.
 */
#include "kmf/keeper_int.h"

#include "perc/chain.h"

static int
statement_sign(struct kmf_keeper *k, struct db_checkpoint *c, const char *hash)
{
	char *jws = NULL;
	json_t *v;
	int r;

	v = json_pack("{s:s, s:I, s:I, s:s, s:I}", "iss", k->base, "n",
	    (json_int_t)c->n, "seq", (json_int_t)c->seq, "hash", hash, "iat",
	    (json_int_t)(k->now_ms / 1000));
	if (v == NULL)
		return PERC_ERR_NOMEM;
	if ((r = perc_jws_sign(
		 &jws, k->statement_key, PERC_CHAIN_TYP, v, false)) == 0)
		r = kmf_copy(c->jws, sizeof(c->jws), jws);
	perc_json_free(jws);
	json_decref(v);
	return r;
}

int
kmf_checkpoint(struct kmf_keeper *k)
{
	struct db_checkpoint was = { 0 }, c;
	struct db_audit last;
	int r;

	if ((r = db_audit_last(k->db, &last)) == PERC_ERR_NOTFOUND)
		return 0;
	if (r != 0)
		return r;
	r = db_checkpoint_last(k->db, &was);
	if (r != 0 && r != PERC_ERR_NOTFOUND)
		return r;
	c = (struct db_checkpoint){
		.n = was.n + 1, .seq = last.seq, .at_ms = k->now_ms
	};
	if (was.seq != last.seq &&
	    ((r = statement_sign(k, &c, last.hash)) != 0 ||
		(r = db_checkpoint_add(k->db, &c)) != 0))
		return r;
	k->checkpoint_ms = k->now_ms;
	k->audit_new = 0;
	k->count.checkpoints += was.seq != last.seq;
	return 0;
}

void
kmf_checkpoint_due(struct kmf_keeper *k, bool by_time)
{
	bool due = k->audit_new >= KMF_CHECKPOINT_ROWS;
	int r;

	if (by_time && k->audit_new != 0 &&
	    (k->now_ms - k->checkpoint_ms >= KMF_CHECKPOINT_MS ||
		k->now_ms < k->checkpoint_ms))
		due = true;
	if (due && (r = kmf_checkpoint(k)) != 0)
		log_warnx("checkpoint.failed why=\"%s\"", perc_strerror(r));
}
