/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What mdd/select.c decides by: who of a room speaks, which sources are layers
 * of one picture, how much each of them sends. Each raises the room's
 * generation when it finds news.
 */
#pragma once

#include <stdint.h>

#include "mdd/leg.h"

void
mdd_survey_voices(struct mdd_legs *l, struct mdd_room *room, int64_t now_ms);
void mdd_survey_pictures(struct mdd_room *room);
void mdd_survey_rates(struct mdd_room *room, int64_t now_ms);
