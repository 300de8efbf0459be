/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side of everything the vault meets. It is written from
 * docs/wire/tokens.md and agent/vaultmsg.h, not from the vault's code.
 */
#include "vaultkit.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "perc/b64.h"
#include "perc/json.h"
#include "perc/proc.h"

#define RANGE_PORTS 64 /* more than any test listens to */
#define RANGES	    ((32768 - 10240 - VAULT_OUT_PORTS) / RANGE_PORTS)

static int64_t
now_s(void)
{
	return perc_wall_ms() / 1000;
}

/* ---- the KMF --------------------------------------------------------------
 */

void
kit_kmf_open(struct kit_kmf *k)
{
	char *pub, *set;

	memset(k, 0, sizeof(*k));
	assert_int_equal(perc_jwk_generate(&k->key), 0);
	assert_int_equal(perc_jwk_public_json(&pub, k->key), 0);
	assert_true(asprintf(&set, "{\"keys\":[%s]}", pub) > 0);
	k->config.nkmf = 1;
	k->config.kmf[0].url = strdup(KIT_KMF);
	assert_int_equal(
	    perc_jwks_from_json(&k->config.kmf[0].set, set, strlen(set)), 0);
	perc_json_free(pub);
	free(set);
}

void
kit_kmf_close(struct kit_kmf *k)
{
	perc_jwk_free(k->key);
	vault_config_clear(&k->config);
}

/* ---- the front ------------------------------------------------------------
 */

static int
on_msg(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct kit *k = arg;
	struct kit_msg *q;

	assert_true(k->nq < KIT_MSGS);
	q = &k->q[k->nq++];
	*q = (struct kit_msg){ m->type, m->id, malloc(m->len + 1), m->len };
	memcpy(q->data, m->data, m->len);
	return 0;
}

#define RULE(t)                                                                \
	{                                                                      \
		t, ~0u, PERC_CHAN_FRAME_MAX, on_msg                            \
	}
static const struct perc_chan_rule front_rules[] = { RULE(VAULT_READY),
	RULE(VAULT_PROOF_IS), RULE(VAULT_DONE), RULE(VAULT_ERASED),
	RULE(VAULT_MEDIA_OUT), RULE(VAULT_RTCP_OUT), RULE(VAULT_KEY_WANTED),
	RULE(VAULT_STREAMS), RULE(VAULT_STATUS_IS), RULE(VAULT_SPEAKING) };

static void
on_gone(struct perc_chan *c, int why, void *arg)
{
	struct kit *k = arg;

	k->closed = true;
}

static int
udp(uint16_t *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(*port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	*port = ntohs(sin.sin_port);
	return fd;
}

static void
setup_sockets(struct kit *k, struct vault_setup *s)
{
	uint16_t out = 0;
	unsigned i, m;

	for (i = 0; i < VAULT_SLOTS; i++)
		for (m = 0; m < VAULT_LOCAL_STREAMS; m++)
			s->local_fd[i][m][0] = s->local_fd[i][m][1] = -1;
	for (m = 0; m < VAULT_LOCAL_STREAMS; m++) {
		s->local_fd[0][m][0] = udp(&k->port[m][0]);
		s->local_fd[0][m][1] = udp(&k->port[m][1]);
	}
	s->out_fd = udp(&out);
}

/*
 * Ports that remote streams go to, below those the kernel gives away; the
 * last of a range is bound as long as the kit lives, so that no other test
 * on this machine takes the same.
 */
static void
range_take(struct kit *k)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	unsigned i, at = perc_random_u32() % RANGES;

	k->guard = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(k->guard >= 0);
	for (i = 0; i < RANGES; i++) {
		k->base = (uint16_t)(10240 + (at + i) % RANGES * RANGE_PORTS);
		sin.sin_port = htons((uint16_t)(k->base + RANGE_PORTS - 1));
		if (bind(k->guard, (struct sockaddr *)&sin, sizeof(sin)) == 0)
			return;
	}
	fail_msg("no range of ports is free");
}

static void
hello(struct kit *k)
{
	struct kit_msg m;
	struct perc_wire w;
	const char *sign, *seal, *jkt;
	char own[PERC_JKT_LEN + 1];
	uint32_t id = kit_send(k, VAULT_HELLO, 0);

	assert_true(kit_wait(k, VAULT_READY, id, &m));
	perc_wire_reader(&w, m.data, m.len);
	sign = perc_wire_get_str(&w);
	seal = perc_wire_get_str(&w);
	jkt = perc_wire_get_str(&w);
	perc_wire_get_str(&w);
	assert_int_equal(perc_wire_end(&w), 0);
	k->sign = strdup(sign);
	assert_int_equal(
	    perc_jwk_from_json(&k->seal, seal, strlen(seal), true), 0);
	assert_int_equal(perc_jwk_thumbprint(own, k->seal), 0);
	assert_string_equal(own, jkt);
	kit_msg_clear(&m);
}

void
kit_open(struct kit *k, struct perc_loop *l, const struct kit_kmf *kmf,
    const char *name, unsigned number)
{
	struct vault_setup s = { .config = &kmf->config,
		.report = "{\"secret_memory\":\"none\"}" };
	unsigned i;
	int sv[2];

	memset(k, 0, sizeof(*k));
	k->loop = l;
	k->rx = -1;
	snprintf(k->name, sizeof(k->name), "%s", name);
	snprintf(k->member, sizeof(k->member), "m_%s", name);
	for (i = 0; i < VAULT_LOCAL_STREAMS; i++)
		k->ssrc[i] = 0x10000000u * (number + 1) + 1 + i;
	perc_random(k->delivery, sizeof(k->delivery));
	range_take(k);
	setup_sockets(k, &s);
	s.out_base = k->base;
	assert_int_equal(perc_proc_pair(sv), 0);
	s.chan_fd = sv[0];
	assert_int_equal(vault_new(&k->vault, l, &s), 0);
	assert_int_equal(
	    perc_chan_new(&k->chan, l, sv[1], front_rules,
		sizeof(front_rules) / sizeof(front_rules[0]), on_gone, k),
	    0);
	k->app = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(k->app >= 0);
	hello(k);
}

void
kit_close(struct kit *k)
{
	unsigned i;

	perc_chan_free(k->chan);
	vault_free(k->vault);
	for (i = 0; i < k->nq; i++)
		free(k->q[i].data);
	perc_jwk_free(k->seal);
	free(k->sign);
	close(k->app);
	close(k->guard);
	if (k->rx >= 0)
		close(k->rx);
}

void
kit_settle(struct kit *k, int ms)
{
	int64_t end = perc_now_ms() + ms;

	do {
		assert_int_equal(perc_loop_turn(k->loop, 1), 0);
	} while (perc_now_ms() < end);
}

static uint32_t
send_strs(struct kit *k, uint16_t type, unsigned n, va_list ap)
{
	static uint8_t buf[VAULT_MSG_MAX];
	struct perc_wire w;

	perc_wire_writer(&w, buf, sizeof(buf));
	while (n-- > 0)
		perc_wire_put_str(&w, va_arg(ap, const char *));
	assert_int_equal(perc_wire_end(&w), 0);
	k->next_id++;
	if (!k->closed)
		assert_int_equal(
		    perc_chan_send(k->chan, type, k->next_id, buf, w.pos), 0);
	return k->next_id;
}

uint32_t
kit_send(struct kit *k, uint16_t type, unsigned n, ...)
{
	va_list ap;
	uint32_t id;

	va_start(ap, n);
	id = send_strs(k, type, n, ap);
	va_end(ap);
	return id;
}

void
kit_send_raw(struct kit *k, uint16_t type, const void *p, size_t n)
{
	assert_int_equal(perc_chan_send(k->chan, type, 0, p, n), 0);
}

static bool
take(struct kit *k, uint16_t type, uint32_t id, struct kit_msg *m)
{
	unsigned i;

	for (i = 0; i < k->nq; i++)
		if (k->q[i].type == type && (id == 0 || k->q[i].id == id)) {
			*m = k->q[i];
			memmove(&k->q[i], &k->q[i + 1],
			    (--k->nq - i) * sizeof(k->q[0]));
			return true;
		}
	return false;
}

bool
kit_take(struct kit *k, uint16_t type, struct kit_msg *m)
{
	return take(k, type, 0, m);
}

bool
kit_wait(struct kit *k, uint16_t type, uint32_t id, struct kit_msg *m)
{
	int64_t end = perc_now_ms() + 2000;

	while (!take(k, type, id, m)) {
		if (k->closed || perc_now_ms() > end)
			return false;
		assert_int_equal(perc_loop_turn(k->loop, 20), 0);
	}
	return true;
}

void
kit_msg_clear(struct kit_msg *m)
{
	free(m->data);
	m->data = NULL;
}

void
kit_drop(struct kit *k, uint16_t type)
{
	struct kit_msg m;

	while (kit_take(k, type, &m))
		kit_msg_clear(&m);
}

struct kit_done
kit_call(struct kit *k, uint16_t type, unsigned n, ...)
{
	struct kit_done d = { .err = PERC_ERR_CLOSED };
	struct kit_msg m;
	struct perc_wire w;
	const char *json;
	va_list ap;
	uint32_t id;

	va_start(ap, n);
	id = send_strs(k, type, n, ap);
	va_end(ap);
	if (!kit_wait(k, VAULT_DONE, id, &m))
		return d;
	perc_wire_reader(&w, m.data, m.len);
	d.err = (int32_t)perc_wire_get_u32(&w);
	snprintf(d.words, sizeof(d.words), "%s", perc_wire_get_str(&w));
	json = perc_wire_get_str(&w);
	d.json = *json == '\0' ? NULL : json_loads(json, 0, NULL);
	assert_int_equal(perc_wire_end(&w), 0);
	kit_msg_clear(&m);
	return d;
}

void
kit_done_clear(struct kit_done *d)
{
	json_decref(d->json);
	d->json = NULL;
}

int
kit_err(struct kit_done d)
{
	kit_done_clear(&d);
	return d.err;
}

json_t *
kit_status(struct kit *k, const char *conf)
{
	uint32_t id = kit_send(k, VAULT_STATUS, 1, conf);
	struct kit_msg m;
	struct perc_wire w;
	json_t *all, *one;

	assert_true(kit_wait(k, VAULT_STATUS_IS, id, &m));
	perc_wire_reader(&w, m.data, m.len);
	all = json_loads(perc_wire_get_str(&w), 0, NULL);
	one = json_array_get(json_object_get(all, "conferences"), 0);
	json_incref(one);
	json_decref(all);
	kit_msg_clear(&m);
	assert_non_null(one);
	return one;
}

int64_t
kit_counter(struct kit *k, const char *conf, const char *name)
{
	json_t *st = kit_status(k, conf);
	int64_t v;

	assert_int_equal(perc_json_int(&v, json_object_get(st, "counters"),
			     name, 0, INT64_MAX),
	    0);
	json_decref(st);
	return v;
}

/* ---- what the KMF makes ----------------------------------------------------
 */

void
kit_conf_rekey(struct kit_conf *c)
{
	c->epoch++;
	c->spi = (uint16_t)(c->spi + 1 + perc_random_u32() % 500);
	perc_random(c->key, sizeof(c->key));
	perc_random(c->salt, sizeof(c->salt));
}

void
kit_conf_init(struct kit_conf *c, const char *id)
{
	memset(c, 0, sizeof(*c));
	c->id = id;
	c->keylen = 16;
	c->spi = 4000;
	kit_conf_rekey(c);
}

static void
put_b64(json_t *o, const char *name, const void *p, size_t n)
{
	char text[128];

	perc_b64_put(text, p, n);
	json_object_set_new(o, name, json_string(text));
}

static json_t *
ssrcs_of(const struct kit *k)
{
	json_t *list = json_pack("[{s:I,s:s},{s:I,s:s}]", "ssrc",
	    (json_int_t)k->ssrc[0], "media", "audio", "ssrc",
	    (json_int_t)k->ssrc[1], "media", "video");
	unsigned i;

	for (i = 0; i < k->layers; i++) {
		if (i > 0)
			json_array_append_new(list,
			    json_pack("{s:I,s:s}", "ssrc",
				(json_int_t)k->ssrc[1 + i], "media", "video"));
		json_object_set_new(
		    json_array_get(list, 1 + i), "layer", json_integer(i));
	}
	return list;
}

static void
put_set(json_t *o, const struct kit_conf *c)
{
	char keyid[80];

	snprintf(keyid, sizeof(keyid), "%s.%llu", c->id,
	    (unsigned long long)c->epoch);
	json_object_set_new(o, "iss", json_string(KIT_KMF));
	json_object_set_new(o, "iat", json_integer(now_s()));
	json_object_set_new(o, "conference", json_string(c->id));
	json_object_set_new(o, "keyid", json_string(keyid));
	json_object_set_new(o, "epoch", json_integer((json_int_t)c->epoch));
	json_object_set_new(o, "spi", json_integer(c->spi));
	json_object_set_new(o, "ttl", json_integer(300));
	json_object_set_new(o, "cipher",
	    json_string(c->keylen == 32 ? "AESKW256" : "AESKW128"));
	json_object_set_new(
	    o, "profile", json_string(c->keylen == 32 ? "000A" : "0009"));
}

static void
override(json_t *o, json_t *over)
{
	const char *name;
	json_t *v;

	json_object_foreach(over, name, v)
	{
		if (json_is_null(v))
			json_object_del(o, name);
		else
			json_object_set(o, name, v);
	}
	json_decref(over);
}

json_t *
kit_answer_claims(const struct kit_conf *c, const struct kit *k)
{
	json_t *o = json_object();
	char jkt[PERC_JKT_LEN + 1];

	assert_int_equal(perc_jwk_thumbprint(jkt, k->seal), 0);
	put_set(o, c);
	put_b64(o, "key", c->key, c->keylen);
	put_b64(o, "salt", c->salt, sizeof(c->salt));
	put_b64(o, "delivery_key", k->delivery, sizeof(k->delivery));
	json_object_set_new(o, "aud", json_string(jkt));
	json_object_set_new(o, "exp", json_integer(now_s() + 60));
	json_object_set_new(o, "member", json_string(k->member));
	json_object_set_new(o, "name", json_string(k->name));
	json_object_set_new(o, "usage", json_string("EKT"));
	json_object_set_new(o, "ssrcs", ssrcs_of(k));
	json_object_set_new(o, "roster_seq", json_integer(0));
	json_object_set_new(o, "policy",
	    json_pack("{s:s,s:s,s:i}", "cipher",
		c->keylen == 32 ? "AESKW256" : "AESKW128", "profile",
		c->keylen == 32 ? "AEAD_AES_256_GCM" : "AEAD_AES_128_GCM",
		"overlap_ms", 1000));
	json_object_set_new(o, "media",
	    json_pack("[{s:s,s:i,s:s},{s:s,s:i,s:s}]", "media", "audio", "pt",
		111, "codec", "opus/48000/2", "media", "video", "pt", 96,
		"codec", "VP8/90000"));
	return o;
}

char *
kit_answer_seal(const struct perc_jwk *key, const struct kit *k, json_t *claims)
{
	char *jws, *jwe;

	assert_int_equal(
	    perc_jws_sign(&jws, key, "perch-ekt+jwt", claims, false), 0);
	assert_int_equal(
	    perc_jwe_seal(&jwe, k->seal, "perch-ekt+jwt", jws, strlen(jws)), 0);
	json_decref(claims);
	free(jws);
	return jwe;
}

char *
kit_answer(const struct kit_kmf *kmf, const struct kit_conf *c,
    const struct kit *k, json_t *over)
{
	json_t *o = kit_answer_claims(c, k);

	override(o, over);
	return kit_answer_seal(kmf->key, k, o);
}

static char *
sign(const struct perc_jwk *key, const char *typ, json_t *claims)
{
	char *jws;

	assert_int_equal(perc_jws_sign(&jws, key, typ, claims, false), 0);
	json_decref(claims);
	return jws;
}

char *
kit_statement(
    const struct perc_jwk *key, const struct kit_conf *c, json_t *over)
{
	uint8_t both[44], hash[PERC_SHA256_LEN];
	json_t *o = json_object();

	put_set(o, c);
	memcpy(both, c->key, c->keylen);
	memcpy(both + c->keylen, c->salt, sizeof(c->salt));
	assert_int_equal(perc_sha256(hash, both, c->keylen + 12), 0);
	put_b64(o, "key_hash", hash, sizeof(hash));
	override(o, over);
	return sign(key, "perch-epoch+jwt", o);
}

char *
kit_sealed(const struct kit_conf *c, const struct kit *k)
{
	uint8_t both[44], box[44 + PERC_SEAL_OVERHEAD];
	char aad[256], *text = malloc(128);
	size_t n = c->keylen + 12;

	memcpy(both, c->key, c->keylen);
	memcpy(both + c->keylen, c->salt, sizeof(c->salt));
	snprintf(aad, sizeof(aad), "perch-epoch|%s|%llu|%s", c->id,
	    (unsigned long long)c->epoch, k->member);
	assert_int_equal(
	    perc_seal(box, k->delivery, aad, strlen(aad), both, n), 0);
	perc_b64_put(text, box, n + PERC_SEAL_OVERHEAD);
	return text;
}

char *
kit_roster(const struct perc_jwk *key, struct kit_conf *c,
    struct kit *const *members, unsigned n, json_t *over)
{
	json_t *list = json_array(), *o;
	uint8_t hash[PERC_SHA256_LEN];
	bool real = over == NULL;
	unsigned i;
	char *jws;

	for (i = 0; i < n; i++)
		json_array_append_new(list,
		    json_pack("{s:s,s:s,s:{s:s,s:s},s:s,s:s,s:o}", "member",
			members[i]->member, "name", members[i]->name,
			"identity", "iss", KIT_KMF, "sub", members[i]->name,
			"kind", "person", "role", "member", "ssrcs",
			ssrcs_of(members[i])));
	o = json_pack("{s:s,s:I,s:I,s:s,s:I,s:s,s:I,s:o}", "iss", KIT_KMF,
	    "iat", (json_int_t)now_s(), "exp", (json_int_t)(now_s() + 75),
	    "conference", c->id, "seq", (json_int_t)(c->seq + 1), "prev",
	    c->prev, "epoch", (json_int_t)c->epoch, "members", list);
	assert_non_null(o);
	override(o, over);
	jws = sign(key, "perch-roster+jwt", o);
	if (real) {
		c->seq++;
		assert_int_equal(perc_sha256(hash, jws, strlen(jws)), 0);
		perc_b64_put(c->prev, hash, sizeof(hash));
	}
	return jws;
}

char *
kit_notice(const struct perc_jwk *key, const char *conf, const char *event,
    const char *member)
{
	json_t *o = json_pack("{s:s,s:I,s:s,s:s,s:s}", "iss", KIT_KMF, "iat",
	    (json_int_t)now_s(), "conference", conf, "event", event, "reason",
	    "because");

	if (member != NULL)
		json_object_set_new(o, "member", json_string(member));
	return sign(key, "perch-notice+jwt", o);
}

void
kit_join(struct kit *k, const struct kit_kmf *kmf, struct kit_conf *c)
{
	char *jwe = kit_answer(kmf, c, k, NULL);

	assert_int_equal(
	    kit_err(kit_call(k, VAULT_OPEN, 2, c->id, KIT_KMF)), 0);
	assert_int_equal(kit_err(kit_call(k, VAULT_KEY, 2, c->id, jwe)), 0);
	free(jwe);
}

void
kit_push(struct kit *k, const struct kit_kmf *kmf, struct kit_conf *c)
{
	char *st = kit_statement(kmf->key, c, NULL), *box = kit_sealed(c, k);

	assert_int_equal(
	    kit_err(kit_call(k, VAULT_EPOCH, 3, c->id, st, box)), 0);
	free(st);
	free(box);
}

void
kit_roster_all(const struct kit_kmf *kmf, struct kit_conf *c,
    struct kit *const *members, unsigned n)
{
	char *jws = kit_roster(kmf->key, c, members, n, NULL);
	unsigned i;

	for (i = 0; i < n; i++)
		assert_int_equal(
		    kit_err(kit_call(members[i], VAULT_ROSTER, 2, c->id, jws)),
		    0);
	free(jws);
}

/* ---- media ----------------------------------------------------------------
 */

void
kit_app_send_to(struct kit *k, uint16_t port, const void *p, size_t n)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

	assert_int_equal(
	    sendto(k->app, p, n, 0, (struct sockaddr *)&to, sizeof(to)),
	    (ssize_t)n);
}

void
kit_app_send(struct kit *k, enum vault_media media, uint8_t pt)
{
	uint8_t p[256];
	struct perc_wire w;
	char text[96];

	snprintf(text, sizeof(text), "%s %u", k->name, (unsigned)k->seq);
	perc_wire_writer(&w, p, sizeof(p));
	perc_wire_put_u8(&w, 0x80);
	perc_wire_put_u8(&w, pt);
	perc_wire_put_u16(&w, k->seq++);
	perc_wire_put_u32(&w, k->ts += 960);
	perc_wire_put_u32(&w, 0xabcdef01); /* the application's own idea */
	perc_wire_put_bytes(&w, text, strlen(text));
	kit_app_send_to(k, k->port[media][0], p, w.pos);
}

void
kit_listen(struct kit *k, uint16_t port)
{
	if (k->rx >= 0)
		close(k->rx);
	assert_int_not_equal(port, 0);
	k->rx = udp(&port);
}

size_t
kit_recv(struct kit *k, uint8_t *buf, size_t cap)
{
	ssize_t n = recv(k->rx, buf, cap, MSG_DONTWAIT);

	return n < 0 ? 0 : (size_t)n;
}

unsigned
kit_carry(struct kit *from, struct kit *const *to, unsigned n)
{
	struct kit_msg m;
	unsigned count = 0, i;

	while (kit_take(from, VAULT_MEDIA_OUT, &m)) {
		for (i = 0; i < n; i++)
			if (to[i] != from && !to[i]->closed)
				kit_send_raw(
				    to[i], VAULT_MEDIA_IN, m.data, m.len);
		kit_msg_clear(&m);
		count++;
	}
	return count;
}

uint16_t
kit_port(struct kit *k, uint32_t ssrc)
{
	json_t *j = NULL, *o;
	struct kit_msg m;
	struct perc_wire w;
	int64_t v, port = 0;
	unsigned last;
	size_t i;

	for (last = k->nq; last > 0; last--)
		if (k->q[last - 1].type == VAULT_STREAMS)
			break;
	if (last == 0)
		return 0;
	m = k->q[last - 1];
	perc_wire_reader(&w, m.data, m.len);
	perc_wire_get_str(&w);
	j = json_loads(perc_wire_get_str(&w), 0, NULL);
	json_array_foreach(json_object_get(j, "out"), i,
	    o) if (perc_json_int(&v, o, "ssrc", 0, UINT32_MAX) == 0 &&
	    v == ssrc)
	    assert_int_equal(perc_json_int(&port, o, "port", 1, 65535), 0);
	json_decref(j);
	return (uint16_t)port;
}
