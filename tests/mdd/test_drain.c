/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drain with real legs: nobody new comes in, who is here goes on talking, and
 * when the time is over each is told by a BYE that it can believe.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perc/loop.h"
#include "tests/mdd/stage.h"

#define DRAIN_S 6
#define LATE_MS 20000

static void
passes(struct member *from, struct member *to, uint16_t seq)
{
	uint8_t d[PEER_PACKET];
	size_t n = peer_rtp(&from->p, d, from->ssrc, seq, "x", 1, "", 1);

	peer_send(&from->p, d, n);
	assert_int_equal(peer_recv(&to->p, d, 128, 191, 10000), n);
}

/* The BYE of SSRC 1, among what else comes. */
static bool
told(struct member *m, int ms)
{
	int64_t end = perc_now_ms() + ms;
	uint8_t d[PEER_PACKET];
	size_t n;

	while (perc_now_ms() < end) {
		n = peer_recv_rtcp(&m->p, d, 100);
		if (n > 0 && perc_srtcp_unprotect(m->p.rx_rtcp, d, &n) == 0 &&
		    n == 16 && d[9] == 203 && d[15] == 1)
			return true;
	}
	return false;
}

static void
test_drain(void **state)
{
	struct member a, b, c,
	    late = {
		    .name = "m_l", .conference = "c_drain", .ssrc = 0x11111111
	    };
	char path[128];
	int64_t began;
	int status;

	two(&a, &b, "c_drain");
	member_join(&c, "m_c", "c_drain", 0x0c0c0c0c);
	assert_true(peer_connect(&c.p, 30000));
	passes(&a, &b, 1);
	metric_reaches("perch_mdd_legs_up", NULL, 3);
	assert_int_equal(kill(stage_pid(), SIGUSR1), 0);
	began = perc_now_ms();
	while (http("GET", "/readyz", NULL, NULL).status == 200 &&
	    perc_now_ms() < began + DRAIN_S * 1000)
		(void)usleep(20000);
	assert_int_equal(http("GET", "/readyz", NULL, NULL).status, 503);
	assert_string_equal(
	    http("GET", "/readyz", NULL, NULL).text, "draining\n");
	assert_int_equal(http("GET", "/healthz", NULL, NULL).status, 200);
	peer_open(&late.p);
	late.token = sign(claims(&late));
	expect(http("POST", "/v1/join", late.token, BODY), 503, "draining");
	metric_reaches("perch_mdd_legs_up", NULL, 3); /* they stay */
	(void)snprintf(path, sizeof(path), "/v1/join/%s", c.leg);
	expect(http("PUT", path, c.token, NULL), 200, NULL);
	expect(http("DELETE", path, c.token, NULL), 204, NULL);
	passes(&a, &b, 2);
	passes(&b, &a, 1);
	assert_int_equal(waitpid(stage_pid(), &status, WNOHANG), 0);
	/* Never sooner; a busy machine may be later. */
	assert_true(told(&a, DRAIN_S * 1000 + LATE_MS));
	assert_true(perc_now_ms() - began >= DRAIN_S * 1000 - 100);
	assert_true(told(&b, LATE_MS));
	assert_int_equal(stage_wait(LATE_MS), 0); /* it ended, and well */
	member_end(&a);
	member_end(&b);
	member_end(&c);
	member_end(&late);
}

static int
open_draining(void **state)
{
	stage_more = "drain_s = 6\n";
	return stage_open(state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_drain),
	};

	return cmocka_run_group_tests_name(
	    "drain", tests, open_draining, stage_close);
}
