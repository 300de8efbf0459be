/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link lives as long as its peer says, and the dialler asks for more in
 * time. The peer here is a process of the test that answers what it is told to
 * and tells what it was asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perc/httpd.h"
#include "perc/loop.h"
#include "tests/mdd/mesh.h"

#define GRANT                                                                  \
	"{\"leg\": \"k_fake\", \"host\": \"127.0.0.1\", \"port\": 9, "         \
	"\"ufrag\": \"abcdefgh\", \"pwd\": \"0123456789012345678901\", "       \
	"\"fingerprint\": \"sha-256 "                                          \
	"00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:"                           \
	"0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\", "            \
	"\"expires_in\": 2}"
#define RENEWED "{\"leg\": \"k_fake\", \"expires_in\": 2}"

/* ---- the peer --------------------------------------------------------- */

struct fake {
	int out;
	char url[64], jkt[PERC_JKT_LEN + 1];
	char seen[16][PERC_JKT_LEN + 1]; /* proofs */
	unsigned n, puts;
};

/* Of MDD 0's link key, for this very request, and never seen. */
static bool
proven(struct fake *f, struct perc_httpd_req *r)
{
	const char *proof = perc_httpd_header(r, "DPoP", NULL), *why = NULL;
	struct perc_dpop d;
	char url[128];
	unsigned i;

	(void)snprintf(url, sizeof(url), "%s%s", f->url, perc_httpd_path(r));
	if (proof == NULL ||
	    perc_dpop_check(&d, proof, strlen(proof), perc_httpd_method(r), url,
		NULL, perc_wall_ms() / 1000, 30, &why) != 0 ||
	    strcmp(d.jkt, f->jkt) != 0)
		return false;
	for (i = 0; i < f->n; i++)
		if (strcmp(f->seen[i], d.jti_hash) == 0)
			return false;
	if (f->n < 16)
		memcpy(f->seen[f->n++], d.jti_hash, sizeof(f->seen[0]));
	return true;
}

static void
fake_request(struct perc_httpd_req *r, void *arg)
{
	static const unsigned put_status[] = { 200, 503, 200, 404 };
	const char *m = perc_httpd_method(r), *body = "{}";
	struct fake *f = arg;
	unsigned status = 500;
	char line[64];
	int n;

	n = snprintf(line, sizeof(line), "%s %s %s\n", m, perc_httpd_path(r),
	    proven(f, r) ? "good" : "bad");
	if (write(f->out, line, (size_t)n) != n)
		_exit(1);
	if (strcmp(m, "POST") == 0) {
		status = 201;
		body = GRANT;
	} else if (strcmp(m, "PUT") == 0) {
		status = f->puts < 4 ? put_status[f->puts] : 200;
		f->puts++;
		body = status == 200 ? RENEWED : "{}";
	} else if (strcmp(m, "DELETE") == 0) {
		status = 204;
		body = "";
	}
	perc_httpd_reply(r, status, NULL, 0, body, strlen(body), false);
}

static void
fake_run(int out, unsigned i)
{
	char cert[128], key[128], listen[64], why[256];
	struct perc_httpd_conf conf = { .listen = listen,
		.listen_fd = -1,
		.cert_file = cert,
		.key_file = key,
		.max_body = 4096,
		.deadline_ms = 5000,
		.max_conns = 8 };
	struct perc_httpd *h = NULL;
	struct perc_loop *loop = NULL;
	struct fake f = { .out = out };

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(f.url, sizeof(f.url), "%s", stage_base(i));
	(void)snprintf(
	    listen, sizeof(listen), "127.0.0.1%s", strrchr(f.url, ':'));
	path_of(cert, "tls.crt");
	path_of(key, "tls.key");
	if (perc_jwk_thumbprint(f.jkt, mesh_key[0]) != 0 ||
	    perc_loop_new(&loop) != 0 ||
	    perc_httpd_new(
		&h, loop, &conf, fake_request, &f, why, sizeof(why)) != 0)
		_exit(1);
	_exit(perc_loop_run(loop) != 0);
}

static FILE *
fake_start(pid_t *pid, unsigned i)
{
	int fd[2];
	FILE *f;

	(void)stage_base(i); /* chooses the port, for both of us */
	assert_int_equal(pipe(fd), 0);
	assert_true((*pid = fork()) >= 0);
	if (*pid == 0)
		fake_run(fd[1], i);
	(void)close(fd[1]);
	f = fdopen(fd[0], "r");
	assert_non_null(f);
	setbuf(f, NULL); /* poll() sees all of it */
	return f;
}

/* ---- what it was asked ------------------------------------------------ */

/* The next request is this one, proven; how long it took to come. */
static int64_t
asked(FILE *f, const char *want)
{
	struct pollfd p = { .fd = fileno(f), .events = POLLIN };
	int64_t began = perc_now_ms();
	char line[64] = "";

	assert_int_equal(poll(&p, 1, 30000), 1);
	assert_non_null(fgets(line, sizeof(line), f));
	line[strcspn(line, "\n")] = '\0';
	assert_string_equal(line, want);
	return perc_now_ms() - began;
}

static int
by_ms(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void
test_renewal(void **state)
{
	int64_t took[4];
	struct member a;
	int i;
	pid_t pid;
	FILE *f;

	mesh_conf(0, 2, "workers = 1\n", "");
	f = fake_start(&pid, 1);
	assert_int_equal(stage_start(0), 0);
	mesh_come(0, &a, "m_a", "c_renew", SSRC_A);
	(void)asked(f, "POST /v1/link good");
	/* Well before the 2 s are over; then unanswered, and again. A busy
	 * machine sees one late, and the next one soon after that. */
	for (i = 0; i < 4; i++)
		took[i] = asked(f, "PUT /v1/link/k_fake good");
	qsort(took, 4, sizeof(took[0]), by_ms);
	assert_in_range(took[1], 500, 1900);
	assert_in_range(took[2], 500, 1900);
	/* It knew nothing of the link: a new one, and no goodbye to the old */
	(void)asked(f, "POST /v1/link good");
	(void)asked(f, "PUT /v1/link/k_fake good");
	mesh_leave(0, &a);
	do {
		char line[64] = "";

		assert_non_null(fgets(line, sizeof(line), f));
		if (strcmp(line, "DELETE /v1/link/k_fake good\n") == 0)
			break;
		assert_string_equal(line, "PUT /v1/link/k_fake good\n");
	} while (true);
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	(void)fclose(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_renewal, NULL, mesh_stop),
	};

	return cmocka_run_group_tests_name(
	    "renew", tests, mesh_open, mesh_close);
}
