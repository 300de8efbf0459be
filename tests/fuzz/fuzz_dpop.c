/* SPDX-License-Identifier: Apache-2.0 */
/* A proof from anybody, and its text once more as a target URI. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "perc/htu.h"
#include "perc/jose.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void
probe_uri(const uint8_t *p, size_t n)
{
	char uri[2048], a[PERC_HTU_MAX], b[PERC_HTU_MAX];

	if (n >= sizeof(uri))
		return;
	memcpy(uri, p, n);
	uri[n] = '\0';
	/* Normal forms stay as they are. */
	if (perc_htu_normal(a, uri) == 0 &&
	    (perc_htu_normal(b, a) != 0 || strcmp(a, b) != 0))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct perc_dpop d;
	const char *why;

	if (perc_dpop_check(&d, (const char *)p, n, "POST",
		"https://server.example.com/token", NULL, 1562262616, 60,
		&why) == 0 &&
	    (strlen(d.jkt) != PERC_JKT_LEN ||
		strlen(d.jti_hash) != PERC_JKT_LEN))
		abort();
	probe_uri(p, n);
	return 0;
}
