/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two agents of one machine never share the ports to which remote streams
 * go, whoever started them, and a range is free again when its agent ended.
 * In a network namespace of our own, because the claims are machine-wide.
 */
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/super.h"
#include "tests/tools/skip.h"

/* What the kernel lets wait at a socket that asks for as much as ours. */
static int
best_room(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM, 0), room = 2 << 20;
	socklen_t len = sizeof(room);

	assert_int_equal(
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, &len), 0);
	close(fd);
	return room;
}

/* What a process of its own would get; 0: nothing. It ends and lets go. */
static unsigned
range_of_another(void)
{
	unsigned base = 0;
	int p[2];
	pid_t pid;

	assert_int_equal(pipe(p), 0);
	if ((pid = fork()) == 0) {
		if (super_range_find(&base) != 0)
			base = 0;
		_exit(write(p[1], &base, sizeof(base)) == sizeof(base) ? 0 : 1);
	}
	assert_true(pid > 0);
	assert_int_equal(read(p[0], &base, sizeof(base)), sizeof(base));
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(p[0]);
	close(p[1]);
	return base;
}

static void
test_agents_never_share_ports(void **state)
{
	unsigned mine = 0, last = 0;

	if (unshare(CLONE_NEWNET) != 0)
		skip_because("a network of its own is root's to have");
	assert_int_equal(range_of_another(), VAULT_OUT_BASE);
	assert_int_equal(super_range_find(&mine), 0);
	assert_int_equal(mine, VAULT_OUT_BASE); /* it was let go */
	assert_int_equal(range_of_another(), VAULT_OUT_BASE + VAULT_OUT_PORTS);
	for (int i = 1; i < VAULT_OUT_RANGES; i++)
		assert_int_equal(super_range_find(&last), 0);
	assert_int_equal(
	    last, VAULT_OUT_BASE + (VAULT_OUT_RANGES - 1) * VAULT_OUT_PORTS);
	assert_int_equal(range_of_another(), 0);
	assert_int_equal(super_range_find(&last), PERC_ERR_LIMIT);
}

/* The vault must reach nobody but local programs: "no network" is true of
 * every socket that it is given, for sending too. */
static void
test_sockets_cannot_leave_the_machine(void **state)
{
	struct sockaddr_in out = { .sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(0xc0000201) }; /* 192.0.2.1 */
	int fds[SUPER_LOCAL_FDS], diag = SUPER_LOCAL_FDS - 1, proto = -1;
	int room;
	struct sockaddr_in sin;
	socklen_t len = sizeof(proto);
	char why[256];

	assert_int_equal(super_sockets_open(fds, 0, why, sizeof(why)), 0);
	assert_int_equal(
	    getsockopt(fds[diag], SOL_SOCKET, SO_PROTOCOL, &proto, &len), 0);
	assert_int_equal(proto, NETLINK_SOCK_DIAG); /* the kernel alone */
	for (int i = 0; i < diag; i++) {
		len = sizeof(sin);
		assert_int_equal(
		    getsockname(fds[i], (struct sockaddr *)&sin, &len), 0);
		assert_int_equal(ntohl(sin.sin_addr.s_addr), INADDR_LOOPBACK);
		/* a millisecond's halt of the machine must not lose packets */
		len = sizeof(room);
		assert_int_equal(
		    getsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &room, &len), 0);
		assert_int_equal(room, best_room());
		assert_int_equal(sendto(fds[i], "x", 1, 0,
				     (struct sockaddr *)&out, sizeof(out)),
		    -1);
	}
	super_sockets_close(fds);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sockets_cannot_leave_the_machine),
		cmocka_unit_test(test_agents_never_share_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
