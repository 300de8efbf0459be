/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys travel as base64url, so no table is indexed and no branch taken by
 * their octets: each character is computed from range comparisons, done with
 * the sign bits of subtractions or on many at a time. Which input was refused
 * is public, where in it the fault stood is not.
 */
#include "perc/b64.h"

#include "perc/secret.h"

#include <string.h>

#define BLOCK 16 /* characters */

typedef int8_t lanes __attribute__((vector_size(BLOCK)));

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

/*
 * The values of a block of characters; all ones in bad where one is none.
 * Sixteen at a time, by GNU C's vectors, for of what a proof costs beside its
 * signature this was the most.
 */
static void
block_sextets(uint8_t out[static BLOCK], lanes *bad, const char *in)
{
	lanes c, up, low, dig, dash, line;

	memcpy(&c, in, BLOCK);
	up = (c >= 'A') & (c <= 'Z');
	low = (c >= 'a') & (c <= 'z');
	dig = (c >= '0') & (c <= '9');
	dash = c == '-';
	line = c == '_';
	*bad |= ~(up | low | dig | dash | line);
	c = (up & (c - 'A')) | (low & (c - 'a' + 26)) | (dig & (c - '0' + 52)) |
	    (dash & 62) | (line & 63);
	memcpy(out, &c, BLOCK);
}

static bool
any(lanes bad)
{
	uint64_t w[2];

	memcpy(w, &bad, sizeof(w));
	return (w[0] | w[1]) != 0;
}

/* n octets, 3 of each 4 values. */
static void
block_pack(uint8_t *out, const uint8_t *v, size_t n)
{
	for (; n >= 3; n -= 3, v += 4) {
		*out++ = (uint8_t)(v[0] << 2 | v[1] >> 4);
		*out++ = (uint8_t)(v[1] << 4 | v[2] >> 2);
		*out++ = (uint8_t)(v[2] << 6 | v[3]);
	}
	if (n > 0)
		*out++ = (uint8_t)(v[0] << 2 | v[1] >> 4);
	if (n > 1)
		*out++ = (uint8_t)(v[1] << 4 | v[2] >> 2);
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
	uint8_t *p = out, v[BLOCK];
	size_t n = PERC_B64_RAW(inlen), i = 0;
	char rest[BLOCK];
	unsigned over = 0;
	lanes bad = { 0 };

	if (inlen % 4 == 1) /* RFC 4648 section 3.2: no such length */
		return PERC_ERR_FORMAT;
	if (*outlen < n)
		return PERC_ERR_SHORT;
	for (; inlen - i >= BLOCK; i += BLOCK, p += BLOCK / 4 * 3) {
		block_sextets(v, &bad, in + i);
		block_pack(p, v, BLOCK / 4 * 3);
	}
	memset(rest, 'A', sizeof(rest)); /* the value 0 */
	if (inlen > i)
		memcpy(rest, in + i, inlen - i);
	block_sextets(v, &bad, rest);
	block_pack(p, v, PERC_B64_RAW(inlen - i));
	/* RFC 4648 section 3.5: the bits left over must be zero. */
	if (inlen % 4 != 0)
		over = v[inlen - i - 1] & (inlen % 4 == 2 ? 15 : 3);
	perc_wipe(v, sizeof(v));
	perc_wipe(rest, sizeof(rest));
	if (any(bad) || over != 0) {
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
