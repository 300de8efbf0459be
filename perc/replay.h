/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet indices (ROC << 16 | SEQ): guessing the ROC of a packet (RFC 3711
 * section 3.3.1) and remembering which indices were used (section 3.3.2).
 * The bits live in the caller's memory, so that a table of streams is one
 * allocation. Check first, verify the tag, then commit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PERC_REPLAY_MIN 64		  /* packets of the smallest window */
#define PERC_REPLAY_MAX 1024		  /* and of the largest */
#define PERC_INDEX_MAX	0xffffffffffffull /* 48 bits */

struct perc_replay {
	uint64_t top;	/* highest index committed */
	uint64_t *bits; /* ring of words, the caller's */
	uint32_t window;
	uint32_t mask; /* words - 1 */
	bool started;  /* something was committed */
};

/* Words of memory for a window; 0 for a window out of range. */
size_t perc_replay_words(unsigned window);
/* window must be in range; bits has perc_replay_words(window) words. */
void perc_replay_init(struct perc_replay *r, unsigned window, uint64_t *bits);
/* 0, or PERC_ERR_REPLAY: seen, or older than the window. */
PERC_MUST int perc_replay_check(const struct perc_replay *r, uint64_t index);
/* Only after a check that gave 0. */
void perc_replay_commit(struct perc_replay *r, uint64_t index);
/* Everything up to index counts as seen. */
void perc_replay_close(struct perc_replay *r, uint64_t index);

/*
 * The index of SEQ nearest to `near`. Below the first index there is nothing,
 * so a guess never goes under ROC 0; PERC_ERR_LIMIT beyond 48 bits.
 */
PERC_MUST int perc_index_guess(uint64_t *index, uint64_t near, uint16_t seq);
