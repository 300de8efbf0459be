/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control's life: read the TLS key while it has the right to, drop, load the
 * KMFs' keys, close the cage, and serve. On SIGHUP it reads keys and
 * certificate again and keeps the old ones when the new ones are no good.
 */
#include "mdd/control.h"

#include <errno.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mdd/role.h"
#include "perc/log.h"
#include "perc/proc.h"
#include "perc/secret.h"

#define CTL_LINK	PERC_PROC_FD
#define CTL_LISTEN	(PERC_PROC_FD + 1)
#define CTL_TICK_MS	500
#define CTL_BODY_MAX	4096
#define CTL_DEADLINE_MS 10000
#define CTL_GRACE_MS	2000

/* ---- the KMFs' keys --------------------------------------------------- */

static int
keys_load(struct ctl *c, unsigned i)
{
	const struct mdd_kmf_conf *k = &c->conf->kmf[i];
	struct perc_conf_error e = { "" };
	struct perc_jwks *set = NULL;
	char *text = NULL;
	size_t len;
	int r;

	if ((r = perc_conf_read_file(&text, &len, k->keys, MDD_JWKS_MAX, &e)) !=
		0 ||
	    (r = perc_jwks_from_json(&set, text, len)) != 0) {
		log_warnx("keys of kmf %s stay as they were: %s", k->name,
		    e.text[0] != '\0' ? e.text : perc_strerror(r));
		goto out;
	}
	perc_jwks_free(c->issuer[i].keys);
	c->issuer[i].keys = set;
	c->issuer[i].name = k->name;
	c->issuer[i].issuer = k->url;
out:
	free(text);
	return r;
}

static void
on_hup(int signo, void *arg)
{
	struct ctl *c = arg;
	char why[256];
	unsigned i;
	int ok = 0;

	for (i = 0; i < c->conf->kmfs; i++)
		ok += keys_load(c, i) == 0;
	if (perc_httpd_reload_cert(c->httpd, c->conf->tls_cert,
		c->conf->tls_key, why, sizeof(why)) != 0)
		log_warnx("certificate stays as it was: %s", why);
	log_info("reloaded kmfs=%d", ok);
}

/* ---- the supervisor --------------------------------------------------- */

static void
tell(char what)
{
	if (send(CTL_LINK, &what, 1, MSG_NOSIGNAL) != 1)
		log_warn("supervisor does not hear us");
}

static void
tell_ready(struct ctl *c)
{
	if (c->told || !ctl_ready(c))
		return;
	c->told = true;
	log_info("ready url=%s port=%u workers=%u", c->conf->base_url,
	    perc_httpd_port(c->httpd), c->workers);
	tell(MDD_CONTROL_READY);
}

static void
stopped(void *arg)
{
	struct ctl *c = arg;

	perc_loop_stop(c->loop);
}

static void
stop(struct ctl *c)
{
	if (c->stopping)
		return;
	c->stopping = true;
	perc_httpd_drain(c->httpd, CTL_GRACE_MS, stopped, c);
}

static void
on_term(int signo, void *arg)
{
	stop(arg);
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
		stop(c); /* nobody is left to restart workers */
		return;
	}
	ctl_worker_open(c, &n, chan);
}

static void
tick(void *arg)
{
	struct ctl *c = arg;

	ctl_legs_tick(c, perc_now_ms());
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
	char *copy[MDD_KMF_MAX + 2] = { NULL };
	const char *ro[MDD_KMF_MAX + 3] = { NULL };
	unsigned i, n = 0;

	n = cage_add(ro, copy, n, c->conf->tls_cert);
	n = cage_add(ro, copy, n, c->conf->tls_key);
	for (i = 0; i < c->conf->kmfs; i++)
		n = cage_add(ro, copy, n, c->conf->kmf[i].keys);
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
		.max_body = CTL_BODY_MAX,
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
	unsigned i;
	int r;

	if (perc_loop_new(&c->loop) != 0 ||
	    mdd_table_init(&c->legs, legs) != 0 ||
	    mdd_table_init(&c->rooms, legs) != 0)
		fatal("cannot start");
	if (perc_loop_signal(c->loop, SIGTERM, on_term, c) != 0 ||
	    perc_loop_signal(c->loop, SIGINT, mdd_ignore_signal, NULL) != 0 ||
	    perc_loop_signal(c->loop, SIGHUP, on_hup, c) != 0 ||
	    perc_loop_after(c->loop, after_turn, c) != 0)
		fatal("cannot take signals");
	serve(c);
	if ((r = perc_proc_drop(c->conf->user, NULL)) != 0)
		fatalx("cannot become user %s: %s", c->conf->user,
		    perc_strerror(r));
	if ((r = perc_process_harden()) != 0)
		log_warnx("hardening: %s", perc_strerror(r));
	for (i = 0; i < c->conf->kmfs; i++)
		if ((r = keys_load(c, i)) != 0)
			fatalx("no keys of kmf %s", c->conf->kmf[i].name);
	if (perc_loop_add(
		c->loop, &c->link_io, CTL_LINK, EPOLLIN, on_link, c) != 0)
		fatal("cannot watch the supervisor");
	cage(c);
	tell(MDD_CONTROL_SERVES);
	tick(c);
}

int
mdd_control_main(struct mdd_conf *conf)
{
	struct ctl *c = calloc(1, sizeof(*c));
	unsigned i;
	int r;

	if (c == NULL)
		fatal("cannot start");
	c->conf = conf;
	c->workers = (unsigned)conf->workers;
	start(c);
	r = perc_loop_run(c->loop);
	c->stopping = true;
	ctl_legs_clear(c); /* waiting joins are answered by it */
	perc_httpd_free(c->httpd);
	perc_timer_stop(c->loop, &c->tick);
	perc_loop_del(c->link_io);
	for (i = 0; i < conf->kmfs; i++)
		perc_jwks_free(c->issuer[i].keys);
	perc_loop_free(c->loop);
	free(c);
	return r != 0;
}
