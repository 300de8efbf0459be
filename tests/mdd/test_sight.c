/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a packet's clear header tells: audio level, frame marking and the
 * dependency descriptor (the structure is that of one spatial and three
 * temporal layers, put together bit by bit as appendix A of the AV1 RTP
 * specification has it), and which extensions go on to the next hop.
 */
#include "tests/perc/unit.h"

#include "mdd/sight.h"

static struct mdd_sight s;
static struct mdd_frame f;

/* A stream of bits. */
static uint8_t bits[64];
static size_t nbits;

static void
put(unsigned v, unsigned n)
{
	while (n-- > 0) {
		if (nbits % 8 == 0)
			bits[nbits / 8] = 0;
		bits[nbits / 8] = (uint8_t)(bits[nbits / 8] |
		    (v >> n & 1) << (7 - nbits % 8));
		nbits++;
	}
}

/* Mandatory fields. */
static void
dd(unsigned start, unsigned end, unsigned template, unsigned number)
{
	nbits = 0;
	put(start, 1);
	put(end, 1);
	put(template, 6);
	put(number, 16);
}

/* L1T3: templates 0 to 3 are T0, T1, T2, T2; three decode targets. */
static void
structure(unsigned offset)
{
	static const unsigned next[] = { 1, 1, 0, 3 };
	static const unsigned dti[4][3] = { { 2, 2, 2 }, { 0, 2, 2 },
		{ 0, 0, 1 }, { 0, 0, 1 } };
	unsigned i, k;

	put(1, 1); /* structure */
	put(0, 4);
	put(offset, 6);
	put(2, 5);
	for (i = 0; i < 4; i++)
		put(next[i], 2);
	for (i = 0; i < 4; i++)
		for (k = 0; k < 3; k++)
			put(dti[i][k], 2);
	put(0, 4); /* no fdiffs of any template */
}

static bool
look(uint8_t id, const void *d, size_t n, uint32_t ts)
{
	uint8_t p[128] = { 0x90, 0x60, 0, 1, (uint8_t)(ts >> 24),
		(uint8_t)(ts >> 16), (uint8_t)(ts >> 8), (uint8_t)ts };
	struct perc_hdrext_item e = { id, (uint8_t)n, d };
	struct perc_rtp h;
	size_t len;

	assert_int_equal(perc_hdrext_put(p + 12, 100, &e, 1, &len), 0);
	assert_int_equal(perc_rtp_parse(&h, p, 12 + len), 0);
	return mdd_sight_look(&s, &h, p, true, &f);
}

static bool
look_dd(void)
{
	return look(PERC_HDREXT_DD, bits, (nbits + 7) / 8, 1);
}

static int
setup(void **state)
{
	memset(&s, 0, sizeof(s));
	return 0;
}

static void
test_level(void **state)
{
	assert_true(look(PERC_HDREXT_LEVEL, "\x9e", 1, 1));
	assert_true(f.has_level);
	assert_int_equal(f.level, 0x1e);
	assert_int_equal(s.media, MDD_MEDIA_AUDIO);
	assert_false(look(PERC_HDREXT_LEVEL, "\x7f", 1, 2)); /* no news */
	assert_int_equal(f.level, 127);
}

static void
test_descriptor(void **state)
{
	dd(1, 0, 5, 700);
	structure(5);
	assert_true(look_dd());
	assert_true(f.known && f.start && !f.end && f.key && f.has_number);
	assert_int_equal(f.number, 700);
	assert_int_equal(f.tid, 0);
	assert_int_equal(f.enter, MDD_TID_MAX);
	assert_int_equal(s.media, MDD_MEDIA_VIDEO);
	assert_true(s.keyed);
	dd(0, 1, 5, 700); /* the rest of that frame */
	assert_false(look_dd());
	assert_true(f.known && !f.start && f.end && !f.key);
	dd(1, 1, 7, 701);
	look_dd();
	assert_int_equal(f.tid, 2);
	assert_int_equal(f.enter, 0);
	dd(1, 1, 6, 702);
	look_dd();
	assert_int_equal(f.tid, 1);
	assert_int_equal(f.enter, 0); /* not all targets can be entered */
	dd(1, 1, 5, 704);
	look_dd();
	assert_int_equal(f.tid, 0);
	assert_int_equal(f.enter, MDD_TID_MAX);
	assert_false(f.key);
	put(0, 1); /* the same, but with decode targets of its own */
	put(4, 4);
	look_dd();
	assert_int_equal(f.enter, 0);
}

/* Each cut of it: what is not whole leaves no trace. */
static void
test_descriptor_cut(void **state)
{
	size_t n, whole;

	dd(1, 0, 5, 700);
	structure(5);
	whole = (nbits + 7) / 8;
	for (n = 0; n + 1 < whole; n++) {
		setup(NULL);
		look(PERC_HDREXT_DD, bits, n, 1);
		assert_int_equal(s.templates, 0);
		assert_true(n == 3 || !f.known); /* 3: one without structure */
		assert_false(f.key);
	}
}

/* Templates without an end, and layers beyond what there can be. */
static void
test_descriptor_lies(void **state)
{
	uint8_t ff[255];
	unsigned v;

	for (v = 0; v < 256; v++) {
		setup(NULL);
		memset(ff, (int)v, sizeof(ff));
		ff[3] = 0x80; /* a structure follows */
		look(PERC_HDREXT_DD, ff, 80, 1);
		assert_true(s.templates <= MDD_TEMPLATES_MAX);
	}
	dd(1, 0, 63, 1); /* a template that nobody told of */
	look_dd();
	assert_true(f.known && !f.key);
	assert_int_equal(f.enter, 0);
}

static void
test_marking(void **state)
{
	assert_true(look(PERC_HDREXT_MARKING, "\xa0\x00\x00", 3, 1));
	assert_true(f.known && f.start && f.key && !f.end);
	assert_int_equal(f.enter, MDD_TID_MAX);
	look(PERC_HDREXT_MARKING, "\xc2\x00\x00", 3, 1);
	assert_true(f.start && f.end && !f.key);
	assert_int_equal(f.tid, 2);
	assert_int_equal(f.enter, 0);
	look(PERC_HDREXT_MARKING, "\xc9\x00\x00", 3, 1);
	assert_int_equal(f.tid, 1);
	assert_int_equal(f.enter, 1);
	look(PERC_HDREXT_MARKING, "\x40", 1, 1); /* without layers */
	assert_true(f.known && !f.start && f.end);
}

static void
test_no_extension(void **state)
{
	uint8_t p[12] = { 0x80, 0x60, 0, 1, 0, 0, 0, 5 };
	struct perc_rtp h;

	assert_int_equal(perc_rtp_parse(&h, p, 12), 0);
	assert_false(mdd_sight_look(&s, &h, p, true, &f));
	assert_true(!f.known && f.start && !f.end);
	mdd_sight_look(&s, &h, p, true, &f);
	assert_false(f.start); /* the same timestamp */
	p[7] = 6;
	p[1] |= 0x80;
	assert_int_equal(perc_rtp_parse(&h, p, 12), 0);
	mdd_sight_look(&s, &h, p, true, &f);
	assert_true(f.start && f.end);
}

static void
test_layers(void **state)
{
	assert_true(look(PERC_HDREXT_RID, "lo", 2, 1));
	assert_true(s.rid);
	assert_int_equal(s.media, MDD_MEDIA_VIDEO);
	assert_true(look(PERC_HDREXT_MID, "1", 1, 1));
	assert_int_not_equal(s.mid, 0);
	assert_false(look(PERC_HDREXT_MID, "1", 1, 1));
	assert_true(look(PERC_HDREXT_MID, "2", 1, 1));
}

/* MID, RID and transport-wide numbers are the hop's, unknown ids nobody's. */
static void
test_strip(void **state)
{
	static const struct perc_hdrext_item in[] = {
		{ PERC_HDREXT_TWCC, 2, (const uint8_t *)"\1\2" },
		{ PERC_HDREXT_LEVEL, 1, (const uint8_t *)"\x1e" },
		{ PERC_HDREXT_MID, 1, (const uint8_t *)"0" },
		{ PERC_HDREXT_DD, 3, (const uint8_t *)"\xc0\0\1" },
		{ 13, 1, (const uint8_t *)"x" },
		{ PERC_HDREXT_RID, 1, (const uint8_t *)"h" },
	};
	static const uint8_t want[] = { 0xbe, 0xde, 0, 2, 0x10, 0x1e, 0x82,
		0xc0, 0, 1, 0, 0 };
	static const uint8_t link[] = { 0xbe, 0xde, 0, 3, 0x10, 0x1e, 0x40, '0',
		0x82, 0xc0, 0, 1, 0xa0, 'h', 0, 0 };
	uint8_t p[128] = { 0x90 }, out[PERC_HDREXT_MAX];
	struct perc_rtp h;
	size_t len;

	assert_int_equal(perc_hdrext_put(p + 12, 100, in, 6, &len), 0);
	assert_int_equal(perc_rtp_parse(&h, p, 12 + len), 0);
	assert_true(mdd_sight_strip(&h, p, false, out, &len));
	assert_int_equal(len, sizeof(want));
	assert_memory_equal(out, want, len);
	assert_true(mdd_sight_strip(&h, p, true, out, &len));
	assert_memory_equal(out, link, sizeof(link));
	assert_int_equal(len, sizeof(link));
	assert_int_equal(perc_hdrext_put(p + 12, 100, in + 1, 1, &len), 0);
	assert_int_equal(perc_rtp_parse(&h, p, 12 + len), 0);
	assert_false(mdd_sight_strip(&h, p, false, out, &len)); /* as it came */
	assert_int_equal(perc_hdrext_put(p + 12, 100, in, 1, &len), 0);
	assert_int_equal(perc_rtp_parse(&h, p, 12 + len), 0);
	assert_true(mdd_sight_strip(&h, p, false, out, &len));
	assert_int_equal(len, 0); /* none is left */
}

/* What cannot be read does not go on: another kind of block, and what stands
 * behind an element that is longer than the block. */
static void
test_REQ_F_4_4d_nothing_unread_goes_on(void **state)
{
	static const struct perc_hdrext_item level = { PERC_HDREXT_LEVEL, 1,
		(const uint8_t *)"\x1e" };
	uint8_t p[128] = { 0x90 }, out[PERC_HDREXT_MAX];
	struct perc_rtp h;
	size_t len;

	assert_int_equal(perc_hdrext_put(p + 12, 100, &level, 1, &len), 0);
	assert_int_equal(len, 8);
	p[18] = 0x8f; /* 16 octets, of which one is there */
	assert_int_equal(perc_rtp_parse(&h, p, 12 + len), 0);
	assert_true(mdd_sight_strip(&h, p, false, out, &len));
	assert_int_equal(len, 8);
	assert_memory_equal(out, "\xbe\xde\0\1\x10\x1e\0\0", 8);
	p[12] = 0x12; /* a profile's own */
	assert_int_equal(perc_rtp_parse(&h, p, 20), 0);
	assert_true(mdd_sight_strip(&h, p, false, out, &len));
	assert_int_equal(len, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_level, setup),
		cmocka_unit_test_setup(test_descriptor, setup),
		cmocka_unit_test_setup(test_descriptor_cut, setup),
		cmocka_unit_test_setup(test_descriptor_lies, setup),
		cmocka_unit_test_setup(test_marking, setup),
		cmocka_unit_test_setup(test_no_extension, setup),
		cmocka_unit_test_setup(test_layers, setup),
		cmocka_unit_test_setup(test_strip, setup),
		cmocka_unit_test_setup(
		    test_REQ_F_4_4d_nothing_unread_goes_on, setup),
	};

	return cmocka_run_group_tests_name("mdd/sight", tests, NULL, NULL);
}
