/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perc/chan.c: what one side queues the other gets, in order, whatever the
 * cuts; a peer that breaks the table is thrown out; owners free from within.
 */
#include "tests/perc/unit.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "perc/chan.h"
#include "perc/proc.h"

/* The linker sends every malloc and calloc of libperc through these. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);

static unsigned allocations;
static long left = -1; /* allocations that still succeed; -1: all */

static bool
refused(void)
{
	allocations++;
	if (left > 0)
		left--;
	return left == 0;
}

void *
__wrap_malloc(size_t size)
{
	return refused() ? NULL : __real_malloc(size);
}

void *
__wrap_calloc(size_t count, size_t size)
{
	return refused() ? NULL : __real_calloc(count, size);
}

static struct perc_loop *loop;
static struct perc_chan *a, *b;
static int raw = -1; /* the other end, when it is no channel */
static unsigned got, closes;
static int why;
static uint64_t octets;
static int answer; /* what the callback returns */
static enum { KEEP, FREE_ME, FREE_OTHER } act;

static int
on_msg(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	for (size_t i = 0; i < m->len; i++)
		assert_int_equal(m->data[i], (uint8_t)(m->id + i));
	assert_int_equal(m->id, got);
	got++;
	octets += m->len;
	if (act == FREE_ME) {
		perc_chan_free(c);
		*(c == a ? &a : &b) = NULL;
		/* what we were given is still ours to read */
		assert_true(m->len == 0 || m->data[0] == (uint8_t)m->id);
	}
	if (act == FREE_OTHER) {
		perc_chan_free(c == a ? b : a);
		*(c == a ? &b : &a) = NULL;
	}
	return answer;
}

static void
on_close(struct perc_chan *c, int reason, void *arg)
{
	closes++;
	why = reason;
	perc_chan_free(c);
	*(c == a ? &a : &b) = NULL;
}

static const struct perc_chan_rule rules[] = {
	{ 1, ~0u, 1u << 20, on_msg },
	{ 2, 2, 100, on_msg },
	{ 3, ~0u, UINT32_MAX, on_msg },
};

static int
setup(void **state)
{
	int sv[2];

	got = closes = 0;
	octets = 0;
	answer = why = 0;
	act = KEEP;
	if (perc_loop_new(&loop) != 0 || perc_proc_pair(sv) != 0)
		return -1;
	return perc_chan_new(
		   &a, loop, sv[0], rules, COUNT(rules), on_close, NULL) != 0 ||
	    perc_chan_new(
		&b, loop, sv[1], rules, COUNT(rules), on_close, NULL) != 0;
}

static int
setup_raw(void **state)
{
	int sv[2];

	if (setup(state) != 0 || perc_proc_pair(sv) != 0)
		return -1;
	perc_chan_free(a);
	perc_chan_free(b);
	b = NULL;
	raw = sv[1];
	return perc_chan_new(
	    &a, loop, sv[0], rules, COUNT(rules), on_close, NULL);
}

static int
teardown(void **state)
{
	perc_chan_free(a);
	perc_chan_free(b);
	a = b = NULL;
	if (raw >= 0)
		close(raw);
	raw = -1;
	perc_loop_free(loop);
	return 0;
}

static void
turns(int n)
{
	while (n-- > 0)
		assert_int_equal(perc_loop_turn(loop, 0), 0);
}

static const uint8_t *
pattern(uint32_t id, size_t n)
{
	static uint8_t p[PERC_CHAN_FRAME_MAX + 1];

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(id + i);
	return p;
}

static void
test_frames_arrive_in_order(void **state)
{
	uint32_t id = 0;
	uint64_t sent = 0;

	for (int round = 0; round < 50; round++) {
		for (int i = 0; i < 40; i++, id++) {
			size_t n = (id * 7919u) % 3000;

			assert_int_equal(
			    perc_chan_send(a, 1, id, pattern(id, n), n), 0);
			sent += n;
		}
		turns(2);
	}
	while (got < id)
		turns(1);
	assert_int_equal(octets, sent);
	assert_int_equal(perc_chan_queued(a), 0);
	assert_int_equal(closes, 0);
}

static void
test_nothing_leaves_before_the_turn_ends(void **state)
{
	char c;

	perc_chan_free(b);
	b = NULL;
	teardown(state);
	assert_int_equal(setup_raw(state), 0);
	assert_int_equal(perc_chan_send(a, 1, 0, "", 0), 0);
	assert_int_equal(perc_chan_queued(a), PERC_CHAN_HEADER);
	assert_int_equal(recv(raw, &c, 1, MSG_DONTWAIT), -1);
	turns(1);
	assert_int_equal(recv(raw, &c, 1, MSG_DONTWAIT), 1);
}

static void
test_the_largest_frame(void **state)
{
	size_t n = PERC_CHAN_FRAME_MAX;

	assert_int_equal(
	    perc_chan_send(a, 3, 0, pattern(0, n + 1), n + 1), PERC_ERR_LIMIT);
	assert_int_equal(perc_chan_send(a, 3, 0, pattern(0, n), n), 0);
	assert_int_equal(perc_chan_send(a, 3, 1, pattern(1, 5), 5), 0);
	for (int i = 0; i < 500 && got < 2; i++)
		turns(1);
	assert_int_equal(got, 2);
	assert_int_equal(octets, n + 5);
}

static void
test_scattered_parts_make_one_frame(void **state)
{
	struct iovec iov[3] = { { (void *)(uintptr_t)pattern(0, 6), 2 },
		{ NULL, 0 }, { (void *)(uintptr_t)(pattern(0, 6) + 2), 4 } };

	assert_int_equal(perc_chan_sendv(a, 1, 7, 0, iov, 3), 0);
	turns(2);
	assert_int_equal(got, 1);
	assert_int_equal(octets, 6);
}

static void
test_the_queue_has_a_bound(void **state)
{
	teardown(state);
	assert_int_equal(setup_raw(state), 0);
	perc_chan_queue_max(a, 1000);
	assert_int_equal(perc_chan_send(a, 1, 0, pattern(0, 988), 988), 0);
	assert_int_equal(perc_chan_send(a, 1, 0, "", 0), PERC_ERR_LIMIT);
	assert_int_equal(perc_chan_queued(a), 1000);
	turns(1);
	assert_int_equal(perc_chan_send(a, 1, 0, "", 0), 0);
}

/* The peer reads nothing for a while: no turn blocks, nothing is lost. */
static void
test_a_full_socket_waits_for_its_reader(void **state)
{
	size_t n = 1u << 20, total = 3 * (n + PERC_CHAN_HEADER), in = 0;
	static uint8_t sink[1u << 16];

	teardown(state);
	assert_int_equal(setup_raw(state), 0);
	for (uint32_t id = 0; id < 3; id++)
		assert_int_equal(
		    perc_chan_send(a, 1, id, pattern(id, n), n), 0);
	turns(3);
	assert_true(perc_chan_queued(a) > n);
	while (in < total) {
		ssize_t k = recv(raw, sink, sizeof(sink), MSG_DONTWAIT);

		if (k > 0)
			in += (size_t)k;
		turns(1);
	}
	assert_int_equal(in, total);
	assert_int_equal(perc_chan_queued(a), 0);
}

static void
test_steady_traffic_allocates_nothing(void **state)
{
	uint32_t id = 0;
	unsigned before = 0;

	for (int round = 0; round < 200; round++) {
		if (round == 20)
			before = allocations;
		for (int i = 0; i < 50; i++, id++)
			assert_int_equal(
			    perc_chan_send(a, 1, id, pattern(id, 1200), 1200),
			    0);
		turns(2);
	}
	assert_int_equal(got, id);
	assert_true(before > 0);
	assert_int_equal(allocations, before);
}

/* Without memory a frame is refused whole, or the channel ends; never half. */
static void
test_the_Nth_allocation_fails(void **state)
{
	for (long n = 1; n < 12; n++) {
		int r;

		teardown(state);
		assert_int_equal(setup(state), 0);
		left = n;
		r = perc_chan_send(a, 1, 0, pattern(0, 300000), 300000);
		if (r == 0) {
			for (int i = 0; i < 50 && got == 0 && closes == 0; i++)
				turns(1);
			assert_true(got == 1 || closes > 0);
			assert_true(closes == 0 || why == PERC_ERR_NOMEM);
		} else {
			assert_int_equal(r, PERC_ERR_NOMEM);
			assert_int_equal(perc_chan_queued(a), 0);
		}
		left = -1;
	}
	assert_int_equal(got, 1); /* the last had enough */
}

static size_t
frame(uint8_t *out, uint32_t len, uint16_t type, uint32_t id)
{
	const uint8_t h[PERC_CHAN_HEADER] = { (uint8_t)(len >> 24),
		(uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len,
		(uint8_t)(type >> 8), (uint8_t)type, 0, 0, (uint8_t)(id >> 24),
		(uint8_t)(id >> 16), (uint8_t)(id >> 8), (uint8_t)id };

	memcpy(out, h, sizeof(h));
	return sizeof(h);
}

static void
push(const void *p, size_t n)
{
	assert_int_equal(send(raw, p, n, MSG_NOSIGNAL), (ssize_t)n);
	turns(1);
}

static void
test_octet_by_octet(void **state)
{
	uint8_t f[64];

	for (uint32_t id = 0; id < 5; id++) {
		size_t n = frame(f, 20, 1, id);

		memcpy(f + n, pattern(id, 20), 20);
		for (size_t i = 0; i < n + 20; i++) {
			assert_int_equal(got, id);
			push(f + i, 1);
		}
	}
	assert_int_equal(got, 5);
}

static void
throws_out(uint32_t len, uint16_t type, int reason)
{
	uint8_t f[PERC_CHAN_HEADER];

	push(f, frame(f, len, type, 0));
	turns(1);
	assert_int_equal(closes, 1);
	assert_int_equal(why, reason);
	assert_int_equal(got, 0);
	assert_null(a);
}

static void
test_an_unknown_type_is_thrown_out(void **state)
{
	throws_out(0, 99, PERC_ERR_DENIED);
}

static void
test_a_type_out_of_its_state_is_thrown_out(void **state)
{
	throws_out(0, 2, PERC_ERR_DENIED);
}

static void
test_a_state_opens_its_types(void **state)
{
	uint8_t f[PERC_CHAN_HEADER];

	perc_chan_state_set(a, 2);
	push(f, frame(f, 0, 2, 0));
	assert_int_equal(got, 1);
	assert_int_equal(closes, 0);
}

/* The header alone is enough: nobody waits for, or makes room for, 4 GiB. */
static void
test_too_long_for_its_rule_is_thrown_out(void **state)
{
	perc_chan_state_set(a, 2);
	throws_out(101, 2, PERC_ERR_LIMIT);
}

static void
test_too_long_for_any_rule_is_thrown_out(void **state)
{
	throws_out(PERC_CHAN_FRAME_MAX + 1, 3, PERC_ERR_LIMIT);
}

static void
test_a_length_of_4_GiB_is_thrown_out(void **state)
{
	throws_out(UINT32_MAX, 3, PERC_ERR_LIMIT);
}

static void
test_the_callback_may_throw_out(void **state)
{
	uint8_t f[3 * PERC_CHAN_HEADER];

	answer = PERC_ERR_FORMAT;
	(void)frame(f, 0, 1, 0);
	(void)frame(f + PERC_CHAN_HEADER, 0, 1, 1);
	push(f, 2 * PERC_CHAN_HEADER);
	assert_int_equal(got, 1);
	assert_int_equal(closes, 1);
	assert_int_equal(why, PERC_ERR_FORMAT);
}

static void
test_what_was_said_last_is_heard(void **state)
{
	uint8_t f[PERC_CHAN_HEADER];

	assert_int_equal(send(raw, f, frame(f, 0, 1, 0), 0), PERC_CHAN_HEADER);
	close(raw);
	raw = -1;
	/* Our own writing fails first; the frame must still come. */
	assert_int_equal(perc_chan_send(a, 1, 0, pattern(0, 10), 10), 0);
	perc_chan_flush(a);
	turns(2);
	assert_int_equal(got, 1);
	assert_int_equal(closes, 1);
	assert_int_equal(why, PERC_ERR_CLOSED);
}

static void
test_a_half_frame_at_the_end_is_dropped(void **state)
{
	uint8_t f[PERC_CHAN_HEADER];

	push(f, frame(f, 10, 1, 0));
	push("1234", 4);
	close(raw);
	raw = -1;
	turns(2);
	assert_int_equal(got, 0);
	assert_int_equal(why, PERC_ERR_CLOSED);
}

static void
test_freeing_oneself_in_a_callback(void **state)
{
	act = FREE_ME;
	for (uint32_t id = 0; id < 3; id++)
		assert_int_equal(
		    perc_chan_send(a, 1, id, pattern(id, 50), 50), 0);
	turns(3);
	assert_int_equal(got, 1); /* the rest was not handed out */
	assert_null(b);
	assert_int_equal(closes, 1); /* a saw b go */
}

static void
test_freeing_the_sender_in_a_callback(void **state)
{
	act = FREE_OTHER;
	for (uint32_t id = 0; id < 3; id++)
		assert_int_equal(
		    perc_chan_send(a, 1, id, pattern(id, 50), 50), 0);
	turns(3);
	assert_int_equal(got, 3);
	assert_int_equal(closes, 1);
	assert_null(a);
	assert_null(b);
}

static int
refuse_free(struct perc_chan *c, const struct perc_chan_msg *m, void *arg)
{
	perc_chan_free(c);
	*(struct perc_chan **)arg = NULL;
	return PERC_ERR_DENIED;
}

static void
never(struct perc_chan *c, int reason, void *arg)
{
	fail_msg("on_close after free");
}

static void
test_free_and_error_at_once(void **state)
{
	static const struct perc_chan_rule r[] = { { 1, ~0u, 10,
	    refuse_free } };
	struct perc_chan *c = NULL;
	int sv[2];
	uint8_t f[PERC_CHAN_HEADER];

	assert_int_equal(perc_proc_pair(sv), 0);
	assert_int_equal(perc_chan_new(&c, loop, sv[0], r, 1, never, &c), 0);
	assert_int_equal(write(sv[1], f, frame(f, 0, 1, 0)), 12);
	turns(2);
	assert_null(c);
	close(sv[1]);
	perc_chan_free(NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define R(f) cmocka_unit_test_setup_teardown(f, setup_raw, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_frames_arrive_in_order),
		T(test_nothing_leaves_before_the_turn_ends),
		T(test_the_largest_frame),
		T(test_scattered_parts_make_one_frame),
		T(test_steady_traffic_allocates_nothing),
		T(test_the_Nth_allocation_fails),
		T(test_the_queue_has_a_bound),
		T(test_a_full_socket_waits_for_its_reader),
		R(test_octet_by_octet),
		R(test_an_unknown_type_is_thrown_out),
		R(test_a_type_out_of_its_state_is_thrown_out),
		R(test_a_state_opens_its_types),
		R(test_too_long_for_its_rule_is_thrown_out),
		R(test_too_long_for_any_rule_is_thrown_out),
		R(test_a_length_of_4_GiB_is_thrown_out),
		R(test_the_callback_may_throw_out),
		R(test_what_was_said_last_is_heard),
		R(test_a_half_frame_at_the_end_is_dropped),
		T(test_freeing_oneself_in_a_callback),
		T(test_freeing_the_sender_in_a_callback),
		T(test_free_and_error_at_once),
	};

	return cmocka_run_group_tests_name("chan", tests, NULL, NULL);
}
