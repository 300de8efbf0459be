/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A front that was taken over says every message in every order (REQ-W-1):
 * none of some thousand orders makes perch-vault do what must not happen.
 * The same orders break it where a guard is taken out: test_attack_weak.
 */
#include "disorder.h"
#include "vaultkit.h"

#include <stdio.h>

static void
test_no_order_breaks_it(void **state)
{
	struct disorder_found f;
	char words[2048];

	if (disorder_search(&f)) {
		disorder_print(words, sizeof(words), f.order, f.n);
		fail_msg("%s: %s", f.why, words);
	}
	printf("# %u orders: %u keys taken, %u packets sent, %u played, "
	       "%u conferences erased, %u receipts, %u channels ended\n",
	    f.tried, disorder_seen.keys, disorder_seen.sent,
	    disorder_seen.played, disorder_seen.erased, disorder_seen.receipts,
	    disorder_seen.ended);
	/* an oracle that saw nothing would have been silent, too */
	assert_true(disorder_seen.keys > 1000 && disorder_seen.sent > 1000 &&
	    disorder_seen.played > 1000 && disorder_seen.receipts > 200 &&
	    disorder_seen.ended > 100);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_order_breaks_it),
	};

	return cmocka_run_group_tests_name("attack order", tests, NULL, NULL);
}
