/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams on their way out: written in place, sent many at a time with
 * sendmmsg; those that follow each other to one address and are of one size
 * leave as segments of one message (UDP_SEGMENT), where the system can. What
 * it does not take at once is dropped and counted, as UDP would. Also the
 * addresses of both directions.
 */
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "mdd/count.h"
#include "perc/err.h"
#include "perc/rtp.h"

#define MDD_BATCH   64			 /* datagrams of one system call */
#define MDD_OUT_MAX (PERC_MTU_MAX + 192) /* octets of one that we send */

struct mdd_addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
	} u;
	socklen_t len; /* 0: none */
	/* Links between the same two workers share an address: theirs go in
	 * ChannelData (RFC 8656 section 12.4), MDD_CHANNEL_MIN and up. */
	uint16_t channel;
};
#define MDD_CHANNEL_MIN	 0x4000
#define MDD_CHANNEL_MAX	 0x4fff
#define MDD_CHANNEL_HEAD 4 /* octets: number, length of what follows */
bool mdd_addr_same(const struct mdd_addr *a, const struct mdd_addr *b);
/* What tells addresses apart, for hashing: n octets of at most 24. */
size_t mdd_addr_key(uint8_t out[static 24], const struct mdd_addr *a);

struct mdd_batch;

/* fd is borrowed; count is where MDD_TX_ counters are; segments: may several
 * datagrams leave as one message? */
PERC_MUST int
mdd_batch_new(struct mdd_batch **bp, int fd, uint64_t *count, bool segments);
void mdd_batch_free(struct mdd_batch *b);
/* The next free buffer of MDD_OUT_MAX octets; valid until the next call. */
uint8_t *mdd_batch_slot(struct mdd_batch *b);
/* Send the n octets in that buffer to `to`. */
void mdd_batch_commit(struct mdd_batch *b, const struct mdd_addr *to, size_t n);
void mdd_batch_flush(struct mdd_batch *b);
