/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A roster told as the difference to the one held: who came or changed, who
 * went. The vault does to its list what the difference says and looks whether
 * that hashes to the head that was signed; a KMF that told somebody another
 * story cannot lead both to one head. Who lacks the roster before fetches the
 * whole.
 */
#include "agent/vaultfresh.h"

#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"
#include "perc/json.h"

static bool
names(const json_t *list, bool entries, const char *id)
{
	const json_t *o;
	const char *s;
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		o = json_array_get(list, i);
		s = entries ? perc_json_str(o, "member") : json_string_value(o);
		if (s != NULL && strcmp(s, id) == 0)
			return true;
	}
	return false;
}

static int
member_copy(struct vault_fresh *f, const struct vault_member *old)
{
	struct vault_member *m = &f->members[f->nmembers++];

	memcpy(m->leaf, old->leaf, sizeof(m->leaf));
	memcpy(m->digest, old->digest, sizeof(m->digest));
	m->id = strdup(old->id);
	m->name = strdup(old->name);
	return m->id == NULL || m->name == NULL ? PERC_ERR_NOMEM : 0;
}

/* Who stays keeps name and streams. */
static int
stayers_copy(struct vault_slot *s, struct vault_fresh *f, const json_t *added,
    const json_t *removed)
{
	const struct vault_roster *h = &s->roster;
	size_t i, *now = calloc(h->nmembers + 1, sizeof(*now));
	int r = now == NULL ? PERC_ERR_NOMEM : 0;

	for (i = 0; r == 0 && i < h->nmembers; i++) {
		now[i] = SIZE_MAX;
		if (names(removed, false, h->members[i].id) ||
		    names(added, true, h->members[i].id))
			continue;
		now[i] = f->nmembers;
		if (strcmp(h->members[i].id, s->member) == 0)
			f->listed = true;
		r = member_copy(f, &h->members[i]);
	}
	for (i = 0; r == 0 && i < h->nstreams; i++) {
		if (now[h->streams[i].member] == SIZE_MAX)
			continue;
		f->streams[f->nstreams++] =
		    (struct vault_stream){ .ssrc = h->streams[i].ssrc,
			    .media = h->streams[i].media,
			    .layer = h->streams[i].layer,
			    .member = now[h->streams[i].member] };
	}
	free(now);
	return r;
}

static int
difference_apply(struct vault_slot *s, struct vault_fresh *f, const json_t *c)
{
	const json_t *added = json_object_get(c, "added");
	const json_t *removed = json_object_get(c, "removed");
	int64_t count;
	size_t i;
	int r;

	if (!json_is_array(added) || !json_is_array(removed) ||
	    perc_json_int(&count, c, "count", 0, VAULT_SEQ_MAX) != 0)
		return PERC_ERR_FORMAT;
	if ((r = vault_fresh_room(
		 f, s->roster.nmembers + json_array_size(added))) != 0 ||
	    (r = stayers_copy(s, f, added, removed)) != 0)
		return r;
	for (i = 0; r == 0 && i < json_array_size(added); i++)
		r = vault_fresh_member(s, f, json_array_get(added, i));
	if (r != 0 || (r = vault_fresh_end(f)) != 0)
		return r;
	return f->nmembers == (size_t)count ? 0 : PERC_ERR_FORMAT;
}

/* 0: it follows the one held. PERC_ERR_EXISTS: it led to the one held. */
static int
follows(struct vault_slot *s, const struct vault_fresh *f,
    const uint8_t claimed[static PERC_ROSTER_HASH])
{
	const struct vault_roster *h = &s->roster;

	if (f->epoch > s->epoch)
		return vault_refuse(s->v, PERC_ERR_UNKNOWN_KEY,
		    "roster of an epoch that is not held: fetch the key");
	if (h->have && f->seq == h->seq)
		return perc_equal(claimed, h->hash, sizeof(h->hash))
		    ? PERC_ERR_EXISTS
		    : vault_forked(s, "two rosters of one number");
	if (f->seq < s->roster_min || (h->have && f->seq < h->seq))
		return vault_refuse(s->v, PERC_ERR_REPLAY,
		    "roster older than the one held, or the key's");
	if (!h->have || f->seq != h->seq + 1)
		return vault_refuse(s->v, PERC_ERR_NOTFOUND,
		    "difference to a roster that is not held: fetch it whole");
	if (f->epoch < h->epoch ||
	    !perc_equal(f->before, h->hash, sizeof(h->hash)))
		return vault_forked(s, "roster does not follow the one held");
	return 0;
}

int
vault_delta_take(
    struct vault_slot *s, struct vault_fresh *f, const json_t *claims)
{
	uint8_t claimed[PERC_ROSTER_HASH];
	const char *head = perc_json_str(claims, "head");
	int r;

	if ((r = vault_fresh_claims(s, f, claims)) != 0)
		return r;
	if (!f->chained || head == NULL ||
	    perc_b64_get_exact(claimed, sizeof(claimed), head) != 0)
		return vault_refuse(
		    s->v, PERC_ERR_FORMAT, "roster difference malformed");
	if ((r = follows(s, f, claimed)) != 0)
		return r;
	if ((r = difference_apply(s, f, claims)) != 0)
		return vault_refuse(s->v, r, "roster difference malformed");
	if (!perc_equal(claimed, f->head, sizeof(claimed)))
		return vault_refuse(s->v, PERC_ERR_CONFLICT,
		    "the difference does not lead to the roster signed");
	return vault_fresh_adopt(s, f, false);
}
