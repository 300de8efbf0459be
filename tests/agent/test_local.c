/* SPDX-License-Identifier: Apache-2.0 */
/* The local socket: its mode, its users, its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/local.h"
#include "perc/json.h"
#include "tests/tools/skip.h"

static char dir[64], path[sizeof(((struct sockaddr_un *)0)->sun_path)];
static struct perc_loop *loop;
static struct local *local;
static struct local_req *held;
static unsigned asked, gone;

static void
on_ask(struct local_req *r, const char *cmd, const json_t *args, void *arg)
{
	asked++;
	if (strcmp(cmd, "hold") == 0) {
		held = r;
		return;
	}
	local_progress(r, "on it");
	local_result(r, json_pack("{s:s}", "echo", cmd));
}

static void
on_gone(struct local_req *r, void *arg)
{
	gone++;
	held = NULL;
}

static int
open_local(void)
{
	char why[256];

	int r = local_new(
	    &local, loop, path, -1, on_ask, on_gone, NULL, why, sizeof(why));

	return r != 0 ? r : local_open(local);
}

static int
setup(void **state)
{
	strcpy(dir, "/tmp/perch-local-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sub/agent.sock", dir);
	asked = gone = 0;
	assert_int_equal(perc_loop_new(&loop), 0);
	assert_int_equal(open_local(), 0);
	return 0;
}

static int
teardown(void **state)
{
	char sub[128];

	local_free(local);
	perc_loop_free(loop);
	assert_int_not_equal(access(path, F_OK), 0);
	snprintf(sub, sizeof(sub), "%s/sub", dir);
	return rmdir(sub) == 0 ? rmdir(dir) : -1;
}

static int
dial(void)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(un.sun_path, path);
	assert_int_equal(connect(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	return fd;
}

static void
turns(int n)
{
	for (int i = 0; i < n; i++)
		assert_int_equal(perc_loop_turn(loop, 5), 0);
}

/* What comes back; -1 when the agent hung up. */
static ssize_t
talk(int fd, const char *out, char *in, size_t cap)
{
	ssize_t n;

	(void)!send(fd, out, strlen(out), MSG_NOSIGNAL);
	turns(4);
	n = recv(fd, in, cap - 1, MSG_DONTWAIT);
	in[n > 0 ? n : 0] = '\0';
	return n == 0 ? -1 : n;
}

static void
test_mode_and_answer(void **state)
{
	struct stat st;
	char in[512];
	int fd = dial();

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	talk(fd, "{\"id\":3,\"cmd\":\"a\"}\n{\"id\":4,\"cmd\":\"b\"}\n", in,
	    sizeof(in));
	assert_string_equal(in,
	    "{\"id\":3,\"progress\":\"on it\"}\n"
	    "{\"id\":3,\"result\":{\"echo\":\"a\"}}\n"
	    "{\"id\":4,\"progress\":\"on it\"}\n"
	    "{\"id\":4,\"result\":{\"echo\":\"b\"}}\n");
	close(fd);
}

static void
test_nonsense_hangs_up(void **state)
{
	char in[512];
	int fd = dial();

	assert_int_equal(
	    talk(fd, "GET / HTTP/1.1\r\n\r\n", in, sizeof(in)), -1);
	assert_int_equal(asked, 0);
	close(fd);
}

static void
test_endless_line_hangs_up(void **state)
{
	char *big = malloc(LOCAL_LINE_MAX + 2), in[64];
	int fd = dial();

	memset(big, 'x', LOCAL_LINE_MAX + 1);
	big[LOCAL_LINE_MAX + 1] = '\0';
	talk(fd, big, in, sizeof(in));
	turns(10);
	assert_true(recv(fd, in, sizeof(in), MSG_DONTWAIT) <= 0);
	assert_int_equal(send(fd, "x", 1, MSG_NOSIGNAL), -1);
	free(big);
	close(fd);
}

static void
test_asker_goes(void **state)
{
	char in[64];
	int fd = dial();

	talk(fd, "{\"id\":1,\"cmd\":\"hold\"}\n", in, sizeof(in));
	assert_non_null(held);
	close(fd);
	turns(4);
	assert_int_equal(gone, 1);
	assert_null(held);
}

/* A server's words that are no UTF-8 must not silence the answer. */
static void
test_words_that_are_no_text(void **state)
{
	char in[256];
	int fd = dial();

	talk(fd, "{\"id\":1,\"cmd\":\"hold\"}\n", in, sizeof(in));
	local_error(held, "refused",
	    "a\xff"
	    "b");
	held = NULL;
	turns(2);
	talk(fd, "", in, sizeof(in));
	assert_string_equal(in,
	    "{\"id\":1,\"error\":{\"code\":\"refused\",\"text\":\"a?b\"}}\n");
	close(fd);
}

static void
test_second_agent_is_refused(void **state)
{
	struct local *first = local;
	char why[256];

	assert_int_equal(local_new(&local, loop, path, -1, on_ask, on_gone,
			     NULL, why, sizeof(why)),
	    PERC_ERR_EXISTS);
	assert_non_null(strstr(why, "another perch-agent"));
	local = first;
	assert_int_equal(access(path, F_OK), 0);
}

/* A crashed agent's socket stands there, and nobody listens. */
static void
test_stale_socket_is_replaced(void **state)
{
	char in[256];
	int fd;

	if (fork() == 0)
		_exit(0);
	wait(NULL);
	local_free(local);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	strcpy(un.sun_path, path);
	assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof(un)), 0);
	close(fd);
	assert_int_equal(open_local(), 0);
	fd = dial();
	talk(fd, "{\"id\":1,\"cmd\":\"a\"}\n", in, sizeof(in));
	assert_non_null(strstr(in, "echo"));
	close(fd);
}

/* There they could put a socket of theirs in its place. */
static void
test_directory_that_others_may_write(void **state)
{
	char sub[128], why[256];

	local_free(local);
	snprintf(sub, sizeof(sub), "%s/sub", dir);
	assert_int_equal(chmod(sub, 0770), 0);
	assert_int_equal(local_new(&local, loop, path, -1, on_ask, on_gone,
			     NULL, why, sizeof(why)),
	    PERC_ERR_DENIED);
	assert_non_null(strstr(why, "others may write it"));
	assert_int_equal(
	    chmod(sub, 01777), 0); /* as /tmp: theirs stay theirs */
	assert_int_equal(open_local(), 0);
	assert_int_equal(chmod(sub, 0700), 0);
}

/* The kernel's word about the peer counts, whatever the socket's mode. */
static void
test_other_user_is_refused(void **state)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int status, fd;
	char c;

	if (geteuid() != 0)
		skip_because("only root can become another user");
	strcpy(un.sun_path, path);
	assert_int_equal(chmod(path, 0666), 0);
	snprintf(path, sizeof(path), "%s/sub", dir);
	assert_int_equal(chmod(path, 0755), 0);
	assert_int_equal(chmod(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s", un.sun_path);
	if (fork() == 0) {
		if (setuid(65534) != 0)
			_exit(2);
		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&un, sizeof(un)) != 0)
			_exit(3);
		/* refused already, perhaps */
		(void)!send(fd, "{\"id\":1,\"cmd\":\"a\"}\n", 19, MSG_NOSIGNAL);
		_exit(recv(fd, &c, 1, 0) <= 0 ? 0 : 1);
	}
	turns(40);
	wait(&status);
	assert_int_equal(status, 0);
	assert_int_equal(asked, 0);
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_mode_and_answer),
		WITH(test_nonsense_hangs_up),
		WITH(test_endless_line_hangs_up),
		WITH(test_asker_goes),
		WITH(test_words_that_are_no_text),
		WITH(test_second_agent_is_refused),
		WITH(test_stale_socket_is_replaced),
		WITH(test_directory_that_others_may_write),
		WITH(test_other_user_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
