/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Header extensions (RFC 8285): both forms, padding anywhere, every cut and
 * every length that lies, and what the writer makes of long or empty ones.
 */
#include "tests/perc/bytes.h"

#include "perc/hdrext.h"

#define HEAD "9011 1234 decafbad cafebabe "

static struct perc_rtp h;
static uint8_t pkt[1024];

static void
packet(const char *text)
{
	size_t n = hex(pkt, text);

	CALL(perc_rtp_parse(&h, pkt, n));
}

static void
next_is(struct perc_hdrext_iter *it, uint8_t id, uint8_t len, int first)
{
	struct perc_hdrext_item t;

	assert_true(perc_hdrext_next(it, &t));
	assert_int_equal(t.id, id);
	assert_int_equal(t.len, len);
	if (len > 0)
		assert_int_equal(t.data[0], first);
}

static void
ends(struct perc_hdrext_iter *it)
{
	struct perc_hdrext_item t;

	assert_false(perc_hdrext_next(it, &t));
	assert_false(perc_hdrext_next(it, &t)); /* and stays there */
}

static void
test_one(void **state)
{
	struct perc_hdrext_iter it;
	struct perc_hdrext_item t;

	packet(HEAD "bede 0003 109e 0000 42616263 0031aabb ff");
	assert_true(perc_hdrext_begin(&it, &h, pkt));
	next_is(&it, 1, 1, 0x9e);
	next_is(&it, 4, 3, 'a');
	next_is(&it, 3, 2, 0xaa);
	ends(&it);
	assert_true(perc_hdrext_find(&h, pkt, PERC_HDREXT_MID, &t));
	assert_int_equal(t.len, 3);
	assert_false(perc_hdrext_find(&h, pkt, PERC_HDREXT_DD, &t));
}

static void
test_two(void **state)
{
	struct perc_hdrext_iter it;

	packet(HEAD "1005 0003 0101 9e00 0f00 0802 aabb 0000");
	assert_true(perc_hdrext_begin(&it, &h, pkt));
	next_is(&it, 1, 1, 0x9e);
	next_is(&it, 15, 0, 0); /* an ordinary id in this form, and empty */
	next_is(&it, 8, 2, 0xaa);
	ends(&it);
}

/* RFC 8285 section 4.2: 15 ends the list, and so does 0 with a length. */
static void
test_stops(void **state)
{
	struct perc_hdrext_iter it;

	packet(HEAD "bede 0002 109e f010 1001 0000");
	assert_true(perc_hdrext_begin(&it, &h, pkt));
	next_is(&it, 1, 1, 0x9e);
	ends(&it);
	packet(HEAD "bede 0002 109e 0210 1001 0000");
	assert_true(perc_hdrext_begin(&it, &h, pkt));
	next_is(&it, 1, 1, 0x9e);
	ends(&it);
}

static void
test_none(void **state)
{
	struct perc_hdrext_iter it;

	packet("8011 1234 decafbad cafebabe 00");
	assert_false(perc_hdrext_begin(&it, &h, pkt));
	packet(HEAD "abcd 0001 109e 0000");
	assert_false(perc_hdrext_begin(&it, &h, pkt));
	packet(HEAD "bede 0000");
	assert_true(perc_hdrext_begin(&it, &h, pkt));
	ends(&it);
}

/* Each length of the last element: inside, or the list ends before it. */
static void
test_lies(void **state)
{
	struct perc_hdrext_iter it;
	unsigned len;

	for (len = 0; len < 16; len++) {
		packet(HEAD "bede 0002 109e 2000 00000000");
		pkt[18] = (uint8_t)(0x20 | len);
		assert_true(perc_hdrext_begin(&it, &h, pkt));
		next_is(&it, 1, 1, 0x9e);
		if (len + 1 <= 5)
			next_is(&it, 2, (uint8_t)(len + 1), 0);
		ends(&it);
	}
	for (len = 0; len < 256; len++) {
		packet(HEAD "1000 0002 01019e02 00000000");
		pkt[20] = (uint8_t)len;
		assert_true(perc_hdrext_begin(&it, &h, pkt));
		next_is(&it, 1, 1, 0x9e);
		if (len <= 3)
			next_is(&it, 2, (uint8_t)len, 0);
		ends(&it);
	}
	packet(HEAD "1000 0001 01019e02"); /* its length is not there */
	assert_true(perc_hdrext_begin(&it, &h, pkt));
	next_is(&it, 1, 1, 0x9e);
	ends(&it);
}

static void
test_put(void **state)
{
	static const uint8_t d[255] = { 7, 8, 9 };
	struct perc_hdrext_item t[3] = { { 1, 1, d }, { 10, 16, d },
		{ 8, 2, d } };
	uint8_t out[PERC_HDREXT_MAX];
	size_t n, cap, len;

	CALL(perc_hdrext_put(out, sizeof(out), t, 0, &n));
	assert_int_equal(n, 0);
	CALL(perc_hdrext_put(out, sizeof(out), t, 3, &n));
	assert_int_equal(n, 28); /* 4 + 2 + 17 + 3, padded */
	assert_hex(out, 8, "bede 0006 1007 af07");
	for (cap = 0; cap < n; cap++)
		assert_int_equal(
		    perc_hdrext_put(out, cap, t, 3, &len), PERC_ERR_SHORT);
	t[1].len = 17;
	CALL(perc_hdrext_put(out, sizeof(out), t, 3, &n));
	assert_int_equal(n, 32); /* 4 + 3 + 19 + 4 = 30 */
	assert_hex(out, 10, "1000 0007 010107 0a11 07");
	t[1].len = 0;
	CALL(perc_hdrext_put(out, sizeof(out), t, 3, &n));
	assert_hex(out, 16, "1000 0003 010107 0a00 08020708 000000");
	t[1].id = 0;
	assert_int_equal(
	    perc_hdrext_put(out, sizeof(out), t, 3, &n), PERC_ERR_INVAL);
	t[1].id = 15;
	assert_int_equal(
	    perc_hdrext_put(out, sizeof(out), t, 3, &n), PERC_ERR_INVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one),
		cmocka_unit_test(test_two),
		cmocka_unit_test(test_stops),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_lies),
		cmocka_unit_test(test_put),
	};

	return cmocka_run_group_tests_name("perc/hdrext", tests, NULL, NULL);
}
