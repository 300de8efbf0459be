/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compact form (RFC 7515 section 3.1, RFC 7516 section 3.1) is taken apart
 * here and not by cjose, whose decoder accepts several spellings of one value
 * and ends in an assertion on some others.
 */
#include "perc/jose_part.h"

#include "perc/b64.h"
#include "perc/json.h"
#include "perc/secret.h"

#include <string.h>
#include <strings.h>

#define HEADER_MAX 4096 /* octets of a decoded header */

int
perc_part_split(
    struct perc_part *part, size_t want, const char *text, size_t len)
{
	const char *end = text + len;
	size_t n = 0;

	for (;;) {
		const char *dot = memchr(text, '.', (size_t)(end - text));

		if (n == want || (dot == NULL && n != want - 1))
			return PERC_ERR_FORMAT;
		part[n].p = text;
		part[n++].n = (size_t)((dot != NULL ? dot : end) - text);
		if (dot == NULL)
			return 0;
		text = dot + 1;
	}
}

int
perc_part_decode(uint8_t **outp, size_t *np, const struct perc_part *part)
{
	size_t n = PERC_B64_RAW(part->n);
	uint8_t *out = perc_secmem_alloc(n + 1);
	int r;

	if (out == NULL)
		return PERC_ERR_NOMEM;
	if ((r = perc_b64_get(out, &n, part->p, part->n)) != 0) {
		perc_secmem_free(out);
		return r;
	}
	out[n] = '\0';
	*outp = out;
	*np = n;
	return 0;
}

int
perc_part_header(json_t **hp, const struct perc_part *part)
{
	uint8_t *raw = NULL;
	size_t n;
	int r;

	if (part->n > PERC_B64_LEN(HEADER_MAX))
		return PERC_ERR_LIMIT;
	if ((r = perc_part_decode(&raw, &n, part)) != 0)
		return r;
	r = perc_json_parse(hp, raw, n, HEADER_MAX, NULL, 0);
	perc_secmem_free(raw);
	return r;
}

bool
perc_typ_is(const char *have, const char *want)
{
	static const char prefix[] = "application/";

	if (have == NULL)
		return false;
	if (strncasecmp(have, prefix, sizeof(prefix) - 1) == 0)
		have += sizeof(prefix) - 1;
	return strcasecmp(have, want) == 0;
}
