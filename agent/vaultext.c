/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list is a table, both ways. Of each extension at most the octets that
 * its specification knows go through, so that nothing can be appended to it;
 * the values themselves are the application's and are what the forwarder is
 * meant to see (docs/THREATS.md).
 */
#include "agent/vaultext.h"

#include <stddef.h>

#define EXT_KINDS 5

static const struct {
	uint8_t id;
	uint8_t least, most; /* octets */
	bool audio, video;
	size_t offset; /* of the application's id */
} kinds[EXT_KINDS] = {
	{ PERC_HDREXT_LEVEL, 1, 1, true, false,
	    offsetof(struct vault_ext, level) },
	{ PERC_HDREXT_DD, 3, 200, false, true,
	    offsetof(struct vault_ext, descriptor) },
	{ PERC_HDREXT_MARKING, 1, 3, false, true,
	    offsetof(struct vault_ext, marking) },
	{ PERC_HDREXT_MID, 1, 16, true, true, offsetof(struct vault_ext, mid) },
	{ PERC_HDREXT_RID, 1, 16, false, true,
	    offsetof(struct vault_ext, rid) },
};

static uint8_t
app_id(const struct vault_ext *e, unsigned kind)
{
	const void *at = (const uint8_t *)e + kinds[kind].offset;

	return (uint8_t) * (const int64_t *)at;
}

static unsigned
collect(const struct vault_ext *e, enum vault_media media, bool leave,
    const struct perc_rtp *h, const uint8_t *p,
    struct perc_hdrext_item x[static EXT_KINDS])
{
	struct perc_hdrext_item found;
	unsigned i, n = 0;
	uint8_t app;

	for (i = 0; i < EXT_KINDS; i++) {
		app = app_id(e, i);
		if (app == 0 ||
		    !(media == VAULT_AUDIO ? kinds[i].audio : kinds[i].video) ||
		    !perc_hdrext_find(
			h, p, leave ? app : kinds[i].id, &found) ||
		    found.len < kinds[i].least || found.len > kinds[i].most)
			continue;
		x[n] = found;
		x[n++].id = leave ? kinds[i].id : app;
	}
	return n;
}

static size_t
translate(const struct vault_ext *e, enum vault_media media, bool leave,
    const struct perc_rtp *h, const uint8_t *p, uint8_t *out)
{
	struct perc_hdrext_item x[EXT_KINDS];
	unsigned n = collect(e, media, leave, h, p, x);
	size_t len;

	if (perc_hdrext_put(out, PERC_HDREXT_MAX, x, n, &len) != 0)
		return 0;
	return len;
}

size_t
vault_ext_leave(const struct vault_ext *e, enum vault_media media,
    const struct perc_rtp *h, const uint8_t *p,
    uint8_t out[static PERC_HDREXT_MAX])
{
	return h->extension ? translate(e, media, true, h, p, out) : 0;
}

size_t
vault_ext_layer(const struct vault_ext *e, unsigned layer, uint8_t mark,
    const struct perc_rtp *h, const uint8_t *p,
    uint8_t out[static PERC_HDREXT_MAX])
{
	static const uint8_t mid[] = { 'v' }, rid[] = { '0', '1', '2' };
	struct perc_hdrext_item x[EXT_KINDS + 3];
	unsigned i, n = 0, all;
	bool told = false;
	size_t len;

	all = h->extension ? collect(e, VAULT_VIDEO, true, h, p, x) : 0;
	for (i = 0; i < all; i++) {
		if (x[i].id == PERC_HDREXT_MID || x[i].id == PERC_HDREXT_RID)
			continue; /* it cannot know our names */
		told |=
		    x[i].id == PERC_HDREXT_DD || x[i].id == PERC_HDREXT_MARKING;
		x[n++] = x[i];
	}
	x[n++] = (struct perc_hdrext_item){ PERC_HDREXT_MID, 1, mid };
	x[n++] = (struct perc_hdrext_item){ PERC_HDREXT_RID, 1,
		&rid[layer % sizeof(rid)] };
	if (!told)
		x[n++] =
		    (struct perc_hdrext_item){ PERC_HDREXT_MARKING, 1, &mark };
	if (perc_hdrext_put(out, PERC_HDREXT_MAX, x, n, &len) != 0)
		return 0;
	return len;
}

size_t
vault_ext_come(const struct vault_ext *e, enum vault_media media,
    const uint8_t *p, size_t n, uint8_t out[static PERC_HDREXT_MAX])
{
	struct perc_rtp h;

	if (!e->deliver || perc_rtp_parse(&h, p, n) != 0 || !h.extension)
		return 0;
	return translate(e, media, false, &h, p, out);
}

bool
vault_ext_key_frame(
    const struct vault_ext *e, const struct perc_rtp *h, const uint8_t *p)
{
	struct perc_hdrext_item x;

	if (!h->extension)
		return false;
	/* S and I of frame marking; start_of_frame of the descriptor, and the
	 * structure that comes with each new coded sequence. */
	if (e->marking != 0 &&
	    perc_hdrext_find(h, p, (uint8_t)e->marking, &x) && x.len > 0)
		return (x.data[0] & 0xa0) == 0xa0;
	return e->descriptor != 0 &&
	    perc_hdrext_find(h, p, (uint8_t)e->descriptor, &x) && x.len > 3 &&
	    (x.data[0] & 0x80) != 0 && (x.data[3] & 0x80) != 0;
}
