/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where key frames begin. VP8 has a bit for it in the first octet of a frame,
 * behind a descriptor of varying length (RFC 7741 sections 4.2 and 4.3). H.264
 * has none: a picture that can be entered is an IDR, and its parameter sets
 * come in packets before it, of the same time. The first of those is where a
 * receiver must begin, so it counts as the key frame's beginning; an access
 * unit delimiter or SEI in front of them says nothing, and neither does a
 * picture parameter set alone.
 */
#include "agent/vaultframe.h"

#include <string.h>
#include <strings.h>

#include "perc/wire.h"

enum { NAL_IDR = 5, NAL_SEI = 6, NAL_SPS = 7, NAL_PPS = 8, NAL_AUD = 9 };
enum { NAL_STAP_A = 24, NAL_FU_A = 28 };

/* X R N S R PID; then as X says; then the frame, P its lowest bit. */
static void
vp8_look(struct vault_frame *f, struct perc_wire *w)
{
	uint8_t first = perc_wire_get_u8(w), more = 0, octet;

	if ((first & 0x80) != 0)
		more = perc_wire_get_u8(w);
	if ((more & 0x80) != 0 && (perc_wire_get_u8(w) & 0x80) != 0)
		perc_wire_get_u8(w); /* the picture id has two octets */
	if ((more & 0x40) != 0)
		perc_wire_get_u8(w); /* TL0PICIDX */
	if ((more & 0x30) != 0)
		perc_wire_get_u8(w); /* TID, Y, KEYIDX */
	octet = perc_wire_get_u8(w);
	f->key = w->err == 0 && (first & 0x17) == 0x10 && (octet & 1) == 0;
}

static bool
nal_enters(uint8_t nal)
{
	return nal == NAL_IDR || nal == NAL_SPS;
}

static bool
nal_ahead(uint8_t nal)
{
	return nal == NAL_SEI || nal == NAL_PPS || nal == NAL_AUD;
}

/* Several NAL units, each behind its size. */
static void
stap_look(struct vault_frame *f, struct perc_wire *w)
{
	size_t size;
	uint8_t nal;

	f->ahead = true;
	while (perc_wire_left(w) >= 3) {
		size = perc_wire_get_u16(w);
		if (size == 0 || size > perc_wire_left(w))
			return;
		nal = perc_wire_get_u8(w) & 0x1f;
		perc_wire_get_bytes(w, size - 1);
		f->key |= nal_enters(nal);
		f->ahead &= nal_ahead(nal);
	}
}

static void
h264_look(struct vault_frame *f, struct perc_wire *w)
{
	uint8_t nal = perc_wire_get_u8(w) & 0x1f, fu;

	if (nal == NAL_STAP_A) {
		stap_look(f, w);
	} else if (nal == NAL_FU_A) {
		fu = perc_wire_get_u8(w);
		f->key =
		    w->err == 0 && (fu & 0x80) != 0 && nal_enters(fu & 0x1f);
	} else {
		f->key = nal_enters(nal);
		f->ahead = nal_ahead(nal);
	}
}

void
vault_frame_look(
    struct vault_frame *f, const char *codec, const uint8_t *p, size_t n)
{
	struct perc_wire w;

	memset(f, 0, sizeof(*f));
	if (n == 0)
		return;
	perc_wire_reader(&w, p, n);
	f->known = true;
	if (strncasecmp(codec, "VP8/", 4) == 0)
		vp8_look(f, &w);
	else if (strncasecmp(codec, "H264/", 5) == 0)
		h264_look(f, &w);
	else
		f->known = false;
}
