/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a leg may send, in packets and octets a second. A link carries many
 * members' and has a limit of its own, in packets alone.
 */
#include "mdd/leg.h"
#include "mdd/link.h"

/* What a leg may send in a second: packets, and octets. */
static unsigned
leg_pps(const struct mdd_legs *l, enum mdd_link_kind kind)
{
	return kind == MDD_LINK_NONE ? l->limits.max_leg_pps
				     : l->limits.max_link_pps;
}

static int64_t
leg_octets(const struct mdd_legs *l, enum mdd_link_kind kind)
{
	return kind == MDD_LINK_NONE
	    ? (int64_t)l->limits.max_leg_kbps * 1000 / 8
	    : (int64_t)l->limits.max_link_pps * PERC_MTU_MAX;
}

static enum mdd_link_kind
leg_kind(const struct mdd_leg *leg)
{
	return leg->link == NULL ? MDD_LINK_NONE : leg->link->kind;
}

void
mdd_leg_credit_init(const struct mdd_legs *l, struct mdd_leg *leg,
    enum mdd_link_kind kind, int64_t now_ms)
{
	leg->credit = leg_pps(l, kind);
	leg->octets = leg_octets(l, kind);
	leg->credit_ms = now_ms;
}

void
mdd_leg_calm(struct mdd_legs *l, struct mdd_leg *leg)
{
	if (leg->flooded && leg->seen <= leg_pps(l, leg_kind(leg))) {
		leg->flooded = false;
		l->flooded--;
		l->moved = true;
	}
	leg->seen = 0;
}

/*
 * A leg's own limits spend nothing of the others'; but what comes from its
 * address fills the queue that they share, even when it is dropped at a
 * glance. Twice what a leg may send, and the address waits with strangers.
 */
void
mdd_leg_seen(struct mdd_legs *l, struct mdd_leg *leg, size_t n)
{
	leg->came++;
	leg->came_octets += n;
	if (++leg->seen <= 2 * leg_pps(l, leg_kind(leg)) || leg->flooded)
		return;
	leg->flooded = true;
	l->flooded++;
	l->moved = true;
}

/* Credit for what passed since the last look, up to a second's. */
static void
credit_grow(const struct mdd_legs *l, struct mdd_leg *leg, int64_t now_ms)
{
	int64_t most = leg_octets(l, leg_kind(leg));
	int64_t ms = now_ms - leg->credit_ms;
	unsigned pps = leg_pps(l, leg_kind(leg));
	uint64_t more = ms <= 0 ? 0 : (uint64_t)ms * pps / 1000;

	if (more == 0)
		return;
	leg->credit_ms = now_ms;
	more += leg->credit;
	leg->credit = more > pps ? pps : (unsigned)more;
	leg->octets += ms > 1000 ? most : ms * most / 1000;
	if (leg->octets > most)
		leg->octets = most;
}

bool
mdd_leg_may(struct mdd_legs *l, struct mdd_leg *leg, int64_t now_ms)
{
	credit_grow(l, leg, now_ms);
	return leg->credit > 0 && leg->octets > 0;
}

void
mdd_leg_charge(struct mdd_leg *leg, size_t n)
{
	leg->credit -= leg->credit > 0;
	leg->octets -= (int64_t)n;
}

bool
mdd_leg_credit(
    struct mdd_legs *l, struct mdd_leg *leg, size_t n, int64_t now_ms)
{
	if (!mdd_leg_may(l, leg, now_ms))
		return false;
	mdd_leg_charge(leg, n);
	return true;
}
