/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The disk fails at the n-th call while a keeper starts: it starts all the
 * same or says why it does not, and whoever starts it again, as the
 * supervisor does, finds everything as it was.
 */
#include "tests/kmf/kit.h"

#include <sqlite3.h>

#include "tests/db/faultvfs.h"

static struct kit t;
static char conf[40];

static void
on_problem(const char *line, void *arg)
{
	fail_msg("the database: %s", line);
}

static int
start_try(void)
{
	const struct kmf_keeper_opts o = { .db_file = t.db_file,
		.base_url = KIT_BASE,
		.root = t.root,
		.guard_dir = t.dir };
	struct perc_loop *l;
	struct kmf_keeper *k = NULL;
	char why[256] = "";
	int r;

	assert_int_equal(perc_loop_new(&l), 0);
	if ((r = kmf_keeper_new(&k, l, &o, why, sizeof(why))) == 0)
		kmf_keeper_free(k);
	else if (why[0] == '\0')
		fail_msg("a start failed and nobody says why");
	perc_loop_free(l);
	return r;
}

static void
start_sweep(enum faultvfs_op op, int code)
{
	struct faultvfs f = { .op = op, .code = code, .n = 1 };
	unsigned hits;

	do {
		faultvfs_set(&f);
		(void)!start_try();
		hits = faultvfs_hits();
		faultvfs_set(NULL);
		if (start_try() != 0)
			fail_msg("no start after fault %u of kind %d", f.n, op);
		f.n++;
	} while (hits > 0);
	if (f.n < 3)
		fail_msg("a start makes no call of kind %d", op);
}

/* Whoever starts us again when that failed finds all as it was. */
static void
test_start_may_fail(void **state)
{
	struct kit_end bob;

	kit_open(&t);
	kit_conf(&t, conf, NULL);
	kit_end_open(&bob, "bob");
	kit_join(&t, &bob, conf); /* whose lease a start renews */
	kit_stop(&t);
	start_sweep(FAULTVFS_OPEN, SQLITE_CANTOPEN);
	start_sweep(FAULTVFS_SIZE, SQLITE_IOERR_FSTAT);
	start_sweep(FAULTVFS_LOCK, SQLITE_IOERR_LOCK);
	start_sweep(FAULTVFS_SHM_MAP, SQLITE_IOERR_SHMMAP);
	start_sweep(FAULTVFS_SHM_LOCK, SQLITE_IOERR_SHMLOCK);
	start_sweep(FAULTVFS_SYNC, SQLITE_IOERR_FSYNC);
	start_sweep(FAULTVFS_WRITE, SQLITE_IOERR_WRITE);
	start_sweep(FAULTVFS_READ, SQLITE_IOERR_READ);
	start_sweep(FAULTVFS_READ, SQLITE_IOERR_SHORT_READ);
	kit_start(&t);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_CONF_GET, conf, "", NULL)->status, 200);
	assert_int_equal(db_check(t.k->db, on_problem, NULL), 0);
	assert_int_equal(kit_keys(&t, &bob)->status, 200);
	kit_end_close(&bob);
	kit_close(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_may_fail),
	};

	if (faultvfs_register() != SQLITE_OK)
		return 1;
	perc_log_level_set(PERC_LOG_ERROR);
	return cmocka_run_group_tests_name("iostart", tests, NULL, NULL);
}
