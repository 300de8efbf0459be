/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who is behind, and why: "37 of 40 on epoch 12" is of little use to whoever
 * has to help the other three. A lease says which epoch its holder has;
 * whether its stream stands and whether a fetch was refused is known here
 * alone, and only of late: it is kept in memory, for the last few.
 */
#include "kmf/keeper_int.h"

#include <string.h>

#define REFUSED_MS 60000 /* what is older does not explain anything */

void
kmf_lag_refused(struct kmf_keeper *k, const char *member, const char *code)
{
	struct kmf_lag *l = &k->lag[k->lag_next++ % KMF_LAGS];

	memset(l, 0, sizeof(*l));
	l->at_ms = k->now_ms;
	(void)!kmf_copy(l->member, sizeof(l->member), member);
	(void)!kmf_copy(l->code, sizeof(l->code), code);
	k->count.keys_refused++;
}

/* The newest refusal that this member met; NULL. */
static const struct kmf_lag *
refusal(const struct kmf_keeper *k, const char *member)
{
	const struct kmf_lag *l, *found = NULL;
	unsigned i;

	for (i = 0; i < KMF_LAGS; i++) {
		l = &k->lag[i];
		if (l->at_ms + REFUSED_MS > k->now_ms &&
		    strcmp(l->member, member) == 0 &&
		    (found == NULL || l->at_ms > found->at_ms))
			found = l;
	}
	return found;
}

/* Renewals come each third of a lease; one that is missing is late. */
static bool
lease_late(const struct kmf_job *j, const struct db_member *m)
{
	return m->lease_ms - j->k->now_ms <
	    (int64_t)j->policy.lease_s * 1000 / 2;
}

json_t *
kmf_lag_json(const struct kmf_job *j, const struct db_member *m)
{
	const struct kmf_lag *l;

	if (m->state != DB_MEMBER_LIVE || m->held >= j->conf.epoch)
		return NULL;
	if (lease_late(j, m))
		return json_pack("{s:s}", "why", "lease_late");
	if ((l = refusal(j->k, m->id)) != NULL)
		return json_pack(
		    "{s:s, s:s}", "why", "fetch_refused", "code", l->code);
	if (!kmf_stream_has(j->k, m->id))
		return json_pack("{s:s}", "why", "stream_lost");
	return json_pack("{s:s}", "why", "unconfirmed");
}
