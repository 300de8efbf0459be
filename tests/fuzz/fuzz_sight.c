/* SPDX-License-Identifier: Apache-2.0 */
/* Clear headers of one source, one after the other: what they tell is within
 * bounds, and what goes on of them is a whole extension block. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mdd/sight.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
one(struct mdd_sight *s, const uint8_t *p, size_t n)
{
	uint8_t out[PERC_HDREXT_MAX];
	struct mdd_frame f;
	struct perc_rtp h;
	size_t len = 0;

	if (perc_rtp_parse(&h, p, n) != 0)
		return;
	(void)mdd_sight_look(s, &h, p, true, &f);
	if (s->templates > MDD_TEMPLATES_MAX || f.tid > MDD_TID_MAX ||
	    f.enter > MDD_TID_MAX || f.level > 127)
		abort();
	if (mdd_sight_strip(&h, p, n % 2, out, &len) &&
	    (len > sizeof(out) || len % 4 != 0))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct mdd_sight s;
	size_t len;

	memset(&s, 0, sizeof(s));
	while (n > 1) { /* each behind its length */
		len = p[0] < n - 1 ? p[0] : n - 1;
		one(&s, p + 1, len);
		p += 1 + len;
		n -= 1 + len;
	}
	return 0;
}
