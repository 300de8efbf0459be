/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a new key costs the KMF's processors, beside what it cannot cost less
 * than (floor.c).
 */
#include "tests/load/load.h"

#include "agent/text.h"

#define EVENT_OCTETS 760 /* an epoch event; the roster's comes on top */

struct cost { /* processor time of one rekey */
	double all, keeper, front;
};

/*
 * Rekeys as fast as the leave window lets them follow each other, less what
 * the same time costs without. Alone: the seats take their keys and say
 * nothing, not even for their leases; so the whole must be over before those
 * end.
 */
static int
cost_measure(struct load *l, struct cost *c, bool alone, unsigned rounds)
{
	int64_t each = alone ? 300 : 1500, t0;
	struct load_usage u[3];
	unsigned i;
	int r = 0;
	double k;

	l->board->react = !alone;
	l->board->quiet = alone;
	load_pause(l, alone ? 2500 : 1000); /* what is under way ends */
	load_kmf_usage(l, &u[0]);
	load_pause(l, rounds * each);
	load_kmf_usage(l, &u[1]);
	for (i = 0; r == 0 && i < rounds; i++) {
		t0 = perc_now_ms();
		r = load_admin_rekey(l);
		load_pause(l, each - (perc_now_ms() - t0));
	}
	load_kmf_usage(l, &u[2]);
	l->board->quiet = false;
	k = (double)(u[2].at_us - u[1].at_us) /
	    (double)(u[1].at_us - u[0].at_us);
	c->all = (u[2].all_us - u[1].all_us) - (u[1].all_us - u[0].all_us) * k;
	c->keeper = (u[2].keeper_us - u[1].keeper_us) -
	    (u[1].keeper_us - u[0].keeper_us) * k;
	c->front = (u[2].front_us - u[1].front_us) -
	    (u[1].front_us - u[0].front_us) * k;
	c->all /= rounds;
	c->keeper /= rounds;
	c->front /= rounds;
	return r;
}

static int
rekey_cost(struct load *l, const char *what, bool alone, unsigned rounds)
{
	double n = load_live(l), floor = l->floor.seal_us + l->floor.record_us;
	struct cost c;
	char text[128];
	int r;

	if ((r = cost_measure(l, &c, alone, rounds)) != 0)
		return r;
	text_put(text, sizeof(text), "rekey, %s: KMF processor time", what);
	load_note(l, text, c.all, "us");
	text_put(text, sizeof(text), "rekey, %s: keeper, per member", what);
	load_note(l, text, c.keeper / n, "us");
	text_put(text, sizeof(text), "rekey, %s: fronts, per member", what);
	load_note(l, text, c.front / n, "us");
	text_put(text, sizeof(text), "rekey, %s: all, per member", what);
	load_note(l, text, c.all / n, "us");
	text_put(text, sizeof(text), "rekey, %s: times the floor", what);
	load_note(l, text, c.all / n / floor, "x");
	return 0;
}

/* Before anybody joins: the seats' leases would end meanwhile. */
int
load_floor(struct load *l)
{
	char key[512];

	text_put(key, sizeof(key), "%s/state/tls.key", l->dir);
	return load_floor_measure(&l->floor, l->n, l->ca, key, EVENT_OCTETS);
}

int
load_do_rekey(struct load *l)
{
	int r;

	if (!l->own)
		return PERC_ERR_UNSUPPORTED;
	load_note(l, "floor: one AES-256-GCM seal", l->floor.seal_us, "us");
	load_note(
	    l, "floor: one TLS record, 760 octets", l->floor.record_us, "us");
	r = rekey_cost(l, "push alone", true, 12);
	if (r == 0)
		r = rekey_cost(l, "with leases and rosters", false, 5);
	l->board->react = true;
	load_settle(l, "rekeys");
	return r;
}
