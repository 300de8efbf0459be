/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an attacker sends, by kind, from addresses of its own or a leg's. Used
 * by the tests and by the benchmark.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define FLOOD_DATAGRAM 1500
#define FLOOD_SHOTS    64 /* different datagrams */
#define FLOOD_SOCKETS  16

enum flood_kind {
	FLOOD_GARBAGE, /* random octets, half with the look of RTP */
	FLOOD_STUN,    /* unknown USERNAMEs, and good ones with a bad key */
	FLOOD_HELLO,   /* DTLS ClientHello */
	FLOOD_REPLAY,  /* a leg's packets again */
	FLOOD_KINDS
};
extern const char *const flood_names[FLOOD_KINDS];

struct flood {
	enum flood_kind kind;
	struct sockaddr_in to;
	const char *ufrag; /* STUN: the MDD's of some leg */
	uint32_t ssrc;	   /* GARBAGE: of some leg */
	int leg_fd;	   /* REPLAY: half of them from here; -1: none */
	uint8_t shot[FLOOD_SHOTS][FLOOD_DATAGRAM];
	size_t len[FLOOD_SHOTS];
	int fd[FLOOD_SOCKETS];
};

/* Make the shots (REPLAY: the caller has) and open the sockets. Aborts. */
void flood_open(struct flood *f);
void flood_close(struct flood *f);
/* Send n of them, 64 at a time. */
void flood_send(struct flood *f, unsigned n);
