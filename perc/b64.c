/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys travel as base64url, so no table is indexed and no branch taken by
 * their octets: each character is computed from range comparisons, done with
 * the sign bits of subtractions. Which input was refused is public, where in
 * it the fault stood is not.
 */
#include "perc/b64.h"

#include "perc/secret.h"

#include <string.h>

/* All ones when lo <= c <= hi, else zero. */
static unsigned
between(int c, int lo, int hi)
{
	return ~(unsigned)(((c - lo) | (hi - c)) >> 31);
}

static char
sextet_char(unsigned v)
{
	int c = (int)v;
	unsigned r = 0;

	r |= between(c, 0, 25) & (unsigned)(c + 'A');
	r |= between(c, 26, 51) & (unsigned)(c - 26 + 'a');
	r |= between(c, 52, 61) & (unsigned)(c - 52 + '0');
	r |= between(c, 62, 62) & '-';
	r |= between(c, 63, 63) & '_';
	return (char)r;
}

/* The value of one character, or a number with bits above the low 6. */
static unsigned
char_sextet(char ch)
{
	int c = (unsigned char)ch;
	unsigned up = between(c, 'A', 'Z'), low = between(c, 'a', 'z');
	unsigned dig = between(c, '0', '9');
	unsigned dash = between(c, '-', '-'), line = between(c, '_', '_');
	unsigned r = 0;

	r |= up & (unsigned)(c - 'A');
	r |= low & (unsigned)(c - 'a' + 26);
	r |= dig & (unsigned)(c - '0' + 52);
	r |= dash & 62;
	r |= line & 63;
	return r | (~(up | low | dig | dash | line) & 0x100);
}

void
perc_b64_put(char *out, const void *in, size_t n)
{
	const uint8_t *p = in;
	uint32_t acc = 0;
	unsigned bits = 0;

	for (size_t i = 0; i < n; i++) {
		acc = acc << 8 | p[i];
		for (bits += 8; bits >= 6; bits -= 6)
			*out++ = sextet_char(acc >> (bits - 6) & 63);
	}
	if (bits > 0)
		*out++ = sextet_char(acc << (6 - bits) & 63);
	*out = '\0';
}

int
perc_b64_get(void *out, size_t *outlen, const char *in, size_t inlen)
{
	uint8_t *p = out;
	size_t n = PERC_B64_RAW(inlen);
	uint32_t acc = 0;
	unsigned bits = 0, bad = 0;

	if (inlen % 4 == 1) /* RFC 4648 section 3.2: no such length */
		return PERC_ERR_FORMAT;
	if (*outlen < n)
		return PERC_ERR_SHORT;
	for (size_t i = 0; i < inlen; i++) {
		unsigned v = char_sextet(in[i]);

		bad |= v;
		acc = acc << 6 | (v & 63);
		if ((bits += 6) >= 8) {
			bits -= 8;
			*p++ = (uint8_t)(acc >> bits);
		}
	}
	/* RFC 4648 section 3.5: the bits left over must be zero. */
	bad |= (acc & ((1u << bits) - 1)) << 8;
	if ((bad & ~63u) != 0) {
		perc_wipe(out, n);
		return PERC_ERR_FORMAT;
	}
	*outlen = n;
	return 0;
}

int
perc_b64_get_exact(void *out, size_t n, const char *in)
{
	size_t inlen = strlen(in), len = n;

	if (inlen != PERC_B64_LEN(n))
		return PERC_ERR_FORMAT;
	return perc_b64_get(out, &len, in, inlen);
}

void
perc_hex_put(char *out, const void *in, size_t n)
{
	const uint8_t *p = in;

	for (size_t i = 0; i < 2 * n; i++) {
		int v = i % 2 == 0 ? p[i / 2] >> 4 : p[i / 2] & 15;

		out[i] = (char)(v + '0' +
		    (int)(between(v, 10, 15) & ('a' - 10 - '0')));
	}
	out[2 * n] = '\0';
}

static unsigned
char_nibble(char ch)
{
	int c = (unsigned char)ch;
	unsigned dig = between(c, '0', '9'), low = between(c, 'a', 'f');
	unsigned up = between(c, 'A', 'F');
	unsigned r = 0;

	r |= dig & (unsigned)(c - '0');
	r |= low & (unsigned)(c - 'a' + 10);
	r |= up & (unsigned)(c - 'A' + 10);
	return r | (~(dig | low | up) & 0x100);
}

int
perc_hex_get(void *out, size_t *outlen, const char *in, size_t inlen)
{
	uint8_t *p = out;
	unsigned bad = 0;

	if (inlen % 2 != 0)
		return PERC_ERR_FORMAT;
	if (*outlen < inlen / 2)
		return PERC_ERR_SHORT;
	for (size_t i = 0; i < inlen / 2; i++) {
		unsigned hi = char_nibble(in[2 * i]);
		unsigned lo = char_nibble(in[2 * i + 1]);

		bad |= hi | lo;
		p[i] = (uint8_t)(hi << 4 | (lo & 15));
	}
	if ((bad & ~15u) != 0) {
		perc_wipe(out, inlen / 2);
		return PERC_ERR_FORMAT;
	}
	*outlen = inlen / 2;
	return 0;
}
