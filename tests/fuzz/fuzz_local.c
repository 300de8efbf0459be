/* SPDX-License-Identifier: Apache-2.0 */
/* A line from the local socket, and a browser's redirect. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/frontlogin.h"
#include "agent/local.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char code[32];
	const char *cmd;
	json_t *j;
	int64_t id;

	if (local_parse(&j, &id, &cmd, (const char *)p, n) == 0) {
		if (id < 1 || cmd == NULL)
			abort();
		json_decref(j);
	}
	if (front_redirect_parse(
		(const char *)p, n, "st", code, sizeof(code)) == 0 &&
	    (code[0] == '\0' || memchr(code, 0, sizeof(code)) == NULL))
		abort();
	return 0;
}
