/* SPDX-License-Identifier: Apache-2.0 */
/* SDP files: their text, and a directory that follows the streams. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/frontsdp.h"
#include "agent/text.h"
#include "perc/json.h"

static json_t *
stream(const char *member, const char *name, const char *media)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:i, s:i, s:i, s:s}", "member",
	    member, "name", name, "media", media, "ssrc",
	    (json_int_t)4000000000u, "port", 20000, "rtcp_port", 20001, "pt",
	    111, "codec", "opus/48000/2");
}

static void
test_text(void **state)
{
	char text[FRONT_SDP_TEXT_MAX];
	json_t *s = stream("m_abc", "Bob", "audio");

	assert_int_equal(front_sdp_text(text, s), 0);
	assert_string_equal(text,
	    "v=0\r\no=- 4000000000 1 IN IP4 127.0.0.1\r\ns=Bob\r\n"
	    "c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 111\r\n"
	    "a=rtpmap:111 opus/48000/2\r\na=recvonly\r\n"
	    "a=ssrc:4000000000 cname:perch\r\n");
	json_decref(s);
}

/* A name is a stranger's: it must not become a line of its own. */
static void
test_name_makes_no_line(void **state)
{
	char text[FRONT_SDP_TEXT_MAX];
	json_t *s = stream("m_abc", "Eve\r\nc=IN IP4 192.0.2.1", "audio");

	assert_int_equal(front_sdp_text(text, s), 0);
	assert_null(strstr(text, "\nc=IN IP4 192"));
	json_decref(s);
}

static void
test_absurd_is_refused(void **state)
{
	static const struct {
		const char *name;
		json_int_t value;
	} bad[] = { { "port", 0 }, { "port", 65536 }, { "pt", 128 },
		{ "pt", -1 }, { "ssrc", 4294967296 } };
	char text[FRONT_SDP_TEXT_MAX];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *s = stream("m_a", "B", "audio");

		json_object_set_new(s, bad[i].name, json_integer(bad[i].value));
		assert_int_equal(front_sdp_text(text, s), PERC_ERR_FORMAT);
		json_object_del(s, bad[i].name);
		assert_int_equal(front_sdp_text(text, s), PERC_ERR_FORMAT);
		json_decref(s);
	}
	json_t *s = stream("m_a", "B", "text");

	assert_int_equal(front_sdp_text(text, s), PERC_ERR_FORMAT);
	json_object_set_new(s, "media", json_string("audio"));
	json_object_set_new(s, "codec", json_string("opus\r\nx"));
	assert_int_equal(front_sdp_text(text, s), PERC_ERR_FORMAT);
	json_decref(s);
}

/* What a directory is called must not become XML, nor another URL. */
static void
test_link(void **state)
{
	char *text = NULL;

	assert_int_equal(
	    front_sdp_link(&text, "/run/a \"b\">&%/c_1/m_b-audio.sdp"), 0);
	assert_string_equal(text,
	    "<?xml version=\"1.0\"?>\n"
	    "<?quicktime type=\"application/x-quicktime-media-link\"?>\n"
	    "<embed src=\"file/avformat:///run/a%20%22b%22%3E%26%25/c_1/"
	    "m_b-audio.sdp\" autoplay=\"true\"/>\n");
	text_free(text);
	assert_int_equal(
	    front_sdp_link(&text, "run/c_1/m_b.sdp"), PERC_ERR_FORMAT);
}

static void
test_directory_follows(void **state)
{
	char dir[] = "/tmp/perch-sdp-XXXXXX", path[256], link[256];
	json_t *out = json_array();
	struct stat st;

	assert_non_null(mkdtemp(dir));
	json_array_append_new(out, stream("m_a", "Alice", "audio"));
	json_array_append_new(out, stream("m_a", "Alice", "video"));
	json_array_append_new(out, stream("m_b", "Bob", "audio"));
	json_array_append_new(out, stream("../../m_c", "Eve", "audio"));
	front_sdp_write(dir, "c_1", out);
	snprintf(path, sizeof(path), "%s/c_1/m_b-audio.sdp", dir);
	assert_string_equal(perc_json_str(json_array_get(out, 2), "sdp"), path);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_null(json_object_get(json_array_get(out, 3), "sdp"));
	assert_null(json_object_get(json_array_get(out, 3), "vlc"));
	snprintf(link, sizeof(link), "%s/c_1/m_b-audio.qtl", dir);
	assert_string_equal(perc_json_str(json_array_get(out, 2), "vlc"), link);
	assert_int_equal(stat(link, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);

	json_array_remove(out, 2);
	front_sdp_write(dir, "c_1", out);
	assert_int_not_equal(stat(path, &st), 0); /* Bob has gone */
	assert_int_not_equal(stat(link, &st), 0);
	assert_int_equal(
	    stat(perc_json_str(json_array_get(out, 1), "vlc"), &st), 0);
	front_sdp_remove(dir, "c_1");
	snprintf(path, sizeof(path), "%s/c_1", dir);
	assert_int_not_equal(stat(path, &st), 0);
	json_decref(out);
	assert_int_equal(rmdir(dir), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_name_makes_no_line),
		cmocka_unit_test(test_absurd_is_refused),
		cmocka_unit_test(test_link),
		cmocka_unit_test(test_directory_follows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
