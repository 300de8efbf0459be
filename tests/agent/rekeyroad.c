/* SPDX-License-Identifier: Apache-2.0 */
/* The heap of rekeyroad.h: hundreds of packets are under way at a time. */
#include <stdlib.h>
#include <string.h>

#include "rekeyroad.h"

static bool
before(const struct flight *a, const struct flight *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->seq < b->seq;
}

static void
swap(struct road *r, unsigned a, unsigned b)
{
	struct flight *t = r->f[a];

	r->f[a] = r->f[b];
	r->f[b] = t;
}

struct flight *
road_add(struct road *r, int64_t at_ms, unsigned to, const void *p, size_t n)
{
	struct flight *f = calloc(1, sizeof(*f));
	unsigned i = r->nf++;

	assert_true(r->nf < FLIGHTS);
	f->at_ms = at_ms;
	f->to = to;
	f->seq = r->order++;
	f->len = n;
	if (n > 0) {
		f->p = malloc(n);
		memcpy(f->p, p, n);
	}
	for (r->f[i] = f; i > 0 && before(f, r->f[(i - 1) / 2]);
	     i = (i - 1) / 2)
		swap(r, i, (i - 1) / 2);
	return f;
}

struct flight *
road_next(struct road *r, int64_t now)
{
	struct flight *f = r->f[0];
	unsigned i = 0, least;

	if (r->nf == 0 || f->at_ms > now)
		return NULL;
	r->f[0] = r->f[--r->nf];
	for (;;) {
		least = 2 * i + 1;
		if (least >= r->nf)
			return f;
		if (least + 1 < r->nf && before(r->f[least + 1], r->f[least]))
			least++;
		if (!before(r->f[least], r->f[i]))
			return f;
		swap(r, i, least);
		i = least;
	}
}

void
flight_free(struct flight *f)
{
	free(f->p);
	free(f);
}

void
road_clear(struct road *r)
{
	while (r->nf > 0)
		flight_free(r->f[--r->nf]);
}
