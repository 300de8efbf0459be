/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A member who goes and comes back must not find an empty replay window: the
 * old packets of its SSRC would be fresh again. So streams outlive their
 * place on the roster, without keys, until others need the room.
 */
#include "perc/double_table.h"

#include <stdlib.h>
#include <string.h>

int
rx_table_init(struct rx_table *t, unsigned max_ssrcs, unsigned window)
{
	size_t slots = 4;

	memset(t, 0, sizeof(*t));
	if (max_ssrcs < 1 || max_ssrcs > RX_SSRCS_MAX ||
	    perc_replay_words(window) == 0)
		return PERC_ERR_INVAL;
	while (slots < 4 * (size_t)max_ssrcs)
		slots *= 2;
	t->max_ssrcs = max_ssrcs;
	t->window = window;
	t->mask = (uint32_t)slots - 1;
	t->stream = calloc(2 * (size_t)max_ssrcs, sizeof(*t->stream));
	t->index = calloc(slots, sizeof(*t->index));
	if (t->stream != NULL && t->index != NULL)
		return 0;
	rx_table_clear(t);
	return PERC_ERR_NOMEM;
}

void
rx_table_clear(struct rx_table *t)
{
	while (t->n > 0)
		rx_stream_free(t->stream[--t->n]);
	free(t->stream);
	free(t->index);
	memset(t, 0, sizeof(*t));
}

/* Where ssrc stands in the index, or the empty place where it would. */
static uint16_t *
index_slot(const struct rx_table *t, uint32_t ssrc)
{
	uint32_t i = ssrc * 2654435761u; /* SSRCs may come in runs */

	for (i ^= i >> 16;; i++) {
		uint16_t *p = &t->index[i & t->mask];

		if (*p == 0 || t->stream[*p - 1]->ssrc == ssrc)
			return p;
	}
}

struct rx_stream *
rx_table_find(const struct rx_table *t, uint32_t ssrc)
{
	uint16_t i = *index_slot(t, ssrc);

	return i == 0 ? NULL : t->stream[i - 1];
}

/* Put s in the place of the stream that went first. There always is one: at
 * most half of the places are listed. */
static void
stream_replace(struct rx_table *t, struct rx_stream *s)
{
	unsigned i, oldest = t->n;

	for (i = 0; i < t->n; i++) {
		if (t->stream[i]->listed)
			continue;
		if (oldest == t->n ||
		    t->stream[i]->unlisted_at < t->stream[oldest]->unlisted_at)
			oldest = i;
	}
	rx_stream_free(t->stream[oldest]);
	t->stream[oldest] = s;
	memset(t->index, 0, ((size_t)t->mask + 1) * sizeof(*t->index));
	for (i = 0; i < t->n; i++)
		*index_slot(t, t->stream[i]->ssrc) = (uint16_t)(i + 1);
}

static int
stream_add(struct rx_table *t, uint32_t ssrc)
{
	struct rx_stream *s;
	uint16_t *slot;
	int r;

	if ((r = rx_stream_new(&s, ssrc, t->window)) != 0)
		return r;
	s->listed = true;
	if (t->n == 2 * t->max_ssrcs) {
		stream_replace(t, s);
		return 0;
	}
	slot = index_slot(t, ssrc);
	t->stream[t->n++] = s;
	*slot = (uint16_t)t->n;
	return 0;
}

int
rx_table_list(struct rx_table *t, const uint32_t *ssrcs, size_t n)
{
	struct rx_stream *s;
	unsigned j;
	size_t i;
	int r = 0;

	if (n > t->max_ssrcs)
		return PERC_ERR_LIMIT;
	for (j = 0; j < t->n; j++)
		t->stream[j]->listed = false;
	for (i = 0; i < n; i++)
		if ((s = rx_table_find(t, ssrcs[i])) != NULL)
			s->listed = true;
	for (j = 0; j < t->n; j++) {
		s = t->stream[j];
		if (s->listed) {
			s->unlisted_at = 0;
		} else if (s->unlisted_at == 0) {
			s->unlisted_at = ++t->clock;
			rx_stream_wipe(s);
			/* who comes back counts from 0 again; hashes and
			 * window still refuse what was there before */
			s->epochs.n = 0;
		}
	}
	for (i = 0; i < n && r == 0; i++)
		if (rx_table_find(t, ssrcs[i]) == NULL)
			r = stream_add(t, ssrcs[i]);
	return r;
}
