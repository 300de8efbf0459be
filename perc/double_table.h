/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The SSRCs of one receiver: those listed, and as many again that were listed
 * once and keep their replay window. Used by double_rx.c alone.
 */
#pragma once

#include <stdint.h>

#include "perc/double_stream.h"

#define RX_SSRCS_MAX 4096

struct rx_table {
	struct rx_stream **stream;
	uint16_t *index; /* open-addressed, 1 + place in stream */
	uint32_t mask;
	unsigned n, max_ssrcs, window;
	uint64_t clock; /* counts streams that went */
};

/* PERC_ERR_INVAL, PERC_ERR_NOMEM. */
PERC_MUST int rx_table_init(struct rx_table *t, unsigned max_ssrcs,
    unsigned window);
void rx_table_clear(struct rx_table *t);
/* As perc_double_rx_list. */
PERC_MUST int rx_table_list(struct rx_table *t, const uint32_t *ssrcs,
    size_t n);
/* The stream, listed or not, or NULL. */
struct rx_stream *rx_table_find(const struct rx_table *t, uint32_t ssrc);
