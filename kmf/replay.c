/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Open addressing, a table for each stretch of time: a proof's end is part of
 * what was signed, so the same proof always comes to the same table, and a
 * table whose time is over goes as a whole. Whoever signs proofs can choose
 * their hashes, so the place is found by a secret factor.
 */
#include "kmf/replay.h"

#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"
#include "perc/crypto.h"

#define FIRST_PLACES 256

void
kmf_replay_init(struct kmf_replay *r)
{
	memset(r, 0, sizeof(*r));
	perc_random(&r->mix, sizeof(r->mix));
	r->mix |= 1;
}

static void
slice_clear(struct kmf_replay *r, struct kmf_replay_slice *s)
{
	r->places -= s->cap;
	free(s->seen);
	*s = (struct kmf_replay_slice){ 0 };
}

void
kmf_replay_clear(struct kmf_replay *r)
{
	for (size_t i = 0; i < KMF_REPLAY_SLICES; i++)
		slice_clear(r, &r->slice[i]);
}

void
kmf_replay_forget(struct kmf_replay *r, int64_t now_s)
{
	for (size_t i = 0; i < KMF_REPLAY_SLICES; i++)
		if (r->slice[i].no < now_s / KMF_REPLAY_SLICE_S)
			slice_clear(r, &r->slice[i]);
}

/* Where hash is, or the empty place where it would be. */
static uint8_t *
place(const struct kmf_replay *r, const struct kmf_replay_slice *s,
    const uint8_t *hash)
{
	static const uint8_t none[KMF_REPLAY_HASH_LEN];
	uint64_t h;
	size_t i;

	memcpy(&h, hash, sizeof(h));
	i = (size_t)((h * r->mix) >> 32) & (s->cap - 1);
	while (memcmp(s->seen[i], none, sizeof(none)) != 0 &&
	    memcmp(s->seen[i], hash, sizeof(none)) != 0)
		i = (i + 1) & (s->cap - 1);
	return s->seen[i];
}

/* At most three quarters are taken; cap is a power of two. */
static int
slice_room(struct kmf_replay *r, struct kmf_replay_slice *s)
{
	static const uint8_t none[KMF_REPLAY_HASH_LEN];
	struct kmf_replay_slice more = *s;

	if (s->n < s->cap / 4 * 3)
		return 0;
	more.cap = s->cap == 0 ? FIRST_PLACES : 2 * s->cap;
	if (r->places - s->cap + more.cap > KMF_REPLAY_MAX ||
	    (more.seen = calloc(more.cap, sizeof(*more.seen))) == NULL)
		return PERC_ERR_LIMIT;
	for (size_t i = 0; i < s->cap; i++)
		if (memcmp(s->seen[i], none, sizeof(none)) != 0)
			memcpy(place(r, &more, s->seen[i]), s->seen[i],
			    sizeof(none));
	r->places += more.cap - s->cap;
	free(s->seen);
	*s = more;
	return 0;
}

/* The table of that time; NULL: too far away, or its place is not free. */
static struct kmf_replay_slice *
slice_get(struct kmf_replay *r, int64_t until_s, int64_t now_s)
{
	int64_t now = now_s / KMF_REPLAY_SLICE_S;
	int64_t no = until_s / KMF_REPLAY_SLICE_S;
	struct kmf_replay_slice *s;

	if (no < now || no - now >= KMF_REPLAY_SLICES || now < 0)
		return NULL;
	s = &r->slice[no % KMF_REPLAY_SLICES];
	if (s->no < now)
		slice_clear(r, s);
	if (s->cap == 0)
		s->no = no;
	return s->no == no ? s : NULL;
}

int
kmf_replay_add(
    struct kmf_replay *r, const char *hash, int64_t until_s, int64_t now_s)
{
	struct kmf_replay_slice *s = slice_get(r, until_s, now_s);
	uint8_t raw[PERC_SHA256_LEN], *p;

	if (s == NULL || perc_b64_get_exact(raw, sizeof(raw), hash) != 0)
		return PERC_ERR_LIMIT;
	raw[0] |= 1; /* never all zeros */
	if (s->cap != 0 &&
	    memcmp(place(r, s, raw), raw, KMF_REPLAY_HASH_LEN) == 0)
		return PERC_ERR_EXISTS;
	if (slice_room(r, s) != 0)
		return PERC_ERR_LIMIT;
	p = place(r, s, raw);
	memcpy(p, raw, KMF_REPLAY_HASH_LEN);
	s->n++;
	return 0;
}
