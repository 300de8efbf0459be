/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The disk fails at the n-th call that SQLite makes of it, n counting up, in
 * every step of a conference's life: reading, writing, flushing, locking, for
 * once and for good. Every call is answered, by 503 when it was not done;
 * what was answered as done stands in the files as they lie there at that
 * moment; no key left without its record; and when the disk is well again the
 * same call succeeds, in the same process. (REQ: Availability, Accountability:
 * nothing is granted that the log does not tell.)
 */
#include "tests/kmf/kit.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/sqlite.h"
#include "kmf/event.h"
#include "tests/db/faultvfs.h"

#define DEADLINE_MS 8000 /* below that of a front */
#define ROOM_LASTS  10

static struct kit t;
static struct kit_end alice, bob;
static char conf[40], bobs_inv[40];
static uint32_t stream;
static unsigned room_age;
static int64_t seq; /* of the audit log, before the step */

/* --- the steps --------------------------------------------------------- */

enum step {
	SCHEDULE,
	CHANGE,
	INVITE,
	TOKEN,
	KEYS,
	RENEW,
	REKEY,
	EVICT,
	LEAVE,
	CANCEL,
	STEPS
};

static const struct {
	const char *name, *kind; /* of the record that says it was done */
} steps[STEPS] = {
	[SCHEDULE] = { "schedule", "conference_created" },
	[CHANGE] = { "change", "conference_changed" },
	[INVITE] = { "invite", "invited" },
	[TOKEN] = { "token", "token" },
	[KEYS] = { "keys", "key" },
	[RENEW] = { "renew", NULL },
	[REKEY] = { "rekey", NULL }, /* in its time */
	[EVICT] = { "evict", "evicted" },
	[LEAVE] = { "leave", "left" },
	[CANCEL] = { "cancel", "conference_cancelled" },
};

static struct kit_reply *
schedule(void)
{
	char body[300], from[PERC_TIME_LEN], to[PERC_TIME_LEN];

	perc_time_put(from, t.now_ms);
	perc_time_put(to, t.now_ms + 7200 * 1000);
	snprintf(body, sizeof(body),
	    "{\"title\": \"Council\", \"starts_at\": \"%s\", "
	    "\"ends_at\": \"%s\", \"invitees\": [{\"email\": "
	    "\"a@b.example\"}]}",
	    from, to);
	return kit_admin(&t, KMF_OP_CONF_CREATE, "", "", body);
}

static struct kit_reply *
step_take(enum step s)
{
	switch (s) {
	case SCHEDULE:
		return schedule();
	case CHANGE:
		return kit_admin(
		    &t, KMF_OP_CONF_PATCH, conf, "", "{\"title\": \"New\"}");
	case INVITE:
		return kit_admin(&t, KMF_OP_INV_CREATE, conf, "", "{}");
	case TOKEN:
		return kit_token1(&t, &bob, conf);
	case KEYS:
		return kit_keys(&t, &bob);
	case RENEW:
		return kit_as(&t, &bob, KMF_OP_LEASE_RENEW, "{\"epoch\": 1}");
	case REKEY:
		return kit_admin(&t, KMF_OP_CONF_REKEY, conf, "", NULL);
	case EVICT:
		return kit_admin(
		    &t, KMF_OP_MEMBER_EVICT, conf, bob.member, NULL);
	case LEAVE:
		return kit_as(&t, &bob, KMF_OP_LEASE_END, NULL);
	default:
		return kit_admin(&t, KMF_OP_CONF_CANCEL, conf, "", NULL);
	}
}

static void
room_open(void)
{
	kit_conf(&t, conf, "{\"lease_s\": 300, \"max_epoch_age_s\": 86400}");
	kit_join(&t, &alice, conf);
	stream = kit_stream(&t, &alice);
}

/* Bob, as the step finds him; who was put out never comes back, so another
 * guest does. Rooms are changed before their members ask too often. */
static void
prepare(enum step s, unsigned n)
{
	if (s == CANCEL || room_age++ % ROOM_LASTS == 0)
		room_open();
	if (s == EVICT || bob.code[0] != '\0') {
		kit_end_close(&bob);
		kit_end_open(&bob, "bob");
	}
	if (s == EVICT)
		kit_code(&t, conf, &bob, "Bob", bobs_inv);
	if (s == KEYS || s == RENEW || s == LEAVE || s == EVICT)
		kit_join(&t, &bob, conf);
	if (s == KEYS)
		kit_as(&t, &bob, KMF_OP_LEASE_END, NULL);
	assert_int_equal(kit_keys(&t, &alice)->status, 200);
	kit_pass(&t, 2500);
}

/* --- what must hold ---------------------------------------------------- */

/* How many records of that kind the step left. */
static unsigned
records(struct db *db, const char *kind)
{
	struct db_audit *list;
	char want[64];
	unsigned n = 0;
	size_t i, len;

	snprintf(want, sizeof(want), "\"kind\":\"%s\"", kind);
	assert_int_equal(db_audit_list(db, &list, &len, seq, 1000), 0);
	for (i = 0; i < len; i++)
		n += strstr(list[i].text, want) != NULL;
	free(list);
	return n;
}

static void
on_problem(const char *line, void *arg)
{
	fail_msg("%s: the database: %s", (const char *)arg, line);
}

/* The record of each key that bob has, and each epoch that alice was told. */
static void
keys_have_records(struct db *db, bool key, const char *what)
{
	struct kit_event *e;
	struct db_conf c;

	if (key && records(db, "key") != 1)
		fail_msg("%s: a key left without its record", what);
	assert_int_equal(db_conf_find(db, &c, conf), 0);
	while ((e = kit_event(&t, stream, "epoch")) != NULL)
		if (kit_epoch_open(&t, &alice, e) && alice.epoch > c.epoch)
			fail_msg("%s: an epoch left before it was", what);
}

/* Our files as a crash at this moment would leave them. What was said to be
 * done is there; 503 may be done there, for a flush that failed has still
 * written. */
static void
image_check(enum step s, bool done, const char *what)
{
	char cmd[400], path[128], why[256] = "";
	struct db_audit last;
	struct db *db;

	snprintf(path, sizeof(path), "%s/image.db", t.dir);
	snprintf(cmd, sizeof(cmd),
	    "cd %s && cp perch.db image.db && cp perch.db-wal image.db-wal",
	    t.dir);
	assert_int_equal(system(cmd), 0);
	if (db_open(&db, path, why, sizeof(why)) != 0)
		fail_msg("%s: %s", what, why);
	assert_int_equal(db_check(db, on_problem, (void *)what), 0);
	assert_int_equal(kmf_check_chain(db, &last), 0);
	if (done && steps[s].kind != NULL && records(db, steps[s].kind) == 0)
		fail_msg("%s: was acknowledged and is lost", what);
	keys_have_records(db, s == KEYS && done, what);
	db_close(db);
	snprintf(cmd, sizeof(cmd), "rm -f %s/image.db*", t.dir);
	assert_int_equal(system(cmd), 0);
}

static void
answer_check(enum step s, const struct kit_reply *r, const char *what)
{
	bool done = r->status < 300;

	if (!done && (r->status != 503 || strcmp(r->code, "unavailable") != 0))
		fail_msg("%s: %u %s", what, r->status, r->code);
	if (steps[s].kind != NULL &&
	    (records(t.k->db, steps[s].kind) > 0) != done)
		fail_msg("%s: answered %u, but it is %sdone", what, r->status,
		    done ? "not " : "");
}

/* --- the sweep --------------------------------------------------------- */

static const struct {
	const char *name;
	struct faultvfs f;
	bool cold; /* nothing is in memory */
} disks[] = {
	{ "write", { FAULTVFS_WRITE, SQLITE_IOERR_WRITE, 0, false }, false },
	{ "full", { FAULTVFS_WRITE, SQLITE_FULL, 0, true }, false },
	{ "sync", { FAULTVFS_SYNC, SQLITE_IOERR_FSYNC, 0, false }, false },
	{ "syncs", { FAULTVFS_SYNC, SQLITE_IOERR_FSYNC, 0, true }, false },
	{ "read", { FAULTVFS_READ, SQLITE_IOERR_READ, 0, false }, true },
	{ "reads", { FAULTVFS_READ, SQLITE_IOERR_READ, 0, true }, true },
	{ "lock", { FAULTVFS_SHM_LOCK, SQLITE_IOERR_SHMLOCK, 0, false }, true },
};

/* Is there an n-th call at all? */
static bool
fault_once(enum step s, size_t d, unsigned n)
{
	struct faultvfs f = disks[d].f;
	struct db_audit last;
	struct kit_reply *r;
	char what[80];
	bool hit, done;
	int64_t begun;

	snprintf(
	    what, sizeof(what), "%s, %s %u", steps[s].name, disks[d].name, n);
	prepare(s, n);
	assert_int_equal(db_audit_last(t.k->db, &last), 0);
	seq = last.seq;
	if (disks[d].cold)
		(void)sqlite3_db_release_memory(t.k->db->sql);
	f.n = n;
	begun = perc_now_ms();
	faultvfs_set(&f);
	r = step_take(s);
	done = r->status < 300;
	if (!f.stay) /* what follows of itself fails as well */
		kit_pass(&t, 300);
	hit = faultvfs_hits() > 0;
	faultvfs_set(NULL);
	assert_true(perc_now_ms() - begun < DEADLINE_MS);
	answer_check(s, r, what);
	if (hit && (n < 4 || n % 4 == 0))
		image_check(s, done, what);
	if (!done && step_take(s)->status >= 300)
		fail_msg("%s: %u %s when the disk was well again", what,
		    t.r.status, t.r.code);
	return hit;
}

static void
sweep(size_t d)
{
	unsigned n, hits = 0;
	int s;

	kit_open(&t);
	kit_end_open(&alice, "a-1");
	kit_end_open(&bob, "bob");
	alice.email = "alice@example.org";
	room_age = 0;
	for (s = 0; s < STEPS; s++)
		for (n = 1; fault_once((enum step)s, d, n);
		     n += disks[d].f.stay ? 1 + n / 4 : 1)
			hits++;
	fprintf(stderr, "# %s: %u faults\n", disks[d].name, hits);
	assert_true(hits > 0);
	kit_restart(&t);
	kit_end_close(&alice);
	kit_end_close(&bob);
	kit_close(&t);
}

/* SQLite gives a whole transaction up when the disk fails in it. What comes
 * after that in the same turn must not be done, for it is answered 503. */
static void
turn_once(size_t d, unsigned n, bool *hit)
{
	struct kmf_call c = { .op = KMF_OP_INV_CREATE, .conf = conf };
	struct faultvfs f = disks[d].f;
	struct db_audit last;
	unsigned i, want = t.replies + 4, made;

	if (n % 100 == 1)
		kit_conf(&t, conf, NULL);
	assert_int_equal(db_audit_last(t.k->db, &last), 0);
	seq = last.seq;
	c.id.who = KMF_WHO_CLIENT;
	c.id.sub = "admin";
	c.id.scope = "scheduler";
	c.body = (const uint8_t *)"{}";
	c.body_len = 2;
	(void)sqlite3_db_release_memory(t.k->db->sql);
	f.n = n;
	faultvfs_set(&f);
	for (i = 0; i < 4; i++)
		t.want_id = kit_send(&t, &c);
	kit_wait(&t, want);
	*hit = faultvfs_hits() > 0;
	faultvfs_set(NULL);
	made = records(t.k->db, "invited");
	if (t.r.status == 503 ? made != 0 : made < 3)
		fail_msg("%s %u: the last of four was answered %u, but %u "
			 "were made",
		    disks[d].name, n, t.r.status, made);
}

static void
test_turn_is_done_or_not(void **state)
{
	static const size_t which[] = { 4, 6, 0 };
	unsigned n;
	size_t i;
	bool hit;

	kit_open(&t);
	for (i = 0; i < sizeof(which) / sizeof(which[0]); i++)
		for (n = 1, hit = true; hit; n++)
			turn_once(which[i], n, &hit);
	kit_close(&t);
}

/* "There is none" would make a letter spoilt for good. */
static void
test_letter_that_cannot_be_read_is_not_gone(void **state)
{
	struct faultvfs f = disks[5].f;
	char *text = NULL;

	kit_open(&t);
	assert_int_equal(db_mail_event(t.k->db, &text, 1), PERC_ERR_NOTFOUND);
	(void)sqlite3_db_release_memory(t.k->db->sql);
	f.n = 1;
	faultvfs_set(&f);
	assert_int_equal(db_mail_event(t.k->db, &text, 1), PERC_ERR_SYS);
	assert_int_equal(faultvfs_hits(), 1);
	faultvfs_set(NULL);
	kit_close(&t);
}

static void
test_writes(void **state)
{
	sweep(0);
}

static void
test_full(void **state)
{
	sweep(1);
}

static void
test_flushes(void **state)
{
	sweep(2);
	sweep(3);
}

static void
test_reads(void **state)
{
	sweep(4);
	sweep(5);
}

static void
test_locks(void **state)
{
	sweep(6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turn_is_done_or_not),
		cmocka_unit_test(test_letter_that_cannot_be_read_is_not_gone),
		cmocka_unit_test(test_flushes),
		cmocka_unit_test(test_locks),
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_writes),
		cmocka_unit_test(test_full),
	};

	if (faultvfs_register() != SQLITE_OK)
		return 1;
	perc_log_level_set(PERC_LOG_ERROR); /* each fault is a warning */
	return cmocka_run_group_tests_name("iofault", tests, NULL, NULL);
}
