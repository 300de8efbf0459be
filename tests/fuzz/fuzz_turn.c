/* SPDX-License-Identifier: Apache-2.0 */
/* What a TURN server writes on a stream, cut into messages: each is as long
 * as it says, and the cutting ends. The same octets are a URI. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "agent/turnframe.h"
#include "agent/turnurl.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t len, all, left = n;
	struct turn_url u;
	char text[512];

	while (left >= TURN_FRAME_HEAD &&
	    turn_frame_len(&len, &all, p + n - left) == 0) {
		if (len < TURN_FRAME_HEAD || all < len || all > len + 3 ||
		    all % 4 != 0)
			abort();
		if (left < all)
			break;
		left -= all;
	}
	n = n < sizeof(text) ? n : sizeof(text) - 1;
	memcpy(text, p, n);
	text[n] = '\0';
	if (turn_url_parse(&u, text) == 0 &&
	    (u.port == 0 || u.host[0] == '\0' ||
		strlen(u.host) >= TURN_HOST_MAX))
		abort();
	return 0;
}
