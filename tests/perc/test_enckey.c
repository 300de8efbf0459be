/* SPDX-License-Identifier: Apache-2.0 */
/* perc/enckey.c: the list of docs/http-key.md, and RFC 8870 5.2.2. */
#include "tests/perc/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "perc/enckey.h"

#define K16   "AAECAwQFBgcICQoLDA0ODw"
#define K32   "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define SALT  "oKGio6Slpqeoqaqr"
#define REST  "; cipher=AESKW128; salt=" SALT "; ttl=3600; profile=0009"
#define GOOD  "usage=EKT; keyid=k1; key=" K16 "; spi=1" REST
#define GOOD2 "usage=EKT; keyid=k2; key=" K16 "; spi=2" REST

static struct perc_enckey keys[PERC_ENCKEY_MAX];
static size_t n;

static int
parse(const char *text)
{
	/* An exact copy, so that a sanitizer sees one octet too far. */
	size_t len = strlen(text);
	char *copy = malloc(len > 0 ? len : 1);
	int r;

	memcpy(copy, text, len);
	r = perc_enckey_parse(keys, &n, copy, len);
	free(copy);
	return r;
}

static const char example[] = "usage=\"EKT\"; keyid=\"c7-0001\"; key=\"" K16
			      "\"; cipher=\"AESKW128\"; spi=\"4660\"; "
			      "salt=\"" SALT "\"; ttl=\"3600\"; "
			      "profile=\"0009\"";

static void
test_the_example(void **state)
{
	char out[PERC_ENCKEY_TEXT_MAX];

	assert_int_equal(parse(example), 0);
	assert_int_equal(n, 1);
	assert_string_equal(keys[0].keyid, "c7-0001");
	assert_int_equal(keys[0].keylen, 16);
	for (uint8_t i = 0; i < 16; i++)
		assert_int_equal(keys[0].key[i], i);
	for (uint8_t i = 0; i < 12; i++)
		assert_int_equal(keys[0].salt[i], 0xa0 + i);
	assert_int_equal(keys[0].cipher, PERC_AESKW128);
	assert_int_equal(keys[0].profile, PERC_DOUBLE_128);
	assert_int_equal(keys[0].spi, 4660);
	assert_int_equal(keys[0].ttl_s, 3600);
	assert_false(keys[0].recvonly);
	assert_int_equal(perc_enckey_print(out, sizeof(out), &keys[0]), 0);
	assert_string_equal(out, example);
}

static const struct {
	const char *text;
	size_t n;
} good[] = {
	{ "", 0 },
	{ " , ,", 0 },
	{ GOOD, 1 },
	{ GOOD ";", 1 },
	{ GOOD " ; ; ", 1 },
	{ "usage=EKT;keyid=k1 ;key=" K16 "; spi=1" REST, 1 },
	{ "USAGE=EKT; KeyID=k1; KEY=" K16 "; Spi=1" REST, 1 },
	{ "usage=EKT; keyid=k1; key=\"" K16 "\"; spi=\"1\"" REST, 1 },
	{ GOOD ", " GOOD2, 2 },
	{ GOOD " ,, " GOOD2 ",", 2 },
	{ GOOD "; future=1", 1 },
	{ GOOD "; future=\"a, b; c=\\\"d\\\"\"", 1 },
	{ GOOD "; a-parameter-name-that-is-longer-than-all-we-know=x", 1 },
	{ "usage=other; key=x, " GOOD, 1 },
	{ "usage=ekt; key=" K16, 0 }, /* case-sensitive */
	{ "keyid=\"x\", " GOOD, 1 },  /* no usage: never used as EKT */
	{ "usage=EKT; keyid=\"k\\1\"; key=" K16 "; spi=1" REST, 1 },
	{ GOOD "; mode=recvonly", 1 },
	{ GOOD "; mode=sendrecv", 1 },
	{ "usage=EKT; keyid=k; spi=0; key=" K32 "; cipher=AESKW256; salt=" SALT
	  "; ttl=16777215; profile=000A",
	    1 },
	{ "usage=EKT; keyid=k; spi=65535; key=" K32 "; cipher=AESKW256; "
	  "salt=" SALT "; ttl=1; profile=000a",
	    1 },
};

static void
test_accepted(void **state)
{
	for (size_t i = 0; i < COUNT(good); i++) {
		if (parse(good[i].text) != 0)
			fail_msg("refused: %s", good[i].text);
		assert_int_equal(n, good[i].n);
	}
}

/* Material with another usage, or none, is never taken for an EKT key. */
static void
test_REQ_W_3_2_usage_binds_the_key(void **state)
{
	static const char *const others[] = { "usage=ekt; ", "usage=EKT2; ",
		"usage=\"\"; ", "usage=other; " };
	char text[512];

	for (size_t i = 0; i < COUNT(others); i++) {
		snprintf(text, sizeof(text),
		    "%skeyid=k1; key=" K16 "; spi=1" REST, others[i]);
		assert_int_equal(parse(text), 0);
		assert_int_equal(n, 0);
	}
	/* without any, the whole answer is broken, unless a key is beside it */
	assert_int_equal(
	    parse("keyid=k1; key=" K16 "; spi=1" REST), PERC_ERR_FORMAT);
	assert_int_equal(parse("usage=other, keyid=k1"), PERC_ERR_FORMAT);
}

#define WITHOUT_KEY "usage=EKT; keyid=k1; spi=1" REST "; key="
#define WITHOUT_SPI "usage=EKT; keyid=k1; key=" K16 REST "; spi="
#define NO_TTL                                                                 \
	"usage=EKT; keyid=k1; key=" K16 "; spi=1; cipher=AESKW128; salt=" SALT \
	"; profile=0009"

static const char *const bad[] = {
	/* something missing */
	"usage=EKT; key=" K16 "; spi=1" REST,
	"usage=EKT; keyid=k1; spi=1" REST,
	"usage=EKT; keyid=k1; key=" K16 REST,
	"usage=EKT; keyid=k1; key=" K16 "; spi=1; cipher=AESKW128; ttl=1; "
	"profile=0009",
	NO_TTL,
	"usage=EKT; keyid=k1; key=" K16 "; spi=1; salt=" SALT
	"; ttl=1; profile=0009",
	"usage=EKT; keyid=k1; key=" K16 "; spi=1; cipher=AESKW128; salt=" SALT
	"; ttl=1",
	/* the draft's own example key, and wrong lengths */
	WITHOUT_KEY "lupDujHomwIjlutebgharghmey",
	WITHOUT_KEY "AAECAwQFBgcICQoLDA0OD",
	WITHOUT_KEY "AAECAwQFBgcICQoLDA0ODwA",
	WITHOUT_KEY "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh",
	WITHOUT_KEY K32 "A",
	WITHOUT_KEY "AAECAwQFBgcICQoLDA0ODx", /* pad bits */
	WITHOUT_KEY "AAECAwQFBgcICQoLDA0ODw==",
	WITHOUT_KEY "AAECAwQFBgcICQoLDA0O+w",
	WITHOUT_KEY "\"AAECAwQFBgcICQoLDA0O w\"",
	WITHOUT_KEY "\"\"",
	/* cipher and key do not fit */
	WITHOUT_KEY K32,
	"usage=EKT; keyid=k; spi=1; key=" K16 "; cipher=AESKW256; salt=" SALT
	"; ttl=1; profile=000A",
	"usage=EKT; keyid=k; spi=1; key=" K16 "; cipher=AESKW128; salt=" SALT
	"; ttl=1; profile=000A",
	"usage=EKT; keyid=k; spi=1; key=" K16 "; cipher=aeskw128; salt=" SALT
	"; ttl=1; profile=0009",
	/* numbers */
	WITHOUT_SPI "65536",
	WITHOUT_SPI "007",
	WITHOUT_SPI "-1",
	WITHOUT_SPI "\"\"",
	WITHOUT_SPI "0x1",
	WITHOUT_SPI "1a",
	WITHOUT_SPI "99999999999999999999",
	WITHOUT_SPI "00",
	NO_TTL "; ttl=0",
	NO_TTL "; ttl=16777216",
	NO_TTL "; ttl=4294967297",
	NO_TTL "; ttl=\" 1\"",
	NO_TTL "; ttl=01",
	/* said twice, ours or not */
	GOOD "; spi=1",
	GOOD "; SPI=1",
	GOOD "; x=1; X=2",
	GOOD "; usage=EKT",
	GOOD "; a-parameter-name-that-is-longer-than-all-we-know=x"
	     "; A-Parameter-Name-That-Is-Longer-Than-All-We-Know=y",
	GOOD "; *=x; *=y",
	/* form */
	GOOD "; x=\"",
	GOOD "; x=\"abc",
	GOOD "; x=\"abc\\",
	GOOD "; x",
	GOOD "; =1",
	GOOD "; x=",
	GOOD "; x =1",
	GOOD "; x= 1",
	GOOD "; x=\"a\"b",
	GOOD "; x=a\"b\"",
	GOOD " y=1",
	GOOD "; x=\"a\nb\"",
	GOOD "; x=\"a\rb\"",
	GOOD "\r\n",
	GOOD "; x=a\x01",
	GOOD "; x=\"\x7f\"",
	GOOD "; mode=sendonly",
	GOOD "; dh=abc",
	GOOD "; dh=\"\"",
	/* one key twice */
	GOOD ", " GOOD,
	GOOD ", usage=EKT; keyid=k2; key=" K16 "; spi=1" REST,
	GOOD ", usage=EKT; keyid=k1; key=" K16 "; spi=2" REST,
	/* one good, one broken: nothing */
	GOOD ", usage=EKT; keyid=k2",
	GOOD ", usage=other; x=\"",
	/* keyid */
	"usage=EKT; keyid=\"\"; key=" K16 "; spi=1" REST,
	"usage=EKT; keyid=\"a b\"; key=" K16 "; spi=1" REST,
	"usage=EKT; keyid=a/b; key=" K16 "; spi=1" REST,
	"usage=EKT; key=" K16 "; spi=1" REST "; keyid="
	"1234567890123456789012345678901234567890123456789012345678901234"
	"5",
};

static void
test_refused_and_wiped(void **state)
{
	static const struct perc_enckey zero[PERC_ENCKEY_MAX];

	for (size_t i = 0; i < COUNT(bad); i++) {
		memset(keys, 0xee, sizeof(keys));
		n = 99;
		if (parse(bad[i]) != PERC_ERR_FORMAT)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(n, 0);
		assert_memory_equal(keys, zero, sizeof(keys));
	}
}

static void
test_a_NUL_ends_nothing(void **state)
{
	static const char nul[] = GOOD "; x=\"a\0b\"";
	static const char after[] = GOOD "\0; spi=1";

	assert_int_equal(
	    perc_enckey_parse(keys, &n, nul, sizeof(nul) - 1), PERC_ERR_FORMAT);
	assert_int_equal(perc_enckey_parse(keys, &n, after, sizeof(after) - 1),
	    PERC_ERR_FORMAT);
}

static void
test_bounds(void **state)
{
	char text[8192], *p = text;

	for (int i = 0; i < PERC_ENCKEY_MAX; i++)
		p += sprintf(p,
		    "usage=EKT; keyid=k%d; key=" K16 "; spi=%d" REST ",", i, i);
	assert_int_equal(parse(text), 0);
	assert_int_equal(n, PERC_ENCKEY_MAX);
	sprintf(p, "usage=EKT; keyid=kx; key=" K16 "; spi=99" REST);
	assert_int_equal(parse(text), PERC_ERR_LIMIT);
	memset(text, ',', 5000);
	text[5000] = '\0';
	assert_int_equal(parse(text), PERC_ERR_LIMIT);
	memset(text, ';', 5000);
	assert_int_equal(parse(text), PERC_ERR_LIMIT);
	p = stpcpy(text, GOOD);
	for (int i = 0; i < 100; i++)
		p += sprintf(p, "; x%d=1", i);
	assert_int_equal(parse(text), PERC_ERR_LIMIT);
}

static void
test_what_cannot_be_written(void **state)
{
	char out[PERC_ENCKEY_TEXT_MAX];
	struct perc_enckey k;

	assert_int_equal(parse(example), 0);
	for (size_t cap = 0; cap < sizeof(example); cap++)
		assert_int_equal(
		    perc_enckey_print(out, cap, &keys[0]), PERC_ERR_SHORT);
	k = keys[0];
	k.ttl_s = 0;
	assert_int_equal(
	    perc_enckey_print(out, sizeof(out), &k), PERC_ERR_INVAL);
	k = keys[0];
	strcpy(k.keyid, "a\"b");
	assert_int_equal(
	    perc_enckey_print(out, sizeof(out), &k), PERC_ERR_INVAL);
	k = keys[0];
	k.keylen = 32;
	assert_int_equal(
	    perc_enckey_print(out, sizeof(out), &k), PERC_ERR_INVAL);
	/* The longest fits the size that the header promises. */
	k = keys[0];
	memset(k.keyid, 'k', PERC_ENCKEY_KEYID_MAX);
	k.keyid[PERC_ENCKEY_KEYID_MAX] = '\0';
	k.keylen = 32;
	k.cipher = PERC_AESKW256;
	k.profile = PERC_DOUBLE_256;
	k.spi = 65535;
	k.ttl_s = 16777215;
	k.recvonly = 1;
	assert_int_equal(perc_enckey_print(out, sizeof(out), &k), 0);
	assert_int_equal(parse(out), 0);
	assert_memory_equal(&keys[0], &k, sizeof(k));
}

/* --- RFC 8870 section 5.2.2 --------------------------------------------- */

static const char image[] = "0010"
			    "000102030405060708090a0b0c0d0e0f"
			    "000c"
			    "a0a1a2a3a4a5a6a7a8a9aaab"
			    "1234"
			    "000e10";

static void
test_the_struct_of_RFC_8870(void **state)
{
	uint8_t in[37], out[64];
	size_t len = sizeof(out);
	struct perc_enckey k;

	assert_int_equal(unhex(in, image), 37);
	assert_int_equal(perc_ektkey_get(&k, in, 37), 0);
	assert_int_equal(parse(example), 0);
	assert_memory_equal(k.key, keys[0].key, 16);
	assert_memory_equal(k.salt, keys[0].salt, 12);
	assert_int_equal(k.spi, 0x1234);
	assert_int_equal(k.ttl_s, 3600);
	assert_int_equal(k.cipher, PERC_AESKW128);
	assert_int_equal(perc_ektkey_put(out, &len, &keys[0]), 0);
	assert_int_equal(len, 37);
	assert_memory_equal(out, in, 37);
	for (size_t i = 0; i < 37; i++) {
		len = i;
		assert_int_equal(perc_ektkey_get(&k, in, i), PERC_ERR_SHORT);
		assert_int_equal(
		    perc_ektkey_put(out, &len, &keys[0]), PERC_ERR_SHORT);
	}
}

static void
test_the_struct_with_a_longer_key(void **state)
{
	uint8_t out[64];
	size_t len = sizeof(out);
	struct perc_enckey k;

	assert_int_equal(parse(good[COUNT(good) - 1].text), 0);
	assert_int_equal(perc_ektkey_put(out, &len, &keys[0]), 0);
	assert_int_equal(len, 53);
	assert_int_equal(perc_ektkey_get(&k, out, len), 0);
	assert_int_equal(k.keylen, 32);
	assert_int_equal(k.cipher, PERC_AESKW256);
	assert_memory_equal(k.key, keys[0].key, 32);
	assert_int_equal(perc_ektkey_get(&k, out, len + 1), PERC_ERR_FORMAT);
}

static void
test_structs_that_lie(void **state)
{
	static const struct {
		size_t at;
		uint8_t v;
	} lies[] = { { 0, 1 }, { 1, 15 }, { 1, 0 }, { 1, 255 }, { 19, 11 },
		{ 19, 13 }, { 18, 255 } };
	uint8_t in[37], longer[39];
	struct perc_enckey k;
	static const struct perc_enckey zero;

	for (size_t i = 0; i < COUNT(lies); i++) {
		(void)unhex(in, image);
		in[lies[i].at] = lies[i].v;
		assert_int_not_equal(perc_ektkey_get(&k, in, 37), 0);
		assert_memory_equal(&k, &zero, sizeof(k));
	}
	(void)unhex(in, image); /* of a longer salt the first 12 octets count */
	memcpy(longer, in, 32);
	memset(longer + 32, 0x55, 2);
	memcpy(longer + 34, in + 32, 5);
	longer[19] = 14;
	assert_int_equal(perc_ektkey_get(&k, longer, sizeof(longer)), 0);
	assert_memory_equal(k.salt, in + 20, sizeof(k.salt));
	assert_int_equal(k.ttl_s, 3600);
	(void)unhex(in, image); /* a ttl of 0 is none */
	memset(in + 34, 0, 3);
	assert_int_equal(perc_ektkey_get(&k, in, 37), PERC_ERR_FORMAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_example),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_REQ_W_3_2_usage_binds_the_key),
		cmocka_unit_test(test_refused_and_wiped),
		cmocka_unit_test(test_a_NUL_ends_nothing),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_what_cannot_be_written),
		cmocka_unit_test(test_the_struct_of_RFC_8870),
		cmocka_unit_test(test_the_struct_with_a_longer_key),
		cmocka_unit_test(test_structs_that_lie),
	};

	return cmocka_run_group_tests_name("enckey", tests, NULL, NULL);
}
