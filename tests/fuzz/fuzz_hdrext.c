/* SPDX-License-Identifier: Apache-2.0 */
/* Header extensions from anybody: every element lies inside the header, and
 * what was read can be written and read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/hdrext.h"

#define ITEMS 64

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
again(const struct perc_hdrext_item *items, unsigned n)
{
	uint8_t out[12 + 4096] = { 0x90, 0 };
	struct perc_hdrext_iter it;
	struct perc_hdrext_item t;
	struct perc_rtp h;
	unsigned i;
	size_t len;
	int r = perc_hdrext_put(out + 12, PERC_HDREXT_MAX, items, n, &len);

	if (r != 0 || n == 0)
		return;
	if (len % 4 != 0 || perc_rtp_parse(&h, out, 12 + len) != 0 ||
	    h.header_len != 12 + len || !perc_hdrext_begin(&it, &h, out))
		abort();
	for (i = 0; i < n; i++)
		if (!perc_hdrext_next(&it, &t) || t.id != items[i].id ||
		    t.len != items[i].len ||
		    memcmp(t.data, items[i].data, t.len) != 0)
			abort();
	if (perc_hdrext_next(&it, &t))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct perc_hdrext_item items[ITEMS];
	struct perc_hdrext_iter it;
	struct perc_rtp h;
	unsigned k = 0;

	if (perc_rtp_parse(&h, p, n) != 0 || !perc_hdrext_begin(&it, &h, p))
		return 0;
	while (k < ITEMS && perc_hdrext_next(&it, &items[k])) {
		if (items[k].data < p + h.fixed_len + PERC_HDREXT_HEAD ||
		    items[k].data + items[k].len > p + h.header_len ||
		    items[k].id == 0)
			abort();
		k++;
	}
	again(items, k);
	return 0;
}
