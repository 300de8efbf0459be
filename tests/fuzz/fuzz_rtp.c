/* SPDX-License-Identifier: Apache-2.0 */
/* An RTP header from anybody: whatever parses lies inside the packet. */
#include <stdint.h>
#include <stdlib.h>

#include "perc/rtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct perc_rtp h;

	(void)perc_pkt_kind(p, n);
	if (perc_rtp_parse(&h, p, n) != 0)
		return 0;
	if (h.fixed_len != PERC_RTP_MIN + 4u * h.cc || h.header_len > n ||
	    h.header_len < h.fixed_len + (h.extension ? 4 : 0) || h.pt > 127)
		abort();
	return 0;
}
