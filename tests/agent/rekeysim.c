/* SPDX-License-Identifier: Apache-2.0 */
/* The members, the KMF and the network of rekeysim.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "perc/json.h"
#include "rekeysim.h"

struct sim sim;

int64_t __wrap_perc_boot_ms(void);
void __wrap_vault_send_packet(
    struct vault_slot *slot, uint16_t type, const uint8_t *p, size_t n);

int64_t
__wrap_perc_boot_ms(void)
{
	return sim.now;
}

static uint32_t
rnd(uint32_t n)
{
	sim.seed ^= sim.seed << 13;
	sim.seed ^= sim.seed >> 7;
	sim.seed ^= sim.seed << 17;
	return n == 0 ? 0 : (uint32_t)(sim.seed >> 20) % n;
}

struct vault_slot *
sim_slot(unsigned i)
{
	return &sim.m[i].k->vault->slots[0];
}

static struct perc_double_tx *
tx_of(const struct vault_slot *v, const uint8_t *p)
{
	uint32_t ssrc = (uint32_t)p[8] << 24 | p[9] << 16 | p[10] << 8 | p[11];

	return v
	    ->local[v->local[VAULT_AUDIO].ssrc == ssrc ? VAULT_AUDIO
						       : VAULT_VIDEO]
	    .tx;
}

/* The epoch whose key encrypted what has just been sealed. */
static unsigned
epoch_of(const struct vault_slot *v, const uint8_t *p)
{
	uint16_t spi = perc_double_tx_spi(tx_of(v, p));
	unsigned e = 0;

	while (e < EPOCHS && sim.spi[e] != spi)
		e++;
	assert_true(e < EPOCHS);
	return e;
}

/* A vault seals: to all others goes a copy, or none, or two. */
void
__wrap_vault_send_packet(
    struct vault_slot *from, uint16_t type, const uint8_t *p, size_t n)
{
	const struct net *net = &sim.net;
	unsigned i, epoch;
	int64_t at;

	if (type != VAULT_MEDIA_OUT)
		return;
	epoch = epoch_of(from, p);
	for (i = 0; i < MEMBERS; i++) {
		if (i == sim.sent_by || !sim.m[i].in || rnd(1000) < net->loss)
			continue;
		sim.m[i].due++;
		sim.m[i].of[epoch].due++;
		at = sim.now + net->least_ms;
		road_add(
		    &sim.road, at + rnd((uint32_t)net->jitter_ms + 1), i, p, n);
		if (rnd(1000) < net->twice)
			road_add(&sim.road, at + rnd(200), i, p, n);
	}
}

static void
say(unsigned i, enum vault_media media)
{
	struct vault_local *l = &sim_slot(i)->local[media];

	sim.sent_by = i;
	kit_app_send(sim.m[i].k, media, media == VAULT_AUDIO ? 111 : 96);
	vault_local_rtp(l->rtp_fd, EPOLLIN, l);
}

uint64_t
sim_opened(unsigned i)
{
	return perc_double_rx_stats(sim_slot(i)->rx)->opened;
}

/* Those between what it knew and this one, if they are not on their way. */
static void
jump(struct member *m, uint64_t to)
{
	uint64_t e;

	for (e = m->knows + 1; e < to; e++)
		m->of[e].gone = m->of[e].push_lost;
}

/* An epoch reaches member i; the stream may bring one that a fetch jumped. */
static void
learn(unsigned i, const struct kit_conf *c, bool pushed)
{
	struct vault_slot *v = sim_slot(i);
	bool again = !pushed || c->epoch <= sim.m[i].told;
	char *statement, *box;
	int r;

	if (pushed && !again)
		sim.m[i].told = c->epoch;
	if (c->epoch == sim.m[i].knows || (c->epoch < sim.m[i].knows && again))
		return;
	statement = kit_statement(sim.kmf.key, c, NULL);
	box = kit_sealed(c, sim.m[i].k);
	r = vault_epoch_take(v, statement, box);
	free(statement);
	free(box);
	if (c->epoch < sim.m[i].knows)
		return;
	assert_int_equal(r, 0);
	jump(&sim.m[i], c->epoch);
	sim.m[i].knows = c->epoch;
	if (c->epoch == sim.conf.epoch)
		assert_int_equal(vault_roster_take(v, sim.roster), 0);
}

void
sim_news(unsigned to, int64_t in_ms, bool newest)
{
	struct flight *f = road_add(&sim.road, sim.now + in_ms, to, NULL, 0);

	f->newest = newest;
	f->conf = sim.conf;
}

/* KEY_WANTED: the front fetches. Nothing else of the channel counts here. */
static void
listen_to(unsigned i)
{
	struct kit *k = sim.m[i].k;
	struct kit_msg m;
	unsigned at;

	while (k->nq > 0) {
		m = k->q[0];
		at = --k->nq;
		memmove(&k->q[0], &k->q[1], at * sizeof(k->q[0]));
		if (m.type == VAULT_KEY_WANTED &&
		    sim.m[i].knows < sim.conf.epoch &&
		    sim.now - sim.m[i].asked_ms > 300) {
			sim.m[i].asked_ms = sim.now;
			sim_news(i, 20 + rnd((uint32_t)sim.net.fetch_ms), true);
		}
		kit_msg_clear(&m);
	}
}

static void
arrive(struct flight *f)
{
	if (f->len > 0)
		vault_media_in(sim_slot(f->to), f->p, f->len);
	else
		learn(f->to, f->newest ? &sim.conf : &f->conf, !f->newest);
	flight_free(f);
}

void
sim_run(int64_t ms)
{
	int64_t until = sim.now + ms;
	struct flight *f;
	unsigned i;

	for (; sim.now < until; sim.now++) {
		while ((f = road_next(&sim.road, sim.now)) != NULL)
			arrive(f);
		if (sim.now % STEP_MS != 0)
			continue;
		assert_int_equal(perc_loop_turn(sim.loop, 0), 0);
		for (i = 0; i < MEMBERS; i++) {
			listen_to(i);
			if (!sim.m[i].in || sim.m[i].asleep)
				continue;
			say(i, VAULT_AUDIO);
			if (i == 0 && sim.now % 40 == 0)
				say(i, VAULT_VIDEO);
		}
	}
}

void
sim_epoch_begin(void)
{
	if (sim.spi[sim.conf.epoch] != 0)
		kit_conf_rekey(&sim.conf);
	assert_true(sim.conf.epoch < EPOCHS);
	sim.spi[sim.conf.epoch] = sim.conf.spi;
}

static void
rekey(void)
{
	bool lost;
	unsigned i;

	sim_epoch_begin();
	for (i = 0; i < MEMBERS; i++) {
		if (!sim.m[i].in)
			continue;
		lost = rnd(1000) < sim.net.pushes_lost;
		sim.m[i].of[sim.conf.epoch].push_lost = lost;
		if (i == 3 && sim.stall_ms != 0)
			sim_news(
			    i, sim.stall_ms - sim.now % sim.stall_ms, false);
		else
			sim_news(i,
			    lost ? LEARN_MAX : rnd((uint32_t)sim.net.push_ms),
			    lost);
	}
}

/* Signed with the epoch; who does not know that yet gets it with the key. */
void
sim_roster(void)
{
	struct kit *list[MEMBERS];
	unsigned i, n = 0;

	for (i = 0; i < MEMBERS; i++)
		if (sim.m[i].in)
			list[n++] = sim.m[i].k;
	free(sim.roster);
	sim.roster = kit_roster(sim.kmf.key, &sim.conf, list, n, NULL);
	for (i = 0; i < MEMBERS; i++)
		if (sim.m[i].in && sim.m[i].knows == sim.conf.epoch)
			assert_int_equal(
			    vault_roster_take(sim_slot(i), sim.roster), 0);
}

void
sim_come_in(unsigned i)
{
	struct kit *k = sim.m[i].k;

	kit_join(k, &sim.kmf, &sim.conf);
	sim_slot(i)->overlap_ms = OVERLAP;
	sim.m[i].knows = sim.conf.epoch;
	sim.m[i].in = true;
}

int
sim_setup(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d", "e" };
	const char *seed = getenv("PERCH_SEED");
	unsigned i;

	memset(&sim, 0, sizeof(sim));
	sim.now = 1000000;
	sim.seed = seed != NULL ? strtoull(seed, NULL, 10) * 2 + 1 : 20263;
	assert_int_equal(perc_loop_new(&sim.loop), 0);
	kit_kmf_open(&sim.kmf);
	kit_conf_init(&sim.conf, SIM_CONF);
	sim_epoch_begin();
	for (i = 0; i < MEMBERS; i++) {
		sim.m[i].k = calloc(1, sizeof(*sim.m[i].k));
		kit_open(sim.m[i].k, sim.loop, &sim.kmf, names[i], i);
	}
	for (i = 0; i < 4; i++)
		sim_come_in(i);
	sim_roster();
	return 0;
}

int
sim_teardown(void **state)
{
	unsigned i;

	road_clear(&sim.road);
	for (i = 0; i < MEMBERS; i++) {
		kit_close(sim.m[i].k);
		free(sim.m[i].k);
	}
	free(sim.roster);
	kit_kmf_close(&sim.kmf);
	perc_loop_free(sim.loop);
	return 0;
}

void
sim_due_restart(struct member *m)
{
	unsigned e;

	m->due = 0;
	for (e = 0; e < EPOCHS; e++)
		m->of[e].due = 0;
}

/* Of what came, the packets whose key it could have. */
static uint64_t
due(const struct member *m)
{
	uint64_t n = m->due;
	unsigned e;

	for (e = 0; e < EPOCHS; e++)
		n -= m->of[e].gone ? m->of[e].due : 0;
	return n;
}

/* All have spoken to all; from here on each packet is counted. */
void
sim_settle_in(void)
{
	unsigned i;

	sim_run(500);
	for (i = 0; i < MEMBERS; i++)
		sim.m[i].asleep = true;
	sim_run(500);
	for (i = 0; i < MEMBERS; i++) {
		sim.m[i].asleep = false;
		sim_due_restart(&sim.m[i]);
	}
}

void
sim_histories(struct net net, unsigned rekeys, int64_t apart_ms, bool sleepers)
{
	uint64_t was[MEMBERS] = { 0 };
	unsigned i, n;

	sim_settle_in();
	for (i = 0; i < MEMBERS; i++)
		was[i] = sim.m[i].in ? sim_opened(i) : 0;
	sim.net = net;
	for (n = 0; n < rekeys; n++) {
		rekey();
		sim_roster();
		for (i = 1; sleepers && i < MEMBERS; i++)
			sim.m[i].asleep = rnd(3) == 0;
		sim_run(apart_ms / 2 + rnd((uint32_t)apart_ms));
	}
	for (i = 0; i < MEMBERS; i++)
		sim.m[i].asleep = false;
	sim_run(LEARN_MAX + 500);
	for (i = 0; i < MEMBERS; i++)
		sim.m[i].asleep = true;
	sim_run(500);
	for (i = 0; i < MEMBERS; i++)
		if (sim.m[i].in && sim_opened(i) - was[i] != due(&sim.m[i]))
			fail_msg("member %u: %llu of %llu opened, seed %s", i,
			    (unsigned long long)(sim_opened(i) - was[i]),
			    (unsigned long long)due(&sim.m[i]),
			    getenv("PERCH_SEED"));
}

void
sim_all_asleep(bool asleep)
{
	unsigned i;

	for (i = 0; i < MEMBERS; i++)
		sim.m[i].asleep = asleep;
}

/* Everybody goes over to a new epoch, and gets its roster. */
void
sim_rekey_all(unsigned n)
{
	unsigned i;

	sim_epoch_begin();
	for (i = 0; i < n; i++)
		sim_news(i, rnd(50), false);
	sim_roster();
}
