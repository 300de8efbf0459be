/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets what, without sockets and keys: legs of one room, packets with
 * clear headers, time by hand. Whatever is tested, a receiver must see the
 * numbers of each source go on by one (nothing is lost here unless a test
 * says so).
 */
#include "tests/perc/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "mdd/worker.h"

#define LEGS	     4
#define SOURCES	     4 /* of each leg: sound, and three layers or pictures */
#define SSRC(leg, i) (0x1000u * ((leg) + 1) + (i))

struct got { /* by one leg of one source */
	unsigned n, keys;
	uint16_t last;
};

static struct mdd_worker w;
static struct mdd_leg *leg[LEGS];
static struct got got[LEGS][LEGS][SOURCES];
static uint16_t seq[LEGS][SOURCES];
static uint32_t ts;
static int64_t now;
static bool gaps;	      /* are allowed for once */
static uint32_t ekt, ekt_was; /* of all senders; another one with the next */
static bool full;	      /* packets carry a Full EKTField */

static void
join(unsigned i)
{
	struct mdd_join j = { .nssrcs = SOURCES, .live_ms = 600000 };
	unsigned k;

	(void)snprintf(j.leg, sizeof(j.leg), "l_%u_%u", i, (unsigned)rand());
	(void)snprintf(j.member, sizeof(j.member), "m_%u", i);
	strcpy(j.conference, "k/c");
	for (k = 0; k < SOURCES; k++)
		j.ssrcs[k] = SSRC(i, k);
	assert_int_equal(mdd_leg_join(&w.legs, &j, now, &leg[i]), 0);
	leg[i]->state = MDD_LEG_UP;
	memset(got[i], 0, sizeof(got[i]));
}

static int
setup(void **state)
{
	static const struct mdd_setup limits = { .max_legs = 8,
		.max_conferences = 1,
		.max_conference_legs = 16,
		.max_leg_pps = 1000,
		.max_leg_kbps = 10000,
		.idle_ms = 30000,
		.max_links = 1,
		.max_link_sources = 8 };
	unsigned i, k;

	memset(&w, 0, sizeof(w));
	memset(got, 0, sizeof(got));
	now = 1000000;
	gaps = full = false;
	ekt = ekt_was = 0;
	assert_int_equal(mdd_legs_init(&w.legs, &limits, NULL, NULL, NULL), 0);
	for (i = 0; i < LEGS; i++) {
		join(i);
		for (k = 0; k < SOURCES; k++)
			seq[i][k] = (uint16_t)(65500 + 100 * i + k);
	}
	return 0;
}

static int
teardown(void **state)
{
	mdd_legs_clear(&w.legs);
	return 0;
}

/* ---- packets ------------------------------------------------------------ */

static void
receive(unsigned to, unsigned from, unsigned i, const struct mdd_staged *k)
{
	struct got *g = &got[to][from][i];
	uint16_t out = k->seq;

	if (leg[to]->shaped && !mdd_select_pass(&w, leg[to], k, now, &out))
		return;
	if (g->n++ > 0 && !gaps)
		assert_int_equal(out, (uint16_t)(g->last + 1));
	g->last = out;
	g->keys += k->frame.key && k->frame.start;
}

/* A packet of source i of leg `from`, with one extension or none (id 0). */
static void
packet(
    unsigned from, unsigned i, bool marker, uint8_t id, const void *d, size_t n)
{
	uint8_t p[400] = { 0 };
	struct mdd_source *s = leg[from]->src[i];
	struct perc_hdrext_item e = { id, (uint8_t)n, d };
	struct mdd_staged k = { .from = leg[from],
		.room = leg[from]->room,
		.p = p,
		.n = 300,
		.src = s,
		.full = full,
		.known = ekt_was,
		.seq = ++seq[from][i] };
	struct perc_rtp h;
	size_t len;
	unsigned to;

	p[0] = id == 0 ? 0x80 : 0x90;
	p[1] = (uint8_t)(marker ? 0xe0 : 0x60);
	memcpy(p + 4, &ts, 4);
	if (id != 0)
		assert_int_equal(perc_hdrext_put(p + 12, 64, &e, 1, &len), 0);
	assert_int_equal(perc_rtp_parse(&h, p, k.n), 0);
	k.top = s->serial != 0 ? s->top : (uint16_t)(k.seq - 1);
	s->serial = 1;
	s->full = ekt_was = ekt;
	s->top = k.seq;
	mdd_select_see(k.room, s, &h, &k, now);
	mdd_select_turn(&w, k.room, now);
	for (to = 0; to < LEGS; to++)
		if (to != from && leg[to] != NULL)
			receive(to, from, i, &k);
}

static void
sound(unsigned from, uint8_t level)
{
	packet(from, 0, false, PERC_HDREXT_LEVEL, &level, 1);
}

/* A frame of two packets with frame marking. */
static void
frame(unsigned from, unsigned i, bool key, unsigned tid)
{
	uint8_t a[3] = { (uint8_t)(0x80 | (key ? 0x20 : 0) | tid), 0, 0 };
	uint8_t b[3] = { (uint8_t)(0x40 | (key ? 0x20 : 0) | tid), 0, 0 };

	ts++;
	packet(from, i, false, PERC_HDREXT_MARKING, a, 3);
	packet(from, i, true, PERC_HDREXT_MARKING, b, 3);
}

/* The same without an extension. */
static void
plain_frame(unsigned from, unsigned i)
{
	ts++;
	packet(from, i, false, 0, NULL, 0);
	packet(from, i, true, 0, NULL, 0);
}

static void
taste(unsigned i, const struct mdd_taste *t)
{
	mdd_select_taste(leg[i], t);
}

/* How many packets `to` gets of what fn sends. */
#define GETS(to, from, i, what)                                                \
	(before = got[to][from][i].n, what, got[to][from][i].n - before)

/* ---- subscriptions ------------------------------------------------------ */

static void
test_everything(void **state)
{
	unsigned i, before;

	for (i = 0; i < 50; i++) {
		assert_int_equal(GETS(1, 0, 0, sound(0, 30)), 1);
		assert_int_equal(GETS(2, 0, 1, frame(0, 1, false, 0)), 2);
		now += 20;
	}
	for (i = 0; i < LEGS; i++)
		assert_false(leg[i]->shaped);
}

static void
test_rules(void **state)
{
	struct mdd_taste t = { .set = true,
		.wish = MDD_WISH_AUDIO,
		.layer = MDD_LAYER_ALL,
		.nrules = 2,
		.rule = { { mdd_select_member("m_2"), 0, 0, MDD_LAYER_ALL },
		    { 0, SSRC(2, 1), MDD_WISH_ALL, MDD_LAYER_ALL } } };
	unsigned before;

	sound(0, 30);
	sound(2, 30);
	frame(0, 1, true, 0);
	frame(2, 1, true, 0);
	taste(1, &t);
	assert_int_equal(GETS(1, 0, 0, sound(0, 30)), 1);
	assert_int_equal(GETS(1, 0, 1, frame(0, 1, false, 0)), 0);
	assert_int_equal(GETS(1, 2, 0, sound(2, 30)), 0);
	assert_int_equal(GETS(1, 2, 1, frame(2, 1, false, 0)), 2);
	/* no extension, beside sound with levels: a picture */
	assert_int_equal(GETS(1, 0, 2, plain_frame(0, 2)), 0);
	/* the others have all of it */
	assert_int_equal(GETS(3, 0, 1, frame(0, 1, false, 0)), 2);
	assert_int_equal(GETS(3, 2, 0, sound(2, 30)), 1);
	memset(&t, 0, sizeof(t)); /* everything again */
	taste(1, &t);
	assert_int_equal(GETS(1, 2, 0, sound(2, 30)), 1);
	/* a picture begins at a key frame, which was asked for */
	leg[0]->src[1]->refresh_ms = 0;
	assert_int_equal(GETS(1, 0, 1, frame(0, 1, false, 0)), 0);
	leg[0]->addr.len = 0;
	assert_int_equal(leg[0]->src[1]->refresh_ms, now);
	now += 500;
	assert_int_equal(GETS(1, 0, 1, frame(0, 1, false, 0)), 0);
	assert_int_equal(leg[0]->src[1]->refresh_ms, now - 500); /* damped */
	now += 500;
	assert_int_equal(GETS(1, 0, 1, frame(0, 1, false, 0)), 0);
	assert_int_equal(leg[0]->src[1]->refresh_ms, now);
	assert_int_equal(GETS(1, 0, 1, frame(0, 1, true, 0)), 2);
	assert_int_equal(GETS(1, 0, 1, frame(0, 1, false, 0)), 2);
}

/* Whatever their order, the rule for the SSRC is the nearest. */
static void
test_rule_order(void **state)
{
	struct mdd_taste t = { .set = true,
		.wish = MDD_WISH_ALL,
		.layer = MDD_LAYER_ALL,
		.nrules = 2,
		.rule = { { 0, SSRC(2, 1), MDD_WISH_ALL, MDD_LAYER_ALL },
		    { mdd_select_member("m_2"), 0, 0, MDD_LAYER_ALL } } };
	unsigned before;

	frame(2, 1, true, 0);
	frame(2, 2, true, 0);
	taste(1, &t);
	assert_int_equal(GETS(1, 2, 1, frame(2, 1, false, 0)), 2);
	assert_int_equal(GETS(1, 2, 2, frame(2, 2, false, 0)), 0);
}

/* Sound whose key changed meanwhile begins with the packet that tells it, or
 * after a while all the same; with the old key it begins at once. */
static void
test_key_first(void **state)
{
	struct mdd_taste none = { .set = true }, all = { 0 };
	unsigned before;

	sound(0, 30);
	taste(1, &none);
	sound(0, 30);
	taste(1, &all);
	assert_int_equal(GETS(1, 0, 0, sound(0, 30)), 1);
	taste(1, &none);
	ekt = 7; /* told by the very packet that is the first to stay here */
	sound(0, 30);
	taste(1, &all);
	assert_int_equal(GETS(1, 0, 0, sound(0, 30)), 0);
	full = true;
	assert_int_equal(GETS(1, 0, 0, sound(0, 30)), 1);
	full = false;
	taste(1, &none);
	sound(0, 30);
	ekt = 8;
	sound(0, 30);
	taste(1, &all);
	assert_int_equal(GETS(1, 0, 0, sound(0, 30)), 0);
	now += MDD_FULL_MS + 1;
	assert_int_equal(GETS(1, 0, 0, sound(0, 30)), 1);
}

/* A leg that comes later, and a source that wraps while it is off. */
static void
test_long_off(void **state)
{
	struct mdd_taste none = { .set = true }, all = { 0 };
	unsigned i, before;

	sound(0, 30);
	taste(1, &none);
	for (i = 0; i < 70000; i++)
		assert_int_equal(GETS(1, 0, 0, sound(0, 30)), 0);
	taste(1, &all);
	assert_int_equal(GETS(1, 0, 0, sound(0, 30)), 1);
	assert_int_equal(GETS(2, 0, 0, sound(0, 30)), 1);
}

/* ---- last N ------------------------------------------------------------- */

/* Everybody's sound and picture for ms; who[i]: does leg 3 get leg i's? */
static void
talk(const uint8_t *level, int ms)
{
	unsigned i;
	int t;

	for (t = 0; t < ms; t += 20, now += 20)
		for (i = 0; i < LEGS; i++) {
			if (level[i] != 255)
				sound(i, level[i]);
			if (t % 100 == 0)
				frame(i, 1, false, 0);
		}
}

static unsigned
count_in(unsigned to, unsigned source)
{
	struct got was[LEGS];
	uint8_t level[LEGS] = { 40, 40, 40, 40 };
	unsigned i, n = 0;

	for (i = 0; i < LEGS; i++)
		was[i] = got[to][i][source];
	talk(level, 100);
	for (i = 0; i < LEGS; i++)
		n += (got[to][i][source].n != was[i].n) << i;
	return n;
}

static void
test_last_n(void **state)
{
	uint8_t level[LEGS] = { 60, 127, 127, 127 };
	struct mdd_taste t = { .set = true,
		.wish = MDD_WISH_ALL,
		.layer = MDD_LAYER_ALL,
		.nrules = 1,
		.rule = { { mdd_select_member("m_2"), 0,
		    MDD_WISH_ALL | MDD_WISH_PIN, MDD_LAYER_ALL } } };
	unsigned i, before;

	for (i = 0; i < LEGS; i++)
		frame(i, 1, true, 0);
	w.legs.limits.last_n = 2;
	mdd_select_changed(leg[0]->room);
	talk(level, 3000);
	assert_int_equal(count_in(3, 0), 1 << 0 | 1 << 1);
	assert_int_equal(count_in(3, 1), 1 << 0 | 1 << 1); /* pictures too */
	level[2] = 20;
	leg[2]->src[1]->refresh_ms = 0;
	talk(level, 1000); /* 2 takes the place of 1 */
	assert_int_equal(count_in(3, 0), 1 << 0 | 1 << 2);
	assert_int_not_equal(leg[2]->src[1]->refresh_ms, 0);
	assert_int_equal(count_in(3, 1), 1 << 0); /* no key frame came */
	frame(2, 1, true, 0);
	assert_int_equal(count_in(3, 1), 1 << 0 | 1 << 2);
	/* back to 0 and 1, but leg 3 has 2 pinned */
	taste(3, &t);
	level[2] = 127;
	level[1] = 20;
	talk(level, 4000);
	assert_int_equal(count_in(0, 0), 1 << 1); /* and itself */
	assert_int_equal(count_in(3, 0), 1 << 0 | 1 << 1 | 1 << 2);
	/* who tells no level is always heard */
	assert_int_equal(GETS(3, 3, 3, (void)0), 0);
	before = got[0][3][2].n;
	plain_frame(3, 2);
	assert_int_equal(got[0][3][2].n - before, 0); /* 3 is not in */
}

/* The largest wish counts, and who has none counts as configured. */
static void
test_last_n_wish(void **state)
{
	uint8_t level[LEGS] = { 40, 40, 40, 40 };
	struct mdd_taste t = { .set = true,
		.wish = MDD_WISH_ALL,
		.layer = MDD_LAYER_ALL,
		.last_n = 1 };
	unsigned i;

	for (i = 0; i < 3; i++)
		taste(i, &t);
	talk(level, 300);
	assert_int_equal(leg[0]->room->last_n, 0); /* leg 3 wants all */
	taste(3, &t);
	talk(level, 300);
	assert_int_equal(leg[0]->room->last_n, 1);
	t.last_n = 3;
	taste(2, &t);
	talk(level, 300);
	assert_int_equal(leg[0]->room->last_n, 3);
}

static void
test_no_levels(void **state)
{
	unsigned before, i;

	w.legs.limits.last_n = 1;
	mdd_select_changed(leg[0]->room);
	for (i = 0; i < 100; i++, now += 20) {
		sound(0, 30);
		sound(1, 90);
		assert_int_equal(GETS(3, 2, 0, plain_frame(2, 0)), 2);
	}
	assert_int_equal(GETS(3, 0, 0, sound(0, 30)), 1);
	assert_int_equal(GETS(3, 1, 0, sound(1, 30)), 0);
}

/* ---- layers ------------------------------------------------------------- */

static void
rids(unsigned from)
{
	unsigned i;

	for (i = 1; i < 4; i++)
		packet(from, i, true, PERC_HDREXT_RID, "x", 1);
}

/* All three layers send a frame; which of them leg 1 gets, as bits. */
static unsigned
layers(bool key, unsigned tid)
{
	unsigned i, before, n = 0;

	for (i = 1; i < 4; i++)
		n |= (GETS(1, 0, i, frame(0, i, key, tid)) == 2) << i;
	now += 33;
	return n;
}

static void
test_layers(void **state)
{
	struct mdd_taste t = { .set = true, .wish = MDD_WISH_ALL, .layer = 0 };

	layers(true, 0);
	assert_int_equal(layers(false, 0), 1 << 1 | 1 << 2 | 1 << 3);
	rids(0); /* from now on they are layers of one picture */
	layers(false, 0);
	assert_int_equal(layers(false, 0), 1 << 3); /* the best */
	taste(1, &t);
	/* goes on until the other one has a key frame */
	assert_int_equal(layers(false, 0), 1 << 3);
	assert_int_not_equal(leg[0]->src[1]->refresh_ms, 0);
	frame(0, 1, true, 0);
	assert_int_equal(layers(false, 0), 1 << 1);
	t.layer = 1;
	taste(1, &t);
	assert_int_equal(layers(false, 0), 1 << 1);
	assert_int_equal(layers(true, 0), 1 << 1 | 1 << 2);
	assert_int_equal(layers(false, 0), 1 << 2);
	t.layer = MDD_LAYER_ALL;
	t.wish = MDD_WISH_AUDIO;
	taste(1, &t);
	assert_int_equal(layers(true, 0), 0);
}

/* A layer that is no longer sent is no choice. */
static void
test_layer_dies(void **state)
{
	unsigned i, before;

	layers(true, 0);
	rids(0);
	for (i = 0; i < 40; i++)
		layers(false, 0);
	assert_int_equal(layers(false, 0), 1 << 3);
	for (i = 0; i < 40; i++, now += 33)
		frame(0, 2, i == 39, 0);
	assert_int_equal(GETS(1, 0, 2, frame(0, 2, false, 0)), 2);
	for (i = 0; i < 3; i++) /* and back */
		layers(i == 1, 0);
	assert_int_equal(layers(false, 0), 1 << 3);
}

/* Nothing tells key frames: both for a second. */
static void
test_layers_unseen(void **state)
{
	struct mdd_taste t = { .set = true, .wish = MDD_WISH_ALL, .layer = 0 };
	unsigned i, before;

	rids(0);
	for (i = 0; i < 10; i++, now += 33) {
		plain_frame(0, 1);
		plain_frame(0, 3);
	}
	assert_int_equal(GETS(1, 0, 1, plain_frame(0, 1)), 0);
	taste(1, &t);
	leg[0]->src[1]->refresh_ms = 0;
	assert_int_equal(GETS(1, 0, 1, plain_frame(0, 1)), 2);
	assert_int_equal(leg[0]->src[1]->refresh_ms, now);
	assert_int_equal(GETS(1, 0, 3, plain_frame(0, 3)), 2);
	now += MDD_OVERLAP_MS;
	assert_int_equal(GETS(1, 0, 3, plain_frame(0, 3)), 0);
	assert_int_equal(GETS(1, 0, 1, plain_frame(0, 1)), 2);
}

/* ---- bandwidth ---------------------------------------------------------- */

/* Layers of about 1, 2 and 4 times 150 kbit/s for ms; key in the last frame
 * of each. */
static void
stream(int ms, bool key)
{
	unsigned i, n;
	int t;

	for (t = 0; t < ms; t += 33, now += 33)
		for (i = 1; i < 4; i++)
			for (n = 0; n < 1u << (i - 1); n++)
				frame(0, i, key && n == 0 && t + 33 >= ms,
				    n == 0 && key ? 0 : (unsigned)t % 3);
}

static void
test_bandwidth(void **state)
{
	unsigned before;

	layers(true, 0);
	rids(0);
	stream(1500, false);
	assert_in_range(leg[0]->src[1]->bps, 100000, 200000);
	mdd_select_rate(leg[1], 2000000);
	stream(1500, true);
	assert_int_equal(GETS(1, 0, 3, frame(0, 3, false, 0)), 2);
	mdd_select_rate(leg[1], 400000); /* the middle one */
	stream(100, true);
	stream(100, false);
	assert_int_equal(GETS(1, 0, 3, frame(0, 3, false, 0)), 0);
	assert_int_equal(GETS(1, 0, 2, frame(0, 2, false, 0)), 2);
	mdd_select_rate(leg[1], 600000); /* not enough to step up */
	stream(1500, true);
	assert_int_equal(GETS(1, 0, 2, frame(0, 2, false, 0)), 2);
	mdd_select_rate(leg[1], 120000); /* the worst, and less of it */
	stream(1000, true);
	assert_int_equal(GETS(1, 0, 1, frame(0, 1, false, 0)), 2);
	assert_int_equal(GETS(1, 0, 1, frame(0, 1, false, 1)), 2);
	assert_int_equal(GETS(1, 0, 1, frame(0, 1, false, 2)), 0);
	mdd_select_rate(leg[1], 10000); /* nothing but sound */
	stream(600, true);
	assert_int_equal(GETS(1, 0, 1, frame(0, 1, true, 0)), 0);
	mdd_select_rate(leg[1], 3000000);
	stream(600, true);
	assert_int_equal(GETS(1, 0, 3, frame(0, 3, false, 2)), 2);
	assert_int_equal(GETS(2, 0, 3, frame(0, 3, false, 2)), 2);
}

/* A link has all layers, those that fit when it is narrow, the worst first,
 * and all again afterwards: somebody behind it may want any of them. */
static void
test_link_layers(void **state)
{
	struct mdd_join j = { .leg = "l_link",
		.member = "peer:x",
		.conference = "k/c",
		.link = MDD_LINK_PEER,
		.live_ms = 600000 };
	struct mdd_source *const *s = leg[0]->src;
	unsigned before;

	mdd_leg_end(&w.legs, leg[1], MDD_LEGS_LEFT);
	assert_int_equal(mdd_leg_join(&w.legs, &j, now, &leg[1]), 0);
	leg[1]->state = MDD_LEG_UP;
	layers(true, 0);
	rids(0);
	stream(1500, false);
	assert_false(leg[1]->shaped);
	assert_int_equal(GETS(1, 0, 1, frame(0, 1, false, 0)), 2);
	assert_int_equal(GETS(1, 0, 3, frame(0, 3, false, 0)), 2);
	mdd_select_rate(leg[1], (s[1]->bps + s[2]->bps) * 11 / 10);
	stream(1500, true);
	assert_true(leg[1]->shaped);
	assert_int_equal(GETS(1, 0, 1, frame(0, 1, false, 0)), 2);
	assert_int_equal(GETS(1, 0, 2, frame(0, 2, false, 0)), 2);
	assert_int_equal(GETS(1, 0, 3, frame(0, 3, false, 0)), 0);
	mdd_select_rate(leg[1], s[1]->bps * 12 / 10);
	stream(1500, true);
	assert_int_equal(GETS(1, 0, 1, frame(0, 1, false, 0)), 2);
	assert_int_equal(GETS(1, 0, 2, frame(0, 2, false, 0)), 0);
	mdd_select_rate(leg[1], 0);
	stream(600, true);
	assert_int_equal(GETS(1, 0, 1, frame(0, 1, false, 0)), 2);
	assert_int_equal(GETS(1, 0, 2, frame(0, 2, false, 0)), 2);
	assert_int_equal(GETS(1, 0, 3, frame(0, 3, false, 2)), 2);
}

/* Which layer leg 1 has after so long. */
static unsigned
has_after(int ms)
{
	unsigned i, before, n = 0;

	stream(ms, true);
	for (i = 1; i < 4; i++)
		n |= (GETS(1, 0, i, frame(0, i, false, 0)) == 2) << i;
	return n;
}

/* A step up that the road did not carry is not repeated at once, others are. */
static void
test_steps_that_failed(void **state)
{
	struct mdd_taste t = { .set = true, .wish = MDD_WISH_ALL, .layer = 0 };
	unsigned i;
	int wait = MDD_CLIMB_WAIT_MS;

	layers(true, 0);
	rids(0);
	stream(1500, false);
	mdd_select_rate(leg[1], 400000);
	assert_int_equal(has_after(1500), 1 << 2);
	mdd_select_rate(leg[1], 3000000);
	assert_int_equal(has_after(1500), 1 << 3); /* no step had failed */
	for (i = 0; i < 4; i++) {
		mdd_select_rate(leg[1], 160000);
		assert_int_equal(has_after(1500), 1 << 1);
		mdd_select_rate(leg[1], 3000000 + 500000 * i);
		assert_int_equal(has_after(1500), 1 << 2); /* a smaller one */
		assert_int_equal(has_after(wait - 5000), 1 << 2);
		assert_int_equal(has_after(4000), 1 << 3);
		if ((wait *= 2) > MDD_CLIMB_MOST_MS)
			wait = MDD_CLIMB_MOST_MS;
	}
	assert_int_equal(has_after(MDD_CLIMB_GOOD_MS), 1 << 3);
	mdd_select_rate(leg[1], 160000); /* that one had been right */
	assert_int_equal(has_after(1500), 1 << 1);
	mdd_select_rate(leg[1], 3000000);
	assert_int_equal(has_after(1500), 1 << 3);
	mdd_select_rate(leg[1], 160000);
	assert_int_equal(has_after(1500), 1 << 1);
	mdd_select_rate(leg[1], 3000000);
	assert_int_equal(has_after(MDD_CLIMB_WAIT_MS + 1000), 1 << 3);
	mdd_select_rate(
	    leg[1], 1000000); /* who asks for less fails at nothing */
	taste(1, &t);
	assert_int_equal(has_after(600), 1 << 1);
	t.layer = MDD_LAYER_ALL;
	taste(1, &t);
	assert_int_equal(has_after(600), 1 << 3);
}

/* A leg that carries all there is pays nothing for knowing what it carries. */
static void
test_rate_enough(void **state)
{
	unsigned i;

	mdd_select_rate(leg[1], 5000000);
	for (i = 0; i < 60; i++, now += 33)
		frame(0, 1, i == 0, 0);
	assert_false(leg[1]->shaped);
	i = leg[1]->room->gen;
	leg[1]->gen = i;
	mdd_select_rate(leg[1], 5100000); /* no news */
	assert_int_equal(leg[1]->gen, i);
	mdd_select_rate(leg[1], 20000);
	frame(0, 1, false, 0);
	assert_true(leg[1]->shaped);
}

/*
 * Packets that were lost on their way to us: a number that may be of a frame
 * which goes out stays open, so that the receiver can ask for it; one that
 * can only be of a frame which stays here is closed.
 */
static void
test_lost_among_dropped(void **state)
{
	const uint8_t t0s[3] = { 0x80 }, t0e[3] = { 0x40 };
	const uint8_t t2s[3] = { 0x82 }, t2m[3] = { 0x02 }, t2e[3] = { 0x42 };
	struct got *g = &got[1][0][1];
	uint16_t last;

	frame(0, 1, true, 0);
	mdd_select_rate(leg[1], 1);
	mdd_select_rate(leg[1], 0);
	leg[1]->shaped = true;
	frame(0, 1, false, 0);
	leg[1]->flow[leg[0]->src[1] - leg[0]->room->src].cut_goal = 6;
	frame(0, 1, false, 2); /* not sent */
	last = g->last;
	gaps = true; /* the others see them all */
	packet(0, 1, false, PERC_HDREXT_MARKING, t2s, 3);
	seq[0][1]++; /* lost: of the same frame */
	packet(0, 1, true, PERC_HDREXT_MARKING, t2e, 3);
	packet(0, 1, false, PERC_HDREXT_MARKING, t0s, 3);
	assert_int_equal(g->last, (uint16_t)(last + 1));
	seq[0][1]++; /* lost: the end of a frame that goes out */
	packet(0, 1, false, PERC_HDREXT_MARKING, t2s, 3);
	packet(0, 1, true, PERC_HDREXT_MARKING, t2e, 3);
	packet(0, 1, false, PERC_HDREXT_MARKING, t0s, 3);
	assert_int_equal(g->last, (uint16_t)(last + 3));
	packet(0, 1, true, PERC_HDREXT_MARKING, t0e, 3);
	seq[0][1]++; /* lost: the beginning of one that does not */
	packet(0, 1, false, PERC_HDREXT_MARKING, t2m, 3);
	packet(0, 1, true, PERC_HDREXT_MARKING, t2e, 3);
	packet(0, 1, false, PERC_HDREXT_MARKING, t0s, 3);
	assert_int_equal(g->last, (uint16_t)(last + 5));
}

/* ---- comings and goings ------------------------------------------------- */

/* A receiver that comes, and a member that is replaced by another one. */
static void
test_rejoin(void **state)
{
	struct mdd_taste none = { .set = true };
	unsigned before;

	sound(0, 30);
	taste(1, &none);
	assert_int_equal(GETS(1, 0, 0, sound(0, 30)), 0);
	mdd_leg_end(&w.legs, leg[1], MDD_LEGS_LEFT);
	leg[1] = NULL;
	sound(0, 30);
	join(1); /* perhaps in the same place of the pool */
	assert_int_equal(GETS(1, 0, 0, sound(0, 30)), 1);
	assert_false(leg[1]->shaped);
	none.wish = MDD_WISH_AUDIO; /* from here on it has flows again */
	taste(1, &none);
	assert_int_equal(GETS(1, 0, 0, sound(0, 30)), 1);
	assert_true(leg[1]->shaped);
}

/* ---- anything, in any order ------------------------------------------- */

static void
any_taste(unsigned i)
{
	struct mdd_taste t = { .set = rand() % 4 != 0,
		.wish = (uint8_t)(rand() % 4),
		.layer = (uint8_t)(rand() % 4),
		.last_n = (uint8_t)(rand() % 4),
		.nrules = (uint8_t)(rand() % 3) };
	unsigned k;

	for (k = 0; k < t.nrules; k++) {
		t.rule[k].wish = (uint8_t)(rand() % 8);
		t.rule[k].layer = (uint8_t)(rand() % 4);
		t.rule[k].ssrc =
		    SSRC((unsigned)rand() % LEGS, (unsigned)rand() % SOURCES);
	}
	taste(i, &t);
}

static void
anything(void)
{
	unsigned from = (unsigned)rand() % LEGS, i = 1 + (unsigned)rand() % 3;

	switch (rand() % 40) {
	case 0:
		any_taste(from);
		break;
	case 1:
		mdd_select_rate(leg[from],
		    rand() % 3 == 0 ? 0 : (uint64_t)rand() % 3000000);
		break;
	case 2:
		rids(from);
		break;
	case 3:
		plain_frame(from, i);
		break;
	default:
		if (rand() % 2 == 0)
			sound(from, (uint8_t)(rand() % 128));
		else
			frame(from, i, rand() % 20 == 0, (unsigned)rand() % 3);
	}
	now += rand() % 30;
}

/* Nothing is lost here, so the numbers that anybody sees go on by one, which
 * receive() asserts; and something of every kind does arrive. */
static void
test_property(void **state)
{
	unsigned seed, i, n = 0;

	for (seed = 1; seed <= 40; seed++) {
		srand(seed);
		for (i = 0; i < 2000; i++)
			anything();
		for (i = 1; i < LEGS; i++)
			n += got[i][0][1].n > 0 && got[i][0][0].n > 0;
		(void)teardown(NULL);
		(void)setup(NULL);
	}
	assert_true(n > 60);
}

int
main(void)
{
#define WITH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH(test_everything),
		WITH(test_rules),
		WITH(test_rule_order),
		WITH(test_key_first),
		WITH(test_long_off),
		WITH(test_last_n),
		WITH(test_last_n_wish),
		WITH(test_no_levels),
		WITH(test_layers),
		WITH(test_layer_dies),
		WITH(test_layers_unseen),
		WITH(test_bandwidth),
		WITH(test_link_layers),
		WITH(test_steps_that_failed),
		WITH(test_rate_enough),
		WITH(test_lost_among_dropped),
		WITH(test_rejoin),
		WITH(test_property),
	};

	return cmocka_run_group_tests_name("mdd/select", tests, NULL, NULL);
}
