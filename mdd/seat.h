/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of legs that have a plan (mdd/plan.h): on their way in payload type
 * and extension ids become the same for the whole room, on their way out those
 * of the receiver, with the MID of the m-line where it hears the source.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mdd/leg.h"
#include "perc/forward.h"
#include "perc/hdrext.h"

#define MDD_SEAT_PT 96 /* of the room: this + enum mdd_codec */

/* Its extension ids alone; what the leg has and we do not know goes. */
void mdd_seat_ids_in(
    const struct mdd_plan *plan, uint8_t *p, const struct perc_rtp *h);
/* The opened packet p (n octets), in place. False: no codec of the plan. */
bool mdd_seat_in(const struct mdd_leg *from, uint8_t *p, size_t n);
/* Add to *w what `to` needs of the room's packet p; ext is room for what w
 * then points to. False: it does not speak the codec, or all its m-lines of
 * this kind are taken. */
bool mdd_seat_out(struct mdd_leg *to, const uint8_t *p, size_t n,
    int64_t now_ms, struct perc_rewrite *w,
    uint8_t ext[static PERC_HDREXT_MAX]);
