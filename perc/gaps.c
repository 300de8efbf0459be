/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A short sorted list instead of a bitmap: almost always it is empty, and a
 * packet in order costs one comparison. A jump that the list cannot hold is no
 * loss to be mended but a stream that began anew or was away: it is forgotten
 * whole, for asking for hundreds of packets makes a full road fuller.
 */
#include "perc/gaps.h"

#include <string.h>

#define AGAIN_MIN_MS 20

static int16_t
ahead(uint16_t a, uint16_t b)
{
	return (int16_t)(uint16_t)(a - b);
}

/* Its place, or where it would be. */
static unsigned
gap_find(const struct perc_gaps *g, uint16_t seq)
{
	unsigned i;

	for (i = 0; i < g->n && ahead(seq, g->gap[i].seq) > 0; i++)
		;
	return i;
}

static void
gap_del(struct perc_gaps *g, unsigned i)
{
	g->n--;
	memmove(&g->gap[i], &g->gap[i + 1], (g->n - i) * sizeof(g->gap[0]));
}

static void
gap_add(struct perc_gaps *g, uint16_t seq, int64_t now_ms, int64_t wait_ms)
{
	unsigned i;

	if (g->n == PERC_GAPS_MAX) {
		gap_del(g, 0);
		g->given_up++;
	}
	i = gap_find(g, seq);
	memmove(&g->gap[i + 1], &g->gap[i], (g->n - i) * sizeof(g->gap[0]));
	g->gap[i] = (struct perc_gap){
		.seq = seq, .since_ms = now_ms, .due_ms = now_ms + wait_ms
	};
	g->n++;
	g->missed++;
}

void
perc_gaps_packet(struct perc_gaps *g, uint16_t seq, int64_t now_ms)
{
	int16_t d = ahead(seq, g->top);
	unsigned i;

	if (d == 1 && g->started) { /* as almost always */
		g->top = seq;
		return;
	}
	if (!g->started || d > PERC_GAPS_MAX || d < -INT16_MAX / 2) {
		if (g->started)
			g->given_up += g->n;
		g->n = 0;
		g->started = true;
		g->top = seq;
		return;
	}
	if (d <= 0) {
		i = gap_find(g, seq);
		if (i < g->n && g->gap[i].seq == seq) {
			gap_del(g, i);
			g->mended++;
		}
		return;
	}
	for (; d > 1; d--)
		gap_add(g, (uint16_t)(seq - d + 1), now_ms, PERC_GAPS_WAIT);
	g->top = seq;
}

bool
perc_gaps_want(struct perc_gaps *g, uint16_t seq, int64_t now_ms)
{
	unsigned i = gap_find(g, seq);
	struct perc_gap *m = &g->gap[i];

	if (i < g->n && m->seq == seq) {
		if (m->tries == 0)
			m->due_ms = now_ms;
		return true;
	}
	if (g->started)
		return false;
	if (g->n < PERC_GAPS_MAX)
		gap_add(g, seq, now_ms, 0);
	return true;
}

unsigned
perc_gaps_due(struct perc_gaps *g, int64_t now_ms, int64_t rtt_ms,
    uint16_t *seq, unsigned max)
{
	int64_t again = rtt_ms + rtt_ms / 2;
	unsigned i = 0, n = 0;
	struct perc_gap *m;

	if (again < AGAIN_MIN_MS)
		again = AGAIN_MIN_MS;
	while (i < g->n) {
		m = &g->gap[i];
		if (now_ms - m->since_ms >= PERC_GAPS_AGE ||
		    (m->tries == PERC_GAPS_TRIES && now_ms >= m->due_ms)) {
			gap_del(g, i);
			g->given_up++;
			continue;
		}
		if (now_ms >= m->due_ms && n < max) {
			seq[n++] = m->seq;
			m->tries++;
			m->due_ms = now_ms + again;
		}
		i++;
	}
	return n;
}

int64_t
perc_gaps_next(const struct perc_gaps *g)
{
	int64_t next = INT64_MAX;
	unsigned i;

	for (i = 0; i < g->n; i++)
		if (g->gap[i].due_ms < next)
			next = g->gap[i].due_ms;
	return next;
}
