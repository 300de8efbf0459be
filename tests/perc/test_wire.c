/* SPDX-License-Identifier: Apache-2.0 */
/* perc/wire.c: what goes in comes out; lies about lengths stop the cursor. */
#include "tests/perc/unit.h"

#include "perc/wire.h"

static const uint8_t image[] = { 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08,
	0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, 0x10, 0x11, 0x12, 'x', 'y',
	0x00, 0x02, 'a', 'b', 0x00, 0x00, 0x00, 0x01, 'c', 0x00, 0x00, 0x00,
	0x03, 'h', 'i', 0x00, 0x00, 0x00, 0x00, 0x00 };

static void
write_image(struct perc_wire *w)
{
	perc_wire_put_u8(w, 0x01);
	perc_wire_put_u16(w, 0x0203);
	perc_wire_put_u24(w, 0x040506);
	perc_wire_put_u32(w, 0x0708090a);
	perc_wire_put_u64(w, 0x0b0c0d0e0f101112);
	perc_wire_put_bytes(w, "xy", 2);
	perc_wire_put_blob16(w, "ab", 2);
	perc_wire_put_blob32(w, "c", 1);
	perc_wire_put_str(w, "hi");
	perc_wire_put_str(w, NULL);
}

static void
read_image(struct perc_wire *w)
{
	size_t n;

	(void)perc_wire_get_u8(w);
	(void)perc_wire_get_u16(w);
	(void)perc_wire_get_u24(w);
	(void)perc_wire_get_u32(w);
	(void)perc_wire_get_u64(w);
	(void)perc_wire_get_bytes(w, 2);
	(void)perc_wire_get_blob16(w, &n);
	(void)perc_wire_get_blob32(w, &n);
	(void)perc_wire_get_str(w);
	(void)perc_wire_get_str(w);
}

static void
test_writing_is_big_endian(void **state)
{
	uint8_t out[sizeof(image)];
	struct perc_wire w;

	perc_wire_writer(&w, out, sizeof(out));
	write_image(&w);
	assert_int_equal(perc_wire_end(&w), 0);
	assert_int_equal(w.pos, sizeof(image));
	assert_memory_equal(out, image, sizeof(image));
}

static void
test_reading_gives_it_back(void **state)
{
	struct perc_wire w;
	size_t n;

	perc_wire_reader(&w, image, sizeof(image));
	assert_int_equal(perc_wire_get_u8(&w), 0x01);
	assert_int_equal(perc_wire_get_u16(&w), 0x0203);
	assert_int_equal(perc_wire_get_u24(&w), 0x040506);
	assert_int_equal(perc_wire_get_u32(&w), 0x0708090a);
	assert_true(perc_wire_get_u64(&w) == 0x0b0c0d0e0f101112);
	assert_memory_equal(perc_wire_get_bytes(&w, 2), "xy", 2);
	assert_memory_equal(perc_wire_get_blob16(&w, &n), "ab", 2);
	assert_int_equal(n, 2);
	assert_memory_equal(perc_wire_get_blob32(&w, &n), "c", 1);
	assert_int_equal(n, 1);
	assert_string_equal(perc_wire_get_str(&w), "hi");
	assert_int_equal(perc_wire_left(&w), 4);
	assert_string_equal(perc_wire_get_str(&w), "");
	assert_int_equal(perc_wire_end(&w), 0);
}

static void
test_each_octet_less_is_short(void **state)
{
	uint8_t out[sizeof(image)];
	struct perc_wire w;

	for (size_t n = 0; n < sizeof(image); n++) {
		perc_wire_reader(&w, image, n);
		read_image(&w);
		assert_int_equal(perc_wire_end(&w), PERC_ERR_SHORT);
		perc_wire_writer(&w, out, n);
		write_image(&w);
		assert_int_equal(perc_wire_end(&w), PERC_ERR_SHORT);
		assert_true(w.pos <= n);
	}
}

static void
test_an_octet_more_is_an_error(void **state)
{
	struct perc_wire w;
	uint8_t two[2] = { 0 };

	perc_wire_reader(&w, two, 2);
	(void)perc_wire_get_u8(&w);
	assert_int_equal(perc_wire_end(&w), PERC_ERR_FORMAT);
}

static void
test_the_first_error_sticks(void **state)
{
	struct perc_wire w;
	size_t n = 7;

	perc_wire_reader(&w, image, 3);
	assert_int_equal(perc_wire_get_u32(&w), 0);
	assert_int_equal(perc_wire_get_u8(&w), 0);
	assert_null(perc_wire_get_bytes(&w, 1));
	assert_null(perc_wire_get_blob16(&w, &n));
	assert_int_equal(n, 0);
	assert_string_equal(perc_wire_get_str(&w), "");
	assert_int_equal(perc_wire_left(&w), 0);
	perc_wire_fail(&w, PERC_ERR_LIMIT);
	assert_int_equal(perc_wire_end(&w), PERC_ERR_SHORT);
}

static void
test_lengths_that_lie(void **state)
{
	static const uint8_t huge[] = { 0xff, 0xff, 0xff, 0xff, 'a' };
	struct perc_wire w;
	size_t n;

	perc_wire_reader(&w, huge, sizeof(huge));
	assert_null(perc_wire_get_blob32(&w, &n));
	assert_int_equal(perc_wire_end(&w), PERC_ERR_SHORT);
	perc_wire_reader(&w, huge, sizeof(huge));
	assert_null(perc_wire_get_blob16(&w, &n));
	perc_wire_reader(&w, huge, sizeof(huge));
	(void)perc_wire_get_u8(&w);
	assert_null(perc_wire_get_bytes(&w, SIZE_MAX));
	assert_int_equal(perc_wire_end(&w), PERC_ERR_SHORT);
}

static void
test_strings_end_once(void **state)
{
	static const uint8_t none[] = { 0, 0, 0, 2, 'a', 'b' };
	static const uint8_t inside[] = { 0, 0, 0, 3, 'a', 0, 0 };
	struct perc_wire w;

	perc_wire_reader(&w, none, sizeof(none));
	assert_string_equal(perc_wire_get_str(&w), "");
	assert_int_equal(perc_wire_end(&w), PERC_ERR_FORMAT);
	perc_wire_reader(&w, inside, sizeof(inside));
	assert_string_equal(perc_wire_get_str(&w), "");
	assert_int_equal(perc_wire_end(&w), PERC_ERR_FORMAT);
}

static void
test_a_blob16_of_65536_is_refused(void **state)
{
	static uint8_t big[65536], out[65536 + 8];
	struct perc_wire w;

	perc_wire_writer(&w, out, sizeof(out));
	perc_wire_put_blob16(&w, big, sizeof(big));
	assert_int_equal(perc_wire_end(&w), PERC_ERR_SHORT);
	perc_wire_writer(&w, out, sizeof(out));
	perc_wire_put_blob16(&w, big, sizeof(big) - 1);
	assert_int_equal(perc_wire_end(&w), 0);
}

static void
test_empty_is_well_formed(void **state)
{
	struct perc_wire w;
	size_t n = 1;

	perc_wire_reader(&w, NULL, 0);
	assert_int_equal(perc_wire_end(&w), 0);
	perc_wire_reader(&w, "\0\0", 2);
	assert_non_null(perc_wire_get_blob16(&w, &n));
	assert_int_equal(n, 0);
	assert_int_equal(perc_wire_end(&w), 0);
	perc_wire_writer(&w, NULL, 0);
	perc_wire_put_bytes(&w, NULL, 0);
	assert_int_equal(perc_wire_end(&w), 0);
	perc_wire_put_u8(&w, 1);
	assert_int_equal(perc_wire_end(&w), PERC_ERR_SHORT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writing_is_big_endian),
		cmocka_unit_test(test_reading_gives_it_back),
		cmocka_unit_test(test_each_octet_less_is_short),
		cmocka_unit_test(test_an_octet_more_is_an_error),
		cmocka_unit_test(test_the_first_error_sticks),
		cmocka_unit_test(test_lengths_that_lie),
		cmocka_unit_test(test_strings_end_once),
		cmocka_unit_test(test_a_blob16_of_65536_is_refused),
		cmocka_unit_test(test_empty_is_well_formed),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
