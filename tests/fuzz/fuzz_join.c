/* SPDX-License-Identifier: Apache-2.0 */
/* The distributor's answer to a join; what passes must be usable as it is. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/front.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct in6_addr a;
	struct front_join j;

	if (front_join_parse(&j, (const char *)p, n) != 0)
		return 0;
	if ((inet_pton(AF_INET, j.host, &a) != 1 &&
		inet_pton(AF_INET6, j.host, &a) != 1) ||
	    j.port == 0 || strpbrk(j.leg, "/?#.%") != NULL ||
	    strlen(j.ufrag) < 4 || strlen(j.pwd) < 22 || j.expires_in < 1)
		abort();
	return 0;
}
