/* SPDX-License-Identifier: Apache-2.0 */
/* A STUN datagram from anybody; whatever parses must also be answerable. */
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>

#include "perc/stun.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char pwd[] = "VOkJxbRl1RmTxUk/WvJxBt";
	struct sockaddr_in from = { .sin_family = AF_INET };
	uint8_t out[PERC_STUN_MAX];
	struct perc_stun m;
	size_t len;

	if (perc_stun_parse(&m, p, n) != 0)
		return 0;
	(void)!perc_stun_verify(&m, pwd);
	if (perc_stun_success(out, &len, &m, pwd, (struct sockaddr *)&from) !=
		0 ||
	    perc_stun_error(out, &len, &m, pwd, 420) != 0)
		abort();
	return 0;
}
