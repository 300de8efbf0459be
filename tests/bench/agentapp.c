/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both local applications of tests/bench/agent.py: plain RTP into one agent's
 * port at a steady rate, and out of another's. Sender and receiver are one
 * process, so that one clock stamps both ends; they are two threads, so that
 * neither waits for the other.
 *
 *	agentapp TO FROM RATE OCTETS SECONDS [BURST [yield]]
 *
 * TO and FROM are ports of 127.0.0.1, OCTETS the payload, BURST packets leave
 * together (default 1). With "yield" it does not sleep between packets, which
 *takes longer than 20 us: for who has a processor to himself. Says one JSON
 *object: packets sent and received, and how long they were under way in
 *microseconds; how long sending took.
 */
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/agentclock.h"

#define BATCH	   32
#define OCTETS_MIN 24
#define OCTETS_MAX 1400
#define HEADER	   12
#define SAMPLES	   4000000u
#define PT	   96
#define SSRC	   0x50455243u
#define CLOCK_RATE 90000u
#define DRAIN_MS   500 /* what is still under way when the sender ends */

struct app {
	int to, from;
	unsigned rate, octets, seconds, burst;
	uint64_t sent, refused, received, took_ns;
	uint32_t *us;	/* of each packet received */
	uint32_t *late; /* each time that the sender wakes, in us */
	size_t wakes;
	uint64_t magic; /* of this run */
	atomic_bool done;
	bool yields;
};

static int
udp(unsigned port, int is_sender)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct timeval wait = { .tv_usec = 100000 };
	int size = 8 << 20, fd = socket(AF_INET, SOCK_DGRAM, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (fd < 0 ||
	    (is_sender ? connect(fd, (struct sockaddr *)&sin, sizeof(sin))
		       : bind(fd, (struct sockaddr *)&sin, sizeof(sin))) != 0) {
		perror("agentapp: socket");
		exit(1);
	}
	return fd;
}

/* ---- sending ------------------------------------------------------------- */

static void
packet_fill(const struct app *a, uint8_t *p, uint64_t at)
{
	uint16_t seq = htons((uint16_t)a->sent);
	uint32_t ts = htonl((uint32_t)(at / (1000000000u / CLOCK_RATE)));
	uint32_t ssrc = htonl(SSRC);

	p[0] = 0x80;
	p[1] = PT;
	memcpy(p + 2, &seq, sizeof(seq));
	memcpy(p + 4, &ts, sizeof(ts));
	memcpy(p + 8, &ssrc, sizeof(ssrc));
	memcpy(p + HEADER, &a->magic, sizeof(a->magic));
	memcpy(p + HEADER + 8, &at, sizeof(at));
}

static void *
sender(void *arg)
{
	static uint8_t p[HEADER + OCTETS_MAX];
	struct app *a = arg;
	uint64_t gap = 1000000000u * (uint64_t)a->burst / a->rate;
	uint64_t at = agentclock_ns(), end = at + a->seconds * 1000000000ull;

	for (; at < end; at += gap) {
		(a->yields ? agentclock_yield : agentclock_sleep)(at);
		if (a->wakes < SAMPLES)
			a->late[a->wakes++] =
			    (uint32_t)((agentclock_ns() - at) / 1000);
		for (unsigned i = 0; i < a->burst; i++) {
			packet_fill(a, p, agentclock_ns());
			if (send(a->to, p, HEADER + a->octets, 0) < 0)
				a->refused++;
			a->sent++;
		}
	}
	a->took_ns = agentclock_ns() + a->seconds * 1000000000ull - end;
	return NULL;
}

/* ---- receiving ----------------------------------------------------------- */

static void
packet_take(struct app *a, const uint8_t *p, size_t n, uint64_t now)
{
	uint64_t magic, at;

	if (n < HEADER + OCTETS_MIN - 8)
		return;
	memcpy(&magic, p + HEADER, sizeof(magic));
	memcpy(&at, p + HEADER + 8, sizeof(at));
	if (magic != a->magic)
		return;
	if (a->received < SAMPLES)
		a->us[a->received] = (uint32_t)((now - at) / 1000);
	a->received++;
}

static void *
receiver(void *arg)
{
	static uint8_t p[BATCH][2048];
	struct mmsghdr msg[BATCH] = { 0 };
	struct iovec iov[BATCH];
	struct app *a = arg;
	uint64_t now;
	int n;

	for (unsigned i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ p[i], sizeof(p[i]) };
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
	}
	while (!atomic_load(&a->done)) {
		n = recvmmsg(a->from, msg, BATCH, MSG_WAITFORONE, NULL);
		now = agentclock_ns();
		for (int i = 0; i < n; i++)
			packet_take(a, p[i], msg[i].msg_len, now);
	}
	return NULL;
}

/* ---- telling ------------------------------------------------------------- */

static int
by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void
tell(struct app *a)
{
	size_t n = a->received < SAMPLES ? a->received : SAMPLES;

	qsort(a->us, n, sizeof(*a->us), by_value);
	qsort(a->late, a->wakes, sizeof(*a->late), by_value);
	printf("{\"sent\": %llu, \"refused\": %llu, \"received\": %llu, "
	       "\"ms\": %.1f",
	    (unsigned long long)a->sent, (unsigned long long)a->refused,
	    (unsigned long long)a->received, (double)a->took_ns / 1e6);
	if (n > 0)
		printf(", \"p50_us\": %u, \"p99_us\": %u, \"max_us\": %u",
		    a->us[n / 2], a->us[n - 1 - n / 100], a->us[n - 1]);
	if (a->wakes > 0)
		printf(", \"late_p99_us\": %u, \"late_max_us\": %u",
		    a->late[a->wakes - 1 - a->wakes / 100],
		    a->late[a->wakes - 1]);
	printf("}\n");
}

int
main(int argc, char **argv)
{
	struct app a = { .burst = 1 };
	pthread_t in, out;

	if (argc < 6) {
		fprintf(stderr,
		    "usage: agentapp TO FROM RATE OCTETS SECONDS "
		    "[BURST [yield]]\n");
		return 2;
	}
	a.to = udp((unsigned)atoi(argv[1]), 1);
	a.from = udp((unsigned)atoi(argv[2]), 0);
	a.rate = (unsigned)atoi(argv[3]);
	a.octets = (unsigned)atoi(argv[4]);
	a.seconds = (unsigned)atoi(argv[5]);
	a.burst = argc > 6 ? (unsigned)atoi(argv[6]) : 1;
	a.yields = argc > 7;
	a.magic = agentclock_ns();
	if (a.rate == 0 || a.burst == 0 || a.octets < OCTETS_MIN ||
	    a.octets > OCTETS_MAX ||
	    (a.us = calloc(SAMPLES, sizeof(*a.us))) == NULL ||
	    (a.late = calloc(SAMPLES, sizeof(*a.late))) == NULL) {
		fprintf(stderr, "agentapp: a number out of range\n");
		return 2;
	}
	(void)prctl(PR_SET_TIMERSLACK, 1ul);
	if (pthread_create(&in, NULL, receiver, &a) != 0 ||
	    pthread_create(&out, NULL, sender, &a) != 0)
		return 1;
	pthread_join(out, NULL);
	usleep(DRAIN_MS * 1000);
	atomic_store(&a.done, true);
	pthread_join(in, NULL);
	tell(&a);
	free(a.us);
	free(a.late);
	return 0;
}
