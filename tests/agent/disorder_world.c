/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a front can get hold of or make up: all that the KMF ever said to
 * anybody, what others signed in its name, packets of members and packets
 * that nobody sealed. Keys are dear, so the KMF is one for all runs; what it
 * says is as old as the run.
 */
#include "disorder_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "perc/b64.h"
#include "perc/json.h"
#include "perc/log.h"

#define WALL_MS INT64_C(1800000000000) /* any time will do */
#define BOOT_MS INT64_C(1000000)
#define SECRETS 16
#define FORMS	3 /* octets, hex, base64url */

struct world world;

static struct {
	uint8_t p[128];
	size_t n;
} secrets[SECRETS * FORMS];
static unsigned nsecrets, nshared; /* those of the vault stand behind */

int64_t __wrap_perc_boot_ms(void);
int64_t __wrap_perc_wall_ms(void);

int64_t
__wrap_perc_boot_ms(void)
{
	return BOOT_MS + world.passed_ms;
}

int64_t
__wrap_perc_wall_ms(void)
{
	return WALL_MS + world.passed_ms;
}

int64_t
world_now(void)
{
	return BOOT_MS + world.passed_ms;
}

/* ---- what must never leave ---------------------------------------------- */

static void
secret_put(const void *p, size_t n)
{
	must(nsecrets < SECRETS * FORMS && n <= sizeof(secrets[0].p));
	memcpy(secrets[nsecrets].p, p, n);
	secrets[nsecrets++].n = n;
}

static void
secret_add(const uint8_t *key, size_t n)
{
	char text[128];

	secret_put(key, n);
	perc_hex_put(text, key, n);
	secret_put(text, 2 * n);
	perc_b64_put(text, key, n);
	secret_put(text, strlen(text));
}

static void
secret_own(const struct perc_jwk *k)
{
	char *text, *d;

	must(perc_jwk_private_json(&text, k) == 0);
	must((d = strstr(text, "\"d\":\"")) != NULL && strlen(d) > 48);
	secret_put(d + 5, 43);
	perc_json_free(text);
}

void
world_secret_own(const struct vault *v)
{
	nsecrets = nshared;
	secret_own(v->sign);
	secret_own(v->seal);
}

bool
world_secret_in(const uint8_t *p, size_t n)
{
	unsigned i;

	for (i = 0; i < nsecrets; i++)
		if (memmem(p, n, secrets[i].p, secrets[i].n) != NULL)
			return true;
	return false;
}

bool
world_receipt_good(const struct vault *v, const char *text)
{
	struct perc_jws j = { 0 };
	int r = perc_jws_verify(&j, text, strlen(text), PERC_JOSE_TOKEN_MAX,
	    v->sign, "perch-receipt+jwt");
	bool good = r == 0 &&
	    json_integer_value(json_object_get(j.payload, "keys_erased")) > 0;

	perc_jws_clear(&j);
	return good;
}

/* ---- making it ----------------------------------------------------------- */

static void
person(struct kit *k, const char *name, unsigned number)
{
	snprintf(k->name, sizeof(k->name), "%s", name);
	snprintf(k->member, sizeof(k->member), "m_%s", name);
	k->ssrc[0] = number * 0x100 + 1;
	k->ssrc[1] = number * 0x100 + 2;
	perc_random(k->delivery, sizeof(k->delivery));
}

static struct perc_enckey
enckey(const struct kit_conf *c)
{
	struct perc_enckey k = { .keylen = c->keylen,
		.spi = c->spi,
		.ttl_s = TTL_MS / 1000,
		.cipher = c->keylen == 32 ? PERC_AESKW256 : PERC_AESKW128,
		.profile =
		    c->keylen == 32 ? PERC_DOUBLE_256 : PERC_DOUBLE_128 };

	memcpy(k.key, c->key, c->keylen);
	memcpy(k.salt, c->salt, sizeof(k.salt));
	return k;
}

static void
sender(struct sender *s, struct perc_ekt *e, const struct kit_conf *c)
{
	struct perc_enckey k = enckey(c);

	must(perc_ekt_add(e, &k, INT64_MAX) == 0);
	must(perc_double_tx_new(
		 &s->tx, e, world.you.ssrc[0], PERC_FULL_AUDIO) == 0);
	must(perc_double_tx_switch(s->tx, c->spi, 1) == 0);
}

static void
conf_make(unsigned i, const char *id, size_t keylen)
{
	struct kit_conf c;
	unsigned e;

	kit_conf_init(&c, id);
	c.keylen = keylen;
	must(perc_ekt_new(&world.ekt[i]) == 0);
	for (e = 0; e < EPOCHS; e++) {
		if (e == EPOCHS - 1)
			c.keylen = 16;
		c.spi = (uint16_t)(100 * (i + 1) + e);
		world.conf[i][e] = c;
		sender(&world.sender[i][e], world.ekt[i], &c);
		secret_add(c.key, c.keylen);
		kit_conf_rekey(&c);
	}
}

/* The first has you, the next has not; the other next has a third. */
static void
rosters_make(unsigned i)
{
	struct kit *const all[] = { &world.me, &world.you, &world.third };
	struct kit_conf c = world.conf[i][0];

	world.roster[i][0] = kit_roster(world.kmf.key, &c, all, 2, NULL);
	world.roster[i][2] =
	    kit_roster(world.kmf.key, &c, all, 3, json_object());
	world.roster[i][1] = kit_roster(world.kmf.key, &c, all, 1, NULL);
}

void
world_make(void)
{
	static const char *const ids[CONFS] = { "c_fuzz", "c_else" };
	struct kit_conf lie;
	unsigned i;

	if (world.loop != NULL)
		return;
	perc_log_init("disorder", "vault", 0, PERC_LOG_ERROR);
	must(perc_loop_new(&world.loop) == 0);
	kit_kmf_open(&world.kmf);
	kit_kmf_open(&world.foreign);
	person(&world.me, "me", 1);
	person(&world.you, "you", 2);
	person(&world.third, "third", 3);
	secret_add(world.me.delivery, sizeof(world.me.delivery));
	for (i = 0; i < CONFS; i++) {
		conf_make(i, ids[i], i == 0 ? 32 : 16);
		rosters_make(i);
	}
	lie = world.conf[0][0];
	perc_random(lie.key, sizeof(lie.key));
	must(perc_ekt_new(&world.false_ekt) == 0);
	sender(&world.false_sender, world.false_ekt, &lie);
	nshared = nsecrets;
}

/* ---- what the KMF says, and what others say it said ---------------------- */

char *
world_answer(unsigned conf, enum disorder_lie lie, unsigned epoch)
{
	const struct kit_conf *c =
	    &world.conf[lie == DISORDER_OTHER ? 1 - conf : conf][epoch];
	json_int_t now = (json_int_t)(__wrap_perc_wall_ms() / 1000);
	json_t *over = NULL;

	if (lie == DISORDER_AUDIENCE)
		over = json_pack("{s:s}", "aud",
		    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
	else if (lie == DISORDER_USAGE)
		over = json_pack("{s:s}", "usage", "HBH");
	else if (lie == DISORDER_OLD)
		over = json_pack("{s:I,s:I}", "iat", now - 100, "exp",
		    now - 100 + ANSWER_MS / 1000);
	return kit_answer(lie == DISORDER_FOREIGN ? &world.foreign : &world.kmf,
	    c, &world.me, over);
}

char *
world_statement(unsigned conf, enum disorder_lie lie, unsigned epoch)
{
	bool other = lie == DISORDER_OTHER;
	json_t *over = NULL;

	if (lie == DISORDER_OLD)
		over = json_pack("{s:I}", "iat",
		    (json_int_t)(__wrap_perc_wall_ms() / 1000 - TTL_MS / 1000 -
			60));
	return kit_statement(
	    lie == DISORDER_FOREIGN ? world.foreign.key : world.kmf.key,
	    &world.conf[other ? 1 - conf : conf][epoch], over);
}

char *
world_copy(unsigned conf, enum disorder_lie lie, unsigned epoch)
{
	if (lie == DISORDER_USAGE)
		epoch = (epoch + 1) % EPOCHS;
	return kit_sealed(
	    &world.conf[lie == DISORDER_OTHER ? 1 - conf : conf][epoch],
	    lie == DISORDER_AUDIENCE ? &world.you : &world.me);
}

char *
world_roster(unsigned conf, enum disorder_lie lie, unsigned which)
{
	struct kit *const all[] = { &world.me, &world.third };
	struct kit_conf c = world.conf[conf][0];

	if (lie == DISORDER_FOREIGN)
		return kit_roster(world.foreign.key, &c, all, 2, json_object());
	return strdup(
	    world.roster[lie == DISORDER_OTHER ? 1 - conf : conf][which]);
}

char *
world_notice(unsigned conf, enum disorder_lie lie, bool evicted)
{
	const struct kit *who =
	    lie == DISORDER_AUDIENCE ? &world.you : &world.me;

	return kit_notice(
	    lie == DISORDER_FOREIGN ? world.foreign.key : world.kmf.key,
	    world.conf[lie == DISORDER_OTHER ? 1 - conf : conf][0].id,
	    evicted ? "evicted" : "ended", evicted ? who->member : NULL);
}

size_t
world_packet(struct sender *s, uint8_t pt, const void *payload, size_t n,
    uint8_t out[static VAULT_PACKET_MAX])
{
	static struct sender nobody;
	struct sender *from = s == NULL ? &nobody : s;
	uint8_t in[VAULT_PACKET_MAX] = { 0x80, pt };
	size_t len = 12 + n;

	must(len + PERC_DOUBLE_ROOM < sizeof(in));
	from->seq++;
	in[2] = (uint8_t)(from->seq >> 8);
	in[3] = (uint8_t)from->seq;
	in[10] = (uint8_t)(world.you.ssrc[0] >> 8);
	in[11] = (uint8_t)world.you.ssrc[0];
	if (n > 0)
		memcpy(in + 12, payload, n);
	if (s == NULL) {
		memcpy(out, in, len);
		return len;
	}
	perc_double_tx_key_frame(s->tx); /* each vault is new */
	must(perc_double_tx_seal(
		 s->tx, 1, in, len, out, VAULT_PACKET_MAX, &len) == 0);
	return len;
}
