/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control's life: read the TLS key while it has the right to, drop, load the
 * KMFs' keys, close the cage, and serve.
 */
#include "mdd/control.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mdd/admin.h"
#include "mdd/cascade.h"
#include "mdd/memory.h"
#include "mdd/role.h"
#include "mdd/sdp.h"
#include "perc/log.h"
#include "perc/proc.h"
#include "perc/rate.h"
#include "perc/secret.h"

#define CTL_LINK	PERC_PROC_FD
#define CTL_LISTEN	(PERC_PROC_FD + 1)
#define CTL_ADMIN	(PERC_PROC_FD + 2)
#define CTL_TICK_MS	500
#define CTL_BODY_MAX	4096
#define CTL_DEADLINE_MS 10000
#define CTL_GRACE_MS	2000

static void
on_hup(int signo, void *arg)
{
	ctl_reload(arg);
}

static void
on_drain(int signo, void *arg)
{
	ctl_drain(arg);
}

/* ---- the supervisor --------------------------------------------------- */

void
ctl_tell(struct ctl *c, char what)
{
	if (send(CTL_LINK, &what, 1, MSG_NOSIGNAL) != 1)
		log_warn("supervisor does not hear us");
}

static void
tell_ready(struct ctl *c)
{
	struct mdd_memory m;

	if (c->told || !ctl_ready(c))
		return;
	c->told = true;
	mdd_memory_of(&m, c->conf);
	log_info("ready url=%s port=%u workers=%u legs=%d conferences=%d "
		 "worker_memory_mib=%zu",
	    c->conf->base_url, perc_httpd_port(c->httpd), c->workers,
	    (int)c->conf->max_legs, (int)c->conf->max_conferences,
	    m.worker >> 20);
	ctl_tell(c, MDD_CONTROL_READY);
}

static void
stopped(void *arg)
{
	struct ctl *c = arg;

	perc_loop_stop(c->loop);
}

void
ctl_stop(struct ctl *c)
{
	if (c->stopping)
		return;
	c->stopping = true;
	perc_httpd_drain(c->httpd, CTL_GRACE_MS, stopped, c);
}

static void
on_term(int signo, void *arg)
{
	ctl_stop(arg);
}

static void
on_link(int fd, uint32_t events, void *arg)
{
	struct ctl *c = arg;
	struct mdd_worker_note n;
	int chan = -1, r = mdd_pass_recv(fd, &n, &chan);

	if (r == PERC_ERR_AGAIN)
		return;
	if (r != 0 || n.index >= c->workers) {
		perc_loop_del(c->link_io);
		c->link_io = NULL;
		ctl_stop(c); /* nobody is left to restart workers */
		return;
	}
	ctl_worker_open(c, &n, chan);
}

static void
tick(void *arg)
{
	struct ctl *c = arg;

	ctl_legs_tick(c, perc_now_ms());
	ctl_drain_tick(c, perc_now_ms());
	cascade_tick(c, perc_now_ms());
	if (perc_timer_set(c->loop, &c->tick, CTL_TICK_MS, tick, c) != 0)
		fatalx("no timer");
}

static void
after_turn(void *arg)
{
	tell_ready(arg);
}

/* ---- start ------------------------------------------------------------ */

/* The directory of a file that SIGHUP reads (files there get replaced), when
 * we can reach it at all after the drop. */
static unsigned
cage_add(const char *ro[], char *copy[], unsigned n, const char *file)
{
	if ((copy[n] = strdup(file)) == NULL)
		fatal("cannot start");
	ro[n] = dirname(copy[n]);
	if (access(ro[n], X_OK) == 0)
		return n + 1;
	log_warnx("%s cannot be read again later", file);
	free(copy[n]);
	ro[n] = NULL;
	return n;
}

static void
cage(struct ctl *c)
{
	char *copy[MDD_KMF_MAX + MDD_PEER_MAX + 3] = { NULL };
	const char *ro[MDD_KMF_MAX + MDD_PEER_MAX + 4] = { NULL };
	unsigned i, n = 0;

	n = cage_add(ro, copy, n, c->conf_file);
	n = cage_add(ro, copy, n, c->conf->tls_cert);
	n = cage_add(ro, copy, n, c->conf->tls_key);
	for (i = 0; i < c->conf->kmfs; i++)
		n = cage_add(ro, copy, n, c->conf->kmf[i].keys);
	for (i = 0; i < c->conf->peers; i++)
		if (c->conf->peer[i].ca != NULL)
			n = cage_add(ro, copy, n, c->conf->peer[i].ca);
	mdd_cage(PERC_CAGE_NET, ro);
	for (i = 0; i < n; i++)
		free(copy[i]);
}

static void
serve(struct ctl *c)
{
	struct perc_httpd_conf h = { .listen_fd = CTL_LISTEN,
		.listen = c->conf->listen,
		.cert_file = c->conf->tls_cert,
		.key_file = c->conf->tls_key,
		.max_body = c->conf->whip ? MDD_SDP_MAX : CTL_BODY_MAX,
		.deadline_ms = CTL_DEADLINE_MS,
		.max_conns = (unsigned)c->conf->max_conns,
		.max_conns_per_ip = (unsigned)c->conf->max_conns_per_ip };
	char why[256];

	if (perc_httpd_new(
		&c->httpd, c->loop, &h, join_request, c, why, sizeof(why)) != 0)
		fatalx("%s", why);
}

static void
start(struct ctl *c)
{
	size_t legs = (size_t)c->conf->max_legs * c->workers;
	unsigned fresh;
	uid_t uid;
	int r;

	if (perc_loop_new(&c->loop) != 0 || perc_rate_new(&c->rate) != 0 ||
	    mdd_table_init(&c->legs, legs) != 0 ||
	    mdd_table_init(&c->rooms, legs) != 0)
		fatal("cannot start");
	if (perc_loop_signal(c->loop, SIGTERM, on_term, c) != 0 ||
	    perc_loop_signal(c->loop, SIGINT, mdd_ignore_signal, NULL) != 0 ||
	    perc_loop_signal(c->loop, SIGHUP, on_hup, c) != 0 ||
	    perc_loop_signal(c->loop, SIGUSR1, on_drain, c) != 0 ||
	    perc_loop_after(c->loop, after_turn, c) != 0)
		fatal("cannot take signals");
	serve(c);
	cascade_open(c); /* its key is for the eyes of who started us */
	uid = getuid();	 /* who started us may ask, whoever we become */
	if ((r = perc_proc_drop(c->conf->user, NULL)) != 0)
		fatalx("cannot become user %s: %s", c->conf->user,
		    perc_strerror(r));
	if ((r = perc_process_harden()) != 0)
		log_warnx("hardening: %s", perc_strerror(r));
	if (ctl_issuers_load(c, c->conf, &fresh) != 0)
		fatalx("no keys of a kmf");
	if (perc_loop_add(
		c->loop, &c->link_io, CTL_LINK, EPOLLIN, on_link, c) != 0)
		fatal("cannot watch the supervisor");
	if (mdd_admin_open(c, CTL_ADMIN, uid) != 0)
		fatal("cannot watch the operator's socket");
	cage(c);
	ctl_tell(c, MDD_CONTROL_SERVES);
	tick(c);
}

int
mdd_control_main(const char *conf_file, struct mdd_conf *conf)
{
	struct ctl *c = calloc(1, sizeof(*c));
	int r;

	if (c == NULL)
		fatal("cannot start");
	c->conf = conf;
	c->conf_file = conf_file;
	c->workers = (unsigned)conf->workers;
	start(c);
	r = perc_loop_run(c->loop);
	c->stopping = true;
	ctl_legs_clear(c); /* waiting joins are answered by it */
	mdd_admin_close(c);
	cascade_close(c);
	perc_httpd_free(c->httpd);
	perc_timer_stop(c->loop, &c->tick);
	perc_loop_del(c->link_io);
	ctl_issuers_free(c);
	perc_rate_free(c->rate);
	perc_loop_free(c->loop);
	free(c);
	return r != 0;
}
