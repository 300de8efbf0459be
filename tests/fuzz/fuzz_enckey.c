/* SPDX-License-Identifier: Apache-2.0 */
/* An Encryption-Key field: what is taken prints and parses to the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/enckey.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
probe(const struct perc_enckey *k)
{
	struct perc_enckey again[PERC_ENCKEY_MAX];
	char text[PERC_ENCKEY_TEXT_MAX];
	uint8_t image[64];
	size_t count, len = sizeof(image);

	if (perc_enckey_print(text, sizeof(text), k) != 0 ||
	    perc_enckey_parse(again, &count, text, strlen(text)) != 0 ||
	    count != 1 || memcmp(&again[0], k, sizeof(*k)) != 0)
		abort();
	if (perc_ektkey_put(image, &len, k) != 0 ||
	    perc_ektkey_get(&again[1], image, len) != 0 ||
	    again[1].spi != k->spi)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct perc_enckey keys[PERC_ENCKEY_MAX], k;
	size_t count;

	if (perc_enckey_parse(keys, &count, (const char *)p, n) == 0)
		for (size_t i = 0; i < count; i++)
			probe(&keys[i]);
	if (perc_ektkey_get(&k, p, n) == 0 && k.keylen != 16 && k.keylen != 32)
		abort();
	return 0;
}
