/* SPDX-License-Identifier: Apache-2.0 */
/* A key or a set from anybody: what is taken keeps its thumbprint. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/jose.h"
#include "perc/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
probe(const struct perc_jwk *k)
{
	char a[PERC_JKT_LEN + 1], b[PERC_JKT_LEN + 1], *text = NULL;
	struct perc_jwk *again = NULL;

	if (perc_jwk_thumbprint(a, k) != 0 || strlen(a) != PERC_JKT_LEN ||
	    perc_jwk_public_json(&text, k) != 0 ||
	    perc_jwk_from_json(&again, text, strlen(text), true) != 0 ||
	    perc_jwk_thumbprint(b, again) != 0 || strcmp(a, b) != 0 ||
	    perc_jwk_is_private(again))
		abort();
	perc_jwk_free(again);
	perc_json_free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct perc_jwk *k = NULL;
	struct perc_jwks *s = NULL;

	if (perc_jwk_from_json(&k, (const char *)p, n, false) == 0)
		probe(k);
	perc_jwk_free(k);
	k = NULL;
	if (perc_jwk_from_json(&k, (const char *)p, n, true) == 0 &&
	    perc_jwk_is_private(k))
		abort();
	perc_jwk_free(k);
	if (perc_jwks_from_json(&s, (const char *)p, n) == 0)
		(void)perc_jwks_find(s, "a");
	perc_jwks_free(s);
	return 0;
}
