/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The road between agents and the distributor, for tests/bench/agentpeak.py.
 * Two agents and a distributor on two processors cannot show what one agent
 * alone can carry: here the one that is measured has a processor to itself.
 * What a sending one gives is counted and goes no further. What a receiving
 * one is to get was kept before, as the distributor sealed it, and comes at
 * any rate while all others rest. What is neither RTP nor RTCP passes. RTCP of
 * agents is dropped, lest the distributor takes how we keep for a narrow road.
 *
 *	agentroad LISTEN-HOST DISTRIBUTOR-HOST PORT
 *
 * Commands come on standard input, a line each, and each is answered by a
 * JSON object when it is done:
 *
 *	ear PORT	of loopback is where the receiver's program would be
 *	pass		from now on RTP passes too
 *	sink		RTP from agents is counted, and dropped
 *	hold N		N packets of RTP from the distributor are kept
 *	play RATE BURST	those that were kept go on, BURST at a time
 *	count		what was counted since the last answer
 */
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/agentclock.h"

#define AGENTS	  16 /* each path of each agent is one */
#define BATCH	  32
#define PACKET	  1500
#define KEPT_MAX  131072u
#define ROOM	  (8 << 20)
#define SILENT_NS 300000000u /* behind the last packet that was played */

struct agent { /* who sends to us, and how we speak for it */
	struct sockaddr_in addr;
	int up;
};

struct kept {
	uint16_t len;
	uint8_t agent, p[PACKET];
};

static struct {
	int in, ear;
	struct sockaddr_in distributor;
	struct agent agent[AGENTS];
	unsigned nagents, want;
	struct kept *kept;
	atomic_bool sink, hold;
	atomic_uint nkept, counted, heard;
} road;

static struct sockaddr_in
address(const char *host, const char *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)) };

	if (inet_pton(AF_INET, host, &sin.sin_addr) != 1) {
		fprintf(stderr, "agentroad: %s is no address\n", host);
		exit(2);
	}
	return sin;
}

static int
udp(const struct sockaddr_in *sin, bool is_ours)
{
	int room = ROOM, fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) !=
	    0)
		(void)setsockopt(
		    fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	if (fd < 0 ||
	    (is_ours ? bind(fd, (const struct sockaddr *)sin, sizeof(*sin))
		     : connect(fd, (const struct sockaddr *)sin,
			   sizeof(*sin))) != 0) {
		perror("agentroad: socket");
		exit(1);
	}
	return fd;
}

static bool
is_media(const uint8_t *p, size_t n)
{
	return n >= 12 && p[0] >> 6 == 2;
}

static bool
is_rtcp(const uint8_t *p, size_t n)
{
	return is_media(p, n) && p[1] >= 192 && p[1] <= 223;
}

static bool
is_rtp(const uint8_t *p, size_t n)
{
	return is_media(p, n) && !is_rtcp(p, n);
}

/* ---- passing ------------------------------------------------------------- */

static struct agent *
agent_of(const struct sockaddr_in *from)
{
	struct agent *a = road.agent;

	for (unsigned i = 0; i < road.nagents; i++, a++)
		if (a->addr.sin_port == from->sin_port &&
		    a->addr.sin_addr.s_addr == from->sin_addr.s_addr)
			return a;
	if (road.nagents == AGENTS)
		return NULL;
	a->addr = *from;
	a->up = udp(&road.distributor, false);
	road.nagents++;
	return a;
}

static void
from_agent(const uint8_t *p, size_t n, const struct sockaddr_in *from)
{
	struct agent *a = agent_of(from);

	if (is_rtp(p, n) && atomic_load(&road.sink))
		atomic_fetch_add(&road.counted, 1);
	else if (a != NULL && !is_rtcp(p, n))
		(void)!send(a->up, p, n, 0);
}

static void
from_distributor(unsigned agent, const uint8_t *p, size_t n)
{
	struct kept *k = &road.kept[road.nkept];

	if (!is_rtp(p, n) || !atomic_load(&road.hold)) {
		(void)!sendto(road.in, p, n, 0,
		    (struct sockaddr *)&road.agent[agent].addr,
		    sizeof(road.agent[agent].addr));
		return;
	}
	if (road.nkept == road.want || n > PACKET)
		return;
	k->agent = (uint8_t)agent;
	k->len = (uint16_t)n;
	memcpy(k->p, p, n);
	road.nkept++;
}

/* agent: whose socket this is; AGENTS: it is road.in. */
static void
take(int fd, unsigned agent)
{
	static uint8_t p[BATCH][2048];
	static struct sockaddr_in from[BATCH];
	static struct mmsghdr msg[BATCH];
	static struct iovec iov[BATCH];
	int n;

	for (unsigned i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ p[i], sizeof(p[i]) };
		msg[i].msg_hdr.msg_name = &from[i];
		msg[i].msg_hdr.msg_namelen = sizeof(from[i]);
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
	}
	n = recvmmsg(fd, msg, BATCH, MSG_DONTWAIT, NULL);
	for (int i = 0; i < n; i++)
		if (agent == AGENTS)
			from_agent(p[i], msg[i].msg_len, &from[i]);
		else
			from_distributor(agent, p[i], msg[i].msg_len);
}

static void *
passing(void *arg)
{
	struct pollfd fds[AGENTS + 1];

	for (;;) {
		fds[AGENTS] = (struct pollfd){ road.in, POLLIN, 0 };
		for (unsigned i = 0; i < AGENTS; i++)
			fds[i] =
			    (struct pollfd){ i < road.nagents ? road.agent[i].up
							      : -1,
				    POLLIN, 0 };
		(void)poll(fds, AGENTS + 1, 100);
		for (unsigned i = 0; i <= AGENTS; i++)
			if (fds[i].revents != 0)
				take(fds[i].fd, i);
	}
	return arg;
}

static void *
hearing(void *arg)
{
	static uint8_t p[BATCH][2048];
	struct mmsghdr msg[BATCH] = { 0 };
	struct iovec iov[BATCH];
	int n;

	for (unsigned i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ p[i], sizeof(p[i]) };
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
	}
	for (;;)
		if ((n = recvmmsg(road.ear, msg, BATCH, MSG_WAITFORONE, NULL)) >
		    0)
			atomic_fetch_add(&road.heard, (unsigned)n);
	return arg;
}

static void
hear(unsigned port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	pthread_t t;

	road.ear = udp(&sin, true);
	if (pthread_create(&t, NULL, hearing, NULL) != 0)
		exit(1);
}

/* ---- commands ------------------------------------------------------------ */

static void
tell(uint64_t took_ns)
{
	printf("{\"kept\": %u, \"counted\": %u, \"heard\": %u, \"ms\": %.1f}\n",
	    road.nkept, atomic_exchange(&road.counted, 0),
	    atomic_exchange(&road.heard, 0), (double)took_ns / 1e6);
	fflush(stdout);
}

static void
play(unsigned rate, unsigned burst)
{
	uint64_t gap = 1000000000u * (uint64_t)burst / rate,
		 began = agentclock_ns();
	uint64_t at = began, took;
	const struct kept *k = road.kept;

	atomic_exchange(&road.heard, 0);
	for (unsigned i = 0; i < road.nkept; at += gap) {
		agentclock_yield(at);
		for (unsigned b = 0; b < burst && i < road.nkept; b++, i++, k++)
			(void)!sendto(road.in, k->p, k->len, 0,
			    (struct sockaddr *)&road.agent[k->agent].addr,
			    sizeof(struct sockaddr_in));
	}
	took = agentclock_ns() - began;
	agentclock_sleep(agentclock_ns() + SILENT_NS);
	tell(took);
}

static bool
command(const char *line)
{
	unsigned rate, burst, port;

	if (sscanf(line, "ear %u", &port) == 1 && road.ear < 0)
		hear(port);
	else if (sscanf(line, "hold %u", &road.want) == 1 &&
	    road.want <= KEPT_MAX) {
		road.nkept = 0;
		atomic_store(&road.hold, true);
	} else if (sscanf(line, "play %u %u", &rate, &burst) == 2 && rate > 0 &&
	    burst > 0) {
		play(rate, burst);
		return true;
	} else if (strcmp(line, "sink\n") == 0) {
		atomic_store(&road.sink, true);
	} else if (strcmp(line, "pass\n") == 0) {
		atomic_store(&road.sink, false);
		atomic_store(&road.hold, false);
	} else if (strcmp(line, "count\n") != 0) {
		return false;
	}
	tell(0);
	return true;
}

int
main(int argc, char **argv)
{
	struct sockaddr_in in;
	pthread_t t;
	char line[80];

	if (argc != 4) {
		fprintf(stderr,
		    "usage: agentroad LISTEN-HOST DISTRIBUTOR-HOST PORT\n");
		return 2;
	}
	in = address(argv[1], argv[3]);
	road.distributor = address(argv[2], argv[3]);
	road.in = udp(&in, true);
	road.ear = -1;
	if ((road.kept = calloc(KEPT_MAX, sizeof(*road.kept))) == NULL ||
	    pthread_create(&t, NULL, passing, NULL) != 0)
		return 1;
	while (fgets(line, sizeof(line), stdin) != NULL)
		if (!command(line)) {
			fprintf(stderr, "agentroad: what is %s", line);
			return 2;
		}
	return 0;
}
