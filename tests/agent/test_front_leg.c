/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a leg. REQ-WS-6.3c: hop keys come from DTLS-SRTP, and from the
 * pinned peer alone.
 */
#include "tests/agent/legkit.h"

#include <string.h>
#include <unistd.h>

#include "perc/rtp.h"

static void
test_REQ_WS_6_3c_up_by_dtls_srtp(void **state)
{
	connect_leg();
	turn_until(&ups, 2000);
	assert_int_equal(ups, 1);
	assert_int_equal(losses, 0);
	assert_true(mdd.nominated > 0);
}

static void
test_REQ_WS_6_3c_other_fingerprint_is_refused(void **state)
{
	join.fingerprint[7] ^= 1;
	connect_leg();
	turn_until(&losses, 3000);
	assert_int_equal(ups, 0);
	assert_int_equal(losses, 1);
	assert_non_null(strstr(lost_why, "not who it said"));
}

static void
mdd_rtcp(const uint8_t *words, size_t n)
{
	uint8_t p[64 + PERC_SRTCP_ROOM];

	memcpy(p, words, n);
	assert_int_equal(perc_srtcp_protect(mdd.rtcp_tx, p, &n), 0);
	mdd_send(p, n, NULL);
	turns(5);
}

/* A distributor that drains says goodbye, under the hop's keys; the goodbye of
 * a sender is the vault's business. */
static void
test_farewell_is_believed(void **state)
{
	uint8_t bye[16] = { 0x80, 201, 0, 1, 0, 0, 0, 1, 0x81, 203, 0, 1, 0, 0,
		0, 2 };

	connect_leg();
	turn_until(&ups, 2000);
	mdd_rtcp(bye, sizeof(bye));
	assert_int_equal(vault_packets, 1);
	bye[15] = 1;
	mdd_send(bye, sizeof(bye), NULL); /* anybody can say that */
	turns(5);
	assert_int_equal(losses, 0);
	bye[11] = 200; /* a length that lies */
	mdd_rtcp(bye, sizeof(bye));
	assert_int_equal(losses, 0);
	bye[11] = 1;
	mdd_rtcp(bye, sizeof(bye));
	turn_until(&losses, 1000);
	assert_int_equal(losses, 1);
	assert_non_null(strstr(lost_why, "join again"));
}

/* As many speakers as one leg can tell apart, one after the other, and four
 * times as many. Behind them it joins again, for a new leg forgets. */
static void
test_new_speakers_are_heard(void **state)
{
	uint8_t p[128], out[160];
	size_t n = packet(p, 1, "\0", 1), len;
	const unsigned room = 1024 * (1 + PERC_SRTP_FORGOTTEN_MAX);
	struct perc_rtp h;

	connect_leg();
	turn_until(&ups, 2000);
	for (unsigned i = 0; i <= room; i++) {
		p[8] = (uint8_t)(i >> 8);
		p[9] = (uint8_t)i;
		assert_int_equal(perc_rtp_parse(&h, p, n - 1), 0);
		assert_int_equal(
		    perc_srtp_protect(mdd.tx, &h, p, n - 1, out, &len), 0);
		out[len] = 0;
		mdd_send(out, len + 1, NULL);
		perc_srtp_forget(mdd.tx, h.ssrc);
		if (i % 32 == 31)
			turns(1);
		if (i == room - 1)
			assert_int_equal(vault_packets, room);
		assert_int_equal(losses, 0);
	}
	turn_until(&losses, 1000);
	assert_int_equal(losses, 1);
	assert_non_null(strstr(lost_why, "no more speakers"));
}

/* An MDD that was started anew answers that it knows nobody. */
static void
test_stranger_is_left(void **state)
{
	connect_leg();
	turn_until(&ups, 2000);
	mdd.stranger = true;
	turn_until(&losses, 9000);
	assert_int_equal(losses, 1);
	assert_non_null(strstr(lost_why, "does not know us"));
}

/* DTLS says goodbye while the leg is freed; that the port is closed by now
 * must not set timers of what is about to be gone. */
static void
test_freed_at_a_closed_port(void **state)
{
	connect_leg();
	turn_until(&ups, 2000);
	perc_loop_del(mdd.io);
	mdd.io = NULL;
	close(mdd.fd);
	mdd.fd = -1;
	front_leg_send(conf.leg, (const uint8_t *)"x", 1); /* is refused */
	front_leg_free(conf.leg);
	conf.leg = NULL;
	assert_int_equal(perc_loop_turn(loop, 0), 0);
	assert_int_equal(perc_loop_turn(loop, 0), 0);
	assert_int_equal(losses, 0);
}

static void
test_no_address_no_leg(void **state)
{
	char why[256];

	strcpy(join.host, "media.example");
	assert_int_not_equal(front_leg_new(&conf.leg, &conf, conf.dtls_id,
				 &join, "mine", why, sizeof(why)),
	    0);
	assert_null(conf.leg);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_REQ_WS_6_3c_up_by_dtls_srtp),
		WITH(test_REQ_WS_6_3c_other_fingerprint_is_refused),
		WITH(test_farewell_is_believed),
		WITH(test_new_speakers_are_heard),
		WITH(test_stranger_is_left),
		WITH(test_freed_at_a_closed_port),
		WITH(test_no_address_no_leg),
	};

	if (perc_srtcp_warm_up() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
