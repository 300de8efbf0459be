/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker with two legs that are up. The first octet of the input chooses:
 * a datagram as it comes from a leg or a stranger, RTCP as a leg's own hop
 * would open it (behind a key that no fuzzer has), or a message of control.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mdd/worker.h"
#include "perc/log.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static struct mdd_worker w;
static struct mdd_leg *leg[2];

static void
need(int good)
{
	if (!good)
		abort();
}

static void
leg_make(unsigned i)
{
	struct mdd_join j = { .nssrcs = 2, .live_ms = 1u << 30 };
	struct mdd_addr a = { .len = sizeof(struct sockaddr_in) };
	uint8_t key[16], salt[12];

	memset(key, 1 + (int)i, sizeof(key));
	memset(salt, 3 + (int)i, sizeof(salt));
	j.leg[0] = j.member[0] = (char)('a' + i);
	j.conference[0] = 'c';
	memset(&j.ssrcs[0], 0x11 * (1 + (int)i), 4);
	j.ssrcs[1] = 5 + i;
	need(mdd_leg_join(&w.legs, &j, 0, &leg[i]) == 0);
	a.u.in.sin_family = AF_INET;
	a.u.in.sin_port = htons((uint16_t)(9 + i)); /* discard */
	a.u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	mdd_leg_bind(&w.legs, leg[i], &a);
	need(perc_srtp_new(
		 &leg[i]->rx, PERC_AEAD_AES_128_GCM, key, salt, 4, 64) == 0 &&
	    perc_srtp_new(
		&leg[i]->tx, PERC_AEAD_AES_128_GCM, key, salt, 4, 64) == 0 &&
	    perc_srtcp_new(
		&leg[i]->rx_rtcp, PERC_AEAD_AES_128_GCM, key, salt, 1) == 0 &&
	    perc_srtcp_new(
		&leg[i]->tx_rtcp, PERC_AEAD_AES_128_GCM, key, salt, 0) == 0);
	mdd_leg_up(&w.legs, leg[i]);
}

static void
world_make(void)
{
	static const struct mdd_setup limits = { .max_legs = 4,
		.max_conferences = 1,
		.max_conference_legs = 4,
		.max_leg_pps = 1000000,
		.max_leg_kbps = 1000000,
		.idle_ms = 1u << 30 };

	perc_log_init("fuzz", NULL, 0, PERC_LOG_ERROR);
	/* A descriptor that takes nothing: sends fail and are counted. */
	need(perc_srtcp_warm_up() == 0 && perc_loop_new(&w.loop) == 0 &&
	    (w.udp = open("/dev/null", O_RDWR)) >= 0 &&
	    mdd_worker_init(&w, w.loop, w.udp, &limits) == 0);
	leg_make(0);
	leg_make(1);
}

static void
datagram(const uint8_t *p, size_t n, const struct mdd_addr *from, int64_t now)
{
	static uint8_t room[MDD_OUT_MAX];

	if (n > PERC_MTU_MAX + 1)
		n = PERC_MTU_MAX + 1;
	memcpy(room, p, n);
	mdd_worker_input(&w, from, room, n, now);
	mdd_worker_flush(&w); /* room is used again */
}

static void
message(uint8_t kind, const uint8_t *p, size_t n)
{
	union {
		struct mdd_setup setup;
		struct mdd_ready ready;
		struct mdd_join join;
		struct mdd_joined joined;
		struct mdd_renew renew;
		struct mdd_leave leave;
		struct mdd_stats stats;
	} m;

	(void)(kind == 0    ? mdd_setup_get(&m.setup, p, n)
		: kind == 1 ? mdd_ready_get(&m.ready, p, n)
		: kind == 2 ? mdd_join_get(&m.join, p, n)
		: kind == 3 ? mdd_joined_get(&m.joined, p, n)
		: kind == 4 ? mdd_renew_get(&m.renew, p, n)
		: kind == 5 ? mdd_leave_get(&m.leave, p, n)
			    : mdd_stats_get(&m.stats, p, n));
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static int64_t now = 1000;
	struct mdd_addr stranger = { .len = sizeof(struct sockaddr_in) };

	if (w.loop == NULL)
		world_make();
	if (n < 1)
		return 0;
	now += 700; /* past every damping */
	stranger.u.in.sin_family = AF_INET;
	stranger.u.in.sin_port = htons(99);
	switch (p[0] % 16) {
	case 0:
		datagram(p + 1, n - 1, &stranger, now);
		break;
	case 1: /* DTLS makes state of OpenSSL's; not our parser */
		if (n > 1 && (p[1] < 20 || p[1] > 63))
			datagram(p + 1, n - 1, &leg[0]->addr, now);
		break;
	case 2:
	case 3:
		mdd_rtcp_relay(&w, leg[p[0] % 2], p + 1, n - 1, now);
		break;
	default:
		message(p[0] % 16 - 4, p + 1, n - 1);
		break;
	}
	mdd_batch_flush(w.out);
	return 0;
}
