/* SPDX-License-Identifier: Apache-2.0 */
/* Who may ask how often, on a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "perc/rate.h"

#define NOW   1000000
#define PER_S 10
#define BURST (PER_S * PERC_RATE_BURST_S)

static int
setup(void **state)
{
	struct perc_rate *r = NULL;

	assert_int_equal(perc_rate_new(&r), 0);
	*state = r;
	return 0;
}

static int
teardown(void **state)
{
	perc_rate_free(*state);
	return 0;
}

static void
address(uint8_t ip[PERC_RATE_WHO], const char *text)
{
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in in = { .sin_family = AF_INET };

	if (inet_pton(AF_INET, text, &in.sin_addr) == 1) {
		perc_rate_address(ip, (struct sockaddr *)&in);
		return;
	}
	assert_int_equal(inet_pton(AF_INET6, text, &in6.sin6_addr), 1);
	perc_rate_address(ip, (struct sockaddr *)&in6);
}

/* Of so many requests at one time: how many were let in. */
static unsigned
ask(struct perc_rate *r, const char *from, unsigned n, int64_t now_ms)
{
	uint8_t ip[PERC_RATE_WHO];
	unsigned in = 0;

	address(ip, from);
	while (n-- > 0)
		in += perc_rate_take(r, ip, PER_S, now_ms) == 0;
	return in;
}

static void
test_a_bucket(void **state)
{
	struct perc_rate *r = *state;
	uint8_t ip[PERC_RATE_WHO];

	assert_int_equal(ask(r, "192.0.2.1", 1000, NOW), BURST);
	assert_int_equal(ask(r, "192.0.2.2", 1000, NOW), BURST);
	address(ip, "192.0.2.1");
	assert_int_equal(perc_rate_take(r, ip, PER_S, NOW), 1);
	assert_int_equal(ask(r, "192.0.2.1", 1000, NOW + 1000), PER_S);
	assert_int_equal(ask(r, "192.0.2.1", 1000, NOW + 1099), 0);
	assert_int_equal(ask(r, "192.0.2.1", 1000, NOW + 1100), 1);
	assert_int_equal(ask(r, "192.0.2.1", 1000, NOW + 3600000), BURST);
	assert_int_equal(perc_rate_take(r, ip, 0, NOW + 3600000), 0);
	assert_true(perc_rate_take(r, ip, 1, NOW + 3600000) > 0);
}

static void
test_what_an_address_is(void **state)
{
	struct perc_rate *r = *state;

	assert_int_equal(ask(r, "2001:db8:1:2::1", 1000, NOW), BURST);
	assert_int_equal(ask(r, "2001:db8:1:2:ffff::9", 1000, NOW), 0);
	assert_int_equal(ask(r, "2001:db8:1:3::1", 1000, NOW), BURST);
	assert_int_equal(ask(r, "192.0.2.7", 1000, NOW), BURST);
	assert_int_equal(ask(r, "::ffff:192.0.2.7", 1000, NOW), 0);
	assert_int_equal(ask(r, "::ffff:192.0.2.8", 1000, NOW), BURST);
}

/* A hundred thousand /64 of one attacker: nobody else is refused. */
static void
test_very_many_addresses_take_nothing_from_others(void **state)
{
	struct perc_rate *r = *state;
	uint8_t ip[PERC_RATE_WHO] = { 0x20, 1, 0xd, 0xb8 };
	unsigned i, k;

	for (i = 0; i < 100000; i++) {
		memcpy(ip + 4, &i, sizeof(i));
		for (k = 0; k < 3; k++)
			(void)perc_rate_take(r, ip, PER_S, NOW);
	}
	assert_int_equal(ask(r, "192.0.2.1", BURST, NOW), BURST);
	assert_int_equal(ask(r, "198.51.100.9", BURST, NOW), BURST);
	assert_int_equal(ask(r, "192.0.2.1", 1, NOW), 0);
}

#define WITH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(test_a_bucket),
		WITH(test_what_an_address_is),
		WITH(test_very_many_addresses_take_nothing_from_others),
	};

	return cmocka_run_group_tests_name("rate", tests, NULL, NULL);
}
