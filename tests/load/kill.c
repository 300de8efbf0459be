/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGKILL for the whole KMF as soon as the first seat has the new key: some
 * hold it, some do not. The seats live on meanwhile, and knock in vain, until
 * it listens again; who has media sees packets of an epoch that he lacks.
 */
#include "tests/load/load.h"
#include "tests/load/media.h"

#include <stdlib.h>

#define START_MS   20000
#define SEEN_MS	   300	 /* the streams are seen to have broken */
#define LEASES_MS  16000 /* a lease and more */
#define SETTLED_MS 1500	 /* what load_settle() waits at its end */
#define QUICK_MS   500

static struct {
	int64_t epoch; /* the rekey's */
	int64_t at_us;
	bool *behind; /* by seat: had not got it */
} k;

static bool
first_has_it(struct load *l)
{
	return l->board->epoch >= k.epoch;
}

static bool
kmf_listens(struct load *l)
{
	return load_answers(l->base);
}

static void
behind_note(struct load *l)
{
	unsigned i, n = 0, media = 0;

	for (i = 0; i < l->n; i++) {
		k.behind[i] = l->seats[i].state == SEAT_LIVE &&
		    l->seats[i].epoch < k.epoch;
		n += k.behind[i];
		media += k.behind[i] && i < l->nmedia;
	}
	load_note(l, "kill: seats without the new key at the kill", n, "");
	if (l->nmedia > 0)
		load_note(l, "kill: of which with media", media, "");
}

static void
learnt_note(struct load *l)
{
	struct load_samples all = { 0 }, media = { 0 };
	unsigned i;

	for (i = 0; i < l->n; i++) {
		const struct load_seat *s = &l->seats[i];
		double ms;

		if (!k.behind[i] || k.epoch >= LOAD_EPOCHS_MAX ||
		    s->held_us[k.epoch] == 0)
			continue;
		ms = (double)(s->held_us[k.epoch] - k.at_us) / 1000;
		load_sample(&all, ms);
		if (i < l->nmedia)
			load_sample(&media, ms);
	}
	if (all.n > 0)
		load_note_samples(
		    l, "kill: they hold the new key, after the kill", &all);
	if (media.n > 0)
		load_note_samples(l, "kill: those with media do", &media);
}

static int
kmf_again(struct load *l)
{
	int r = load_kmf_start(l);

	if (r == 0 && !load_until(l, kmf_listens, START_MS))
		r = PERC_ERR_TIMEOUT;
	load_note(l, "kill: the KMF listens again, after the kill",
	    (double)(load_us() - k.at_us) / 1000, "ms");
	return r;
}

static int
audit_note(struct load *l)
{
	json_t *rows = NULL;
	int r;

	if ((r = load_admin_login(l)) == 0 &&
	    (r = load_admin_audit(l, &rows)) == 0)
		load_note(l, "kill: epochs, the rekey itself included",
		    load_epochs_of(rows), "");
	json_decref(rows);
	return r;
}

int
load_do_kill(struct load *l)
{
	unsigned live = load_live(l), bad = load_counted(l).bad_keys;
	json_t *rows = NULL;
	int64_t t0;
	int r;

	if (!l->own)
		return PERC_ERR_UNSUPPORTED;
	if ((r = load_admin_audit(l, &rows)) != 0)
		goto out;
	r = PERC_ERR_NOMEM;
	if ((k.behind = calloc(l->n, sizeof(*k.behind))) == NULL)
		goto out;
	k.epoch = l->board->epoch + 1;
	load_admin_rekey_begin(l);
	if (!load_until(l, first_has_it, 5000))
		fprintf(stderr, "perch-load: no epoch to kill in\n");
	k.at_us = load_us();
	load_kmf_kill(l);
	behind_note(l);
	if ((r = kmf_again(l)) != 0)
		goto out;
	t0 = load_us();
	load_pause(l, SEEN_MS);
	load_settle(l, "kill");
	load_note(l, "kill: all on one epoch, with streams, after",
	    (double)(load_us() - t0) / 1000 -
		(l->quick ? QUICK_MS : SETTLED_MS),
	    "ms");
	learnt_note(l);
	load_pause(l, LEASES_MS);
	load_note(l, "kill: seats lost", (double)live - load_live(l), "");
	load_note(l, "kill: keys that did not open",
	    load_counted(l).bad_keys - bad, "");
	r = audit_note(l);
out:
	json_decref(rows);
	free(k.behind);
	k.behind = NULL;
	return r;
}
