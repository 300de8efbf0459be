/* SPDX-License-Identifier: Apache-2.0 */
/*
 * REQ-W-2: the way to the pins. What a program of the user could turn, a
 * link in one of its directories above all, is refused, wherever it points
 * at the moment.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/vaultpath.h"
#include "tests/tools/skip.h"

#define STRANGER 65534
#define ROOTS	 "/etc/passwd" /* a file of root's, as its way is */

struct place {
	char dir[32];
	uid_t us; /* whose files may be ours */
};

static int
setup(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/pathXXXXXX");
	assert_non_null(mkdtemp(p->dir));
	p->us = getuid();
	*state = p;
	return 0;
}

static int
teardown(void **state)
{
	struct place *p = *state;
	char cmd[64];

	snprintf(cmd, sizeof(cmd), "rm -rf %s", p->dir);
	free(p);
	return system(cmd);
}

/* "name" below the place, in one of four buffers. */
static const char *
at(struct place *p, const char *name)
{
	static char text[4][96];
	static unsigned n;
	char *to = text[n++ % 4];

	snprintf(to, sizeof(text[0]), "%s/%s", p->dir, name);
	return to;
}

static void
file_make(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void
opens(const char *path, uid_t uid, const char *text)
{
	struct perc_conf_error e = { "" };
	char got[64] = "";
	int fd;

	if (vault_path_open(&fd, path, uid, &e) != 0)
		fail_msg("%s", e.text);
	if (text != NULL) {
		assert_true(read(fd, got, sizeof(got) - 1) >= 0);
		assert_string_equal(got, text);
	}
	close(fd);
}

static void
refused(const char *path, uid_t uid, const char *words)
{
	struct perc_conf_error e = { "" };
	int fd;

	assert_int_not_equal(vault_path_open(&fd, path, uid, &e), 0);
	assert_int_equal(fd, -1);
	if (strstr(e.text, words) == NULL)
		fail_msg("\"%s\" is not in: %s", words, e.text);
}

static void
test_links_of_our_own(void **state)
{
	struct place *p = *state;

	file_make(at(p, "file"), "pins");
	opens(at(p, "file"), p->us, "pins");
	opens(at(p, ".//./file"), p->us, "pins");
	assert_int_equal(symlink("file", at(p, "link")), 0);
	opens(at(p, "link"), p->us, "pins");
	assert_int_equal(symlink(p->dir, at(p, "self")), 0);
	opens(at(p, "self/self/link"), p->us, "pins");
	assert_int_equal(mkdir(at(p, "sub"), 0755), 0);
	assert_int_equal(symlink("../link", at(p, "sub/up")), 0);
	opens(at(p, "sub/up"), p->us, "pins");
	assert_int_equal(chdir(p->dir), 0);
	opens("self/sub/../file", p->us, "pins");
	assert_int_equal(chdir("/"), 0);
	opens(ROOTS, 0, NULL);
}

/* It points to a file of root's now, and who knows where a moment later. */
static void
test_REQ_W_2_link_in_a_users_directory(void **state)
{
	struct place *p = *state;

	assert_int_equal(symlink(ROOTS, at(p, "link")), 0);
	opens(at(p, "link"), p->us, NULL);
	if (getuid() == 0)
		assert_int_equal(chown(p->dir, STRANGER, STRANGER), 0);
	refused(at(p, "link"), 0, "is owned by uid");
	refused(at(p, "link/../passwd"), 0, "is owned by uid");
}

/* In /tmp anybody makes links, and nobody else may remove them. */
static void
test_REQ_W_2_users_link_in_a_shared_directory(void **state)
{
	struct place *p = *state;

	assert_int_equal(chmod(p->dir, 01777), 0);
	assert_int_equal(symlink(ROOTS, at(p, "link")), 0);
	opens(at(p, "link"), p->us, NULL);
	if (getuid() != 0)
		skip_because("only root makes a link that is another's");
	assert_int_equal(lchown(at(p, "link"), STRANGER, STRANGER), 0);
	refused(at(p, "link"), 0, "is owned by uid 65534");
}

static void
test_what_others_may_write(void **state)
{
	struct place *p = *state;

	file_make(at(p, "file"), "pins");
	assert_int_equal(chmod(at(p, "file"), 0664), 0);
	refused(at(p, "file"), p->us, "others may write it");
	assert_int_equal(chmod(at(p, "file"), 0644), 0);
	assert_int_equal(chmod(p->dir, 0775), 0);
	refused(at(p, "file"), p->us, "others may write it");
}

static void
test_no_file_at_all(void **state)
{
	char name[300];
	struct place *p = *state;

	refused(at(p, "nothing"), p->us, "No such file");
	refused(at(p, "nothing/file"), p->us, "No such file");
	refused(p->dir, p->us, "not a regular file");
	refused("/", p->us, "/");
	refused("", p->us, "");
	assert_int_equal(mkfifo(at(p, "fifo"), 0600), 0);
	refused(at(p, "fifo"), p->us, "not a regular file"); /* at once */
	assert_int_equal(symlink("loop", at(p, "loop")), 0);
	refused(at(p, "loop"), p->us, "symbolic links");
	file_make(at(p, "file"), "pins");
	refused(at(p, "file/more"), p->us, "Not a directory");
	/* One octet too long is not the name that is its beginning. */
	memset(name, 'x', 256);
	name[256] = '\0';
	assert_int_equal(chdir(p->dir), 0);
	name[255] = '\0';
	file_make(name, "pins");
	opens(name, p->us, "pins");
	name[255] = 'x';
	refused(name, p->us, "too long");
	assert_int_equal(chdir("/"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_links_of_our_own),
		TEST(test_REQ_W_2_link_in_a_users_directory),
		TEST(test_REQ_W_2_users_link_in_a_shared_directory),
		TEST(test_what_others_may_write),
		TEST(test_no_file_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
