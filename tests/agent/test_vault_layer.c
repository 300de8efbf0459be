/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A picture in three layers, between two vaults. The test is the forwarder: it
 * carries one layer or another, late, or without its beginning, and looks what
 * a player gets: one stream whose numbers go on.
 */
#include <string.h>

#include "agent/vaultframe.h"
#include "vaultkit.h"

#define CONF "c_layer"

enum { KEY, DELTA }; /* what a VP8 payload of ours is */

struct world {
	struct perc_loop *loop;
	struct kit_kmf kmf;
	struct kit_conf conf;
	struct kit a, b; /* sends, sees */
	struct kit *m[2];
	uint16_t seq[3];
	uint32_t ts;
};

static struct world w;

static int
world_open(void **state)
{
	unsigned i;

	memset(&w, 0, sizeof(w));
	assert_int_equal(perc_loop_new(&w.loop), 0);
	kit_kmf_open(&w.kmf);
	kit_conf_init(&w.conf, CONF);
	kit_open(&w.a, w.loop, &w.kmf, "alice", 0);
	kit_open(&w.b, w.loop, &w.kmf, "bob", 1);
	w.a.layers = 3;
	w.m[0] = &w.a;
	w.m[1] = &w.b;
	for (i = 0; i < 2; i++)
		kit_join(w.m[i], &w.kmf, &w.conf);
	kit_roster_all(&w.kmf, &w.conf, w.m, 2);
	kit_settle(&w.b, 5);
	kit_listen(&w.b, kit_port(&w.b, w.a.ssrc[1]));
	for (i = 0; i < 3; i++)
		w.seq[i] = (uint16_t)(1000 * (i + 1));
	return 0;
}

static int
world_close(void **state)
{
	kit_close(&w.a);
	kit_close(&w.b);
	kit_kmf_close(&w.kmf);
	perc_loop_free(w.loop);
	return 0;
}

/* One packet of a layer from the application; what the vault made of it. */
static struct kit_msg
made(unsigned layer, int kind, bool marker)
{
	uint8_t p[12 + 8];
	struct perc_wire b;
	struct kit_msg m;

	perc_wire_writer(&b, p, sizeof(p));
	perc_wire_put_u8(&b, 0x80);
	perc_wire_put_u8(&b, (marker ? 0x80 : 0) | 96);
	perc_wire_put_u16(&b, w.seq[layer]++);
	perc_wire_put_u32(&b, w.ts + 7777777 * layer);
	perc_wire_put_u32(&b, 0xabc0 + layer);
	perc_wire_put_u32(&b, kind == KEY ? 0x10000000u : 0x10010000u);
	perc_wire_put_u32(&b, layer);
	kit_app_send_to(&w.a, w.a.port[1 + layer][0], p, b.pos);
	assert_true(kit_wait(&w.a, VAULT_MEDIA_OUT, 0, &m));
	return m;
}

static void
give(struct kit_msg m)
{
	kit_send_raw(&w.b, VAULT_MEDIA_IN, m.data, m.len);
	kit_settle(&w.b, 3);
	kit_msg_clear(&m);
}

static void
next_frame(void)
{
	w.ts += 3000;
	kit_settle(&w.b, 33);
}

/* What the player has got: layer of the packet, -1 none. */
static int
seen(uint16_t *seq, uint32_t *ts)
{
	struct perc_wire r;
	uint8_t p[2048];
	size_t n = kit_recv(&w.b, p, sizeof(p));

	if (n == 0)
		return -1;
	perc_wire_reader(&r, p, n);
	assert_int_equal(perc_wire_get_u8(&r), 0x80); /* no extension */
	perc_wire_get_u8(&r);
	*seq = perc_wire_get_u16(&r);
	*ts = perc_wire_get_u32(&r);
	assert_int_equal(perc_wire_get_u32(&r), w.a.ssrc[1]);
	perc_wire_get_u32(&r);
	return (int)perc_wire_get_u32(&r);
}

/* It shows this layer, numbers and time going on. */
static void
expect(int layer)
{
	static uint16_t last_seq;
	static uint32_t last_ts;
	static bool any;
	uint16_t seq = 0;
	uint32_t ts = 0;

	if (layer < 0) {
		any = false; /* a new test */
		return;
	}
	assert_int_equal(seen(&seq, &ts), layer);
	if (any) {
		assert_int_equal((uint16_t)(seq - last_seq), 1);
		assert_in_range(ts - last_ts, 1, 9000);
	}
	any = true;
	last_seq = seq;
	last_ts = ts;
}

static void
nothing(void)
{
	uint16_t seq;
	uint32_t ts;

	assert_int_equal(seen(&seq, &ts), -1);
}

/* ---- what payloads tell ------------------------------------------------- */

static void
test_frames(void **state)
{
	static const struct {
		const char *codec;
		uint8_t p[10];
		size_t n;
		bool key, ahead;
	} t[] = {
		{ "VP8/90000", { 0x10, 0x00 }, 2, true, false },
		{ "VP8/90000", { 0x10, 0x01 }, 2, false, false },
		{ "VP8/90000", { 0x00, 0x00 }, 2, false, false }, /* no S */
		{ "VP8/90000", { 0x11, 0x00 }, 2, false, false }, /* PID 1 */
		{ "VP8/90000", { 0x90, 0x80, 0x11, 0x10 }, 4, true, false },
		{ "VP8/90000", { 0x90, 0x80, 0x91, 0x11, 0x10 }, 5, true,
		    false },
		{ "VP8/90000", { 0x90, 0xe0, 0x91, 0x11, 1, 1, 0x10 }, 7, true,
		    false },
		{ "VP8/90000", { 0x90, 0xf0, 0x91, 0x10, 0, 0, 0x11 }, 7, false,
		    false },
		{ "vp8/90000", { 0x90, 0x20, 0x01, 0x10 }, 4, true, false },
		{ "H264/90000", { 0x67, 0x42 }, 2, true, false },
		{ "H264/90000", { 0x65, 0x88 }, 2, true, false },
		{ "H264/90000", { 0x41, 0x9a }, 2, false, false },
		{ "H264/90000", { 0x09, 0x10 }, 2, false, true },
		{ "H264/90000", { 0x06, 0x05 }, 2, false, true },
		{ "H264/90000", { 0x78, 0, 2, 0x67, 0x42, 0, 1, 0x68 }, 8, true,
		    false },
		{ "H264/90000", { 0x78, 0, 2, 0x09, 0x42, 0, 1, 0x68 }, 8,
		    false, true },
		{ "H264/90000", { 0x78, 0, 9, 0x67, 0x42 }, 5, false, true },
		{ "H264/90000", { 0x7c, 0x85 }, 2, true, false },
		{ "H264/90000", { 0x7c, 0x05 }, 2, false, false },
		{ "H264/90000", { 0x7c, 0x81 }, 2, false, false },
	};
	struct vault_frame f;
	size_t i;

	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		vault_frame_look(&f, t[i].codec, t[i].p, t[i].n);
		assert_true(f.known);
		assert_int_equal(f.key, t[i].key);
		assert_int_equal(f.ahead, t[i].ahead);
		vault_frame_look(&f, t[i].codec, t[i].p, 0);
		assert_false(f.known || f.key);
		vault_frame_look(&f, t[i].codec, t[i].p, 1);
		if (t[i].codec[0] != 'H') /* its NAL type says it alone */
			assert_false(f.key);
		vault_frame_look(&f, "VP9/90000", t[i].p, t[i].n);
		assert_false(f.known || f.key);
	}
}

/* ---- what leaves -------------------------------------------------------- */

static void
leaves(unsigned layer, int kind, bool marker, uint8_t mark, bool full)
{
	/* MID "v", RID, frame marking; RFC 8285 one-byte form */
	const uint8_t ext[] = { 0xbe, 0xde, 0, 2, 0x40, 'v', 0xa0,
		(uint8_t)('0' + layer), 0x90, mark, 0, 0 };
	struct kit_msg m = made(layer, kind, marker);

	assert_int_equal(m.data[1], 0x90);
	assert_memory_equal(m.data + 1 + 12, ext, sizeof(ext));
	if (full) /* with its key (RFC 8870 section 4.4) */
		assert_int_equal(m.data[m.len - 1], 2);
	kit_msg_clear(&m);
}

static void
test_layers_say_which_they_are(void **state)
{
	unsigned i, k;

	for (k = 0; k < 8; k++)
		for (i = 0; i < 3; i++) {
			w.ts += 3000;
			leaves(i, DELTA, true, 0xc0, false);
		}
	for (i = 0; i < 3; i++) {
		w.ts += 3000;
		leaves(i, KEY, false, 0xa0, true);
		leaves(i, DELTA, true, 0x60, false);
	}
}

/* Who was given one SSRC for its picture tells nothing. */
static void
test_no_layers_no_extensions(void **state)
{
	uint8_t p[] = { 0x80, 0xe0, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4, 0x10, 0 };
	struct kit_msg m;

	kit_app_send_to(&w.b, w.b.port[VAULT_VIDEO][0], p, sizeof(p));
	assert_true(kit_wait(&w.b, VAULT_MEDIA_OUT, 0, &m));
	assert_int_equal(m.data[1], 0x80);
	kit_msg_clear(&m);
	kit_app_send_to(&w.b, w.b.port[2][0], p, sizeof(p));
	kit_settle(&w.b, 20);
	assert_false(kit_take(&w.b, VAULT_MEDIA_OUT, &m));
}

/* ---- what a player gets -------------------------------------------------- */

static void
test_layers_are_one_stream(void **state)
{
	unsigned i;

	expect(-1);
	assert_int_equal(kit_port(&w.b, w.a.ssrc[2]), 0);
	assert_int_equal(kit_port(&w.b, w.a.ssrc[3]), 0);
	give(made(2, KEY, true));
	expect(2);
	for (i = 0; i < 3; i++) {
		next_frame();
		give(made(2, DELTA, true));
		expect(2);
	}
	next_frame();
	give(made(0, DELTA, true)); /* not at any frame */
	nothing();
	give(made(2, DELTA, true));
	expect(2);
	next_frame();
	give(made(0, KEY, true));
	expect(0);
	give(made(2, DELTA, true)); /* what was on its way */
	nothing();
	next_frame();
	/* A roster that is signed anew changes nothing. */
	kit_roster_all(&w.kmf, &w.conf, w.m, 2);
	give(made(0, DELTA, true));
	expect(0);
	next_frame();
	give(made(1, KEY, true));
	expect(1);
	next_frame();
	give(made(2, KEY, true));
	expect(2);
	assert_int_equal(kit_counter(&w.b, CONF, "layer_switches"), 3);
}

/* A packet from before its layer was shown is of no use any more. */
static void
test_late_packets(void **state)
{
	struct kit_msg before, late;
	uint16_t seq;
	uint32_t ts;

	expect(-1);
	give(made(0, KEY, true));
	expect(0);
	before = made(1, DELTA, true);
	next_frame();
	give(made(1, KEY, false));
	expect(1);
	give(before);
	nothing();
	late = made(1, DELTA, false);
	give(made(1, DELTA, true));
	assert_int_equal(seen(&seq, &ts), 1);
	give(late); /* of the shown one: still good */
	assert_int_equal(seen(&seq, &ts), 1);
}

/* The last PLI asked for: SSRC; 0 none. */
static uint32_t
asked(void)
{
	struct perc_wire r;
	struct kit_msg m;
	uint32_t ssrc = 0;

	while (kit_take(&w.b, VAULT_RTCP_OUT, &m)) {
		perc_wire_reader(&r, m.data + 1, m.len - 1);
		if (perc_wire_get_u16(&r) == 0x81ce) {
			perc_wire_get_bytes(&r, 6);
			ssrc = perc_wire_get_u32(&r);
		}
		kit_msg_clear(&m);
	}
	return ssrc;
}

/* The key frame's first packet was lost and comes repaired: too late, for what
 * followed it is gone. So another one is asked for. */
static void
test_beginning_that_is_late(void **state)
{
	struct kit_msg first;

	expect(-1);
	give(made(2, KEY, true));
	expect(2);
	asked();
	next_frame();
	first = made(0, KEY, false);
	give(made(0, DELTA, true));
	nothing();
	give(first);
	nothing();
	assert_int_equal(asked(), 0); /* the other may still come */
	kit_settle(&w.b, 320);
	give(made(0, DELTA, true));
	nothing();
	assert_int_equal(asked(), w.a.ssrc[1]);
	give(made(0, DELTA, true));
	assert_int_equal(asked(), 0); /* once a second */
	give(made(0, KEY, true));
	assert_int_equal(kit_counter(&w.b, CONF, "layer_switches"), 1);
}

/* A player has come: a key frame is asked for until it is there. */
static void
test_player_gets_a_beginning(void **state)
{
	unsigned i, n = 0;

	give(made(0, DELTA, true)); /* shown, for there was nothing */
	assert_int_equal(asked(), w.a.ssrc[1]);
	give(made(0, DELTA, true));
	assert_int_equal(asked(), 0);
	kit_roster_all(&w.kmf, &w.conf, w.m, 2); /* the same player */
	give(made(0, DELTA, true));
	assert_int_equal(asked(), 0);
	kit_settle(&w.b, 1000);
	give(made(0, DELTA, true));
	assert_int_equal(asked(), w.a.ssrc[1]); /* that one was lost */
	give(made(0, KEY, true));
	kit_settle(&w.b, 1000);
	for (i = 0; i < 3; i++) {
		give(made(0, DELTA, true));
		n += asked() != 0;
	}
	assert_int_equal(n, 0);
}

/* ---- RTCP ---------------------------------------------------------------- */

static size_t
rtcp(uint8_t *p, uint8_t count, uint8_t type, const uint32_t *v, unsigned n)
{
	struct perc_wire b;
	unsigned i;

	perc_wire_writer(&b, p, 64);
	perc_wire_put_u8(&b, 0x80 | count);
	perc_wire_put_u8(&b, type);
	perc_wire_put_u16(&b, (uint16_t)n);
	for (i = 0; i < n; i++)
		perc_wire_put_u32(&b, v[i]);
	return b.pos;
}

/* What the player says of its one stream, told of the layer that comes. */
static void
told(uint8_t count, uint8_t type, const uint32_t *in, const uint32_t *out,
    unsigned n)
{
	uint8_t p[64], want[64];
	struct kit_msg m;
	size_t len;

	kit_app_send_to(
	    &w.b, w.b.port[VAULT_VIDEO][1], p, rtcp(p, count, type, in, n));
	assert_true(kit_wait(&w.b, VAULT_RTCP_OUT, 0, &m));
	len = rtcp(want, count, type, out, n);
	assert_int_equal(m.len, len + 1);
	assert_memory_equal(m.data + 1, want, len);
	kit_msg_clear(&m);
}

static void
test_rtcp_speaks_of_the_layer(void **state)
{
	uint32_t me = w.b.ssrc[1], one = w.a.ssrc[1], layer = w.a.ssrc[3];
	uint16_t seq;
	uint32_t ts;

	give(made(0, KEY, true)); /* 1000 */
	seen(&seq, &ts);
	give(made(2, KEY, true)); /* 3000, and goes out as 1001 */
	assert_int_equal(seen(&seq, &ts), 2);
	assert_int_equal(seq, 1001);
	asked();
	told(1, 206, (uint32_t[]){ 5, one }, (uint32_t[]){ me, layer }, 2);
	told(4, 206, (uint32_t[]){ 5, 0, one, 0x07000000 },
	    (uint32_t[]){ me, 0, layer, 0x07000000 }, 4);
	told(1, 205, (uint32_t[]){ 5, one, 1001u << 16 | 3 },
	    (uint32_t[]){ me, layer, 3000u << 16 | 3 }, 3);
	told(1, 201, (uint32_t[]){ 5, one, 9, 1001, 1, 2, 3 },
	    (uint32_t[]){ me, layer, 9, 3000, 1, 2, 3 }, 7);
}

/* SRs: the time of the layer that is shown, as the player has it. */
static void
test_sender_reports(void **state)
{
	uint8_t p[65] = { 0 }, got[64];
	uint32_t ts, v[6] = { 0, 1, 2, 0, 4, 5 };
	uint16_t seq, port = kit_port(&w.b, w.a.ssrc[1]);
	struct perc_wire r;
	size_t n;

	give(made(0, KEY, true));
	seen(&seq, &ts);
	next_frame();
	give(made(2, KEY, true));
	assert_int_equal(seen(&seq, &ts), 2);
	kit_listen(&w.b, (uint16_t)(port + 1));
	v[0] = w.a.ssrc[1]; /* the one that is not shown */
	n = rtcp(p + 1, 0, 200, v, 6);
	kit_send_raw(&w.b, VAULT_RTCP_IN, p, n + 1);
	kit_settle(&w.b, 5);
	assert_int_equal(kit_recv(&w.b, got, sizeof(got)), 0);
	v[0] = w.a.ssrc[3];
	v[3] = w.ts + 7777777 * 2 + 90; /* a millisecond after that packet */
	n = rtcp(p + 1, 0, 200, v, 6);
	kit_send_raw(&w.b, VAULT_RTCP_IN, p, n + 1);
	kit_settle(&w.b, 5);
	assert_int_equal(kit_recv(&w.b, got, sizeof(got)), 28);
	perc_wire_reader(&r, got + 4, 24);
	assert_int_equal(perc_wire_get_u32(&r), w.a.ssrc[1]);
	assert_int_equal(perc_wire_get_u32(&r), 1);
	assert_int_equal(perc_wire_get_u32(&r), 2);
	assert_int_equal(perc_wire_get_u32(&r), ts + 90);
	assert_int_equal(perc_wire_get_u32(&r), 4);
}

/* ---- what the KMF says --------------------------------------------------- */

static int
offered(const char *ssrcs)
{
	json_t *o = json_pack("{s:o}", "ssrcs", json_loads(ssrcs, 0, NULL));
	char *jwe = kit_answer(&w.kmf, &w.conf, &w.b, o);
	int r = kit_err(kit_call(&w.b, VAULT_KEY, 2, CONF, jwe));

	free(jwe);
	return r;
}

#define SSRC(n, more) "{\"ssrc\":" #n ",\"media\":\"video\"" more "}"
#define LAYER(l)      ",\"layer\":" #l

static void
test_ssrcs_of_an_answer(void **state)
{
	static const char *const bad[] = {
		"[{\"ssrc\":1,\"media\":\"audio\",\"layer\":0}]",
		"[" SSRC(1, LAYER(0)) "," SSRC(2, LAYER(0)) "]",
		"[" SSRC(1, LAYER(0)) "," SSRC(1, LAYER(1)) "]",
		"[" SSRC(1, "") "," SSRC(2, "") "]",
		"[" SSRC(1, LAYER(-1)) "]",
		"[" SSRC(1, ",\"layer\":\"0\"") "]",
		"[" SSRC(1, LAYER(3)) "]",
	};
	size_t i;

	kit_conf_init(&w.conf, "c_other");
	assert_int_equal(kit_err(kit_call(&w.b, VAULT_LEAVE, 1, CONF)), 0);
	assert_int_equal(
	    kit_err(kit_call(&w.b, VAULT_OPEN, 2, CONF, KIT_KMF)), 0);
	w.conf.id = CONF;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(offered(bad[i]), 0);
	assert_int_equal(offered("[" SSRC(1, LAYER(0)) "," SSRC(
			     2, LAYER(1)) "," SSRC(3, LAYER(2)) "]"),
	    0);
	/* For the whole of a membership. */
	w.conf.epoch++;
	assert_int_equal(offered("[" SSRC(1, LAYER(0)) "," SSRC(
			     2, LAYER(1)) "," SSRC(4, LAYER(2)) "]"),
	    PERC_ERR_CONFLICT);
}

#define T(f) cmocka_unit_test_setup_teardown(f, world_open, world_close)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		T(test_layers_say_which_they_are),
		T(test_no_layers_no_extensions),
		T(test_layers_are_one_stream),
		T(test_late_packets),
		T(test_beginning_that_is_late),
		T(test_player_gets_a_beginning),
		T(test_rtcp_speaks_of_the_layer),
		T(test_sender_reports),
		T(test_ssrcs_of_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
