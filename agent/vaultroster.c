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

#include "agent/vaultfresh.h"
#include "perc/b64.h"
#include "perc/json.h"

#define DELTA "perch-roster-delta+jwt"

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

void
vault_roster_clear(struct vault_slot *s)
{
	vault_members_free(s->roster.members, s->roster.nmembers);
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
ssrcs_read(struct vault_slot *s, struct vault_fresh *f, const json_t *list)
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
		f->streams[f->nstreams++] =
		    (struct vault_stream){ .ssrc = v.ssrc,
			    .media = v.media,
			    .layer = v.layer,
			    .member = f->nmembers };
	}
	return 0;
}

int
vault_fresh_member(struct vault_slot *s, struct vault_fresh *f, const json_t *o)
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
	if (r != 0 || (r = perc_roster_leaf(m->leaf, o)) != 0)
		return r;
	/* Copied, because a JSON tree of a thousand fills the arena. */
	f->nmembers++;
	m->id = strdup(id);
	m->name = strdup(name);
	if (m->id == NULL || m->name == NULL)
		return PERC_ERR_NOMEM;
	return vault_member_digest(m->digest, o);
}

int
vault_fresh_room(struct vault_fresh *f, size_t n)
{
	f->streams = calloc(VAULT_SSRCS_MAX, sizeof(*f->streams));
	f->members = calloc(n + 1, sizeof(*f->members));
	return f->streams == NULL || f->members == NULL ? PERC_ERR_NOMEM : 0;
}

void
vault_fresh_clear(struct vault_fresh *f)
{
	free(f->streams);
	vault_members_free(f->members, f->nmembers);
}

static int
member_cmp(const void *a, const void *b)
{
	const struct vault_member *const *x = a, *const *y = b;

	return strcmp((*x)->id, (*y)->id);
}

static int
head_put(struct vault_fresh *f)
{
	struct perc_roster_step step = { .seq = f->seq, .epoch = f->epoch };
	const struct vault_member **order;
	uint8_t *leaves;
	size_t i;
	int r = PERC_ERR_NOMEM;

	memcpy(step.before, f->before, sizeof(step.before));
	order = calloc(f->nmembers + 1, sizeof(*order));
	leaves = malloc((f->nmembers + 1) * PERC_ROSTER_HASH);
	if (order == NULL || leaves == NULL)
		goto out;
	for (i = 0; i < f->nmembers; i++)
		order[i] = &f->members[i];
	qsort(order, f->nmembers, sizeof(*order), member_cmp);
	for (i = 0; i < f->nmembers; i++)
		memcpy(leaves + i * PERC_ROSTER_HASH, order[i]->leaf,
		    PERC_ROSTER_HASH);
	r = perc_roster_head(f->head, &step, leaves, f->nmembers);
out:
	free(order);
	free(leaves);
	return r;
}

/* Better layers of a picture go out with the worst one of their member. */
static int
pictures_join(struct vault_fresh *f)
{
	struct vault_stream *t;
	size_t i, *worst; /* of a member: index + 1 */

	if ((worst = calloc(f->nmembers + 1, sizeof(*worst))) == NULL)
		return PERC_ERR_NOMEM;
	for (i = 0; i < f->nstreams; i++)
		if (f->streams[i].media == VAULT_VIDEO &&
		    f->streams[i].layer == 0)
			worst[f->streams[i].member] = i + 1;
	for (i = 0; i < f->nstreams; i++) {
		t = &f->streams[i];
		t->head = i;
		if (t->layer == 0 || worst[t->member] == 0)
			continue;
		t->head = worst[t->member] - 1;
		t->layered = f->streams[t->head].layered = true;
	}
	free(worst);
	return 0;
}

int
vault_fresh_end(struct vault_fresh *f)
{
	size_t i;
	int r;

	qsort(f->streams, f->nstreams, sizeof(*f->streams), stream_cmp);
	for (i = 1; i < f->nstreams; i++)
		if (f->streams[i - 1].ssrc == f->streams[i].ssrc)
			return PERC_ERR_FORMAT; /* one voice, two names */
	if ((r = pictures_join(f)) != 0)
		return r;
	return head_put(f);
}

int
vault_fresh_claims(struct vault_slot *s, struct vault_fresh *f, const json_t *c)
{
	const char *before = perc_json_str(c, "head_before");
	int64_t seq, epoch, now_s = perc_wall_ms() / 1000;
	struct vault *v = s->v;
	int r;

	if ((r = vault_claims_common(
		 c, s->kmf->url, s->conf, now_s, &v->why)) != 0)
		return r;
	if (perc_json_int(&seq, c, "seq", 0, VAULT_SEQ_MAX) != 0 ||
	    perc_json_int(&epoch, c, "epoch", 0, VAULT_SEQ_MAX) != 0 ||
	    perc_json_int(&f->exp_s, c, "exp", 0, VAULT_SEQ_MAX) != 0)
		return vault_refuse(v, PERC_ERR_FORMAT, "roster malformed");
	f->chained = before != NULL;
	if (before != NULL && before[0] != '\0' &&
	    perc_b64_get_exact(f->before, sizeof(f->before), before) != 0)
		return vault_refuse(v, PERC_ERR_FORMAT, "roster malformed");
	if (f->exp_s <= now_s)
		return vault_refuse(v, PERC_ERR_EXPIRED, "roster expired");
	f->seq = (uint64_t)seq;
	f->epoch = (uint64_t)epoch;
	return 0;
}

static int
claims_read(struct vault_slot *s, struct vault_fresh *f, const json_t *c)
{
	size_t i, n;
	int r;

	if ((r = vault_fresh_claims(s, f, c)) != 0)
		return r;
	f->list = json_object_get(c, "members");
	f->prev = perc_json_str(c, "prev");
	if (f->prev == NULL || !json_is_array(f->list))
		return vault_refuse(s->v, PERC_ERR_FORMAT, "roster malformed");
	n = json_array_size(f->list);
	r = vault_fresh_room(f, n);
	for (i = 0; r == 0 && i < n; i++)
		r = vault_fresh_member(s, f, json_array_get(f->list, i));
	if (r == 0)
		r = vault_fresh_end(f);
	return r == 0 ? 0 : vault_refuse(s->v, r, "roster members malformed");
}

/* ---- does it follow? ----------------------------------------------------- */

int
vault_forked(struct vault_slot *s, const char *why)
{
	s->roster.forked = true;
	return vault_refuse(s->v, PERC_ERR_CONFLICT, why);
}

/* Of the number held: the same text, or where a difference had led. */
static int
again(struct vault_slot *s, const struct vault_fresh *f)
{
	struct vault_roster *h = &s->roster;

	if (h->whole ? !perc_equal(f->text, h->text, sizeof(h->text))
		     : !perc_equal(f->head, h->hash, sizeof(h->hash)))
		return vault_forked(s, "two rosters of one number");
	h->exp_s = f->exp_s; /* made whole, it was signed anew */
	return PERC_ERR_EXISTS;
}

/* Is it the next, and of the same story? Its text names the hash of the text
 * before, its head builds on the head before. */
static bool
next_ok(const struct vault_roster *h, const struct vault_fresh *f)
{
	uint8_t prev[PERC_SHA256_LEN];

	if (f->chained && !perc_equal(f->before, h->hash, sizeof(h->hash)))
		return false;
	if (!h->whole)
		return f->chained;
	return perc_b64_get_exact(prev, sizeof(prev), f->prev) == 0 &&
	    perc_equal(prev, h->text, sizeof(prev));
}

/* 0: take it. PERC_ERR_EXISTS: the very roster we hold. */
static int
order_check(struct vault_slot *s, const struct vault_fresh *f, bool *gap)
{
	const struct vault_roster *h = &s->roster;

	*gap = false;
	if (f->epoch > s->epoch)
		return vault_refuse(s->v, PERC_ERR_UNKNOWN_KEY,
		    "roster of an epoch that is not held: fetch the key");
	if (f->seq < s->roster_min)
		return vault_refuse(
		    s->v, PERC_ERR_REPLAY, "roster older than the key's");
	if (!h->have)
		return 0;
	if (f->seq == h->seq)
		return again(s, f);
	if (f->seq < h->seq || f->epoch < h->epoch)
		return vault_refuse(
		    s->v, PERC_ERR_REPLAY, "roster older than the one held");
	*gap = f->seq != h->seq + 1;
	if (!*gap && !next_ok(h, f))
		return vault_forked(s, "roster does not follow the one held");
	return 0;
}

static int
whole_take(
    struct vault_slot *s, struct vault_fresh *f, const json_t *c, bool *gap)
{
	int r;

	if ((r = claims_read(s, f, c)) != 0 ||
	    (r = order_check(s, f, gap)) != 0)
		return r;
	return vault_fresh_adopt(s, f, *gap);
}

/* Which of the two forms is it, as its header says? What cannot be read is
 * refused when it is verified. */
static int
form_look(bool *delta, const char *jws)
{
	struct perc_jws j = { 0 };
	const char *typ;
	int r;

	r = perc_jws_peek(&j, jws, strlen(jws), PERC_JOSE_BIG_MAX);
	*delta = r == 0 && (typ = perc_json_str(j.header, "typ")) != NULL &&
	    strcmp(typ, DELTA) == 0;
	perc_jws_clear(&j);
	return r == PERC_ERR_NOMEM ? r : 0;
}

int
vault_roster_take(struct vault_slot *s, const char *jws)
{
	bool delta, gap = false;
	struct vault_fresh f = { .seq = 0 };
	struct perc_jws j = { 0 };
	int r;

	if ((r = form_look(&delta, jws)) != 0)
		return vault_refuse(s->v, r, "out of memory");
	f.whole = !delta;
	if ((r = perc_jws_verify_set(&j, jws, strlen(jws), PERC_JOSE_BIG_MAX,
		 s->kmf->set, delta ? DELTA : "perch-roster+jwt")) != 0) {
		s->roster.unsigned_seen = true;
		vault_refuse(s->v, r, "roster not signed by the pinned KMF");
		goto out;
	}
	if ((r = perc_sha256(f.text, jws, strlen(jws))) != 0)
		goto out;
	r = delta ? vault_delta_take(s, &f, j.payload)
		  : whole_take(s, &f, j.payload, &gap);
	if (r == PERC_ERR_EXISTS)
		r = 0;
out:
	vault_fresh_clear(&f);
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
