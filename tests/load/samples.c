/* SPDX-License-Identifier: Apache-2.0 */
/* A clock, and samples with their quantiles. */
#include "tests/load/load.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

int64_t
load_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void
load_sample(struct load_samples *s, double v)
{
	size_t cap = s->cap == 0 ? 256 : s->cap * 2;

	if (s->n == s->cap) {
		if ((s->v = realloc(s->v, cap * sizeof(*s->v))) == NULL)
			exit(1);
		s->cap = cap;
	}
	s->v[s->n++] = v;
}

static int
smaller(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* The smallest value that at least q of all do not exceed. */
double
load_quantile(struct load_samples *s, double q)
{
	size_t i;

	if (s->n == 0)
		return 0;
	qsort(s->v, s->n, sizeof(*s->v), smaller);
	i = (size_t)ceil(q * (double)s->n);
	return s->v[i > 0 ? i - 1 : 0];
}
