/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What keeping packets for NACKs costs for each packet forwarded: the opened
 * packet once and a line per receiver (mdd/rtx.h), beside a copy of what each
 * receiver got, in a ring of as many packets for each.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mdd/rtx.h"

#define LINES 1024
#define ROUND 200000

static double
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* 3,000 packets a second come in. */
static double
once(const uint8_t *p, size_t n, unsigned legs)
{
	struct mdd_sent *lines = calloc((size_t)legs * LINES, sizeof(*lines));
	struct mdd_ledger *l = calloc(legs, sizeof(*l));
	struct mdd_rtx *r = NULL;
	unsigned i, k, rounds = ROUND / legs;
	uint32_t number;
	double t;

	if (lines == NULL || l == NULL || mdd_rtx_new(&r, 32u << 20) != 0)
		exit(1);
	for (k = 0; k < legs; k++)
		mdd_ledger_init(&l[k], lines + (size_t)k * LINES, LINES);
	t = now_ns();
	for (i = 0; i < rounds; i++) {
		number = mdd_rtx_put(r, p, n, p, 1, i / 3);
		for (k = 0; k < legs; k++)
			mdd_ledger_note(&l[k], p, n, number, 0, 1, i / 3);
	}
	t = (now_ns() - t) / rounds / legs;
	mdd_rtx_free(r);
	free(lines);
	free(l);
	return t;
}

static double
copies(const uint8_t *p, size_t n, unsigned legs)
{
	uint8_t *ring = malloc((size_t)legs * LINES * 1536);
	unsigned i, k, rounds = ROUND / legs;
	double t;

	if (ring == NULL)
		exit(1);
	memset(ring, 1, (size_t)legs * LINES * 1536);
	t = now_ns();
	for (i = 0; i < rounds; i++)
		for (k = 0; k < legs; k++)
			memcpy(ring + ((size_t)k * LINES + i % LINES) * 1536, p,
			    n);
	t = (now_ns() - t) / rounds / legs;
	free(ring);
	return t;
}

int
main(void)
{
	static const unsigned legs[] = { 1, 10, 50, 100 };
	static const size_t size[] = { 160, 1200 };
	static uint8_t p[1536];
	unsigned i, j;

	printf("octets receivers  once+lines ns  copies ns\n");
	for (i = 0; i < 2; i++)
		for (j = 0; j < 4; j++)
			printf("%6zu %9u  %13.1f  %9.1f\n", size[i], legs[j],
			    once(p, size[i], legs[j]),
			    copies(p, size[i], legs[j]));
	return 0;
}
