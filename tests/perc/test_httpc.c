/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTPS client against a server of Python's standard library that
 * misbehaves on request (httpc_server.py), with a certificate made here.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perc/httpc_int.h"

static char dir[] = "/tmp/perch-httpc-XXXXXX";
static char cert[64], key[64];
static unsigned tls_port, plain_port;
static pid_t server;
static int server_in = -1;

static struct perc_loop *loop;
static struct perc_httpc *client;

struct seen {
	int calls, err, status;
	char why[160], body[8192], header[64];
	unsigned header_count;
	const char *header_name;
	unsigned data_calls;
	char data[256];
	int data_return;
	struct perc_httpc_req *cancel;
	bool free_client, again;
};

static void
on_done(const struct perc_httpc_answer *a, void *arg)
{
	struct seen *s = arg;
	const char *h;

	s->calls++;
	s->err = a->err;
	s->status = a->status;
	snprintf(s->why, sizeof(s->why), "%s", a->why);
	snprintf(s->body, sizeof(s->body), "%s", a->body);
	assert_int_equal(strlen(a->body), a->len);
	if (s->header_name != NULL) {
		h = perc_httpc_header(a->req, s->header_name, &s->header_count);
		snprintf(s->header, sizeof(s->header), "%s",
		    h != NULL ? h : "(none)");
	}
	if (s->free_client) {
		perc_httpc_free(client);
		client = NULL;
	}
}

static int
on_data(const char *p, size_t n, void *arg)
{
	struct seen *s = arg;

	s->data_calls++;
	strncat(s->data, p, n);
	if (s->cancel != NULL) {
		perc_httpc_cancel(s->cancel);
		return 0;
	}
	return s->data_return;
}

static const char *
url(const char *path)
{
	static char u[128];

	snprintf(u, sizeof(u), "https://localhost:%u%s", tls_port, path);
	return u;
}

static void
wait_calls(struct seen *s, int calls)
{
	for (int i = 0; i < 100 && s->calls < calls; i++)
		assert_int_equal(perc_loop_turn(loop, 100), 0);
	assert_int_equal(s->calls, calls);
}

static void
get(struct seen *s, const char *path)
{
	assert_int_equal(perc_httpc_start(client, NULL, "GET", url(path), NULL,
			     NULL, 0, NULL, 0, on_done, s),
	    0);
	assert_int_equal(s->calls, 0);
	wait_calls(s, 1);
}

static int
run_openssl(void)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd),
	    "openssl req -x509 -newkey ec -pkeyopt "
	    "ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
	    "-addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout %s "
	    "-out %s 2>/dev/null",
	    key, cert);
	return system(cmd);
}

static int
server_start(void)
{
	const char *src = getenv("top_srcdir");
	char script[512], line[64] = "";
	int in[2], out[2];

	snprintf(script, sizeof(script), "%s/tests/perc/httpc_server.py",
	    src != NULL ? src : ".");
	if (pipe(in) != 0 || pipe(out) != 0)
		return -1;
	if ((server = fork()) == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execlp("python3", "python3", script, cert, key, (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	server_in = in[1];
	/* An unbuffered Python writes the two numbers one by one. */
	for (size_t n = 0; n < sizeof(line) - 1 && strchr(line, '\n') == NULL;
	     n++)
		if (read(out[0], line + n, 1) != 1)
			return -1;
	close(out[0]);
	return sscanf(line, "%u %u", &tls_port, &plain_port) == 2 ? 0 : -1;
}

static int
group_setup(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(cert, sizeof(cert), "%s/cert.pem", dir);
	snprintf(key, sizeof(key), "%s/key.pem", dir);
	return run_openssl() == 0 ? server_start() : -1;
}

static int
group_teardown(void **state)
{
	close(server_in);
	waitpid(server, NULL, 0);
	unlink(cert);
	unlink(key);
	return rmdir(dir);
}

static void
client_open(const struct perc_httpc_conf *conf)
{
	assert_int_equal(perc_loop_new(&loop), 0);
	assert_int_equal(perc_httpc_new(&client, loop, conf), 0);
}

static int
setup(void **state)
{
	struct perc_httpc_conf conf = { .ca_file = cert,
		.max_body = 4096,
		.total_ms = 700,
		.user_agent = "perch-test",
		.loopback_http = true };

	client_open(&conf);
	return 0;
}

static int
teardown(void **state)
{
	perc_httpc_free(client);
	client = NULL;
	perc_loop_free(loop);
	return 0;
}

static void
test_post_echo(void **state)
{
	static const char *const headers[] = { "DPoP: proof",
		"Content-Type: application/json", NULL };
	struct seen s = { 0 };

	assert_int_equal(perc_httpc_start(client, NULL, "POST", url("/echo"),
			     headers, "{\"a\":1}", 7, NULL, 0, on_done, &s),
	    0);
	wait_calls(&s, 1);
	assert_int_equal(s.err, 0);
	assert_int_equal(s.status, 200);
	assert_non_null(strstr(s.body, "POST /echo HTTP/1.1"));
	assert_non_null(strstr(s.body, "DPoP: proof"));
	assert_non_null(strstr(s.body, "User-Agent: perch-test"));
	assert_non_null(strstr(s.body, "Content-Type: application/json"));
	assert_null(strstr(s.body, "x-www-form-urlencoded"));
	assert_null(strstr(s.body, "Expect"));
	assert_non_null(strstr(s.body, "\r\n\r\n{\"a\":1}"));
}

static void
test_empty_post_and_delete(void **state)
{
	struct seen s = { 0 }, d = { 0 };

	assert_int_equal(perc_httpc_start(client, NULL, "POST", url("/echo"),
			     NULL, NULL, 0, NULL, 0, on_done, &s),
	    0);
	assert_int_equal(perc_httpc_start(client, NULL, "DELETE", url("/echo"),
			     NULL, "body", 4, NULL, 0, on_done, &d),
	    0);
	wait_calls(&s, 1);
	wait_calls(&d, 1);
	assert_non_null(strstr(s.body, "Content-Length: 0"));
	assert_null(strstr(s.body, "Content-Type"));
	assert_non_null(strstr(d.body, "DELETE /echo"));
	assert_non_null(strstr(d.body, "\r\n\r\nbody"));
}

static void
test_headers_of_an_answer(void **state)
{
	struct seen s = { .header_name = "DPoP-Nonce" };
	struct seen two = { .header_name = "x-two" };
	struct seen early = { .header_name = "X-Early" };

	get(&s, "/nonce");
	assert_int_equal(s.status, 401);
	assert_string_equal(s.header, "n1");
	assert_int_equal(s.header_count, 1);
	assert_string_equal(s.body, "{\"code\":\"x\"}");
	get(&two, "/nonce");
	assert_string_equal(two.header, "a");
	assert_int_equal(two.header_count, 2);
	get(&early, "/continue");
	assert_string_equal(early.header, "(none)"); /* it was a 103's */
	assert_string_equal(early.body, "late");
}

static void
test_header_injection(void **state)
{
	static const char *const headers[] = { "A: b\r\nC: d", NULL };
	struct seen s = { 0 };

	assert_int_equal(perc_httpc_start(client, NULL, "GET", url("/echo"),
			     headers, NULL, 0, NULL, 0, on_done, &s),
	    PERC_ERR_INVAL);
}

static void
test_no_redirect(void **state)
{
	struct seen s = { .header_name = "Location" };

	get(&s, "/redirect");
	assert_int_equal(s.status, 302);
	assert_string_equal(s.header, "https://localhost/echo");
}

static void
test_bounds(void **state)
{
	struct seen big = { 0 }, many = { 0 };

	get(&big, "/big");
	assert_int_equal(big.err, PERC_ERR_LIMIT);
	assert_non_null(strstr(big.why, "too long"));
	get(&many, "/headers");
	assert_int_equal(many.err, PERC_ERR_LIMIT);
}

static void
test_broken_answers(void **state)
{
	struct seen lies = { 0 }, hangup = { 0 }, slow = { 0 };

	get(&lies, "/lies");
	assert_int_equal(lies.err, PERC_ERR_CLOSED);
	get(&hangup, "/hangup");
	assert_int_equal(hangup.err, PERC_ERR_CLOSED);
	get(&slow, "/slow");
	assert_int_equal(slow.err, PERC_ERR_TIMEOUT);
	assert_non_null(strstr(slow.why, "localhost:"));
}

static void
test_refused_in_words(void **state)
{
	struct seen s = { 0 };
	char u[64];

	snprintf(u, sizeof(u), "https://127.0.0.1:%u/", 1u);
	assert_int_equal(perc_httpc_start(client, NULL, "GET", u, NULL, NULL, 0,
			     NULL, 0, on_done, &s),
	    0);
	wait_calls(&s, 1);
	assert_int_equal(s.err, PERC_ERR_CLOSED);
	assert_string_equal(
	    s.why, "cannot connect to 127.0.0.1:1: connection refused");
}

static void
test_untrusted(void **state)
{
	struct perc_httpc_conf conf = { 0 }; /* the system's anchors */
	struct seen s = { 0 };

	teardown(state);
	client_open(&conf);
	get(&s, "/echo");
	assert_int_equal(s.err, PERC_ERR_AUTH);
	assert_non_null(strstr(s.why, "not to be trusted: SSL "));
	assert_int_equal(s.status, 0);
}

static void
test_schemes(void **state)
{
	struct perc_httpc_conf strict = { .ca_file = cert };
	struct seen s = { 0 };
	char u[64];
	static const char *const bad[] = { "http://kmf.example/",
		"http://127.evil.example/", "ftp://127.0.0.1/",
		"file:///etc/passwd", "https://a:b@localhost/", "nonsense",
		"http://1270.0.0.1.example/" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(perc_httpc_start(client, NULL, "GET", bad[i],
				     NULL, NULL, 0, NULL, 0, on_done, &s),
		    PERC_ERR_DENIED);
	snprintf(u, sizeof(u), "http://127.0.0.1:%u/echo", plain_port);
	assert_int_equal(perc_httpc_start(client, NULL, "GET", u, NULL, NULL, 0,
			     NULL, 0, on_done, &s),
	    0);
	wait_calls(&s, 1);
	assert_int_equal(s.status, 200);
	teardown(state);
	client_open(&strict);
	assert_int_equal(perc_httpc_start(client, NULL, "GET", u, NULL, NULL, 0,
			     NULL, 0, on_done, &s),
	    PERC_ERR_DENIED);
}

static void
test_stream(void **state)
{
	struct seen s = { .header_name = "DPoP-Nonce" };

	assert_int_equal(perc_httpc_start(client, NULL, "GET", url("/stream"),
			     NULL, NULL, 0, on_data, 1000, on_done, &s),
	    0);
	wait_calls(&s, 1);
	assert_int_equal(s.err, 0);
	assert_string_equal(s.data, "onetwothree");
	assert_true(s.data_calls >= 3); /* as they came */
	assert_string_equal(s.header, "n2");
	assert_string_equal(s.body, "");
}

static void
test_stream_refused(void **state)
{
	struct seen s = { 0 };

	assert_int_equal(perc_httpc_start(client, NULL, "GET", url("/nonce"),
			     NULL, NULL, 0, on_data, 1000, on_done, &s),
	    0);
	wait_calls(&s, 1);
	assert_int_equal(s.status, 401);
	assert_int_equal(s.data_calls, 0);
	assert_string_equal(s.body, "{\"code\":\"x\"}");
}

static void
test_stream_idle(void **state)
{
	struct seen s = { 0 };
	int64_t start = perc_now_ms();

	assert_int_equal(perc_httpc_start(client, NULL, "GET", url("/stall"),
			     NULL, NULL, 0, on_data, 300, on_done, &s),
	    0);
	wait_calls(&s, 1);
	assert_int_equal(s.err, PERC_ERR_TIMEOUT);
	assert_string_equal(s.data, "one");
	assert_true(perc_now_ms() - start < 1500);
}

static void
test_stream_ended_by_reader(void **state)
{
	struct seen s = { .data_return = -1 };
	struct seen c = { 0 };

	assert_int_equal(perc_httpc_start(client, NULL, "GET", url("/stream"),
			     NULL, NULL, 0, on_data, 1000, on_done, &s),
	    0);
	wait_calls(&s, 1);
	assert_int_equal(s.err, PERC_ERR_CLOSED);
	assert_int_equal(s.data_calls, 1);
	assert_int_equal(
	    perc_httpc_start(client, &c.cancel, "GET", url("/stream"), NULL,
		NULL, 0, on_data, 1000, on_done, &c),
	    0);
	for (int i = 0; i < 30; i++)
		assert_int_equal(perc_loop_turn(loop, 20), 0);
	assert_int_equal(c.data_calls, 1); /* cancelled in its callback */
	assert_int_equal(c.calls, 0);
}

static void
test_cancel_and_free(void **state)
{
	struct perc_httpc_req *r;
	struct seen s = { 0 }, last = { .free_client = true };

	assert_int_equal(perc_httpc_start(client, &r, "GET", url("/slow"), NULL,
			     NULL, 0, NULL, 0, on_done, &s),
	    0);
	assert_int_equal(perc_loop_turn(loop, 50), 0);
	perc_httpc_cancel(r);
	assert_int_equal(perc_httpc_start(client, &r, "GET", url("/slow"), NULL,
			     NULL, 0, NULL, 0, on_done, &s),
	    0);
	get(&last, "/echo"); /* frees the client from its callback */
	assert_int_equal(perc_loop_turn(loop, 10), 0);
	assert_int_equal(s.calls, 0);
}

/* Who stands where the kernel still sends from is left alone, and a request
 * that comes after makes a connection of its own. */
static void
test_moved(void **state)
{
	struct seen s = { 0 }, then = { 0 };

	assert_true(httpc_addr_stale("127.0.0.2", "127.0.0.1"));
	assert_false(httpc_addr_stale("127.0.0.1", "127.0.0.1"));
	assert_false(httpc_addr_stale("", "127.0.0.1")); /* not yet */
	assert_false(httpc_addr_stale("127.0.0.1", "localhost"));

	assert_int_equal(perc_httpc_start(client, NULL, "GET", url("/stall"),
			     NULL, NULL, 0, on_data, 500, on_done, &s),
	    0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(perc_loop_turn(loop, 20), 0);
	perc_httpc_moved(client);
	assert_int_equal(s.calls, 0);
	get(&then, "/continue");
	assert_int_equal(then.err, 0);
	wait_calls(&s, 1);
}

static void
test_once(void **state)
{
	struct perc_httpc_conf conf = { .ca_file = cert };
	struct seen s = { 0 };

	assert_int_equal(perc_httpc_once(&conf, "PUT", url("/echo"), NULL,
			     "x=y", 3, on_done, &s),
	    0);
	assert_int_equal(s.status, 200);
	assert_non_null(strstr(s.body, "PUT /echo"));
	assert_int_equal(perc_httpc_once(&conf, "GET", "http://localhost/",
			     NULL, NULL, 0, on_done, &s),
	    PERC_ERR_DENIED);
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_post_echo),
		WITH(test_empty_post_and_delete),
		WITH(test_headers_of_an_answer),
		WITH(test_header_injection),
		WITH(test_no_redirect),
		WITH(test_bounds),
		WITH(test_broken_answers),
		WITH(test_refused_in_words),
		WITH(test_untrusted),
		WITH(test_schemes),
		WITH(test_stream),
		WITH(test_stream_refused),
		WITH(test_stream_idle),
		WITH(test_stream_ended_by_reader),
		WITH(test_cancel_and_free),
		WITH(test_moved),
		WITH(test_once),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
