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
#include "tests/mdd/mesh.h"

/* No member of ours has transport-wide numbers, so what is told of them is
 * told by the link: both ends agreed on them. */
static void
link_tells_arrivals(unsigned mdd)
{
	stage_use(mdd);
	metric_reaches("perch_mdd_feedback_total", NULL, 1);
}

static void
test_two(void **state)
{
	struct member a, b, c;

	mesh_conf(0, 2, "workers = 1\n", "");
	mesh_conf(1, 1, "workers = 1\n", "");
	assert_int_equal(stage_start(0), 0);
	assert_int_equal(stage_start(1), 0);
	mesh_come(0, &a, "m_a", "c_two", SSRC_A);
	mesh_come(1, &b, "m_b", "c_two", SSRC_B);
	mesh_reaches(&a, &b);
	mesh_reaches(&b, &a);
	mesh_links(0, 1);
	mesh_links(1, 1);
	link_tells_arrivals(0);
	link_tells_arrivals(1);
	/* Another conference has a link of its own. */
	mesh_come(1, &c, "m_c", "c_other", SSRC_A);
	mesh_links(1, 1);
	member_end(&c);
	/* The last one here leaves: no link any more, at both. */
	mesh_leave(0, &a);
	mesh_links(0, 0);
	mesh_links(1, 0);
	/* Who comes then is linked again. */
	mesh_come(0, &a, "m_a", "c_two", SSRC_A);
	mesh_reaches(&b, &a);
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

	mesh_conf(0, 2, "workers = 1\n", "");
	mesh_conf(1, 1, "workers = 1\n", "");
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
		assert_true(peer_connect(&a[i].p, 30000));
		assert_true(peer_connect(&b[i].p, 30000));
		mesh_reaches(&a[i], &b[i]);
		mesh_reaches(&b[i], &a[i]);
	}
	mesh_links(0, 6);
	mesh_links(1, 6);
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

	mesh_conf(0, to_a, "workers = 1\n", peer);
	mesh_conf(1, to_b, "workers = 1\n", peer);
	mesh_conf(2, to_c, "workers = 1\n", peer);
	assert_int_equal(stage_start(0), 0);
	assert_int_equal(stage_start(1), 0);
	assert_int_equal(stage_start(2), 0);
	mesh_come(0, &a, "m_a", "c_three", SSRC_A);
	mesh_come(2, &c, "m_c", "c_three", SSRC_C);
	mesh_come(1, &b, "m_b", "c_three", SSRC_B);
	for (round = 0; round < 2; round++) {
		mesh_reaches(&a, &b);
		mesh_reaches(&a, &c);
		mesh_reaches(&b, &a);
		mesh_reaches(&b, &c);
		mesh_reaches(&c, &a);
		mesh_reaches(&c, &b);
	}
	member_end(&a);
	member_end(&b);
	member_end(&c);
}

static void
test_triangle(void **state)
{
	three(6, 5, 3, "");
	mesh_links(0, 2);
	mesh_links(1, 2);
	mesh_links(2, 2);
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

	mesh_conf(0, 2, "workers = 1\n", "");
	mesh_conf(1, 5, "workers = 1\n", "transit = yes\n");
	mesh_conf(2, 2, "workers = 1\n", "");
	assert_int_equal(stage_start(0), 0);
	assert_int_equal(stage_start(1), 0);
	assert_int_equal(stage_start(2), 0);
	mesh_come(0, &a, "m_a", "c_line", SSRC_A);
	mesh_come(2, &c, "m_c", "c_line", SSRC_C);
	mesh_reaches(&a, &c);
	mesh_reaches(&c, &a);
	mesh_links(1, 2);
	mesh_leave(0, &a);
	mesh_leave(2, &c);
	mesh_links(1, 0);
	metric_reaches("perch_mdd_conferences", NULL, 0);
}

static void
test_peer_killed_and_back(void **state)
{
	struct member a, b;

	mesh_conf(0, 2, "workers = 1\n", "");
	mesh_conf(1, 1, "workers = 1\n", "");
	assert_int_equal(stage_start(0), 0);
	assert_int_equal(stage_start(1), 0);
	mesh_come(0, &a, "m_a", "c_kill", SSRC_A);
	mesh_come(1, &b, "m_b", "c_kill", SSRC_B);
	mesh_reaches(&a, &b);
	(void)stage_stop(1, SIGKILL);
	peer_close(&b.p);
	free(b.token);
	assert_int_equal(stage_start(1), 0);
	mesh_come(1, &b, "m_b", "c_kill", SSRC_B);
	mesh_reaches(&a, &b);
	mesh_reaches(&b, &a);
	mesh_links(0, 1);
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

	mesh_conf(0, 0, "workers = 3\nlegs_per_worker = 3\n", "");
	assert_int_equal(stage_start(0), 0);
	for (i = 0; i < N; i++) {
		(void)snprintf(name[i], sizeof(name[i]), "m_%u", i);
		mesh_come(0, &m[i], name[i], "c_big", 1000 + i);
		for (k = 0; k < i && m[k].port != m[i].port; k++)
			;
		ports += k == i;
	}
	assert_int_equal(ports, 3);
	mesh_links(0, 4); /* two, with two ends each */
	for (i = 0; i < N; i++)
		mesh_reaches(&m[i], &m[(i + 4) % N]);
	/* A member comes back to where it was. */
	k = m[N - 1].port;
	peer_close(&m[N - 1].p);
	free(m[N - 1].token);
	mesh_come(0, &m[N - 1], name[N - 1], "c_big", 1000 + N - 1);
	assert_int_equal(m[N - 1].port, k);
	mesh_reaches(&m[N - 1], &m[0]);
	for (i = 0; i < N; i++)
		mesh_leave(0, &m[i]);
	mesh_links(0, 0);
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

	mesh_conf(0, 0, "workers = 2\nlegs_per_worker = 1\n", "");
	assert_int_equal(stage_start(0), 0);
	mesh_come(0, &a, "m_a", "c_ssrc", SSRC_A);
	mesh_come(0, &b, "m_b", "c_ssrc", SSRC_B);
	assert_int_not_equal(a.port, b.port);
	peer_open(&x.p);
	asks(&x, "c_ssrc", SSRC_A, 409, "ssrc_taken");
	asks(&x, "c_ssrc", SSRC_B, 409, "ssrc_taken");
	asks(&x, "c_other", SSRC_A, 201, NULL);
	expect(http("POST", "/v1/join", a.token, BODY), 201, NULL);
	mesh_reaches(&b, &a);
	mesh_leave(0, &b);
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

	mesh_conf(0, 0, "workers = 3\nlegs_per_worker = 2\n", "");
	assert_int_equal(stage_start(0), 0);
	for (i = 0; i < 6; i++) {
		(void)snprintf(name[i], sizeof(name[i]), "m_%u", i);
		mesh_come(0, &m[i], name[i], "c_root", 1000 + i);
	}
	root = m[0].port;
	mesh_reaches(&m[0], &m[5]);
	/* The first conference began on the first worker. */
	assert_true(stage_workers(workers, 3) == 3);
	assert_int_equal(kill(workers[0], SIGKILL), 0);
	for (i = 0; i < 6; i++)
		if (m[i].port != root)
			alive[others++] = i;
	assert_int_equal(others, 4);
	mesh_reaches(&m[alive[0]], &m[alive[3]]);
	mesh_reaches(&m[alive[3]], &m[alive[0]]);
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

	mesh_conf(0, 2, "workers = 1\n", "");
	assert_int_equal(stage_start(0), 0);
	(void)snprintf(url, sizeof(url), "%s/v1/link", stage_base(0));
	(void)snprintf(other, sizeof(other), "%s/v1/link", stage_base(1));
	mesh_come(0, &a, "m_a", "c_in", SSRC_A);
	link_refused(NULL, "POST", url, 0, 401, "proof_missing");
	link_refused(mesh_key[2], "POST", url, 0, 401, "proof_invalid");
	link_refused(mesh_key[1], "POST", other, 0, 401, "proof_invalid");
	link_refused(mesh_key[1], "PUT", url, 0, 401, "proof_invalid");
	link_refused(mesh_key[1], "POST", url, -120, 401, "proof_invalid");
	/* A good one, and the same again. */
	proof = proof_of(mesh_key[1], "POST", url, 0);
	g = ask("POST", "/v1/link", proof, link_body("c_in"));
	assert_int_equal(g.status, 201);
	assert_non_null(strstr(g.body, "\"twcc\":true"));
	g = ask("POST", "/v1/link", proof, link_body("c_in"));
	assert_int_equal(g.status, 401);
	free(proof);
	/* Not where nobody is, not of another KMF, not malformed. */
	proof = proof_of(mesh_key[1], "POST", url, 0);
	g = ask("POST", "/v1/link", proof, link_body("c_empty"));
	assert_int_equal(g.status, 404);
	free(proof);
	proof = proof_of(mesh_key[1], "POST", url, 0);
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

	mesh_conf(0, 2, "workers = 1\n", "conferences = token\n");
	mesh_conf(1, 1, "workers = 1\n", "conferences = token\n");
	assert_int_equal(stage_start(0), 0);
	assert_int_equal(stage_start(1), 0);
	stage_cascade = stage_base(1);
	mesh_come(0, &a, "m_a", "c_named", SSRC_A);
	stage_cascade = stage_base(0);
	mesh_come(1, &b, "m_b", "c_named", SSRC_B);
	stage_cascade = NULL;
	mesh_come(0, &x, "m_a", "c_plain", SSRC_A);
	mesh_come(1, &y, "m_b", "c_plain", SSRC_B);
	mesh_reaches(&a, &b);
	mesh_reaches(&b, &a);
	mesh_links(0, 1);
	n = peer_rtp(&x.p, d, SSRC_A, 1, "x", 1, "", 1);
	peer_send(&x.p, d, n);
	assert_int_equal(peer_recv(&y.p, d, 128, 191, 300), 0);
	member_end(&a);
	member_end(&b);
	member_end(&x);
	member_end(&y);
}

#define T(f) cmocka_unit_test_setup_teardown(f, NULL, mesh_stop)

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
	    "cascade_daemon", tests, mesh_open, mesh_close);
}
