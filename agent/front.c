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

#include "agent/frontsdp.h"
#include "agent/local.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/proc.h"
#include "perc/sandbox.h"
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

/* By id, by URI, or the only one. */
static struct front_conf *
conf_named(struct agent *a, const char *name)
{
	const char *id = name != NULL ? strrchr(name, '/') : NULL;
	struct front_conf *only = NULL;

	if (name != NULL)
		return front_conf_find(a, id != NULL ? id + 1 : name);
	for (size_t i = 0; i < FRONT_CONFS_MAX; i++) {
		if (a->confs[i] == NULL || a->confs[i]->state == FRONT_OVER)
			continue;
		if (only != NULL)
			return NULL;
		only = a->confs[i];
	}
	return only;
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

void
front_joined(struct front_conf *c)
{
	if (c->joiner != NULL)
		local_result(c->joiner, front_conf_json(c));
	c->joiner = NULL;
}

/* ---- the vault's voice ------------------------------------------------------
 */

static void
on_ready(const char *seal_jwk, const char *report, void *arg)
{
	struct agent *a = arg;

	free(a->seal_jwk);
	free(a->vault_report);
	a->seal_jwk = text_dup(seal_jwk);
	a->vault_report = text_dup(report);
	a->vault_ready = a->seal_jwk != NULL && a->vault_report != NULL;
	log_info("ready socket=%s vault=%s", a->conf->socket, report);
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

	log_info("key_wanted conf=%s spi=%u", conf, spi);
	if (c != NULL && c->vault_live)
		front_keys_want(c);
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
	.gone = on_vault_gone,
};

/* ---- what the perch command asks --------------------------------------------
 */

static void
cmd_join(struct agent *a, struct local_req *r, const json_t *j)
{
	const char *uri = perc_json_str(j, "uri");
	char why[FRONT_WORDS_MAX] = "out of memory";

	if (uri == NULL)
		local_error(r, "usage", "join: uri is missing");
	else if (front_enter(a, r, uri, perc_json_str(j, "code"), why,
		     sizeof(why)) != 0)
		local_error(r, "bad_uri", why);
}

static void
cmd_leave(struct agent *a, struct local_req *r, const json_t *j)
{
	struct front_conf *c = conf_named(a, perc_json_str(j, "conference"));

	if (c == NULL) {
		local_error(r, "not_joined", "not in that conference");
		return;
	}
	if (c->leaver != NULL)
		local_error(c->leaver, "failed", "somebody else asked too");
	c->leaver = r;
	front_leave(c);
}

static void
cmd_roster(struct agent *a, struct local_req *r, const json_t *j)
{
	struct front_conf *c = conf_named(a, perc_json_str(j, "conference"));

	if (c == NULL)
		local_error(r, "not_joined", "not in that conference");
	else
		local_result(r,
		    json_pack("{s:s, s:s, s:O?, s:O?}", "conference", c->id,
			"you", c->member, "state", c->roster_state, "members",
			c->roster));
}

/* Keeps a status request until the vault has told its part. */
struct status {
	struct agent *agent;
	struct local_req *req;
	struct status *next;
};

/* Of the vault's own words, what belongs to conference j. */
static void
vault_add(json_t *j, const json_t *vault)
{
	const char *id = perc_json_str(j, "conference"), *name;
	json_t *v, *list = json_object_get(vault, "conferences");
	size_t i, held = 0;

	json_array_foreach(list, i, v)
	{
		name = perc_json_str(v, "conference");
		if (name == NULL || id == NULL || strcmp(name, id) != 0)
			continue;
		held = json_array_size(json_object_get(v, "spis"));
		json_object_set(j, "vault", v);
	}
	json_object_set_new(j, "epochs_held", json_integer((json_int_t)held));
}

static json_t *
status_json(struct agent *a, const json_t *vault)
{
	json_t *all = json_array(), *one;

	/* Those we are in first, those that are over behind. */
	for (int over = 0; over < 2; over++)
		for (size_t i = 0; i < FRONT_CONFS_MAX; i++) {
			if (a->confs[i] == NULL ||
			    (a->confs[i]->state == FRONT_OVER) != over)
				continue;
			one = front_conf_json(a->confs[i]);
			vault_add(one, vault);
			json_array_append_new(all, one);
		}
	return json_pack("{s:o, s:o?, s:o}", "conferences", all, "protection",
	    json_loads(a->vault_report, 0, NULL), "logins",
	    front_logins_json(a));
}

static void
on_vault_status(int err, const char *text, void *arg)
{
	struct status *s = arg, **p;
	json_t *vault = err == 0 ? json_loads(text, 0, NULL) : NULL;

	for (p = &s->agent->statuses; *p != s; p = &(*p)->next)
		continue;
	*p = s->next;
	if (s->req != NULL)
		local_result(s->req, status_json(s->agent, vault));
	json_decref(vault);
	free(s);
}

static void
cmd_status(struct agent *a, struct local_req *r, const json_t *j)
{
	struct status *s = calloc(1, sizeof(*s));
	const char *strs[] = { "" };

	if (s != NULL) {
		*s = (struct status){ a, r, a->statuses };
		a->statuses = s;
		if (front_vault_ask(a->vault, VAULT_STATUS, strs, 1,
			on_vault_status, s) == 0)
			return;
		a->statuses = s->next;
		free(s);
	}
	local_error(r, "failed", "the vault does not answer");
}

static void
cmd_login(struct agent *a, struct local_req *r, const json_t *j)
{
	char why[FRONT_WORDS_MAX] = "out of memory";

	if (front_login_start(a, r, perc_json_str(j, "kmf"),
		perc_json_str(j, "method"), perc_json_str(j, "provider"), why,
		sizeof(why)) != 0)
		local_error(r, "failed", why);
}

static const struct {
	const char *name;
	void (*fn)(struct agent *a, struct local_req *r, const json_t *args);
} commands[] = {
	{ "join", cmd_join },
	{ "leave", cmd_leave },
	{ "status", cmd_status },
	{ "roster", cmd_roster },
	{ "login", cmd_login },
};

static void
on_command(struct local_req *r, const char *cmd, const json_t *args, void *arg)
{
	struct agent *a = arg;

	if (!a->vault_ready || a->stopping) {
		local_error(r, "not_ready",
		    a->stopping ? "the agent is stopping"
				: "the agent is starting");
		return;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(cmd, commands[i].name) == 0) {
			commands[i].fn(a, r, args);
			return;
		}
	local_error(r, "usage", "no such command");
}

/* Whoever asked has gone; what was asked goes on. */
static void
on_asker_gone(struct local_req *r, void *arg)
{
	struct agent *a = arg;

	for (size_t i = 0; i < FRONT_CONFS_MAX; i++) {
		struct front_conf *c = a->confs[i];

		if (c != NULL && c->joiner == r)
			c->joiner = NULL;
		if (c != NULL && c->leaver == r)
			c->leaver = NULL;
	}
	for (struct status *s = a->statuses; s != NULL; s = s->next)
		if (s->req == r)
			s->req = NULL;
	front_login_cancel(a, r);
}

json_t *
front_conf_json(const struct front_conf *c)
{
	static const char *const names[] = { "entering", "connecting", "up",
		"leaving", "over" };
	json_t *j = json_pack(
	    "{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:o}", "conference",
	    c->id, "uri", c->uri, "state", names[c->state], "words", c->words,
	    "kmf_trouble", c->kmf_words, "mdd_trouble", c->mdd_words, "member",
	    c->member, "epoch", (json_int_t)c->epoch, "events", c->events_open,
	    "leg", front_leg_json(c->leg));

	if (j == NULL)
		return json_object();
	if (c->title != NULL)
		json_object_set_new(j, "title", json_string(c->title));
	if (c->name != NULL)
		json_object_set_new(j, "name", json_string(c->name));
	if (c->mdd != NULL)
		json_object_set_new(j, "mdd", json_string(c->mdd));
	if (c->ends_at != NULL)
		json_object_set_new(j, "ends_at", json_string(c->ends_at));
	if (c->streams != NULL && c->state != FRONT_OVER)
		json_object_update(j, c->streams); /* "in" and "out" */
	if (c->roster_state != NULL)
		json_object_set(j, "roster", c->roster_state);
	return j;
}

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

static int
agent_open(struct agent *a, int vault_fd, char *why, size_t whycap)
{
	struct perc_httpc_conf http = { .ca_file = a->conf->ca_file,
		.user_agent = "perch-agent",
		.loopback_http = a->conf->loopback_http };
	int r;

	text_put(why, whycap, "cannot start");
	if ((r = perc_loop_new(&a->loop)) != 0 ||
	    (r = perc_loop_signal(a->loop, SIGTERM, on_signal, a)) != 0 ||
	    (r = perc_loop_signal(a->loop, SIGINT, on_signal, a)) != 0 ||
	    (r = perc_httpc_new(&a->http, a->loop, &http)) != 0 ||
	    (r = front_vault_new(
		 &a->vault, a->loop, vault_fd, &vault_events, a)) != 0 ||
	    (r = perc_loop_after(a->loop, on_turn, a)) != 0)
		return r;
	return local_new(&a->local, a->loop, a->conf->socket, on_command,
	    on_asker_gone, a, why, whycap);
}

static void
agent_close(struct agent *a)
{
	struct status *s;

	local_free(a->local);
	for (size_t i = 0; i < FRONT_CONFS_MAX; i++)
		front_conf_free(a->confs[i]);
	for (size_t i = 0; i < FRONT_LOGINS_MAX; i++)
		front_login_free(a->logins[i]);
	while ((s = a->statuses) != NULL) {
		a->statuses = s->next;
		free(s);
	}
	front_vault_free(a->vault);
	perc_httpc_free(a->http);
	perc_loop_free(a->loop);
	free(a->seal_jwk);
	free(a->vault_report);
}

/* ---- the cage
 * ------------------------------------------------------------------ */

/*
 * The front may read what resolvers and TLS need, and write where its socket
 * and the SDP files are; nothing else of the user's. Paths that this machine
 * does not have are left out.
 */
static int
cage(const struct agent_conf *conf)
{
	static const char *const system[] = { "/etc", "/usr", "/lib", "/lib64",
		"/run/systemd/resolve", "/run/resolvconf", "/dev/null" };
	char socket_dir[4096];
	const char *ro[16] = { 0 }, *rw[] = { conf->sdp_dir, socket_dir, NULL };
	struct perc_cage_report report;
	size_t n = 0;
	int r;

	text_put(socket_dir, sizeof(socket_dir), "%s", conf->socket);
	*strrchr(socket_dir, '/') = '\0';
	(void)mkdir(conf->sdp_dir, 0700);
	for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
		if (access(system[i], R_OK) == 0)
			ro[n++] = system[i];
	if (conf->ca_file != NULL)
		ro[n++] = conf->ca_file;
	r = perc_sandbox(PERC_CAGE_NET, rw, ro, &report);
	if (r == PERC_ERR_UNSUPPORTED) {
		log_warnx("cage err=\"the kernel has none\"");
		return 0;
	}
	if (r == 0)
		log_info("caged seccomp=%d landlock=%d", report.seccomp,
		    report.landlock_abi);
	return r;
}

int
front_main(const struct agent_conf *conf, int vault_fd)
{
	struct agent a = { .conf = conf };
	char why[FRONT_WORDS_MAX];
	int r;

	signal(SIGPIPE, SIG_IGN);
	if (perc_process_harden() != 0)
		log_warn("harden");
	if (perc_srtcp_warm_up() != 0)
		fatalx("libsrtp does not start");
	if ((r = agent_open(&a, vault_fd, why, sizeof(why))) != 0)
		log_warnx("front_start what=\"%s\" err=\"%s\"", why,
		    perc_strerror(r));
	else if ((r = cage(conf)) != 0)
		log_warnx("cage err=\"%s\"", perc_strerror(r));
	else
		r = perc_loop_run(a.loop);
	if (r == 0 && !a.stopping)
		r = PERC_ERR_CLOSED; /* the vault went first */
	agent_close(&a);
	return r == 0 ? 0 : 1;
}
