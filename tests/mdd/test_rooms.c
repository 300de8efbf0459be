/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A conference with legs of both kinds: those that joined by SDP hear each
 * other, those that joined by JSON too, and nothing gets from the ones to the
 * others, whatever its payload type (docs/wire/whip.md).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/mdd/offer.h"

#define CONFERENCE "c_both"
#define SSRC_P	   0x0d0d0d0du
#define SSRC_Q	   0x0e0e0e0eu
#define PT_LEAST   96 /* of dynamic ones, the MDD's own among them */

static void
sdp_join(struct member *m, const char *name, uint32_t ssrc)
{
	struct answer a;

	*m = (struct member){
		.name = name, .conference = CONFERENCE, .ssrc = ssrc
	};
	whip_join(m, "audio 9 UDP/TLS/RTP/SAVPF 111",
	    "a=rtpmap:111 opus/48000/2\r\n", &a);
}

/* As Double's, with a tail, or as plain media of the hop. */
static void
says(struct member *m, uint8_t pt, uint16_t seq, bool tail)
{
	uint8_t out[PEER_PACKET],
	    in[60] = { 0x80, pt, (uint8_t)(seq >> 8), (uint8_t)seq, 0, 0, 3,
		    192, (uint8_t)(m->ssrc >> 24), (uint8_t)(m->ssrc >> 16),
		    (uint8_t)(m->ssrc >> 8), (uint8_t)m->ssrc };
	struct perc_rtp h;
	size_t n;

	assert_int_equal(perc_rtp_parse(&h, in, sizeof(in)), 0);
	assert_int_equal(
	    perc_srtp_protect(m->p.tx, &h, in, sizeof(in), out, &n), 0);
	out[n] = 0;
	peer_send(&m->p, out, n + tail);
}

/* How many packets, all of them of this source. */
static unsigned
hears(struct member *m, uint32_t ssrc, unsigned until)
{
	uint8_t d[PEER_PACKET];
	unsigned n = 0;

	while (n < until && peer_recv(&m->p, d, 128, 191, 500) > 0) {
		assert_int_equal(
		    (uint32_t)d[8] << 24 | d[9] << 16 | d[10] << 8 | d[11],
		    ssrc);
		n++;
	}
	return n;
}

static void
test_two_kinds_never_meet(void **state)
{
	struct member a, b, p, q;
	uint16_t seq = 1;
	unsigned pt;

	two(&a, &b, CONFERENCE);
	sdp_join(&p, "m_p", SSRC_P);
	sdp_join(&q, "m_q", SSRC_Q);
	for (pt = PT_LEAST; pt < 128; pt++)
		says(&a, (uint8_t)pt, seq++, true);
	for (seq = 1; seq <= 10; seq++)
		says(&p, 111, seq, false);
	/* The others of each kind are heard, so what follows means much. */
	assert_int_equal(hears(&b, SSRC_A, 128 - PT_LEAST), 128 - PT_LEAST);
	assert_int_equal(hears(&q, SSRC_P, 10), 10);
	assert_int_equal(hears(&b, SSRC_A, 1), 0);
	assert_int_equal(hears(&q, SSRC_P, 1), 0);
	assert_int_equal(hears(&a, SSRC_B, 1), 0);
	assert_int_equal(hears(&p, SSRC_Q, 1), 0);
	metric_reaches("perch_mdd_conferences", NULL, 2);
	member_end(&a);
	member_end(&b);
	member_end(&p);
	member_end(&q);
}

static int
open_whip(void **state)
{
	stage_more = "whip = yes\n";
	return stage_open(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_kinds_never_meet),
	};

	return cmocka_run_group_tests_name(
	    "rooms", tests, open_whip, stage_close);
}
