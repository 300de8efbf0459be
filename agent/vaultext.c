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

static size_t
translate(const struct vault_ext *e, enum vault_media media, bool leave,
    const struct perc_rtp *h, const uint8_t *p, uint8_t *out)
{
	struct perc_hdrext_item x[EXT_KINDS], found;
	unsigned i, n = 0;
	uint8_t app;
	size_t len;

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
