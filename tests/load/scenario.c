/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done to the conference, one function for each.
 */
#include "tests/load/load.h"
#include "tests/load/media.h"

#include <stdlib.h>
#include <string.h>

#include "agent/text.h"
#include "perc/crypto.h"
#include "perc/json.h"

#define SETTLE_MS  60000
#define SETTLED_MS 1500 /* and then for what is under way */
#define QUICK_MS   500
#define REFILL_MS  10 /* a joiner: 100 a second, as in the storm of joins */

static bool
nobody_joins(struct load *l)
{
	unsigned i;

	for (i = 0; i < l->n; i++)
		if (l->seats[i].state == SEAT_JOINING ||
		    l->seats[i].state == SEAT_LEAVING)
			return false;
	return load_settled(l);
}

void
load_settle(struct load *l, const char *what)
{
	if (!load_until(l, nobody_joins, SETTLE_MS))
		fprintf(stderr, "perch-load: %s: not settled after %d s\n",
		    what, SETTLE_MS / 1000);
	load_pause(l, l->quick ? QUICK_MS : SETTLED_MS);
}

/* Everybody who is out and may come back does, over ms. */
static void
fill(struct load *l, int64_t ms)
{
	unsigned i;

	for (i = 0; i < l->n; i++)
		if (l->seats[i].state == SEAT_OUT && !l->seats[i].evicted)
			load_order_join(
			    l, &l->seats[i], ms * (int64_t)i / l->n);
	load_settle(l, "joins");
}

/* Those come back who left, no faster than the machine takes joins. */
static void
refill(struct load *l)
{
	unsigned ms = REFILL_MS * (l->n - load_live(l));

	fill(l, l->quick ? QUICK_MS : ms < 2000 ? 2000 : ms);
}

static unsigned
live_media(const struct load *l)
{
	unsigned i, n = 0;

	for (i = 0; i < l->nmedia; i++)
		n += l->seats[i].state == SEAT_LIVE && !l->seats[i].evicted;
	return n;
}

/* Up to n of the live seats from i to before end, chosen at random. */
static unsigned
pick_of(struct load *l, unsigned i, unsigned end, unsigned left,
    struct load_seat **out, unsigned n)
{
	unsigned got = 0;

	for (; i < end && got < n; i++) {
		if (l->seats[i].state != SEAT_LIVE || l->seats[i].evicted)
			continue;
		if (perc_random_u32() % left-- < n - got)
			out[got++] = &l->seats[i];
	}
	return got;
}

/* Up to n live seats; of those with media their share, and some at least. */
static unsigned
pick(struct load *l, struct load_seat **out, unsigned n)
{
	unsigned media = live_media(l), rest = load_live(l) - media;
	unsigned share = media + rest > 0 ? media * n / (media + rest) : 0;

	if (share < 2)
		share = media / 2 < 2 ? media / 2 : 2;
	if (share > n)
		share = n;
	share = pick_of(l, 0, l->nmedia, media, out, share);
	return share +
	    pick_of(l, l->nmedia, l->n, rest, out + share, n - share);
}

static int
drop_audit(struct load *l)
{
	json_t *rows = NULL;
	int r = load_admin_audit(l, &rows);

	json_decref(rows);
	return r;
}

/* --- the scenarios ---------------------------------------------------------
 */
static int
do_join(struct load *l)
{
	struct load_samples key = { 0 }, stream = { 0 };
	struct load_usage a, b;
	json_t *rows = NULL;
	unsigned i;
	int r;

	load_kmf_usage(l, &a);
	fill(l, (int64_t)l->spread_s * 1000);
	load_kmf_usage(l, &b);
	for (i = 0; i < l->n; i++) {
		const struct load_seat *s = &l->seats[i];

		if (s->live_us == 0)
			continue;
		load_sample(&key, (double)(s->live_us - s->due_us) / 1000);
		if (s->stream_us != 0)
			load_sample(
			    &stream, (double)(s->stream_us - s->due_us) / 1000);
	}
	if ((r = load_admin_audit(l, &rows)) != 0)
		goto out;
	load_note(l, "join: seats live", load_live(l), "");
	load_note(l, "join: epochs caused", load_epochs_of(rows), "");
	load_note_samples(l, "join: time to key", &key);
	load_note_samples(l, "join: time to stream", &stream);
	if (l->own) {
		load_note(l, "join: KMF processor time per seat, all in",
		    (b.all_us - a.all_us) / l->n, "us");
		load_note(l, "join: KMF memory (PSS), nobody there",
		    (a.rss + a.files) / 1024, "KiB");
		load_note(l, "join: KMF memory (PSS), what it grew by",
		    (b.rss - a.rss) / 1024, "KiB");
		load_note(l, "join: KMF memory (PSS) per seat",
		    (b.rss - a.rss) / l->n / 1024, "KiB");
		load_note(l, "join: of which fronts",
		    (b.front_rss - a.front_rss) / l->n / 1024, "KiB");
	}
out:
	json_decref(rows);
	return r;
}

static int
do_leave(struct load *l)
{
	struct load_seat *s[LOAD_SEATS_MAX];
	unsigned i, n = pick(l, s, l->n >= 500 ? 100 : (l->n + 4) / 5);
	int r;

	if ((r = drop_audit(l)) != 0)
		return r;
	for (i = 0; i < n; i++)
		load_order_leave(l, s[i], perc_random_u32() % (n * 100));
	load_pause(l, n * 100 + 500);
	load_settle(l, "leaves");
	if ((r = load_outs_report(l, "leave", "left")) == 0)
		refill(l);
	return r;
}

static int
do_mass_leave(struct load *l)
{
	struct load_seat *s[LOAD_SEATS_MAX];
	unsigned i, n = pick(l, s, load_live(l) / 2);
	int r;

	if ((r = drop_audit(l)) != 0)
		return r;
	for (i = 0; i < n; i++)
		load_order_leave(l, s[i], 0);
	load_pause(l, 1000);
	load_settle(l, "mass leave");
	if ((r = load_outs_report(l, "mass leave", "left")) == 0)
		refill(l);
	return r;
}

static int
do_evict(struct load *l)
{
	struct load_seat *s[5];
	unsigned i, n = l->quick ? 2 : 5, media = live_media(l);
	int r;

	/* of those with media, where there are: it is they who tell until
	 * when they could read */
	n = media > 2 * n ? pick_of(l, 0, l->nmedia, media, s, n)
			  : pick(l, s, n);
	if ((r = drop_audit(l)) != 0)
		return r;
	for (i = 0; r == 0 && i < n; i++) {
		load_order_gone(l, s[i]);
		r = load_admin_evict(l, s[i]);
		load_pause(l, l->quick ? QUICK_MS : 1500);
	}
	load_settle(l, "evictions");
	return r == 0 ? load_outs_report(l, "evict", "evicted") : r;
}

/* One in twenty leaves, and comes back a second later, and so on. */
static int
do_flap(struct load *l)
{
	struct load_seat *s[LOAD_SEATS_MAX];
	unsigned i, round, n = pick(l, s, (l->n + 19) / 20);
	unsigned bad = load_counted(l).bad_keys;
	json_t *rows = NULL;
	int r;

	if ((r = drop_audit(l)) != 0)
		return r;
	for (round = 0; round < 5; round++) {
		for (i = 0; i < n; i++)
			if (s[i]->state == SEAT_LIVE)
				load_order_leave(
				    l, s[i], perc_random_u32() % 500);
		load_pause(l, 1000);
		for (i = 0; i < n; i++)
			if (s[i]->state == SEAT_OUT)
				load_order_join(
				    l, s[i], perc_random_u32() % 500);
		load_pause(l, 1000);
	}
	fill(l, 500);
	if ((r = load_admin_audit(l, &rows)) == 0) {
		load_note(l, "flap: seats", n, "");
		load_note(
		    l, "flap: epochs caused in 10 s", load_epochs_of(rows), "");
		load_note(l, "flap: keys that did not open",
		    load_counted(l).bad_keys - bad, "");
	}
	json_decref(rows);
	return r;
}

static int64_t awaited; /* epoch that lag waits for */

static bool
all_have_it(struct load *l)
{
	return l->board->epoch >= awaited && load_settled(l);
}

/* Five rekeys; those on bad lines and the others, each by themselves. */
static int
do_lag(struct load *l)
{
	struct load_samples slow = { 0 }, fast = { 0 };
	unsigned i, round, missing = 0, bad = load_counted(l).bad_keys;
	int64_t t0, epoch;
	int r = 0;

	for (round = 0; r == 0 && round < (l->quick ? 2 : 5); round++) {
		awaited = epoch = l->board->epoch + 1;
		t0 = load_us();
		if ((r = load_admin_rekey(l)) != 0)
			break;
		if (l->quick)
			(void)load_until(l, all_have_it, 2500);
		load_pause(l, l->quick ? QUICK_MS : 2500);
		for (i = 0; i < l->n; i++) {
			const struct load_seat *s = &l->seats[i];

			if (s->state != SEAT_LIVE)
				continue;
			if (epoch >= LOAD_EPOCHS_MAX || s->held_us[epoch] == 0)
				missing++;
			else
				load_sample(s->peer.lags ? &slow : &fast,
				    (double)(s->held_us[epoch] - t0) / 1000);
		}
	}
	load_note(l, "lag: bad lines in a network namespace of their own",
	    load_away_is(), "");
	load_note_samples(l, "lag: bad lines hold the new key", &slow);
	load_note_samples(l, "lag: the others hold the new key", &fast);
	load_note(l, "lag: keys missing after 2.5 s", missing, "");
	load_note(l, "lag: keys that did not open",
	    load_counted(l).bad_keys - bad, "");
	return r;
}

static const struct {
	const char *name;
	int (*fn)(struct load *);
} scenarios[] = {
	{ "join", do_join },
	{ "rekey", load_do_rekey },
	{ "lag", do_lag },
	{ "evict", do_evict },
	{ "leave", do_leave },
	{ "mass-leave", do_mass_leave },
	{ "flap", do_flap },
	{ "kill", load_do_kill },
};

int
load_scenario(struct load *l, const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++)
		if (strcmp(scenarios[i].name, name) == 0)
			return scenarios[i].fn(l);
	return PERC_ERR_NOTFOUND;
}
