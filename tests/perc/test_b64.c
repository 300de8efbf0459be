/* SPDX-License-Identifier: Apache-2.0 */
/* perc/b64.c: RFC 4648 section 10, and one spelling per value. */
#include "tests/perc/unit.h"

#include "perc/b64.h"

static const struct {
	const char *raw, *text;
} vectors[] = { /* RFC 4648 section 10, without the padding */
	{ "", "" }, { "f", "Zg" }, { "fo", "Zm8" }, { "foo", "Zm9v" },
	{ "foob", "Zm9vYg" }, { "fooba", "Zm9vYmE" }, { "foobar", "Zm9vYmFy" },
	{ "\xfb\xff\xfe", "-__-" }
};

static void
test_RFC_4648_section_10(void **state)
{
	char text[16];
	uint8_t raw[8];

	for (size_t i = 0; i < COUNT(vectors); i++) {
		size_t n = sizeof(raw), want = strlen(vectors[i].raw);

		perc_b64_put(text, vectors[i].raw, want);
		assert_string_equal(text, vectors[i].text);
		assert_int_equal(strlen(text), PERC_B64_LEN(want));
		assert_int_equal(perc_b64_get(raw, &n, text, strlen(text)), 0);
		assert_int_equal(n, want);
		assert_memory_equal(raw, vectors[i].raw, n);
	}
}

/* The encodings that docs/http-key.md gives for tests. */
static void
test_key_encodings(void **state)
{
	uint8_t raw[32], salt[12], back[32];
	char text[PERC_B64_LEN(32) + 1];

	for (size_t i = 0; i < 32; i++)
		raw[i] = (uint8_t)i;
	for (size_t i = 0; i < 12; i++)
		salt[i] = (uint8_t)(0xa0 + i);
	perc_b64_put(text, raw, 16);
	assert_string_equal(text, "AAECAwQFBgcICQoLDA0ODw");
	perc_b64_put(text, raw, 32);
	assert_string_equal(
	    text, "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
	assert_int_equal(perc_b64_get_exact(back, 32, text), 0);
	assert_memory_equal(back, raw, 32);
	perc_b64_put(text, salt, 12);
	assert_string_equal(text, "oKGio6Slpqeoqaqr");
}

static void
test_every_octet_comes_back(void **state)
{
	for (int v = 0; v < 65536; v++) {
		uint8_t in[2] = { (uint8_t)(v >> 8), (uint8_t)v }, out[2];
		char text[5];

		perc_b64_put(text, in, 2);
		assert_int_equal(perc_b64_get_exact(out, 2, text), 0);
		assert_memory_equal(in, out, 2);
		perc_hex_put(text, in, 2);
		size_t n = 2;
		assert_int_equal(perc_hex_get(out, &n, text, 4), 0);
		assert_memory_equal(in, out, 2);
	}
}

static void
test_only_the_alphabet_passes(void **state)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				       "abcdefghijklmnopqrstuvwxyz"
				       "0123456789-_";
	unsigned good = 0;

	for (int c = 0; c < 256; c++) {
		char text[4] = { 'A', (char)c, 'A', 'A' };
		uint8_t out[3];
		size_t n = sizeof(out);
		int r = perc_b64_get(out, &n, text, 4);

		assert_true(r == 0 || r == PERC_ERR_FORMAT);
		assert_int_equal(r == 0, c != 0 && strchr(alphabet, c) != NULL);
		good += r == 0;
	}
	assert_int_equal(good, 64);
}

/* Wherever it stands in a text of whatever length: blocks and what is left. */
static void
test_every_place_is_looked_at(void **state)
{
	char text[PERC_B64_LEN(60) + 1];
	uint8_t in[60], out[60];
	size_t len, n, at;
	char was;

	for (n = 0; n < sizeof(in); n++)
		in[n] = (uint8_t)(n * 37 + 11);
	for (n = 1; n <= sizeof(in); n++) {
		perc_b64_put(text, in, n);
		assert_int_equal(perc_b64_get_exact(out, n, text), 0);
		assert_memory_equal(in, out, n);
		for (at = 0; text[at] != '\0'; at++) {
			was = text[at];
			len = sizeof(out);
			text[at] = (char)("=+/@[`{,^\x80\xc1\xff"[at % 12]);
			assert_int_equal(
			    perc_b64_get(out, &len, text, PERC_B64_LEN(n)),
			    PERC_ERR_FORMAT);
			text[at] = was;
		}
	}
}

static void
test_one_spelling_only(void **state)
{
	static const char *const bad[] = { "A", "AAAAA", "Zg==", "Zg=", "Zh",
		"Zm9", " Zg", "Zg\n", "Zm+v", "Zm/v", "Zg Zg",
		/* the example key of draft-westerlund: pad bits not zero */
		"lupDujHomwIjlutebgharghmey" };
	uint8_t out[64];

	for (size_t i = 0; i < COUNT(bad); i++) {
		size_t n = sizeof(out);

		memset(out, 0xee, sizeof(out));
		assert_int_equal(perc_b64_get(out, &n, bad[i], strlen(bad[i])),
		    PERC_ERR_FORMAT);
	}
}

static void
test_room_and_exactness(void **state)
{
	uint8_t out[16];
	size_t n = 2;

	assert_int_equal(perc_b64_get(out, &n, "Zm9v", 4), PERC_ERR_SHORT);
	assert_int_equal(perc_b64_get_exact(out, 2, "Zm9v"), PERC_ERR_FORMAT);
	assert_int_equal(perc_b64_get_exact(out, 4, "Zm9v"), PERC_ERR_FORMAT);
	assert_int_equal(perc_b64_get_exact(out, 3, "Zm9v"), 0);
	n = 1;
	assert_int_equal(perc_hex_get(out, &n, "0011", 4), PERC_ERR_SHORT);
}

static void
test_a_refused_key_leaves_nothing(void **state)
{
	uint8_t out[16], zero[16] = { 0 };
	size_t n = sizeof(out);

	memset(out, 0xee, sizeof(out));
	assert_int_equal(perc_b64_get(out, &n, "AAECAwQFBgcICQoLDA0OD!", 22),
	    PERC_ERR_FORMAT);
	assert_memory_equal(out, zero, 16);
}

static void
test_hex(void **state)
{
	uint8_t out[4];
	char text[9];
	size_t n = sizeof(out);

	perc_hex_put(text, "\x00\x9f\xa0\xff", 4);
	assert_string_equal(text, "009fa0ff");
	assert_int_equal(perc_hex_get(out, &n, "009FA0ff", 8), 0);
	assert_int_equal(n, 4);
	assert_memory_equal(out, "\x00\x9f\xa0\xff", 4);
	assert_int_equal(perc_hex_get(out, &n, "0", 1), PERC_ERR_FORMAT);
	assert_int_equal(perc_hex_get(out, &n, "0g", 2), PERC_ERR_FORMAT);
	assert_int_equal(perc_hex_get(out, &n, "/0", 2), PERC_ERR_FORMAT);
	assert_int_equal(perc_hex_get(out, &n, ":0", 2), PERC_ERR_FORMAT);
	assert_int_equal(perc_hex_get(out, &n, "@0", 2), PERC_ERR_FORMAT);
	assert_int_equal(perc_hex_get(out, &n, "`0", 2), PERC_ERR_FORMAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_RFC_4648_section_10),
		cmocka_unit_test(test_key_encodings),
		cmocka_unit_test(test_every_octet_comes_back),
		cmocka_unit_test(test_only_the_alphabet_passes),
		cmocka_unit_test(test_every_place_is_looked_at),
		cmocka_unit_test(test_one_spelling_only),
		cmocka_unit_test(test_room_and_exactness),
		cmocka_unit_test(test_a_refused_key_leaves_nothing),
		cmocka_unit_test(test_hex),
	};

	return cmocka_run_group_tests_name("b64", tests, NULL, NULL);
}
