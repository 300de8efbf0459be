/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One ring of octets and one of entries. Every receiver gets other octets, but
 * all of them are made of one opened packet, so one copy of that serves a
 * conference of any size; a copy of each datagram sent would cost as many times
 * more memory, and cache, as there are receivers (docs/PERFORMANCE.md).
 *
 * The ring turns round early once its beginning is older than anybody asks
 * for: a quiet worker then uses the same few pages again and again and leaves
 * the processor's cache to the packets.
 */
#include "mdd/rtx.h"

#include <stdlib.h>
#include <string.h>

#define RTX_ALIGN      64
#define RTX_PER_ENTRY  256 /* octets of room that make one entry */
#define RTX_ENTRIES_LO 64

struct entry {
	int64_t at_ms;
	size_t pos;
	uint16_t n, taillen;
};

struct mdd_rtx {
	uint8_t *buf;
	struct entry *entry;
	size_t room, pos;	    /* pos: where the next one goes */
	uint32_t mask, first, next; /* numbers: [first, next) are there */
};

int
mdd_rtx_new(struct mdd_rtx **rp, size_t room)
{
	struct mdd_rtx *r;
	size_t entries = RTX_ENTRIES_LO;

	*rp = NULL;
	if (room == 0)
		return 0;
	if ((r = calloc(1, sizeof(*r))) == NULL)
		return PERC_ERR_NOMEM;
	while (entries < room / RTX_PER_ENTRY)
		entries *= 2;
	r->mask = (uint32_t)entries - 1;
	r->first = r->next = 1;
	r->room = room;
	r->entry = calloc(entries, sizeof(*r->entry));
	r->buf = calloc(1, room);
	if (r->entry == NULL || r->buf == NULL) {
		mdd_rtx_free(r);
		return PERC_ERR_NOMEM;
	}
	*rp = r;
	return 0;
}

void
mdd_rtx_free(struct mdd_rtx *r)
{
	if (r == NULL)
		return;
	free(r->entry);
	free(r->buf);
	free(r);
}

static struct entry *
oldest(const struct mdd_rtx *r)
{
	return &r->entry[r->first & r->mask];
}

static bool
is_empty(const struct mdd_rtx *r)
{
	return r->first == r->next;
}

static void
age_out(struct mdd_rtx *r, int64_t now_ms)
{
	while (!is_empty(r) && now_ms - oldest(r)->at_ms > MDD_RTX_AGE_MS)
		r->first++;
	if (is_empty(r))
		r->pos = 0;
}

/* Room for `need` octets at r->pos, at the price of the oldest. */
static void
room_make(struct mdd_rtx *r, size_t need)
{
	size_t from = is_empty(r) ? 0 : oldest(r)->pos;

	/* Round at the end, or early, when what lies before the oldest is
	 * twice as long as all that is kept: a second, at this rate, is over
	 * before the new round meets the old one. */
	if (r->pos + need > r->room ||
	    (from < r->pos && from >= need && from >= 2 * (r->pos - from))) {
		while (!is_empty(r) && oldest(r)->pos >= r->pos)
			r->first++; /* of the round before */
		r->pos = 0;
	}
	while (!is_empty(r) &&
	    (r->next - r->first > r->mask ||
		(oldest(r)->pos >= r->pos && oldest(r)->pos < r->pos + need)))
		r->first++;
}

uint32_t
mdd_rtx_put(struct mdd_rtx *r, const uint8_t *p, size_t n, const uint8_t *tail,
    size_t taillen, int64_t now_ms)
{
	size_t need = (n + taillen + RTX_ALIGN - 1) & ~(size_t)(RTX_ALIGN - 1);
	struct entry *e;

	if (r == NULL || need > r->room || n > UINT16_MAX ||
	    taillen > UINT16_MAX)
		return 0;
	age_out(r, now_ms);
	room_make(r, need);
	if (r->next == 0) { /* the number that none has */
		r->first = r->next = 1;
		r->pos = 0;
	}
	e = &r->entry[r->next & r->mask];
	*e = (struct entry){ .at_ms = now_ms,
		.pos = r->pos,
		.n = (uint16_t)n,
		.taillen = (uint16_t)taillen };
	memcpy(r->buf + r->pos, p, n);
	memcpy(r->buf + r->pos + n, tail, taillen);
	r->pos += need;
	return r->next++;
}

bool
mdd_rtx_get(const struct mdd_rtx *r, uint32_t number, int64_t now_ms,
    struct mdd_kept *k)
{
	const struct entry *e;

	if (r == NULL || number - r->first >= r->next - r->first)
		return false;
	e = &r->entry[number & r->mask];
	if (now_ms - e->at_ms > MDD_RTX_AGE_MS)
		return false;
	k->p = r->buf + e->pos;
	k->n = e->n;
	k->tail = k->p + e->n;
	k->taillen = e->taillen;
	k->at_ms = e->at_ms;
	return true;
}

size_t
mdd_rtx_held(const struct mdd_rtx *r)
{
	size_t from;

	if (r == NULL || is_empty(r))
		return 0;
	from = oldest(r)->pos;
	return from < r->pos ? r->pos - from : r->room - from + r->pos;
}

/* ---- ledgers ------------------------------------------------------------ */

void
mdd_ledger_init(struct mdd_ledger *l, struct mdd_sent *line, uint32_t lines)
{
	memset(l, 0, sizeof(*l));
	l->line = lines == 0 ? NULL : line;
	l->lines = lines;
	l->credit = MDD_LEDGER_BURST * MDD_LEDGER_CREDIT;
}

void
mdd_ledger_note(struct mdd_ledger *l, const uint8_t *out, size_t n,
    uint32_t number, uint16_t tseq, uint8_t keys, int64_t now_ms)
{
	struct mdd_sent *s;

	if (l->line == NULL || number == 0 || n < 12 + PERC_SRTP_TAG_LEN)
		return;
	s = &l->line[l->n++ & (l->lines - 1)];
	s->seq = (uint16_t)(out[2] << 8 | out[3]);
	s->ssrc = (uint32_t)out[8] << 24 | (uint32_t)out[9] << 16 |
	    (uint32_t)out[10] << 8 | out[11];
	s->number = number;
	s->tseq = tseq;
	s->at = (uint16_t)now_ms;
	s->tries = 0;
	s->keys = keys;
	memcpy(s->tag, out + n - PERC_SRTP_TAG_LEN, PERC_SRTP_TAG_LEN);
	if (l->credit < MDD_LEDGER_BURST * MDD_LEDGER_CREDIT)
		l->credit++;
}

uint32_t
mdd_ledger_first(const struct mdd_ledger *l)
{
	return l->n > l->lines ? l->n - l->lines : 0;
}

struct mdd_sent *
mdd_ledger_at(const struct mdd_ledger *l, uint32_t i)
{
	return &l->line[i & (l->lines - 1)];
}

bool
mdd_ledger_take(struct mdd_ledger *l, struct mdd_sent *s, int64_t now_ms)
{
	if (s->tries >= MDD_RTX_TRIES || l->credit < MDD_LEDGER_CREDIT ||
	    (s->tries > 0 && (uint16_t)(now_ms - s->at) < MDD_RTX_WAIT_MS))
		return false;
	l->credit -= MDD_LEDGER_CREDIT;
	s->tries++;
	s->at = (uint16_t)now_ms;
	return true;
}
