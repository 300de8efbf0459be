/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Nothing leaves before it is durable: a keeper is killed between many calls
 * and has lost nothing that it acknowledged; on a full disk every call of the
 * turn hears 503, nothing is half done, and the process goes on.
 */
#include "tests/kmf/kitroom.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "perc/proc.h"

#define ROUNDS 4 /* 200 calls each: below KMF_INVITATIONS_MAX */
#define CALLS  400

/* --- kill -9 ----------------------------------------------------------- */

struct acks {
	char id[CALLS][40];
	unsigned n, want;
	pid_t child;
};

static int
on_reply(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	struct acks *a = arg;
	struct kmf_reply r;
	json_t *v;

	assert_int_equal(kmf_reply_decode(&r, m->data, m->len), 0);
	assert_int_equal(r.status, 201);
	v = json_loadb((const char *)r.body, r.body_len, 0, NULL);
	assert_non_null(v);
	snprintf(a->id[a->n++], sizeof(a->id[0]), "%s", perc_json_str(v, "id"));
	json_decref(v);
	if (a->n == a->want) /* in the midst of answering the rest */
		kill(a->child, SIGKILL);
	return 0;
}

static int
on_welcome(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	return 0;
}

static const struct perc_chan_rule rules[] = {
	{ KMF_MSG_WELCOME, ~0u, 65536, on_welcome },
	{ KMF_MSG_REPLY, ~0u, 65536, on_reply },
};

static bool gone;

static void
on_close(struct perc_chan *c, int why, void *arg)
{
	gone = true;
}

static void
child_run(int fd)
{
	const struct kmf_keeper_opts o = {
		.db_file = t.db_file, .base_url = KIT_BASE, .root = t.root
	};
	struct perc_loop *l;
	struct kmf_keeper *k;
	char why[256];

	if (perc_loop_new(&l) != 0 ||
	    kmf_keeper_new(&k, l, &o, why, sizeof(why)) != 0 ||
	    kmf_keeper_front_add(k, fd) != 0)
		_exit(2);
	_exit(perc_loop_run(l) != 0);
}

static void
send_calls(struct perc_chan *c, unsigned n)
{
	static const char body[] = "{\"name\": \"x\"}";
	struct kmf_call call = { .op = KMF_OP_INV_CREATE,
		.conf = conf,
		.body = (const uint8_t *)body,
		.body_len = sizeof(body) - 1 };
	uint8_t *buf;
	size_t len;

	call.id.who = KMF_WHO_CLIENT;
	call.id.sub = "admin";
	call.id.scope = "scheduler";
	while (n-- > 0) {
		assert_int_equal(kmf_call_encode(&buf, &len, &call), 0);
		assert_int_equal(
		    perc_chan_send(c, KMF_MSG_CALL, n + 1, buf, len), 0);
		perc_secmem_free(buf);
	}
}

static void
round_run(struct acks *a, unsigned want)
{
	struct perc_loop *l;
	struct perc_chan *c;
	int sv[2], turns, status;

	memset(a, 0, sizeof(*a));
	a->want = want;
	gone = false;
	assert_int_equal(perc_proc_pair(sv), 0);
	fflush(stdout);
	if ((a->child = fork()) == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(sv[1]);
		child_run(sv[0]);
	}
	close(sv[0]);
	assert_int_equal(perc_loop_new(&l), 0);
	assert_int_equal(perc_chan_new(&c, l, sv[1], rules, 2, on_close, a), 0);
	for (turns = 0; turns < 2000 && !gone; turns++) {
		if (turns < 20) /* several turns, each a transaction */
			send_calls(c, 10);
		assert_int_equal(perc_loop_turn(l, 1), 0);
	}
	assert_int_equal(waitpid(a->child, &status, 0), a->child);
	assert_true(WIFSIGNALED(status));
	perc_chan_free(c);
	perc_loop_free(l);
}

static void
test_acknowledged_survives_the_kill(void **state)
{
	static struct acks a;
	struct db *db;
	struct db_inv inv;
	char why[256];
	unsigned i, n;

	kit_stop(&t); /* the database is the child's */
	for (i = 0; i < ROUNDS; i++) {
		round_run(&a, 5 + 40 * i);
		assert_true(a.n >= a.want);
		assert_int_equal(db_open(&db, t.db_file, why, sizeof(why)), 0);
		for (n = 0; n < a.n; n++)
			if (db_inv_find(db, &inv, a.id[n]) != 0)
				fail_msg("round %u: %s is lost", i, a.id[n]);
		db_close(db);
	}
	kit_start(&t);
}

/* --- a full disk ------------------------------------------------------- */

static void
disk_limit(bool full)
{
	struct rlimit l;
	struct stat st;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
	assert_int_equal(stat(t.db_file, &st), 0);
	l.rlim_cur = full ? 1024 : l.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void
test_full_disk_loses_nothing(void **state)
{
	struct kmf_call c = { .op = KMF_OP_TOKEN1, .conf = conf };
	struct kit_end bob;
	struct kit_event *e;
	struct kit_reply *r;
	uint32_t s;
	unsigned i, before;

	kit_end_open(&bob, "bob");
	kit_join(&t, &bob, conf);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_READY, "", "", NULL)->status, 200);
	disk_limit(true);
	r = kit_admin(&t, KMF_OP_INV_CREATE, conf, "", "{}");
	assert_int_equal(r->status, 503);
	assert_string_equal(r->code, "unavailable");
	before = t.replies;
	for (i = 0; i < 20; i++) { /* many of one turn: each hears of it */
		c.id.who = KMF_WHO_PERSON;
		c.id.iss = "https://idp.example";
		c.id.sub = "bob";
		c.id.jkt = "another-key";
		kit_send(&t, &c);
	}
	kit_wait(&t, before + 20);
	s = kit_stream(&t, &bob);
	e = kit_event(&t, s, "");
	if (e != NULL) /* reading alone may well succeed */
		assert_true(strcmp(e->name, "roster") == 0 || e->status == 503);
	disk_limit(false);
	r = kit_admin(&t, KMF_OP_INV_LIST, conf, "", NULL);
	assert_int_equal(r->status, 200);
	assert_int_equal(json_array_size(json_object_get(r->json, "items")), 0);
	r = kit_admin(&t, KMF_OP_INV_CREATE, conf, "", "{}");
	assert_int_equal(r->status, 201);
	assert_int_equal(kit_keys(&t, &bob)->status, 200);
	assert_true(t.k->count.commit_failures > 0 || t.k->count.failed > 0);
	kit_end_close(&bob);
}

/* An eviction that could not be noted for a later restore did not happen;
 * the next one does, and the journal is whole. */
static void
test_full_disk_revokes_nothing_halfway(void **state)
{
	struct kit_end bob;
	struct db_member m;
	int64_t before, after;

	kit_end_open(&bob, "bob");
	kit_join(&t, &bob, conf);
	assert_int_equal(db_revocation_last(t.k->db, &before), 0);
	disk_limit(true);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_MEMBER_EVICT, conf, bob.member, NULL)->status,
	    503);
	disk_limit(false);
	assert_int_equal(db_member_find(t.k->db, &m, bob.member), 0);
	assert_int_equal(m.state, DB_MEMBER_LIVE);
	assert_int_equal(
	    kit_admin(&t, KMF_OP_MEMBER_EVICT, conf, bob.member, NULL)->status,
	    204);
	assert_int_equal(db_revocation_last(t.k->db, &after), 0);
	assert_true(after > before);
	assert_int_equal(t.k->guard.journal.last, after);
	kit_restart(&t);
	assert_int_equal(t.k->guard.journal.last, after);
	assert_true(t.k->guard.journal.lines >= 2);
	kit_end_close(&bob);
}

/* A refusal that got lost would be a stream that is open at the front and
 * unknown here; an end that never came to be must not be told. */
static void
test_failed_commit_refuses_streams(void **state)
{
	struct kit_end bob;
	struct kit_event *e;
	uint32_t s;

	kit_end_open(&bob, "bob");
	kit_join(&t, &bob, conf);
	s = kit_stream(&t, &bob);
	while (kit_event(&t, s, "") != NULL)
		;
	assert_int_equal(kmf_turn_begin(t.k), 0);
	assert_int_equal(kmf_mark(t.k), 0);
	kmf_stream_refuse(t.k, t.k->fronts, 7777, 403, "evicted", "");
	kmf_stream_end(t.k, conf, bob.member, 410, "gone");
	db_rollback(t.k->db);
	kmf_out_fail(t.k);
	kit_turn(&t);
	e = kit_event(&t, 7777, "END");
	assert_non_null(e);
	assert_int_equal(e->status, 503);
	assert_null(kit_event(&t, s, "END"));
	assert_true(kmf_stream_has(t.k, bob.member));
	kit_end_close(&bob);
}

/* What was due when the disk was full is due again soon. */
static void
test_full_disk_delays_what_is_due(void **state)
{
	struct db_member m;
	struct kit_end bob;
	int64_t until;

	kit_end_open(&bob, "bob");
	kit_join(&t, &bob, conf);
	disk_limit(true);
	t.now_ms += 60000; /* the lease is over */
	kmf_due_arm(t.k);
	kit_turn(&t);
	assert_true(t.k->count.commit_failures > 0);
	disk_limit(false);
	for (until = perc_now_ms() + 1500; perc_now_ms() < until;)
		kit_turn(&t);
	assert_int_equal(db_member_find(t.k->db, &m, bob.member), 0);
	assert_int_equal(m.state, DB_MEMBER_GONE);
	kit_end_close(&bob);
}

/* Many calls in one turn are few commits. */
static void
test_calls_of_a_turn_share_a_commit(void **state)
{
	struct kmf_call c = { .op = KMF_OP_CONF_GET, .conf = conf };
	uint64_t commits = t.k->count.commits;
	unsigned i, before = t.replies;

	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = "admin";
	c.id.scope = "scheduler";
	for (i = 0; i < 200; i++)
		kit_send(&t, &c);
	kit_wait(&t, before + 200);
	assert_true(t.k->count.commits - commits < 20);
}

/* A commit that others share may wait for more, but it comes; who asks alone
 * is not made to wait, and nobody hears of what is not committed. */
static void
test_a_shared_commit_comes(void **state)
{
	struct kmf_call c = { .op = KMF_OP_CONF_GET, .conf = conf };
	unsigned i, k, before;
	uint64_t calls;

	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = "admin";
	c.id.scope = "scheduler";
	for (i = 0; i < 20; i++) {
		calls = t.k->count.calls;
		before = t.replies;
		kit_send(&t, &c);
		while (t.k->count.calls == calls)
			kit_turn(&t);
		assert_false(db_in_transaction(t.k->db));
		assert_true(t.k->company < 2);
		kit_wait(&t, before + 1);
	}
	for (i = 0; i < 20; i++) {
		before = t.replies;
		t.k->company = 2;
		t.k->commit_ms = perc_now_ms();
		for (k = 0; k < 3; k++)
			kit_send(&t, &c);
		kit_wait(&t, before + 3);
		assert_false(db_in_transaction(t.k->db));
	}
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_acknowledged_survives_the_kill),
		T(test_full_disk_loses_nothing),
		T(test_full_disk_revokes_nothing_halfway),
		T(test_failed_commit_refuses_streams),
		T(test_full_disk_delays_what_is_due),
		T(test_calls_of_a_turn_share_a_commit),
		T(test_a_shared_commit_comes),
	};

	return cmocka_run_group_tests_name("durable", tests, NULL, NULL);
}
