/* SPDX-License-Identifier: Apache-2.0 */
/*
 * perc/sandbox.c: each cage in a child of its own, whose exit status is the
 * line that went wrong. What must kill, must kill.
 */
#include "tests/perc/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <sys/stat.h>

#include "perc/crypto.h"
#include "perc/jose.h"
#include "perc/loop.h"
#include "perc/proc.h"
#include "perc/sandbox.h"
#include "perc/secret.h"

#define NEED(what)                                                             \
	do {                                                                   \
		if (!(what))                                                   \
			_exit(__LINE__ & 0xff ? __LINE__ & 0xff : 1);          \
	} while (0)

static char dir[] = "/tmp/perch-cage-XXXXXX", inside[64], outside[64];

static int
setup(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(inside, sizeof(inside), "%s/in", dir);
	snprintf(outside, sizeof(outside), "%s.out", dir);
	return mkdir(inside, 0700) | mkdir(outside, 0700);
}

static int
teardown(void **state)
{
	char file[96];

	snprintf(file, sizeof(file), "%s/f", inside);
	unlink(file);
	return rmdir(inside) | rmdir(dir) | rmdir(outside);
}

static void
enter(enum perc_cage cage, const char *const rw[], const char *const ro[])
{
	struct perc_cage_report report;

	NEED(perc_sandbox(cage, rw, ro, &report) == 0);
	NEED(report.seccomp);
	NEED(report.landlock == (report.landlock_abi > 0));
}

/* What a vault does all day: sockets that are open, timers, crypto. */
static void
work(int sv[2], struct perc_loop *l)
{
	uint8_t key[32] = { 1 }, sealed[64], out[16];
	struct perc_secret *s = NULL;
	struct perc_jwk *k = NULL;
	char c;

	NEED(write(sv[0], "x", 1) == 1 && read(sv[1], &c, 1) == 1);
	NEED(send(sv[0], "x", 1, 0) == 1 && recv(sv[1], &c, 1, 0) == 1);
	NEED(perc_loop_turn(l, 1) == 0);
	perc_random(out, sizeof(out));
	NEED(perc_seal(sealed, key, NULL, 0, out, 16) == 0);
	NEED(perc_secret_random(&s, 32) == 0);
	perc_secret_free(s);
	free(malloc(10 << 20)); /* a mapping comes and goes */
	NEED(perc_jwk_generate(&k) == 0);
	perc_jwk_free(k);
}

static void
prepare(int sv[2], struct perc_loop **l)
{
	struct perc_jwk *k = NULL;

	NEED(perc_proc_pair(sv) == 0);
	NEED(perc_loop_new(l) == 0);
	NEED(perc_jwk_generate(&k) == 0); /* OpenSSL warms up */
	perc_jwk_free(k);
}

static void
vault_works(void)
{
	struct perc_loop *l;
	int sv[2], fd;

	prepare(sv, &l);
	enter(PERC_CAGE_VAULT, NULL, NULL);
	work(sv, l);
	fd = open("/etc/passwd", O_RDONLY);
	NEED(fd < 0 && (errno == EPERM || errno == EACCES));
	NEED(open("/tmp/x", O_CREAT | O_WRONLY, 0600) < 0);
	NEED(unlink("/tmp/x") < 0 && errno == EPERM);
	NEED(fork() < 0 && errno == EPERM);
	NEED(kill(getppid(), 0) < 0 && errno == EPERM);
	NEED(prctl(PR_SET_DUMPABLE, 0) == 0);
	NEED(prctl(PR_SET_DUMPABLE, 1) < 0 && errno == EPERM);
	NEED(prctl(PR_SET_DUMPABLE, 2) < 0 && errno == EPERM);
	_exit(0);
}

static void
test_the_vault_works_and_opens_nothing(void **state)
{
	assert_int_equal(in_child(vault_works), 0);
}

static void
vault_socket(void)
{
	enter(PERC_CAGE_VAULT, NULL, NULL);
	(void)!socket(AF_INET, SOCK_DGRAM, 0);
}

static void
vault_pair(void)
{
	int sv[2];

	enter(PERC_CAGE_VAULT, NULL, NULL);
	(void)!socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
}

static void
vault_exec(void)
{
	enter(PERC_CAGE_VAULT, NULL, NULL);
	execl("/bin/true", "true", NULL);
}

static void
keeper_exec(void)
{
	enter(PERC_CAGE_KEEPER, NULL, NULL);
	execl("/bin/true", "true", NULL);
}

static void
net_exec(void)
{
	enter(PERC_CAGE_NET, NULL, NULL);
	execl("/bin/true", "true", NULL);
}

static void
net_ptrace(void)
{
	enter(PERC_CAGE_NET, NULL, NULL);
	(void)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static void
dial_listen(void)
{
	int s = socket(AF_INET, SOCK_STREAM, 0);

	enter(PERC_CAGE_DIAL, NULL, NULL);
	(void)!listen(s, 1);
}

static void
dial_exec(void)
{
	enter(PERC_CAGE_DIAL, NULL, NULL);
	execl("/bin/true", "true", NULL);
}

static void
test_what_kills(void **state)
{
	static void (*const crimes[])(void) = { vault_socket, vault_pair,
		vault_exec, keeper_exec, net_exec, net_ptrace, dial_listen,
		dial_exec };

	for (size_t i = 0; i < COUNT(crimes); i++)
		assert_int_equal(in_child(crimes[i]), -SIGSYS);
}

static void
keeper_files(void)
{
	const char *rw[] = { inside, NULL };
	char file[96], buf[8];
	struct stat st;
	int fd;

	snprintf(file, sizeof(file), "%s/f", inside);
	enter(PERC_CAGE_KEEPER, rw, NULL);
	NEED((fd = open(file, O_CREAT | O_RDWR, 0600)) >= 0);
	NEED(pwrite(fd, "data", 4, 0) == 4 && fdatasync(fd) == 0);
	NEED(pread(fd, buf, 4, 0) == 4);
	NEED(ftruncate(fd, 100) == 0);
	/* SQLite's shared memory and locks */
	NEED(mmap(NULL, 100, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) !=
	    MAP_FAILED);
	NEED(fcntl(fd, F_SETLK,
		 &(struct flock){ .l_type = F_WRLCK, .l_len = 1 }) == 0);
	close(fd);
	NEED(stat(file, &st) == 0);
	NEED(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	snprintf(file, sizeof(file), "%s/f", outside);
	NEED(open(file, O_CREAT | O_RDWR, 0600) < 0 && errno == EACCES);
	NEED(socket(AF_INET, SOCK_DGRAM, 0) < 0 && errno == EPERM);
	_exit(0);
}

static void
test_the_keeper_has_its_files_only(void **state)
{
	assert_int_equal(in_child(keeper_files), 0);
}

static void
keeper_reads(void)
{
	const char *ro[] = { "/etc/passwd", inside, NULL };
	char file[96];

	snprintf(file, sizeof(file), "%s/g", inside);
	enter(PERC_CAGE_KEEPER, NULL, ro);
	NEED(open("/etc/passwd", O_RDONLY) >= 0);
	NEED(open("/etc/passwd", O_RDWR) < 0 && errno == EACCES);
	NEED(open("/etc/group", O_RDONLY) < 0 && errno == EACCES);
	NEED(open(file, O_CREAT | O_WRONLY, 0600) < 0 && errno == EACCES);
	_exit(0);
}

static void
test_read_only_is_read_only(void **state)
{
	assert_int_equal(in_child(keeper_reads), 0);
}

static void
net_works(void)
{
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(sa);
	struct perc_loop *l;
	int sv[2], s, c;

	prepare(sv, &l);
	enter(PERC_CAGE_NET, NULL, NULL);
	work(sv, l);
	NEED((s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
	NEED(bind(s, (struct sockaddr *)&sa, len) == 0 && listen(s, 1) == 0);
	NEED(getsockname(s, (struct sockaddr *)&sa, &len) == 0);
	NEED((c = socket(AF_INET, SOCK_STREAM, 0)) >= 0);
	NEED(connect(c, (struct sockaddr *)&sa, len) == 0);
	NEED(accept4(s, NULL, NULL, SOCK_NONBLOCK) >= 0);
	NEED(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
	NEED(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	_exit(0);
}

static void
test_the_net_cage_speaks_inet_only(void **state)
{
	assert_int_equal(in_child(net_works), 0);
}

/* Even where Landlock would let it, nothing is written. */
static void
dial_works(void)
{
	const char *rw[] = { inside, NULL }, *ro[] = { "/etc", NULL };
	struct sockaddr_in sa = { .sin_family = AF_INET,
		.sin_port = htons(9),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct perc_loop *l;
	char file[96];
	int sv[2], c;

	prepare(sv, &l);
	snprintf(file, sizeof(file), "%s/f", inside);
	enter(PERC_CAGE_DIAL, rw, ro);
	work(sv, l);
	NEED((c = socket(AF_INET, SOCK_DGRAM, 0)) >= 0);
	NEED(connect(c, (struct sockaddr *)&sa, sizeof(sa)) == 0);
	NEED(socket(AF_PACKET, SOCK_RAW, 0) < 0 && errno == EPERM);
	NEED(open("/etc/passwd", O_RDONLY) >= 0);
	NEED(unlink(file) < 0 && errno == EPERM);
	NEED(mkdir(file, 0700) < 0 && errno == EPERM);
	NEED(kill(getppid(), 0) < 0 && errno == EPERM);
	_exit(0);
}

static void
test_the_dial_cage_only_connects(void **state)
{
	assert_int_equal(in_child(dial_works), 0);
}

static void
missing_path(void)
{
	const char *rw[] = { "/nonexistent/dir", NULL };
	struct perc_cage_report report;

	NEED(perc_sandbox(PERC_CAGE_KEEPER, rw, NULL, &report) == PERC_ERR_SYS);
	_exit(0);
}

static void
test_a_missing_path_is_an_error(void **state)
{
	assert_int_equal(in_child(missing_path), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_vault_works_and_opens_nothing),
		cmocka_unit_test(test_what_kills),
		cmocka_unit_test(test_the_keeper_has_its_files_only),
		cmocka_unit_test(test_read_only_is_read_only),
		cmocka_unit_test(test_the_net_cage_speaks_inet_only),
		cmocka_unit_test(test_the_dial_cage_only_connects),
		cmocka_unit_test(test_a_missing_path_is_an_error),
	};

	return cmocka_run_group_tests_name("sandbox", tests, setup, teardown);
}
