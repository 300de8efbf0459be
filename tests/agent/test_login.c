/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a login depends on and needs no provider for: what an ID token must
 * say, when to renew, how a URL looks as a QR code.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/cliqr.h"
#include "agent/frontlogin.h"
#include "perc/b64.h"

#define NOW 1700000000

static const struct front_idtoken_want want = { .issuer = "https://idp.example",
	.client_id = "perch",
	.nonce = "n0nce",
	.now_s = NOW };

/* A token that says payload; nobody signed it. */
static char *
token_of(const char *payload)
{
	char *out = malloc(1024);
	size_t n;

	assert_non_null(out);
	strcpy(out, "eyJhbGciOiJFUzI1NiJ9.");
	n = strlen(out);
	perc_b64_put(out + n, (const uint8_t *)payload, strlen(payload));
	strcat(out, ".AAAA");
	return out;
}

static int
check(const char *payload, const struct front_idtoken_want *w, char **subp,
    int64_t *life_s, const char **why)
{
	char *token = token_of(payload);
	int r;

	*subp = NULL;
	r = front_idtoken_check(subp, life_s, token, w, why);
	free(token);
	return r;
}

#define ISS   "\"iss\":\"https://idp.example\""
#define SUB   ",\"sub\":\"alice\""
#define AUD   ",\"aud\":\"perch\""
#define NONCE ",\"nonce\":\"n0nce\""
#define TIME  ",\"iat\":1700000000,\"exp\":1700000600"

static void
test_id_token(void **state)
{
	static const struct {
		const char *payload, *word; /* NULL: it is good */
	} all[] = {
		{ "{" ISS SUB AUD NONCE TIME "}", NULL },
		{ "{" ISS SUB ",\"aud\":[\"perch\"]" NONCE TIME "}", NULL },
		{ "{" ISS SUB
		  ",\"aud\":[\"x\",\"perch\"],\"azp\":\"perch\"" NONCE TIME "}",
		    NULL },
		/* Core 3.1.3.7 step 11 */
		{ "{" ISS SUB AUD TIME "}", "nonce" },
		{ "{" ISS SUB AUD TIME ",\"nonce\":\"n0nc3\"}", "nonce" },
		{ "{" ISS SUB AUD TIME ",\"nonce\":\"n0nce \"}", "nonce" },
		{ "{" ISS SUB AUD TIME ",\"nonce\":\"\"}", "nonce" },
		{ "{" ISS SUB AUD TIME ",\"nonce\":[\"n0nce\"]}", "nonce" },
		/* step 2 */
		{ "{\"iss\":\"https://idp.example/\"" SUB AUD NONCE TIME "}",
		    "issuer" },
		{ "{\"iss\":\"https://evil.example\"" SUB AUD NONCE TIME "}",
		    "issuer" },
		{ "{\"x\":1" SUB AUD NONCE TIME "}", "issuer" },
		/* steps 3 to 5 */
		{ "{" ISS SUB NONCE TIME "}", "client" },
		{ "{" ISS SUB ",\"aud\":\"other\"" NONCE TIME "}", "client" },
		{ "{" ISS SUB ",\"aud\":[]" NONCE TIME "}", "client" },
		{ "{" ISS SUB ",\"aud\":[\"x\",\"perch\"]" NONCE TIME "}",
		    "client" },
		{ "{" ISS SUB AUD ",\"azp\":\"x\"" NONCE TIME "}", "client" },
		/* steps 9 and 10, and who it is */
		{ "{" ISS SUB AUD NONCE
		  ",\"iat\":1699990000,\"exp\":1699999700}",
		    "clock" },
		{ "{" ISS SUB AUD NONCE
		  ",\"iat\":1700000301,\"exp\":1700000600}",
		    "clock" },
		{ "{" ISS SUB AUD NONCE
		  ",\"iat\":1700000100,\"exp\":1700000100}",
		    "clock" },
		{ "{" ISS SUB AUD NONCE ",\"iat\":1700000000}", "time" },
		{ "{" ISS SUB AUD NONCE ",\"exp\":1700000600}", "time" },
		{ "{" ISS SUB AUD NONCE
		  ",\"iat\":1700000000,\"exp\":\"1700000600\"}",
		    "time" },
		{ "{" ISS AUD NONCE TIME "}", "nobody" },
		{ "{" ISS ",\"sub\":\"\"" AUD NONCE TIME "}", "nobody" },
		{ "[]", "read" },
		{ "{" ISS ISS SUB AUD NONCE TIME "}", "read" },
	};
	const char *why = "";
	int64_t life = 0;
	char *sub;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		int r = check(all[i].payload, &want, &sub, &life, &why);

		if ((r == 0) != (all[i].word == NULL) ||
		    (r != 0 && strstr(why, all[i].word) == NULL))
			fail_msg("%s: %d %s", all[i].payload, r, why);
		if (r == 0) {
			assert_string_equal(sub, "alice");
			assert_int_equal(life, 600);
		} else {
			assert_null(sub);
		}
		free(sub);
	}
	assert_int_not_equal(
	    front_idtoken_check(&sub, &life, "opaque", &want, &why), 0);
}

/* A device asks without a nonce; Core 12.2: a renewed token may leave it
 * out, and is the same person's. */
static void
test_id_token_without_nonce_and_renewed(void **state)
{
	struct front_idtoken_want device = want, again = want, other = want;
	const char *why = "", *bare = "{" ISS SUB AUD TIME "}";
	int64_t life;
	char *sub;

	device.nonce = "";
	assert_int_equal(check(bare, &device, &sub, &life, &why), 0);
	free(sub);
	again.sub = "alice";
	assert_int_equal(check(bare, &again, &sub, &life, &why), 0);
	free(sub);
	assert_int_not_equal(check("{" ISS SUB AUD TIME ",\"nonce\":\"x\"}",
				 &again, &sub, &life, &why),
	    0);
	other.sub = "bob";
	assert_int_not_equal(check(bare, &other, &sub, &life, &why), 0);
	assert_non_null(strstr(why, "somebody else"));
}

static void
test_renewal_comes_early(void **state)
{
	assert_int_equal(front_login_early(3600000), 2880000);
	assert_int_equal(front_login_early(300000), 240000);
	assert_int_equal(front_login_early(100000), 70000);
	assert_int_equal(front_login_early(40000), 20000);
	assert_int_equal(front_login_early(4000), 2000);
}

static void
test_advice(void **state)
{
	assert_non_null(strstr(front_login_advice("access_denied"), "no"));
	assert_string_equal(front_login_advice("whatever"), "");
	assert_string_equal(front_login_advice(""), "");
}

static void
test_qr(void **state)
{
	const char *url = "https://idp.example/device?user_code=ABCD-EFGH";
	char *text = cli_qr(url, 80);
	unsigned lines = 0;

	assert_non_null(text);
	for (const char *p = text; *p != '\0'; p++)
		lines += *p == '\n';
	/* version 3 is 29 modules and twice 4 of quiet zone */
	assert_int_equal(lines, (29 + 8 + 1) / 2);
	assert_non_null(strstr(text, "\342\226\210"));
	text_free(text);
	text = cli_qr(url, 37);
	assert_non_null(text);
	text_free(text);
	assert_null(cli_qr(url, 36));
	assert_null(cli_qr("http://idp.example/device", 80));
	assert_null(cli_qr("javascript:alert(1)", 80));
	assert_null(cli_qr("https://idp.example/\033[2J", 80));
	assert_null(cli_qr("https://idp.example/ x", 80));
	assert_null(cli_qr("", 80));
}

/* ---- visitors of the browser's port ---- */

struct port {
	struct agent_conf conf;
	struct agent agent;
	struct front_login *l;
};

static void
port_open(struct port *p)
{
	memset(p, 0, sizeof(*p));
	p->agent.conf = &p->conf;
	assert_int_equal(perc_loop_new(&p->agent.loop), 0);
	p->l = p->agent.logins[0] = calloc(1, sizeof(*p->l));
	assert_non_null(p->l);
	p->l->agent = &p->agent;
	p->l->fd = -1;
	p->l->kmf = strdup("https://kmf.example");
	p->l->auth_url = strdup("https://idp.example/auth");
	p->l->issuer = strdup("https://idp.example");
	p->l->client_id = strdup("perch");
	front_redirect_start(p->l);
	assert_true(p->l->fd >= 0);
}

/* It is there when this returns, the loop has seen it after one turn. */
static int
visit(struct port *p)
{
	struct sockaddr_in sin;
	socklen_t len = sizeof(sin);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(
	    getsockname(p->l->fd, (struct sockaddr *)&sin, &len), 0);
	assert_int_equal(connect(s, (struct sockaddr *)&sin, len), 0);
	assert_int_equal(perc_loop_turn(p->agent.loop, 0), 0);
	return s;
}

static bool
is_waiting(int s)
{
	char c;

	return recv(s, &c, 1, MSG_DONTWAIT | MSG_PEEK) < 0 && errno == EAGAIN;
}

static void
says(struct port *p, int s, const char *text)
{
	assert_int_equal(send(s, text, strlen(text), 0), (ssize_t)strlen(text));
	assert_int_equal(perc_loop_turn(p->agent.loop, 0), 0);
}

static void
page_is(int s, const char *words)
{
	char page[1024] = "";
	size_t n = 0;
	ssize_t got;

	while ((got = recv(s, page + n, sizeof(page) - 1 - n, 0)) > 0)
		n += (size_t)got;
	if (strstr(page, words) == NULL)
		fail_msg("\"%s\" is not in: %s", words, page);
}

/* The loop carries calls: nobody who says nothing may hold it up. */
static void
test_silent_visitors_hold_nothing_up(void **state)
{
	struct port p;
	int silent[FRONT_VISITS_MAX], s, i;

	port_open(&p);
	for (i = 0; i < FRONT_VISITS_MAX; i++)
		silent[i] = visit(&p);
	for (i = 0; i < FRONT_VISITS_MAX; i++)
		assert_true(is_waiting(silent[i]));
	s = visit(&p); /* the oldest makes room */
	page_is(silent[0], "not the answer");
	says(&p, s, "GET /cb?error=no");
	assert_true(is_waiting(s));
	for (i = 1; i < FRONT_VISITS_MAX; i++)
		assert_true(is_waiting(silent[i]));
	says(&p, s, "&state=x HTTP/1.1\r\n");
	page_is(s, "not the answer");
	close(s);
	s = visit(&p); /* in the place that became free */
	assert_true(is_waiting(silent[1]));
	says(&p, s, "GET /cb?error=access_denied&state=");
	says(&p, s, p.l->state);
	says(&p, s, " HTTP/1.1\r\n");
	page_is(s, "refused"); /* and the login is over, with all visits */
	assert_null(p.agent.logins[0]);
	for (i = 1; i < FRONT_VISITS_MAX; i++)
		assert_false(is_waiting(silent[i]));
	for (i = 0; i < FRONT_VISITS_MAX; i++)
		close(silent[i]);
	close(s);
	perc_loop_free(p.agent.loop);
}

/* More than a request can be is an answer of its own. */
static void
test_visitor_without_an_end(void **state)
{
	char text[8193];
	struct port p;
	int s;

	memset(text, 'x', sizeof(text));
	text[8191] = '\0';
	port_open(&p);
	s = visit(&p);
	says(&p, s, text);
	assert_true(is_waiting(s));
	says(&p, s, "x");
	page_is(s, "not the answer");
	close(s);
	front_login_remove(p.l);
	perc_loop_free(p.agent.loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_id_token),
		cmocka_unit_test(test_id_token_without_nonce_and_renewed),
		cmocka_unit_test(test_renewal_comes_early),
		cmocka_unit_test(test_advice),
		cmocka_unit_test(test_qr),
		cmocka_unit_test(test_silent_visitors_hold_nothing_up),
		cmocka_unit_test(test_visitor_without_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
