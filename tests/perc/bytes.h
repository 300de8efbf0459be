/* SPDX-License-Identifier: Apache-2.0 */
/* Test vectors as text, and packets made up for tests. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#define CALL(x) assert_int_equal(x, 0)

/* Hex with any blanks into out; the number of octets. */
static inline size_t
hex(uint8_t *out, const char *s)
{
	static const char digits[] = "0123456789abcdef";
	size_t n = 0;
	const char *d;

	for (; *s != '\0'; s++) {
		if (*s == ' ')
			continue;
		d = strchr(digits, *s);
		assert_non_null(d);
		if (n % 2 == 0)
			out[n / 2] = 0;
		out[n / 2] = (uint8_t)(out[n / 2] << 4 | (d - digits));
		n++;
	}
	assert_int_equal(n % 2, 0);
	return n / 2;
}

static inline void
assert_hex(const uint8_t *p, size_t n, const char *want)
{
	uint8_t buf[2048];

	assert_int_equal(n, hex(buf, want));
	assert_memory_equal(p, buf, n);
}

static inline void
put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

/* A plain RTP packet: 12 octets of header and n of payload. */
static inline size_t
rtp_make(uint8_t *p, uint32_t ssrc, uint16_t seq, size_t n)
{
	put32(p, 0x80600000u | seq);
	put32(p + 4, 0x1000u + seq);
	put32(p + 8, ssrc);
	memset(p + 12, 0xab, n);
	return 12 + n;
}

/* Octets counting upwards from `first`. */
static inline void
count_up(uint8_t *p, uint8_t first, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = (uint8_t)(first + i);
}
