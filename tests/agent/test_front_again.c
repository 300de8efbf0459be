/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How soon an endpoint asks again when the KMF was away, with the clock and
 * the KMF in the test's hand (REQ-WC-4.8c, REQ-V-5): who lacks a key of which
 * packets tell asks each second, whoever else ever more seldom; a stream that
 * broke is asked for before the lease is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "agent/front.h"

#define SPI    7
#define ROUNDS 200 /* of what is drawn at random */
#define LARGE  1000

static int64_t now_ms;

static struct { /* the request under way */
	unsigned n;
	char method[8], what[64];
	perc_httpc_fn done;
	perc_httpc_data_fn data;
	void *arg;
} asked;

int64_t __wrap_perc_now_ms(void);
int __wrap_perc_timer_set(struct perc_loop *l, struct perc_timer *t,
    int64_t in_ms, perc_loop_fn fn, void *arg);
void __wrap_perc_timer_stop(struct perc_loop *l, struct perc_timer *t);
int __wrap_front_call_start(struct agent *a, struct front_call **callp,
    struct front_nonces *nonces, enum front_nonce_of which,
    const struct front_ask *ask, perc_httpc_fn done, void *arg);

int64_t
__wrap_perc_now_ms(void)
{
	return now_ms;
}

int
__wrap_perc_timer_set(struct perc_loop *l, struct perc_timer *t, int64_t in_ms,
    perc_loop_fn fn, void *arg)
{
	*t = (struct perc_timer){
		.due_ms = now_ms + in_ms, .fn = fn, .arg = arg, .slot = 1
	};
	return 0;
}

void
__wrap_perc_timer_stop(struct perc_loop *l, struct perc_timer *t)
{
	t->slot = 0;
}

int
__wrap_front_call_start(struct agent *a, struct front_call **callp,
    struct front_nonces *nonces, enum front_nonce_of which,
    const struct front_ask *ask, perc_httpc_fn done, void *arg)
{
	asked.n++;
	text_put(asked.method, sizeof(asked.method), "%s", ask->method);
	text_put(
	    asked.what, sizeof(asked.what), "%s", strrchr(ask->url, '/') + 1);
	asked.done = done;
	asked.data = ask->on_data;
	asked.arg = arg;
	return 0;
}

struct place {
	struct agent agent;
	struct agent_conf conf;
	struct front_conf c;
};

static int
setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	now_ms = 1000000;
	memset(&asked, 0, sizeof(asked));
	p->agent.conf = &p->conf;
	p->agent.seal_jwk = strdup("{}");
	p->c.agent = &p->agent;
	p->c.state = FRONT_UP;
	p->c.vault_live = true;
	p->c.lease_ms = 15000;
	p->c.resource = strdup("https://kmf.test/v1/conferences/c_1");
	p->c.token1 = strdup("token");
	text_put(p->c.id, sizeof(p->c.id), "c_1");
	front_sse_init(&p->c.sse);
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;

	front_sse_clear(&p->c.sse);
	json_decref(p->c.roster);
	free(p->agent.seal_jwk);
	free(p->c.resource);
	free(p->c.token1);
	free(p);
	return 0;
}

static void
roster_of(struct place *p, unsigned n)
{
	p->c.roster = json_array();
	while (n-- > 0)
		json_array_append_new(p->c.roster, json_object());
}

static void
answer(int err, int status)
{
	struct perc_httpc_answer a = { .err = err,
		.why = "no answer",
		.status = status,
		.body = "{}",
		.len = 2 };

	asked.done(&a, asked.arg);
}

static int64_t
in_ms(const struct perc_timer *t)
{
	assert_true(perc_timer_armed(t));
	return t->due_ms - now_ms;
}

/* The clock goes on to where this is due. */
static void
wait_for(struct perc_timer *t)
{
	now_ms += in_ms(t);
	t->slot = 0;
	t->fn(t->arg);
}

/* --- the key -------------------------------------------------------------- */

/* Nobody answers n times: the longest that passed between two requests. */
static int64_t
away(struct place *p, unsigned n)
{
	int64_t longest = 0, at;

	while (n-- > 0) {
		unsigned had = asked.n;

		at = now_ms;
		answer(PERC_ERR_CLOSED, 0);
		wait_for(&p->c.keys_retry.timer);
		assert_int_equal(asked.n, had + 1);
		longest = now_ms - at > longest ? now_ms - at : longest;
	}
	return longest;
}

static void
test_a_key_that_packets_name_is_asked_for_each_second(void **state)
{
	struct place *p = *state;

	front_keys_hint(&p->c, SPI);
	assert_int_equal(asked.n, 1);
	assert_string_equal(asked.what, "keys");
	assert_in_range(away(p, 1), 250, 500);
	assert_in_range(away(p, 30), 500, 1000);
}

static void
test_other_keys_are_asked_for_ever_more_seldom(void **state)
{
	struct place *p = *state;

	front_keys_want(&p->c);
	assert_in_range(away(p, 1), 250, 500);
	assert_in_range(away(p, 12), 7500, FRONT_BACKOFF_MAX_MS);
}

/* A KMF that says no has too much to do, or knows why: never twice a second. */
static void
test_who_is_answered_waits(void **state)
{
	struct place *p = *state;
	int64_t at = now_ms;
	unsigned i;

	front_keys_hint(&p->c, SPI);
	for (i = 0; i < 12; i++) {
		answer(0, 503);
		at = now_ms;
		do
			wait_for(&p->c.keys_retry.timer);
		while (asked.n < i + 2);
		assert_true(now_ms - at >= 1000);
	}
	assert_true(now_ms - at >= 7500);
}

/* --- the stream ------------------------------------------------------------
 */

static void
lost(struct place *p, int err, int status)
{
	p->c.events_retry.tries = 0; /* it had lived */
	front_events_start(&p->c);
	assert_string_equal(asked.what, "events?roster=delta");
	answer(err, status);
}

static void
test_a_broken_stream_comes_before_the_lease(void **state)
{
	struct place *p = *state;
	int64_t last = 0;
	unsigned i;

	for (i = 0; i < ROUNDS; i++) {
		lost(p, PERC_ERR_CLOSED, 200);
		assert_in_range(in_ms(&p->c.events_retry.timer), 250, 500);
		assert_in_range(in_ms(&p->c.lease_timer), 750, 1250);
	}
	roster_of(p, LARGE);
	for (i = 0; i < ROUNDS; i++) {
		lost(p, 0, 200); /* the KMF ended it, as when it stops */
		assert_in_range(in_ms(&p->c.events_retry.timer), 250, 500);
		assert_in_range(in_ms(&p->c.lease_timer), 750, 1250 + LARGE);
		last = in_ms(&p->c.lease_timer) > last
		    ? in_ms(&p->c.lease_timer)
		    : last;
	}
	assert_true(last > 1250);
}

/* Who is refused, or hears nothing, wants to know at once. */
static void
test_a_refused_stream_asks_the_lease(void **state)
{
	struct place *p = *state;

	lost(p, 0, 403);
	assert_int_equal(in_ms(&p->c.lease_timer), 0);
	lost(p, PERC_ERR_TIMEOUT, 200);
	assert_int_equal(in_ms(&p->c.lease_timer), 0);
}

static void
test_a_stream_that_is_back_tells_so(void **state)
{
	struct place *p = *state;
	int64_t last = 0;
	unsigned i;

	lost(p, PERC_ERR_CLOSED, 200);
	wait_for(&p->c.events_retry.timer);
	assert_string_equal(asked.method, "GET");
	assert_int_equal(asked.data(": hb\n\n", 6, asked.arg), 0);
	assert_int_equal(in_ms(&p->c.lease_timer), 0);
	roster_of(p, LARGE);
	for (i = 0; i < ROUNDS; i++) {
		p->c.events_open = false;
		assert_int_equal(asked.data(": hb\n\n", 6, asked.arg), 0);
		assert_in_range(in_ms(&p->c.lease_timer), 0, LARGE);
		last = in_ms(&p->c.lease_timer) > last
		    ? in_ms(&p->c.lease_timer)
		    : last;
	}
	assert_true(last > LARGE / 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_key_that_packets_name_is_asked_for_each_second),
		TEST(test_other_keys_are_asked_for_ever_more_seldom),
		TEST(test_who_is_answered_waits),
		TEST(test_a_broken_stream_comes_before_the_lease),
		TEST(test_a_refused_stream_asks_the_lease),
		TEST(test_a_stream_that_is_back_tells_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
