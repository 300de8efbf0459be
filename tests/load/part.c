/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each of the two processes has for itself: a loop, a relay for bad
 * lines, its seats.
 */
#include "tests/load/media.h"

int
load_part_open(struct load *l)
{
	unsigned i;
	int r;

	if ((r = perc_loop_new(&l->loop)) != 0 ||
	    (l->lag_ms != 0 && (r = load_relay_open(l)) != 0))
		return r;
	for (i = l->first; i < l->end; i++) {
		if ((r = load_seat_init(&l->seats[i], l, i)) != 0)
			return r;
		l->seats[i].peer.lags = l->lag_ms != 0 && i % 20 == 7;
	}
	return 0;
}

void
load_part_close(struct load *l)
{
	unsigned i;

	for (i = l->first; l->seats != NULL && i < l->end; i++)
		if (l->seats[i].l != NULL)
			load_seat_clear(&l->seats[i]);
	load_count_close();
	load_away_close();
	load_good_clear(l);
}
