/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is out, and since when nobody else's key is theirs. Which epoch shut a
 * leaver out is read from the KMF's own audit trail (its rows are in the
 * order of its commits), so no leave is credited to an epoch that only
 * happened to come after it.
 */
#include "tests/load/load.h"

#include <string.h>

#include "agent/text.h"
#include "perc/json.h"

unsigned
load_epochs_of(const json_t *rows)
{
	const json_t *row;
	unsigned n = 0;
	size_t i;

	json_array_foreach((json_t *)rows, i,
	    row) if (strcmp(perc_json_str(row, "kind"), "epoch") == 0) n++;
	return n;
}

static struct load_seat *
seat_of(struct load *l, const char *member)
{
	unsigned i;

	for (i = 0; member != NULL && i < l->n; i++)
		if (strcmp(l->seats[i].member, member) == 0)
			return &l->seats[i];
	return NULL;
}

/* The epoch that came next after row i. */
static int64_t
next_epoch(const json_t *rows, size_t i)
{
	const json_t *row;
	int64_t e = 0;

	for (; i < json_array_size(rows); i++) {
		row = json_array_get(rows, i);
		if (strcmp(perc_json_str(row, "kind"), "epoch") == 0 &&
		    perc_json_int(&e, json_object_get(row, "detail"), "epoch",
			1, INT64_MAX) == 0)
			return e;
	}
	return 0;
}

/* From the leaver's word to each other's key, and to the last of them. */
static void
out_note(struct load *l, const struct load_seat *gone, int64_t epoch,
    struct load_samples *each, struct load_samples *last, unsigned *missing)
{
	const struct load_seat *s;
	double ms, worst = 0;
	unsigned i;

	for (i = 0; i < l->n; i++) {
		s = &l->seats[i];
		if (s == gone || s->state != SEAT_LIVE || s->evicted ||
		    s->stream_us == 0 || s->stream_us > gone->gone_us)
			continue;
		if (epoch >= LOAD_EPOCHS_MAX || s->held_us[epoch] == 0) {
			++*missing;
			continue;
		}
		ms = (double)(s->held_us[epoch] - gone->gone_us) / 1000;
		load_sample(each, ms);
		worst = ms > worst ? ms : worst;
	}
	load_sample(last, worst);
}

int
load_outs_report(struct load *l, const char *what, const char *kind)
{
	struct load_samples each = { 0 }, last = { 0 };
	json_t *rows = NULL, *row;
	const struct load_seat *s;
	unsigned missing = 0;
	char text[128];
	int64_t e;
	size_t i;
	int r;

	if ((r = load_admin_audit(l, &rows)) != 0)
		goto out;
	json_array_foreach(rows, i, row)
	{
		if (strcmp(perc_json_str(row, "kind"), kind) != 0 ||
		    (s = seat_of(l, perc_json_str(row, "subject"))) == NULL ||
		    s->gone_us == 0 || (e = next_epoch(rows, i)) == 0)
			continue;
		out_note(l, s, e, &each, &last, &missing);
	}
	text_put(text, sizeof(text), "%s: out", what);
	load_note(l, text, (double)last.n, "");
	text_put(text, sizeof(text), "%s: epochs caused", what);
	load_note(l, text, load_epochs_of(rows), "");
	text_put(text, sizeof(text), "%s: each other holds the new key", what);
	load_note_samples(l, text, &each);
	text_put(text, sizeof(text), "%s: the last other does", what);
	load_note_samples(l, text, &last);
	if (missing > 0) {
		text_put(text, sizeof(text), "%s: keys missing", what);
		load_note(l, text, missing, "");
	}
out:
	json_decref(rows);
	return r;
}
