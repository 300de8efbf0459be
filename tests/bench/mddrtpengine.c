/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtpengine in user space: every member publishes under an SDES key of
 * AEAD_AES_128_GCM and subscribes to all others, which is how it fans out. Its
 * control protocol is bencode behind a cookie, in datagrams.
 *
 * A socket that had more than 50 packets waiting for the sixth time is never
 * read again ("UDP receive queue exceeded", edge-triggered): after losses the
 * members therefore meet in a new conference. And it would end one that is
 * silent for 60 s, as while the others are measured.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/mddrig.h"

#define TEXT	 65536
#define PING_MS	 50
#define START_MS 10000
#define STARTS	 3

struct bencode {
	char buf[TEXT];
	size_t n;
};

static int control = -1;
static unsigned cookie, call;

static void
put(struct bencode *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	b->n += (size_t)vsnprintf(b->buf + b->n, TEXT - b->n, fmt, ap);
	va_end(ap);
	need(b->n < TEXT);
}

static void
put_str(struct bencode *b, const char *s)
{
	put(b, "%zu:%s", strlen(s), s);
}

static void
put_pair(struct bencode *b, const char *name, const char *value)
{
	put_str(b, name);
	put_str(b, value);
}

/* A request about the conference of now. */
static void
put_request(struct bencode *b, const char *command)
{
	char id[16];

	(void)snprintf(id, sizeof(id), "bench%u", call);
	b->n = 0;
	put(b, "d");
	put_pair(b, "command", command);
	put_pair(b, "call-id", id);
}

/* Does it hear us yet? Each time it is asked anew: what comes before it listens
 * is refused by the system, which our socket then tells us. */
static bool
answers(void)
{
	char ping[64], answer[64];
	struct pollfd p = { control, POLLIN, 0 };
	int n;

	n = snprintf(ping, sizeof(ping), "%u d7:command4:pinge", ++cookie);
	(void)!send(control, ping, (size_t)n, 0);
	if (poll(&p, 1, PING_MS) != 1)
		return false;
	if (recv(control, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		return true;
	(void)usleep(PING_MS * 1000);
	return false;
}

/* Ask, and give the answer's SDP ("" when it has none). */
static void
ask(struct bencode *q, char sdp[static TEXT])
{
	char answer[TEXT], *p, *body;
	struct bencode m = { .n = 0 };
	ssize_t n;
	long len;

	put(&m, "%u %s", ++cookie, q->buf);
	need(send(control, m.buf, m.n, 0) == (ssize_t)m.n);
	do { /* a ping's answer may still come */
		n = recv(control, answer, sizeof(answer) - 1, 0);
		need(n > 0);
		answer[n] = '\0';
	} while (strtoul(answer, NULL, 10) != cookie);
	if (strstr(answer, "6:result2:ok") == NULL) {
		fprintf(stderr, "rtpengine: \"%s\" to \"%s\"\n", answer, m.buf);
		need(!"rtpengine does as it is told");
	}
	sdp[0] = '\0';
	if ((p = strstr(answer, "3:sdp")) == NULL)
		return;
	len = strtol(p + 5, &body, 10);
	need(len > 0 && len < TEXT && body[0] == ':');
	memcpy(sdp, body + 1, (size_t)len);
	sdp[len] = '\0';
}

static void
base64(const uint8_t *p, size_t n, char *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	uint32_t v;
	size_t i;

	for (i = 0; i < n; i += 3) {
		v = (uint32_t)p[i] << 16 |
		    (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) |
		    (i + 2 < n ? p[i + 2] : 0);
		*out++ = digits[v >> 18];
		*out++ = digits[v >> 12 & 63];
		*out++ = i + 1 < n ? digits[v >> 6 & 63] : '=';
		*out++ = i + 2 < n ? digits[v & 63] : '=';
	}
	*out = '\0';
}

static void
sdp_head(struct bencode *s)
{
	put(s, "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n");
}

static void
sdp_media(struct bencode *s, const struct rig_member *m, const char *way)
{
	uint8_t raw[28];
	char key[48];

	memcpy(raw, m->key, 16);
	memcpy(raw + 16, m->salt, 12);
	base64(raw, sizeof(raw), key);
	put(s,
	    "m=audio %u RTP/SAVP 111\r\nc=IN IP4 127.0.0.1\r\n"
	    "a=rtpmap:111 opus/48000/2\r\n"
	    "a=crypto:1 AEAD_AES_128_GCM inline:%s\r\na=%s\r\na=rtcp-mux\r\n",
	    ntohs(m->self.sin_port), key, way);
}

static void
publish(struct rig *r, unsigned i)
{
	struct bencode q, s = { .n = 0 };
	char tag[8], sdp[TEXT], *p;

	sdp_head(&s);
	sdp_media(&s, &r->m[i], "sendonly");
	(void)snprintf(tag, sizeof(tag), "p%u", i);
	put_request(&q, "publish");
	put_pair(&q, "from-tag", tag);
	put_pair(&q, "sdp", s.buf);
	put_pair(&q, "transport-protocol", "RTP/SAVP");
	put_pair(&q, "ICE", "remove");
	put(&q, "e");
	ask(&q, sdp);
	need((p = strstr(sdp, "m=audio ")) != NULL);
	r->m[i].to.sin_family = AF_INET;
	r->m[i].to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r->m[i].to.sin_port = htons((uint16_t)atoi(p + 8));
	perc_srtp_free(r->m[i].tx); /* of an earlier conference */
	r->m[i].tx = NULL;
	r->m[i].seq = 0;
	need(perc_srtp_new(&r->m[i].tx, PERC_AEAD_AES_128_GCM, r->m[i].key,
		 r->m[i].salt, 1, 64) == 0);
}

/* Of those who send only: it makes no stream for silence. */
static void
subscribe(struct rig *r, unsigned i)
{
	struct bencode q, s = { .n = 0 };
	char tag[8], to[8], sdp[TEXT], *p;
	unsigned k;

	(void)snprintf(to, sizeof(to), "s%u", i);
	put_request(&q, "subscribe request");
	put_pair(&q, "to-tag", to);
	put_str(&q, "from-tags");
	put(&q, "l");
	for (k = 0; k < r->senders; k++)
		if (k != i) {
			(void)snprintf(tag, sizeof(tag), "p%u", k);
			put_str(&q, tag);
		}
	put(&q, "e");
	put_pair(&q, "transport-protocol", "RTP/SAVP");
	put_pair(&q, "ICE", "remove");
	put(&q, "e");
	ask(&q, sdp);
	sdp_head(&s);
	for (p = sdp; (p = strstr(p, "m=audio ")) != NULL; p++)
		sdp_media(&s, &r->m[i], "recvonly");
	put_request(&q, "subscribe answer");
	put_pair(&q, "to-tag", to);
	put_pair(&q, "sdp", s.buf);
	put_pair(&q, "transport-protocol", "RTP/SAVP");
	put_pair(&q, "ICE", "remove");
	put(&q, "e");
	ask(&q, sdp);
}

static unsigned
control_open(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct timeval limit = { .tv_sec = 5 };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	need(fd >= 0 && bind(fd, (struct sockaddr *)&a, len) == 0 &&
	    getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	(void)close(fd);
	control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	need(control >= 0 &&
	    connect(control, (struct sockaddr *)&a, len) == 0 &&
	    setsockopt(
		control, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
	return ntohs(a.sin_port);
}

static void
engine_run(const struct rig *r, unsigned port)
{
	char listen[64], log[96];
	int fd;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	(void)snprintf(
	    listen, sizeof(listen), "--listen-ng=127.0.0.1:%u", port);
	(void)snprintf(log, sizeof(log), "%s/rtpengine.log", r->dir);
	if ((fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600)) >= 0) {
		(void)dup2(fd, 1);
		(void)dup2(fd, 2);
	}
	(void)execlp("rtpengine", "rtpengine", "--table=-1",
	    "--interface=127.0.0.1", listen, "--foreground", "--log-stderr",
	    "--num-threads=1", "--log-level=3", "--port-min=30000",
	    "--port-max=40000", "--timeout=86400", (char *)NULL);
	_exit(127);
}

static void
meet(struct rig *r)
{
	unsigned i;

	call++;
	for (i = 0; i < r->senders; i++)
		publish(r, i);
	for (i = 0; i < r->n; i++)
		if (r->senders > 1 || i > 0) /* who hears nobody cannot */
			subscribe(r, i);
}

static void
rtpengine_revive(struct rig *r)
{
	struct bencode q;
	char sdp[TEXT];

	put_request(&q, "delete");
	put_str(&q, "delete-delay");
	put(&q, "i0ee");
	ask(&q, sdp);
	meet(r);
}

static void
rtpengine_stop(struct rig *r)
{
	(void)kill(r->pid, SIGTERM);
	(void)waitpid(r->pid, NULL, 0);
	(void)close(control);
}

/* 1: it answers; 0: it ended, as when somebody took the port between our look
 * and its own; -1: it is not installed. */
static int
engine_start(struct rig *r)
{
	unsigned port = control_open(), i;
	int status = 0;

	r->pid = fork();
	need(r->pid >= 0);
	if (r->pid == 0)
		engine_run(r, port);
	for (i = 0; i < START_MS / PING_MS; i++) {
		if (answers())
			return 1;
		if (waitpid(r->pid, &status, WNOHANG) == r->pid) {
			(void)close(control);
			return WIFEXITED(status) && WEXITSTATUS(status) == 127
			    ? -1
			    : 0;
		}
	}
	fprintf(stderr, "bench: rtpengine does not answer: once more\n");
	rtpengine_stop(r);
	return 0;
}

static bool
rtpengine_start(struct rig *r)
{
	unsigned tries;
	int is = 0;

	for (tries = 0; is == 0 && tries < STARTS; tries++)
		is = engine_start(r);
	if (is > 0)
		meet(r);
	return is > 0;
}

const struct sut sut_rtpengine = { "rtpengine", false, rtpengine_start,
	rtpengine_stop, rtpengine_revive, NULL };
