/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must never happen, in whatever order a front speaks. Each conference
 * is followed (disorder_story.c) by what the vault itself answered:
 *
 *	the table of states	what ends the channel ends it; what is
 *				refused is not answered with success
 *	what is taken		only what the pinned KMF signed for this
 *				conference and this vault, once, and no older
 *	what leaves		opens under a key of its conference that may
 *				be used now, and is never plain
 *	what is played		a listed member said it in this conference,
 *				under a key that may be used now, once
 *	the end			nothing is held, and a receipt says so
 *	any octet that leaves	is of no key
 */
#include "disorder_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/json.h"

#define PLAYED_MAX 256

struct played {
	int story, said; /* -1: of nobody; said by nobody */
	bool twice;
};

static struct {
	struct vault *v;
	struct story story[STORIES], before[STORIES];
	unsigned nstories;
	unsigned nsaid, mine;
	struct played played[PLAYED_MAX];
	unsigned nplayed;
	struct offer offer;
	bool taken, ready, ready_twice;
	const char *words;
} o;

static struct said said[SAID_MAX];

struct disorder_seen disorder_seen;

static void
broken(const char *words)
{
	if (o.words == NULL)
		o.words = words;
}

const char *
oracle_words(void)
{
	return o.words;
}

bool
oracle_taken(void)
{
	return o.taken;
}

unsigned
oracle_mine(void)
{
	return o.mine++;
}

/* ---- stories ------------------------------------------------------------- */

int
oracle_story(const char *conf)
{
	struct story *s;
	unsigned i;

	for (i = 0; i < o.nstories; i++)
		if (strcmp(o.story[i].conf, conf) == 0)
			return (int)i;
	if (i == STORIES || strlen(conf) >= sizeof(s->conf))
		return -1;
	s = &o.story[o.nstories++];
	strcpy(s->conf, conf);
	return (int)i;
}

int
oracle_story_at(unsigned slot)
{
	unsigned i;

	for (i = 0; i < o.nstories; i++)
		if (o.story[i].state != STORY_NONE && o.story[i].slot == slot)
			return (int)i;
	return -1;
}

/* While the answer was on its way either may have been so. */
static bool
usable_now(int story, unsigned epoch)
{
	return story_usable(&o.story[story], epoch) ||
	    story_usable(&o.before[story], epoch);
}

/* ---- answers ------------------------------------------------------------- */

/* Its slot may have been another's; what was heard may be heard again. */
static void
place_take(struct story *s, unsigned slot)
{
	int old = oracle_story_at(slot);
	unsigned i;

	if (old >= 0 && &o.story[old] != s)
		o.story[old].state = STORY_NONE;
	for (i = 0; i < o.nsaid; i++)
		if (s == &o.story[said[i].conf])
			said[i].heard = false;
	story_open(s, slot);
}

static const char *
open_taken(struct story *s, struct perc_wire *w)
{
	unsigned slot = VAULT_SLOTS;

	(void)sscanf(perc_wire_get_str(w), "{\"slot\":%u}", &slot);
	if (o.offer.unpinned)
		return "a conference of a KMF that is not pinned";
	if (slot >= VAULT_SLOTS)
		return "no slot";
	place_take(s, slot);
	return NULL;
}

static const char *
taken(struct story *s, struct perc_wire *w)
{
	switch (o.offer.type) {
	case VAULT_OPEN:
		return open_taken(s, w);
	case VAULT_KEY:
		disorder_seen.keys++;
		return story_key(s, &o.offer);
	case VAULT_EPOCH:
		disorder_seen.keys++;
		return story_epoch(s, &o.offer);
	case VAULT_ROSTER:
		return story_roster(s, &o.offer);
	case VAULT_NOTICE:
		return story_notice(s, &o.offer);
	default:
		return s->state == STORY_ERASED
		    ? NULL
		    : "after leaving nothing was erased";
	}
}

static void
done(struct perc_wire *w)
{
	int err = (int32_t)perc_wire_get_u32(w);
	const char *words;

	perc_wire_get_str(w);
	if (err != 0 || o.offer.story < 0)
		return;
	o.taken = true;
	if ((words = taken(&o.story[o.offer.story], w)) != NULL)
		broken(words);
}

static void
erased(struct perc_wire *w)
{
	int i = oracle_story(perc_wire_get_str(w));
	const char *receipt;
	struct story *s;

	perc_wire_get_str(w);
	receipt = perc_wire_get_str(w);
	if (i < 0)
		return;
	s = &o.story[i];
	if (s->state == STORY_LIVE && !world_receipt_good(o.v, receipt))
		broken("erased without a good receipt");
	if (s->state != STORY_LIVE && *receipt != '\0')
		broken("a receipt for a key that never came");
	disorder_seen.erased++;
	disorder_seen.receipts += s->state == STORY_LIVE;
	s->state = STORY_ERASED;
	story_close(s);
}

/* ---- media --------------------------------------------------------------- */

static void
left(const uint8_t *p, size_t n)
{
	int i = n < 1 ? -1 : oracle_story_at(p[0]);
	uint8_t out[VAULT_PACKET_MAX];
	struct perc_double_in in;
	uint16_t spi;
	unsigned e;

	if (i < 0 || i >= CONFS || o.story[i].state != STORY_LIVE)
		broken("a packet leaves a conference that is not on");
	else if (memmem(p, n, "I say ", 6) != NULL)
		broken("plain media leaves");
	else if (perc_double_rx_open(o.story[i].rx, world_now(), p + 1, n - 1,
		     out, &in, &spi) != 0)
		broken("a packet leaves that no key of its conference opens");
	if (o.words != NULL)
		return;
	for (e = 0; e < EPOCHS && world.conf[i][e].spi != in.spi; e++)
		continue;
	if (!usable_now(i, e))
		broken("a packet leaves under a key whose time is over");
	disorder_seen.sent++;
}

/* What nobody sealed counts as said by nobody. */
static bool
said_is(const struct said *s, const uint8_t *p, size_t n)
{
	return s->sealed && s->n == n && memcmp(s->p, p, n) == 0;
}

void
oracle_played(const struct sockaddr_in *to, const uint8_t *p, size_t n)
{
	unsigned slot =
	    (ntohs(to->sin_port) - BASE_PORT) / (VAULT_OUT_STREAMS * 2u);
	struct played *d = &o.played[o.nplayed];
	struct perc_rtp h;
	unsigned i;

	if (perc_pkt_kind(p, n) != PERC_PKT_RTP || o.nplayed == PLAYED_MAX ||
	    perc_rtp_parse(&h, p, n) != 0)
		return;
	d->story = oracle_story_at(slot);
	d->said = -1;
	o.nplayed++;
	d->twice = false;
	for (i = 0; i < o.nsaid; i++)
		if (said_is(&said[i], p + h.header_len, n - h.header_len) &&
		    (d->said < 0 || d->twice)) {
			d->said = (int)i;
			d->twice = said[i].heard;
		}
	if (d->said >= 0)
		said[d->said].heard = true;
}

static void
played_judge(const struct played *d)
{
	struct said *s;

	if (d->story < 0 || d->said < 0) {
		broken("what no member said is played");
		return;
	}
	s = &said[d->said];
	if ((int)s->conf != d->story)
		broken("what was said in another conference is played");
	else if (!usable_now(d->story, s->epoch))
		broken("what came under a key whose time is over is played");
	else if (!o.story[d->story].lists && !o.before[d->story].lists)
		broken("who is not on the roster is played");
	else if (d->twice)
		broken("a packet is played twice");
	disorder_seen.played++;
}

struct said *
oracle_say(void)
{
	return o.nsaid == SAID_MAX ? NULL : &said[o.nsaid++];
}

/* ---- a turn -------------------------------------------------------------- */

void
oracle_begin(struct vault *v)
{
	unsigned i;

	memset(&o, 0, sizeof(o));
	o.v = v;
	for (i = 0; i < CONFS; i++)
		(void)oracle_story(world.conf[i][0].id);
}

void
oracle_end(void)
{
	unsigned i;

	for (i = 0; i < o.nstories; i++)
		story_close(&o.story[i]);
}

void
oracle_offer(struct offer *f)
{
	f->greeted = o.ready;
	f->state = f->story < 0 ? STORY_NONE : o.story[f->story].state;
	o.offer = *f;
	o.taken = false;
	o.nplayed = 0;
	memcpy(o.before, o.story, sizeof(o.before));
}

void
oracle_heard(const struct perc_chan_msg *m)
{
	struct perc_wire w;

	if (world_secret_in(m->data, m->len))
		broken("a key leaves");
	perc_wire_reader(&w, m->data, m->len);
	if (m->type == VAULT_READY) {
		o.ready_twice = o.ready;
		o.ready = true;
	} else if (m->type == VAULT_DONE && m->id == o.offer.id)
		done(&w);
	else if (m->type == VAULT_ERASED)
		erased(&w);
	else if (m->type == VAULT_MEDIA_OUT)
		left(m->data, m->len);
	else if (m->type == VAULT_RTCP_OUT &&
	    (m->len < 1 || oracle_story_at(m->data[0]) < 0 ||
		o.story[oracle_story_at(m->data[0])].state != STORY_LIVE))
		broken("RTCP leaves a conference that is not on");
	else if (m->type == VAULT_PROOF_IS && o.offer.unpinned &&
	    *perc_wire_get_str(&w) != '\0')
		broken("a proof for a server that is not pinned");
}

static void
idle_check(bool all)
{
	unsigned i;

	for (i = 0; i < VAULT_SLOTS; i++)
		if ((all || o.v->slots[i].state != VAULT_SLOT_LIVE) &&
		    vault_keys_held(&o.v->slots[i]) != 0)
			broken("keys are held where nothing is on");
}

static void
turn_end(bool closed)
{
	unsigned i;

	for (i = 0; i < o.nplayed; i++)
		played_judge(&o.played[i]);
	o.nplayed = 0;
	idle_check(closed);
}

void
oracle_settle(bool closed)
{
	enum right r = story_right(&o.offer);

	disorder_seen.ended += closed;
	if (r == ENDS && !closed)
		broken("what the state forbids does not end the channel");
	if (r == ERROR && o.taken)
		broken("what the state refuses is answered with success");
	if (r != ENDS && closed && o.offer.made)
		broken("what the state permits ends the channel");
	if (o.ready_twice)
		broken("HELLO is answered twice");
	turn_end(closed);
}

void
oracle_asleep(void)
{
	unsigned i;

	for (i = 0; i < o.nstories; i++)
		if (o.story[i].state == STORY_OPEN ||
		    o.story[i].state == STORY_LIVE)
			broken("what must be erased is not");
	turn_end(true);
}

void
oracle_timers(void)
{
	unsigned i, e;

	for (i = 0; i < CONFS; i++)
		for (e = 0; o.story[i].state == STORY_LIVE && e < EPOCHS; e++)
			if (!story_usable(&o.story[i], e) &&
			    vault_epoch_held(&o.v->slots[o.story[i].slot],
				world.conf[i][e].spi) != NULL)
				broken("a key is held whose time is over");
	turn_end(false);
}

void
oracle_over(void)
{
	idle_check(true);
}
