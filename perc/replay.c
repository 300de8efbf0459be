/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ring of 64-bit words instead of a shifted bitmap (RFC 6479): moving on
 * costs as many words as were skipped, never the whole window. One word more
 * than the window needs, because its oldest word is only partly inside.
 *
 * The nearest index may lie in the previous or the next period of 2^16, by
 * the half-way rule of RFC 3711 appendix A. That appendix would go to
 * 2^32 - 1 periods below zero; we stay at ROC 0, as libsrtp does.
 */
#include "perc/replay.h"

#include <string.h>

size_t
perc_replay_words(unsigned window)
{
	size_t words = 1;

	if (window < PERC_REPLAY_MIN || window > PERC_REPLAY_MAX)
		return 0;
	while (words < (window + 63) / 64 + 1)
		words *= 2;
	return words;
}

void
perc_replay_init(struct perc_replay *r, unsigned window, uint64_t *bits)
{
	size_t words = perc_replay_words(window);

	*r = (struct perc_replay){
		.bits = bits, .window = window, .mask = (uint32_t)words - 1
	};
	memset(bits, 0, words * sizeof(*bits));
}

int
perc_replay_check(const struct perc_replay *r, uint64_t index)
{
	if (!r->started || index > r->top)
		return 0;
	if (r->top - index >= r->window)
		return PERC_ERR_REPLAY;
	return r->bits[index >> 6 & r->mask] >> (index & 63) & 1
	    ? PERC_ERR_REPLAY
	    : 0;
}

void
perc_replay_commit(struct perc_replay *r, uint64_t index)
{
	uint64_t w, skipped;

	if (!r->started) {
		r->top = index;
		r->started = true;
	}
	if (index > r->top) {
		skipped = (index >> 6) - (r->top >> 6);
		if (skipped > r->mask)
			skipped = (uint64_t)r->mask + 1;
		for (w = (index >> 6) - skipped + 1; skipped > 0; skipped--)
			r->bits[w++ & r->mask] = 0;
		r->top = index;
	}
	r->bits[index >> 6 & r->mask] |= 1ull << (index & 63);
}

void
perc_replay_close(struct perc_replay *r, uint64_t index)
{
	memset(r->bits, 0xff, ((size_t)r->mask + 1) * sizeof(*r->bits));
	/* the ring holds bits of indices yet to come: those of top's word */
	r->bits[index >> 6 & r->mask] = ~0ull >> (63 - (index & 63));
	r->top = index;
	r->started = true;
}

int
perc_index_guess(uint64_t *index, uint64_t near, uint16_t seq)
{
	uint64_t roc = near >> 16;
	int32_t ahead = (int32_t)seq - (int32_t)(near & 0xffff);

	if (ahead > 0x8000 && roc > 0)
		roc--;
	else if (ahead < -0x8000)
		roc++;
	*index = roc << 16 | seq;
	return *index > PERC_INDEX_MAX ? PERC_ERR_LIMIT : 0;
}
