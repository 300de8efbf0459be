/* SPDX-License-Identifier: Apache-2.0 */
/* A token from anybody against a key that signed the corpus, and a seal. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/jose.h"
#include "perc/json.h"
#include "perc/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static const char mine[] =
    "{\"kty\":\"EC\",\"crv\":\"P-256\","
    "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\","
    "\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}";

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct perc_jwk *k;
	const char *alg, *text = (const char *)p;
	struct perc_jws j;
	char *inner = NULL;
	size_t len;

	if (k == NULL &&
	    perc_jwk_from_json(&k, mine, sizeof(mine) - 1, false) != 0)
		abort();
	if (perc_jws_peek(&j, text, n, PERC_JOSE_TOKEN_MAX) == 0 &&
	    (j.header == NULL || j.raw == NULL))
		abort();
	perc_jws_clear(&j);
	if (perc_jws_verify(&j, text, n, PERC_JOSE_TOKEN_MAX, k, NULL) == 0) {
		alg = perc_json_str(j.header, "alg");
		if (alg == NULL || strcmp(alg, "ES256") != 0 ||
		    json_object_get(j.header, "crit") != NULL)
			abort();
	}
	perc_jws_clear(&j);
	if (perc_jwe_open(&inner, &len, k, text, n, PERC_JOSE_TOKEN_MAX) == 0 &&
	    strlen(inner) != len)
		abort();
	perc_secmem_free(inner);
	return 0;
}
