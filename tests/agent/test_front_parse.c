/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the front reads from strangers: the MDD's answer, the browser's
 * redirect, the local command's line; and the text helpers beneath.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/frontlogin.h"
#include "agent/local.h"
#include "perc/json.h"

#define FP                                                                     \
	"sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:" \
	"14:15:16:17:18:19:1A:1B:1C:1D:1E:1F"

static json_t *
good_join(void)
{
	return json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:[s], s:i}", "leg",
	    "l_7Jk", "host", "192.0.2.7", "port", 40000, "fingerprint", FP,
	    "ufrag", "abcd", "pwd", "0123456789012345678901", "profiles",
	    "SRTP_AEAD_AES_128_GCM", "expires_in", 600);
}

static int
parse(json_t *j, struct front_join *out)
{
	char *text = json_dumps(j, JSON_COMPACT);
	int r = front_join_parse(out, text, strlen(text));

	free(text);
	return r;
}

static void
test_join_good(void **state)
{
	struct front_join j;
	json_t *o = good_join();

	assert_int_equal(parse(o, &j), 0);
	assert_string_equal(j.host, "192.0.2.7");
	assert_int_equal(j.port, 40000);
	assert_int_equal(j.fingerprint[31], 0x1f);
	assert_string_equal(j.leg, "l_7Jk");
	assert_int_equal(j.expires_in, 600);
	json_object_set_new(o, "host", json_string("2001:db8::7"));
	assert_int_equal(parse(o, &j), 0);
	json_decref(o);
}

static void
test_join_lies(void **state)
{
	static const char *const names[] = { "leg", "host", "port",
		"fingerprint", "ufrag", "pwd", "expires_in" };
	static const struct {
		const char *name, *value;
	} bad[] = {
		{ "leg", "../x" },
		{ "leg", "" },
		{ "host", "media.example" }, /* nobody resolves here */
		{ "host", "192.0.2.7 " },
		{ "fingerprint", "sha-1 00:01" },
		{ "fingerprint", "sha-256 00:01" },
		{ "ufrag", "abc" },
		{ "ufrag", "ab:cd" },
		{ "pwd", "012345678901234567890" },
		{ "port", "40000" },
	};
	static const json_int_t ports[] = { 0, -1, 65536 };
	struct front_join j;
	char longer[300];

	for (size_t i = 0; i < 7; i++) {
		json_t *o = good_join();

		json_object_del(o, names[i]);
		assert_int_equal(parse(o, &j), PERC_ERR_FORMAT);
		json_decref(o);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *o = good_join();

		json_object_set_new(o, bad[i].name, json_string(bad[i].value));
		assert_int_equal(parse(o, &j), PERC_ERR_FORMAT);
		json_decref(o);
	}
	for (size_t i = 0; i < 3; i++) {
		json_t *o = good_join();

		json_object_set_new(o, "port", json_integer(ports[i]));
		assert_int_equal(parse(o, &j), PERC_ERR_FORMAT);
		json_decref(o);
	}
	memset(longer, 'a', sizeof(longer));
	longer[257] = '\0';
	for (size_t i = 0; i < 2; i++) {
		json_t *o = good_join();

		json_object_set_new(
		    o, i ? "pwd" : "ufrag", json_string(longer));
		assert_int_equal(parse(o, &j), PERC_ERR_FORMAT);
		json_decref(o);
	}
	assert_int_not_equal(front_join_parse(&j, "{", 1), 0);
	assert_int_not_equal(front_join_parse(&j, "[]", 2), 0);
}

#define ISSUER "https://idp.example/"

static int
redirect(const char *request, struct front_redirect *out)
{
	return front_redirect_parse(
	    out, request, strlen(request), "st", ISSUER, false);
}

static void
test_redirect(void **state)
{
	static const struct {
		const char *query;
		int r;
	} all[] = {
		{ "code=c&state=st", 0 },
		/* somebody else's answer, or one that was made up */
		{ "code=c&state=xx", PERC_ERR_AUTH },
		{ "code=c", PERC_ERR_AUTH },
		{ "code=c&state=", PERC_ERR_AUTH },
		{ "code=c&state=st%00", PERC_ERR_AUTH },
		{ "xstate=st&code=c", PERC_ERR_AUTH },
		{ "error=access_denied", PERC_ERR_AUTH },
		{ "state=st", PERC_ERR_FORMAT },
		{ "code=&state=st", PERC_ERR_FORMAT },
		/* RFC 9207: who answers */
		{ "state=st&iss=https%3A%2F%2Fidp.example%2F&code=c", 0 },
		{ "state=st&iss=https://idp.example&code=c",
		    PERC_ERR_CONFLICT },
		{ "state=st&iss=&code=c", PERC_ERR_CONFLICT },
		{ "state=st&iss=https://evil.example/&error=access_denied",
		    PERC_ERR_CONFLICT },
	};
	struct front_redirect got;
	char line[256];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		snprintf(line, sizeof(line), "GET /cb?%s HTTP/1.1\r\n\r\n",
		    all[i].query);
		if (redirect(line, &got) != all[i].r)
			fail_msg("%s", all[i].query);
	}
	assert_int_equal(
	    redirect("GET /cb?code=a%2Fb&state=st HTTP/1.1\r\n", &got), 0);
	assert_string_equal(got.code, "a/b");
	assert_int_equal(
	    redirect("GET /cb?error=access_denied&error_description=a+b%21&"
		     "state=st HTTP/1.1\r\n",
		&got),
	    PERC_ERR_DENIED);
	assert_string_equal(got.error, "access_denied");
	assert_string_equal(got.description, "a b!");
	assert_int_equal(
	    redirect("POST /cb?code=c&state=st HTTP/1.1\r\n", &got),
	    PERC_ERR_FORMAT);
	assert_int_equal(
	    redirect("GET /cb?code=c&state=st", &got), PERC_ERR_FORMAT);
	assert_int_equal(redirect("", &got), PERC_ERR_FORMAT);
}

static void
test_redirect_promises_and_lengths(void **state)
{
	const char *bare = "GET /cb?code=c&state=st HTTP/1.1\r\n";
	struct front_redirect got;
	char longer[2400];
	int n;

	/* it said that it names itself, and does not */
	assert_int_equal(
	    front_redirect_parse(&got, bare, strlen(bare), "st", ISSUER, true),
	    PERC_ERR_CONFLICT);
	n = snprintf(longer, sizeof(longer),
	    "GET /cb?state=st&code=%0*d HTTP/1.1\r\n", 2047, 7);
	assert_int_equal(
	    front_redirect_parse(&got, longer, (size_t)n, "st", ISSUER, false),
	    0);
	n = snprintf(longer, sizeof(longer),
	    "GET /cb?state=st&code=%0*d HTTP/1.1\r\n", 2048, 7);
	assert_int_equal(
	    front_redirect_parse(&got, longer, (size_t)n, "st", ISSUER, false),
	    PERC_ERR_FORMAT);
}

static void
test_local_line(void **state)
{
	static const char *const bad[] = { "", "{}", "[]", "{\"id\":1}",
		"{\"cmd\":\"x\"}", "{\"id\":0,\"cmd\":\"x\"}",
		"{\"id\":\"1\",\"cmd\":\"x\"}", "{\"id\":1,\"cmd\":2}",
		"{\"id\":1,\"id\":2,\"cmd\":\"x\"}",
		"{\"id\":1,\"cmd\":\"x\"} {}" };
	const char *good = "{\"id\":7,\"cmd\":\"join\"}", *cmd;
	json_t *j;
	int64_t id;

	assert_int_equal(local_parse(&j, &id, &cmd, good, strlen(good)), 0);
	assert_int_equal(id, 7);
	assert_string_equal(cmd, "join");
	json_decref(j);
	for (size_t n = 0; n < strlen(good); n++)
		assert_int_not_equal(local_parse(&j, &id, &cmd, good, n), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_not_equal(
		    local_parse(&j, &id, &cmd, bad[i], strlen(bad[i])), 0);
}

static void
test_text(void **state)
{
	struct text t = { 0 };
	char *url;

	text_add_form(&t, "a", "x y&z=1");
	text_add_form(&t, "skipped", NULL);
	text_add_form(&t, "b", "\xc3\xa4~");
	assert_string_equal(t.p, "a=x%20y%26z%3D1&b=%C3%A4~");
	text_clear(&t);
	assert_true(text_same_origin("https://a:1/x", "https://A:1"));
	assert_false(text_same_origin("https://a:1/x", "https://a:11/x"));
	assert_false(text_same_origin("https://a/", "http://a/"));
	assert_false(text_same_origin("https://u@a/", "https://u@a/"));
	assert_false(text_same_origin("a", "a"));
	assert_true(text_is_id("c_aZ-9", "c_"));
	assert_false(text_is_id("c_", "c_"));
	assert_false(text_is_id("c_a/b", "c_"));
	assert_false(text_is_id("m_a", "c_"));
	assert_false(text_is_id(NULL, "c_"));
	/* RFC 9728 section 3.1 */
	url = front_well_known(
	    "https://kmf.example/v1", "oauth-protected-resource");
	assert_string_equal(
	    url, "https://kmf.example/.well-known/oauth-protected-resource/v1");
	free(url);
	assert_null(front_well_known("nonsense", "x"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join_good),
		cmocka_unit_test(test_join_lies),
		cmocka_unit_test(test_redirect),
		cmocka_unit_test(test_redirect_promises_and_lengths),
		cmocka_unit_test(test_local_line),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
