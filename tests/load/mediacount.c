/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What became of each packet, at every other seat with media: the linker puts
 * this file around the one function by which a vault opens packets, so what
 * is counted is what agents do, the second look at a packet that came before
 * its key included. That a packet came at all is told by its sequence number,
 * which is outside the encryption; so what the road lost and what was there
 * and could not be opened are two numbers.
 *
 * Who came in less than NEWCOMER_MS before a packet was sent is told apart:
 * his stream of events may not be open yet, and an epoch that went by before
 * that is one that he never gets.
 */
#include "tests/load/media.h"

#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/wire.h"

#define BYTES	    (LOAD_PACKETS_MAX / 8)
#define NEWCOMER_MS 3000

struct pair { /* one sender at one receiver */
	uint8_t came[BYTES], opened[BYTES];
	bool heard;   /* since both are there */
	bool old_key; /* what came first was of a key before the receiver's */
	int last_err; /* of a packet after it was heard */
	int64_t came_us; /* the first packet that was short of a key alone */
	uint32_t from;	 /* looked at below this number */
	struct load_look look[LOAD_PACKETS_MAX];
};

static struct {
	struct load *l;
	struct pair *pairs; /* nmedia * nmedia: receiver, sender */
	/* Milliseconds until first heard: by who came, of who came; from the
	 * first packet for which only a field lacked, or the sender's switch
	 * to a key that the receiver may have. */
	struct load_samples late, heard, field, turn;
	/* By who went: when the last packet was sent that he could read. */
	struct load_samples out;
	unsigned out_late;
	int64_t before_us; /* what was sent by then is accounted for */
	double read_ms;	   /* the longest from sealing to reading */
} c;

int __real_perc_double_rx_open(struct perc_double_rx *r, int64_t now_ms,
    const uint8_t *in, size_t n, uint8_t *out, struct perc_double_in *info,
    uint16_t *unknown_spi);
int __wrap_perc_double_rx_open(struct perc_double_rx *r, int64_t now_ms,
    const uint8_t *in, size_t n, uint8_t *out, struct perc_double_in *info,
    uint16_t *unknown_spi);

int
load_count_open(struct load *l)
{
	c.l = l;
	c.pairs = calloc((size_t)l->nmedia * l->nmedia, sizeof(*c.pairs));
	return c.pairs != NULL ? 0 : PERC_ERR_NOMEM;
}

void
load_count_close(void)
{
	free(c.pairs);
	c.pairs = NULL;
}

static struct pair *
pair_of(const struct load_media *to, const struct load_media *from)
{
	return &c.pairs[to->index * c.l->nmedia + from->index];
}

static void
set(uint8_t *bits, uint32_t i)
{
	bits[i / 8] |= (uint8_t)(1u << i % 8);
}

static bool
get(const uint8_t *bits, uint32_t i)
{
	return (bits[i / 8] >> i % 8 & 1) != 0;
}

static void
pair_restart(struct pair *p)
{
	p->heard = p->old_key = false;
	p->came_us = 0;
}

void
load_count_restart(const struct load_media *m)
{
	unsigned i;

	for (i = 0; i < c.l->nmedia; i++) {
		const struct load_media *o = c.l->seats[i].media;

		pair_restart(pair_of(m, o));
		pair_restart(pair_of(o, m));
	}
}

/* --- each packet -----------------------------------------------------------
 */
static void
first_heard(
    struct pair *p, const struct load_media *to, const struct load_media *from)
{
	int64_t now = load_us();

	if (to->spying || from->spying || to->up_us == 0)
		return;
	p->heard = true;
	load_sample(p->old_key ? &c.turn : &c.field,
	    p->came_us == 0 ? 0 : (double)(now - p->came_us) / 1000);
	if (to->up_us > from->first_us)
		load_sample(&c.late, (double)(now - to->up_us) / 1000);
	else
		load_sample(&c.heard, (double)(now - from->first_us) / 1000);
}

struct load_media *
load_count_sender(const struct perc_double_tx *t)
{
	struct load_media *m;
	unsigned i;

	for (i = 0; c.l != NULL && i < c.l->nmedia; i++) {
		m = c.l->seats[i].media;
		if (m->vault->slots[m->conf.slot].local[0].tx == t)
			return m;
	}
	return NULL;
}

/* It is there, whether it opens or not. */
static void
packet_came(struct pair *p, const struct load_media *from, uint16_t number)
{
	double ms = load_why_age(from, number);

	if (!get(p->came, number) && ms > c.read_ms)
		c.read_ms = ms;
	set(p->came, number);
}

/* It is listed, and did not open yet. */
static void
not_read(struct pair *p, int err)
{
	if (p->heard && err != PERC_ERR_REPLAY)
		p->last_err = err;
	if (p->heard || err == PERC_ERR_DENIED || err == PERC_ERR_REPLAY)
		return;
	if (p->came_us == 0)
		p->came_us = load_us();
	p->old_key =
	    p->old_key || err == PERC_ERR_AUTH || err == PERC_ERR_UNKNOWN_KEY;
}

static void
packet_read(struct load_media *to, const struct load_media *from,
    const uint8_t *p, const struct perc_double_in *info)
{
	struct pair *pair = pair_of(to, from);
	struct perc_wire w;
	uint32_t number;
	int64_t sent;
	double ms;

	perc_wire_reader(&w, p + PERC_RTP_MIN, info->len - PERC_RTP_MIN);
	if (perc_wire_get_u32(&w) != from->index ||
	    (number = perc_wire_get_u32(&w)) >= LOAD_PACKETS_MAX) {
		c.l->count->mixed_up++;
		return;
	}
	sent = (int64_t)perc_wire_get_u64(&w);
	set(pair->opened, number);
	if (!pair->heard) {
		first_heard(pair, to, from);
		pair->from = number;
	}
	if (to->spying && sent > to->s->gone_us) {
		ms = (double)(sent - to->s->gone_us) / 1000;
		c.out_late += ms >= LOAD_OUT_BOUND_MS;
		if (to->out < c.out.n && ms > c.out.v[to->out])
			c.out.v[to->out] = ms;
	}
}

int
__wrap_perc_double_rx_open(struct perc_double_rx *r, int64_t now_ms,
    const uint8_t *in, size_t n, uint8_t *out, struct perc_double_in *info,
    uint16_t *unknown_spi)
{
	int err = __real_perc_double_rx_open(
	    r, now_ms, in, n, out, info, unknown_spi);
	struct load_media *to = NULL, *from = NULL, *m;
	struct pair *pair;
	struct perc_rtp h;
	unsigned i;

	if (c.pairs == NULL || perc_rtp_parse(&h, in, n) != 0)
		return err;
	for (i = 0; i < c.l->nmedia; i++) {
		m = c.l->seats[i].media;
		if (m->vault->slots[m->conf.slot].rx == r)
			to = m;
		if (m->ssrc == h.ssrc)
			from = m;
	}
	if (to == NULL || from == NULL)
		return err;
	pair = pair_of(to, from);
	packet_came(pair, from, h.seq);
	if (err == 0) {
		packet_read(to, from, out, info);
	} else {
		load_why_look(&pair->look[h.seq], to, from, h.seq);
		not_read(pair, err);
	}
	return err;
}

/* --- the account -----------------------------------------------------------
 */
struct account {
	struct account_part {
		unsigned opened, shut, lost;
	} stayers, newcomers;
	unsigned deaf;
};

static bool
stays(const struct load_media *m, int64_t before_us)
{
	return m->s->state == SEAT_LIVE && !m->s->evicted && !m->spying &&
	    m->up_us != 0 && m->up_us < before_us;
}

static void
pair_account(struct account *a, const struct load_media *to,
    const struct load_media *from, int64_t before_us)
{
	int64_t stays_us = to->up_us + NEWCOMER_MS * 1000;
	const struct vault_counters *v = &to->vault->slots[to->conf.slot].count;
	struct pair *p = pair_of(to, from);
	unsigned shut = 0;
	uint32_t k, last = 0;

	if (!p->heard) {
		a->deaf++;
		return;
	}
	for (k = p->from; k < from->next && from->sent_us[k] < before_us; k++) {
		struct account_part *part =
		    from->sent_us[k] < stays_us ? &a->newcomers : &a->stayers;

		part->opened += get(p->opened, k);
		part->lost += !get(p->came, k);
		if (get(p->opened, k) || !get(p->came, k))
			continue;
		part->shut++;
		load_why_count(&p->look[k]);
		shut++;
		last = k;
	}
	p->from = k;
	if (shut > 0 && c.l->verbose)
		fprintf(stderr,
		    "# %u, in for %d ms, did not open %u of %u, the last %u of "
		    "%u, sent after %d ms: %s; its vault held %u, of which %u "
		    "opened late, %u never\n",
		    to->index, (int)((load_us() - to->up_us) / 1000), shut,
		    from->index, last, from->next,
		    (int)((from->sent_us[last] - to->up_us) / 1000),
		    perc_strerror(p->last_err), (unsigned)v->held,
		    (unsigned)v->held_late, (unsigned)v->held_lost);
}

/* Is there nothing of before that may yet come or open? */
static bool
all_opened(struct load *l)
{
	const struct load_media *to, *from;
	const struct pair *p;
	unsigned i, n = l->nmedia;
	uint32_t k;

	for (i = 0; i < n * n; i++) {
		to = l->seats[i / n].media;
		from = l->seats[i % n].media;
		if (to->spying || from->spying)
			return false;
		if (to == from || !stays(to, c.before_us) ||
		    !stays(from, c.before_us))
			continue;
		p = pair_of(to, from);
		for (k = p->from;
		     k < from->next && from->sent_us[k] < c.before_us; k++)
			if (!p->heard || !get(p->opened, k))
				return false;
	}
	return true;
}

static void
note_in(struct load *l, const char *what, const char *name, double v,
    const char *unit)
{
	char text[128];

	text_put(text, sizeof(text), "%s: %s", what, name);
	load_note(l, text, v, unit);
}

static void
note(struct load *l, const char *what, const char *name, double v)
{
	note_in(l, what, name, v, "");
}

static void
note_times(
    struct load *l, const char *what, const char *name, struct load_samples *s)
{
	char text[128];

	text_put(text, sizeof(text), "%s: %s", what, name);
	if (s->n > 0)
		load_note_samples(l, text, s);
}

static void
outs_note(struct load *l, const char *what)
{
	char text[128];

	if (c.out.n == 0)
		return;
	note(l, what, "media: put out or gone, still listening",
	    (double)c.out.n);
	text_put(text, sizeof(text),
	    "%s: media: nothing sent is readable for them after", what);
	load_note_samples(l, text, &c.out);
	note(l, what, "media: packets read by them past the bound", c.out_late);
	c.out_late = 0;
}

void
load_count_out(struct load_media *m)
{
	m->out = c.out.n;
	load_sample(&c.out, 0);
}

void
load_count_report(struct load *l, const char *what)
{
	struct account a = { 0 };
	int64_t before = load_us();
	unsigned i, k;

	c.before_us = before;
	(void)load_until(l, all_opened, LOAD_LATE_MS);
	for (i = 0; i < l->nmedia; i++)
		for (k = 0; k < l->nmedia; k++)
			if (i != k && stays(l->seats[i].media, before) &&
			    stays(l->seats[k].media, before))
				pair_account(&a, l->seats[i].media,
				    l->seats[k].media, before);
	note(l, what, "media: packets opened at stayers", a.stayers.opened);
	note(
	    l, what, "media: packets undecryptable at stayers", a.stayers.shut);
	note(l, what, "media: packets opened at newcomers", a.newcomers.opened);
	note(l, what, "media: packets undecryptable at newcomers",
	    a.newcomers.shut);
	note(l, what, "media: packets lost on the road",
	    a.stayers.lost + a.newcomers.lost);
	note(l, what, "media: stayers who do not hear each other", a.deaf);
	note_in(l, what, "media: longest wait of a packet to be read",
	    c.read_ms, "ms");
	c.read_ms = 0;
	load_why_report(l, what);
	l->count->undecryptable += a.stayers.shut;
	l->count->new_undecryptable += a.newcomers.shut;
	l->count->deaf += a.deaf;
	note_times(l, what, "media: whoever comes hears each other", &c.late);
	note_times(l, what, "media: each other hears who comes", &c.heard);
	note_times(l, what, "media: waiting for a Full field", &c.field);
	note_times(l, what, "media: waiting for the switch", &c.turn);
	outs_note(l, what);
}
