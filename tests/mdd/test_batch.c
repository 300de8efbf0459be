/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches: what may share a message and what may not, that order and octets
 * survive it, and what happens where the system will not cut messages apart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mdd/batch.h"

struct world {
	int out, in[2];
	struct mdd_addr to[2];
	struct mdd_batch *b;
	uint64_t count[MDD_COUNTS];
};

static int
udp(struct mdd_addr *a)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	memset(a, 0, sizeof(*a));
	a->len = sizeof(a->u.in);
	a->u.in.sin_family = AF_INET;
	a->u.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0 && bind(fd, &a->u.sa, a->len) == 0 &&
	    getsockname(fd, &a->u.sa, &a->len) == 0);
	return fd;
}

static void
world_open(struct world *x, bool segments)
{
	struct mdd_addr self;

	memset(x, 0, sizeof(*x));
	x->out = udp(&self);
	x->in[0] = udp(&x->to[0]);
	x->in[1] = udp(&x->to[1]);
	assert_int_equal(mdd_batch_new(&x->b, x->out, x->count, segments), 0);
}

static void
world_close(struct world *x)
{
	mdd_batch_free(x->b);
	close(x->out);
	close(x->in[0]);
	close(x->in[1]);
}

/* A datagram of n octets, each of them mark. */
static void
put(struct world *x, unsigned to, size_t n, uint8_t mark)
{
	memset(mdd_batch_slot(x->b), mark, n);
	mdd_batch_commit(x->b, &x->to[to], n);
}

static void
expect(struct world *x, unsigned at, size_t n, uint8_t mark)
{
	uint8_t buf[4096];

	assert_int_equal(recv(x->in[at], buf, sizeof(buf), 0), n);
	assert_int_equal(buf[0], mark);
	assert_int_equal(buf[n - 1], mark);
}

static void
expect_no_more(struct world *x)
{
	uint8_t c;

	assert_int_equal(recv(x->in[0], &c, 1, 0), -1);
	assert_int_equal(recv(x->in[1], &c, 1, 0), -1);
}

static void
test_burst_shares_a_message(void **state)
{
	struct world x;
	uint8_t i;

	world_open(&x, true);
	for (i = 1; i <= 8; i++)
		put(&x, 0, 1200, i);
	mdd_batch_flush(x.b);
	for (i = 1; i <= 8; i++)
		expect(&x, 0, 1200, i);
	expect_no_more(&x);
	assert_int_equal(x.count[MDD_TX_DATAGRAMS], 8);
	assert_int_equal(x.count[MDD_TX_SEGMENTS], 8);
	assert_int_equal(x.count[MDD_TX_OCTETS], 8 * 1200);
	world_close(&x);
}

/* A shorter one may only be the last of a message; a longer one never. */
static void
test_sizes_and_addresses(void **state)
{
	static const struct {
		unsigned to;
		size_t n;
	} d[] = { { 0, 900 }, { 0, 900 }, { 0, 100 }, { 0, 100 }, { 0, 900 },
		{ 1, 900 }, { 1, 901 }, { 1, 901 }, { 0, 1 }, { 0, 1500 },
		{ 0, 1500 } };
	struct world x;
	size_t i, at;

	world_open(&x, true);
	for (i = 0; i < sizeof(d) / sizeof(d[0]); i++)
		put(&x, d[i].to, d[i].n, (uint8_t)(i + 1));
	mdd_batch_flush(x.b);
	for (at = 0; at < 2; at++)
		for (i = 0; i < sizeof(d) / sizeof(d[0]); i++)
			if (d[i].to == at)
				expect(
				    &x, (unsigned)at, d[i].n, (uint8_t)(i + 1));
	expect_no_more(&x);
	/* 900 900 100 | 100 | 900 | 900 | 901 901 | 1 | 1500 | 1500 */
	assert_int_equal(x.count[MDD_TX_SEGMENTS], 5);
	assert_int_equal(x.count[MDD_TX_DATAGRAMS], 11);
	world_close(&x);
}

/* More than a message may hold, and more than a batch. */
static void
test_many(void **state)
{
	struct world x;
	unsigned i, round;

	world_open(&x, true);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < 50; i++)
			put(&x, 0, 1400, (uint8_t)(i + 1));
		mdd_batch_flush(x.b);
		for (i = 0; i < 50; i++)
			expect(&x, 0, 1400, (uint8_t)(i + 1));
	}
	expect_no_more(&x);
	assert_int_equal(x.count[MDD_TX_DATAGRAMS], 150);
	assert_int_equal(x.count[MDD_TX_FAILED], 0);
	world_close(&x);
}

static void
test_singly_when_told(void **state)
{
	struct world x;
	uint8_t i;

	world_open(&x, false);
	for (i = 1; i <= 8; i++)
		put(&x, 0, 1200, i);
	mdd_batch_flush(x.b);
	for (i = 1; i <= 8; i++)
		expect(&x, 0, 1200, i);
	assert_int_equal(x.count[MDD_TX_SEGMENTS], 0);
	world_close(&x);
}

/* A socket without checksums cannot cut (EINVAL): nothing may be lost, and
 * after some refusals nobody asks again. */
static void
test_refused_goes_singly(void **state)
{
	int on = 1;
	struct world x;
	unsigned round;
	uint8_t i;

	world_open(&x, true);
	assert_int_equal(
	    setsockopt(x.out, SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)), 0);
	for (round = 0; round < 12; round++) {
		for (i = 1; i <= 4; i++)
			put(&x, 0, 500, i);
		put(&x, 1, 60, 9);
		mdd_batch_flush(x.b);
		for (i = 1; i <= 4; i++)
			expect(&x, 0, 500, i);
		expect(&x, 1, 60, 9);
	}
	expect_no_more(&x);
	assert_int_equal(x.count[MDD_TX_DATAGRAMS], 12 * 5);
	assert_int_equal(x.count[MDD_TX_SEGMENTS], 0);
	assert_int_equal(x.count[MDD_TX_FAILED], 0);
	/* It has stopped asking: with checksums again, still singly. */
	on = 0;
	assert_int_equal(
	    setsockopt(x.out, SOL_SOCKET, SO_NO_CHECK, &on, sizeof(on)), 0);
	for (i = 1; i <= 4; i++)
		put(&x, 0, 500, i);
	mdd_batch_flush(x.b);
	assert_int_equal(x.count[MDD_TX_SEGMENTS], 0);
	world_close(&x);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_shares_a_message),
		cmocka_unit_test(test_sizes_and_addresses),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_singly_when_told),
		cmocka_unit_test(test_refused_goes_singly),
	};

	return cmocka_run_group_tests_name("batch", tests, NULL, NULL);
}
