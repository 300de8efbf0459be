/* SPDX-License-Identifier: Apache-2.0 */
/* What a leg does with packets: layers, EKTField, repair, bad lengths. */
#include "tests/agent/legkit.h"

#include <string.h>

#include "perc/rtp.h"
#include "perc/tail.h"

static void
test_field_is_outside_the_outer_layer(void **state)
{
	uint8_t p[128], plain[128];
	size_t n = packet(p, 7, "\0", 1), len;
	struct perc_tail tail;
	struct perc_rtp h;

	connect_leg();
	turn_until(&ups, 2000);
	front_leg_media(conf.leg, p, n);
	turns(3);
	assert_int_equal(mdd.got_len, n + PERC_SRTP_TAG_LEN);
	assert_int_equal(perc_tail_find(&tail, mdd.got, mdd.got_len), 0);
	assert_int_equal(tail.len, 1);
	assert_int_equal(
	    perc_rtp_parse(&h, mdd.got, mdd.got_len - tail.len), 0);
	assert_int_equal(perc_srtp_unprotect(mdd.rx, &h, mdd.got,
			     mdd.got_len - tail.len, plain, &len),
	    0);
	assert_int_equal(len, n - 1);
	assert_memory_equal(plain, p, n - 1);

	/* and back, under the distributor's own key */
	n = packet(p, 9, "\0", 1);
	assert_int_equal(perc_rtp_parse(&h, p, n - 1), 0);
	assert_int_equal(
	    perc_srtp_protect(mdd.tx, &h, p, n - 1, plain, &len), 0);
	plain[len] = p[n - 1];
	mdd_send(plain, len + 1, NULL);
	turn_until(&vault_packets, 1000);
	assert_int_equal(vault_type, VAULT_MEDIA_IN);
	assert_int_equal(vault_len, n);
	assert_memory_equal(vault_got, p, n);

	/* once only, and not with a bit turned */
	mdd_send(plain, len + 1, NULL);
	plain[20] ^= 1;
	mdd_send(plain, len + 1, NULL);
	turns(5);
	assert_int_equal(vault_packets, 1);
}

static void
test_rtcp_both_ways(void **state)
{
	static const uint8_t rr[8] = { 0x80, 201, 0, 1, 0xca, 0xfe, 0xba,
		0xbe };
	uint8_t p[8 + PERC_SRTCP_ROOM];
	size_t n = sizeof(rr);

	connect_leg();
	turn_until(&ups, 2000);
	front_leg_rtcp(conf.leg, rr, sizeof(rr));
	turns(3);
	n = mdd.got_len;
	assert_int_equal(perc_srtcp_unprotect(mdd.rtcp_rx, mdd.got, &n), 0);
	assert_int_equal(n, sizeof(rr));
	assert_memory_equal(mdd.got, rr, sizeof(rr));
	memcpy(p, rr, sizeof(rr));
	n = sizeof(rr);
	assert_int_equal(perc_srtcp_protect(mdd.rtcp_tx, p, &n), 0);
	mdd_send(p, n, NULL);
	turn_until(&vault_packets, 1000);
	assert_int_equal(vault_type, VAULT_RTCP_IN);
	assert_int_equal(vault_len, sizeof(rr));
}

static void
mdd_media(uint16_t seq)
{
	uint8_t p[128], out[160];
	size_t n = packet(p, seq, "\0", 1), len;
	struct perc_rtp h;

	assert_int_equal(perc_rtp_parse(&h, p, n - 1), 0);
	assert_int_equal(perc_srtp_protect(mdd.tx, &h, p, n - 1, out, &len), 0);
	out[len] = 0;
	mdd_send(out, len + 1, NULL);
}

/* The leg itself asks for what the hop lost, and sends again what the
 * distributor lost; the vault hears of neither. */
static void
test_losses_are_mended_by_the_leg(void **state)
{
	uint8_t p[128], first[160], q[64 + PERC_SRTCP_ROOM];
	size_t n = packet(p, 7, "\0", 1), len;
	static const uint16_t seq = 7;
	struct perc_wire w;
	struct perc_rtp h;

	connect_leg();
	turn_until(&ups, 2000);
	front_leg_media(conf.leg, p, n); /* now it has an SSRC */
	turns(3);
	memcpy(first, mdd.got, len = mdd.got_len);
	mdd.got_len = 0;
	mdd_media(20);
	mdd_media(23);
	turns(8);
	n = mdd.got_len;
	assert_true(n > 0);
	assert_int_equal(perc_srtcp_unprotect(mdd.rtcp_rx, mdd.got, &n), 0);
	assert_int_equal(n, 24);
	assert_memory_equal(mdd.got + 20, "\0\x15\0\1", 4); /* 21, 22 */
	assert_memory_equal(mdd.got + 4, p + 8, 4);

	assert_int_equal(perc_rtp_parse(&h, p, 53), 0);
	perc_wire_writer(&w, q, sizeof(q));
	perc_rtcp_nack_put(&w, 1, h.ssrc, &seq, 1);
	n = w.pos;
	assert_int_equal(perc_srtcp_protect(mdd.rtcp_tx, q, &n), 0);
	mdd_send(q, n, NULL);
	turns(5);
	assert_int_equal(mdd.got_len, len);
	assert_memory_equal(mdd.got, first, len);
}

/* A vault that has erased must get nothing more. */
static void
test_nothing_for_an_erased_vault(void **state)
{
	uint8_t p[128], out[160];
	size_t n = packet(p, 9, "\0", 1), len;
	struct perc_rtp h;

	connect_leg();
	turn_until(&ups, 2000);
	conf.vault_live = false;
	assert_int_equal(perc_rtp_parse(&h, p, n - 1), 0);
	assert_int_equal(perc_srtp_protect(mdd.tx, &h, p, n - 1, out, &len), 0);
	out[len] = 0;
	mdd_send(out, len + 1, NULL);
	turns(5);
	assert_int_equal(vault_packets, 0);
}

static void
test_lengths_that_lie(void **state)
{
	uint8_t p[2200] = { 0x80, 111 };

	connect_leg();
	turn_until(&ups, 2000);
	for (size_t n = 0; n < 13; n++)
		front_leg_media(conf.leg, p, n);
	front_leg_media(conf.leg, p, sizeof(p));
	front_leg_rtcp(conf.leg, p, sizeof(p));
	front_leg_rtcp(conf.leg, p, 0);
	turns(3);
	assert_int_equal(mdd.got_len, 0);
	for (size_t n = 0; n < 40; n++)
		mdd_send(p, n, NULL);
	turns(10);
	assert_int_equal(vault_packets, 0);
	assert_int_equal(losses, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_field_is_outside_the_outer_layer),
		WITH(test_rtcp_both_ways),
		WITH(test_losses_are_mended_by_the_leg),
		WITH(test_nothing_for_an_erased_vault),
		WITH(test_lengths_that_lie),
	};

	if (perc_srtcp_warm_up() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
