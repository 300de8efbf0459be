/* SPDX-License-Identifier: Apache-2.0 */
/* What perch-mdd-liar is told, by a file of this form beside it: tests/e2e/
 * test_liar.py writes it, `lie` last. */
#pragma once

#include <stdint.h>

#include "mdd/batch.h"
#include "perc/forward.h"

enum lie {
	LIE_NONE,
	LIE_DROP,
	LIE_REPLAY,
	LIE_PAYLOAD,
	LIE_SSRC,
	LIE_OHB,
	LIE_BIT,
	LIE_DELAY,
	LIE_PLAIN,
	LIE_BARE,
	LIE_SPI,
};

struct orders {
	volatile uint32_t lie;
	volatile uint32_t one, other; /* SSRCs; 0: nobody's */
	volatile uint32_t delay_ms;
	volatile uint32_t told; /* written by the liar */
};

/* The linker's names (--wrap): as they are, and as ours. */
int __real_perc_forward(struct perc_srtp *tx, const struct perc_rewrite *w,
    const uint8_t *in, size_t n, uint8_t *out, size_t cap, size_t *outlen);
void __real_mdd_batch_commit(
    struct mdd_batch *b, const struct mdd_addr *to, size_t n);
int __wrap_perc_forward(struct perc_srtp *tx, const struct perc_rewrite *w,
    const uint8_t *in, size_t n, uint8_t *out, size_t cap, size_t *outlen);
void __wrap_mdd_batch_commit(
    struct mdd_batch *b, const struct mdd_addr *to, size_t n);
