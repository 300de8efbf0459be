/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The front process: what the vault says by itself, what the perch command
 * asks, and the beginning and end of it all. It holds the channel to the
 * vault and network sockets; no descriptor of a plaintext socket ever comes
 * here (REQ-W-1), because the supervisor gives those to the vault alone.
 */
#include "agent/front.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agentcage.h"
#include "agent/frontsdp.h"
#include "agent/local.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/proc.h"
#include "perc/secret.h"
#include "perc/srtp.h"

#define STOP_MS	    6000
#define STREAMS_MAX (1u << 20)

struct front_conf *
front_conf_find(struct agent *a, const char *id)
{
	for (size_t i = 0; i < FRONT_CONFS_MAX; i++)
		if (a->confs[i] != NULL && a->confs[i]->state != FRONT_OVER &&
		    a->confs[i]->id[0] != '\0' &&
		    strcmp(a->confs[i]->id, id) == 0)
			return a->confs[i];
	return NULL;
}

static struct front_conf *
conf_in_slot(struct agent *a, unsigned slot)
{
	for (size_t i = 0; i < FRONT_CONFS_MAX; i++)
		if (a->confs[i] != NULL && a->confs[i]->vault_live &&
		    a->confs[i]->slot == slot)
			return a->confs[i];
	return NULL;
}

void
front_progress(struct front_conf *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->words, sizeof(c->words), fmt, ap);
	va_end(ap);
	local_progress(c->joiner, c->words);
}

/* ---- the vault's voice -------------------------------------------------- */

static void
on_ready(
    const char *sign_jwk, const char *seal_jwk, const char *report, void *arg)
{
	struct perc_jwk *sign = NULL;
	struct agent *a = arg;

	if (perc_jwk_from_json(&sign, sign_jwk, strlen(sign_jwk), true) != 0 ||
	    perc_jwk_thumbprint(a->sign_jkt, sign) != 0)
		a->sign_jkt[0] = '\0';
	perc_jwk_free(sign);
	free(a->seal_jwk);
	free(a->vault_report);
	a->seal_jwk = text_dup(seal_jwk);
	a->vault_report = text_dup(report);
	a->vault_ready = a->seal_jwk != NULL && a->vault_report != NULL;
	if (local_open(a->local) != 0)
		perc_loop_stop(a->loop);
	log_info("ready socket=%s", a->given >= 0 ? "given" : a->conf->socket);
	log_debug("vault report=%s", report);
}

static void
on_erased(const char *conf, const char *reason, const char *receipt, void *arg)
{
	struct front_conf *c = front_conf_find(arg, conf);

	if (c != NULL && c->vault_open && !c->vault_erased)
		front_erased(c, reason, receipt);
}

static void
on_media(unsigned slot, const uint8_t *p, size_t n, void *arg)
{
	struct front_conf *c = conf_in_slot(arg, slot);

	if (c != NULL)
		front_leg_media(c->leg, p, n);
}

static void
on_rtcp(unsigned slot, const uint8_t *p, size_t n, void *arg)
{
	struct front_conf *c = conf_in_slot(arg, slot);

	if (c != NULL)
		front_leg_rtcp(c->leg, p, n);
}

static void
on_key_wanted(const char *conf, uint16_t spi, void *arg)
{
	struct front_conf *c = front_conf_find(arg, conf);

	if (c != NULL && c->vault_live)
		front_keys_hint(c, spi);
}

static void
on_streams(const char *conf, const char *json, void *arg)
{
	struct agent *a = arg;
	struct front_conf *c = front_conf_find(a, conf);
	json_t *j = NULL;

	if (c == NULL || c->vault_erased ||
	    perc_json_parse(&j, json, strlen(json), STREAMS_MAX, NULL, 0) != 0)
		return;
	front_sdp_write(a->conf->sdp_dir, c->id, json_object_get(j, "out"));
	json_decref(c->streams);
	c->streams = j;
}

static void
on_speaking(const char *conf, const char *json, void *arg)
{
	struct front_conf *c = front_conf_find(arg, conf);
	json_t *j = NULL;

	if (c == NULL || c->vault_erased ||
	    perc_json_parse(&j, json, strlen(json), STREAMS_MAX, NULL, 0) != 0)
		return;
	json_decref(c->speaking);
	c->speaking = json_incref(json_object_get(j, "speaking"));
	json_decref(j);
}

static void
on_vault_gone(void *arg)
{
	struct agent *a = arg;

	if (!a->stopping)
		log_warnx("vault_gone");
	perc_loop_stop(a->loop);
}

static const struct front_vault_events vault_events = {
	.ready = on_ready,
	.erased = on_erased,
	.media = on_media,
	.rtcp = on_rtcp,
	.key_wanted = on_key_wanted,
	.streams = on_streams,
	.speaking = on_speaking,
	.gone = on_vault_gone,
};

/* ---- beginning and end
 * ---------------------------------------------------------- */

static void
on_turn(void *arg)
{
	struct agent *a = arg;

	for (size_t i = 0; i < FRONT_CONFS_MAX; i++)
		if (a->confs[i] != NULL)
			front_leg_turn(a->confs[i]->leg);
}

static void
on_stop_late(void *arg)
{
	struct agent *a = arg;

	perc_loop_stop(a->loop);
}

void
front_stop_step(struct agent *a)
{
	if (!a->stopping)
		return;
	for (size_t i = 0; i < FRONT_CONFS_MAX; i++)
		if (a->confs[i] != NULL && a->confs[i]->state != FRONT_OVER)
			return;
	perc_loop_stop(a->loop);
}

static void
on_wake(int signo, void *arg)
{
	(void)signo;
	front_wake(arg);
}

static void
on_signal(int signo, void *arg)
{
	struct agent *a = arg;

	if (a->stopping)
		return;
	log_info("stopping signal=%d", signo);
	a->stopping = true;
	if (perc_timer_set(a->loop, &a->stop_timer, STOP_MS, on_stop_late, a) !=
	    0)
		perc_loop_stop(a->loop);
	for (size_t i = 0; i < FRONT_CONFS_MAX; i++)
		if (a->confs[i] != NULL)
			front_leave(a->confs[i]);
	front_stop_step(a);
}

static void
on_relay(uint32_t id, bool up, const char *words, void *arg)
{
	struct agent *a = arg;

	front_relay_try_told(a, id, up, words);
	for (size_t i = 0; i < FRONT_CONFS_MAX; i++)
		if (a->confs[i] != NULL && a->confs[i]->leg != NULL)
			front_leg_relay_told(a->confs[i]->leg, id, up, words);
}

static int
agent_open(
    struct agent *a, int vault_fd, int relay_fd, char *why, size_t whycap)
{
	struct perc_httpc_conf http = { .ca_file = a->conf->ca_file,
		.user_agent = "perch-agent",
		.loopback_http = a->conf->loopback_http };
	int r;

	text_put(why, whycap, "cannot start");
	if ((r = perc_loop_new(&a->loop)) != 0 ||
	    (r = perc_loop_signal(a->loop, SIGTERM, on_signal, a)) != 0 ||
	    (r = perc_loop_signal(a->loop, SIGINT, on_signal, a)) != 0 ||
	    (r = perc_loop_signal(a->loop, SIGUSR1, on_wake, a)) != 0 ||
	    (r = perc_httpc_new(&a->http, a->loop, &http)) != 0 ||
	    (r = front_vault_new(
		 &a->vault, a->loop, vault_fd, &vault_events, a)) != 0 ||
	    (r = perc_loop_after(a->loop, on_turn, a)) != 0)
		return r;
	if (relay_fd >= 0 &&
	    (r = front_relays_new(&a->relays, a->loop, relay_fd,
		 a->conf->turn == AGENT_TURN_ALWAYS, on_relay, a)) != 0)
		return r;
	front_moved_follow(a);
	front_idle_start(a);
	return local_new(&a->local, a->loop, a->conf->socket, a->given,
	    front_command, front_asker_gone, a, why, whycap);
}

/* Off the list first: whoever closes looks at the others. */
static void
confs_drop(struct agent *a, size_t i)
{
	struct front_conf *c = a->confs[i];

	a->confs[i] = NULL;
	front_conf_free(c);
}

static void
agent_close(struct agent *a)
{
	local_free(a->local);
	perc_timer_stop(a->loop, &a->idle.timer);
	for (size_t i = 0; i < FRONT_CONFS_MAX; i++)
		confs_drop(a, i);
	front_admins_free(a);
	for (size_t i = 0; i < FRONT_LOGINS_MAX; i++)
		front_login_free(a->logins[i]);
	front_statuses_free(a);
	front_watches_free(a);
	front_moved_stop(a);
	front_relay_try_stop(a);
	front_relays_free(a->relays);
	front_vault_free(a->vault);
	perc_httpc_free(a->http);
	perc_loop_free(a->loop);
	free(a->seal_jwk);
	free(a->vault_report);
}

/* It writes where its socket and the SDP files are. */
static int
cage(const struct agent_conf *conf, bool given)
{
	char socket_dir[4096];
	const char *rw[] = { conf->sdp_dir, given ? NULL : socket_dir, NULL };

	text_put(socket_dir, sizeof(socket_dir), "%s", conf->socket);
	*strrchr(socket_dir, '/') = '\0';
	(void)mkdir(conf->sdp_dir, 0700);
	return agent_cage(conf, PERC_CAGE_NET, rw);
}

int
front_main(const struct agent_conf *conf, int vault_fd, int given, int relay_fd)
{
	struct agent a = { .conf = conf, .given = given, .moved_fd = -1 };
	char why[FRONT_WORDS_MAX];
	int r;

	signal(SIGPIPE, SIG_IGN);
	if (perc_process_harden() != 0)
		log_warn("harden");
	if (perc_srtcp_warm_up() != 0)
		fatalx("libsrtp does not start");
	if ((r = agent_open(&a, vault_fd, relay_fd, why, sizeof(why))) != 0)
		log_warnx("front_start what=\"%s\" err=\"%s\"", why,
		    perc_strerror(r));
	else if ((r = cage(conf, given >= 0)) != 0)
		log_warnx("cage err=\"%s\"", perc_strerror(r));
	else
		r = perc_loop_run(a.loop);
	if (r == 0 && !a.stopping)
		r = PERC_ERR_CLOSED; /* the vault went first */
	agent_close(&a);
	return r == 0 ? 0 : 1;
}
