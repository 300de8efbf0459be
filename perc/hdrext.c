/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Elements of an extension block (RFC 8285 sections 4.2 and 4.3). A block may
 * be padded anywhere with zero octets, between elements too. What surprises:
 * the one-byte form counts its length from one and can hold no empty element,
 * while id 15 there means "stop reading", and an id 0 that has a length does
 * as well. A key frame's dependency descriptor is often longer than the 16
 * octets of that form, so the writer must know both.
 */
#include "perc/hdrext.h"

#include <string.h>

#define ONE_STOP    15
#define ONE_LEN_MAX 16

bool
perc_hdrext_begin(
    struct perc_hdrext_iter *it, const struct perc_rtp *h, const uint8_t *p)
{
	memset(it, 0, sizeof(*it));
	if (!h->extension || h->header_len < h->fixed_len + PERC_HDREXT_HEAD)
		return false;
	it->two = (h->ext_profile & PERC_HDREXT_TWO_MASK) == PERC_HDREXT_TWO;
	if (!it->two && h->ext_profile != PERC_HDREXT_ONE)
		return false;
	it->p = p + h->fixed_len + PERC_HDREXT_HEAD;
	it->left = h->header_len - h->fixed_len - PERC_HDREXT_HEAD;
	return true;
}

/* The head of an element: octets it takes, 0 when the list ends here. */
static size_t
head_get(struct perc_hdrext_iter *it, struct perc_hdrext_item *item)
{
	if (it->two) {
		if (it->left < 2)
			return 0;
		item->id = it->p[0];
		item->len = it->p[1];
		return 2;
	}
	item->id = it->p[0] >> 4;
	item->len = (uint8_t)((it->p[0] & 15) + 1);
	return item->id == 0 || item->id == ONE_STOP ? 0 : 1;
}

bool
perc_hdrext_next(struct perc_hdrext_iter *it, struct perc_hdrext_item *item)
{
	size_t head;

	while (it->left > 0 && *it->p == 0) { /* padding */
		it->p++;
		it->left--;
	}
	if (it->left == 0 || (head = head_get(it, item)) == 0 ||
	    item->len > it->left - head) {
		it->left = 0;
		return false;
	}
	item->data = it->p + head;
	it->p += head + item->len;
	it->left -= head + item->len;
	return true;
}

bool
perc_hdrext_find(const struct perc_rtp *h, const uint8_t *p, uint8_t id,
    struct perc_hdrext_item *item)
{
	struct perc_hdrext_iter it;

	if (!perc_hdrext_begin(&it, h, p))
		return false;
	while (perc_hdrext_next(&it, item))
		if (item->id == id)
			return true;
	return false;
}

static bool
fits_one(const struct perc_hdrext_item *items, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (items[i].id >= ONE_STOP || items[i].len == 0 ||
		    items[i].len > ONE_LEN_MAX)
			return false;
	return true;
}

int
perc_hdrext_put(uint8_t *out, size_t cap, const struct perc_hdrext_item *items,
    unsigned n, size_t *len)
{
	bool one = fits_one(items, n);
	struct perc_wire w;
	unsigned i;
	int r;

	*len = 0;
	if (n == 0)
		return 0;
	perc_wire_writer(&w, out, cap);
	perc_wire_put_u16(&w, one ? PERC_HDREXT_ONE : PERC_HDREXT_TWO);
	perc_wire_put_u16(&w, 0); /* known at the end */
	for (i = 0; i < n; i++) {
		if (items[i].id == 0 || items[i].id == ONE_STOP)
			return PERC_ERR_INVAL;
		if (one) {
			perc_wire_put_u8(&w,
			    (uint8_t)(items[i].id << 4 | (items[i].len - 1)));
		} else {
			perc_wire_put_u8(&w, items[i].id);
			perc_wire_put_u8(&w, items[i].len);
		}
		perc_wire_put_bytes(&w, items[i].data, items[i].len);
	}
	while (w.err == 0 && w.pos % 4 != 0)
		perc_wire_put_u8(&w, 0);
	if ((r = perc_wire_end(&w)) != 0)
		return r;
	/* RFC 3550 section 5.3.1: whole words, without the head */
	out[2] = (uint8_t)((w.pos / 4 - 1) >> 8);
	out[3] = (uint8_t)(w.pos / 4 - 1);
	*len = w.pos;
	return 0;
}
