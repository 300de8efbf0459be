/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Real perch-mdds that carry one conference: two that know each other, three
 * in a triangle, three in a line, one that is killed and comes back, one with
 * several workers; and who may not link.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perc/httpc.h"
#include "perc/jose.h"
#include "perc/json.h"
#include "perc/loop.h"
#include "tests/mdd/stage.h"

#define SSRC_C 0x0c0c0c0cu

static struct perc_jwk *link_key[STAGE_MDDS];
static char thumb[STAGE_MDDS][PERC_JKT_LEN + 1];

/* A section for MDD i. */
static size_t
peer_conf(char *out, size_t cap, unsigned i, const char *more)
{
	return (size_t)snprintf(out, cap,
	    "[peer m%u]\nurl = %s\nkey = %s\nca = tls.crt\n%s", i,
	    stage_base(i), thumb[i], more);
}

static void
keys_make(void)
{
	char path[128], name[16], *text = NULL;
	unsigned i;
	FILE *f;

	for (i = 0; i < STAGE_MDDS; i++) {
		assert_int_equal(perc_jwk_generate(&link_key[i]), 0);
		assert_int_equal(perc_jwk_thumbprint(thumb[i], link_key[i]), 0);
		assert_int_equal(perc_jwk_private_json(&text, link_key[i]), 0);
		(void)snprintf(name, sizeof(name), "link%u.jwk", i);
		path_of(path, name);
		f = fopen(path, "w");
		assert_non_null(f);
		assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
		perc_json_free(text);
	}
}

/* MDD i with these peers; to: a bit for each. */
static void
mdd_conf(unsigned i, unsigned to, const char *settings, const char *peer)
{
	char set[512], sections[2048] = "";
	size_t n = 0;
	unsigned k;

	for (k = 0; k < STAGE_MDDS; k++)
		if ((to >> k & 1) != 0)
			n += peer_conf(
			    sections + n, sizeof(sections) - n, k, peer);
	(void)snprintf(
	    set, sizeof(set), "link_key = link%u.jwk\n%s", i, settings);
	stage_conf(i, set, sections);
}

static int
open_keys(void **state)
{
	stage_setup();
	keys_make();
	return 0;
}

static int
close_keys(void **state)
{
	unsigned i;

	for (i = 0; i < STAGE_MDDS; i++)
		perc_jwk_free(link_key[i]);
	return stage_close(state);
}

static int
stop_all(void **state)
{
	unsigned i;
	int bad = 0;

	for (i = 0; i < STAGE_MDDS; i++)
		bad |= stage_stop(i, SIGTERM);
	return bad;
}

static void
come(unsigned mdd, struct member *m, const char *name, const char *conference,
    uint32_t ssrc)
{
	stage_use(mdd);
	member_join(m, name, conference, ssrc);
	assert_true(peer_connect(&m->p, 5000));
}

static void
leave(unsigned mdd, struct member *m)
{
	char path[128];

	stage_use(mdd);
	(void)snprintf(path, sizeof(path), "/v1/join/%s", m->leg);
	expect(http("DELETE", path, m->token, NULL), 204, NULL);
	member_end(m);
}

/* Says on and on until it is heard; how often it took. Then it must come once
 * and once only. */
static int
reaches(struct member *from, struct member *to)
{
	uint8_t d[PEER_PACKET], e[PEER_PACKET];
	const uint8_t *tail;
	static uint16_t seq;
	size_t n, tn;
	int i;

	for (i = 0; i < 100; i++) {
		n = peer_rtp(&from->p, d, from->ssrc, ++seq, "x", 1, "", 1);
		peer_send(&from->p, d, n);
		if (peer_recv(&to->p, e, 128, 191, 100) == n)
			break;
	}
	assert_true(i < 100);
	while (peer_recv(&to->p, e, 128, 191, 50) != 0)
		;
	n = peer_rtp(&from->p, d, from->ssrc, ++seq, "once", 4, "", 1);
	peer_send(&from->p, d, n);
	assert_int_equal(peer_recv(&to->p, e, 128, 191, 2000), n);
	assert_int_equal(
	    (uint32_t)e[8] << 24 | e[9] << 16 | e[10] << 8 | e[11], from->ssrc);
	assert_true(peer_open_rtp(&to->p, e, n, &tail, &tn) > 0);
	assert_int_equal(peer_recv(&to->p, e, 128, 191, 50), 0);
	return i;
}

static void
links_are(unsigned mdd, uint64_t want)
{
	uint64_t got = 0;
	int i;

	stage_use(mdd);
	for (i = 0; i < 80; i++) {
		if ((got = metric("perch_mdd_links", NULL)) == want)
			return;
		(void)usleep(100000);
	}
	fail_msg("MDD %u has %llu links, not %llu", mdd,
	    (unsigned long long)got, (unsigned long long)want);
}

static void
test_two(void **state)
{
	struct member a, b, c;

	mdd_conf(0, 2, "workers = 1\n", "");
	mdd_conf(1, 1, "workers = 1\n", "");
	assert_int_equal(stage_start(0), 0);
	assert_int_equal(stage_start(1), 0);
	come(0, &a, "m_a", "c_two", SSRC_A);
	come(1, &b, "m_b", "c_two", SSRC_B);
	reaches(&a, &b);
	reaches(&b, &a);
	links_are(0, 1);
	links_are(1, 1);
	/* Another conference has a link of its own. */
	come(1, &c, "m_c", "c_other", SSRC_A);
	links_are(1, 1);
	member_end(&c);
	/* The last one here leaves: no link any more, at both. */
	leave(0, &a);
	links_are(0, 0);
	links_are(1, 0);
	/* Who comes then is linked again. */
	come(0, &a, "m_a", "c_two", SSRC_A);
	reaches(&b, &a);
	member_end(&a);
	member_end(&b);
}

/* Both dial at once, each time: one link is left. */
static void
test_both_dial(void **state)
{
	struct member a[6], b[6];
	char conf[6][16];
	unsigned i;

	mdd_conf(0, 2, "workers = 1\n", "");
	mdd_conf(1, 1, "workers = 1\n", "");
	assert_int_equal(stage_start(0), 0);
	assert_int_equal(stage_start(1), 0);
	for (i = 0; i < 6; i++) {
		(void)snprintf(conf[i], sizeof(conf[i]), "c_both%u", i);
		stage_use(0);
		member_join(&a[i], "m_a", conf[i], SSRC_A);
		stage_use(1);
		member_join(&b[i], "m_b", conf[i], SSRC_B);
	}
	for (i = 0; i < 6; i++) {
		assert_true(peer_connect(&a[i].p, 5000));
		assert_true(peer_connect(&b[i].p, 5000));
		reaches(&a[i], &b[i]);
		reaches(&b[i], &a[i]);
	}
	links_are(0, 6);
	links_are(1, 6);
	for (i = 0; i < 6; i++) {
		member_end(&a[i]);
		member_end(&b[i]);
	}
}

static void
three(unsigned to_a, unsigned to_b, unsigned to_c, const char *peer)
{
	struct member a, b, c;
	int round;

	mdd_conf(0, to_a, "workers = 1\n", peer);
	mdd_conf(1, to_b, "workers = 1\n", peer);
	mdd_conf(2, to_c, "workers = 1\n", peer);
	assert_int_equal(stage_start(0), 0);
	assert_int_equal(stage_start(1), 0);
	assert_int_equal(stage_start(2), 0);
	come(0, &a, "m_a", "c_three", SSRC_A);
	come(2, &c, "m_c", "c_three", SSRC_C);
	come(1, &b, "m_b", "c_three", SSRC_B);
	for (round = 0; round < 2; round++) {
		reaches(&a, &b);
		reaches(&a, &c);
		reaches(&b, &a);
		reaches(&b, &c);
		reaches(&c, &a);
		reaches(&c, &b);
	}
	member_end(&a);
	member_end(&b);
	member_end(&c);
}

static void
test_triangle(void **state)
{
	three(6, 5, 3, "");
	links_are(0, 2);
	links_are(1, 2);
	links_are(2, 2);
}

/* A configuration in which packets could go round. */
static void
test_triangle_with_transit(void **state)
{
	three(6, 5, 3, "transit = yes\n");
}

/* Nobody is at the one in the middle. */
static void
test_line(void **state)
{
	struct member a, c;

	mdd_conf(0, 2, "workers = 1\n", "");
	mdd_conf(1, 5, "workers = 1\n", "transit = yes\n");
	mdd_conf(2, 2, "workers = 1\n", "");
	assert_int_equal(stage_start(0), 0);
	assert_int_equal(stage_start(1), 0);
	assert_int_equal(stage_start(2), 0);
	come(0, &a, "m_a", "c_line", SSRC_A);
	come(2, &c, "m_c", "c_line", SSRC_C);
	reaches(&a, &c);
	reaches(&c, &a);
	links_are(1, 2);
	leave(0, &a);
	leave(2, &c);
	links_are(1, 0);
	metric_reaches("perch_mdd_conferences", NULL, 0);
}

static void
test_peer_killed_and_back(void **state)
{
	struct member a, b;

	mdd_conf(0, 2, "workers = 1\n", "");
	mdd_conf(1, 1, "workers = 1\n", "");
	assert_int_equal(stage_start(0), 0);
	assert_int_equal(stage_start(1), 0);
	come(0, &a, "m_a", "c_kill", SSRC_A);
	come(1, &b, "m_b", "c_kill", SSRC_B);
	reaches(&a, &b);
	(void)stage_stop(1, SIGKILL);
	peer_close(&b.p);
	free(b.token);
	assert_int_equal(stage_start(1), 0);
	come(1, &b, "m_b", "c_kill", SSRC_B);
	reaches(&a, &b);
	reaches(&b, &a);
	links_are(0, 1);
	member_end(&a);
	member_end(&b);
}

/* ---- between workers -------------------------------------------------- */

/* Nine legs of three on each worker. */
static void
test_conference_outgrows_a_worker(void **state)
{
	enum { N = 9 };
	static struct member m[N];
	static char name[N][8];
	unsigned i, k, ports = 0;

	mdd_conf(0, 0, "workers = 3\nlegs_per_worker = 3\n", "");
	assert_int_equal(stage_start(0), 0);
	for (i = 0; i < N; i++) {
		(void)snprintf(name[i], sizeof(name[i]), "m_%u", i);
		come(0, &m[i], name[i], "c_big", 1000 + i);
		for (k = 0; k < i && m[k].port != m[i].port; k++)
			;
		ports += k == i;
	}
	assert_int_equal(ports, 3);
	links_are(0, 4); /* two, with two ends each */
	for (i = 0; i < N; i++)
		reaches(&m[i], &m[(i + 4) % N]);
	/* A member comes back to where it was. */
	k = m[N - 1].port;
	peer_close(&m[N - 1].p);
	free(m[N - 1].token);
	come(0, &m[N - 1], name[N - 1], "c_big", 1000 + N - 1);
	assert_int_equal(m[N - 1].port, k);
	reaches(&m[N - 1], &m[0]);
	for (i = 0; i < N; i++)
		leave(0, &m[i]);
	links_are(0, 0);
	metric_reaches("perch_mdd_conferences", NULL, 0);
}

static void
asks(struct member *m, const char *conference, uint32_t ssrc, int status,
    const char *code)
{
	m->conference = conference;
	m->ssrc = ssrc;
	free(m->token);
	m->token = sign(claims(m));
	expect(http("POST", "/v1/join", m->token, BODY), status, code);
}

/* Who names an SSRC that a member on another worker has is refused, as on the
 * same worker; until that member has left. */
static void
test_ssrc_of_another_worker(void **state)
{
	struct member a, b, x = { .name = "m_x" };

	mdd_conf(0, 0, "workers = 2\nlegs_per_worker = 1\n", "");
	assert_int_equal(stage_start(0), 0);
	come(0, &a, "m_a", "c_ssrc", SSRC_A);
	come(0, &b, "m_b", "c_ssrc", SSRC_B);
	assert_int_not_equal(a.port, b.port);
	peer_open(&x.p);
	asks(&x, "c_ssrc", SSRC_A, 409, "ssrc_taken");
	asks(&x, "c_ssrc", SSRC_B, 409, "ssrc_taken");
	asks(&x, "c_other", SSRC_A, 201, NULL);
	expect(http("POST", "/v1/join", a.token, BODY), 201, NULL);
	reaches(&b, &a);
	leave(0, &b);
	metric_reaches("perch_mdd_legs_up", NULL, 1);
	asks(&x, "c_ssrc", SSRC_B, 201, NULL);
	member_end(&a);
	member_end(&x);
}

/* The root dies: its legs are lost, the others find together again. */
static void
test_root_worker_killed(void **state)
{
	struct member m[6];
	static char name[6][8];
	unsigned i, root, others = 0;
	unsigned alive[6];
	pid_t workers[3];

	mdd_conf(0, 0, "workers = 3\nlegs_per_worker = 2\n", "");
	assert_int_equal(stage_start(0), 0);
	for (i = 0; i < 6; i++) {
		(void)snprintf(name[i], sizeof(name[i]), "m_%u", i);
		come(0, &m[i], name[i], "c_root", 1000 + i);
	}
	root = m[0].port;
	reaches(&m[0], &m[5]);
	/* The first conference began on the first worker. */
	assert_true(stage_workers(workers, 3) == 3);
	assert_int_equal(kill(workers[0], SIGKILL), 0);
	for (i = 0; i < 6; i++)
		if (m[i].port != root)
			alive[others++] = i;
	assert_int_equal(others, 4);
	reaches(&m[alive[0]], &m[alive[3]]);
	reaches(&m[alive[3]], &m[alive[0]]);
	for (i = 0; i < 6; i++)
		member_end(&m[i]);
}

/* ---- who may not ------------------------------------------------------ */

static char *
link_body(const char *conference)
{
	static char text[600];

	(void)snprintf(text, sizeof(text),
	    "{\"issuer\": \"" KMF "\", \"conference\": \"%s\", \"leg\": "
	    "\"k_1\", \"ufrag\": \"abcdefgh\", \"pwd\": "
	    "\"0123456789012345678901\", \"fingerprint\": \"sha-256 "
	    "00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:"
	    "10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\"}",
	    conference);
	return text;
}

struct got {
	int status;
	char body[600];
};

static void
on_got(const struct perc_httpc_answer *a, void *arg)
{
	struct got *g = arg;

	g->status = a->err != 0 ? a->err : a->status;
	(void)snprintf(
	    g->body, sizeof(g->body), "%s", a->body == NULL ? "" : a->body);
}

static struct got
ask(const char *method, const char *path, const char *proof, const char *body)
{
	char url[256], ca[128], header[3000];
	const char *headers[3] = { "Content-Type: application/json" };
	struct perc_httpc_conf conf = { .ca_file = ca };
	struct got g = { 0 };

	path_of(ca, "tls.crt");
	(void)snprintf(url, sizeof(url), "%s%s", base, path);
	if (proof != NULL) {
		(void)snprintf(header, sizeof(header), "DPoP: %s", proof);
		headers[1] = header;
	}
	assert_int_equal(perc_httpc_once(&conf, method, url, headers, body,
			     strlen(body), on_got, &g),
	    0);
	return g;
}

static char *
proof_of(struct perc_jwk *k, const char *method, const char *url, int64_t off_s)
{
	char *text = NULL;

	assert_int_equal(perc_dpop_make(&text, k, method, url, NULL, NULL, NULL,
			     perc_wall_ms() / 1000 + off_s),
	    0);
	return text;
}

static void
link_refused(struct perc_jwk *k, const char *method, const char *url,
    int64_t off_s, int status, const char *code)
{
	char *proof = k == NULL ? NULL : proof_of(k, method, url, off_s);
	struct got g = ask("POST", "/v1/link", proof, link_body("c_in"));

	assert_int_equal(g.status, status);
	assert_non_null(strstr(g.body, code));
	free(proof);
}

static void
test_who_may_not_link(void **state)
{
	struct member a;
	char url[128], other[128], *proof;
	struct got g;

	mdd_conf(0, 2, "workers = 1\n", "");
	assert_int_equal(stage_start(0), 0);
	(void)snprintf(url, sizeof(url), "%s/v1/link", stage_base(0));
	(void)snprintf(other, sizeof(other), "%s/v1/link", stage_base(1));
	come(0, &a, "m_a", "c_in", SSRC_A);
	link_refused(NULL, "POST", url, 0, 401, "proof_missing");
	link_refused(link_key[2], "POST", url, 0, 401, "proof_invalid");
	link_refused(link_key[1], "POST", other, 0, 401, "proof_invalid");
	link_refused(link_key[1], "PUT", url, 0, 401, "proof_invalid");
	link_refused(link_key[1], "POST", url, -120, 401, "proof_invalid");
	/* A good one, and the same again. */
	proof = proof_of(link_key[1], "POST", url, 0);
	g = ask("POST", "/v1/link", proof, link_body("c_in"));
	assert_int_equal(g.status, 201);
	g = ask("POST", "/v1/link", proof, link_body("c_in"));
	assert_int_equal(g.status, 401);
	free(proof);
	/* Not where nobody is, not of another KMF, not malformed. */
	proof = proof_of(link_key[1], "POST", url, 0);
	g = ask("POST", "/v1/link", proof, link_body("c_empty"));
	assert_int_equal(g.status, 404);
	free(proof);
	proof = proof_of(link_key[1], "POST", url, 0);
	g = ask("POST", "/v1/link", proof, "{\"issuer\": \"x\"}");
	assert_int_equal(g.status, 400);
	free(proof);
	/* token2 is nothing here. */
	expect(http("POST", "/v1/link", a.token, link_body("c_in")), 401,
	    "proof_missing");
	member_end(&a);
}

/* conferences = token: the KMF says which. */
static void
test_by_token(void **state)
{
	struct member a, b, x, y;
	uint8_t d[PEER_PACKET];
	size_t n;

	mdd_conf(0, 2, "workers = 1\n", "conferences = token\n");
	mdd_conf(1, 1, "workers = 1\n", "conferences = token\n");
	assert_int_equal(stage_start(0), 0);
	assert_int_equal(stage_start(1), 0);
	stage_cascade = stage_base(1);
	come(0, &a, "m_a", "c_named", SSRC_A);
	stage_cascade = stage_base(0);
	come(1, &b, "m_b", "c_named", SSRC_B);
	stage_cascade = NULL;
	come(0, &x, "m_a", "c_plain", SSRC_A);
	come(1, &y, "m_b", "c_plain", SSRC_B);
	reaches(&a, &b);
	reaches(&b, &a);
	links_are(0, 1);
	n = peer_rtp(&x.p, d, SSRC_A, 1, "x", 1, "", 1);
	peer_send(&x.p, d, n);
	assert_int_equal(peer_recv(&y.p, d, 128, 191, 300), 0);
	member_end(&a);
	member_end(&b);
	member_end(&x);
	member_end(&y);
}

#define T(f) cmocka_unit_test_setup_teardown(f, NULL, stop_all)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_two),
		T(test_both_dial),
		T(test_triangle),
		T(test_triangle_with_transit),
		T(test_line),
		T(test_peer_killed_and_back),
		T(test_conference_outgrows_a_worker),
		T(test_ssrc_of_another_worker),
		T(test_root_worker_killed),
		T(test_who_may_not_link),
		T(test_by_token),
	};

	return cmocka_run_group_tests_name(
	    "cascade_daemon", tests, open_keys, close_keys);
}
