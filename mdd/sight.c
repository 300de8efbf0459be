/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The dependency descriptor is a stream of bits whose templates come once,
 * with a key frame, and are only named by the packets that follow. We keep of
 * each template its temporal layer, and whether all decode targets may be
 * entered there; chains, resolutions and custom dependencies are not read.
 * Where no extension tells, the timestamp says where a frame begins and the
 * marker where it ends, and nobody knows what is a key frame.
 */
#include "mdd/sight.h"

#include <string.h>

#define DTI_SWITCH 2 /* decode target indication: may be entered here */
#define SPATIAL	   4 /* layers, as two bits can tell */

struct bits {
	const uint8_t *p;
	size_t left; /* bits */
	bool bad;
};

static unsigned
bits_get(struct bits *b, unsigned n)
{
	unsigned v = 0;

	while (n-- > 0) {
		if (b->left == 0) {
			b->bad = true;
			return 0;
		}
		b->left--;
		v = v << 1 | (*b->p >> (b->left % 8) & 1);
		b->p += b->left % 8 == 0;
	}
	return v;
}

/* ---- dependency descriptor -------------------------------------------- */

/* template_layers(): how many, and the temporal layer of each. */
static unsigned
layers_get(struct bits *b, uint8_t tid[static MDD_TEMPLATES_MAX])
{
	unsigned n = 0, t = 0, s = 0, next;

	do {
		if (n == MDD_TEMPLATES_MAX || t > MDD_TID_MAX || s > SPATIAL) {
			b->bad = true;
			return 0;
		}
		tid[n++] = (uint8_t)t;
		next = bits_get(b, 2);
		if (next == 1) {
			t++;
		} else if (next == 2) {
			t = 0;
			s++;
		}
	} while (next != 3 && !b->bad);
	return n;
}

/* The structure of a new coded sequence. */
static void
structure_get(struct mdd_sight *s, struct bits *b)
{
	uint8_t tid[MDD_TEMPLATES_MAX];
	unsigned offset = bits_get(b, 6), targets = bits_get(b, 5) + 1;
	unsigned n = layers_get(b, tid), i, k;
	bool all;

	for (i = 0; i < n; i++) {
		all = true;
		for (k = 0; k < targets; k++)
			all &= bits_get(b, 2) == DTI_SWITCH;
		tid[i] |= all ? MDD_SIGHT_SYNC : 0;
	}
	if (b->bad || n == 0)
		return;
	s->offset = (uint8_t)offset;
	s->templates = (uint8_t)n;
	memcpy(s->tid, tid, n);
}

static void
descriptor_look(
    struct mdd_sight *s, const struct perc_hdrext_item *e, struct mdd_frame *f)
{
	struct bits b = { e->data, 8 * (size_t)e->len, false };
	struct mdd_frame g = *f;
	unsigned template, at;
	bool structure = false, own = false;

	g.start = bits_get(&b, 1);
	g.end = bits_get(&b, 1);
	template = bits_get(&b, 6);
	g.number = (uint16_t)bits_get(&b, 16);
	if (b.bad)
		return;
	if (b.left > 0) {
		structure = bits_get(&b, 1);
		/* active targets; own dtis, fdiffs, chains of this frame */
		own = (bits_get(&b, 4) & 4) != 0;
		if (structure)
			structure_get(s, &b);
	}
	at = (template - s->offset) % MDD_TEMPLATES_MAX;
	if (b.bad)
		return;
	g.has_number = g.known = true;
	g.key = structure;
	if (at < s->templates) { /* else we missed their key frame */
		g.tid = s->tid[at] & MDD_TID_MAX;
		if (structure || (!own && (s->tid[at] & MDD_SIGHT_SYNC) != 0))
			g.enter = MDD_TID_MAX;
	}
	*f = g;
}

/* ---- frame marking ---------------------------------------------------- */

/* S E I D B TID, then with layers LID and TL0PICIDX; one octet without. */
static void
marking_look(const struct perc_hdrext_item *e, struct mdd_frame *f)
{
	uint8_t v;

	if (e->len == 0)
		return;
	v = e->data[0];
	f->known = true;
	f->start = v & 0x80;
	f->end = v & 0x40;
	f->key = v & 0x20;
	f->tid = e->len > 1 ? v & 7 : 0; /* the short form has zeros there */
	if (f->key)
		f->enter = MDD_TID_MAX;
	else if (e->len > 1 && (v & 0x08) != 0)
		f->enter = f->tid; /* it refers to the base layer alone */
}

/* ---- the rest --------------------------------------------------------- */

/* Never 0. */
static uint32_t
name_hash(const struct perc_hdrext_item *e)
{
	uint32_t v = 2166136261u;
	unsigned i;

	for (i = 0; i < e->len; i++)
		v = (v ^ e->data[i]) * 16777619u;
	return v | 1;
}

static void
item_look(
    struct mdd_sight *s, const struct perc_hdrext_item *e, struct mdd_frame *f)
{
	switch (e->id) {
	case PERC_HDREXT_LEVEL: /* RFC 6464 section 3: V and 7 bits */
		if (e->len >= 1) {
			f->has_level = true;
			f->level = e->data[0] & 0x7f;
			s->media = MDD_MEDIA_AUDIO;
		}
		break;
	case PERC_HDREXT_DD:
		s->media = MDD_MEDIA_VIDEO;
		descriptor_look(s, e, f);
		break;
	case PERC_HDREXT_MARKING:
		s->media = MDD_MEDIA_VIDEO;
		marking_look(e, f);
		break;
	case PERC_HDREXT_RID:
		s->media = MDD_MEDIA_VIDEO;
		s->rid = true;
		break;
	case PERC_HDREXT_MID:
		s->mid = name_hash(e);
		break;
	default:
		break;
	}
}

bool
mdd_sight_look(struct mdd_sight *s, const struct perc_rtp *h, const uint8_t *p,
    bool newest, struct mdd_frame *f)
{
	uint8_t media = s->media;
	uint32_t mid = s->mid;
	bool rid = s->rid;
	struct perc_hdrext_iter it;
	struct perc_hdrext_item e;

	memset(f, 0, sizeof(*f));
	f->start = !s->has_ts || h->ts != s->ts;
	f->end = h->marker;
	if (newest) {
		s->ts = h->ts;
		s->has_ts = true;
	}
	if (!perc_hdrext_begin(&it, h, p))
		return false;
	while (perc_hdrext_next(&it, &e))
		item_look(s, &e, f);
	s->keyed = f->known;
	return s->media != media || s->rid != rid || s->mid != mid;
}

static bool
goes_on(uint8_t id, bool link)
{
	if (link && (id == PERC_HDREXT_MID || id == PERC_HDREXT_RID))
		return true;
	return id == PERC_HDREXT_LEVEL || id == PERC_HDREXT_DD ||
	    id == PERC_HDREXT_MARKING;
}

bool
mdd_sight_strip(const struct perc_rtp *h, const uint8_t *p, bool link,
    uint8_t out[static PERC_HDREXT_MAX], size_t *len)
{
	struct perc_hdrext_item keep[6], e;
	struct perc_hdrext_iter it;
	const uint8_t *end;
	unsigned n = 0;
	bool all = true;

	*len = 0;
	if (!h->extension)
		return false;
	if (!perc_hdrext_begin(&it, h, p))
		return true; /* of another kind: nobody knows what is in it */
	end = it.p + it.left;
	while (perc_hdrext_next(&it, &e)) {
		if (goes_on(e.id, link) && n < sizeof(keep) / sizeof(keep[0]))
			keep[n++] = e;
		else
			all = false;
	}
	if (all && it.p == end) /* and nothing behind one that lies */
		return false;
	if (perc_hdrext_put(out, PERC_HDREXT_MAX, keep, n, len) != 0)
		*len = 0;
	return true;
}
