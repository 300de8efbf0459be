/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end-to-end receiver driven by a script, eight octets a step: honest
 * packets and fields of a few keys, sets, Epochs and ROCs, in any mixture, as
 * a hostile path can compose them, with damage, rosters and time. What must
 * hold: no packet is accepted twice, or unless a member sealed exactly it;
 * memory stays bounded.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/double.h"
#include "perc/inner.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define SSRCS 4
#define SETS  3
#define LEN   32 /* octets of a plain packet */
#define TAKEN 4096
#define FIELD PERC_EKT_FIELD_MAX

struct run {
	struct perc_ekt *ekt, *world;
	struct perc_double_rx *rx;
	int64_t now_ms;
	uint64_t index[SSRCS];
	uint64_t taken[TAKEN]; /* indices accepted, with the SSRC on top */
	unsigned ntaken;
};

static struct perc_enckey
set(unsigned spi)
{
	struct perc_enckey k = { .keylen = 16,
		.cipher = PERC_AESKW128,
		.profile = PERC_DOUBLE_128,
		.spi = (uint16_t)(spi + 1) };

	memset(k.key, (int)spi, 16);
	memset(k.salt, (int)spi, sizeof(k.salt));
	return k;
}

static void
run_open(struct run *r)
{
	static const uint32_t ssrcs[SSRCS] = { 0, 1, 2, 3 };
	struct perc_enckey k;
	unsigned i;

	memset(r, 0, sizeof(*r));
	if (perc_ekt_new(&r->ekt) != 0 || perc_ekt_new(&r->world) != 0 ||
	    perc_double_rx_new(&r->rx, r->ekt, SSRCS, 64) != 0 ||
	    perc_double_rx_list(r->rx, ssrcs, SSRCS) != 0)
		abort();
	for (i = 0; i < SETS; i++) {
		k = set(i);
		if (perc_ekt_add(r->world, &k, INT64_MAX) != 0)
			abort();
	}
	k = set(0);
	if (perc_ekt_add(r->ekt, &k, 1000000) != 0)
		abort();
}

static void
run_close(struct run *r)
{
	perc_double_rx_free(r->rx);
	perc_ekt_free(r->ekt);
	perc_ekt_free(r->world);
}

static size_t
plain_make(uint8_t *p, uint32_t ssrc, uint64_t index)
{
	memset(p, 0, LEN);
	p[0] = 0x80;
	p[1] = 96;
	p[2] = (uint8_t)(index >> 8);
	p[3] = (uint8_t)index;
	p[11] = (uint8_t)ssrc;
	memcpy(p + 12, &index, sizeof(index)); /* tells them apart */
	return LEN;
}

static void
accepted(struct run *r, const uint8_t *out, const struct perc_double_in *in)
{
	uint64_t index = (uint64_t)in->roc << 16 | in->seq, id;
	uint8_t want[LEN];
	unsigned i;

	if (in->len != plain_make(want, in->ssrc, index) ||
	    memcmp(out, want, LEN) != 0)
		abort();
	id = (uint64_t)in->ssrc << 48 | index;
	for (i = 0; i < r->ntaken; i++)
		if (r->taken[i] == id)
			abort();
	if (r->ntaken < TAKEN)
		r->taken[r->ntaken++] = id;
}

/* s: op, ssrc/set bits, key, field's key, Epoch, SEQ step, ROC, damage */
static void
step_packet(struct run *r, const uint8_t *s)
{
	uint8_t p[LEN + PERC_DOUBLE_ROOM], out[sizeof(p)], key[16];
	unsigned ssrc = s[1] & 3, spi = (s[1] >> 2) % SETS;
	struct perc_double_in info;
	struct perc_gcm *g;
	struct perc_rtp h;
	uint16_t unknown;
	size_t n, field = 1;

	r->index[ssrc] += (int8_t)s[5] * (s[0] & 0x40 ? 300 : 1);
	r->index[ssrc] &= 0xffffffffffffull >> 4;
	n = plain_make(p, ssrc, r->index[ssrc]);
	memset(key, s[2] & 7, sizeof(key));
	if (perc_ekt_gcm(r->world, (uint16_t)(spi + 1), key, 16, &g) != 0 ||
	    perc_rtp_parse(&h, p, n) != 0 ||
	    perc_inner_seal(g, &h, r->index[ssrc], p, n, p) != 0)
		abort();
	perc_gcm_free(g);
	n += PERC_INNER_ROOM;
	p[n] = 0;
	memset(key, s[3] & 7, sizeof(key));
	if (s[0] & 0x20 &&
	    perc_ekt_full(r->world, (uint16_t)(1 + (s[1] >> 4) % SETS), s[4],
		key, 16, ssrc ^ (s[3] >> 7),
		(uint32_t)(r->index[ssrc] >> 16) + (s[6] & 3) - (s[6] >> 6),
		p + n, &field) != 0)
		abort();
	if (s[7] != 0)
		p[s[6] % (n + field)] ^= s[7];
	if (perc_double_rx_open(
		r->rx, r->now_ms, p, n + field, out, &info, &unknown) == 0)
		accepted(r, out, &info);
}

static void
step_other(struct run *r, const uint8_t *s)
{
	struct perc_enckey k = set(s[1] % SETS);
	uint32_t list[SSRCS];
	unsigned i, n = 0;

	switch (s[0] & 3) {
	case 0:
		(void)!perc_ekt_add(r->ekt, &k, r->now_ms + s[2] * 100);
		break;
	case 1:
		perc_ekt_drop(r->ekt, k.spi);
		perc_double_rx_drop(r->rx, k.spi);
		break;
	case 2:
		r->now_ms += s[1] << (s[2] & 7);
		(void)perc_ekt_expire(r->ekt, r->now_ms);
		break;
	default: /* nobody is evicted for good: the windows stay */
		for (i = 0; i < SSRCS; i++)
			if (s[1] & 1 << i)
				list[n++] = i;
		if (perc_double_rx_list(r->rx, list, n) != 0)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct perc_double_stats *st;
	static struct run r;
	struct perc_double_in info;
	uint8_t out[4096];
	uint16_t unknown;

	run_open(&r);
	for (; n >= 8 && p[0] < 0x80; p += 8, n -= 8) {
		if (p[0] & 0x10)
			step_other(&r, p);
		else
			step_packet(&r, p);
	}
	if (n <= sizeof(out)) /* what is left goes in as it is */
		(void)!perc_double_rx_open(
		    r.rx, r.now_ms, p, n, out, &info, &unknown);
	st = perc_double_rx_stats(r.rx);
	if (st->candidates > 2 * SSRCS || st->keys > 16 * SSRCS)
		abort();
	run_close(&r);
	return 0;
}
