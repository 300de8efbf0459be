/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The keeper's test bench: see kit.h.
 */
#include "tests/kmf/kit.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kmf/api.h"
#include "perc/b64.h"
#include "perc/proc.h"

static char mdd[] = KIT_MDD;
static char *const mdds[] = { mdd, NULL };

static int64_t
clock_fn(void *arg)
{
	return ((struct kit *)arg)->now_ms;
}

static int64_t
steady_fn(void *arg)
{
	const struct kit *t = arg;

	return t->now_ms - t->set_ms;
}

static void
reply_clear(struct kit_reply *r)
{
	json_decref(r->json);
	free(r->text);
	memset(r, 0, sizeof(*r));
}

static int
on_reply(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct kit *t = arg;
	struct kit_reply *o = &t->r;
	struct kmf_reply r;

	assert_int_equal(kmf_reply_decode(&r, m->data, m->len), 0);
	t->replies++;
	if (m->id != t->want_id)
		return 0;
	reply_clear(o);
	o->status = r.status;
	o->retry_after_s = r.retry_after_s;
	snprintf(o->code, sizeof(o->code), "%s", r.code);
	snprintf(o->detail, sizeof(o->detail), "%s", r.detail);
	snprintf(
	    o->content_type, sizeof(o->content_type), "%s", r.content_type);
	snprintf(o->location, sizeof(o->location), "%s", r.location);
	snprintf(o->etag, sizeof(o->etag), "%s", r.etag);
	snprintf(
	    o->secret_header, sizeof(o->secret_header), "%s", r.secret_header);
	o->text = strndup((const char *)r.body, r.body_len);
	o->json = json_loads(o->text, 0, NULL);
	t->answered = true;
	return 0;
}

static struct kit_event *
event_add(struct kit *t, uint32_t stream)
{
	assert_true(t->nev < KIT_EVENTS);
	t->ev[t->nev].stream = stream;
	return &t->ev[t->nev++];
}

static int
on_event(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct kit *t = arg;
	struct kmf_event e;
	struct kit_event *o;

	assert_int_equal(kmf_event_decode(&e, m->data, m->len), 0);
	o = event_add(t, m->id);
	o->id = e.event_id;
	snprintf(o->name, sizeof(o->name), "%s", e.name);
	assert_null(strchr(e.data, '\n'));
	o->data = json_loads(e.data, 0, NULL);
	assert_non_null(o->data);
	return 0;
}

/* One event for many streams: to each as if it were its own. */
static int
on_push(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct kit *t = arg;
	struct kit_event *o;
	struct perc_wire w;
	struct kmf_push e;
	const uint8_t *own;
	char text[65536];
	uint32_t id;
	size_t n;

	assert_int_equal(kmf_push_decode(&e, m->data, m->len), 0);
	t->pushes++;
	perc_wire_reader(&w, e.to, e.to_len);
	while (perc_wire_left(&w) > 0) {
		id = perc_wire_get_u32(&w);
		n = perc_wire_get_u16(&w);
		own = perc_wire_get_bytes(&w, n);
		assert_non_null(own);
		snprintf(text, sizeof(text), "%s%.*s%s", e.head, (int)n,
		    (const char *)own, e.tail);
		assert_null(strchr(text, '\n'));
		o = event_add(t, id);
		o->id = e.event_id;
		snprintf(o->name, sizeof(o->name), "%s", e.name);
		o->data = json_loads(text, 0, NULL);
		assert_non_null(o->data);
	}
	assert_int_equal(perc_wire_end(&w), 0);
	return 0;
}

static int
on_stream_end(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct kmf_stream_end e;
	struct kit_event *o;

	assert_int_equal(kmf_stream_end_decode(&e, m->data, m->len), 0);
	o = event_add(arg, m->id);
	strcpy(o->name, "END");
	o->status = e.status;
	snprintf(o->code, sizeof(o->code), "%s", e.code);
	return 0;
}

static int
on_stream_open(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	((struct kit *)arg)->opened = m->id;
	return 0;
}

static int
on_welcome(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct kit *t = arg;
	struct kmf_welcome w;

	assert_int_equal(kmf_welcome_decode(&w, m->data, m->len), 0);
	free(t->jwks_text);
	perc_jwks_free(t->jwks);
	t->jwks_text = strdup(w.jwks);
	assert_int_equal(
	    perc_jwks_from_json(&t->jwks, w.jwks, strlen(w.jwks)), 0);
	return 0;
}

static int
on_roster(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct kit *t = arg;
	struct kmf_event e;
	int r = kmf_event_decode(&e, m->data, m->len);

	if (r != 0)
		return r;
	t->rosters++;
	t->roster_seq = e.event_id;
	t->roster_len = strlen(e.data);
	return 0;
}

static const struct perc_chan_rule rules[] = {
	{ KMF_MSG_WELCOME, ~0u, 65536, on_welcome },
	{ KMF_MSG_REPLY, ~0u, PERC_CHAN_FRAME_MAX, on_reply },
	{ KMF_MSG_EVENT, ~0u, PERC_CHAN_FRAME_MAX, on_event },
	{ KMF_MSG_PUSH, ~0u, PERC_CHAN_FRAME_MAX, on_push },
	{ KMF_MSG_STREAM_END, ~0u, 65536, on_stream_end },
	{ KMF_MSG_STREAM_OPEN, ~0u, 0, on_stream_open },
	{ KMF_MSG_ROSTER, ~0u, PERC_CHAN_FRAME_MAX, on_roster },
};

static void
on_close(struct perc_chan *c, int why, void *arg)
{
	fail_msg("the keeper hung up: %s", perc_strerror(why));
}

void
kit_start(struct kit *t)
{
	const struct kmf_keeper_opts o = { .db_file = t->db_file,
		.base_url = KIT_BASE,
		.mdds = mdds,
		.root = t->root,
		.guard_dir = t->dir,
		.clock = clock_fn,
		.steady = steady_fn,
		.clock_arg = t };
	char why[256] = "";
	int sv[2];

	assert_int_equal(perc_loop_new(&t->loop), 0);
	if (kmf_keeper_new(&t->k, t->loop, &o, why, sizeof(why)) != 0)
		fail_msg("%s", why);
	assert_int_equal(perc_proc_pair(sv), 0);
	assert_int_equal(perc_chan_new(&t->chan, t->loop, sv[1], rules,
			     sizeof(rules) / sizeof(rules[0]), on_close, t),
	    0);
	assert_int_equal(kmf_keeper_front_add(t->k, sv[0]), 0);
	while (t->jwks == NULL)
		kit_turn(t);
}

void
kit_stop(struct kit *t)
{
	perc_chan_free(t->chan);
	kmf_keeper_free(t->k);
	perc_loop_free(t->loop);
	free(t->jwks_text);
	perc_jwks_free(t->jwks);
	t->jwks_text = NULL;
	t->jwks = NULL;
}

void
kit_restart(struct kit *t)
{
	kit_stop(t);
	kit_start(t);
}

void
kit_open(struct kit *t)
{
	char why[256] = "", path[128];
	FILE *f;

	memset(t, 0, sizeof(*t));
	t->now_ms = 1800000000000; /* 2027-01-15 */
	t->next_id = 1;
	strcpy(t->dir, "/tmp/perch-kmf.XXXXXX");
	assert_non_null(mkdtemp(t->dir));
	snprintf(t->db_file, sizeof(t->db_file), "%s/perch.db", t->dir);
	if (kmf_keeper_init(t->dir, KIT_BASE, "admin", why, sizeof(why)) != 0)
		fail_msg("%s", why);
	snprintf(path, sizeof(path), "%s/%s", t->dir, KMF_ROOT_FILE);
	f = fopen(path, "rb");
	assert_non_null(f);
	assert_int_equal(fread(t->root, 1, 32, f), 32);
	fclose(f);
	kit_start(t);
}

void
kit_close(struct kit *t)
{
	char cmd[128];
	size_t i;

	kit_stop(t);
	for (i = 0; i < t->nev; i++)
		json_decref(t->ev[i].data);
	reply_clear(&t->r);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", t->dir);
	assert_int_equal(system(cmd), 0);
}

void
kit_turn(struct kit *t)
{
	assert_int_equal(perc_loop_turn(t->loop, 5), 0);
}

void
kit_pass(struct kit *t, int64_t ms)
{
	int64_t step;
	int i;

	for (; ms > 0; ms -= step) {
		step = ms < 50 ? ms : 50;
		t->now_ms += step;
		kmf_due_arm(t->k);
		for (i = 0; i < 2; i++)
			assert_int_equal(perc_loop_turn(t->loop, 0), 0);
	}
	for (i = 0; i < 3; i++)
		assert_int_equal(perc_loop_turn(t->loop, 1), 0);
}

uint32_t
kit_send(struct kit *t, const struct kmf_call *c)
{
	uint32_t id = t->next_id++;
	uint8_t *buf;
	size_t len;

	assert_int_equal(kmf_call_encode(&buf, &len, c), 0);
	assert_int_equal(
	    perc_chan_send(t->chan, KMF_MSG_CALL, id, buf, len), 0);
	perc_secmem_free(buf);
	return id;
}

/* What the keeper answers is what schema/openapi.yaml promises: a front adds
 * fields to it, and the form of a problem, but no member. */
static void
document_check(enum kmf_op op, const struct kit_reply *r)
{
	static struct kmf_api *api;
	const struct kmf_route *t;
	struct kmf_faults f;
	bool good = r->status < 300;
	char why[160];
	size_t i;

	if (api == NULL)
		assert_int_equal(kmf_api_new(&api, why, sizeof(why)), 0);
	for (i = 0; (t = kmf_route_at(i)) != NULL; i++)
		if (t->handler == KMF_H_CALL && t->op == op)
			break;
	/* fronts keep away whoever has no business there at all: 403 */
	if (t == NULL || r->status == 404)
		return;
	if (kmf_api_answer(api, t, r->status, good ? r->content_type : "",
		good ? r->text : "", good ? strlen(r->text) : 0, &f) != 0)
		fail_msg("%s %s answered %u %s: %s: %s", t->method, t->path,
		    r->status, r->code, f.list[0].where, f.list[0].detail);
}

struct kit_reply *
kit_call(struct kit *t, const struct kmf_call *c)
{
	int turns;

	t->answered = false;
	t->want_id = kit_send(t, c);
	if (t->fault != NULL)
		t->fault(true);
	for (turns = 0; !t->answered; turns++) {
		assert_true(turns < 1000);
		kit_turn(t);
	}
	if (t->fault != NULL)
		t->fault(false);
	else
		document_check(c->op, &t->r);
	return &t->r;
}

void
kit_wait(struct kit *t, unsigned replies)
{
	int turns;

	for (turns = 0; t->replies < replies; turns++) {
		assert_true(turns < 1000);
		kit_turn(t);
	}
}

void
kit_client(struct kit *t, const char *id, const char *scope)
{
	struct db_client c = { .jwk = "{}", .created_ms = t->now_ms };

	snprintf(c.id, sizeof(c.id), "%s", id);
	snprintf(c.scope, sizeof(c.scope), "%s", scope);
	assert_int_equal(kmf_turn_begin(t->k), 0);
	assert_int_equal(db_client_add(t->k->db, &c), 0);
	kit_turn(t);
}

void
kit_client_set(struct kit *t, const char *id, const char *scope, bool disabled)
{
	struct db_client c;

	assert_int_equal(kmf_turn_begin(t->k), 0);
	assert_int_equal(db_client_find(t->k->db, &c, id), 0);
	snprintf(c.scope, sizeof(c.scope), "%s", scope);
	c.disabled = disabled;
	assert_int_equal(db_client_put(t->k->db, &c), 0);
	kit_turn(t);
}

struct kit_reply *
kit_admin(struct kit *t, enum kmf_op op, const char *conf, const char *obj,
    const char *body)
{
	return kit_staff(
	    t, "admin", "admin scheduler auditor", op, conf, obj, body);
}

struct kit_reply *
kit_staff(struct kit *t, const char *id, const char *scope, enum kmf_op op,
    const char *conf, const char *obj, const char *body)
{
	struct kmf_call c = { .op = op, .conf = conf, .obj = obj };

	c.id.who = strncmp(id, "p_", 2) == 0 ? KMF_WHO_ROLE : KMF_WHO_CLIENT;
	c.id.sub = id;
	c.id.scope = scope;
	c.id.jkt = "adminjkt";
	c.if_match = op == KMF_OP_CONF_PATCH || op == KMF_OP_CONF_DELETE ||
		op == KMF_OP_SERIES_DELETE || op == KMF_OP_INV_DELETE
	    ? "*"
	    : "";
	c.body = (const uint8_t *)body;
	c.body_len = body != NULL ? strlen(body) : 0;
	return kit_call(t, &c);
}

void
kit_conf(struct kit *t, char id[static 40], const char *policy)
{
	char body[1024], from[PERC_TIME_LEN], to[PERC_TIME_LEN];
	struct kit_reply *r;

	perc_time_put(from, t->now_ms);
	perc_time_put(to, t->now_ms + 3600 * 1000);
	snprintf(body, sizeof(body),
	    "{\"title\": \"Council\", \"starts_at\": \"%s\", "
	    "\"ends_at\": \"%s\", \"policy\": %s, \"invitees\": ["
	    "{\"email\": \"Alice@Example.org\"}, "
	    "{\"iss\": \"https://idp.example\", \"sub\": \"bob\"}, "
	    "{\"group\": \"board\"}]}",
	    from, to, policy != NULL ? policy : "{}");
	r = kit_admin(t, KMF_OP_CONF_CREATE, "", "", body);
	if (r->status != 201)
		fail_msg("create: %u %s", r->status, r->detail);
	snprintf(id, 40, "%s", perc_json_str(r->json, "id"));
}

void
kit_code(struct kit *t, const char *conf, struct kit_end *e, const char *name,
    char inv[static 40])
{
	struct kit_reply *r;
	char body[128];

	snprintf(body, sizeof(body), "{\"name\": \"%s\"}", name);
	r = kit_admin(t, KMF_OP_INV_CREATE, conf, "", body);
	assert_int_equal(r->status, 201);
	snprintf(
	    e->code, sizeof(e->code), "%s", perc_json_str(r->json, "code"));
	snprintf(inv, 40, "%s", perc_json_str(r->json, "id"));
}

void
kit_end_open(struct kit_end *e, const char *sub)
{
	memset(e, 0, sizeof(*e));
	e->iss = "https://idp.example";
	e->sub = sub;
	e->email = e->name = "";
	assert_int_equal(perc_jwk_generate(&e->sign), 0);
	assert_int_equal(perc_jwk_generate(&e->seal), 0);
	assert_int_equal(perc_jwk_thumbprint(e->jkt, e->sign), 0);
	assert_int_equal(perc_jwk_thumbprint(e->seal_jkt, e->seal), 0);
}

void
kit_end_close(struct kit_end *e)
{
	perc_jwk_free(e->sign);
	perc_jwk_free(e->seal);
	json_decref(e->claims);
}

static void
bind(struct kmf_identity *id, const struct kit_end *e)
{
	id->x5t = e->x5t;
	if (e->x5t == NULL && !e->unbound)
		id->jkt = e->jkt;
}

static void
person(struct kmf_identity *id, const struct kit_end *e)
{
	id->iss = e->iss;
	id->sub = e->sub;
	id->email = e->email;
	id->name = e->name;
	id->kind = e->kind;
	id->email_verified = e->email[0] != '\0';
	id->groups[0] = e->group;
	id->ngroups = e->group != NULL;
}

struct kit_reply *
kit_token1(struct kit *t, struct kit_end *e, const char *conf)
{
	struct kmf_call c = { .op = KMF_OP_TOKEN1, .conf = conf };
	struct kit_reply *r;
	const char *m;

	c.id.who = e->code[0] != '\0' ? KMF_WHO_CODE : KMF_WHO_PERSON;
	c.id.code = e->code;
	bind(&c.id, e);
	if (e->code[0] == '\0')
		person(&c.id, e);
	r = kit_call(t, &c);
	if (r->status == 200 && (m = perc_json_str(r->json, "member")) != NULL)
		snprintf(e->member, sizeof(e->member), "%s", m);
	snprintf(e->conf, sizeof(e->conf), "%s", conf);
	return r;
}

static void
identity(struct kmf_identity *id, const struct kit_end *e)
{
	bind(id, e);
	if (e->direct) {
		id->who = KMF_WHO_PERSON;
		person(id, e);
		return;
	}
	id->who = KMF_WHO_MEMBER;
	id->sub = e->member;
	id->token_conf = e->conf;
	id->scope = "member";
}

struct kit_reply *
kit_as(struct kit *t, struct kit_end *e, enum kmf_op op, const char *body)
{
	struct kmf_call c = { .op = op, .conf = e->conf, .arg = t->arg };

	identity(&c.id, e);
	c.body = (const uint8_t *)body;
	c.body_len = body != NULL ? strlen(body) : 0;
	return kit_call(t, &c);
}

json_t *
kit_verify(struct kit *t, const char *jws, const char *typ)
{
	struct perc_jws j = { 0 };
	json_t *payload;
	int r;

	assert_non_null(jws);
	r = perc_jws_verify_set(
	    &j, jws, strlen(jws), PERC_JOSE_BIG_MAX, t->jwks, typ);
	if (r != 0)
		fail_msg("%s does not verify: %s", typ, perc_strerror(r));
	payload = json_incref(j.payload);
	perc_jws_clear(&j);
	return payload;
}

static void
key_take(struct kit_end *e, const json_t *v)
{
	size_t n = sizeof(e->key), m;
	const char *key = perc_json_str(v, "key");
	const char *salt = perc_json_str(v, "salt");
	int64_t num;

	assert_int_equal(perc_b64_get(e->key, &n, key, strlen(key)), 0);
	m = sizeof(e->key) - n;
	assert_int_equal(perc_b64_get(e->key + n, &m, salt, strlen(salt)), 0);
	assert_int_equal(m, 12);
	e->keylen = n + m;
	assert_int_equal(perc_json_int(&num, v, "epoch", 1, UINT32_MAX), 0);
	e->epoch = (uint32_t)num;
	assert_int_equal(perc_json_int(&num, v, "spi", 0, 65535), 0);
	e->spi = (uint32_t)num;
	assert_int_equal(perc_b64_get_exact(
			     e->delivery, 32, perc_json_str(v, "delivery_key")),
	    0);
}

struct kit_reply *
kit_keys(struct kit *t, struct kit_end *e)
{
	struct kmf_call c = {
		.op = KMF_OP_KEYS, .conf = e->conf, .arg = e->seal_jkt
	};
	struct kit_reply *r;
	char *pub, *inner, body[1024];
	size_t n;

	identity(&c.id, e);
	assert_int_equal(perc_jwk_public_json(&pub, e->seal), 0);
	snprintf(body, sizeof(body), "{\"seal_to\": %s}", pub);
	perc_json_free(pub);
	c.body = (const uint8_t *)body;
	c.body_len = strlen(body);
	r = kit_call(t, &c);
	if (r->status != 200)
		return r;
	assert_string_equal(r->content_type, "application/jwt");
	assert_string_equal(r->secret_header, "");
	assert_int_equal(perc_jwe_open(&inner, &n, e->seal, r->text,
			     strlen(r->text), PERC_JOSE_BIG_MAX),
	    0);
	json_decref(e->claims);
	e->claims = kit_verify(t, inner, "perch-ekt+jwt");
	perc_secmem_free(inner);
	assert_string_equal(perc_json_str(e->claims, "aud"), e->seal_jkt);
	if (e->direct)
		snprintf(e->member, sizeof(e->member), "%s",
		    perc_json_str(e->claims, "member"));
	assert_string_equal(perc_json_str(e->claims, "member"), e->member);
	key_take(e, e->claims);
	return r;
}

void
kit_join(struct kit *t, struct kit_end *e, const char *conf)
{
	struct kit_reply *r = kit_token1(t, e, conf);

	if (r->status != 200)
		fail_msg("token1: %u %s %s", r->status, r->code, r->detail);
	r = kit_keys(t, e);
	if (r->status != 200)
		fail_msg("keys: %u %s %s", r->status, r->code, r->detail);
}

uint32_t
kit_stream(struct kit *t, struct kit_end *e)
{
	return kit_stream_after(t, e, "");
}

uint32_t
kit_stream_after(struct kit *t, struct kit_end *e, const char *after)
{
	struct kmf_subscribe s = { .conf = e->conf,
		.query = t->query,
		.after = after,
		.last_event_id = strtoull(after, NULL, 10) };
	uint32_t id = t->next_id++;
	uint8_t *buf;
	size_t len;
	int i;

	identity(&s.id, e);
	assert_int_equal(kmf_subscribe_encode(&buf, &len, &s), 0);
	assert_int_equal(
	    perc_chan_send(t->chan, KMF_MSG_SUBSCRIBE, id, buf, len), 0);
	perc_secmem_free(buf);
	for (i = 0; i < 4; i++)
		assert_int_equal(perc_loop_turn(t->loop, 1), 0);
	return id;
}

struct kit_event *
kit_event(struct kit *t, uint32_t stream, const char *name)
{
	size_t i;

	for (i = 0; i < t->nev; i++) {
		if (t->ev[i].stream != stream ||
		    (name[0] != '\0' && strcmp(t->ev[i].name, name) != 0))
			continue;
		t->ev[i].stream = 0; /* looked at */
		return &t->ev[i];
	}
	return NULL;
}

bool
kit_epoch_open(struct kit *t, struct kit_end *e, const struct kit_event *ev)
{
	const char *sealed = perc_json_str(ev->data, "sealed");
	json_t *s = kit_verify(
	    t, perc_json_str(ev->data, "statement"), "perch-epoch+jwt");
	uint8_t box[128], plain[64], hash[32];
	size_t n = sizeof(box);
	char aad[200], hash_text[44];
	int64_t epoch, spi;
	bool ok = false;

	assert_int_equal(perc_json_int(&epoch, s, "epoch", 1, UINT32_MAX), 0);
	assert_int_equal(perc_json_int(&spi, s, "spi", 0, 65535), 0);
	snprintf(aad, sizeof(aad), "perch-epoch|%s|%lld|%s", e->conf,
	    (long long)epoch, e->member);
	if (sealed != NULL &&
	    perc_b64_get(box, &n, sealed, strlen(sealed)) == 0 &&
	    perc_unseal(plain, e->delivery, aad, strlen(aad), box, n) == 0) {
		n -= PERC_SEAL_OVERHEAD;
		assert_int_equal(perc_sha256(hash, plain, n), 0);
		perc_b64_put(hash_text, hash, 32);
		assert_string_equal(hash_text, perc_json_str(s, "key_hash"));
		memcpy(e->key, plain, n);
		e->keylen = n;
		e->epoch = (uint32_t)epoch;
		e->spi = (uint32_t)spi;
		ok = true;
	}
	json_decref(s);
	return ok;
}

static bool
file_has(const char *path, const void *needle, size_t n)
{
	bool found = false;
	uint8_t *buf;
	size_t len;
	FILE *f;

	if ((f = fopen(path, "rb")) == NULL)
		return false;
	buf = malloc(16u << 20);
	assert_non_null(buf);
	len = fread(buf, 1, 16u << 20, f);
	fclose(f);
	found = memmem(buf, len, needle, n) != NULL;
	free(buf);
	return found;
}

bool
kit_on_disk(struct kit *t, const void *needle, size_t n)
{
	char path[400];
	struct dirent *d;
	bool found = false;
	DIR *dir = opendir(t->dir);

	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL) {
		if (strncmp(d->d_name, "perch.db", 8) != 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", t->dir, d->d_name);
		found = found || file_has(path, needle, n);
	}
	closedir(dir);
	return found;
}

int64_t
kit_num(const json_t *o, const char *name)
{
	int64_t v = -1;

	assert_int_equal(perc_json_int(&v, o, name, 0, INT64_MAX), 0);
	return v;
}
