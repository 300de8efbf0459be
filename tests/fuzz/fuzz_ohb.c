/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An outer-opened packet from a hostile distributor: the OHB has one spelling
 * (but for the top bit of PT), and the synthetic packet stays inside.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/inner.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t out[PERC_OHB_MAX];
	struct perc_inner in;
	struct perc_ohb o;
	size_t len;

	if (perc_ohb_get(&o, p, n) == 0) {
		len = o.len;
		perc_ohb_put(&o, out);
		if (o.len != len || len > n ||
		    (len > 1 &&
			memcmp(out + 1, p + n - len + 1, len - 1) != 0) ||
		    ((out[0] ^ p[n - len]) & (o.has_pt ? 0x7f : 0xff)) != 0)
			abort();
	}
	if (perc_inner_parse(&in, p, n) != 0)
		return 0;
	if (in.header_len > PERC_INNER_HEADER_MAX ||
	    in.ciphertext != p + in.h.header_len ||
	    in.h.header_len + in.ciphertext_len + in.ohb.len != n ||
	    in.ciphertext_len < PERC_SRTP_TAG_LEN || in.header[0] & 0x10)
		abort();
	return 0;
}
