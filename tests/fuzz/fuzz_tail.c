/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a packet from anybody: a field is found whole, or not at all. */
#include <stdint.h>
#include <stdlib.h>

#include "perc/tail.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct perc_tail t;

	if (perc_tail_find(&t, p, n) != 0)
		return 0;
	if (t.len < 1 || t.len > n || t.len > PERC_TAIL_MAX || t.type == 1)
		abort();
	if (t.type == PERC_TAIL_FULL &&
	    (t.ciphertext != p + n - t.len || t.ciphertext_len != t.len - 7 ||
		t.ciphertext_len % 8 != 0 || t.ciphertext_len < 16))
		abort();
	return 0;
}
