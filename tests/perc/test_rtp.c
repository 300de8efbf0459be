/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every cut and every lie of an RTP header, the boundary of each kind of EKT
 * field, and each form of the OHB, exhaustively where that is possible.
 */
#include "tests/perc/bytes.h"

#include "perc/ohb.h"
#include "perc/rtp.h"
#include "perc/tail.h"

static void
test_header(void **state)
{
	uint8_t p[64];
	size_t n, i;
	struct perc_rtp h;

	n = hex(p,
	    "b291 1234 decafbad cafebabe 11223344 55667788 bede 0002"
	    "108f0000 00000000 abab");
	CALL(perc_rtp_parse(&h, p, n));
	assert_true(h.padding && h.extension && h.marker);
	assert_int_equal(h.cc, 2);
	assert_int_equal(h.pt, 0x11);
	assert_int_equal(h.seq, 0x1234);
	assert_int_equal(h.ts, 0xdecafbad);
	assert_int_equal(h.ssrc, 0xcafebabe);
	assert_int_equal(h.ext_profile, 0xbede);
	assert_int_equal(h.fixed_len, 20);
	assert_int_equal(h.header_len, 32);
	for (i = 0; i < 32; i++)
		assert_int_equal(perc_rtp_parse(&h, p, i), PERC_ERR_SHORT);
	CALL(perc_rtp_parse(&h, p, 32));
}

static void
test_header_lies(void **state)
{
	uint8_t *p = malloc(2048);
	struct perc_rtp h;
	unsigned b, len;

	memset(p, 0, 2048);
	for (b = 0; b < 256; b++) { /* every first octet */
		p[0] = (uint8_t)b;
		if (b >> 6 != 2)
			assert_int_equal(
			    perc_rtp_parse(&h, p, 2048), PERC_ERR_FORMAT);
		else
			CALL(perc_rtp_parse(&h, p, 2048));
	}
	p[0] = 0x90; /* every extension length */
	for (len = 0; len < 65536; len++) {
		p[14] = (uint8_t)(len >> 8);
		p[15] = (uint8_t)len;
		assert_int_equal(perc_rtp_parse(&h, p, 2048),
		    16 + 4 * len <= 2048 ? 0 : PERC_ERR_SHORT);
	}
	free(p);
}

static void
test_kinds(void **state)
{
	uint8_t p[2] = { 0, 0 };
	unsigned b;

	assert_int_equal(perc_pkt_kind(p, 0), PERC_PKT_OTHER);
	assert_int_equal(perc_pkt_kind(p, 1), PERC_PKT_OTHER);
	for (b = 0; b < 256; b++) { /* RFC 7983 section 7 */
		p[0] = (uint8_t)b;
		assert_int_equal(perc_pkt_kind(p, 2),
		    b <= 3		       ? PERC_PKT_STUN
			: b >= 20 && b <= 63   ? PERC_PKT_DTLS
			: b >= 128 && b <= 191 ? PERC_PKT_RTP
					       : PERC_PKT_OTHER);
	}
	p[0] = 0x80;
	for (b = 0; b < 256; b++) { /* RFC 5761 section 4 */
		p[1] = (uint8_t)b;
		assert_int_equal(perc_pkt_kind(p, 2),
		    b >= 192 && b <= 223 ? PERC_PKT_RTCP : PERC_PKT_RTP);
	}
}

static void
test_ohb_all_forms(void **state)
{
	uint8_t p[4] = { 0xff, 0x12, 0x34, 0 }, out[PERC_OHB_MAX];
	struct perc_ohb o;
	unsigned c;
	size_t want, n;

	for (c = 0; c < 256; c++) {
		p[3] = (uint8_t)c;
		if ((c & 0xf0) != 0 || (c & 0x0c) == 0x08) {
			assert_int_equal(
			    perc_ohb_get(&o, p, 4), PERC_ERR_FORMAT);
			continue;
		}
		want = 1 + (c & 1 ? 2 : 0) + (c & 2 ? 1 : 0);
		for (n = 0; n < want; n++)
			assert_int_equal(
			    perc_ohb_get(&o, p + 4 - n, n), PERC_ERR_SHORT);
		CALL(perc_ohb_get(&o, p, 4));
		assert_int_equal(o.len, want);
		assert_int_equal(o.has_seq, c & 1);
		assert_int_equal(o.has_pt, c >> 1 & 1);
		assert_int_equal(o.has_marker, c >> 2 & 1);
		assert_int_equal(o.marker, c >> 3 & 1);
		if (o.has_seq)
			assert_int_equal(o.seq, 0x1234);
		if (o.has_pt) /* the top bit means nothing */
			assert_int_equal(o.pt, c & 1 ? 0x7f : 0x34);
		o.len = 0;
		perc_ohb_put(&o, out);
		assert_int_equal(o.len, want);
		assert_int_equal(out[want - 1], c);
		if (c & 1)
			assert_memory_equal(out + want - 3, "\x12\x34", 2);
		if (c & 2)
			assert_int_equal(out[0], o.pt);
	}
}

static void
test_ohb_order(void **state)
{
	struct perc_ohb o = { .has_pt = true,
		.has_seq = true,
		.has_marker = true,
		.pt = 15,
		.seq = 0x1234 };
	uint8_t out[PERC_OHB_MAX];

	perc_ohb_put(&o, out);
	assert_hex(out, o.len, "0f 1234 07");
}

static void
test_tail_forms(void **state)
{
	uint8_t p[64];
	struct perc_tail t;
	size_t n;

	p[0] = 0;
	CALL(perc_tail_find(&t, p, 1));
	assert_int_equal(t.len, 1);
	assert_int_equal(t.type, PERC_TAIL_SHORT);
	n = hex(p,
	    "f0d8bc9a5fc61ed0a508b5a79cec78e485597c68c921e48b7e6b04d7"
	    "aa0e82148e92ac2900763757 1234 00ff 002f 02");
	CALL(perc_tail_find(&t, p, n));
	assert_int_equal(t.len, 47);
	assert_int_equal(t.type, PERC_TAIL_FULL);
	assert_int_equal(t.spi, 0x1234);
	assert_int_equal(t.epoch, 0xff);
	assert_ptr_equal(t.ciphertext, p);
	assert_int_equal(t.ciphertext_len, 40);
	for (n = 46; n > 2; n--) /* one less in front */
		assert_int_equal(
		    perc_tail_find(&t, p + 47 - n, n), PERC_ERR_FORMAT);
	n = hex(p, "aabb 0005 04"); /* an extension */
	CALL(perc_tail_find(&t, p, n));
	assert_int_equal(t.len, 5);
	assert_int_equal(t.type, 4);
}

static void
test_tail_lies(void **state)
{
	uint8_t *p = malloc(2048);
	struct perc_tail t;
	unsigned type, len;
	int want;

	memset(p, 0x5a, 2048);
	assert_int_equal(perc_tail_find(&t, p, 0), PERC_ERR_FORMAT);
	for (type = 1; type < 256; type++) {
		p[2047] = (uint8_t)type;
		for (len = 0; len < 65536; len += type < 5 ? 1 : 97) {
			p[2045] = (uint8_t)(len >> 8);
			p[2046] = (uint8_t)len;
			want = len < 4 || len > 1027 || type == 1;
			if (type == PERC_TAIL_FULL)
				want = len < 23 || len > PERC_TAIL_MAX ||
				    (len - 7) % 8 != 0;
			assert_int_equal(perc_tail_find(&t, p, 2048),
			    want ? PERC_ERR_FORMAT : 0);
			if (!want)
				assert_int_equal(t.len, len);
		}
	}
	free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_header_lies),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_ohb_all_forms),
		cmocka_unit_test(test_ohb_order),
		cmocka_unit_test(test_tail_forms),
		cmocka_unit_test(test_tail_lies),
	};

	return cmocka_run_group_tests_name("rtp", tests, NULL, NULL);
}
