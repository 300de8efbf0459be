/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RTCP as an authenticated peer may make it up: the walk through a compound,
 * report blocks, transport-wide feedback and what the estimator makes of it,
 * and the front's repair. The first octet chooses how the clock runs.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/frontrepair.h"
#include "mdd/bwe.h"
#include "perc/reception.h"
#include "perc/twcc.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(int good)
{
	if (!good)
		abort();
}

static void
on_again(const uint8_t *p, size_t n, void *arg)
{
	need(n > 0 && n <= 1600);
}

static void
compound(const uint8_t *p, size_t n, struct mdd_bwe *b, int64_t now)
{
	struct perc_twcc_item item[PERC_TWCC_MAX];
	struct perc_reception rx = { 0 };
	struct perc_rtcp_block block;
	struct perc_rtcp_sr sr;
	struct perc_rtcp k;
	struct perc_wire w;
	const uint8_t *q;
	unsigned count;
	size_t at;
	int i, got;

	for (at = 0; perc_rtcp_next(&k, p + at, n - at); at += k.n) {
		need(k.n >= 4 && at + k.n <= n);
		if (perc_rtcp_sr_get(&sr, &k))
			perc_reception_sr(&rx, &sr, now);
		if ((q = perc_rtcp_blocks(&k, &count)) != NULL) {
			perc_wire_reader(&w, q, count * PERC_RTCP_BLOCK_LEN);
			while (count-- > 0)
				perc_rtcp_block_get(&block, &w);
			need(w.err == 0);
		}
		got = perc_twcc_get(&k, item);
		need(got <= PERC_TWCC_MAX);
		for (i = 0; i < got; i++)
			if (item[i].came)
				mdd_bwe_came(b, now * 1000 + i * 100,
				    item[i].at_us, 1200);
		b->bps = mdd_bwe_update(b, now, 50);
		need(b->bps >= MDD_BWE_MIN && b->bps <= MDD_BWE_MAX);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct front_repair *r;
	static struct mdd_bwe bwe;
	static int64_t now = 1000;
	struct perc_rtp h = { .ssrc = 0x11111111 };
	uint8_t out[2048];
	size_t len;

	if (r == NULL) {
		need((r = front_repair_new()) != NULL);
		mdd_bwe_init(&bwe);
	}
	if (n < 2 || n > sizeof(out))
		return 0;
	now += p[0];
	h.seq = p[1];
	(void)front_repair_received(r, &h, now);
	front_repair_number(r, (uint16_t)(p[0] << 8 | p[1]), now * 1000);
	front_repair_sent(r, &h, p, n, now);
	compound(p + 1, n - 1, &bwe, now);
	front_repair_rtcp(r, p + 1, n - 1, now, on_again, NULL);
	memcpy(out, p + 1, n - 1);
	need(front_repair_app(r, out, n - 1, now) <= n - 1);
	while ((len = front_repair_due(r, 1, now, out, sizeof(out))) > 0)
		need(len <= sizeof(out));
	return 0;
}
