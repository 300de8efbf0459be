/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small server around perc/httpd.c for test_httpd.py: each path shows one
 * thing. Prints its port; SIGTERM drains, SIGHUP reloads the certificate.
 */
#include "config.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "perc/crypto.h"
#include "perc/httpd.h"
#include "perc/log.h"
#include "perc/secret.h"

#define STREAMS_MAX 4096

static struct perc_loop *loop;
static struct perc_httpd *httpd;
static struct perc_httpd_stream *streams[STREAMS_MAX];
static unsigned nstreams, ngone;
static const char *cert, *key;

struct later {
	struct perc_timer t;
	struct perc_httpd_req *r;
};

static void
say(struct perc_httpd_req *r, unsigned status, const char *text)
{
	perc_httpd_reply(r, status, NULL, 0, text, strlen(text), false);
}

static void
on_echo(struct perc_httpd_req *r)
{
	char out[4600];
	unsigned nauth;
	size_t len;
	const char *q = perc_httpd_query(r);

	(void)perc_httpd_header(r, "authorization", &nauth);
	(void)perc_httpd_body(r, &len);
	snprintf(out, sizeof(out), "%s %s %s body=%zu auth=%u\n",
	    perc_httpd_method(r), perc_httpd_path(r), q == NULL ? "-" : q, len,
	    nauth);
	say(r, 200, out);
}

static void
later_fire(void *arg)
{
	struct later *l = arg;

	say(l->r, 200, "later\n");
	free(l);
}

static void
on_later(struct perc_httpd_req *r)
{
	struct later *l = calloc(1, sizeof(*l));
	const char *q = perc_httpd_query(r);

	if (l == NULL)
		fatalx("no memory");
	l->r = r;
	if (perc_timer_set(
		loop, &l->t, q == NULL ? 20 : atoi(q), later_fire, l) != 0)
		fatalx("no timer");
}

static void
req_gone(struct perc_httpd_req *r, void *data)
{
	ngone++;
}

static void
on_never(struct perc_httpd_req *r)
{
	perc_httpd_set_data(r, NULL, req_gone);
}

static void
stream_gone(struct perc_httpd_stream *s, void *arg)
{
	unsigned i;

	for (i = 0; i < nstreams; i++)
		if (streams[i] == s) {
			streams[i] = streams[--nstreams];
			break;
		}
	ngone++;
}

static void
on_stream(struct perc_httpd_req *r)
{
	const char *q = perc_httpd_query(r);
	bool quiet = q != NULL && strcmp(q, "quiet") == 0;
	struct perc_httpd_stream *s;

	if (nstreams == STREAMS_MAX ||
	    perc_httpd_stream_open(&s, r, NULL, 0,
		q == NULL || quiet ? 65536 : (size_t)atoi(q), stream_gone,
		NULL) != 0) {
		say(r, 503, "no\n");
		return;
	}
	streams[nstreams++] = s;
	if (!quiet && perc_httpd_stream_write(s, ": hi\n\n", 6) != 0)
		log_warnx("probe.write err=failed");
}

static void
on_emit(struct perc_httpd_req *r)
{
	const char *q = perc_httpd_query(r);
	size_t n = q == NULL ? 16 : (size_t)atoi(q), lost = 0;
	char *p = malloc(n), out[64];
	unsigned i;

	if (p == NULL)
		fatalx("no memory");
	memset(p, 'x', n);
	memcpy(p + n - 2, "\n\n", 2);
	for (i = 0; i < nstreams; i++)
		if (perc_httpd_stream_write(streams[i], p, n) != 0)
			lost++;
	free(p);
	snprintf(out, sizeof(out), "streams=%u lost=%zu\n", nstreams, lost);
	say(r, 200, out);
}

static void
on_close(struct perc_httpd_req *r)
{
	unsigned i;

	for (i = 0; i < nstreams; i++)
		perc_httpd_stream_close(streams[i]);
	say(r, 200, "closing\n");
}

static void
on_state(struct perc_httpd_req *r)
{
	struct rusage u;
	char out[128];

	getrusage(RUSAGE_SELF, &u);
	snprintf(out, sizeof(out), "cpu_us=%lld conns=%u streams=%u gone=%u\n",
	    (long long)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000 +
		u.ru_utime.tv_usec + u.ru_stime.tv_usec,
	    perc_httpd_conns(httpd), nstreams, ngone);
	say(r, 200, out);
}

static void
on_big(struct perc_httpd_req *r)
{
	const char *q = perc_httpd_query(r);
	size_t n = q == NULL ? 1 : (size_t)atoi(q);
	char *p = malloc(n);

	if (p == NULL)
		fatalx("no memory");
	memset(p, 'b', n);
	perc_httpd_reply(r, 200, NULL, 0, p, n, false);
	free(p);
}

/* A secret that stands nowhere else in this program. */
static void
on_secret(struct perc_httpd_req *r)
{
	char id[32], value[96];
	struct perc_httpd_header h = { "Encryption-Key", value };

	perc_random_id(id, sizeof(id), "");
	snprintf(value, sizeof(value), "usage=\"EKT\"; key=\"%s\"", id);
	perc_httpd_reply(r, 200, &h, 1, perc_httpd_query(r) == NULL ? NULL : id,
	    perc_httpd_query(r) == NULL ? 0 : strlen(id), true);
	perc_wipe(id, sizeof(id));
	perc_wipe(value, sizeof(value));
}

static void
on_x5t(struct perc_httpd_req *r)
{
	char out[44];

	perc_httpd_client_x5t(r, out);
	say(r, 200, out);
}

static const struct {
	const char *path;
	void (*fn)(struct perc_httpd_req *);
} routes[] = {
	{ "/later", on_later },
	{ "/never", on_never },
	{ "/stream", on_stream },
	{ "/emit", on_emit },
	{ "/close", on_close },
	{ "/state", on_state },
	{ "/big", on_big },
	{ "/secret", on_secret },
	{ "/x5t", on_x5t },
};

static void
on_request(struct perc_httpd_req *r, void *arg)
{
	size_t i;

	for (i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
		if (strcmp(perc_httpd_path(r), routes[i].path) == 0) {
			routes[i].fn(r);
			return;
		}
	on_echo(r);
}

static void
drained(void *arg)
{
	perc_loop_stop(loop);
}

static void
on_signal(int signo, void *arg)
{
	char why[256];

	if (signo == SIGTERM)
		perc_httpd_drain(httpd, 3000, drained, NULL);
	else if (perc_httpd_reload_cert(httpd, cert, key, why, sizeof(why)) !=
	    0)
		log_warnx("probe.reload err=\"%s\"", why);
}

int
main(int argc, char **argv)
{
	struct perc_httpd_conf conf = { .listen = "127.0.0.1:0",
		.listen_fd = -1,
		.max_body = 4096,
		.deadline_ms = 1500,
		.max_conns = 1000,
		.ask_client_cert = true };
	char why[256];

	if (argc != 4)
		return 2;
	perc_log_init("httpd_probe", "test", 0, PERC_LOG_INFO);
	conf.cert_file = cert = argv[1];
	conf.key_file = key = argv[2];
	conf.max_conns_per_ip = (unsigned)atoi(argv[3]);
	if (perc_loop_new(&loop) != 0)
		fatalx("no loop");
	if (perc_httpd_new(
		&httpd, loop, &conf, on_request, NULL, why, sizeof(why)) != 0) {
		fprintf(stderr, "httpd_probe: %s\n", why);
		return 1;
	}
	if (perc_loop_signal(loop, SIGTERM, on_signal, NULL) != 0 ||
	    perc_loop_signal(loop, SIGHUP, on_signal, NULL) != 0)
		fatalx("no signals");
	printf("%u\n", perc_httpd_port(httpd));
	fflush(stdout);
	if (perc_loop_run(loop) != 0)
		fatalx("loop");
	perc_httpd_free(httpd);
	perc_loop_free(loop);
	printf("gone=%u streams=%u\n", ngone, nstreams);
	return 0;
}
