/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both families through one socket, as with media_host6: members at ::1 and at
 * 127.0.0.1 hear each other, each is told its address as it knows it, and a leg
 * moves from one family to the other with its keys.
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

#include "perc/crypto.h"
#include "tests/mdd/world.h"
#include "tests/tools/skip.h"

/* The world's socket becomes one of both families under its number. */
static void
both_families(struct world *x)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0), off = 0;

	assert_true(fd >= 0);
	assert_int_equal(
	    setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	assert_int_equal(dup2(fd, x->udp), x->udp);
	(void)close(fd);
	x->at.sin_port = a.sin6_port;
}

static void
go_to(struct peer *p, const char *host)
{
	p->to6.sin6_family = AF_INET6;
	p->to6.sin6_port = p->mdd.sin_port;
	assert_int_equal(inet_pton(AF_INET6, host, &p->to6.sin6_addr), 1);
}

static void
goes(struct peer *from, struct peer *to, uint32_t ssrc, uint16_t seq)
{
	uint8_t d[PEER_PACKET], e[PEER_PACKET];
	const uint8_t *tail;
	size_t n, tn;

	n = world_rtp(from, d, ssrc, seq, "some ciphertext");
	assert_true(n > 0);
	peer_send(from, d, n);
	n = peer_recv(to, e, 128, 191, 2000);
	assert_true(n > 0 && (e[2] << 8 | e[3]) == seq);
	assert_true(peer_open_rtp(to, e, n, &tail, &tn) > 0);
}

static sa_family_t
mapped_family(struct peer *p)
{
	uint8_t q[PERC_STUN_MAX], a[PEER_PACKET], txid[12];
	char user[128];
	struct perc_stun m;
	size_t n;

	perc_random(txid, sizeof(txid));
	strcpy(user, p->ufrag);
	strcat(user, ":" PEER_UFRAG);
	assert_int_equal(
	    perc_stun_request(q, &n, txid, user, p->pwd, 1, false, 7), 0);
	peer_send(p, q, n);
	n = peer_recv(p, a, 0, 3, 2000);
	assert_int_equal(perc_stun_parse(&m, a, n), 0);
	return m.mapped.ss_family;
}

static bool
is_mapped(const struct mdd_leg *leg)
{
	return leg->addr.u.sa.sa_family == AF_INET6 &&
	    IN6_IS_ADDR_V4MAPPED(&leg->addr.u.in6.sin6_addr);
}

static void
test_both_families(void **state)
{
	struct world *x = *state;
	struct mdd_leg *a, *b;

	if (access("/proc/net/if_inet6", F_OK) != 0)
		skip_because("no IPv6 here");
	both_families(x);
	peer_open6(&x->a);
	a = world_join(x, &x->a, "m_a", SSRC_A);
	b = world_join(x, &x->b, "m_b", SSRC_B);
	go_to(&x->a, "::1");
	assert_true(peer_connect(&x->a, 5000));
	assert_true(peer_connect(&x->b, 5000));
	assert_true(!is_mapped(a) && is_mapped(b));
	assert_int_equal(mapped_family(&x->a), AF_INET6);
	assert_int_equal(mapped_family(&x->b), AF_INET);
	goes(&x->a, &x->b, SSRC_A, 10);
	goes(&x->b, &x->a, SSRC_B, 10);

	/* The network under a changes its family; a nominates from there. */
	go_to(&x->a, "::ffff:127.0.0.1");
	assert_true(peer_stun(&x->a, x->a.pwd, true));
	(void)peer_recv(&x->a, (uint8_t[PEER_PACKET]){ 0 }, 0, 0, 100);
	world_wait(x, 50);
	assert_true(is_mapped(a));
	assert_int_equal(mapped_family(&x->a), AF_INET);
	goes(&x->a, &x->b, SSRC_A, 11);
	goes(&x->b, &x->a, SSRC_B, 11);
	assert_int_equal(x->w.count[MDD_DTLS_UP], 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    test_both_families, world_open, world_close),
	};

	return cmocka_run_group_tests_name("v6", tests, NULL, NULL);
}
