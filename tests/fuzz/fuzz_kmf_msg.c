/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Frames between a front and the keeper. The first octet picks the message;
 * what we write of one that decoded, we read and write again alike. (It need
 * not equal the input: an absent string has two spellings.)
 */
#include <stdlib.h>
#include <string.h>

#include "kmf/msg.h"
#include "perc/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

#define ROUND(type)                                                            \
	static int round_##type(                                               \
	    const uint8_t *p, size_t n, uint8_t **out, size_t *len)            \
	{                                                                      \
		struct kmf_##type m;                                           \
                                                                               \
		if (kmf_##type##_decode(&m, p, n) != 0)                        \
			return -1;                                             \
		if (kmf_##type##_encode(out, len, &m) != 0)                    \
			abort();                                               \
		return 0;                                                      \
	}

/* clang-format off */
ROUND(call)
ROUND(reply)
ROUND(subscribe)
ROUND(event)
ROUND(stream_end)
ROUND(welcome)
ROUND(keys)
/* clang-format on */

static int (*const rounds[])(const uint8_t *, size_t, uint8_t **,
    size_t *) = { round_call, round_reply, round_subscribe, round_event,
	round_stream_end, round_welcome, round_keys };

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	uint8_t *out, *again;
	size_t len, len2;

	if (n == 0 || p[0] >= sizeof(rounds) / sizeof(rounds[0]))
		return 0;
	if (rounds[p[0]](p + 1, n - 1, &out, &len) != 0)
		return 0;
	if (rounds[p[0]](out, len, &again, &len2) != 0 || len2 != len ||
	    memcmp(out, again, len) != 0)
		abort();
	perc_secmem_free(out);
	perc_secmem_free(again);
	return 0;
}
