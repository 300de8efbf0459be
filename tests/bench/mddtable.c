/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of delays: a line for each forwarder, with all that tells whether
 * the figure is the forwarder's or the machine's.
 */
#include <stdio.h>

#include "tests/bench/mddrig.h"

void
table_delay_head(FILE *f)
{
	fprintf(f,
	    "| who | octets | burst | forwarder | packets/s out | processor | "
	    "p50 | p99 (least to most) | p99 without stops | left out | "
	    "stood still, longest | |\n"
	    "|---|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---|\n");
}

static void
put_spread(FILE *f, const struct rig_spread *s)
{
	fprintf(f, " %.0f (%.0f to %.0f) |", s->median, s->least, s->most);
}

/* What should be nothing and was not. */
static void
put_remarks(FILE *f, const struct rig_delay *d)
{
	if (d->lost > 0)
		fprintf(f, " lost %.4f %%", 100 * d->lost);
	if (d->waited > 0.005)
		fprintf(f, " waited %.1f %%", 100 * d->waited);
	if (d->sender > 0.005)
		fprintf(f, " generator %.1f %%", 100 * d->sender);
	fprintf(f, " |\n");
}

void
table_delay_row(
    FILE *f, const char *what, const char *who, const struct rig_delay *d)
{
	fprintf(f, "| %s | %s | %.0f | %.0f %% | %.0f |", what, who,
	    d->rate * d->part, 100 * d->busy, d->p50_us);
	put_spread(f, &d->p99_us);
	if (d->known) {
		put_spread(f, &d->still_us);
		fprintf(f, " %.1f %% | %.1f %%, %.0f |", 100 * d->left_out,
		    100 * d->stopped, d->longest_us);
	} else {
		fprintf(f, " ? | ? | ? |");
	}
	put_remarks(f, d);
}
