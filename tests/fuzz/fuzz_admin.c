/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's line, as a socket brings it: octet by octet or at once it asks
 * for the same, it is whole at the first newline, and it cannot grow. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mdd/admin.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
need(int ok)
{
	if (!ok)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	enum mdd_admin_word all, word = MDD_ADMIN_MORE;
	char line[MDD_ADMIN_LINE];
	size_t got;

	if (n > sizeof(line))
		n = sizeof(line);
	memcpy(line, p, n);
	all = mdd_admin_parse(line, n);
	for (got = 0; got < n && word == MDD_ADMIN_MORE; got++)
		word = mdd_admin_parse(line, got + 1);
	need(word == all);
	need(n < sizeof(line) || all != MDD_ADMIN_MORE);
	need(all != MDD_ADMIN_METRICS || memcmp(line, "metrics\n", 8) == 0);
	need(all != MDD_ADMIN_DRAIN || memcmp(line, "drain\n", 6) == 0);
	return 0;
}
