/* SPDX-License-Identifier: Apache-2.0 */
/* perc/log.c, seen through a pipe in place of stderr. */
#include "tests/perc/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>

#include "perc/log.h"
#include "perc/loop.h"

static char got[8192];
static int saved_stderr, ends[2];

static void
capture(void)
{
	saved_stderr = dup(2);
	assert_int_equal(pipe2(ends, O_NONBLOCK), 0);
	assert_true(dup2(ends[1], 2) == 2);
}

static const char *
captured(void)
{
	ssize_t n = read(ends[0], got, sizeof(got) - 1);

	got[n > 0 ? n : 0] = '\0';
	(void)dup2(saved_stderr, 2);
	close(saved_stderr);
	close(ends[0]);
	close(ends[1]);
	return got;
}

static void
assert_matches(const char *text, const char *pattern)
{
	regex_t re;

	assert_int_equal(regcomp(&re, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&re, text, 0, NULL, 0) != 0)
		fail_msg("'%s' does not match '%s'", text, pattern);
	regfree(&re);
}

#define STAMP "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{3}Z "

static void
test_the_form_of_a_line(void **state)
{
	perc_log_init("perch-kmf", "keeper", 0, PERC_LOG_INFO);
	capture();
	log_info("event key=%d", 7);
	assert_matches(
	    captured(), STAMP "perch-kmf\\[keeper\\] info event key=7\n$");
	perc_log_init("perch-kmf", NULL, 0, PERC_LOG_INFO);
	capture();
	log_warnx("event");
	assert_matches(captured(), STAMP "perch-kmf warn event\n$");
}

static void
test_warn_tells_errno_and_keeps_it(void **state)
{
	perc_log_init("p", NULL, 0, PERC_LOG_DEBUG);
	capture();
	errno = ENOENT;
	log_warn("open");
	assert_int_equal(errno, ENOENT);
	log_debug("more");
	assert_int_equal(errno, ENOENT);
	assert_matches(captured(),
	    "warn open errno=\"No such file or directory\"\n.*debug more\n$");
}

static void
test_a_lost_stderr_leaves_errno_alone(void **state)
{
	int keep = dup(2);

	perc_log_init("p", NULL, 0, PERC_LOG_DEBUG);
	close(2);
	errno = ENOENT;
	log_info("nobody hears");
	assert_int_equal(errno, ENOENT);
	assert_int_equal(dup2(keep, 2), 2);
	close(keep);
}

static void
log_to_nobody(void)
{
	int p[2];

	(void)signal(SIGPIPE, SIG_DFL);
	if (pipe(p) != 0 || dup2(p[1], 2) != 2)
		_exit(1);
	close(p[0]);
	perc_log_init("p", NULL, 0, PERC_LOG_INFO);
	log_info("nobody hears");
}

static void
test_a_reader_that_left_does_not_end_us(void **state)
{
	assert_int_equal(in_child(log_to_nobody), 0);
}

static void
test_levels(void **state)
{
	perc_log_init("p", NULL, 0, PERC_LOG_WARN);
	capture();
	log_debug("no");
	log_info("no");
	assert_string_equal(captured(), "");
	perc_log_level_set(PERC_LOG_DEBUG);
	capture();
	log_debug("yes");
	assert_matches(captured(), "debug yes\n$");
}

static void
test_nobody_forges_a_second_line(void **state)
{
	perc_log_init("p", NULL, 0, PERC_LOG_INFO);
	capture();
	log_info("name=%s", "eve\n2026 p info grant=all\r\x1b[2J");
	captured();
	assert_ptr_equal(strchr(got, '\n'), got + strlen(got) - 1);
	assert_null(strchr(got, '\x1b'));
}

static void
test_a_long_line_ends_in_time(void **state)
{
	static char big[10000];

	memset(big, 'x', sizeof(big) - 1);
	perc_log_init("p", NULL, 0, PERC_LOG_INFO);
	capture();
	errno = EIO;
	log_warn("%s", big);
	captured();
	assert_true(strlen(got) <= 2048);
	assert_int_equal(got[strlen(got) - 1], '\n');
}

static void
test_escape(void **state)
{
	char out[64];

	assert_string_equal(
	    perc_log_escape(out, sizeof(out), "a b\"c\\d\n\x7f\xc3", 100),
	    "a b\\x22c\\x5cd\\x0a\\x7f\\xc3");
	assert_string_equal(
	    perc_log_escape(out, sizeof(out), "abcdef", 3), "abc");
	assert_string_equal(perc_log_escape(out, 4, "abcdef", 9), "abc");
	assert_string_equal(perc_log_escape(out, 5, "a\n", 9), "a");
	assert_string_equal(perc_log_escape(out, 6, "a\n", 9), "a\\x0a");
}

static void
test_repeats_are_limited(void **state)
{
	struct perc_log_limit l = { .burst = 3, .per_ms = 50 };
	unsigned n = 0;

	perc_log_init("p", NULL, 0, PERC_LOG_INFO);
	for (int i = 0; i < 10; i++)
		n += (unsigned)perc_log_allow(&l);
	assert_int_equal(n, 3);
	usleep(60000);
	capture();
	assert_true(perc_log_allow(&l));
	assert_matches(captured(), "log.suppressed lines=7\n$");
}

static void
die(void)
{
	fatalx("startup why=test");
}

static void
test_fatal_exits_1(void **state)
{
	capture();
	assert_int_equal(in_child(die), 1);
	assert_matches(captured(), "error startup why=test\n$");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_form_of_a_line),
		cmocka_unit_test(test_warn_tells_errno_and_keeps_it),
		cmocka_unit_test(test_a_lost_stderr_leaves_errno_alone),
		cmocka_unit_test(test_a_reader_that_left_does_not_end_us),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_nobody_forges_a_second_line),
		cmocka_unit_test(test_a_long_line_ends_in_time),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_repeats_are_limited),
		cmocka_unit_test(test_fatal_exits_1),
	};

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
