/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A conference has 65,536 SPIs for its whole life, and whoever comes or goes
 * spends one: an invited person alone in a room could use them up by coming
 * and going. So coming in has a budget, of the person and of the conference,
 * which survives a restart. Leaving is never refused and never waits: that
 * the leaver does not share the next epoch is worth more than an SPI.
 */
#include "kmf/keeper_int.h"

#include <stdio.h>
#include <string.h>

enum bucket { PERSON, OPEN, EPOCHS };

static const struct {
	const char *key; /* NULL: the person */
	struct kmf_bucket b;
	const char *why;
} buckets[] = {
	[PERSON] = { NULL, KMF_JOINS, "you came and went too often" },
	[OPEN] = { "open", KMF_OPENINGS,
	    "the conference was emptied too often" },
	[EPOCHS] = { "epochs", KMF_CHURN,
	    "people came and went too often in this conference" },
};

static int
key_put(
    char out[static DB_CLIENT_MAX], enum bucket n, const struct db_member *m)
{
	if (buckets[n].key == NULL)
		return kmf_principal_id(out, m->iss, m->sub);
	return kmf_copy(out, DB_CLIENT_MAX, buckets[n].key);
}

/* Take one out, or refuse. */
static int
take(struct kmf_job *j, enum bucket n)
{
	int64_t full_ms = 0, wait_ms, now = j->k->now_ms;
	char key[DB_CLIENT_MAX];
	int r;

	if ((r = key_put(key, n, &j->me)) != 0 ||
	    (r = db_budget_get(j->k->db, &full_ms, j->conf.id, key)) != 0)
		return r;
	wait_ms = kmf_bucket_take(&full_ms, &buckets[n].b, now);
	if (wait_ms == 0)
		return db_budget_put(j->k->db, j->conf.id, key, full_ms);
	j->a.retry_after_s = (uint32_t)((wait_ms + 999) / 1000);
	return kmf_refuse(j, 429, "slow_down", "%s; try again in %u s",
	    buckets[n].why, j->a.retry_after_s);
}

int
kmf_budget_join(struct kmf_job *j, const struct kmf_room *o)
{
	bool opens = j->conf.state != DB_CONF_LIVE;
	int r;

	if ((r = take(j, PERSON)) != 0 || j->a.status != 0 ||
	    (opens && ((r = take(j, OPEN)) != 0 || j->a.status != 0)) ||
	    !kmf_rekey_join_needs(&o->r, &o->p, j->k->now_ms))
		return r;
	return take(j, EPOCHS);
}

int
kmf_budget_leave(struct kmf_room *o)
{
	const char *key = buckets[EPOCHS].key;
	int64_t full_ms = 0;
	int r;

	if ((r = db_budget_get(o->k->db, &full_ms, o->c->id, key)) != 0)
		return r;
	kmf_bucket_spend(&full_ms, &buckets[EPOCHS].b, o->k->now_ms);
	return db_budget_put(o->k->db, o->c->id, key, full_ms);
}
