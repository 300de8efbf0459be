/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program of mdd/steer.h in the kernel itself: what comes from a known
 * address reaches the first socket, all else the second, for IPv4, IPv6 and
 * IPv4 at a socket of IPv6, with bitmaps of each size.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mdd/steer.h"
#include "tests/tools/skip.h"

#define PEERS 40

static struct mdd_addr
addr(int family, const char *host, unsigned port)
{
	struct mdd_addr a = { .u.sa.sa_family = (sa_family_t)family };

	if (family == AF_INET) {
		a.u.in.sin_port = htons((uint16_t)port);
		assert_int_equal(inet_pton(family, host, &a.u.in.sin_addr), 1);
		a.len = sizeof(a.u.in);
	} else {
		a.u.in6.sin6_port = htons((uint16_t)port);
		assert_int_equal(
		    inet_pton(family, host, &a.u.in6.sin6_addr), 1);
		a.len = sizeof(a.u.in6);
	}
	return a;
}

/* A socket there, and where it is; -1: this machine has no such address. */
static int
udp(struct mdd_addr *a)
{
	int fd = socket(a->u.sa.sa_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	int on = 1;

	if (fd < 0)
		return -1;
	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)), 0);
	if (bind(fd, &a->u.sa, a->len) != 0) {
		(void)close(fd);
		return -1;
	}
	assert_int_equal(getsockname(fd, &a->u.sa, &a->len), 0);
	return fd;
}

/* As a socket of IPv6 tells it. */
static struct mdd_addr
mapped(const struct mdd_addr *v4)
{
	struct mdd_addr a = addr(AF_INET6, "::", 0);

	a.u.in6.sin6_port = v4->u.in.sin_port;
	a.u.in6.sin6_addr.s6_addr[10] = a.u.in6.sin6_addr.s6_addr[11] = 0xff;
	memcpy(a.u.in6.sin6_addr.s6_addr + 12, &v4->u.in.sin_addr, 4);
	return a;
}

struct world {
	int group[2]; /* road, lobby */
	int peer[PEERS];
	struct mdd_addr at, seen[PEERS]; /* as the group sees it */
};

static void
world_open(struct world *w, const char *bound, const char *host)
{
	int family = strchr(bound, ':') != NULL ? AF_INET6 : AF_INET;
	int mine = strchr(host, ':') != NULL ? AF_INET6 : AF_INET;
	struct mdd_addr a = addr(family, bound, 0);
	unsigned i;

	w->group[0] = udp(&a);
	if (w->group[0] < 0)
		skip_because("no IPv6 here");
	w->group[1] = udp(&a);
	assert_true(w->group[1] >= 0);
	w->at = addr(mine, host,
	    ntohs(family == AF_INET ? a.u.in.sin_port : a.u.in6.sin6_port));
	for (i = 0; i < PEERS; i++) {
		w->seen[i] = addr(mine, host, 0);
		w->peer[i] = udp(&w->seen[i]);
		assert_true(w->peer[i] >= 0);
		if (mine != family)
			w->seen[i] = mapped(&w->seen[i]);
	}
}

static void
world_close(struct world *w)
{
	unsigned i;

	for (i = 0; i < PEERS; i++)
		(void)close(w->peer[i]);
	(void)close(w->group[0]);
	(void)close(w->group[1]);
}

/* Where a datagram of peer i comes out. */
static int
comes_to(struct world *w, unsigned i)
{
	char c;
	int road;

	assert_int_equal(
	    sendto(w->peer[i], "x", 1, 0, &w->at.u.sa, w->at.len), 1);
	road = recv(w->group[0], &c, 1, 0) == 1;
	assert_int_equal(road + (recv(w->group[1], &c, 1, 0) == 1), 1);
	return road ? MDD_STEER_ROAD : MDD_STEER_LOBBY;
}

static void
check_size(struct world *w, size_t n, size_t words)
{
	static struct mdd_steer s;
	unsigned i, strayed = 0;

	mdd_steer_init(&s, n, words);
	for (i = 0; i < PEERS; i += 2)
		mdd_steer_add(&s, &w->seen[i]);
	assert_int_equal(mdd_steer_attach(&s, w->group[0]), 0);
	for (i = 0; i < PEERS; i++) {
		assert_int_equal(comes_to(w, i),
		    mdd_steer_has(&s, &w->seen[i]) ? MDD_STEER_ROAD
						   : MDD_STEER_LOBBY);
		if (i % 2 == 0)
			assert_true(mdd_steer_has(&s, &w->seen[i]));
		else
			strayed += mdd_steer_has(&s, &w->seen[i]);
	}
	if (s.words >= 128) /* 4,096 bits, of which 20 are taken */
		assert_true(strayed <= 3);
}

static void
check_world(const char *bound, const char *host)
{
	struct world w;

	world_open(&w, bound, host);
	check_size(&w, 0, 1);
	check_size(&w, 20, MDD_STEER_WORDS_MAX);
	check_size(&w, 100, MDD_STEER_WORDS_MAX);
	check_size(&w, 500, MDD_STEER_WORDS_MAX);
	world_close(&w);
}

static void
test_v4(void **state)
{
	check_world("127.0.0.1", "127.0.0.1");
}

static void
test_v6(void **state)
{
	check_world("::1", "::1");
}

static void
test_v4_at_v6(void **state)
{
	check_world("::", "127.0.0.1");
}

/* As large as programs get: within what the kernel takes, and without a jump
 * that goes too far. */
static void
test_largest(void **state)
{
	static struct sock_filter code[MDD_STEER_PROG_MAX];
	static struct mdd_steer s;
	size_t n, i, to;

	mdd_steer_init(&s, 1000000, MDD_STEER_WORDS_MAX);
	assert_int_equal(s.words, MDD_STEER_WORDS_MAX);
	n = mdd_steer_compile(&s, code);
	assert_true(n > 2 * MDD_STEER_WORDS_MAX && n <= MDD_STEER_PROG_MAX);
	for (i = 0; i < n; i++)
		if (BPF_CLASS(code[i].code) == BPF_JMP) {
			to = BPF_OP(code[i].code) == BPF_JA
			    ? code[i].k
			    : (size_t)(code[i].jt > code[i].jf ? code[i].jt
							       : code[i].jf);
			assert_true(i + 1 + to < n);
		}
}

static void
test_nobody_can_guess(void **state)
{
	static struct mdd_steer a, b;

	mdd_steer_init(&a, 1, MDD_STEER_WORDS_MAX);
	mdd_steer_init(&b, 1, MDD_STEER_WORDS_MAX);
	assert_memory_not_equal(a.mul, b.mul, sizeof(a.mul));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_v4),
		cmocka_unit_test(test_v6),
		cmocka_unit_test(test_v4_at_v6),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_nobody_can_guess),
	};

	return cmocka_run_group_tests_name("steer", tests, NULL, NULL);
}
