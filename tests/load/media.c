/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One seat's vault and what it is told. Everything goes the way that it goes
 * in an agent: messages of agent/vaultmsg.h over a socket pair, plain RTP of
 * a local application into the vault's own socket.
 */
#include "tests/load/media.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/text.h"
#include "perc/json.h"

#define SPY_MS	3000
#define WANT_MS 1000

static struct vault_config config; /* the same KMF is pinned by all */

/* --- what the vault says ---------------------------------------------------
 */
static void
on_ready(const char *sign, const char *seal, const char *report, void *arg)
{
}

static void
on_erased(const char *conf, const char *reason, const char *receipt, void *arg)
{
	struct load_media *m = arg;

	m->conf.vault_live = false;
	m->ssrc = 0;
}

static void
on_media(unsigned slot, const uint8_t *p, size_t n, void *arg)
{
	front_leg_media(((struct load_media *)arg)->conf.leg, p, n);
}

static void
on_rtcp(unsigned slot, const uint8_t *p, size_t n, void *arg)
{
	front_leg_rtcp(((struct load_media *)arg)->conf.leg, p, n);
}

static void
on_key_wanted(const char *conf, uint16_t spi, void *arg)
{
	struct load_media *m = arg;
	int64_t now = perc_now_ms();

	if (m->s->state != SEAT_LIVE || m->spying ||
	    now - m->conf.keys_asked_ms < WANT_MS)
		return;
	m->conf.keys_asked_ms = now;
	load_seat_keys_ask(m->s);
}

static void
on_text(const char *conf, const char *json, void *arg)
{
}

static void
on_gone(void *arg)
{
	struct load_media *m = arg;

	fprintf(stderr, "perch-load: %s: its vault is gone\n", m->s->member);
	exit(1);
}

static const struct front_vault_events events = {
	.ready = on_ready,
	.erased = on_erased,
	.media = on_media,
	.rtcp = on_rtcp,
	.key_wanted = on_key_wanted,
	.streams = on_text,
	.speaking = on_text,
	.gone = on_gone,
};

/* --- what it is told -------------------------------------------------------
 */
static void
tell(struct load_media *m, enum vault_msg type, const char *a, const char *b,
    front_vault_fn fn)
{
	const char *strs[] = { m->s->l->conf, a, b };

	if (front_vault_ask(m->front, type, strs,
		b != NULL	? 3
		    : a != NULL ? 2
				: 1,
		fn, m) != 0) {
		fprintf(stderr, "perch-load: %s: its vault is full\n",
		    m->s->member);
		exit(1);
	}
}

static void
trouble(struct load_media *m, const char *what, const char *words)
{
	if (m->s->l->verbose)
		fprintf(stderr, "# %s: vault refuses %s: %s\n", m->s->member,
		    what, words);
}

/* The stream and a fetch overtake each other, and the vault has the newer one
 * by then: it says REPLAY, and nobody lacks anything. True: it does. */
static bool
lacks(struct load_media *m, const char *what, int err, const char *words)
{
	trouble(m, what, words);
	if (err == PERC_ERR_REPLAY)
		m->s->l->count->overtaken++;
	else
		m->s->l->count->bad_keys++;
	return err != PERC_ERR_REPLAY;
}

static void
on_opened(int err, const char *text, void *arg)
{
	struct load_media *m = arg;

	m->conf.slot = 0;
	m->conf.vault_open = err == 0;
	if (err != 0)
		trouble(m, "the conference", text);
}

bool
load_media_hears(struct load_media *m)
{
	if (m->up_us == 0 && m->rostered && m->conf.state == FRONT_UP) {
		m->up_us = load_us();
		m->s->hears = true;
	}
	return m->up_us != 0;
}

static void
on_key(int err, const char *text, void *arg)
{
	struct load_media *m = arg;

	if (err != 0) {
		(void)lacks(m, "a key", err, text);
		return;
	}
	m->ssrc = m->vault->slots[m->conf.slot].local[0].ssrc;
	if (m->s->state != SEAT_JOINING)
		return;
	m->conf.vault_live = true;
	load_seat_came_in(m->s);
	load_media_join(m);
}

static void
on_epoch(int err, const char *text, void *arg)
{
	struct load_media *m = arg;

	if (err == 0 || m->spying)
		return;
	if (lacks(m, "an epoch", err, text))
		load_seat_keys_ask(m->s);
}

static void
on_roster(int err, const char *text, void *arg)
{
	struct load_media *m = arg;

	if (err != 0) {
		trouble(m, "a roster", text);
		m->s->l->count->bad_rosters += err == PERC_ERR_CONFLICT;
		if (err == PERC_ERR_NOTFOUND) /* some were missed */
			load_seat_roster_want(m->s,
			    (int64_t)m->vault->slots[m->conf.slot].roster.seq);
		return;
	}
	m->rostered = true;
	(void)load_media_hears(m);
}

void
load_media_key(struct load_seat *s, const char *jwe)
{
	tell(s->media, VAULT_KEY, jwe, NULL, on_key);
}

void
load_media_epoch(struct load_seat *s, const json_t *event, bool late)
{
	if (s->media->conf.vault_live && !s->media->spying)
		tell(s->media, VAULT_EPOCH, perc_json_str(event, "statement"),
		    perc_json_str(event, "sealed"), late ? NULL : on_epoch);
}

void
load_media_roster(struct load_seat *s, const char *text)
{
	if (s->media->conf.vault_live && !s->media->spying)
		tell(s->media, VAULT_ROSTER, text, NULL, on_roster);
}

/* --- coming and going ------------------------------------------------------
 */
static void
media_end(void *arg)
{
	struct load_media *m = arg;

	perc_timer_stop(m->s->l->loop, &m->spy);
	perc_timer_stop(m->s->l->loop, &m->join);
	load_media_part(m);
	if (m->conf.vault_live)
		tell(m, VAULT_LEAVE, NULL, NULL, NULL);
	m->conf.vault_live = m->spying = m->rostered = m->s->hears = false;
	m->ssrc = 0;
	m->up_us = m->first_us = 0;
}

void
load_media_begin(struct load_seat *s)
{
	struct load_media *m = s->media;

	media_end(m);
	load_count_restart(m);
	tell(m, VAULT_OPEN, s->l->base, NULL, on_opened);
}

void
load_media_gone(struct load_seat *s)
{
	struct load_media *m = s->media;

	if (m->up_us != 0)
		load_count_out(m);
	perc_httpc_cancel(m->req);
	m->req = NULL;
	m->spying = true;
	if (perc_timer_set(s->l->loop, &m->spy, SPY_MS, media_end, m) != 0)
		exit(1);
}

/* --- beginning and end -----------------------------------------------------
 */
static void
on_turn(void *arg)
{
	struct load *l = arg;
	unsigned i;

	for (i = 0; i < l->nmedia; i++)
		front_leg_turn(l->seats[i].media->conf.leg);
}

int
load_media_run(struct load *l)
{
	int r;

	config.nkmf = 1;
	config.kmf[0].url = l->base;
	config.kmf[0].set = l->jwks;
	if ((r = load_count_open(l)) != 0 ||
	    (r = perc_loop_after(l->loop, on_turn, l)) != 0)
		return r;
	return load_tone_run(l);
}

static int
vault_open(struct load_media *m, struct perc_loop *loop)
{
	struct vault_setup setup = { .config = &config,
		.out_fd = -1, /* opened is enough: nobody plays it */
		.out_base = VAULT_OUT_BASE,
		.report = "{}" };
	int sv[2], r;

	memset(setup.local_fd, -1, sizeof(setup.local_fd));
	if ((r = load_tone_open(m, &setup.local_fd[0][0][0])) != 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) != 0)
		return PERC_ERR_SYS;
	setup.chan_fd = sv[0];
	if ((r = vault_new(&m->vault, loop, &setup)) != 0)
		return r;
	return front_vault_new(&m->front, loop, sv[1], &events, m);
}

int
load_media_init(struct load_seat *s, unsigned index)
{
	struct load_media *m = calloc(1, sizeof(*m));
	int r;

	if (m == NULL)
		return PERC_ERR_NOMEM;
	s->media = m;
	m->s = s;
	m->index = index;
	m->app_fd = -1;
	m->sent_us = calloc(LOAD_PACKETS_MAX, sizeof(*m->sent_us));
	m->sealed = calloc(LOAD_PACKETS_MAX, sizeof(*m->sealed));
	if (m->sent_us == NULL || m->sealed == NULL)
		return PERC_ERR_NOMEM;
	if ((r = vault_open(m, s->l->loop)) != 0 ||
	    (r = perc_dtls_id_generate(&m->conf.dtls_id, "perch", 2)) != 0)
		return r;
	m->agent.loop = s->l->loop;
	m->agent.vault = m->front;
	m->conf.agent = &m->agent;
	/* The keys of its proofs and of what is sealed to it. */
	perc_jwk_free(s->peer.key);
	perc_jwk_free(s->seal);
	s->peer.key = m->vault->sign;
	s->seal = m->vault->seal;
	return 0;
}

void
load_media_clear(struct load_seat *s)
{
	struct load_media *m = s->media;

	load_media_part(m);
	perc_timer_stop(s->l->loop, &m->spy);
	perc_timer_stop(s->l->loop, &m->join);
	s->peer.key = s->seal = NULL; /* the vault's */
	front_vault_free(m->front);
	vault_free(m->vault);
	perc_dtls_id_free(m->conf.dtls_id);
	if (m->app_fd >= 0)
		close(m->app_fd);
	free(m->sent_us);
	free(m->sealed);
	free(m);
	s->media = NULL;
}
