/* SPDX-License-Identifier: Apache-2.0 */
/* perc/err.c: every reason has a phrase of its own. */
#include "tests/perc/unit.h"

#include <limits.h>

#include "perc/err.h"

static void
test_every_error_has_its_phrase(void **state)
{
	for (int a = 0; a > PERC_ERR_LAST; a--) {
		assert_string_not_equal(perc_strerror(a), "unknown error");
		for (int b = 0; b > a; b--)
			assert_string_not_equal(
			    perc_strerror(a), perc_strerror(b));
	}
}

static void
test_any_number_is_safe(void **state)
{
	static const int odd[] = { PERC_ERR_LAST, 1, INT_MAX, INT_MIN, -1000 };

	for (size_t i = 0; i < COUNT(odd); i++)
		assert_string_equal(perc_strerror(odd[i]), "unknown error");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_error_has_its_phrase),
		cmocka_unit_test(test_any_number_is_safe),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
