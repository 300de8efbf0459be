/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The announcement's octets: an RTCP APP packet (RFC 3550 section 6.7) of
 * blocks, each a member's SSRCs and the path by which they can be had.
 */
#include <string.h>

#include "mdd/link.h"
#include "perc/wire.h"

#define APP_TYPE    204
#define APP_SUBTYPE 1
#define APP_SSRC    1u

static const char app_name[4] = { 'P', 'R', 'C', 'L' };

void
mdd_hello_begin(struct mdd_hello *h, uint8_t buf[static MDD_HELLO_MAX])
{
	struct perc_wire w;

	memset(h, 0, sizeof(*h));
	h->buf = buf;
	perc_wire_writer(&w, buf, MDD_HELLO_MAX);
	perc_wire_put_u8(&w, 0x80 | APP_SUBTYPE);
	perc_wire_put_u8(&w, APP_TYPE);
	perc_wire_put_u16(&w, 0); /* known at the end */
	perc_wire_put_u32(&w, APP_SSRC);
	perc_wire_put_bytes(&w, app_name, sizeof(app_name));
	h->len = h->empty = w.pos;
}

bool
mdd_hello_add(struct mdd_hello *h, const struct mdd_link_path *p,
    uint64_t member, const uint32_t *ssrcs, unsigned n)
{
	struct perc_wire w;
	unsigned i;

	perc_wire_writer(&w, h->buf + h->len, MDD_HELLO_MAX - h->len);
	perc_wire_put_u8(&w, p->hops);
	perc_wire_put_u8(&w, (uint8_t)n);
	perc_wire_put_u16(&w, 0);
	perc_wire_put_u64(&w, member);
	for (i = 0; i < p->hops; i++)
		perc_wire_put_u64(&w, p->node[i]);
	for (i = 0; i < n; i++)
		perc_wire_put_u32(&w, ssrcs[i]);
	if (perc_wire_end(&w) != 0)
		return false;
	h->len += w.pos;
	return true;
}

size_t
mdd_hello_end(struct mdd_hello *h)
{
	size_t words = h->len / 4 - 1;

	if (h->len == h->empty)
		return 0;
	h->buf[2] = (uint8_t)(words >> 8);
	h->buf[3] = (uint8_t)words;
	return h->len;
}

static void
block_read(struct perc_wire *w, mdd_hello_fn fn, void *arg)
{
	struct mdd_word word = { .path.hops = perc_wire_get_u8(w) };
	unsigned i, count = perc_wire_get_u8(w);
	uint32_t ssrc;

	if (perc_wire_get_u16(w) != 0 || count == 0 ||
	    count > MDD_TOKEN_SSRCS || word.path.hops == 0 ||
	    word.path.hops > MDD_LINK_PATH) {
		perc_wire_fail(w, PERC_ERR_FORMAT);
		return;
	}
	word.member = perc_wire_get_u64(w);
	for (i = 0; i < word.path.hops; i++)
		word.path.node[i] = perc_wire_get_u64(w);
	for (i = 0; i < count; i++) {
		ssrc = perc_wire_get_u32(w);
		if (w->err != 0)
			return;
		word.place = (uint8_t)i;
		if (i == 0)
			word.head = ssrc;
		fn(&word, ssrc, arg);
	}
}

int
mdd_hello_read(const uint8_t *p, size_t n, mdd_hello_fn fn, void *arg)
{
	const uint8_t *name;
	struct perc_wire w;
	uint8_t first;

	perc_wire_reader(&w, p, n);
	first = perc_wire_get_u8(&w);
	if (perc_wire_get_u8(&w) != APP_TYPE || first != (0x80 | APP_SUBTYPE))
		return PERC_ERR_UNSUPPORTED;
	(void)perc_wire_get_u16(&w);
	(void)perc_wire_get_u32(&w);
	name = perc_wire_get_bytes(&w, sizeof(app_name));
	if (name == NULL || memcmp(name, app_name, sizeof(app_name)) != 0)
		return PERC_ERR_UNSUPPORTED;
	while (w.err == 0 && w.pos < n)
		block_read(&w, fn, arg);
	return perc_wire_end(&w);
}
