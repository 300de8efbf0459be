/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last N who spoke, by the levels that audio packets tell (RFC 6464). Time
 * is an input. Loudness is smoothed, quick to rise and slow to fall; whoever
 * is in stays for a while, and who wants in must be clearly louder than the
 * quietest of those who have had their while. So a cough moves nobody, two
 * equal voices do not take turns, and who begins to speak is in within tenths
 * of a second.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MDD_VOICE_HOLD_MS    2000 /* least time of one in the set */
#define MDD_VOICE_ATTACK_MS  100
#define MDD_VOICE_RELEASE_MS 600
#define MDD_VOICE_QUIET_MS   300       /* no packet: as if silence had come */
#define MDD_VOICE_MARGIN     (6 * 16)  /* that a newcomer must be louder by */
#define MDD_VOICE_FLOOR	     (67 * 16) /* -60 dBov: who is below asks nothing */

struct mdd_voice {
	int64_t heard_ms, in_ms;
	int32_t loud; /* 16ths of a dB above -127 dBov, smoothed */
	bool levels;  /* it told one: only such voices are ranked */
	bool in;      /* it is one of the N */
};

/* A packet of this voice told a level, 0 (loudest) to 127. */
void mdd_voice_hear(struct mdd_voice *v, uint8_t level, int64_t now_ms);
int32_t mdd_voice_loud(const struct mdd_voice *v, int64_t now_ms);
/* Let n of the count voices be in (n 0: all). True when the set changed. */
bool mdd_voices_choose(
    struct mdd_voice *const *v, unsigned count, unsigned n, int64_t now_ms);
