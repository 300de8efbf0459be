/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an endpoint is told when its leg ends and it did not ask for that: a
 * BYE of our own SSRC. It is under the hop's keys, so nobody else can say it;
 * one that is lost costs the endpoint some seconds of missed answers.
 */
#include <string.h>

#include "mdd/worker.h"

void
mdd_leg_farewell(struct mdd_worker *w, struct mdd_leg *leg)
{
	/* An empty RR (RFC 3550 section 6.1), a BYE (section 6.6) of SSRC 1. */
	static const uint8_t words[] = { 0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 203,
		0, 1, 0, 0, 0, 1 };
	uint8_t *out;
	size_t n = sizeof(words);

	if (leg->state != MDD_LEG_UP || leg->addr.len == 0 ||
	    leg->tx_rtcp == NULL)
		return;
	out = mdd_batch_slot(w->out);
	memcpy(out, words, n);
	if (perc_srtcp_protect(leg->tx_rtcp, out, &n) == 0)
		mdd_batch_commit(w->out, &leg->addr, n);
}
