/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker does for a leg some times a second and not for each packet:
 * asking its sender for what is missing, feedback, letting go what waited. Only legs that have something to do
 * stand in the list, and the timer runs only while one does.
 */
#pragma once

#include <stdint.h>

struct mdd_worker;
struct mdd_leg;

#define MDD_BEAT_MS 5

/* leg has something to do from now on; costs nothing when it had already. */
void mdd_beat_start(struct mdd_worker *w, struct mdd_leg *leg);
void mdd_beat_stop(struct mdd_leg *leg);
/* One round; the timer calls it. */
void mdd_beat(struct mdd_worker *w, int64_t now_ms);
