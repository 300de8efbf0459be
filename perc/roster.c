/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A roster's hash. Members are hashed one by one, so that a change of one
 * among a thousand costs one entry and 32 octets for each other. RFC 8785 is
 * what jansson writes compactly with sorted names, but for \u001F in capital
 * letters; texts with control characters come into no roster (the KMF
 * refuses them), so the two agree on all that is signed.
 */
#include "perc/roster.h"

#include <stdlib.h>
#include <string.h>

#include "perc/json.h"
#include "perc/wire.h"

#define LABEL "perch-roster"

int
perc_roster_leaf(uint8_t leaf[static PERC_ROSTER_HASH], const json_t *entry)
{
	const size_t flags = JSON_COMPACT | JSON_SORT_KEYS;
	size_t n = json_dumpb(entry, NULL, 0, flags);
	char *text;
	int r;

	if (n == 0)
		return PERC_ERR_FORMAT;
	if ((text = malloc(n)) == NULL)
		return PERC_ERR_NOMEM;
	r = json_dumpb(entry, text, n, flags) == n ? perc_sha256(leaf, text, n)
						   : PERC_ERR_FORMAT;
	free(text);
	return r;
}

int
perc_roster_head(uint8_t head[static PERC_ROSTER_HASH],
    const struct perc_roster_step *step, const uint8_t *leaves, size_t n)
{
	uint8_t in[sizeof(LABEL) - 1 + 2 * PERC_ROSTER_HASH + 24];
	uint8_t list[PERC_ROSTER_HASH];
	struct perc_wire w;
	int r;

	if ((r = perc_sha256(list, leaves, n * PERC_ROSTER_HASH)) != 0)
		return r;
	perc_wire_writer(&w, in, sizeof(in));
	perc_wire_put_bytes(&w, LABEL, sizeof(LABEL) - 1);
	perc_wire_put_bytes(&w, step->before, sizeof(step->before));
	perc_wire_put_u64(&w, step->seq);
	perc_wire_put_u64(&w, step->epoch);
	perc_wire_put_u64(&w, n);
	perc_wire_put_bytes(&w, list, sizeof(list));
	if ((r = perc_wire_end(&w)) != 0)
		return r;
	return perc_sha256(head, in, sizeof(in));
}
