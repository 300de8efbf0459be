/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was sent, to be sent again. Packets are kept once per worker, as they
 * were opened: still inner ciphertext, whatever became of the outer layer. A
 * leg keeps a ledger of what it got: 32 octets a packet, with the tag that the
 * outer layer had. Sealed again under the same index a packet must have that
 * very tag, so that the octets are those of the first time or nothing is sent
 * (RFC 7714 section 8.4). Made at start, nothing is allocated later.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"
#include "perc/gcm.h"

#define MDD_RTX_AGE_MS	1000 /* older ones help no decoder */
#define MDD_RTX_TRIES	3    /* that one packet goes again to one leg */
#define MDD_RTX_WAIT_MS 15   /* between two of them */

/* ---- packets, in the order they came ------------------------------------ */
struct mdd_kept {
	const uint8_t *p, *tail; /* valid until the next put */
	size_t n, taillen;
	int64_t at_ms;
};

struct mdd_rtx;
/* room: octets of all packets; 0: *rp is NULL, and nothing is kept. */
PERC_MUST int mdd_rtx_new(struct mdd_rtx **rp, size_t room);
void mdd_rtx_free(struct mdd_rtx *r);
/* Its number, never 0; 0: it is not kept. */
uint32_t mdd_rtx_put(struct mdd_rtx *r, const uint8_t *p, size_t n,
    const uint8_t *tail, size_t taillen, int64_t now_ms);
/* False: it is gone. */
bool mdd_rtx_get(const struct mdd_rtx *r, uint32_t number, int64_t now_ms,
    struct mdd_kept *k);
size_t mdd_rtx_held(const struct mdd_rtx *r); /* octets in use */

/* ---- what one leg was sent ------------------------------------------------ */
struct mdd_sent {
	uint32_t ssrc, number;
	uint16_t seq;  /* outer, as this receiver saw it */
	uint16_t tseq; /* transport-wide, if the leg has that */
	uint16_t at;   /* ms, when it went out last */
	uint8_t tries;
	uint8_t keys; /* of which handshake */
	uint8_t tag[PERC_SRTP_TAG_LEN];
};

struct mdd_ledger {
	struct mdd_sent *line; /* NULL: none is kept */
	uint32_t lines;	       /* a power of two */
	uint32_t n;	       /* written so far */
	unsigned credit;       /* quarters of packets that may go again */
};
#define MDD_LEDGER_CREDIT 4   /* sent ones that pay for one again */
#define MDD_LEDGER_BURST  256 /* that may go again at once */

void
mdd_ledger_init(struct mdd_ledger *l, struct mdd_sent *line, uint32_t lines);
/* out: the sealed packet, n octets, without its tail. */
void mdd_ledger_note(struct mdd_ledger *l, const uint8_t *out, size_t n,
    uint32_t number, uint16_t tseq, uint8_t keys, int64_t now_ms);
/* The lines from the oldest on: i from mdd_ledger_first to l->n. */
uint32_t mdd_ledger_first(const struct mdd_ledger *l);
struct mdd_sent *mdd_ledger_at(const struct mdd_ledger *l, uint32_t i);
/* May s go once more now? Counts it when true. */
bool
mdd_ledger_take(struct mdd_ledger *l, struct mdd_sent *s, int64_t now_ms);
