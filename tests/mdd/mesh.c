/* SPDX-License-Identifier: Apache-2.0 */
/* The mesh of mesh.h. What goes wrong here fails the running test. */
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

#include "perc/json.h"
#include "tests/mdd/mesh.h"

struct perc_jwk *mesh_key[STAGE_MDDS];
static char thumb[STAGE_MDDS][PERC_JKT_LEN + 1];

/* A section for MDD i. */
static size_t
peer_conf(char *out, size_t cap, unsigned i, const char *more)
{
	return (size_t)snprintf(out, cap,
	    "[peer m%u]\nurl = %s\nkey = %s\nca = tls.crt\n%s", i,
	    stage_base(i), thumb[i], more);
}

void
mesh_key_new(unsigned i)
{
	char path[128], name[16], *text = NULL;
	FILE *f;

	perc_jwk_free(mesh_key[i]);
	mesh_key[i] = NULL;
	assert_int_equal(perc_jwk_generate(&mesh_key[i]), 0);
	assert_int_equal(perc_jwk_thumbprint(thumb[i], mesh_key[i]), 0);
	assert_int_equal(perc_jwk_private_json(&text, mesh_key[i]), 0);
	(void)snprintf(name, sizeof(name), "link%u.jwk", i);
	path_of(path, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0 && fclose(f) == 0);
	perc_json_free(text);
}

void
mesh_conf(unsigned i, unsigned to, const char *settings, const char *peer)
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

int
mesh_open(void **state)
{
	unsigned i;

	stage_setup();
	for (i = 0; i < STAGE_MDDS; i++)
		mesh_key_new(i);
	return 0;
}

int
mesh_close(void **state)
{
	unsigned i;

	for (i = 0; i < STAGE_MDDS; i++)
		perc_jwk_free(mesh_key[i]);
	return stage_close(state);
}

int
mesh_stop(void **state)
{
	unsigned i;
	int bad = 0;

	for (i = 0; i < STAGE_MDDS; i++)
		bad |= stage_stop(i, SIGTERM);
	return bad;
}

void
mesh_come(unsigned mdd, struct member *m, const char *name,
    const char *conference, uint32_t ssrc)
{
	stage_use(mdd);
	member_join(m, name, conference, ssrc);
	assert_true(peer_connect(&m->p, 30000));
}

void
mesh_leave(unsigned mdd, struct member *m)
{
	char path[128];

	stage_use(mdd);
	(void)snprintf(path, sizeof(path), "/v1/join/%s", m->leg);
	expect(http("DELETE", path, m->token, NULL), 204, NULL);
	member_end(m);
}

static uint16_t seq; /* of everybody */

static size_t
say(struct member *m, const char *what)
{
	uint8_t d[PEER_PACKET];
	size_t n =
	    peer_rtp(&m->p, d, m->ssrc, ++seq, what, strlen(what), "", 1);

	assert_true(n > 0);
	peer_send(&m->p, d, n);
	return n;
}

static size_t
hear(struct member *m, uint8_t e[PEER_PACKET], int ms)
{
	return peer_recv(&m->p, e, 128, 191, ms);
}

/* That very packet: what others said, or a machine that stood still lets go
 * late, may come before it. */
static size_t
hear_it(struct member *m, uint8_t e[PEER_PACKET], const struct member *from,
    uint16_t number, int ms)
{
	size_t n;

	while ((n = hear(m, e, ms)) != 0)
		if ((e[2] << 8 | e[3]) == number &&
		    ((uint32_t)e[8] << 24 | e[9] << 16 | e[10] << 8 | e[11]) ==
			from->ssrc)
			break;
	return n;
}

int
mesh_reaches(struct member *from, struct member *to)
{
	uint8_t e[PEER_PACKET];
	const uint8_t *tail;
	size_t n, tn;
	int i;

	for (i = 0; i < 100; i++) {
		(void)say(from, "x");
		if (hear_it(to, e, from, seq, 100) != 0)
			break;
	}
	assert_true(i < 100);
	n = say(from, "once");
	assert_int_equal(hear_it(to, e, from, seq, 2000), n);
	assert_true(peer_open_rtp(&to->p, e, n, &tail, &tn) > 0);
	assert_int_equal(hear_it(to, e, from, seq, 50), 0);
	return i;
}

void
mesh_deaf(struct member *from, struct member *to)
{
	uint8_t e[PEER_PACKET];
	int i;

	while (hear(to, e, 50) != 0)
		;
	for (i = 0; i < 5; i++) {
		(void)say(from, "x");
		assert_int_equal(hear(to, e, 50), 0);
	}
}

void
mesh_links(unsigned mdd, uint64_t want)
{
	uint64_t got = 0;
	int i;

	stage_use(mdd);
	for (i = 0; i < 200; i++) {
		if ((got = metric("perch_mdd_links", NULL)) == want)
			return;
		(void)usleep(100000);
	}
	fail_msg("MDD %u has %llu links, not %llu", mdd,
	    (unsigned long long)got, (unsigned long long)want);
}
