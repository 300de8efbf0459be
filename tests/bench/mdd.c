/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker does in a second: packets of one speaker, decrypted once and
 * encrypted for each other leg, through mdd_worker_input as the process calls
 * it, with real sendmmsg() to sockets on loopback that nobody reads. Without
 * the receiving system call, which a test program would have to feed.
 *
 *	tests/bench/mdd [LEGS [OCTETS]]
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "mdd/worker.h"
#include "perc/gcm_mb.h"
#include "perc/log.h"

#define PACKETS 20000
#define SSRC	0x01020304u

static void
need(int good)
{
	if (!good)
		abort();
}

static int
udp(struct mdd_addr *a)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	memset(a, 0, sizeof(*a));
	a->len = sizeof(a->u.in);
	a->u.in.sin_family = AF_INET;
	a->u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	need(fd >= 0 && bind(fd, &a->u.sa, a->len) == 0 &&
	    getsockname(fd, &a->u.sa, &a->len) == 0);
	return fd;
}

static void
leg_make(struct mdd_worker *w, unsigned i, struct mdd_addr *a)
{
	struct mdd_join j = { .nssrcs = 1, .live_ms = 1u << 30 };
	struct mdd_leg *leg;
	uint8_t key[16], salt[12];

	memset(key, (int)i, sizeof(key));
	memset(salt, (int)i, sizeof(salt));
	(void)snprintf(j.leg, sizeof(j.leg), "l_%u", i);
	(void)snprintf(j.member, sizeof(j.member), "m_%u", i);
	j.conference[0] = 'c';
	j.ssrcs[0] = SSRC + i;
	need(mdd_leg_join(&w->legs, &j, 0, &leg) == 0);
	mdd_leg_bind(&w->legs, leg, a);
	need(perc_srtp_new(
		 &leg->rx, PERC_AEAD_AES_128_GCM, key, salt, 1, 128) == 0 &&
	    perc_srtp_new(
		&leg->tx, PERC_AEAD_AES_128_GCM, key, salt, 16, 128) == 0);
	mdd_leg_up(&w->legs, leg);
}

static double
now_s(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The speaker's packets, protected before the clock runs. */
static uint8_t *
packets(size_t size)
{
	uint8_t *all = malloc(PACKETS * size), key[16] = { 0 },
		salt[12] = { 0 };
	struct perc_srtp *tx;
	struct perc_rtp h;
	size_t i, len;

	need(all != NULL &&
	    perc_srtp_new(&tx, PERC_AEAD_AES_128_GCM, key, salt, 1, 128) == 0);
	for (i = 0; i < PACKETS; i++) {
		uint8_t *p = all + i * size;

		memset(p, 0, size);
		p[0] = 0x80;
		p[1] = 111;
		p[2] = (uint8_t)(i >> 8);
		p[3] = (uint8_t)i;
		p[8] = 1;
		p[9] = 2;
		p[10] = 3;
		p[11] = 4;
		need(perc_rtp_parse(&h, p, size - 17) == 0 &&
		    perc_srtp_protect(tx, &h, p, size - 17, p, &len) == 0);
		p[size - 1] = 0; /* Short EKTField */
	}
	perc_srtp_free(tx);
	return all;
}

int
main(int argc, char *argv[])
{
	unsigned legs = argc > 1 ? (unsigned)atoi(argv[1]) : 10, i;
	size_t size = argc > 2 ? (size_t)atoi(argv[2]) : 200;
	struct mdd_setup s = { .max_legs = legs + 1,
		.max_conferences = 1,
		.max_conference_legs = legs + 1,
		.max_leg_pps = 1000000,
		.idle_ms = 1u << 30 };
	struct mdd_addr self, *to = calloc(legs, sizeof(*to));
	static uint8_t buf[16][MDD_OUT_MAX];
	static struct mdd_worker w;
	uint8_t *all;
	double t;

	need(to != NULL && legs >= 2 && size >= 100 && size <= 1500);
	perc_log_init("bench", NULL, 0, PERC_LOG_ERROR);
	if (getenv("EVP") == NULL)
		need(perc_gcm_mb_use() == 0);
	w.segments = getenv("SINGLE") == NULL;
	need(perc_loop_new(&w.loop) == 0 &&
	    mdd_worker_init(&w, w.loop, udp(&self), &s) == 0);
	for (i = 0; i < legs; i++) {
		(void)udp(&to[i]);
		leg_make(&w, i, &to[i]);
	}
	all = packets(size);
	t = now_s();
	for (i = 0; i < PACKETS; i++) {
		memcpy(buf[i % 16], all + i * size, size);
		mdd_worker_input(&w, &to[0], buf[i % 16], size, 1000 + i);
		if (i % 16 == 15)
			mdd_worker_flush(&w);
	}
	mdd_worker_flush(&w);
	t = now_s() - t;
	need(w.count[MDD_FORWARDED] == (uint64_t)PACKETS * (legs - 1));
	printf("%u legs, %zu octets: %.0f ns for each packet that leaves, "
	       "%.0f packets a second and core (%llu not taken)\n",
	    legs, size, t * 1e9 / (double)w.count[MDD_FORWARDED],
	    (double)w.count[MDD_FORWARDED] / t,
	    (unsigned long long)w.count[MDD_TX_FAILED]);
	free(all);
	free(to);
	mdd_worker_clear(&w);
	return 0;
}
