/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * One front: HTTPS on one side, the keeper on the other, one loop between.
 * It opens its files, drops privileges, shuts the cage and only then listens
 * to strangers. It holds the TLS key and the one answer it is writing; no
 * database, no root key, no key of any conference but in passing.
 */
#include "config.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

#include "kmf/front.h"
#include "kmf/verify.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/proc.h"
#include "perc/rate.h"
#include "perc/sandbox.h"
#include "perc/secret.h"

#define FD_READY   (PERC_PROC_FD + 2)
#define FD_LISTEN  (PERC_PROC_FD + 3)
#define FD_METRICS (PERC_PROC_FD + 4)

#define DEADLINE_MS 15000
#define TICK_MS	    1000

/* --- listening ------------------------------------------------------------ */
static int
serve(struct front *f)
{
	struct perc_httpd_conf c = { .listen_fd = FD_LISTEN,
		.cert_file = f->conf->tls_cert,
		.key_file = f->conf->tls_key,
		.max_body = KMF_BODY_MAX,
		.deadline_ms = DEADLINE_MS,
		.max_conns = (unsigned)f->conf->max_conns,
		.max_conns_per_ip = (unsigned)f->conf->max_conns_per_ip };
	char why[512] = "", *trust = NULL;
	int r;

	if ((r = front_cas_open(f, &trust, why, sizeof(why))) != 0)
		goto out;
	c.client_ca = trust;
	if ((r = perc_httpd_new(&f->httpd, f->loop, &c, front_on_request, f,
		 why, sizeof(why))) != 0)
		goto out;
	if (f->index == 0 && f->conf->metrics_listen != NULL) {
		c.listen_fd = FD_METRICS;
		c.max_conns = 16;
		c.client_ca = NULL;
		r = perc_httpd_new(&f->metrics, f->loop, &c,
		    front_on_metrics_request, f, why, sizeof(why));
	}
out:
	if (r != 0)
		log_warnx("front.start err=\"%s\"", why);
	free(trust);
	return r;
}

/* --- timers and signals --------------------------------------------------- */
static void on_term(int signo, void *arg);

static void
on_tick(void *arg)
{
	struct front *f = arg;
	int64_t now = perc_now_ms();

	front_calls_tick(f, now);
	front_park_tick(f, now);
	front_keys_tick(f);
	front_audit_tick(f);
	front_counts_send(f);
	if (f->retiring && !f->stopping && perc_httpd_conns(f->httpd) == 0)
		on_term(SIGTERM, f);
	if (perc_timer_set(f->loop, &f->tick, TICK_MS, on_tick, f) != 0)
		fatalx("front.tick err=no_memory");
}

static void
on_hb(void *arg)
{
	struct front *f = arg;

	front_streams_hb(f);
	if (perc_timer_set(f->loop, &f->hb, FRONT_HB_MS, on_hb, f) != 0)
		fatalx("front.hb err=no_memory");
}

static void
on_drained(void *arg)
{
	struct front *f = arg;

	perc_loop_stop(f->loop);
}

static void
on_term(int signo, void *arg)
{
	struct front *f = arg;

	if (f->stopping)
		return;
	f->stopping = true;
	if (f->httpd == NULL) {
		perc_loop_stop(f->loop);
		return;
	}
	front_audit_tick(f);
	front_streams_stop(f);
	front_park_end(f); /* their wait could be longer than ours */
	perc_httpd_drain(f->httpd, FRONT_DRAIN_MS, on_drained, f);
}

/* An heir has the port: end when the last connection has ended. */
static void
on_retire(int signo, void *arg)
{
	struct front *f = arg;

	if (f->httpd == NULL) {
		on_term(signo, arg);
		return;
	}
	f->retiring = true;
	perc_httpd_retire(f->httpd);
	if (f->metrics != NULL)
		perc_httpd_retire(f->metrics);
	log_info("front.retire connections=%u", perc_httpd_conns(f->httpd));
}

/* --- life ----------------------------------------------------------------- */
/* A descriptor per connection; the usual soft limit is 1024. */
static void
fds_allow(const struct kmf_conf *c)
{
	rlim_t want = (rlim_t)c->max_conns + 64;
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur >= want)
		return;
	l.rlim_cur = want < l.rlim_max ? want : l.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &l) != 0 || l.rlim_cur < want)
		log_warnx("front.limit files=%llu max_conns=%lld "
			  "hint=\"raise the limit of open files\"",
		    (unsigned long long)l.rlim_cur, (long long)c->max_conns);
}

static int
front_open(struct front *f)
{
	int r;

	fds_allow(f->conf);
	if ((f->streams = calloc(FRONT_STREAMS_MAX, sizeof(*f->streams))) ==
	    NULL)
		return PERC_ERR_NOMEM;
	if ((r = perc_loop_new(&f->loop)) != 0 ||
	    (r = front_cache_new(&f->cache)) != 0 ||
	    (r = front_limit_new(&f->limit)) != 0 ||
	    (r = perc_rate_new(&f->rate)) != 0 ||
	    (r = kmf_verify_init()) != 0 || (r = front_chans_open(f)) != 0 ||
	    (r = perc_loop_signal(f->loop, SIGTERM, on_term, f)) != 0 ||
	    (r = perc_loop_signal(f->loop, SIGUSR1, on_retire, f)) != 0)
		return r;
	return front_check_open(f);
}

/* No file at all: the root key and the database lie beside the certificate.
 * A new certificate is for a new front (supervisor.c). */
static int
cage(void)
{
	struct perc_cage_report report;
	const char *const none[] = { NULL };
	int r;

	r = perc_sandbox(PERC_CAGE_NET, none, none, &report);
	if (r == PERC_ERR_UNSUPPORTED) {
		log_warnx("front.cage err=\"the kernel has none\"");
		return 0;
	}
	if (r == 0)
		log_debug("front.cage seccomp=%d landlock=%d", report.seccomp,
		    report.landlock_abi);
	return r;
}

static int
front_start(struct front *f)
{
	int r;

	/* The keeper's first word, or nobody could be let in. */
	if ((r = perc_loop_run(f->loop)) != 0)
		return r;
	if (!f->welcomed)
		return PERC_ERR_CLOSED;
	if ((r = serve(f)) != 0 ||
	    (r = perc_proc_drop(f->conf->user, NULL)) != 0 ||
	    (r = perc_process_harden()) != 0 || (r = cage()) != 0)
		return r;
	on_tick(f);
	on_hb(f);
	if (write(FD_READY, "r", 1) != 1)
		return PERC_ERR_SYS;
	close(FD_READY);
	return 0;
}

static void
front_close(struct front *f)
{
	size_t i;

	f->stopping = true;
	front_park_end(f);
	front_calls_end(f);
	if (f->streams != NULL)
		front_streams_stop(f);
	perc_httpd_free(f->metrics);
	perc_httpd_free(f->httpd);
	perc_chan_free(f->keeper);
	perc_chan_free(f->fetcher);
	for (i = 0; i < KMF_ISSUERS_MAX; i++)
		json_decref(f->keys[i].jwks);
	front_cas_close(f);
	front_rosters_clear(f);
	kmf_api_free(f->api);
	front_cache_free(f->cache);
	front_limit_free(f->limit);
	perc_rate_free(f->rate);
	perc_jwks_free(f->jwks);
	free(f->jwks_text);
	free(f->streams);
	kmf_verify_done();
	perc_loop_free(f->loop);
	perc_wipe(f, sizeof(*f));
	free(f);
}

int
kmf_front_main(const struct kmf_conf *c, unsigned index)
{
	struct front *f = calloc(1, sizeof(*f));
	int r = PERC_ERR_NOMEM, code = 1;

	if (f == NULL)
		fatalx("front.start err=no_memory");
	f->conf = c;
	f->index = index;
	if ((r = front_open(f)) != 0 || (r = front_start(f)) != 0) {
		if (!f->stopping)
			log_warnx("front.start err=\"%s\"", perc_strerror(r));
		goto out;
	}
	if (perc_loop_run(f->loop) == 0 && f->stopping)
		code = 0;
out:
	front_close(f);
	return code;
}
