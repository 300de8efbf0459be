/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What check-config tells of memory is true of a real worker: with every leg
 * that its limits allow, each of whose SSRCs every other hears, with handshakes
 * that stopped half way, and with all packets kept that may be, it has grown by
 * less than the parts of the sum for them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "config.h"
#include "mdd/memory.h"
#include "mdd/worker.h"
#include "tests/mdd/stage.h"
#include "tests/tools/skip.h"

#define ROOMS	    4
#define EACH	    20 /* members of each that are up */
#define HALF	    5  /* and that stop in the handshake */
#define LEGS	    (ROOMS * (EACH + HALF))
#define BODY_OCTETS 1000

static struct member m[LEGS];
static char name[LEGS][16], room[ROOMS][16];

static size_t
resident(void)
{
	char path[64], line[256];
	size_t kib = 0;
	pid_t pid;
	FILE *f;

	assert_int_equal(stage_workers(&pid, 1), 1);
	(void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL)
		if (sscanf(line, "VmRSS: %zu", &kib) == 1)
			break;
	(void)fclose(f);
	assert_true(kib > 0);
	return kib << 10;
}

static void
bound(struct mdd_memory *b, struct mdd_conf *c)
{
	struct perc_conf_error e = { "" };
	char path[128];

	path_of(path, "mdd.conf");
	if (mdd_conf_read(c, path, &e) != 0)
		fail_msg("%s", e.text);
	mdd_memory_of(b, c);
}

static void
join(unsigned i)
{
	(void)snprintf(name[i], sizeof(name[i]), "m_%u", i);
	member_join(&m[i], name[i], room[i % ROOMS], 1000 + 10 * i);
}

/* To the first flight of DTLS, and no further. */
static void
stop_half(unsigned i)
{
	join(i);
	assert_true(peer_stun(&m[i].p, m[i].p.pwd, true));
	assert_false(peer_handshake(&m[i].p, 0));
}

static void
drain(void)
{
	uint8_t d[PEER_PACKET];
	unsigned i;

	for (i = 0; i < LEGS - ROOMS * HALF; i++)
		while (recv(m[i].p.fd, d, sizeof(d), MSG_DONTWAIT) > 0)
			;
}

/* Both SSRCs of everybody, and then one goes on until n packets were sent. */
static void
talk(unsigned n)
{
	static const uint8_t body[BODY_OCTETS], tail[1];
	uint8_t d[PEER_PACKET];
	uint16_t seq = 0;
	unsigned i;
	size_t len;

	for (i = 0; i < 2 * ROOMS * EACH; i++) {
		len = peer_rtp(&m[i / 2].p, d, m[i / 2].ssrc + i % 2, 1, body,
		    BODY_OCTETS, tail, 1);
		peer_send(&m[i / 2].p, d, len);
		drain();
	}
	for (i = 0; i < n; i++) {
		len = peer_rtp(&m[i % ROOMS].p, d, m[i % ROOMS].ssrc,
		    (uint16_t)(2 + seq), body, BODY_OCTETS, tail, 1);
		seq = (uint16_t)(seq + (i % ROOMS == ROOMS - 1));
		peer_send(&m[i % ROOMS].p, d, len);
		if (i % 8 == 7) {
			(void)usleep(1000);
			drain();
		}
	}
}

static void
test_stays_below_what_check_config_tells(void **state)
{
	size_t idle, half, full, most, legs;
	struct mdd_memory b;
	struct mdd_conf c;
	unsigned i;

#ifdef PERCH_SANITIZED
	skip_because("a sanitizer's memory is counted with ours");
#endif
	bound(&b, &c);
	idle = resident();
	for (i = 0; i < ROOMS; i++)
		(void)snprintf(room[i], sizeof(room[i]), "c_%u", i);
	for (i = 0; i < ROOMS * HALF; i++)
		stop_half(LEGS - 1 - i);
	half = resident();
	print_message("# %d half-open: %zu KiB each\n", ROOMS * HALF,
	    (half - idle) / (ROOMS * HALF) >> 10);
	assert_true(half - idle <
	    ROOMS * HALF * (b.leg + b.handshakes / MDD_HANDSHAKES_MAX) +
		ROOMS * b.conference);
	for (i = 0; i < ROOMS * EACH; i++) {
		join(i);
		assert_true(peer_connect(&m[i].p, 30000));
	}
	talk((unsigned)(c.rtx_memory << 20) / BODY_OCTETS * 5 / 4);
	metric_reaches("perch_mdd_legs_up", NULL, ROOMS * EACH);
	full = resident();
	legs = LEGS * b.leg + ROOMS * b.conference;
	most = legs + ((size_t)c.rtx_memory << 20) * 9 / 8 +
	    ROOMS * HALF * (b.handshakes / MDD_HANDSHAKES_MAX);
	print_message("# full: %zu KiB grown, of %zu that legs, rooms, kept "
		      "packets and handshakes may take\n",
	    (full - idle) >> 10, most >> 10);
	assert_true(full - idle < most);
	assert_true(full - idle > most / 4); /* it was filled */
	assert_true(full < b.worker - b.sockets);
	for (i = 0; i < LEGS; i++)
		member_end(&m[i]);
	mdd_conf_clear(&c);
}

static int
open_small(void **state)
{
	stage_setup();
	stage_conf(0,
	    "workers = 1\nmax_legs = 100\nmax_conferences = 4\n"
	    "max_conference_legs = 25\nrtx_memory = 4\nrtx_packets = 256\n",
	    "");
	stage_second = 1;
	return stage_start(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stays_below_what_check_config_tells),
	};

	return cmocka_run_group_tests_name(
	    "memory", tests, open_small, stage_close);
}
