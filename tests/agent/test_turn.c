/* SPDX-License-Identifier: Apache-2.0 */
/* URIs of relays (RFC 7065), their place in the configuration, and the
 * messages of a stream (RFC 8656 section 12.5). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agentconf.h"
#include "agent/turnframe.h"
#include "agent/turnurl.h"

static void
test_uris(void **state)
{
	static const struct {
		const char *text, *host;
		enum turn_transport transport;
		uint16_t port;
	} good[] = {
		{ "turn:example.org", "example.org", TURN_UDP, 3478 },
		{ "turns:example.org", "example.org", TURN_TLS, 5349 },
		{ "turn:example.org:8000", "example.org", TURN_UDP, 8000 },
		{ "turn:192.0.2.7?transport=udp", "192.0.2.7", TURN_UDP, 3478 },
		{ "turn:e.org?transport=tcp", "e.org", TURN_TCP, 3478 },
		{ "turns:e.org:443?transport=tcp", "e.org", TURN_TLS, 443 },
		{ "TURNS:e.org:65535?Transport=TCP", "e.org", TURN_TLS, 65535 },
		{ "turn:[2001:db8::1]:9", "2001:db8::1", TURN_UDP, 9 },
	};
	static const char *const bad[] = { "", "turn", "turn:", "stun:e.org",
		"turn://e.org", "turn:e.org:", "turn:e.org:0",
		"turn:e.org:65536", "turn:e.org:1234567", "turn:e.org:1x",
		"turn:u@e.org", "turn:e.org/x", "turn:e.org?x=y",
		"turn:[2001:db8::1", "turn:[e.org]", "turn:-e.org",
		"turn:2001:db8::1", "turn:e org" };
	struct turn_url u;
	char longest[400];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(turn_url_parse(&u, good[i].text), 0);
		assert_string_equal(u.host, good[i].host);
		assert_int_equal(u.transport, good[i].transport);
		assert_int_equal(u.port, good[i].port);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(turn_url_parse(&u, bad[i]), PERC_ERR_FORMAT);
	assert_int_equal(turn_url_parse(&u, "turns:e.org?transport=udp"),
	    PERC_ERR_UNSUPPORTED);
	assert_int_equal(turn_url_parse(&u, "turn:e.org?transport=sctp"),
	    PERC_ERR_UNSUPPORTED);
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "turn:", 5);
	longest[5 + TURN_HOST_MAX] = '\0';
	assert_int_equal(turn_url_parse(&u, longest), PERC_ERR_FORMAT);
	longest[5 + TURN_HOST_MAX - 1] = '\0';
	assert_int_equal(turn_url_parse(&u, longest), 0);
}

static void
test_frames(void **state)
{
	static const struct {
		uint8_t p[4];
		size_t len, all;
	} good[] = {
		{ { 0x01, 0x03, 0x00, 0x08 }, 28, 28 },
		{ { 0x00, 0x01, 0x00, 0x00 }, 20, 20 },
		{ { 0x3f, 0xff, 0xff, 0xfc }, 20 + 65532, 20 + 65532 },
		{ { 0x40, 0x00, 0x00, 0x00 }, 4, 4 },
		{ { 0x40, 0x00, 0x00, 0x05 }, 9, 12 },
		{ { 0x4f, 0xff, 0xff, 0xff }, 4 + 65535, 65540 },
	};
	static const uint8_t bad[][4] = { { 0x01, 0x03, 0x00, 0x09 },
		{ 0x50, 0x00, 0x00, 0x04 }, { 0x80, 0x60, 0x00, 0x04 },
		{ 0xff, 0xff, 0xff, 0xff }, { 'S', 'S', 'H', '-' } };
	size_t len, all;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(turn_frame_len(&len, &all, good[i].p), 0);
		assert_int_equal(len, good[i].len);
		assert_int_equal(all, good[i].all);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
		    turn_frame_len(&len, &all, bad[i]), PERC_ERR_FORMAT);
}

/* What a configuration with this text leads to; the words of an error. */
static int
load(const char *text, char *words, size_t cap)
{
	char file[] = "/tmp/perch-turn-XXXXXX";
	struct perc_conf_error e = { "" };
	struct agent_conf c;
	int fd = mkstemp(file), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	r = agent_conf_load(&c, file, &e);
	unlink(file);
	if (r == 0)
		snprintf(words, cap, "%zu %s %s", c.nservers,
		    c.nservers > 0 ? c.server[0].parsed.host : "-",
		    agent_conf_relays(&c) ? "used" : "unused");
	else
		snprintf(words, cap, "%s", e.text);
	agent_conf_clear(&c);
	return r;
}

#define ONE "[turn a]\nurl = turn:e.org\nusername = u\npassword_file = p\n"

static void
test_configuration(void **state)
{
	char w[600], text[800];

	assert_int_equal(load("turn = auto\n", w, sizeof(w)), 0);
	assert_string_equal(w, "0 - unused");
	assert_int_equal(load(ONE, w, sizeof(w)), 0);
	assert_string_equal(w, "1 e.org used");
	assert_int_equal(load("turn = never\n" ONE, w, sizeof(w)), 0);
	assert_string_equal(w, "1 e.org unused");
	assert_int_equal(load("turn = always\n" ONE, w, sizeof(w)), 0);

	assert_int_not_equal(load("turn = always\n", w, sizeof(w)), 0);
	assert_non_null(strstr(w, "needs a [turn NAME] section"));
	assert_int_not_equal(load("[turn a]\nurl = turn:e.org\n"
				  "username = u\n",
				 w, sizeof(w)),
	    0);
	assert_non_null(strstr(w, "password_file"));
	snprintf(text, sizeof(text), "%s",
	    "[turn a]\nurl = http://e.org\nusername = u\n"
	    "password_file = p\n");
	assert_int_not_equal(load(text, w, sizeof(w)), 0);
	assert_non_null(strstr(w, "[turn a]: http://e.org: write turn:HOST"));
	snprintf(text, sizeof(text), "%s[turn b]%s[turn c]%s[turn d]%s", ONE,
	    &(ONE)[8], &(ONE)[8], &(ONE)[8]);
	assert_int_equal(load(text, w, sizeof(w)), 0);
	snprintf(text, sizeof(text),
	    "%s[turn b]%s[turn c]%s[turn d]%s[turn e]%s", ONE, &(ONE)[8],
	    &(ONE)[8], &(ONE)[8], &(ONE)[8]);
	assert_int_not_equal(load(text, w, sizeof(w)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_uris),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
