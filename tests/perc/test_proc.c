/* SPDX-License-Identifier: Apache-2.0 */
/* perc/proc.c. Started with "child" this program reports on itself. */
#include "tests/perc/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "perc/proc.h"
#include "tests/tools/skip.h"

/* --- the child's side --------------------------------------------------- */

static unsigned
open_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static int
child_main(void)
{
	char line[256];
	sigset_t blocked;
	int death = 0, n;

	sigprocmask(SIG_SETMASK, NULL, &blocked);
	prctl(PR_GET_PDEATHSIG, &death);
	n = snprintf(line, sizeof(line),
	    "fds=%u usr1=%d pipe=%d death=%d home=%d secret=%d mine=%s",
	    open_fds(), sigismember(&blocked, SIGUSR1),
	    signal(SIGPIPE, SIG_DFL) == SIG_DFL, death, getenv("HOME") != NULL,
	    getenv("MY_SECRET") != NULL,
	    getenv("PERCH_MINE") != NULL ? getenv("PERCH_MINE") : "");
	return write(PERC_PROC_FD, line, (size_t)n) == n &&
		write(PERC_PROC_FD + 1, "second", 6) == 6
	    ? 7
	    : 1;
}

static int
orphan_main(void)
{
	if (write(PERC_PROC_FD, "up", 2) != 2)
		return 1;
	for (;;)
		pause();
}

/* --- ours --------------------------------------------------------------- */

static void
test_spawn_places_descriptors(void **state)
{
	char *argv[] = { (char *)"test_proc", (char *)"child", NULL };
	int a[2], b[2], fds[2], status;
	char line[256] = { 0 }, second[16] = { 0 };
	sigset_t usr1;
	pid_t pid;

	setenv("MY_SECRET", "x", 1);
	setenv("PERCH_MINE", "yes", 1);
	setenv("HOME", "/", 1);
	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	assert_int_equal(pipe(a), 0);
	assert_int_equal(pipe(b), 0);
	/* Given in the order that a plain dup2 would overwrite. */
	fds[0] = b[1];
	fds[1] = a[1];
	assert_int_equal(perc_proc_spawn(&pid, NULL, argv, fds, 2), 0);
	close(a[1]);
	close(b[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_true(read(b[0], line, sizeof(line) - 1) > 0);
	assert_string_equal(
	    line, "fds=5 usr1=0 pipe=1 death=9 home=1 secret=0 mine=yes");
	assert_true(read(a[0], second, sizeof(second) - 1) > 0);
	assert_string_equal(second, "second");
	close(a[0]);
	close(b[0]);
}

static void
test_spawn_tells_why_exec_failed(void **state)
{
	char *argv[] = { (char *)"x", NULL };
	pid_t pid = -5;

	errno = 0;
	assert_int_equal(perc_proc_spawn(&pid, "/nonexistent/x", argv, NULL, 0),
	    PERC_ERR_SYS);
	assert_int_equal(errno, ENOENT);
	assert_int_equal(pid, -5);
	assert_int_equal(
	    perc_proc_spawn(&pid, NULL, argv, NULL, PERC_PROC_FD_MAX + 1),
	    PERC_ERR_INVAL);
}

/* A middle process starts one of its own and dies: the grandchild too. */
static void
test_a_child_dies_with_its_parent(void **state)
{
	char *argv[] = { (char *)"test_proc", (char *)"orphan", NULL };
	char up[4];
	int p[2];
	pid_t mid;

	assert_int_equal(pipe(p), 0);
	if ((mid = fork()) == 0) {
		pid_t pid;

		if (perc_proc_spawn(&pid, NULL, argv, &p[1], 1) != 0)
			_exit(1);
		close(p[1]);
		_exit(read(p[0], up, 2) == 2 ? 0 : 1);
	}
	close(p[1]);
	assert_int_equal(waitpid(mid, NULL, 0), mid);
	/* The last writer is the grandchild: end of file when it is gone. */
	alarm(5);
	assert_int_equal(read(p[0], up, 2), 0);
	alarm(0);
	close(p[0]);
}

static void
test_pair(void **state)
{
	int sv[2];
	char c;

	assert_int_equal(perc_proc_pair(sv), 0);
	assert_true((fcntl(sv[0], F_GETFD) & FD_CLOEXEC) != 0);
	assert_true((fcntl(sv[1], F_GETFL) & O_NONBLOCK) != 0);
	assert_int_equal(read(sv[0], &c, 1), -1);
	assert_int_equal(write(sv[0], "x", 1), 1);
	assert_int_equal(read(sv[1], &c, 1), 1);
	close(sv[0]);
	close(sv[1]);
}

static void
drop_to_nobody(void)
{
	int death = 0;

	if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 ||
	    perc_proc_drop("nobody", "/") != 0)
		_exit(1);
	if (geteuid() == 0 || getegid() == 0 || setuid(0) == 0)
		_exit(2);
	if (prctl(PR_GET_PDEATHSIG, &death) != 0 || death != SIGTERM)
		_exit(3);
}

static void
drop_to_a_ghost(void)
{
	_exit(
	    perc_proc_drop("no-such-user", NULL) == PERC_ERR_NOTFOUND ? 0 : 1);
}

static void
test_drop(void **state)
{
	assert_int_equal(perc_proc_drop(NULL, NULL), 0);
	if (geteuid() != 0)
		skip_because("only root can become another user");
	assert_int_equal(in_child(drop_to_nobody), 0);
	assert_int_equal(in_child(drop_to_a_ghost), 0);
}

static void
test_notify(void **state)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char got[64] = { 0 }, name[64];
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

	snprintf(name, sizeof(name), "@perch-test-%d", (int)getpid());
	memcpy(sa.sun_path, name, strlen(name));
	sa.sun_path[0] = '\0';
	assert_int_equal(
	    bind(fd, (struct sockaddr *)&sa,
		(socklen_t)(offsetof(struct sockaddr_un, sun_path) +
		    strlen(name))),
	    0);
	unsetenv("NOTIFY_SOCKET");
	perc_proc_notify("READY=1"); /* nobody asked: nothing happens */
	setenv("NOTIFY_SOCKET", name, 1);
	perc_proc_notify("READY=1");
	assert_int_equal(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT), 7);
	assert_string_equal(got, "READY=1");
	close(fd);
}

int
main(int argc, char *argv[])
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spawn_places_descriptors),
		cmocka_unit_test(test_spawn_tells_why_exec_failed),
		cmocka_unit_test(test_a_child_dies_with_its_parent),
		cmocka_unit_test(test_pair),
		cmocka_unit_test(test_drop),
		cmocka_unit_test(test_notify),
	};

	if (argc > 1 && strcmp(argv[1], "child") == 0)
		return child_main();
	if (argc > 1 && strcmp(argv[1], "orphan") == 0)
		return orphan_main();
	return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
