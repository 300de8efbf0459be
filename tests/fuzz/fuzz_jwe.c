/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header of a seal as JSON, wrapped here, so that mutation reaches what
 * stands behind base64: the ephemeral key and its friends.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"
#include "perc/jose.h"
#include "perc/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char tail[] =
	    "..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA";
	static struct perc_jwk *k;
	char text[PERC_B64_LEN(2048) + sizeof(tail)], *inner = NULL;
	size_t len;

	if ((k == NULL && perc_jwk_generate(&k) != 0))
		abort();
	if (n > 2048)
		return 0;
	perc_b64_put(text, p, n);
	strcat(text, tail);
	/* Nobody knew the key: nothing opens. */
	if (perc_jwe_open(&inner, &len, k, text, strlen(text), sizeof(text)) ==
	    0)
		abort();
	return 0;
}
