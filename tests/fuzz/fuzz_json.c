/* SPDX-License-Identifier: Apache-2.0 */
/* A document from anybody: what parses must print and parse to the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
probe_time(const char *text)
{
	char back[PERC_TIME_LEN];
	int64_t ms, again;

	if (text == NULL || perc_time_get(&ms, text) != 0)
		return;
	perc_time_put(back, ms);
	if (perc_time_get(&again, back) != 0 || again != ms - ms % 1000)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char why[64], *text;
	json_t *a = NULL, *b = NULL;
	int64_t v;

	if (perc_json_parse(&a, p, n, 1 << 16, why, sizeof(why)) != 0)
		return 0;
	if ((text = perc_json_text(a)) == NULL)
		abort();
	if (perc_json_parse(&b, text, strlen(text), 1 << 20, NULL, 0) != 0 ||
	    !json_equal(a, b))
		abort();
	if (perc_json_int(&v, a, "n", -5, 5) == 0 && (v < -5 || v > 5))
		abort();
	(void)perc_json_has(a, "aud", "x");
	probe_time(perc_json_str(a, "at"));
	perc_json_free(text);
	json_decref(a);
	json_decref(b);
	return 0;
}
