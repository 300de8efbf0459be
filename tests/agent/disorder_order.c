/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the letters of an order mean. A front keeps what passed through its
 * hands, and says it again when it likes.
 */
#include "disorder_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD 1 /* a Short one */

struct kept { /* the last of its kind */
	char *text, *copy;
	struct offer offer;
	int64_t at_ms;
	bool taken;
};

static struct kept kept[CONFS][VAULT_NOTICE + 1];
static uint8_t last[VAULT_PACKET_MAX]; /* packet of you */
static size_t last_len;
static struct vault *v;

/* ---- messages of a conference -------------------------------------------- */

static struct offer
offer_of(enum vault_msg type, unsigned conf)
{
	return (struct offer){
		.type = type, .made = true, .story = (int)conf, .conf = conf
	};
}

static void
kept_clear(struct kept *k)
{
	free(k->text);
	free(k->copy);
	*k = (struct kept){ .text = NULL };
}

static void
kept_forget(void)
{
	unsigned i, k;

	for (i = 0; i < CONFS; i++)
		for (k = 0; k <= VAULT_NOTICE; k++)
			kept_clear(&kept[i][k]);
}

/* What a text is, whoever made it. */
static void
text_make(struct kept *k, enum disorder_lie lie, unsigned which)
{
	struct offer *o = &k->offer;
	bool true_one = lie == DISORDER_TRUE;

	o->epoch = which % EPOCHS;
	o->which = which % ROSTERS;
	k->at_ms = world_now();
	switch (o->type) {
	case VAULT_KEY:
		k->text = world_answer(o->conf, lie, o->epoch);
		break;
	case VAULT_EPOCH:
		k->text = world_statement(o->conf, lie, o->epoch);
		k->copy = world_copy(o->conf, lie, o->epoch);
		break;
	case VAULT_ROSTER:
		k->text = world_roster(o->conf, lie, o->which);
		true_one = lie != DISORDER_FOREIGN && lie != DISORDER_OTHER;
		break;
	default:
		k->text = world_notice(o->conf, lie, which % 2 != 0);
		true_one = lie != DISORDER_FOREIGN && lie != DISORDER_OTHER &&
		    (lie != DISORDER_AUDIENCE || which % 2 == 0);
	}
	o->genuine = true_one;
}

static void
say_text(enum vault_msg type, unsigned conf, unsigned lie, unsigned which)
{
	struct kept *k = &kept[conf][type];
	struct offer o;

	lie %= DISORDER_LIES;
	if (lie != DISORDER_AGAIN || k->text == NULL) {
		kept_clear(k);
		k->offer = offer_of(type, conf);
		text_make(k,
		    lie == DISORDER_AGAIN ? DISORDER_TRUE
					  : (enum disorder_lie)lie,
		    which);
	}
	o = k->offer;
	if (type == VAULT_KEY) {
		o.seen = k->taken;
		o.genuine &= world_now() < k->at_ms + ANSWER_MS + 1000;
	} else if (type == VAULT_ROSTER)
		o.genuine &= world.passed_ms < ROSTER_MS;
	front_strs(&o, world.conf[conf][0].id, k->text, k->copy);
	k->taken = k->taken || oracle_taken();
}

static void
do_open(unsigned conf, bool unpinned)
{
	struct offer o = offer_of(VAULT_OPEN, conf);

	o.unpinned = unpinned;
	front_strs(&o, world.conf[conf][0].id,
	    unpinned ? "https://evil.test" : KIT_KMF, NULL);
}

static void
do_proof(bool unpinned)
{
	static const char *const url[] = { KIT_KMF "/v1/conferences/c/keys",
		"https://evil.test/v1/conferences/c/keys" };
	struct offer o = { .type = VAULT_PROOF,
		.made = true,
		.story = -1,
		.unpinned = unpinned };
	uint8_t buf[256];
	struct perc_wire w;

	perc_wire_writer(&w, buf, sizeof(buf));
	perc_wire_put_u8(&w, 0);
	perc_wire_put_str(&w, "POST");
	perc_wire_put_str(&w, url[unpinned]);
	perc_wire_put_str(&w, "token");
	perc_wire_put_str(&w, "");
	must(perc_wire_end(&w) == 0);
	front_say(&o, buf, w.pos);
}

/* ---- packets ------------------------------------------------------------- */

static void
say_packet(enum vault_msg type, unsigned slot, const uint8_t *p, size_t n)
{
	uint8_t buf[1 + VAULT_PACKET_MAX];
	struct offer o = {
		.type = type, .made = true, .story = oracle_story_at(slot)
	};

	buf[0] = (uint8_t)slot;
	memcpy(buf + 1, p, n);
	front_say(&o, buf, 1 + n);
}

static void
you_say(unsigned slot, enum disorder_media kind, unsigned conf, unsigned epoch,
    const uint8_t *payload, size_t n, uint8_t pt)
{
	struct said *s = oracle_say();
	struct sender *from = kind == DISORDER_FALSE
	    ? &world.false_sender
	    : &world.sender[conf][epoch];
	bool sealed = kind < DISORDER_PLAIN || kind == DISORDER_FALSE;

	if (s == NULL || n > sizeof(s->p))
		return;
	*s = (struct said){ .n = n,
		.conf = conf,
		.epoch = epoch,
		.sealed = kind < DISORDER_PLAIN };
	memcpy(s->p, payload, n);
	last_len = world_packet(sealed ? from : NULL, pt, payload, n, last);
	if (kind == DISORDER_HOP) {
		memset(last + last_len, 0, FIELD);
		last_len += FIELD;
	}
	say_packet(VAULT_MEDIA_IN, slot, last, last_len);
}

static void
do_media(unsigned slot, unsigned kind, unsigned epoch)
{
	static unsigned number;
	int story = oracle_story_at(slot);
	unsigned conf = story < 0 || story >= CONFS ? 0 : (unsigned)story;
	char text[32];

	kind %= DISORDER_MEDIAS;
	if (kind == DISORDER_SEALED_OTHER)
		conf = 1 - conf;
	if (kind == DISORDER_TWICE) {
		say_packet(VAULT_MEDIA_IN, slot, last, last_len);
		return;
	}
	snprintf(text, sizeof(text), "you say %u", ++number);
	you_say(slot, (enum disorder_media)kind, conf, epoch % EPOCHS,
	    (const uint8_t *)text, strlen(text), 111);
}

/* A payload of the fuzzer's own. */
static void
do_spoken(const uint8_t *p, size_t n)
{
	int slot;

	for (slot = 0; slot < VAULT_SLOTS; slot++)
		if (oracle_story_at((unsigned)slot) == 0)
			break;
	you_say((unsigned)slot % VAULT_SLOTS, DISORDER_SEALED, 0, 0,
	    n > 0 ? p + 1 : p, n > 0 ? n - 1 : 0, n > 0 ? p[0] & 0x7f : 111);
}

/* Key frame requests to us, a report of you. */
static void
do_rtcp(unsigned slot, unsigned what)
{
	uint8_t pli[12] = { 0x81, 206, 0, 2 }, sr[28] = { 0x80, 200, 0, 6 };

	pli[10] = (uint8_t)(world.me.ssrc[1] >> 8);
	pli[11] = (uint8_t)world.me.ssrc[1];
	sr[6] = (uint8_t)(world.you.ssrc[0] >> 8);
	sr[7] = (uint8_t)world.you.ssrc[0];
	if (what % 2 == 0)
		say_packet(VAULT_RTCP_IN, slot, pli, sizeof(pli));
	else
		say_packet(VAULT_RTCP_IN, slot, sr, sizeof(sr));
}

/* ---- the machine --------------------------------------------------------- */

static void
do_say(unsigned slot)
{
	struct offer o = { .story = -1 };
	unsigned number = oracle_mine();

	uint8_t p[64] = { 0x80, 111, (uint8_t)(number >> 8), (uint8_t)number };
	int n = snprintf((char *)p + 12, sizeof(p) - 12, "I say %u", number);

	oracle_offer(&o);
	front_local(slot % VAULT_SLOTS, p, 12 + (size_t)n);
	front_silent();
	oracle_settle(front_closed());
}

static void
do_time(unsigned how, bool late)
{
	static const int64_t ms[] = { 300, 800, 3000, 65000, 400000 };
	struct offer o = { .story = -1 };
	unsigned i;

	world.passed_ms += ms[how % (sizeof(ms) / sizeof(ms[0]))];
	oracle_offer(&o);
	for (i = 0; !late && i < VAULT_SLOTS; i++) {
		v->slots[i].due_ms = 0; /* as the timer itself does */
		vault_slot_tick(&v->slots[i]);
	}
	front_silent();
	if (!late)
		oracle_timers();
}

static void
do_sleep(void)
{
	struct offer o = { .story = -1 };

	oracle_offer(&o);
	vault_stop(v, "suspended");
	front_silent();
	oracle_asleep();
}

/* ---- an order ------------------------------------------------------------ */

/* Whose words they are counts where they are of a conference. */
static void
do_frame(uint8_t type, const uint8_t *p, size_t n)
{
	struct offer o = { .type = type, .story = -1 };
	struct perc_wire w;
	const char *conf;

	perc_wire_reader(&w, p, n);
	if (type == VAULT_MEDIA_IN || type == VAULT_RTCP_IN) {
		if (n > 0)
			o.story = oracle_story_at(p[0]);
	} else if (type >= VAULT_OPEN && type <= VAULT_LEAVE) {
		conf = perc_wire_get_str(&w);
		if (w.err == 0 && (o.story = oracle_story(conf)) < 0)
			return; /* more names than we follow */
		o.unpinned = type == VAULT_OPEN &&
		    strcmp(perc_wire_get_str(&w), KIT_KMF) != 0;
	}
	front_say(&o, p, n);
}

static void
do_made(const uint8_t *p, size_t n)
{
	uint8_t a = n > 1 ? p[1] : 0, b = n > 2 ? p[2] : 0;
	uint8_t c = n > 3 ? p[3] : 0;
	struct offer o = { .type = VAULT_HELLO, .made = true, .story = -1 };

	switch (n == 0 ? DISORDER_OPEN : p[0] % DISORDER_OPS) {
	case DISORDER_OPEN:
		do_open(a % CONFS, b % 2);
		break;
	case DISORDER_KEY:
		say_text(VAULT_KEY, a % CONFS, b, c);
		break;
	case DISORDER_EPOCH:
		say_text(VAULT_EPOCH, a % CONFS, b, c);
		break;
	case DISORDER_ROSTER:
		say_text(VAULT_ROSTER, a % CONFS, b, c);
		break;
	case DISORDER_NOTICE:
		say_text(VAULT_NOTICE, a % CONFS, b, c);
		break;
	case DISORDER_SPOKEN:
		do_spoken(p + 1, n - 1);
		break;
	case DISORDER_HELLO:
		front_say(&o, "", 0);
		break;
	case DISORDER_LEAVE:
		o = offer_of(VAULT_LEAVE, a % CONFS);
		front_strs(&o, world.conf[a % CONFS][0].id, NULL, NULL);
		break;
	case DISORDER_MEDIA:
		do_media(a % VAULT_SLOTS, b, c);
		break;
	case DISORDER_RTCP:
		do_rtcp(a % VAULT_SLOTS, b);
		break;
	case DISORDER_SAY:
		do_say(a);
		break;
	case DISORDER_TIME:
		do_time(a, b % 2);
		break;
	case DISORDER_STATUS:
		o.type = VAULT_STATUS;
		front_strs(&o, world.conf[a % CONFS][0].id, NULL, NULL);
		break;
	case DISORDER_PROOF:
		do_proof(b % 2);
		break;
	default:
		do_sleep();
	}
}

const char *
disorder_run(const uint8_t *p, size_t n)
{
	struct perc_wire in;
	const uint8_t *body;
	uint8_t type;
	size_t len;

	world_make();
	last_len = 0;
	v = front_begin();
	perc_wire_reader(&in, p, n);
	while (perc_wire_left(&in) > 0 && !front_closed() &&
	    oracle_words() == NULL) {
		type = perc_wire_get_u8(&in);
		body = perc_wire_get_blob16(&in, &len);
		if (in.err != 0)
			break;
		if (len > 0 && body[0] == '@')
			do_made(body + 1, len - 1);
		else
			do_frame(type, body, len);
	}
	front_end();
	kept_forget();
	return oracle_words();
}
