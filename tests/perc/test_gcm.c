/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The published vectors of RFC 7714 sections 16 and 17 (RTP, and SRTCP, whose
 * nonce has the same form), the KDF of RFC 3711 and 6188 with the lengths of
 * RFC 7714, and the AEAD level of Double.
 */
#include "tests/perc/bytes.h"

#include "perc/crypto.h"
#include "perc/gcm.h"
#include "perc/gcm_int.h"
#include "perc/gcm_mb.h"

#define RTP_PLAIN                                                              \
	"47616c6c6961206573742 06f6d6e697320646976697361"                      \
	"20696e207061727465732074726573"

static const struct rfc7714 {
	size_t keylen;
	const char *rtp, *rtcp;
} rfc7714[] = {
	{ 16,
	    "f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b"
	    "36de3adf8833899d7f27beb16a9152cf765ee4390cce",
	    "63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda"
	    "4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade" },
	{ 32,
	    "32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f"
	    "1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
	    "d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be"
	    "8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be" },
};

static struct perc_gcm *
session(const struct rfc7714 *v)
{
	uint8_t key[32], salt[12];
	struct perc_gcm *g;

	count_up(key, 0, 32);
	assert_int_equal(hex(salt, "517569642070726f2071756f"), 12);
	CALL(perc_gcm_new_session(&g, key, v->keylen, salt));
	return g;
}

static void
test_rfc7714_rtp(void **state)
{
	uint8_t aad[12], in[64], out[80], back[64];
	struct perc_gcm *g;
	size_t i, n;

	for (i = 0; i < 2; i++) {
		g = session(&rfc7714[i]);
		hex(aad, "8040f17b 8041f8d3 5501a0b2");
		n = hex(in, RTP_PLAIN);
		CALL(perc_gcm_seal(g, 0x5501a0b2, 0xf17b, aad, 12, in, n, out));
		assert_hex(out, n + 16, rfc7714[i].rtp);
		CALL(perc_gcm_open(
		    g, 0x5501a0b2, 0xf17b, aad, 12, out, n + 16, back));
		assert_memory_equal(back, in, n);
		perc_gcm_free(g);
	}
}

static void
test_rfc7714_rtcp(void **state)
{
	uint8_t aad[12], in[64], out[80], back[64];
	struct perc_gcm *g;
	size_t i, n;

	for (i = 0; i < 2; i++) {
		g = session(&rfc7714[i]);
		hex(aad, "81c8000d 4d617273 800005d4");
		n = hex(in,
		    "4e5450314e545032525450200000042a0000e9304c756e61"
		    "deadbeefdeadbeefdeadbeefdeadbeefdeadbeef");
		CALL(perc_gcm_seal(g, 0x4d617273, 0x5d4, aad, 12, in, n, out));
		assert_hex(out, n + 16, rfc7714[i].rtcp);
		CALL(perc_gcm_open(
		    g, 0x4d617273, 0x5d4, aad, 12, out, n + 16, back));
		assert_memory_equal(back, in, n);
		perc_gcm_free(g);
	}
}

static void
test_kdf(void **state)
{
	struct perc_session_keys k;
	uint8_t key[32], salt[12];

	count_up(key, 0, 32);
	count_up(salt, 0xa0, 12);
	CALL(perc_srtp_kdf(&k, key, 16, salt));
	assert_hex(k.rtp_key, 16, "077c6143cb221bc355ff23d5f984a16e");
	assert_hex(k.rtp_salt, 12, "9af3e95364ebac9c99c5a7c4");
	CALL(perc_srtp_kdf(&k, key, 32, salt));
	assert_hex(k.rtp_key, 32,
	    "b7a435ce454463b760dc82c838468a11"
	    "5c699625af4b93a0f8220a2a6119c5d0");
	assert_hex(k.rtp_salt, 12, "944bd21c268a962cd09c674a");
	assert_int_equal(perc_srtp_kdf(&k, key, 24, salt), PERC_ERR_INVAL);
}

/* double.md section 10: libsrtp pull request 422, inner then outer with the
 * Config octet 0 between. */
static void
double_aead(
    const char *inner, const char *outer, size_t keylen, const char *want)
{
	uint8_t key[32], salt[12], aad[20], in[128], mid[128], out[128];
	struct perc_gcm *g;
	size_t n;

	hex(aad, "f1edfacedeadbeeffeedfacedeadbeefabaddad2");
	n = hex(in,
	    "34250ce8b6bfd501b6c85ac88b5454e8ad3873dd19442a149fd813d129e33bfe"
	    "ff7c2da46c5f6635d87566b9c508a178c6eeea6fca2e38bcff060f51");
	/* the nonce, less SSRC feedface and SEQ face at ROC 0 */
	hex(salt, "cafebabefacedbaddecaf888");
	salt[2] ^= 0xfe;
	salt[3] ^= 0xed;
	salt[4] ^= 0xfa;
	salt[5] ^= 0xce;
	salt[10] ^= 0xfa;
	salt[11] ^= 0xce;
	aad[0] = 0xe1;
	assert_int_equal(hex(key, inner), keylen);
	CALL(perc_gcm_new_session(&g, key, keylen, salt));
	CALL(perc_gcm_seal(g, 0xfeedface, 0xface, aad, 16, in, n, mid));
	perc_gcm_free(g);
	mid[n + 16] = 0;
	aad[0] = 0xf1;
	assert_int_equal(hex(key, outer), keylen);
	CALL(perc_gcm_new_session(&g, key, keylen, salt));
	CALL(perc_gcm_seal(g, 0xfeedface, 0xface, aad, 20, mid, n + 17, out));
	perc_gcm_free(g);
	assert_hex(out, n + 33, want);
}

static void
test_double_aead(void **state)
{
	double_aead("959a190783ce312db4efdc1d0f0ef985",
	    "ed77bb0032346d65ff08f34097c32735", 16,
	    "7db3afec3d4afc1e85ea909a309a83f6875767007f57e32477db196be54ff563"
	    "d494813a3d120aebcb80dd2d0f0af2976654ddd2db4b87ca328b63af61489229"
	    "8c4dc05dfc7903e4b6d08ef154196eda313c79ef435eb93faafe39e4b0");
	double_aead(
	    "1e6910c1c0259605bc0aeaf16ccb2a2f2e4e0c7f2def1d0f08bb729674325343",
	    "9e7d33fb26eb3d56b7c97276d945270ac9ad6908a0677e16e286c71117300844",
	    32,
	    "1faa28c62a3e8e9eb925f8260039ae430ec51fed5b61b11bf59cd559939d3fcd"
	    "c966f785e0ff1af7bc0adc4725f7028d54c84a6ece6d6456604aec25bb6dda0c"
	    "d0b9dea0d19759e54ba0dac82df292076ddf7e8597fab33d1c1815a5c0");
}

static void
test_tamper(void **state)
{
	uint8_t aad[12] = { 0x80 }, in[40], out[56], back[40], zero[40];
	struct perc_gcm *g = session(&rfc7714[0]);
	unsigned bit;

	memset(in, 0x77, sizeof(in));
	memset(zero, 0, sizeof(zero));
	CALL(perc_gcm_seal(g, 1, 2, aad, 12, in, 40, out));
	for (bit = 0; bit < 56 * 8; bit++) {
		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
		memset(back, 0x55, sizeof(back));
		assert_int_equal(perc_gcm_open(g, 1, 2, aad, 12, out, 56, back),
		    PERC_ERR_AUTH);
		assert_memory_equal(back, zero, 40); /* nothing of use */
		out[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (bit = 0; bit < 12 * 8; bit++) {
		aad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(perc_gcm_open(g, 1, 2, aad, 12, out, 56, back),
		    PERC_ERR_AUTH);
		aad[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(
	    perc_gcm_open(g, 2, 2, aad, 12, out, 56, back), PERC_ERR_AUTH);
	assert_int_equal(perc_gcm_open(g, 1, 0x10002, aad, 12, out, 56, back),
	    PERC_ERR_AUTH);
	assert_int_equal(
	    perc_gcm_open(g, 1, 2, aad, 12, out, 15, back), PERC_ERR_SHORT);
	CALL(perc_gcm_open(g, 1, 2, aad, 12, out, 56, back));
	perc_gcm_free(g);
}

static void
test_in_place_and_empty(void **state)
{
	uint8_t aad[12] = { 0x80 }, buf[56], ref[56];
	struct perc_gcm *g = session(&rfc7714[1]);

	memset(buf, 0x77, sizeof(buf));
	CALL(perc_gcm_seal(g, 1, 2, aad, 12, buf, 40, ref));
	CALL(perc_gcm_seal(g, 1, 2, aad, 12, buf, 40, buf));
	assert_memory_equal(buf, ref, 56);
	CALL(perc_gcm_open(g, 1, 2, aad, 12, buf, 56, buf));
	assert_int_equal(buf[39], 0x77);
	CALL(perc_gcm_seal(g, 1, 3, aad, 12, buf, 0, buf));
	CALL(perc_gcm_open(g, 1, 3, aad, 12, buf, 16, ref));
	perc_gcm_free(g);
}

static void
test_key_limit(void **state)
{
	uint8_t aad[12] = { 0x80 }, buf[17] = { 0 };
	struct perc_gcm *g = session(&rfc7714[0]);

	CALL(perc_gcm_spend(g, (1ull << 48) - 1));
	CALL(perc_gcm_seal(g, 1, 1, aad, 12, buf, 1, buf));
	assert_int_equal(
	    perc_gcm_seal(g, 1, 2, aad, 12, buf, 1, buf), PERC_ERR_LIMIT);
	assert_int_equal(perc_gcm_spend(g, 1), PERC_ERR_LIMIT);
	assert_int_equal(perc_gcm_spend(g, UINT64_MAX), PERC_ERR_LIMIT);
	perc_gcm_free(g);
}

/* Both engines, octet by octet: every length up to several blocks, headers
 * with and without an extension, aligned and not, and longer ones at random. */
static void
test_engines_agree(void **state)
{
	uint8_t key[32], salt[12], aad[64], in[1500], a[1600], b[1600], c[1600];
	struct perc_gcm *evp, *mb;
	size_t keylen, i, n, al, at;

	perc_random(key, sizeof(key));
	perc_random(salt, sizeof(salt));
	perc_random(in, sizeof(in));
	for (keylen = 16; keylen <= 32; keylen += 16) {
		perc_gcm_engine_set(&perc_gcm_evp);
		CALL(perc_gcm_new(&evp, key, keylen, salt));
		CALL(perc_gcm_mb_use());
		CALL(perc_gcm_new(&mb, key, keylen, salt));
		for (i = 0; i < 3000; i++) {
			perc_random(aad, sizeof(aad));
			n = i < 600 ? i : (size_t)(aad[0] << 8 | aad[1]) % 1500;
			al = 12 + 4 * (aad[2] % 10u);
			at = aad[3] % 16;
			CALL(perc_gcm_seal(evp, 7, i, aad, al, in, n, a));
			CALL(perc_gcm_seal(mb, 7, i, aad, al, in, n, b + at));
			assert_memory_equal(a, b + at, n + 16);
			CALL(perc_gcm_open(
			    mb, 7, i, aad, al, a, n + 16, c + at));
			assert_memory_equal(c + at, in, n);
			b[at + i % (n + 16)] ^= 1;
			assert_int_equal(perc_gcm_open(mb, 7, i, aad, al,
					     b + at, n + 16, b + at),
			    PERC_ERR_AUTH);
		}
		perc_gcm_free(evp);
		perc_gcm_free(mb);
	}
}

static int
with_evp(void **state)
{
	perc_gcm_engine_set(&perc_gcm_evp);
	return 0;
}

static int
with_mb(void **state)
{
	if (perc_gcm_mb_use() == 0)
		return 0;
	print_message("no ipsec-mb here\n");
	return with_evp(state);
}

#define WITH(test, engine)                                                     \
	{                                                                      \
#test "_" #engine, test, with_##engine, NULL, NULL             \
	}
#define BOTH(test) WITH(test, evp), WITH(test, mb)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_rfc7714_rtp),
		BOTH(test_rfc7714_rtcp),
		cmocka_unit_test(test_kdf),
		BOTH(test_double_aead),
		BOTH(test_tamper),
		BOTH(test_in_place_and_empty),
		BOTH(test_key_limit),
		cmocka_unit_test(test_engines_agree),
	};
	size_t n = sizeof(tests) / sizeof(tests[0]);

	/* The last one is about the other engine alone. */
	if (perc_gcm_mb_use() != 0)
		n--;
	return _cmocka_run_group_tests("gcm", tests, n, NULL, NULL);
}
