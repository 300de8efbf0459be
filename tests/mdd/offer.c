/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The offer and what is taken from its answer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/mdd/offer.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
word_take(char *out, size_t cap, const char *sdp, const char *name)
{
	const char *p = strstr(sdp, name);

	assert_non_null(p);
	p += strlen(name);
	assert_true(strcspn(p, "\r") < cap);
	(void)snprintf(out, cap, "%.*s", (int)strcspn(p, "\r"), p);
}

static void
answer_take(struct member *m, const char *sdp)
{
	char text[128];

	word_take(m->p.ufrag, sizeof(m->p.ufrag), sdp, "a=ice-ufrag:");
	word_take(m->p.pwd, sizeof(m->p.pwd), sdp, "a=ice-pwd:");
	word_take(text, sizeof(text), sdp, "a=fingerprint:");
	assert_int_equal(perc_fingerprint_get(m->p.mdd_fp, text), 0);
	word_take(text, sizeof(text), sdp, " 127.0.0.1 ");
	m->p.mdd.sin_family = AF_INET;
	m->p.mdd.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	m->p.mdd.sin_port = htons((uint16_t)atoi(text));
}

void
whip_join(
    struct member *m, const char *m_line, const char *lines, struct answer *sdp)
{
	char fp[PERC_FINGERPRINT_TEXT], offer[1024];
	int n;

	peer_open(&m->p);
	m->token = sign(claims(m));
	perc_fingerprint_put(fp, m->p.fp);
	n = snprintf(offer, sizeof(offer),
	    "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
	    "a=group:BUNDLE 0\r\na=ice-ufrag:" PEER_UFRAG
	    "\r\na=ice-pwd:" PEER_PWD "\r\na=fingerprint:%s\r\n"
	    "a=setup:actpass\r\nm=%s\r\n"
	    "c=IN IP4 0.0.0.0\r\na=mid:0\r\na=rtcp-mux\r\na=sendrecv\r\n"
	    "%sa=ssrc:%u cname:x\r\n",
	    fp, m_line, lines, m->ssrc);
	assert_true(n > 0 && (size_t)n < sizeof(offer));
	*sdp = http("POST", "/v1/whip", m->token, offer);
	expect(*sdp, 201, NULL);
	answer_take(m, sdp->text);
	assert_true(peer_connect(&m->p, 30000));
}
