/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What mdd/leg.c needs of mdd/room.c; everybody else sees mdd/leg.h alone.
 */
#pragma once

#include "mdd/leg.h"

struct mdd_room *mdd_room_find(struct mdd_legs *l, const char *key);
/* NULL: no more of them. */
struct mdd_room *mdd_room_make(struct mdd_legs *l, const char *key);
void mdd_room_drop_empty(struct mdd_legs *l, struct mdd_room *room);
/* May this join come in? May end an older try of the same member. */
PERC_MUST int mdd_room_admit(
    struct mdd_legs *l, struct mdd_room *room, const struct mdd_join *j);
/* Records for a leg's SSRCs, old or new; room_admit saw that they fit. */
void mdd_room_give_sources(struct mdd_legs *l, struct mdd_leg *leg);
/* A conference's record of ssrc, or NULL; and a place for a new one, if need
 * be that of one whose leg is gone, or NULL. */
struct mdd_source *mdd_room_source(const struct mdd_room *room, uint32_t ssrc);
struct mdd_source *mdd_room_source_new(
    const struct mdd_legs *l, struct mdd_room *room, uint32_t ssrc);
bool mdd_leg_has(const struct mdd_leg *leg, uint32_t ssrc);
