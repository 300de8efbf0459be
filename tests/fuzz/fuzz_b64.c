/* SPDX-License-Identifier: Apache-2.0 */
/* What decodes must encode to the very same text: one spelling per value. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static uint8_t raw[4096];
	static char text[8193];
	size_t len = sizeof(raw);

	if (n > 4096)
		return 0;
	if (perc_b64_get(raw, &len, (const char *)p, n) == 0) {
		perc_b64_put(text, raw, len);
		if (strlen(text) != n || memcmp(text, p, n) != 0)
			abort();
	}
	len = sizeof(raw);
	if (perc_hex_get(raw, &len, (const char *)p, n) == 0) {
		perc_hex_put(text, raw, len);
		if (strlen(text) != n)
			abort();
	}
	return 0;
}
