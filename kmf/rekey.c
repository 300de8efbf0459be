/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Joins act on the leading edge and leaves on the trailing one. The odd case
 * is the empty room: its keys are destroyed rather than renewed, and the
 * number goes on where it was, so that the next joiner's epoch is still new.
 */
#include "kmf/rekey.h"

static int64_t
age_limit_ms(const struct kmf_policy *p)
{
	return (int64_t)p->max_epoch_age_s * 900;
}

static unsigned
new_epoch(const struct kmf_rekey *r)
{
	return r->epoch >= KMF_SPIS ? KMF_DO_END : KMF_DO_EPOCH;
}

/* A change of members becomes visible soon, but not once per member. */
static void
roster_soon(struct kmf_rekey *r, int64_t now_ms, unsigned live)
{
	int64_t gap = live > KMF_ROSTER_INLINE_MAX ? KMF_ROSTER_GAP_BIG_MS
						   : KMF_ROSTER_GAP_MS;

	if (r->roster_ms == 0 || r->roster_ms > now_ms + gap)
		r->roster_ms = now_ms + gap;
}

uint16_t
kmf_rekey_spi(const struct kmf_rekey *r, uint32_t epoch)
{
	return (uint16_t)(r->spi_start + epoch * r->spi_step);
}

int64_t
kmf_bucket_take(int64_t *full_ms, const struct kmf_bucket *b, int64_t now_ms)
{
	int64_t empty_ms = (int64_t)b->burst * b->every_ms;
	int64_t full = *full_ms > now_ms ? *full_ms : now_ms;

	/* Farther away than empty: in debt, or the clock was set back. */
	if (full - now_ms > 2 * empty_ms)
		full = now_ms + empty_ms;
	if (full - now_ms > empty_ms - b->every_ms)
		return full - now_ms - (empty_ms - b->every_ms);
	*full_ms = full + b->every_ms;
	return 0;
}

void
kmf_bucket_spend(int64_t *full_ms, const struct kmf_bucket *b, int64_t now_ms)
{
	if (*full_ms < now_ms)
		*full_ms = now_ms;
	*full_ms += b->every_ms;
}

bool
kmf_rekey_join_needs(
    const struct kmf_rekey *r, const struct kmf_policy *p, int64_t now_ms)
{
	return r->epoch_ms == 0 ||
	    (p->rekey_on_join &&
		now_ms - r->epoch_ms >= (int64_t)p->join_window_ms);
}

unsigned
kmf_rekey_join(struct kmf_rekey *r, const struct kmf_policy *p, int64_t now_ms,
    unsigned live)
{
	if (kmf_rekey_join_needs(r, p, now_ms))
		return new_epoch(r);
	roster_soon(r, now_ms, live);
	return 0;
}

/* An empty room needs no key; the keeper destroys what there is. */
static unsigned
empty(struct kmf_rekey *r)
{
	r->epoch_ms = r->rekey_ms = r->roster_ms = 0;
	return 0;
}

unsigned
kmf_rekey_leave(struct kmf_rekey *r, const struct kmf_policy *p, int64_t now_ms,
    unsigned live)
{
	if (live == 0)
		return empty(r);
	if (!p->rekey_on_leave)
		return 0;
	if (r->rekey_ms == 0)
		r->rekey_ms = now_ms + p->leave_window_ms;
	return kmf_rekey_tick(r, p, now_ms, live);
}

unsigned
kmf_rekey_evict(struct kmf_rekey *r, const struct kmf_policy *p, int64_t now_ms,
    unsigned live)
{
	int64_t due = r->epoch_ms + p->leave_window_ms;

	if (live == 0)
		return empty(r);
	if (due < now_ms)
		due = now_ms;
	if (r->rekey_ms == 0 || r->rekey_ms > due)
		r->rekey_ms = due;
	return kmf_rekey_tick(r, p, now_ms, live);
}

unsigned
kmf_rekey_tick(struct kmf_rekey *r, const struct kmf_policy *p, int64_t now_ms,
    unsigned live)
{
	if (r->epoch_ms == 0)
		return 0;
	if (live == 0)
		return empty(r);
	if (r->rekey_ms != 0 && now_ms >= r->rekey_ms)
		return new_epoch(r);
	if (now_ms - r->epoch_ms >= age_limit_ms(p))
		return new_epoch(r);
	if (r->roster_ms != 0 && now_ms >= r->roster_ms)
		return KMF_DO_ROSTER;
	return 0;
}

void
kmf_rekey_made(struct kmf_rekey *r, int64_t now_ms)
{
	r->epoch++;
	r->epoch_ms = now_ms;
	r->rekey_ms = 0;
	r->roster_ms = now_ms; /* an epoch's roster comes with it */
}

void
kmf_rekey_signed(struct kmf_rekey *r, int64_t now_ms)
{
	r->roster_ms = now_ms + KMF_ROSTER_PERIOD_MS;
}

int64_t
kmf_rekey_due(
    const struct kmf_rekey *r, const struct kmf_policy *p, unsigned live)
{
	int64_t due;

	if (r->epoch_ms == 0 || live == 0)
		return 0;
	due = r->epoch_ms + age_limit_ms(p);
	if (r->rekey_ms != 0 && r->rekey_ms < due)
		due = r->rekey_ms;
	if (r->roster_ms != 0 && r->roster_ms < due)
		due = r->roster_ms;
	return due;
}
