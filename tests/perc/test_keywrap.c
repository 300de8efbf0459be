/* SPDX-License-Identifier: Apache-2.0 */
/* perc/keywrap.c: RFC 3394 section 4, RFC 5649 section 6, and every touch. */
#include "tests/perc/unit.h"

#include <stdbool.h>

#include "perc/keywrap.h"

static const struct vector {
	const char *kek, *in, *out;
} kw[] = { /* RFC 3394 sections 4.1 to 4.6 */
	{ "000102030405060708090a0b0c0d0e0f",
	    "00112233445566778899aabbccddeeff",
	    "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5" },
	{ "000102030405060708090a0b0c0d0e0f1011121314151617",
	    "00112233445566778899aabbccddeeff",
	    "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d" },
	{ "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	    "00112233445566778899aabbccddeeff",
	    "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7" },
	{ "000102030405060708090a0b0c0d0e0f1011121314151617",
	    "00112233445566778899aabbccddeeff0001020304050607",
	    "031d33264e15d33268f24ec260743edce1c6c7ddee725a93"
	    "6ba814915c6762d2" },
	{ "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	    "00112233445566778899aabbccddeeff0001020304050607",
	    "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1" },
	{ "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
	    "00112233445566778899aabbccddeeff"
	    "000102030405060708090a0b0c0d0e0f",
	    "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326"
	    "cbc7f0e71a99f43bfb988b9b7a02dd21" }
}, kwp[] = { /* RFC 5649 section 6 */
	{ "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8",
	    "c37b7e6492584340bed12207808941155068f738",
	    "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a" },
	{ "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8", "466f7250617369",
	    "afbeb0f07dfbf5419200f2ccb50bb24f" }
};

static uint8_t kek[32], in[64], want[80], out[80], back[80];
static const uint8_t zero[80];

static void
test_RFC_3394_section_4(void **state)
{
	for (size_t i = 0; i < COUNT(kw); i++) {
		size_t k = unhex(kek, kw[i].kek), n = unhex(in, kw[i].in);

		assert_int_equal(unhex(want, kw[i].out), PERC_KW_LEN(n));
		assert_int_equal(perc_kw_wrap(out, kek, k, in, n), 0);
		assert_memory_equal(out, want, n + 8);
		assert_int_equal(perc_kw_unwrap(back, kek, k, out, n + 8), 0);
		assert_memory_equal(back, in, n);
	}
}

static void
test_RFC_5649_section_6(void **state)
{
	for (size_t i = 0; i < COUNT(kwp); i++) {
		size_t k = unhex(kek, kwp[i].kek), n = unhex(in, kwp[i].in);
		size_t m = unhex(want, kwp[i].out), got = 0;

		assert_int_equal(m, PERC_KWP_LEN(n));
		assert_int_equal(perc_kwp_wrap(out, kek, k, in, n), 0);
		assert_memory_equal(out, want, m);
		assert_int_equal(
		    perc_kwp_unwrap(back, &got, kek, k, out, m), 0);
		assert_int_equal(got, n);
		assert_memory_equal(back, in, n);
	}
}

static void
test_every_length_of_padding(void **state)
{
	for (size_t n = 1; n <= 64; n++) {
		size_t got = 0;

		memset(in, (int)n, n);
		assert_int_equal(perc_kwp_wrap(out, kek, 16, in, n), 0);
		assert_int_equal(
		    perc_kwp_unwrap(back, &got, kek, 16, out, PERC_KWP_LEN(n)),
		    0);
		assert_int_equal(got, n);
		assert_memory_equal(back, in, n);
	}
}

static void
test_every_touch_is_seen_and_wiped(void **state)
{
	size_t n = unhex(in, "00112233445566778899aabbccddeeff"), got;

	assert_int_equal(perc_kw_wrap(out, kek, 16, in, n), 0);
	for (size_t i = 0; i < n + 8; i++) {
		out[i] ^= 1;
		memset(back, 0xee, sizeof(back));
		assert_int_equal(
		    perc_kw_unwrap(back, kek, 16, out, n + 8), PERC_ERR_AUTH);
		assert_memory_equal(back, zero, n);
		out[i] ^= 1;
	}
	assert_int_equal(perc_kwp_wrap(out, kek, 16, in, 13), 0);
	for (size_t i = 0; i < 24; i++) {
		out[i] ^= 0x80;
		memset(back, 0xee, sizeof(back));
		assert_int_equal(perc_kwp_unwrap(back, &got, kek, 16, out, 24),
		    PERC_ERR_AUTH);
		assert_memory_equal(back, zero, 24);
		out[i] ^= 0x80;
	}
}

/* RFC 5649 and RFC 3394 differ in the first block: one is not the other. */
static void
test_the_two_forms_do_not_mix(void **state)
{
	size_t got;

	assert_int_equal(perc_kw_wrap(out, kek, 16, in, 16), 0);
	assert_int_equal(
	    perc_kwp_unwrap(back, &got, kek, 16, out, 24), PERC_ERR_AUTH);
	assert_int_equal(perc_kwp_wrap(out, kek, 16, in, 16), 0);
	assert_int_equal(perc_kw_unwrap(back, kek, 16, out, 24), PERC_ERR_AUTH);
}

static void
test_wrong_lengths(void **state)
{
	size_t got;

	memset(out, 0x5a, sizeof(out));
	for (size_t n = 0; n < 64; n++) {
		bool kwable = n >= 24 && n % 8 == 0;
		bool kwpable = n >= 16 && n % 8 == 0;

		assert_int_equal(perc_kw_unwrap(back, kek, 16, out, n),
		    kwable ? PERC_ERR_AUTH : PERC_ERR_FORMAT);
		assert_int_equal(perc_kwp_unwrap(back, &got, kek, 16, out, n),
		    kwpable ? PERC_ERR_AUTH : PERC_ERR_FORMAT);
	}
	assert_int_equal(perc_kw_wrap(out, kek, 16, in, 8), PERC_ERR_INVAL);
	assert_int_equal(perc_kw_wrap(out, kek, 16, in, 20), PERC_ERR_INVAL);
	assert_int_equal(perc_kwp_wrap(out, kek, 16, in, 0), PERC_ERR_INVAL);
	assert_int_equal(perc_kw_wrap(out, kek, 17, in, 16), PERC_ERR_INVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_RFC_3394_section_4),
		cmocka_unit_test(test_RFC_5649_section_6),
		cmocka_unit_test(test_every_length_of_padding),
		cmocka_unit_test(test_every_touch_is_seen_and_wiped),
		cmocka_unit_test(test_the_two_forms_do_not_mix),
		cmocka_unit_test(test_wrong_lengths),
	};

	return cmocka_run_group_tests_name("keywrap", tests, NULL, NULL);
}
