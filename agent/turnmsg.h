/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the front and perch-turn say to each other, on a socketpair of
 * SOCK_SEQPACKET, one message a packet. Both are of one build and one
 * machine, so structs go as they are. docs/wire/turn.md is the same at
 * length.
 *
 * An OPEN carries a descriptor: the far end of a pair of SOCK_SEQPACKET on
 * which the datagrams of this relay travel, both ways and as they are. The
 * front closes its own end when it needs the relay no more. While there is no
 * relay (yet, or again), perch-turn throws away what it is given to send.
 */
#pragma once

#include <stdint.h>
#include <sys/socket.h>

#define TURN_WORDS_MAX	256
#define TURN_SERVERS_MAX 4
#define TURN_RELAYS_MAX	32 /* at the same time */

enum turn_type {
	TURN_OPEN = 1, /* front -> perch-turn */
	TURN_TOLD,     /* perch-turn -> front: how the relay is */
};

struct turn_open {
	uint32_t type, id; /* id: the front's choice */
	int32_t server;	   /* its place in the configuration; -1: any */
	struct sockaddr_storage peer;
};

struct turn_told {
	uint32_t type, id;
	uint32_t up;		    /* 1: it carries */
	char words[TURN_WORDS_MAX]; /* the server's URL, or what fails */
};
