/* SPDX-License-Identifier: Apache-2.0 */
/* An announcement from another MDD: what can be read has SSRCs and paths in
 * bounds, and written again it says the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mdd/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct heard {
	unsigned n;
	struct mdd_word first;
	uint32_t ssrc;
};

static void
hear(const struct mdd_word *w, uint32_t ssrc, void *arg)
{
	struct heard *h = arg;

	if (w->path.hops == 0 || w->path.hops > MDD_LINK_PATH ||
	    w->place >= MDD_TOKEN_SSRCS)
		abort();
	if (h->n++ == 0) {
		h->first = *w;
		h->ssrc = ssrc;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct heard a = { .n = 0 }, b = { .n = 0 };
	uint8_t buf[MDD_HELLO_MAX];
	struct mdd_hello h;

	if (mdd_hello_read(p, n, hear, &a) != 0 || a.n == 0)
		return 0;
	mdd_hello_begin(&h, buf);
	if (!mdd_hello_add(&h, &a.first.path, a.first.member, &a.ssrc, 1) ||
	    mdd_hello_read(buf, mdd_hello_end(&h), hear, &b) != 0 || b.n != 1 ||
	    b.ssrc != a.ssrc ||
	    memcmp(&a.first.path, &b.first.path, sizeof(a.first.path)) != 0)
		abort();
	return 0;
}
