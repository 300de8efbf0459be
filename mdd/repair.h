/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retransmission as SDP can agree on it (RFC 4588): a stream of its own, with
 * a payload type and an SSRC of its own, whose packets carry the original
 * sequence number and payload. For legs that have a plan (mdd/plan.h); a leg of
 * Double gets the very datagram again (mdd/nack.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mdd/rtx.h"
#include "perc/err.h"
#include "perc/rtp.h"

struct mdd_leg;
struct mdd_worker;

/* Packet k went to `to` as s and is to go again: false where that is not by a
 * repair stream; *sent says whether it went. */
bool mdd_repair_send(struct mdd_worker *w, struct mdd_leg *to,
    const struct mdd_sent *s, const struct mdd_kept *k, int64_t now_ms,
    bool *sent);
/* ssrc repairs which of the leg's SSRCs? PERC_ERR_NOTFOUND. */
PERC_MUST int mdd_repair_index(const struct mdd_leg *leg, uint32_t ssrc);
/*
 * The opened packet *p (*n octets, *h) of such a stream becomes the packet
 * that was lost, of the leg's SSRC i. False: nobody misses it, or it is
 * malformed.
 */
bool mdd_repair_open(struct mdd_worker *w, struct mdd_leg *leg, unsigned i,
    struct perc_rtp *h, uint8_t **p, size_t *n);
