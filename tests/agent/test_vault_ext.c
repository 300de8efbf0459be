/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which header extensions leave the vault: no other than the closed list, and
 * of that only what root's configuration names. None is encrypted by RFC 6904,
 * so none may leave that would need it.
 */
#include "tests/perc/unit.h"

#include <stdlib.h>
#include <string.h>

#include "agent/vaultext.h"
#include "perc/crypto.h"

#define ROUNDS 20000

/* May an element of this id and length be on the hop? */
static bool
listed(enum vault_media media, const struct perc_hdrext_item *x)
{
	switch (x->id) {
	case PERC_HDREXT_LEVEL: /* RFC 6464 */
		return media == VAULT_AUDIO && x->len == 1;
	case PERC_HDREXT_DD:
		return media == VAULT_VIDEO && x->len >= 3 && x->len <= 200;
	case PERC_HDREXT_MARKING:
		return media == VAULT_VIDEO && x->len <= 3;
	case PERC_HDREXT_MID:
		return x->len <= 16;
	case PERC_HDREXT_RID:
		return media == VAULT_VIDEO && x->len <= 16;
	default:
		return false;
	}
}

static int64_t
app_id(const struct vault_ext *e, uint8_t id)
{
	return id == PERC_HDREXT_LEVEL	? e->level
	    : id == PERC_HDREXT_DD	? e->descriptor
	    : id == PERC_HDREXT_MARKING ? e->marking
	    : id == PERC_HDREXT_MID	? e->mid
					: e->rid;
}

/* Walk a block that would leave; how many elements. */
static unsigned
leaves(const struct vault_ext *e, enum vault_media media, const uint8_t *block,
    size_t len, bool layer)
{
	uint8_t p[12 + PERC_HDREXT_MAX] = { 0x90 };
	struct perc_hdrext_iter it;
	struct perc_hdrext_item x;
	struct perc_rtp h;
	unsigned n = 0;

	if (len == 0)
		return 0;
	memcpy(p + 12, block, len);
	assert_int_equal(perc_rtp_parse(&h, p, 12 + len), 0);
	assert_int_equal(h.header_len, 12 + len);
	assert_true(perc_hdrext_begin(&it, &h, p));
	for (; perc_hdrext_next(&it, &x); n++) {
		assert_true(listed(media, &x));
		assert_true(layer || app_id(e, x.id) != 0);
	}
	return n;
}

static uint8_t
below(uint32_t n)
{
	return (uint8_t)(perc_random_u32() % n);
}

/* A block of anything: true forms and false ones. */
static size_t
anything(uint8_t p[static 400])
{
	static const uint16_t kind[] = { 0xbede, 0xbede, 0x1000, 0x100f,
		0x1234 };
	uint16_t k = kind[below(5)];
	size_t words = below(60), n = 16 + 4 * words;

	memset(p, 0, 16);
	p[0] = 0x90;
	p[12] = (uint8_t)(k >> 8);
	p[13] = (uint8_t)k;
	p[15] = (uint8_t)words;
	perc_random(p + 16, 4 * words);
	return n;
}

static void
config(struct vault_ext *e)
{
	*e = (struct vault_ext){ .level = below(16) & 7,
		.descriptor = below(15),
		.marking = below(15),
		.mid = below(15),
		.rid = below(15) };
}

/* REQ-F-4.4d */
static void
test_REQ_F_4_4d_only_listed_extensions_leave(void **state)
{
	uint8_t p[400], out[PERC_HDREXT_MAX];
	enum vault_media media;
	struct vault_ext e;
	struct perc_rtp h;
	unsigned i, n = 0;
	size_t len;

	for (i = 0; i < ROUNDS; i++) {
		config(&e);
		media = i % 2 == 0 ? VAULT_AUDIO : VAULT_VIDEO;
		len = anything(p);
		assert_int_equal(perc_rtp_parse(&h, p, len), 0);
		len = vault_ext_leave(&e, media, &h, p, out);
		n += leaves(&e, media, out, len, false);
		len = vault_ext_layer(&e, i % 3, 0, &h, p, out);
		assert_true(leaves(&e, VAULT_VIDEO, out, len, true) >= 3);
	}
	assert_true(n > 1000); /* and it was not for want of any */
}

/* Without a setting nothing leaves, whatever the application sends. */
static void
test_REQ_F_4_4d_nothing_by_default(void **state)
{
	static const struct vault_ext none;
	uint8_t p[400], out[PERC_HDREXT_MAX];
	struct perc_rtp h;
	unsigned i;
	size_t len;

	for (i = 0; i < 1000; i++) {
		len = anything(p);
		assert_int_equal(perc_rtp_parse(&h, p, len), 0);
		assert_int_equal(
		    vault_ext_leave(&none, VAULT_AUDIO, &h, p, out), 0);
		assert_int_equal(
		    vault_ext_leave(&none, VAULT_VIDEO, &h, p, out), 0);
	}
}

/* Nothing is carried beside: an element that is longer than its kind stays
 * here, and so does one of the other medium. */
static void
test_REQ_F_4_4d_no_room_beside(void **state)
{
	static const struct vault_ext e = { .level = 5, .marking = 6 };
	uint8_t p[] = { 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0, 1,
		0x50, 0x9e, 0x60, 0x80 },
		out[PERC_HDREXT_MAX];
	struct perc_rtp h;

	assert_int_equal(perc_rtp_parse(&h, p, sizeof(p)), 0);
	assert_int_equal(vault_ext_leave(&e, VAULT_AUDIO, &h, p, out), 8);
	assert_memory_equal(out, "\xbe\xde\0\1\x10\x9e\0\0", 8);
	assert_int_equal(vault_ext_leave(&e, VAULT_VIDEO, &h, p, out), 8);
	assert_memory_equal(out, "\xbe\xde\0\1\x90\x80\0\0", 8);
	p[16] = 0x52; /* a level of three octets */
	assert_int_equal(vault_ext_leave(&e, VAULT_AUDIO, &h, p, out), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_REQ_F_4_4d_only_listed_extensions_leave),
		cmocka_unit_test(test_REQ_F_4_4d_nothing_by_default),
		cmocka_unit_test(test_REQ_F_4_4d_no_room_beside),
	};

	return cmocka_run_group_tests_name("vault/ext", tests, NULL, NULL);
}
