/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shift alone would do if packets came in order. They do not: one that is
 * late by two, across a place where others were taken out, needs the shift of
 * its own place. So the last numbers are kept as a row of bits, taken out or
 * not, and the shift of any of them is the present one less the bits set
 * after it. Every packet of the source comes by here, wanted or not, for
 * `top` must follow the sender's wraps; what went out is then always without
 * a jump, and no rollover counter is ever in doubt (RFC 3711 section 3.3.1).
 */
#include "mdd/flow.h"

#include <string.h>

void
mdd_flow_start(struct mdd_flow *f, uint16_t top)
{
	memset(f->gone, 0, sizeof(f->gone));
	f->top = top;
	f->shift = 0;
	f->started = true;
}

/* The row moves up by n; the places that come in are taken out, or not. */
static void
row_move(struct mdd_flow *f, unsigned n, bool out)
{
	unsigned words = n / 64, bits = n % 64, i;
	uint64_t w;

	if (n >= MDD_FLOW_BACK) {
		memset(f->gone, out ? 0xff : 0, sizeof(f->gone));
		return;
	}
	for (i = MDD_FLOW_WORDS; i-- > 0;) {
		w = i >= words ? f->gone[i - words] << bits : 0;
		if (bits != 0 && i > words)
			w |= f->gone[i - words - 1] >> (64 - bits);
		f->gone[i] = w;
	}
	for (i = 0; out && i < words; i++)
		f->gone[i] = UINT64_MAX;
	if (out && bits != 0)
		f->gone[words] |= (UINT64_C(1) << bits) - 1;
}

static bool
row_has(const struct mdd_flow *f, unsigned back)
{
	return (f->gone[back / 64] >> (back % 64) & 1) != 0;
}

/* Bits set among the newest n. */
static unsigned
row_count(const struct mdd_flow *f, unsigned n)
{
	unsigned i, sum = 0;

	for (i = 0; i < n / 64; i++)
		sum += (unsigned)__builtin_popcountll(f->gone[i]);
	if (n % 64 != 0)
		sum += (unsigned)__builtin_popcountll(
		    f->gone[i] & ((UINT64_C(1) << n % 64) - 1));
	return sum;
}

static bool
late_take(const struct mdd_flow *f, uint16_t in, uint16_t *out)
{
	unsigned back = (uint16_t)(f->top - in), gone;

	if (back >= MDD_FLOW_BACK) {
		/* Its shift is known only when nothing changed since. */
		*out = (uint16_t)(in - f->shift);
		return row_count(f, MDD_FLOW_BACK) == 0;
	}
	gone = row_count(f, back);
	*out = (uint16_t)(in - f->shift + gone);
	return !row_has(f, back);
}

bool
mdd_flow_take(
    struct mdd_flow *f, uint16_t in, bool drop, bool hole, uint16_t *out)
{
	uint16_t ahead = (uint16_t)(in - f->top);

	if (ahead == 0 || ahead > INT16_MAX)
		return late_take(f, in, out);
	if (ahead > 1) {
		row_move(f, ahead - 1u, hole);
		f->shift = (uint16_t)(f->shift + (hole ? ahead - 1u : 0));
	}
	row_move(f, 1, drop);
	f->shift = (uint16_t)(f->shift + drop);
	f->top = in;
	*out = (uint16_t)(in - f->shift);
	return !drop;
}

bool
mdd_flow_dropped(const struct mdd_flow *f)
{
	return row_has(f, 0);
}

bool
mdd_flow_back(const struct mdd_flow *f, uint16_t out, uint16_t *in)
{
	unsigned back = 0, i;
	uint16_t at = (uint16_t)(f->top - f->shift); /* out of top, or before */
	unsigned want = (uint16_t)(at - out);

	if (want >= MDD_FLOW_BACK)
		return false;
	/* Walk down over what was taken out, and as many others as wanted. */
	for (i = 0; back < MDD_FLOW_BACK; back++) {
		if (row_has(f, back))
			continue;
		if (i++ == want) {
			*in = (uint16_t)(f->top - back);
			return true;
		}
	}
	return false;
}
