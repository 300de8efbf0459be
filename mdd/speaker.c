/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Smoothing by time and not by packets: frames are 10 to 120 ms long, and who
 * sends none while silent (DTX) must become quiet all the same.
 */
#include "mdd/speaker.h"

#include <stddef.h>

#define VOICE_STEP_MAX_MS 10000 /* silence beyond it changes nothing more */

/* From `from` towards `to` in dt, with the time constant tau. */
static int32_t
towards(int32_t from, int32_t to, int64_t dt, int64_t tau)
{
	if (dt < 0)
		dt = 0;
	if (dt > VOICE_STEP_MAX_MS)
		dt = VOICE_STEP_MAX_MS;
	return from + (int32_t)((to - from) * dt / (dt + tau));
}

void
mdd_voice_hear(struct mdd_voice *v, uint8_t level, int64_t now_ms)
{
	int32_t loud = (127 - (level & 0x7f)) * 16;

	if (!v->levels)
		v->heard_ms = now_ms;
	v->loud = towards(v->loud, loud, now_ms - v->heard_ms,
	    loud > v->loud ? MDD_VOICE_ATTACK_MS : MDD_VOICE_RELEASE_MS);
	v->heard_ms = now_ms;
	v->levels = true;
}

int32_t
mdd_voice_loud(const struct mdd_voice *v, int64_t now_ms)
{
	int64_t dt = now_ms - v->heard_ms;

	if (dt <= MDD_VOICE_QUIET_MS)
		return v->loud;
	return towards(
	    v->loud, 0, dt - MDD_VOICE_QUIET_MS, MDD_VOICE_RELEASE_MS);
}

/* The loudest that is not in, or the quietest that is and may go. */
static struct mdd_voice *
pick(struct mdd_voice *const *v, unsigned count, bool in, bool held,
    int64_t now_ms)
{
	struct mdd_voice *best = NULL;
	int32_t loud, least = 0;
	unsigned i;

	for (i = 0; i < count; i++) {
		if (v[i]->in != in ||
		    (held && now_ms - v[i]->in_ms < MDD_VOICE_HOLD_MS))
			continue;
		loud = mdd_voice_loud(v[i], now_ms);
		if (!in)
			loud = -loud;
		if (best == NULL || loud < least) {
			best = v[i];
			least = loud;
		}
	}
	return best;
}

static void
let_in(struct mdd_voice *v, int64_t now_ms)
{
	v->in = true;
	v->in_ms = now_ms;
}

/* Does anybody take somebody's place? */
static bool
swap(struct mdd_voice *const *v, unsigned count, int64_t now_ms)
{
	struct mdd_voice *out = pick(v, count, false, false, now_ms);
	struct mdd_voice *in = pick(v, count, true, true, now_ms);
	int32_t loud;

	if (out == NULL || in == NULL)
		return false;
	loud = mdd_voice_loud(out, now_ms);
	if (loud < MDD_VOICE_FLOOR ||
	    loud < mdd_voice_loud(in, now_ms) + MDD_VOICE_MARGIN)
		return false;
	in->in = false;
	let_in(out, now_ms);
	return true;
}

bool
mdd_voices_choose(
    struct mdd_voice *const *v, unsigned count, unsigned n, int64_t now_ms)
{
	unsigned i, have = 0;
	bool changed = false;

	if (n == 0 || n > count)
		n = count;
	for (i = 0; i < count; i++)
		have += v[i]->in;
	for (; have < n; have++, changed = true)
		let_in(pick(v, count, false, false, now_ms), now_ms);
	for (; have > n; have--, changed = true)
		pick(v, count, true, false, now_ms)->in = false;
	for (i = 0; i < n && swap(v, count, now_ms); i++)
		changed = true;
	return changed;
}
