/* SPDX-License-Identifier: Apache-2.0 */
/* An audit log from anybody, line by line, against a key that signed none of
 * it: no line of it is ever a checkpoint, and so no log is whole. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/cef.h"
#include "perc/chain.h"
#include "perc/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char mine[] =
    "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}]}";

static void
cef(const char *line, size_t n)
{
	json_t *v = NULL;
	char *text;

	if (perc_json_parse(&v, line, n, PERC_CHAIN_LINE_MAX, NULL, 0) != 0)
		return;
	text = perc_cef_text(v, "1");
	if (text != NULL && strpbrk(text, "\r\n") != NULL)
		abort();
	free(text);
	json_decref(v);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct perc_jwks *keys;
	const char *line = (const char *)p, *end = line + n, *next;
	struct perc_chain c;
	int r = 0;

	if (keys == NULL &&
	    perc_jwks_from_json(&keys, mine, sizeof(mine) - 1) != 0)
		abort();
	perc_chain_start(&c, keys, NULL, 0);
	while (r == 0 && line < end) {
		next = memchr(line, '\n', (size_t)(end - line));
		if (next == NULL)
			next = end;
		cef(line, (size_t)(next - line));
		r = perc_chain_line(&c, line, (size_t)(next - line));
		line = next + 1;
	}
	if (c.checkpoints != 0 || (r == 0 && perc_chain_end(&c) == 0))
		abort();
	return 0;
}
