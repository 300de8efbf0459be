/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong here fails the running test. */
#include "vaultroom.h"

#include <stdlib.h>

struct vaultroom *
vaultroom_open(const char *conf, unsigned n)
{
	static const char *const names[] = { "alice", "bob", "carol", "dave" };
	struct vaultroom *w = calloc(1, sizeof(*w));
	unsigned i;

	assert_non_null(w);
	assert_int_equal(perc_loop_new(&w->loop), 0);
	kit_kmf_open(&w->kmf);
	kit_kmf_open(&w->other);
	kit_conf_init(&w->conf, conf);
	for (i = 0; i < n; i++) {
		w->m[i] = calloc(1, sizeof(*w->m[i]));
		assert_non_null(w->m[i]);
		kit_open(w->m[i], w->loop, &w->kmf, names[i], i);
		kit_join(w->m[i], &w->kmf, &w->conf);
		w->n++;
	}
	return w;
}

int
vaultroom_close(void **state)
{
	struct vaultroom *w = *state;
	unsigned i;

	for (i = 0; i < w->n; i++) {
		kit_close(w->m[i]);
		free(w->m[i]);
	}
	kit_kmf_close(&w->kmf);
	kit_kmf_close(&w->other);
	perc_loop_free(w->loop);
	free(w);
	return 0;
}
