/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Each message is written down once, as a function that visits its members in
 * order; a reader and a writer walk the same list, so they cannot disagree.
 * Frames carry codes and keys in passing: they are built in secret memory and
 * wiped when freed.
 */
#include "kmf/msg.h"

#include <string.h>

#include "perc/secret.h"

enum way { MEASURE, WRITE, READ };

struct walk {
	enum way way;
	struct perc_wire w;
	size_t size; /* MEASURE: octets so far */
};

static void
walk_u64(struct walk *k, uint64_t *v)
{
	if (k->way == MEASURE)
		k->size += 8;
	else if (k->way == WRITE)
		perc_wire_put_u64(&k->w, *v);
	else
		*v = perc_wire_get_u64(&k->w);
}

static void
walk_str(struct walk *k, const char **s)
{
	if (k->way == MEASURE)
		k->size += 4 + (*s != NULL ? strlen(*s) : 0) + 1;
	else if (k->way == WRITE)
		perc_wire_put_str(&k->w, *s != NULL ? *s : "");
	else
		*s = perc_wire_get_str(&k->w);
}

static void
walk_blob(struct walk *k, const uint8_t **p, size_t *n)
{
	if (k->way == MEASURE)
		k->size += 4 + *n;
	else if (k->way == WRITE)
		perc_wire_put_blob32(&k->w, *p, *n);
	else
		*p = perc_wire_get_blob32(&k->w, n);
}

static void
walk_raw(struct walk *k, uint8_t *p, size_t n)
{
	const uint8_t *in;

	if (k->way == MEASURE)
		k->size += n;
	else if (k->way == WRITE)
		perc_wire_put_bytes(&k->w, p, n);
	else if ((in = perc_wire_get_bytes(&k->w, n)) != NULL)
		memcpy(p, in, n);
}

/* A number with an upper bound; beyond it the frame is refused. */
static uint64_t
walk_num(struct walk *k, uint64_t v, uint64_t max)
{
	walk_u64(k, &v);
	if (v > max) {
		perc_wire_fail(&k->w, PERC_ERR_FORMAT);
		v = 0;
	}
	return v;
}

static void
walk_identity(struct walk *k, struct kmf_identity *id)
{
	uint64_t exp = (uint64_t)id->token_exp_s;
	unsigned i;

	id->who = (enum kmf_who)walk_num(k, id->who, KMF_WHO_LAST - 1);
	walk_str(k, &id->iss);
	walk_str(k, &id->sub);
	walk_str(k, &id->email);
	walk_str(k, &id->name);
	walk_str(k, &id->code);
	walk_str(k, &id->scope);
	id->email_verified = walk_num(k, id->email_verified, 1) != 0;
	id->ngroups = (unsigned)walk_num(k, id->ngroups, KMF_GROUPS_MAX);
	for (i = 0; i < id->ngroups; i++)
		walk_str(k, &id->groups[i]);
	walk_str(k, &id->roles);
	id->groups_partial = walk_num(k, id->groups_partial, 1) != 0;
	walk_str(k, &id->kind);
	walk_str(k, &id->token_conf);
	walk_str(k, &id->jkt);
	walk_str(k, &id->x5t);
	walk_u64(k, &exp);
	id->token_exp_s = (int64_t)exp;
}

static void
walk_replay(struct walk *k, const char **hash, int64_t *until_s, bool *nonce)
{
	uint64_t until = (uint64_t)*until_s;

	walk_str(k, hash);
	walk_u64(k, &until);
	*until_s = (int64_t)until;
	*nonce = walk_num(k, *nonce, 1) != 0;
}

static void
walk_call(struct walk *k, void *p)
{
	struct kmf_call *c = p;

	c->op = (enum kmf_op)walk_num(k, c->op, KMF_OP_LAST - 1);
	walk_identity(k, &c->id);
	walk_str(k, &c->conf);
	walk_str(k, &c->obj);
	walk_str(k, &c->arg);
	walk_str(k, &c->arg2);
	walk_str(k, &c->if_match);
	walk_str(k, &c->idempotency_key);
	walk_str(k, &c->request_id);
	walk_replay(k, &c->replay_hash, &c->replay_until_s, &c->replay_nonce);
	walk_blob(k, &c->body, &c->body_len);
	if (c->op == 0 || c->body_len > KMF_BODY_MAX)
		perc_wire_fail(&k->w, PERC_ERR_FORMAT);
}

static void
walk_reply(struct walk *k, void *p)
{
	struct kmf_reply *r = p;

	r->status = (uint16_t)walk_num(k, r->status, 999);
	walk_str(k, &r->code);
	walk_str(k, &r->detail);
	walk_str(k, &r->content_type);
	walk_str(k, &r->location);
	walk_str(k, &r->etag);
	walk_str(k, &r->next);
	walk_str(k, &r->secret_header);
	r->retry_after_s = (uint32_t)walk_num(k, r->retry_after_s, UINT32_MAX);
	walk_blob(k, &r->body, &r->body_len);
}

static void
walk_subscribe(struct walk *k, void *p)
{
	struct kmf_subscribe *s = p;

	walk_identity(k, &s->id);
	walk_str(k, &s->conf);
	walk_u64(k, &s->last_event_id);
	walk_str(k, &s->query);
	walk_str(k, &s->after);
	walk_replay(k, &s->replay_hash, &s->replay_until_s, &s->replay_nonce);
}

static void
walk_refused(struct walk *k, void *p)
{
	struct kmf_refused *r = p;

	walk_str(k, &r->reason);
	walk_str(k, &r->what);
	walk_str(k, &r->peer);
	walk_str(k, &r->client);
	walk_u64(k, &r->count);
}

static void
walk_counts(struct walk *k, void *p)
{
	struct kmf_counts *c = p;
	unsigned i;

	for (i = 0; i < COUNT_LAST; i++)
		walk_u64(k, &c->n[i]);
}

static void
walk_event(struct walk *k, void *p)
{
	struct kmf_event *e = p;

	walk_u64(k, &e->event_id);
	walk_str(k, &e->name);
	walk_str(k, &e->data);
	walk_str(k, &e->id);
}

static void
walk_push(struct walk *k, void *p)
{
	struct kmf_push *e = p;

	walk_u64(k, &e->event_id);
	walk_str(k, &e->name);
	walk_str(k, &e->head);
	walk_str(k, &e->tail);
	walk_blob(k, &e->to, &e->to_len);
}

static void
walk_stream_end(struct walk *k, void *p)
{
	struct kmf_stream_end *e = p;

	e->status = (uint16_t)walk_num(k, e->status, 999);
	walk_str(k, &e->code);
	walk_str(k, &e->detail);
}

static void
walk_welcome(struct walk *k, void *p)
{
	struct kmf_welcome *w = p;

	walk_str(k, &w->jwks);
	walk_raw(k, w->nonce_key, sizeof(w->nonce_key));
	walk_raw(k, w->prev_nonce_key, sizeof(w->prev_nonce_key));
}

static void
walk_keys(struct walk *k, void *p)
{
	struct kmf_keys *m = p;
	uint64_t at = (uint64_t)m->fetched_s;

	walk_str(k, &m->issuer);
	walk_str(k, &m->jwks);
	walk_str(k, &m->why);
	walk_u64(k, &at);
	m->fetched_s = (int64_t)at;
}

/* Kind 0 is none. */
static void
walk_kind(struct walk *k, enum kmf_errand_kind *kind)
{
	*kind = (enum kmf_errand_kind)walk_num(k, *kind, KMF_ERRAND_LAST - 1);
	if (*kind == 0)
		perc_wire_fail(&k->w, PERC_ERR_FORMAT);
}

static void
walk_errand(struct walk *k, void *p)
{
	struct kmf_errand *e = p;

	walk_kind(k, &e->kind);
	walk_u64(k, &e->job);
	walk_blob(k, &e->body, &e->body_len);
}

static void
walk_errand_end(struct walk *k, void *p)
{
	struct kmf_errand_end *e = p;

	walk_kind(k, &e->kind);
	walk_u64(k, &e->job);
	e->how = (enum kmf_errand_how)walk_num(k, e->how, KMF_ERRAND_REFUSED);
	walk_str(k, &e->why);
}

static void
walk_question(struct walk *k, void *p)
{
	struct kmf_question *q = p;

	q->issuer = (uint32_t)walk_num(k, q->issuer, UINT32_MAX);
	walk_str(k, &q->token);
}

static void
walk_word(struct walk *k, void *p)
{
	struct kmf_word *w = p;

	w->good = walk_num(k, w->good, 1) != 0;
	walk_str(k, &w->text);
	walk_str(k, &w->why);
}

typedef void (*walk_fn)(struct walk *k, void *msg);

union any {
	struct kmf_call call;
	struct kmf_reply reply;
	struct kmf_subscribe subscribe;
	struct kmf_refused refused;
	struct kmf_counts counts;
	struct kmf_event event;
	struct kmf_stream_end stream_end;
	struct kmf_welcome welcome;
	struct kmf_keys keys;
	struct kmf_question question;
	struct kmf_word word;
	struct kmf_errand errand;
	struct kmf_errand_end errand_end;
};

/* The walk may write to what it visits, so it gets a copy. */
static int
encode(uint8_t **bufp, size_t *lenp, walk_fn fn, const void *msg, size_t size)
{
	struct walk k = { .way = MEASURE };
	uint8_t *buf = NULL;
	union any m;
	int r;

	memcpy(&m, msg, size);
	fn(&k, &m);
	if ((r = k.w.err) != 0)
		goto out;
	r = PERC_ERR_NOMEM;
	if ((buf = perc_secmem_alloc(k.size)) == NULL)
		goto out;
	k.way = WRITE;
	perc_wire_writer(&k.w, buf, k.size);
	fn(&k, &m);
	if ((r = perc_wire_end(&k.w)) != 0)
		goto out;
	*bufp = buf;
	*lenp = k.size;
	buf = NULL;
out:
	perc_secmem_free(buf);
	perc_wipe(&m, sizeof(m));
	return r;
}

static int
decode(void *msg, size_t size, walk_fn fn, const uint8_t *p, size_t n)
{
	struct walk k = { .way = READ };

	memset(msg, 0, size);
	perc_wire_reader(&k.w, p, n);
	fn(&k, msg);
	return perc_wire_end(&k.w);
}

#define CODEC(name)                                                            \
	int kmf_##name##_encode(                                               \
	    uint8_t **bufp, size_t *lenp, const struct kmf_##name *m)          \
	{                                                                      \
		return encode(bufp, lenp, walk_##name, m, sizeof(*m));         \
	}                                                                      \
	int kmf_##name##_decode(                                               \
	    struct kmf_##name *m, const uint8_t *p, size_t n)                  \
	{                                                                      \
		return decode(m, sizeof(*m), walk_##name, p, n);               \
	}

/* clang-format off */
CODEC(call)
CODEC(reply)
CODEC(subscribe)
CODEC(refused)
CODEC(counts)
CODEC(event)
CODEC(push)
CODEC(stream_end)
CODEC(welcome)
CODEC(keys)
CODEC(question)
CODEC(word)
CODEC(errand)
CODEC(errand_end)
/* clang-format on */

/* FNV-1a: the conferences are ours, nobody chooses their names. */
unsigned
kmf_roster_place(const char *conf)
{
	uint32_t h = 2166136261u;

	for (; *conf != '\0'; conf++)
		h = (h ^ (uint8_t)*conf) * 16777619u;
	return h % KMF_ROSTER_PLACES;
}
