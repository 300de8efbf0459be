/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The EKTField is found from the end: the last octet says its form, the two
 * before it its length (RFC 8870 section 4.1). Nothing of it is protected by
 * the SRTP tag, so a wrong guess here only ever costs the packet. The RFC
 * prints its ciphertext length with a slip (M mod 8); AES key wrap gives
 * whole blocks of 8 octets, at least two of them.
 */
#include "perc/tail.h"

#define TAIL_LEGACY	    0x01 /* never assigned; old drafts used it */
#define TAIL_TRAILER	    3	 /* Length and type */
#define TAIL_EXT_DATA_MAX   1024
#define TAIL_FULL_FIXED	    7 /* SPI, Epoch, Length, type */
#define TAIL_CIPHERTEXT_MIN 16

static uint16_t
be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static int
full_get(struct perc_tail *t, const uint8_t *p)
{
	size_t n;

	if (t->len < TAIL_FULL_FIXED + TAIL_CIPHERTEXT_MIN ||
	    t->len > PERC_TAIL_MAX)
		return PERC_ERR_FORMAT;
	n = t->len - TAIL_FULL_FIXED;
	if (n % 8 != 0)
		return PERC_ERR_FORMAT;
	t->ciphertext = p;
	t->ciphertext_len = n;
	t->spi = be16(p + n);
	t->epoch = be16(p + n + 2);
	return 0;
}

int
perc_tail_find(struct perc_tail *t, const uint8_t *p, size_t n)
{
	*t = (struct perc_tail){ .len = 1 };
	if (n < 1)
		return PERC_ERR_FORMAT;
	t->type = p[n - 1];
	if (t->type == PERC_TAIL_SHORT)
		return 0;
	if (t->type == TAIL_LEGACY || n < TAIL_TRAILER + 1)
		return PERC_ERR_FORMAT;
	t->len = be16(p + n - TAIL_TRAILER);
	if (t->len < TAIL_TRAILER + 1 || t->len > n)
		return PERC_ERR_FORMAT;
	if (t->type == PERC_TAIL_FULL)
		return full_get(t, p + n - t->len);
	return t->len > TAIL_TRAILER + TAIL_EXT_DATA_MAX ? PERC_ERR_FORMAT : 0;
}
