/* SPDX-License-Identifier: Apache-2.0 */
/* A line from the local socket, a browser's redirect, an ID token. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/frontlogin.h"
#include "agent/local.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct front_idtoken_want want = {
		.issuer = "i", .client_id = "c", .nonce = "n", .now_s = 1000
	};
	struct front_redirect got;
	const char *cmd, *why;
	char *token, *sub = NULL;
	int64_t life = 0;
	json_t *j;
	int64_t id;

	if (local_parse(&j, &id, &cmd, (const char *)p, n) == 0) {
		if (id < 1 || cmd == NULL)
			abort();
		json_decref(j);
	}
	if (front_redirect_parse(
		&got, (const char *)p, n, "st", "i", n % 2 != 0) == 0 &&
	    (got.code[0] == '\0' ||
		memchr(got.code, 0, sizeof(got.code)) == NULL))
		abort();
	if ((token = strndup((const char *)p, n)) == NULL)
		abort();
	if (front_idtoken_check(&sub, &life, token, &want, &why) == 0 &&
	    (sub == NULL || life <= 0))
		abort();
	free(sub);
	free(token);
	return 0;
}
