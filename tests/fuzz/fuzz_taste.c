/* SPDX-License-Identifier: Apache-2.0 */
/* A receiver's subscription: what is accepted goes to the worker and arrives
 * there as it was; and the worker reads any message without harm. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mdd/taste.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct mdd_subscribe m = { .leg = "l_x" }, got;
	char why[MDD_TASTE_WHY];
	uint8_t buf[MDD_MSG_MAX];
	int len;

	if (n <= sizeof(buf) && mdd_subscribe_get(&got, p, n) == 0 &&
	    got.taste.nrules > MDD_RULES_MAX)
		abort();
	if (mdd_taste_parse(&m.taste, p, n, why) != 0)
		return 0;
	len = mdd_subscribe_put(buf, &m);
	if (len < 0 || mdd_subscribe_get(&got, buf, (size_t)len) != 0 ||
	    memcmp(&got.taste, &m.taste, sizeof(m.taste)) != 0)
		abort();
	return 0;
}
