/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which orders are tried, and in which order: the same ones each time, so that
 * what is found today is found tomorrow. Nearly every fault that a table of
 * states can have shows after one or two wrong messages in the right state; for
 * the others there are long orders that mean well half of the time.
 */
#include "disorder.h"

#include <stdio.h>
#include <string.h>

#include "perc/wire.h"

#define FRAME	 8 /* octets of one message in an order */
#define LONG_MIN 6
#define LONG_MAX 32
#define LONG	 150 /* orders at random */

struct letter {
	uint8_t op, a, b, c;
};

/* Where orders begin: each goes through what stands above it. */
static const struct letter road[] = {
	{ DISORDER_HELLO, 0, 0, 0 },
	{ DISORDER_OPEN, 0, 0, 0 },
	{ DISORDER_KEY, 0, 0, 0 },
	{ DISORDER_ROSTER, 0, 0, 0 },
	{ DISORDER_MEDIA, 0, 0, 0 },
	{ DISORDER_SAY, 0, 0, 0 },
	{ DISORDER_EPOCH, 0, 0, 1 },
	{ DISORDER_TIME, 2, 1, 0 },
	{ DISORDER_OPEN, 1, 0, 0 },
	{ DISORDER_KEY, 1, 0, 0 },
	{ DISORDER_ROSTER, 0, 0, 1 },
	{ DISORDER_LEAVE, 0, 0, 0 },
};
#define ROAD  (sizeof(road) / sizeof(road[0]))
#define PAIRS 7 /* of the road, before every two */

/* The first FIRSTS may change what comes next: of them and all others pairs
 * are made. */
static const struct letter letters[] = {
	{ DISORDER_OPEN, 0, 0, 0 },
	{ DISORDER_KEY, 0, DISORDER_TRUE, 0 },
	{ DISORDER_KEY, 0, DISORDER_TRUE, 1 },
	{ DISORDER_KEY, 0, DISORDER_TRUE, 2 },
	{ DISORDER_KEY, 0, DISORDER_AGAIN, 0 },
	{ DISORDER_KEY, 0, DISORDER_FOREIGN, 2 },
	{ DISORDER_EPOCH, 0, DISORDER_TRUE, 2 },
	{ DISORDER_EPOCH, 0, DISORDER_FOREIGN, 2 },
	{ DISORDER_ROSTER, 0, DISORDER_TRUE, 1 },
	{ DISORDER_ROSTER, 0, DISORDER_TRUE, 2 },
	{ DISORDER_ROSTER, 0, DISORDER_FOREIGN, 2 },
	{ DISORDER_NOTICE, 0, DISORDER_TRUE, 0 },
	{ DISORDER_NOTICE, 0, DISORDER_TRUE, 1 },
	{ DISORDER_LEAVE, 0, 0, 0 },
	{ DISORDER_MEDIA, 0, DISORDER_SEALED, 0 },
	{ DISORDER_MEDIA, 0, DISORDER_SEALED, 1 },
	{ DISORDER_MEDIA, 0, DISORDER_SEALED, 2 },
	{ DISORDER_MEDIA, 0, DISORDER_PLAIN, 0 },
	{ DISORDER_MEDIA, 0, DISORDER_TWICE, 0 },
	{ DISORDER_SAY, 0, 0, 0 },
	{ DISORDER_TIME, 0, 0, 0 },
	{ DISORDER_TIME, 2, 1, 0 },
	{ DISORDER_TIME, 4, 0, 0 },
	{ DISORDER_TIME, 4, 1, 0 },
	{ DISORDER_SLEEP, 0, 0, 0 },
	{ DISORDER_HELLO, 0, 0, 0 },
	{ DISORDER_OPEN, 0, 1, 0 },
	{ DISORDER_KEY, 0, DISORDER_TRUE, 3 },
	{ DISORDER_KEY, 0, DISORDER_OTHER, 2 },
	{ DISORDER_KEY, 0, DISORDER_AUDIENCE, 2 },
	{ DISORDER_KEY, 0, DISORDER_USAGE, 2 },
	{ DISORDER_KEY, 0, DISORDER_OLD, 2 },
	{ DISORDER_EPOCH, 0, DISORDER_TRUE, 0 },
	{ DISORDER_EPOCH, 0, DISORDER_TRUE, 3 },
	{ DISORDER_EPOCH, 0, DISORDER_OTHER, 2 },
	{ DISORDER_EPOCH, 0, DISORDER_AUDIENCE, 2 },
	{ DISORDER_EPOCH, 0, DISORDER_USAGE, 2 },
	{ DISORDER_EPOCH, 0, DISORDER_OLD, 2 },
	{ DISORDER_ROSTER, 0, DISORDER_OTHER, 1 },
	{ DISORDER_NOTICE, 0, DISORDER_AUDIENCE, 1 },
	{ DISORDER_NOTICE, 0, DISORDER_OTHER, 0 },
	{ DISORDER_NOTICE, 0, DISORDER_FOREIGN, 0 },
	{ DISORDER_MEDIA, 0, DISORDER_SEALED_OTHER, 0 },
	{ DISORDER_MEDIA, 0, DISORDER_HOP, 0 },
	{ DISORDER_MEDIA, 0, DISORDER_FALSE, 0 },
	{ DISORDER_RTCP, 0, 0, 0 },
	{ DISORDER_RTCP, 0, 1, 0 },
	{ DISORDER_STATUS, 0, 0, 0 },
	{ DISORDER_PROOF, 0, 0, 0 },
	{ DISORDER_PROOF, 0, 1, 0 },
};
#define LETTERS (sizeof(letters) / sizeof(letters[0]))
#define FIRSTS	25

static void
letter_put(struct disorder_found *f, const struct letter *l)
{
	const uint8_t frame[FRAME] = { 0, 0, FRAME - 3, '@', l->op, l->a, l->b,
		l->c };

	if (f->n + FRAME > sizeof(f->order))
		return;
	memcpy(f->order + f->n, frame, FRAME);
	f->n += FRAME;
}

static void
road_put(struct disorder_found *f, size_t n)
{
	size_t i;

	f->n = 0;
	for (i = 0; i < n; i++)
		letter_put(f, &road[i]);
}

static bool
try(struct disorder_found *f)
{
	f->tried++;
	return (f->why = disorder_run(f->order, f->n)) != NULL;
}

static bool
singles(struct disorder_found *f)
{
	size_t i, k;

	for (i = 0; i <= ROAD; i++)
		for (k = 0; k < LETTERS; k++) {
			road_put(f, i);
			letter_put(f, &letters[k]);
			if (try(f))
				return true;
		}
	return false;
}

static bool
pairs(struct disorder_found *f)
{
	size_t i, k;

	for (i = 0; i < FIRSTS; i++)
		for (k = 0; k < LETTERS; k++) {
			road_put(f, PAIRS);
			letter_put(f, &letters[i]);
			letter_put(f, &letters[k]);
			if (try(f))
				return true;
		}
	return false;
}

/* xorshift: no library's dice, whose numbers may change */
static uint32_t
dice(uint32_t *state, uint32_t n)
{
	*state ^= *state << 13;
	*state ^= *state >> 17;
	*state ^= *state << 5;
	return *state % n;
}

/* Mostly of the conference that is on; the other now and then. */
static struct letter
letter_any(uint32_t *state)
{
	struct letter l = letters[dice(state, LETTERS)];

	if (dice(state, 4) == 0)
		l.a = (uint8_t)dice(state, 5);
	if (dice(state, 4) == 0)
		l.c = (uint8_t)dice(state, 4);
	if (dice(state, 8) == 0)
		l.b = (uint8_t)dice(state, DISORDER_LIES);
	return l;
}

static bool
longs(struct disorder_found *f)
{
	uint32_t state = 20260117;
	struct letter l;
	unsigned i, k, n;

	for (i = 0; i < LONG; i++) {
		road_put(f, 1 + dice(&state, ROAD));
		n = LONG_MIN + dice(&state, LONG_MAX - LONG_MIN);
		for (k = 0; k < n; k++) {
			l = letter_any(&state);
			letter_put(f, &l);
		}
		if (try(f))
			return true;
	}
	return false;
}

/* What can be left out, and it still breaks. */
static void
shorten(struct disorder_found *f)
{
	uint8_t less[DISORDER_MAX];
	const char *why;
	size_t at;

	for (at = 0; at < f->n;) {
		memcpy(less, f->order, at);
		memcpy(less + at, f->order + at + FRAME, f->n - at - FRAME);
		if ((why = disorder_run(less, f->n - FRAME)) == NULL) {
			at += FRAME;
			continue;
		}
		f->why = why;
		f->n -= FRAME;
		memcpy(f->order, less, f->n);
		at = 0;
	}
}

bool
disorder_search(struct disorder_found *f)
{
	memset(f, 0, sizeof(*f));
	if (!singles(f) && !pairs(f) && !longs(f))
		return false;
	shorten(f);
	return true;
}

/* ---- in words ------------------------------------------------------------ */

static const char *const ops[DISORDER_OPS] = { "OPEN", "KEY", "ROSTER",
	"SPOKEN", "HELLO", "EPOCH", "NOTICE", "LEAVE", "MEDIA", "RTCP", "say",
	"time", "STATUS", "PROOF", "sleep" };
static const char *const lies[DISORDER_LIES] = { "", " foreign", " again",
	" of-another-conference", " for-another", " for-another-use", " old" };
static const char *const medias[DISORDER_MEDIAS] = { "",
	" of-another-conference", " plain", " hop-only", " false", " twice" };

void
disorder_print(char *out, size_t cap, const uint8_t *p, size_t n)
{
	const char *more;
	size_t at, len = 0;
	unsigned op;

	*out = '\0';
	for (at = 0; at + FRAME <= n && len < cap; at += FRAME) {
		op = p[at + 4] % DISORDER_OPS;
		more = op == DISORDER_MEDIA
		    ? medias[p[at + 6] % DISORDER_MEDIAS]
		    : op == DISORDER_KEY || op == DISORDER_EPOCH ||
			op == DISORDER_ROSTER || op == DISORDER_NOTICE
		    ? lies[p[at + 6] % DISORDER_LIES]
		    : "";
		len += (size_t)snprintf(out + len, cap - len, "%s%s %u%s %u",
		    at == 0 ? "" : ", ", ops[op], p[at + 5], more, p[at + 7]);
	}
}
