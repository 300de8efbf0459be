/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real perch-mdd with two workers on free loopback ports, a KMF that is a
 * key in this program, and endpoints that hold real EKT keys: what comes out
 * at the other end, and who is not let in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/double.h"
#include "perc/httpc.h"
#include "perc/jose.h"
#include "perc/json.h"
#include "perc/loop.h"
#include "perc/tail.h"
#include "tests/mdd/peer.h"

#define KMF    "https://kmf.example"
#define SSRC_A 0x0a0a0a0au
#define SSRC_B 0x0b0b0b0bu

static char dir[] = "/tmp/perch-mdd-XXXXXX";
static char base[64];
static pid_t daemon_pid;
static struct perc_jwk *kmf_key;

struct member { /* an endpoint and its token */
	struct peer p;
	const char *name, *conference;
	uint32_t ssrc;
	char *token;
	char leg[64];
	unsigned port;
};

/* ---- the daemon ------------------------------------------------------- */

static void
path_of(char out[128], const char *name)
{
	(void)snprintf(out, 128, "%s/%s", dir, name);
}

static void
put_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	path_of(path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
}

static unsigned
free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	(void)close(fd);
	return ntohs(a.sin_port);
}

static void
daemon_start(void)
{
	char bin[512], conf[128], log[128];
	const char *build = getenv("top_builddir");
	int fd;

	(void)snprintf(
	    bin, sizeof(bin), "%s/perch-mdd", build == NULL ? "." : build);
	path_of(conf, "mdd.conf");
	path_of(log, "mdd.log");
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	assert_true(fd >= 0);
	/* A leak check needs ptrace, which the cage forbids. */
	(void)setenv("ASAN_OPTIONS", "detect_leaks=0", 1);
	daemon_pid = fork();
	if (daemon_pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
		(void)dup2(fd, 1);
		(void)dup2(fd, 2);
		(void)execl(bin, bin, "serve", "-c", conf, (char *)NULL);
		_exit(127);
	}
	(void)close(fd);
	assert_true(daemon_pid > 0);
}

/* ---- HTTP ------------------------------------------------------------- */

struct answer {
	int err, status;
	json_t *json;
	char text[32768];
};

static void
on_answer(const struct perc_httpc_answer *h, void *arg)
{
	struct answer *a = arg;

	a->err = h->err;
	a->status = h->status;
	(void)snprintf(
	    a->text, sizeof(a->text), "%s", h->body == NULL ? "" : h->body);
	a->json = json_loads(a->text, 0, NULL);
}

static struct answer
http(const char *method, const char *path, const char *token, const char *body)
{
	static struct answer a;
	char url[256], ca[128], *auth = NULL;
	const char *headers[3] = { NULL };
	struct perc_httpc_conf conf = { .ca_file = ca };

	json_decref(a.json);
	memset(&a, 0, sizeof(a));
	path_of(ca, "tls.crt");
	(void)snprintf(url, sizeof(url), "%s%s", base, path);
	if (token != NULL) {
		auth = malloc(strlen(token) + 32);
		assert_non_null(auth);
		(void)sprintf(auth, "Authorization: Bearer %s", token);
		headers[0] = auth;
		headers[1] = "Content-Type: application/json";
	}
	a.err = perc_httpc_once(&conf, method, url, headers, body,
	    body == NULL ? 0 : strlen(body), on_answer, &a);
	free(auth);
	return a;
}

static void
expect(struct answer a, int status, const char *code)
{
	if (a.err != 0 || a.status != status)
		fail_msg("err %d status %d, not %d: %s", a.err, a.status,
		    status, a.text);
	if (code != NULL)
		assert_string_equal(perc_json_str(a.json, "code"), code);
	if (status >= 400)
		assert_non_null(perc_json_str(a.json, "request_id"));
}

/* A counter's sum over both workers. */
static uint64_t
metric(const char *name, const char *label)
{
	struct answer a = http("GET", "/metrics", NULL, NULL);
	uint64_t sum = 0;
	char *line, *save = NULL;

	expect(a, 200, NULL);
	for (line = strtok_r(a.text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save))
		if (strncmp(line, name, strlen(name)) == 0 &&
		    line[strlen(name)] == '{' &&
		    (label == NULL || strstr(line, label) != NULL))
			sum += strtoull(strrchr(line, ' ') + 1, NULL, 10);
	return sum;
}

/* Workers tell once a second. */
static void
metric_reaches(const char *name, const char *label, uint64_t want)
{
	uint64_t got = 0;
	int i;

	for (i = 0; i < 40; i++) {
		if ((got = metric(name, label)) >= want)
			return;
		(void)usleep(100000);
	}
	fail_msg("%s{%s} is %llu, not %llu", name, label,
	    (unsigned long long)got, (unsigned long long)want);
}

/* ---- members ---------------------------------------------------------- */

static json_t *
claims(const struct member *m)
{
	char pin[64];
	int64_t now = perc_wall_ms() / 1000;

	perc_b64_put(pin, m->p.fp, sizeof(m->p.fp));
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:[I], s:{s:s}, s:I,"
			 " s:I, s:s}",
	    "iss", KMF, "aud", base, "sub", m->name, "client_id", "perch-agent",
	    "scope", "join", "conference", m->conference, "ssrcs",
	    (json_int_t)m->ssrc, "cnf", "x5t#S256", pin, "iat", (json_int_t)now,
	    "exp", (json_int_t)now + 600, "jti", "j");
}

static char *
sign(json_t *c)
{
	char *text = NULL;

	assert_int_equal(perc_jws_sign(&text, kmf_key, "at+jwt", c, false), 0);
	json_decref(c);
	return text;
}

#define BODY "{\"ufrag\": \"mine\", \"pwd\": \"0123456789012345678901\"}"

static void
member_join(
    struct member *m, const char *name, const char *conference, uint32_t ssrc)
{
	struct answer a;
	const char *fp;

	memset(m, 0, sizeof(*m));
	m->name = name;
	m->conference = conference;
	m->ssrc = ssrc;
	peer_open(&m->p);
	m->token = sign(claims(m));
	a = http("POST", "/v1/join", m->token, BODY);
	expect(a, 201, NULL);
	(void)snprintf(
	    m->leg, sizeof(m->leg), "%s", perc_json_str(a.json, "leg"));
	(void)snprintf(m->p.ufrag, sizeof(m->p.ufrag), "%s",
	    perc_json_str(a.json, "ufrag"));
	(void)snprintf(
	    m->p.pwd, sizeof(m->p.pwd), "%s", perc_json_str(a.json, "pwd"));
	fp = perc_json_str(a.json, "fingerprint");
	assert_int_equal(perc_fingerprint_get(m->p.mdd_fp, fp), 0);
	m->port = (unsigned)json_integer_value(json_object_get(a.json, "port"));
	assert_string_equal(perc_json_str(a.json, "host"), "127.0.0.1");
	assert_in_range(
	    json_integer_value(json_object_get(a.json, "expires_in")), 590,
	    600);
	m->p.mdd.sin_family = AF_INET;
	m->p.mdd.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	m->p.mdd.sin_port = htons((uint16_t)m->port);
}

static void
member_end(struct member *m)
{
	peer_close(&m->p);
	free(m->token);
	memset(m, 0, sizeof(*m));
}

static void
two(struct member *a, struct member *b, const char *conference)
{
	member_join(a, "m_a", conference, SSRC_A);
	member_join(b, "m_b", conference, SSRC_B);
	assert_int_equal(a->port, b->port); /* one worker has it */
	assert_true(peer_connect(&a->p, 5000));
	assert_true(peer_connect(&b->p, 5000));
}

/* ---- tests ------------------------------------------------------------ */

/* The conference's EKT key: endpoints have it, the MDD never sees it. */
static struct perc_ekt *
ekt(void)
{
	struct perc_enckey k = { .keyid = "c.1",
		.keylen = 16,
		.cipher = PERC_AESKW128,
		.profile = PERC_DOUBLE_128,
		.spi = 4660,
		.ttl_s = 300 };
	struct perc_ekt *e = NULL;

	memset(k.key, 0x42, 16);
	memset(k.salt, 0x17, sizeof(k.salt));
	assert_int_equal(perc_ekt_new(&e), 0);
	assert_int_equal(perc_ekt_add(e, &k, perc_now_ms() + 300000), 0);
	return e;
}

static const char speech[] = "this is what was said in the conference";

static size_t
plain_rtp(uint8_t out[static 128], uint16_t seq)
{
	const uint8_t head[12] = { 0x80, 111, (uint8_t)(seq >> 8), (uint8_t)seq,
		0, 0, 3, 192, 10, 10, 10, 10 };

	memcpy(out, head, sizeof(head));
	memcpy(out + 12, speech, sizeof(speech));
	return 12 + sizeof(speech);
}

/* Seal end to end, protect for the hop, send; the octets that left. */
static size_t
send_speech(struct member *a, struct perc_double_tx *tx, uint16_t seq,
    uint8_t *out, size_t *taillen)
{
	uint8_t plain[128], sealed[256];
	size_t n = plain_rtp(plain, seq), sn, body;
	struct perc_rtp h;
	uint8_t *tail;

	assert_int_equal(perc_double_tx_seal(tx, perc_now_ms(), plain, n,
			     sealed, sizeof(sealed), &sn),
	    0);
	body = n + 16 + 1;
	*taillen = sn - body;
	assert_int_equal(perc_rtp_parse(&h, sealed, body), 0);
	tail = sealed + body;
	assert_int_equal(
	    perc_srtp_protect(a->p.tx, &h, sealed, body, out, &n), 0);
	memcpy(out + n, tail, *taillen);
	peer_send(&a->p, out, n + *taillen);
	return n + *taillen;
}

static void
put_hex(FILE *f, const void *p, size_t n)
{
	const uint8_t *d = p;

	while (n-- > 0)
		(void)fprintf(f, "%02x", *d++);
}

/* A file for tests/tools/perc-hop: all that the MDD holds of this hop. */
static FILE *
hop_file(const char *name, const struct perc_dtls_keys *k)
{
	char path[128];
	FILE *f;

	path_of(path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	(void)fprintf(f, "hop %d ", (int)k->profile);
	put_hex(f, k->tx_key, k->keylen);
	put_hex(f, k->rx_key, k->keylen);
	put_hex(f, k->tx_salt, sizeof(k->tx_salt));
	put_hex(f, k->rx_salt, sizeof(k->rx_salt));
	(void)fprintf(f, "\n");
	return f;
}

static void
hop_result(const char *name, unsigned *outer, unsigned *inner, unsigned *ekt_n)
{
	const char *build = getenv("top_builddir");
	char cmd[700];
	unsigned n;
	FILE *f;

	(void)snprintf(cmd, sizeof(cmd), "%s/tests/tools/perc-hop <%s/%s",
	    build == NULL ? "." : build, dir, name);
	f = popen(cmd, "r");
	assert_non_null(f);
	assert_int_equal(fscanf(f,
			     "{\"packets\": %u, \"outer\": %u, "
			     "\"inner\": %u, \"ekt\": %u}",
			     &n, outer, inner, ekt_n),
	    4);
	assert_int_equal(pclose(f), 0);
}

/*
 * REQ-F-6.3b, REQ-F-3.1a: with every key that the MDD has of a hop, the outer
 * layer opens and nothing else. With the conference's EKT key and then the
 * sender's, which it lacks, the same program opens all: so it can.
 */
static void
test_REQ_F_6_3b_hop_keys_end_at_the_outer_layer(void **state)
{
	struct perc_double_tx *tx = NULL;
	struct perc_ekt_plain sender = { .keylen = 0 };
	struct perc_ekt *e = ekt();
	struct perc_tail t;
	struct member a, b;
	uint8_t d[PEER_PACKET], ekt_key[16], salt[12];
	size_t n, tn, full = 0;
	unsigned outer, inner, opened;
	uint16_t seq;
	FILE *f, *g;

	memset(ekt_key, 0x42, sizeof(ekt_key));
	memset(salt, 0x17, sizeof(salt));
	two(&a, &b, "c_hop");
	assert_int_equal(
	    perc_double_tx_new(&tx, e, SSRC_A, PERC_FULL_AUDIO), 0);
	assert_int_equal(perc_double_tx_switch(tx, 4660, perc_now_ms()), 0);
	f = hop_file("hop", &b.p.keys);
	g = hop_file("hop-and-ekt", &b.p.keys);
	for (seq = 1; seq <= 20; seq++) {
		(void)send_speech(&a, tx, seq, d, &tn);
		n = peer_recv(&b.p, d, 128, 191, 2000);
		assert_true(n > 0 && perc_tail_find(&t, d, n) == 0);
		if (t.type == PERC_TAIL_FULL && full++ == 0)
			assert_int_equal(perc_ekt_open(e, 4660, t.ciphertext,
					     t.ciphertext_len, &sender),
			    0);
		put_hex(f, d, n);
		(void)fprintf(f, "\n");
		if (seq == 1) {
			(void)fprintf(g, "key ");
			put_hex(g, ekt_key, sizeof(ekt_key));
			(void)fprintf(g, " ");
			put_hex(g, salt, sizeof(salt));
			(void)fprintf(g, "\nkey ");
			put_hex(g, sender.key, sender.keylen);
			(void)fprintf(g, " ");
			put_hex(g, salt, sizeof(salt));
			(void)fprintf(g, " %u\n", sender.roc);
		}
		put_hex(g, d, n);
		(void)fprintf(g, "\n");
	}
	assert_int_equal(fclose(f), 0);
	assert_int_equal(fclose(g), 0);
	assert_true(full >= 1);
	hop_result("hop", &outer, &inner, &opened);
	assert_int_equal(outer, 20);
	assert_int_equal(inner, 0);
	assert_int_equal(opened, 0);
	hop_result("hop-and-ekt", &outer, &inner, &opened);
	assert_int_equal(outer, 20);
	assert_int_equal(inner, 20);
	assert_int_equal(opened, full);
	perc_double_tx_free(tx);
	perc_ekt_free(e);
	member_end(&a);
	member_end(&b);
}

static void
test_end_to_end_through_the_mdd(void **state)
{
	uint8_t d[PEER_PACKET], e[PEER_PACKET], plain[128], back[PEER_PACKET];
	struct perc_double_tx *tx = NULL;
	struct perc_double_rx *rx = NULL;
	struct perc_ekt *ea = ekt(), *eb = ekt();
	struct perc_double_in info;
	struct member a, b;
	const uint32_t listed[] = { SSRC_A };
	size_t n, m, tn, tl, full = 0, pn;
	const uint8_t *tail;
	uint16_t seq, spi;
	int len;

	two(&a, &b, "c_road");
	assert_int_equal(
	    perc_double_tx_new(&tx, ea, SSRC_A, PERC_FULL_AUDIO), 0);
	assert_int_equal(perc_double_tx_switch(tx, 4660, perc_now_ms()), 0);
	assert_int_equal(perc_double_rx_new(&rx, eb, 16, 64), 0);
	assert_int_equal(perc_double_rx_list(rx, listed, 1), 0);
	for (seq = 65530; seq != 20; seq++) {
		n = send_speech(&a, tx, seq, d, &tn);
		full += tn > 1;
		m = peer_recv(&b.p, e, 128, 191, 2000);
		assert_int_equal(m, n);
		assert_memory_equal(e, d, 12);
		assert_memory_equal(e + m - tn, d + n - tn, tn); /* EKTField */
		len = peer_open_rtp(&b.p, e, m, &tail, &tl);
		assert_true(len > 0);
		assert_int_equal(tl, tn);
		assert_int_equal(e[len - 1], 0); /* OHB: as it was */
		/* REQ-F-6.3b: this is all that the hop's keys open. */
		assert_null(memmem(e, (size_t)len, speech, 8));
		memmove(e + len, tail, tl);
		assert_int_equal(perc_double_rx_open(rx, perc_now_ms(), e,
				     (size_t)len + tl, back, &info, &spi),
		    0);
		pn = plain_rtp(plain, seq);
		assert_int_equal(info.len, pn);
		assert_memory_equal(back, plain, pn);
	}
	assert_true(full >= 1 && full < 26);
	metric_reaches("perch_mdd_forwarded_total", NULL, 26);
	perc_double_tx_free(tx);
	perc_double_rx_free(rx);
	perc_ekt_free(ea);
	perc_ekt_free(eb);
	member_end(&a);
	member_end(&b);
}

/* REQ-F-6.3b: no symbol of the end-to-end layer is in the program. */
static void
test_REQ_F_6_3b_no_end_to_end_symbol(void **state)
{
	const char *build = getenv("top_builddir");
	char cmd[600], line[256];
	unsigned lines = 0;
	FILE *f;

	(void)snprintf(
	    cmd, sizeof(cmd), "nm %s/perch-mdd", build == NULL ? "." : build);
	f = popen(cmd, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		lines++;
		assert_null(strstr(line, "perc_ekt"));
		assert_null(strstr(line, "perc_double"));
		assert_null(strstr(line, "perc_kwp"));
		assert_null(strstr(line, "perc_inner"));
	}
	assert_int_equal(pclose(f), 0);
	assert_true(lines > 100);
}

static void
test_foreign_ssrc_and_garbage(void **state)
{
	uint8_t d[PEER_PACKET], junk[200];
	struct member a, b;
	uint64_t before;
	size_t n, i;

	two(&a, &b, "c_bad");
	before = metric("perch_mdd_dropped_total", "reason=\"ssrc\"");
	n = peer_rtp(&a.p, d, SSRC_B, 1, "x", 1, "", 1);
	peer_send(&a.p, d, n);
	assert_int_equal(peer_recv(&b.p, d, 128, 191, 100), 0);
	metric_reaches(
	    "perch_mdd_dropped_total", "reason=\"ssrc\"", before + 1);
	srand(3);
	before = metric("perch_mdd_dropped_total", NULL);
	for (i = 0; i < 300; i++) {
		size_t k, len = (size_t)rand() % sizeof(junk) + 1;

		for (k = 0; k < len; k++)
			junk[k] = (uint8_t)rand();
		peer_send(&b.p, junk, len);
	}
	metric_reaches("perch_mdd_dropped_total", NULL, before + 200);
	n = peer_rtp(&a.p, d, SSRC_A, 1, "x", 1, "", 1);
	peer_send(&a.p, d, n);
	assert_int_equal(peer_recv(&b.p, d, 128, 191, 2000), n);
	member_end(&a);
	member_end(&b);
}

/* A stolen token without the certificate's key gets no further than DTLS. */
static void
test_REQ_F_8_1c_wrong_certificate(void **state)
{
	struct member a;
	struct peer thief;

	member_join(&a, "m_a", "c_cert", SSRC_A);
	peer_open(&thief);
	thief.mdd = a.p.mdd;
	memcpy(thief.ufrag, a.p.ufrag, sizeof(thief.ufrag));
	memcpy(thief.pwd, a.p.pwd, sizeof(thief.pwd));
	memcpy(thief.mdd_fp, a.p.mdd_fp, sizeof(thief.mdd_fp));
	assert_false(peer_connect(&thief, 500));
	metric_reaches("perch_mdd_dtls_refused_total", NULL, 1);
	assert_true(peer_connect(&a.p, 5000)); /* the owner still can */
	peer_close(&thief);
	member_end(&a);
}

/* REQ-WS-6.2: token1 and another MDD's token2 are nothing here. */
static void
test_REQ_WS_6_2_tokens_of_others(void **state)
{
	struct member m = {
		.name = "m_a", .conference = "c_x", .ssrc = SSRC_A
	};
	json_t *c;
	char *t;

	peer_open(&m.p);
	c = claims(&m);
	json_object_set_new(c, "aud", json_string("https://mdd2.example"));
	t = sign(c);
	expect(http("POST", "/v1/join", t, BODY), 401, "token_invalid");
	free(t);
	c = claims(&m);
	json_object_set_new(c, "aud", json_string(KMF));
	json_object_set_new(c, "scope", json_string("member"));
	json_object_set_new(c, "cnf",
	    json_pack(
		"{s:s}", "jkt", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
	json_object_del(c, "ssrcs");
	t = sign(c);
	expect(http("POST", "/v1/join", t, BODY), 401, "token_invalid");
	free(t);
	expect(http("POST", "/v1/join", NULL, BODY), 401, "token_missing");
	peer_close(&m.p);
}

static void
test_bodies(void **state)
{
	static const char *const bad[] = { "", "{}", "[]", "{\"ufrag\": 1}",
		"{\"ufrag\": \"mine\", \"pwd\": \"short\"}",
		"{\"ufrag\": \"a b c\", \"pwd\": \"0123456789012345678901\"}",
		"{\"ufrag\": \"mine\", \"pwd\": \"0123456789012345678901\"} x",
		("{\"ufrag\": \"mine\", \"ufrag\": \"mine\","
		 " \"pwd\": \"0123456789012345678901\"}") };
	struct member m;
	size_t i;

	member_join(&m, "m_a", "c_body", SSRC_A);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		expect(http("POST", "/v1/join", m.token, bad[i]), 400,
		    "request_malformed");
	expect(
	    http("GET", "/v1/join", m.token, NULL), 405, "method_not_allowed");
	expect(http("GET", "/nothing", m.token, NULL), 404, "not_found");
	member_end(&m);
}

static void
test_leave_and_renew(void **state)
{
	uint8_t d[PEER_PACKET];
	struct member a, b, c;
	char path[128];
	size_t n;

	two(&a, &b, "c_leave");
	member_join(&c, "m_c", "c_leave", 0x0c0c0c0c);
	(void)snprintf(path, sizeof(path), "/v1/join/%s", a.leg);
	expect(http("DELETE", path, b.token, NULL), 404, "leg_unknown");
	expect(http("DELETE", path, NULL, NULL), 401, "token_missing");
	expect(http("PUT", path, a.token, NULL), 200, NULL);
	expect(http("DELETE", path, a.token, NULL), 204, NULL);
	n = peer_recv_rtcp(&b.p, d, 2000); /* a BYE */
	assert_true(n > 8);
	assert_int_equal(perc_srtcp_unprotect(b.p.rx_rtcp, d, &n), 0);
	assert_int_equal(d[9], 203);
	expect(http("DELETE", path, a.token, NULL), 404, "leg_unknown");
	n = peer_rtp(&a.p, d, SSRC_A, 1, "x", 1, "", 1);
	peer_send(&a.p, d, n);
	assert_int_equal(peer_recv(&b.p, d, 128, 191, 100), 0);
	member_end(&a);
	member_end(&b);
	member_end(&c);
}

static void
test_ssrc_of_another(void **state)
{
	struct member a,
	    thief = { .name = "m_t", .conference = "c_ssrc", .ssrc = SSRC_A };

	member_join(&a, "m_a", "c_ssrc", SSRC_A);
	peer_open(&thief.p);
	thief.token = sign(claims(&thief));
	expect(http("POST", "/v1/join", thief.token, BODY), 409, "ssrc_taken");
	member_end(&a);
	member_end(&thief);
}

/* A full conference: everybody hears one. More handshakes at a time than the
 * worker's secret memory holds are put off, not lost. */
static void
test_forty_eight_legs(void **state)
{
	enum { N = 48 };
	static struct member m[N];
	static char names[N][8];
	uint8_t d[PEER_PACKET], e[PEER_PACKET];
	const uint8_t *tail;
	size_t n, got, tl;
	unsigned i;

	for (i = 0; i < N; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "m_%u", i);
		member_join(&m[i], names[i], "c_many", 1000 + i);
	}
	for (i = 0; i < N; i++)
		assert_true(peer_connect(&m[i].p, 8000));
	n = peer_rtp(&m[0].p, d, 1000, 1, "to all", 6, "", 1);
	peer_send(&m[0].p, d, n);
	for (i = 1; i < N; i++) {
		got = peer_recv(&m[i].p, e, 128, 191, 2000);
		assert_int_equal(got, n);
		assert_true(peer_open_rtp(&m[i].p, e, got, &tail, &tl) > 0);
	}
	for (i = 0; i < N; i++)
		member_end(&m[i]);
}

/* ---- set-up ----------------------------------------------------------- */

static int
world_make(void **state)
{
	char cmd[600], text[2048], *jwk = NULL;
	unsigned port;
	int i;

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(perc_srtcp_warm_up(), 0);
	assert_non_null(mkdtemp(dir));
	(void)umask(077);
	(void)snprintf(cmd, sizeof(cmd),
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:"
	    "prime256v1 -nodes -days 2 -subj /CN=mdd -addext "
	    "subjectAltName=DNS:localhost -keyout %s/tls.key -out %s/tls.crt "
	    "2>%s/openssl.log",
	    dir, dir, dir);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(perc_jwk_generate(&kmf_key), 0);
	assert_int_equal(perc_jwk_public_json(&jwk, kmf_key), 0);
	(void)snprintf(text, sizeof(text), "{\"keys\": [%s]}", jwk);
	perc_json_free(jwk);
	put_file("keys.json", text);
	port = free_port();
	(void)snprintf(base, sizeof(base), "https://localhost:%u", port);
	(void)snprintf(text, sizeof(text),
	    "base_url = %s\nlisten = 127.0.0.1:%u\ntls_cert = tls.crt\n"
	    "tls_key = tls.key\nmedia_port = 0\nworkers = 2\n"
	    "[kmf test]\nurl = " KMF "\nkeys = keys.json\n",
	    base, port);
	put_file("mdd.conf", text);
	daemon_start();
	for (i = 0; i < 200; i++) {
		if (http("GET", "/readyz", NULL, NULL).status == 200)
			return 0;
		assert_int_equal(waitpid(daemon_pid, NULL, WNOHANG), 0);
		(void)usleep(50000);
	}
	return -1;
}

static int
world_end(void **state)
{
	char cmd[128];
	int status = -1;

	(void)kill(daemon_pid, SIGTERM);
	(void)waitpid(daemon_pid, &status, 0);
	perc_jwk_free(kmf_key);
	json_decref(http("GET", "/healthz", NULL, NULL).json);
	(void)snprintf(cmd, sizeof(cmd), "%s '%s'",
	    status == 0 ? "rm -rf" : "sed 's/^/# /' <", dir);
	if (status != 0)
		(void)snprintf(
		    cmd, sizeof(cmd), "sed 's/^/# /' '%s/mdd.log'", dir);
	(void)!system(cmd);
	return status == 0 ? 0 : -1;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_end_to_end_through_the_mdd),
		cmocka_unit_test(
		    test_REQ_F_6_3b_hop_keys_end_at_the_outer_layer),
		cmocka_unit_test(test_REQ_F_6_3b_no_end_to_end_symbol),
		cmocka_unit_test(test_foreign_ssrc_and_garbage),
		cmocka_unit_test(test_REQ_F_8_1c_wrong_certificate),
		cmocka_unit_test(test_REQ_WS_6_2_tokens_of_others),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_leave_and_renew),
		cmocka_unit_test(test_ssrc_of_another),
		cmocka_unit_test(test_forty_eight_legs),
	};

	return cmocka_run_group_tests_name("mdd", tests, world_make, world_end);
}
