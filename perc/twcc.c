/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Times are sent as differences of 250 us in one octet or two; what does not
 * fit into two begins another message. We write status vectors with two bits
 * a packet only: seven packets a chunk, whatever the pattern; run lengths are
 * read, as others write them.
 */
#include "perc/twcc.h"

#include <string.h>

#define TICK_US	  250
#define REF_US	  64000 /* of the reference time */
#define VECTOR	  7	/* packets of a chunk that we write */
#define HEAD	  16	/* octets from the sender's SSRC to the chunks */
#define MSG_LEAST (4 + HEAD)

enum { GONE = 0, SMALL = 1, LARGE = 2 };

void
perc_twcc_seen(struct perc_twcc_log *l, uint16_t tseq, int64_t now_us)
{
	int16_t ahead = (int16_t)(uint16_t)(tseq - l->end);

	if (!l->started || ahead >= PERC_TWCC_LOG || ahead < -PERC_TWCC_LOG) {
		memset(l->at_us, 0, sizeof(l->at_us));
		l->next = l->end = tseq;
		l->started = true;
		ahead = 0;
	}
	if (ahead < 0) { /* late: told only if it was not told as lost */
		if ((int16_t)(uint16_t)(tseq - l->next) < 0)
			return;
		l->at_us[tseq % PERC_TWCC_LOG] = now_us;
		return;
	}
	for (; l->end != tseq; l->end++)
		l->at_us[l->end % PERC_TWCC_LOG] = 0;
	l->at_us[tseq % PERC_TWCC_LOG] = now_us;
	l->end = (uint16_t)(tseq + 1);
	if ((uint16_t)(l->end - l->next) > PERC_TWCC_LOG)
		l->next = (uint16_t)(l->end - PERC_TWCC_LOG);
}

unsigned
perc_twcc_pending(const struct perc_twcc_log *l)
{
	return l->started ? (uint16_t)(l->end - l->next) : 0;
}

/* How packet i is told, at being the time told last; moves it on. */
static int
symbol_of(const struct perc_twcc_log *l, uint16_t tseq, int64_t *ticks,
    int64_t *delta)
{
	int64_t us = l->at_us[tseq % PERC_TWCC_LOG];

	if (us == 0)
		return GONE;
	*delta = us / TICK_US - *ticks;
	*ticks += *delta;
	return *delta >= 0 && *delta <= 255 ? SMALL : LARGE;
}

/* The first that came, whose time is the reference; n packets of ours, cut
 * where a difference does not fit. */
static uint16_t
span(const struct perc_twcc_log *l, int64_t ticks)
{
	uint16_t n = (uint16_t)(l->end - l->next), i;
	int64_t delta;

	if (n > PERC_TWCC_MAX)
		n = PERC_TWCC_MAX;
	for (i = 0; i < n; i++)
		if (symbol_of(l, (uint16_t)(l->next + i), &ticks, &delta) ==
			LARGE &&
		    (delta > INT16_MAX || delta < INT16_MIN))
			break;
	return i;
}

static void
chunks_put(const struct perc_twcc_log *l, struct perc_wire *w, uint16_t n,
    int64_t ticks)
{
	uint16_t chunk = 0;
	int64_t delta;
	unsigned i;

	for (i = 0; i < n || i % VECTOR != 0; i++) {
		if (i % VECTOR == 0)
			chunk = 0xc000; /* a vector of two bits each */
		if (i < n)
			chunk |=
			    (uint16_t)(symbol_of(l, (uint16_t)(l->next + i),
					   &ticks, &delta)
				<< (12 - 2 * (i % VECTOR)));
		if (i % VECTOR == VECTOR - 1)
			perc_wire_put_u16(w, chunk);
	}
}

static void
deltas_put(const struct perc_twcc_log *l, struct perc_wire *w, uint16_t n,
    int64_t ticks)
{
	int64_t delta;
	uint16_t i;
	int s;

	for (i = 0; i < n; i++) {
		s = symbol_of(l, (uint16_t)(l->next + i), &ticks, &delta);
		if (s == SMALL)
			perc_wire_put_u8(w, (uint8_t)delta);
		else if (s == LARGE)
			perc_wire_put_u16(w, (uint16_t)delta);
	}
}

bool
perc_twcc_put(struct perc_twcc_log *l, struct perc_wire *w, uint32_t sender,
    uint32_t media)
{
	int64_t ref;
	uint16_t n;
	size_t at;

	/* Lost ones in front are told with the first that came. */
	for (n = l->next; n != l->end && l->at_us[n % PERC_TWCC_LOG] == 0; n++)
		;
	if (!perc_twcc_pending(l) || n == l->end)
		return false;
	ref = l->at_us[n % PERC_TWCC_LOG] / REF_US;
	n = span(l, ref * (REF_US / TICK_US));
	if (n == 0 || perc_wire_left(w) < 20 + 3 * (size_t)n)
		return false;
	at = perc_rtcp_open(w, PERC_RTCP_TWCC, PERC_RTCP_RTPFB);
	perc_wire_put_u32(w, sender);
	perc_wire_put_u32(w, media);
	perc_wire_put_u16(w, l->next);
	perc_wire_put_u16(w, n);
	perc_wire_put_u24(w, (uint32_t)ref & 0xffffff);
	perc_wire_put_u8(w, l->count++);
	chunks_put(l, w, n, ref * (REF_US / TICK_US));
	deltas_put(l, w, n, ref * (REF_US / TICK_US));
	perc_rtcp_close(w, at);
	l->next = (uint16_t)(l->next + n);
	return w->err == 0;
}

/* ---- reading --------------------------------------------------------------
 */

/* The symbols of one chunk, at most n; how many. */
static unsigned
chunk_get(uint16_t c, unsigned n, uint8_t *sym)
{
	unsigned i, len, wide = (c & 0x4000) != 0 ? 2 : 1;

	if ((c & 0x8000) == 0) { /* run length */
		len = c & 0x1fff;
		for (i = 0; i < len && i < n; i++)
			sym[i] = (uint8_t)(c >> 13 & 3);
		return i;
	}
	len = 14 / wide;
	for (i = 0; i < len && i < n; i++)
		sym[i] =
		    (uint8_t)(c >> (14 - wide * (i + 1)) & (wide == 2 ? 3 : 1));
	return i;
}

static bool
deltas_get(struct perc_wire *in, const uint8_t *sym, unsigned n, int64_t at_us,
    uint16_t base, struct perc_twcc_item *out)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (sym[i] == SMALL)
			at_us += (int64_t)perc_wire_get_u8(in) * TICK_US;
		else if (sym[i] == LARGE)
			at_us +=
			    (int64_t)(int16_t)perc_wire_get_u16(in) * TICK_US;
		out[i].tseq = (uint16_t)(base + i);
		out[i].came = sym[i] == SMALL || sym[i] == LARGE;
		out[i].at_us = at_us;
	}
	return in->err == 0;
}

int
perc_twcc_get(const struct perc_rtcp *k, struct perc_twcc_item *out)
{
	uint8_t sym[PERC_TWCC_MAX];
	unsigned n, told, i = 0, got;
	struct perc_wire in;
	uint16_t base, c;
	uint32_t ref;

	if (k->n < MSG_LEAST)
		return -1;
	perc_wire_reader(&in, k->p + 12, k->n - 12);
	base = perc_wire_get_u16(&in);
	told = perc_wire_get_u16(&in);
	ref = perc_wire_get_u24(&in);
	perc_wire_get_u8(&in);
	n = told < PERC_TWCC_MAX ? told : PERC_TWCC_MAX;
	while (i < told) {
		c = perc_wire_get_u16(&in);
		if (in.err != 0)
			return -1;
		got = i < n ? chunk_get(c, n - i, sym + i) : 0;
		/* What is left out has a chunk to be skipped all the same. */
		if (got == 0 && ((c & 0x8000) == 0 && (c & 0x1fff) == 0))
			return -1;
		i += (c & 0x8000) == 0	? (unsigned)(c & 0x1fff)
		    : (c & 0x4000) != 0 ? 7u
					: 14u;
	}
	return deltas_get(&in, sym, n, (int64_t)ref * REF_US, base, out)
	    ? (int)n
	    : -1;
}
