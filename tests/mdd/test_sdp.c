/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Offers that real endpoints wrote (the fuzz corpus has them as files), and
 * what must become of each line of an offer: taken, refused with its place
 * kept, or a clear refusal of the whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mdd/sdp.h"
#include "perc/hdrext.h"

#define FP                                                                     \
	"a=fingerprint:sha-256 "                                               \
	"00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"                     \
	"00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n"
#define HEAD                                                                   \
	"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"                  \
	"a=group:BUNDLE 0 1\r\na=ice-ufrag:abcd\r\n"                           \
	"a=ice-pwd:0123456789012345678901\r\na=setup:actpass\r\n"
#define AUDIO                                                                  \
	"m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n" \
	"a=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"                          \
	"a=fmtp:111 minptime=10;useinbandfec=1\r\n"                            \
	"a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"
#define VIDEO                                                                  \
	"m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=mid:1\r\na=rtcp-mux\r\n"       \
	"a=rtpmap:96 VP8/90000\r\na=rtcp-fb:* nack pli\r\n"                    \
	"a=rtcp-fb:96 nack\r\na=rtcp-fb:96 goog-remb\r\n"                      \
	"a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\na=recvonly\r\n"

static const struct mdd_sdp_named others[] = { { 77, false }, { 78, true } };
static const struct mdd_sdp_ours ours = { others, 2, "sha-256 00:11",
	"ufrag123", "pwdpwdpwdpwdpwdpwdpwdpwd", "192.0.2.1", "2001:db8::1",
	40000, 7 };

static struct mdd_sdp o;
static struct mdd_plan plan;
static char answer[MDD_SDP_ANSWER_MAX];
static const struct mdd_sdp_refusal *why;

static int
take(const char *text, size_t n)
{
	size_t len;
	int r;

	if ((r = mdd_sdp_parse(&o, text, n, &why)) != 0 ||
	    (r = mdd_sdp_settle(&plan, &o, &why)) != 0)
		return r;
	assert_int_equal(
	    mdd_sdp_answer(answer, sizeof(answer), &len, &o, &plan, &ours), 0);
	assert_int_equal(len, strlen(answer));
	return 0;
}

static void
good(const char *text)
{
	if (take(text, strlen(text)) != 0)
		fail_msg("refused: %s at line %u", why->code, o.at);
}

static void
refused(const char *text, const char *code)
{
	assert_int_not_equal(take(text, strlen(text)), 0);
	assert_string_equal(why->code, code);
}

static void
has(const char *part)
{
	if (strstr(answer, part) == NULL)
		fail_msg("no \"%s\" in\n%s", part, answer);
}

static void
has_not(const char *part)
{
	if (strstr(answer, part) != NULL)
		fail_msg("\"%s\" is in\n%s", part, answer);
}

/* An offer of the corpus. */
static void
real(const char *name)
{
	static char text[MDD_SDP_MAX];
	const char *src = getenv("top_srcdir");
	char path[512];
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/tests/fuzz/corpus/sdp/%s",
	    src == NULL ? "." : src, name);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text), f);
	(void)fclose(f);
	if (take(text, n) != 0)
		fail_msg("%s refused: %s line %u", name, why->code, o.at);
}

static void
test_chromium(void **state)
{
	real("chromium-156");
	assert_int_equal(plan.nlines, 3);
	assert_int_equal(plan.pt[MDD_OPUS], 111);
	assert_int_equal(plan.pt[MDD_VP8], 96);
	assert_int_equal(plan.pt[MDD_H264], 102);
	assert_int_equal(plan.ext[PERC_HDREXT_MID], 4);
	assert_int_equal(plan.ext[PERC_HDREXT_LEVEL], 1);
	assert_true(plan.line[0].hears && plan.line[2].hears);
	assert_true(plan.line[1].video);
	assert_int_equal(o.nssrcs, 3);
	assert_int_equal(o.nrepairs, 1);
	has("a=group:BUNDLE 0 1 2\r\n");
	has("a=ice-lite\r\n");
	has("m=audio 40000 UDP/TLS/RTP/SAVPF 111 9 0 8\r\na=mid:0\r\n"
	    "a=sendrecv\r\n");
	has("a=setup:passive\r\n");
	has("a=candidate:1 1 udp 2130706431 2001:db8::1 40000 typ host\r\n");
	has("a=candidate:2 1 udp 2130706175 192.0.2.1 40000 typ host\r\n");
	has("a=mid:2\r\na=sendonly\r\n");
	has("a=fmtp:111 minptime=10;useinbandfec=1\r\n");
	assert_int_equal(plan.rtx[MDD_VP8], 97);
	assert_int_equal(plan.rtx[MDD_H264], 103);
	assert_int_equal(plan.rtx[MDD_OPUS], MDD_PLAN_NONE);
	assert_int_equal(plan.nrepairs, 1);
	has("a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n");
	assert_int_equal(plan.ext[PERC_HDREXT_TWCC], 3);
	has("a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-"
	    "wide-cc-extensions-01\r\n");
	has("a=rtcp-fb:96 transport-cc\r\n");
	has_not("red/");
	has_not("AV1");
	has_not("goog-remb");
	has_not("toffset");
	has_not("sha-1 ");
}

/* Ids that differ between its m-lines, and a transport for each of them. */
static void
test_aiortc(void **state)
{
	real("aiortc-1.4");
	assert_int_equal(plan.nlines, 2);
	assert_int_equal(plan.pt[MDD_OPUS], 96);
	assert_int_equal(plan.pt[MDD_VP8], 97);
	assert_int_equal(plan.ext[PERC_HDREXT_MID], 1);
	assert_int_equal(plan.ext[PERC_HDREXT_LEVEL], 2);
	assert_true(mdd_str_is(o.ufrag, "VhN3"));
	has("a=group:BUNDLE 0 1\r\n");
	has("m=application 0 DTLS/SCTP 5000\r\na=mid:2\r\na=inactive\r\n");
}

#define TWCC                                                                   \
	"a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-"      \
	"wide-cc-extensions-01\r\n"

/* Both the number and the report of it, on every m-line, or none at all. */
static void
test_transport_cc(void **state)
{
	good(HEAD FP AUDIO TWCC "a=rtcp-fb:* transport-cc\r\n" VIDEO TWCC
				"a=rtcp-fb:96 transport-cc\r\n");
	has("a=rtcp-fb:111 transport-cc\r\n");
	has("a=rtcp-fb:96 transport-cc\r\n");
	assert_int_equal(plan.ext[PERC_HDREXT_TWCC], 3);
	good(HEAD FP AUDIO TWCC "a=rtcp-fb:* transport-cc\r\n" VIDEO TWCC);
	has_not("transport-");
	assert_int_equal(plan.ext[PERC_HDREXT_TWCC], 0);
	good(HEAD FP AUDIO "a=rtcp-fb:* transport-cc\r\n" VIDEO TWCC
			   "a=rtcp-fb:96 transport-cc\r\n");
	has_not("transport-");
	assert_int_equal(plan.ext[PERC_HDREXT_TWCC], 0);
	assert_int_equal(plan.ext[PERC_HDREXT_MID], 4);
}

/* Who has no MID is told who is there, once for each kind. */
static void
test_ssrcs_of_others(void **state)
{
	char text[4096], *mid;

	(void)snprintf(text, sizeof(text), "%s",
	    HEAD FP AUDIO "a=ssrc:5 cname:x\r\n" VIDEO
			  "a=ssrc:6 cname:x\r\na=ssrc:7 cname:x\r\n"
			  "a=ssrc-group:FID 6 7\r\n");
	good(text);
	has_not("a=ssrc:");
	mid = strstr(text, "a=extmap:4");
	memcpy(mid, "a=x", 3); /* now it offers no MID */
	good(text);
	has("a=ssrc:77 cname:77\r\nm=video");
	has("a=ssrc:78 cname:78\r\n");
	assert_ptr_equal(
	    strstr(strstr(answer, "a=ssrc:77") + 1, "a=ssrc:77"), NULL);
	good(HEAD FP AUDIO "a=sendonly\r\n");
	has_not("a=ssrc:");
}

static void
test_own_ssrcs(void **state)
{
	struct mdd_sdp_named own[3];

	good(HEAD FP AUDIO "a=ssrc:5 cname:x\r\n" VIDEO
			   "a=ssrc:6 cname:x\r\na=ssrc:7 cname:x\r\n"
			   "a=ssrc-group:FID 6 7\r\n");
	assert_int_equal(mdd_sdp_own(&o, own, 3), 2);
	assert_true(own[0].ssrc == 5 && !own[0].video);
	assert_true(own[1].ssrc == 6 && own[1].video);
	assert_int_equal(mdd_sdp_own(&o, own, 1), 1);
}

/* What one side sends the other receives (RFC 3264 section 6.1). */
static void
test_directions(void **state)
{
	good(HEAD FP AUDIO "a=sendonly\r\n" VIDEO);
	has("a=mid:0\r\na=recvonly\r\n");
	has("a=mid:1\r\na=sendonly\r\n");
	assert_false(plan.line[0].hears);
	assert_true(plan.line[1].hears);
	has("a=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\n");
	good(HEAD FP AUDIO "a=inactive\r\n");
	has("a=mid:0\r\na=inactive\r\n");
}

/* RFC 6904: encrypted extensions are answered to nobody, so that no hop has any
 * to decrypt. The id of one is not taken for that of what it would hide. */
static void
test_REQ_F_4_4d_no_encrypted_extensions(void **state)
{
	good(HEAD FP AUDIO "a=extmap:5 urn:ietf:params:rtp-hdrext:encrypt "
			   "urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
			   "a=extmap:6 urn:ietf:params:rtp-hdrext:encrypt "
			   "urn:ietf:params:rtp-hdrext:sdes:mid\r\n");
	assert_null(strstr(answer, "encrypt"));
	assert_null(strstr(answer, "a=extmap:5"));
	assert_null(strstr(answer, "a=extmap:6"));
	assert_int_equal(plan.ext[PERC_HDREXT_LEVEL], 0);
}

static void
test_refused_lines_keep_their_place(void **state)
{
	good(HEAD FP "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
		     "a=mid:x\r\n" VIDEO "m=video 0 UDP/TLS/RTP/SAVPF 96\r\n"
		     "a=mid:y\r\n");
	assert_true(strstr(answer, "m=application 0 UDP/DTLS/SCTP") <
	    strstr(answer, "m=video 40000"));
	has("m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:y\r\n");
	has("a=group:BUNDLE 1\r\n");
	/* port 0 means nothing where the line is carried by another */
	good(HEAD FP AUDIO "m=video 0 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\n"
			   "a=bundle-only\r\na=rtcp-mux\r\n"
			   "a=rtpmap:96 VP8/90000\r\n");
	has("a=group:BUNDLE 0 1\r\n");
}

static void
test_whole_refusals(void **state)
{
	refused(HEAD AUDIO, "sdp_no_fingerprint");
	refused(
	    HEAD "a=fingerprint:sha-1 00:11\r\n" AUDIO, "sdp_no_fingerprint");
	refused(HEAD FP "a=ice-lite\r\n" AUDIO, "sdp_no_ice");
	refused(HEAD FP AUDIO "a=setup:passive\r\n", "sdp_dtls_role");
	refused(HEAD FP "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=rtcp-mux\r\n",
	    "sdp_no_media");
	refused(HEAD FP "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n",
	    "sdp_no_media"); /* no rtcp-mux */
	refused(HEAD FP "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=rtcp-mux\r\n",
	    "sdp_no_media"); /* no mid */
	refused(HEAD FP "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=rtcp-mux\r\n"
			"a=mid:9\r\n",
	    "sdp_no_media"); /* not in the bundle */
	refused(HEAD FP "m=audio 9 UDP/TLS/RTP/SAVPF 99\r\na=rtcp-mux\r\n"
			"a=mid:0\r\na=rtpmap:99 speex/8000\r\n",
	    "sdp_no_media");
}

static void
test_malformed(void **state)
{
	static const char *const bad[] = { "", "v=1\r\n" AUDIO,
		"o=- 1 2 IN IP4 0\r\nv=0\r\n" AUDIO, "v=0\r\n", "v=0\r\nm=\r\n",
		HEAD "x=1\r\n", HEAD "A=1\r\n", HEAD "nonsense\r\n",
		HEAD "v=0\r\n", HEAD "a=a\tb\001\r\n",
		HEAD "m=audio 9 UDP/TLS/RTP/SAVPF\r\n",
		HEAD "m=audio x UDP/TLS/RTP/SAVPF 0\r\n",
		HEAD "m=audio 65536 UDP/TLS/RTP/SAVPF 0\r\n",
		HEAD "m=audio 9 UDP/TLS/RTP/SAVPF 128\r\n",
		HEAD "m=audio 9 UDP/TLS/RTP/SAVPF 0 0\r\n",
		HEAD "m=audio 9 UDP/TLS/RTP/SAVPF 0  8\r\n",
		HEAD AUDIO "o=- 1 1 IN IP4 0\r\n",
		HEAD AUDIO "a=ice-ufrag:abc\r\n",
		HEAD AUDIO "a=ice-ufrag:a b c d\r\n",
		HEAD AUDIO "a=ice-pwd:short\r\n", HEAD AUDIO "a=setup:both\r\n",
		HEAD AUDIO "a=fingerprint:sha-256 00:11\r\n",
		HEAD AUDIO "a=extmap:0 urn:x\r\n",
		HEAD AUDIO "a=extmap:x urn:x\r\n", HEAD AUDIO "a=mid:a:b\r\n",
		HEAD AUDIO "a=ssrc:x cname:y\r\n",
		HEAD AUDIO "a=ssrc:4294967296 cname:y\r\n" };
	size_t i;

	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (take(bad[i], strlen(bad[i])) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_string_equal(why->code, "sdp_malformed");
	}
	refused(HEAD "a=one\r\na=setup:x\r\n", "sdp_malformed");
	assert_int_equal(o.at, 10);
}

/* Every bound: the last that goes and the first that does not. */
static void
test_bounds(void **state)
{
	static char text[2 * MDD_SDP_MAX];
	size_t n, i;

	for (n = MDD_PLAN_LINES - 1; n <= MDD_PLAN_LINES; n++) {
		strcpy(text, HEAD FP AUDIO);
		for (i = 0; i < n; i++)
			strcat(text, "m=x 9 y z\r\n");
		if (n < MDD_PLAN_LINES)
			good(text);
		else
			refused(text, "sdp_too_large");
	}
	strcpy(text, HEAD FP AUDIO);
	for (i = 0; i < MDD_SDP_SSRCS; i++)
		(void)sprintf(
		    text + strlen(text), "a=ssrc:%zu cname:x\r\n", i + 5);
	good(text);
	assert_int_equal(o.nssrcs, MDD_SDP_SSRCS);
	strcat(text, "a=ssrc:5 msid:- x\r\n");
	good(text);
	strcat(text, "a=ssrc:4 cname:x\r\n");
	refused(text, "sdp_malformed");
	(void)sprintf(text, HEAD FP AUDIO "a=%0*d\r\n", MDD_SDP_LINE - 2, 1);
	good(text);
	(void)sprintf(text, HEAD FP AUDIO "a=%0*d\r\n", MDD_SDP_LINE - 1, 1);
	refused(text, "sdp_malformed");
	memset(text, 'a', sizeof(text));
	assert_int_not_equal(take(text, MDD_SDP_MAX + 1), 0);
	assert_string_equal(why->code, "sdp_too_large");
}

/* Cut anywhere, and with any octet changed: refused or answered, never more. */
static void
test_every_prefix(void **state)
{
	static char text[] = HEAD FP AUDIO VIDEO;
	size_t n, len = sizeof(text) - 1;
	char was;

	for (n = 0; n < len; n++)
		(void)!take(text, n);
	for (n = 0; n < len; n++) {
		was = text[n];
		text[n] = (char)(was ^ 0x15);
		(void)!take(text, len);
		text[n] = was;
	}
	good(text);
}

static void
test_ssrcs(void **state)
{
	static const uint32_t of_token[] = { 7, 8 };

	good(HEAD FP AUDIO "a=ssrc:7 cname:a\r\n");
	assert_int_equal(mdd_sdp_stray_ssrc(&o, of_token, 2), 0);
	good(HEAD FP AUDIO "a=ssrc:7 cname:a\r\na=ssrc:9 cname:a\r\n");
	assert_int_equal(mdd_sdp_stray_ssrc(&o, of_token, 2), 9);
	good(HEAD FP AUDIO "a=ssrc-group:FID 7 9\r\na=ssrc:7 cname:a\r\n"
			   "a=ssrc:9 cname:a\r\n");
	assert_int_equal(mdd_sdp_stray_ssrc(&o, of_token, 2), 0);
	good(HEAD FP AUDIO);
	assert_int_equal(mdd_sdp_stray_ssrc(&o, of_token, 2), 0);
}

/* H.264 and VP9 in one form only, a payload type for one codec, none that
 * looks like RTCP. */
static void
test_codecs(void **state)
{
	good(HEAD FP
	    "m=video 9 UDP/TLS/RTP/SAVPF 70 100 101 102 103 104\r\na=mid:1\r\n"
	    "a=rtcp-mux\r\na=rtpmap:100 H264/90000\r\n"
	    "a=fmtp:100 packetization-mode=0;profile-level-id=42e01f\r\n"
	    "a=rtpmap:101 h264/90000\r\na=fmtp:101 profile-level-id=640c1f; "
	    "packetization-mode=1\r\na=rtpmap:102 H264/90000\r\n"
	    "a=fmtp:102 profile-level-id=42001f; packetization-mode=1\r\n"
	    "a=rtpmap:103 VP9/90000\r\na=fmtp:103 profile-id=2\r\n"
	    "a=rtpmap:104 VP9/90000\r\na=rtpmap:70 VP8/90000\r\n");
	assert_int_equal(plan.pt[MDD_H264], 102);
	assert_int_equal(plan.pt[MDD_VP9], 104);
	assert_int_equal(plan.pt[MDD_VP8], MDD_PLAN_NONE);
	has("m=video 40000 UDP/TLS/RTP/SAVPF 102 104\r\n");
	assert_int_equal(mdd_plan_codec(&plan, 102), MDD_H264);
	assert_int_equal(mdd_plan_codec(&plan, 103), MDD_CODECS);
	/* the second m-line calls something else 111 */
	good(HEAD FP AUDIO "m=video 9 UDP/TLS/RTP/SAVPF 111 96\r\na=mid:1\r\n"
			   "a=rtcp-mux\r\na=rtpmap:111 VP8/90000\r\n"
			   "a=rtpmap:96 VP8/90000\r\n");
	assert_int_equal(plan.pt[MDD_VP8], 96);
	assert_int_equal(plan.pt[MDD_OPUS], 111);
}

/* Without MID a second m-line of a kind could not be told from the first. */
static void
test_seats(void **state)
{
	struct mdd_line *l;

	good(HEAD FP AUDIO AUDIO);
	assert_true(plan.line[0].hears && plan.line[1].hears);
	l = mdd_plan_line(&plan, false, 70, 1000);
	assert_ptr_equal(l, &plan.line[0]);
	assert_ptr_equal(mdd_plan_line(&plan, false, 71, 1001), l + 1);
	assert_ptr_equal(mdd_plan_line(&plan, false, 70, 2500), l);
	assert_null(mdd_plan_line(&plan, false, 72, 2600));
	assert_null(mdd_plan_line(&plan, true, 72, 2600));
	assert_ptr_equal(mdd_plan_line(&plan, false, 72, 3001), l + 1);
	assert_null(mdd_plan_line(&plan, false, 71, 3002));
	good(HEAD FP "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
		     "a=rtcp-mux\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"
		     "a=mid:1\r\na=rtcp-mux\r\n");
	assert_true(plan.line[0].hears);
	assert_false(plan.line[1].hears);
}

static void
test_frag(void **state)
{
	static const char text[] =
	    "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n"
	    "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
	    "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"
	    "a=end-of-candidates\r\n";
	struct mdd_frag f;

	assert_int_equal(mdd_sdp_frag(&f, text, sizeof(text) - 1), 0);
	assert_true(mdd_str_is(f.ufrag, "abcd"));
	assert_int_equal(f.candidates, 1);
	assert_int_not_equal(mdd_sdp_frag(&f, text, 18), 0);
	assert_int_not_equal(mdd_sdp_frag(&f, "v=0\r\n", 5), 0);
	assert_int_not_equal(mdd_sdp_frag(&f, "", 0), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chromium),
		cmocka_unit_test(test_aiortc),
		cmocka_unit_test(test_transport_cc),
		cmocka_unit_test(test_ssrcs_of_others),
		cmocka_unit_test(test_own_ssrcs),
		cmocka_unit_test(test_directions),
		cmocka_unit_test(test_REQ_F_4_4d_no_encrypted_extensions),
		cmocka_unit_test(test_refused_lines_keep_their_place),
		cmocka_unit_test(test_whole_refusals),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_every_prefix),
		cmocka_unit_test(test_ssrcs),
		cmocka_unit_test(test_codecs),
		cmocka_unit_test(test_seats),
		cmocka_unit_test(test_frag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
