/* SPDX-License-Identifier: Apache-2.0 */
/* perc/systemd.c: for whom the variables are, and what a credential is. */
#include "tests/perc/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "perc/systemd.h"

static void
env(const char *name, const char *fmt, long v)
{
	char text[64];

	snprintf(text, sizeof(text), fmt, v);
	assert_int_equal(setenv(name, text, 1), 0);
}

static void
test_sockets_are_for_one_process(void **state)
{
	struct perc_systemd_socket s[PERC_SYSTEMD_SOCKETS_MAX];
	char why[128];
	size_t n = 7;

	unsetenv("LISTEN_PID");
	env("LISTEN_FDS", "%ld", 1);
	assert_false(perc_systemd_activated());
	assert_int_equal(perc_systemd_sockets(s, &n, why, sizeof(why)), 0);
	assert_int_equal(n, 0);
	env("LISTEN_PID", "%ld", (long)getppid());
	assert_false(perc_systemd_activated());
	env("LISTEN_PID", "%ld", (long)getpid());
	assert_true(perc_systemd_activated());
	env("LISTEN_FDS", "%ld", 17);
	assert_int_equal(
	    perc_systemd_sockets(s, &n, why, sizeof(why)), PERC_ERR_FORMAT);
	env("LISTEN_FDS", "%ldx", 1);
	assert_false(perc_systemd_activated());
	env("LISTEN_FDS", "-%ld", 1);
	assert_false(perc_systemd_activated());
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_PID");
}

static void
test_watchdog(void **state)
{
	assert_int_equal(perc_systemd_watchdog_ms(), 0);
	env("WATCHDOG_USEC", "%ld", 30000000);
	assert_int_equal(perc_systemd_watchdog_ms(), 30000);
	env("WATCHDOG_PID", "%ld", (long)getppid());
	assert_int_equal(perc_systemd_watchdog_ms(), 0);
	env("WATCHDOG_PID", "%ld", (long)getpid());
	assert_int_equal(perc_systemd_watchdog_ms(), 30000);
	env("WATCHDOG_USEC", "soon%ld", 1);
	assert_int_equal(perc_systemd_watchdog_ms(), 0);
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

static void
test_credentials(void **state)
{
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_false(perc_systemd_is_credential("/run/x/root.key"));
	setenv("CREDENTIALS_DIRECTORY", "/run/x", 1);
	assert_true(perc_systemd_is_credential("/run/x/root.key"));
	assert_false(perc_systemd_is_credential("/run/xy/root.key"));
	assert_false(perc_systemd_is_credential("/run/x/../root.key"));
	assert_false(perc_systemd_is_credential("/run/x"));
	setenv("CREDENTIALS_DIRECTORY", "", 1);
	assert_false(perc_systemd_is_credential("/root.key"));
	unsetenv("CREDENTIALS_DIRECTORY");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sockets_are_for_one_process),
		cmocka_unit_test(test_watchdog),
		cmocka_unit_test(test_credentials)
	};

	return cmocka_run_group_tests_name("systemd", tests, NULL, NULL);
}
