/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The turn: the first call opens a transaction, every further one of the same
 * turn joins it behind a mark of its own, and the loop's after-hook commits
 * and only then lets answers and events go. So one disk flush serves all who
 * came together, and nobody hears of what a crash could still undo.
 */
#include "kmf/event.h"
#include "kmf/hook.h"
#include "kmf/rosterlist.h"
#include "kmf/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DB_LOOK_MS = 20 };

/*
 * Leases and epochs are measured by the wall clock, for they outlive us. When
 * it is set, or the machine slept, all endpoints get a fresh lease: else a
 * step forward would put everybody out, and one back would keep the dead in.
 */
static int
clock_look(struct kmf_keeper *k)
{
	int64_t skew = k->now_ms - k->steady(k->clock_arg);
	int64_t step = skew - k->skew_ms;
	int r;

	if (step <= -KMF_CLOCK_STEP_MS || step >= KMF_CLOCK_STEP_MS) {
		log_warnx("clock.stepped by_ms=%lld", (long long)step);
		if ((r = db_clock_recover(
			 k->db, k->now_ms, KMF_GRACE_MS, step)) != 0)
			return r; /* the next turn sees the step again */
		k->stepped = true;
	}
	k->skew_ms = skew;
	return 0;
}

int
kmf_turn_begin(struct kmf_keeper *k)
{
	int r;

	if (db_in_transaction(k->db))
		return 0;
	k->now_ms = k->clock(k->clock_arg);
	if ((r = db_begin(k->db)) != 0)
		return r;
	if ((r = clock_look(k)) != 0)
		db_rollback(k->db);
	return r;
}

static void due_fire(void *arg);

static void
due_set(struct kmf_keeper *k, int64_t in_ms)
{
	if (perc_timer_set(k->loop, &k->due, in_ms, due_fire, k) != 0)
		log_warnx("timer.failed");
}

static void
due_fire(void *arg)
{
	struct kmf_keeper *k = arg;
	int r;

	if ((r = kmf_turn_begin(k)) == 0 && (r = kmf_room_tick_all(k)) == 0)
		r = kmf_series_tick(k);
	if (r != 0) {
		log_warnx("tick.failed why=\"%s\"", perc_strerror(r));
		due_set(k, 1000);
	}
}

void
kmf_due_arm(struct kmf_keeper *k)
{
	int64_t due = 0, in;

	if (db_conf_next_due(k->db, &due) != 0 || due == 0) {
		perc_timer_stop(k->loop, &k->due);
		return;
	}
	in = due - k->clock(k->clock_arg);
	if (in < 0)
		in = 0;
	if (in > 3600 * 1000)
		in = 3600 * 1000;
	due_set(k, in);
}

/* Time has passed: the turn that this ends commits. */
static void
gap_fire(void *arg)
{
	struct kmf_keeper *k = arg;

	k->company = 0;
}

/*
 * Does the commit wait for more to come? A commit costs about as much as what
 * it makes durable, whether for one or for twenty. When somebody shared the
 * last one the next stays open for a moment; who asks alone never waits.
 */
static bool
gap_open(struct kmf_keeper *k)
{
	int64_t past = perc_now_ms() - k->commit_ms;

	if (k->company < 2 || past < 0 || past >= KMF_COMMIT_GAP_MS)
		return false;
	return perc_timer_armed(&k->gap) ||
	    perc_timer_set(
		k->loop, &k->gap, KMF_COMMIT_GAP_MS - past, gap_fire, k) == 0;
}

static void
gap_begin(struct kmf_keeper *k)
{
	const struct kmf_out *o;

	perc_timer_stop(k->loop, &k->gap);
	k->commit_ms = perc_now_ms();
	for (o = k->out, k->company = 0; o != NULL && k->company < 2;
	     o = o->next)
		k->company += o->type == KMF_MSG_REPLY;
}

/* The end of every turn. */
static void
turn_end(struct kmf_keeper *k)
{
	uint64_t begun_us;
	int r;

	if (!db_in_transaction(k->db)) {
		if (k->out != NULL)
			kmf_out_send(k);
		kmf_control_turn(k);
		return;
	}
	kmf_checkpoint_due(k, false);
	k->count.commits++;
	begun_us = kmf_now_us();
	r = kmf_turn_commit(k);
	gap_begin(k);
	kmf_hist_add(k->count.commit_hist, kmf_now_us() - begun_us);
	if (r != 0) {
		k->count.commit_failures++;
		log_warnx("commit.failed why=\"%s\"", perc_strerror(r));
		db_rollback(k->db); /* scrub stays: an older one may be due */
		k->audit_new++;	    /* a checkpoint may have gone with it */
		if (k->stepped)	    /* and the new leases: look again */
			k->skew_ms += 2 * KMF_CLOCK_STEP_MS;
		k->stepped = false;
		kmf_out_fail(k);
		kmf_feed_settle(k, false);
		kmf_errands_later(k);
		due_set(k, 1000); /* what was due still is */
		return;
	}
	kmf_feed_settle(k, true);
	k->stepped = false;
	kmf_out_send(k); /* first: nobody waits for the scrubbing */
	if (k->scrub && db_scrub(k->db) == 0)
		k->scrub = false;
	kmf_due_arm(k);
	kmf_errands_pump(k);
	kmf_control_turn(k);
}

void
kmf_turn_finish(struct kmf_keeper *k)
{
	turn_end(k);
}

/* Fronts that are gone, once no answer names them any more. */
static void
fronts_bury(struct kmf_keeper *k)
{
	struct kmf_front **fp, *f;

	if (k->out != NULL)
		return;
	for (fp = &k->fronts; (f = *fp) != NULL;) {
		if (f->chan != NULL) {
			fp = &f->next;
			continue;
		}
		*fp = f->next;
		free(f);
	}
}

static void
after_turn(void *arg)
{
	struct kmf_keeper *k = arg;

	if (!db_in_transaction(k->db) || !gap_open(k))
		turn_end(k);
	fronts_bury(k);
}

/* Nonces of DPoP live as long as their key: this one and the one before. */
static void
rotate_fire(void *arg)
{
	struct kmf_keeper *k = arg;

	memcpy(k->prev_nonce_key, k->nonce_key, sizeof(k->nonce_key));
	perc_random(k->nonce_key, sizeof(k->nonce_key));
	kmf_keeper_welcome_all(k);
	if (perc_timer_set(
		k->loop, &k->rotate, KMF_NONCE_ROTATE_MS, rotate_fire, k))
		log_warnx("timer.failed");
}

static int64_t
wall(void *arg)
{
	return perc_wall_ms();
}

static int64_t
steady(void *arg)
{
	return perc_now_ms();
}

/* We were away: those who were live get the time to come back, so that our
 * own pause causes no wave of rekeys. */
static int
recover(struct kmf_keeper *k)
{
	int r;

	if ((r = kmf_turn_begin(k)) != 0)
		return r;
	if ((r = db_clock_recover(k->db, k->now_ms, KMF_GRACE_MS, 0)) != 0 ||
	    (r = kmf_roots_note(k)) != 0 || (r = kmf_turn_commit(k)) != 0) {
		db_rollback(k->db);
		return r;
	}
	/* What a crash kept us from scrubbing; a backup may be reading. */
	k->scrub = db_scrub(k->db) != 0;
	return 0;
}

static int
timers_start(struct kmf_keeper *k)
{
	int r;

	if ((r = perc_loop_after(k->loop, after_turn, k)) != 0)
		return r;
	return perc_timer_set(
	    k->loop, &k->rotate, KMF_NONCE_ROTATE_MS, rotate_fire, k);
}

/* Where the database lies, the other files of the state lie too. */
static int
dir_put(struct kmf_keeper *k, const char *db_file)
{
	const char *slash = strrchr(db_file, '/');
	int n = slash != NULL ? (int)(slash - db_file) : 1;

	n = snprintf(
	    k->dir, sizeof(k->dir), "%.*s", n, slash != NULL ? db_file : ".");
	return n >= 0 && (size_t)n < sizeof(k->dir) ? 0 : PERC_ERR_LIMIT;
}

/*
 * A keeper that was killed is not gone before its last fdatasync is, which a
 * slow disk may take seconds for; until then the lock is its own.
 */
static int
database_open(struct kmf_keeper *k, const struct kmf_keeper_opts *o, char *why,
    size_t cap)
{
	const struct timespec pause = { .tv_nsec = DB_LOOK_MS * 1000000L };
	int64_t end = perc_now_ms() + o->db_wait_ms;
	bool told = false;
	int r;

	while ((r = db_open(&k->db, o->db_file, why, cap)) == PERC_ERR_STATE &&
	    perc_now_ms() < end) {
		if (!told)
			log_warnx("keeper.waits why=\"%s\"", why);
		told = true;
		(void)nanosleep(&pause, NULL);
	}
	return r;
}

int
kmf_keeper_new(struct kmf_keeper **kp, struct perc_loop *l,
    const struct kmf_keeper_opts *o, char *why, size_t cap)
{
	struct kmf_keeper *k;
	int r;

	/* keys of the nonces, of root.gen and the journal are inside */
	if ((k = perc_secmem_alloc(sizeof(*k))) == NULL)
		return PERC_ERR_NOMEM;
	memset(k, 0, sizeof(*k));
	k->loop = l;
	k->out_tail = &k->out;
	k->clock = o->clock != NULL ? o->clock : wall;
	k->steady = o->steady != NULL ? o->steady : steady;
	k->clock_arg = o->clock_arg;
	k->audit_new = 1; /* what a crash left unsigned */
	k->skew_ms = k->clock(k->clock_arg) - k->steady(k->clock_arg);
	perc_random(k->nonce_key, sizeof(k->nonce_key));
	perc_random(k->prev_nonce_key, sizeof(k->prev_nonce_key));
	kmf_replay_init(&k->replay);
	k->start_ms = k->clock(k->clock_arg);
	if (kmf_copy(k->db_file, sizeof(k->db_file), o->db_file) != 0)
		k->db_file[0] = '\0';
	if ((r = kmf_guard_present(o, why, cap)) != 0 ||
	    (r = database_open(k, o, why, cap)) != 0)
		goto out;
	snprintf(why, cap, "the keeper could not start");
	if ((r = dir_put(k, o->db_file)) != 0)
		goto out;
	if ((r = kmf_copy(k->base, sizeof(k->base), o->base_url)) != 0 ||
	    (r = kmf_roots_open(k, o, why, cap)) != 0 ||
	    (r = kmf_keys_load(k, why, cap)) != 0 ||
	    (r = kmf_guard_open(k, o->guard_dir, why, cap)) != 0 ||
	    (r = recover(k)) != 0 || (r = kmf_settings_open(k, o)) != 0 ||
	    (r = timers_start(k)) != 0 || (r = kmf_control_start(k)) != 0 ||
	    (r = kmf_purge_start(k)) != 0 || (r = kmf_rewrap_resume(k)) != 0)
		goto out;
	kmf_due_arm(k);
	*kp = k;
	k = NULL;
out:
	kmf_keeper_free(k);
	return r;
}

void
kmf_keeper_free(struct kmf_keeper *k)
{
	struct kmf_front *f, *next;

	if (k == NULL)
		return;
	perc_timer_stop(k->loop, &k->due);
	perc_timer_stop(k->loop, &k->purge);
	perc_timer_stop(k->loop, &k->rotate);
	perc_timer_stop(k->loop, &k->look);
	perc_timer_stop(k->loop, &k->gap);
	kmf_replay_clear(&k->replay);
	kmf_errands_stop(k);
	kmf_feed_stop(k);
	kmf_settings_close(k);
	kmf_out_clear(k);
	kmf_lists_forget(k, NULL);
	for (f = k->fronts; f != NULL; f = next) {
		next = f->next;
		kmf_stream_front_gone(k, f);
		perc_chan_free(f->chan);
		free(f);
	}
	perc_jwk_free(k->token_key);
	perc_jwk_free(k->statement_key);
	perc_timer_stop(k->loop, &k->rewrap.timer);
	kmf_guard_close(k);
	perc_secret_free(k->root);
	perc_secret_free(k->root_old);
	perc_json_free(k->jwks);
	db_close(k->db);
	perc_wipe(k, sizeof(*k));
	perc_secmem_free(k);
}
