/* SPDX-License-Identifier: Apache-2.0 */
/*
 * [peer] sections change while real perch-mdds run: who comes is linked, who
 * goes is not any more, who stays notices nothing, and a file with a mistake
 * changes nothing.
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
#include <sys/stat.h>
#include <unistd.h>

#include "tests/mdd/mesh.h"

#define WORKERS "workers = 1\n"

static long log_from; /* the tests have one file */

/* Lines of MDD 0's log, of this test, that have this text. */
static int
said(const char *text)
{
	char path[128], line[1024];
	int n = 0;
	FILE *f;

	path_of(path, "mdd.log");
	f = fopen(path, "r");
	assert_non_null(f);
	assert_int_equal(fseek(f, log_from, SEEK_SET), 0);
	while (fgets(line, sizeof(line), f) != NULL)
		n += strstr(line, text) != NULL;
	(void)fclose(f);
	return n;
}

/* SIGHUP for MDD 0; back when it has said what became of it. */
static void
reload(const char *want)
{
	int n = said("reloaded "), i;

	assert_int_equal(kill(stage_pid(), SIGHUP), 0);
	for (i = 0; i < 100 && said("reloaded ") == n; i++)
		(void)usleep(50000);
	assert_int_equal(said("reloaded "), n + 1);
	assert_true(said(want) > 0);
}

static uint64_t
links_made(unsigned mdd)
{
	stage_use(mdd);
	return metric("perch_mdd_link_total", "dialled") +
	    metric("perch_mdd_link_total", "accepted");
}

/* Alice at 0, Bob at 1, Carol at 2: m0 knows m1, then also m2, then only m2.
 * Bob notices nothing until it is he who goes. */
static void
test_come_and_go(void **state)
{
	struct member a, b, c;
	uint64_t made;

	mesh_conf(0, 2, WORKERS, "");
	mesh_conf(1, 1, WORKERS, "");
	mesh_conf(2, 1, WORKERS, "");
	assert_int_equal(stage_start(0), 0);
	assert_int_equal(stage_start(1), 0);
	assert_int_equal(stage_start(2), 0);
	mesh_come(0, &a, "m_a", "c_hup", SSRC_A);
	mesh_come(1, &b, "m_b", "c_hup", SSRC_B);
	mesh_come(2, &c, "m_c", "c_hup", SSRC_C);
	(void)mesh_reaches(&a, &b);
	mesh_deaf(&a, &c);
	made = links_made(1);

	mesh_conf(0, 6, WORKERS, "");
	reload("peer new name=m2");
	mesh_links(0, 2);
	(void)mesh_reaches(&a, &c);
	(void)mesh_reaches(&c, &a);
	assert_int_equal(mesh_reaches(&b, &a), 0); /* the first packet */
	assert_int_equal(links_made(1), made);
	assert_int_equal(said("peer gone"), 0);

	mesh_conf(0, 4, WORKERS, "");
	reload("peer gone name=m1");
	mesh_links(0, 1);
	mesh_links(1, 0); /* it was told, long before 10 s of silence */
	mesh_deaf(&a, &b);
	assert_int_equal(mesh_reaches(&a, &c), 0);
	member_end(&a);
	member_end(&b);
	member_end(&c);
}

/* A line twice, a file that is not there, a setting that cannot change: the
 * peer that stands goes on, nobody else comes. */
static void
test_fault_changes_nothing(void **state)
{
	struct member a, b;
	uint64_t made;

	mesh_conf(0, 2, WORKERS, "");
	mesh_conf(1, 1, WORKERS, "");
	assert_int_equal(stage_start(0), 0);
	assert_int_equal(stage_start(1), 0);
	mesh_come(0, &a, "m_a", "c_fault", SSRC_A);
	mesh_come(1, &b, "m_b", "c_fault", SSRC_B);
	(void)mesh_reaches(&a, &b);
	made = links_made(1);
	mesh_conf(0, 4, WORKERS, "key = twice\n");
	reload("settings=unchanged");
	mesh_conf(0, 4, WORKERS,
	    "[peer x]\nurl = https://m9.example\nca = nowhere.crt\n"
	    "key = 0123456789012345678901234567890123456789012\n");
	reload("[peer x] ca = ");
	mesh_conf(0, 4, WORKERS "max_links = 65\n", "");
	reload("max_links cannot change without a restart");
	assert_int_equal(mesh_reaches(&a, &b), 0);
	assert_int_equal(links_made(1), made);
	assert_int_equal(said("settings=new"), 0);
	mesh_links(0, 1);
	member_end(&a);
	member_end(&b);
}

/* The peer has a new link key: until we are told it is a stranger. A link
 * comes by the first reload that has any peer. */
static void
test_key_renewed(void **state)
{
	struct member a, b;

	mesh_conf(0, 0, WORKERS, "");
	mesh_conf(1, 1, WORKERS, "");
	assert_int_equal(stage_start(0), 0);
	assert_int_equal(stage_start(1), 0);
	mesh_come(0, &a, "m_a", "c_key", SSRC_A);
	mesh_come(1, &b, "m_b", "c_key", SSRC_B);
	mesh_conf(0, 2, WORKERS, "");
	reload("peer new name=m1");
	(void)mesh_reaches(&a, &b);

	assert_int_equal(stage_stop(1, SIGTERM), 0);
	member_end(&b);
	mesh_key_new(1);
	assert_int_equal(stage_start(1), 0);
	mesh_come(1, &b, "m_b", "c_key", SSRC_B);
	stage_use(0);
	metric_reaches("perch_mdd_link_total", "refused", 1);
	mesh_links(1, 0);
	mesh_conf(0, 2, WORKERS, "");
	reload("peer gone name=m1");
	(void)mesh_reaches(&a, &b);
	(void)mesh_reaches(&b, &a);
	member_end(&a);
	member_end(&b);
}

static void
renew(struct member *m)
{
	char path[128];

	free(m->token);
	m->token = sign(claims(m));
	(void)snprintf(path, sizeof(path), "/v1/join/%s", m->leg);
	expect(http("PUT", path, m->token, NULL), 200, NULL);
}

/* Which conferences: one that only a later token2 names; then, by the file,
 * all. The link that was is the one that is. */
static void
test_which_conferences(void **state)
{
	struct member a, b, x, y;
	uint64_t made;

	mesh_conf(0, 2, WORKERS, "conferences = token\n");
	mesh_conf(1, 1, WORKERS, "");
	assert_int_equal(stage_start(0), 0);
	assert_int_equal(stage_start(1), 0);
	mesh_come(1, &b, "m_b", "c_late", SSRC_B);
	mesh_come(1, &y, "m_y", "c_all", SSRC_B);
	mesh_come(0, &a, "m_a", "c_late", SSRC_A);
	mesh_come(0, &x, "m_x", "c_all", SSRC_A);
	mesh_deaf(&a, &b);
	stage_cascade = stage_base(1);
	renew(&a);
	stage_cascade = NULL;
	(void)mesh_reaches(&a, &b);
	mesh_deaf(&x, &y);
	made = links_made(1);
	mesh_conf(0, 2, WORKERS, "");
	reload("settings=new");
	(void)mesh_reaches(&x, &y);
	assert_int_equal(mesh_reaches(&a, &b), 0);
	assert_int_equal(links_made(1), made + 1);
	member_end(&a);
	member_end(&b);
	member_end(&x);
	member_end(&y);
}

/* And those that the next test is to see begin here. */
static int
stop(void **state)
{
	struct stat st;
	char path[128];

	path_of(path, "mdd.log");
	if (mesh_stop(state) != 0 || stat(path, &st) != 0)
		return -1;
	log_from = (long)st.st_size;
	return 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, NULL, stop)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_come_and_go),
		T(test_fault_changes_nothing),
		T(test_key_renewed),
		T(test_which_conferences),
	};

	return cmocka_run_group_tests_name(
	    "peers", tests, mesh_open, mesh_close);
}
