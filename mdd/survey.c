/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a room has to choose from, looked at now and then and never for a
 * packet. Layers are known by the first packets of a source (RFC 8852 sends
 * RID only until it is heard), and in what order they are by token2 alone:
 * their names mean nothing, and their rates change places.
 */
#include "mdd/survey.h"

#include <string.h>

/* The largest wish counts; who has none counts as configured. */
static unsigned
room_last_n(const struct mdd_room *room, unsigned configured)
{
	const struct mdd_leg *leg;
	unsigned n = 0, want;

	for (leg = room->first; leg != NULL; leg = leg->next) {
		if (leg->state != MDD_LEG_UP)
			continue;
		want = leg->taste.last_n != 0 ? leg->taste.last_n : configured;
		if (want == 0)
			return 0;
		if (want > n)
			n = want;
	}
	return n;
}

void
mdd_survey_voices(struct mdd_legs *l, struct mdd_room *room, int64_t now_ms)
{
	unsigned i, count = 0, n = room_last_n(room, l->limits.last_n);
	struct mdd_source *s;
	bool changed;

	if (n == 0 && room->last_n == 0)
		return;
	for (i = 0; i < room->nsrc; i++) {
		s = &room->src[i];
		if (s->legs == 0)
			memset(&s->voice, 0, sizeof(s->voice));
		else if (s->head == i && s->voice.levels)
			l->voices[count++] = &s->voice;
	}
	changed = mdd_voices_choose(l->voices, count, n, now_ms);
	if (changed || n != room->last_n)
		room->gen++;
	room->last_n = n;
}

static bool
same_picture(const struct mdd_source *a, const struct mdd_source *b)
{
	return b->legs > 0 && b->sight.rid && a->head == b->head &&
	    a->sight.mid == b->sight.mid;
}

/* The layers of each picture, in the order of their places. */
void
mdd_survey_pictures(struct mdd_room *room)
{
	struct mdd_source *a, *b;
	unsigned i, k, n;

	room->pictures = false;
	for (i = 0; i < room->nsrc; i++) {
		a = &room->src[i];
		a->picture = 0;
		a->layer = 0;
		if (a->legs == 0 || !a->sight.rid)
			continue;
		for (k = n = 0; k < room->nsrc; k++) {
			b = &room->src[k];
			if (!same_picture(a, b))
				continue;
			if (n++ == 0)
				a->picture = (uint16_t)(k + 1);
			a->layer = (uint8_t)(a->layer + (b->place < a->place));
		}
		if (n < 2)
			a->picture = 0;
		room->pictures |= n > 1;
	}
}

void
mdd_survey_rates(struct mdd_room *room, int64_t now_ms)
{
	int64_t ms = now_ms - room->share_ms;
	struct mdd_source *s;
	unsigned i;

	if (ms < MDD_SHARE_MS)
		return;
	room->share_ms = now_ms;
	for (i = 0; i < room->nsrc; i++) {
		s = &room->src[i];
		s->bps = ms > 2 * MDD_SHARE_MS
		    ? 0
		    : s->octets * 8 * 1000 / (uint64_t)ms;
		if (s->sends != (s->octets > 0)) {
			s->sends = s->octets > 0;
			room->gen += s->picture != 0;
		}
		s->octets = 0;
	}
	if (room->rated)
		room->gen++;
}
