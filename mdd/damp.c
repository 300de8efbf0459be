/* SPDX-License-Identifier: Apache-2.0 */
/* Whole seconds from the first use on: who spent all waits for the next. */
#include "mdd/damp.h"

#include "mdd/worker.h"

static struct mdd_damp *
damp_of(struct mdd_leg *leg, int64_t now_ms)
{
	struct mdd_damp *d = &leg->damp;

	if (now_ms - d->since_ms >= 1000 || d->since_ms == 0)
		*d = (struct mdd_damp){ .since_ms = now_ms };
	return d;
}

static bool
take(unsigned *spent, unsigned units, unsigned most)
{
	if (units > most - *spent)
		return false;
	*spent += units;
	return true;
}

bool
mdd_damp_compound(struct mdd_leg *leg, int64_t now_ms)
{
	return take(&damp_of(leg, now_ms)->compounds, 1,
	    leg->link == NULL ? MDD_DAMP_COMPOUNDS : MDD_DAMP_COMPOUNDS_LINK);
}

/* Who has something to say needs few packets for it. */
size_t
mdd_damp_cut(struct mdd_worker *w, const uint8_t *p, size_t n)
{
	struct perc_rtcp k;
	unsigned parts = 0;
	size_t at;

	for (at = 0; perc_rtcp_next(&k, p + at, n - at); at += k.n)
		if (parts++ == MDD_DAMP_PARTS) {
			w->count[MDD_RTCP_DAMPED]++;
			return at;
		}
	return n;
}

bool
mdd_damp_work(
    struct mdd_worker *w, struct mdd_leg *leg, unsigned seqs, int64_t now_ms)
{
	if (take(&damp_of(leg, now_ms)->work,
		seqs + MDD_DAMP_FIND(leg->room->legs),
		leg->link == NULL ? MDD_DAMP_WORK : MDD_DAMP_WORK_LINK))
		return true;
	w->count[MDD_RTCP_DAMPED]++;
	return false;
}

struct mdd_leg *
mdd_damp_owner(struct mdd_worker *w, struct mdd_leg *leg, uint32_t ssrc,
    struct mdd_source **sp)
{
	struct mdd_leg *to = mdd_room_owner(leg->room, ssrc, sp);

	w->count[MDD_RTCP_SOUGHT]++;
	return to != NULL && mdd_link_may(leg, to) ? to : NULL;
}

/* A try walks over the conference too, and what another leg feeds is tried
 * anew at each announcement. */
bool
mdd_damp_take(const struct mdd_legs *l, struct mdd_leg *leg, int64_t now_ms)
{
	return take(&damp_of(leg, now_ms)->takes, 1,
	    MDD_DAMP_TAKES(l->limits.max_link_sources));
}
