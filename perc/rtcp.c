/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RTCP's few shapes. A compound comes from an authenticated peer, which is not
 * to say an honest one: nothing is read that the packet's own length does not
 * cover, and a length that lies ends the compound there.
 */
#include "perc/rtcp.h"

#include <string.h>

#define HEAD_LEN   4
#define SR_LEN	   28 /* head, SSRC and sender info */
#define RR_LEN	   8
#define NACK_REACH 16 /* SEQs behind PID that BLP can name */

bool
perc_rtcp_next(struct perc_rtcp *k, const uint8_t *p, size_t left)
{
	struct perc_wire w;
	uint8_t first;

	if (left < HEAD_LEN)
		return false;
	perc_wire_reader(&w, p, left);
	first = perc_wire_get_u8(&w);
	k->type = perc_wire_get_u8(&w);
	k->n = 4 * ((size_t)perc_wire_get_u16(&w) + 1);
	if (first >> 6 != 2 || k->n > left)
		return false;
	k->count = first & 31;
	k->p = p;
	k->ssrc = k->n >= RR_LEN ? perc_wire_get_u32(&w) : 0;
	return true;
}

size_t
perc_rtcp_open(struct perc_wire *w, uint8_t count, uint8_t type)
{
	size_t at = w->pos;

	perc_wire_put_u8(w, 0x80 | (count & 31));
	perc_wire_put_u8(w, type);
	perc_wire_put_u16(w, 0);
	return at;
}

void
perc_rtcp_close(struct perc_wire *w, size_t at)
{
	size_t words;

	while (w->err == 0 && (w->pos - at) % 4 != 0)
		perc_wire_put_u8(w, 0);
	if (w->err != 0)
		return;
	words = (w->pos - at) / 4 - 1;
	w->out[at + 2] = (uint8_t)(words >> 8);
	w->out[at + 3] = (uint8_t)words;
}

void
perc_rtcp_block_put(struct perc_wire *w, const struct perc_rtcp_block *b)
{
	perc_wire_put_u32(w, b->ssrc);
	perc_wire_put_u8(w, b->fraction);
	perc_wire_put_u24(w, (uint32_t)b->lost & 0xffffff);
	perc_wire_put_u32(w, b->top);
	perc_wire_put_u32(w, b->jitter);
	perc_wire_put_u32(w, b->lsr);
	perc_wire_put_u32(w, b->dlsr);
}

void
perc_rtcp_block_get(struct perc_rtcp_block *b, struct perc_wire *w)
{
	uint32_t lost;

	b->ssrc = perc_wire_get_u32(w);
	b->fraction = perc_wire_get_u8(w);
	lost = perc_wire_get_u24(w);
	b->lost = (int32_t)(lost & 0x800000 ? lost | 0xff000000 : lost);
	b->top = perc_wire_get_u32(w);
	b->jitter = perc_wire_get_u32(w);
	b->lsr = perc_wire_get_u32(w);
	b->dlsr = perc_wire_get_u32(w);
}

const uint8_t *
perc_rtcp_blocks(const struct perc_rtcp *k, unsigned *n)
{
	size_t head = k->type == PERC_RTCP_SR ? SR_LEN : RR_LEN;

	if ((k->type != PERC_RTCP_SR && k->type != PERC_RTCP_RR) ||
	    k->n < head + (size_t)k->count * PERC_RTCP_BLOCK_LEN)
		return NULL;
	*n = k->count;
	return k->p + head;
}

bool
perc_rtcp_sr_get(struct perc_rtcp_sr *s, const struct perc_rtcp *k)
{
	struct perc_wire w;

	if (k->type != PERC_RTCP_SR || k->n < SR_LEN)
		return false;
	perc_wire_reader(&w, k->p + 8, SR_LEN - 8);
	s->ntp = perc_wire_get_u64(&w);
	s->rtp = perc_wire_get_u32(&w);
	s->packets = perc_wire_get_u32(&w);
	s->octets = perc_wire_get_u32(&w);
	return true;
}

void
perc_rtcp_sr_put(
    struct perc_wire *w, uint32_t ssrc, const struct perc_rtcp_sr *s)
{
	size_t at = perc_rtcp_open(w, 0, PERC_RTCP_SR);

	perc_wire_put_u32(w, ssrc);
	perc_wire_put_u64(w, s->ntp);
	perc_wire_put_u32(w, s->rtp);
	perc_wire_put_u32(w, s->packets);
	perc_wire_put_u32(w, s->octets);
	perc_rtcp_close(w, at);
}

void
perc_rtcp_nack_put(struct perc_wire *w, uint32_t sender, uint32_t media,
    const uint16_t *seq, unsigned n)
{
	size_t at = perc_rtcp_open(w, PERC_RTCP_NACK, PERC_RTCP_RTPFB);
	unsigned i = 0;
	uint16_t pid, blp, off;

	perc_wire_put_u32(w, sender);
	perc_wire_put_u32(w, media);
	while (i < n) {
		pid = seq[i++];
		for (blp = 0; i < n; i++) {
			off = (uint16_t)(seq[i] - pid);
			if (off < 1 || off > NACK_REACH)
				break;
			blp |= (uint16_t)(1u << (off - 1));
		}
		perc_wire_put_u16(w, pid);
		perc_wire_put_u16(w, blp);
	}
	perc_rtcp_close(w, at);
}

uint32_t
perc_rtcp_from_ms(int64_t ms)
{
	return ms <= 0 ? 0 : (uint32_t)((uint64_t)ms * 65536 / 1000);
}

int64_t
perc_rtcp_to_ms(uint32_t units)
{
	return (int64_t)((uint64_t)units * 1000 / 65536);
}
