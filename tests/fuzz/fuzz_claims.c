/* SPDX-License-Identifier: Apache-2.0 */
/* The claims of a proof as JSON, signed here: what lies behind a signature
 * that is good is still a stranger's. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/jose.h"
#include "perc/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct perc_jwk *k;
	struct perc_dpop d;
	json_t *claims = NULL;
	char *proof = NULL;
	const char *why;

	if (k == NULL && perc_jwk_generate(&k) != 0)
		abort();
	if (perc_json_parse(&claims, p, n, 4000, NULL, 0) != 0)
		return 0;
	if (perc_jws_sign(&proof, k, "dpop+jwt", claims, true) != 0)
		abort();
	if (perc_dpop_check(&d, proof, strlen(proof), "GET", "https://a/x",
		"token", 1000, 60, &why) == 0 &&
	    (d.iat_s < 940 || d.iat_s > 1060 || *why != '\0'))
		abort();
	free(proof);
	json_decref(claims);
	return 0;
}
