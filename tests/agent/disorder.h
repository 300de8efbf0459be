/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A front that was taken over: it has whatever a front can get or keep, and
 * says every message of agent/vaultmsg.h in any order. What it says is octets,
 * those of tests/fuzz/corpus/vault, so that a fuzzer, a file and our own search
 * drive one thing; what must never come of it is in disorder_oracle.c.
 *
 * The vault is the one that the program is linked with, in this process, with
 * its real channel; only its clock and its local sockets are ours.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The other letters are frames as they are: type (1), length (2), payload. One
 * whose payload is '@' op a b c is made here; what is missing there is 0. */
enum disorder_op {
	DISORDER_OPEN,	 /* a: conference; b: 1 of a KMF that is not pinned */
	DISORDER_KEY,	 /* a; b: enum disorder_lie; c: epoch above the 1st */
	DISORDER_ROSTER, /* a; b: enum disorder_lie; c: which of three */
	DISORDER_SPOKEN, /* payload type, payload: of a member, well sealed */
	DISORDER_HELLO,
	DISORDER_EPOCH,	 /* as KEY */
	DISORDER_NOTICE, /* a; b: enum disorder_lie; c: ended, evicted */
	DISORDER_LEAVE,	 /* a */
	DISORDER_MEDIA,	 /* a: slot; b: enum disorder_media; c: epoch */
	DISORDER_RTCP,	 /* a: slot; b: what */
	DISORDER_SAY,	 /* a: slot: its application sends */
	DISORDER_TIME,	 /* a: how long; b: 1 and timers are late */
	DISORDER_STATUS, /* a */
	DISORDER_PROOF,	 /* b: 1 for somebody else's URL */
	DISORDER_SLEEP,	 /* the supervisor says so */
	DISORDER_OPS
};

enum disorder_lie {
	DISORDER_TRUE,	   /* what the KMF makes */
	DISORDER_FOREIGN,  /* by another's key, under the KMF's name */
	DISORDER_AGAIN,	   /* the last of its kind, once more */
	DISORDER_OTHER,	   /* the other conference's */
	DISORDER_AUDIENCE, /* for another vault; EPOCH: another's copy */
	DISORDER_USAGE,	   /* no EKT key; EPOCH: of another epoch's copy */
	DISORDER_OLD,	   /* held back until its time was over */
	DISORDER_LIES
};

enum disorder_media {
	DISORDER_SEALED,
	DISORDER_SEALED_OTHER, /* in the other conference */
	DISORDER_PLAIN,
	DISORDER_HOP,	/* with a field, and nothing inside */
	DISORDER_FALSE, /* under a key of the same SPI that nobody gave */
	DISORDER_TWICE, /* the last one */
	DISORDER_MEDIAS
};

/* Against a new vault. NULL: nothing happened that must not; else what. */
const char *disorder_run(const uint8_t *p, size_t n);

/* What all runs together saw, so that silence is known not to be idleness. */
struct disorder_seen {
	unsigned keys, sent, played, erased, receipts, ended;
};
extern struct disorder_seen disorder_seen;

#define DISORDER_MAX 512 /* octets of an order that the search makes */

struct disorder_found {
	unsigned tried;	 /* orders, this one included */
	const char *why; /* what the oracle said */
	uint8_t order[DISORDER_MAX];
	size_t n;
};

/*
 * From each state every message, from a conference that is on every two, then
 * at random, but the same each time, longer ones. True: one broke it; the
 * shortest that is left when what is not needed is taken out.
 */
bool disorder_search(struct disorder_found *f);
/* The order in words, for people. */
void disorder_print(char *out, size_t cap, const uint8_t *p, size_t n);
