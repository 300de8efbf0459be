/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is in the conference, in the KMF's words alone. Names, SSRCs and what
 * medium an SSRC carries come from here; the front and the distributor can
 * withhold a roster, and then it shows as stale, but they cannot change one.
 *
 * Each roster names the hash of the one before. Two rosters of one sequence
 * number, or a successor that does not follow from the one held, mean that
 * the KMF told different stories to different people: the first one heard is
 * kept and the conference marked forked for as long as it lasts. A gap (the
 * stream was down) is no fork.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/vault.h"
#include "perc/b64.h"
#include "perc/json.h"

#define SEQ_MAX (INT64_C(1) << 53)

struct fresh { /* a roster being looked at */
	uint64_t seq, epoch;
	int64_t exp_s;
	uint8_t hash[PERC_SHA256_LEN];
	const char *prev;
	json_t *list; /* borrowed */
	struct vault_member *members;
	struct vault_stream *streams;
	size_t nmembers, nstreams;
	bool listed;
};

static int
stream_cmp(const void *a, const void *b)
{
	const struct vault_stream *x = a, *y = b;

	return x->ssrc < y->ssrc ? -1 : x->ssrc > y->ssrc;
}

struct vault_stream *
vault_stream_find(const struct vault_slot *s, uint32_t ssrc)
{
	struct vault_stream key = { .ssrc = ssrc };

	if (s->roster.nstreams == 0)
		return NULL;
	return bsearch(&key, s->roster.streams, s->roster.nstreams, sizeof(key),
	    stream_cmp);
}

bool
vault_roster_stale(const struct vault_slot *s)
{
	return s->roster.have && s->roster.exp_s <= perc_wall_ms() / 1000;
}

static void
members_free(struct vault_member *m, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		free(m[i].id);
		free(m[i].name);
	}
	free(m);
}

void
vault_roster_clear(struct vault_slot *s)
{
	members_free(s->roster.members, s->roster.nmembers);
	free(s->roster.streams);
	memset(&s->roster, 0, sizeof(s->roster));
	memset(s->port_used, 0, sizeof(s->port_used));
}

/* ---- taking it apart ----------------------------------------------------- */

static bool
ssrc_is_ours(const struct vault_slot *s, uint32_t ssrc)
{
	unsigned i;

	for (i = 0; i < VAULT_LOCAL_STREAMS; i++)
		if (s->local[i].ssrc == ssrc)
			return true;
	return false;
}

static int
ssrcs_read(struct vault_slot *s, struct fresh *f, const json_t *list)
{
	struct vault_ssrc v;
	size_t i;
	int r;

	for (i = 0; i < json_array_size(list); i++) {
		r = vault_ssrc_get(&v, json_array_get(list, i));
		if (r == PERC_ERR_UNSUPPORTED)
			continue; /* a medium of later days */
		if (r != 0 || ssrc_is_ours(s, v.ssrc))
			return PERC_ERR_FORMAT;
		if (f->nstreams == VAULT_SSRCS_MAX)
			return PERC_ERR_LIMIT;
		f->streams[f->nstreams++] = (struct vault_stream){
			.ssrc = v.ssrc, .media = v.media, .member = f->nmembers
		};
	}
	return 0;
}

static int
member_read(struct vault_slot *s, struct fresh *f, const json_t *o)
{
	const char *id = perc_json_str(o, "member");
	const char *name = perc_json_str(o, "name");
	const json_t *list = json_object_get(o, "ssrcs");
	struct vault_member *m = &f->members[f->nmembers];
	int r = 0;

	if (!vault_id_ok(id) || name == NULL || !json_is_array(list))
		return PERC_ERR_FORMAT;
	if (strcmp(id, s->member) == 0)
		f->listed = true;
	else
		r = ssrcs_read(s, f, list);
	if (r != 0)
		return r;
	/* Copied, because a JSON tree of a thousand fills the arena. */
	f->nmembers++;
	m->id = strdup(id);
	m->name = strdup(name);
	if (m->id == NULL || m->name == NULL)
		return PERC_ERR_NOMEM;
	return vault_member_digest(m->digest, o);
}

static int
members_read(struct vault_slot *s, struct fresh *f)
{
	size_t i, n = json_array_size(f->list);
	int r;

	f->streams = calloc(VAULT_SSRCS_MAX, sizeof(*f->streams));
	f->members = calloc(n + 1, sizeof(*f->members));
	if (f->streams == NULL || f->members == NULL)
		return PERC_ERR_NOMEM;
	for (i = 0; i < n; i++)
		if ((r = member_read(s, f, json_array_get(f->list, i))) != 0)
			return r;
	qsort(f->streams, f->nstreams, sizeof(*f->streams), stream_cmp);
	for (i = 1; i < f->nstreams; i++)
		if (f->streams[i - 1].ssrc == f->streams[i].ssrc)
			return PERC_ERR_FORMAT; /* one voice, two names */
	return 0;
}

static int
claims_read(
    struct vault_slot *s, struct fresh *f, const json_t *c, int64_t now_s)
{
	struct vault *v = s->v;
	int64_t seq, epoch;
	int r;

	if ((r = vault_claims_common(
		 c, s->kmf->url, s->conf, now_s, &v->why)) != 0)
		return r;
	f->list = json_object_get(c, "members");
	f->prev = perc_json_str(c, "prev");
	if (perc_json_int(&seq, c, "seq", 0, SEQ_MAX) != 0 ||
	    perc_json_int(&epoch, c, "epoch", 0, SEQ_MAX) != 0 ||
	    perc_json_int(&f->exp_s, c, "exp", 0, SEQ_MAX) != 0 ||
	    f->prev == NULL || !json_is_array(f->list))
		return vault_refuse(v, PERC_ERR_FORMAT, "roster malformed");
	if (f->exp_s <= now_s)
		return vault_refuse(v, PERC_ERR_EXPIRED, "roster expired");
	f->seq = (uint64_t)seq;
	f->epoch = (uint64_t)epoch;
	if ((r = members_read(s, f)) != 0)
		return vault_refuse(v, r, "roster members malformed");
	return 0;
}

/* ---- does it follow? ----------------------------------------------------- */

static int
forked(struct vault_slot *s, const char *why)
{
	s->roster.forked = true;
	return vault_refuse(s->v, PERC_ERR_CONFLICT, why);
}

/* 0: take it. PERC_ERR_EXISTS: the very roster we hold. */
static int
order_check(struct vault_slot *s, const struct fresh *f, bool *gap)
{
	const struct vault_roster *h = &s->roster;
	uint8_t prev[PERC_SHA256_LEN];
	bool prev_ok;

	*gap = false;
	if (f->epoch > s->epoch)
		return vault_refuse(s->v, PERC_ERR_UNKNOWN_KEY,
		    "roster of an epoch that is not held: fetch the key");
	if (f->seq < s->roster_min)
		return vault_refuse(
		    s->v, PERC_ERR_REPLAY, "roster older than the key's");
	if (!h->have)
		return 0;
	if (f->seq == h->seq && perc_equal(f->hash, h->hash, sizeof(h->hash)))
		return PERC_ERR_EXISTS;
	if (f->seq == h->seq)
		return forked(s, "two rosters of one number");
	if (f->seq < h->seq || f->epoch < h->epoch)
		return vault_refuse(
		    s->v, PERC_ERR_REPLAY, "roster older than the one held");
	prev_ok = perc_b64_get_exact(prev, sizeof(prev), f->prev) == 0 &&
	    perc_equal(prev, h->hash, sizeof(prev));
	if (f->seq == h->seq + 1 && !prev_ok)
		return forked(s, "roster does not follow the one held");
	*gap = f->seq != h->seq + 1;
	return 0;
}

/* ---- ports ----------------------------------------------------------------
 */

static uint16_t
port_base(const struct vault_slot *s)
{
	return (uint16_t)(s->v->out_base + s->index * VAULT_OUT_STREAMS * 2);
}

/* The next in turn, so that a port just left is the last to be used again. */
static uint16_t
port_take(struct vault_slot *s)
{
	unsigned i, at;

	for (i = 0; i < VAULT_OUT_STREAMS; i++) {
		at = (s->port_next + i) % VAULT_OUT_STREAMS;
		if (s->port_used[at])
			continue;
		s->port_used[at] = 1;
		s->port_next = at + 1;
		return (uint16_t)(port_base(s) + at * 2);
	}
	return 0;
}

/* Streams that stay keep their port; returns true when anything is new. */
static bool
ports_assign(struct vault_slot *s, struct fresh *f)
{
	const struct vault_stream *old;
	bool fresh = false;
	size_t i;

	memset(s->port_used, 0, sizeof(s->port_used));
	for (i = 0; i < f->nstreams; i++) {
		old = vault_stream_find(s, f->streams[i].ssrc);
		if (old == NULL || old->port == 0)
			continue;
		f->streams[i].port = old->port;
		f->streams[i].heard_ms = old->heard_ms;
		f->streams[i].speaking = old->speaking;
		s->port_used[(old->port - port_base(s)) / 2] = 1;
	}
	for (i = 0; i < f->nstreams; i++)
		if (f->streams[i].port == 0) {
			f->streams[i].port = port_take(s);
			fresh = true;
		}
	return fresh;
}

/* ---- taking it over -------------------------------------------------------
 */

static int
ssrcs_list(struct vault_slot *s, const struct fresh *f)
{
	uint32_t *ssrcs;
	size_t i;
	int r;

	if ((ssrcs = calloc(f->nstreams + 1, sizeof(*ssrcs))) == NULL)
		return PERC_ERR_NOMEM;
	for (i = 0; i < f->nstreams; i++)
		ssrcs[i] = f->streams[i].ssrc;
	r = perc_double_rx_list(s->rx, ssrcs, f->nstreams);
	free(ssrcs);
	return r;
}

static void
roster_adopt(struct vault_slot *s, struct fresh *f, bool gap)
{
	struct vault_roster *h = &s->roster;
	bool first = !h->have, joined = ports_assign(s, f);
	size_t was = h->nstreams;
	unsigned i;

	members_free(h->members, h->nmembers);
	free(h->streams);
	h->members = f->members;
	h->nmembers = f->nmembers;
	f->members = NULL;
	f->nmembers = 0;
	h->streams = f->streams;
	h->nstreams = f->nstreams;
	f->streams = NULL;
	h->have = true;
	h->unsigned_seen = false;
	h->gap = gap;
	h->listed = f->listed;
	h->seq = f->seq;
	h->epoch = f->epoch;
	h->exp_s = f->exp_s;
	memcpy(h->hash, f->hash, sizeof(h->hash));
	if (joined) /* newcomers wait for a Full field: RFC 8870 section 4.6 */
		for (i = 0; i < VAULT_LOCAL_STREAMS; i++)
			if (s->local[i].tx != NULL)
				perc_double_tx_key_frame(s->local[i].tx);
	if (first || joined || was != h->nstreams)
		vault_send_streams(s);
}

int
vault_roster_take(struct vault_slot *s, const char *jws)
{
	struct fresh f = { 0 };
	struct perc_jws j = { 0 };
	bool gap;
	int r;

	if ((r = perc_jws_verify_set(&j, jws, strlen(jws), PERC_JOSE_BIG_MAX,
		 s->kmf->set, "perch-roster+jwt")) != 0) {
		s->roster.unsigned_seen = true;
		vault_refuse(s->v, r, "roster not signed by the pinned KMF");
		goto out;
	}
	if ((r = claims_read(s, &f, j.payload, perc_wall_ms() / 1000)) != 0 ||
	    (r = perc_sha256(f.hash, jws, strlen(jws))) != 0)
		goto out;
	if ((r = order_check(s, &f, &gap)) == PERC_ERR_EXISTS) {
		r = 0;
		goto out;
	}
	if (r != 0 || (r = ssrcs_list(s, &f)) != 0)
		goto out;
	roster_adopt(s, &f, gap);
out:
	free(f.streams);
	members_free(f.members, f.nmembers);
	perc_jws_clear(&j);
	return r;
}

int
vault_notice_take(struct vault_slot *s, const char *jws, const char **reason)
{
	struct perc_jws j = { 0 };
	const char *event, *member;
	int r;

	if ((r = perc_jws_verify_set(&j, jws, strlen(jws), PERC_JOSE_TOKEN_MAX,
		 s->kmf->set, "perch-notice+jwt")) != 0) {
		vault_refuse(s->v, r, "notice not signed by the pinned KMF");
		goto out;
	}
	if ((r = vault_claims_common(j.payload, s->kmf->url, s->conf,
		 perc_wall_ms() / 1000, &s->v->why)) != 0)
		goto out;
	event = perc_json_str(j.payload, "event");
	member = perc_json_str(j.payload, "member");
	if (event != NULL && strcmp(event, "ended") == 0)
		*reason = "ended";
	else if (event != NULL && strcmp(event, "evicted") == 0 &&
	    member != NULL && strcmp(member, s->member) == 0)
		*reason = "evicted";
	else
		r = vault_refuse(s->v, PERC_ERR_DENIED, "not for this member");
out:
	perc_jws_clear(&j);
	return r;
}
