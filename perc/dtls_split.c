/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which RFC 5764 section 4.2 lays keys and salts out, for the
 * profiles of RFC 7714 (7, 8) and of Double (RFC 8723 section 10.1: 9, 10,
 * whose keys and salts are twice as long).
 */
#include <string.h>

#include "perc/dtls.h"

int
perc_dtls_split(struct perc_dtls_split *out, unsigned profile,
    const uint8_t *material, size_t n)
{
	static const struct {
		unsigned profile;
		size_t keylen, saltlen;
	} t[] = { { 7, 16, 12 }, { 8, 32, 12 }, { 9, 32, 24 }, { 10, 64, 24 } };
	size_t i, k, s;

	for (i = 0; i < 4 && t[i].profile != profile; i++)
		;
	if (i == 4)
		return PERC_ERR_UNSUPPORTED;
	k = t[i].keylen;
	s = t[i].saltlen;
	if (n != 2 * (k + s))
		return PERC_ERR_FORMAT;
	out->keylen = k;
	out->saltlen = s;
	memcpy(out->client_key, material, k);
	memcpy(out->server_key, material + k, k);
	memcpy(out->client_salt, material + 2 * k, s);
	memcpy(out->server_salt, material + 2 * k + s, s);
	return 0;
}
