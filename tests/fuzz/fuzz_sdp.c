/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A WHIP offer of anybody with a token, and the fragment of a PATCH. What is
 * taken must be answerable, and the answer must be an SDP that we can read.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mdd/sdp.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(int good)
{
	if (!good)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const struct mdd_sdp_ours ours = { NULL, 0, "sha-256 00:11",
		"ufrag123", "pwdpwdpwdpwdpwdpwdpwdpwd", "192.0.2.1",
		"2001:db8::1", 40000, 7 };
	static struct mdd_sdp o, again;
	static char out[MDD_SDP_ANSWER_MAX];
	const struct mdd_sdp_refusal *why = NULL;
	struct mdd_plan plan, copy;
	struct mdd_frag f;
	struct perc_wire w;
	uint8_t wire[2048];
	size_t len;

	(void)!mdd_sdp_frag(&f, (const char *)p, n);
	if (mdd_sdp_parse(&o, (const char *)p, n, &why) != 0 ||
	    mdd_sdp_settle(&plan, &o, &why) != 0) {
		need(why != NULL && why->status >= 400 && why->code != NULL);
		return 0;
	}
	(void)mdd_sdp_stray_ssrc(&o, o.ssrc, o.nssrcs);
	need(o.nlines > 0 && plan.nlines > 0 && plan.nlines <= o.nlines);
	perc_wire_writer(&w, wire, sizeof(wire));
	mdd_plan_put(&w, &plan);
	need(perc_wire_end(&w) == 0);
	perc_wire_reader(&w, wire, w.pos);
	mdd_plan_get(&w, &copy);
	need(perc_wire_end(&w) == 0 && copy.nlines == plan.nlines);
	if (mdd_sdp_answer(out, sizeof(out), &len, &o, &plan, &ours) != 0)
		return 0; /* too long for us; control refuses it */
	need(len < sizeof(out) && memchr(out, '\0', len) == NULL);
	(void)!mdd_sdp_parse(&again, out, len, &why);
	return 0;
}
