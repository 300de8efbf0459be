/* SPDX-License-Identifier: Apache-2.0 */
/* A worker without its process, three peers on loopback, and their RTCP. */
#pragma once

#include <netinet/in.h>

#include "mdd/worker.h"
#include "tests/mdd/peer.h"

#define SSRC_A	0x11111111u
#define SSRC_A2 0x11112222u /* listed with SSRC_A, like video with audio */
#define SSRC_B	0x22222222u
#define SSRC_C	0x33333333u

struct world {
	struct perc_loop *loop;
	struct mdd_worker w;
	int udp;
	struct sockaddr_in at;
	struct peer a, b, c;
};

extern struct mdd_setup world_limits; /* of the next world */

/* cmocka set-up and tear-down of one test; *state is the world. */
int world_open(void **state);
int world_close(void **state);
void world_pump(void *world);
/* A leg for p as control would make it, and the peer ready to connect. */
struct mdd_leg *
world_join(struct world *x, struct peer *p, const char *member, uint32_t ssrc);
/* a and b joined and up; what the MDD asked for then is thrown away. */
void world_two(struct world *x);
struct mdd_leg *world_leg(struct world *x, const struct peer *p);
/* An RTP packet of p's with this body; its octets in d. */
size_t world_rtp(struct peer *p, uint8_t d[PEER_PACKET], uint32_t ssrc,
    uint16_t seq, const char *body);
void world_rtcp(struct peer *p, const void *c, size_t n);
/* The next compound for p within ms, opened; 0: none. */
size_t world_rtcp_in(struct peer *p, uint8_t d[PEER_PACKET], int ms);
/* Let ms pass, serving the worker. */
void world_wait(struct world *x, int ms);
/* A generic NACK of p (whose SSRC is own). */
void world_nack(
    struct peer *p, uint32_t own, uint32_t media, uint16_t pid, uint16_t blp);
