/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hostile front: any sequence of messages, and the oracle of the attack of
 * that kind (tests/agent/disorder.h) looks at what comes of it. Input is
 * frames of type (1), length (2), payload; a payload that begins with '@'
 * names a message that is made for the occasion, so that the fuzzer reaches a
 * live conference.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tests/agent/disorder.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const char *why = disorder_run(p, n);

	if (why != NULL) {
		fprintf(stderr, "must not happen: %s\n", why);
		abort();
	}
	return 0;
}
