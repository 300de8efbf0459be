/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Globals, because a test reads best when its world has one-letter names. */
#include "tests/kmf/kitroom.h"

struct kit t;
char conf[40];

int
setup(void **state)
{
	kit_open(&t);
	kit_conf(&t, conf, NULL);
	return 0;
}

int
teardown(void **state)
{
	kit_close(&t);
	return 0;
}
