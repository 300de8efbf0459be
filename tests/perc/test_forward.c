/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The distributor: its packets as two unrelated implementations made them,
 * what the OHB must say in each order of changes along a cascade, and that
 * the receiver gets the sender's own header back.
 */
#include "tests/perc/bytes.h"

#include "perc/forward.h"
#include "perc/inner.h"

static const char *const plain_text =
    "800f1234decafbadcafebabe abababababababababababababababab";
static const char *const ext_text =
    "910f1234decafbadcafebabe 11223344 bede0001108f0000"
    "abababababababababababababababab";

static const struct vector {
	unsigned profile;
	const char *inner, *wire, *out, *ext_body;
} vectors[] = {
	{ 7, "fc8dd17f95cdd36db5e7ed99cf70b5226d73d8bd507e9d73d4e454d11f616868",
	    "800f1234decafbadcafebabe b52cbfa6a61f1b6ae63c81ecfa63546c61a1bf9e"
	    "bc64407c7d65a9fce50f8761b385c6b3c225f78db28083ca844df0b761",
	    "80a0a0a0decafbadcafebabe 03f9ec6ad2f69975c2a6b54dbb31645b4c196b50"
	    "d634250734eb527abfcadd880e74f4b49d7565312dd77fe73efaf67febb5062a",
	    "b52cbfa6a61f1b6ae63c81ecfa63546c10ac7570e73afd3e015672261530a409"
	    "b315b5d90ac225257963054b1657867323" },
	{ 8, "fe2ecca12e9cd257012c275e34c35d50e4eb500974227703b5ccf77a0df0c586",
	    "800f1234decafbadcafebabe 9e397868b06b4da90d3edfc716309d1eeedc137a"
	    "c0a6a0fc560e307f24b61cf6d7f033569bf4b635e7a826f3651182ad40",
	    "80a0a0a0decafbadcafebabe e43ebf9305216d8d1de7eee9f85e52fcf668ae9b"
	    "02c70a37be96a263f0cf51dd72ece45cdbbc153320717a458e88dcf4cb1baa55",
	    "9e397868b06b4da90d3edfc716309d1e169343f147917779420202803e45a7a9"
	    "d753912a3bd061804f01d0b681b5531c39" },
};

static struct perc_srtp *
hop(unsigned profile, uint8_t key0, uint8_t salt0)
{
	uint8_t key[32], salt[12];
	struct perc_srtp *s;

	count_up(key, key0, 32);
	count_up(salt, salt0, 12);
	CALL(perc_srtp_new(&s, profile, key, salt, 8, 64));
	return s;
}

static struct perc_gcm *
inner_key(unsigned profile)
{
	uint8_t key[32], salt[12];
	struct perc_gcm *g;

	count_up(key, 0x10, 32);
	count_up(salt, 0xb0, 12);
	CALL(perc_gcm_new(&g, key, profile == 7 ? 16 : 32, salt));
	return g;
}

static size_t
seal(unsigned profile, const char *text, uint8_t *out)
{
	struct perc_gcm *g = inner_key(profile);
	uint8_t p[256];
	size_t n = hex(p, text);
	struct perc_rtp h;

	CALL(perc_rtp_parse(&h, p, n));
	CALL(perc_inner_seal(g, &h, h.seq, p, n, out));
	perc_gcm_free(g);
	return n + PERC_INNER_ROOM;
}

static size_t
outer_open(struct perc_srtp *s, const uint8_t *p, size_t n, uint8_t *out)
{
	struct perc_rtp h;

	CALL(perc_rtp_parse(&h, p, n));
	CALL(perc_srtp_unprotect(s, &h, p, n, out, &n));
	return n;
}

static void
test_vectors(void **state)
{
	struct perc_rewrite w = { .set_pt = true,
		.set_seq = true,
		.set_marker = true,
		.pt = 32,
		.seq = 0xa0a0,
		.marker = true };
	const struct vector *v;
	struct perc_srtp *tx, *md;
	uint8_t p[256], out[256];
	struct perc_rtp h;
	size_t n, i, len;

	for (i = 0; i < 2; i++) {
		v = &vectors[i];
		tx = hop(v->profile, 0x80, 0xa0);
		md = hop(v->profile, 0x40, 0xc0);
		n = seal(v->profile, plain_text, p);
		assert_hex(p + 12, 32, v->inner);
		CALL(perc_rtp_parse(&h, p, n));
		CALL(perc_srtp_protect(tx, &h, p, n, out, &len));
		assert_hex(out, len, v->wire);
		CALL(perc_forward(md, &w, p, n, out, sizeof(out), &len));
		assert_hex(out, len, v->out);
		perc_srtp_free(tx);
		perc_srtp_free(md);
		tx = hop(v->profile, 0x80, 0xa0);
		n = seal(v->profile, ext_text, p);
		CALL(perc_rtp_parse(&h, p, n));
		CALL(perc_srtp_protect(tx, &h, p, n, out, &len));
		assert_int_equal(h.header_len, 24);
		assert_hex(out + 24, len - 24, v->ext_body);
		perc_srtp_free(tx);
	}
}

/* One hop of a cascade: p is opened, forwarded with w, and opened again. */
static size_t
cascade(uint8_t *p, size_t n, const struct perc_rewrite *w)
{
	struct perc_srtp *md = hop(7, 1, 2), *rx = hop(7, 1, 2);
	uint8_t out[512];
	size_t len;

	CALL(perc_forward(md, w, p, n, out, sizeof(out), &len));
	n = outer_open(rx, out, len, p);
	perc_srtp_free(md);
	perc_srtp_free(rx);
	return n;
}

static void
assert_ohb(const uint8_t *p, size_t n, const char *want)
{
	uint8_t buf[8];
	size_t len = hex(buf, want);

	assert_int_equal(n, 12 + 32 + len);
	assert_memory_equal(p + 44, buf, len);
}

/* Does the receiver get the sender's own packet back? */
static void
assert_original(const uint8_t *p, size_t n)
{
	struct perc_gcm *g = inner_key(7);
	struct perc_inner in;
	uint8_t out[256];
	size_t len;

	CALL(perc_inner_parse(&in, p, n));
	assert_int_equal(in.seq, 0x1234);
	CALL(perc_inner_open(g, &in, in.seq, out, &len));
	assert_hex(out, len, plain_text);
	perc_gcm_free(g);
}

#define PT(v)                                                                  \
	{                                                                      \
		.set_pt = true, .pt = (v)                                      \
	}
#define SEQ(v)                                                                 \
	{                                                                      \
		.set_seq = true, .seq = (v)                                    \
	}
#define MARK(v)                                                                \
	{                                                                      \
		.set_marker = true, .marker = (v)                              \
	}

static void
test_cascade(void **state)
{
	static const struct {
		struct perc_rewrite w;
		const char *ohb;
	} step[] = {
		{ { 0 }, "00" },
		{ PT(15), "00" },    /* no change */
		{ PT(32), "0f 02" }, /* the first original value */
		{ PT(33), "0f 02" }, /* stays */
		{ SEQ(0xa0a0), "0f 1234 03" },
		{ MARK(true), "0f 1234 07" },
		{ MARK(true), "0f 1234 07" },
		{ PT(15), "1234 05" }, /* put back: taken out */
		{ SEQ(1), "1234 05" },
		{ SEQ(0x1234), "04" },
		{ MARK(false), "00" },
		{ MARK(true), "04" },
		{ PT(127), "0f 06" },
		{ PT(15), "04" },
		{ MARK(false), "00" },
		{ SEQ(0), "1234 01" },
	};
	uint8_t p[512];
	size_t n = seal(7, plain_text, p), i;

	for (i = 0; i < sizeof(step) / sizeof(step[0]); i++) {
		n = cascade(p, n, &step[i].w);
		assert_ohb(p, n, step[i].ohb);
		assert_original(p, n);
	}
}

static void
test_marker_value(void **state)
{
	struct perc_rewrite clear = MARK(false);
	uint8_t p[512], q[512];
	size_t n, len;
	struct perc_rtp h;
	struct perc_gcm *g = inner_key(7);

	n = hex(p, "808f1234decafbadcafebabe abab"); /* M set by the sender */
	CALL(perc_rtp_parse(&h, p, n));
	CALL(perc_inner_seal(g, &h, h.seq, p, n, q));
	len = cascade(q, n + PERC_INNER_ROOM, &clear);
	assert_int_equal(q[1], 0x0f);
	assert_int_equal(q[len - 1], 0x0c); /* B and M */
	perc_gcm_free(g);
}

static void
test_extensions(void **state)
{
	static const uint8_t ext[] = { 0xbe, 0xde, 0, 1, 0x20, 0x7f, 0, 0 };
	struct perc_rewrite none = { .set_ext = true };
	struct perc_rewrite other = {
		.set_ext = true, .ext = ext, .extlen = sizeof(ext)
	};
	struct perc_rewrite bad;
	struct perc_srtp *md = hop(7, 1, 2);
	uint8_t p[512], out[512];
	size_t n = seal(7, plain_text, p), len;

	n = cascade(p, n, &other);
	assert_int_equal(p[0], 0x90);
	assert_memory_equal(p + 12, ext, sizeof(ext));
	assert_original(p, n);
	n = cascade(p, n, &none);
	assert_int_equal(p[0], 0x80);
	assert_ohb(p, n, "00");
	assert_original(p, n);
	for (len = 0; len < 8; len++) { /* lengths that lie */
		bad = other;
		bad.extlen = len;
		assert_int_equal(
		    perc_forward(md, &bad, p, n, out, sizeof(out), &len),
		    PERC_ERR_INVAL);
	}
	bad = (struct perc_rewrite)PT(128);
	assert_int_equal(perc_forward(md, &bad, p, n, out, sizeof(out), &len),
	    PERC_ERR_INVAL);
	perc_srtp_free(md);
}

static void
test_hostile(void **state)
{
	struct perc_srtp *md = hop(7, 1, 2);
	struct perc_rewrite w = PT(32);
	uint8_t p[512], out[512];
	size_t n = seal(7, plain_text, p), i, len;
	unsigned c;

	for (c = 1; c < 256; c++) { /* reserved bits, B without M */
		p[n - 1] = (uint8_t)c;
		if ((c & 0xf0) == 0 && (c & 0x0c) != 8)
			continue;
		assert_int_equal(
		    perc_forward(md, &w, p, n, out, sizeof(out), &len),
		    PERC_ERR_FORMAT);
	}
	p[n - 1] = 0;
	for (i = 0; i < n + PERC_REWRITE_ROOM - 1; i++) /* no room */
		assert_int_equal(
		    perc_forward(md, &w, p, n, out, i, &len), PERC_ERR_SHORT);
	for (i = 0; i <= 12; i++) /* cut */
		assert_int_equal(
		    perc_forward(md, &w, p, i, out, sizeof(out), &len),
		    PERC_ERR_SHORT);
	/* none of that used up the index */
	CALL(perc_forward(md, &w, p, n, out, n + PERC_REWRITE_ROOM, &len));
	perc_srtp_free(md);
}

static void
test_repair(void **state)
{
	struct perc_rewrite w = SEQ(99);
	struct perc_srtp *md = hop(7, 1, 2), *rx = hop(7, 1, 2);
	uint8_t p[64], out[128], back[128];
	size_t n = rtp_make(p, 5, 7, 20), len;

	w.repair = true; /* its last octet is no OHB */
	CALL(perc_forward(md, &w, p, n, out, sizeof(out), &len));
	assert_int_equal(len, n + 16);
	assert_int_equal(outer_open(rx, out, len, back), n);
	assert_int_equal(back[3], 99);
	assert_memory_equal(back + 4, p + 4, n - 4);
	perc_srtp_free(md);
	perc_srtp_free(rx);
}

/* A ROC per SSRC per receiver, starting at 0 whatever SEQ comes first. */
static void
test_REQ_J_7a_roc_per_receiver(void **state)
{
	struct perc_srtp *leg[2] = { hop(7, 1, 2), hop(7, 3, 4) };
	uint8_t p[128], out[256];
	uint32_t roc;
	size_t n, len;
	unsigned i;

	for (i = 0; i < 4; i++) {
		n = rtp_make(p, 5, (uint16_t)(65534 + i), 40);
		CALL(perc_forward(leg[0], NULL, p, n, out, sizeof(out), &len));
		if (i >= 3) /* joins after the wrap */
			CALL(perc_forward(
			    leg[1], NULL, p, n, out, sizeof(out), &len));
	}
	n = rtp_make(p, 6, 100, 40);
	CALL(perc_forward(leg[0], NULL, p, n, out, sizeof(out), &len));
	CALL(perc_srtp_roc_get(leg[0], 5, &roc));
	assert_int_equal(roc, 1);
	CALL(perc_srtp_roc_get(leg[0], 6, &roc));
	assert_int_equal(roc, 0);
	CALL(perc_srtp_roc_get(leg[1], 5, &roc));
	assert_int_equal(roc, 0);
	perc_srtp_free(leg[0]);
	perc_srtp_free(leg[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_cascade),
		cmocka_unit_test(test_marker_value),
		cmocka_unit_test(test_extensions),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_repair),
		cmocka_unit_test(test_REQ_J_7a_roc_per_receiver),
	};

	return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
