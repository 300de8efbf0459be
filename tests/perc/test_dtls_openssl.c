/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perc/dtls.c against the openssl program over a loopback socket, in both
 * roles: another user of the library, with its own BIOs, timers and exporter,
 * must come to the same keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "perc/b64.h"
#include "perc/dtls.h"

static char dir[] = "/tmp/perch-dtls-XXXXXX";
static uint8_t their_fp[PERC_FINGERPRINT_LEN];

struct side {
	int fd;
	struct sockaddr_in self, peer;
	struct perc_dtls_id *id;
	struct perc_dtls *d;
	pid_t pid;
	int keep; /* openssl's standard input stays open */
};

static int
setup(void **state)
{
	char cmd[512], line[256], *at;
	FILE *f;

	if (system("openssl version >/dev/null 2>&1") != 0) {
		printf("1..0 # SKIP no openssl program\n");
		exit(0);
	}
	signal(SIGPIPE, SIG_IGN);
	assert_non_null(mkdtemp(dir));
	(void)snprintf(cmd, sizeof(cmd),
	    "cd %s && openssl req -x509 -newkey ec -pkeyopt "
	    "ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=peer "
	    "-keyout key.pem -out cert.pem 2>log && openssl x509 -in cert.pem "
	    "-noout -fingerprint -sha256",
	    dir);
	f = popen(cmd, "r");
	assert_non_null(f);
	assert_non_null(fgets(line, sizeof(line), f));
	assert_int_equal(pclose(f), 0);
	line[strcspn(line, "\n")] = '\0';
	at = strchr(line, '=');
	assert_non_null(at);
	memcpy(at - 7, "sha-256 ", 8); /* "...sha256 Fingerprint=AB:.." */
	assert_int_equal(perc_fingerprint_get(their_fp, at - 7), 0);
	return 0;
}

static int
teardown(void **state)
{
	char cmd[128];

	(void)snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd);
}

static void
side_send(const uint8_t *p, size_t n, void *arg)
{
	struct side *s = arg;

	(void)!sendto(
	    s->fd, p, n, 0, (struct sockaddr *)&s->peer, sizeof(s->peer));
}

static void
side_open(struct side *s, bool server)
{
	socklen_t len = sizeof(s->self);

	memset(s, 0, sizeof(*s));
	s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	s->self.sin_family = AF_INET;
	s->self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->peer = s->self;
	assert_int_equal(bind(s->fd, (struct sockaddr *)&s->self, len), 0);
	assert_int_equal(
	    getsockname(s->fd, (struct sockaddr *)&s->self, &len), 0);
	assert_int_equal(perc_dtls_id_generate(&s->id, "us", 2), 0);
	assert_int_equal(perc_dtls_new(&s->d, s->id, server, their_fp, NULL, 0,
			     side_send, s),
	    0);
}

/* openssl with its output in DIR/out. */
static void
openssl_start(struct side *s, const char *args, unsigned port)
{
	char cmd[700];
	int in[2];

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	(void)snprintf(cmd, sizeof(cmd),
	    "cd %s && exec openssl %s%u "
	    "-dtls1_2 -cert cert.pem -key key.pem "
	    "-use_srtp SRTP_AEAD_AES_128_GCM "
	    "-keymatexport EXTRACTOR-dtls_srtp -keymatexportlen 56 >out 2>&1",
	    dir, args, port);
	s->pid = fork();
	if (s->pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(in[0], 0);
		(void)execl("/bin/sh", "sh", "-c", cmd, (char *)NULL);
		_exit(127);
	}
	(void)close(in[0]);
	s->keep = in[1];
}

static int64_t
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void
side_run(struct side *s)
{
	int64_t end = now_ms() + 5000;
	uint8_t buf[2048];
	socklen_t len;
	ssize_t n;
	int ms;

	while (perc_dtls_state(s->d) == PERC_DTLS_HANDSHAKE && now_ms() < end) {
		struct pollfd f = { .fd = s->fd, .events = POLLIN };

		ms = perc_dtls_next_ms(s->d);
		if (poll(&f, 1, ms < 0 || ms > 100 ? 100 : ms) == 0) {
			(void)!perc_dtls_timeout(s->d);
			continue;
		}
		len = sizeof(s->peer);
		n = recvfrom(s->fd, buf, sizeof(buf), 0,
		    (struct sockaddr *)&s->peer, &len);
		if (n > 0)
			(void)!perc_dtls_input(s->d, buf, (size_t)n);
	}
	assert_int_equal(perc_dtls_state(s->d), PERC_DTLS_UP);
}

/* What openssl exported, as octets. */
static void
material(uint8_t out[static 56])
{
	char path[64], text[65536], *at = NULL;
	size_t n, got = 56;
	int tries;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/out", dir);
	for (tries = 0; tries < 100 && at == NULL; tries++) {
		(void)usleep(20000);
		f = fopen(path, "r");
		assert_non_null(f);
		n = fread(text, 1, sizeof(text) - 1, f);
		(void)fclose(f);
		text[n] = '\0';
		if ((at = strstr(text, "Keying material: ")) != NULL &&
		    strlen(at) < 17 + 112)
			at = NULL;
	}
	assert_non_null(at);
	assert_int_equal(perc_hex_get(out, &got, at + 17, 112), 0);
	assert_int_equal(got, 56);
}

static void
compare(struct side *s, bool server)
{
	struct perc_dtls_split want;
	struct perc_dtls_keys k;
	uint8_t m[56];

	material(m);
	assert_int_equal(perc_dtls_split(&want, 7, m, sizeof(m)), 0);
	assert_int_equal(perc_dtls_keys(s->d, &k), 0);
	assert_int_equal(k.profile, PERC_AEAD_AES_128_GCM);
	assert_memory_equal(server ? k.rx_key : k.tx_key, want.client_key, 16);
	assert_memory_equal(server ? k.tx_key : k.rx_key, want.server_key, 16);
	assert_memory_equal(
	    server ? k.rx_salt : k.tx_salt, want.client_salt, 12);
	assert_memory_equal(
	    server ? k.tx_salt : k.rx_salt, want.server_salt, 12);
}

static void
side_close(struct side *s)
{
	(void)kill(s->pid, SIGKILL);
	(void)waitpid(s->pid, NULL, 0);
	(void)close(s->keep);
	(void)close(s->fd);
	perc_dtls_free(s->d);
	perc_dtls_id_free(s->id);
}

static void
test_s_client(void **state)
{
	struct side s;

	side_open(&s, true);
	openssl_start(&s,
	    "s_client -mtu 1200 -connect 127.0.0.1:", ntohs(s.self.sin_port));
	side_run(&s);
	compare(&s, true);
	side_close(&s);
}

static void
test_s_server(void **state)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	struct side s;
	int fd, i;

	side_open(&s, false);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	(void)close(fd);
	s.peer = a;
	/* Any certificate of ours will do for it: it has no anchor for us. */
	openssl_start(
	    &s, "s_server -4 -mtu 1200 -Verify 1 -accept ", ntohs(a.sin_port));
	for (i = 0; i < 100; i++) { /* until it has bound its socket */
		fd = socket(AF_INET, SOCK_DGRAM, 0);
		if (bind(fd, (struct sockaddr *)&a, len) != 0)
			i = 100;
		(void)close(fd);
		(void)usleep(20000);
	}
	assert_int_equal(perc_dtls_start(s.d), 0);
	side_run(&s);
	compare(&s, false);
	side_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_s_client),
		cmocka_unit_test(test_s_server),
	};

	return cmocka_run_group_tests_name(
	    "dtls and openssl", tests, setup, teardown);
}
